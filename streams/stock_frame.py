"""The stock table as columns: what is left of each SKU, when it runs out, and what that costs.

A view asks of thousands of SKUs with every question, so no object is made of any of them here.

Source: spec/metrics.md "Stock"; X-34, X-35, X-70. The projection itself is `streams.projection` (ADR-0007).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from streams.days import HOUR_MS
from streams.projection import FARTHEST_MS, Projection, Projector, gamma_poisson
from streams.staleness import stale_topics
from streams.stock_facts import StockFacts

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from streams.columns import Columns
    from streams.settings import ShopSettings, StockSettings


class StockStatus(StrEnum):
    """The four classes of stock_status, the worst first; unknown is never shown as healthy."""

    OUT_OF_STOCK = "out_of_stock"
    AT_RISK = "at_risk"
    UNKNOWN = "unknown"
    HEALTHY = "healthy"


WORST_FIRST: Final = tuple(StockStatus)
"""A product takes its worst SKU, and sorting by stock_status puts the worst on top."""

SCHEMA: Final[dict[str, Any]] = {
    **dict.fromkeys(("shop_id", "sku_id", "product_id", "name", "campaign_id"), pl.String()),
    **dict.fromkeys(("as_of_ms", "stock_as_of_ms", "on_hand"), pl.Int64()),
    **dict.fromkeys(("status", "unknown_because"), pl.String()),
    "out_since_ms": pl.Int64(),
    "velocity_per_h": pl.Float64(),
    "recent_buyers": pl.Int64(),
    "hours_to_stockout": pl.Float64(),
    **dict.fromkeys(("eta_ms", "eta_low_ms", "eta_high_ms", "horizon_end_ms"), pl.Int64()),
    "demand_units": pl.Float64(),
    **dict.fromkeys(
        (
            *("replenish_units", "gmv_at_risk_minor", "gmv_at_risk_low_minor", "gmv_at_risk_high_minor"),
            "price_minor",
        ),
        pl.Int64(),
    ),
    "shape": pl.String(),
    "horizon_hours": pl.Float64(),
}
"""Columns of a stock table; they mean what the attributes of `stock.SkuStock` do."""

_ROUNDING: Final = 1e-6
"""52.0000000001 units wanted with 52 there is not one unit to add."""


def stock_frame(
    columns: Columns,
    shop: ShopSettings,
    settings: StockSettings,
    *,
    as_of_ms: int,
    stale: Collection[str] | None = None,
    project: Projector = gamma_poisson,
) -> pl.DataFrame:
    """Return `SCHEMA`, one row per SKU; rows, their order and the arguments are those of `stock.stock_table`."""
    silent = stale_topics(columns, shop, ("orders", "stock"), now_ms=as_of_ms) if stale is None else stale
    found = StockFacts(columns, shop, settings, as_of_ms)
    if not found.skus.height:
        return pl.DataFrame(schema=SCHEMA)
    projection = project(found.projection_input(), settings)
    worked_out = _worked_out(_facts(found, projection), found, silent)
    return worked_out.select(*SCHEMA).sort(
        "gmv_at_risk_minor", "name", "sku_id", descending=[True, False, False]
    )


def _facts(found: StockFacts, projection: Projection) -> pl.DataFrame:
    """Return the facts of each SKU with its names, its horizon and what is expected of it."""
    skus = found.skus
    product_ids, sku_ids = (skus.get_column(name).to_list() for name in ("product_id", "sku_id"))
    campaigns = {product: str(campaign.campaign_id) for product, campaign in found.campaigns.items()}
    names = [found.name(*ids) for ids in zip(sku_ids, product_ids, strict=True)]
    prices = np.array([found.list_price(product) for product in product_ids])
    paid = skus.get_column("price_minor").to_numpy()
    return skus.select(
        *(
            "sku_id",
            "product_id",
            "stock_as_of_ms",
            "on_hand",
            "out_since_ms",
            "recent_buyers",
            "sold_since_record",
        ),
        pl.lit(found.shop.shop_id).alias("shop_id"),
        pl.lit(found.as_of_ms, dtype=pl.Int64()).alias("as_of_ms"),
        pl.lit(found.shape.basis).alias("shape"),
        pl.Series("name", names, dtype=pl.String()),
        pl.Series("campaign_id", [campaigns.get(product, "") for product in product_ids], dtype=pl.String()),
        pl.Series("price", np.where(paid != 0, paid, prices)),
        pl.Series("horizon_end_ms", found.horizon_end_ms),
        # numpy divides; polars multiplies with the inverse of a constant, and is off by the last digit.
        pl.Series("horizon_hours", (found.horizon_end_ms - found.as_of_ms) / HOUR_MS),
        *(
            pl.Series(name, getattr(projection, name))
            for name in ("velocity_per_h", "hours", "hours_low", "hours_high", "demand")
        ),
        *(pl.Series(name, getattr(projection, name)) for name in ("lost", "lost_low", "lost_high")),
    )


def _worked_out(facts: pl.DataFrame, found: StockFacts, silent: Collection[str]) -> pl.DataFrame:
    """Add what follows from the facts of each SKU."""
    on_hand, horizon_end_ms = pl.col("on_hand"), pl.col("horizon_end_ms")
    age_ms = found.as_of_ms - pl.col("stock_as_of_ms")
    old = (age_ms > found.settings.max_age_ms) & pl.col("sold_since_record")
    because = (
        pl.when(on_hand.is_null())
        .then(pl.lit("no_record"))
        .when("stock" in silent)
        .then(pl.lit("stale_stock"))
        .when("orders" in silent)
        .then(pl.lit("stale_orders"))
        .when(old)
        .then(pl.lit("old_record"))
        .otherwise(pl.lit(""))
    )
    known = pl.col("unknown_because") == ""
    out, projected = pl.col("out"), pl.col("projected")
    until = pl.when(projected & ~out & pl.col("hours").is_finite()).then(pl.col("hours"))
    soon = pl.col("until") <= pl.col("horizon_hours")
    status = (
        pl.when(~known)
        .then(pl.lit(StockStatus.UNKNOWN.value))
        .when(out)
        .then(pl.lit(StockStatus.OUT_OF_STOCK.value))
        .when(soon)
        .then(pl.lit(StockStatus.AT_RISK.value))
        .otherwise(pl.lit(StockStatus.HEALTHY.value))
    )
    table = (
        facts.with_columns(because.alias("unknown_because"))
        .with_columns(
            (known & (on_hand <= 0)).fill_null(value=False).alias("out"),
            (known & (horizon_end_ms > found.as_of_ms)).alias("projected"),
        )
        .with_columns(until.alias("until"))
    )
    ahead = pl.col("until").is_not_null()
    instants = (
        pl.when(ahead).then(_instants(found.as_of_ms, table.get_column(hours).to_numpy())).alias(name)
        for name, hours in (("eta_ms", "hours"), ("eta_low_ms", "hours_low"), ("eta_high_ms", "hours_high"))
    )
    chosen = table.get_column("projected").to_numpy()
    price = table.get_column("price").to_numpy()
    demand = np.where(chosen, table.get_column("demand").to_numpy(), 0.0)
    missing = np.ceil(demand - table.get_column("on_hand").fill_null(0).to_numpy() - _ROUNDING)
    return table.with_columns(
        status.alias("status"),
        pl.when(out).then(0.0).otherwise(pl.col("until")).alias("hours_to_stockout"),
        pl.when(out).then(pl.col("out_since_ms")).alias("out_since_ms"),
        *instants,
        pl.Series("demand_units", demand),
        pl.Series("replenish_units", np.where(chosen, np.maximum(missing, 0), 0).astype(np.int64)),
        pl.Series("price_minor", _whole(price)),
        *(
            pl.Series(name, _whole(np.where(chosen, table.get_column(lost).to_numpy(), 0.0) * price))
            for name, lost in (
                ("gmv_at_risk_minor", "lost"),
                ("gmv_at_risk_low_minor", "lost_low"),
                ("gmv_at_risk_high_minor", "lost_high"),
            )
        ),
    )


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(values).astype(np.int64)


def _instants(as_of_ms: int, hours: NDArray[np.float64]) -> pl.Series:
    """Return the instants that lie so many hours ahead, null where that is too far to be named."""
    ahead_ms = hours * HOUR_MS
    near = ahead_ms <= FARTHEST_MS
    instants = as_of_ms + _whole(np.where(near, ahead_ms, 0.0))
    return pl.Series(instants).set(pl.Series(~near), None)
