"""Records behind figures that are no sums: goals, what is written on a thing, levels of the audience, comparisons."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from streams.explain_goals import goal_records
from streams.explain_sources import MOST_RECORDS, Source, fewer, plain, sources_of
from streams.formulas import AudienceFigure, CompareFigure, GoalFigure, LabelFigure, Total
from streams.frames import SLOT
from streams.metrics_compare import BENCHMARK_DIMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.metric import Metric
    from streams.scope import Scope

_SUMS: Final = {
    "gmv_range": Total(("goods", "shipping_in_gmv")),
    "best_format": Total(("clicks", "sku_orders")),
    "push_lift": Total(("clicks", "sku_orders")),
}
"""Figures that are worked out from sums: which records those count."""

_OF_ACCOUNT: Final = ("account_id", "creator_id", "creator_type", "kind", "version")


def records_of(scope: Scope, metric: Metric, known: Mapping[str, Metric]) -> list[Source]:
    """Return what a cell counts, as `sources_of`, also where its formula is no sum.

    Args:
        scope: of the cell, without dimensions.
        metric: whose cell it is.
        known: the catalogue with the seller's own metrics.
    """
    formula = metric.formula
    if isinstance(formula, CompareFigure):
        of = known.get(formula.of or dict(scope.where).get("metric", ""))
        own = [] if of is None else sources_of(scope.without(BENCHMARK_DIMS), of)
        return fewer([*own, *([] if formula.of else [_benchmarks(scope)])])
    if isinstance(formula, GoalFigure):
        return goal_records(scope, metric, formula, known)
    if not isinstance(formula, (AudienceFigure, LabelFigure)):
        return sources_of(scope, metric)
    if formula.column in _SUMS:
        return sources_of(scope, dataclasses.replace(metric, formula=_SUMS[formula.column]))
    if formula.column in ("followers", "follower_growth"):
        return [_followers(scope)]
    if formula.column == "viewers_now":
        return [_viewers(scope)]
    if formula.column == "creator_type":
        return [_accounts(scope)]
    if formula.column in ("key_session", "live_growth"):
        return [_contents(scope)]
    return [_products(scope)]


def _chosen(scope: Scope, dim: str) -> str | None:
    return next((value for found, value in scope.where if found == dim), None)


def _source(kind: str, topic: str, rows: list[dict[str, Any]], keys: Iterable[str]) -> Source:
    ids = tuple(keys)
    shown = [
        {"place": "/".join((kind, *(str(row[key]) for key in ids))), **plain(row)}
        for row in rows[:MOST_RECORDS]
    ]
    return Source(kind, topic, len(rows), shown)


def _products(scope: Scope) -> Source:
    wanted = _chosen(scope, "product")
    cards = scope.columns.products(scope.shop.shop_id)
    rows = [
        {
            "product_id": name,
            "version": card.version,
            "status": card.status,
            "rating": card.rating,
            "opportunity_matched": card.opportunity_matched,
            "occurred_at_ms": card.occurred_at_ms,
        }
        for name, card in sorted(cards.items())
        if wanted in (None, name)
    ]
    return _source("product", "products", rows, ("product_id",))


def _accounts(scope: Scope) -> Source:
    wanted = _chosen(scope, "creator")
    accounts = scope.columns.content(scope.shop.shop_id).accounts()
    rows = [
        {name: value for name, value in msgspec.to_builtins(account).items() if name in _OF_ACCOUNT}
        for _, account in sorted(accounts.items())
        if account.creator_id is not None and wanted in (None, str(account.creator_id))
    ]
    return _source("account", "accounts", rows, ("account_id",))


def _contents(scope: Scope) -> Source:
    """Return LIVEs, newest first."""
    contents = scope.columns.content(scope.shop.shop_id).contents()
    contents = contents.filter(pl.col("kind") == "live")
    for dim in ("content", "creator", "account"):
        wanted = _chosen(scope, dim)
        if wanted is not None:
            contents = contents.filter(pl.col(f"{dim}_id") == wanted)
    rows = contents.select("content_id", "kind", "account_id", "key_session", "new_at_ms", "ended_at_ms")
    newest = rows.sort("new_at_ms", "content_id", descending=[True, False], nulls_last=True)
    return _source("content", "content", newest.rows(named=True), ("content_id",))


def _followers(scope: Scope) -> Source:
    """Return what accounts told within the window and, of each, the last time before it."""
    told = scope.columns.content(scope.shop.shop_id).followers().drop(SLOT)
    wanted = _chosen(scope, "account")
    if wanted is not None:
        told = told.filter(pl.col("account_id") == wanted)
    end_ms = scope.now_ms + 1 if scope.window.to_ms is None else min(scope.window.to_ms, scope.now_ms + 1)
    told = told.filter(pl.col("at_ms") < end_ms)
    if scope.window.from_ms is not None:
        earlier = pl.col("at_ms") < scope.window.from_ms
        last = pl.col("at_ms").filter(earlier).max().over("account_id")
        told = told.filter(~earlier | (pl.col("at_ms") == last))
    newest = told.sort("at_ms", "account_id", descending=[True, False])
    return _source("follower", "followers", newest.rows(named=True), ("account_id", "at_ms"))


def _viewers(scope: Scope) -> Source:
    """Return what was told of viewers while it is not stale, newest first."""
    fresh_ms = scope.now_ms - scope.columns.settings.board.stale_after_ms
    told = scope.columns.content(scope.shop.shop_id).engagement()
    told = told.filter(
        pl.col("concurrent_viewers").is_not_null() & pl.col("at_ms").is_between(fresh_ms, scope.now_ms)
    )
    for dim, column in (("content", "content_id"), ("account", "account_id")):
        wanted = _chosen(scope, dim)
        if wanted is not None:
            told = told.filter(pl.col(column) == wanted)
    rows = told.select("content_id", "account_id", "at_ms", "concurrent_viewers")
    newest = rows.sort("at_ms", "content_id", descending=[True, False])
    return _source("content_engagement", "engagement", newest.rows(named=True), ("content_id", "at_ms"))


def _benchmarks(scope: Scope) -> Source:
    """Return benchmarks of the metric, of every group and day that is known, newest first."""
    records = scope.columns.totals(scope.shop.shop_id).benchmarks()
    metric, group = _chosen(scope, "metric"), _chosen(scope, "group")
    rows = [
        {
            "metric": record.metric,
            "group": record.group,
            "category": record.category,
            "gmv_tier": record.gmv_tier,
            "period": record.period,
            "benchmark_day": record.benchmark_day,
            "value": record.value,
            "published_at_ms": record.published_at_ms,
        }
        for record in sorted(records, key=lambda one: (one.benchmark_day, one.published_at_ms), reverse=True)
        if metric in (None, record.metric) and group in (None, record.group)
    ]
    return _source("benchmark", "benchmarks", rows, ("metric", "group", "period", "benchmark_day"))
