"""A board that only delivers, as a process that a test can kill: `python -m tests.delivering SETTINGS ALERTS`.

Both arguments are files: settings of a process as JSON, and alerts as JSON, one a line, read again at every look. It
serves as `warroom board` does, lease and outbox included, and prints a line when it holds the lease.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from agents import lease
from streams.alerts import Alert, decode_alert
from streams.columns import Columns
from streams.goals import GoalProgress
from streams.settings_check import checked_settings
from streams.stock import SkuStock
from warroom.running import serving

T = TypeVar("T")

LEASE_MS = 3_000
"""A test does not wait a quarter of a minute for a lease to end."""


class FileBoard:
    """A board whose alerts are a file."""

    replay_id = ""
    badge = ""

    def __init__(self, settings_file: Path, alerts_file: Path) -> None:
        document = json.loads(settings_file.read_text())
        self.settings = checked_settings(document, place=str(settings_file))
        self.columns = Columns(self.settings)
        self._alerts_file = alerts_file

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def ready(self) -> str | None:
        return None

    def alerts(self) -> Sequence[Alert]:
        return [decode_alert(line) for line in self._alerts_file.read_bytes().splitlines()]

    async def in_turn(self, work: Callable[[], T]) -> T:
        return work()

    async def changed(self, since: int) -> int:
        await asyncio.Event().wait()
        return since


class Nowhere:
    """Nothing is evaluated: there is no shop."""

    async def publish_projections(self, rows: Sequence[SkuStock]) -> None: ...

    async def publish_progress(self, rows: Sequence[GoalProgress]) -> None: ...

    async def publish_alerts(self, alerts: Sequence[Alert]) -> None: ...


async def main() -> None:
    lease.TTL_MS, lease.RENEW_S = LEASE_MS, LEASE_MS / 3000  # type: ignore[misc]  # shortened for a test's patience
    board = FileBoard(Path(sys.argv[1]), Path(sys.argv[2]))
    async with serving(board, Nowhere()):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
