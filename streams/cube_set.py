"""All cubes of one partition: find each event's buckets of time, feed the cells, forget what is no longer kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from streams.coding import UNKNOWN, CodedTraffic, Codes, Coding, Mask
from streams.cube_cells import CubeCells, Scope, scope_of
from streams.cubes import GRAIN_MS, TRAFFIC, Cube, Grain
from streams.days import DAY_MS, EARLIEST_MS, HOUR_MS, QUARTER_MS
from streams.errors import StateError
from streams.settings import FoldSettings
from streams.spill import MemoryFile, SpillFiles
from streams.state import PeopleRow, RowKey, StateRow
from streams.theta_cells import ThetaCells
from streams.validation import Admission

_SHOP_SHIFT: Final = 40
_TYPE_SHIFT: Final = 36
"""A scope's parts are packed into one integer to find the distinct ones of a batch: shop, type, number of bucket."""

ARCHIVE_DAYS: Final = 1
"""A day to which nothing can come any more (`too_late`) is kept for so long: the board writes it down meanwhile."""

_NAMES_GROWTH: Final = 2
_NAMES_FREE: Final = 200_000
"""Names are coded anew when there are so many more of them than after the last time: those of cells long forgotten
would otherwise fill the memory of a worker that runs for months. It takes about 2 microseconds a cell."""

_BUCKET_MASK: Final = (1 << _TYPE_SHIFT) - 1
_TYPE_MASK: Final = (1 << (_SHOP_SHIFT - _TYPE_SHIFT)) - 1


