"""Metrics of the catalogue: impressions, clicks, page views, add-to-cart, their people and rates.

Source: spec/metrics.md "Traffic, conversion and funnel".
"""

from __future__ import annotations

from typing import Final

from streams.formulas import AdderFigure, Additive, DailyMean, LabelFigure, Rank, Ratio, Share, Total
from streams.metric import SKU_TRAFFIC_DIMS, TIME_DIMS, Metric, Unit, metric_of
from streams.metrics_sales import CUSTOMERS, GMV, SKU_ORDERS

IMPRESSIONS: Final = Total(("impressions",))
CLICKS: Final = Total(("clicks",))
CARTS: Final = Total(("add_to_carts",))
REACH: Final = Total(("impressions_people",))
CLICKERS: Final = Total(("clicks_people",))
ADDERS: Final = Total(("add_to_carts_people",))


PEOPLE: Final = (
    "Events without user_key (their share is the answer's coverage); an estimate with a stated error."
)


NAMELESS: Final = (
    "By SKU: clicks and presses that name none; what part of them names one is the answer's coverage."
)


ADDER_REASONS: Final = (
    "no_source",
    "zero_divisor",
    "catching_up",
    "source_gives_no_people",
    "partly_kept",
    "too_uncertain",
)


def _rate(
    id: str,
    title: str,
    definition: str,
    up: Additive,
    down: Additive,
    sources: str,
    **more: str | tuple[str, ...],
) -> Metric:
    return metric_of(id, title, definition, Unit.RATE, Ratio(up, down), sources, **more)  # type: ignore[arg-type] # fields by name


def _people(base: str, title: str, who: str, measure: str, sources: str) -> tuple[Metric, Metric]:
    return (
        metric_of(
            base,
            title,
            f"Distinct users {who} within each shop-day, summed over days; by hour, distinct within the hour.",
            Unit.PERSON_DAYS,
            Total((measure,)),
            sources,
            not_counted=PEOPLE,
        ),
        metric_of(
            f"{base}_distinct",
            f"{title} (distinct)",
            f"Distinct users {who} in the whole window, by union of sketches.",
            Unit.PEOPLE,
            Total((f"{measure}_distinct",)),
            sources,
            not_counted=PEOPLE,
        ),
    )


