"""The sales that a stock table looks at: order lines as columns of numbers, and days that are long over as sums.

Weeks of lines are not copied for every flush: a question picks the few that it needs one by one, and days of which only
the memory of what is usual is left are kept as sums per SKU, made once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from streams.line_days import by_day
from streams.projection import (
    BASE_HALF_LIFE_MS,
    BASE_LOOKBACK_MS,
    OlderSales,
    lookback_ms,
    recent_ms,
    weights_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from streams.columns import Columns
    from streams.settings import ShopSettings, StockSettings

_SUMS: Final = ("lines", "units", "squares", "weights")


class Sales(NamedTuple):
    """Order lines.

    Attributes:
        sku_no, customer_no: numbers of `fact_columns.ORDER_LINE_SCHEMA`.
        paid_ms, created_ms: instants.
        quantity: units.
    """

    sku_no: NDArray[np.uint32]
    customer_no: NDArray[np.uint32]
    paid_ms: NDArray[np.int64]
    created_ms: NDArray[np.int64]
    quantity: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> Sales:
        """Return those of the lines that are chosen."""
        return self.at(np.flatnonzero(chosen))

    def at(self, places: NDArray[np.int64]) -> Sales:
        """Return the lines at these places."""
        return Sales._make(column.take(places) for column in self)


class StockSales:
    """The sales of a shop that move stock, of as many weeks as a projection remembers.

    Args:
        columns: what is known.
        shop: whose.
        settings: half-lives.
        as_of_ms: the instant of the projection; later sales are left out.
        until_ms: the order feed is complete up to here.

    Attributes:
        start_ms: sales up to here are forgotten.
    """

    def __init__(
        self, columns: Columns, shop: ShopSettings, settings: StockSettings, as_of_ms: int, until_ms: int
    ) -> None:
        self._columns = columns
        self._shop = shop
        self._as_of_ms = as_of_ms
        self._until_ms = until_ms
        self.start_ms = as_of_ms - lookback_ms(settings)
        self._pieces = [
            Sales(*(piece.get_column(name).to_numpy() for name in _COLUMNS))
            for piece in columns.order_pieces(shop.shop_id)
        ]
        calendar = columns.calendar(shop.shop_id)
        first, last = calendar.day_of(self.start_ms) + 1, calendar.day_of(until_ms - recent_ms(settings)) - 1
        # Of a memory that is longer than the usual one every sale is needed by itself.
        self._days = range(first, last + 1) if lookback_ms(settings) == BASE_LOOKBACK_MS else range(0)
        days = self._days
        self._span_ms = (
            (calendar.day_start_ms(days[0]), calendar.day_start_ms(days[-1] + 1)) if days else (0, 0)
        )

    def of_windows(self, paid_ms: int, created_ms: int) -> Sales:
        """Return the sales that were paid or created later than these instants."""
        return self._where(lambda sales: (sales.paid_ms > paid_ms) | (sales.created_ms > created_ms))

    def single(self, wanted: NDArray[np.bool_] | None) -> Sales:
        """Return the sales that `older` leaves out: those of other days, and of the SKUs that are wanted singly.

        Args:
            wanted: by number of the SKU; None: of none.
        """
        from_ms, to_ms = self._span_ms

        def chosen(sales: Sales) -> NDArray[np.bool_]:
            single = (sales.paid_ms < from_ms) | (sales.paid_ms >= to_ms)
            # A line without units, or of a SKU that is long forgotten, may have a number beyond: it is left out anyway.
            return single if wanted is None else single | wanted.take(sales.sku_no, mode="clip")

        return self._where(chosen)

    def older(self, row_of: NDArray[np.int64], rows: int, single: NDArray[np.bool_] | None) -> OlderSales:
        """Return what the days that are long over have sold.

        Args:
            row_of: row of each SKU by its number, -1 for none.
            rows: how many there are.
            single: as `wanted` of `single`: these SKUs are left out.
        """
        calendar = self._columns.calendar(self._shop.shop_id)

        def reduce(lines: pl.DataFrame) -> pl.DataFrame:
            end_ms = calendar.day_start_ms(lines.item(0, "day") + 1)
            age = (end_ms - lines.get_column("paid_at_ms").to_numpy()) / BASE_HALF_LIFE_MS
            return (
                lines.with_columns(pl.Series("weight", weights_of(age)))
                .filter(pl.col("quantity") > 0)
                .group_by("sku_no")
                .agg(
                    pl.len().cast(pl.Float64).alias("lines"),
                    pl.col("quantity").sum().cast(pl.Float64).alias("units"),
                    (pl.col("quantity") ** 2).sum().cast(pl.Float64).alias("squares"),
                    pl.col("weight").sum().alias("weights"),
                )
                .with_columns(pl.lit(end_ms).alias("end_ms"))
            )

        days = by_day(self._columns, self._shop, "sales of SKUs", self._days, reduce)
        if not days:
            return OlderSales(*(np.zeros(rows) for _ in _SUMS))
        sums = pl.concat(days)
        sku_no = sums.get_column("sku_no").to_numpy()
        row = row_of[sku_no]
        kept = row >= 0 if single is None else (row >= 0) & ~single[sku_no]
        decay = np.exp2(-(self._until_ms - sums.get_column("end_ms").to_numpy()) / BASE_HALF_LIFE_MS)
        figures = {name: sums.get_column(name).to_numpy() for name in _SUMS}
        figures["weights"] = figures["weights"] * decay
        return OlderSales(
            *(
                np.bincount(row[kept], weights=figures[name][kept], minlength=rows).astype(np.float64)
                for name in _SUMS
            )
        )

    def _where(self, chosen: Callable[[Sales], NDArray[np.bool_]]) -> Sales:
        def moving(sales: Sales) -> Sales:
            # Few of weeks of lines are chosen: all else is looked at of these alone.
            found = sales.at(np.flatnonzero(chosen(sales)))
            in_time = (found.paid_ms > self.start_ms) & (found.paid_ms <= self._as_of_ms)
            # A line without units moves no stock, and a price per unit of nothing is no number.
            moves = in_time & (found.quantity > 0)
            return found if moves.all() else found.where(moves)

        return _joined(map(moving, self._pieces))


_COLUMNS: Final = ("sku_no", "customer_no", "paid_at_ms", "created_at_ms", "quantity")


def _joined(pieces: Iterable[Sales]) -> Sales:
    found = list(pieces)
    if not found:
        empty = np.empty(0, dtype=np.int64)
        return Sales(empty.astype(np.uint32), empty.astype(np.uint32), empty, empty, empty)
    return Sales(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
