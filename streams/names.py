"""What a person calls a thing that the wire knows by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.alerts import clean_name

if TYPE_CHECKING:
    from streams.events import Product


def sku_name(product: Product | None, sku_id: str, product_id: str) -> str:
    """Return what a person calls a SKU: the product's name and, where it has several, what sets the SKU apart.

    Args:
        product: its card; None gives the id.
        sku_id: as on the wire.
        product_id: as on the wire.
    """
    if product is None:
        return clean_name(sku_id)
    if len(product.sku_ids) <= 1:
        return clean_name(product.name)
    # Sellers build SKU ids from the product's id or name; said once is enough.
    variant = sku_id.removeprefix(product_id).removeprefix(product.name).lstrip("-_/.: ") or sku_id
    return clean_name(f"{product.name} / {variant}")
