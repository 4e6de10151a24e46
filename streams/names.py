"""What a person calls a thing that the wire knows by its id."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from streams.alerts import clean_name

if TYPE_CHECKING:
    from streams.events import Product

_KNOWN: Final = 16_384
"""Names kept clean: a board names every SKU again with every flush."""

_clean = lru_cache(_KNOWN)(clean_name)


def sku_name(product: Product | None, sku_id: str, product_id: str) -> str:
    """Return what a person calls a SKU: the product's name and, where it has several, what sets the SKU apart.

    Args:
        product: its card; None gives the id.
        sku_id: as on the wire.
        product_id: as on the wire.
    """
    if product is None:
        return _clean(sku_id)
    if len(product.sku_ids) <= 1:
        return _clean(product.name)
    # Sellers build SKU ids from the product's id or name; said once is enough.
    variant = sku_id.removeprefix(product_id).removeprefix(product.name).lstrip("-_/.: ") or sku_id
    return _clean(f"{product.name} / {variant}")
