"""Views of the campaign dashboard: headline, goal, sub-campaigns, products with stock, traffic, funnel.

Source: spec/features.md S4.
"""

from __future__ import annotations

from typing import Final

from streams.view import (
    AUTO_GRAIN,
    CONTENT_TYPE,
    GRAIN,
    METRICS,
    PRODUCT,
    SEARCH,
    TREND,
    Limits,
    Option,
    Parameter,
    Part,
    Shape,
    View,
)

PAGE: Final = "campaign dashboard"

SALES: Final = ("gmv", "orders", "sku_orders", "items_sold", "est_customers", "aov_sku")
REACH: Final = ("product_impressions", "product_clicks", "ctr", "ctor")
CORE: Final = (*SALES, "est_tiktok_contribution", *REACH)

MORE: Final = (
    *(
        "gmv_with_tax",
        "tax_paid",
        "gmv_with_cofunding",
        "shipping_fees_paid",
        "aov_revenue",
        "unique_customers",
    ),
    *("unique_product_impressions", "unique_clicks", "product_page_views", "unique_page_viewers"),
    *("atc_count", "atc_users", "atc_rate", "unique_ctr", "unique_ctor", "unique_atc_rate"),
    *("refunds_amount", "items_refunded", "refund_customers", "cancel_rate"),
    *("checkouts_initiated", "content_views", "conversion_rate", "ad_spend", "roas"),
)
"""What a reader may put in place of the headline metrics (S4-74)."""

LIST: Final = Parameter(
    "list",
    "campaign: products of the campaign under way, else of the one that ended last; all: every product",
    ("campaign", "all"),
    "campaign",
)
STOCK: Final = Parameter(
    "only", "replenish: what is out of stock or at risk (X-35)", ("all", "replenish"), "all"
)

REPLENISH: Final = Option("only", "replenish", "stock_status", any_of=("out_of_stock", "at_risk"))

OF_CAMPAIGN: Final = Option("list", "campaign", "in_campaign", none_of=(False,))
"""Without any campaign every product is shown."""

CHANNELS: Final = (
    "channel_efficiency_rank",
    "impression_share",
    "product_impressions",
    "product_clicks",
    "ctr",
    "sku_orders",
    "ctor",
    "gmv",
)

