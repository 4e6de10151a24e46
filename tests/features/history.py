"""What a shop has behind it on a generated day: yesterday, older days, levels, a content test; and two more shops.

Written by hand with round figures, so that a test may name them.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any, Final

from streams.topics import TOPIC_OF_TYPE, TOPICS

SHOP: Final = "lumen-and-loom"
SMALL: Final = "corner"
LARGE: Final = "empire"

DAY_MS: Final = 1_795_766_400_000
"""2026-11-27T00:00 in Los Angeles: the generated day begins."""
HOUR: Final = 3_600_000
NOON: Final = DAY_MS - 12 * HOUR
"""Of the day before."""

TAB: Final = {
    "owner": "seller",
    "format": "product_card",
    "surface": "shop_tab",
    "is_paid": False,
    "account_id": "lumen.and.loom",
}


def of(owner: str, form: str, content: str, **more: Any) -> dict[str, Any]:
    """Return a source block of a content."""
    surface = "live_room" if form == "live" else "feed"
    return {
        "owner": owner,
        "format": form,
        "surface": surface,
        "is_paid": False,
        "content_id": content,
    } | more


def event(kind: str, at_ms: int, shop: str = SHOP, /, **fields: Any) -> dict[str, Any]:
    """Return a record; its id is made of what it holds."""
    body = {"event_type": kind, "shop_id": shop, "occurred_at_ms": at_ms, **fields}
    return {"event_id": f"hand-{kind}-{zlib.crc32(json.dumps(body, sort_keys=True).encode()):x}", **body}


def order(name: str, at_ms: int, goods: int, source: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a paid order of one line, cents."""
    shop, product = more.pop("shop", SHOP), more.pop("product", "linen-wrap-dress")
    line = {
        "line_id": "1",
        "product_id": product,
        "sku_id": more.pop("sku", f"{product} / M"),
        "quantity": more.pop("quantity", 1),
        "list_price_minor": goods,
        "goods_paid_minor": goods,
        "source": source,
        **dict.fromkeys(("seller_discount_minor", "coupon_minor"), 0),
    }
    for field in ("shipping_paid_minor", "tax_minor", "cofund_product_minor", "cofund_shipping_minor"):
        line[field] = more.pop(field, 0)
    body = {"order_id": name, "created_at_ms": at_ms, "paid_at_ms": at_ms, "channel": "tiktok"}
    buyer = {"customer_id": f"c-{name}", "user_key": f"u-{name}", "credits_minor": 0, "territory": "US-CA"}
    return event("order_paid", at_ms, shop, **body, **{**buyer, **more}, lines=[line])


def content(name: str, kind: str, at_ms: int, **more: Any) -> list[dict[str, Any]]:
    """Return a video that is published, or a LIVE of one hour."""
    shop = more.pop("shop", SHOP)
    body = {
        "content_id": name,
        "kind": kind,
        "account_id": "lumen.studio",
        "account_kind": "linked",
        "title": name.replace("-", " "),
        "product_ids": ["linen-wrap-dress"],
        "key_session": False,
        "started_at_ms": at_ms,
    } | more
    if kind == "video":
        return [event("content", at_ms, shop, state="published", **body)]
    end = {"ended_at_ms": at_ms + HOUR}
    return [
        event("content", at_ms, shop, state="live_started", **body),
        event("content", at_ms + HOUR, shop, state="live_ended", **body, **end),
    ]


def engagement(name: str, at_ms: int, views: int, **more: Any) -> dict[str, Any]:
    """Return a quarter of an hour of a content."""
    shop, viewers = more.pop("shop", SHOP), more.pop("viewers", [])
    body = dict.fromkeys(("likes", "comments", "shares", "saves"), 0) | {"watch_seconds": views * 10.0}
    return event(
        "content_engagement",
        at_ms + HOUR // 4,
        shop,
        content_id=name,
        bucket_start_ms=at_ms,
        views=views,
        viewer_keys=viewers,
        **{**body, **more},
    )


def ad(account: str, name: str, at_ms: int, spend: int, revenue: int, **more: Any) -> dict[str, Any]:
    """Return an hour of an ad, cents."""
    body = {"impressions": 1_000, "clicks": 20, "purchases": 2, "bucket_seconds": 3600, "revision": 1}
    shop = more.pop("shop", SHOP)
    ids = {"ad_account_id": account, "ad_campaign_id": "hand", "ad_id": name, "bucket_start_ms": at_ms}
    money = {"spend_minor": spend, "gross_revenue_minor": revenue}
    return event("ad_metric", at_ms + HOUR, shop, **ids, **money, **{**body, **more})


