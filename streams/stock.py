"""Stock: what is left of each SKU, how fast it sells, when it runs out and what that costs.

Source: spec/metrics.md "Stock"; X-34, X-35, X-70. The projection itself is `streams.projection` (ADR-0007).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StockStatus(StrEnum):
    """The four classes of stock_status; unknown is never shown as healthy."""

    OUT_OF_STOCK = "out_of_stock"
    AT_RISK = "at_risk"
    UNKNOWN = "unknown"
    HEALTHY = "healthy"


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
        recent_units: units sold in `StockSettings.page_sales_window_ms` before as_of_ms, or before it ran out.
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
    recent_units: int
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
        return (self.horizon_end_ms - self.as_of_ms) / 3_600_000
