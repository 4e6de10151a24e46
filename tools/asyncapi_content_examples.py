"""Examples of the messages about content, ads and ready-made figures in docs/asyncapi.yaml."""

from __future__ import annotations

from typing import Any, Final

from streams.events import (
    Account,
    AdAccountSelected,
    AdMetric,
    Benchmark,
    CheckoutLine,
    CheckoutStarted,
    Content,
    ContentEngagement,
    Event,
    Follower,
    HistoryTotal,
    Source,
    TrafficTotal,
    Violation,
)

_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000


def content_examples(at_ms: int, source: Source) -> dict[str, tuple[type[Event], dict[str, Any]]]:
    """Return type and own fields of an example of each event type.

    Args:
        at_ms: when they occur, the start of an hour.
        source: of a LIVE.
    """
    counts = {"views": 412, "likes": 96, "comments": 31, "shares": 7, "saves": 12}
    return {
        "checkout_started": (
            CheckoutStarted,
            {
                "checkout_id": "ch-501",
                "user_key": "u-81f3",
                "lines": [CheckoutLine("dress", "dress-M", 2)],
                "source": source,
            },
        ),
        "content": (
            Content,
            {
                "content_id": "live-friday",
                "kind": "live",
                "state": "live_started",
                "account_id": "shop-main",
                "account_kind": "marketing",
                "product_ids": ["dress"],
                "key_session": True,
                "title": "Black Friday LIVE",
                "started_at_ms": at_ms,
            },
        ),
        "content_engagement": (
            ContentEngagement,
            {
                "content_id": "live-friday",
                "bucket_start_ms": at_ms - _MINUTE_MS,
                **counts,
                "watch_seconds": 9_380.5,
                "viewer_keys": ["u-81f3", "u-90aa"],
                "concurrent_viewers": 308,
                "territory": "US",
            },
        ),
        "violation": (
            Violation,
            {
                "violation_id": "v-12",
                "content_id": "live-friday",
                "content_kind": "live",
                "account_id": "shop-main",
                "state": "opened",
                "severity": "restriction",
                "policy": "misleading price",
            },
        ),
        "follower": (Follower, {"account_id": "shop-main", "followers": 48_210, "gained": 35, "lost": 4}),
        "account": (
            Account,
            {
                "account_id": "mira.finds",
                "display_name": "Mira finds",
                "kind": "affiliate",
                "creator_id": "cr-mira",
                "creator_type": "fashion",
                "version": 3,
            },
        ),
        "ad_metric": (
            AdMetric,
            {
                "ad_account_id": "ads-1",
                "ad_campaign_id": "adc-7",
                "ad_id": "ad-dress",
                "bucket_start_ms": at_ms - _HOUR_MS,
                "bucket_seconds": 3_600,
                "spend_minor": 18_250,
                "gross_revenue_minor": 71_400,
                "impressions": 40_100,
                "clicks": 612,
                "purchases": 17,
                "revision": 1,
                "product_id": "dress",
            },
        ),
        "ad_account_selected": (
            AdAccountSelected,
            {"primary_ad_account_id": "ads-1", "selected_at_ms": at_ms - 240 * _HOUR_MS, "version": 1},
        ),
        "traffic_total": (
            TrafficTotal,
            {
                "product_id": "dress",
                "source": source,
                "bucket_start_ms": at_ms - 15 * _MINUTE_MS,
                "bucket_seconds": 900,
                "mode": "delta",
                "impressions": 5_120,
                "clicks": 214,
                "revision": 1,
            },
        ),
        "history_total": (
            HistoryTotal,
            {"date": "2026-05-29", "metric": "gmv", "slice": "all", "value": 2_318_450, "is_final": True},
        ),
        "benchmark": (
            Benchmark,
            {
                "category": "fashion",
                "gmv_tier": "T3",
                "group": "own_tier",
                "metric": "ctr",
                "period": "day",
                "benchmark_day": "2026-11-26",
                "value": 0.031,
                "published_at_ms": at_ms - 6 * _HOUR_MS,
            },
        ),
    }
