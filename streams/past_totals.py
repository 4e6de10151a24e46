"""Days from before the live stream, known by their totals alone: what `history_total` adds to an answer.

A day belongs to one source. The war room's own records have it when they were there from its first instant on and are
kept; else its total has it, if there is one. Totals are of base measures, by shop or by slice, so a metric is filled in
when every sum in it has a total for each day that is missing; nothing is made up for the rest. People of several days
cannot be told from the people of each.

Source: spec/events.md "history_total"; design, decision 8.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from streams.catalogue import METRICS
from streams.formulas import Frame, Ratio, Total, measures_of
from streams.measures import AddsOver
from streams.ready_made import fed_since_ms

if TYPE_CHECKING:
    from streams.catalogue import Metric
    from streams.scope import Scope

_BASES: Final = {
    metric.formula: metric.id for metric in reversed(METRICS.values()) if isinstance(metric.formula, Total)
}
"""The metric that a sum is, by whose id sources send its totals; of several the first: orders, not those by status."""

_OWN, _FILLED_IN, _NOT_TOLD, _NO_DETAIL = "own", "filled_in", "not_told", "no_detail_before"
"""What a sum over a row is made of; the last is why it is null."""

_BY: Final = frozenset({"slice", "day", "week", "month"})

Own = Callable[[Total, int | None], Sequence[int]]
"""Gives the own value of a sum in every row: over the row, or over one day of it."""


class Row(NamedTuple):
    """A row of an answer: begin (None: open) and end in event time, and its slice."""

    begin_ms: int | None
    end_ms: int
    slice: str


class _Part(NamedTuple):
    """A sum of a metric: its totals by slice and day, and which days its own records have."""

    formula: Total
    totals: dict[str, dict[int, float]]
    first_own: int | None
    gone: frozenset[int]
    adds_days: bool

    def has(self, day: int) -> bool:
        return self.first_own is not None and day >= self.first_own and day not in self.gone


def past_span(scope: Scope, metrics: Iterable[Metric]) -> tuple[int, int] | None:
    """Return the first and last instant of the days in the window that totals fill in; None without any."""
    days: set[int] = set()
    for metric in metrics:
        for part in _parts(scope, metric) or ():
            days |= {day for totals in part.totals.values() for day in totals if not part.has(day)}
    calendar = scope.calendar
    inside = [day for day in days if scope.window.holds(calendar.day_start_ms(day))]
    if not inside:
        return None
    return calendar.day_start_ms(min(inside)), calendar.day_start_ms(max(inside) + 1) - 1


def filled_in(
    scope: Scope, metric: Metric, rows: Callable[[], Sequence[Row]], own: Own
) -> dict[int, float | int | str]:
    """Return what totals make of rows that reach days which the own records do not have.

    Args:
        scope: the question.
        metric: one of its metrics.
        rows: gives the rows; most questions have none that totals could speak of, and are not made to list them.
        own: gives the own value of a sum in every row.

    Returns:
        number of the row -> its value, or as text the reason why it has none; rows that are not there stay as they are.
    """
    parts = _parts(scope, metric)
    if parts is None or not any(part.totals for part in parts):
        return {}
    found: dict[int, float | int | str] = {}
    for number, row in enumerate(rows()):
        sums = [_sum(scope, part, row, number, own) for part in parts]
        outcomes = {outcome for _, outcome in sums}
        if outcomes == {_OWN} or _NOT_TOLD in outcomes:
            continue
        values = [value for value, _ in sums]
        if _NO_DETAIL in outcomes:
            found[number] = _NO_DETAIL
        elif isinstance(metric.formula, Ratio):
            top, bottom = values[0] * metric.formula.times, values[1] * metric.formula.per
            found[number] = top / bottom if bottom else "zero_divisor"
        else:
            found[number] = values[0]
    return found


def _sum(scope: Scope, part: _Part, row: Row, number: int, own: Own) -> tuple[int, str]:
    """Return a sum over a row, and where it is from."""
    calendar = scope.calendar
    known = part.totals.get(row.slice)
    if not known:
        return 0, _NOT_TOLD
    # Before the first total there is no source, as before the first record.
    first = min(known) if row.begin_ms is None else max(min(known), calendar.day_of(row.begin_ms))
    days = range(first, calendar.day_of(min(row.end_ms, scope.now_ms + 1) - 1) + 1)
    begun = None if part.first_own is None else part.first_own - 1
    # Of the day on which the own records began they have a part; it counts where no total has all of it.
    missing = [day for day in days if not part.has(day) and (day != begun or day in known)]
    if not missing:
        return own(part.formula, None)[number], _OWN
    if not known.keys() >= set(missing):
        return 0, _NOT_TOLD if len(missing) == len(days) and known.keys().isdisjoint(missing) else _NO_DETAIL
    if len(days) > 1 and not part.adds_days:
        return 0, _NO_DETAIL
    value = sum(known[day] for day in missing)
    if len(missing) < len(days):
        value += own(part.formula, None)[number]
        value -= own(part.formula, begun)[number] if begun in missing else 0
    return round(value), _FILLED_IN


def _parts(scope: Scope, metric: Metric) -> list[_Part] | None:
    """Return the sums of a metric; None when totals cannot answer it in this scope."""
    formula = metric.formula
    sums = [formula] if isinstance(formula, Total) else []
    if (
        isinstance(formula, Ratio)
        and isinstance(formula.numerator, Total)
        and isinstance(formula.divisor, Total)
    ):
        sums = [formula.numerator, formula.divisor]
    asked = {*scope.by, *(dim for dim, _ in scope.where)}
    if not sums or not asked <= _BY or any(one not in _BASES for one in sums):
        return None
    if not scope.columns.totals(scope.shop.shop_id).history().height:
        return None
    return [_part(scope, one) for one in sums]


def _part(scope: Scope, formula: Total) -> _Part:
    columns, shop_id, calendar = scope.columns, scope.shop.shop_id, scope.calendar
    by_day = columns.totals(shop_id).history_by_day(_BASES[formula])
    measures = list(measures_of(formula))
    since = [fed_since_ms(columns, shop_id, measure.topic) for measure in measures]
    began = max((at_ms for at_ms in since if at_ms is not None), default=None)
    first_own: int | None = None
    if began is not None and None not in since:
        day = calendar.day_of(began)
        first_own = day if calendar.day_start_ms(day) == began else day + 1
    traffic = any(measure.frame is Frame.TRAFFIC for measure in measures)
    gone = frozenset(columns.days_gone(shop_id, began)) if traffic and began is not None else frozenset()
    adds_days = all(measure.adds_over is not AddsOver.NONE for measure in measures)
    return _Part(formula, by_day, first_own, gone, adds_days)


def on_day(scope: Scope, day: int) -> Scope:
    """Return the scope of one day of a question."""
    return dataclasses.replace(scope, days=frozenset({day}))
