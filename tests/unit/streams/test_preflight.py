"""Preflight: what is in the way of a campaign day, what is worth a look, and what is fine."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest

from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.events import Campaign, Event, OrderPaid, Product, Shop
from streams.findings import Finding, Level, may_go
from streams.preflight import CampaignStart, check_page, check_process, check_shop, next_campaign
from streams.settings import PreflightSettings, Settings, ShopSettings
from tests.unit.streams.boards import SHOP, at, flush_of, heartbeat, line, order, stock, traffic

ZONE = "America/Los_Angeles"
NOW = at("2024-11-28 20:00", ZONE)
START = at("2024-11-29 00:00", ZONE)
WEEK = 7 * DAY_MS


def campaign(**more: Any) -> Campaign:
    values: dict[str, Any] = {
        "campaign_id": "c1",
        "starts_at_ms": START,
        "ends_at_ms": START + DAY_MS,
        "target_value": 50_000.0,
        "product_ids": ["A"],
        "name": "Friday",
    } | more
    return Campaign(
        event_id=f"campaign-{values['campaign_id']}",
        event_type="campaign",
        shop_id=SHOP,
        occurred_at_ms=NOW - DAY_MS,
        joined_at_ms=0,
        version=1,
        **values,
    )


def product(product_id: str = "A", *, cost: int | None = 900) -> Product:
    return Product(
        event_id=f"product-{product_id}",
        event_type="product",
        shop_id=SHOP,
        occurred_at_ms=NOW - DAY_MS,
        product_id=product_id,
        name=f"Dress {product_id}",
        category="",
        sku_ids=[f"{product_id}1"],
        price_minor=2_000,
        unit_cost_minor=cost,
        version=1,
    )


def orders(until_ms: int, count: int) -> list[Event]:
    """Return orders in the hour before an instant, the last a minute before it."""
    return [
        order(f"o{until_ms}-{n}", until_ms - MINUTE_MS - n * 1000, [line("1", "A1", 2_000)])
        for n in range(count)
    ]


FIRST = order("first", NOW - WEEK - DAY_MS, [line("1", "A1", 2_000)])
"""Since then orders are a source."""


def healthy() -> list[Event]:
    return [
        *orders(NOW, 30),
        *orders(NOW - WEEK, 40),
        FIRST,
        stock("A1", 200, NOW - 2 * MINUTE_MS),
        heartbeat(["cm.orders", "cm.stock"], NOW - 30_000),
        campaign(),
        product(),
    ]


def look(
    events: Sequence[Event], *, preflight: PreflightSettings | None = None, **shop: Any
) -> dict[str, Finding]:
    """Return the findings of a shop by their check."""
    settings = Settings(
        shops={SHOP: ShopSettings(SHOP, ZONE, **shop)}, preflight=preflight or PreflightSettings()
    )
    columns = Columns(settings)
    columns.apply(flush_of(events, zone=ZONE))
    found = check_shop(columns, settings.shops[SHOP], now_ms=NOW)
    assert len({finding.check for finding in found}) == len(found)
    assert all(finding.mend for finding in found if finding.level is not Level.OK)
    return {finding.check: finding for finding in found}


def without(kind: type[Event]) -> list[Event]:
    return [event for event in healthy() if not isinstance(event, kind)]


def test_a_shop_with_all_it_needs_may_go() -> None:
    found = look(healthy())
    assert {check: finding.level.value for check, finding in found.items()} == dict.fromkeys(
        ["shop", "source:orders", "source:stock", "campaign", "goal", "products", "stock", "cost"], "ok"
    )
    assert may_go(found.values())


def test_a_source_tells_its_last_event_and_its_rate_against_last_week() -> None:
    said = look(healthy())["source:orders"].said
    assert "last event 60 s ago" in said
    assert "heartbeat 30 s ago" in said
    assert "30 in the last full hour, 40 in that hour a week ago" in said


def test_a_feed_at_a_fraction_of_last_week_is_worth_a_look() -> None:
    events = [*without(OrderPaid), *orders(NOW, 5), *orders(NOW - WEEK, 40), FIRST]
    found = look(events)["source:orders"]
    assert found.level is Level.WARN
    assert "5 in the last full hour, 40" in found.said


def test_too_few_records_last_week_are_no_yardstick() -> None:
    events = [
        *without(OrderPaid),
        *orders(NOW, 1),
        FIRST,
        *orders(NOW - WEEK, 19),
    ]
    assert look(events)["source:orders"].level is Level.OK


def test_a_source_that_is_younger_than_a_week_says_so() -> None:
    events = [*without(OrderPaid), *orders(NOW, 5)]
    events = [event for event in events if event.event_type != "heartbeat"]
    assert "nothing is known of a week ago" in look(events)["source:orders"].said


def test_traffic_has_a_rate_too() -> None:
    shown: list[Event] = [traffic("product_click", NOW - 30 * MINUTE_MS - n, f"u{n}") for n in range(7)]
    shown += [traffic("product_click", NOW - WEEK - 30 * MINUTE_MS - n, f"u{n}") for n in range(25)]
    shown.append(traffic("product_click", NOW - WEEK - 3 * HOUR_MS, "first"))
    found = look([*healthy(), *shown])["source:clicks"]
    assert "7 in the last full hour, 25 in that hour a week ago" in found.said
    assert found.level is Level.WARN


def test_a_required_source_that_never_sent_is_in_the_way() -> None:
    found = look(healthy(), required_topics=("orders", "impressions"))
    assert found["source:impressions"].level is Level.BAD
    assert not may_go(found.values())


@pytest.mark.parametrize(("required", "level"), [(("orders", "stock"), Level.BAD), (("orders",), Level.WARN)])
def test_a_feed_whose_heartbeat_stopped_is_in_the_way_where_it_is_required(
    required: tuple[str, ...], level: Level
) -> None:
    events = [event for event in healthy() if event.event_type not in {"heartbeat", "stock_changed"}]
    events += [
        heartbeat(["cm.orders"], NOW - 30_000, source="shop"),
        heartbeat(["cm.stock"], NOW - HOUR_MS, source="inventory"),
        stock("A1", 200, NOW - HOUR_MS),
    ]
    found = look(events, required_topics=required)["source:stock"]
    assert found.level is level
    assert "silent for too long" in found.said


def test_without_a_campaign_nothing_may_go() -> None:
    assert look(without(Campaign))["campaign"].level is Level.BAD
    over = campaign(starts_at_ms=NOW - 3 * DAY_MS, ends_at_ms=NOW - DAY_MS)
    assert look([*without(Campaign), over])["campaign"].level is Level.BAD


def test_the_campaign_that_runs_comes_before_the_next_one() -> None:
    runs = campaign(campaign_id="now", starts_at_ms=NOW - DAY_MS, ends_at_ms=NOW + HOUR_MS)
    columns = Columns(Settings(shops={SHOP: ShopSettings(SHOP, ZONE)}))
    columns.apply(flush_of([runs, campaign()], zone=ZONE))
    found = next_campaign(columns, columns.shop(SHOP), now_ms=NOW)
    assert found is not None
    assert found.campaign_id == "now"


def test_the_start_is_said_in_the_shops_time_here_and_in_utc() -> None:
    start = CampaignStart(SHOP, "c1", "Friday", START, ZONE)
    assert start.times(dt.timezone(dt.timedelta(hours=1))) == (
        "2024-11-29 00:00 in the shop (America/Los_Angeles), 2024-11-29 09:00 here, 2024-11-29 08:00 UTC"
    )
    assert "2024-11-29 00:00 in the shop" in look(healthy())["campaign"].said


def test_a_start_within_the_first_day_counts_from_its_midnight() -> None:
    found = look([*without(Campaign), campaign(starts_at_ms=START + 9 * HOUR_MS)])
    assert "2024-11-29 00:00 in the shop" in found["campaign"].said


def test_a_campaign_without_a_goal_is_in_the_way() -> None:
    assert look([*without(Campaign), campaign(target_value=None)])["goal"].level is Level.BAD
    assert "$50.0k gmv" in look(healthy())["goal"].said


def test_campaign_skus_without_a_stock_record_are_in_the_way_and_named() -> None:
    events = [*without(Campaign), campaign(product_ids=["A", "B"]), product("B")]
    found = look(events)["stock"]
    assert found.level is Level.BAD
    assert found.said == "1 campaign SKU without a stock record: Dress B"
    softer = dataclasses.replace(PreflightSettings(), require_stock=False)
    assert look(events, preflight=softer)["stock"].level is Level.WARN


def test_a_campaign_product_that_nothing_is_known_of_is_named() -> None:
    found = look([*without(Campaign), campaign(product_ids=["A", "ghost\nship"])])
    assert found["products"].said == "1 campaign product without a card: ghost ship"
    assert found["stock"].said == "1 campaign SKU without a stock record: ghost ship"


def test_a_shop_without_a_stock_feed_is_told_what_it_misses() -> None:
    events = [event for event in healthy() if event.event_type not in {"stock_changed", "heartbeat"}]
    found = look(events)["stock"]
    assert found.level is Level.BAD
    assert "no stock feed" in found.said


def test_a_sku_that_is_out_before_the_day_is_worth_a_look() -> None:
    found = look([*healthy(), stock("A1", 0, NOW - MINUTE_MS)])
    assert found["stock:out"].level is Level.WARN
    assert "Dress A" in found["stock:out"].said


def test_a_record_that_is_too_old_for_a_sku_that_sells_is_unknown_stock() -> None:
    events = [event for event in healthy() if event.event_type != "stock_changed"]
    found = look([*events, stock("A1", 200, NOW - 3 * DAY_MS)])
    assert found["stock:old"].level is Level.BAD


def test_a_cost_that_nobody_feeds_is_no_reason_to_stay_unless_the_settings_say_so() -> None:
    events = [*without(Product), product(cost=None)]
    found = look(events)["cost"]
    assert (found.level, found.said) == (Level.WARN, "not fed: no product card has a unit cost")
    strict = dataclasses.replace(PreflightSettings(), require_cost=True)
    assert look(events, preflight=strict)["cost"].level is Level.BAD


def test_a_product_that_lacks_the_cost_that_others_have_is_named() -> None:
    events = [
        *without(Campaign),
        campaign(product_ids=["A", "B"]),
        product("B", cost=None),
        stock("B1", 9, NOW - 1),
    ]
    assert look(events)["cost"].said == "1 campaign product without a unit cost: Dress B"


def test_a_shop_record_that_disagrees_with_the_settings_is_in_the_way() -> None:
    record = Shop(
        event_id="shop",
        event_type="shop",
        shop_id=SHOP,
        occurred_at_ms=NOW - DAY_MS,
        timezone="Europe/London",
        currency="USD",
        version=1,
    )
    found = look([*healthy(), record])["shop"]
    assert found.level is Level.BAD
    assert "Europe/London" in found.said


def process(**more: Any) -> dict[str, Level]:
    values: dict[str, Any] = {
        "lag": 12,
        "evaluated_ms": NOW - 4_000,
        "wall_ms": NOW,
        "free_bytes": 20 << 30,
        "routes": True,
    } | more
    return {finding.check: finding.level for finding in check_process(PreflightSettings(), **values)}


def test_a_board_that_works_and_tells_may_go() -> None:
    assert set(process().values()) == {Level.OK}


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ({"lag": None}, "lag"),
        ({"lag": 10_001}, "lag"),
        ({"evaluated_ms": None}, "evaluation"),
        ({"evaluated_ms": NOW - 2 * MINUTE_MS - 1}, "evaluation"),
        ({"free_bytes": (1 << 30) - 1}, "disk"),
        ({"routes": False}, "routes"),
    ],
)
def test_a_board_that_is_behind_does_not_look_has_no_room_or_tells_nobody_is_in_the_way(
    fault: dict[str, Any], check: str
) -> None:
    found = process(**fault)
    assert {name for name, level in found.items() if level is Level.BAD} == {check}


def test_only_a_test_page_that_a_person_acknowledged_is_a_test() -> None:
    assert check_page(acknowledged_by="mia", accepted_by="", tested=True).level is Level.OK
    assert check_page(acknowledged_by=None, accepted_by="", tested=True).level is Level.BAD
    skipped = check_page(acknowledged_by=None, accepted_by="", tested=False)
    assert skipped.level is Level.BAD
    assert "NOT TESTED" in skipped.said


def test_whoever_goes_without_a_test_is_named() -> None:
    found = check_page(acknowledged_by=None, accepted_by="Mia", tested=False)
    assert found.level is Level.WARN
    assert "Mia goes without it" in found.said
