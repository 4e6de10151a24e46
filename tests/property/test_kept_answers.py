"""A board that was asked all along answers as one that is asked for the first time: nothing that is kept is stale."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import frames, query
from streams.columns import Columns
from streams.days import MINUTE_MS
from streams.events import Event, Product
from streams.views import VIEWS, run_view
from tests.unit.streams.boards import (
    CREATOR,
    LIVE,
    SHOP,
    SHOP_TAB,
    at,
    flush_of,
    heartbeat,
    line,
    order,
    stock,
    traffic,
)
from tests.unit.streams.boards import settings as board_settings

BASE_MS = at("2024-11-20 00:00")
NOON_MS = at("2024-11-29 12:00")
PRODUCTS = ("A", "B", "C")
SKUS = ("A1", "A2", "B1", "C1")

minutes_ago = st.integers(0, 3 * 24 * 60)
orders = st.builds(
    lambda number, ago, picked, customer: order(
        f"o{number}",
        NOON_MS - ago * MINUTE_MS,
        [
            line(str(place), sku, goods, quantity=quantity, source=source)
            for place, (sku, goods, quantity, source) in enumerate(picked)
        ],
        customer,
    ),
    # Few numbers, so that an order is replaced by its next version, with other lines and on another day.
    st.integers(0, 5),
    minutes_ago,
    st.lists(
        st.tuples(
            st.sampled_from(SKUS),
            st.integers(0, 5_000),
            st.integers(0, 3),
            st.sampled_from([None, LIVE, CREATOR, SHOP_TAB]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["c1", "c2"]),
)
levels = st.builds(
    lambda sku, available, ago, warehouse: stock(
        sku, available, NOON_MS - ago * MINUTE_MS, warehouse=warehouse
    ),
    st.sampled_from(SKUS),
    st.integers(-2, 20),
    minutes_ago,
    st.sampled_from(["east", "west"]),
)
seen = st.builds(
    lambda kind, ago, user, product: traffic(kind, NOON_MS - ago * MINUTE_MS, user, product),
    st.sampled_from(["product_page_view", "add_to_cart", "product_click", "product_impression"]),
    minutes_ago,
    st.sampled_from(["u1", "u2", "u3", "u4", None]),
    st.sampled_from(PRODUCTS),
)
cards = st.builds(
    lambda product, version, price, listed: Product(
        event_id=f"product-{product}-{version}",
        event_type="product",
        shop_id=SHOP,
        occurred_at_ms=BASE_MS + version,
        product_id=product,
        name=f"Dress {price}",
        category="dresses",
        sku_ids=[f"{product}1"],
        price_minor=price,
        version=version,
        status=listed,
    ),
    st.sampled_from(PRODUCTS),
    st.integers(1, 5),
    st.integers(1, 3).map(lambda price: price * 1_000),
    st.sampled_from(["live", "deleted"]),
)
flushes = st.lists(
    st.tuples(st.lists(st.one_of(orders, levels, seen, cards), max_size=8), st.integers(0, 90)),
    min_size=2,
    max_size=4,
)

TOPICS = ["orders", "stock", "clicks", "impressions", "page_views", "carts"]
QUESTIONS: tuple[dict[str, str], ...] = (
    {"metrics": "gmv,orders,items_sold,sku_orders,est_customers", "by": "product", "window": "today"},
    {"metrics": "gmv,orders", "by": "sku,slice", "window": "last7"},
    {"metrics": "orders,gmv", "by": "hour,product", "window": "all"},
    {"metrics": "stock_on_hand,stock_status,sell_velocity,gmv_at_risk", "by": "product"},
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(flushes, st.sampled_from([1, 4, frames.FEW_ROWS]))
def test_what_is_kept_between_questions_changes_no_answer(
    steps: list[tuple[list[Event], int]], few_rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # A table of so few rows is in pieces of which nothing is kept, unless less is called few.
        patch.setattr(frames, "FEW_ROWS", few_rows)
        ask_again(steps)


def ask_again(steps: list[tuple[list[Event], int]]) -> None:
    began: list[Event] = [heartbeat(TOPICS, BASE_MS)]
    asked = Columns(board_settings())
    asked.apply(flush_of(began))
    told = began
    now_ms = NOON_MS
    for number, (events, waited) in enumerate(steps, 2):
        now_ms += waited * MINUTE_MS
        told = [*told, *events]
        # Cells and positions of a flush carry their whole value; a fact that is known already changes nothing.
        asked.apply(flush_of(told, number=number))
        asked.vouch(now_ms)
        fresh = Columns(board_settings())
        fresh.apply(flush_of(told))
        fresh.vouch(now_ms)
        assert answers(asked, now_ms) == answers(fresh, now_ms)


def answers(columns: Columns, now_ms: int) -> list[dict[str, Any]]:
    found = [run_view(columns, VIEWS["products"], {}, now_ms=now_ms).document()]
    for question in QUESTIONS:
        answer = query.run(columns, query.parse_request(question), now_ms=now_ms)
        rows = answer.document()
        rows["rows"] = sorted(rows["rows"], key=str)
        found.append(rows)
    return found


def test_a_product_card_that_was_asked_for_gives_way_to_its_next_version() -> None:
    columns = Columns(board_settings())
    for version, name in ((1, "Dress"), (2, "Red dress")):
        card = Product(
            event_id=f"product-A-{version}",
            event_type="product",
            shop_id=SHOP,
            occurred_at_ms=BASE_MS + version,
            product_id="A",
            name=name,
            category="dresses",
            sku_ids=["A1"],
            price_minor=1_000,
            version=version,
        )
        columns.apply(flush_of([card], number=version))
        assert columns.products(SHOP)["A"].name == name
