"""One example of every message of docs/asyncapi.yaml, made of the types that the code reads and writes."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from streams.alerts import Alert, AlertState, SoldBy, encode_alert
from streams.events import (
    AddToCart,
    Campaign,
    Event,
    Heartbeat,
    OrderLine,
    OrderPaid,
    OrderStatusChanged,
    PlanPoint,
    Product,
    ProductClick,
    ProductImpression,
    ProductPageView,
    Refund,
    Shop,
    Source,
    StockChanged,
    SubCampaign,
)
from streams.goals import GoalProgress
from streams.outcomes import Outcome
from streams.records import DeadLetter
from streams.rule import AlertRoute, Owner, Severity
from streams.stock import SkuStock, StockStatus
from streams.wire import encode_dead_letter
from tools.asyncapi_content_examples import content_examples

AT_MS: Final = 1_795_842_000_000
"""28 November 2026, 05:00 UTC: 21:00 of Black Friday in Los Angeles."""

_HOUR_MS: Final = 3_600_000
_LIVE: Final = Source(
    "seller", "live", "live_room", is_paid=False, account_id="shop-main", content_id="live-friday"
)


def examples() -> dict[str, Any]:
    """Return an example of each message by its name: event types, output topics, `dead_letter`, `clock`."""
    made = {name: json.loads(msgspec.json.encode(event)) for name, event in _events().items()}
    for name, value in _outputs().items():
        made[name] = json.loads(value)
    return made


def _envelope(event_type: str) -> dict[str, Any]:
    return {
        "event_id": f"e-{event_type}-1",
        "event_type": event_type,
        "shop_id": "s1",
        "occurred_at_ms": AT_MS,
        "currency": "USD",
    }


def _events() -> dict[str, Event]:
    money = dict.fromkeys(
        (
            "tax_minor",
            "seller_discount_minor",
            "cofund_product_minor",
            "cofund_shipping_minor",
            "coupon_minor",
        ),
        0,
    )
    line = OrderLine(
        line_id="1",
        product_id="dress",
        sku_id="dress-M",
        quantity=2,
        list_price_minor=4_500,
        goods_paid_minor=7_980,
        shipping_paid_minor=499,
        source=_LIVE,
        **money,
    )
    shown: dict[str, Any] = {"product_id": "dress", "user_key": "u-81f3", "source": _LIVE}
    bought: dict[str, Any] = {"order_id": "o-1001", "customer_id": "c-77"}
    own: dict[str, tuple[type[Event], dict[str, Any]]] = {
        "product_impression": (ProductImpression, {**shown, "territory": "US"}),
        "product_click": (ProductClick, {**shown, "sku_id": "dress-M"}),
        "product_page_view": (ProductPageView, shown),
        "add_to_cart": (AddToCart, {**shown, "sku_id": "dress-M", "quantity": 2}),
        "order_paid": (
            OrderPaid,
            {
                **bought,
                "created_at_ms": AT_MS - 40_000,
                "paid_at_ms": AT_MS,
                "credits_minor": 0,
                "lines": [line],
                "user_key": "u-81f3",
                "territory": "US",
            },
        ),
        "order_status": (OrderStatusChanged, {"order_id": "o-1001", "status": "shipped", "seq": 3}),
        "refund": (
            Refund,
            {
                **bought,
                "refund_id": "r-9",
                "line_id": "1",
                "product_id": "dress",
                "sku_id": "dress-M",
                "kind": "return",
                "quantity": 1,
                "amount_minor": 3_990,
                "shipping_minor": 0,
                "tax_minor": 0,
                "requested_at_ms": AT_MS - 5 * _HOUR_MS,
                "processed_at_ms": AT_MS,
            },
        ),
        "stock_changed": (
            StockChanged,
            {"sku_id": "dress-M", "product_id": "dress", "available": 38, "reason": "sale", "change": -2},
        ),
        "heartbeat": (
            Heartbeat,
            {"source": "storefront-1", "topics": ["orders", "stock"], "sent_until_ms": AT_MS},
        ),
        "campaign": (
            Campaign,
            {
                "campaign_id": "bf",
                "name": "Black Friday",
                "starts_at_ms": AT_MS - 21 * _HOUR_MS,
                "ends_at_ms": AT_MS + 3 * _HOUR_MS,
                "joined_at_ms": AT_MS - 500 * _HOUR_MS,
                "version": 4,
                "product_ids": ["dress"],
                "sub_campaigns": [SubCampaign("bf-flash", "Evening flash sale", joined=True)],
                "target_metric": "gmv",
                "target_value": 12_500_000.0,
                "plan": [PlanPoint("2026-11-27", 12_500_000.0)],
            },
        ),
        "product": (
            Product,
            {
                "product_id": "dress",
                "name": "Linen dress",
                "category": "dresses",
                "sku_ids": ["dress-S", "dress-M"],
                "price_minor": 4_500,
                "version": 12,
                "unit_cost_minor": 1_450,
            },
        ),
        "shop": (Shop, {"timezone": "America/Los_Angeles", "version": 1, "name": "Linen & more"}),
        **content_examples(AT_MS, _LIVE),
    }
    return {name: kind(**_envelope(name), **fields) for name, (kind, fields) in own.items()}


def _outputs() -> dict[str, bytes]:
    predicted = {"low": AT_MS + 25 * 60_000, "eta": AT_MS + 40 * 60_000, "high": AT_MS + 65 * 60_000}
    alert = Alert(
        alert_id="s1/bf/A-01/dress-M/2026-11-27",
        rule="A-01",
        key="oos_forecast",
        title="Will run out",
        shop_id="s1",
        state=AlertState.OPEN,
        route=AlertRoute.PAGE,
        severity=Severity.PAGE,
        owner=Owner.OPS,
        entity_kind="sku",
        entity_id="dress-M",
        opened_at_ms=AT_MS,
        updated_at_ms=AT_MS,
        timezone="America/Los_Angeles",
        currency="USD",
        campaign_id="bf",
        product_id="dress",
        sku_id="dress-M",
        name="Linen dress / M",
        value=1.08,
        threshold=3.0,
        unit="hours",
        money_minor=410_000,
        predicted_ms=predicted["eta"],
        predicted_low_ms=predicted["low"],
        predicted_high_ms=predicted["high"],
        on_hand=38,
        velocity_per_h=52.3,
        gmv_at_risk_minor=410_000,
        gmv_at_risk_low_minor=300_000,
        gmv_at_risk_high_minor=520_000,
        horizon_end_ms=AT_MS + 3 * _HOUR_MS,
        stock_as_of_ms=AT_MS - 120_000,
        sold_by=SoldBy("LIVE", "live-friday", 0.71),
        advice="add stock, unpin, ack, why",
        runbook="stock-running-out",
        message="Linen dress / M runs out ~21:40 (21:25-22:05). 38 left, 52/h. At risk $4.1k by midnight."
        " Sold by LIVE 'live-friday' 71%. Do: add stock, unpin, ack, why. Stock as of 20:58.",
    )
    projection = SkuStock(
        shop_id="s1",
        sku_id="dress-M",
        product_id="dress",
        name="Linen dress / M",
        campaign_id="bf",
        as_of_ms=AT_MS,
        stock_as_of_ms=AT_MS - 120_000,
        on_hand=38,
        status=StockStatus.AT_RISK,
        unknown_because="",
        out_since_ms=None,
        velocity_per_h=52.3,
        recent_buyers=97,
        hours_to_stockout=0.67,
        eta_ms=predicted["eta"],
        eta_low_ms=predicted["low"],
        eta_high_ms=predicted["high"],
        horizon_end_ms=AT_MS + 3 * _HOUR_MS,
        demand_units=141.0,
        replenish_units=103,
        gmv_at_risk_minor=410_000,
        gmv_at_risk_low_minor=300_000,
        gmv_at_risk_high_minor=520_000,
        price_minor=3_980,
        shape="reference",
    )
    progress = GoalProgress(
        shop_id="s1",
        campaign_id="bf",
        name="Black Friday",
        starts_at_ms=AT_MS - 21 * _HOUR_MS,
        ends_at_ms=AT_MS + 3 * _HOUR_MS,
        as_of_ms=AT_MS,
        metric="gmv",
        target=12_500_000.0,
        value=10_120_000,
        progress_pct=80.96,
        expected_share=0.84,
        basis="plan",
        pace_pct=96.4,
        projected=12_050_000.0,
        projected_low=11_700_000.0,
        projected_high=12_400_000.0,
        needed_per_h=793_334.0,
        complete_ms=AT_MS - 2_000,
    )
    letter = DeadLetter(
        topic="orders",
        partition=3,
        offset=1_234,
        timestamp_ms=AT_MS,
        key=b"o-1001",
        value=b'{"event_type": "order_paid", "shop_id": 7',
        value_bytes=41,
        value_sha256="9f0c0c6ab1e5b3c8e7a4b1b04e5d4d2f9d3c1d0e6d8a7b6c5d4e3f2a1b0c9d8e",
        outcome=Outcome.REJECTED_SCHEMA,
        detail="the JSON ends too early",
    )
    return {
        "alert": encode_alert(alert),
        "stock_projection": msgspec.json.encode(projection),
        "goal_progress": msgspec.json.encode(progress),
        "dead_letter": encode_dead_letter(letter),
        "clock": b'{"now_ms":%d}' % AT_MS,
    }
