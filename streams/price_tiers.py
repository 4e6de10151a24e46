"""Price tiers of products: lower-ticket, mid-tier, and what is dearer.

The briefs give bands of cost per purchase for the first two without saying where they end (S5-19, S5-20); X-46 makes
that a setting. A product card that says its tier is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.money import minor_digits

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from streams.events import Product

TIERS: Final = ("low", "mid", "high")


def tier_of(card: Product, edges: Sequence[int], currency: str) -> str:
    """Return the tier that a card tells, else the one that its price lies in.

    Args:
        card: of the product.
        edges: `board.price_tier_edges`, in major units: below the first is low, from the second on high.
        currency: of the price.
    """
    price = card.price_minor / 10 ** minor_digits(currency)
    return card.price_tier or TIERS[sum(price >= edge for edge in edges)]


def with_tiers(
    rows: pl.DataFrame, cards: Collection[Product], edges: Sequence[int], currency: str
) -> pl.DataFrame:
    """Put `price_tier` beside each row by its `product_id`; null where it names no product, or one without a card."""
    tiers = {str(card.product_id): tier_of(card, edges, currency) for card in cards}
    known = pl.DataFrame(
        {"product_id": list(tiers), "price_tier": list(tiers.values())},
        schema={"product_id": pl.String(), "price_tier": pl.String()},
    )
    return rows.join(known, on="product_id", how="left", maintain_order="left")
