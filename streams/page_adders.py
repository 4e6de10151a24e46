"""Who of a product's page viewers adds it to the cart: people of both crowds over people of the first one.

Counted per product and business day by theta sketches, since an intersection needs them; days are added up before they
are divided (dd of spec/metrics.md). A rate whose bounds are far apart is no rate: it is null, with the reason.

Source: `atc_rate_pdp` of spec/metrics.md; ADR 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.cubes import PRODUCT_DAY, PRODUCT_THETA
from streams.frames import SLOT
from streams.theta import SIGMAS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.columns import Columns

VIEW: Final = "product_page_view"
ADD: Final = "add_to_cart"

MAX_WIDTH: Final = 0.30
"""A rate is null when its upper and lower bound are further apart than this part of it."""

_DAY: Final = ["bucket", "product"]
_SUMS: Final = ("viewers", "both", "variance", "events", "keyed")


def product_days(
    columns: Columns, shop_id: str, first_day: int | None, last_day: int | None, product: str | None = None
) -> pl.DataFrame:
    """Return what is known of the page viewers of each product and day.

    Args:
        columns: what is known.
        shop_id: whose.
        first_day: business day as an ordinal; None is open.
        last_day: likewise, included.
        product: only this one.

    Returns:
        bucket (the day), product, viewers, both (people who added as well), variance of `both`, events and keyed (page
        views and presses, and those of them with a `user_key`), whole: whether everybody was kept from the day's
        first event on. One row for each product and day with a page view or a press.
    """
    condition = pl.col("event_type").is_in([VIEW, ADD])
    if first_day is not None:
        condition &= pl.col("bucket") >= first_day
    if last_day is not None:
        condition &= pl.col("bucket") <= last_day
    if product is not None:
        condition &= pl.col("product") == product
    calendar = columns.calendar(shop_id)
    window = (
        None if first_day is None else calendar.day_start_ms(first_day),
        None if last_day is None else calendar.day_start_ms(last_day + 1),
    )
    cells = columns.cells(PRODUCT_THETA.name, shop_id, *window).filter(condition)
    views, adds = (cells.filter(pl.col("event_type") == kind) for kind in (VIEW, ADD))
    pairs = views.join(adds.select(*_DAY, pl.col(SLOT).alias("other")), on=_DAY, how="left")
    overlaps = columns.overlaps(PRODUCT_THETA.name, shop_id, pairs.select(SLOT, "other").iter_rows())
    figures = pairs.select(_DAY).with_columns(
        pl.Series("viewers", [found.people for found in overlaps], dtype=pl.Float64),
        pl.Series("both", [found.both for found in overlaps], dtype=pl.Float64),
        pl.Series("variance", [found.spread**2 for found in overlaps], dtype=pl.Float64),
    )
    kept = cells.group_by(_DAY).agg(pl.col("keyed").sum().alias("kept"))
    # The cube of counts is older than the sketches: where it has more, an earlier version folded the rest of the day.
    return (
        columns.cells(PRODUCT_DAY.name, shop_id, *window)
        .filter(condition)
        .group_by(_DAY)
        .agg(pl.col("count").sum().alias("events"), pl.col("keyed").sum())
        .join(figures, on=_DAY, how="left")
        .join(kept, on=_DAY, how="left")
        .select(
            *_DAY,
            pl.col("viewers", "both", "variance").fill_null(0.0),
            "events",
            "keyed",
            (pl.col("keyed") == pl.col("kept").fill_null(0)).alias("whole"),
        )
    )


def add_rates(days: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return the rate of each group of product-days.

    Args:
        days: of `product_days`, with the key columns.
        keys: what a group has in common.

    Returns:
        the keys, value (0 to 1; null where it cannot be told), reason (of null, one of `NULL_REASONS`; else empty),
        viewers (people who viewed, of each day, added up), relative_error (one standard deviation of the value, as a
        part of it; 0 when exact or null).
    """
    viewers, both, spread = pl.col("viewers"), pl.col("both"), pl.col("variance").sqrt()
    reason = (
        pl.when(pl.col("keyed") == 0)
        .then(pl.lit("source_gives_no_people"))
        .when(~pl.col("whole"))
        .then(pl.lit("partly_kept"))
        .when(viewers == 0)
        .then(pl.lit("zero_divisor"))
        .when(2 * SIGMAS * spread > MAX_WIDTH * both)
        .then(pl.lit("too_uncertain"))
        .otherwise(pl.lit(""))
    )
    groups = days.group_by(keys).agg(pl.col(_SUMS).sum(), pl.col("whole").all()).with_columns(reason=reason)
    told = pl.col("reason") == ""
    return groups.select(
        *keys,
        pl.when(told).then(both / viewers).alias("value"),
        "reason",
        "viewers",
        pl.when(told & (both > 0)).then(spread / both).otherwise(0.0).alias("relative_error"),
    )
