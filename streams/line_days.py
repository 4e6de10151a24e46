"""What is made of the order lines of single business days, kept until one of their lines changes.

A window of weeks is put together from days that are over and costs what changed today.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.day_values import over_and_last
from streams.days import QUARTER_MS
from streams.frames import KEPT_DAYS
from streams.metrics_sales import gmv_minor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from streams.columns import Columns
    from streams.day_values import Made
    from streams.settings import ShopSettings

    Reduce = Callable[[pl.DataFrame], pl.DataFrame]


def by_day(
    columns: Columns,
    shop: ShopSettings,
    name: str,
    days: Collection[int],
    reduce: Reduce,
    *,
    unite: Reduce | None = None,
) -> list[pl.DataFrame]:
    """Return what `reduce` makes of the order lines of each of these business days, as far as they have any.

    Args:
        columns: what is known.
        shop: whose.
        name: stands for `reduce`: what is kept under it must always be made the same way.
        days: ordinals.
        reduce: makes one small frame of the lines of one day. A day may come in several frames of whole orders: what
            is counted under one key adds up.
        unite: makes of the frames of several days what `reduce` makes of the lines of all of them. The days before the
            last one then come as one frame, made once while none of their lines changes.
    """
    shop_id = shop.shop_id

    def count(missing: list[int]) -> dict[int, dict[str, pl.DataFrame]]:
        if len(missing) <= KEPT_DAYS:
            pieces = {day: columns.order_sums(shop_id, (name, shop), day, reduce) for day in missing}
            return {day: {"": pl.concat(found)} for day, found in pieces.items() if found}
        lines = columns.order_lines(shop_id).filter(pl.col("day").is_in(missing))
        parts = lines.partition_by("day", as_dict=True)
        return {int(key): {"": reduce(part)} for (key,), part in parts.items()}

    changes = {day: change for day, change in columns.order_days(shop_id).items() if day in days}
    known = columns.day_values.of(("lines", name, shop), changes, count)
    if unite is None or len(changes) <= _FEW_DAYS:
        return [values[""] for values in known if values]
    over, _ = over_and_last(changes)
    values_of = dict(zip(changes, known, strict=True))

    def united() -> Made:
        frames = [values_of[day][""] for day in over if values_of[day]]
        return {"": unite(pl.concat(frames))} if frames else {}

    before = columns.day_values.made_of(("lines", name, shop), over, united)
    last = [values for day, values in values_of.items() if day not in over]
    return [values[""] for values in (before, *last) if values]


def in_span(
    columns: Columns,
    shop: ShopSettings,
    name: str,
    span_ms: tuple[int, int],
    reduce: Reduce,
    *,
    by_quarter: bool = False,
    unite: Reduce | None = None,
) -> list[pl.DataFrame]:
    """Return what `reduce` makes of the lines paid in a span, both ends included: by day, of its cut days the rest.

    Args are those of `by_day`, with `unite`, and by_quarter: what it makes are rows by quarter hour, which starts at
    their `at_ms`; of a cut day the quarter hours that lie whole in the span are taken from what is kept of the day.
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
            if by_quarter:
                is_whole = pl.col("at_ms").is_between(from_ms, to_ms - QUARTER_MS + 1)
                rest += [part.filter(is_whole) for part in by_day(columns, shop, name, (day,), reduce)]
                quarter = paid // QUARTER_MS * QUARTER_MS
                inside &= ~quarter.is_between(from_ms, to_ms - QUARTER_MS + 1)
            rest.append(reduce(lines.filter(inside)))
    return by_day(columns, shop, name, set(range(first, last + 1)) - cut, reduce, unite=unite) + rest


_FEW_DAYS: Final = 2
"""To unite no more days than these saves nothing."""

_QUARTERS: Final = pl.DataFrame(
    schema={
        **dict.fromkeys(("at_ms", "gmv", "items_sold", "orders"), pl.Int64()),
        **dict.fromkeys(("gmv_squares", "items_sold_squares"), pl.Float64()),
    }
)


def sales_by_quarter(columns: Columns, shop: ShopSettings, span_ms: tuple[int, int]) -> pl.DataFrame:
    """Return what was sold in each quarter hour of a span, in any order; both ends of the span are included.

    Returns:
        `at_ms`, gmv (minor units), orders, items_sold, and gmv_squares and items_sold_squares: of the amounts of single
        orders, summed. A quarter hour may come in several rows, which add up: whoever wants a total, or hours, adds
        them anyway.
    """

    def reduce(lines: pl.DataFrame) -> pl.DataFrame:
        # An order is paid at one instant, so that its quarter hour has all of it.
        quarter = (pl.col("paid_at_ms").first() // QUARTER_MS * QUARTER_MS).alias("at_ms")
        orders = lines.group_by("slot").agg(
            quarter, gmv_minor(shop).sum().alias("gmv"), pl.col("quantity").sum().alias("items_sold")
        )
        sums = orders.group_by("at_ms").agg(
            pl.col("gmv", "items_sold").sum(),
            pl.len().cast(pl.Int64).alias("orders"),
            (pl.col("gmv", "items_sold").cast(pl.Float64) ** 2).sum().name.suffix("_squares"),
        )
        return sums.select(_QUARTERS.columns)

    parts = in_span(columns, shop, "quarters", span_ms, reduce, by_quarter=True)
    return pl.concat([_QUARTERS, *parts])