TRAFFIC_METRICS: Final[tuple[Metric, ...]] = (
    metric_of(
        "product_impressions",
        "Product impressions",
        "Number of times a product was shown, on any surface; repeats count.",
        Unit.COUNT,
        IMPRESSIONS,
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
    metric_of(
        "product_clicks",
        "Product clicks",
        "Number of active clicks on a product, all creator and seller channels.",
        Unit.COUNT,
        CLICKS,
        "S1-36 S1-46",
        dims=SKU_TRAFFIC_DIMS,
        not_counted=f"Page loads; repeats of one event_id within the repeat window. {NAMELESS}",
    ),
    *_people("unique_clicks", "Unique clicks", "clicking", "clicks_people", "S1-49"),
    metric_of(
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
    metric_of(
        "atc_count",
        "Add-to-cart count",
        "Presses of add-to-cart.",
        Unit.COUNT,
        CARTS,
        "S1-31 S1-30",
        dims=SKU_TRAFFIC_DIMS,
        not_counted=f"Units; repeats of one event_id within the repeat window. {NAMELESS}",
    ),
    *_people("atc_users", "ATC users", "adding the product", "add_to_carts_people", "S1-62"),
    _rate(
        "ctr",
        "CTR",
        "product_clicks / product_impressions, summed first.",
        CLICKS,
        IMPRESSIONS,
        "S1-47 S4-66 S5-08 X-03 X-28",
        advice="Shown but not clicked: change the cover, the first seconds or the pinned product.",
    ),
    _rate(
        "unique_ctr",
        "Unique CTR",
        "unique_clicks / unique_product_impressions.",
        CLICKERS,
        REACH,
        "S1-61 X-03",
    ),
    _rate(
        "ctor",
        "CTOR (SKU orders)",
        "sku_orders / product_clicks; at every aggregate from summed parts.",
        SKU_ORDERS,
        CLICKS,
        "S1-37 S1-48 S1-68 S4-67 S5-10 X-03 X-28",
        advice="Clicked but not bought: check price, stock, reviews and the offer on the detail page.",
        dims=SKU_TRAFFIC_DIMS,
        not_counted=NAMELESS,
    ),
    _rate(
        "unique_ctor",
        "Unique CTOR (SKU order)",
        "est_customers / unique_clicks.",
        CUSTOMERS,
        CLICKERS,
        "S1-64 X-02",
    ),
    _rate(
        "atc_rate",
        "Add-to-cart rate",
        "atc_count / product_clicks.",
        CARTS,
        CLICKS,
        "S1-32 S1-33 X-01",
        dims=SKU_TRAFFIC_DIMS,
        not_counted=NAMELESS,
    ),
    _rate("unique_atc_rate", "Unique ATC rate", "atc_users / unique_clicks.", ADDERS, CLICKERS, "S1-63 X-01"),
    metric_of(
        "atc_rate_pdp",
        "Add-to-cart rate (per page viewer)",
        "People of a product and shop-day who both viewed the detail page and added / people who viewed it; over "
        "several days both are summed first. Null where its bounds are further apart than 30 % of it.",
        Unit.RATE,
        AdderFigure("rate"),
        "S4-56 S4-57 X-01",
        not_counted=f"People who add without viewing the page, in a LIVE for example. {PEOPLE}",
        advice="Viewed but not added: check price, pictures, variants and reviews on the detail page.",
        dims=("day", "product"),
        topics=("page_views", "add_to_cart"),
        owner="streams.page_adders",
        null_reasons=ADDER_REASONS,
    ),
    metric_of(
        "demand_flag",
        "High demand",
        "high when the product's atc_rate_pdp is in the top part of the shop (stock.demand_top_share) among products "
        "with stock.demand_min_viewers, else usual. Ask stock_status beside it.",
        Unit.STATUS,
        AdderFigure("flag"),
        "S4-57",
        not_counted="Products whose rate is null or whose page too few people viewed.",
        advice="In high demand and at risk: add stock before you promote it further.",
        dims=("product",),
        topics=("page_views", "add_to_cart"),
        owner="streams.demand",
        null_reasons=(*ADDER_REASONS, "below_minimum"),
    ),
    metric_of(
        "impression_share",
        "Impression share",
        "product_impressions of a slice or leaf / product_impressions of all, everything else equal; leaves sum to 1.",
        Unit.RATE,
        Share(IMPRESSIONS),
        "S4-65 S4-64 X-13",
    ),
    metric_of(
        "avg_unique_reach",
        "Avg. unique reach",
        "Distinct users shown any product per day, averaged over finished days; while there is none, today's part, "
        "marked partial.",
        Unit.PEOPLE_PER_DAY,
        DailyMean(REACH),
        "S4-71 X-72",
        not_counted=PEOPLE,
    ),
    metric_of(
        "avg_unique_clicks",
        "Avg. unique clicks",
        "Distinct users clicking any product per day, averaged over finished days; while there is none, today's part, "
        "marked partial.",
        Unit.PEOPLE_PER_DAY,
        DailyMean(CLICKERS),
        "S4-72",
        not_counted=PEOPLE,
    ),
    _rate(
        "funnel_reach_to_click",
        "Funnel: reach to click",
        "avg_unique_clicks / avg_unique_reach.",
        DailyMean(CLICKERS),
        DailyMean(REACH),
        "S1-17 S1-18 S4-70 X-64",
        group="funnel_step_rates",
    ),
    _rate(
        "funnel_click_to_customer",
        "Funnel: click to customer",
        "avg_daily_customers / avg_unique_clicks.",
        DailyMean(CUSTOMERS),
        DailyMean(CLICKERS),
        "S1-17 S1-18 S4-70 X-64",
        group="funnel_step_rates",
    ),
    _rate(
        "funnel_impression_to_click",
        "Funnel: impression to click",
        "product_clicks / product_impressions.",
        CLICKS,
        IMPRESSIONS,
        "S1-18 S4-70 X-64",
        group="funnel_step_rates",
    ),
    _rate(
        "funnel_click_to_sku_order",
        "Funnel: click to SKU order",
        "sku_orders / product_clicks.",
        SKU_ORDERS,
        CLICKS,
        "S1-18 S4-70 X-64",
        group="funnel_step_rates",
    ),
)

_FUNNEL_DIMS: Final = (*TIME_DIMS, "product", "slice", "leaf", "owner", "creator", "content", "sub_campaign")

FUNNEL_METRICS: Final[tuple[Metric, ...]] = (
    metric_of(
        "checkouts_initiated",
        "Checkouts initiated",
        "Checkouts begun; a checkout id counts once, and once under each product that it holds.",
        Unit.COUNT,
        Total(("checkouts",)),
        "S5-30",
        dims=_FUNNEL_DIMS,
        not_counted="Whether they were paid.",
    ),
    metric_of(
        "pdp_to_checkout_rate",
        "Page view to checkout",
        "checkouts_initiated / product_page_views.",
        Unit.RATE,
        Ratio(Total(("checkouts",)), Total(("page_views",))),
        "S5-31",
        dims=_FUNNEL_DIMS,
        advice="Viewed but no checkout: check price, shipping fee and variants on the detail page.",
    ),
    metric_of(
        "channel_efficiency_rank",
        "Channel ranking",
        "Place of a slice or leaf by ctor, ties by gmv per 1,000 impressions, then by name.",
        Unit.COUNT,
        Rank((Ratio(SKU_ORDERS, CLICKS), Ratio(GMV, IMPRESSIONS, times=1_000)), ("slice", "leaf", "owner")),
        "S1-26 S4-68",
        not_counted="What sold nothing per click; the slice `all`.",
        advice="Give the first one the next budget; look at the last one's product page.",
    ),
    metric_of(
        "best_format",
        "Best format per product",
        "The slice with the highest ctor among those with board.format_min_clicks clicks of the product, ties by gmv.",
        Unit.STATUS,
        LabelFigure("best_format"),
        "S1-07 S1-05 S1-06",
        dims=("month", "week", "day", "product"),
        topics=("clicks", "orders"),
        owner="streams.query_labels",
        null_reasons=("no_source", "below_minimum", "not_told"),
        not_counted="The slices `all` and `affiliate`, which hold others.",
        advice="Make more content of this format for the product.",
    ),
    *(
        metric_of(
            id,
            title,
            definition,
            unit,
            LabelFigure(column),
            sources,
            dims=("product",),
            windows="now",
            topics=("products",),
            owner="streams.query_labels",
            null_reasons=("no_source", "not_told"),
        )
        for id, title, definition, unit, column, sources in (
            (
                "product_status",
                "Listing status",
                "live, reviewing, deactivated, needs_attention, draft or deleted, as the product card says.",
                Unit.STATUS,
                "status",
                "S1-11 X-69",
            ),
            (
                "product_rating",
                "Product rating",
                "Latest rating on the product card, 0 to 5.",
                Unit.NUMBER,
                "rating",
                "S1-12",
            ),
            (
                "product_opportunity_matched",
                "Opportunity matched",
                "matched when the product is found in the opportunity list, else not_matched.",
                Unit.STATUS,
                "opportunity",
                "S1-09",
            ),
        )
    ),
)
