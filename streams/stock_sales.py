"""The sales that a stock table looks at: weeks of order lines as columns of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl
    from numpy.typing import NDArray


class Sales(NamedTuple):
    """Order lines, in the order of `Columns.order_lines`.

    Attributes:
        sku_no, customer_no: numbers of `fact_columns.ORDER_LINE_SCHEMA`.
        paid_ms, created_ms: instants.
        quantity: units, >= 1.
    """

    sku_no: NDArray[np.uint32]
    customer_no: NDArray[np.uint32]
    paid_ms: NDArray[np.int64]
    created_ms: NDArray[np.int64]
    quantity: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> Sales:
        """Return those of the lines that are chosen."""
        return Sales(
            self.sku_no[chosen],
            self.customer_no[chosen],
            self.paid_ms[chosen],
            self.created_ms[chosen],
            self.quantity[chosen],
        )

    def since(self, paid_ms: int, created_ms: int) -> Sales:
        """Return the lines paid or created later than these instants, so that a few are looked at and not weeks."""
        return self.where((self.paid_ms > paid_ms) | (self.created_ms > created_ms))


_COLUMNS: Final = ("sku_no", "customer_no", "paid_at_ms", "created_at_ms", "quantity")


def sales_between(pieces: Iterable[pl.DataFrame], start_ms: int, end_ms: int) -> Sales:
    """Return the lines paid after `start_ms` until `end_ms`, which move stock.

    Args:
        pieces: of `Columns.order_pieces`: read in place, since a copy of weeks costs more than what is made of it.
        start_ms: not included.
        end_ms: included.
    """
    found: list[Sales] = []
    for piece in pieces:
        sales = Sales(*(piece.get_column(name).to_numpy() for name in _COLUMNS))
        # A line without units moves no stock, and a price per unit of nothing is no number.
        moves = (sales.paid_ms > start_ms) & (sales.paid_ms <= end_ms) & (sales.quantity > 0)
        found.append(sales if moves.all() else sales.where(moves))
    if not found:
        empty = np.empty(0, dtype=np.int64)
        return Sales(empty.astype(np.uint32), empty.astype(np.uint32), empty, empty, empty)
    return Sales(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
