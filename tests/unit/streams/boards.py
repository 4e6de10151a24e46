"""Build small boards by hand: a list of events becomes one flush, without the fold."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from streams import sketches, theta
from streams.atoms import NO_SOURCE_ATOM, atom_of
from streams.columns import Columns
from streams.cubes import CUBE_BY_NAME, CUBES, Grain
from streams.days import MINUTE_MS, QUARTER_MS, BusinessCalendar
from streams.events import (
    AddToCart,
    Event,
    Fact,
    Heartbeat,
    OrderLine,
    OrderPaid,
    OrderStatusChanged,
    ProductClick,
    ProductImpression,
    ProductPageView,
    Refund,
    Source,
    StockChanged,
    Traffic,
)
from streams.facts import key_of, version_of
from streams.outcomes import Outcome
from streams.settings import Settings, ShopSettings
from streams.state import FactRow, Flush, Position, RowKey, ShopSpan, StateRow
from streams.topics import TOPIC_OF_TYPE

SHOP = "s1"
LIVE = Source("seller", "live", "live_room", False, content_id="live-1")
CREATOR = Source("affiliate", "video", "feed", False, creator_id="mia", content_id="video-1")
SHOP_TAB = Source("seller", "product_card", "shop_tab", False)


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    """Return the instant of a local time such as `2024-11-29 14:05`."""
    local = dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.timestamp()) * 1000


def line(
    line_id: str, sku: str, goods: int, *, quantity: int = 1, shipping: int = 0, **more: Any
) -> OrderLine:
    """Return an order line; the product is the SKU's first letter."""
    values: dict[str, Any] = {
        "product_id": sku[0],
        "list_price_minor": goods,
        "tax_minor": 0,
        "seller_discount_minor": 0,
        "cofund_product_minor": 0,
        "cofund_shipping_minor": 0,
        "coupon_minor": 0,
    } | more
    return OrderLine(
        line_id=line_id,
        sku_id=sku,
        quantity=quantity,
        goods_paid_minor=goods,
        shipping_paid_minor=shipping,
        **values,
    )


def order(
    order_id: str, at_ms: int, lines: Sequence[OrderLine], customer: str = "c1", **more: Any
) -> OrderPaid:
    """Return a paid order."""
    values: dict[str, Any] = {"credits_minor": 0} | more
    return OrderPaid(
        event_id=f"paid-{order_id}",
        event_type="order_paid",
        shop_id=SHOP,
        occurred_at_ms=at_ms,
        order_id=order_id,
        created_at_ms=at_ms,
        paid_at_ms=at_ms,
        customer_id=customer,
        lines=list(lines),
        **values,
    )


def status(order_id: str, state: Any, seq: int, at_ms: int) -> OrderStatusChanged:
    return OrderStatusChanged(
        event_id=f"{state}-{order_id}-{seq}",
        event_type="order_status",
        shop_id=SHOP,
        occurred_at_ms=at_ms,
        order_id=order_id,
        status=state,
        seq=seq,
    )


def refund(
    refund_id: str, order_id: str, line_id: str, sku: str, amount: int, at_ms: int, **more: Any
) -> Refund:
    values: dict[str, Any] = {
        "customer_id": "c1",
        "kind": "return",
        "quantity": 1,
        "shipping_minor": 0,
        "tax_minor": 0,
    } | more
    return Refund(
        event_id=f"refund-{refund_id}-{line_id}",
        event_type="refund",
        shop_id=SHOP,
        occurred_at_ms=at_ms,
        refund_id=refund_id,
        order_id=order_id,
        line_id=line_id,
        product_id=sku[0],
        sku_id=sku,
        amount_minor=amount,
        requested_at_ms=at_ms,
        processed_at_ms=at_ms,
        **values,
    )


def stock(sku: str, available: int, at_ms: int, *, warehouse: str = "default") -> StockChanged:
    return StockChanged(
        event_id=f"stock-{sku}-{warehouse}-{at_ms}",
        event_type="stock_changed",
        shop_id=SHOP,
        occurred_at_ms=at_ms,
        sku_id=sku,
        product_id=sku[0],
        available=available,
        warehouse_id=warehouse,
    )


def heartbeat(topics: list[str], until_ms: int, source: str = "connector") -> Heartbeat:
    return Heartbeat(
        event_id=f"beat-{source}-{until_ms}",
        event_type="heartbeat",
        shop_id=SHOP,
        occurred_at_ms=until_ms,
        source=source,
        topics=topics,
        sent_until_ms=until_ms,
    )


