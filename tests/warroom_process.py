"""`warroom board`, `worker` or `up` as a process that a test starts, kills and starts again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from tests.kafka_broker import REPOSITORY
from tests.processes import end

START_WITHIN_S: Final = 40.0


class Warroom:
    """One process of the command line: `async with Warroom(config, "board", port=8000)`.

    Args:
        config: the settings file.
        arguments: of the command line.
        port: where its board listens; 0: it has none.
    """

    def __init__(self, config: Path, *arguments: str, port: int = 0) -> None:
        self._config = config
        self._arguments = arguments
        self._log = config.with_name(f"{config.stem}-{arguments[0]}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{port}" if port else ""

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._process is not None:
            await asyncio.to_thread(end, self._process, within_s=15)

    def start(self) -> None:
        """Start it; it is not ready yet."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "warroom.cli", "--config", str(self._config), *self._arguments],
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)

    async def ended(self, *, within_s: float = START_WITHIN_S) -> int:
        """Wait until it has ended by itself, and return its exit code."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, within_s)

    async def ready(self) -> None:
        """Wait until its board is whole."""
        await self.until("/readyz", lambda _: True, within_s=START_WITHIN_S)

    async def until(self, path: str, holds: Callable[[Any], bool], *, within_s: float = 25.0) -> Any:
        """Ask the board until its answer is as it must be, and return it."""
        deadline = time.monotonic() + within_s
        said: Any = None
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < deadline:
                try:
                    async with session.get(f"{self.url}{path}") as answer:
                        is_json = answer.content_type == "application/json"
                        said = await answer.json() if is_json else await answer.text()
                        if answer.status == 200 and holds(said):
                            return said
                except aiohttp.ClientError as error:
                    said = repr(error)
                await asyncio.sleep(0.2)
        raise AssertionError(f"{path} within {within_s:g} s: {said}\n{self.log()}")

    def log(self) -> str:
        """Return the end of what it wrote."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-4_000:]
