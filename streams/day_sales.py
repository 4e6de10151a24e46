"""What a shop sells, and to how many, by source alone: kept of every day, added to with the orders that come in.

A headline of today costs what was sold since it was asked last, and one of a month costs no more: an order is in one
quarter hour and touches a set of sources, so the number of orders by that set tells every slice, leaf and owner; of
customers it is the same with the set that they touch on a day, or in the whole window.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from streams.atoms import ATOM_COUNT
from streams.day_values import over_and_last
from streams.days import QUARTER_MS
from streams.formulas import AddsOver, Counts, Frame
from streams.frames import KEPT_DAYS, SLOT
from streams.scope import TIME, closed_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from streams.formulas import Measure
    from streams.scope import Scope

_SUMMED: Final = (
    *("goods_minor", "shipping_minor", "tax_minor", "cofund_minor"),
    *("quantity", "leads_sku_order"),
)
"""Columns of order lines that are summed."""

_PEOPLE: Final = ("customer_no", "user_no")
"""Columns of numbers of people."""

_ALL: Final = frozenset(range(ATOM_COUNT))

_SUMS: Final = pl.DataFrame(
    schema={"at_ms": pl.Int64(), "atom": pl.UInt8(), **dict.fromkeys(_SUMMED, pl.Int64())}
)
_NUMBERS: Final = pl.DataFrame(schema={"at_ms": pl.Int64(), "atoms": pl.UInt16(), "value": pl.Int64()})
_EMPTY: Final = {
    **dict.fromkeys(("sums of quarters", "sums of days"), _SUMS),
    **dict.fromkeys(("orders of quarters", "orders of days", *_PEOPLE), _NUMBERS),
}
"""What is kept of a day; `at_ms` is the start of its quarter hour or of itself, `atoms` a set of sources."""

_QUARTER: Final = (pl.col("paid_at_ms") // QUARTER_MS * QUARTER_MS).alias("at_ms")


def answers(scope: Scope, measure: Measure, *, whole: bool) -> bool:
    """Return whether a measure is one of order lines by source alone.

    Args:
        scope: the question.
        measure: of any kind.
        whole: the window is of whole days.
    """
    if measure.frame is not Frame.ORDER_LINES or measure.only_cancelled or not scope.needs <= {"atom"}:
        return False
    if measure.counts is Counts.SUM:
        return measure.column in _SUMMED
    if measure.column == SLOT:
        return True
    if measure.column not in _PEOPLE or scope.grain == "hour":
        return False
    return measure.adds_over is not AddsOver.NONE or (whole and scope.grain in (None, "day"))


def sales_values(
    scope: Scope, measures: Sequence[Measure], days: Mapping[int, int]
) -> dict[str, pl.DataFrame]:
    """Return the values of measures that `answers` takes, over whole business days.

    Args:
        scope: the question.
        measures: whose values are wanted.
        days: of the window, with the change that touched each last.
    """
    kept = _of_days(scope, days)
    fine = "quarters" if scope.grain == "hour" else "days"
    found: dict[str, pl.DataFrame] = {}
    for measure in measures:
        if measure.counts is Counts.SUM:
            known = not measure.only_if or getattr(scope.shop, measure.only_if)
            parts = kept(f"sums of {fine}")
            found[measure.name] = _by_atom(scope, measure, parts if known else parts.clear())
        elif measure.column == SLOT:
            found[measure.name] = _by_set(scope, measure, kept(f"orders of {fine}"))
        elif measure.adds_over is AddsOver.NONE and scope.grain is None:
            found[measure.name] = _by_set(scope, measure, _people_of(scope, measure.column, days))
        else:
            found[measure.name] = _by_set(scope, measure, kept(measure.column))
    return found


# -- what is kept ---------------------------------------------------------------------------------------------------


def _of_days(scope: Scope, days: Mapping[int, int]) -> Callable[[str], pl.DataFrame]:
    """Return what gives the parts of all days by name; those before the last one, today, are put together once."""
    kept, question = scope.columns.day_values, ("sales", scope.shop.shop_id)
    known = dict(zip(days, kept.of(question, days, lambda missing: _count(scope, missing)), strict=True))
    over, last = over_and_last(days)

    def put_together() -> dict[str, pl.DataFrame]:
        return {
            name: pl.concat([_EMPTY[name], *(known[day][name] for day in over if known[day])])
            for name in _EMPTY
        }

    before = kept.made_of(question, over, put_together)

    @cache
    def parts(name: str) -> pl.DataFrame:
        return pl.concat([before[name], known[last][name]]) if known[last] else before[name]

    return parts


def _count(scope: Scope, missing: list[int]) -> dict[int, dict[str, pl.DataFrame]]:
    """Count days: sums by quarter hour and source, orders by quarter hour and set of sources, customers by set."""
    columns, shop_id = scope.columns, scope.shop.shop_id
    if len(missing) <= KEPT_DAYS:
        return {day: _day(scope, day, _pieces(scope, day)) for day in missing}
    lines = columns.order_lines(shop_id).filter(pl.col("day").is_in(missing))
    found: dict[int, dict[str, list[pl.DataFrame]]] = {}
    for name, reduce in _REDUCTIONS.items():
        for (day,), part in reduce(lines).partition_by("day", as_dict=True).items():
            found.setdefault(int(day), {other: [] for other in _REDUCTIONS})[name].append(part)
    return {day: _day(scope, day, pieces) for day, pieces in found.items()}


def _pieces(scope: Scope, day: int) -> dict[str, list[pl.DataFrame]]:
    sums_of, shop_id = scope.columns.order_sums, scope.shop.shop_id
    return {name: sums_of(shop_id, ("source", name), day, reduce) for name, reduce in _REDUCTIONS.items()}


def _day(scope: Scope, day: int, pieces: dict[str, list[pl.DataFrame]]) -> dict[str, pl.DataFrame]:
    """Return the parts of a day, of the pieces that its orders came in; none where its only order has left it."""
    if not pieces["sums"]:
        return {}
    at_ms = pl.lit(scope.calendar.day_start_ms(day), dtype=pl.Int64()).alias("at_ms")
    sums = pl.concat(pieces["sums"]).group_by("at_ms", "atom").agg(pl.col(_SUMMED).sum())
    orders = pl.concat(pieces["orders"]).group_by("at_ms", "atoms").agg(pl.col("value").sum())
    return {
        "sums of quarters": sums,
        "orders of quarters": orders,
        "sums of days": sums.group_by("atom").agg(pl.col(_SUMMED).sum()).select(at_ms, "atom", *_SUMMED),
        "orders of days": orders.group_by("atoms").agg(pl.col("value").sum()).select(at_ms, "atoms", "value"),
        **{name: _by_number(name, pieces[name]).select(at_ms, "atoms", "value") for name in _PEOPLE},
    }


def _sums(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.group_by("day", _QUARTER, "atom").agg(pl.col(_SUMMED).cast(pl.Int64).sum())


def _orders(lines: pl.DataFrame) -> pl.DataFrame:
    # An order is paid at one instant.
    orders = (
        lines.select(SLOT, "day", _QUARTER, _set_of(lines))
        .group_by(SLOT)
        .agg(pl.col("day", "at_ms").first(), pl.col("atoms").bitwise_or())
    )
    return orders.group_by("day", "at_ms", "atoms").agg(pl.len().cast(pl.Int64).alias("value"))


def _people(column: str, lines: pl.DataFrame) -> pl.DataFrame:
    """Return which sources each person touches, by day: `day`, the number of the person, `atoms`."""
    return (
        lines.select("day", column, _set_of(lines))
        .filter(pl.col(column).is_not_null())
        .group_by("day", column)
        .agg(pl.col("atoms").bitwise_or())
    )


_REDUCTIONS: Final[dict[str, Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "sums": _sums,
    "orders": _orders,
    **{column: partial(_people, column) for column in _PEOPLE},
}
"""What is made of the lines of whole orders; of several such pieces the parts of a day are made."""


def _set_of(lines: pl.DataFrame) -> pl.Series:
    """Return the source of each line as a set of one: a bit for each atom."""
    return pl.Series("atoms", np.left_shift(np.uint16(1), lines.get_column("atom").to_numpy()))


def _by_number(column: str, pieces: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return how many people touch each set of sources: `atoms`, `value`; a piece names each of them at most once."""
    pieces = [piece for piece in pieces if piece.height]
    if not pieces:
        return _NUMBERS.select("atoms", "value")
    # People are numbered from 0 without gaps: a place for each is ten times quicker than hashing them.
    seen = np.zeros(max(_greatest(piece, column) for piece in pieces) + 1, dtype=np.uint16)
    for piece in pieces:
        seen[piece.get_column(column).to_numpy()] |= piece.get_column("atoms").to_numpy()
    numbers = np.bincount(seen)
    numbers[0] = 0
    sets = np.flatnonzero(numbers)
    return pl.DataFrame({"atoms": sets.astype(np.uint16), "value": numbers[sets].astype(np.int64)})


