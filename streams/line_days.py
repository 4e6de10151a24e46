"""What is made of the order lines of single business days, kept until one of their lines changes.

A window of weeks is put together from days that are over and costs what changed today.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from streams.days import QUARTER_MS
from streams.frames import KEPT_DAYS
from streams.metrics_sales import gmv_minor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from streams.columns import Columns
    from streams.settings import ShopSettings

    Reduce = Callable[[pl.DataFrame], pl.DataFrame]


def by_day(
    columns: Columns, shop: ShopSettings, name: str, days: Collection[int], reduce: Reduce
) -> list[pl.DataFrame]:
    """Return what `reduce` makes of the order lines of each of these business days, as far as they have any.

    Args:
        columns: what is known.
        shop: whose.
        name: stands for `reduce`: what is kept under it must always be made the same way.
        days: ordinals.
        reduce: makes one small frame of the lines of one day.
    """
    shop_id = shop.shop_id

    def count(missing: list[int]) -> dict[int, dict[str, pl.DataFrame]]:
        if len(missing) <= KEPT_DAYS:
            parts = {day: columns.order_lines(shop_id, (day,)) for day in missing}
        else:
            lines = columns.order_lines(shop_id).filter(pl.col("day").is_in(missing))
            parts = {int(key): part for (key,), part in lines.partition_by("day", as_dict=True).items()}
        return {day: {"": reduce(part)} for day, part in parts.items()}

    changes = {day: change for day, change in columns.order_days(shop_id).items() if day in days}
    known = columns.day_values.of(("lines", name, shop), changes, count)
    return [values[""] for values in known if values]


def in_span(
    columns: Columns, shop: ShopSettings, name: str, span_ms: tuple[int, int], reduce: Reduce
) -> list[pl.DataFrame]:
    """Return what `reduce` makes of the lines paid in a span, both ends included: by day, of its cut days the rest.

    Args are those of `by_day`.
    """
    calendar = columns.calendar(shop.shop_id)
    from_ms, to_ms = span_ms
    if to_ms < from_ms:
        return []
    first, last = calendar.day_of(from_ms), calendar.day_of(to_ms)
    cut = set()
    if calendar.day_start_ms(first) != from_ms:
        cut.add(first)
    if calendar.day_start_ms(last + 1) - 1 != to_ms:
        cut.add(last)
    rest = []
    for day in sorted(cut):
        lines = columns.order_lines(shop.shop_id, (day,))
        paid = lines.get_column("paid_at_ms")
        inside = paid.is_between(*span_ms)
        if inside.all():
            # Of today everything is inside as a rule: all who ask share one count of it.
            cut.discard(day)
        elif inside.any():
            rest.append(reduce(lines.filter(inside)))
    return by_day(columns, shop, name, set(range(first, last + 1)) - cut, reduce) + rest


def sales_by_quarter(columns: Columns, shop: ShopSettings, span_ms: tuple[int, int]) -> pl.DataFrame:
    """Return `at_ms` (quarter hour), gmv (minor units), orders, items_sold of the lines paid in a span, by time."""

    def reduce(lines: pl.DataFrame) -> pl.DataFrame:
        # An order is paid at one instant, so that its quarter hour has all of it.
        return lines.group_by((pl.col("paid_at_ms") // QUARTER_MS * QUARTER_MS).alias("at_ms")).agg(
            gmv_minor(shop).sum().alias("gmv"),
            pl.col("slot").n_unique().cast(pl.Int64).alias("orders"),
            pl.col("quantity").sum().alias("items_sold"),
        )

    parts = in_span(columns, shop, "quarters", span_ms, reduce)
    names = ("at_ms", "gmv", "orders", "items_sold")
    empty = pl.DataFrame(schema=dict.fromkeys(names, pl.Int64()))
    return pl.concat([empty, *(part.select(names) for part in parts)]).sort("at_ms")
