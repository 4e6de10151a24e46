"""The figures of Open Bandit straight from the raw rows, in SQL.

Written from spec/metrics.md and the data set's README alone: a row is one impression, `click` = 1 one click at the same
time; times are UTC, the shop's day is Tokyo's; a product is an item of its campaign.
"""

from __future__ import annotations

import polars as pl

METRICS = ("product_impressions", "product_clicks", "ctr")

_KEYS = {
    "day": "strftime(local, '%Y-%m-%d')",
    "hour": "strftime(local, '%Y-%m-%dT%H+09:00')",
    "product": "campaign || '-' || CAST(item_id AS VARCHAR)",
}


def figures(raw: pl.DataFrame, by: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, float | None]]:
    """Return the metrics per combination of `by` (day, hour, product), only combinations that occur."""
    rows = raw.with_columns(pl.col("ts").dt.convert_time_zone("Asia/Tokyo").alias("local"))
    keys = "".join(f"{_KEYS[name]} AS {name}, " for name in by)
    group = f"GROUP BY {', '.join(by)}" if by else ""
    query = f"SELECT {keys}COUNT(*) AS impressions, SUM(click) AS clicks FROM rows {group}"  # noqa: S608 - our words
    with pl.SQLContext(rows=rows, eager=True) as context:
        table = context.execute(query)
    return {
        tuple(row[name] for name in by): {
            "product_impressions": row["impressions"],
            "product_clicks": row["clicks"],
            "ctr": row["clicks"] / row["impressions"],
        }
        for row in table.iter_rows(named=True)
    }
