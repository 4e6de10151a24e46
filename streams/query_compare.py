"""Columns and figures of a comparison: what `compare` adds to the rows of an answer."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from streams import benchmarks
from streams.cell_series import Series
from streams.comparison import CHANGE, SUFFIXES, benchmark_group, resolve_comparison
from streams.days import day_label
from streams.errors import QueryError
from streams.formulas import CompareFigure, Rank
from streams.lives import streams_of
from streams.metric import Unit
from streams.periods import first_weekday
from streams.query_figures import figure_frame
from streams.ranking import First, order_of
from streams.series import Cells
from streams.side_by_side import differences, side_by_side
from streams.windows import Clock, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.columns import Columns
    from streams.days import BusinessCalendar
    from streams.metric import Metric
    from streams.query_figures import Figures
    from streams.scope import Scope
    from streams.settings import ShopSettings
    from streams.windows import Window

_ALL: Final = First("", None)


@dataclass(slots=True)
class Table:
    """The rows of an answer before they are written.

    Attributes:
        cells: names and times of the rows.
        series: column -> values; units: column -> unit.
        comparison: what the answer says of the other side; empty without one.
        own: scope of what the values cover.
        coverage, relative_error: by metric of people.
        since_ms: by metric whose cube is not rebuilt yet.
    """

    cells: Cells
    own: Scope
    series: dict[str, Series] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)
    comparison: dict[str, Any] = field(default_factory=dict)
    coverage: dict[str, float] = field(default_factory=dict)
    relative_error: dict[str, float] = field(default_factory=dict)
    since_ms: dict[str, int] = field(default_factory=dict)


def clock_of(columns: Columns, shop: ShopSettings, *, now_ms: int, as_of_ms: int) -> Clock:
    """Return what windows of a shop are resolved by."""
    shop_id = shop.shop_id
    return Clock(
        calendar=columns.calendar(shop_id),
        now_ms=now_ms,
        as_of_ms=as_of_ms,
        campaigns=columns.campaigns(shop_id),
        streams=columns.once(("streams", shop_id), lambda: streams_of(columns, shop_id)),
        week_start=first_weekday(columns, shop),
    )


def table_of(
    scope: Scope,
    metrics: Sequence[Metric],
    compare: str,
    known: Mapping[str, Metric],
    recordings: Mapping[str, Columns],
    first: First = _ALL,
) -> Table:
    """Return the values of a question, with the other side's beside them where it compares.

    Args:
        scope: the question.
        metrics: whose dimensions fit the scope.
        compare: with what; empty: with nothing.
        known: every metric by id.
        recordings: as for `query.run`.
        first: which rows are wanted; others may be left out.

    Raises:
        QueryError: no right answer exists.
    """
    given = _given(scope, metrics, compare, known, recordings)
    group = benchmark_group(compare)
    if not compare:
        return _alone(scope, metrics, given, first)
    if group is not None:
        part = benchmarks.finished_part(scope)
        table = _alone(part.scope or scope, metrics, given)
        table.comparison = {
            "with": compare,
            "days": [day_label(part.last_day)] if part.scope is not None else [],
            "from_ms": table.own.window.from_ms,
            "to_ms": table.own.window.to_ms,
        }
        return _with_columns(table, metrics, benchmarks.beside(table.cells, metrics, group, part))
    clock = _clock(scope)
    other = resolve_comparison(compare, scope.window, clock, scope.columns, scope.shop, recordings=recordings)
    both = side_by_side(scope, metrics, other, given)
    table = Table(both.cells, scope)
    table.coverage, table.relative_error = both.coverage, both.relative_error
    table.since_ms = both.since_ms
    for metric in metrics:
        table.series[metric.id] = both.own[metric.id]
        table.units[metric.id] = metric.unit
    table.comparison = {
        "with": compare,
        "days": _days(other.window, other.calendar, scope.now_ms),
        "from_ms": other.window.from_ms,
        "to_ms": other.window.to_ms,
    }
    if both.through_ms:
        table.comparison["through_ms"] = both.through_ms
    return _with_columns(table, metrics, both.other)


def _alone(
    scope: Scope, metrics: Sequence[Metric], given: Mapping[str, Figures], first: First = _ALL
) -> Table:
    cells = Cells(scope, metrics, given)
    ranks = any(isinstance(metric.formula, Rank) for metric in metrics)
    if first.limit is not None and first.limit < cells.height and not ranks:
        # Of tens of thousands of rows the other metrics are worked out for those that are shown.
        by = next((metric for metric in metrics if metric.id == first.sort), None)
        values = None if by is None else cells.series(by).values
        cells.show(cells.index[order_of(values, cells.height, first.limit)])
    table = Table(cells, scope)
    for metric in metrics:
        table.series[metric.id] = cells.series(metric)
        table.units[metric.id] = metric.unit
    table.coverage, table.relative_error = cells.coverage, cells.relative_error
    table.since_ms = cells.since_ms
    return table


def _with_columns(table: Table, metrics: Sequence[Metric], other: Mapping[str, Series]) -> Table:
    """Put the other side's columns behind each metric."""
    own, table.series = table.series, {}
    for metric in metrics:
        name = metric.id
        table.series[name] = own[name]
        if metric.is_comparison:
            continue
        difference, change = differences(own[name], other[name])
        for suffix, series in zip(SUFFIXES, (other[name], difference, change), strict=True):
            table.series[name + suffix] = series
            table.units[name + suffix] = Unit.RATE if suffix == CHANGE else metric.unit
    return table


