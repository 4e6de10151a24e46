"""Days that have left the state: where a day is read from, and how its cells are read back (design, decision 8).

A shop's days fall into two by a boundary: from it on they are read from memory, before it from the history that the
board has written (`agents/archive.py`), and from nowhere else. A day before the boundary without a file is gone, and
a question that reaches it says so. Facts are not divided: the facts topic keeps each of them at any age.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np
import polars as pl

from streams import sketches
from streams.cube_set import ARCHIVE_DAYS
from streams.cubes import CUBE_BY_NAME, CUBES, Cube, Grain
from streams.errors import QueryError
from streams.frames import SLOT

if TYPE_CHECKING:
    from datasketches import hll_sketch
    from numpy.typing import NDArray

    from streams.days import BusinessCalendar

ARCHIVED: Final = tuple(cube for cube in CUBES if cube.keep == "hot_days")
"""The cubes of which a day is kept for good; minutes and product quarter hours are not."""

FIRST_SLOT: Final = 1 << 31
"""Slots from here on number cells of the history; below, those in memory."""

CACHED_BYTES: Final = 256 << 20
"""Of cells read back; a day of the reference shop takes 2 MB in its largest cube, 12 MB with its people."""

CACHED_UNIONS: Final = 1_024

CELLS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "cube": pl.String(),
    "bucket": pl.Int64(),
    "event_type": pl.String(),
    "dims": pl.List(pl.String()),
    "count": pl.Int64(),
    "keyed": pl.Int64(),
    "image": pl.Binary(),
}
"""A day's file: one row per cell, merged over partitions; `image` holds all of its people."""


class DayStore(Protocol):
    """Days that were written down: `agents.archive.DayFolder`."""

    def days(self, shop_id: str) -> frozenset[int]:
        """Return the days (ordinals) of a shop that are whole."""
        ...

    def cells(self, shop_id: str, day: int, cube: Cube, *, people: bool) -> pl.DataFrame:
        """Return a cube's rows of a day as `CELLS_SCHEMA` without `cube`, and without `image` unless asked for.

        Of a day that was written down when the cube lacked a dimension, the dimension is null.

        Raises:
            QueryError: `history_damaged`, or `no_detail_before` when the cube was defined otherwise then.
        """
        ...


class _Day(NamedTuple):
    frame: pl.DataFrame
    images: list[bytes | None] | None

    @property
    def size(self) -> int:
        return int(self.frame.estimated_size()) + sum(len(image or b"") for image in self.images or ())