def _greatest(piece: pl.DataFrame, column: str) -> int:
    return int(piece.get_column(column).to_numpy().max())


def _people_of(scope: Scope, column: str, days: Mapping[int, int]) -> pl.DataFrame:
    """Return how many people touch each set of sources over all of these days: `at_ms`, `atoms`, `value`."""
    columns, shop_id = scope.columns, scope.shop.shop_id
    over, last = over_and_last(days)

    def unite() -> dict[str, pl.DataFrame]:
        found = _people(column, columns.order_lines(shop_id).filter(pl.col("day").is_in(list(over))))
        return {column: found.group_by(column).agg(pl.col("atoms").bitwise_or())}

    before = columns.day_values.made_of(("people", column, shop_id), over, unite)[column]
    pieces = [before, *_pieces(scope, last)[column]]
    return _by_number(column, pieces).select(pl.lit(0, dtype=pl.Int64()).alias("at_ms"), "atoms", "value")


# -- values ---------------------------------------------------------------------------------------------------------


def _by_atom(scope: Scope, measure: Measure, parts: pl.DataFrame) -> pl.DataFrame:
    """Return sums by source as values: every slice is the sum of its sources."""
    atoms = parts.get_column("atom").to_numpy()
    starts, table = _table(scope, parts, atoms, ATOM_COUNT, measure.column)

    def of(chosen: frozenset[int]) -> NDArray[np.int64]:
        return np.asarray(table[:, sorted(chosen)].sum(axis=1))

    return _frame(scope, measure, starts, of)


