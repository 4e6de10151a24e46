"""When a flush is due: as dialogues of what happened at which millisecond."""

from __future__ import annotations

from agents.flush import BODY_BYTES, CATCHING_UP_RECORDS, CAUGHT_UP_MS, FlushPacer
from streams.settings import KafkaSettings

SETTINGS = KafkaSettings(flush_after_ms=1_000, flush_at_most_ms=5_000)


def test_nothing_is_due_before_anything_changed() -> None:
    pacer = FlushPacer(SETTINGS)
    assert not pacer.due(1_000_000)
    assert not pacer.overdue(1_000_000)


def test_a_flush_is_due_one_second_after_the_first_change_and_not_after_the_last() -> None:
    pacer = FlushPacer(SETTINGS)
    pacer.changed(10_000)
    pacer.changed(10_900)
    assert not pacer.due(10_999)
    assert pacer.due(11_000)


def test_what_is_taken_is_not_due_again() -> None:
    pacer = FlushPacer(SETTINGS)
    pacer.changed(10_000)
    pacer.taken()
    assert not pacer.due(60_000)


def test_changes_during_a_flush_count_from_their_own_time() -> None:
    pacer = FlushPacer(SETTINGS)
    pacer.changed(10_000)
    pacer.taken()
    pacer.changed(11_100)
    pacer.ended(11_000, 11_200)
    assert not pacer.due(12_099)
    assert pacer.due(12_100)


def test_after_a_slow_flush_four_times_its_duration_passes() -> None:
    pacer = FlushPacer(SETTINGS)
    pacer.changed(0)
    pacer.taken()
    pacer.ended(1_000, 1_600)
    pacer.changed(1_700)
    assert not pacer.due(3_999)
    assert pacer.due(4_000)


def test_however_slow_the_broker_a_change_waits_at_most_five_seconds() -> None:
    pacer = FlushPacer(SETTINGS)
    pacer.changed(0)
    pacer.taken()
    pacer.ended(1_000, 31_000)
    pacer.changed(31_500)
    assert not pacer.due(36_499)
    assert pacer.due(36_500)
    assert pacer.overdue(36_500)


def test_folding_need_not_wait_before_a_change_is_overdue() -> None:
    pacer = FlushPacer(SETTINGS)
    pacer.changed(10_000)
    assert not pacer.overdue(14_999)
    assert pacer.overdue(15_000)


def test_while_catching_up_a_flush_is_due_at_the_latest_moment_and_soon_again_at_the_head() -> None:
    pacer = FlushPacer(SETTINGS)
    pacer.changed(10_000, topic="orders", behind=CATCHING_UP_RECORDS + 1)
    assert not pacer.due(14_999)
    assert pacer.due(15_000)
    pacer.changed(11_500, topic="orders", behind=CATCHING_UP_RECORDS)
    assert not pacer.due(11_500 + CAUGHT_UP_MS - 1)
    assert pacer.due(11_500 + CAUGHT_UP_MS)


def test_a_topic_at_its_head_does_not_hide_that_another_one_catches_up() -> None:
    pacer = FlushPacer(SETTINGS)
    pacer.changed(10_000, topic="impressions", behind=CATCHING_UP_RECORDS + 1)
    pacer.changed(10_100, topic="orders", behind=0)
    pacer.changed(10_200)
    assert not pacer.due(14_999)
    pacer.changed(12_000, topic="impressions", behind=0)
    assert pacer.due(12_000 + CAUGHT_UP_MS)


def test_what_a_flush_took_while_catching_up_does_not_hold_back_the_first_one_at_the_head() -> None:
    pacer = FlushPacer(SETTINGS)
    pacer.changed(0, topic="orders", behind=CATCHING_UP_RECORDS + 1)
    pacer.taken()
    pacer.changed(5_100, topic="orders", behind=CATCHING_UP_RECORDS + 1)
    pacer.ended(5_000, 6_000)
    pacer.changed(6_200, topic="orders", behind=0)
    assert not pacer.due(6_200 + CAUGHT_UP_MS - 1)
    assert pacer.due(6_200 + CAUGHT_UP_MS)
    pacer.taken()
    pacer.changed(7_000, topic="orders", behind=0)
    pacer.ended(6_700, 7_200)
    assert not pacer.due(9_199)
    assert pacer.due(9_200)


def test_many_bodies_are_due_at_once_and_folding_waits_for_the_flush_before() -> None:
    pacer = FlushPacer(SETTINGS)
    pacer.changed(0, topic="orders", behind=CATCHING_UP_RECORDS + 1)
    pacer.taken()
    pacer.ended(10_000, 14_000)
    pacer.changed(14_001, topic="orders", behind=CATCHING_UP_RECORDS + 1, waiting_bytes=BODY_BYTES)
    assert not pacer.due(14_001)
    assert not pacer.overdue(14_001)
    pacer.changed(14_002, topic="orders", behind=CATCHING_UP_RECORDS + 1, waiting_bytes=BODY_BYTES + 1)
    assert pacer.due(14_002)
    assert pacer.overdue(14_002)
    pacer.taken()
    assert not pacer.due(14_003)
