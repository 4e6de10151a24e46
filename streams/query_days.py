"""Values of measures over facts, those of order lines put together from days that were counted before."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

import polars as pl

from streams import query_facts
from streams.day_sales import answers, sales_values
from streams.day_values import over_and_last
from streams.formulas import AddsOver, Counts, Frame
from streams.frames import KEPT_DAYS, SLOT
from streams.scope import TIME
from streams.windows import Window

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from streams.formulas import Measure
    from streams.scope import Scope

_OF_A_LINE: Final = frozenset(
    {"product", "sku", "creator", "content", "sub_campaign", "territory", "ad", "atom"}
)
"""Dimensions that an order line carries itself: what it is counted under changes only with the line."""

_ALL_DAYS: Final = Window("days", None, None, unit="days")

_ONE_ROW: Final = pl.DataFrame({TIME: [0], "value": [0]}, schema={TIME: pl.Int64(), "value": pl.Int64()})
_NO_ROW: Final = _ONE_ROW.clear()

_MEASURE: Final = "_measure"


def fact_values(scope: Scope, measures: Sequence[Measure]) -> dict[str, pl.DataFrame]:
    """Return the values of measures over facts, as `query_facts.fact_values` does."""
    days = _whole_days(scope)
    edges = _edges(scope)
    sold = [each for each in measures if answers(scope, each, whole=not edges)] if days else []
    kept = [each for each in measures if each not in sold and _is_kept(each)] if days else []
    rest = [each for each in measures if each not in sold and each not in kept]
    values = query_facts.fact_values(scope, rest) if rest else {}
    parts = _of_days(scope, kept, days) if kept else {}
    if sold:
        parts |= {name: [found] for name, found in sales_values(scope, sold, days).items()}
    if parts:
        for edge in edges:
            found = query_facts.fact_values(dataclasses.replace(scope, window=edge), [*kept, *sold])
            for name, more in found.items():
                parts[name].append(more)
    return values | {name: _together(scope, found) for name, found in parts.items()}


def _is_kept(measure: Measure) -> bool:
    """Return whether a measure is of order lines alone and adds over days."""
    return (
        measure.frame is Frame.ORDER_LINES
        and measure.adds_over is not AddsOver.NONE
        and not measure.only_cancelled
    )


def _whole_days(scope: Scope) -> dict[int, int]:
    """Return the days that lie whole in the window, with the change that touched them last; empty: count directly."""
    window, calendar = scope.window, scope.calendar
    dims = {*scope.names, *(dim for dim, _ in scope.where)}
    if scope.grain == "minute" or window.unit == "stream" or scope.arrived:
        return {}
    # A label of a content is no part of the line: it may change while the line does not.
    if not scope.needs <= _OF_A_LINE or "variant" in dims:
        return {}
    first = last = None
    if window.from_ms is not None:
        first = calendar.day_of(window.from_ms)
        first += calendar.day_start_ms(first) != window.from_ms
    if window.to_ms is not None:
        last = calendar.day_of(window.to_ms) - 1
    return {
        day: change
        for day, change in scope.columns.order_days(scope.shop.shop_id).items()
        if (first is None or day >= first)
        and (last is None or day <= last)
        and (scope.days is None or day in scope.days)
    }


def _edges(scope: Scope) -> list[Window]:
    """Return the parts of days at the window's ends; there is a whole day between them or beside them."""
    window, calendar = scope.window, scope.calendar
    found = []
    if window.from_ms is not None:
        day = calendar.day_of(window.from_ms)
        if calendar.day_start_ms(day) != window.from_ms:
            found.append(dataclasses.replace(window, to_ms=calendar.day_start_ms(day + 1)))
    if window.to_ms is not None:
        start_ms = calendar.day_start_ms(calendar.day_of(window.to_ms))
        if start_ms != window.to_ms:
            found.append(dataclasses.replace(window, from_ms=start_ms))
    return found


