"""The processes of a worker: started again when they ask for it, ended together, never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agents import processes
from agents.processes import Processes, count
from streams.settings import KafkaSettings, Settings

# In short sleeps: a signal that comes just before one is seen after it.
WAITS = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
    "wait = lambda: [time.sleep(0.05) for _ in range(1200)]; "
)
NOTES = "import os, pathlib; pathlib.Path(sys.argv[1], str(os.getpid())).touch(); "
FOR_EVER = f"{WAITS}{NOTES}wait()"


class Rig:
    """Processes of a script that notes its process id in a folder, and a pause that acts between two looks."""

    def __init__(self, folder: Path, script: str, number: int) -> None:
        self.folder = folder
        self.processes = Processes([sys.executable, "-c", script, str(folder)], number, stop_within_s=10)

    @property
    def begun(self) -> list[int]:
        return [int(path.name) for path in self.folder.iterdir()]

    def run(self, until: Callable[[], bool], then: Callable[[], object]) -> int:
        deadline_s = time.monotonic() + 20

        def pause(seconds: float) -> None:
            assert time.monotonic() < deadline_s
            time.sleep(seconds / 10)
            if until():
                then()

        return self.processes.run(pause)


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)


def test_told_to_end_they_all_end_and_the_code_is_0(tmp_path: Path) -> None:
    rig = Rig(tmp_path, FOR_EVER, 3)
    assert rig.run(lambda: len(rig.begun) == 3, rig.processes.tell) == 0
    assert gone(rig.begun)


@pytest.mark.parametrize("end", ["os._exit(75)", "os.kill(os.getpid(), 9)"])
def test_one_that_asks_for_it_or_is_killed_is_started_again_and_the_others_go_on(
    tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "AGAIN_AFTER_S", 0.01)
    first = "pathlib.Path(sys.argv[1], '0').touch(exist_ok=False)"
    script = f"{WAITS}{NOTES}\ntry: {first}\nexcept FileExistsError: wait()\n{end}"
    rig = Rig(tmp_path, script, 2)
    # Two, one of which has ended, the one after it, and the mark of the first.
    assert rig.run(lambda: len(rig.begun) == 4, rig.processes.tell) == 0


@pytest.mark.parametrize("code", [2, 4, 5, 69])
def test_one_that_cannot_run_ends_them_all_with_its_code(tmp_path: Path, code: int) -> None:
    first = "pathlib.Path(sys.argv[1], '0').touch(exist_ok=False)"
    script = f"{WAITS}{NOTES}\ntry: {first}\nexcept FileExistsError: wait()\nsys.exit({code})"
    rig = Rig(tmp_path, script, 2)
    assert rig.run(lambda: False, rig.processes.tell) == code
    assert gone([pid for pid in rig.begun if pid])


def test_one_that_does_not_flush_in_time_is_no_clean_end(tmp_path: Path) -> None:
    script = f"{WAITS}{NOTES}signal.signal(signal.SIGTERM, lambda *_: os._exit(75)); wait()"
    rig = Rig(tmp_path, script, 1)
    assert rig.run(lambda: len(rig.begun) == 1, rig.processes.tell) == 75


def test_the_next_wait_of_one_that_ends_again_and_again_doubles_up_to_a_bound(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "raise SystemExit(75)", 1)
    (process,) = rig.processes._processes
    waits = []
    for _ in range(7):
        process.again_s = None
        rig.processes._again(0, process, 75)
        waits.append(process.wait_s)
    rig.processes.tell()
    rig.run(lambda: False, rig.processes.tell)
    assert waits == [2, 4, 8, 16, 30, 30, 30]


def test_a_process_whose_parent_was_killed_ends_as_when_it_is_told(tmp_path: Path) -> None:
    child = f"{WAITS}{NOTES}from agents.processes import end_with_parent; end_with_parent(); wait()"
    parent = (
        "import sys; from agents.processes import Processes; import time; "
        f"Processes([sys.executable, '-c', {child!r}, {str(tmp_path)!r}], 2, stop_within_s=1); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], cwd=Path(processes.__file__).parents[1]) as popen:
        deadline_s = time.monotonic() + 20
        while len(begun := [int(path.name) for path in tmp_path.iterdir()]) < 2:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        popen.kill()
    while not gone(begun):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_there_is_one_for_each_core_and_never_more_than_partitions() -> None:
    cores = len(os.sched_getaffinity(0))
    assert count(Settings(kafka=KafkaSettings(partitions=256))) == cores
    assert count(Settings(kafka=KafkaSettings(partitions=1))) == 1
    assert count(Settings(kafka=KafkaSettings(partitions=4, worker_processes=3))) == 3
