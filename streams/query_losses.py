"""Values of gmv_lost_to_stockout over a question's window."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from streams.query_figures import figure_frame
from streams.stock_losses import stock_losses

if TYPE_CHECKING:
    import polars as pl

    from streams.scope import Scope


def loss_values(scope: Scope) -> tuple[pl.DataFrame, dict[tuple[Any, ...], str]]:
    """Return the estimate by product, SKU or for the shop; up to the instant that orders and stock are known to.

    A window without a begin starts with the stock feed: nobody knows what was out before it.
    """
    since_ms = scope.columns.source_since_ms(scope.shop.shop_id, "stock")
    window = scope.window
    from_ms = max(window.from_ms or 0, since_ms or 0)
    to_ms = min(scope.as_of_ms if window.to_ms is None else window.to_ms, scope.as_of_ms)
    losses = (
        stock_losses(scope.columns, scope.shop, from_ms=from_ms, to_ms=to_ms) if since_ms is not None else []
    )
    values: dict[tuple[Any, ...], Any] = defaultdict(int)
    if not scope.names:
        values[0,] = 0
    for loss in losses:
        names = {"sku": loss.sku_id, "product": loss.product_id}
        if all(names[dim] == value for dim, value in scope.where):
            values[0, *(names[dim] for dim in scope.names)] += loss.gmv_lost_minor
    return figure_frame(scope, dict(values)), {}
