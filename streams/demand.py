"""High demand: products whose page viewers add to the cart more often than those of the shop's other products.

Source: `demand_flag` of spec/metrics.md, rule A-03 of spec/alerts.md; S4-57.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from streams.page_adders import add_rates, product_days

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from streams.columns import Columns
    from streams.settings import ShopSettings, StockSettings


class DemandFlag(StrEnum):
    """Whether a product is in the shop's top part by add-to-cart rate."""

    HIGH = "high"
    USUAL = "usual"


LEAST_PRODUCTS: Final = 2
"""With fewer products that can be ranked there is no top part to speak of."""

_ROUNDING: Final = 1e-9
"""A tenth of ten products is one, whatever binary fractions make of it."""


class Demand(NamedTuple):
    """What is said of one product.

    Attributes:
        flag: None where nothing can be said.
        reason: of None, one of `NULL_REASONS`.
        rate: people who viewed and added / people who viewed; None where it cannot be told.
        near: in the wider top part, `demand_clear_share`, out of which a product must fall to be no longer in demand.
    """

    flag: DemandFlag | None
    reason: str
    rate: float | None
    near: bool = False


def demand_by_product(days: pl.DataFrame, settings: StockSettings) -> dict[str, Demand]:
    """Return the flag of every product with a page view or a press in some business days.

    The top part are the `demand_top_share` of the products that can be ranked, at least one; equal rates stand or fall
    together, and those that do not fit are not in it. A product without anyone who added is never in it.

    Args:
        days: of `product_days`, of all products of the shop.
        settings: `demand_top_share`, `demand_clear_share` and `demand_min_viewers`.
    """
    found = add_rates(days, ["product"])
    enough = found.get_column("viewers") >= settings.demand_min_viewers
    ranked = sorted(found.filter(enough).get_column("value").drop_nulls(), reverse=True)
    top, near = (_bound(ranked, share) for share in (settings.demand_top_share, settings.demand_clear_share))
    demands: dict[str, Demand] = {}
    for product, value, reason, viewers in found.select("product", "value", "reason", "viewers").iter_rows():
        if value is None:
            demand = Demand(None, reason, None)
        elif viewers < settings.demand_min_viewers:
            demand = Demand(None, "below_minimum", value)
        else:
            flag = DemandFlag.HIGH if value > top else DemandFlag.USUAL
            demand = Demand(flag, "", value, near=value > min(top, near))
        demands[str(product)] = demand
    return demands


def _bound(ranked: Sequence[float], share: float) -> float:
    """Return the rate above which a product is in the top part, of rates in falling order."""
    if len(ranked) < LEAST_PRODUCTS:
        return math.inf
    room = max(1, math.floor(len(ranked) * share + _ROUNDING))
    # The first rate that is too low, or that has to stay out because not all who share it fit.
    return ranked[room] if room < len(ranked) else 0.0


def demands_today(
    columns: Columns, shop: ShopSettings, settings: StockSettings, now_ms: int
) -> dict[str, Demand]:
    """Return the demand of every product of today, shop time; see `demand_by_product`."""
    today = columns.calendar(shop.shop_id).day_of(now_ms)
    return demand_by_product(product_days(columns, shop.shop_id, today, today), settings)


def flagged_products(
    columns: Columns, shop: ShopSettings, settings: StockSettings, now_ms: int
) -> frozenset[str]:
    """Return the products in high demand today, shop time.

    Args:
        columns: what is known.
        shop: whose.
        settings: `demand_top_share` and `demand_min_viewers`.
        now_ms: on the board's clock.
    """
    demands = demands_today(columns, shop, settings, now_ms)
    return frozenset(product for product, demand in demands.items() if demand.flag is DemandFlag.HIGH)
