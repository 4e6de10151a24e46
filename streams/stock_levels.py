"""The newest and the first of the stock levels that are kept of a SKU."""

from __future__ import annotations

import polars as pl


def newest_levels(levels: pl.DataFrame) -> pl.DataFrame:
    """Return the newest row of each SKU and warehouse; of equal ones the first."""
    newest = levels.sort("version", "occurred_at_ms", descending=True, maintain_order=True)
    return newest.unique(["sku_id", "warehouse_id"], keep="first", maintain_order=True)


def first_levels(levels: pl.DataFrame) -> pl.DataFrame:
    """Return when the first kept level of each SKU is."""
    return levels.group_by("sku_id").agg(pl.col("occurred_at_ms").min())
