"""Metrics of the catalogue: sales, customers, refunds.

Source: spec/metrics.md "Sales and money in", "Customers", "Refunds and returns".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.formulas import DailyMean, LabelFigure, Rank, Ratio, Recent, Share, Total, measures_of
from streams.metric import Metric, Unit, metric_of

if TYPE_CHECKING:
    from streams.settings import ShopSettings

GMV: Final = Total(("goods", "shipping_in_gmv"))
ORDERS: Final = Total(("orders",))
SKU_ORDERS: Final = Total(("sku_orders",))
CUSTOMERS: Final = Total(("customers",))

PAID: Final = "Cancelled and refunded orders stay in; bucket is the payment time; one order id counts once."
UNPAID: Final = "Unpaid orders, tax, co-funding; refunds are never taken off."

SALES: Final[tuple[Metric, ...]] = (
    metric_of(
        "gmv",
        "GMV",
        "Sum over paid order lines of what the buyer paid for goods and shipping, net of every discount, without "
        f"tax and without TikTok co-funding. {PAID}",
        Unit.MONEY,
        GMV,
        "S1-29 S1-28 S4-10 S5-02 X-05 X-06",
        not_counted=UNPAID + " Shipping is out where the setting gmv_includes_shipping is false.",
        advice="Behind the plan: look at which format and product fell against the reference, then at stock.",
    ),
    metric_of(
        "gmv_with_tax",
        "GMV with tax",
        f"gmv + tax_paid. {PAID}",
        Unit.MONEY,
        Total(("goods", "shipping_in_gmv", "tax")),
        "S1-51",
    ),
    metric_of("tax_paid", "Tax", f"Sum of tax on paid orders. {PAID}", Unit.MONEY, Total(("tax",)), "S1-52"),
    metric_of(
        "gmv_with_cofunding",
        "GMV with TTS co-funding",
        f"gmv + TikTok's product and shipping co-funding of the same lines. {PAID}",
        Unit.MONEY,
        Total(("goods", "shipping_in_gmv", "cofunding")),
        "S1-53 S1-54 X-07",
        not_counted="The co-funding is the estimate sent with the line; a settled value does not replace it yet.",
    ),
    metric_of(
        "est_tiktok_contribution",
        "Estimated TikTok contribution",
        f"Product and shipping co-funding of paid lines, as estimated at payment. {PAID}",
        Unit.MONEY,
        Total(("cofunding",)),
        "S4-18 S4-19 S1-53 X-07",
        not_counted="Settled values do not replace the estimate yet.",
    ),
    metric_of(
        "shipping_fees_paid",
        "Shipping fees (paid by customers)",
        f"Sum of shipping charged to buyers. {PAID}",
        Unit.MONEY,
        Total(("shipping",)),
        "S1-55",
    ),
    metric_of(
        "orders",
        "Orders",
        "Distinct order ids with a payment; an order of several formats, products or creators counts once in All "
        f"and once in each that it touches. {PAID}",
        Unit.COUNT,
        ORDERS,
        "S1-42 S3-04 X-32",
        not_counted="Unpaid orders; orders of other channels.",
    ),
    metric_of(
        "sku_orders",
        "SKU orders",
        "Distinct (order id, SKU id) pairs paid, whatever the quantity; a pair belongs to the source and product of "
        f"its first line_id: the least one, compared as text by code point. {PAID}",
        Unit.COUNT,
        SKU_ORDERS,
        "S1-43 S1-37 X-31",
    ),
    metric_of(
        "items_sold",
        "Items sold",
        f"Sum of quantity on paid lines. {PAID}",
        Unit.UNITS,
        Total(("items",)),
        "S1-41 S5-02",
    ),
    metric_of(
        "aov_revenue",
        "AOV (revenue per order, before costs)",
        "gmv / orders.",
        Unit.MONEY,
        Ratio(GMV, ORDERS),
        "S2-20 S2-21 X-09",
        advice="Bundle, or set the free-shipping threshold a little above the present value.",
    ),
    metric_of("aov_sku", "AOV (SKU)", "gmv / sku_orders.", Unit.MONEY, Ratio(GMV, SKU_ORDERS), "S1-50 X-09"),
    metric_of(
        "gmv_channel_contribution",
        "GMV contribution by channel",
        "gmv of a slice or leaf / gmv of all, everything else equal; leaves sum to 1, slices overlap.",
        Unit.RATE,
        Share(GMV),
        "S2-04 S2-54 S2-33 X-13",
    ),
    metric_of(
        "orders_by_status",
        "Transaction status",
        "Orders paid in the window by their present status: the state with the greatest seq, then the latest; "
        "`paid` before any. Asked for alone it is given by status.",
        Unit.COUNT,
        ORDERS,
        "S2-47 S2-53",
        not_counted="Orders that were never paid.",
    ),
    metric_of(
        "cancel_rate",
        "Cancellation rate",
        "Orders paid in the window that were cancelled at any later time / orders paid in the window.",
        Unit.RATE,
        Ratio(Total(("cancelled_orders",)), ORDERS),
        "S2-47 X-18",
        not_counted="Cancellations only asked for; orders paid before the window.",
        advice="Look at the reasons; a rise within hours of a sale is most often stock or a price mistake.",
    ),
    metric_of(
        "orders_by_source_rank",
        "Source and account order ranking",
        "Place of a slice, leaf or creator by orders, ties by gmv, then by name.",
        Unit.COUNT,
        Rank((ORDERS, GMV), ("slice", "leaf", "creator")),
        "S2-46",
        not_counted="What brought no order; the slice `all`.",
    ),
    metric_of(
        "top_selling_products",
        "Top-selling products",
        "Place of a product by items_sold, ties by gmv, then by id; ask items_sold and gmv beside it.",
        Unit.COUNT,
        Rank((Total(("items",)), GMV), ("product",)),
        "S3-35 S3-36 S1-27",
        not_counted="Products that sold nothing in the window.",
    ),
    metric_of(
        "product_gmv_range",
        "GMV range label",
        "The range of board.gmv_range_edges that holds the product's gmv of the window, lower end inclusive.",
        Unit.STATUS,
        LabelFigure("gmv_range"),
        "S1-08 S1-12 X-49",
        dims=("month", "week", "day", "product"),
        topics=("orders",),
        owner="streams.query_labels",
        null_reasons=("no_source", "not_told"),
        not_counted="The platform's own label on the product card.",
    ),
    metric_of(
        "gmv_last_15m",
        "GMV of the last 15 minutes",
        "gmv of the 15 minute buckets that end with the one that holds as_of, whatever the window.",
        Unit.MONEY,
        Recent(GMV, 15),
        "S4-07",
        windows="now",
    ),
    metric_of(
        "orders_last_15m",
        "Orders of the last 15 minutes",
        "orders of the 15 minute buckets that end with the one that holds as_of, whatever the window.",
        Unit.COUNT,
        Recent(ORDERS, 15),
        "S4-07",
        windows="now",
    ),
)

CUSTOMER_METRICS: Final[tuple[Metric, ...]] = (
    metric_of(
        "est_customers",
        "Est. customers",
        "Distinct paying customers within each shop-day, summed over days; exact, from orders. By hour, distinct "
        "within the hour.",
        Unit.PERSON_DAYS,
        CUSTOMERS,
        "S1-34 S1-44 X-08 X-30",
        not_counted="A customer is not counted twice on a day; values of products or formats do not add up.",
    ),
    metric_of(
        "avg_daily_customers",
        "Avg. daily customers",
        "est_customers of finished days / number of finished days, zeros included; while there is none, today's part, "
        "marked partial.",
        Unit.PEOPLE_PER_DAY,
        DailyMean(CUSTOMERS),
        "S4-73 S1-34 X-08 X-23",
    ),
    metric_of(
        "unique_customers",
        "Unique customers",
        "Distinct customer ids with an order in the whole window; exact.",
        Unit.PEOPLE,
        Total(("customers_distinct",)),
        "S3-11 S3-16 S3-30 X-08",
    ),
)

REFUND_METRICS: Final[tuple[Metric, ...]] = (
    metric_of(
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
    metric_of(
        "items_refunded",
        "Items refunded",
        "Items refunded through returns or cancellations, at the time of processing.",
        Unit.UNITS,
        Total(("items_refunded",)),
        "S1-57",
        not_counted="Money-only refunds, whose quantity is 0.",
    ),
    metric_of(
        "refund_customers",
        "Refund customers",
        "Distinct customers with a refund processed within each shop-day, summed over days; exact.",
        Unit.PERSON_DAYS,
        Total(("refund_customers",)),
        "S1-59",
    ),
    metric_of(
        "refund_customers_distinct",
        "Refund customers (distinct)",
        "Distinct customers with a refund processed in the whole window; exact.",
        Unit.PEOPLE,
        Total(("refund_customers_distinct",)),
        "S1-59",
    ),
)


def gmv_minor(shop: ShopSettings) -> pl.Expr:
    """Return an order line's GMV in minor units: the catalogue's formula under the shop's settings (X-05)."""
    return pl.sum_horizontal(
        [
            pl.col(measure.column)
            for measure in measures_of(GMV)
            if not measure.only_if or getattr(shop, measure.only_if)
        ]
    )
