"""The sales that a stock table looks at: order lines as columns of numbers, and days that are long over as sums.

Weeks of lines are not copied for every flush: a question picks the few that it needs one by one, and days of which only
the memory of what is usual is left are kept as sums per SKU, made once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

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
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from streams.columns import Columns
    from streams.settings import ShopSettings, StockSettings

_SUMS: Final = ("lines", "units", "squares", "weights")


class Sales(NamedTuple):
    """Order lines.

    Attributes:
        sku_no: number of `fact_schemas.ORDER_LINE_SCHEMA`.
        paid_ms: instant.
        quantity: units.
    """

    sku_no: NDArray[np.uint32]
    paid_ms: NDArray[np.int64]
    quantity: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> Sales:
        """Return those of the lines that are chosen."""
        places = np.flatnonzero(chosen)
        return Sales._make(column.take(places) for column in self)


class BoughtSales(NamedTuple):
    """Order lines with who bought them, and when the order was made; else as `Sales`."""

    sku_no: NDArray[np.uint32]
    paid_ms: NDArray[np.int64]
    quantity: NDArray[np.int64]
    customer_no: NDArray[np.uint32]
    created_ms: NDArray[np.int64]


class _Piece(NamedTuple):
    """Order lines that came together, and what all of them have in common: few pieces need a look at each line.

    Attributes:
        sales: the lines.
        first_ms, last_ms: the first and the last payment.
        created_ms: when the last order was made.
        least: fewest units of a line.
    """

    sales: BoughtSales
    first_ms: int
    last_ms: int
    created_ms: int
    least: int


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
            _Piece(BoughtSales(*(lines.get_column(name).to_numpy() for name in _COLUMNS)), *common.row(0))
            for lines, common in columns.order_pieces(shop.shop_id, "in common", _in_common)
        ]
        calendar = columns.calendar(shop.shop_id)
        first, last = calendar.day_of(self.start_ms) + 1, calendar.day_of(until_ms - recent_ms(settings)) - 1
        # Of a memory that is longer than the usual one every sale is needed by itself.
        self._days = range(first, last + 1) if lookback_ms(settings) == BASE_LOOKBACK_MS else range(0)
        days = self._days
        self._span_ms = (
            (calendar.day_start_ms(days[0]), calendar.day_start_ms(days[-1] + 1)) if days else (0, 0)
        )

    def of_windows(self, paid_ms: int, created_ms: int) -> BoughtSales:
        """Return the sales that were paid or created later than these instants."""

        def chosen(piece: _Piece) -> NDArray[np.bool_] | bool:
            if piece.last_ms <= paid_ms and piece.created_ms <= created_ms:
                return False
            sales = piece.sales
            return piece.first_ms > paid_ms or (sales.paid_ms > paid_ms) | (sales.created_ms > created_ms)

        return BoughtSales._make(self._where(chosen, len(_COLUMNS)))

    def single(self, wanted: NDArray[np.bool_] | None) -> Sales:
        """Return the sales that `older` leaves out: those of other days, and of the SKUs that are wanted singly.

        Args:
            wanted: by number of the SKU; None: of none.
        """
        from_ms, to_ms = self._span_ms

        def chosen(piece: _Piece) -> NDArray[np.bool_] | bool:
            if piece.last_ms < from_ms or piece.first_ms >= to_ms:
                return True
            sales = piece.sales
            # A line without units, or of a SKU that is long forgotten, may have a number beyond: it is left out anyway.
            listed = False if wanted is None else wanted.take(sales.sku_no, mode="clip")
            if piece.first_ms >= from_ms and piece.last_ms < to_ms:
                return listed
            return (sales.paid_ms < from_ms) | (sales.paid_ms >= to_ms) | listed

        return Sales._make(self._where(chosen, len(Sales._fields)))

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

    def _where(self, chosen: Callable[[_Piece], NDArray[np.bool_] | bool], width: int) -> list[NDArray[Any]]:
        """Return the first columns of the lines that are chosen, move stock and are not forgotten.

        Args:
            chosen: says of each line of a piece, or of all of them, whether it is.
            width: how many columns.
        """
        found: list[Sequence[NDArray[Any]]] = []
        for piece in self._pieces:
            own = chosen(piece)
            if own is False or piece.last_ms <= self.start_ms or piece.first_ms > self._as_of_ms:
                continue
            columns: Sequence[NDArray[Any]] = piece.sales[:width]
            if own is not True:
                # Few of weeks of lines are chosen: all else is looked at of these alone.
                places = np.flatnonzero(own)
                columns = [column.take(places) for column in columns]
            # A line without units moves no stock, and a price per unit of nothing is no number.
            if piece.first_ms <= self.start_ms or piece.last_ms > self._as_of_ms or piece.least <= 0:
                _, paid_ms, quantity, *_ = columns
                moves = (paid_ms > self.start_ms) & (paid_ms <= self._as_of_ms) & (quantity > 0)
                places = np.flatnonzero(moves)
                columns = [column.take(places) for column in columns]
            found.append(columns)
        if not found:
            return [np.empty(0, dtype=dtype) for dtype in _DTYPES[:width]]
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]


_COLUMNS: Final = ("sku_no", "paid_at_ms", "quantity", "customer_no", "created_at_ms")
_DTYPES: Final = (np.uint32, np.int64, np.int64, np.uint32, np.int64)


def _in_common(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.select(
        pl.col("paid_at_ms").min().alias("first_ms"),
        pl.col("paid_at_ms").max().alias("last_ms"),
        pl.col("created_at_ms").max().alias("created_ms"),
        pl.col("quantity").min().alias("least"),
    )
