"""What an explanation says of the other side: the figures of a comparison, and the two that a comparison is made of."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from streams.benchmarks import GROUPS
from streams.comparison import CHANGE, COMPARED, DIFFERENCE
from streams.explain_parts import Composition, Part, shown
from streams.explain_words import why_null
from streams.formulas import CompareFigure, describe
from streams.metric import Unit
from streams.metrics_compare import BENCHMARK_DIMS
from streams.money import major
from streams.query_compare import month_of, table_of
from streams.states import state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.metric import Metric
    from streams.query_compare import Table
    from streams.scope import Scope


def comparison_of(table: Table, metric: Metric, index: int, scope: Scope) -> dict[str, Any] | None:
    """Return the other side of a cell; None where the question compares with nothing.

    Args:
        table: of the question, with the columns of its comparison.
        metric: whose cell it is; of one that is a comparison itself only the other side's days are said.
        index: of the row.
        scope: of the question.
    """
    if not table.comparison:
        return None
    said = {**table.comparison, "through_ms": through_ms(table, metric)}
    if metric.is_comparison:
        return said
    for name, suffix in (("compared", COMPARED), ("difference", DIFFERENCE), ("pct", CHANGE)):
        column = metric.id + suffix
        value, reason = table.series[column].values[index], table.series[column].reasons.get(index, "")
        is_money = table.units[column] is Unit.MONEY and value is not None
        said[name] = major(value, scope.shop.currency) if is_money else value
        said[f"{name}_shown"] = shown(said[name], table.units[column], scope.shop, reason)
        if name == "compared":
            said["null"] = why_null(reason, metric.topics) if value is None else None
    return said


def through_ms(table: Table, metric: Metric) -> int | None:
    """Return where both sides end for a metric; None where its window itself ends there."""
    found: dict[str, int] = table.comparison.get("through_ms", {})
    return found.get(metric.id)


def composed(scope: Scope, metric: Metric, compare: str, known: Mapping[str, Metric]) -> Composition:
    """Return the two figures of which a metric that is a comparison itself is made; none where it has one alone.

    Args:
        scope: of the cell, its dimensions as filters.
        metric: whose value is not null.
        compare: of the question.
        known: the catalogue with the seller's own metrics.
    """
    formula = metric.formula
    assert isinstance(formula, CompareFigure)  # noqa: S101 # whoever calls has looked
    words = describe(formula)
    of = formula.of or dict(scope.where).get("metric", "")
    if formula.column == "benchmark_age" or of not in known:
        return Composition(words)
    asked = dataclasses.replace(scope.without(BENCHMARK_DIMS), by=())
    if formula.column == "month":
        asked, compare = month_of(asked), "previous"
    elif formula.column == "benchmark":
        compare = f"benchmark:{dict(scope.where).get('group', GROUPS[0])}"
    table = table_of(asked, (known[of],), compare, known, scope.columns.beside)
    unit, currency = known[of].unit, scope.shop.currency
    values = [table.series[column].values[0] for column in (of, of + COMPARED)]
    if unit is Unit.MONEY:
        values = [None if value is None else major(value, currency) for value in values]
    texts = [shown(value, unit, scope.shop) for value in values]
    sides = ((of, state_of(asked, (known[of],))), (f"{of} of the other side", ""))
    parts = tuple(
        Part(name, value, unit, scope.as_of_ms, state)
        for (name, state), value in zip(sides, values, strict=True)
    )
    return Composition(words, f"({texts[0]} - {texts[1]}) / {texts[1]}", parts)
