"""Names beside ids: what the rows of a view are called, from the records that describe them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from streams.money import major
from streams.windows import current_campaign

if TYPE_CHECKING:
    from streams.columns import Columns

Labels = Mapping[str, Mapping[str, Any]]
"""By id, column and value."""

SEARCHED: Final = frozenset({"name", "title", "account"})
"""Columns of names that a search looks into, beside the id."""

NO_CARD: Final = "no_card"
"""Why a name is null: no record describes the row's id, or its record does not say it."""


def _members(columns: Columns, shop_id: str, now_ms: int) -> frozenset[str] | None:
    """Return the products of the campaign under way, else of the one that ended last; None without any."""
    present = current_campaign(columns.campaigns(shop_id), columns.calendar(shop_id), now_ms)
    return None if present is None else frozenset(map(str, present.product_ids))


def _products(columns: Columns, shop_id: str, now_ms: int) -> Labels:
    currency, members = columns.shop(shop_id).currency, _members(columns, shop_id, now_ms)
    return {
        product_id: {
            "in_campaign": None if members is None else product_id in members,
            "name": card.name,
            "category": card.category,
            "price": major(card.price_minor, currency),
            "image_url": card.image_url,
            "product_url": card.product_url,
        }
        for product_id, card in columns.products(shop_id).items()
    }


def _skus(columns: Columns, shop_id: str, now_ms: int) -> Labels:
    members = _members(columns, shop_id, now_ms)
    return {
        str(sku_id): {
            "product_id": product_id,
            "in_campaign": None if members is None else product_id in members,
            "name": card.name,
        }
        for product_id, card in columns.products(shop_id).items()
        for sku_id in card.sku_ids
    }


def _campaigns(columns: Columns, shop_id: str, _now_ms: int) -> Labels:
    return {str(each.campaign_id): {"name": each.name} for each in columns.campaigns(shop_id)}


def _sub_campaigns(columns: Columns, shop_id: str, _now_ms: int) -> Labels:
    return {
        str(part.id): {"name": part.name, "joined": part.joined, "campaign_id": str(campaign.campaign_id)}
        for campaign in columns.campaigns(shop_id)
        for part in campaign.sub_campaigns
    }


LABELS: Final[dict[str, tuple[tuple[str, ...], Callable[[Columns, str, int], Labels]]]] = {
    "product": (("name", "category", "price", "in_campaign", "image_url", "product_url"), _products),
    "sku": (("product_id", "name", "in_campaign"), _skus),
    "campaign": (("name",), _campaigns),
    "sub_campaign": (("name", "joined", "campaign_id"), _sub_campaigns),
}
"""By dimension: the columns, and what gives them."""


def put_labels(
    columns: Columns, shop_id: str, dimension: str, rows: list[dict[str, Any]], now_ms: int
) -> dict[str, list[int]]:
    """Put the names of a dimension's ids into the rows; return by column the rows in which it is unknown."""
    names, labels_of = LABELS[dimension]
    known = labels_of(columns, shop_id, now_ms)
    missing: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        card = known.get(row[dimension], {})
        for name in names:
            row[name] = card.get(name)
            if row[name] is None:
                missing.setdefault(name, []).append(index)
    return missing
