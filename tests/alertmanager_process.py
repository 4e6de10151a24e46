"""A real Alertmanager for tests: Debian's binary on a free loopback port, killed and started again on the same data."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final, Self

import pytest

from dashboards.alertmanager.generate import Pace, config, templates
from streams.rule import Owner
from tests.processes import end, free_port, says_ready
from tests.receivers import PagerDuty, Slack

PROGRAM: Final = "prometheus-alertmanager"
START_WITHIN_S: Final = 20.0

QUICK: Final = {
    "page": Pace("1s", "1s", "4h"),
    "channel": Pace("1s", "1s", "24h"),
    "digest": Pace("1s", "1s", "24h"),
}
"""The shipped configuration at a test's pace."""


class Alertmanager:
    """The shipped configuration, with receivers and pace of a test: `async with Alertmanager(folder, ...)`."""

    def __init__(
        self, folder: Path, slack: Slack, pagerduty: PagerDuty, *, paces: dict[str, Pace] = QUICK
    ) -> None:
        self._folder = folder / "alertmanager"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        secrets = self._folder / "secrets"
        secrets.mkdir(parents=True)
        for owner in Owner:
            (secrets / f"slack-url-{owner.value}").write_text(slack.url + "\n", encoding="utf-8")
            (secrets / f"pagerduty-key-{owner.value}").write_text(f"key-{owner.value}\n", encoding="utf-8")
        document = config(secrets=str(secrets), pagerduty_url=pagerduty.url, paces=paces)
        (self._folder / "alertmanager.yml").write_text(json.dumps(document), encoding="utf-8")
        (self._folder / "warroom.tmpl").write_text(templates(), encoding="utf-8")

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._process is not None:
            await asyncio.to_thread(end, self._process)

    async def start(self) -> None:
        """Start it, also again after `kill`, and wait until it answers."""
        self._spawn()
        deadline = time.monotonic() + START_WITHIN_S
        while not await asyncio.to_thread(says_ready, f"{self.url}/-/ready"):
            assert time.monotonic() < deadline, self.log()
            await asyncio.sleep(0.05)

    def _spawn(self) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            pytest.fail(f"{PROGRAM} is missing; run: make tools")
        # A test run that is itself killed must leave nothing behind.
        guard = [setpriv, "--pdeathsig", "KILL"] if (setpriv := shutil.which("setpriv")) else []
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *guard,
                    program,
                    f"--config.file={self._folder / 'alertmanager.yml'}",
                    f"--storage.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--cluster.listen-address=",
                    "--data.maintenance-interval=1s",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def kill(self) -> None:
        """End it with SIGKILL; its data stays."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)

    def forget(self) -> None:
        """Lose what it wrote down of whom it told; it must not run."""
        shutil.rmtree(self._folder / "data")

    def log(self) -> str:
        """Return what it wrote."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")[-4_000:]
