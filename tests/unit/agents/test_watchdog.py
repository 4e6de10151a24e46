"""A worker that stands still while there is work ends; one that has nothing to do, or goes on, does not."""

from __future__ import annotations

import threading

from agents.watchdog import LoopWatch, ProgressWatch


def test_progress_keeps_a_worker_alive_however_far_behind_it_is() -> None:
    watch = ProgressWatch(60_000)
    assert all(watch.observe(t * 10_000, progress=t, behind=True) is None for t in range(100))


def test_an_idle_worker_without_lag_is_left_alone() -> None:
    watch = ProgressWatch(60_000)
    assert all(watch.observe(t * 10_000, progress=7, behind=False) is None for t in range(100))


def test_no_progress_while_behind_is_reported_after_the_time_of_the_setting() -> None:
    watch = ProgressWatch(60_000)
    assert watch.observe(0, progress=7, behind=True) is None
    assert watch.observe(59_999, progress=7, behind=True) is None
    message = watch.observe(60_000, progress=7, behind=True)
    assert message is not None
    assert "60 s" in message


def test_the_time_counts_from_the_moment_that_there_was_work_again() -> None:
    watch = ProgressWatch(60_000)
    watch.observe(0, progress=7, behind=False)
    assert watch.observe(59_000, progress=7, behind=False) is None
    assert watch.observe(110_000, progress=7, behind=True) is None
    assert watch.observe(119_001, progress=7, behind=True) is not None


def test_a_loop_that_does_not_beat_is_reported_from_outside_of_it() -> None:
    reported = threading.Event()
    watch = LoopWatch(100, lambda _message: reported.set())
    watch.start()
    assert reported.wait(5)
