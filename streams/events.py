"""The event types on the wire, with their bounds.

A record's value is one JSON object: the envelope's fields and the event's own at the top level, the source block under
`source`. Unknown fields are ignored, of duplicate keys the last wins, a JSON integer for an id is its text.

Source: spec/events.md. Times are integers of ms since the epoch, money integers of minor units.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from streams.envelope import (
    Event,
    Fact,
    Format,
    Id,
    LineQuantity,
    Millis,
    Money,
    Owner,
    Quantity,
    Source,
    SourceSystem,
    Surface,
    Text,
    Traffic,
    Units,
    Version,
)
from streams.events_ads import AdAccountSelected, AdMetric
from streams.events_content import Account, Content, ContentEngagement, Follower, Violation
from streams.events_totals import Benchmark, HistoryTotal, TrafficTotal

__all__ = [
    "EVENT_TYPES",
    "FACT_IDS",
    "FACT_TYPES",
    "FACT_VERSION",
    "TRAFFIC_TYPES",
    "Account",
    "AdAccountSelected",
    "AdMetric",
    "AddToCart",
    "Benchmark",
    "Campaign",
    "CheckoutLine",
    "CheckoutStarted",
    "Content",
    "ContentEngagement",
    "Event",
    "Fact",
    "Follower",
    "Format",
    "Heartbeat",
    "HistoryTotal",
    "Id",
    "OrderLine",
    "OrderPaid",
    "OrderStatus",
    "OrderStatusChanged",
    "Owner",
    "PeriodGoal",
    "PlanPoint",
    "Product",
    "ProductClick",
    "ProductImpression",
    "ProductPageView",
    "Refund",
    "Shop",
    "Source",
    "SourceSystem",
    "StockChanged",
    "SubCampaign",
    "Surface",
    "TargetChange",
    "Traffic",
    "TrafficTotal",
    "Violation",
    "json_schemas",
]

OrderStatus = Literal[
    "created",
    "paid",
    "shipped",
    "delivered",
    "completed",
    "cancel_requested",
    "cancelled",
    "return_requested",
    "returned",
    "refunded",
]


class ProductImpression(Traffic, frozen=True, omit_defaults=True, kw_only=True):
    """A product was shown, on any surface; repeats count."""

    territory: Id | None = None


class ProductClick(Traffic, frozen=True, omit_defaults=True, kw_only=True):
    """An active click on a product; page loads are not clicks."""

    sku_id: Id | None = None


class ProductPageView(Traffic, frozen=True, omit_defaults=True, kw_only=True):
    """A product detail page was loaded."""


class AddToCart(Traffic, frozen=True, omit_defaults=True, kw_only=True):
    """A press of add-to-cart; the metric counts presses, not units."""

    sku_id: Id | None = None
    quantity: Quantity = 1


class CheckoutLine(Struct, frozen=True, omit_defaults=True):
    """What a checkout holds of one SKU."""

    product_id: Id
    sku_id: Id
    quantity: LineQuantity


class CheckoutStarted(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """A checkout was begun; it counts once however often it is sent, and says nothing of a payment."""

    checkout_id: Id
    lines: Annotated[list[CheckoutLine], Meta(min_length=1, max_length=5000)]
    user_key: Id | None = None
    source: Source | None = None


class OrderLine(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line of a paid order; money per line, not per unit, except `list_price_minor`."""

    line_id: Id
    product_id: Id
    sku_id: Id
    quantity: LineQuantity
    list_price_minor: Money
    goods_paid_minor: Money
    shipping_paid_minor: Money
    tax_minor: Money
    seller_discount_minor: Money
    cofund_product_minor: Money
    cofund_shipping_minor: Money
    coupon_minor: Money
    source: Source | None = None
    ad_id: Id | None = None


