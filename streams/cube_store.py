"""The cubes of all shops as a board knows them: cells merged over partitions, of hot days and of written ones.

What is in memory comes with flushes; days before a shop's boundary are read from the history (`streams.history`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from streams import cubes, sketches, theta
from streams.cube_columns import CubeColumns
from streams.cubes import CUBE_BY_NAME, Grain, is_former
from streams.days import QUARTER_MS, BusinessCalendar
from streams.history import FIRST_SLOT, Past
from streams.settings import Settings, ShopSettings
from streams.state import CubeRow, Flush, PeopleRow, Position, StateRow

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from streams.history import DayStore


class CubeStore:
    """Cells of all cubes and shops; `streams.columns.Columns` adds the facts.

    Args:
        settings: shops with their zone; how long cells are kept.

    Attributes:
        settings: as given.
        version: rises with every change.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.version = 0
        self._cubes: dict[tuple[str, str], CubeColumns] = {}
        self._cube_rows: dict[tuple[int, str], CubeRow] = {}
        self._calendars: dict[str, BusinessCalendar] = {}
        self._positions: dict[tuple[int, str], Position] = {}
        self._past: Past | None = None

    def shop(self, shop_id: str) -> ShopSettings:
        """Return the settings of a shop; defaults when it has none."""
        return self.settings.shops.get(shop_id) or ShopSettings(shop_id)

    def calendar(self, shop_id: str) -> BusinessCalendar:
        """Return the shop's calendar, one object for the life of the columns."""
        if shop_id not in self._calendars:
            self._calendars[shop_id] = BusinessCalendar(self.shop(shop_id).timezone)
        return self._calendars[shop_id]

    def cube(self, name: str, shop_id: str) -> pl.DataFrame:
        """Return a cube's cells merged over partitions.

        Columns: slot UInt32, bucket Int64, event_type String, the cube's dimensions as String (atom as UInt8), count
        and keyed Int64. Cells that have left their retention are not there.
        """
        cube = self._cubes.get((name, shop_id))
        return CubeColumns(CUBE_BY_NAME[name]).frame() if cube is None else cube.frame()

    def read_history(self, store: DayStore) -> None:
        """Read days before `day_boundary` from what was written down, once there is a boundary."""
        self._past = Past(store, self.calendar, self.settings.fold.hot_days)

    def day_boundary(self, shop_id: str) -> int | None:
        """Return the first day whose traffic is read from memory; None: all of it is."""
        return None if self._past is None else self._past.boundary(shop_id)

    def set_day_boundary(self, shop_id: str, day: int) -> None:
        """Forget the cells of days before `day`; they are read from the history, or are gone."""
        if self._past is None:
            return
        self._past.set_boundary(shop_id, day)
        start_ms = self.calendar(shop_id).day_start_ms(day)
        for (name, shop), cells in self._cubes.items():
            cube = CUBE_BY_NAME[name]
            if shop == shop_id and cube.keep == "hot_days":
                cells.drop(day if cube.grain is Grain.DAY else start_ms)
        self.version += 1

    def days_gone(self, shop_id: str, since_ms: int) -> list[int]:
        """Return the days from an instant on of whose traffic nothing is kept any more."""
        return [] if self._past is None else self._past.gone(shop_id, since_ms)

    def day_cells(self, name: str, shop_id: str, day: int) -> tuple[pl.DataFrame, list[list[bytes]]]:
        """Return a cube's cells of a day that is in memory, as `cube()`, and the images of the people of each."""
        cells = self._cubes.get((name, shop_id)) or CubeColumns(CUBE_BY_NAME[name])
        if CUBE_BY_NAME[name].grain is Grain.DAY:
            return cells.between(day, day + 1)
        calendar = self.calendar(shop_id)
        return cells.between(calendar.day_start_ms(day), calendar.day_start_ms(day + 1))

    def cube_since_ms(self, name: str) -> int | None:
        """Return the event time from which a cube holds everything that it keeps; None: it lacks nothing.

        A cube that came or changed while the state lived lacks what came before, until it is rebuilt (ADR 13).
        """
        rows = (row for (_, cube), row in self._cube_rows.items() if cube == name)
        # One that is being emptied counts nothing yet.
        since = [row.since_ms for row in rows if row.handed >= 0]
        newest_ms = max((position.last_timestamp_ms for position in self._positions.values()), default=0)
        fold = self.settings.fold
        if len(since) < len({partition for partition, _ in self._cube_rows}):
            # The worker of some partition is of an earlier version, or empties it.
            since.append(newest_ms + fold.future_tolerance_ms)
        since_ms = max(since, default=0)
        return since_ms if since_ms > newest_ms - CUBE_BY_NAME[name].keep_ms(fold) else None

    def cubes_kept(self) -> list[tuple[int, CubeRow]]:
        """Return (partition, since when and how far rebuilt) of every cube, by cube and partition."""
        rows = sorted((row.cube, partition, row) for (partition, _), row in self._cube_rows.items())
        return [(partition, row) for _, partition, row in rows]

    def cells(self, name: str, shop_id: str, from_ms: int | None, to_ms: int | None) -> pl.DataFrame:
        """Return a cube's cells as `cube()` does, with those of the history where a window reaches it.

        A dimension is null in days that were written down before the cube had it.

        Args:
            name: of the cube.
            shop_id: whose.
            from_ms: begin of the window, None: open; cells outside of it may be among those returned.
            to_ms: its end, None: open.

        Raises:
            QueryError: `history_damaged`; `no_detail_before` for a cube that was defined otherwise then.
        """
        present = self._within(name, shop_id, from_ms, to_ms)
        return (
            present if self._past is None else self._past.with_present(present, name, shop_id, from_ms, to_ms)
        )

    def history_names(
        self, place: tuple[str, str], value: str, shop_id: str, from_ms: int | None, to_ms: int | None
    ) -> bool:
        """Return whether the history's days in a window name a value; arguments are those of `Past.names`."""
        return self._past is not None and self._past.names(place, value, shop_id, from_ms, to_ms)

    def _within(self, name: str, shop_id: str, from_ms: int | None, to_ms: int | None) -> pl.DataFrame:
        definition, cube = CUBE_BY_NAME[name], self._cubes.get((name, shop_id))
        if cube is None:
            return CubeColumns(definition).frame()
        if definition.grain is Grain.DAY:
            calendar = self.calendar(shop_id)
            return cube.within(
                None if from_ms is None else calendar.day_of(from_ms),
                None if to_ms is None else calendar.day_of(to_ms - 1),
            )
        # The bucket that a window begins in begins before it.
        return cube.within(None if from_ms is None else from_ms - QUARTER_MS, to_ms)

    def people(
        self, name: str, shop_id: str, groups: Sequence[tuple[Hashable, NDArray[np.uint32]]]
    ) -> list[float]:
        """Return the estimated number of distinct people in each group of a cube's cells.

        Args:
            name: a cube with sketches.
            shop_id: whose.
            groups: a label that names the group whenever it is asked for, and its `slot`s in `cube()`.
        """
        cube = self._cubes.get((name, shop_id))
        found = []
        for label, slots in groups:
            old = slots >= FIRST_SLOT
            if self._past is not None and old.any():
                found.append(self._people_of_both(self._past, name, shop_id, label, slots))
            else:
                found.append(0.0 if cube is None else cube.people(label, slots))
        return found

    def _people_of_both(
        self, past: Past, name: str, shop_id: str, label: Hashable, slots: NDArray[np.uint32]
    ) -> float:
        lg_k = CUBE_BY_NAME[name].lg_k or 0
        cube = self._cubes.get((name, shop_id))
        present = None if cube is None else cube.union(label, slots[slots < FIRST_SLOT])
        crowds = [past.union(label, slots[slots >= FIRST_SLOT], lg_k)]
        return sketches.estimate(sketches.merge([*crowds, *([] if present is None else [present])], lg_k))

    def cell_changes(self, name: str, shop_id: str, slots: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return for each cell of a cube, by its `slot`, a number that rises when it changes; 0 in the history."""
        cube = self._cubes.get((name, shop_id))
        found = np.zeros(len(slots), dtype=np.int64)
        present = slots < FIRST_SLOT
        if cube is not None:
            found[present] = cube.changes(slots[present])
        return found

    def cube_partitions(self, name: str, shop_id: str, slots: NDArray[np.uint32]) -> dict[int, list[int]]:
        """Return partition -> events in each cell of a cube, by its `slot` in `cube()`."""
        cube = self._cubes.get((name, shop_id))
        # A day that was written down is merged over partitions.
        return {} if cube is None or (slots >= FIRST_SLOT).any() else cube.by_partition(slots)

    def overlaps(
        self, name: str, shop_id: str, pairs: Iterable[tuple[int, int | None]]
    ) -> list[theta.Overlap]:
        """Return for each pair of cells how many people of the first one are in the second one too.

        Args:
            name: a cube with theta sketches.
            shop_id: whose, with cells in the cube.
            pairs: slots in `cube()`; None in place of a cell that nobody is in.
        """
        cube = self._cubes.get((name, shop_id))
        past, lg_k = self._past, CUBE_BY_NAME[name].lg_k or 0
        asked = list(pairs)
        present = [pair for pair in asked if past is None or pair[0] < FIRST_SLOT]
        of_present = iter([] if cube is None else cube.overlaps(present))
        if past is None or len(present) == len(asked):
            return list(of_present)
        found = []
        for crowd, other in asked:
            if crowd < FIRST_SLOT:
                found.append(next(of_present))
                continue
            images = [
                list(past.images(np.array([] if slot is None else [slot], dtype=np.uint32)))
                for slot in (crowd, other)
            ]
            found.append(theta.overlap(lg_k, *images))
        return found

    def _apply_cubes(self, flush: Flush) -> None:
        past = self._past
        newest_ms = max((position.last_timestamp_ms for position in flush.positions), default=0)
        for row in _present(flush.rows):
            name, shop_id = row.key.cube, row.key.shop_id
            if row.events is None and past and past.holds_back(name, shop_id, row.key.bucket, newest_ms):
                continue
            cube = self._cubes.get((name, shop_id))
            if cube is None:
                cube = self._cubes[name, shop_id] = CubeColumns(CUBE_BY_NAME[name])
            cube.put(flush.partition, row)
        for people in _present(flush.people):
            cube = self._cubes.get((people.key.cube, people.key.shop_id))
            if cube is not None:
                cube.put_people(flush.partition, people)
        for kept in flush.cubes:
            if not is_former(kept.cube, kept.definition):
                self._cube_rows[flush.partition, kept.cube] = kept


_Row = TypeVar("_Row", StateRow, PeopleRow)


def _present(rows: list[_Row]) -> list[_Row]:
    """Leave out rows of cubes that are declared former; a worker deletes them."""
    return [row for row in rows if not is_former(row.key.cube, row.key.definition)] if cubes.FORMER else rows
