"""The figures of Open Bandit straight from the raw rows, in SQL.

Written from spec/metrics.md and the data set's README alone: a row is one impression, `click` = 1 one click at the same
time; times are UTC, the shop's day is Tokyo's; a product is an item of its campaign. The clicks of a day or hour that
ended before the first click of all have no source yet and are null, not 0.
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
    (first,) = rows.filter(click=1).select(pl.col("local").min()).to_series()
    begins = {"day": f"{first:%Y-%m-%d}", "hour": f"{first:%Y-%m-%dT%H}+09:00"}
    figures: dict[tuple[str, ...], dict[str, float | None]] = {}
    for row in table.iter_rows(named=True):
        clicked = all(row[name] >= begin for name, begin in begins.items() if name in by)
        figures[tuple(row[name] for name in by)] = {
            "product_impressions": row["impressions"],
            "product_clicks": row["clicks"] if clicked else None,
            "ctr": row["clicks"] / row["impressions"] if clicked else None,
        }
    return figures
