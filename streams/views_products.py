"""Views of the product guide: list, one product across formats, its details with the lists behind, all products.

Source: spec/features.md S1.
"""

from __future__ import annotations

from typing import Final

from streams.view import (
    AUTO_GRAIN,
    CONTENT_TYPE,
    GRAIN,
    METRICS,
    ONE_PRODUCT,
    SEARCH,
    TREND,
    Limits,
    Option,
    Parameter,
    Part,
    Shape,
    View,
)
from streams.views_content import BEHIND_A_FORMAT, CREATOR_TYPE

PAGE: Final = "product guide"

PER_PRODUCT: Final = (
    *("gmv", "items_sold", "orders", "sku_orders", "est_customers", "aov_sku"),
    *("product_impressions", "product_clicks", "ctr", "ctor", "atc_count", "atc_rate"),
)
"""CTOR stands beside its companions always: impressions, clicks, orders, SKU orders (S1-38)."""

MORE: Final = (
    *(
        "gmv_with_tax",
        "tax_paid",
        "gmv_with_cofunding",
        "shipping_fees_paid",
        "refunds_amount",
        "items_refunded",
    ),
    *("refund_customers", "unique_product_impressions", "unique_clicks", "unique_ctr", "unique_ctor"),
    *("atc_users", "unique_atc_rate", "product_page_views", "unique_page_viewers", "aov_revenue"),
    *(
        "avg_daily_creators_posted",
        "new_live_count",
        "new_video_count",
        "checkouts_initiated",
        "pdp_to_checkout_rate",
    ),
)

FUNNEL: Final = ("product_impressions", "product_clicks", "sku_orders", "ctr", "ctor")
FUNNEL_PEOPLE: Final = (
    *("unique_product_impressions", "unique_clicks", "est_customers", "unique_ctr", "unique_ctor"),
)
"""PV and UV forms of the traffic-source funnel (X-64)."""

STATUS: Final = Parameter(
    "status",
    "only products with this listing status",
    ("live", "reviewing", "deactivated", "needs_attention", "draft", "deleted"),
    column="product_status",
)
OPPORTUNITY: Final = Parameter(
    "opportunity",
    "only products that the Opportunity Center lists, or does not",
    ("matched", "not_matched"),
    column="product_opportunity_matched",
)
DELETED: Final = Parameter(
    "deleted",
    "products whose listing is deleted; their sales stay in every total",
    ("hidden", "shown"),
    "hidden",
)
LISTED: Final = Option("deleted", "hidden", "product_status", none_of=("deleted",))

ABOUT: Final = (
    ("product_status", ""),
    ("product_gmv_range", "all"),
    ("product_opportunity_matched", ""),
    ("best_format", ""),
)
"""Labels of a product whatever format is chosen (S1-07 to S1-11)."""

COUNT: Final = Parameter(
    "count",
    "events: showings, clicks and SKU orders (PV); people: each once a day (UV)",
    ("events", "people"),
    "events",
)

VIEWS: Final = (
    View(
        "product_list",
        "Product list",
        "How does each product sell and convert, in all formats or in one?",
        (
            Part(
                "list",
                "Products",
                PER_PRODUCT,
                ("product",),
                choices=MORE,
                sort=("gmv", "orders"),
                labels="product",
                about=ABOUT,
                options=(LISTED,),
                compare=True,
            ),
        ),
        "S1-07 S1-08 S1-09 S1-11 S1-03 S1-04 S1-38 S1-40 S1-41 S1-42 S1-43 S1-44 S1-45 S1-46 S1-47 S1-48 S1-49 S1-68",
        copies=PAGE,
        parameters=(CONTENT_TYPE, METRICS, SEARCH, STATUS, OPPORTUNITY, DELETED),
        window="last7",
    ),
    View(
        "product_formats",
        "One product across formats",
        "Which format sells this product, and which one converts best?",
        (
            Part("formats", "By format", PER_PRODUCT, ("slice",), choices=MORE, compare=True),
            Part(
                "channels",
                "Channels, which add up",
                ("gmv", "gmv_channel_contribution", *FUNNEL),
                ("leaf",),
                sort=("gmv",),
            ),
        ),
        "S1-05 S1-06 S1-07 S1-40",
        copies=PAGE,
        parameters=(ONE_PRODUCT, METRICS),
        window="last7",
    ),
    View(
        "product_details",
        "Product details",
        "What is this product, how does it go, and what brings its traffic?",
        (
            Part(
                "card",
                "Product",
                PER_PRODUCT,
                ("product",),
                choices=MORE,
                labels="product",
                about=(*ABOUT, ("product_rating", "")),
                searched=False,
                compare=True,
            ),
            Part(
                "trend",
                "Key metrics",
                ("gmv", "product_clicks"),
                (AUTO_GRAIN,),
                Shape.TREND,
                choices=(*PER_PRODUCT, *MORE),
                compare=True,
            ),
            Part(
                "funnel",
                "Traffic source funnel",
                FUNNEL,
                shape=Shape.FUNNEL,
                when=("count", ("events",)),
                compare=True,
            ),
            Part(
                "funnel_people",
                "Traffic source funnel, people",
                FUNNEL_PEOPLE,
                shape=Shape.FUNNEL,
                when=("count", ("people",)),
                compare=True,
            ),
            Part(
                "sources",
                "Traffic sources",
                FUNNEL,
                ("slice",),
                when=("content_type", ("all",)),
            ),
            *BEHIND_A_FORMAT,
        ),
        "S1-01 S1-12 S1-13 S1-14 S1-17 S1-18 S1-19 S1-20 S1-21 S1-22 S1-23 S1-24",
        copies=PAGE,
        parameters=(ONE_PRODUCT, CONTENT_TYPE, METRICS, TREND, GRAIN, COUNT, CREATOR_TYPE, SEARCH),
        window="last7",
        limits=Limits(most_trend_metrics=2),
    ),
    View(
        "product_traffic",
        "Traffic of all products",
        "Which channel turns showings into orders best, over all products?",
        (
            Part(
                "channels",
                "Channels, the best first",
                ("channel_efficiency_rank", "ctor", "gmv", *FUNNEL[:3], "ctr", "impression_share"),
                ("leaf",),
                sort=("ctor", "gmv"),
                compare=True,
            ),
            Part(
                "formats",
                "Formats, the best first; they overlap",
                ("ctor", "gmv", *FUNNEL[:3], "ctr", "atc_rate", "unique_ctor"),
                ("slice",),
                sort=("ctor", "gmv"),
            ),
            Part("all", "All products", PER_PRODUCT, shape=Shape.FIGURE, choices=MORE, compare=True),
            Part(
                "trend",
                "In time",
                ("ctor", "product_clicks"),
                (AUTO_GRAIN,),
                Shape.TREND,
                choices=(*PER_PRODUCT, *MORE),
            ),
        ),
        "S1-01 S1-25 S1-26 S1-68",
        copies=PAGE,
        parameters=(CONTENT_TYPE, METRICS, TREND, GRAIN),
        window="last7",
    ),
    View(
        "top_products",
        "Top products",
        "What sells most, and what hardly sells?",
        (
            Part(
                "top",
                "Top sellers",
                ("top_selling_products", "items_sold", "gmv", "orders", "ctor"),
                ("product",),
                sort=("items_sold", "gmv"),
                limit=10,
                labels="product",
                compare=True,
            ),
        ),
        "S1-27",
        copies=PAGE,
        parameters=(CONTENT_TYPE, SEARCH),
        window="last7",
    ),
)
"""In the order of the guide."""
