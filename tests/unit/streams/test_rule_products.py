"""Rules on campaign products, against ranks and shares counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from streams.columns import Columns
from streams.days import HOUR_MS, MINUTE_MS
from streams.events import Event
from streams.rule import Judgement, Reading, Rule
from streams.rule_context import RuleContext
from streams.rule_products import PUSH_ON_EMPTY, SLOW_SELLER
from streams.rule_settings import RuleSettings
from streams.settings import Settings
from tests.unit.streams.boards import (
    LIVE,
    SHOP,
    SHOP_TAB,
    at,
    flush_of,
    heartbeat,
    line,
    order,
    settings,
    stock,
    traffic,
)
from tests.unit.streams.test_goals import campaign

NOW = at("2024-11-29 20:10")
OUT = at("2024-11-29 19:40")


def found(rule: Rule, events: list[Event], *, now_ms: int = NOW, **numbers: Any) -> dict[str, Reading]:
    known: Settings = replace(settings(), rules=replace(RuleSettings(), **numbers))
    columns = Columns(known)
    columns.apply(flush_of(events))
    context = RuleContext(columns, known.shops[SHOP], known, now_ms)
    return {reading.entity.id: reading for reading in rule.find(context)}


def shown(product: str, times: int, from_ms: int, to_ms: int, source: Any = LIVE) -> list[Event]:
    step = (to_ms - from_ms) / max(times, 1)
    return [
        traffic("product_impression", from_ms + int(step * number), None, product, source)
        for number in range(times)
    ]


NAMES = [chr(ord("A") + number) for number in range(20)]
products = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 12)), min_size=10, max_size=20)


@profile(max_examples=30, deadline=None)
@given(products)
def test_slow_are_the_least_sold_tenth_as_far_as_they_were_shown_more_than_the_median(
    numbers: list[tuple[int, int]],
) -> None:
    events: list[Event] = [msgspec.structs.replace(campaign(), product_ids=NAMES[: len(numbers)])]
    for name, (impressions, units) in zip(NAMES, numbers, strict=False):
        events += shown(name, impressions, NOW - HOUR_MS, NOW)
        if units:
            events.append(
                order(f"o{name}", NOW - MINUTE_MS, [line("1", f"{name}1", 100 * units, quantity=units)])
            )
    readings = found(SLOW_SELLER, events, slow_min_expected=0.0)
    fired = {name for name, reading in readings.items() if reading.judgement is Judgement.FIRES}
    # Written again: ranks by counting how many sold less, with the more often shown first among equals.
    counted = dict(zip(NAMES, numbers, strict=False))
    ordered = sorted(impressions for impressions, _ in numbers)
    half = len(ordered) // 2
    median = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    expected = set()
    for name, (impressions, units) in counted.items():
        before = sum(
            (other_units, -other_shown, other) < (units, -impressions, name)
            for other, (other_shown, other_units) in counted.items()
        )
        if before < len(numbers) // 10 and impressions > median:
            expected.add(name)
    # Without an order in the campaign there is no source of orders, and nothing to rank by.
    assert fired == (expected if any(units for _, units in numbers) else set())


def test_a_product_of_no_campaign_is_not_ranked() -> None:
    events: list[Event] = [
        msgspec.structs.replace(campaign(), product_ids=["A"]),
        *shown("A", 5, NOW - HOUR_MS, NOW),
        *shown("Z", 50, NOW - HOUR_MS, NOW),
    ]
    events.append(order("o", NOW - MINUTE_MS, [line("1", "A1", 100)]))
    assert set(found(SLOW_SELLER, events)) == {"A"}


def test_without_a_running_campaign_nothing_is_ranked() -> None:
    events = [*shown("A", 5, NOW - HOUR_MS, NOW), order("o", NOW - MINUTE_MS, [line("1", "A1", 100)])]
    assert found(SLOW_SELLER, events) == {}


def empty_shelf(*more: Event) -> list[Event]:
    feeds = heartbeat(["stock", "orders", "impressions"], NOW)
    return [stock("A1", 9, OUT - HOUR_MS), stock("A1", 0, OUT), feeds, *more]


def test_showings_of_the_quarter_hours_after_it_ran_out_count_by_the_share_of_lives() -> None:
    # From 19:45 on: 180 showings. Of today's 300 of the product 240 came from a LIVE, that is 80 %.
    events = empty_shelf(
        *shown("A", 120, OUT - 30 * MINUTE_MS, OUT),
        *shown("A", 120, OUT + 5 * MINUTE_MS, NOW),
        *shown("A", 60, OUT + 5 * MINUTE_MS, NOW, SHOP_TAB),
    )
    # The present and the last quarter hour are 19:45 to 20:00 and 20:00 to 20:10: all of the 180 fall into them.
    reading = found(PUSH_ON_EMPTY, events)["A1"]
    assert reading.figures["shown"] == 180
    assert reading.value == 180 * 240 / 300
    assert reading.judgement is Judgement.FIRES


def test_a_live_that_ended_takes_no_more_air_time() -> None:
    events = empty_shelf(
        *shown("A", 300, OUT + 5 * MINUTE_MS, NOW - 6 * MINUTE_MS),
        *shown("A", 50, NOW - MINUTE_MS, NOW, SHOP_TAB),
    )
    reading = found(PUSH_ON_EMPTY, events)["A1"]
    assert (reading.judgement, reading.value) == (Judgement.CLEAR, 0.0)


def test_a_sku_in_stock_or_without_impressions_is_not_looked_at() -> None:
    in_stock = [stock("A1", 9, OUT), *shown("A", 300, OUT, NOW), heartbeat(["stock", "orders"], NOW)]
    assert found(PUSH_ON_EMPTY, in_stock) == {}
    assert found(PUSH_ON_EMPTY, [stock("A1", 0, OUT), heartbeat(["stock", "orders"], NOW)]) == {}
