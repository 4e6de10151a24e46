"""Figures that are worked out as a whole, not from base measures: stock, goals, labels, levels of the audience."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from streams.formulas import (
    AdderFigure,
    AudienceFigure,
    CompareFigure,
    FreshnessFigure,
    GoalFigure,
    LabelFigure,
    LossFigure,
    StockFigure,
)
from streams.query_adders import adder_values
from streams.query_audience import audience_values
from streams.query_figures import Figures, freshness_values, goal_values, stock_values
from streams.query_labels import label_values
from streams.query_losses import loss_values

if TYPE_CHECKING:
    from streams.catalogue import Metric
    from streams.formulas import Formula
    from streams.scope import Scope

FIGURES: Final = (
    AdderFigure,
    AudienceFigure,
    CompareFigure,
    FreshnessFigure,
    GoalFigure,
    LabelFigure,
    LossFigure,
    StockFigure,
)
"""Formulas of such figures."""


@dataclass(slots=True)
class FigureValues:
    """Figures by metric id: key columns and `value` with reasons for null; coverage and error of people."""

    values: dict[str, Figures] = field(default_factory=dict)
    coverage: dict[str, float] = field(default_factory=dict)
    relative_error: dict[str, float] = field(default_factory=dict)


def figure_values(scope: Scope, metrics: Sequence[Metric]) -> FigureValues:
    """Return the figures among the metrics."""
    found = FigureValues()
    stock = [metric.id for metric in metrics if isinstance(metric.formula, StockFigure)]
    if stock:
        found.values |= stock_values(scope, stock)
    goals = {metric.id: metric.formula.column for metric in metrics if isinstance(metric.formula, GoalFigure)}
    if goals:
        values = goal_values(scope, list(goals.values()))
        found.values |= {name: values[column] for name, column in goals.items()}
    for metric in metrics:
        formula = metric.formula
        if isinstance(formula, AdderFigure):
            adders = adder_values(scope, metric)
            found.values[metric.id] = adders.figures
            if adders.coverage is not None:
                found.coverage[metric.id] = adders.coverage
            if adders.relative_error:
                found.relative_error[metric.id] = adders.relative_error
        elif isinstance(formula, LossFigure):
            found.values[metric.id] = loss_values(scope)
        elif isinstance(formula, FreshnessFigure):
            found.values[metric.id] = freshness_values(scope, formula.column)
        elif isinstance(formula, LabelFigure):
            found.values[metric.id] = label_values(scope, metric, formula.column)
        elif isinstance(formula, AudienceFigure):
            found.values[metric.id] = audience_values(scope, metric, formula.column)
    return found


def missing_reason(formula: Formula) -> str:
    """Return why a row is null that a figure does not speak of."""
    if isinstance(formula, GoalFigure):
        return "no_target"
    if isinstance(formula, AdderFigure):
        return "zero_divisor"
    if isinstance(formula, CompareFigure):
        return "no_benchmark"
    return "not_told" if isinstance(formula, (LabelFigure, AudienceFigure)) else "not_in_stock_feed"
