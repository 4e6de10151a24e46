"""The sales of a stock table: each one once, by itself or in the sum of a day that is long over."""

from __future__ import annotations

import random

import numpy as np
import pytest

from streams.columns import Columns
from streams.days import DAY_MS, QUARTER_MS
from streams.settings import StockSettings
from streams.stock_facts import StockFacts
from streams.stock_sales import StockSales
from tests.unit.streams.boards import SHOP, at, flush_of, line, order, settings, stock

NOON = at("2024-11-29 12:00")
SETTINGS = StockSettings()


def sales_of(columns: Columns) -> StockSales:
    return StockSales(columns, columns.shop(SHOP), SETTINGS, NOON, NOON)


def month() -> Columns:
    """Return a board with an order of A and one of B on each of forty days, of as many units as days ago."""
    columns = Columns(settings())
    for ago in range(40):
        lines = [line("1", "A1", 100, quantity=ago + 1), line("2", "B1", 100, quantity=ago + 1)]
        columns.apply(flush_of([order(f"o{ago}", NOON - ago * DAY_MS, lines)]))
    return columns


def test_every_sale_of_four_weeks_is_single_or_in_a_sum_and_none_is_both() -> None:
    sales = sales_of(month())
    single, older = sales.single(None), sales.older(np.array([0, 1]), 2, None)
    # The order of exactly four weeks ago is forgotten.
    assert len(single.quantity) + older.lines.sum() == 2 * 28
    assert older.lines[0] > 20
    assert single.quantity.sum() + older.units.sum() == 2 * sum(range(1, 29))
    in_sums = sorted(set(range(1, 29)) - set(single.quantity.tolist()))
    assert older.squares[0] == sum(units**2 for units in in_sums)
    assert older.weights[1] == pytest.approx(sum(2 ** -((units - 1) / 7) for units in in_sums))


def test_a_sku_that_was_out_has_all_its_sales_one_by_one() -> None:
    sales = sales_of(month())
    out = np.array([True, False])
    single, older = sales.single(out), sales.older(np.array([0, 1]), 2, out)
    assert older.lines[0] == 0
    assert np.bincount(single.sku_no).tolist() == [28, 28 - older.lines[1]]


def test_a_sku_without_a_row_is_in_no_sum() -> None:
    older = sales_of(month()).older(np.array([-1, 0]), 1, None)
    assert older.units.tolist() == sales_of(month()).older(np.array([0, 1]), 2, None).units[1:].tolist()


def test_an_order_that_comes_late_is_in_the_sum_of_its_day() -> None:
    columns = month()
    before = sales_of(columns).older(np.array([0, 1]), 2, None)
    columns.apply(flush_of([order("late", NOON - 10 * DAY_MS, [line("1", "A1", 100, quantity=5)])]))
    after = sales_of(columns).older(np.array([0, 1]), 2, None)
    assert (after.lines - before.lines).tolist() == [1, 0]
    assert (after.units - before.units).tolist() == [5, 0]


def test_of_windows_are_the_sales_paid_or_created_later() -> None:
    columns = month()
    created = order("early", NOON - 5 * DAY_MS, [line("1", "A1", 100, quantity=77)])
    columns.apply(flush_of([created]))
    found = sales_of(columns).of_windows(NOON - DAY_MS, NOON + 1)
    assert found.quantity.tolist() == [1, 1]
    assert sales_of(columns).of_windows(NOON, NOON - 6 * DAY_MS).quantity.max() == 77


def test_with_a_memory_longer_than_the_usual_one_every_sale_is_single() -> None:
    columns = month()
    settings_ = StockSettings(long_half_life_ms=5 * DAY_MS)
    sales = StockSales(columns, columns.shop(SHOP), settings_, NOON, NOON)
    assert sales.older(np.array([0, 1]), 2, None).lines.tolist() == [0, 0]
    assert len(sales.single(None).quantity) == 2 * 40


@pytest.mark.parametrize("seed", range(8))
def test_sales_made_while_nothing_was_left_say_nothing_of_the_speed(seed: int) -> None:
    draw = random.Random(seed)
    quarters = range(0, 2 * DAY_MS, QUARTER_MS)
    # Sales fall on the very instants of levels, too: such a sale was made of what was there before.
    told = {
        (sku, warehouse, NOON - ago): draw.choice((-1, 0, 0, 1, 5))
        for sku in ("A1", "B1")
        for warehouse in ("east", "west")
        for ago in draw.sample(quarters, 12)
    }
    sold = [
        (draw.choice(("A1", "B1", "C1")), NOON - draw.choice((ago, ago + 1, ago - 1, draw.choice(quarters))))
        for _, _, at_ms in told
        if (ago := NOON - at_ms) > 0
    ]
    columns = Columns(settings())
    levels = [
        stock(sku, level, at_ms, warehouse=warehouse) for (sku, warehouse, at_ms), level in told.items()
    ]
    orders = [order(f"o{number}", at_ms, [line("1", sku, 100)]) for number, (sku, at_ms) in enumerate(sold)]
    columns.apply(flush_of([*levels, *orders]))
    facts = StockFacts(columns, columns.shop(SHOP), SETTINGS, NOON)
    found = facts.projection_input()
    skus = facts.skus.get_column("sku_id").to_list()
    counted = [
        (skus[row], at_ms) for row, at_ms in zip(found.sale_sku, found.sale_at_ms.tolist(), strict=True)
    ]
    expected = [(sku, at_ms) for sku, at_ms in sold if left_before(told, sku, at_ms)]
    assert sorted(counted) == sorted(expected)
    assert len(expected) < len(sold)


def left_before(told: dict[tuple[str, str, int], int], sku: str, at_ms: int) -> bool:
    """Return whether some was left right before an instant, or nobody had told of it yet."""
    newest: dict[str, int] = {}
    for (own, warehouse, level_ms), level in sorted(told.items(), key=lambda each: each[0][2]):
        if own == sku and level_ms < at_ms:
            newest[warehouse] = level
    return not newest or sum(newest.values()) > 0