VIEWS: Final = (
    View(
        "overview",
        "Campaign overview",
        "How does the campaign stand: sales, goal, reach and conversion, today, on one day or since it began?",
        (
            Part("headline", "Headline", CORE, shape=Shape.FIGURE, choices=MORE, compare=True),
            Part(
                "goal",
                "Goal of the campaign",
                ("campaign_target", "goal_progress_pct", "goal_pace_pct", "gmv_projected_campaign_end"),
                shape=Shape.FIGURE,
            ),
            Part(
                "sales_trend",
                "GMV",
                ("gmv",),
                (AUTO_GRAIN,),
                Shape.TREND,
                choices=(*CORE, *MORE),
                compare=True,
            ),
            Part(
                "contribution",
                "GMV by channel",
                ("gmv", "gmv_channel_contribution"),
                ("leaf",),
                sort=("gmv",),
                compare=True,
            ),
            Part(
                "fresh",
                "How fresh this is",
                ("today_lag_seconds", "view_as_of"),
                shape=Shape.FIGURE,
            ),
        ),
        "S4-01 S4-06 S4-07 S4-08 S4-09 S4-10 S4-74 S4-75 S1-28 S1-29",
        copies=PAGE,
        parameters=(METRICS, TREND, GRAIN),
    ),
    View(
        "daily",
        "Daily",
        "How did one campaign day go, against an earlier day of the shop?",
        (
            Part("headline", "Headline", CORE, shape=Shape.FIGURE, choices=MORE, compare=True),
            Part("by_hour", "Hour by hour", ("gmv",), ("hour",), Shape.TREND, choices=(*CORE, *MORE)),
        ),
        "S4-08 S4-13 S4-14 S4-15 S4-16",
        copies=PAGE,
        parameters=(METRICS, TREND),
        window="yesterday",
        limits=Limits(daily_baseline=True),
    ),
    View(
        "goal",
        "Goal",
        "How far is each campaign, is it on pace, and where will it end?",
        (
            Part(
                "campaigns",
                "Campaigns that have started",
                (
                    *("campaign_target", "goal_progress_pct", "goal_pace_pct", "gmv_projected_campaign_end"),
                    *("gmv_projected_campaign_end_low", "gmv_projected_campaign_end_high"),
                ),
                ("campaign",),
                labels="campaign",
                empty="No campaign has started.",
            ),
            Part(
                "periods",
                "Week and quarter",
                ("period_sales_goal_pct", "quarter_revenue_target_pct"),
                shape=Shape.FIGURE,
            ),
        ),
        "S4-02 S4-10 S4-11 S4-12 S4-75 S5-04",
        copies=PAGE,
    ),
    View(
        "core_metrics",
        "Core metrics",
        "How do the metrics of my choice stand, by format and in time?",
        (
            Part("figures", "Figures", CORE, shape=Shape.FIGURE, choices=MORE, compare=True),
            Part("formats", "By format", CORE, ("slice",), choices=MORE, compare=True),
            Part("trend", "In time", ("gmv", "orders"), (AUTO_GRAIN,), Shape.TREND, choices=(*CORE, *MORE)),
        ),
        "S4-10 S4-74 S4-17 S4-66 S4-67",
        copies=PAGE,
        parameters=(METRICS, TREND, GRAIN, PRODUCT),
    ),
    View(
        "sub_campaigns",
        "Sub-campaigns",
        "What does each sub-campaign that the shop joined bring?",
        (
            Part(
                "ranking",
                "Sub-campaigns",
                ("orders", "gmv", "items_sold", "product_impressions", "product_clicks", "ctor"),
                ("sub_campaign",),
                sort=("gmv", "orders"),
                labels="sub_campaign",
                compare=True,
                empty="Nothing is counted in a sub-campaign in this window.",
            ),
        ),
        "S4-39 S4-44",
        copies=PAGE,
        parameters=(SEARCH,),
    ),
    View(
        "products",
        "Products",
        "Which products sell, how do they convert, and which of them run out?",
        (
            Part(
                "table",
                "Products",
                (
                    *("gmv", "orders", "items_sold", "product_impressions", "product_clicks", "ctr", "ctor"),
                    *("atc_rate_pdp", "demand_flag", "stock_on_hand", "stock_status", "hours_to_stockout"),
                    *("replenish_units", "gmv_at_risk"),
                ),
                ("product",),
                choices=(*SALES, *REACH, *MORE[4:]),
                sort=("gmv", "orders"),
                labels="product",
                options=(REPLENISH, OF_CAMPAIGN),
                compare=True,
            ),
            Part(
                "skus",
                "SKUs to refill",
                (
                    *("stock_status", "stock_on_hand", "sell_velocity", "hours_to_stockout"),
                    *("stock_horizon_hours", "replenish_units", "gmv_at_risk"),
                ),
                ("sku",),
                sort=("gmv_at_risk",),
                labels="sku",
                options=(
                    OF_CAMPAIGN,
                    Option("only", "all", "stock_status", any_of=("out_of_stock", "at_risk", "unknown")),
                    REPLENISH,
                ),
                empty="No SKU needs stock.",
            ),
        ),
        "S4-04 S4-55 S4-56 S4-57 S4-58 S4-59 S4-60 S4-61 S4-63",
        copies=PAGE,
        parameters=(METRICS, LIST, STOCK, SEARCH),
    ),
    View(
        "traffic_sources",
        "Traffic sources",
        "Which channel gives the showings, and which one turns them into orders?",
        (
            Part(
                "channels",
                "By channel",
                CHANNELS,
                ("leaf",),
                sort=("product_impressions",),
                compare=True,
            ),
            Part(
                "formats",
                "By format, which overlap",
                (
                    "product_impressions",
                    "unique_product_impressions",
                    "unique_clicks",
                    "unique_ctr",
                    "ctr",
                    "ctor",
                ),
                ("slice",),
            ),
        ),
        "S4-64 S4-65 S4-66 S4-67 S4-68 S4-69 S4-17",
        copies=PAGE,
        parameters=(PRODUCT,),
    ),
    View(
        "funnel",
        "Conversion funnel",
        "How many of those who are reached click, and how many of those buy?",
        (
            Part(
                "people",
                "People a day (UV)",
                (
                    *("avg_unique_reach", "avg_unique_clicks", "avg_daily_customers"),
                    *("funnel_reach_to_click", "funnel_click_to_customer"),
                ),
                shape=Shape.FUNNEL,
                compare=True,
            ),
            Part(
                "events",
                "Events (PV)",
                (
                    *("product_impressions", "product_clicks", "sku_orders"),
                    *("funnel_impression_to_click", "funnel_click_to_sku_order"),
                ),
                shape=Shape.FUNNEL,
                compare=True,
            ),
        ),
        "S4-70 S4-71 S4-72 S4-73 S1-17 S1-18",
        copies=PAGE,
        parameters=(CONTENT_TYPE, PRODUCT),
    ),
)
"""In the order of the dashboard."""
