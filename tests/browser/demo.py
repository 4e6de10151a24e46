"""`warroom demo` as a newcomer starts it: a process of its own, known by what it prints."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import psutil
import pytest

from replay.direct import load_columns
from replay.recording import Recording
from streams.settings import Settings
from warroom.asking import ask_recording

OPENS_WITHIN_S: Final = 90.0
ENDS_WITHIN_S: Final = 15.0
ANSWERS_WITHIN_S: Final = 60.0


_GUARD: Final = (setpriv, "--pdeathsig", "TERM") if (setpriv := shutil.which("setpriv")) else ()
"""A test run that is itself killed must leave nothing behind: told to end, the demo ends what it started."""


class Demo:
    """A running demo.

    Attributes:
        url: what it printed on standard output.
        opened_s: seconds from its start to that line.
        log: its standard error.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.log = log
        self.url = ""
        self.opened_s = 0.0
        self._process = process
        self._began_s = time.monotonic()
        self._children: list[psutil.Process] = []

    @property
    def age_s(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._began_s

    async def opened(self) -> None:
        """Wait for the address."""
        assert self._process.stdout is not None
        with contextlib.suppress(TimeoutError):
            line = await asyncio.wait_for(self._process.stdout.readline(), OPENS_WITHIN_S)
            self.url, self.opened_s = line.decode().strip(), self.age_s
        if not self.url.startswith("http://127.0.0.1:"):
            pytest.fail(f"no address after {self.age_s:.0f} s, but {self.url!r}\n{self.said()}")

    def said(self) -> str:
        """Return its standard error so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    async def says(self, words: str, *, within_s: float) -> None:
        """Wait until it has said something on standard error."""
        deadline = time.monotonic() + within_s
        while words not in self.said():
            if time.monotonic() > deadline:
                pytest.fail(f"it does not say {words!r}, but:\n{self.said()}")
            await asyncio.sleep(0.2)

    @property
    def children(self) -> list[str]:
        """Return the command lines of the processes that it has started."""
        return [" ".join(child.cmdline()) for child in self._family()]

    async def end(self, number: signal.Signals) -> tuple[int, float, list[int]]:
        """Send a signal; return exit code, seconds until it ended, and the ids of processes that it left behind."""
        self._children = self._family()
        begun = time.monotonic()
        self._process.send_signal(number)
        try:
            code = await asyncio.wait_for(self._process.wait(), ENDS_WITHIN_S)
        except TimeoutError:
            pytest.fail(f"it runs {ENDS_WITHIN_S:.0f} s after {number.name}\n{self.said()}")
        taken_s = time.monotonic() - begun
        return code, taken_s, [child.pid for child in self._children if child.is_running()]

    async def kill(self) -> None:
        """End it and what it started by force; nothing to do when it has ended well."""
        if self._process.returncode is None:
            self._children = self._family()
            self._process.kill()
            await self._process.wait()
        for child in self._children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()

    def _family(self) -> list[psutil.Process]:
        return psutil.Process(self._process.pid).children(recursive=True)


@contextlib.asynccontextmanager
async def demo(log: Path, *options: str) -> AsyncIterator[Demo]:
    """Run `warroom demo` on a free port until the block ends; await `opened` before anything is asked of its page."""
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *_GUARD, sys.executable, "-m", "warroom.cli", "demo", "--port", "0", *options,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    running = Demo(process, log)
    try:
        yield running
    finally:
        await running.kill()


async def query(recording: Path, at_ms: int, metrics: str) -> dict[str, Any]:
    """Return what `warroom query --recording` answers about today, as known at an instant."""
    command = ["query", "--recording", str(recording), "--at", str(at_ms), "--metrics", metrics]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "warroom.cli", *command, "--window", "today", "--format", "json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(ANSWERS_WITHIN_S):
        said, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()
    answer: dict[str, Any] = json.loads(said)
    return answer


def further(
    recording: Path, at_ms: int, questions: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, Any]]:
    """Return the answers of `warroom query` to more questions about the same day, which is folded once for all."""
    columns = load_columns(Recording.open(recording), Settings(), until_ms=at_ms)
    with patch("warroom.asking.load_columns", return_value=columns):
        return {
            name: json.loads(
                ask_recording(recording, Settings(), {"window": "today", "at": at_ms, **words}, "json")
            )
            for name, words in questions.items()
        }