def _of_days(
    scope: Scope, measures: Sequence[Measure], days: dict[int, int]
) -> dict[str, list[pl.DataFrame]]:
    """Return the values of each whole day, by hour where the rows are hours, else by day."""
    by = ("hour" if scope.grain == "hour" else "day", *scope.names)

    question = (scope.shop, by, scope.where, tuple(measure.name for measure in measures))

    def count(missing: list[int]) -> dict[int, dict[str, pl.DataFrame]]:
        inner = dataclasses.replace(scope, by=by, window=_ALL_DAYS, days=frozenset(missing))
        found: dict[int, dict[str, pl.DataFrame]] = {day: {} for day in missing}
        # Of few days, as a rule today, only what was sold since the last question is counted.
        pieced = [each for each in measures if len(missing) <= KEPT_DAYS and _adds_over_orders(each)]
        for day in missing if pieced else ():
            found[day] = _in_pieces(inner, pieced, day, question)
        rest = [each for each in measures if each not in pieced]
        for name, values in (query_facts.fact_values(inner, rest) if rest else {}).items():
            day_of = pl.Series("_day", scope.calendar.days_of(values.get_column(TIME).to_numpy()))
            parts = values.with_columns(day_of).partition_by("_day", as_dict=True, include_key=False)
            for (key,), part in parts.items():
                found[int(key)][name] = part
        return found

    known = dict(zip(days, scope.columns.day_values.of(question, days, count), strict=True))

    def of(day: int, measure: Measure) -> list[pl.DataFrame]:
        return [known[day][measure.name]] if measure.name in known[day] else []

    def put_together() -> dict[str, pl.DataFrame]:
        return {
            measure.name: _together(scope, [part for day in over for part in of(day, measure)])
            for measure in measures
        }

    over, last = over_and_last(days)
    rows = (question, scope.grain, scope.week_start)
    before = scope.columns.day_values.made_of(rows, over, put_together)
    return {measure.name: [before[measure.name], *of(last, measure)] for measure in measures}


def _adds_over_orders(measure: Measure) -> bool:
    """Return whether a measure of several orders is the sum of theirs: that of customers, who have several, is not."""
    return measure.counts is Counts.SUM or measure.column == SLOT


def _in_pieces(
    scope: Scope, measures: Sequence[Measure], day: int, question: Hashable
) -> dict[str, pl.DataFrame]:
    """Return the values of one day, put together from pieces of whole orders that are counted once each."""
    keys = list(scope.keys)
    inner = dataclasses.replace(scope, days=None)

    def reduce(lines: pl.DataFrame) -> pl.DataFrame:
        values = query_facts.fact_values(inner, measures, lines)
        return pl.concat(
            values[measure.name].select(pl.lit(number, dtype=pl.UInt8()).alias(_MEASURE), *keys, "value")
            for number, measure in enumerate(measures)
        )

    pieces = scope.columns.order_sums(scope.shop.shop_id, ("values", question), day, reduce)
    if not pieces:
        return {}
    values = pl.concat(pieces).group_by(_MEASURE, *keys).agg(pl.col("value").sum())
    parts = values.partition_by(_MEASURE, as_dict=True, include_key=False)
    return {measures[number].name: part for (number,), part in parts.items()}


def _together(scope: Scope, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    keys = list(scope.keys)
    if not scope.names and scope.grain is None:
        # One row: to group frames of one row costs more than all else that is done with them.
        counted = [int(part.get_column("value").sum()) for part in parts if part.height]
        return _ONE_ROW.with_columns(value=pl.lit(sum(counted), dtype=pl.Int64())) if counted else _NO_ROW
    if not parts:
        schema = {TIME: pl.Int64(), **dict.fromkeys(scope.names, pl.String()), "value": pl.Int64()}
        return pl.DataFrame(schema=schema)
    values = pl.concat([part.select(*keys, "value") for part in parts])
    if scope.grain in ("day", "hour"):
        # A day is in one part alone, so its rows stand there as they are.
        return values
    times = pl.Series(TIME, scope.time_of(values.get_column(TIME).to_numpy()))
    return values.with_columns(times).group_by(keys).agg(pl.col("value").sum())
