"""What is kept of single days says the same as the lines themselves, whatever comes, in whatever order."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from streams import frames
from streams.columns import Columns
from streams.days import QUARTER_MS
from streams.events import OrderPaid
from streams.line_days import sales_by_quarter
from streams.state import Flush
from tests.unit.streams.boards import SHOP, at, board, fact_row, flush_of, line, order, settings, traffic

BEGIN_MS, END_MS = at("2024-11-20 00:00"), at("2024-11-30 00:00")


def newer(event: OrderPaid, number: int) -> Flush:
    """Return a flush with a body of an order that wins over the one before."""
    return Flush(0, number, [], [fact_row(event, version=number)], [], [], [])


def sold(orders: dict[str, OrderPaid], from_ms: int, to_ms: int) -> dict[int, tuple[int, int, int]]:
    """Return GMV, orders and items of each quarter hour, added up order by order."""
    found: dict[int, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for each in orders.values():
        if from_ms <= each.occurred_at_ms <= to_ms:
            quarter = each.occurred_at_ms // QUARTER_MS * QUARTER_MS
            gmv, number, items = found[quarter]
            gmv += sum(part.goods_paid_minor + part.shipping_paid_minor for part in each.lines)
            found[quarter] = gmv, number + 1, items + sum(part.quantity for part in each.lines)
    return dict(found)


def squares(orders: dict[str, OrderPaid], from_ms: int, to_ms: int) -> int:
    """Return the squared GMV of each order, added up."""
    return sum(
        sum(part.goods_paid_minor + part.shipping_paid_minor for part in each.lines) ** 2
        for each in orders.values()
        if from_ms <= each.occurred_at_ms <= to_ms
    )


@pytest.mark.parametrize("seed", range(4))
def test_sales_of_any_span_are_those_of_its_orders_while_orders_come_and_change(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is made of a piece is kept of all of them, of some, or as usual of none as small as these.
    monkeypatch.setattr(frames, "FEW_ROWS", (1, 8, 32, frames.FEW_ROWS)[seed])
    draw = random.Random(seed)
    columns = Columns(settings("America/Los_Angeles"))
    shop, orders, version = columns.shop(SHOP), dict[str, OrderPaid](), 0
    for _ in range(25):
        for _ in range(draw.randint(1, 12)):
            # A third of them replace an order, most of these on another day.
            name = draw.choice(sorted(orders)) if orders and draw.random() < 1 / 3 else f"o{len(orders)}"
            lines = [
                line(
                    str(part),
                    draw.choice("AB"),
                    draw.randint(1, 900),
                    quantity=draw.randint(0, 3),
                    shipping=5,
                )
                for part in range(draw.randint(1, 3))
            ]
            placed = order(name, draw.randint(BEGIN_MS, END_MS), lines, f"c{draw.randint(1, 9)}")
            orders[name] = placed
            version += 1
            columns.apply(newer(placed, version))
        from_ms = draw.randint(BEGIN_MS, END_MS)
        for span in (
            (from_ms, draw.randint(from_ms, END_MS)),
            (BEGIN_MS, END_MS),
            (at("2024-11-22 08:00"), END_MS),
            (from_ms, from_ms + draw.randint(0, 60) * QUARTER_MS // 7),
        ):
            answer = sales_by_quarter(columns, shop, span)
            rows: dict[int, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
            for at_ms, *more in answer.select("at_ms", "gmv", "orders", "items_sold").iter_rows():
                gmv, number, items = (old + new for old, new in zip(rows[at_ms], more, strict=True))
                rows[at_ms] = gmv, number, items
            assert rows == sold(orders, *span)
            assert answer.get_column("gmv_squares").sum() == squares(orders, *span)


def test_cells_of_a_window_are_all_of_its_own_after_any_flush() -> None:
    draw = random.Random(5)
    columns = Columns(settings("America/Los_Angeles"))
    events = []
    for _ in range(12):
        events += [
            traffic("product_click", draw.randint(BEGIN_MS, END_MS), "u1", draw.choice("ABC"))
            for _ in range(9)
        ]
        columns.apply(flush_of(events, zone="America/Los_Angeles"))
        from_ms = draw.randint(BEGIN_MS, END_MS)
        to_ms = draw.randint(from_ms + 1, END_MS + 1)
        found = columns.cells("product_quarter", SHOP, from_ms, to_ms).rows(named=True)
        counts: dict[tuple[int, str | int], int] = defaultdict(int)
        for event in events:
            counts[event.occurred_at_ms // QUARTER_MS * QUARTER_MS, event.product_id] += 1
        inside = {
            key: count for key, count in counts.items() if key[0] + QUARTER_MS > from_ms and key[0] < to_ms
        }
        told = {(row["bucket"], row["product"]): row["count"] for row in found}
        assert {key: told.get(key) for key in inside} == inside
        assert all(counts[key] == count for key, count in told.items())


def test_an_answer_is_worked_out_once_until_something_changes() -> None:
    columns = board([order("o1", BEGIN_MS, [line("1", "A", 100)])])
    made: list[int] = []

    def make() -> int:
        made.append(len(columns.order_lines(SHOP)))
        return made[-1]

    assert [columns.once("lines", make) for _ in range(3)] == [1, 1, 1]
    assert made == [1]
    columns.apply(newer(order("o2", BEGIN_MS, [line("1", "A", 100)]), 1))
    assert columns.once("lines", make) == 2
