"""Figures of the moment: stock, goals, freshness. No window changes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import polars as pl

from streams.errors import QueryError
from streams.goals import GoalProgress, campaign_end_gmv, goal_progress
from streams.money import to_minor
from streams.period_goals import PeriodGoal, period_goals
from streams.scope import TIME, Scope
from streams.stock_frame import WORST_FIRST, stock_frame
from streams.topics import SOURCE_TOPICS
from streams.windows import current_campaign

REFERENCE_TOPICS: Final = frozenset({"campaigns", "products", "shops", "heartbeats", "benchmarks"})
"""Topics whose silence says nothing: they hold no one's as-of back. New content, violations and counts of followers
come now and then."""

Figures = tuple[pl.DataFrame, dict[tuple[Any, ...], str]]
"""Key columns and `value`, and the reason of each value that is null."""


def stock_values(scope: Scope, columns_wanted: Sequence[str]) -> dict[str, Figures]:
    """Return stock figures by product, SKU or for the shop.

    Raises:
        QueryError: `needs_dimension` for a state or a time that a whole shop does not have.
    """
    if not scope.names:
        for column in columns_wanted:
            if column in {"stock_status", "hours_to_stockout"}:
                what = f"A whole shop has no {column}."
                raise QueryError(what, reason="needs_dimension", mend="Ask by=sku or by=product.")
    columns, shop, now_ms = scope.columns, scope.shop, scope.now_ms
    # A view asks by product and by SKU, of the same table.
    table = columns.once(
        ("stock", shop, now_ms), lambda: stock_frame(columns, shop, columns.settings.stock, as_of_ms=now_ms)
    )
    for dim, value in scope.where:
        table = table.filter(pl.col(_ID_OF[dim]) == value)
    keys = [pl.col(_ID_OF[dim]).alias(dim) for dim in scope.names]
    rows = table.select(
        pl.lit(0, dtype=pl.Int64()).alias(TIME),
        *keys,
        *(_STOCK[column][0].alias(column) for column in columns_wanted),
        pl.col("on_hand").is_null().alias(_NO_RECORD),
        (pl.col("horizon_end_ms") <= pl.col("as_of_ms")).alias(_OVER),
    )
    of_several = (_STOCK[column][1](pl.col(column)) for column in columns_wanted)
    groups = rows.group_by(scope.keys, maintain_order=True).agg(*of_several, pl.col(_NO_RECORD, _OVER).all())
    return {column: _figures(scope, groups, column) for column in columns_wanted}


def _figures(scope: Scope, groups: pl.DataFrame, column: str) -> Figures:
    """Return one figure of every group, and why it is null where it is."""
    values = groups.select(*scope.keys, pl.col(column).alias("value"))
    if column == "stock_status":
        values = values.with_columns(pl.col("value").replace_strict(_STATUS_AT, return_dtype=pl.String()))
    missing = groups.filter(pl.col(column).is_null()).select(*scope.keys, _NO_RECORD, _OVER)
    reasons = {}
    for *key, no_record, over in missing.iter_rows():
        after = column == "hours_to_stockout" and over
        reasons[tuple(key)] = "no_stock_record" if no_record else "after_campaign" if after else "not_selling"
    return values, reasons


_ID_OF: Final = {"sku": "sku_id", "product": "product_id"}
_NO_RECORD, _OVER = "_no_record", "_over"
_STATUS_AT: Final = {rank: status.value for rank, status in enumerate(WORST_FIRST)}


def _sum_known(values: pl.Expr) -> pl.Expr:
    return pl.when(values.count() > 0).then(values.sum())


_STOCK: Final[dict[str, tuple[pl.Expr, Callable[[pl.Expr], pl.Expr]]]] = {
    "stock_on_hand": (pl.col("on_hand"), _sum_known),
    "stock_status": (
        pl.col("status").replace_strict({status: rank for rank, status in _STATUS_AT.items()}),
        pl.Expr.min,
    ),
    "sell_velocity": (pl.col("velocity_per_h"), pl.Expr.sum),
    "hours_to_stockout": (pl.col("hours_to_stockout"), pl.Expr.min),
    "stock_horizon_hours": (pl.col("horizon_hours"), pl.Expr.max),
    "replenish_units": (pl.col("replenish_units"), pl.Expr.sum),
    "gmv_at_risk": (pl.col("gmv_at_risk_minor"), pl.Expr.sum),
}
"""A figure of one SKU, and what the figures of several make."""


def goal_values(scope: Scope, columns_wanted: Sequence[str]) -> dict[str, Figures]:
    """Return figures of the current campaign's goal, or of every campaign that has started; of week and quarter."""
    of_campaign = [column for column in columns_wanted if column in _GOAL]
    found = _campaign_values(scope, of_campaign) if of_campaign else {}
    for column in columns_wanted:
        if column in PERIODS:
            goal = period_goal(scope, column)
            share = None if goal is None or goal.progress_pct is None else goal.progress_pct / 100
            reasons = {} if share is not None else {(0,): "no_target"}
            found[column] = (figure_frame(scope, {(0,): share}), reasons)
    return found


