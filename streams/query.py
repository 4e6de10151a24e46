"""The semantic layer: metrics x dimensions x window x filter, over a board's columns.

Page, API, exporter, alerts and exports ask here, and none computes a metric by itself. Every value is exact or says its
error, every null has a reason, and what has no right answer is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from streams.answers import Answer
from streams.catalogue import Metric, Unit
from streams.cell_series import Series
from streams.empty_answers import why_nothing
from streams.errors import QueryError
from streams.formulas import Frame, Rank, measures_of
from streams.grid import GRAINS, labels
from streams.known_ids import unknown_filters
from streams.money import major, majors
from streams.own_metrics import known_metrics
from streams.query_compare import Table, clock_of, table_of
from streams.query_figures import REFERENCE_TOPICS
from streams.query_traffic import choose_cube
from streams.ranking import First, order_of
from streams.ready_made import feeds
from streams.request import Request, check_together, parse_request, unknown
from streams.scope import Scope
from streams.states import restated_by, state_of
from streams.unnamed_creators import NO_CARD, NOBODY
from streams.windows import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.columns import Columns

__all__ = ["Answer", "Request", "parse_request", "run"]

_ALONE_BY: Final = {"orders_by_status": "status", "metric_vs_benchmark_pct": "metric"}
"""A metric that, asked for alone and by nothing, is given by its own dimension."""


def run(columns: Columns, request: Request, *, now_ms: int) -> Answer:
    """Answer a question.

    Args:
        columns: what is known.
        request: checked by `parse_request`.
        now_ms: "now" (X-79): the wall clock live, a replay's own clock, a recording's last record.

    Raises:
        QueryError: no right answer exists; the message says which part of the question, and what would work.
    """
    scope, metrics = scope_of(columns, request, now_ms=now_ms)
    first = First(request.sort, request.limit)
    known = known_metrics(columns.settings)
    table = table_of(scope, metrics, request.compare, known, columns.beside, first)
    cells, series = table.cells, table.series
    sorted_by = series[first.sort].values if first.sort else None
    places = first.sort in known and isinstance(known[first.sort].formula, Rank)
    order = order_of(sorted_by, cells.height, first.limit, places=places)
    state = state_of(table.own, metrics)
    restated = restated_by(table.own, metrics) if state == "restated" else {}
    currency = scope.shop.currency
    nulls = _nulls(table, metrics, order)
    of_unknown = any("unknown_id" in reasons for reasons in nulls.values())
    return Answer(
        shop_id=scope.shop.shop_id,
        currency=currency,
        timezone=scope.shop.timezone,
        as_of_ms=scope.as_of_ms,
        window=scope.window.text,
        from_ms=scope.window.from_ms,
        to_ms=scope.window.to_ms,
        state=state,
        by=scope.by,
        metrics=request.metrics,
        rows=_rows(table, order),
        nulls=nulls,
        unknown=tuple(f"{dim}={value}" for dim, value in unknown_filters(scope)) if of_unknown else (),
        partial={
            name: rows
            for name, one in series.items()
            if one.partial and (rows := [row for row, index in enumerate(order) if index in one.partial])
        },
        coverage=table.coverage,
        relative_error=table.relative_error,
        since_ms=table.since_ms,
        of_skus="sku" in scope.needs,
        units={name: table.units[name] for name in table.series},
        comparison=table.comparison,
        restated={
            name: major(change, currency) if table.units[name] is Unit.MONEY else change
            for name, change in restated.items()
        },
    )


def scope_of(columns: Columns, request: Request, *, now_ms: int) -> tuple[Scope, list[Metric]]:
    """Return what a question is answered in, and its metrics; arguments and errors are those of `run`."""
    shop_id = _shop(columns, request.shop)
    known = known_metrics(columns.settings)
    for name in request.metrics:
        if name not in known:
            raise unknown(name, known, kind="metric")
    metrics = [known[name] for name in request.metrics]
    by = request.by
    if not by and len(metrics) == 1 and metrics[0].id in _ALONE_BY:
        by = (_ALONE_BY[metrics[0].id],)
    calendar = columns.calendar(shop_id)
    topics = {topic for metric in metrics for topic in metric.topics} - REFERENCE_TOPICS
    as_of_ms = columns.as_of_ms(shop_id, sorted(feeds(columns, shop_id, topics)), now_ms)
    shop = columns.shop(shop_id)
    clock = clock_of(columns, shop, now_ms=now_ms, as_of_ms=as_of_ms)
    window = resolve(request.window, clock)
    where = (*request.where, ("content", window.content)) if window.content else request.where
    check_together(where)
    scope = Scope(
        columns,
        shop,
        calendar,
        window,
        by,
        where,
        now_ms=now_ms,
        as_of_ms=as_of_ms,
        week_start=clock.week_start,
    )
    for metric in metrics:
        _check_dims(scope, metric)
    return scope, metrics


def _shop(columns: Columns, wanted: str) -> str:
    known = columns.shops()
    if wanted:
        if wanted not in known and wanted not in columns.settings.shops:
            raise unknown(wanted, known, kind="shop")
        return wanted
    if len(known) != 1:
        what = "The question names no shop, and there are several." if known else "No shop is known yet."
        mend = (
            f"Add shop= one of {', '.join(known)}."
            if known
            else "Name one in warroom.toml under [shops.<id>]."
        )
        raise QueryError(what, reason="shop_needed", mend=mend)
    return known[0]


def _check_dims(scope: Scope, metric: Metric) -> None:
    """Refuse dimensions that the metric does not have; traffic says which combination its cubes would give."""
    asked = [*scope.by, *(dim for dim, _ in scope.where)]
    allowed = metric.dims
    wrong = [dim for dim in asked if dim not in allowed]
    if not wrong:
        return
    means = metric.unit is Unit.PEOPLE_PER_DAY or "no_finished_day" in metric.null_reasons
    if not means:
        for measure in measures_of(metric.formula):
            if measure.frame is Frame.TRAFFIC:
                choose_cube(scope, measure, metric.id)
    what = f"{metric.id} cannot be asked by {', '.join(dict.fromkeys(wrong))}."
    near = [dim for dim in scope.by if dim in allowed]
    mend = (
        f"The nearest that works is by={','.join(near)}."
        if near
        else f"It has: {', '.join(allowed) or 'none'}."
    )
    raise QueryError(what, reason="no_such_dimension", mend=mend)


def _rows(table: Table, order: list[int]) -> list[dict[str, Any]]:
    cells, scope = table.cells, table.cells.scope
    columns: dict[str, list[Any]] = {}
    for dim in scope.by:
        if dim in GRAINS:
            names = labels(scope.calendar, dim, cells.times, week_start=scope.week_start)
            texts = dict(zip(cells.times, names, strict=True))
            columns[dim] = [texts[at_ms] for at_ms in cells.row_times]
        else:
            columns[dim] = cells.names[dim]
            if dim == "creator":
                columns[dim] = [None if name == NOBODY else name for name in columns[dim]]
    for name, one in table.series.items():
        columns[name] = one.values
        if table.units[name] is Unit.MONEY:
            columns[name] = majors(one.values, scope.shop.currency)
    return [{name: values[index] for name, values in columns.items()} for index in order]


def _nulls(table: Table, metrics: Sequence[Metric], order: list[int]) -> dict[str, dict[str, list[int]]]:
    if not table.cells.height:
        why = {metric.id: why_nothing(table.cells.scope, metric) for metric in metrics}
        return {name: {reason: []} for name, reason in why.items() if reason is not None}
    nulls = {name: found for name, one in table.series.items() if (found := _by_reason(one, order))}
    creators = table.cells.names.get("creator", ())
    if NOBODY in creators and (of_nobody := [row for row, at in enumerate(order) if creators[at] == NOBODY]):
        nulls["creator"] = {NO_CARD: of_nobody}
    return nulls


def _by_reason(series: Series, order: list[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    if not series.reasons:
        return found
    for row, index in enumerate(order):
        reason = series.reasons.get(index)
        if reason is not None:
            found.setdefault(reason, []).append(row)
    return found
