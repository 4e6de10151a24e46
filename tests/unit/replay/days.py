"""A hand-made selling day as a recording: one dress a minute until none is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from replay.manifest import Manifest
from replay.recording import Recording
from replay.writing import RecordingWriter
from streams.days import HOUR_MS, MINUTE_MS
from streams.settings import ShopSettings

SHOP_ID: Final = "s1"
BEGIN_MS: Final = 1_764_028_800_000
"""2025-11-25T00:00Z, midnight in London."""

SELLS_FROM_MS: Final = BEGIN_MS + 2 * HOUR_MS
STOCK: Final = 240
RUNS_OUT_MS: Final = SELLS_FROM_MS + (STOCK - 1) * MINUTE_MS
"""The 240th dress is sold 239 minutes after the first."""

ENDS_MS: Final = BEGIN_MS + 8 * HOUR_MS


def event(event_type: str, at_ms: int, **fields: Any) -> dict[str, Any]:
    return {"event_type": event_type, "shop_id": SHOP_ID, "occurred_at_ms": at_ms, **fields}


def paid(number: int, at_ms: int, quantity: int = 1) -> dict[str, Any]:
    line = {
        "line_id": "1",
        "product_id": "dress",
        "sku_id": "dress-M",
        "quantity": quantity,
        "list_price_minor": 5_000,
        "goods_paid_minor": 5_000 * quantity,
    } | dict.fromkeys(
        (
            "shipping_paid_minor",
            "tax_minor",
            "seller_discount_minor",
            "cofund_product_minor",
            "cofund_shipping_minor",
            "coupon_minor",
        ),
        0,
    )
    return event(
        "order_paid",
        at_ms,
        event_id=f"o{number}",
        order_id=f"o{number}",
        created_at_ms=at_ms,
        paid_at_ms=at_ms,
        customer_id=f"c{number}",
        credits_minor=0,
        lines=[line],
    )


def level(number: int, at_ms: int, available: int) -> dict[str, Any]:
    return event(
        "stock_changed",
        at_ms,
        event_id=f"s{number}",
        sku_id="dress-M",
        product_id="dress",
        available=available,
        version=number,
    )


def heartbeat(number: int, at_ms: int) -> dict[str, Any]:
    topics = ["cm.orders", "cm.stock"]
    return event("heartbeat", at_ms, event_id=f"h{number}", source="shop", sent_until_ms=at_ms, topics=topics)


def product() -> dict[str, Any]:
    return event(
        "product",
        BEGIN_MS,
        event_id="p",
        product_id="dress",
        name="Linen dress",
        category="",
        sku_ids=["dress-M"],
        price_minor=5_000,
        version=1,
    )


def records(
    *, stock: bool, heartbeats: bool, silent_from_ms: int
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield topic, time and record in the order of time."""
    yield "cm.products", BEGIN_MS, product()
    if stock:
        yield "cm.stock", BEGIN_MS, level(0, BEGIN_MS, STOCK)
    for minute in range((ENDS_MS - BEGIN_MS) // MINUTE_MS):
        at_ms = BEGIN_MS + minute * MINUTE_MS
        if heartbeats and at_ms < silent_from_ms:
            yield "cm.heartbeats", at_ms, heartbeat(minute, at_ms)
        sold = (at_ms - SELLS_FROM_MS) // MINUTE_MS + 1
        if 1 <= sold <= STOCK:
            yield "cm.orders", at_ms, paid(sold, at_ms)
            if stock:
                yield "cm.stock", at_ms, level(sold, at_ms, STOCK - sold)
    yield "cm.products", ENDS_MS, product() | {"event_id": "p2", "version": 2, "occurred_at_ms": ENDS_MS}


def selling_day(
    folder: Path, *, stock: bool = True, heartbeats: bool = True, silent_from_ms: int = ENDS_MS
) -> Recording:
    """Write the day and open it."""
    required = ("orders", "stock") if stock else ("orders",)
    shop = ShopSettings(SHOP_ID, "Europe/London", "GBP", required_topics=required)
    with RecordingWriter(folder, Manifest("selling day", {SHOP_ID: shop})) as writer:
        for topic, at_ms, value in records(stock=stock, heartbeats=heartbeats, silent_from_ms=silent_from_ms):
            writer.write(topic, "dress", at_ms, json.dumps(value).encode())
    return Recording.open(folder)
