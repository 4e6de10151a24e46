"""The figures of Online Retail straight from the raw lines, in polars.

Written from spec/metrics.md and the data set's README alone. Rules: an invoice that begins with neither C nor A is
an order of its lines with quantity and price above 0, paid at its first minute, London time; a C line with a quantity
below 0 and a price above 0 is a refund at its own minute; who has no CustomerID is a guest of that invoice; duplicate
lines are sales like any other; fees are products like any other.
"""

from __future__ import annotations

import polars as pl

ZONE = "Europe/London"

SALES = ("gmv", "orders", "sku_orders", "items_sold", "est_customers", "unique_customers")
REFUNDS = ("refunds_amount", "items_refunded", "refund_customers")
METRICS = SALES + REFUNDS


def figures(raw: pl.DataFrame, by: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, float]]:
    """Return the metrics per combination of `by` (day, hour, product) that occurs; money in pounds."""
    lines = raw.with_columns(
        pl.col("InvoiceDate").dt.replace_time_zone(ZONE, ambiguous="earliest").alias("at"),
        _tenths().alias("tenths"),
        pl.coalesce(pl.col("CustomerID").cast(pl.String), pl.concat_str(pl.lit("guest-"), "InvoiceNo")).alias(
            "who"
        ),
        pl.col("StockCode").alias("product"),
    )
    returned = pl.col("InvoiceNo").str.starts_with("C")
    adjusted = pl.col("InvoiceNo").str.starts_with("A")
    sold = lines.filter(~returned, ~adjusted, pl.col("Quantity") > 0, pl.col("UnitPrice") > 0).with_columns(
        pl.col("at").min().over("InvoiceNo")
    )
    back = lines.filter(returned, pl.col("Quantity") < 0, pl.col("UnitPrice") > 0)
    sales = _per(
        sold,
        by,
        gmv=pl.col("tenths").sum() / 1000,
        orders=pl.col("InvoiceNo").n_unique(),
        sku_orders=pl.struct("InvoiceNo", "StockCode").n_unique(),
        items_sold=pl.col("Quantity").sum(),
        # Distinct within each day, summed over the days of the row.
        est_customers=pl.struct(pl.col("at").dt.date(), "who").n_unique(),
        unique_customers=pl.col("who").n_unique(),
    )
    refunds = _per(
        back,
        by,
        refunds_amount=pl.col("tenths").sum() / 1000,
        items_refunded=-pl.col("Quantity").sum(),
        refund_customers=pl.struct(pl.col("at").dt.date(), "who").n_unique(),
    )
    none = dict.fromkeys(METRICS, 0.0)
    return {key: none | sales.get(key, {}) | refunds.get(key, {}) for key in sales.keys() | refunds.keys()}


def span(raw: pl.DataFrame, by: str) -> list[str]:
    """Return every day or hour from the first to the last order or refund, also those without any."""
    kept = raw.filter(
        ~pl.col("InvoiceNo").str.starts_with("A"),
        pl.col("UnitPrice") > 0,
        (pl.col("Quantity") < 0) == pl.col("InvoiceNo").str.starts_with("C"),
    )["InvoiceDate"].dt.replace_time_zone(ZONE, ambiguous="earliest")
    first, last = kept.min(), kept.max()
    if by == "day":
        days = pl.select(pl.date_range(pl.lit(first).dt.date(), pl.lit(last).dt.date())).to_series()
        return days.dt.to_string().to_list()
    hours = pl.select(
        pl.datetime_range(
            pl.lit(first).dt.truncate("1h").dt.convert_time_zone("UTC"),
            pl.lit(last).dt.convert_time_zone("UTC"),
            "1h",
            time_zone="UTC",
        )
    ).to_series()
    return hours.dt.convert_time_zone(ZONE).dt.strftime("%Y-%m-%dT%H%:z").to_list()


def _per(
    lines: pl.DataFrame, by: tuple[str, ...], **metrics: pl.Expr
) -> dict[tuple[str, ...], dict[str, float]]:
    labelled = lines.with_columns(
        pl.col("at").dt.strftime("%Y-%m-%d").alias("day"),
        pl.col("at").dt.strftime("%Y-%m-%dT%H%:z").alias("hour"),
    )
    table = labelled.group_by(*by).agg(**metrics) if by else labelled.select(**metrics)
    return {
        tuple(row[name] for name in by): {name: row[name] for name in metrics}
        for row in table.iter_rows(named=True)
    }


def _tenths() -> pl.Expr:
    """Return a line's money in tenths of a penny, which is how fine prices are: nothing is rounded here."""
    return (pl.col("UnitPrice") * 1000).round().cast(pl.Int64) * pl.col("Quantity").abs()