# -- metrics that are comparisons themselves ------------------------------------------------------------------------


def _given(
    scope: Scope,
    metrics: Sequence[Metric],
    compare: str,
    known: Mapping[str, Metric],
    recordings: Mapping[str, Columns],
) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    for metric in metrics:
        formula = metric.formula
        if not isinstance(formula, CompareFigure):
            continue
        if formula.column in ("benchmark", "benchmark_age"):
            found[metric.id] = _benchmark_figure(scope, formula, known)
        elif formula.column == "month":
            found[metric.id] = _change(month_of(scope), known[formula.of], "previous", {})
        elif compare and benchmark_group(compare) is None:
            found[metric.id] = _change(
                dataclasses.replace(scope, by=()), known[formula.of], compare, recordings
            )
        else:
            found[metric.id] = figure_frame(scope, {(0,): None}), {(0,): "nothing_compared"}
    return found


def month_of(scope: Scope) -> Scope:
    """Return the scope of the whole month in which a window ends, or now is."""
    last_ms = scope.now_ms if scope.window.to_ms is None else scope.window.to_ms - 1
    day = day_label(scope.calendar.day_of(min(last_ms, scope.now_ms)))
    return dataclasses.replace(scope, by=(), window=resolve(f"month:{day[:7]}", _clock(scope)))


def _change(scope: Scope, metric: Metric, compare: str, recordings: Mapping[str, Columns]) -> Figures:
    other = resolve_comparison(
        compare, scope.window, _clock(scope), scope.columns, scope.shop, recordings=recordings
    )
    both = side_by_side(scope, [metric], other, {})
    _, change = differences(both.own[metric.id], both.other[metric.id])
    why = change.reasons.get(0)
    return figure_frame(scope, {(0,): change.values[0]}), {} if why is None else {(0,): why}


def _benchmark_figure(scope: Scope, formula: CompareFigure, known: Mapping[str, Metric]) -> Figures:
    """Return differences or ages by metric and group; without a group those of the own tier."""
    asked = dict(scope.where)
    if formula.column == "benchmark" and "metric" not in {*scope.names, *asked}:
        what = "Differences to benchmarks of several metrics are not one figure."
        raise QueryError(what, reason="needs_dimension", mend="Ask by=metric, or where=metric=<id>.")
    wanted = {} if "group" in {*scope.names, *asked} else {"group": benchmarks.GROUPS[0]}
    values: dict[tuple[Any, ...], Any] = {}
    why: dict[tuple[Any, ...], str] = {}
    for (metric_id, group), (value, reason) in benchmarks.benchmarked(scope, known, formula.column).items():
        named = {"metric": metric_id, "group": group}
        if any(named[dim] != chosen for dim, chosen in (wanted | asked).items()):
            continue
        key = (0, *(named[dim] for dim in scope.names))
        # Of ages over several metrics the oldest counts.
        present = values.get(key)
        values[key] = value if present is None else present if value is None else max(present, value)
        why[key] = reason or "no_benchmark"
    if not scope.names and not values:
        values[0,] = None
    return figure_frame(scope, values), {
        key: why.get(key, "no_benchmark") for key, value in values.items() if value is None
    }


def _clock(scope: Scope) -> Clock:
    return clock_of(scope.columns, scope.shop, now_ms=scope.now_ms, as_of_ms=scope.as_of_ms)


def _days(window: Window, calendar: BusinessCalendar, now_ms: int) -> list[str]:
    """Return first and last day of a span, one where it is one day."""
    last_ms = now_ms if window.to_ms is None else window.to_ms - 1
    ends = [calendar.day_of(at) for at in (window.from_ms, last_ms) if at is not None]
    return [day_label(day) for day in dict.fromkeys(ends)]
