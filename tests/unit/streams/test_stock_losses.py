"""gmv_lost_to_stockout against what a person reckons by hand; prices are 10.00 a unit throughout."""

from __future__ import annotations

import random
from typing import Any

import pytest

from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.events import Fact
from streams.query import parse_request, run
from streams.settings import ShopSettings
from streams.stock_losses import StockLoss, stock_losses
from tests.unit.streams.boards import SHOP, at, board, heartbeat, line, order, stock

DAY = at("2024-11-29 00:00")
NOW = DAY + 16 * HOUR_MS


def sold(sku: str, per_hour: int, from_ms: int, to_ms: int, price: int = 1000) -> list[Fact]:
    """Return orders of one unit each in the middle of even steps."""
    step = HOUR_MS // per_hour
    return [
        order(f"{sku}-{at_ms}", at_ms, [line("1", sku, price)])
        for at_ms in range(from_ms + step // 2, to_ms, step)
    ]


def losses(events: list[Fact], from_ms: int = DAY, to_ms: int = NOW) -> dict[str, StockLoss]:
    known = [heartbeat(["orders"], DAY - 9 * DAY_MS), *events]
    found = stock_losses(board(known), ShopSettings(SHOP, "UTC"), from_ms=from_ms, to_ms=to_ms)
    return {loss.sku_id: loss for loss in found}


OUT_AT_NOON: list[Fact] = [
    stock("A1", 100, DAY),
    *sold("A1", 10, DAY, DAY + 12 * HOUR_MS),
    stock("A1", 0, DAY + 12 * HOUR_MS),
    stock("A1", 50, DAY + 14 * HOUR_MS),
    *sold("A1", 10, DAY + 14 * HOUR_MS, NOW),
]
"""Ten an hour, and two hours without stock."""


def test_two_hours_without_stock_cost_what_two_hours_in_stock_sell() -> None:
    loss = losses(OUT_AT_NOON)["A1"]
    assert loss.hours_out == 2
    assert loss.units == pytest.approx(20)
    assert loss.gmv_lost_minor == 20_000
    assert loss.product_id == "A"


def test_nothing_is_lost_while_another_warehouse_has_some() -> None:
    other = [stock("A1", 5, DAY, warehouse="east"), *OUT_AT_NOON]
    assert losses(other)["A1"].gmv_lost_minor == 0


def test_below_zero_is_out_and_what_is_oversold_teaches_no_speed() -> None:
    below = [
        *OUT_AT_NOON,
        stock("A1", -60, DAY + 12 * HOUR_MS + 30 * MINUTE_MS),
        *sold("A1", 60, DAY + 12 * HOUR_MS, DAY + 13 * HOUR_MS),
    ]
    assert losses(below)["A1"].units == pytest.approx(20)


def test_records_in_any_order_give_the_same() -> None:
    mixed = list(OUT_AT_NOON)
    random.Random(7).shuffle(mixed)
    assert losses(mixed) == losses(OUT_AT_NOON)


def test_a_window_takes_its_own_part_of_a_spell() -> None:
    loss = losses(OUT_AT_NOON, DAY + 13 * HOUR_MS, NOW)["A1"]
    assert loss.hours_out == 1
    assert loss.gmv_lost_minor == 10_000


def test_what_is_still_out_is_lost_up_to_the_end_and_no_further() -> None:
    assert losses(OUT_AT_NOON[:-11], to_ms=DAY + 13 * HOUR_MS)["A1"].hours_out == 1


def test_a_sku_that_never_sold_has_lost_nothing_that_anybody_knows_of() -> None:
    loss = losses([stock("B1", 0, DAY), *OUT_AT_NOON])["B1"]
    assert (loss.hours_out, loss.units, loss.gmv_lost_minor) == (16, 0, 0)


def test_a_day_that_began_empty_is_reckoned_by_the_days_before() -> None:
    before = sold("A1", 4, DAY - 2 * DAY_MS, DAY)
    loss = losses([stock("A1", 500, DAY - 2 * DAY_MS), *before, stock("A1", 0, DAY)])["A1"]
    # Sixteen hours at four an hour.
    assert loss.units == pytest.approx(64)


def test_the_days_before_count_as_six_sales_beside_those_of_the_day() -> None:
    before = sold("A1", 4, DAY - 2 * DAY_MS, DAY)
    day = [*sold("A1", 20, DAY, DAY + HOUR_MS), stock("A1", 0, DAY + HOUR_MS)]
    loss = losses([stock("A1", 500, DAY - 2 * DAY_MS), *before, *day])["A1"]
    # Six sales in 1.5 hours of before and twenty in the one hour of the day; fifteen hours are out.
    assert loss.units == pytest.approx((6 + 20) / (1.5 + 1) * 15)


def test_an_hour_of_prime_time_costs_more_than_one_of_the_night() -> None:
    # B sells 1 an hour until 18:00 and 50 an hour then, which is the shape of the shop's day; A sells one an hour.
    events: list[Fact] = [stock("A1", 100, DAY - DAY_MS)]
    for start in (DAY - DAY_MS, DAY):
        events += sold("B1", 1, start, start + 18 * HOUR_MS) + sold(
            "B1", 50, start + 18 * HOUR_MS, start + DAY_MS
        )
    night = [*events, *sold("A1", 1, DAY, DAY + 3 * HOUR_MS), stock("A1", 0, DAY + 3 * HOUR_MS)]
    hour = losses([*night, stock("A1", 9, DAY + 4 * HOUR_MS)], to_ms=DAY + DAY_MS)["A1"]
    prime = [*night, stock("A1", 9, DAY + 4 * HOUR_MS), stock("A1", 0, DAY + 18 * HOUR_MS)]
    evening = losses([*prime, stock("A1", 9, DAY + 19 * HOUR_MS)], to_ms=DAY + DAY_MS)["A1"]
    assert (hour.hours_out, evening.hours_out) == (1, 2)
    assert evening.units > 10 * hour.units > 0


def test_without_a_stock_record_there_is_nothing_to_reckon() -> None:
    assert losses(sold("A1", 10, DAY, NOW)) == {}


def ask(events: list[Fact], **params: str) -> dict[str, Any]:
    columns = board([heartbeat(["orders"], DAY - 9 * DAY_MS), *events], vouch_ms=NOW)
    request = parse_request({"metrics": "gmv_lost_to_stockout", **params})
    return run(columns, request, now_ms=NOW).document()


def test_it_is_asked_by_sku_by_product_and_for_the_shop_within_a_window() -> None:
    events: list[Fact] = [*OUT_AT_NOON, stock("A2", 9, DAY), stock("B1", 9, DAY)]
    by_sku = ask(events, window="today", by="sku", sort="gmv_lost_to_stockout")["rows"]
    assert by_sku == [
        {"sku": "A1", "gmv_lost_to_stockout": 200.0},
        {"sku": "A2", "gmv_lost_to_stockout": 0.0},
        {"sku": "B1", "gmv_lost_to_stockout": 0.0},
    ]
    by_product = ask(events, window="today", by="product")["rows"]
    assert by_product == [
        {"product": "A", "gmv_lost_to_stockout": 200.0},
        {"product": "B", "gmv_lost_to_stockout": 0.0},
    ]
    assert ask(events, window="today")["rows"] == [{"gmv_lost_to_stockout": 200.0}]
    assert ask(events, window="today", where="product=B")["rows"] == [{"gmv_lost_to_stockout": 0.0}]
    assert ask(events, window="all")["rows"] == [{"gmv_lost_to_stockout": 200.0}]


def test_without_a_stock_feed_it_is_null_and_never_zero() -> None:
    found = ask(sold("A1", 10, DAY, NOW), window="today")
    assert found["rows"] == [{"gmv_lost_to_stockout": None}]
    assert found["nulls"] == {"gmv_lost_to_stockout": {"no_source": [0]}}
