"""Facts and reference records of a made-up day as events on the wire."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from replay.generator.assortment import (
    CAMPAIGN_ID,
    CURRENCY,
    PLACES,
    PRODUCTS,
    SHOP_ID,
    SHOP_NAME,
    SUB_CAMPAIGNS,
    TIMEZONE,
    WAREHOUSE,
)
from replay.generator.orders import FREE_SHIPPING_MINOR, SHIPPING_MINOR, Order, Sales
from streams.topics import RECORDING_PREFIX, TOPIC_OF_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replay.generator.parameters import Knobs
    from replay.generator.traffic import Day

FEEDS: Final = {
    "pixel": ("cm.impressions", "cm.page_views"),
    "click-tracker": ("cm.clicks",),
    "cart-tracker": ("cm.add_to_cart",),
    "order-hub": ("cm.orders",),
    "inventory": ("cm.stock",),
    "catalogue": ("cm.products", "cm.campaigns", "cm.shops"),
}
"""Who sends which topics, each with heartbeats of its own."""

HELD_BACK_MS: Final = 20_000
"""A heartbeat vouches for what occurred this long before it: no record that is not late takes longer."""


class Event(NamedTuple):
    """A record before its way through the network: topic, key, when it occurred, its value."""

    topic: str
    key: str
    at_ms: int
    value: bytes


def order_events(rng: np.random.Generator, knobs: Knobs, day: Day, orders: list[Order]) -> Iterator[Event]:
    """Yield order_paid, order_status and cancellation refunds of the day's orders."""
    for order in orders:
        lines = [line_document(knobs, order, number) for number in range(len(order.lines))]
        yield event(
            "order_paid",
            order.order_id,
            order.paid_ms,
            currency=CURRENCY,
            order_id=order.order_id,
            created_at_ms=order.paid_ms - int(rng.integers(5_000, 60_000)),
            paid_at_ms=order.paid_ms,
            customer_id=f"c-{order.person:06d}",
            user_key=user_key(order.person),
            channel="tiktok",
            is_follower=order.follower,
            coupon_codes=["BF10"] if order.coupon else [],
            credits_minor=500 if rng.random() < 0.02 else 0,
            lines=lines,
            territory=order.territory,
        )
        yield _status(order, "paid", order.paid_ms, 2)
        if order.cancelled_ms:
            yield from _cancellation(order, lines)
        elif rng.random() < 0.5:
            shipped_ms = order.paid_ms + int(rng.integers(2 * 3_600_000, 9 * 3_600_000))
            if shipped_ms < day.end_ms:
                yield _status(order, "shipped", shipped_ms, 3)


def return_events(rng: np.random.Generator, knobs: Knobs, day: Day, lines: int) -> Iterator[Event]:
    """Yield refunds, processed today, of orders of the week before: a share of as many lines as today's."""
    earlier = dt.date.fromisoformat(day.label)
    for number in range(int(rng.poisson(knobs.number("return_line_share") * lines))):
        at_ms = day.at(float(rng.uniform(8.5, 18.0)))
        product = PRODUCTS[int(rng.integers(len(PRODUCTS)))]
        sold = earlier - dt.timedelta(days=int(rng.integers(3, 8)))
        yield event(
            "refund",
            order_id := f"o-{sold:%Y%m%d}-{int(rng.integers(1, 90)):05d}",
            at_ms,
            currency=CURRENCY,
            refund_id=f"r-{day.label.replace('-', '')}-{number:04d}",
            order_id=order_id,
            line_id="1",
            customer_id=f"c-{int(rng.integers(40_000)):06d}",
            product_id=product.product_id,
            sku_id=product.sku_ids[int(rng.integers(len(product.sku_ids)))],
            kind="return",
            quantity=1,
            amount_minor=product.price_minor,
            shipping_minor=0,
            tax_minor=_tax(knobs, product.price_minor),
            requested_at_ms=at_ms - int(rng.integers(86_400_000, 3 * 86_400_000)),
            processed_at_ms=at_ms,
        )


def stock_events(sales: Sales) -> Iterator[Event]:
    """Yield one stock_changed per move, absolute levels."""
    for move in sales.moves:
        yield event(
            "stock_changed",
            move.sku,
            move.at_ms,
            source_system="inventory",
            sku_id=move.sku,
            product_id=PRODUCTS[move.product].product_id,
            warehouse_id=WAREHOUSE,
            available=move.available,
            change=move.change,
            reason=move.reason,
            version=move.version,
        )


def reference_events(day: Day, goal_minor: int | None) -> Iterator[Event]:
    """Yield the shop, its products and, where there is a goal, the campaign of the day."""
    version = dt.date.fromisoformat(day.label).toordinal()
    yield event(
        "shop",
        SHOP_ID,
        day.start_ms,
        timezone=TIMEZONE,
        currency=CURRENCY,
        version=version,
        name=SHOP_NAME,
        category="fashion and home",
        industry="fashion",
        business_size="mid",
        connected=True,
    )
    for product in PRODUCTS:
        yield event(
            "product",
            product.product_id,
            day.start_ms,
            product_id=product.product_id,
            name=product.name,
            category=product.category,
            sku_ids=list(product.sku_ids),
            price_minor=product.price_minor,
            status="live",
            version=version,
        )
    if goal_minor is not None:
        yield _campaign(day, version, goal_minor)