def _by_set(scope: Scope, measure: Measure, parts: pl.DataFrame) -> pl.DataFrame:
    """Return numbers by set of sources as values: a slice has all whose set has one of its sources."""
    sets, places = np.unique(parts.get_column("atoms").to_numpy(), return_inverse=True)
    starts, table = _table(scope, parts, places, len(sets), "value")

    def of(chosen: frozenset[int]) -> NDArray[np.int64]:
        touched = (sets & sum(1 << atom for atom in chosen)) != 0
        return np.asarray(table[:, touched].sum(axis=1))

    return _frame(scope, measure, starts, of)


def _table(
    scope: Scope, parts: pl.DataFrame, places: NDArray[np.int64], width: int, column: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the starts of the rows of time, and a column summed by row of time and place."""
    if scope.grain is None:
        table = np.zeros((1 if parts.height else 0, width), dtype=np.int64)
        if parts.height:
            np.add.at(table[0], places, parts.get_column(column).to_numpy())
        return np.zeros(len(table), dtype=np.int64), table
    starts, rows = np.unique(scope.time_of(parts.get_column("at_ms").to_numpy()), return_inverse=True)
    table = np.zeros((len(starts), width), dtype=np.int64)
    np.add.at(table, (rows, places), parts.get_column(column).to_numpy())
    return starts, table


def _frame(
    scope: Scope,
    measure: Measure,
    starts: NDArray[np.int64],
    of: Callable[[frozenset[int]], NDArray[np.int64]],
) -> pl.DataFrame:
    """Return key columns and `value` of every slice, leaf or owner that is asked for, where anything was counted."""
    combinations = closed_values(scope.names) if scope.by_atom else [({}, _ALL)]
    narrowed = [chosen for chosen in (scope.atoms(), measure.atoms) if chosen is not None]
    found: dict[str, list[Any]] = {name: [] for name in scope.keys}
    values: list[int] = []
    for names, atoms in combinations:
        counted = of(atoms.intersection(*narrowed))
        for place in np.flatnonzero(counted).tolist():
            found[TIME].append(int(starts[place]))
            for name, value in names.items():
                found[name].append(value)
            values.append(int(counted[place]))
    schema = {TIME: pl.Int64(), **dict.fromkeys(scope.names, pl.String()), "value": pl.Int64()}
    return pl.DataFrame({**found, "value": values}, schema=schema)