PERIODS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "week": ("week", ("gmv", "orders")),
    "quarter": ("quarter", ("gmv",)),
}
"""By figure, kind of the period and what its goal may count, the first choice first by the order of goals."""


def period_goal(scope: Scope, column: str) -> PeriodGoal | None:
    """Return the goal that a figure of `PERIODS` is of; None where nothing set one."""
    kind, metrics = PERIODS[column]
    goals = period_goals(scope.columns, scope.shop, scope.columns.settings, as_of_ms=scope.now_ms)
    return next((each for each in goals if each.kind == kind and each.metric in metrics), None)


def _campaign_values(scope: Scope, columns_wanted: Sequence[str]) -> dict[str, Figures]:
    rows = goal_progress(scope.columns, scope.shop, as_of_ms=scope.now_ms)
    if not scope.names:
        present = current_campaign(scope.columns.campaigns(scope.shop.shop_id), scope.calendar, scope.now_ms)
        rows = [row for row in rows if present is not None and row.campaign_id == str(present.campaign_id)]
    found: dict[str, Figures] = {}
    for column in columns_wanted:
        figure, why_null = _GOAL[column]
        values: dict[tuple[Any, ...], Any] = {} if scope.names or rows else {(0,): None}
        reasons = dict.fromkeys(values, "no_target")
        for row in rows:
            key = (0, row.campaign_id) if scope.names else (0,)
            values[key] = figure(scope, row)
            if values[key] is None:
                reasons[key] = "no_target" if column == "pace" and row.target is None else why_null
        found[column] = (figure_frame(scope, values), reasons)
    return found


def _target(scope: Scope, row: GoalProgress) -> float | None:
    # A goal in orders or items is no money: lifted, so that the answer's division gives the count back.
    counted = row.target is not None and row.metric != "gmv"
    return to_minor(row.target or 0, scope.shop.currency) if counted else row.target


def _end_gmv(which: str) -> Callable[[Scope, GoalProgress], float | None]:
    def figure(scope: Scope, row: GoalProgress) -> float | None:
        end = campaign_end_gmv(scope.columns, scope.shop, row)
        return None if end is None else getattr(end, which)

    return figure


_GOAL: Final[dict[str, tuple[Callable[[Scope, GoalProgress], Any], str]]] = {
    "target": (_target, "no_target"),
    "progress": (lambda _, row: None if row.progress_pct is None else row.progress_pct / 100, "no_target"),
    "pace": (lambda _, row: None if row.pace_pct is None else row.pace_pct / 100, "nothing_due"),
    "end_gmv": (_end_gmv("mid"), "nothing_sold"),
    "end_gmv_low": (_end_gmv("low"), "nothing_sold"),
    "end_gmv_high": (_end_gmv("high"), "nothing_sold"),
}
"""By figure, how it is read off a campaign's progress, and why it is null where it is."""


def freshness_values(scope: Scope, column: str) -> Figures:
    """Return lag, as-of or records by topic and outcome."""
    values: dict[tuple[Any, ...], Any] = {}
    reasons: dict[tuple[Any, ...], str] = {}
    if column == "records":
        for topic, outcomes in scope.columns.outcomes().items():
            for outcome, records in outcomes.items():
                names = {"topic": topic, "outcome": str(outcome)}
                key = (0, *(names[dim] for dim in scope.names))
                values[key] = values.get(key, 0) + records
        return figure_frame(scope, values), reasons
    by_topic = bool(scope.names)
    marks: dict[str, int | None] = {}
    for topic in (topic.name for topic in SOURCE_TOPICS if topic.name not in REFERENCE_TOPICS):
        mark = scope.columns.watermark_ms(scope.shop.shop_id, topic)
        if mark is not None or topic in scope.shop.required_topics:
            marks[topic] = None if mark is None else min(mark, scope.now_ms)
    if not by_topic:
        required = [marks[topic] for topic in scope.shop.required_topics if topic in marks]
        known = [mark for mark in required if mark is not None]
        marks = {"": min(known) if known else None}
    for topic, mark in marks.items():
        key = (0, topic) if by_topic else (0,)
        values[key] = mark if mark is None or column == "as_of" else (scope.now_ms - mark) / 1000
        if mark is None:
            reasons[key] = "no_source"
    return figure_frame(scope, values), reasons


def figure_frame(scope: Scope, values: dict[tuple[Any, ...], Any]) -> pl.DataFrame:
    """Return values as key columns and `value`; a key is the row's time and the dimensions of its names."""
    columns: dict[str, Any] = {TIME: [key[0] for key in values]}
    for index, dim in enumerate(scope.names, start=1):
        columns[dim] = [key[index] for key in values]
    schema: dict[str, Any] = {TIME: pl.Int64(), **dict.fromkeys(scope.names, pl.String()), "value": None}
    columns["value"] = list(values.values())
    return pl.DataFrame(columns, schema=schema, strict=False)
