"""The metric catalogue: every number that a person can ask for, as data.

The page, the API, the exporter, the dashboards and docs/METRICS.md take names, units and meanings from here and
nowhere else. Source: spec/metrics.md; settled questions in spec/decisions.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from streams.formulas import (
    Additive,
    AddsOver,
    DailyMean,
    Formula,
    Frame,
    FreshnessFigure,
    GoalFigure,
    Ratio,
    Recent,
    Share,
    StockFigure,
    Total,
    measures_of,
)


class Unit(StrEnum):
    """What a metric's value is."""

    MONEY = "money"
    """Major units of the shop's currency, from exact sums of minor units."""
    COUNT = "count"
    UNITS = "units"
    PEOPLE = "persons"
    PERSON_DAYS = "person-days"
    PEOPLE_PER_DAY = "persons/day"
    RATE = "fraction"
    """0.042 is 4.2 %."""
    UNITS_PER_HOUR = "units/h"
    HOURS = "hours"
    SECONDS = "seconds"
    INSTANT = "ms since the epoch, UTC"
    STATUS = "status"


NULL_REASONS: Final = {
    "no_source": "no source feeds a topic that the metric needs, or it began after this row; never shown as 0",
    "zero_divisor": "the divisor is 0",
    "catching_up": "the rate's topics are more than a minute apart; their numbers do not belong together yet",
    "source_gives_no_people": "the events carry no user_key, so people cannot be counted",
    "no_finished_day": "the window has no day over which a mean could be taken",
    "no_target": "the campaign has no goal, or there is no campaign",
    "no_stock_record": "no stock record of the SKU is known",
    "not_selling": "nothing sells, so it does not run out",
    "after_campaign": "the campaign is over: stock is shown without a projection (X-34)",
    "not_in_stock_feed": "the row is not in the stock table",
    "loading": "the board is still reading what is there; asked again in a moment it answers",
}
"""Why a value is null, as answers say it."""