class Past:
    """The days of all shops before their boundaries.

    Args:
        store: what was written down.
        calendar_of: gives a shop's calendar.
        hot_days: of the settings.
    """

    def __init__(
        self, store: DayStore, calendar_of: Callable[[str], BusinessCalendar], hot_days: int
    ) -> None:
        self.store = store
        self._hot_days = hot_days
        self._calendar_of = calendar_of
        self._boundaries: dict[str, int] = {}
        self._days: OrderedDict[tuple[str, str, int], _Day] = OrderedDict()
        self._cached = 0
        self._bases: list[int] = []
        self._places: list[tuple[str, str, int]] = []
        self._base_of: dict[tuple[str, str, int], int] = {}
        self._next_slot = FIRST_SLOT
        self._unions: OrderedDict[Hashable, tuple[bytes, hll_sketch]] = OrderedDict()

    def boundary(self, shop_id: str) -> int | None:
        """Return the first day that is read from memory; None: all are."""
        return self._boundaries.get(shop_id)

    def set_boundary(self, shop_id: str, day: int) -> None:
        """Read days before `day` from the history from now on; a boundary never falls."""
        self._boundaries[shop_id] = max(day, self._boundaries.get(shop_id, day))

    def gone(self, shop_id: str, since_ms: int) -> list[int]:
        """Return the days from an instant to the boundary of which nothing is kept."""
        boundary = self.boundary(shop_id)
        if boundary is None:
            return []
        kept = self.store.days(shop_id)
        return [
            day for day in range(self._calendar_of(shop_id).day_of(since_ms), boundary) if day not in kept
        ]

    def holds_back(self, name: str, shop_id: str, bucket: int, newest_ms: int) -> bool:
        """Return whether a cell that a partition forgets is still needed: its day is over and not written down yet.

        Args:
            name: of the cube.
            shop_id: whose.
            bucket: of the cell.
            newest_ms: the greatest R of the partition; a cell of a later day was deleted to be counted anew.
        """
        boundary, cube = self.boundary(shop_id), CUBE_BY_NAME[name]
        if boundary is None or cube.keep != "hot_days":
            return False
        kept = self._calendar_of(shop_id).day_of(newest_ms) - self._hot_days - ARCHIVE_DAYS
        first, end = (self._first(shop_id, cube, day) for day in (boundary, max(boundary, kept)))
        return first <= bucket < end

    def with_present(
        self, present: pl.DataFrame, name: str, shop_id: str, from_ms: int | None, to_ms: int | None
    ) -> pl.DataFrame:
        """Return the cells of a cube in a window, at least: those in memory and those read back.

        Raises:
            QueryError: as `DayStore.cells`.
        """
        boundary, cube = self.boundary(shop_id), CUBE_BY_NAME[name]
        if boundary is None or cube.keep != "hot_days":
            return present
        if from_ms is not None and self._calendar_of(shop_id).day_of(from_ms) >= boundary:
            return present
        present = present.filter(pl.col("bucket") >= self._first(shop_id, cube, boundary))
        days = self._reached(shop_id, from_ms, to_ms)
        return pl.concat([*(self._day(shop_id, cube, day, people=False).frame for day in days), present])

    def names(
        self, place: tuple[str, str], value: str, shop_id: str, from_ms: int | None, to_ms: int | None
    ) -> bool:
        """Return whether a cell of a window's days names a value; a day that cannot be read for it names none.

        Args:
            place: name of a cube, and one of its dimensions.
            value: of the dimension.
            shop_id: whose.
            from_ms: begin of the window, None: open.
            to_ms: its end, None: open.
        """
        name, dim = place
        for day in reversed(self._reached(shop_id, from_ms, to_ms)):
            try:
                cells = self._day(shop_id, CUBE_BY_NAME[name], day, people=False).frame
            except QueryError:
                continue
            if (cells.get_column(dim) == value).any():
                return True
        return False

    def _reached(self, shop_id: str, from_ms: int | None, to_ms: int | None) -> list[int]:
        """Return the days before the boundary that were written down and that a window reaches, in order."""
        boundary, calendar = self.boundary(shop_id), self._calendar_of(shop_id)
        if boundary is None:
            return []
        end = boundary if to_ms is None else min(boundary, calendar.day_of(to_ms - 1) + 1)
        first = None if from_ms is None else calendar.day_of(from_ms)
        return [
            day for day in sorted(self.store.days(shop_id)) if (first is None or day >= first) and day < end
        ]

    def images(self, slots: NDArray[np.uint32]) -> Iterator[bytes]:
        """Yield the people of cells that were read back."""
        for slot in slots.tolist():
            number = bisect.bisect_right(self._bases, slot) - 1
            shop_id, name, day = self._places[number]
            images = self._day(shop_id, CUBE_BY_NAME[name], day, people=True).images
            image = None if images is None else images[slot - self._bases[number]]
            if image is not None:
                yield image

    def union(self, label: Hashable, slots: NDArray[np.uint32], lg_k: int) -> hll_sketch:
        """Return everybody in cells that were read back; kept under a label, since the past does not change."""
        slots = np.sort(slots)
        found = self._unions.get(label)
        if found is None or found[0] != slots.tobytes():
            people = sketches.merge((sketches.load(image) for image in self.images(slots)), lg_k)
            found = self._unions[label] = (slots.tobytes(), people)
            if len(self._unions) > CACHED_UNIONS:
                self._unions.popitem(last=False)
        self._unions.move_to_end(label)
        return found[1]

    def _first(self, shop_id: str, cube: Cube, day: int) -> int:
        """Return the first bucket of a day."""
        return day if cube.grain is Grain.DAY else self._calendar_of(shop_id).day_start_ms(day)

    def _day(self, shop_id: str, cube: Cube, day: int, *, people: bool) -> _Day:
        place = (shop_id, cube.name, day)
        known = self._days.get(place)
        if known is None or (people and known.images is None):
            rows = self.store.cells(shop_id, day, cube, people=people)
            images = rows.get_column("image").to_list() if people else None
            if known is not None:
                self._cached -= known.size
            known = self._days[place] = _Day(self._numbered(place, rows, cube), images)
            self._cached += known.size
        self._days.move_to_end(place)
        while self._cached > CACHED_BYTES and len(self._days) > 1:
            _, left = self._days.popitem(last=False)
            self._cached -= left.size
        return known

    def _numbered(self, place: tuple[str, str, int], rows: pl.DataFrame, cube: Cube) -> pl.DataFrame:
        """Return rows with slots, which stay theirs, and dimensions in columns, as `CubeColumns.frame`."""
        base = self._base_of.get(place)
        if base is None:
            base = self._base_of[place] = self._next_slot
            self._bases.append(base)
            self._places.append(place)
            # A day without a cell takes a number, too: two places never begin at one.
            self._next_slot += rows.height + 1
        return rows.select(
            pl.Series(SLOT, np.arange(base, base + rows.height, dtype=np.uint32)),
            "bucket",
            "event_type",
            *(
                pl.col("dims").list.get(index).cast(pl.UInt8() if name == "atom" else pl.String()).alias(name)
                for index, name in enumerate(cube.dims)
            ),
            "count",
            "keyed",
        )


def cells_frame(cube: Cube, cells: pl.DataFrame, images: Sequence[bytes | None]) -> pl.DataFrame:
    """Return the cells of a cube, as `CubeColumns.frame` gives them, as rows of `CELLS_SCHEMA`."""
    dims = pl.concat_list([pl.col(name).cast(pl.String()) for name in cube.dims])
    return cells.select(
        pl.lit(cube.name).alias("cube"),
        "bucket",
        "event_type",
        dims.alias("dims"),
        "count",
        "keyed",
        pl.Series("image", list(images), dtype=pl.Binary()),
    )
