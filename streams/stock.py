"""Stock: what is left of each SKU, how fast it sells, when it runs out and what that costs.

Source: spec/metrics.md "Stock"; X-34, X-35, X-70. The projection itself is `streams.projection` (ADR-0007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.days import HOUR_MS
from streams.projection import Projector, gamma_poisson
from streams.stock_frame import WORST_FIRST, StockStatus, stock_frame

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from streams.columns import Columns
    from streams.settings import ShopSettings, StockSettings

__all__ = ["ProductStock", "SkuStock", "StockStatus", "by_product", "stock_table"]


@dataclass(frozen=True, slots=True)
class SkuStock:
    """One SKU's stock and its projection.

    Attributes:
        name: what a person calls the SKU: the product's name and, where it has several, the SKU.
        campaign_id: the campaign that holds the product and ends last; empty when none does.
        as_of_ms: the instant of the evaluation; stock_as_of_ms: event time of the newest stock record, None without.
        on_hand: units over all warehouses, negative when oversold; None without a stock record.
        unknown_because: `no_record`, `old_record`, `stale_stock` or `stale_orders`; empty unless status is unknown.
        out_since_ms: when the level fell to 0 or below; None while some is left.
        velocity_per_h: units per hour at as_of_ms, >= 0.
        recent_buyers: customers who bought it in `StockSettings.page_sales_window_ms` before as_of_ms, or before it ran
            out.
        hours_to_stockout: hours until expected demand reaches on_hand; None when nothing sells, the level is unknown
            or the campaign is over; 0 when out.
        eta_ms, eta_low_ms, eta_high_ms: the same as instants with the 80 % interval; None when out of stock, without
            a projection, or further ahead than `projection.FARTHEST_MS`.
        horizon_end_ms: end of the risk horizon (X-34); equals as_of_ms after the campaign's end.
        demand_units: expected from as_of_ms to horizon_end_ms.
        replenish_units: units to add so that the stock lasts to the horizon's end, >= 0.
        gmv_at_risk_minor, gmv_at_risk_low_minor, gmv_at_risk_high_minor: demand expected between stock-out and
            horizon x mean price paid, with its 80 % interval, minor units.
        price_minor: mean paid per unit, else the product's price; 0 when neither is known.
        shape: which shape of the day was used: `reference`, `own` or `flat`.
    """

    shop_id: str
    sku_id: str
    product_id: str
    name: str
    campaign_id: str
    as_of_ms: int
    stock_as_of_ms: int | None
    on_hand: int | None
    status: StockStatus
    unknown_because: str
    out_since_ms: int | None
    velocity_per_h: float
    recent_buyers: int
    hours_to_stockout: float | None
    eta_ms: int | None
    eta_low_ms: int | None
    eta_high_ms: int | None
    horizon_end_ms: int
    demand_units: float
    replenish_units: int
    gmv_at_risk_minor: int
    gmv_at_risk_low_minor: int
    gmv_at_risk_high_minor: int
    price_minor: int
    shape: str

    @property
    def horizon_hours(self) -> float:
        """Return stock_horizon_hours: the length of the risk horizon from as_of_ms."""
        return (self.horizon_end_ms - self.as_of_ms) / HOUR_MS


def stock_table(
    columns: Columns,
    shop: ShopSettings,
    settings: StockSettings,
    *,
    as_of_ms: int,
    stale: Collection[str] | None = None,
    project: Projector = gamma_poisson,
) -> list[SkuStock]:
    """Return stock and projection of every SKU that has a stock record, a product card or a recent sale.

    SKUs of deleted products are left out. Sorted by money at risk, most first, then by name and SKU.

    Args:
        columns: what is known.
        shop: its settings, with stock_feed and zone.
        settings: half-lives, horizon, ages.
        as_of_ms: the instant to evaluate at: the board's now. Sales count up to where the order feed is complete, so
            that its silence is not taken for "no sales".
        stale: which of the topics `orders` and `stock` are stale (X-82); None: judged here at as_of_ms.
        project: the projection's method.
    """
    table = stock_frame(columns, shop, settings, as_of_ms=as_of_ms, stale=stale, project=project)
    found = {name: table.get_column(name).to_list() for name in SkuStock.__match_args__}
    found["status"] = [StockStatus(status) for status in found["status"]]
    return list(map(SkuStock, *found.values()))


@dataclass(frozen=True, slots=True)
class ProductStock:
    """A product's stock: its SKUs taken together (X-70).

    Attributes:
        on_hand: units over its SKUs; None while none has a record.
        status: of its worst SKU: out of stock, at risk, unknown, healthy.
        skus, skus_at_risk: how many it has, and how many of them are out or at risk.
    """

    shop_id: str
    product_id: str
    on_hand: int | None
    status: StockStatus
    skus: int
    skus_at_risk: int
    velocity_per_h: float
    replenish_units: int
    gmv_at_risk_minor: int


def by_product(rows: Iterable[SkuStock]) -> list[ProductStock]:
    """Return one row per product, by money at risk, then id; a product takes its worst SKU."""
    groups: dict[tuple[str, str], list[SkuStock]] = {}
    for row in rows:
        groups.setdefault((row.shop_id, row.product_id), []).append(row)
    products = []
    for (shop_id, product_id), skus in groups.items():
        known = [row.on_hand for row in skus if row.on_hand is not None]
        products.append(
            ProductStock(
                shop_id=shop_id,
                product_id=product_id,
                on_hand=sum(known) if known else None,
                status=min((row.status for row in skus), key=WORST_FIRST.index),
                skus=len(skus),
                skus_at_risk=sum(
                    row.status in (StockStatus.OUT_OF_STOCK, StockStatus.AT_RISK) for row in skus
                ),
                velocity_per_h=sum(row.velocity_per_h for row in skus),
                replenish_units=sum(row.replenish_units for row in skus),
                gmv_at_risk_minor=sum(row.gmv_at_risk_minor for row in skus),
            )
        )
    products.sort(key=lambda product: (-product.gmv_at_risk_minor, product.product_id))
    return products
