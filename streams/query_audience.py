"""Levels of the audience (followers, viewers now), and what content did to sales (growth of LIVEs, lift of a push)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl

from streams.days import HOUR_MS, QUARTER_MS
from streams.formulas import MEASURES
from streams.grid import end_of, starts
from streams.query_days import fact_values
from streams.query_figures import Figures, figure_frame
from streams.query_traffic import cells_in_scope, choose_cube
from streams.scope import TIME, Scope
from streams.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    rows, _, ends = _spans(scope)
    values: Values = {}
    for account, times, counts in _told(scope):
        known = np.searchsorted(times, ends) - 1
        for row, place in zip(rows, known.tolist(), strict=True):
            if place >= 0:
                key = (row, account) if "account" in scope.names else (row,)
                values[key] = values.get(key, 0) + int(counts[place])
    return values, {}


def _growth(scope: Scope, _metric: Metric) -> tuple[Values, Reasons]:
    """Return (followers at the end - at the start) / at the start, over accounts that are known at both."""
    rows, begins, ends = _spans(scope)
    sums: dict[Key, tuple[int, int]] = {}
    for account, times, counts in _told(scope):
        last = np.searchsorted(times, ends) - 1
        # Of an account that was first heard of later, from then on.
        first = np.maximum(np.searchsorted(times, begins, side="right") - 1, 0)
        for row, start, end in zip(rows, first.tolist(), last.tolist(), strict=True):
            if end >= 0:
                key = (row, account) if "account" in scope.names else (row,)
                base, now = sums.get(key, (0, 0))
                sums[key] = (base + int(counts[start]), now + int(counts[end]))
    values: Values = {key: (now - base) / base if base else None for key, (base, now) in sums.items()}
    return values, {key: "zero_divisor" for key, value in values.items() if value is None}


def _told(scope: Scope) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield each account with the times at which its followers were told, rising, and how many there were."""
    followers = scope.columns.content(scope.shop.shop_id).followers()
    for account_id in (value for dim, value in scope.where if dim == "account"):
        followers = followers.filter(pl.col("account_id") == account_id)
    times, counts = (followers.get_column(name).to_numpy() for name in ("at_ms", "followers"))
    accounts = followers.get_column("account_id")
    # They stand one account after the other.
    begins = np.flatnonzero(np.diff(accounts.rle_id().to_numpy().astype(np.int64), prepend=-1)).tolist()
    for first, last in itertools.pairwise([*begins, len(times)]):
        yield str(accounts[first]), times[first:last], counts[first:last]


def _spans(scope: Scope) -> tuple[list[int], list[int], list[int]]:
    """Return time, start and end of each row of time; one row of the whole window without a time dimension."""
    followers = scope.columns.content(scope.shop.shop_id).followers()
    if not followers.height:
        return [], [], []
    first = int(followers.get_column("at_ms").to_numpy().min())
    start = first if scope.window.from_ms is None else scope.window.from_ms
    end = scope.now_ms + 1 if scope.window.to_ms is None else min(scope.window.to_ms, scope.now_ms + 1)
    if scope.grain is None:
        return [0], [start], [end]
    if max(start, first) >= end:
        return [], [], []
    grid = starts(
        scope.calendar, scope.grain, max(start, first), end - 1, week_start=scope.week_start
    ).tolist()
    ends = [min(end, end_of(scope.calendar, scope.grain, at, week_start=scope.week_start)) for at in grid]
    return grid, [max(at, start) for at in grid], ends


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
    """Return (GMV of LIVEs - GMV of the one before each of the same account, finished) / the latter, summed first."""
    contents = scope.columns.content(scope.shop.shop_id).contents()
    lives = contents.filter((pl.col("kind") == "live") & pl.col("new_at_ms").is_not_null())
    sums = _paid_by_live(scope)
    columns = {"content": "content_id", "account": "account_id", "creator": "creator_id"}
    before: dict[str, str] = {}
    # Of each row: what its LIVEs sold, what those before them sold, and whether there were any.
    found: dict[Key, tuple[int, int, bool]] = {}
    for live in lives.sort("new_at_ms", "content_id").iter_rows(named=True):
        previous = before.get(live["account_id"])
        if live["ended_at_ms"] is not None:
            before[live["account_id"]] = live["content_id"]
        names = [live[columns[dim]] for dim in scope.names]
        in_window = (scope.window.from_ms is None or live["new_at_ms"] >= scope.window.from_ms) and (
            scope.window.to_ms is None or live["new_at_ms"] < scope.window.to_ms
        )
        if not in_window or None in names or any(live[columns[dim]] != value for dim, value in scope.where):
            continue
        sold, base, follows = found.get((0, *names), (0, 0, False))
        if previous is not None:
            # A first LIVE has nothing to grow over: in neither sum.
            sold += sums.get(live["content_id"], 0)
            base += sums.get(previous, 0)
        found[0, *names] = (sold, base, follows or previous is not None)
    values: Values = {key: (sold - base) / base if base else None for key, (sold, base, _) in found.items()}
    return values, {
        key: "zero_divisor" if follows else "no_earlier_live"
        for key, (_, _, follows) in found.items()
        if values[key] is None
    }


