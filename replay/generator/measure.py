"""Measure what the generator takes from real data: `python -m replay.generator.measure FILE...` prints it as JSON.

The figures stand in `replay.generator.parameters` with the name of the set they were measured on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from replay.importers.open_bandit import TIMEZONE as TOKYO

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOP: Final = 200


def measure_open_bandit(rows: pl.DataFrame) -> dict[str, object]:
    """Measure `impressions_by_hour` (shares of the local day, Tokyo) and `ctr`.

    Args:
        rows: the data set's columns ts (aware datetime) and click.
    """
    hours = rows.select(pl.col("ts").dt.convert_time_zone(TOKYO).dt.hour().alias("hour"))
    counts = np.bincount(hours["hour"].to_numpy(), minlength=24)
    clicks, shown = int(rows["click"].sum()), rows.height
    return {
        "impressions_by_hour": [round(float(count) / shown, 4) for count in counts],
        "ctr": round(clicks / shown, 5),
    }


def measure_online_retail(rows: pl.DataFrame) -> dict[str, object]:
    """Measure returns, returning buyers within a day, and how sales spread over products and prices.

    - `return_line_share`: lines of C-invoices per order line;
    - `customers_per_order`: distinct known customers of a day per order of theirs;
    - `popularity_exponent`: slope of log lines over log rank, top 200 products, sign turned;
    - `price_log_sigma`: standard deviation of the log of products' median prices.

    Args:
        rows: the data set's columns as published.
    """
    invoice = pl.col("InvoiceNo").cast(pl.String)
    priced = rows.filter(pl.col("UnitPrice") > 0)
    orders = priced.filter(~invoice.str.contains("^[AC]") & (pl.col("Quantity") > 0))
    returns = priced.filter(invoice.str.starts_with("C") & (pl.col("Quantity") < 0))
    days = (
        orders.drop_nulls("CustomerID")
        .group_by(pl.col("InvoiceDate").dt.date())
        .agg(
            pl.col("CustomerID").n_unique().alias("customers"), pl.col("InvoiceNo").n_unique().alias("orders")
        )
    )
    lines = orders.group_by("StockCode").agg(pl.len(), pl.col("UnitPrice").median().alias("price"))
    ranked = np.sort(lines["len"].to_numpy())[::-1][:_TOP].astype(np.float64)
    slope = np.polyfit(np.log(np.arange(1, len(ranked) + 1)), np.log(ranked), 1)[0]
    return {
        "return_line_share": round(returns.height / orders.height, 4),
        "customers_per_order": round(int(days["customers"].sum()) / int(days["orders"].sum()), 4),
        "popularity_exponent": round(-float(slope), 3),
        "price_log_sigma": round(float(np.log(lines["price"].to_numpy()).std()), 3),
    }


def main(paths: Sequence[str]) -> None:
    """Measure each Parquet file by what its columns say that it is."""
    for path in paths:
        rows = pl.read_parquet(Path(path))
        found = measure_open_bandit(rows) if "click" in rows.columns else measure_online_retail(rows)
        sys.stdout.write(json.dumps({Path(path).name: found}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