def traffic(kind: str, at_ms: int, number: int, source: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Return so many events of traffic, each of another person."""
    shop, product = more.pop("shop", SHOP), more.pop("product", "linen-wrap-dress")
    return [
        event(kind, at_ms + each, shop, user_key=f"{kind}-{each}", product_id=product, source=source)
        for each in range(number)
    ]


def yesterday() -> list[dict[str, Any]]:
    """Return what the shop of the generated day did before it."""
    own = {"account_id": "lumen.studio"}
    dress = {"product_id": "linen-wrap-dress", "name": "Linen wrap dress", "category": "dresses"}
    card = {"sku_ids": ["Linen wrap dress / S", "Linen wrap dress / M", "Linen wrap dress / L"]}
    scarf = {
        "product_id": "old-scarf",
        "name": "Old scarf",
        "category": "dresses",
        "sku_ids": ["old-scarf / M"],
    }
    variants = []
    for name, where, views, likes, clicks in (
        ("hook-a", "US-CA", 1_000, 30, 20),
        ("hook-b", "US-NY", 500, 10, 8),
    ):
        video = f"video-{name}"
        variants += content(
            video, "video", NOON, variant=name, account_id="lumen.and.loom", account_kind="marketing"
        )
        variants.append(engagement(video, NOON, views, likes=likes, territory=where))
        shown = of("seller", "video", video, account_id="lumen.and.loom")
        variants += traffic("product_click", NOON + len(variants) * 1_000, clicks, shown)
    return [
        order(
            "y1",
            NOON + HOUR // 2,
            6_000,
            of("seller", "live", "live-before", **own),
            quantity=2,
            shipping_paid_minor=500,
            tax_minor=400,
            cofund_product_minor=100,
            cofund_shipping_minor=50,
        ),
        order("y2", NOON + 2 * HOUR, 2_000, TAB, product="everyday-crew-tee"),
        order("y3", NOON + 3 * HOUR, 1_500, TAB, product="old-scarf"),
        event("order_status", NOON + 4 * HOUR, order_id="y3", status="cancelled", seq=9),
        event("product", NOON, **dress, **card, price_minor=5_900, status="live", version=900_000, rating=4.7)
        | {"opportunity_matched": True},
        event("product", NOON, **scarf, price_minor=1_500, status="deleted", version=900_000),
        *content("live-before", "live", NOON, key_session=True),
        *content("live-older", "live", NOON - 48 * HOUR),
        order("y0", NOON - 48 * HOUR + 60_000, 10_000, of("seller", "live", "live-older", **own)),
        *variants,
        ad("ads-own", "ad-hand", NOON, 3_000, 9_000, new_customers=1),
        ad("ads-other", "ad-other", NOON, 1_000, 500),
        *(
            event("follower", DAY_MS - 30 * 24 * HOUR, account_id=name, followers=level)
            for name, level in (("lumen.studio", 10_000), ("lumen.and.loom", 40_000))
        ),
        *(
            event("history_total", NOON, date=date, metric="gmv", slice="all", value=value, is_final=True)
            for date, value in (("2026-06-01", 500_000), ("2026-05-01", 1))
        ),
        event(
            "campaign",
            NOON,
            campaign_id="autumn",
            name="Autumn",
            starts_at_ms=DAY_MS - 72 * HOUR,
            ends_at_ms=DAY_MS,
            joined_at_ms=DAY_MS - 240 * HOUR,
            product_ids=["old-scarf"],
            sub_campaigns=[],
            target_metric="gmv",
            target_value=800.0,
            period_goals=[
                {"window": "quarter", "metric": "gmv", "value": 10_000},
                {"window": "week", "metric": "orders", "value": 50},
            ],
            version=1,
        ),
        event(
            "benchmark",
            NOON,
            category="fashion and home",
            gmv_tier="T3",
            group="own_tier",
            metric="gmv",
            period="day",
            benchmark_day="2026-11-26",
            value=50.0,
            published_at_ms=NOON,
        ),
    ]


def other(shop: str, *, size: str, industry: str, goal: str, scale: int) -> list[dict[str, Any]]:
    """Return a shop that lies below every band of its size and industry, and its one LIVE of yesterday."""
    who = {"account_id": f"{shop}.live", "account_kind": "marketing", "shop": shop}
    live = of("seller", "live", f"{shop}-live", account_id=f"{shop}.live")
    before = of("seller", "live", f"{shop}-live-1", account_id=f"{shop}.live")
    mug = {"product_id": "mug", "name": "Mug", "category": "mugs", "sku_ids": ["mug / M"]}
    profile = {"timezone": "America/Los_Angeles", "currency": "USD", "category": industry}
    return [
        event(
            "shop",
            NOON,
            shop,
            **profile,
            industry=industry,
            business_size=size,
            goal=goal,
            kpis=["items_sold"],
            connected=True,
            version=1,
        ),
        event(
            "account",
            NOON,
            shop,
            account_id=f"{shop}.live",
            display_name=shop,
            kind="marketing",
            version=1,
        ),
        *content(f"{shop}-live", "live", NOON, **who),
        *(
            one
            for days in (1, 2)
            for one in (
                *content(f"{shop}-live-{days}", "live", NOON - days * 24 * HOUR, **who),
                engagement(
                    f"{shop}-live-{days}", NOON - days * 24 * HOUR, 20_000 * scale, shop=shop, likes=100
                ),
            )
        ),
        order(f"{shop}-0", NOON - 24 * HOUR + 60_000, 8_000, before, shop=shop, product="mug", user_key="v0"),
        *(
            order(f"{shop}-old-{at_ms}", at_ms, 100, TAB, shop=shop, product="mug", quantity=5)
            for at_ms in (DAY_MS - 60 * 24 * HOUR, DAY_MS - 40 * 24 * HOUR)
        ),
        event("product", NOON, shop, **mug, price_minor=5_000, status="live", version=1, price_tier="mid"),
        engagement(
            f"{shop}-live", NOON, 20_000 * scale, shop=shop, likes=100, viewers=[f"v{n}" for n in range(400)]
        ),
        order(f"{shop}-1", NOON + HOUR // 2, 5_000, live, shop=shop, product="mug", user_key="v1"),
        *traffic("product_impression", NOON, 500, live, shop=shop, product="mug"),
        *traffic("product_click", NOON + 1_000, 150, live, shop=shop, product="mug"),
        *traffic("product_page_view", NOON + 2_000, 400, live, shop=shop, product="mug"),
        *(
            one
            for cup in range(9)
            for one in traffic(
                "product_page_view", NOON + 3_000 + cup, 300, live, shop=shop, product=f"cup-{cup}"
            )
        ),
        *(
            event(
                "checkout_started",
                NOON + 5_000 + number,
                shop,
                checkout_id=f"{shop}-ch-{product}-{number}",
                user_key=f"v{number}",
                lines=[{"product_id": product, "sku_id": f"{product} / M", "quantity": 1}],
                source=live,
            )
            for product, checkouts in (("mug", 1), *((f"cup-{cup}", 30) for cup in range(9)))
            for number in range(checkouts)
        ),
        ad(
            f"{shop}-ads",
            "ad-dear",
            NOON,
            40_000,
            30_000,
            shop=shop,
            clicks=200,
            impressions=40_000,
            product_id="mug",
        ),
        ad(
            f"{shop}-ads",
            "ad-clicked",
            NOON,
            30_000,
            15_000,
            shop=shop,
            clicks=600,
            impressions=30_000,
            purchases=1,
            product_id="mug",
        ),
        *(
            event("follower", at_ms, shop, account_id=f"{shop}.live", followers=level)
            for at_ms, level in ((DAY_MS - 40 * 24 * HOUR, 10_000), (NOON, 10_100))
        ),
        event(
            "violation",
            NOON + HOUR,
            shop,
            violation_id=f"{shop}-v",
            content_id=f"{shop}-live",
            content_kind="live",
            account_id=f"{shop}.live",
            state="opened",
            severity="warning",
        ),
    ]


def write(path: Path, events: list[dict[str, Any]]) -> None:
    """Write records as lines of a recording, in the order of their time."""
    with path.open("w", encoding="utf-8") as file:
        for value in sorted(events, key=lambda one: one["occurred_at_ms"]):
            topic = TOPIC_OF_TYPE[value["event_type"]]
            key = str(value.get(TOPICS[topic].key, value["shop_id"]))
            line = {
                "topic": f"cm.{topic}",
                "key": key,
                "timestamp_ms": value["occurred_at_ms"],
                "value": value,
            }
            file.write(json.dumps(line) + "\n")
