"""A recording for the oracle: a campaign day, the day before, a day a week before, and records that make them hard.

The generated days leave things out that a definition speaks of: refunds of lines that are known, several lines of one
SKU, A/B variants, territories and gender in engagement, people without a key, corrected ads, a second ad account, an
order that arrives after its day is final. Those come from here, each by the schema of spec/events.md.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from replay.generator.scenario import generate
from replay.manifest import read_manifest
from replay.writing import RecordingWriter

SHOP: Final = "lumen-and-loom"
SEED: Final = 11
HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
TODAY_MS: Final = 1_795_766_400_000
"""Midnight of 2026-11-27 in Los Angeles, eight hours behind UTC on all of these days."""

DAYS: Final = (
    ("2026-11-20", "ordinary_day", 0.15),
    ("2026-11-26", "ordinary_day", 0.15),
    ("2026-11-27", "campaign_day", 0.1),
)
TOPICS: Final = {
    "product_impression": "impressions",
    "product_click": "clicks",
    "product_page_view": "page_views",
    "add_to_cart": "add_to_cart",
    "checkout_started": "checkouts",
    "order_paid": "orders",
    "order_status": "orders",
    "refund": "orders",
    "content": "content",
    "content_engagement": "engagement",
    "violation": "violations",
    "follower": "followers",
    "ad_metric": "ads",
    "product": "products",
}
PRODUCTS: Final = ("linen-wrap-dress", "cloud-fleece-hoodie", "merino-beanie", "soy-candle")
REGIONS: Final = ("US-CA", "US-NY", "US-TX", None)
Event = tuple[int, dict[str, Any]]


def make(folder: Path) -> Path:
    """Write the recording under `folder` and return where it is."""
    lines: list[tuple[int, int, bytes]] = []
    manifest = None
    for day, scenario, scale in DAYS:
        part = folder / day
        generate(part, seed=SEED, day=day, scale=scale, scenario=scenario, compression="none")  # type: ignore[arg-type] # a Scenario
        manifest = read_manifest(part, {})
        for path in sorted(part.glob("*.jsonl")):
            for text in path.read_bytes().splitlines():
                lines.append((json.loads(text)["timestamp_ms"], len(lines), text))
    for received_ms, event in hard_records():
        record = {
            "topic": f"cm.{TOPICS[event['event_type']]}",
            "key": None,
            "timestamp_ms": received_ms,
            "value": {"shop_id": SHOP, **event},
        }
        lines.append((received_ms, len(lines), json.dumps(record).encode()))
    lines.sort()
    assert manifest is not None
    out = folder / "days"
    with RecordingWriter(out, replace(manifest, other={"synthetic": True}), compression="none") as writer:
        whole = b"".join(text + b"\n" for _, _, text in lines)
        writer.write_lines(whole, [], first_ms=lines[0][0], last_ms=lines[-1][0])
    return out


def hard_records() -> Iterator[Event]:
    """Yield (R, event) of everything that the generated days lack."""
    rng = random.Random(SEED)
    yield from _contents()
    yield from _traffic(rng)
    yield from _orders(rng)
    yield from _engagement(rng)
    yield from _others()


def _event(kind: str, event_id: str, at_ms: int, /, **fields: Any) -> dict[str, Any]:
    known = {name: value for name, value in fields.items() if value is not None}
    return {"event_id": f"hard-{event_id}", "event_type": kind, "occurred_at_ms": at_ms, **known}


SOURCES: Final[tuple[dict[str, Any] | None, ...]] = (
    {"owner": "affiliate", "format": "video", "surface": "feed", "account_id": "theo.home", "is_paid": False}
    | {"creator_id": "cr-theo", "content_id": "ab-one", "sub_campaign_id": "creator-picks"},
    {
        "owner": "affiliate",
        "format": "video",
        "surface": "shop_tab",
        "account_id": "theo.home",
        "is_paid": False,
    }
    | {"creator_id": "cr-theo", "content_id": "ab-two"},
    {
        "owner": "seller",
        "format": "live",
        "surface": "live_room",
        "account_id": "lumen.studio",
        "is_paid": True,
    }
    | {"content_id": "ab-live", "ad_id": "ad-hard", "sub_campaign_id": "flash-deals"},
    # The same LIVE in another sub-campaign, and in none.
    {
        "owner": "seller",
        "format": "live",
        "surface": "shop_tab",
        "account_id": "lumen.studio",
        "is_paid": False,
    }
    | {"content_id": "ab-live", "sub_campaign_id": "creator-picks"},
    {
        "owner": "seller",
        "format": "live",
        "surface": "live_room",
        "account_id": "lumen.studio",
        "is_paid": False,
    }
    | {"content_id": "ab-live"},
    {"owner": "affiliate", "format": "showcase", "surface": "showcase", "account_id": "theo.home"}
    | {"creator_id": "cr-theo", "is_paid": False},
    {"owner": "seller", "format": "product_card", "surface": "shop_tab", "account_id": "lumen.and.loom"}
    | {"is_paid": False},
    {"owner": "none", "format": "other", "surface": "search", "is_paid": False},
    None,
)


def _contents() -> Iterator[Event]:
    """Yield two variants of a video, a LIVE over midnight with its predecessor, and one that stays on air."""
    video = {"kind": "video", "account_id": "theo.home", "account_kind": "affiliate", "creator_id": "cr-theo"}
    live = {"kind": "live", "account_id": "lumen.studio", "account_kind": "linked", "key_session": True}
    evening = TODAY_MS - 3 * HOUR_MS
    posts: list[tuple[int, str, str, dict[str, Any]]] = [
        (TODAY_MS - 14 * HOUR_MS, "ab-one", "published", video | {"variant": "hook A", "key_session": False}),
        (TODAY_MS - 13 * HOUR_MS, "ab-two", "published", video | {"variant": "hook B", "key_session": False}),
        (evening, "ab-live", "live_started", live | {"variant": "host A", "started_at_ms": evening}),
        (
            TODAY_MS + 2 * HOUR_MS,
            "ab-live",
            "live_ended",
            live
            | {"variant": "host A", "started_at_ms": evening, "ended_at_ms": TODAY_MS + 2 * HOUR_MS}
            | {"sub_campaign_id": "flash-deals"},
        ),
        (
            TODAY_MS + 22 * HOUR_MS,
            "ab-night",
            "live_started",
            live | {"key_session": False, "started_at_ms": TODAY_MS + 22 * HOUR_MS},
        ),
    ]
    for at_ms, content_id, state, more in posts:
        fields = {"content_id": content_id, "state": state, "title": content_id, "product_ids": PRODUCTS[:2]}
        yield at_ms + 500, _event("content", f"{content_id}-{state}", at_ms, **fields, **more)


def _traffic(rng: random.Random) -> Iterator[Event]:
    """Yield traffic of every source, some without people, some sent twice, some again after the repeat window."""
    kinds = {"product_impression": 900, "product_click": 1600, "product_page_view": 300, "add_to_cart": 240}
    for kind, number in kinds.items():
        for index in range(number):
            at_ms = TODAY_MS - 12 * HOUR_MS + rng.randrange(30 * HOUR_MS)
            user = None if rng.random() < 0.2 else f"hard-{rng.randrange(160)}"
            product = rng.choice(PRODUCTS)
            event = _event(
                kind,
                f"{kind}-{index}",
                at_ms,
                user_key=user,
                product_id=product,
                # Of showings and page views it means nothing (spec/events.md).
                sku_id=f"{product} / {index % 2}" if index % 5 < 3 else None,
                source=rng.choice(SOURCES),
                territory=rng.choice(REGIONS),
            )
            yield at_ms + 700, event
            if index % 40 == 0:
                yield at_ms + 5 * MINUTE_MS, event
            if index % 90 == 0:
                yield at_ms + 3 * HOUR_MS, event


def _orders(rng: random.Random) -> Iterator[Event]:
    """Yield orders of several lines and sources with states and refunds, some long after their day is final."""
    for index in range(120):
        at_ms = TODAY_MS - 10 * HOUR_MS + rng.randrange(26 * HOUR_MS)
        if index % 20 == 0:
            # Of the last quarter hour.
            at_ms = TODAY_MS + 24 * HOUR_MS - (index // 20 + 1) * 2 * MINUTE_MS
        order_id, customer = f"hard-{index:03}", f"hard-c-{rng.randrange(70)}"
        late_ms = 22 * HOUR_MS if index % 30 == 3 and at_ms < TODAY_MS else 900
        order = _order(rng, order_id, customer, at_ms)
        yield at_ms + late_ms, order
        if index % 11 == 0 and index % 20:
            yield at_ms + late_ms + 20 * MINUTE_MS, order
        states = [("paid", 1), ("shipped", 2), ("delivered", 3)][: rng.randrange(4)]
        if index % 6 == 0:
            states += [("cancel_requested", 4), ("cancelled", 5)]
        elif index % 9 == 0:
            states.append(("cancel_requested", 4))
        states = [one for one in states if index % 20]
        for state, seq in states:
            told = _event(
                "order_status",
                f"{order_id}-{state}",
                at_ms + seq * MINUTE_MS,
                order_id=order_id,
                status=state,
                seq=seq,
            )
            yield at_ms + seq * MINUTE_MS + 300, told
        if index % 3 == 0 and index % 20:
            yield from _refunds(rng, order, index)


def _order(rng: random.Random, order_id: str, customer: str, at_ms: int) -> dict[str, Any]:
    lines = []
    for number in range(rng.randrange(1, 5)):
        product = rng.choice(PRODUCTS)
        source = rng.choice(SOURCES)
        line = {
            "line_id": str(9 + number),
            "product_id": product,
            "sku_id": f"{product} / {rng.randrange(2)}",
            "quantity": rng.randrange(1, 4),
            "list_price_minor": 5000,
            "goods_paid_minor": rng.randrange(900, 9000),
            "shipping_paid_minor": rng.randrange(0, 700),
            "tax_minor": rng.randrange(0, 600),
            "seller_discount_minor": 10,
            "cofund_product_minor": rng.randrange(0, 300),
            "cofund_shipping_minor": rng.randrange(0, 200),
            "coupon_minor": 5,
            "source": source,
            "ad_id": "ad-hard" if source and source.get("ad_id") else None,
        }
        lines.append({name: value for name, value in line.items() if value is not None})
    return _event(
        "order_paid",
        order_id,
        at_ms,
        order_id=order_id,
        created_at_ms=at_ms - MINUTE_MS,
        paid_at_ms=at_ms,
        customer_id=customer,
        user_key=None if rng.random() < 0.3 else f"hard-{rng.randrange(160)}",
        channel="tiktok",
        credits_minor=0,
        lines=lines,
        territory=rng.choice(REGIONS),
    )


def _refunds(rng: random.Random, order: dict[str, Any], index: int) -> Iterator[Event]:
    at_ms = order["paid_at_ms"] + rng.randrange(HOUR_MS, 7 * HOUR_MS)
    kind = ("return", "cancellation", "partial", "appeasement")[index % 4]
    for line in order["lines"][:2]:
        refund = _event(
            "refund",
            f"refund-{order['order_id']}-{line['line_id']}",
            at_ms,
            refund_id=f"r-{order['order_id']}",
            order_id=order["order_id"],
            line_id=line["line_id"],
            customer_id=order["customer_id"],
            product_id=line["product_id"],
            sku_id=line["sku_id"],
            kind=kind,
            quantity=0 if kind == "appeasement" else 1,
            amount_minor=line["goods_paid_minor"] // 2,
            shipping_minor=line["shipping_paid_minor"],
            tax_minor=line["tax_minor"],
            requested_at_ms=at_ms - HOUR_MS,
            processed_at_ms=at_ms,
        )
        yield at_ms + 400, refund


def _engagement(rng: random.Random) -> Iterator[Event]:
    for content_id in ("ab-one", "ab-two", "ab-live", "never-announced"):
        for index in range(60):
            at_ms = TODAY_MS - 3 * HOUR_MS + index * 5 * MINUTE_MS
            viewers = [f"hard-{rng.randrange(160)}" for _ in range(rng.randrange(0, 9))]
            event = _event(
                "content_engagement",
                f"{content_id}-{index}",
                at_ms + 2 * MINUTE_MS,
                content_id=content_id,
                bucket_start_ms=at_ms,
                views=len(viewers) + rng.randrange(3),
                likes=rng.randrange(5),
                comments=rng.randrange(4),
                shares=rng.randrange(3),
                saves=rng.randrange(2),
                watch_seconds=rng.randrange(4000) / 8,
                viewer_keys=viewers or None,
                territory=rng.choice(REGIONS),
                age_band=("18-24", "35+", None)[index % 3],
                gender=("female", "male", None)[index // 3 % 3],
            )
            yield at_ms + 3 * MINUTE_MS, event
    for index in range(118):
        at_ms = TODAY_MS + 22 * HOUR_MS + index * MINUTE_MS
        now = {"concurrent_viewers": 20 + index, "viewer_keys": [f"hard-{index}"]}
        counts = {"views": 3, "likes": 1, "comments": 0, "shares": 0, "saves": 0, "watch_seconds": 60}
        yield (
            at_ms + 70_000,
            _event(
                "content_engagement",
                f"ab-night-{index}",
                at_ms + MINUTE_MS,
                content_id="ab-night",
                bucket_start_ms=at_ms,
                **counts,
                **now,
            ),
        )


def _others() -> Iterator[Event]:
    """Yield violations in every state, corrected ads of two accounts, and checkouts of several products."""
    violations = [
        ("hard-1", "ab-one", "video", "theo.home", ("opened", "appealed")),
        ("hard-2", "ab-live", "live", "lumen.studio", ("opened", "resolved")),
        ("hard-3", "ab-live", "live", "lumen.studio", ("opened", "appealed", "resolved")),
        ("hard-4", None, "listing", "lumen.and.loom", ("opened",)),
    ]
    for number, (violation_id, content_id, kind, account_id, states) in enumerate(violations):
        for step, state in enumerate(states):
            at_ms = TODAY_MS + (number - 2 + 2 * step) * HOUR_MS
            told = _event(
                "violation",
                f"{violation_id}-{state}",
                at_ms,
                violation_id=violation_id,
                content_id=content_id,
                content_kind=kind,
                account_id=account_id,
                state=state,
                severity="restriction",
            )
            yield at_ms + 800, told
    # By its price it were of the middle.
    lamp = {"name": "Lamp", "category": "home", "sku_ids": [], "price_minor": 9_900, "price_tier": "high"}
    told = _event("product", "hard-lamp", TODAY_MS, product_id="hard-lamp", status="live", version=1, **lamp)
    yield TODAY_MS + 500, told
    for account_id in ("ads-own", "ads-second"):
        for index in range(8):
            # Every second bucket straddles two hours; even numbers split into whole halves.
            at_ms = TODAY_MS + index * 2 * HOUR_MS - 3 * HOUR_MS + (index % 2) * HOUR_MS // 2
            for revision in range(1, 2 + index % 3):
                spend = 40 * (index + 1) * revision
                told = _event(
                    "ad_metric",
                    f"ad-{account_id}-{index}-{revision}",
                    at_ms + HOUR_MS,
                    ad_account_id=account_id,
                    ad_campaign_id="hard",
                    ad_id="ad-hard" if account_id == "ads-own" else "ad-second",
                    bucket_start_ms=at_ms,
                    bucket_seconds=3600,
                    revision=revision,
                    spend_minor=spend,
                    gross_revenue_minor=6 * spend,
                    impressions=50 * spend,
                    clicks=2 * spend,
                    purchases=2 * revision,
                    product_id=("hard-lamp", "merino-beanie", "nobodys", None)[index % 4],
                    new_customers=2 if index % 3 else None,
                    sub_campaign_id="flash-deals" if index % 2 else None,
                    creator_id="cr-theo" if index % 4 == 0 else None,
                )
                yield at_ms + (3 + 10 // revision) * HOUR_MS // 3, told
    for index in range(40):
        at_ms = TODAY_MS - 6 * HOUR_MS + index * 20 * MINUTE_MS
        lines = [
            {"product_id": product, "sku_id": f"{product} / 0", "quantity": 1}
            for product in PRODUCTS[: 1 + index % 3]
        ]
        told = _event(
            "checkout_started",
            f"checkout-{index}",
            at_ms,
            checkout_id=f"hard-{index}",
            user_key=f"hard-{index}",
            lines=lines,
            source=SOURCES[index % len(SOURCES)],
        )
        yield at_ms + 600, told
        if index % 5 == 0:
            yield at_ms + HOUR_MS, told
