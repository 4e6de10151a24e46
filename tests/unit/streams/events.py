"""Make events about content, ads and ready-made figures by hand."""

from __future__ import annotations

from typing import Any

from streams.events import (
    Account,
    AdAccountSelected,
    AdMetric,
    Benchmark,
    CheckoutLine,
    CheckoutStarted,
    Content,
    ContentEngagement,
    Follower,
    HistoryTotal,
    Source,
    TrafficTotal,
    Violation,
)

SHOP = "s1"


def _envelope(event_type: str, at_ms: int, *ids: object) -> dict[str, Any]:
    return {
        "event_id": "-".join(map(str, (event_type, *ids, at_ms))),
        "event_type": event_type,
        "shop_id": SHOP,
        "occurred_at_ms": at_ms,
    }


def content(content_id: str, state: Any, at_ms: int, *products: str, **more: Any) -> Content:
    """Return a state of the shop's own LIVE (`live_...`) or video; `creator` makes it a creator's."""
    live = state.startswith("live_")
    creator = more.pop("creator", None)
    values: dict[str, Any] = {
        "kind": "live" if live else "video",
        "account_id": creator or "shop",
        "account_kind": "affiliate" if creator else "marketing",
        "creator_id": creator,
        "key_session": False,
    }
    if state == "live_started":
        values["started_at_ms"] = at_ms
    if state == "live_ended":
        values["ended_at_ms"] = at_ms
    return Content(
        **_envelope("content", at_ms, content_id, state),
        content_id=content_id,
        state=state,
        product_ids=list(products),
        **(values | more),
    )


def engagement(
    content_id: str, bucket_ms: int, views: int, viewers: Any = (), **more: Any
) -> ContentEngagement:
    """Return a bucket of a minute; it occurred at the bucket's end."""
    values: dict[str, Any] = (
        dict.fromkeys(("likes", "comments", "shares", "saves", "watch_seconds"), 0) | more
    )
    parts = [more[name] for name in ("territory", "age_band", "gender") if name in more]
    return ContentEngagement(
        **_envelope("content_engagement", bucket_ms + 60_000, content_id, *parts),
        content_id=content_id,
        bucket_start_ms=bucket_ms,
        views=views,
        viewer_keys=list(viewers),
        **values,
    )


def violation(
    violation_id: str, state: Any, at_ms: int, content_id: str | None = None, **more: Any
) -> Violation:
    values: dict[str, Any] = {
        "content_kind": "live" if content_id else "listing",
        "account_id": "shop",
        "severity": "warning",
    } | more
    return Violation(
        **_envelope("violation", at_ms, violation_id, state),
        violation_id=violation_id,
        state=state,
        content_id=content_id,
        **values,
    )


def follower(account_id: str, followers: int, at_ms: int) -> Follower:
    return Follower(**_envelope("follower", at_ms, account_id), account_id=account_id, followers=followers)


def account(account_id: str, kind: Any, at_ms: int, version: int = 1, **more: Any) -> Account:
    return Account(
        **_envelope("account", at_ms, account_id, version),
        account_id=account_id,
        display_name=account_id.title(),
        kind=kind,
        version=version,
        **more,
    )


def ad(account_id: str, ad_id: str, bucket_ms: int, spend: int, revenue: int, **more: Any) -> AdMetric:
    """Return an hour of an ad."""
    values: dict[str, Any] = {
        "bucket_seconds": 3_600,
        "impressions": 0,
        "clicks": 0,
        "purchases": 0,
        "revision": 1,
    } | more
    return AdMetric(
        **_envelope("ad_metric", bucket_ms + 3_600_000, account_id, ad_id, values["revision"]),
        ad_account_id=account_id,
        ad_campaign_id="adc",
        ad_id=ad_id,
        bucket_start_ms=bucket_ms,
        spend_minor=spend,
        gross_revenue_minor=revenue,
        **values,
    )


def selected(account_id: str, version: int, at_ms: int) -> AdAccountSelected:
    return AdAccountSelected(
        **_envelope("ad_account_selected", at_ms, version),
        primary_ad_account_id=account_id,
        selected_at_ms=at_ms,
        version=version,
    )


def checkout(checkout_id: str, at_ms: int, *products: str, source: Source | None = None) -> CheckoutStarted:
    return CheckoutStarted(
        **_envelope("checkout_started", at_ms, checkout_id),
        checkout_id=checkout_id,
        lines=[CheckoutLine(product, f"{product}1", 1) for product in products],
        source=source,
    )


def total(bucket_ms: int, *, mode: Any = "delta", product: str | None = "A", **more: Any) -> TrafficTotal:
    """Return a ready-made count of a quarter hour."""
    values: dict[str, Any] = {"bucket_seconds": 900, "revision": 1} | more
    return TrafficTotal(
        **_envelope("traffic_total", bucket_ms + 900_000, product, values["revision"]),
        bucket_start_ms=bucket_ms,
        mode=mode,
        product_id=product,
        **values,
    )


def history(date: str, metric: str, value: float, at_ms: int, **more: Any) -> HistoryTotal:
    values: dict[str, Any] = {"slice": "all", "is_final": True} | more
    return HistoryTotal(
        **_envelope("history_total", at_ms, date, metric), date=date, metric=metric, value=value, **values
    )


def benchmark(metric: str, value: float, day: str, published_ms: int, **more: Any) -> Benchmark:
    values: dict[str, Any] = {
        "category": "fashion",
        "gmv_tier": "T3",
        "group": "own_tier",
        "period": "day",
    } | more
    return Benchmark(
        **_envelope("benchmark", published_ms, metric, day),
        metric=metric,
        value=value,
        benchmark_day=day,
        published_at_ms=published_ms,
        **values,
    )
