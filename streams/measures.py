"""Base measures: what is read from facts and from cubes, as data. Formulas combine them (`streams.formulas`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.atoms import CONTENT_ATOMS, LIVE_ATOMS, VIDEO_ATOMS
from streams.total_columns import COUNTED


class AddsOver(StrEnum):
    """Over what a measure may be summed."""

    ALL = "all"
    """Time and every non-overlapping dimension."""

    TIME = "time"
    """Time only: an order or a person of a day counts once in each product and format it touches."""

    NONE = "none"
    """Nothing: a rate, a level, or distinct people of a whole window."""


class Frame(StrEnum):
    """Where a measure's rows are."""

    ORDER_LINES = "order_lines"
    REFUNDS = "refunds"
    TRAFFIC = "traffic"
    CONTENT = "contents by product"
    CONTENT_DAYS = "contents by day"
    ENGAGEMENT = "engagement"
    VIOLATIONS = "violations"
    CHECKOUTS = "checkouts"
    ADS = "ads"
    AD_REFUNDS = "refunds of ads"


class Counts(StrEnum):
    """How a measure is drawn from its rows."""

    SUM = "sum"
    """The sum of a column."""

    DISTINCT = "distinct"
    """Distinct values of a column in the window."""

    DAILY_DISTINCT = "daily_distinct"
    """Distinct values within each shop-day, summed over days (dd of spec/metrics.md)."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A base measure.

    Attributes:
        name: unique in `MEASURES`.
        frame: where its rows are.
        counts: how it is drawn.
        column: summed or counted; for traffic the event type.
        topic: which it needs, without prefix.
        adds_over: over what it may be summed.
        people: counts sketched people instead of events.
        only_if: name of the shop setting without which it is 0; only_cancelled: rows of cancelled orders alone.
        atoms: rows of these sources alone; None is all. Traffic of a content from days that were written down before
            its source was kept (ADR 14) is of a LIVE or video whatever this says.
        ready_made: column of ready-made totals that is added (`streams.ready_made`).
    """

    name: str
    frame: Frame
    counts: Counts
    column: str
    topic: str
    adds_over: AddsOver = AddsOver.ALL
    people: bool = False
    only_if: str = ""
    only_cancelled: bool = False
    atoms: frozenset[int] | None = None
    ready_made: str = ""


def _lines(name: str, column: str, **more: str) -> Measure:
    return Measure(name, Frame.ORDER_LINES, Counts.SUM, column, "orders", **more)  # type: ignore[arg-type] # only_if


def _refunds(name: str, column: str) -> Measure:
    return Measure(name, Frame.REFUNDS, Counts.SUM, column, "orders")


def _traffic(name: str, event_type: str, topic: str) -> tuple[Measure, Measure, Measure]:
    return (
        Measure(name, Frame.TRAFFIC, Counts.SUM, event_type, topic, ready_made=COUNTED[event_type]),
        Measure(
            f"{name}_people",
            Frame.TRAFFIC,
            Counts.DAILY_DISTINCT,
            event_type,
            topic,
            AddsOver.TIME,
            people=True,
            ready_made=COUNTED[event_type],
        ),
        Measure(
            f"{name}_people_distinct",
            Frame.TRAFFIC,
            Counts.DISTINCT,
            event_type,
            topic,
            AddsOver.NONE,
            people=True,
            ready_made=COUNTED[event_type],
        ),
    )


def _of_content(name: str, column: str, atoms: frozenset[int], **more: str) -> Measure:
    return Measure(name, Frame.ORDER_LINES, Counts.SUM, column, "orders", atoms=atoms, **more)  # type: ignore[arg-type] # only_if


def _orders_of(name: str, atoms: frozenset[int] | None = None) -> Measure:
    return Measure(name, Frame.ORDER_LINES, Counts.DISTINCT, "slot", "orders", AddsOver.TIME, atoms=atoms)


def _traffic_of_content(name: str, event_type: str, topic: str) -> Measure:
    made = COUNTED[event_type]
    return Measure(name, Frame.TRAFFIC, Counts.SUM, event_type, topic, atoms=CONTENT_ATOMS, ready_made=made)


def _new(name: str, column: str) -> Measure:
    return Measure(name, Frame.CONTENT, Counts.DISTINCT, column, "content", AddsOver.TIME)


def _engaged(name: str, column: str, **more: str) -> Measure:
    return Measure(name, Frame.ENGAGEMENT, Counts.SUM, column, "engagement", **more)  # type: ignore[arg-type] # ready_made


def _ads(name: str, column: str) -> Measure:
    return Measure(name, Frame.ADS, Counts.SUM, column, "ads")


