"""Run a worker on several cores: one process of the consumer group for each, started again when it asks for it.

A worker's arithmetic runs under the interpreter lock, so one process uses one core. The processes share nothing: Kafka
gives each its part of the partitions, as it would on several machines.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streams.settings import Settings

logger = logging.getLogger(__name__)

EXIT_TEMPORARY: Final = 75
"""EX_TEMPFAIL, of a process that must be started again."""

LOOK_EVERY_S: Final = 0.2
AGAIN_AFTER_S: Final = 1.0
AGAIN_AT_MOST_S: Final = 30.0
"""A process that ends soon after its start, again and again, is started after 1, 2, 4 ... at most so many seconds."""

LIVED_S: Final = 60.0
"""One that has lived so long is started after the least wait again."""

BESIDE_PARENT: Final = "--beside-parent"


def count(settings: Settings) -> int:
    """Return how many processes a worker has: one for each core, and never more than there are partitions."""
    wanted = settings.kafka.worker_processes or len(os.sched_getaffinity(0))
    return min(wanted, settings.kafka.partitions)


def command(settings: Settings, folder: Path, *arguments: str) -> list[str]:
    """Write the settings into a folder and return the command that starts a worker with them.

    Args:
        settings: of the worker.
        folder: must last as long as a worker may be started by the command.
        arguments: further ones of `python -m agents.worker`.
    """
    path = folder / "settings.json"
    path.write_bytes(msgspec.json.encode(settings))
    return [sys.executable, "-m", "agents.worker", "--settings-json", str(path), *arguments]


@dataclass(slots=True)
class _Process:
    popen: subprocess.Popen[bytes]
    started_s: float
    wait_s: float = AGAIN_AFTER_S
    again_s: float | None = None


class Processes:
    """Processes of one worker.

    Args:
        command: starts one; each gets a standard input that closes when this process is gone, however it ended.
        number: of processes.
        stop_within_s: from being told to end until whoever has not ended is killed.
    """

    def __init__(self, command: Sequence[str], number: int, *, stop_within_s: float) -> None:
        self._command = [*command, BESIDE_PARENT]
        self._stop_within_s = stop_within_s
        self._told = False
        self._processes = [self._start() for _ in range(number)]

    def tell(self) -> None:
        """Tell all of them to end, and start none again."""
        self._told = True
        for process in self._processes:
            if process.popen.poll() is None:
                process.popen.terminate()

    def run(self, pause: Callable[[float], None]) -> int:
        """Look after them until told to end, or until one says that it cannot run; return the exit code.

        Args:
            pause: waits for so many seconds, or less when told.
        """
        while not self._told:
            pause(LOOK_EVERY_S)
            for number, process in enumerate(self._processes):
                code = process.popen.poll()
                if code is None or self._told:
                    continue
                if code >= 0 and code != EXIT_TEMPORARY:
                    # Settings, topics or the broker are not as they must be, for all of them alike.
                    self.tell()
                    self._end()
                    return code
                self._again(number, process, code)
        return self._end()

    def _start(self, wait_s: float = AGAIN_AFTER_S) -> _Process:
        # A session of its own: Ctrl-C comes here alone, and is told to each once.
        popen = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)
        return _Process(popen, time.monotonic(), wait_s)

    def _again(self, number: int, process: _Process, code: int) -> None:
        now_s = time.monotonic()
        if process.again_s is None:
            lived = now_s - process.started_s > LIVED_S
            wait_s = AGAIN_AFTER_S if lived else process.wait_s
            process.again_s, process.wait_s = now_s + wait_s, min(2 * wait_s, AGAIN_AT_MOST_S)
            logger.warning("A process ended with code %d, another one starts in %.0f s.", code, wait_s)
        elif now_s >= process.again_s:
            _let_go(process)
            self._processes[number] = self._start(process.wait_s)

    def _end(self) -> int:
        """Wait until all have ended, by force at last; return 0 when each has flushed everything."""
        deadline_s = time.monotonic() + self._stop_within_s
        codes = []
        for process in self._processes:
            try:
                codes.append(process.popen.wait(max(0.1, deadline_s - time.monotonic())))
            except subprocess.TimeoutExpired:
                process.popen.kill()
                codes.append(process.popen.wait())
            _let_go(process)
        return 0 if not any(codes) else EXIT_TEMPORARY


def _let_go(process: _Process) -> None:
    if process.popen.stdin is not None:
        process.popen.stdin.close()


def run(settings: Settings, number: int, arguments: Sequence[str] = ()) -> int:
    """Run a worker in so many processes until SIGTERM or Ctrl-C; return its exit code.

    Args:
        settings: of each process.
        number: of processes.
        arguments: further ones of `python -m agents.worker`.
    """
    told, tell = os.pipe()
    with tempfile.TemporaryDirectory(prefix="warroom-") as folder, selectors.DefaultSelector() as selector:
        level = logging.getLevelName(logging.getLogger().getEffectiveLevel())
        start = command(settings, Path(folder), f"--log-level={level}", *arguments)
        processes = Processes(start, number, stop_within_s=settings.kafka.shutdown_ms / 1000)
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: os.write(tell, b"."))
        selector.register(told, selectors.EVENT_READ)

        def pause(seconds: float) -> None:
            if selector.select(seconds):
                os.read(told, 1)
                processes.tell()

        return processes.run(pause)


def end_with_parent() -> None:
    """Behave as after SIGTERM when the parent is gone: an orphan would keep its partitions and nobody would know."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
