"""Goals of weeks, months and quarters."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from streams.columns import Columns
from streams.days import DAY_MS, BusinessCalendar
from streams.events import Campaign, Fact, Shop
from streams.events import PeriodGoal as Wanted
from streams.period_goals import PeriodGoal, period_goals, period_of
from streams.periods import first_weekday
from streams.settings import GoalSettings, ShopSettings
from tests.unit.streams.boards import SHOP, at, board, line, order

ZONE = "Europe/London"
SHOP_SETTINGS = ShopSettings(SHOP, ZONE)
MONDAY = ShopSettings(SHOP, ZONE, week_start="monday")
WEDNESDAY_NOON = at("2026-11-25 12:00", ZONE)
CALENDAR = BusinessCalendar(ZONE)

SALES: list[Fact] = [
    order("sunday", at("2026-11-22 23:59", ZONE), [line("1", "A1", 50_000)]),
    order("monday", at("2026-11-23 00:00", ZONE), [line("1", "A1", 10_000)]),
    order("tuesday", at("2026-11-24 15:00", ZONE), [line("1", "A1", 20_000, quantity=4)]),
    order("later", at("2026-11-25 12:30", ZONE), [line("1", "A1", 99_000)]),
]


def campaign(goals: list[Wanted], campaign_id: str = "bf", **more: Any) -> Campaign:
    return Campaign(
        event_id=campaign_id,
        event_type="campaign",
        shop_id=SHOP,
        occurred_at_ms=at("2026-11-20 00:00", ZONE),
        campaign_id=campaign_id,
        name="Friday",
        starts_at_ms=at("2026-11-27 00:00", ZONE),
        joined_at_ms=0,
        version=1,
        product_ids=[],
        period_goals=goals,
        **{"ends_at_ms": at("2026-12-01 00:00", ZONE)} | more,
    )


def week_starts(text: str) -> Shop:
    return Shop(
        event_id="shop",
        event_type="shop",
        shop_id=SHOP,
        occurred_at_ms=0,
        timezone=ZONE,
        version=1,
        week_start=text,
    )


def goals(*events: Fact, own: GoalSettings | None = None, shop: ShopSettings = MONDAY) -> list[PeriodGoal]:
    columns: Columns = board([*SALES, *events], zone=ZONE)
    settings = dataclasses.replace(columns.settings, goals={SHOP: own} if own else {})
    return period_goals(columns, shop, settings, as_of_ms=WEDNESDAY_NOON)


def test_a_weeks_goal_is_held_against_the_sales_since_monday() -> None:
    (goal,) = goals(campaign([Wanted("week", "gmv", 1_000.0)]))
    assert (goal.kind, goal.metric, goal.set_by) == ("week", "gmv", "bf")
    assert goal.starts_at_ms == at("2026-11-23 00:00", ZONE)
    assert goal.ends_at_ms == at("2026-11-30 00:00", ZONE)
    # 100.00 + 200.00 of 1,000.00, when two and a half of seven days have passed.
    assert goal.value == 30_000
    assert goal.target == 100_000
    assert goal.progress_pct == pytest.approx(30.0)
    assert goal.elapsed_share == pytest.approx(2.5 / 7)
    assert goal.basis == "straight"
    assert goal.pace_pct == pytest.approx(84.0)
    assert goal.projected == pytest.approx(84_000, rel=1e-3)


def test_the_settings_set_week_and_quarter() -> None:
    week, quarter = goals(own=GoalSettings(week=3.0, week_metric="orders", quarter=10_000.0))
    assert (week.kind, week.metric, week.value, week.target, week.set_by) == (
        "week",
        "orders",
        2,
        3.0,
        "settings",
    )
    assert (quarter.kind, quarter.value, quarter.target) == ("quarter", 80_000, 1_000_000)
    assert quarter.starts_at_ms == at("2026-10-01 00:00", ZONE)
    assert quarter.ends_at_ms == at("2027-01-01 00:00", ZONE)


def test_a_campaigns_goal_of_the_same_period_wins_over_the_settings() -> None:
    (goal,) = goals(campaign([Wanted("W", "gmv", 500.0)]), own=GoalSettings(week=1_000.0))
    assert (goal.target, goal.set_by) == (50_000, "bf")


def test_of_two_campaigns_the_one_that_ends_last_sets_the_period() -> None:
    early = campaign([Wanted("week", "gmv", 1.0)], "early", ends_at_ms=at("2026-11-28 00:00", ZONE))
    (goal,) = goals(early, campaign([Wanted("week", "gmv", 2.0)], "late"))
    assert goal.set_by == "late"


def test_a_week_begins_when_the_shop_says() -> None:
    (goal,) = goals(campaign([Wanted("week", "gmv", 1_000.0)]), week_starts("Sunday"), shop=SHOP_SETTINGS)
    assert goal.starts_at_ms == at("2026-11-22 00:00", ZONE)
    assert goal.value == 80_000


@pytest.mark.parametrize(("text", "day"), [("sun", 6), ("Monday", 0), ("", 6), ("never", 6), ("s", 6)])
def test_the_first_day_of_the_week_is_read_or_sunday(text: str, day: int) -> None:
    assert first_weekday(board([week_starts(text)], zone=ZONE), SHOP_SETTINGS) == day


def test_net_receipts_have_no_value_before_other_channels_are_known() -> None:
    (goal,) = goals(campaign([Wanted("week", "net_receipts", 1_000.0)]))
    assert (goal.value, goal.progress_pct, goal.projected) == (None, None, None)
    assert goal.unknown_because == "needs_external_orders"
    assert goal.target == 100_000


def test_what_nothing_counts_says_so() -> None:
    (goal,) = goals(campaign([Wanted("week", "smiles", 5.0)]))
    assert (goal.value, goal.unknown_because) == (None, "unknown_metric")


def test_a_window_that_is_none_a_goal_of_nothing_and_a_period_to_come_are_passed_over() -> None:
    wanted = [Wanted("fortnight", "gmv", 5.0), Wanted("week", "gmv", 0.0), Wanted("2026-W50", "gmv", 5.0)]
    assert goals(campaign(wanted)) == []


def test_the_last_seven_finished_days_are_over() -> None:
    (goal,) = goals(campaign([Wanted("L7", "gmv", 1_000.0)]))
    assert (goal.starts_at_ms, goal.ends_at_ms) == (
        at("2026-11-18 00:00", ZONE),
        at("2026-11-25 00:00", ZONE),
    )
    assert goal.value == 80_000
    assert goal.elapsed_share == 1.0
    assert goal.pace_pct == pytest.approx(80.0)
    assert goal.projected == 80_000


@pytest.mark.parametrize(
    ("window", "first", "after"),
    [
        ("2026-W48", "2026-11-23", "2026-11-30"),
        ("2026-q1", "2026-01-01", "2026-04-01"),
        ("2026-Q4", "2026-10-01", "2027-01-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("month", "2026-11-01", "2026-12-01"),
        ("range:2026-11-23..2026-11-24", "2026-11-23", "2026-11-25"),
        ("last:7d", "2026-11-18", "2026-11-25"),
    ],
)
def test_windows_mean_these_days(window: str, first: str, after: str) -> None:
    period = period_of(window, CALENDAR, WEDNESDAY_NOON, 0)
    assert period is not None
    assert period[1:] == (at(f"{first} 00:00", ZONE), at(f"{after} 00:00", ZONE))


@pytest.mark.parametrize(
    "window",
    [
        "",
        "2026-W60",
        "2026-13",
        "0001-01",
        "9999-12",
        "2026-Q5",
        "range:2026-11-24..2026-11-23",
        "range:x..y",
        "range:2000-01-01..9998-01-01",
        "campaign",
    ],
)
def test_other_texts_are_no_period(window: str) -> None:
    assert period_of(window, CALENDAR, WEDNESDAY_NOON, 0) is None


@pytest.mark.parametrize("week_start", range(7))
def test_a_week_has_seven_days_begins_on_its_weekday_and_holds_now(week_start: int) -> None:
    for days in range(10):
        now_ms = WEDNESDAY_NOON + days * DAY_MS
        period = period_of("week", CALENDAR, now_ms, week_start)
        assert period is not None
        _, start_ms, end_ms = period
        assert start_ms <= now_ms < end_ms
        assert CALENDAR.day_of(end_ms) - CALENDAR.day_of(start_ms) == 7
        assert dt.date.fromordinal(CALENDAR.day_of(start_ms)).weekday() == week_start


def test_the_settings_say_when_a_week_begins_before_the_shops_record_does() -> None:
    columns = board([week_starts("Friday")], zone=ZONE)
    assert first_weekday(columns, SHOP_SETTINGS) == 4
    assert first_weekday(columns, dataclasses.replace(SHOP_SETTINGS, week_start="tuesday")) == 1
