"""Write days down before they leave the state, oldest first, and read them from there from then on.

A day of a shop is closed when no traffic can come to it any more: the shop-day of now lies further behind it than
`fold.hot_days`, and nobody still has records to fold that would reach it. Workers keep its cells for a day longer.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

import polars as pl

from streams import sketches, theta
from streams.cube_set import ARCHIVE_DAYS
from streams.cubes import TRAFFIC
from streams.days import EARLIEST_MS, day_label
from streams.history import ARCHIVED, CELLS_SCHEMA, cells_frame
from streams.topics import TOPIC_OF_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agents.archive import DayFolder
    from streams.columns import Columns
    from streams.cubes import Cube

logger = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_EVERY_S: Final = 10.0
WAIT_DAYS: Final = 2
"""So long after a day has closed a board that may not write waits for another one's file; then it writes its own, or
its memory would grow for as long as the two share no folder."""


_Part = tuple["Cube", pl.DataFrame, list[list[bytes]]]
"""A cube with its cells of a day and the images of the people of each, from every partition."""


class _ClosedDay(NamedTuple):
    """What is to be written down of a day; `cubes` are those that are whole, with their definitions."""

    day: int
    parts: list[_Part]
    cubes: dict[str, str]


class InTurn(Protocol):
    """Gives a piece of work with the columns its turn: `streams.board.Board.in_turn`."""

    async def __call__(self, work: Callable[[], T]) -> T:
        """Return what the work returns, or raise what it raises."""
        ...


class Archiver:
    """Moves the boundary between memory and history of one board.

    Args:
        columns: of the board.
        folder: where days are written down.
        now_ms: the board's now.
        in_turn: of the board, in which the columns are read and changed.
    """

    def __init__(
        self, columns: Columns, folder: DayFolder, now_ms: Callable[[], int], in_turn: InTurn
    ) -> None:
        self._columns = columns
        self._folder = folder
        self._now_ms = now_ms
        self._in_turn = in_turn
        self._hot_days = columns.settings.fold.hot_days
        self.trouble: str | None = None
        """Why a day cannot be written down; None while it can."""

    def begin(self) -> None:
        """Set each shop's boundary: behind what is written down, and behind what the state has forgotten.

        Call it in turn, when the board holds everything up to its start: from then on it keeps what the state forgets.
        """
        newest_ms: dict[int, int] = {}
        for partition, position in self._columns.positions():
            newest_ms[partition] = max(position.last_timestamp_ms, newest_ms.get(partition, 0))
        for shop_id in self._columns.settings.shops:
            self._folder.look(shop_id)
            day_of = self._columns.calendar(shop_id).day_of
            forgotten = [day_of(at) - self._hot_days - ARCHIVE_DAYS for at in newest_ms.values() if at]
            written = [day + 1 for day in self._folder.whole_days(shop_id)]
            # Nothing is counted that claims to be older.
            self._columns.set_day_boundary(shop_id, max([day_of(EARLIEST_MS), *written, *forgotten]))

    async def run(self, may: Callable[[], bool]) -> None:
        """Write days down as they close, until cancelled."""
        while True:
            for shop_id in self._columns.settings.shops:
                try:
                    while await self.advance(shop_id, may=may()):
                        pass
                    self.trouble = None
                except OSError as error:
                    self.trouble = f"days of {shop_id} cannot be written down: {error}"
                    logger.error("The %s", self.trouble)
            await asyncio.sleep(LOOK_EVERY_S)

    async def advance(self, shop_id: str, *, may: bool) -> bool:
        """Move a shop's boundary by a day, if the day is closed and written down; return whether it moved."""
        found = await self._in_turn(partial(self._step, shop_id, may=may))
        if isinstance(found, bool):
            return found
        await asyncio.to_thread(self._write, shop_id, found)
        await self._in_turn(partial(self._columns.set_day_boundary, shop_id, found.day + 1))
        return True

    def _step(self, shop_id: str, *, may: bool) -> bool | _ClosedDay:
        """Move the boundary and return whether it moved; or return a day that is to be written down before it may."""
        columns = self._columns
        day = columns.day_boundary(shop_id)
        if day is None or not self._is_closed(shop_id, day):
            return False
        since_ms = self._since_ms(shop_id)
        if since_ms is None or columns.calendar(shop_id).day_of(since_ms) > day:
            # Nothing was there yet: no file for each day since the year 1.
            today = columns.calendar(shop_id).day_of(self._now_ms())
            first = today - self._hot_days if since_ms is None else columns.calendar(shop_id).day_of(since_ms)
            columns.set_day_boundary(shop_id, max(day, min(first, today - self._hot_days)))
            return columns.day_boundary(shop_id) != day
        if day not in self._folder.whole_days(shop_id):
            self._folder.look(shop_id)
        if day not in self._folder.whole_days(shop_id):
            if not (may or self._is_closed(shop_id, day + WAIT_DAYS)):
                return False
            whole = [cube for cube in ARCHIVED if columns.cube_since_ms(cube.name) is None]
            if len(whole) < len(ARCHIVED) and not self._is_closed(shop_id, day + ARCHIVE_DAYS):
                # Its cells are kept for so long: what is being rebuilt may be whole by then.
                return False
            parts = [(cube, *columns.day_cells(cube.name, shop_id, day)) for cube in ARCHIVED]
            return _ClosedDay(day, parts, {cube.name: cube.definition for cube in whole})
        columns.set_day_boundary(shop_id, day + 1)
        return True

    def _write(self, shop_id: str, closed: _ClosedDay) -> None:
        cells = _merged(closed.parts)
        own = cells.filter(pl.col("cube") == "shop_quarter").group_by("event_type").agg(pl.col("count").sum())
        events = dict(own.sort("event_type").iter_rows())
        self._folder.write(shop_id, closed.day, cells, closed.cubes, events)
        logger.info("Wrote down %s of %s: %d cells.", day_label(closed.day), shop_id, cells.height)

    def _is_closed(self, shop_id: str, day: int) -> bool:
        columns = self._columns
        day_of = columns.calendar(shop_id).day_of
        if day_of(self._now_ms()) <= day + self._hot_days:
            return False
        lagging = columns.lagging()
        positions = {(partition, position.topic): position for partition, position in columns.positions()}
        return all(
            place in positions and day_of(positions[place].last_timestamp_ms) > day + self._hot_days
            for place in lagging
        )

    def _since_ms(self, shop_id: str) -> int | None:
        topics = {TOPIC_OF_TYPE[event_type] for event_type in TRAFFIC}
        since = [self._columns.source_since_ms(shop_id, topic) for topic in topics]
        return min((at for at in since if at is not None), default=None)


def _merged(parts: Sequence[_Part]) -> pl.DataFrame:
    """Return the rows of a day, the people of each cell united over partitions."""
    frames = [
        cells_frame(cube, cells, [_united(cube, one) for one in images]) for cube, cells, images in parts
    ]
    return pl.concat(frames) if frames else pl.DataFrame(schema=CELLS_SCHEMA)


def _united(cube: Cube, images: list[bytes]) -> bytes | None:
    if not images or cube.lg_k is None:
        return None
    if len(images) == 1:
        return images[0]
    if cube.sketch == "theta":
        return theta.unite(cube.lg_k, images)
    return sketches.dump(sketches.merge(map(sketches.load, images), cube.lg_k))
