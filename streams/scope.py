"""What every part of an answer is computed in: shop, window, rows, filters."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import polars as pl

from streams.atoms import ATOM_COUNT, LEAF_OF_ATOM, LEAVES, OWNERS, SLICES
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.grid import GRAINS, TimeGrain, starts
from streams.periods import SUNDAY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streams.columns import Columns
    from streams.days import BusinessCalendar
    from streams.settings import ShopSettings
    from streams.windows import Window

TIME: Final = "_t"
"""Key column of a value: start of the row's month, week, day, hour or minute in ms; 0 without a time dimension."""

_ATOMS_OF: Final = {"slice": SLICES, "leaf": LEAVES, "owner": OWNERS}

CLOSED: Final = {dim: tuple(atoms) for dim, atoms in _ATOMS_OF.items()}
"""Dimensions whose values are a closed list: every one has its row, also without anything counted."""

_CARRIED_BY: Final = {"variant": "content"}
"""A dimension that is read off another one's record: whoever knows the content knows its label."""

SLICES_OF_FORMATS: Final = tuple(name for name in SLICES if name not in {"all", "affiliate"})
"""Slices that are one format each: neither all of them nor a union of two."""


@dataclass(frozen=True)
class Scope:
    """A question's frame of reference.

    Attributes:
        columns, shop, calendar: of whom.
        window: what counts.
        by: dimensions of the rows; where: filters.
        now_ms, as_of_ms: of the answer.
        week_start: first day of the shop's week, 0 is Monday.
        days: business days (ordinals) that count, within the window; None is all of them.
        recent_end_ms: where "the last minutes" end; None: with the minute that holds the topic's own as-of.
        arrived: `first_final` leaves out the facts that arrived after their day was final, `late` the others.
    """

    columns: Columns
    shop: ShopSettings
    calendar: BusinessCalendar
    window: Window
    by: tuple[str, ...]
    where: tuple[tuple[str, str], ...]
    now_ms: int
    as_of_ms: int
    week_start: int = SUNDAY
    days: frozenset[int] | None = None
    recent_end_ms: int | None = None
    arrived: Literal["", "first_final", "late"] = ""

    @property
    def grain(self) -> TimeGrain | None:
        """The finest time dimension asked for."""
        return next((grain for grain in reversed(GRAINS) if grain in self.by), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Dimensions that are not time."""
        return tuple(dim for dim in self.by if dim not in GRAINS)

    @property
    def keys(self) -> tuple[str, ...]:
        """Key columns of the values."""
        return (TIME, *self.names)

    @property
    def needs(self) -> frozenset[str]:
        """Dimensions that rows or filters need: the atom for slices and leaves, the content for its A/B label."""
        dims = {*self.names, *(dim for dim, _ in self.where)}
        return frozenset("atom" if dim in CLOSED else _CARRIED_BY.get(dim, dim) for dim in dims)

    @property
    def by_variant(self) -> bool:
        """Whether rows or filters name the A/B label of a content."""
        return "variant" in self.names or any(dim == "variant" for dim, _ in self.where)

    @property
    def by_atom(self) -> bool:
        """Whether rows are by slice or leaf."""
        return any(dim in CLOSED for dim in self.by)

    def over_all_atoms(self) -> Scope:
        """Return the scope without slices and leaves: the divisor of a share."""
        return dataclasses.replace(
            self,
            by=tuple(dim for dim in self.by if dim not in CLOSED),
            where=tuple((dim, value) for dim, value in self.where if dim not in CLOSED),
        )

    def without(self, dims: Collection[str]) -> Scope:
        """Return the scope without some dimensions, of rows and of filters: the divisor of a share over them."""
        return dataclasses.replace(
            self,
            by=tuple(dim for dim in self.by if dim not in dims),
            where=tuple((dim, value) for dim, value in self.where if dim not in dims),
        )

    def atoms(self) -> frozenset[int] | None:
        """Return the atoms that the filters on slices and leaves let through; None without such a filter."""
        chosen = [_ATOMS_OF[dim][value] for dim, value in self.where if dim in CLOSED]
        return frozenset.intersection(*chosen) if chosen else None

    def in_window(self, column: str) -> pl.Expr:
        """Return the condition that a fact of this instant lies in the window.

        Of a LIVE the orders placed before its end count, also those paid after it.
        """
        condition = pl.lit(True)
        if self.window.unit == "stream" and column == "paid_at_ms":
            condition &= pl.col(column) >= self.window.from_ms
            return (
                condition
                if self.window.to_ms is None
                else condition & (pl.col("created_at_ms") < self.window.to_ms)
            )
        if self.window.from_ms is not None:
            condition &= pl.col(column) >= self.window.from_ms
        if self.window.to_ms is not None:
            condition &= pl.col(column) < self.window.to_ms
        return condition

    def time_of(self, at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the start of each instant's row; zeros without a time dimension."""
        if self.grain is None or not len(at_ms):
            return np.zeros(len(at_ms), dtype=np.int64)
        if self.grain == "minute":
            return at_ms // MINUTE_MS * MINUTE_MS
        grid = starts(
            self.calendar, self.grain, int(at_ms.min()), int(at_ms.max()), week_start=self.week_start
        )
        if self.grain == "hour" and not (grid % HOUR_MS).any():
            return at_ms // HOUR_MS * HOUR_MS
        if self.grain == "day" and not (grid % DAY_MS).any():
            return at_ms // DAY_MS * DAY_MS
        return grid[np.searchsorted(grid, at_ms, side="right") - 1]


def _atom_frame() -> pl.DataFrame:
    rows = [
        (atom, name, LEAF_OF_ATOM[atom], next((who for who, own in OWNERS.items() if atom in own), None))
        for atom in range(ATOM_COUNT)
        for name, atoms in SLICES.items()
        if atom in atoms
    ]
    schema = {"atom": pl.UInt8(), "slice": pl.String(), "leaf": pl.String(), "owner": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row")


_ATOM_FRAME: Final = _atom_frame()


def expand_atoms(frame: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """Put the slices and leaves of each row's atom beside it: an atom of several slices gives several rows."""
    wanted = [dim for dim in CLOSED if dim in names]
    if not wanted:
        return frame
    return frame.join(_ATOM_FRAME.select("atom", *wanted).drop_nulls().unique(), on="atom", how="inner")


def closed_values(names: tuple[str, ...]) -> list[tuple[dict[str, str], frozenset[int]]]:
    """Return every combination of the slices and leaves among `names`, with its atoms; an empty one is left out."""
    wanted = [dim for dim in CLOSED if dim in names]
    found = []
    for values in itertools.product(*(CLOSED[dim] for dim in wanted)):
        chosen = dict(zip(wanted, values, strict=True))
        atoms = frozenset.intersection(*(_ATOMS_OF[dim][value] for dim, value in chosen.items()))
        if atoms:
            found.append((chosen, atoms))
    return found
