"""`warroom demo`: a campaign day on this machine, with nothing to install and nothing to set.

The generated day: yesterday and the reference day come as history from the direct engine, today until `start` goes
through Kafka at top speed, the rest at `speed`. A judge folds the same records beside it and says on the page whether
anything was lost or counted twice. A crash starts the demo over: the embedded broker keeps nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import math
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from agents.board import KafkaBoard
from agents.outputs import Outputs
from replay.demo_days import Day, generated_day, real_day
from replay.direct import direct_flushes
from replay.direct_board import DirectBoard
from replay.embedded_broker import binary, embedded_broker
from replay.judge import Judge
from replay.player import play
from streams.columns import Columns
from streams.errors import SettingsError
from streams.settings import Settings
from warroom.asking import recorded
from warroom.replaying import badge_of, folded, kafka_world, player_world, speed_of, world_of
from warroom.running import first_of, serving, stop_event, stopped

HISTORY_PARTITION = 1_000
"""State partitions of history, away from those of the broker's topics."""

BEHIND_AT_MOST_S = 3.0
"""Of the wall's time, from the player's clock to what the board is complete up to: above what two flushes take."""

BEYOND_A_LOOK_MS = 20 * 60_000
"""Of the day's time, from the player's clock to what a person last saw: less than the feed of the day is lost for."""

BEYOND_A_LOOK_S = 2.0
"""Of the wall's time, where that is more of the day: above 600 times a person sees what lasts for seconds, no more."""

LOOKING_S = 5.0
"""A screen that asked nothing for so long is closed or asleep, and holds up no day."""

JUDGE_EVERY_S = 5.0
BAR_EVERY_S = 0.2
REPLAY_ID = "demo"

T = TypeVar("T")


def run(settings: Settings, *, port: int, speed: str, **options: Any) -> int:
    """Play the day until it is over (or for ever with `stay`), Ctrl-C or SIGTERM; return the exit code.

    Raises:
        SettingsError: speed or start cannot be read.
        RecordingError: the folder `scratch` holds recordings already, or that of `against` cannot be read.
        UnavailableError: the port is taken, or the worker ended.
    """
    factor = speed_of(speed)
    with tempfile.TemporaryDirectory(prefix="warroom-demo-") as temporary:
        board = dataclasses.replace(settings.board, port=port, data_dir=str(Path(temporary) / "data"))
        base = dataclasses.replace(settings, board=board, shops={})
        options["scratch"] = options["scratch"] or Path(temporary)
        return asyncio.run(_demo(base, factor, **options))


async def _demo(
    base: Settings,
    speed: float | None,
    *,
    which: str,
    start: str,
    seed: int,
    scratch: Path,
    stay: bool,
    against: Path | None,
) -> int:
    told = stop_event()
    beside = await asyncio.to_thread(recorded, against, base)
    click.echo("Preparing the day ...", err=True)
    try:
        prepare = real_day if which == "real" else partial(generated_day, scratch, seed, start)
        day = await asyncio.to_thread(prepare)
    except ValueError as error:
        what = f"--start: {error}."
        raise SettingsError(what, mend="Write 20:30.") from error
    if told.is_set():
        return 0
    settings = world_of(day.today, base, REPLAY_ID, speed)
    if binary() is None:
        click.echo("The embedded broker is not installed: the direct engine plays the day.", err=True)
        return await first_of(stopped(told), _without_broker(day, settings, speed, beside, stay=stay))
    with embedded_broker() as address:
        kafka = dataclasses.replace(settings.kafka, bootstrap=address, transactions=False)
        settings = dataclasses.replace(settings, kafka=kafka)
        async with kafka_world(settings, badge=badge_of(day.today)) as world:
            board, outputs, worker = world
            board.columns.beside = beside
            playing = _played(day, settings, speed, board, outputs, stay=stay)
            code = await first_of(stopped(told), playing, worker.wait())
            if worker.returncode is not None and not told.is_set():
                click.echo(f"The worker ended with code {worker.returncode}: start the demo again.", err=True)
            return code


async def _played(
    day: Day, settings: Settings, speed: float | None, board: KafkaBoard, outputs: Outputs, *, stay: bool
) -> int:
    """Play; when everything until the screen opens is folded, serve it and judge it."""
    clock, world = FollowedClock(board, day.open_ms, speed), player_world(settings)
    begun = partial(play, day.today, settings, world, from_ms=day.from_ms, fast_until_ms=day.open_ms)
    playing = begun(speed=speed, keep=True, wall_s=clock)
    judge = Judge(day.today, settings, from_ms=day.from_ms)
    async with _beside(playing) as played:
        # Served earlier, the screen would show a day of zeros, and page for what is over.
        await first_of(_fails(played), _opened(day, board))
        async with serving(board, outputs, looked=clock.looked) as url, _beside(_judge(board, judge)):
            click.echo(url)
            clock.runs = True
            await folded(board, (await played).clock_ms)
            await _over(stay=stay)
    return 0


