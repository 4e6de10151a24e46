"""Figures of the moment: stock, goals, freshness. No window changes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import polars as pl

from streams.errors import QueryError
from streams.goals import goal_progress
from streams.money import to_minor
from streams.scope import TIME, Scope
from streams.stock import SkuStock, StockStatus, stock_table
from streams.topics import SOURCE_TOPICS
from streams.windows import current_campaign

STATUS_RANK: Final = (
    StockStatus.OUT_OF_STOCK,
    StockStatus.AT_RISK,
    StockStatus.UNKNOWN,
    StockStatus.HEALTHY,
)
"""Worst first: a product takes its worst SKU, and sorting by stock_status puts the worst on top."""

REFERENCE_TOPICS: Final = frozenset({"campaigns", "products", "shops", "heartbeats"})
"""Topics whose silence says nothing: they hold no one's as-of back."""

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
    table = stock_table(scope.columns, scope.shop, scope.columns.settings.stock, as_of_ms=scope.now_ms)
    for dim, value in scope.where:
        table = [row for row in table if (row.sku_id if dim == "sku" else row.product_id) == value]
    groups: dict[tuple[Any, ...], list[SkuStock]] = {}
    for row in table:
        names = {"sku": row.sku_id, "product": row.product_id}
        groups.setdefault((0, *(names[dim] for dim in scope.names)), []).append(row)
    found: dict[str, Figures] = {}
    for column in columns_wanted:
        figure = _STOCK[column]
        values = {key: figure(rows) for key, rows in groups.items()}
        reasons = {key: _why_null(column, groups[key]) for key, value in values.items() if value is None}
        found[column] = (figure_frame(scope, values), reasons)
    return found


def _sum_known(rows: Sequence[SkuStock]) -> int | None:
    known = [row.on_hand for row in rows if row.on_hand is not None]
    return sum(known) if known else None


def _soonest(rows: Sequence[SkuStock]) -> float | None:
    return min((row.hours_to_stockout for row in rows if row.hours_to_stockout is not None), default=None)


_STOCK: Final[dict[str, Callable[[Sequence[SkuStock]], Any]]] = {
    "stock_on_hand": _sum_known,
    "stock_status": lambda rows: str(min((row.status for row in rows), key=STATUS_RANK.index)),
    "sell_velocity": lambda rows: sum(row.velocity_per_h for row in rows),
    "hours_to_stockout": _soonest,
    "stock_horizon_hours": lambda rows: max(row.horizon_hours for row in rows),
    "replenish_units": lambda rows: sum(row.replenish_units for row in rows),
    "gmv_at_risk": lambda rows: sum(row.gmv_at_risk_minor for row in rows),
}


def _why_null(column: str, rows: Sequence[SkuStock]) -> str:
    if all(row.on_hand is None for row in rows):
        return "no_stock_record"
    if column == "hours_to_stockout" and all(row.horizon_end_ms <= row.as_of_ms for row in rows):
        return "after_campaign"
    return "not_selling"


def goal_values(scope: Scope, columns_wanted: Sequence[str]) -> dict[str, Figures]:
    """Return goal and progress of the current campaign, or of every campaign that has started."""
    rows = goal_progress(scope.columns, scope.shop, as_of_ms=scope.now_ms)
    if not scope.names:
        present = current_campaign(scope.columns.campaigns(scope.shop.shop_id), scope.calendar, scope.now_ms)
        rows = [row for row in rows if present is not None and row.campaign_id == str(present.campaign_id)]
    found: dict[str, Figures] = {}
    for column in columns_wanted:
        values: dict[tuple[Any, ...], Any] = {} if scope.names or rows else {(0,): None}
        for row in rows:
            key = (0, row.campaign_id) if scope.names else (0,)
            if column == "progress":
                values[key] = None if row.progress_pct is None else row.progress_pct / 100
            else:
                # A goal in orders or items is no money: lifted, so that the answer's division gives the count back.
                counted = row.target is not None and row.metric != "gmv"
                values[key] = to_minor(row.target or 0, scope.shop.currency) if counted else row.target
        found[column] = (
            figure_frame(scope, values),
            {key: "no_target" for key, value in values.items() if value is None},
        )
    return found


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
