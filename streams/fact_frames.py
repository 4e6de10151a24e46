"""Where facts are as frames, and which column is which dimension: what a measure over facts is counted in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from streams.frames import KEPT_DAYS
from streams.measures import Frame
from streams.price_tiers import with_tiers

if TYPE_CHECKING:
    from streams.scope import Scope


@dataclass(frozen=True, slots=True)
class FactFrame:
    """One kind of rows.

    Attributes:
        read: gives them, with `day` and, where slices can be asked for, `atom`.
        at: the instant that decides on the window.
        columns: by dimension; slices, leaves and owners come from the atom.
        never_missing: dimensions that every row has.
    """

    read: Callable[[Scope], pl.DataFrame]
    at: str
    columns: Mapping[str, str]
    never_missing: frozenset[str] = frozenset()


_SOLD: Final = {
    "product": "product_id",
    "sku": "sku_id",
    "creator": "creator_id",
    "content": "content_id",
    "sub_campaign": "sub_campaign_id",
    "territory": "territory",
    "ad": "ad_id",
    "status": "status",
    "variant": "variant",
}
_ALWAYS_SOLD: Final = frozenset({"product", "sku", "status"})
_POSTED: Final = {
    "content": "content_id",
    "creator": "creator_id",
    "account": "account_id",
    "variant": "variant",
}


def with_variants(scope: Scope, frame: pl.DataFrame, content: str = "content_id") -> pl.DataFrame:
    """Put the A/B label of each row's content beside it, where it is asked for."""
    if not scope.by_variant or "variant" in frame.columns:
        return frame
    contents = scope.columns.content(scope.shop.shop_id).contents()
    known = contents.select(pl.col("content_id").alias(content), "variant")
    return frame.join(known, on=content, how="left", maintain_order="left")


def _ads(scope: Scope) -> pl.DataFrame:
    """Return the ads of the primary account; asked by ad account, every one's (X-50)."""
    columns, shop = scope.columns, scope.shop
    ads = columns.ads(shop.shop_id)
    found = ads.metrics() if "ad_account" in scope.needs else ads.of_primary()
    if "price_tier" not in scope.needs:
        return found
    edges = columns.settings.board.price_tier_edges
    return with_tiers(found, columns.products(shop.shop_id).values(), edges, shop.currency)


def _ad_refunds(scope: Scope) -> pl.DataFrame:
    """Return refunds of order lines that are attributed to one of these ads, with its account."""
    accounts = (
        _ads(scope)
        .select("ad_id", "ad_account_id")
        .sort("ad_id", "ad_account_id")
        .unique("ad_id", keep="first", maintain_order=True)
    )
    refunds = scope.columns.refunds(scope.shop.shop_id)
    return refunds.join(accounts, on="ad_id", how="inner").with_columns(
        (pl.col("amount_minor") + pl.col("shipping_minor")).alias("refunded_minor")
    )


def _order_lines(scope: Scope) -> pl.DataFrame:
    """Return order lines that may be in scope: of a window of a few days theirs alone."""
    columns, calendar, window = scope.columns, scope.calendar, scope.window
    shop_id = scope.shop.shop_id
    days = columns.order_days(shop_id).keys()
    wanted = set(days if scope.days is None else days & scope.days)
    if window.from_ms is not None:
        first = calendar.day_of(window.from_ms)
        wanted = {day for day in wanted if day >= first}
    # Of a LIVE also what was paid after its end counts.
    if window.to_ms is not None and window.unit != "stream":
        last = calendar.day_of(window.to_ms - 1)
        wanted = {day for day in wanted if day <= last}
    few = len(wanted) <= KEPT_DAYS and len(wanted) < len(days)
    if not scope.by_variant:
        return columns.order_lines(shop_id, wanted if few else None)

    def labelled() -> pl.DataFrame:
        lines = columns.order_lines(shop_id, wanted if few else None)
        return with_variants(scope, lines.filter(pl.col("day").is_in(sorted(wanted))))

    return columns.once(("variants", shop_id, frozenset(wanted)), labelled)


FRAMES: Final[dict[Frame, FactFrame]] = {
    Frame.ORDER_LINES: FactFrame(
        _order_lines,
        "paid_at_ms",
        _SOLD,
        _ALWAYS_SOLD,
    ),
    Frame.REFUNDS: FactFrame(
        lambda scope: with_variants(scope, scope.columns.refunds(scope.shop.shop_id)),
        "processed_at_ms",
        _SOLD,
        _ALWAYS_SOLD,
    ),
    Frame.CONTENT: FactFrame(
        lambda scope: with_variants(scope, scope.columns.content(scope.shop.shop_id).content_products()),
        "new_at_ms",
        {**_POSTED, "product": "product_id", "sub_campaign": "sub_campaign_id"},
    ),
    Frame.CONTENT_DAYS: FactFrame(
        lambda scope: with_variants(scope, scope.columns.content(scope.shop.shop_id).content_days()),
        "at_ms",
        _POSTED,
    ),
    Frame.ENGAGEMENT: FactFrame(
        lambda scope: with_variants(scope, scope.columns.content(scope.shop.shop_id).engagement()),
        "at_ms",
        {
            **_POSTED,
            "sub_campaign": "sub_campaign_id",
            "territory": "territory",
            "age_band": "age_band",
            "gender": "gender",
        },
    ),
    Frame.VIOLATIONS: FactFrame(
        lambda scope: with_variants(scope, scope.columns.content(scope.shop.shop_id).violations()),
        "opened_at_ms",
        _POSTED,
    ),
    Frame.CHECKOUTS: FactFrame(
        lambda scope: scope.columns.totals(scope.shop.shop_id).checkouts(),
        "at_ms",
        {
            "product": "product_id",
            "content": "content_id",
            "creator": "creator_id",
            "sub_campaign": "sub_campaign_id",
        },
    ),
    Frame.ADS: FactFrame(
        _ads,
        "at_ms",
        {
            "ad": "ad_id",
            "ad_account": "ad_account_id",
            "product": "product_id",
            "price_tier": "price_tier",
            "creator": "creator_id",
            "content": "content_id",
            "sub_campaign": "sub_campaign_id",
        },
    ),
    Frame.AD_REFUNDS: FactFrame(
        _ad_refunds, "processed_at_ms", {"ad": "ad_id", "ad_account": "ad_account_id"}
    ),
}
"""Every frame that is not of cubes."""

READY_MADE: Final = FactFrame(
    lambda scope: with_variants(scope, scope.columns.totals(scope.shop.shop_id).traffic()),
    "at_ms",
    {
        "product": "product_id",
        "content": "content_id",
        "creator": "creator_id",
        "sub_campaign": "sub_campaign_id",
        "variant": "variant",
    },
)
"""Ready-made counts of traffic, which stand beside what the cubes add up."""
