"""Which ids a shop's records name: a filter by any other one is a slip of the key, and its figures are not zero.

Looked up only where nothing was counted, the cheap places first: records that describe things, then facts, then the
cubes of the days in memory, at last the days of the history that the question's window reaches. An older day is not
read for it: that costs what a question over that day costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from streams.scope import CLOSED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from streams.columns import Columns
    from streams.scope import Scope

_COLUMN: Final = {
    "product": "product_id",
    "sku": "sku_id",
    "content": "content_id",
    "variant": "variant",
    "creator": "creator_id",
    "account": "account_id",
    "sub_campaign": "sub_campaign_id",
    "territory": "territory",
    "ad": "ad_id",
    "ad_account": "ad_account_id",
    "age_band": "age_band",
    "gender": "gender",
}
"""Dimension whose values are names that somebody gives -> column of facts; the others are closed lists."""

_CUBE: Final = {
    "product": "product_day",
    "sku": "sku_day",
    "content": "content_day",
    "creator": "creator_day",
    "sub_campaign": "sub_campaign_day",
    "territory": "territory_day",
}

_IN_ORDERS: Final = ("product", "sku", "content", "creator", "sub_campaign", "territory", "ad")


def unknown_filters(scope: Scope) -> list[tuple[str, str]]:
    """Return the filters of the question that name an id that no record of the shop does: dimension and value."""
    return [
        (dim, value)
        for dim, value in dict.fromkeys(scope.where)
        if dim not in CLOSED
        and not (is_known(scope.columns, scope.shop.shop_id, dim, value) or _in_history(scope, dim, value))
    ]


def _in_history(scope: Scope, dim: str, value: str) -> bool:
    if dim not in _CUBE:
        return False
    columns, shop_id, window = scope.columns, scope.shop.shop_id, scope.window
    place, span = (_CUBE[dim], dim), (window.from_ms, window.to_ms)
    question = ("known id of the past", shop_id, dim, value, span)
    return columns.once(question, lambda: columns.history_names(place, value, shop_id, *span))


def is_known(columns: Columns, shop_id: str, dim: str, value: str) -> bool:
    """Return whether a record at hand names this value of a dimension; True of dimensions that are closed lists."""
    if dim not in _COLUMN:
        return True
    question = ("known id", shop_id, dim, value)
    return columns.once(question, lambda: _is_known(columns, shop_id, dim, value))


def _is_known(columns: Columns, shop_id: str, dim: str, value: str) -> bool:
    column = _COLUMN[dim]
    described = _DESCRIBED.get(dim)
    if described is not None and value in described(columns, shop_id):
        return True
    frames = (frame for frame in _frames(columns, shop_id) if column in frame.columns)
    if any((frame.get_column(column) == value).any() for frame in frames):
        return True
    if dim in _IN_ORDERS and value in _of_orders(columns, shop_id, column):
        return True
    cells = columns.cube(_CUBE[dim], shop_id).get_column(dim) if dim in _CUBE else None
    return cells is not None and bool((cells == value).any())


def _frames(columns: Columns, shop_id: str) -> Iterator[pl.DataFrame]:
    content, totals = columns.content(shop_id), columns.totals(shop_id)
    yield content.contents()
    yield content.content_products()
    yield columns.stock_levels(shop_id)
    yield columns.ads(shop_id).metrics()
    yield content.followers()
    yield content.violations()
    yield totals.checkouts()
    yield totals.traffic()
    yield content.engagement()
    yield columns.refund_records(shop_id)


def _of_orders(columns: Columns, shop_id: str, column: str) -> Collection[Any]:
    """Return the ids that order lines name: of each piece of them they are found once."""

    def different(lines: pl.DataFrame) -> pl.DataFrame:
        return lines.select(pl.col(column).unique())

    pieces = columns.order_pieces(shop_id, ("ids", column), different)
    return {name for _, found in pieces for name in found.get_column(column).to_list()}


def _products(columns: Columns, shop_id: str) -> Iterable[str]:
    yield from columns.products(shop_id)
    for campaign in columns.campaigns(shop_id):
        yield from map(str, campaign.product_ids)


_DESCRIBED: Final[dict[str, Callable[[Columns, str], Iterable[str]]]] = {
    "product": _products,
    "sku": lambda columns, shop_id: (
        str(sku_id) for card in columns.products(shop_id).values() for sku_id in card.sku_ids
    ),
    "creator": lambda columns, shop_id: (
        str(account.creator_id) for account in columns.content(shop_id).accounts().values()
    ),
    "account": lambda columns, shop_id: columns.content(shop_id).accounts(),
    "sub_campaign": lambda columns, shop_id: (
        str(each.id) for found in columns.campaigns(shop_id) for each in found.sub_campaigns
    ),
}
"""By dimension, the ids that have a record of their own, or that a record of another thing lists."""
