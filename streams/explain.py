"""Explain a cell: formula and figures, what it counts, what became of the records, which they are, how to ask again.

The value is that of `streams.query`, and so is every part of it: nothing is computed here.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from streams.catalogue import DIMENSIONS, METRICS
from streams.days import MINUTE_MS
from streams.errors import QueryError
from streams.explain_compared import comparison_of, composed, through_ms
from streams.explain_figures import figure_parts
from streams.explain_parts import Composition, Part, composition, instant, shown
from streams.explain_records import records_of
from streams.explain_sources import outcomes_of
from streams.explain_words import query_lines, why_null
from streams.formulas import CompareFigure, DailyMean, Now, Rank, Recent, describe, measures_of
from streams.grid import GRAINS, end_of, labels
from streams.leaves import Leaves
from streams.metric import Unit
from streams.min_group import NOBODY_NAMED, TOO_FEW, guards
from streams.money import major
from streams.own_metrics import known_metrics
from streams.query import scope_of
from streams.query_compare import table_of
from streams.ready_made import fed_since_ms
from streams.request import NEXT_PAIR, PARAMETERS, Request, parse_request, unknown
from streams.scope import CLOSED
from streams.states import state_of
from streams.windows import Window

if TYPE_CHECKING:
    from streams.columns import Columns
    from streams.metric import Metric
    from streams.query_compare import Table
    from streams.scope import Scope

EXPLAIN_PARAMETERS: Final = {
    "metric": "one id from docs/METRICS.md",
    "by": "dimensions of the row, comma separated; those of `row` when not named",
    "row": "which row: dimension=value, several joined by comma",
    **{name: PARAMETERS[name] for name in ("window", "compare", "where", "shop")},
}
"""Names of the question of which cell, as the API and the command line take them."""

_UNFILTERED: Final = frozenset({*GRAINS, *CLOSED, "topic", "outcome", "campaign", "metric"})
"""Dimensions that a row has and a filter cannot have: the question that gives the cell again has all of their rows."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Which cell is asked about.

    Attributes:
        request: the question that has it among its rows; one metric.
        row: (dimension, value) of its row, in the order of `request.by`.
    """

    request: Request
    row: tuple[tuple[str, str], ...]


def parse_explain(
    params: Mapping[str, str | Sequence[str]], *, known: Mapping[str, Metric] = METRICS
) -> Cell:
    """Return the cell that parameters ask about.

    Raises:
        QueryError: as `parse_request`; `one_metric`, `bad_row`, `needs_row`.
    """
    for name in params:
        if name not in EXPLAIN_PARAMETERS:
            raise unknown(name, EXPLAIN_PARAMETERS, kind="parameter")
    row = _row(params.get("row", ()))
    question = {name: value for name, value in params.items() if name not in ("metric", "row")}
    if not question.get("by"):
        question["by"] = list(row)
    request = parse_request({"metrics": params.get("metric", ""), **question}, known=known)
    if len(request.metrics) != 1:
        what = f"An explanation is of one metric, not of {len(request.metrics)}."
        raise QueryError(what, reason="one_metric", mend=f"Write metric={request.metrics[0]}.")
    if set(row) != set(request.by):
        missing = [dim for dim in request.by if dim not in row]
        odd = [dim for dim in row if dim not in request.by]
        if missing:
            what = f"The question does not say which row: {', '.join(missing)} is missing."
            example = ",".join(
                [*(f"{dim}={value}" for dim, value in row.items()), *(f"{dim}=..." for dim in missing)]
            )
            raise QueryError(what, reason="needs_row", mend=f"Write row={example}.")
        what = f"The row names {', '.join(odd)}, which the question is not by."
        raise QueryError(what, reason="bad_row", mend=f"Add {', '.join(odd)} to by, or leave by out.")
    return Cell(request, tuple((dim, row[dim]) for dim in request.by))


def explain(
    columns: Columns,
    cell: Cell,
    *,
    now_ms: int,
    place: Sequence[str] = ("--url", "URL"),
    at: int | None = None,
) -> dict[str, Any]:
    """Return the explanation of a cell, as the JSON of the API and of `warroom explain --json`.

    Args:
        columns: what is known.
        cell: checked by `parse_explain`.
        now_ms: as `streams.query.run` takes it.
        place: of the command that gives the cell again, whom it asks.
        at: instant of a recording that the columns were read up to.

    Raises:
        QueryError: as `run`; `no_such_row` when the answer has no such row, with the nearest that it has.
    """
    known = known_metrics(columns.settings)
    scope, (metric,) = scope_of(columns, cell.request, now_ms=now_ms)
    if len(scope.by) > len(cell.row):
        dims = ", ".join(scope.by)
        what = f"{metric.id} is given by {dims}, and the question does not say which."
        raise QueryError(what, reason="needs_row", mend=f"Write row={scope.by[0]}=...")
    compare = cell.request.compare
    table = table_of(scope, (metric,), compare, known, columns.beside)
    index = _index(table, scope, cell.row)
    series = table.series[metric.id]
    currency = scope.shop.currency
    value, reason = series.values[index], series.reasons.get(index, "")
    unit = metric.unit
    if unit is Unit.MONEY and value is not None:
        value = major(value, currency)
    own = _narrowed(table, cell.row, index, through_ms(table, metric))
    if isinstance(metric.formula, CompareFigure):
        made = Composition("") if value is None else composed(own, metric, compare, known)
    else:
        made = _composition(own, metric, known)
    # What a group of a few is not shown as, neither its figures nor its records may tell.
    withheld = guards(own, metric.formula) and reason in (TOO_FEW, NOBODY_NAMED)
    if withheld:
        made = Composition(made.words)
    as_of = instant(scope.as_of_ms, scope.shop.timezone)
    texts = [metric.id, made.words, made.figures, shown(value, unit, scope.shop, reason)]
    return {
        "metric": metric.id,
        "title": metric.title,
        "own": metric.is_own,
        "unit": unit.value,
        "value": value,
        "line": " = ".join(dict.fromkeys(text for text in texts if text)),
        "null": why_null(reason, _waited_for(scope, metric)) if value is None else None,
        "partial": index in series.partial,
        "row": dict(cell.row),
        "shop": scope.shop.shop_id,
        "currency": currency,
        "timezone": scope.shop.timezone,
        "window": scope.window.text,
        "from_ms": own.window.from_ms,
        "to_ms": own.window.to_ms,
        "as_of_ms": scope.as_of_ms,
        "as_of": as_of,
        "state": state_of(own, (metric,)),
        "comparison": comparison_of(table, metric, index, scope),
        "definition": metric.definition,
        "not_counted": metric.not_counted,
        "advice": metric.advice,
        "sources_of_definition": metric.sources,
        "formula": describe(metric.formula),
        "parts": [_part_document(part, scope) for part in made.parts],
        "coverage": table.coverage.get(metric.id),
        "relative_error": table.relative_error.get(metric.id),
        "outcomes": outcomes_of(scope, metric),
        "sources": [
            dataclasses.asdict(source)
            for source in ([] if withheld else records_of(_counted(own, metric), metric, known))
        ],
        "query": query_lines(_again(cell, scope, metric, at), place),
    }


def _composition(scope: Scope, metric: Metric, known: Mapping[str, Metric]) -> Composition:
    parts = figure_parts(scope, metric)
    if parts is not None:
        return Composition(describe(metric.formula), "", parts)
    return composition(scope, metric, known)


def _waited_for(scope: Scope, metric: Metric) -> list[str]:
    """Return the topics that a metric needs and that nothing feeds; all of its topics where something feeds each."""
    shop_id = scope.shop.shop_id
    silent = [topic for topic in metric.topics if fed_since_ms(scope.columns, shop_id, topic) is None]
    return silent or list(metric.topics)


# -- which cell -----------------------------------------------------------------------------------------------------


def _row(value: str | Sequence[str]) -> dict[str, str]:
    texts = [value] if isinstance(value, str) else value
    row: dict[str, str] = {}
    for text in (part for whole in texts for part in NEXT_PAIR.split(whole) if part.strip()):
        dim, equals, wanted = text.partition("=")
        dim = dim.strip()
        if not equals:
            what = f"{text[:100]!r} does not say which row."
            raise QueryError(
                what, reason="bad_row", mend="Write for example row=day=2011-11-25,product=85123A."
            )
        if dim not in DIMENSIONS:
            raise unknown(dim, DIMENSIONS, kind="dimension")
        # In an address a plus sign means a space: an offset such as +01:00 is one all the same.
        row[dim] = wanted.strip().replace(" ", "+") if dim in GRAINS else wanted
    return row


def _names(table: Table, scope: Scope) -> dict[str, list[str]]:
    """Return the text of every dimension in every row, as the answer has it."""
    cells = table.cells
    found = {}
    for dim in scope.by:
        if dim in GRAINS:
            texts = labels(scope.calendar, dim, cells.row_times, week_start=scope.week_start)
        else:
            texts = [str(name) for name in cells.names[dim]]
        found[dim] = texts
    return found


def _index(table: Table, scope: Scope, row: Sequence[tuple[str, str]]) -> int:
    names = _names(table, scope)
    rows: list[tuple[str, ...]] = list(zip(*names.values(), strict=True)) if names else [()]
    wanted = tuple(dict(row)[dim] for dim in scope.by)
    if wanted in rows:
        return rows.index(wanted)
    text = ", ".join(f"{dim}={value}" for dim, value in row)
    what = f"The answer has no row {text[:200]}: nothing is counted there in the window {scope.window.text}."
    wrong = next((dim for dim, value in row if value not in names[dim]), None)
    if not rows:
        mend = "It has no rows at all; ask for another window."
    elif wrong is None:
        mend = "Each of them has rows, but not together."
    else:
        known = list(dict.fromkeys(names[wrong]))
        near = difflib.get_close_matches(dict(row)[wrong][:100], known, n=3, cutoff=0.5) or known[:5]
        named = [name or "empty (no record names it)" for name in near]
        mend = f"Rows of {wrong} are {', '.join(named)}."
    raise QueryError(what, reason="no_such_row", mend=mend)


def _narrowed(table: Table, row: Sequence[tuple[str, str]], index: int, through_ms: int | None) -> Scope:
    """Return the scope of the cell alone: its span of time, at most to where both sides end, its names as filters."""
    scope = table.own
    window = scope.window
    if through_ms is not None and (window.to_ms is None or through_ms < window.to_ms):
        window = dataclasses.replace(window, to_ms=through_ms)
    grain = scope.grain
    if grain is not None:
        start = table.cells.row_times[index]
        end = end_of(scope.calendar, grain, start, week_start=scope.week_start)
        window = dataclasses.replace(
            window,
            from_ms=start if window.from_ms is None else max(start, window.from_ms),
            to_ms=end if window.to_ms is None else min(end, window.to_ms),
        )
    where = (*scope.where, *((dim, value) for dim, value in row if dim not in GRAINS))
    return dataclasses.replace(scope, by=(), where=tuple(dict.fromkeys(where)), window=window)


def _counted(scope: Scope, metric: Metric) -> Scope:
    """Return the scope whose records a metric counts, where its formula has days or a window of its own."""
    formula = metric.formula
    if isinstance(formula, DailyMean):
        days, _ = Leaves(scope, ()).mean_days(next(measures_of(formula)).topic)
        return dataclasses.replace(scope, days=days)
    if isinstance(formula, Now):
        return dataclasses.replace(scope, window=Window("all", None, None))
    if isinstance(formula, Recent):
        topic = next(measures_of(formula)).topic
        as_of_ms = scope.columns.as_of_ms(scope.shop.shop_id, (topic,), scope.now_ms)
        end = as_of_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS
        minutes = formula.minutes
        return dataclasses.replace(scope, window=Window(f"last:{minutes}m", end - minutes * MINUTE_MS, end))
    return scope


def _again(cell: Cell, scope: Scope, metric: Metric, at: int | None) -> dict[str, str | Sequence[str]]:
    """Return the question that has the cell among its rows, and few others."""
    request = cell.request
    filters = list(request.where)
    # A place is one among all rows: alone everybody is the first.
    if not isinstance(metric.formula, Rank):
        filters += [(dim, value) for dim, value in cell.row if dim not in _UNFILTERED]
    return {
        "metrics": metric.id,
        "by": ",".join(scope.by),
        "window": request.window,
        "compare": request.compare,
        "where": [f"{dim}={value}" for dim, value in dict.fromkeys(filters)],
        "shop": request.shop,
        "at": "" if at is None else str(at),
    }


# -- the document ---------------------------------------------------------------------------------------------------


def _part_document(part: Part, scope: Scope) -> dict[str, Any]:
    return {
        "name": part.name,
        "value": part.value,
        "shown": shown(part.value, part.unit, scope.shop, part.reason),
        "unit": part.unit.value,
        "as_of_ms": part.as_of_ms,
        "as_of": instant(part.as_of_ms, scope.shop.timezone),
        "state": part.state,
        "reason": part.reason,
        "parts": [_part_document(inner, scope) for inner in part.parts],
    }
