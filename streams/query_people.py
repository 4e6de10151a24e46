"""Distinct people in cells of a cube: per group, daily ones put together from days that were counted before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from streams.formulas import Counts
from streams.frames import SLOT
from streams.grid import SPANS_OF_DAYS
from streams.scope import TIME, expand_atoms

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from streams.cubes import Cube
    from streams.formulas import Measure
    from streams.scope import Scope

_PARTS: Final = ("value", "count", "keyed")


def people_values(scope: Scope, measure: Measure, cube: Cube, cells: pl.DataFrame) -> pl.DataFrame:
    """Return key columns, `value` (people), and `count` and `keyed` events of the cells in scope.

    Args:
        scope: where to count.
        measure: of people.
        cube: that answers.
        cells: of the cube in scope, with time, day and dimensions.
    """
    names = list(scope.names)
    if measure.counts is not Counts.DAILY_DISTINCT:
        question = (measure.name, scope.window.text, scope.by, scope.where)
        return _counted(scope, cube, cells, list(scope.keys), question)
    cut = _cut_days(scope)
    is_cut = pl.col("day").is_in(sorted(cut))
    keeps = scope.grain is None or scope.grain in SPANS_OF_DAYS
    # What a content's record says is no part of the cell: it may change while the cell does not.
    of_records = {"variant", "creator"} - set(cube.dims)
    if not keeps or of_records & {*names, *(dim for dim, _ in scope.where)}:
        asked = (measure.name, scope.by, scope.where, scope.window.text)
        found = _counted(scope, cube, cells, [*scope.keys, "day"], asked)
    else:
        parts = [
            _of_whole_days(scope, measure, cube, cells.filter(~is_cut)),
            _counted(
                scope,
                cube,
                cells.filter(is_cut),
                [*names, "day"],
                (measure.name, scope.names, scope.where, scope.window.text),
            ),
        ]
        found = pl.concat([part.select(*names, "day", *_PARTS) for part in parts])
        starts = {day: scope.calendar.day_start_ms(day) for day in found.get_column("day").unique().to_list()}
        at_ms = found.get_column("day").replace_strict(starts, return_dtype=pl.Int64()) if starts else None
        times = scope.time_of(np.empty(0, dtype=np.int64) if at_ms is None else at_ms.to_numpy())
        found = found.with_columns(pl.Series(TIME, times, dtype=pl.Int64))
    # Each day is rounded before days are added, so that the days of a table sum to its total.
    return found.group_by(scope.keys).agg(pl.col(*_PARTS).sum())


def _of_whole_days(scope: Scope, measure: Measure, cube: Cube, cells: pl.DataFrame) -> pl.DataFrame:
    """Return the people of each day, counting those days again of which a cell has changed."""
    names = list(scope.names)
    question = (cube.name, measure.name, scope.shop.shop_id, scope.names, scope.where)
    changed = pl.Series(
        "changed", scope.columns.cell_changes(cube.name, scope.shop.shop_id, cells[SLOT].to_numpy())
    )
    versions = cells.select("day", changed).group_by("day").agg(pl.col("changed").max(), pl.len())
    days = {day: (change, number) for day, change, number in versions.rows()}

    def count(missing: list[int]) -> dict[int, dict[str, pl.DataFrame]]:
        fresh = cells.filter(pl.col("day").is_in(missing))
        found = _counted(scope, cube, fresh, [*names, "day"], (measure.name, scope.names, scope.where))
        parts = found.partition_by("day", as_dict=True)
        return {int(key): {"": part} for (key,), part in parts.items()}

    known = scope.columns.day_values.of(question, days, count)
    parts = [part for values in known for part in values.values()]
    return pl.concat(parts) if parts else _counted(scope, cube, cells, [*names, "day"], question)


def _counted(
    scope: Scope, cube: Cube, cells: pl.DataFrame, keys: Sequence[str], question: Hashable
) -> pl.DataFrame:
    """Unite the people of each group of cells; `question` and the group name the union for the next time."""
    groups = (
        expand_atoms(cells, scope.names)
        .group_by(keys)
        .agg(pl.col(SLOT), pl.col("count").sum(), pl.col("keyed").sum())
    )
    asked = [
        ((question, name), slots.to_numpy())
        for name, slots in zip(groups.select(keys).rows(), groups.get_column(SLOT), strict=True)
    ]
    people = scope.columns.people(cube.name, scope.shop.shop_id, asked)
    return groups.with_columns(pl.Series("value", [round(value) for value in people], dtype=pl.Int64)).drop(
        SLOT
    )


def _cut_days(scope: Scope) -> set[int]:
    """Return the days of which the window holds only a part."""
    calendar = scope.calendar
    return {day for edge in scope.window.edges if calendar.day_start_ms(day := calendar.day_of(edge)) != edge}