_CONTENT: Final = (
    _of_content("goods_live", "goods_minor", LIVE_ATOMS),
    _of_content("shipping_live", "shipping_minor", LIVE_ATOMS, only_if="gmv_includes_shipping"),
    _orders_of("orders_live", LIVE_ATOMS),
    _of_content("goods_video", "goods_minor", VIDEO_ATOMS),
    _of_content("shipping_video", "shipping_minor", VIDEO_ATOMS, only_if="gmv_includes_shipping"),
    _orders_of("orders_video", VIDEO_ATOMS),
    Measure(
        "content_buyers",
        Frame.ORDER_LINES,
        Counts.DISTINCT,
        "user_no",
        "orders",
        AddsOver.NONE,
        atoms=CONTENT_ATOMS,
    ),
    _traffic_of_content("content_clicks", "product_click", "clicks"),
    _traffic_of_content("content_page_views", "product_page_view", "page_views"),
    _new("creator_new_videos", "creator_video"),
    _new("creator_new_lives", "creator_live"),
    _new("seller_new_videos", "seller_video"),
    _new("seller_new_lives", "seller_live"),
    _new("new_lives", "new_live"),
    _new("new_videos", "new_video"),
    Measure("creators_posted", Frame.CONTENT, Counts.DAILY_DISTINCT, "poster", "content", AddsOver.TIME),
    Measure("contents_shown", Frame.CONTENT_DAYS, Counts.DISTINCT, "content_id", "content", AddsOver.NONE),
    Measure("violations_raised", Frame.VIOLATIONS, Counts.SUM, "raised", "violations"),
    Measure("violations_open", Frame.VIOLATIONS, Counts.SUM, "open", "violations"),
    Measure("contents_flagged", Frame.VIOLATIONS, Counts.DISTINCT, "content_id", "violations", AddsOver.NONE),
    _engaged("views", "views", ready_made="content_views"),
    Measure(
        "live_views",
        Frame.ENGAGEMENT,
        Counts.SUM,
        "views",
        "engagement",
        atoms=LIVE_ATOMS,
        ready_made="content_views",
    ),
    _engaged("likes", "likes"),
    _engaged("comments", "comments"),
    _engaged("shares", "shares"),
    _engaged("saves", "saves"),
    _engaged("watch_ms", "watch_ms"),
    Measure(
        "viewers",
        Frame.ENGAGEMENT,
        Counts.DAILY_DISTINCT,
        "views",
        "engagement",
        AddsOver.TIME,
        people=True,
        ready_made="content_views",
    ),
    Measure(
        "viewers_distinct",
        Frame.ENGAGEMENT,
        Counts.DISTINCT,
        "views",
        "engagement",
        AddsOver.NONE,
        people=True,
        ready_made="content_views",
    ),
    Measure("checkouts", Frame.CHECKOUTS, Counts.DISTINCT, "slot", "checkouts", AddsOver.TIME),
    _ads("ad_spend", "spend_minor"),
    _ads("ad_revenue", "gross_revenue_minor"),
    _ads("ad_clicks", "clicks"),
    _ads("ad_impressions", "impressions"),
    _ads("ad_purchases", "purchases"),
    _ads("ad_new_customers", "new_customers"),
    _ads("ad_spend_with_new_customers", "told_spend_minor"),
    Measure("refunds_on_ads", Frame.AD_REFUNDS, Counts.SUM, "refunded_minor", "orders"),
)


MEASURES: Final[dict[str, Measure]] = {
    measure.name: measure
    for measure in (
        _lines("goods", "goods_minor"),
        _lines("shipping_in_gmv", "shipping_minor", only_if="gmv_includes_shipping"),
        _lines("shipping", "shipping_minor"),
        _lines("tax", "tax_minor"),
        _lines("cofunding", "cofund_minor"),
        _lines("items", "quantity"),
        _lines("sku_orders", "leads_sku_order"),
        _orders_of("orders"),
        Measure(
            "cancelled_orders",
            Frame.ORDER_LINES,
            Counts.DISTINCT,
            "slot",
            "orders",
            AddsOver.TIME,
            only_cancelled=True,
        ),
        Measure(
            "customers", Frame.ORDER_LINES, Counts.DAILY_DISTINCT, "customer_no", "orders", AddsOver.TIME
        ),
        Measure(
            "customers_distinct", Frame.ORDER_LINES, Counts.DISTINCT, "customer_no", "orders", AddsOver.NONE
        ),
        _refunds("refunded_goods", "amount_minor"),
        _refunds("refunded_shipping", "shipping_minor"),
        _refunds("items_refunded", "quantity"),
        Measure(
            "refund_customers", Frame.REFUNDS, Counts.DAILY_DISTINCT, "customer_id", "orders", AddsOver.TIME
        ),
        Measure(
            "refund_customers_distinct",
            Frame.REFUNDS,
            Counts.DISTINCT,
            "customer_id",
            "orders",
            AddsOver.NONE,
        ),
        *_traffic("impressions", "product_impression", "impressions"),
        *_traffic("clicks", "product_click", "clicks"),
        *_traffic("page_views", "product_page_view", "page_views"),
        *_traffic("add_to_carts", "add_to_cart", "add_to_cart"),
        *_CONTENT,
    )
}
