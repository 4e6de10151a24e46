"""Sales by source say the same as the orders themselves, while orders come, change and move to other days."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streams import frames
from streams.atoms import LEAVES, OWNERS, SLICES, atom_of
from streams.columns import Columns
from streams.events import OrderPaid, Source
from streams.query import parse_request, run
from streams.state import Flush
from tests.unit.streams.boards import at, board, fact_row, line, order

ZONE = "America/Los_Angeles"
BEGIN_MS, END_MS = at("2024-10-31 00:00", ZONE), at("2024-11-06 00:00", ZONE)
"""The clock goes back in between."""

SOURCES = [
    None,
    Source("seller", "live", "live_room", False),
    Source("seller", "product_card", "shop_tab", False),
    Source("affiliate", "video", "feed", False, creator_id="mia"),
    Source("affiliate", "live", "shop_tab", False, creator_id="zoe"),
]
METRICS = [
    *("gmv", "tax_paid", "items_sold", "sku_orders", "orders", "est_customers", "unique_customers"),
    "aov_revenue",
]


def atom(source: Source | None) -> int:
    return atom_of("", "", "") if source is None else atom_of(source.owner, source.format, source.surface)


def told(orders: list[OrderPaid], atoms: frozenset[int]) -> dict[str, float | None]:
    """Return what orders say of some sources, order by order."""
    lines = [(each, part) for each in orders for part in each.lines if atom(part.source) in atoms]
    firsts: dict[tuple[str, str], Any] = {}
    for each in orders:
        for part in each.lines:
            key = (str(each.order_id), str(part.sku_id))
            if key not in firsts or str(part.line_id) < str(firsts[key].line_id):
                firsts[key] = part
    by_day = {
        (dt.datetime.fromtimestamp(each.occurred_at_ms / 1000, ZoneInfo(ZONE)).date(), each.customer_id)
        for each, _ in lines
    }
    gmv = sum(part.goods_paid_minor + part.shipping_paid_minor for _, part in lines)
    number = len({each.order_id for each, _ in lines})
    return {
        "gmv": gmv / 100,
        "tax_paid": sum(part.tax_minor for _, part in lines) / 100,
        "items_sold": sum(part.quantity for _, part in lines),
        "sku_orders": sum(atom(part.source) in atoms for part in firsts.values()),
        "orders": number,
        "est_customers": len(by_day),
        "unique_customers": len({each.customer_id for each, _ in lines}),
        "aov_revenue": gmv / number / 100 if number else None,
    }


def drawn(draw: random.Random, name: str) -> OrderPaid:
    lines = [
        line(
            str(part),
            draw.choice("AB"),
            draw.randint(1, 900),
            quantity=draw.randint(0, 3),
            shipping=5,
            tax_minor=draw.randint(0, 9),
            source=draw.choice(SOURCES),
        )
        for part in range(draw.randint(1, 3))
    ]
    return order(name, draw.randint(BEGIN_MS, END_MS - 1), lines, f"c{draw.randint(1, 9)}")


@pytest.mark.parametrize("seed", range(3))
def test_figures_by_source_are_those_of_the_orders_while_orders_come_and_change(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is made of a piece is kept of all of them, of some, or as usual of none as small as these.
    monkeypatch.setattr(frames, "FEW_ROWS", (1, 16, frames.FEW_ROWS)[seed])
    draw = random.Random(seed)
    # The feed begins with the first of these days.
    orders = {"first": order("first", BEGIN_MS, [line("0", "A", 100)], "c1")}
    columns, version = board(list(orders.values()), zone=ZONE), 0
    for _ in range(12):
        for _ in range(draw.randint(1, 9)):
            # A third of them replace an order, most of these on another day.
            known = sorted(orders.keys() - {"first"})
            name = draw.choice(known) if known and draw.random() < 1 / 3 else f"o{len(orders)}"
            orders[name] = drawn(draw, name)
            version += 1
            columns.apply(Flush(0, version, [], [fact_row(orders[name], version=version)], [], [], []))
        first, last = sorted(draw.choices(range(31, 37), k=2))
        dates = [dt.date(2024, 10, 1) + dt.timedelta(day - 1) for day in (first, last)]
        from_ms, to_ms = (at(f"{day} 00:00", ZONE) for day in (dates[0], dates[1] + dt.timedelta(1)))
        inside = [each for each in orders.values() if from_ms <= each.occurred_at_ms < to_ms]
        window = f"range:{dates[0]}..{dates[1]}"
        for by, sets in (("", {"": frozenset(range(14))}), ("slice", SLICES), ("leaf", LEAVES)):
            rows = ask(columns, window, by)
            assert {row.get(by, ""): {name: row[name] for name in METRICS} for row in rows} == {
                name: told(inside, atoms) for name, atoms in sets.items()
            }
        (own,) = ask(columns, window, "", "owner=own")
        assert {name: own[name] for name in METRICS} == told(inside, OWNERS["own"])


def ask(columns: Columns, window: str, by: str, where: str = "") -> list[dict[str, Any]]:
    words = {"metrics": METRICS, "by": by, "where": where, "window": window}
    return run(columns, parse_request(words), now_ms=END_MS).rows


@pytest.mark.parametrize("grain", ["hour", "day", "week"])
def test_rows_of_time_sum_to_the_orders_of_the_window(grain: str) -> None:
    draw = random.Random(7)
    orders = [order("first", BEGIN_MS, [line("0", "A", 100)], "c1")]
    columns = board(orders, zone=ZONE)
    orders += [drawn(draw, f"o{number}") for number in range(60)]
    for number, each in enumerate(orders):
        columns.apply(Flush(0, number, [], [fact_row(each)], [], [], []))
        if number % 20:
            continue
        words = {
            "metrics": ["gmv", "orders", "est_customers"],
            "by": grain,
            "window": "range:2024-10-31..2024-11-05",
        }
        rows = run(columns, parse_request(words), now_ms=END_MS).rows
        known = told(orders[: number + 1], frozenset(range(14)))
        assert sum(row["orders"] for row in rows) == known["orders"]
        assert round(sum(row["gmv"] for row in rows), 2) == known["gmv"]
        if grain != "hour":
            assert sum(row["est_customers"] for row in rows) == known["est_customers"]