class OrderPaid(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """An order at payment; unpaid orders are not sent. `paid_at_ms` equals `occurred_at_ms`."""

    order_id: Id
    created_at_ms: Millis
    paid_at_ms: Millis
    customer_id: Id
    credits_minor: Money
    lines: Annotated[list[OrderLine], Meta(min_length=1, max_length=5000)]
    channel: Literal["tiktok"] = "tiktok"
    user_key: Id | None = None
    is_follower: bool | None = None
    is_first_order: bool | None = None
    coupon_codes: Annotated[list[Id], Meta(max_length=100)] = field(default_factory=list)
    ship_to_key: Id | None = None
    territory: Id | None = None


class OrderStatusChanged(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """An order reached a state."""

    order_id: Id
    status: OrderStatus
    seq: Version
    reason: Text | None = None


class Refund(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """A processed refund of one line; bucketed at its processed time, never moved back to the order."""

    refund_id: Id
    order_id: Id
    line_id: Id
    customer_id: Id
    product_id: Id
    sku_id: Id
    kind: Literal["return", "cancellation", "partial", "appeasement"]
    quantity: Annotated[int, Meta(ge=0, le=10**7)]
    amount_minor: Money
    shipping_minor: Money
    tax_minor: Money
    requested_at_ms: Millis
    processed_at_ms: Millis


class StockChanged(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """The sellable level of a SKU in one warehouse after a change: absolute, so a lost event heals itself."""

    sku_id: Id
    product_id: Id
    available: Units
    warehouse_id: Id = "default"
    reserved: Units | None = None
    campaign_reserved: Units | None = None
    creator_reserved: Units | None = None
    change: Units | None = None
    reason: Literal["sale", "restock", "cancel_return", "adjustment", "sync"] = "sync"
    version: Version | None = None


class Heartbeat(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """A producer says: everything that occurred up to `sent_until_ms` is sent; silence after it is no sales."""

    source: Id
    topics: Annotated[list[str], Meta(max_length=100)]
    sent_until_ms: Millis

    @property
    def promised(self) -> frozenset[str]:
        """The topics, without prefix: senders may know them either way."""
        return frozenset(name.rsplit(".", 1)[-1] for name in self.topics)


class SubCampaign(Struct, frozen=True, omit_defaults=True):
    """A sub-campaign that the shop may have joined."""

    id: Id
    name: Text
    joined: bool


class PlanPoint(Struct, frozen=True, omit_defaults=True):
    """A part of the goal, by day or by hour of a day."""

    date: str
    value: Annotated[float, Meta(ge=0)]
    hour: Annotated[int, Meta(ge=0, le=24)] | None = None


class PeriodGoal(Struct, frozen=True, omit_defaults=True):
    """A goal of a week or a quarter."""

    window: str
    metric: str
    value: Annotated[float, Meta(ge=0)]


class TargetChange(Struct, frozen=True, omit_defaults=True):
    """A goal that a campaign had: what it was, from when, and who set it."""

    metric: Literal["gmv", "orders", "items_sold"]
    value: Annotated[float, Meta(ge=0, le=1e15)] | None = None
    changed_at_ms: Millis | None = None
    changed_by: Text | None = None


class Campaign(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """The configuration of a mega campaign; the highest version wins."""

    campaign_id: Id
    name: Text
    starts_at_ms: Millis
    ends_at_ms: Millis
    joined_at_ms: Millis
    version: Version
    product_ids: Annotated[list[Id], Meta(max_length=100_000)]
    sub_campaigns: Annotated[list[SubCampaign], Meta(max_length=10_000)] = field(default_factory=list)
    target_metric: Literal["gmv", "orders", "items_sold"] | None = None
    target_value: Annotated[float, Meta(ge=0, le=1e15)] | None = None
    target_changed_at_ms: Millis | None = None
    target_changed_by: Text | None = None
    target_history: Annotated[list[TargetChange], Meta(max_length=1_000)] = field(default_factory=list)
    plan: Annotated[list[PlanPoint], Meta(max_length=10_000)] = field(default_factory=list)
    reference: Text | None = None
    period_goals: Annotated[list[PeriodGoal], Meta(max_length=100)] = field(default_factory=list)
    tracked_coupons: Annotated[list[Id], Meta(max_length=10_000)] = field(default_factory=list)


class Product(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """A product card; the highest version wins."""

    product_id: Id
    name: Text
    category: Text
    sku_ids: Annotated[list[Id], Meta(max_length=10_000)]
    price_minor: Money
    version: Version = 0
    status: Literal["live", "reviewing", "deactivated", "needs_attention", "draft", "deleted"] = "live"
    image_url: Text | None = None
    product_url: Text | None = None
    rating: Annotated[float, Meta(ge=0, le=5)] | None = None
    gmv_range: Text | None = None
    opportunity_matched: bool | None = None
    unit_cost_minor: Money | None = None
    price_tier: Literal["low", "mid", "high"] | None = None


class Shop(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """A shop's profile; zone and currency that disagree with the settings raise an alert and change nothing."""

    timezone: Text
    version: Version = 0
    category: Text = ""
    industry: Text = ""
    name: Text | None = None
    gmv_tier: Text | None = None
    business_size: Literal["small", "mid", "enterprise"] | None = None
    week_start: Text | None = None
    goal: Literal["drive_sales", "grow_reach", "engagement", "ads", "audience", "compliance"] | None = None
    kpis: Annotated[list[str], Meta(max_length=200)] = field(default_factory=list)
    connected: bool = True


TRAFFIC_TYPES: Final[dict[str, type[Traffic]]] = {
    "product_impression": ProductImpression,
    "product_click": ProductClick,
    "product_page_view": ProductPageView,
    "add_to_cart": AddToCart,
}
"""Types that add to cubes and unite sketches."""

FACT_TYPES: Final[dict[str, type[Fact]]] = {
    "order_paid": OrderPaid,
    "order_status": OrderStatusChanged,
    "refund": Refund,
    "stock_changed": StockChanged,
    "heartbeat": Heartbeat,
    "campaign": Campaign,
    "product": Product,
    "shop": Shop,
    "checkout_started": CheckoutStarted,
    "content": Content,
    "content_engagement": ContentEngagement,
    "violation": Violation,
    "follower": Follower,
    "account": Account,
    "ad_metric": AdMetric,
    "ad_account_selected": AdAccountSelected,
    "traffic_total": TrafficTotal,
    "history_total": HistoryTotal,
    "benchmark": Benchmark,
}
"""Types of which the latest record of a key is kept."""

FACT_IDS: Final[dict[str, tuple[str, ...]]] = {
    "order_paid": ("order_id",),
    "order_status": ("order_id", "status"),
    "refund": ("refund_id", "line_id"),
    "stock_changed": ("sku_id", "warehouse_id"),
    "heartbeat": ("source",),
    "campaign": ("campaign_id",),
    "product": ("product_id",),
    "shop": (),
    "checkout_started": ("checkout_id",),
    "content": ("content_id", "state"),
    "content_engagement": ("content_id", "bucket_start_ms", "territory", "age_band", "gender"),
    "violation": ("violation_id", "state"),
    "follower": ("account_id", "occurred_at_ms"),
    "account": ("account_id",),
    "ad_metric": ("ad_account_id", "ad_id", "bucket_start_ms"),
    "ad_account_selected": (),
    "traffic_total": ("product_id", "leaf", "content_id", "bucket_start_ms"),
    "history_total": ("date", "hour", "metric", "slice"),
    "benchmark": ("category", "gmv_tier", "group", "period", "metric"),
}
"""The fields (or properties) after kind and shop that make a fact's key, empty where a record has none; a stock
record's key also has its quarter hour. Engagement by age, and history by hour, are parts: without them in the key, of
several parts only one would count."""

FACT_VERSION: Final[dict[str, str | None]] = {
    "order_paid": None,
    "order_status": "seq",
    "refund": None,
    "stock_changed": "version",
    "heartbeat": "sent_until_ms",
    "campaign": "version",
    "product": "version",
    "shop": "version",
    "checkout_started": None,
    "content": "occurred_at_ms",
    "content_engagement": None,
    "violation": "occurred_at_ms",
    "follower": None,
    "account": "version",
    "ad_metric": "revision",
    "ad_account_selected": "version",
    "traffic_total": "revision",
    "history_total": None,
    "benchmark": "published_at_ms",
}
"""The field that is a fact's version; none counts as 0, a stock record without one uses occurred_at_ms."""

EVENT_TYPES: Final[dict[str, type[Event]]] = {**TRAFFIC_TYPES, **FACT_TYPES}


def json_schemas() -> dict[str, dict[str, object]]:
    """Return a JSON Schema (2020-12) per event type, as committed under docs/schemas/."""
    schemas: dict[str, dict[str, object]] = {}
    for name, event_type in EVENT_TYPES.items():
        schema = msgspec.json.schema(event_type)
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        schema["title"] = name
        schemas[name] = schema
    return schemas
