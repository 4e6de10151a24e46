"""Levels of the audience (followers, viewers now), and what content did to sales (growth of LIVEs, lift of a push)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from streams.days import HOUR_MS, QUARTER_MS
from streams.formulas import MEASURES
from streams.grid import end_of, starts
from streams.query_facts import fact_values
from streams.query_figures import Figures, figure_frame
from streams.query_traffic import traffic_values
from streams.scope import Scope
from streams.windows import Window

if TYPE_CHECKING:
    from streams.metric import Metric

Key = tuple[Any, ...]
Values = dict[Key, Any]
Reasons = dict[Key, str]

PUSH_MS: Final = HOUR_MS
"""content_push_lift compares so long before and after a push."""


def audience_values(scope: Scope, metric: Metric, column: str) -> Figures:
    """Return a figure of the audience for each row; see `_FIGURES`."""
    values, reasons = _FIGURES[column](scope, metric)
    return figure_frame(scope, values), reasons


# -- followers


def _followers(scope: Scope, _metric: Metric) -> tuple[Values, Reasons]:
    """Return the latest count of each account by the row's end; the shop's is the sum."""
    values: Values = {}
    for at_ms, _, end_ms in _spans(scope):
        for key, latest in _latest(scope, at_ms, end_ms).items():
            values[key] = sum(latest.values())
    return values, {}


def _growth(scope: Scope, _metric: Metric) -> tuple[Values, Reasons]:
    """Return (followers at the end - at the start) / at the start, over accounts that are known at both."""
    values: Values = {}
    reasons: Reasons = {}
    for at_ms, start_ms, end_ms in _spans(scope):
        ends = _latest(scope, at_ms, end_ms)
        begins = _latest(scope, at_ms, start_ms + 1, first_after=True)
        for key, latest in ends.items():
            before = begins.get(key, {})
            base = sum(before.values())
            now = sum(count for account, count in latest.items() if account in before)
            values[key] = (now - base) / base if base else None
            if not base:
                reasons[key] = "zero_divisor"
    return values, reasons


def _latest(
    scope: Scope, at_ms: int, before_ms: int, *, first_after: bool = False
) -> dict[Key, dict[str, int]]:
    """Return, by row, each account's newest count before an instant; else its first one at all, if asked for."""
    followers = scope.columns.content(scope.shop.shop_id).followers().sort("at_ms")
    for dim, value in scope.where:
        if dim == "account":
            followers = followers.filter(pl.col("account_id") == value)
    known = followers.filter(pl.col("at_ms") < before_ms).unique(
        "account_id", keep="last", maintain_order=True
    )
    if first_after:
        first = followers.unique("account_id", keep="first", maintain_order=True)
        known = pl.concat([known, first]).unique("account_id", keep="first", maintain_order=True)
    found: dict[Key, dict[str, int]] = {}
    for account, count in known.select("account_id", "followers").rows():
        key = (at_ms, account) if "account" in scope.names else (at_ms,)
        found.setdefault(key, {})[account] = count
    return found


def _spans(scope: Scope) -> list[tuple[int, int, int]]:
    """Return row time, start and end of each row of time; one row of the whole window without a time dimension."""
    followers = scope.columns.content(scope.shop.shop_id).followers()
    if not followers.height:
        return []
    first = min(followers.get_column("at_ms").to_list())
    start = first if scope.window.from_ms is None else scope.window.from_ms
    end = scope.now_ms + 1 if scope.window.to_ms is None else min(scope.window.to_ms, scope.now_ms + 1)
    if scope.grain is None:
        return [(0, start, end)]
    first_row = max(start, first)
    if first_row >= end:
        return []
    grid = starts(scope.calendar, scope.grain, first_row, end - 1, week_start=scope.week_start).tolist()
    ends = [end_of(scope.calendar, scope.grain, at, week_start=scope.week_start) for at in grid]
    return [(at, max(at, start), min(stop, end)) for at, stop in zip(grid, ends, strict=True)]


# -- viewers now


def _viewers_now(scope: Scope, _metric: Metric) -> tuple[Values, Reasons]:
    """Return who watches the LIVEs that run: of each the newest bucket's parts, while that is not stale."""
    content = scope.columns.content(scope.shop.shop_id)
    now_ms = scope.now_ms
    running = content.contents().filter(
        (pl.col("kind") == "live")
        & (pl.col("new_at_ms") <= now_ms)
        & (pl.col("ended_at_ms").is_null() | (pl.col("ended_at_ms") > now_ms))
        & (pl.col("removed_at_ms").is_null() | (pl.col("removed_at_ms") > now_ms))
    )
    for dim, value in scope.where:
        running = running.filter(pl.col({"content": "content_id", "account": "account_id"}[dim]) == value)
    fresh_ms = now_ms - scope.columns.settings.board.stale_after_ms
    told = content.engagement().filter(
        pl.col("concurrent_viewers").is_not_null() & pl.col("at_ms").is_between(fresh_ms, now_ms)
    )
    newest = told.filter(pl.col("at_ms") == pl.col("at_ms").max().over("content_id"))
    watching = newest.group_by("content_id").agg(pl.col("concurrent_viewers").sum())
    found = dict(watching.rows())
    values: Values = {} if scope.names else {(0,): 0}
    reasons: Reasons = {}
    for content_id, account_id in running.select("content_id", "account_id").rows():
        names = {"content": content_id, "account": account_id}
        key = (0, *(names[dim] for dim in scope.names))
        if content_id in found:
            values[key] = (values.get(key) or 0) + found[content_id]
        elif scope.names:
            values.setdefault(key, None)
            if values[key] is None:
                reasons[key] = "not_told"
    return values, {key: why for key, why in reasons.items() if values[key] is None}


