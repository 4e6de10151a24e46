"""What if: worked out by hand against a shop that sells ten an hour, and laws of the projection in use."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.columns import Columns
from streams.days import HOUR_MS, MINUTE_MS
from streams.errors import QueryError
from streams.events import Campaign, Fact
from streams.projection import Projection, ProjectionInput
from streams.settings import Settings, ShopSettings, StockSettings
from streams.what_if import WhatIf, what_if
from streams.what_if_words import parse_scenario, what_if_document, what_if_text
from streams.what_if_world import ALL, FlashSale, Range, Restock, Scenario
from tests.unit.streams.boards import SHOP, at, board, line, order, stock

ZONE = "America/New_York"
SHOP_SETTINGS = ShopSettings(SHOP, ZONE)
NOW = at("2026-11-27 20:00", ZONE)
END = at("2026-11-28 00:00", ZONE)


def ten_an_hour(data: ProjectionInput, _: StockSettings) -> Projection:
    """Every SKU sells 10 an hour, of which one may believe 8 to 12."""
    hours = np.maximum(data.horizon_end_ms - data.as_of_ms, 0) / HOUR_MS
    speed = np.full(len(data.on_hand), 10.0)

    def lost(rate: float) -> Any:
        return np.maximum(rate * hours - data.on_hand, 0.0)

    return Projection(
        velocity_per_h=speed,
        hours=data.on_hand / 10,
        hours_low=data.on_hand / 12,
        hours_high=data.on_hand / 8,
        demand=10 * hours,
        demand_low=8 * hours,
        demand_high=12 * hours,
        lost=lost(10),
        lost_low=lost(8),
        lost_high=lost(12),
    )


@cache
def shop(on_hand: int = 15) -> Columns:
    """A campaign until midnight; A1 costs 10.00, has sold on every quarter hour and has `on_hand` left at 20:00."""
    begin = at("2026-11-27 08:00", ZONE)
    events: list[Fact] = [
        order(f"{sku}-{at_ms}", at_ms, [line("1", sku, 1_000)])
        for at_ms in range(begin, NOW, 15 * MINUTE_MS)
        for sku in ("A1", "B1")
    ]
    events += [stock("A1", on_hand, NOW - MINUTE_MS), stock("B1", 500, NOW - MINUTE_MS)]
    events.append(
        Campaign(
            event_id="c",
            event_type="campaign",
            shop_id=SHOP,
            occurred_at_ms=begin,
            campaign_id="bf",
            name="Friday",
            starts_at_ms=at("2026-11-27 00:00", ZONE),
            ends_at_ms=END,
            joined_at_ms=0,
            version=1,
            product_ids=["A", "B"],
            target_value=1_000.0,
        )
    )
    return board(events, zone=ZONE, vouch_ms=NOW)


def answer(scenario: Scenario, on_hand: int = 15, **more: Any) -> WhatIf:
    known = {"project": ten_an_hour} | more
    return what_if(shop(on_hand), SHOP_SETTINGS, Settings(), scenario, as_of_ms=NOW, **known)


def added(units: int, time: str, **more: Any) -> WhatIf:
    return answer(Scenario(restocks=(Restock("A1", units, at(f"2026-11-27 {time}", ZONE)),)), **more)


def flash(factor: float, subject: str = "A", start: str = "21:00", end: str = "22:00") -> Scenario:
    times = (at(f"2026-11-27 {time}", ZONE) for time in (start, end))
    return Scenario(flash_sales=(FlashSale(subject, factor, *times),))


def test_before_is_what_the_stock_table_says() -> None:
    """15 left at 10 an hour are gone at 21:30; of 40 wanted until midnight 25 are lost, 10.00 each."""
    (row,) = added(300, "21:00").skus
    assert row.before.out_ms == at("2026-11-27 21:30", ZONE)
    assert row.before.out_low_ms == at("2026-11-27 21:15", ZONE)
    assert row.before.out_high_ms == NOW + 15 * HOUR_MS // 8
    assert (row.before.demand_units, row.before.lost_units) == (40, Range(25, 17, 33))
    assert row.before.gmv_at_risk_minor == Range(25_000, 17_000, 33_000)


def test_stock_that_comes_in_time_moves_the_stock_out() -> None:
    (row,) = added(300, "21:00").skus
    assert row.after.out_ms == NOW + round(31.5 * HOUR_MS)
    assert row.after.again_ms is None
    assert row.after.lost_units == Range(0, 0, 0)


def test_stock_that_comes_too_late_sells_only_what_is_wanted_from_then_on() -> None:
    """Out at 21:30; the 5 wanted until 22:00 are lost; the 300 last for 30 hours from 22:00."""
    (row,) = added(300, "22:00").skus
    assert row.after.out_ms == at("2026-11-27 21:30", ZONE)
    assert row.after.again_ms == at("2026-11-27 22:00", ZONE) + 30 * HOUR_MS
    # At 8 an hour 15 last until 21:52 and 1 is lost; at 12 an hour 9 are.
    assert row.after.lost_units == pytest.approx((5, 1, 9))


def test_stock_that_comes_after_the_end_saves_nothing() -> None:
    (row,) = answer(Scenario(restocks=(Restock("A1", 300, END + HOUR_MS),))).skus
    assert row.after.lost_units == row.before.lost_units


def test_stock_that_is_there_already_counts_at_once() -> None:
    (row,) = added(5, "19:00").skus
    assert row.after.out_ms == at("2026-11-27 22:00", ZONE)


def test_a_sku_that_is_out_sells_again_when_stock_comes() -> None:
    (row,) = added(10, "21:00", on_hand=0).skus
    assert (row.before.out_ms, row.before.again_ms) == (NOW, None)
    assert row.after.out_ms == NOW
    assert row.after.again_ms == at("2026-11-27 22:00", ZONE)
    # 40 are wanted; 10 of the first hour and 20 of the last two are lost.
    assert row.after.lost_units.mid == pytest.approx(30)


def test_a_flash_sale_of_two_counts_its_hour_twice() -> None:
    """10 are sold until 21:00, the other 5 in a quarter hour; 50 are wanted until midnight."""
    (row,) = answer(flash(2)).skus
    assert row.after.out_ms == at("2026-11-27 21:15", ZONE)
    assert row.after.demand_units == pytest.approx(50)
    assert row.after.lost_units.mid == pytest.approx(35)


def test_a_flash_sale_that_is_over_or_after_the_stock_out_changes_no_instant() -> None:
    assert answer(flash(2, start="18:00", end="19:00")).skus[0].after.out_ms == at("2026-11-27 21:30", ZONE)
    assert answer(flash(2, start="22:00", end="23:00")).skus[0].after.out_ms == at("2026-11-27 21:30", ZONE)


def test_a_flash_sale_under_way_counts_from_now() -> None:
    (row,) = answer(flash(2, start="19:00", end="20:30")).skus
    assert row.after.out_ms == at("2026-11-27 21:00", ZONE)


def test_two_flash_sales_multiply_and_more_stock_helps_against_both() -> None:
    sales = (*flash(2).flash_sales, *flash(3, "A1").flash_sales)
    restock = Restock("A1", 55, at("2026-11-27 20:30", ZONE))
    (row,) = answer(Scenario(restocks=(restock,), flash_sales=sales)).skus
    # 10 until 21:00, 60 in the hour of six: 70 there are gone at 22:00; 20 are wanted after it.
    assert row.after.out_ms == at("2026-11-27 22:00", ZONE)
    assert row.after.lost_units.mid == pytest.approx(20)


@pytest.mark.parametrize(
    ("subject", "skus"), [("A", {"A1"}), ("B1", {"B1"}), (ALL, {"A1", "B1"}), ("C", set())]
)
def test_a_flash_sale_touches_its_sku_its_product_or_all(subject: str, skus: set[str]) -> None:
    found = answer(flash(2, subject))
    assert {row.sku_id for row in found.skus} == skus
    assert found.unknown_skus == (() if skus else ("C",))


def test_the_end_value_loses_what_runs_out_and_wins_it_back_with_stock() -> None:
    """960.00 in 20 of 24 hours go on to 1,152.00; 30 left sell out at 23:00, and 10 of 10.00 are lost."""
    goal = added(300, "21:00", on_hand=30).goal
    assert goal is not None
    assert goal.before.end is not None
    assert goal.after.end is not None
    assert goal.basis == "straight"
    assert goal.before.end.mid == pytest.approx(105_200, rel=1e-4)
    assert goal.after.end.mid == pytest.approx(115_200, rel=1e-4)


def test_the_end_value_is_never_less_than_what_is_sold() -> None:
    """25 lost of 10.00 are more than the 192.00 that were to come."""
    goal = added(1, "20:30").goal
    assert goal is not None
    assert goal.before.end is not None
    assert goal.before.end.mid == goal.before.value == 96_000


def test_the_end_value_grows_by_what_a_flash_sale_can_sell() -> None:
    """B1 has 500 left: ten more are sold in the hour of two, 10.00 each."""
    goal = answer(flash(2, "B"), on_hand=400).goal
    assert goal is not None
    assert goal.before.end is not None
    assert goal.after.end is not None
    assert goal.after.end.mid - goal.before.end.mid == pytest.approx(10_000)


def test_a_lower_goal_is_reached_further_and_needs_less() -> None:
    goal = answer(Scenario(goal=960.0)).goal
    assert goal is not None
    # 96 orders of 10.00 of 1,000.00.
    assert (goal.before.target, goal.after.target) == (100_000, 96_000)
    assert goal.before.progress_pct == pytest.approx(96)
    assert goal.after.progress_pct == pytest.approx(100)
    assert (goal.before.needed_per_h, goal.after.needed_per_h) == (1_000, 0)
    assert goal.after.end == goal.before.end


def test_nothing_is_stored() -> None:
    columns = shop()
    version = columns.version
    added(300, "21:00")
    assert columns.version == version


# --- laws of the projection in use ----------------------------------------------------------------------------------

instants = st.integers(-60, 600).map(lambda minutes: NOW + minutes * MINUTE_MS)


def outs(found: WhatIf, world: str) -> list[float]:
    (row,) = found.skus
    outlook = getattr(row, world)
    return [
        float("inf") if each is None else each
        for each in (outlook.out_ms, outlook.out_low_ms, outlook.out_high_ms)
    ]


def of(scenario: Scenario) -> WhatIf:
    return what_if(shop(), SHOP_SETTINGS, Settings(), scenario, as_of_ms=NOW)


@given(st.integers(1, 2_000), instants)
@settings(max_examples=40, deadline=None)
def test_more_stock_never_brings_the_stock_out_forward_nor_puts_more_money_at_risk(
    units: int, at_ms: int
) -> None:
    found = of(Scenario(restocks=(Restock("A1", units, at_ms),)))
    assert all(
        after >= before for before, after in zip(outs(found, "before"), outs(found, "after"), strict=True)
    )
    assert all(
        after <= before
        for before, after in zip(found.gmv_at_risk_before, found.gmv_at_risk_after, strict=True)
    )


@given(instants, st.integers(1, 600))
@settings(max_examples=20, deadline=None)
def test_a_factor_of_one_changes_nothing(from_ms: int, minutes: int) -> None:
    found = of(Scenario(flash_sales=(FlashSale(ALL, 1.0, from_ms, from_ms + minutes * MINUTE_MS),)))
    assert all(row.before == row.after for row in found.skus)
    assert found.gmv_at_risk_before == found.gmv_at_risk_after
    assert found.goal is not None
    assert found.goal.before == found.goal.after


@given(st.floats(1.01, 50), instants, st.integers(1, 600))
@settings(max_examples=40, deadline=None)
def test_more_demand_never_puts_the_stock_out_off(factor: float, from_ms: int, minutes: int) -> None:
    found = of(Scenario(flash_sales=(FlashSale("A", factor, from_ms, from_ms + minutes * MINUTE_MS),)))
    # A millisecond of rounding between the two clocks.
    assert all(
        after <= before + 1 for before, after in zip(outs(found, "before"), outs(found, "after"), strict=True)
    )


@given(st.floats(0.01, 1_000))
@settings(max_examples=40, deadline=None)
def test_a_lower_goal_never_lowers_progress(goal: float) -> None:
    found = of(Scenario(goal=goal)).goal
    assert found is not None
    assert found.before.progress_pct is not None
    assert found.after.progress_pct is not None
    assert found.after.progress_pct >= found.before.progress_pct


def test_without_a_change_the_end_value_lies_in_its_interval() -> None:
    found = of(Scenario(goal=1_000.0)).goal
    assert found is not None
    assert found.before.end is not None
    assert found.before.end.low <= found.before.end.mid <= found.before.end.high


# --- in words -------------------------------------------------------------------------------------------------------


def parsed(*, stock: tuple[str, ...] = (), sale: tuple[str, ...] = (), goal: str | None = None) -> Scenario:
    return parse_scenario(stock, sale, goal, timezone=ZONE, now_ms=NOW)


def test_words_mean_times_of_the_shops_today() -> None:
    scenario = parsed(stock=("A1=300@22:00",), sale=("dress=2.0@21:00..24:00",), goal="50000")
    assert scenario.restocks == (Restock("A1", 300, at("2026-11-27 22:00", ZONE)),)
    assert scenario.flash_sales == (FlashSale("dress", 2.0, at("2026-11-27 21:00", ZONE), END),)
    assert scenario.goal == 50_000


def test_another_day_and_now_can_be_named_and_a_sku_may_hold_signs() -> None:
    scenario = parsed(stock=("A=1 @ home=7", "A1=300@2026-11-28T10:00"))
    assert scenario.restocks == (
        Restock("A=1 @ home", 7, NOW),
        Restock("A1", 300, at("2026-11-28 10:00", ZONE)),
    )


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"stock": ("A1",)},
        {"stock": ("=3@22:00",)},
        {"stock": ("A1=some@22:00",)},
        {"stock": ("A1=1.5@22:00",)},
        {"stock": ("A1=-5",)},
        {"stock": ("A1=3@25:00",)},
        {"stock": ("A1=3@9999-99-99T10:00",)},
        {"sale": ("A=2@21:00",)},
        {"sale": ("A=2@22:00..21:00",)},
        {"sale": ("A=0@21:00..22:00",)},
        {"sale": ("A=nan@21:00..22:00",)},
        {"sale": ("A=1e9@21:00..22:00",)},
        {"goal": "-1"},
        {"goal": "inf"},
        {"goal": "lots"},
        {"stock": ("A1=1",) * 21},
    ],
)
def test_words_that_mean_nothing_are_refused_with_the_form(words: dict[str, Any]) -> None:
    with pytest.raises(QueryError) as refused:
        parsed(**words)
    assert refused.value.reason == "bad_scenario"
    assert refused.value.mend


def test_the_document_and_the_text_say_before_and_after() -> None:
    document = what_if_document(added(300, "22:00"), SHOP_SETTINGS)
    (row,) = document["skus"]
    assert row["before"]["gmv_at_risk"] == {"mid": 250.0, "low": 170.0, "high": 330.0}
    text = what_if_text(document)
    assert (
        "  before runs out 27 Nov 21:30 (27 Nov 21:15 to 27 Nov 21:52); at risk 250 (170 to 330) USD" in text
    )
    assert ", again 29 Nov 04:00 " in text
    assert "Nothing is stored." in text