def _paid_by_live(scope: Scope) -> dict[str, int]:
    """Return what each LIVE has sold, whenever that was paid."""
    whole = dataclasses.replace(scope, window=Window("all", None, None), by=("content",), where=(), days=None)
    sums: dict[str, int] = {}
    for frame in fact_values(whole, [MEASURES["goods_live"], MEASURES["shipping_live"]]).values():
        for name, value in frame.select("content", "value").rows():
            sums[name] = sums.get(name, 0) + value
    return sums


# -- lift of a push


class PushParts(NamedTuple):
    """Orders of SKUs and clicks on products, of the hour before pushes and of the hour after, summed over pushes."""

    sold_before: int
    clicks_before: int
    sold_after: int
    clicks_after: int

    def lift(self) -> float | None:
        """Return (CTOR after - before) / before; None where one of the two has no clicks, or nothing sold before."""
        if not self.sold_before or not self.clicks_before or not self.clicks_after:
            return None
        before = self.sold_before / self.clicks_before
        return (self.sold_after / self.clicks_after - before) / before


def _push_lift(scope: Scope, metric: Metric) -> tuple[Values, Reasons]:
    """Return (CTOR after - before) / before of the products that new content features, summed over pushes first."""
    values: Values = {key: parts.lift() for key, parts in push_parts(scope, metric.id).items()}
    return values, {key: "zero_divisor" for key, value in values.items() if value is None}


def push_parts(scope: Scope, metric: str) -> dict[tuple[int | str, ...], PushParts]:
    """Return what the lift of each row's pushes is made of, by (0, *names of the row).

    Raises:
        QueryError: `no_detail_before` when the quarter hours around a push are no longer kept; `metric` is whose they
            are, for its message.
    """
    pushes = _pushes(scope)
    if not pushes.height:
        return {}
    first_ms, last_ms = int(pushes["at_ms"].min()), int(pushes["at_ms"].max())  # type: ignore[arg-type] # integers
    counted = _by_quarter(scope, metric, first_ms - PUSH_MS, last_ms + PUSH_MS)
    steps = pl.DataFrame({"step_ms": range(-PUSH_MS, PUSH_MS, QUARTER_MS)}, schema={"step_ms": pl.Int64})
    is_before = pl.col("step_ms") < 0
    sums = (
        pushes.join(steps, how="cross")
        .with_columns(quarter_ms=pl.col("at_ms") + pl.col("step_ms"))
        .join(counted, on=("product", "quarter_ms"), how="left")
        .group_by(scope.names or pl.lit("").alias("all"))
        .agg(
            pl.col(name).filter(when).sum().alias(f"{name}_{word}")
            for word, when in (("before", is_before), ("after", ~is_before))
            for name in ("sold", "clicks")
        )
    )
    names, parts = sums.select(scope.names).rows(), sums.select(PushParts._fields).rows()
    keys = names if scope.names else [()]
    return {(0, *key): PushParts(*part) for key, part in zip(keys, parts, strict=True)}


def _pushes(scope: Scope) -> pl.DataFrame:
    """Return quarter hour, content and product of new content of the window that has had its hour after, each once."""
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
    nearest = (pl.col("new_at_ms") + QUARTER_MS // 2) // QUARTER_MS * QUARTER_MS
    return (
        found.select(nearest.alias("at_ms"), content="content_id", product="product_id")
        .unique()
        .filter(pl.col("at_ms") + PUSH_MS <= scope.as_of_ms)
    )


def _by_quarter(scope: Scope, metric: str, from_ms: int, to_ms: int) -> pl.DataFrame:
    """Return product, quarter_ms, sold and clicks of every product and quarter hour of a span."""
    window = Window("push", from_ms, to_ms)
    inner = dataclasses.replace(scope, window=window, by=("minute", "product"), where=(), days=None)
    clicked = MEASURES["clicks"]
    # By hour no cube of days can answer, and that of quarter hours is asked whether it still holds all of them.
    cube = choose_cube(dataclasses.replace(inner, by=("hour", "product")), clicked, metric)
    clicks = cells_in_scope(inner, clicked, cube).select("product", quarter_ms="bucket", clicks="count")
    sold = fact_values(inner, [MEASURES["sku_orders"]])["sku_orders"].select(
        "product", pl.col(TIME).alias("quarter_ms") // QUARTER_MS * QUARTER_MS, sold="value"
    )
    both = pl.concat([clicks, sold], how="diagonal_relaxed")
    return both.group_by("product", "quarter_ms").agg(pl.col("clicks", "sold").sum())


_FIGURES: Final[dict[str, Callable[[Scope, Any], tuple[Values, Reasons]]]] = {
    "followers": _followers,
    "follower_growth": _growth,
    "viewers_now": _viewers_now,
    "live_growth": _live_growth,
    "push_lift": _push_lift,
}
"""By figure, what gives its values, and why they are null where they are."""