def heartbeats(
    day: Day,
    every_ms: int,
    silent: dict[str, tuple[int, int]],
    feeds: Mapping[str, tuple[str, ...]] = FEEDS,
) -> Iterator[Event]:
    """Yield the heartbeats of every feed; `silent` feeds send none within their span.

    Nor shortly before it, for it would arrive inside, nor shortly after it: what was held back arrives then, and a
    heartbeat before that would vouch for clicks that nobody has.
    """
    for feed, topics in feeds.items():
        off_ms, on_ms = silent.get(feed, (0, 0))
        for at_ms in range(day.start_ms + every_ms, day.end_ms, every_ms):
            if off_ms - HELD_BACK_MS <= at_ms < on_ms + HELD_BACK_MS:
                continue
            yield event(
                "heartbeat",
                SHOP_ID,
                at_ms,
                event_id=f"hb-{feed}-{at_ms}",
                source=feed,
                topics=topics,
                sent_until_ms=at_ms - HELD_BACK_MS,
            )


def goods_minor(document: dict[str, object]) -> int:
    """Return what a line's buyer paid for goods and shipping."""
    return _whole(document, "goods_paid_minor") + _whole(document, "shipping_paid_minor")


def gmv_minor(knobs: Knobs, orders: list[Order]) -> int:
    """Return the GMV of orders: goods and shipping, without tax."""
    return sum(
        goods_minor(line_document(knobs, order, number))
        for order in orders
        for number in range(len(order.lines))
    )


def user_key(person: int) -> str:
    """Return a person's pseudonymous key; bots have negative numbers."""
    return f"u-{(person * 2_654_435_761) % 2**32:08x}"


def line_document(knobs: Knobs, order: Order, number: int) -> dict[str, object]:
    """Return one order line; the order's shipping stands on its first line."""
    line = order.lines[number]
    product = PRODUCTS[line.product]
    full = product.price_minor * line.quantity
    discount = full * 25 // 100 if order.flash and product.flash else full * 5 // 100
    coupon = (full - discount) // 10 if order.coupon else 0
    cofund = full * 3 // 100 if PLACES[line.place].block["format"] == "live" else 0
    goods = full - discount - coupon - cofund
    total = sum(PRODUCTS[other.product].price_minor * other.quantity for other in order.lines)
    is_first = number == 0
    document: dict[str, object] = {
        "line_id": str(number + 1),
        "product_id": product.product_id,
        "sku_id": line.sku,
        "quantity": line.quantity,
        "list_price_minor": product.price_minor,
        "goods_paid_minor": goods,
        "shipping_paid_minor": SHIPPING_MINOR if is_first and total < FREE_SHIPPING_MINOR else 0,
        "tax_minor": _tax(knobs, goods),
        "seller_discount_minor": discount,
        "cofund_product_minor": cofund,
        "cofund_shipping_minor": 150 if is_first and total >= FREE_SHIPPING_MINOR else 0,
        "coupon_minor": coupon,
        "source": PLACES[line.place].block,
    }
    return document


def _tax(knobs: Knobs, goods: int) -> int:
    return round(goods * knobs.number("sales_tax"))


def _cancellation(order: Order, lines: list[dict[str, object]]) -> Iterator[Event]:
    yield _status(order, "cancel_requested", order.cancelled_ms - 120_000, 3)
    yield _status(order, "cancelled", order.cancelled_ms, 4)
    for line in lines:
        yield event(
            "refund",
            order.order_id,
            order.cancelled_ms,
            currency=CURRENCY,
            refund_id=f"r-{order.order_id}",
            order_id=order.order_id,
            line_id=line["line_id"],
            customer_id=f"c-{order.person:06d}",
            product_id=line["product_id"],
            sku_id=line["sku_id"],
            kind="cancellation",
            quantity=line["quantity"],
            amount_minor=line["goods_paid_minor"],
            shipping_minor=line["shipping_paid_minor"],
            tax_minor=line["tax_minor"],
            requested_at_ms=order.cancelled_ms - 120_000,
            processed_at_ms=order.cancelled_ms,
        )


def _status(order: Order, status: str, at_ms: int, seq: int) -> Event:
    return event("order_status", order.order_id, at_ms, order_id=order.order_id, status=status, seq=seq)


def _campaign(day: Day, version: int, goal_minor: int) -> Event:
    reference = dt.date.fromisoformat(day.label) - dt.timedelta(days=7)
    goal = goal_minor / 100
    return event(
        "campaign",
        CAMPAIGN_ID,
        day.start_ms,
        campaign_id=CAMPAIGN_ID,
        name="Black Friday",
        starts_at_ms=day.start_ms,
        ends_at_ms=day.end_ms,
        joined_at_ms=day.start_ms - 7 * 86_400_000,
        version=version,
        product_ids=[product.product_id for product in PRODUCTS],
        sub_campaigns=[{"id": key, "name": name, "joined": True} for key, name in SUB_CAMPAIGNS],
        target_metric="gmv",
        target_value=goal,
        target_changed_at_ms=day.start_ms - 86_400_000,
        plan=[{"date": day.label, "value": goal}],
        reference=reference.isoformat(),
        tracked_coupons=["BF10"],
    )


_IDS: Final = ("refund_id", "line_id", "status", "state", "version")


def event(event_type: str, key: str, at_ms: int, **fields: object) -> Event:
    """Return an event; its id follows from its identity, so the same seed gives the same ids."""
    identity = "-".join(str(fields[name]) for name in _IDS if name in fields)
    document = {
        "event_id": f"{event_type}-{key}-{identity}".rstrip("-"),
        "event_type": event_type,
        "shop_id": SHOP_ID,
        "occurred_at_ms": at_ms,
        **fields,
    }
    topic = RECORDING_PREFIX + TOPIC_OF_TYPE[event_type]
    return Event(topic, key, at_ms, msgspec.json.encode(document))


def _whole(document: dict[str, object], name: str) -> int:
    value = document[name]
    if not isinstance(value, int):
        what = f"{name} is {value!r}, not an integer"
        raise TypeError(what)
    return value