# -- growth from LIVE to LIVE


def _live_growth(scope: Scope, _metric: Metric) -> tuple[Values, Reasons]:
    """Return (GMV of a LIVE - GMV of the one before it of the same account, finished) / the latter."""
    contents = scope.columns.content(scope.shop.shop_id).contents()
    lives = contents.filter((pl.col("kind") == "live") & pl.col("new_at_ms").is_not_null())
    whole = dataclasses.replace(scope, window=Window("all", None, None), by=("content",), where=(), days=None)
    sums: dict[str, int] = {}
    for frame in fact_values(whole, [MEASURES["goods_live"], MEASURES["shipping_live"]]).values():
        for name, value in frame.select("content", "value").rows():
            sums[name] = sums.get(name, 0) + value
    before: dict[str, tuple[str, int]] = {}
    values: Values = {}
    reasons: Reasons = {}
    wanted = [value for dim, value in scope.where if dim == "content"]
    for content_id, account_id, start_ms, end_ms in (
        lives.sort("new_at_ms", "content_id")
        .select("content_id", "account_id", "new_at_ms", "ended_at_ms")
        .rows()
    ):
        previous = before.get(account_id)
        if end_ms is not None:
            before[account_id] = (content_id, end_ms)
        in_window = (scope.window.from_ms is None or start_ms >= scope.window.from_ms) and (
            scope.window.to_ms is None or start_ms < scope.window.to_ms
        )
        if not in_window or any(content_id != name for name in wanted):
            continue
        key = (0, content_id) if scope.names else (0,)
        base = sums.get(previous[0], 0) if previous else 0
        values[key] = (sums.get(content_id, 0) - base) / base if base else None
        reasons[key] = "" if base else "zero_divisor" if previous else "no_earlier_live"
    return values, {key: why for key, why in reasons.items() if why and values[key] is None}


# -- lift of a push


def _push_lift(scope: Scope, metric: Metric) -> tuple[Values, Reasons]:
    """Return (CTOR after - before) / before of the products that new content features, summed over pushes first."""
    pushes = _pushes(scope)
    sums: dict[Key, list[int]] = {}
    for at_ms in sorted({push[0] for push in pushes}):
        before, after = (
            _sold_and_clicked(scope, metric, start, start + PUSH_MS) for start in (at_ms - PUSH_MS, at_ms)
        )
        for _, content_id, product in (push for push in pushes if push[0] == at_ms):
            names = {"content": content_id, "product": product}
            key = (0, *(names[dim] for dim in scope.names))
            total = sums.setdefault(key, [0, 0, 0, 0])
            parts = (*before.get(product, (0, 0)), *after.get(product, (0, 0)))
            sums[key] = [one + other for one, other in zip(total, parts, strict=True)]
    values: Values = {}
    reasons: Reasons = {}
    for key, (sold_before, clicks_before, sold_after, clicks_after) in sums.items():
        values[key] = None
        if not sold_before or not clicks_before or not clicks_after:
            reasons[key] = "zero_divisor"
        else:
            before_rate = sold_before / clicks_before
            values[key] = (sold_after / clicks_after - before_rate) / before_rate
    return values, reasons


def _pushes(scope: Scope) -> set[tuple[int, str, str]]:
    """Return (quarter hour, content, product) of new content of the window that has had its hour after."""
    found = (
        scope.columns.content(scope.shop.shop_id)
        .content_products()
        .filter(
            pl.col("new_at_ms").is_not_null()
            & pl.col("product_id").is_not_null()
            & scope.in_window("new_at_ms")
        )
    )
    for dim, value in scope.where:
        found = found.filter(pl.col({"content": "content_id", "product": "product_id"}[dim]) == value)
    rows = found.select("new_at_ms", "content_id", "product_id").rows()
    pushes = {
        ((at + QUARTER_MS // 2) // QUARTER_MS * QUARTER_MS, content, product) for at, content, product in rows
    }
    return {push for push in pushes if push[0] + PUSH_MS <= scope.as_of_ms}


def _sold_and_clicked(scope: Scope, metric: Metric, from_ms: int, to_ms: int) -> dict[str, tuple[int, int]]:
    inner = dataclasses.replace(
        scope, window=Window("push", from_ms, to_ms), by=("product",), where=(), days=None
    )
    sold = fact_values(inner, [MEASURES["sku_orders"]])["sku_orders"]
    clicks = traffic_values(inner, MEASURES["clicks"], metric.id).values
    joined = sold.select("product", pl.col("value").alias("sold")).join(
        clicks.select("product", pl.col("value").alias("clicked")), on="product", how="full", coalesce=True
    )
    return {
        product: (sold or 0, clicked or 0)
        for product, sold, clicked in joined.select("product", "sold", "clicked").rows()
    }


_FIGURES: Final[dict[str, Callable[[Scope, Any], tuple[Values, Reasons]]]] = {
    "followers": _followers,
    "follower_growth": _growth,
    "viewers_now": _viewers_now,
    "live_growth": _live_growth,
    "push_lift": _push_lift,
}
"""By figure, what gives its values, and why they are null where they are."""