TIME_DIMS: Final = ("day", "hour", "minute")
FACT_DIMS: Final = (
    *TIME_DIMS,
    "product",
    "sku",
    "slice",
    "leaf",
    "creator",
    "content",
    "sub_campaign",
    "territory",
    "status",
)
TRAFFIC_DIMS: Final = (
    *TIME_DIMS,
    "product",
    "slice",
    "leaf",
    "creator",
    "content",
    "sub_campaign",
    "territory",
)
STOCK_DIMS: Final = ("product", "sku")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        id: stable; the name in queries, series and exports.
        title: as a screen shows it.
        definition: exact, one or two sentences.
        unit: of the value.
        formula: over base measures.
        dims: what it may be asked by, if its cubes give the combination.
        adds_over: over what its values may be summed.
        sources: ids of features in the briefs, and of settled questions.
        not_counted: what a reader might expect in it and does not find.
        advice: one line for the seller when the figure is off its band.
        min_divisor: a rate with a smaller divisor is null `zero_divisor`.
        windows: `any`, or `now` for a figure of the moment that no window changes.
        topics: which it needs, without prefix; a metric without these as source is null `no_source`.
        group: metrics that one name asks for together.
        owner: the module that computes it.
    """

    id: str
    title: str
    definition: str
    unit: Unit
    formula: Formula
    dims: tuple[str, ...]
    adds_over: AddsOver
    sources: str
    not_counted: str = ""
    advice: str = ""
    min_divisor: int = 1
    windows: str = "any"
    topics: tuple[str, ...] = ()
    group: str = ""
    owner: str = "streams.query"
    null_reasons: tuple[str, ...] = field(default=("no_source",))

    @property
    def is_rate(self) -> bool:
        """Whether numerator and divisor may come from topics that are not equally far."""
        return isinstance(self.formula, (Ratio, Share))

    @property
    def counts_people(self) -> bool:
        """Whether any part is an estimate of sketches."""
        return any(measure.people for measure in measures_of(self.formula))


def _metric(
    id: str,
    title: str,
    definition: str,
    unit: Unit,
    formula: Formula,
    sources: str,
    *,
    dims: tuple[str, ...] | None = None,
    **more: str | tuple[str, ...] | int,
) -> Metric:
    """Fill in what follows from the formula."""
    parts = list(measures_of(formula))
    topics = tuple(dict.fromkeys(measure.topic for measure in parts))
    if dims is None:
        traffic = any(measure.frame is Frame.TRAFFIC for measure in parts)
        dims = TRAFFIC_DIMS if traffic else FACT_DIMS
        if isinstance(formula, DailyMean) or _has_mean(formula):
            dims = tuple(dim for dim in dims if dim not in {"hour", "minute"})
        if isinstance(formula, Recent):
            dims = tuple(dim for dim in dims if dim not in TIME_DIMS)
    reasons = ["no_source"]
    if isinstance(formula, (Ratio, Share)):
        reasons.append("zero_divisor")
        if len(topics) > 1:
            reasons.append("catching_up")
    if any(measure.people for measure in parts):
        reasons.append("source_gives_no_people")
    if isinstance(formula, DailyMean) or _has_mean(formula):
        reasons.append("no_finished_day")
    values: dict[str, object] = {
        "topics": topics,
        "null_reasons": tuple(reasons),
        "adds_over": _adds(formula),
    }
    values |= more
    return Metric(id, title, definition, unit, formula, dims, sources=sources, **values)  # type: ignore[arg-type] # fields by name


def _has_mean(formula: Formula) -> bool:
    return isinstance(formula, Ratio) and (
        isinstance(formula.numerator, DailyMean) or isinstance(formula.divisor, DailyMean)
    )


def _adds(formula: Formula) -> AddsOver:
    if not isinstance(formula, (Total, Recent)):
        return AddsOver.NONE
    kinds = {measure.adds_over for measure in measures_of(formula)}
    order = (AddsOver.NONE, AddsOver.TIME, AddsOver.ALL)
    return next(kind for kind in order if kind in kinds)


_GMV: Final = Total(("goods", "shipping_in_gmv"))
_ORDERS: Final = Total(("orders",))
_SKU_ORDERS: Final = Total(("sku_orders",))
_CUSTOMERS: Final = Total(("customers",))
_IMPRESSIONS: Final = Total(("impressions",))
_CLICKS: Final = Total(("clicks",))
_CARTS: Final = Total(("add_to_carts",))
_REACH: Final = Total(("impressions_people",))
_CLICKERS: Final = Total(("clicks_people",))
_ADDERS: Final = Total(("add_to_carts_people",))

_PAID: Final = "Cancelled and refunded orders stay in; bucket is the payment time; one order id counts once."
_UNPAID: Final = "Unpaid orders, tax, co-funding; refunds are never taken off."
_PEOPLE: Final = (
    "Events without user_key (their share is the answer's coverage); an estimate with a stated error."
)


def _rate(
    id: str,
    title: str,
    definition: str,
    up: Additive,
    down: Additive,
    sources: str,
    advice: str = "",
    group: str = "",
) -> Metric:
    return _metric(id, title, definition, Unit.RATE, Ratio(up, down), sources, advice=advice, group=group)


def _people(base: str, title: str, who: str, measure: str, sources: str) -> tuple[Metric, Metric]:
    return (
        _metric(
            base,
            title,
            f"Distinct users {who} within each shop-day, summed over days; by hour, distinct within the hour.",
            Unit.PERSON_DAYS,
            Total((measure,)),
            sources,
            not_counted=_PEOPLE,
        ),
        _metric(
            f"{base}_distinct",
            f"{title} (distinct)",
            f"Distinct users {who} in the whole window, by union of sketches.",
            Unit.PEOPLE,
            Total((f"{measure}_distinct",)),
            sources,
            not_counted=_PEOPLE,
        ),
    )


_SALES: Final = (
    _metric(
        "gmv",
        "GMV",
        "Sum over paid order lines of what the buyer paid for goods and shipping, net of every discount, without "
        f"tax and without TikTok co-funding. {_PAID}",
        Unit.MONEY,
        _GMV,
        "S1-29 S1-28 S4-10 S5-02 X-05 X-06",
        not_counted=_UNPAID + " Shipping is out where the setting gmv_includes_shipping is false.",
        advice="Behind the plan: look at which format and product fell against the reference, then at stock.",
    ),
    _metric(
        "gmv_with_tax",
        "GMV with tax",
        f"gmv + tax_paid. {_PAID}",
        Unit.MONEY,
        Total(("goods", "shipping_in_gmv", "tax")),
        "S1-51",
    ),
    _metric("tax_paid", "Tax", f"Sum of tax on paid orders. {_PAID}", Unit.MONEY, Total(("tax",)), "S1-52"),
    _metric(
        "gmv_with_cofunding",
        "GMV with TTS co-funding",
        f"gmv + TikTok's product and shipping co-funding of the same lines. {_PAID}",
        Unit.MONEY,
        Total(("goods", "shipping_in_gmv", "cofunding")),
        "S1-53 S1-54 X-07",
        not_counted="The co-funding is the estimate sent with the line; a settled value does not replace it yet.",
    ),
    _metric(
        "shipping_fees_paid",
        "Shipping fees (paid by customers)",
        f"Sum of shipping charged to buyers. {_PAID}",
        Unit.MONEY,
        Total(("shipping",)),
        "S1-55",
    ),
    _metric(
        "orders",
        "Orders",
        "Distinct order ids with a payment; an order of several formats, products or creators counts once in All "
        f"and once in each that it touches. {_PAID}",
        Unit.COUNT,
        _ORDERS,
        "S1-42 S3-04 X-32",
        not_counted="Unpaid orders; orders of other channels.",
    ),
    _metric(
        "sku_orders",
        "SKU orders",
        "Distinct (order id, SKU id) pairs paid, whatever the quantity; a pair belongs to the source and product of "
        f"its first line_id: the least one, compared as text by code point. {_PAID}",
        Unit.COUNT,
        _SKU_ORDERS,
        "S1-43 S1-37 X-31",
    ),
    _metric(
        "items_sold",
        "Items sold",
        f"Sum of quantity on paid lines. {_PAID}",
        Unit.UNITS,
        Total(("items",)),
        "S1-41 S5-02",
    ),
    _metric(
        "aov_revenue",
        "AOV (revenue per order, before costs)",
        "gmv / orders.",
        Unit.MONEY,
        Ratio(_GMV, _ORDERS),
        "S2-20 S2-21 X-09",
        advice="Bundle, or set the free-shipping threshold a little above the present value.",
    ),
    _metric("aov_sku", "AOV (SKU)", "gmv / sku_orders.", Unit.MONEY, Ratio(_GMV, _SKU_ORDERS), "S1-50 X-09"),
    _metric(
        "gmv_channel_contribution",
        "GMV contribution by channel",
        "gmv of a slice or leaf / gmv of all, everything else equal; leaves sum to 1, slices overlap.",
        Unit.RATE,
        Share(_GMV),
        "S2-04 S2-54 S2-33 X-13",
    ),
    _metric(
        "orders_by_status",
        "Transaction status",
        "Orders paid in the window by their present status: the state with the greatest seq, then the latest; "
        "`paid` before any. Asked for alone it is given by status.",
        Unit.COUNT,
        _ORDERS,
        "S2-47 S2-53",
        not_counted="Orders that were never paid.",
    ),
    _metric(
        "cancel_rate",
        "Cancellation rate",
        "Orders paid in the window that were cancelled at any later time / orders paid in the window.",
        Unit.RATE,
        Ratio(Total(("cancelled_orders",)), _ORDERS),
        "S2-47 X-18",
        not_counted="Cancellations only asked for; orders paid before the window.",
        advice="Look at the reasons; a rise within hours of a sale is most often stock or a price mistake.",
    ),
    _metric(
        "gmv_last_15m",
        "GMV of the last 15 minutes",
        "gmv of the 15 minute buckets that end with the one that holds as_of, whatever the window.",
        Unit.MONEY,
        Recent(_GMV, 15),
        "S4-07",
        windows="now",
    ),
    _metric(
        "orders_last_15m",
        "Orders of the last 15 minutes",
        "orders of the 15 minute buckets that end with the one that holds as_of, whatever the window.",
        Unit.COUNT,
        Recent(_ORDERS, 15),
        "S4-07",
        windows="now",
    ),
)

_CUSTOMER_METRICS: Final = (
    _metric(
        "est_customers",
        "Est. customers",
        "Distinct paying customers within each shop-day, summed over days; exact, from orders. By hour, distinct "
        "within the hour.",
        Unit.PERSON_DAYS,
        _CUSTOMERS,
        "S1-34 S1-44 X-08 X-30",
        not_counted="A customer is not counted twice on a day; values of products or formats do not add up.",
    ),
    _metric(
        "avg_daily_customers",
        "Avg. daily customers",
        "est_customers of finished days / number of finished days, zeros included; while there is none, today's part, "
        "marked partial.",
        Unit.PEOPLE_PER_DAY,
        DailyMean(_CUSTOMERS),
        "S4-73 S1-34 X-08 X-23",
    ),
    _metric(
        "unique_customers",
        "Unique customers",
        "Distinct customer ids with an order in the whole window; exact.",
        Unit.PEOPLE,
        Total(("customers_distinct",)),
        "S3-11 S3-16 S3-30 X-08",
    ),
)

_REFUND_METRICS: Final = (
    _metric(
        "refunds_amount",
        "Refunds",
        "Refunded goods and shipping, bucketed at the time of processing and never moved back to the order; product "
        "and SKU are the refund's, other dimensions those of the order's line.",
        Unit.MONEY,
        Total(("refunded_goods", "refunded_shipping")),
        "S1-56 S1-58 X-16 X-17",
        not_counted="Refunded tax; requests that are not processed.",
        advice="Read the reasons by product before the next LIVE shows it again.",
    ),
    _metric(
        "items_refunded",
        "Items refunded",
        "Items refunded through returns or cancellations, at the time of processing.",
        Unit.UNITS,
        Total(("items_refunded",)),
        "S1-57",
        not_counted="Money-only refunds, whose quantity is 0.",
    ),
    _metric(
        "refund_customers",
        "Refund customers",
        "Distinct customers with a refund processed within each shop-day, summed over days; exact.",
        Unit.PERSON_DAYS,
        Total(("refund_customers",)),
        "S1-59",
    ),
    _metric(
        "refund_customers_distinct",
        "Refund customers (distinct)",
        "Distinct customers with a refund processed in the whole window; exact.",
        Unit.PEOPLE,
        Total(("refund_customers_distinct",)),
        "S1-59",
    ),
)

_TRAFFIC_METRICS: Final = (
    _metric(
        "product_impressions",
        "Product impressions",
        "Number of times a product was shown, on any surface; repeats count.",
        Unit.COUNT,
        _IMPRESSIONS,
        "S4-17 S1-35 S1-45 X-11 X-12",
        not_counted="A second arrival of one event_id within the repeat window (10 minutes); later it counts again.",
    ),
    *_people(
        "unique_product_impressions",
        "Unique product impressions",
        "shown the product",
        "impressions_people",
        "S1-60",
    ),
    _metric(
        "product_clicks",
        "Product clicks",
        "Number of active clicks on a product, all creator and seller channels.",
        Unit.COUNT,
        _CLICKS,
        "S1-36 S1-46",
        not_counted="Page loads; repeats of one event_id within the repeat window.",
    ),
    *_people("unique_clicks", "Unique clicks", "clicking", "clicks_people", "S1-49"),
    _metric(
        "product_page_views",
        "Product page views",
        "Number of product detail page loads.",
        Unit.COUNT,
        Total(("page_views",)),
        "S5-35 S5-32",
        not_counted="Clicks; repeats of one event_id within the repeat window.",
    ),
    *_people(
        "unique_page_viewers", "Product page viewers", "loading a detail page", "page_views_people", "S4-56"
    ),
    _metric(
        "atc_count",
        "Add-to-cart count",
        "Presses of add-to-cart.",
        Unit.COUNT,
        _CARTS,
        "S1-31 S1-30",
        not_counted="Units; repeats of one event_id within the repeat window.",
    ),
    *_people("atc_users", "ATC users", "adding the product", "add_to_carts_people", "S1-62"),
    _rate(
        "ctr",
        "CTR",
        "product_clicks / product_impressions, summed first.",
        _CLICKS,
        _IMPRESSIONS,
        "S1-47 S4-66 S5-08 X-03 X-28",
        advice="Shown but not clicked: change the cover, the first seconds or the pinned product.",
    ),
    _rate(
        "unique_ctr",
        "Unique CTR",
        "unique_clicks / unique_product_impressions.",
        _CLICKERS,
        _REACH,
        "S1-61 X-03",
    ),
    _rate(
        "ctor",
        "CTOR (SKU orders)",
        "sku_orders / product_clicks; at every aggregate from summed parts.",
        _SKU_ORDERS,
        _CLICKS,
        "S1-37 S1-48 S1-68 S4-67 S5-10 X-03 X-28",
        advice="Clicked but not bought: check price, stock, reviews and the offer on the detail page.",
    ),
    _rate(
        "unique_ctor",
        "Unique CTOR (SKU order)",
        "est_customers / unique_clicks.",
        _CUSTOMERS,
        _CLICKERS,
        "S1-64 X-02",
    ),
    _rate("atc_rate", "Add-to-cart rate", "atc_count / product_clicks.", _CARTS, _CLICKS, "S1-32 S1-33 X-01"),
    _rate(
        "unique_atc_rate", "Unique ATC rate", "atc_users / unique_clicks.", _ADDERS, _CLICKERS, "S1-63 X-01"
    ),
    _metric(
        "impression_share",
        "Impression share",
        "product_impressions of a slice or leaf / product_impressions of all, everything else equal; leaves sum to 1.",
        Unit.RATE,
        Share(_IMPRESSIONS),
        "S4-65 S4-64 X-13",
    ),
    _metric(
        "avg_unique_reach",
        "Avg. unique reach",
        "Distinct users shown any product per day, averaged over finished days; while there is none, today's part, "
        "marked partial.",
        Unit.PEOPLE_PER_DAY,
        DailyMean(_REACH),
        "S4-71 X-72",
        not_counted=_PEOPLE,
    ),
    _metric(
        "avg_unique_clicks",
        "Avg. unique clicks",
        "Distinct users clicking any product per day, averaged over finished days; while there is none, today's part, "
        "marked partial.",
        Unit.PEOPLE_PER_DAY,
        DailyMean(_CLICKERS),
        "S4-72",
        not_counted=_PEOPLE,
    ),
    _rate(
        "funnel_reach_to_click",
        "Funnel: reach to click",
        "avg_unique_clicks / avg_unique_reach.",
        DailyMean(_CLICKERS),
        DailyMean(_REACH),
        "S1-17 S1-18 S4-70 X-64",
        group="funnel_step_rates",
    ),
    _rate(
        "funnel_click_to_customer",
        "Funnel: click to customer",
        "avg_daily_customers / avg_unique_clicks.",
        DailyMean(_CUSTOMERS),
        DailyMean(_CLICKERS),
        "S1-17 S1-18 S4-70 X-64",
        group="funnel_step_rates",
    ),
    _rate(
        "funnel_impression_to_click",
        "Funnel: impression to click",
        "product_clicks / product_impressions.",
        _CLICKS,
        _IMPRESSIONS,
        "S1-18 S4-70 X-64",
        group="funnel_step_rates",
    ),
    _rate(
        "funnel_click_to_sku_order",
        "Funnel: click to SKU order",
        "sku_orders / product_clicks.",
        _SKU_ORDERS,
        _CLICKS,
        "S1-18 S4-70 X-64",
        group="funnel_step_rates",
    ),
)


def _stock(
    id: str,
    title: str,
    definition: str,
    unit: Unit,
    sources: str,
    reasons: tuple[str, ...] = (),
    advice: str = "",
) -> Metric:
    return _metric(
        id,
        title,
        definition,
        unit,
        StockFigure(id),
        sources,
        dims=STOCK_DIMS,
        windows="now",
        topics=("stock",),
        owner="streams.stock",
        null_reasons=("no_source", "not_in_stock_feed", *reasons),
        advice=advice,
    )


_STOCK_METRICS: Final = (
    _stock(
        "stock_on_hand",
        "Stock",
        "Sum over warehouses of the latest level; for a shop with stock_feed = periodic less units sold since that "
        "record. A product is the sum of its SKUs; negative is oversold.",
        Unit.UNITS,
        "S4-58 S4-63",
        ("no_stock_record",),
    ),
    _stock(
        "stock_status",
        "Stock status",
        "out_of_stock (<= 0), at_risk (hours_to_stockout <= stock_horizon_hours), unknown (no or old record, stale "
        "feed), healthy. A product takes its worst SKU.",
        Unit.STATUS,
        "S4-59 S4-04 X-35 X-70",
        advice="Out of stock while a LIVE shows it: unpin it or add stock.",
    ),
    _stock(
        "sell_velocity",
        "Selling speed",
        "Items sold per hour, recent-weighted, with the shape of the day. A product is the sum of its SKUs.",
        Unit.UNITS_PER_HOUR,
        "S4-59",
    ),
    _stock(
        "hours_to_stockout",
        "Time to out of stock",
        "Hours until expected demand reaches the stock; 0 when out. A product takes its first SKU to run out.",
        Unit.HOURS,
        "S4-59",
        ("no_stock_record", "not_selling", "after_campaign"),
    ),
    _stock(
        "stock_horizon_hours",
        "Risk horizon",
        "min(7 days, campaign end - now) for the campaign that holds the SKU and ends last; 7 days without one. A "
        "product or shop shows its longest.",
        Unit.HOURS,
        "S4-59 X-34",
    ),
    _stock(
        "replenish_units",
        "Units to add",
        "Units to add so that the stock lasts to the horizon's end. A product is the sum of its SKUs.",
        Unit.UNITS,
        "S4-63 S4-60",
    ),
    _stock(
        "gmv_at_risk",
        "GMV at risk",
        "Demand expected between the projected stock-out and the horizon x mean price paid. A product or shop is the "
        "sum of its SKUs.",
        Unit.MONEY,
        "S4-60 S4-63 X-83",
        advice="Refill the SKUs at the top first; what cannot be refilled should not be pinned.",
    ),
)

_GOAL_METRICS: Final = (
    _metric(
        "campaign_target",
        "Campaign goal",
        "The seller's goal of the campaign: money for a goal in gmv, else a count. The newest version holds.",
        Unit.MONEY,
        GoalFigure("target"),
        "S4-11 X-67",
        dims=("campaign",),
        windows="now",
        topics=("campaigns",),
        owner="streams.goals",
        null_reasons=("no_target",),
    ),
    _metric(
        "goal_progress_pct",
        "Goal progress",
        "gmv (or orders, items) from 00:00 shop time of the campaign's first day to now / goal, as a fraction; not "
        "clipped at 1.",
        Unit.RATE,
        GoalFigure("progress"),
        "S4-12 S4-10 X-76",
        dims=("campaign",),
        windows="now",
        topics=("campaigns", "orders"),
        owner="streams.goals",
        null_reasons=("no_source", "no_target"),
    ),
)

_FRESHNESS_METRICS: Final = (
    _metric(
        "today_lag_seconds",
        "Freshness of Today",
        "now - the event time up to which a topic is known; over several topics the longest of the required ones.",
        Unit.SECONDS,
        FreshnessFigure("lag_s"),
        "S2-06 S4-07 X-62",
        dims=("topic",),
        windows="now",
    ),
    _metric(
        "view_as_of",
        "As-of time",
        "Event time up to which a topic is complete; over several topics the earliest of the shop's required ones.",
        Unit.INSTANT,
        FreshnessFigure("as_of"),
        "S4-09 S4-23 X-79",
        dims=("topic",),
        windows="now",
    ),
    _metric(
        "records_in",
        "Records in",
        "Records read from source topics in this run, of every shop; the sum over outcomes is all of them.",
        Unit.COUNT,
        FreshnessFigure("records"),
        "X-63",
        dims=("topic", "outcome"),
        windows="now",
        not_counted="Days loaded as history from the direct engine.",
        null_reasons=(),
    ),
)

METRICS: Final[dict[str, Metric]] = {
    metric.id: metric
    for metric in (
        *_SALES,
        *_CUSTOMER_METRICS,
        *_REFUND_METRICS,
        *_TRAFFIC_METRICS,
        *_STOCK_METRICS,
        *_GOAL_METRICS,
        *_FRESHNESS_METRICS,
    )
}
"""Every metric by id, in the order of the documentation."""

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    name: tuple(metric.id for metric in METRICS.values() if metric.group == name)
    for name in dict.fromkeys(metric.group for metric in METRICS.values() if metric.group)
}
"""Names that ask for several metrics, each its own column."""

DIMENSIONS: Final = {
    "day": "business day of the shop, such as 2011-11-25",
    "hour": "hour of the shop's clock with its offset, such as 2011-11-25T14+00:00",
    "minute": "minute with its offset, such as 2011-11-25T14:05+00:00",
    "product": "product id",
    "sku": "SKU id",
    "slice": "the eight formats of the briefs; they overlap and are never added up",
    "leaf": "the partition for shares: Shop tab first, then each format outside it; sums to all",
    "creator": "creator id; what no creator brought is in no row",
    "content": "id of a LIVE or video; what no content brought is in no row",
    "sub_campaign": "sub-campaign id; what is in none is in no row",
    "territory": "region code of the viewer or of the order's address",
    "status": "present status of an order",
    "campaign": "campaign id",
    "topic": "topic without prefix",
    "outcome": "what became of a record",
}
"""Every dimension, with what its values are."""
