"""A board without a broker: the direct engine behind the same page, for `warroom replay --to direct` and the demo."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from replay.clock import Pace
from replay.cursor import Cursor
from replay.engine import Engine
from streams.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replay.recording import Recording
    from streams.alerts import Alert
    from streams.goals import GoalProgress
    from streams.settings import Settings
    from streams.stock import SkuStock

_CHUNK: Final = 20_000
"""Lines folded at once: the page stays responsive between two chunks."""

_TICK_S: Final = 0.25

T = TypeVar("T")


class DirectBoard:
    """Implements `streams.board.Board` over a recording, and keeps what is evaluated about it in memory.

    Args:
        recording: lines in the order of R; its settings are widened to keep all of it.
        settings: with the replay's id.
        badge: shown wherever numbers are shown, such as "synthetic".
        wall_s: a monotonic clock in seconds.
    """

    def __init__(
        self,
        recording: Recording,
        settings: Settings,
        *,
        badge: str = "",
        wall_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings.with_shops(recording.shops)
        self.columns = Columns(self.settings)
        self.columns.named = tuple(recording.shops)
        self.replay_id = settings.replay_id
        self.badge = badge
        self._recording = recording
        self._engine = Engine(recording, settings)
        self._wall_s = wall_s
        self._now_ms = 0
        self._alerts: dict[str, Alert] = {}
        self._news = asyncio.Event()
        self._turns = ThreadPoolExecutor(1, thread_name_prefix="columns")

    def now_ms(self) -> int:
        """Return the recorded time that has been reached."""
        return self._now_ms

    def ready(self) -> str | None:
        """Return None once the first records are folded."""
        return None if self._now_ms else "loading: the recording is being opened"

    def alerts(self) -> Sequence[Alert]:
        """Return alerts, newest first."""
        return sorted(self._alerts.values(), key=lambda alert: alert.updated_at_ms, reverse=True)

    def lag(self) -> int:
        """Return 0: nothing waits between the recording and its fold."""
        return 0

    async def changed(self, since: int) -> int:
        """Wait until the columns are newer than `since`, and return their version."""
        while self.columns.version <= since:
            self._news.clear()
            await self._news.wait()
        return self.columns.version

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Do a piece of work with the columns, one at a time and beside the loop: see `streams.board.Board`."""
        return await asyncio.get_running_loop().run_in_executor(self._turns, work)

    async def publish_projections(self, rows: Sequence[SkuStock]) -> None:
        """Take projections; a page reads its own from the columns, and there is no topic to keep these on."""

    async def publish_progress(self, rows: Sequence[GoalProgress]) -> None:
        """Take goal progress, likewise."""

    async def publish_alerts(self, alerts: Sequence[Alert]) -> None:
        """Keep the newest version of each alert."""
        self._alerts = self._alerts | {alert.alert_id: alert for alert in alerts}

    async def play(
        self,
        *,
        speed: float | None,
        fast_until_ms: int | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Fold the recording at a speed and return how many lines were read.

        Args:
            speed: recorded seconds per second; None is as fast as it goes.
            fast_until_ms: records with R <= this go as fast as possible, the rest at `speed`.
            from_ms: leaves out records with an R before it.
            to_ms: leaves out records with an R after it.
            progress: called with the number of lines since the last call.

        Raises:
            RecordingError: the recording cannot be read.
        """
        lines = self._recording.lines(from_ms=from_ms, to_ms=to_ms)
        cursor = await asyncio.to_thread(Cursor, lines)
        read = 0
        if fast_until_ms is not None:
            read += await self._run(cursor, Pace(0, None, self._wall_s), fast_until_ms, progress)
        if cursor.next_ms is not None:
            begin_ms = cursor.next_ms if fast_until_ms is None else fast_until_ms
            read += await self._run(cursor, Pace(begin_ms, speed, self._wall_s), math.inf, progress)
        return read

    async def _run(
        self, cursor: Cursor, pace: Pace, until_ms: float, progress: Callable[[int], None] | None
    ) -> int:
        read = 0
        while cursor.next_ms is not None and cursor.next_ms <= until_ms:
            due_ms = min(pace.now_ms(), until_ms)
            chunk = await asyncio.to_thread(cursor.take, due_ms, _CHUNK)
            if chunk:
                await asyncio.to_thread(self._engine.fold, chunk)
                for flush in self._engine.flushes():
                    await self.in_turn(partial(self.columns.apply, flush))
            read += len(chunk)
            await self._tell(cursor.reached_ms(due_ms))
            if progress is not None:
                progress(len(chunk))
            if len(chunk) < _CHUNK:
                await asyncio.sleep(_TICK_S)
        return read

    async def _tell(self, now_ms: int) -> None:
        """Set the time; what is not later is whole, for every topic."""
        self._now_ms = max(self._now_ms, now_ms)
        await self.in_turn(partial(self.columns.vouch, self._now_ms))
        self._news.set()
