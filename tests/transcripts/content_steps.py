"""Steps of dialogues about content, audience, ads, checkouts and benchmarks: fields of events from a few words.

    content   { id = "friday", state = "live_started", by = "mia", title = "Friday drop", products = ["dress"] }
              without `by` the shop's own; a state without `live_` is of a video
    watched   { content = "friday", views = 1000, likes = 30, comments = 2, viewers = 100 }
              a bucket of a minute; so many other people
    broke     { id = "v1", content = "friday", kind = "live", state = "opened", policy = "claims" }
    followers { account = "shop", count = 1000 }
    ad        { id = "ad-1", account = "acc", spend = 10.0, revenue = 30.0, clicks = 100, impressions = 5000,
                purchases = 4, product = "dress" }      an hour of an ad
    primary   { account = "acc" }                       it is chosen as the primary ad account
    checkouts { product = "dress", number = 5 }
    benchmark { metric = "gmv", value = 5000.0, day = "2025-11-27" }     money in minor units

`at` as everywhere; each gives (event type, fields) pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

Fields = Iterator[tuple[str, dict[str, Any]]]

_NUMBERS: Final = count(1)


def content(at_ms: int, id: str, state: str = "published", by: str = "", **words: Any) -> Fields:
    live = state.startswith("live_")
    fields: dict[str, Any] = {
        "content_id": id,
        "kind": "live" if live else "video",
        "state": state,
        "account_id": by or "shop",
        "account_kind": "affiliate" if by else "marketing",
        "creator_id": by or None,
        "product_ids": words.pop("products", []),
        "key_session": False,
    }
    if live:
        fields["started_at_ms" if state == "live_started" else "ended_at_ms"] = at_ms
    yield "content", fields | words


def watched(at_ms: int, content: str, views: int, viewers: int = 0, **words: Any) -> Fields:
    yield (
        "content_engagement",
        dict.fromkeys(("likes", "comments", "shares", "saves", "watch_seconds"), 0)
        | {
            "content_id": content,
            "bucket_start_ms": at_ms - 60_000,
            "views": views,
            "viewer_keys": [f"viewer{next(_NUMBERS)}" for _ in range(viewers)],
        }
        | words,
    )


def broke(at_ms: int, id: str, content: str | None = None, kind: str = "live", **words: Any) -> Fields:
    yield (
        "violation",
        {
            "violation_id": id,
            "content_id": content,
            "content_kind": kind,
            "account_id": "shop",
            "state": "opened",
            "severity": "warning",
        }
        | words,
    )


def followers(at_ms: int, account: str, count: int) -> Fields:
    yield "follower", {"account_id": account, "followers": count}


def ad(
    at_ms: int, id: str, account: str = "acc", spend: float = 0, revenue: float = 0, **words: Any
) -> Fields:
    yield (
        "ad_metric",
        {
            "ad_account_id": account,
            "ad_campaign_id": "adc",
            "ad_id": id,
            "bucket_start_ms": at_ms - 3_600_000,
            "bucket_seconds": 3_600,
            "spend_minor": round(spend * 100),
            "gross_revenue_minor": round(revenue * 100),
            "impressions": words.pop("impressions", 0),
            "clicks": words.pop("clicks", 0),
            "purchases": words.pop("purchases", 0),
            "product_id": words.pop("product", None),
            "revision": 1,
        }
        | words,
    )


def primary(at_ms: int, account: str) -> Fields:
    yield (
        "ad_account_selected",
        {"primary_ad_account_id": account, "selected_at_ms": at_ms, "version": next(_NUMBERS)},
    )


def checkouts(at_ms: int, product: str, number: int) -> Fields:
    for _ in range(number):
        line = {"product_id": product, "sku_id": product, "quantity": 1}
        yield "checkout_started", {"checkout_id": f"checkout{next(_NUMBERS)}", "lines": [line]}


def benchmark(at_ms: int, metric: str, value: float, day: str, **words: Any) -> Fields:
    yield (
        "benchmark",
        {
            "category": "fashion",
            "gmv_tier": "T3",
            "group": "own_tier",
            "metric": metric,
            "period": "day",
            "benchmark_day": day,
            "value": value,
            "published_at_ms": at_ms,
        }
        | words,
    )


STEPS: Final[dict[str, Callable[..., Fields]]] = {
    "content": content,
    "watched": watched,
    "broke": broke,
    "followers": followers,
    "ad": ad,
    "primary": primary,
    "checkouts": checkouts,
    "benchmark": benchmark,
}
"""By the name of the step; each takes the instant first."""
