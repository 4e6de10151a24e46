"""Figures behind what is worked out as a whole: the rows of the stock table, a goal, a topic's marks, page viewers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from streams.explain_goals import campaign_of
from streams.explain_parts import Part
from streams.figures import FIGURES
from streams.formulas import AdderFigure, AudienceFigure, FreshnessFigure, GoalFigure, LossFigure, StockFigure
from streams.goals import GoalProgress, goal_progress
from streams.metric import Metric, Unit
from streams.money import major
from streams.page_adders import product_days
from streams.query_audience import push_parts
from streams.query_figures import PERIODS, period_goal
from streams.stock import stock_table

if TYPE_CHECKING:
    from streams.period_goals import PeriodGoal
    from streams.scope import Scope


def figure_parts(scope: Scope, metric: Metric) -> tuple[Part, ...] | None:
    """Return the figures behind a figure; None for a metric that is made of sums."""
    formula = metric.formula
    if not isinstance(formula, FIGURES):
        return None
    found: list[tuple[str, Any, Unit]] = []
    if isinstance(formula, (StockFigure, LossFigure)):
        found = _stock(scope)
    elif isinstance(formula, GoalFigure):
        found = _goal(scope, formula)
    elif isinstance(formula, FreshnessFigure):
        found = _marks(scope, formula.column)
    elif isinstance(formula, AdderFigure):
        found = _adders(scope)
    elif isinstance(formula, AudienceFigure) and formula.column == "push_lift":
        found = _pushes(scope, metric)
    state = "provisional" if metric.windows == "now" else ""
    return tuple(Part(name, value, unit, scope.as_of_ms, state) for name, value, unit in found)


def _stock(scope: Scope) -> list[tuple[str, Any, Unit]]:
    table = stock_table(scope.columns, scope.shop, scope.columns.settings.stock, as_of_ms=scope.now_ms)
    for dim, value in scope.where:
        if dim in ("sku", "product"):
            table = [row for row in table if (row.sku_id if dim == "sku" else row.product_id) == value]
    currency = scope.shop.currency
    if len(table) != 1:
        return [
            ("SKUs", len(table), Unit.COUNT),
            ("units on hand", sum(row.on_hand or 0 for row in table), Unit.UNITS),
            ("units an hour", sum(row.velocity_per_h for row in table), Unit.UNITS_PER_HOUR),
            ("units expected until the horizon", sum(row.demand_units for row in table), Unit.UNITS),
            ("GMV at risk", major(sum(row.gmv_at_risk_minor for row in table), currency), Unit.MONEY),
        ]
    (row,) = table
    return [
        ("units on hand", row.on_hand, Unit.UNITS),
        ("time of the stock record", row.stock_as_of_ms, Unit.INSTANT),
        ("status", str(row.status), Unit.STATUS),
        ("units an hour", row.velocity_per_h, Unit.UNITS_PER_HOUR),
        ("hours to the horizon", row.horizon_hours, Unit.HOURS),
        ("units expected until the horizon", row.demand_units, Unit.UNITS),
        ("hours to out of stock", row.hours_to_stockout, Unit.HOURS),
        ("mean price paid", major(row.price_minor, currency), Unit.MONEY),
        ("GMV at risk", major(row.gmv_at_risk_minor, currency), Unit.MONEY),
    ]


def _goal(scope: Scope, figure: GoalFigure) -> list[tuple[str, Any, Unit]]:
    row: GoalProgress | PeriodGoal | None
    if figure.column in PERIODS:
        row = period_goal(scope, figure.column)
    else:
        campaign = campaign_of(scope)
        rows = goal_progress(scope.columns, scope.shop, as_of_ms=scope.now_ms)
        wanted = None if campaign is None else str(campaign.campaign_id)
        row = next((row for row in rows if row.campaign_id == wanted), None)
    if row is None:
        return []
    money = row.metric == "gmv"
    unit, currency = (Unit.MONEY, scope.shop.currency) if money else (Unit.COUNT, "")
    lowered = (
        (lambda value: None if value is None else major(value, currency)) if money else (lambda value: value)
    )
    found = [
        (f"{row.metric} so far", lowered(row.value), unit),
        ("goal", lowered(row.target), unit),
        ("share expected by now", row.expected_share, Unit.RATE),
        (f"basis: {row.basis}", row.reference or row.basis, Unit.STATUS),
        ("projected end", lowered(row.projected), unit),
    ]
    if isinstance(row, GoalProgress):
        found.append(("needed an hour", lowered(row.needed_per_h), unit))
    return found


def _marks(scope: Scope, column: str) -> list[tuple[str, Any, Unit]]:
    topics = [value for dim, value in scope.where if dim == "topic"]
    outcomes = [value for dim, value in scope.where if dim == "outcome"]
    if column == "records":
        return [
            (f"{topic} {outcome}", records, Unit.COUNT)
            for topic, found in scope.columns.outcomes().items()
            if not topics or topic in topics
            for outcome, records in found.items()
            if not outcomes or str(outcome) in outcomes
        ]
    found = [
        (f"{topic} complete up to", scope.columns.watermark_ms(scope.shop.shop_id, topic), Unit.INSTANT)
        for topic in topics or scope.shop.required_topics
    ]
    return [*found, ("now", scope.now_ms, Unit.INSTANT)]


def _adders(scope: Scope) -> list[tuple[str, Any, Unit]]:
    calendar, window = scope.calendar, scope.window
    first = None if window.from_ms is None else calendar.day_of(window.from_ms)
    last = None if window.to_ms is None else calendar.day_of(window.to_ms - 1)
    product = next((value for dim, value in scope.where if dim == "product"), None)
    days = product_days(scope.columns, scope.shop.shop_id, first, last, product)
    sums = days.select(pl.col("viewers", "both", "events", "keyed").sum()).row(0, named=True)
    return [
        ("people who viewed the page and added", round(sums["both"]), Unit.PERSON_DAYS),
        ("people who viewed the page", round(sums["viewers"]), Unit.PERSON_DAYS),
        ("page views and presses", int(sums["events"]), Unit.COUNT),
        ("of them with user_key", int(sums["keyed"]), Unit.COUNT),
    ]


def _pushes(scope: Scope, metric: Metric) -> list[tuple[str, Any, Unit]]:
    return [
        (f"{what} in the hours {when}", getattr(parts, f"{field}_{when}"), Unit.COUNT)
        for parts in push_parts(scope, metric.id).values()
        for when in ("before", "after")
        for field, what in (("sold", "orders of SKUs"), ("clicks", "clicks on the products"))
    ]
