"""The benchmark of queries asks every view, of a shop whose figures are those of its own facts."""

from __future__ import annotations

import json

import pytest

from benchmarks import queries
from benchmarks.load import SHOP, Assortment
from benchmarks.month_facts import Size
from benchmarks.shop_month import ShopMonth
from streams.columns import Columns
from streams.events import OrderPaid
from streams.query import run
from streams.request import parse_request
from streams.settings import Settings
from streams.views import VIEWS

SMALL = Size(days=3, lines=600, events=600, shop=Assortment(products=40, contents=20, creators=10))

pytestmark = pytest.mark.timeout(120)


def test_every_view_is_asked_first_after_a_change_and_again() -> None:
    document = queries.measure(SMALL, rounds=1)
    assert document["views"].keys() == VIEWS.keys()
    for figures in document["views"].values():
        for when in ("first", "changed", "same"):
            assert figures[when]["p95_wall_ms"] > 0
    assert json.loads(json.dumps(document)) == document


def test_the_board_that_is_asked_holds_what_the_month_holds() -> None:
    month = ShopMonth(SMALL)
    columns = Columns(Settings(shops={SHOP.shop_id: SHOP}))
    orders: list[OrderPaid] = []
    for flush in (*month.flushes(), *month.second()):
        columns.apply(flush)
        orders += [fact.event for fact in flush.facts if isinstance(fact.event, OrderPaid)]
    answer = run(
        columns,
        parse_request({"metrics": "gmv,orders,product_impressions", "window": "campaign"}),
        now_ms=month.now_ms,
    )
    (row,) = answer.rows
    paid = sum(line.goods_paid_minor + line.shipping_paid_minor for order in orders for line in order.lines)
    assert row["orders"] == len(orders)
    assert float(row["gmv"]) == pytest.approx(paid / 100)
    assert month.lines == sum(len(order.lines) for order in orders)
    assert row["product_impressions"] > SMALL.events * SMALL.days * 0.5