_TRAFFIC: dict[str, type[Traffic]] = {
    "product_impression": ProductImpression,
    "product_click": ProductClick,
    "product_page_view": ProductPageView,
    "add_to_cart": AddToCart,
}


def traffic(
    event_type: str,
    at_ms: int,
    user: str | None,
    product: str = "A",
    source: Source | None = None,
    **more: Any,
) -> Traffic:
    return _TRAFFIC[event_type](
        event_id=f"{event_type}-{at_ms}-{user}-{product}",
        event_type=event_type,
        shop_id=SHOP,
        occurred_at_ms=at_ms,
        product_id=product,
        user_key=user,
        source=source,
        **more,
    )


def fact_row(
    event: Fact, *, version: int = 0, body_hash: int = 1, received_at_ms: int | None = None
) -> FactRow:
    version = version or version_of(event)
    received = event.occurred_at_ms if received_at_ms is None else received_at_ms
    return FactRow(key_of(event), version, event.occurred_at_ms, body_hash, received, 1, event)


def cells(events: Iterable[Traffic], zone: str) -> list[StateRow]:
    """Return the rows of every cube that the events fall into."""
    calendar = BusinessCalendar(zone)
    people: dict[RowKey, list[str | None]] = defaultdict(list)
    for event in events:
        source = event.source
        values = {
            "atom": str(
                NO_SOURCE_ATOM if source is None else atom_of(source.owner, source.format, source.surface)
            ),
            "product": event.product_id,
            "sku": getattr(event, "sku_id", None),
            "content": source and source.content_id,
            "creator": source and source.creator_id,
            "sub_campaign": source and source.sub_campaign_id,
            "territory": getattr(event, "territory", None),
        }
        for cube in CUBES:
            dims = tuple(values[name] for name in cube.dims)
            if None in dims or event.event_type not in cube.event_types:
                continue
            at_ms = event.occurred_at_ms
            bucket = {
                Grain.DAY: calendar.day_of(at_ms),
                Grain.QUARTER: at_ms // QUARTER_MS * QUARTER_MS,
                Grain.MINUTE: at_ms // MINUTE_MS * MINUTE_MS,
            }[cube.grain]
            texts = tuple(str(value) for value in dims)
            people[RowKey(cube.name, cube.definition, SHOP, bucket, event.event_type, texts)].append(
                None if event.user_key is None else str(event.user_key)
            )
    rows = []
    for key, users in people.items():
        known = [user for user in users if user is not None]
        image, cube = None, CUBE_BY_NAME[key.cube]
        if known and cube.lg_k is not None:
            crowd, apart = sketches.new(cube.lg_k), theta.new(cube.lg_k)
            for user in known:
                crowd.update(user)
                apart.update(user)
            image = theta.unite(cube.lg_k, [], apart) if cube.sketch == "theta" else sketches.dump(crowd)
        rows.append(StateRow(key, len(users), len(known), image))
    return rows


def flush_of(events: Sequence[Event], *, zone: str = "UTC", partition: int = 0, number: int = 1) -> Flush:
    """Return the flush of one partition that has folded these events, every one of them counted."""
    times: dict[str, list[int]] = defaultdict(list)
    for event in events:
        times[TOPIC_OF_TYPE[event.event_type]].append(event.occurred_at_ms)
    return Flush(
        partition=partition,
        number=number,
        rows=cells([event for event in events if isinstance(event, Traffic)], zone),
        facts=[fact_row(event) for event in events if isinstance(event, Fact)],
        positions=[
            Position(
                topic,
                len(found),
                max(found),
                {Outcome.COUNTED: len(found)},
                {SHOP: ShopSpan(min(found), max(found), len(found))},
            )
            for topic, found in times.items()
        ],
        repeats=[],
        dead_letters=[],
    )


def settings(zone: str = "UTC", currency: str = "USD", **more: Any) -> Settings:
    return Settings(shops={SHOP: ShopSettings(SHOP, zone, currency, **more)})


def board(events: Sequence[Event], *, zone: str = "UTC", vouch_ms: int = 0, **more: Any) -> Columns:
    """Return columns that hold the events."""
    columns = Columns(settings(zone, **more))
    columns.apply(flush_of(events, zone=zone))
    columns.vouch(vouch_ms)
    return columns
