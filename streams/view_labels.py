"""Names beside ids: what the rows of a view are called, from the records that describe them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from streams.atoms import LIVE_ATOMS, OWNERS, VIDEO_ATOMS
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
            "name": card.name,
            "category": card.category,
            "price": major(card.price_minor, currency),
            "in_campaign": None if members is None else product_id in members,
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
            "name": card.name,
            "in_campaign": None if members is None else product_id in members,
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


def _contents(columns: Columns, shop_id: str, now_ms: int) -> Labels:
    """Return what contents are: a LIVE is on air from its start until its end, at most `rules.live_most_ms`."""
    content = columns.content(shop_id)
    accounts, most_ms = content.accounts(), columns.settings.rules.live_most_ms
    found = {}
    for row in content.contents().iter_rows(named=True):
        began_ms, ended_ms, account = row["new_at_ms"], row["ended_at_ms"], accounts.get(row["account_id"])
        over = any(at_ms is not None and at_ms <= now_ms for at_ms in (ended_ms, row["removed_at_ms"]))
        started = began_ms is not None and now_ms - most_ms < began_ms <= now_ms
        found[row["content_id"]] = {
            "title": row["title"],
            "kind": row["kind"],
            "owner": "affiliate" if row["account_kind"] == "affiliate" else "own",
            "account": row["account_id"] if account is None else account.display_name,
            "creator_id": row["creator_id"],
            "on_air": row["kind"] == "live" and started and not over,
            "began_at_ms": began_ms,
            "ended_at_ms": ended_ms,
            "variant": row["variant"],
        }
    if columns.source_since_ms(shop_id, "content") is None:
        found |= _sold_contents(columns, shop_id)
    return found


def _sold_contents(columns: Columns, shop_id: str) -> dict[str, dict[str, Any]]:
    """Return kind and owner of what order lines say they come from, where no record describes any content."""
    lines = columns.order_lines(shop_id).filter(pl.col("content_id").is_not_null())
    found = {}
    for content_id, atom in lines.group_by("content_id").agg(pl.col("atom").min()).iter_rows():
        kind = "live" if atom in LIVE_ATOMS else "video" if atom in VIDEO_ATOMS else None
        owner = next((name for name, atoms in OWNERS.items() if atom in atoms), None)
        found[content_id] = {"kind": kind, "owner": owner}
    return found


def _creators(columns: Columns, shop_id: str, _now_ms: int) -> Labels:
    accounts = columns.content(shop_id).accounts()
    return {
        str(account.creator_id): {"name": account.display_name, "creator_type": account.creator_type}
        for _, account in sorted(accounts.items(), reverse=True)
        if account.creator_id is not None
    }


def _ads(columns: Columns, shop_id: str, _now_ms: int) -> Labels:
    ads = columns.ads(shop_id).metrics()
    cards = columns.products(shop_id)
    return {
        row["ad_id"]: {
            "ad_campaign_id": row["ad_campaign_id"],
            "product_id": row["product_id"],
            "name": cards[row["product_id"]].name if row["product_id"] in cards else None,
        }
        for row in ads.sort("at_ms").unique("ad_id", keep="last").iter_rows(named=True)
    }


LABELS: Final[dict[str, tuple[tuple[str, ...], Callable[[Columns, str, int], Labels]]]] = {
    "product": (("name", "category", "price", "in_campaign", "image_url", "product_url"), _products),
    "sku": (("product_id", "name", "in_campaign"), _skus),
    "content": (
        (
            "title",
            "kind",
            "owner",
            "account",
            "creator_id",
            "on_air",
            "began_at_ms",
            "ended_at_ms",
            "variant",
        ),
        _contents,
    ),
    "creator": (("name", "creator_type"), _creators),
    "ad": (("ad_campaign_id", "product_id", "name"), _ads),
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
    nobody = dict.fromkeys(names)
    for index, row in enumerate(rows):
        card = known.get(row[dimension])
        if card is None or len(card) < len(names):
            card = nobody | dict(card or {})
        row.update(card)
        if None in card.values():
            for name, label in card.items():
                if label is None:
                    missing.setdefault(name, []).append(index)
    return missing
