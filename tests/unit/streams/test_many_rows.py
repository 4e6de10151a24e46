"""An answer of many rows has every figure in its own row, and none where nothing was counted."""

from __future__ import annotations

import msgspec

from streams.query import parse_request, run
from tests.unit.streams.boards import at, board, line, order, stock, traffic

NOON = at("2024-11-29 12:00")
PRODUCTS = 701
"""More than are put beside each other one by one."""


def test_each_product_of_many_has_its_own_figures_whatever_the_order_and_the_gaps_of_each_source() -> None:
    """Product n sells n cents if it is even, else it is clicked; where 5 divides it it has stock."""
    sold, clicked, stocked = (
        [n for n in reversed(range(1, PRODUCTS)) if n % 2 == 0],
        [n for n in range(1, PRODUCTS) if n % 2],
        [n for n in range(1, PRODUCTS) if n % 5 == 0],
    )
    columns = board(
        [
            *(order(f"o{n}", NOON, [line("1", f"{n}-1", n, product_id=str(n))]) for n in sold),
            *(traffic("product_click", NOON + n, "u1", str(n)) for n in clicked for _ in range(n % 4)),
            *(msgspec.structs.replace(stock(f"{n}-1", n, NOON), product_id=str(n)) for n in stocked),
        ],
        vouch_ms=NOON + 60_000,
    )
    words = {"metrics": "gmv,orders,product_clicks,stock_on_hand", "by": "product", "window": "today"}
    answer = run(columns, parse_request(words), now_ms=NOON + 60_000).document()
    found = {
        row["product"]: (row["gmv"], row["orders"], row["product_clicks"], row["stock_on_hand"])
        for row in answer["rows"]
    }
    assert found == {
        str(n): (
            0 if n % 2 else n / 100,
            0 if n % 2 else 1,
            n % 4 if n % 2 else 0,
            None if n % 5 else n,
        )
        for n in range(1, PRODUCTS)
    }
