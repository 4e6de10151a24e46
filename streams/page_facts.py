"""What a page about a SKU weighs: what its money is held against (X-83), and which content sells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.alerts import SoldBy
from streams.atoms import KINDS
from streams.days import BusinessCalendar
from streams.goals import day_goal, gmv_of_day

if TYPE_CHECKING:
    from streams.columns import Columns
    from streams.settings import ShopSettings

_PLACES: Final = {
    "seller_live": "LIVE",
    "affiliate_live": "LIVE",
    "seller_video": "video",
    "affiliate_video": "video",
    "seller_product_card": "product card",
}


def day_yardstick(columns: Columns, shop: ShopSettings, *, as_of_ms: int) -> int:
    """Return what money at risk is held against (X-83): today's goal, else yesterday's GMV, else 0.

    Where yesterday sold nothing (a shop that is closed on Saturdays), the last of seven days that sold stands in; on a
    shop's first day, what today has brought so far.
    """
    goal = day_goal(columns, shop, as_of_ms=as_of_ms)
    if goal is not None:
        return goal.goal_minor
    today = BusinessCalendar(shop.timezone).day_of(as_of_ms)
    sold = (gmv_of_day(columns, shop, day) for day in (*range(today - 1, today - 8, -1), today))
    return next((gmv for gmv in sold if gmv), 0)


def sold_by(columns: Columns, shop: ShopSettings, *, from_ms: int, to_ms: int) -> dict[str, SoldBy]:
    """Return, by SKU, the content that sold most of its units in an interval.

    A SKU is left out when most of its units came from orders that name no content.
    """
    lines = columns.order_lines(shop.shop_id).filter(pl.col("paid_at_ms").is_between(from_ms, to_ms))
    sources = (
        lines.group_by("sku_id", pl.col("content_id").fill_null(""), pl.col("atom") // 2)
        .agg(pl.col("quantity").sum())
        .with_columns(pl.col("quantity").sum().over("sku_id").alias("units"))
        .filter(pl.col("units") > 0)
        .sort("quantity", "content_id", "atom", descending=[True, False, False])
        .unique("sku_id", keep="first", maintain_order=True)
        .select("sku_id", "content_id", "atom", "quantity", "units")
    )
    return {
        sku_id: SoldBy(place, content_id, quantity / units)
        for sku_id, content_id, kind, quantity, units in sources.iter_rows()
        if (place := _PLACES.get(KINDS[kind])) is not None
    }


def empty_spells(
    columns: Columns, shop: ShopSettings, from_ms: int, to_ms: int
) -> list[tuple[str, int, int]]:
    """Return (SKU, out since, back at) of the spells without stock that began and ended within an interval.

    The level of a SKU is that of all its warehouses; of each only the last record of a quarter hour is kept, so a
    spell within one may leave no trace.
    """
    history = columns.stock_history(shop.shop_id).filter(pl.col("occurred_at_ms") <= to_ms)
    touched = history.filter((pl.col("available") <= 0) & (pl.col("occurred_at_ms") > from_ms))
    if not touched.height:
        return []
    step = pl.col("available") - pl.col("available").shift(1).over("sku_id", "warehouse_id").fill_null(0)
    levels = (
        history.join(touched.select("sku_id").unique(), on="sku_id", how="semi")
        .sort("occurred_at_ms", "version")
        .with_columns(step.alias("step"))
        .with_columns(pl.col("step").cum_sum().over("sku_id").alias("level"))
        .with_columns((pl.col("level") <= 0).alias("out"))
        .with_columns(pl.col("out").shift(1).over("sku_id").fill_null(value=False).alias("before"))
        .filter((pl.col("out") != pl.col("before")) & (pl.col("occurred_at_ms") > from_ms))
        .sort("sku_id", "occurred_at_ms")
        .with_columns(pl.col("occurred_at_ms").shift(-1).over("sku_id").alias("back_ms"))
        .filter(pl.col("out") & pl.col("back_ms").is_not_null())
    )
    return list(levels.select("sku_id", "occurred_at_ms", "back_ms").iter_rows())
