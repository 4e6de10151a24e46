"""Worker processes for tests: started as users start them, ended by their process id, started again like a service."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from agents.processes import command
from streams.settings import Settings
from tests.kafka_broker import REPOSITORY

RESTARTED: Final = frozenset({69, 75})
"""Exit codes after which a supervisor starts a worker again."""


class WorkerProcess:
    """One worker, started again after a temporary failure as long as `supervise` runs."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        name: str,
        arguments: Sequence[str] = (),
        *,
        module: str = "agents.worker",
    ) -> None:
        self.name = name
        self.exits: list[tuple[float, int]] = []
        """When the supervised process ended (seconds since the epoch) and with which exit code."""
        self.log = folder / f"{name}.log"
        own = folder / name
        own.mkdir(exist_ok=True)
        started = command(settings, own, *arguments)
        self._command = [module if word == "agents.worker" else word for word in started]
        self._process: subprocess.Popen[bytes] | None = None
        self._supervisor: asyncio.Task[None] | None = None

    def start(self) -> Self:
        """Start the process."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=REPOSITORY, stdout=log, stderr=log)
        return self

    def supervise(self) -> Self:
        """Start it, and again whenever it ends by a signal or asks for it by its exit code."""
        self.start()
        self._supervisor = asyncio.create_task(self._supervise())
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """The process id of the current process."""
        assert self._process is not None
        return self._process.pid

    async def ended(self, within_s: float) -> int | None:
        """Return the exit code once the process has ended; None when it still runs after `within_s`."""
        assert self._process is not None
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            code = self._process.poll()
            if code is not None:
                return code
            await asyncio.sleep(0.02)
        return self._process.poll()

    async def said(self, words: str, *, within_s: float) -> None:
        """Wait until the log holds some words."""
        deadline = time.monotonic() + within_s
        while words not in self.log.read_text(encoding="utf-8", errors="replace"):
            assert time.monotonic() < deadline, f"{self.name} did not say {words!r}:\n{self.log.read_text()}"
            await asyncio.sleep(0.05)

    async def stop(self) -> int:
        """End it gently, then by force; return its exit code."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            self._supervisor = None
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        code = await self.ended(15)
        if code is None:
            self.signal(signal.SIGKILL)
            code = await self.ended(5)
        return -signal.SIGKILL if code is None else code

    async def _supervise(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            assert self._process is not None
            code = self._process.poll()
            if code is None:
                continue
            self.exits.append((time.time(), code))
            if code in RESTARTED or code < 0:
                await asyncio.sleep(0.5)
                self.start()
            else:
                return
