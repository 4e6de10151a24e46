"""The rules on stock: what is seen, what is said, what the numbers of a page are."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from streams.alerts import Alert, AlertRoute, AlertState, Resolution, SoldBy, decode_alert, encode_alert
from streams.days import HOUR_MS, MINUTE_MS
from streams.events import Source
from streams.page_facts import day_yardstick, empty_spells, sold_by
from streams.rule import Severity
from streams.rule_context import RuleContext
from streams.rule_stock import RULES
from streams.rules import RuleState, evaluate
from streams.settings import Settings, ShopSettings, StockSettings
from streams.stock import SkuStock, StockStatus
from tests.unit.streams.boards import CREATOR, LIVE, SHOP, SHOP_TAB, at, board, line, order, stock
from tests.unit.streams.test_goals import campaign

NOW = at("2024-11-29 20:00")
HOLD_MS, CLEAR_MS = MINUTE_MS, 10 * MINUTE_MS
SETTINGS = StockSettings()
LIVE_SALE = SoldBy("LIVE", "live-1", 0.7)

SOON = SkuStock(
    shop_id=SHOP,
    sku_id="A1",
    product_id="A",
    name="Linen dress / M",
    campaign_id="c1",
    as_of_ms=NOW,
    stock_as_of_ms=NOW,
    on_hand=38,
    status=StockStatus.AT_RISK,
    unknown_because="",
    out_since_ms=None,
    velocity_per_h=52.0,
    recent_buyers=90,
    hours_to_stockout=1.0,
    eta_ms=NOW + HOUR_MS,
    eta_low_ms=NOW + 45 * MINUTE_MS,
    eta_high_ms=NOW + 90 * MINUTE_MS,
    horizon_end_ms=NOW + 4 * HOUR_MS,
    demand_units=200.0,
    replenish_units=162,
    gmv_at_risk_minor=400_000,
    gmv_at_risk_low_minor=300_000,
    gmv_at_risk_high_minor=500_000,
    price_minor=2_500,
    shape="own",
)
"""A SKU that X-83 pages for: the late end in an hour and a half, 4,000.00 at risk, 90 sold in two hours."""


def but(row: SkuStock = SOON, **changes: Any) -> SkuStock:
    return dataclasses.replace(row, **changes)


OUT = but(
    status=StockStatus.OUT_OF_STOCK,
    on_hand=0,
    eta_ms=None,
    eta_low_ms=None,
    eta_high_ms=None,
    hours_to_stockout=0.0,
    out_since_ms=NOW + 55 * MINUTE_MS,
)
PLENTY = but(
    status=StockStatus.HEALTHY,
    on_hand=900,
    eta_ms=NOW + 40 * HOUR_MS,
    eta_low_ms=NOW + 30 * HOUR_MS,
    eta_high_ms=NOW + 50 * HOUR_MS,
    gmv_at_risk_minor=0,
)


class Room:
    """A rule state with a clock, to which rows are shown one after the other."""

    def __init__(self, state: RuleState | None = None, at_ms: int = NOW) -> None:
        self.state = state or RuleState()
        self.now_ms = at_ms

    def sees(
        self,
        *rows: SkuStock,
        after_ms: int = 0,
        stale: frozenset[str] = frozenset(),
        minimum: int = 100_000,
        zone: str = "UTC",
        shop_id: str = SHOP,
    ) -> list[Alert]:
        self.now_ms += after_ms
        context = RuleContext(
            board([], zone=zone), ShopSettings(shop_id, zone), Settings(), self.now_ms, self.state.incidents
        )
        # What the context would compute, given.
        vars(context).update(
            stock=list(rows),
            stale=stale,
            page_minimum_minor=max(1, minimum),
            sold_by={row.sku_id: LIVE_SALE for row in rows},
        )
        return evaluate(self.state, RULES, context)

    def paged(self, row: SkuStock = SOON) -> Alert:
        """Show a row until it pages."""
        assert self.sees(row) == []
        (alert,) = self.sees(row, after_ms=HOLD_MS)
        return alert


def test_a_page_opens_once_its_condition_has_held() -> None:
    room = Room()
    assert room.sees(SOON) == []
    assert room.sees(SOON, after_ms=HOLD_MS - 1) == []
    (alert,) = room.sees(SOON, after_ms=1)
    assert (alert.rule, alert.key, alert.state, alert.route) == (
        "A-01",
        "oos_forecast",
        AlertState.OPEN,
        AlertRoute.PAGE,
    )
    assert (alert.predicted_ms, alert.predicted_low_ms, alert.predicted_high_ms) == (
        SOON.eta_ms,
        SOON.eta_low_ms,
        SOON.eta_high_ms,
    )
    assert alert.message.startswith(
        "Linen dress / M runs out ~21:00 (20:45-21:30). 38 left, 52/h. At risk $4.0k by midnight."
    )
    for _ in range(5):
        assert room.sees(SOON, after_ms=MINUTE_MS) == []


def test_a_condition_that_breaks_starts_its_hold_over() -> None:
    room = Room()
    room.sees(SOON)
    room.sees(PLENTY, after_ms=HOLD_MS // 2)
    assert room.sees(SOON, after_ms=HOLD_MS // 2) == []
    assert room.sees(SOON, after_ms=HOLD_MS // 2) == []
    assert len(room.sees(SOON, after_ms=HOLD_MS // 2)) == 1


@pytest.mark.parametrize(
    "calm",
    [
        but(eta_high_ms=NOW + HOLD_MS + 3 * HOUR_MS + 1),
        but(eta_high_ms=None),
        but(gmv_at_risk_minor=99_999),
        but(recent_buyers=4),
        PLENTY,
    ],
    ids=["late end beyond the lead", "late end out of sight", "too little money", "too few sales", "healthy"],
)
def test_what_misses_one_condition_of_x83_does_not_page(calm: SkuStock) -> None:
    room = Room()
    assert room.sees(calm) == []
    assert room.sees(calm, after_ms=HOLD_MS) == []


@pytest.mark.parametrize(
    "just",
    [
        but(eta_high_ms=NOW + 3 * HOUR_MS),
        but(gmv_at_risk_minor=100_000),
        but(recent_buyers=5),
    ],
)
def test_what_just_meets_a_condition_of_x83_pages(just: SkuStock) -> None:
    assert Room().paged(just).route is AlertRoute.PAGE


def test_without_a_minimum_at_least_some_money_must_be_at_risk() -> None:
    room = Room()
    room.sees(but(gmv_at_risk_minor=0), minimum=0)
    assert room.sees(but(gmv_at_risk_minor=0), after_ms=HOLD_MS, minimum=0) == []


def test_the_real_time_is_filled_in_when_the_sku_runs_out_and_the_page_closes_when_it_is_back() -> None:
    room = Room()
    opened = room.paged()
    page, out = room.sees(OUT, after_ms=HOUR_MS - HOLD_MS - 4 * MINUTE_MS)
    assert (page.alert_id, page.state, page.route, page.opened_at_ms) == (
        opened.alert_id,
        AlertState.OPEN,
        AlertRoute.PAGE,
        opened.opened_at_ms,
    )
    assert (page.predicted_ms, page.actual_ms) == (SOON.eta_ms, OUT.out_since_ms)
    assert page.inside_interval is True
    assert page.message.startswith("Linen dress / M ran out 20:55, predicted ~21:00 (20:45-21:30).")
    assert (out.rule, out.key, out.state) == ("A-02", "oos_now", AlertState.OPEN)
    assert out.message.startswith(
        "Linen dress / M is out of stock since 20:55, predicted ~21:00 (20:45-21:30)."
    )
    # The news is told once.
    assert room.sees(OUT, after_ms=MINUTE_MS) == []
    plenty = but(
        on_hand=400,
        status=StockStatus.HEALTHY,
        eta_ms=None,
        eta_low_ms=None,
        eta_high_ms=None,
        gmv_at_risk_minor=0,
    )
    assert room.sees(plenty, after_ms=MINUTE_MS) == []
    closed = {alert.rule: alert for alert in room.sees(plenty, after_ms=CLEAR_MS)}
    assert {rule: alert.resolution for rule, alert in closed.items()} == {
        "A-01": Resolution.RESTOCKED,
        "A-02": Resolution.RESTOCKED,
    }
    assert closed["A-01"].message == (
        "Resolved: Linen dress / M was restocked. 400 left. Ran out 20:55. Predicted ~21:00 (20:45-21:30)."
    )


def test_a_stock_out_that_nobody_foretold_pages_by_its_value() -> None:
    (alert,) = Room().sees(OUT)
    assert (alert.rule, alert.predicted_ms, alert.actual_ms) == ("A-02", None, OUT.out_since_ms)
    assert Room().sees(but(OUT, gmv_at_risk_minor=99_999)) == []
    assert Room().sees(but(OUT, recent_buyers=4)) == []


def test_a_stock_out_rings_once_that_it_comes_is_a_page_and_that_it_came_goes_to_the_channel() -> None:
    room = Room()
    assert room.paged().route is AlertRoute.PAGE
    page, out = room.sees(OUT, after_ms=54 * MINUTE_MS)
    assert (page.rule, page.state, page.route) == ("A-01", AlertState.OPEN, AlertRoute.PAGE)
    assert (out.rule, out.route, out.severity) == ("A-02", AlertRoute.CHANNEL, Severity.WARNING)
    # It stays as it began, as long as the campaign lasts.
    for _ in range(2):
        assert room.sees(OUT, after_ms=HOUR_MS) == []


def test_a_product_rings_once_its_other_sizes_go_to_the_channel_until_it_was_quiet_for_three_hours() -> None:
    other, third = but(sku_id="A2"), but(sku_id="B1", product_id="B", gmv_at_risk_minor=800_000)
    room = Room()
    room.paged()
    assert room.sees(SOON, other, third) == []
    found = room.sees(SOON, other, third, after_ms=HOLD_MS)
    assert {(each.sku_id, each.route) for each in found} == {
        ("A2", AlertRoute.CHANNEL),
        ("B1", AlertRoute.PAGE),
    }
    closed = [*room.sees(PLENTY, after_ms=MINUTE_MS), *room.sees(PLENTY, after_ms=CLEAR_MS)]
    assert {each.sku_id for each in closed} == {"A1", "A2", "B1"}
    soon = but(sku_id="A3", eta_high_ms=room.now_ms + 4 * HOUR_MS)
    room.sees(soon, after_ms=SETTINGS.page_quiet_ms - HOLD_MS - 1)
    (early,) = room.sees(soon, after_ms=HOLD_MS)
    assert early.route is AlertRoute.CHANNEL
    later = but(sku_id="A4", eta_high_ms=room.now_ms + HOUR_MS, gmv_at_risk_minor=1_600_000)
    room.sees(soon, later)
    (late,) = [each for each in room.sees(soon, later, after_ms=HOLD_MS) if each.sku_id == "A4"]
    assert late.route is AlertRoute.PAGE


def test_whoever_was_called_has_the_list_open_another_product_rings_only_for_twice_the_money() -> None:
    room = Room()
    room.paged()
    near, twice = (
        but(sku_id=sku, product_id=sku, gmv_at_risk_minor=money)
        for sku, money in (("B1", 799_999), ("C1", 800_000))
    )
    room.sees(SOON, near, twice)
    found = room.sees(SOON, near, twice, after_ms=HOLD_MS)
    assert {(each.sku_id, each.route) for each in found} == {
        ("B1", AlertRoute.CHANNEL),
        ("C1", AlertRoute.PAGE),
    }
    # Another campaign is another's list, and three hours later it may be another person.
    rows = [but(sku_id="D1", product_id="D", campaign_id="c2"), but(sku_id="E1", product_id="E")]
    room.sees(*rows)
    found = room.sees(*rows, after_ms=HOLD_MS)
    assert {(each.sku_id, each.route) for each in found} == {
        ("D1", AlertRoute.PAGE),
        ("E1", AlertRoute.CHANNEL),
    }
    late = but(sku_id="F1", product_id="F", eta_high_ms=room.now_ms + 5 * HOUR_MS)
    room.sees(late, after_ms=SETTINGS.page_quiet_ms)
    (alert,) = [each for each in room.sees(late, after_ms=HOLD_MS) if each.sku_id == "F1"]
    assert alert.route is AlertRoute.PAGE


def test_what_was_out_for_hours_before_it_was_worth_a_page_goes_to_the_channel() -> None:
    room = Room()
    assert room.sees(but(OUT, gmv_at_risk_minor=10, as_of_ms=NOW + HOUR_MS)) == []
    (late,) = room.sees(
        but(OUT, as_of_ms=NOW + 5 * HOUR_MS, horizon_end_ms=NOW + 9 * HOUR_MS), after_ms=5 * HOUR_MS
    )
    assert (late.rule, late.route) == ("A-02", AlertRoute.CHANNEL)


def test_sizes_of_a_product_that_page_together_all_page_and_leave_as_one_message() -> None:
    room, pair = Room(), (SOON, but(sku_id="A2"))
    room.sees(*pair)
    assert [each.route for each in room.sees(*pair, after_ms=HOLD_MS)] == [AlertRoute.PAGE] * 2


def test_an_open_stock_out_is_not_said_again_when_its_sales_have_left_the_window() -> None:
    room = Room()
    room.sees(OUT)
    assert room.sees(but(OUT, recent_buyers=0, gmv_at_risk_minor=10), after_ms=MINUTE_MS) == []
    assert room.sees(OUT, after_ms=MINUTE_MS) == []


def test_a_restock_closes_a_stock_out_once_it_lasts() -> None:
    room = Room()
    (opened,) = room.sees(OUT)
    assert room.sees(PLENTY, after_ms=MINUTE_MS) == []
    (closed,) = room.sees(PLENTY, after_ms=CLEAR_MS)
    assert (closed.alert_id, closed.resolution) == (opened.alert_id, Resolution.RESTOCKED)
    assert room.sees(PLENTY, after_ms=CLEAR_MS) == []


def test_one_unit_that_comes_back_for_a_moment_closes_nothing() -> None:
    room = Room()
    room.sees(OUT)
    scarce = but(SOON, on_hand=1, recent_buyers=0)
    for _ in range(10):
        assert room.sees(scarce, after_ms=MINUTE_MS) == []
        assert room.sees(OUT, after_ms=CLEAR_MS) == []


def test_a_forecast_closes_only_beyond_its_clearing_level() -> None:
    room = Room()
    room.paged()
    # Beyond the lead of three hours, but not beyond half as much again.
    for _ in range(5):
        near = but(eta_high_ms=room.now_ms + CLEAR_MS + 4 * HOUR_MS)
        assert room.sees(near, after_ms=CLEAR_MS) == []
    # Below the minimum, but not below half of it.
    assert room.sees(but(gmv_at_risk_minor=60_000), after_ms=CLEAR_MS) == []
    easy = but(gmv_at_risk_minor=40_000, on_hand=30)
    assert room.sees(easy, after_ms=MINUTE_MS) == []
    (closed,) = room.sees(easy, after_ms=CLEAR_MS)
    assert closed.resolution is Resolution.EASED


def test_a_late_end_that_jumps_over_the_night_calls_nothing_off_that_is_expected_this_evening() -> None:
    room = Room()
    room.paged()
    for _ in range(3):
        evening = but(eta_ms=room.now_ms + CLEAR_MS + HOUR_MS, eta_high_ms=room.now_ms + 12 * HOUR_MS)
        assert room.sees(evening, after_ms=CLEAR_MS) == []
        assert room.sees(but(evening, eta_high_ms=None), after_ms=CLEAR_MS) == []
    tomorrow = but(eta_ms=room.now_ms + 10 * HOUR_MS, eta_high_ms=room.now_ms + 12 * HOUR_MS)
    assert room.sees(tomorrow, after_ms=MINUTE_MS) == []
    (closed,) = room.sees(tomorrow, after_ms=CLEAR_MS)
    assert closed.resolution is Resolution.EASED


def test_who_was_called_off_is_called_again_when_it_runs_out_after_all() -> None:
    room = Room()
    room.paged()
    calm = but(eta_ms=room.now_ms + 10 * HOUR_MS, eta_high_ms=room.now_ms + 12 * HOUR_MS, on_hand=30)
    room.sees(calm, after_ms=MINUTE_MS)
    (closed,) = room.sees(calm, after_ms=CLEAR_MS)
    assert closed.resolution is Resolution.EASED
    (alert,) = room.sees(OUT, after_ms=30 * MINUTE_MS)
    assert (alert.rule, alert.route) == ("A-02", AlertRoute.PAGE)


def test_a_forecast_that_is_averted_by_new_stock_says_so() -> None:
    room = Room()
    room.paged()
    room.sees(PLENTY, after_ms=MINUTE_MS)
    (closed,) = room.sees(PLENTY, after_ms=CLEAR_MS)
    assert closed.resolution is Resolution.RESTOCKED
    assert "was restocked. 900 left." in closed.message


def test_the_end_of_the_campaign_closes_what_is_open() -> None:
    room = Room()
    room.paged()
    over = but(PLENTY, horizon_end_ms=room.now_ms)
    (closed,) = room.sees(over)
    assert closed.resolution is Resolution.ENDED
    assert "its campaign has ended" in closed.message


def test_a_stock_out_closes_with_its_campaign_and_stays_closed_while_it_is_out() -> None:
    room = Room()
    (opened,) = room.sees(OUT)
    over = but(OUT, horizon_end_ms=room.now_ms + HOUR_MS)
    (closed,) = room.sees(over, after_ms=HOUR_MS)
    assert (opened.rule, closed.alert_id, closed.resolution) == ("A-02", opened.alert_id, Resolution.ENDED)
    assert "its campaign has ended" in closed.message
    assert room.sees(over, after_ms=HOUR_MS) == []


def test_a_sku_whose_product_is_deleted_closes_and_says_so() -> None:
    room = Room()
    opened = room.paged()
    (closed,) = room.sees()
    assert (closed.alert_id, closed.resolution) == (opened.alert_id, Resolution.ENDED)
    assert "its product or its stock feed is gone" in closed.message


def test_an_id_is_shop_campaign_rule_sku_and_the_shops_day() -> None:
    # 20:00 UTC on the 29th is the 30th in Auckland.
    room = Room()
    room.sees(SOON, zone="Pacific/Auckland")
    (alert,) = room.sees(SOON, after_ms=HOLD_MS, zone="Pacific/Auckland")
    assert alert.alert_id == "s1/c1/A-01/A1/2024-11-30"


def test_a_second_incident_of_a_day_has_an_id_of_its_own_also_after_a_restart() -> None:
    room = Room()
    said = [room.paged()]
    room.sees(PLENTY, after_ms=MINUTE_MS)
    said += room.sees(PLENTY, after_ms=CLEAR_MS)
    newest = {alert.alert_id: alert for alert in said}
    later = Room(RuleState.restored(newest.values(), digest_every_ms=HOUR_MS), room.now_ms)
    second = later.paged(but(eta_high_ms=later.now_ms + HOUR_MS))
    assert second.alert_id == said[0].alert_id + "/2"


def test_a_stale_topic_holds_everything() -> None:
    room = Room()
    room.sees(SOON)
    for topic in ("orders", "stock"):
        assert room.sees(SOON, after_ms=HOLD_MS, stale=frozenset({topic})) == []
        assert room.sees(OUT, after_ms=HOLD_MS, stale=frozenset({topic})) == []
    # The hold starts over when the feed is back.
    assert room.sees(SOON, after_ms=HOLD_MS) == []
    assert len(room.sees(SOON, after_ms=HOLD_MS)) == 1


def test_an_unknown_level_opens_and_closes_nothing() -> None:
    room = Room()
    room.paged()
    unknown = but(status=StockStatus.UNKNOWN, unknown_because="old_record", on_hand=None, eta_high_ms=None)
    for _ in range(3):
        assert room.sees(unknown, after_ms=CLEAR_MS) == []


def test_a_restart_neither_opens_again_nor_forgets_to_close() -> None:
    room = Room()
    opened = room.paged()
    stored = decode_alert(encode_alert(opened))
    later = Room(RuleState.restored([stored], digest_every_ms=HOUR_MS), room.now_ms + 5 * MINUTE_MS)
    assert later.sees(SOON) == []
    assert later.sees(SOON, after_ms=HOLD_MS) == []
    closed, _ = later.sees(OUT, after_ms=30 * MINUTE_MS)
    assert (closed.alert_id, closed.predicted_ms) == (opened.alert_id, opened.predicted_ms)


def test_two_shops_hold_apart() -> None:
    room = Room()
    room.sees(SOON)
    assert room.sees(but(shop_id="s2"), shop_id="s2", stale=frozenset({"orders"})) == []
    assert len(room.sees(SOON, after_ms=HOLD_MS)) == 1


def test_money_at_risk_is_held_against_todays_goal_else_yesterdays_gmv() -> None:
    zone = "America/Los_Angeles"
    shop = ShopSettings(SHOP, zone)
    noon = at("2024-11-29 12:00", zone)
    yesterday = order("y", noon - 24 * HOUR_MS, [line("1", "A1", 500_000)])
    assert day_yardstick(board([yesterday], zone=zone), shop, as_of_ms=noon) == 500_000
    # The goal of 1,000.00 less 5,000.00 sold: nothing remains; a larger one leaves 5,000.00 for two days.
    with_goal = board([yesterday, campaign(target_value=10_000.0)], zone=zone)
    assert day_yardstick(with_goal, shop, as_of_ms=noon) == 250_000
    assert day_yardstick(board([], zone=zone), shop, as_of_ms=noon) == 0


def test_a_page_needs_a_hundredth_of_it() -> None:
    noon = at("2024-11-29 12:00", "America/Los_Angeles")
    yesterday = order("y", noon - 24 * HOUR_MS, [line("1", "A1", 500_000)])
    columns = board([yesterday], zone="America/Los_Angeles")
    context = RuleContext(columns, ShopSettings(SHOP, "America/Los_Angeles"), Settings(), noon)
    assert context.page_minimum_minor == 5_000


def _sold(*sources: tuple[Source | None, int]) -> SoldBy | None:
    columns = board(
        [
            order(str(number), NOW, [line("1", "A1", 100, quantity=units, source=source)])
            for number, (source, units) in enumerate(sources)
        ]
    )
    return sold_by(columns, ShopSettings(SHOP, "UTC"), from_ms=NOW - HOUR_MS, to_ms=NOW).get("A1")


def test_the_content_that_sold_most_units_is_named_with_its_share() -> None:
    assert _sold((LIVE, 5), (CREATOR, 2), (SHOP_TAB, 3)) == SoldBy("LIVE", "live-1", 0.5)
    assert _sold((LIVE, 1), (CREATOR, 3)) == SoldBy("video", "video-1", 0.75)
    assert _sold((SHOP_TAB, 3)) == SoldBy("product card", "", 1.0)


def test_orders_without_a_source_name_no_content() -> None:
    assert _sold((None, 5), (LIVE, 1)) is None
    assert _sold() is None


def test_spells_without_stock_are_those_that_began_and_ended_in_the_interval() -> None:
    def spells(*levels: tuple[str, int, int]) -> list[tuple[str, int, int]]:
        events = [stock(sku, left, NOW + minute * MINUTE_MS) for sku, left, minute in levels]
        shop = ShopSettings(SHOP, "UTC")
        return empty_spells(board(events), shop, NOW, NOW + 3 * HOUR_MS)

    def minute(number: int) -> int:
        return NOW + number * MINUTE_MS

    assert spells(("A1", 5, -30), ("A1", 0, 30), ("A1", 9, 90)) == [("A1", minute(30), minute(90))]
    # Out before it, still out after it, and never out.
    assert spells(("A1", 0, -30), ("A1", 9, 90)) == []
    assert spells(("A1", 5, -30), ("A1", 0, 30)) == []
    assert spells(("A1", 5, -30), ("A1", 3, 30)) == []
    assert spells(("A1", 5, 0), ("A1", 0, 20), ("A1", 4, 40), ("A1", -2, 60), ("A1", 1, 80)) == [
        ("A1", minute(20), minute(40)),
        ("A1", minute(60), minute(80)),
    ]


def test_a_sku_is_out_when_all_its_warehouses_are() -> None:
    levels = [
        stock("A1", 5, NOW - HOUR_MS, warehouse="east"),
        stock("A1", 5, NOW - HOUR_MS + 1, warehouse="west"),
        stock("A1", 0, NOW + 20 * MINUTE_MS, warehouse="east"),
        stock("A1", 0, NOW + 40 * MINUTE_MS, warehouse="west"),
        stock("A1", 7, NOW + 60 * MINUTE_MS, warehouse="east"),
    ]
    assert empty_spells(board(levels), ShopSettings(SHOP, "UTC"), NOW, NOW + 2 * HOUR_MS) == [
        ("A1", NOW + 40 * MINUTE_MS, NOW + 60 * MINUTE_MS)
    ]