class CubeSet:
    """The cubes of one partition.

    Args:
        cubes: what traffic is added up by.
        coding: the partition's codes.
        admission: gives their calendars.
        settings: how long rows are kept.
        spill: makes the files of people who rest.
    """

    def __init__(
        self,
        cubes: Sequence[Cube],
        coding: Coding,
        admission: Admission,
        settings: FoldSettings,
        spill: SpillFiles = MemoryFile,
    ) -> None:
        self._cells: list[CubeCells | ThetaCells] = [
            ThetaCells(cube) if cube.sketch == "theta" else CubeCells(cube, spill) for cube in cubes
        ]
        self._grains = sorted({cube.grain for cube in cubes})
        self._coding = coding
        self._admission = admission
        self._settings = settings
        self._idle: set[str] = set()
        self._newest_ms = 0
        self._coded_names = 0
        self._cutoffs: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        """Return the number of cells of all cubes."""
        return sum(len(cells) for cells in self._cells)

    def add(self, traffic: CodedTraffic, taken: Mask) -> None:
        """Count the taken events: of shops with settings, none of them a repeat."""
        rows = None if taken.all() else np.flatnonzero(taken)
        scopes = {grain: self._scopes(traffic, rows, grain) for grain in self._grains}
        for cells in self._cells:
            if cells.cube.name in self._idle:
                continue
            distinct, inverse = scopes[cells.cube.grain]
            codes = np.array(
                [self._scope_code(cells, number) for number in distinct.tolist()], dtype=np.int64
            )
            if (codes == UNKNOWN).all():
                continue
            scope_codes = codes[inverse]
            if rows is not None:
                scope_codes = np.full(len(taken), UNKNOWN, dtype=np.int64)
                scope_codes[rows] = codes[inverse]
            cells.add(traffic, scope_codes)

    def advance(self, newest_ms: int) -> None:
        """Forget rows whose bucket fell behind the greatest R by more than its cube keeps.

        Late traffic does not bring them back. R counts by quarter hours, so that what is kept depends on the greatest
        R alone and not on when one looked.
        """
        quarter_ms = newest_ms // QUARTER_MS * QUARTER_MS
        if quarter_ms <= self._newest_ms:
            return
        self._newest_ms = quarter_ms
        self._cutoffs.clear()
        for cells in self._cells:
            cells.expire(partial(self._is_over, cells.cube))
        if len(self._coding) > self._coded_names * _NAMES_GROWTH + _NAMES_FREE:
            self._coding.renew()
            for cells in self._cells:
                cells.recode(self._coding)
            self._coded_names = len(self._coding)

    def rest(self) -> None:
        """Keep the people of cells small that nothing came to since the last call; no value changes by it."""
        for cells in self._cells:
            if isinstance(cells, CubeCells):
                cells.rest()

    def take_rows(self) -> tuple[list[StateRow], list[PeopleRow]]:
        """Return what changed since the last call, and the large sketches that are due."""
        rows: list[StateRow] = []
        people: list[PeopleRow] = []
        for cells in self._cells:
            cells.take_rows(rows, people)
        return rows, people

    def restore(self, rows: Iterable[StateRow], people: Mapping[RowKey, PeopleRow]) -> None:
        """Take over kept rows, each key once, and the people of those that have a row of people.

        Raises:
            StateError: a row's cube is not among ours, or was defined otherwise.
        """
        by_cube: dict[tuple[str, str], list[StateRow]] = {}
        for row in rows:
            by_cube.setdefault((row.key.cube, row.key.definition), []).append(row)
        cells_of = {(cells.cube.name, cells.cube.definition): cells for cells in self._cells}
        for (name, definition), cube_rows in by_cube.items():
            cells = cells_of.get((name, definition))
            if cells is None:
                what = (
                    f"The state holds rows of cube {name!r} ({definition}), which this worker does not keep."
                )
                raise StateError(
                    what, mend="Start with a new prefix and app, or delete this prefix's state topics."
                )
            cells.restore(cube_rows, people, self._coding)

    def stop(self, name: str) -> tuple[list[StateRow], list[PeopleRow]]:
        """Forget all cells of a cube and count nothing in it; return the rows that tell of that."""
        self._idle.add(name)
        cells = next(cells for cells in self._cells if cells.cube.name == name)
        cells.expire(lambda _: True)
        rows: list[StateRow] = []
        people: list[PeopleRow] = []
        cells.take_rows(rows, people)
        return rows, people

    def begin(self, name: str) -> None:
        """Count what comes in a cube that was stopped."""
        self._idle.discard(name)

    def absorb(self, name: str, rows: Iterable[StateRow]) -> None:
        """Add cells of one cube that were counted elsewhere, from other records; those no longer kept are left out.

        Args:
            name: of the cube.
            rows: each key once, with all people in `sketch`.
        """
        cells = next(cells for cells in self._cells if cells.cube.name == name)
        kept = [row for row in rows if not self._is_over(cells.cube, scope_of(row.key))]
        if kept:
            cells.absorb(kept, self._coding)

    def _scopes(self, traffic: CodedTraffic, rows: Codes | None, grain: Grain) -> tuple[Codes, Codes]:
        """Return the distinct packed scopes of some rows, and which of them each has."""
        shop, event_type, occurred = traffic.shop, traffic.event_type, traffic.occurred_ms
        if rows is not None:
            shop, event_type, occurred = shop[rows], event_type[rows], occurred[rows]
        buckets = self._days(shop, occurred) if grain is Grain.DAY else occurred // GRAIN_MS[grain]
        return np.unique(shop << _SHOP_SHIFT | event_type << _TYPE_SHIFT | buckets, return_inverse=True)

    def _days(self, shops: Codes, occurred: Codes) -> Codes:
        days = np.empty(len(occurred), dtype=np.int64)
        for code in np.unique(shops).tolist():
            rows = shops == code
            days[rows] = self._admission.calendar(self._coding.shops[code]).days_of(occurred[rows])
        return days

    def _scope_code(self, cells: CubeCells | ThetaCells, packed: int) -> int:
        """Return the cube's code of a packed scope, -1 when the cube does not take it (any more)."""
        cube = cells.cube
        event_type = TRAFFIC[packed >> _TYPE_SHIFT & _TYPE_MASK]
        if event_type not in cube.event_types:
            return -1
        bucket = packed & _BUCKET_MASK
        if cube.grain is not Grain.DAY:
            bucket *= GRAIN_MS[cube.grain]
        scope = Scope(self._coding.shops[packed >> _SHOP_SHIFT], event_type, bucket)
        return -1 if self._is_over(cube, scope) else cells.scope_code(scope)

    def _is_over(self, cube: Cube, scope: Scope) -> bool:
        cutoff_ms = self._cutoff_ms(cube, scope.shop_id)
        if cube.grain is Grain.DAY:
            return scope.bucket < self._admission.calendar(scope.shop_id).day_of(cutoff_ms)
        return scope.bucket + GRAIN_MS[cube.grain] <= cutoff_ms

    def _cutoff_ms(self, cube: Cube, shop_id: str) -> int:
        """Return the instant before which the cube's buckets are over."""
        cutoff = self._cutoffs.get((cube.keep, shop_id))
        if cutoff is None:
            if cube.keep == "hot_days":
                calendar = self._admission.calendar(shop_id)
                # No event is older than 2000; settings may keep more days than the calendar has.
                oldest = max(
                    calendar.day_of(self._newest_ms) - self._settings.hot_days - ARCHIVE_DAYS,
                    calendar.day_of(EARLIEST_MS) - 1,
                )
                cutoff = calendar.day_start_ms(oldest)
            else:
                cutoff = max(self._newest_ms - self._settings.minute_hours * HOUR_MS, EARLIEST_MS - DAY_MS)
            self._cutoffs[cube.keep, shop_id] = cutoff
        return cutoff
