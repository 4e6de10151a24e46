"""End a worker that no longer works: a group member that looks healthy and folds nothing must not keep its partitions.

Heartbeats to the group come from a thread of their own, so the broker cannot see that everything behind it stands
still. What counts is progress: no progress although there is something to do means that the process is to be started
anew by whoever supervises it.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ProgressWatch:
    """Decide whether a worker stands still; a pure object, time is passed in."""

    def __init__(self, stall_after_ms: int) -> None:
        self._stall_after_ms = stall_after_ms
        self._progress = -1
        self._since_ms: int | None = None

    def observe(self, now_ms: int, *, progress: int, behind: bool) -> str | None:
        """Take a look at the worker and return what is wrong, None while all is well.

        Args:
            now_ms: monotonic.
            progress: any number that changes when work is done.
            behind: whether there is work.
        """
        if progress != self._progress or not behind or self._since_ms is None:
            self._progress = progress
            self._since_ms = now_ms
            return None
        idle_ms = now_ms - self._since_ms
        if idle_ms < self._stall_after_ms:
            return None
        return f"No record was folded for {idle_ms / 1000:.0f} s although there are some to fold."


class LoopWatch:
    """A thread that ends the process when the event loop does not run: then nothing inside the loop could say so."""

    def __init__(self, stall_after_ms: int, stalled: Callable[[str], None]) -> None:
        self._stall_after_s = stall_after_ms / 1000
        self._stalled = stalled
        self._beat_s = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self.beat()
        self._thread.start()

    def beat(self) -> None:
        """Say that the loop runs."""
        self._beat_s = time.monotonic()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()

    def _run(self) -> None:
        woken_s = time.monotonic()
        while not self._stop.wait(min(1.0, self._stall_after_s / 4)):
            now_s = time.monotonic()
            if now_s - woken_s > self._stall_after_s / 2:
                # The whole process was stopped, this thread too: give the loop its time.
                self._beat_s = now_s
            woken_s = now_s
            silent_s = now_s - self._beat_s
            if silent_s >= self._stall_after_s:
                self._stalled(f"The event loop has not run for {silent_s:.0f} s.")
                return
