"""Random orders against an oracle of dicts and sets, on days when the clock changes."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.atoms import SLICES, atom_of
from streams.events import OrderPaid, Source
from streams.query import parse_request, run
from tests.unit.streams.boards import at, board, line, order

#: Zone and the local midnight from which three days with a clock change in the middle begin.
CHANGES = (
    ("America/Los_Angeles", "2024-03-09 00:00"),
    ("America/Los_Angeles", "2024-11-02 00:00"),
    ("Europe/London", "2024-03-30 00:00"),
    ("Europe/London", "2024-10-26 00:00"),
)
SOURCES = [
    None,
    Source("seller", "live", "live_room", False),
    Source("seller", "product_card", "shop_tab", False),
    Source("affiliate", "video", "feed", False, creator_id="mia"),
    Source("affiliate", "live", "shop_tab", False, creator_id="zoe"),
]
THREE_DAYS_MINUTES = 71 * 60

lines = st.tuples(
    st.sampled_from(["A1", "A2", "B1"]), st.integers(0, 5_000), st.integers(0, 300), st.sampled_from(SOURCES)
)
orders = st.tuples(
    st.integers(0, THREE_DAYS_MINUTES),
    st.sampled_from(["c1", "c2", "c3"]),
    st.lists(lines, min_size=1, max_size=4),
)


def built(base_ms: int, drawn: list[Any]) -> list[OrderPaid]:
    return [
        order(
            f"o{number}",
            base_ms + minute * 60_000,
            [
                line(f"l{index}", sku, goods, shipping=shipping, source=source)
                for index, (sku, goods, shipping, source) in enumerate(parts)
            ],
            customer,
        )
        for number, (minute, customer, parts) in enumerate(drawn)
    ]


def keys_of(by: str, zone: ZoneInfo, placed: OrderPaid, part: Any) -> list[str]:
    """Return the values of a dimension that an order's line falls under; in local time, without our calendar."""
    local = dt.datetime.fromtimestamp(placed.occurred_at_ms / 1000, zone)
    if by == "day":
        return [local.date().isoformat()]
    if by == "hour":
        return [local.replace(minute=0, second=0).isoformat(timespec="hours")]
    if by == "product":
        return [str(part.product_id)]
    source = part.source
    atom = 12 if source is None else atom_of(source.owner, source.format, source.surface)
    return [name for name, atoms in SLICES.items() if atom in atoms]


def oracle(by: str, zone: ZoneInfo, placed: list[OrderPaid]) -> dict[str, dict[str, float]]:
    money: dict[str, int] = defaultdict(int)
    ids: dict[str, set[str]] = defaultdict(set)
    pairs: dict[str, int] = defaultdict(int)
    people: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for one in placed:
        day = dt.datetime.fromtimestamp(one.occurred_at_ms / 1000, zone).date().isoformat()
        seen: set[str] = set()
        for part in sorted(one.lines, key=lambda part: str(part.line_id)):
            for key in keys_of(by, zone, one, part):
                money[key] += part.goods_paid_minor + part.shipping_paid_minor
                ids[key].add(str(one.order_id))
                people[key].add((day, str(one.customer_id)))
                pairs[key] += part.sku_id not in seen
            seen.add(str(part.sku_id))
    return {
        key: {
            "gmv": money[key] / 100,
            "orders": len(ids[key]),
            "sku_orders": pairs[key],
            "est_customers": len(people[key]),
        }
        for key in ids
    }


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CHANGES),
    st.sampled_from(["day", "hour", "product", "slice"]),
    st.lists(orders, min_size=1, max_size=25),
)
def test_answers_equal_the_oracle_row_by_row(change: tuple[str, str], by: str, drawn: list[Any]) -> None:
    name, start = change
    placed = built(at(start, name), drawn)
    columns = board(placed, zone=name)
    request = parse_request({"metrics": "gmv,orders,sku_orders,est_customers", "by": by, "window": "all"})
    rows = run(columns, request, now_ms=at("2024-12-31 00:00")).document()["rows"]
    expected = oracle(by, ZoneInfo(name), placed)
    zero = {"gmv": 0.0, "orders": 0, "sku_orders": 0, "est_customers": 0}
    found = {row.pop(by): row for row in rows}
    assert {key: row for key, row in found.items() if row != zero} == {
        key: row for key, row in expected.items() if row != zero
    }
    assert expected.keys() <= found.keys()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(CHANGES), st.lists(orders, min_size=1, max_size=10))
def test_hours_of_a_series_are_continuous_and_as_many_as_the_clock_gives(
    change: tuple[str, str], drawn: list[Any]
) -> None:
    name, start = change
    placed = built(at(start, name), drawn)
    request = parse_request({"metrics": "orders", "by": "hour", "window": "all"})
    rows = run(board(placed, zone=name), request, now_ms=at("2024-12-31 00:00")).document()["rows"]
    texts = [f"{row['hour'][:13]}:00{row['hour'][13:]}" for row in rows]
    instants = [int(dt.datetime.fromisoformat(text).timestamp()) for text in texts]
    times = [one.occurred_at_ms // 1000 for one in placed]
    assert instants == list(range(min(times) // 3600 * 3600, max(times) + 1, 3600))


@settings(max_examples=40, deadline=None)
@given(st.lists(orders, min_size=1, max_size=15))
def test_money_adds_up_over_days_products_and_leaves(drawn: list[Any]) -> None:
    columns = board(built(at("2024-11-02 00:00"), drawn))
    whole = sum(goods + shipping for _, _, parts in drawn for _, goods, shipping, _ in parts)
    for by in ("day", "hour", "product", "sku", "leaf", "day,product", "product,leaf"):
        request = parse_request({"metrics": "gmv,sku_orders", "by": by, "window": "all"})
        rows = run(columns, request, now_ms=at("2024-12-31 00:00")).document()["rows"]
        assert sum(round(row["gmv"] * 100) for row in rows) == whole