async def _opened(day: Day, board: KafkaBoard) -> int:
    """Wait until history is loaded and today folded up to where the screen opens."""
    with await asyncio.to_thread(_bar, day) as bar:
        async with _beside(_follow(board, bar.update)):
            await _load_history(board, day)
            await folded(board, day.open_ms)
    return 0


async def _fails(work: asyncio.Task[Any]) -> int:
    """Raise what a task raises; a task that ends well is waited for without end."""
    await asyncio.shield(work)
    await asyncio.Event().wait()
    return 0


async def _without_broker(
    day: Day, settings: Settings, speed: float | None, beside: Mapping[str, Columns], *, stay: bool
) -> int:
    board = DirectBoard(day.today, settings, badge=badge_of(day.today))
    board.columns.beside = beside
    await _load_history(board, day)
    with await asyncio.to_thread(_bar, day) as bar:
        await board.play(speed=None, from_ms=day.from_ms, to_ms=day.open_ms, progress=bar.update)
    async with serving(board, board) as url:
        click.echo(url)
        await board.play(speed=speed, from_ms=day.open_ms + 1)
        await _over(stay=stay)
    return 0


async def _over(*, stay: bool) -> None:
    click.echo("The day is over. Ctrl-C ends the demo." if stay else "The day is over.", err=True)
    if stay:
        await asyncio.Event().wait()


async def _load_history(board: KafkaBoard | DirectBoard, day: Day) -> None:
    until_ms = None if day.from_ms is None else day.from_ms - 1
    for partition, recording in enumerate(day.history, HISTORY_PARTITION):
        flushes = direct_flushes(recording, board.settings, until_ms=until_ms, first_partition=partition)
        for flush in await asyncio.to_thread(list, flushes):
            await board.in_turn(partial(board.columns.apply, flush, history=True))


class FollowedClock:
    """A clock for the player that stands until it `runs` and while board or screen are behind.

    So slow machines play slower, and nobody misses what happened between two looks.

    Args:
        board: what has to follow; `looked` is to be told of each look at its screen.
        open_ms: of the day, where the player stands when it begins to run.
        speed: of the day's time to the wall's; None: as fast as possible.
        monotonic_s: the wall's clock.
    """

    def __init__(
        self,
        board: KafkaBoard,
        open_ms: int,
        speed: float | None,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.runs = False
        self._open_ms = open_ms
        self._monotonic_s = monotonic_s
        self._board = board
        self._a_second_ms = 1000 * max(1.0, speed or 1.0)
        self._looked_s = -math.inf
        self._looked_ms = 0
        self._seen_s = monotonic_s()
        self._passed_s = 0.0

    def looked(self, vouched_ms: int) -> None:
        """Take note of what somebody sees: the day up to `vouched_ms`."""
        self._looked_s, self._looked_ms = self._monotonic_s(), vouched_ms

    def __call__(self) -> float:
        """Return the seconds that have passed for the player."""
        now_s = self._monotonic_s()
        if self.runs:
            # The step too is bounded by what is left: after a stall, one step could leap over all that lies between.
            self._passed_s += max(0.0, min(now_s - self._seen_s, self._left_ms(now_s) / self._a_second_ms))
        self._seen_s = now_s
        return self._passed_s

    def _left_ms(self, now_s: float) -> float:
        """Return how much of the day may pass before the board, and whoever looks at it, must have followed."""
        until_ms = self._board.columns.vouched_ms + BEHIND_AT_MOST_S * self._a_second_ms
        if now_s - self._looked_s < LOOKING_S:
            beyond_ms = max(BEYOND_A_LOOK_MS, BEYOND_A_LOOK_S * self._a_second_ms)
            until_ms = min(until_ms, self._looked_ms + beyond_ms)
        # Not by the board's clock, which says what the player told it last, seconds ago where a machine is slow.
        return until_ms - (self._open_ms + self._passed_s * self._a_second_ms)


def _bar(day: Day) -> Any:
    """Return the progress bar of the records until the screen opens."""
    total = sum(1 for _ in day.today.lines(from_ms=day.from_ms, to_ms=day.open_ms))
    timezone = ZoneInfo(next(iter(day.today.shops.values())).timezone)
    label = f"The day until {dt.datetime.fromtimestamp(day.open_ms / 1000, timezone):%H:%M}"
    return click.progressbar(length=total, label=label, file=sys.stderr, show_pos=True)


async def _follow(board: KafkaBoard, update: Callable[[int], None]) -> None:
    """Move the bar by what is folded, not by what is merely sent."""
    seen = 0
    while True:
        outcomes = await board.in_turn(board.columns.outcomes)
        folded_by_now = sum(sum(counts.values()) for counts in outcomes.values())
        update(folded_by_now - seen)
        seen = folded_by_now
        await asyncio.sleep(BAR_EVERY_S)


async def _judge(board: KafkaBoard, judge: Judge) -> None:
    """Keep the board's verdict fresh; the comparison folds every record again, in a thread."""
    while True:
        positions = await board.in_turn(board.columns.positions)
        live = [place for place in positions if place[0] < HISTORY_PARTITION]
        board.verdict = await asyncio.to_thread(judge.compare, live)
        await asyncio.sleep(JUDGE_EVERY_S)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Let a piece of work run for as long as the block does."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
