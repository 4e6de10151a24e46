"""Campaign goals: progress, and today's part."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.events import Campaign, Fact, PeriodGoal, PlanPoint
from streams.goals import DayGoal, GoalProgress, day_goal, gmv_of_day, goal_progress, running_campaign
from streams.query import parse_request, run
from streams.settings import GoalSettings, ShopSettings
from tests.unit.streams.boards import SHOP, at, board, line, order

ZONE = "America/Los_Angeles"
START = at("2024-11-28 09:30", ZONE)
END = at("2024-12-01 00:00", ZONE)
NOW = at("2024-11-29 12:00", ZONE)
DAY_29 = 739_219
"""2024-11-29 as an ordinal."""


def campaign(**more: Any) -> Campaign:
    values: dict[str, Any] = {
        "campaign_id": "c1",
        "starts_at_ms": START,
        "ends_at_ms": END,
        "target_value": 1_000.0,
        "version": 1,
    } | more
    return Campaign(
        event_id=f"campaign-{values['campaign_id']}",
        event_type="campaign",
        shop_id=SHOP,
        occurred_at_ms=START - DAY_MS,
        name="Friday",
        joined_at_ms=0,
        product_ids=["A"],
        **values,
    )


SALES: list[Fact] = [
    order("before", at("2024-11-27 23:59", ZONE), [line("1", "A1", 99_999)]),
    order("first-hour", at("2024-11-28 00:00", ZONE), [line("1", "A1", 10_000, shipping=500)]),
    order(
        "today", at("2024-11-29 10:00", ZONE), [line("1", "B1", 20_000, quantity=3), line("2", "B2", 4_500)]
    ),
    order("later", at("2024-11-29 12:01", ZONE), [line("1", "A1", 99_999)]),
]


def progress(campaigns: list[Fact], now_ms: int = NOW, **shop: Any) -> list[GoalProgress]:
    columns = board([*SALES, *campaigns], zone=ZONE, **shop)
    return goal_progress(columns, ShopSettings(SHOP, ZONE, **shop), as_of_ms=now_ms)


def test_gmv_counts_from_the_midnight_that_begins_the_campaigns_first_day() -> None:
    (goal,) = progress([campaign()])
    # 100.00 + 5.00 + 200.00 + 45.00 of 1,000.00
    assert (goal.value, goal.target) == (35_000, 100_000)
    assert goal.progress_pct == pytest.approx(35.0)
    assert goal.starts_at_ms == at("2024-11-28 00:00", ZONE)


def test_shipping_counts_only_where_the_shops_gmv_has_it() -> None:
    assert progress([campaign()], gmv_includes_shipping=False)[0].value == 34_500


def test_progress_is_not_clipped_at_100() -> None:
    assert progress([campaign(target_value=100.0)])[0].progress_pct == pytest.approx(350.0)


@pytest.mark.parametrize(("metric", "value", "percent"), [("orders", 2, 20.0), ("items_sold", 5, 50.0)])
def test_a_target_of_orders_or_items_counts_those(metric: str, value: int, percent: float) -> None:
    (goal,) = progress([campaign(target_metric=metric, target_value=10.0)])
    assert (goal.value, goal.target) == (value, 10.0)
    assert goal.progress_pct == pytest.approx(percent)


@pytest.mark.parametrize("target", [None, 0.0])
def test_without_a_target_there_is_no_progress(target: float | None) -> None:
    assert progress([campaign(target_value=target)])[0].progress_pct is None


def test_a_currency_without_minor_units_has_its_target_in_whole_units() -> None:
    assert progress([campaign()], currency="JPY")[0].target == 1_000


def test_sales_after_the_exact_end_do_not_count() -> None:
    (goal,) = progress([campaign(ends_at_ms=at("2024-11-29 09:00", ZONE))])
    assert goal.value == 10_500


@pytest.mark.parametrize(
    ("end", "value"),
    [("2024-11-29 10:00", 10_500), ("2024-11-29 10:01", 35_000), ("2024-11-29 09:59:59", 10_500)],
)
def test_progress_and_the_campaigns_window_end_at_the_same_instant(end: str, value: int) -> None:
    events = [*SALES, campaign(ends_at_ms=at(end, ZONE))]
    question = parse_request({"metrics": "gmv,goal_progress_pct", "window": "campaign"})
    (row,) = run(board(events, zone=ZONE), question, now_ms=NOW).rows
    assert row == {"gmv": value / 100, "goal_progress_pct": pytest.approx(value / 100_000)}


def test_the_query_layer_gives_pace_and_projected_end_as_the_goal_has_them() -> None:
    metrics = "goal_pace_pct,gmv_projected_campaign_end,gmv_projected_campaign_end_low"
    (goal,) = progress([campaign()])
    answer = run(board([*SALES, campaign()], zone=ZONE), parse_request({"metrics": metrics}), now_ms=NOW)
    (row,) = answer.rows
    assert row["goal_pace_pct"] == pytest.approx(0.7)
    assert row["gmv_projected_campaign_end"] == pytest.approx(700.0, rel=1e-3)
    assert goal.projected_low is not None
    assert row["gmv_projected_campaign_end_low"] == pytest.approx(goal.projected_low / 100)


def test_the_projected_gmv_is_money_also_where_the_goal_counts_orders() -> None:
    events = [*SALES, campaign(target_metric="orders", target_value=10.0)]
    question = parse_request({"metrics": "gmv_projected_campaign_end,goal_pace_pct", "by": "campaign"})
    (row,) = run(board(events, zone=ZONE), question, now_ms=NOW).rows
    assert row["gmv_projected_campaign_end"] == pytest.approx(700.0, rel=1e-3)
    # 2 of 10 orders at half of the time.
    assert row["goal_pace_pct"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("metric", "period", "value"),
    # From Monday the 25th: 105.00 of Thursday and 245.00 of Friday beside 999.99 of Wednesday.
    [
        ("period_sales_goal_pct", "week", 1_349.99 / 2_000),
        ("quarter_revenue_target_pct", "quarter", 1_349.99 / 2_000),
    ],
)
def test_the_query_layer_gives_the_share_of_week_and_quarter(metric: str, period: str, value: float) -> None:
    events = [*SALES, campaign(period_goals=[PeriodGoal(period, "gmv", 2_000.0)])]
    (row,) = run(board(events, zone=ZONE), parse_request({"metrics": metric}), now_ms=NOW).rows
    assert row[metric] == pytest.approx(value)


def test_a_campaign_that_has_not_begun_has_no_row() -> None:
    assert progress([campaign(starts_at_ms=NOW + DAY_MS)]) == []


def test_of_running_campaigns_the_one_that_ends_last_is_meant() -> None:
    columns = board(
        [campaign(campaign_id="c1"), campaign(campaign_id="c2", ends_at_ms=END + DAY_MS)], zone=ZONE
    )
    running = running_campaign(columns, ShopSettings(SHOP, ZONE), as_of_ms=NOW)
    assert running is not None
    assert running.campaign_id == "c2"


def today(campaigns: list[Fact]) -> DayGoal | None:
    return day_goal(board([*SALES, *campaigns], zone=ZONE), ShopSettings(SHOP, ZONE), as_of_ms=NOW)


def test_todays_goal_is_what_the_plan_says() -> None:
    plan = [PlanPoint("2024-11-28", 100.0), PlanPoint("2024-11-29", 600.0)]
    assert today([campaign(plan=plan)]) == DayGoal("c1", DAY_29, 60_000, "plan")


def test_a_plan_by_hours_is_summed_over_the_day() -> None:
    plan = [PlanPoint("2024-11-29", 10.0, hour=10), PlanPoint("2024-11-29", 30.0, hour=20)]
    assert today([campaign(plan=plan)]) == DayGoal("c1", DAY_29, 4_000, "plan")


def test_without_a_plan_what_remained_this_morning_is_spread_over_the_days_left() -> None:
    # 1,000.00 less 105.00 of the 28th, over the 29th and the 30th.
    assert today([campaign()]) == DayGoal("c1", DAY_29, 44_750, "straight")


def test_without_a_plan_today_gets_its_part_of_what_remained_as_the_reference_sold() -> None:
    """The reference sold 30.00 on its first, 60.00 on its second and 30.00 on its third day."""
    amounts = [("2024-11-20", 3_000), ("2024-11-21", 6_000), ("2024-11-22", 3_000)]
    reference = [
        order(f"reference-{day}", at(f"{day} 12:00", ZONE), [line("1", "A1", cents)])
        for day, cents in amounts
    ]
    columns = board([*SALES, *reference, campaign(reference="2024-11-20")], zone=ZONE)
    # 895.00 remained; a hundredth of the shape is spread evenly, a third of it a day.
    today_part, left = 0.99 * 0.5 + 0.01 / 3, 0.99 * 0.75 + 0.02 / 3
    assert day_goal(columns, ShopSettings(SHOP, ZONE), as_of_ms=NOW) == DayGoal(
        "c1", DAY_29, round(89_500 * today_part / left), "reference"
    )


def test_pace_is_progress_against_what_was_due_by_now() -> None:
    """At noon of the second of three days half of the time has passed; the feed is complete up to now."""
    (goal,) = progress([campaign()])
    assert goal.basis == "straight"
    assert goal.expected_share == pytest.approx(0.5)
    assert goal.pace_pct == pytest.approx(70.0)


def test_pace_follows_the_plan() -> None:
    plan = [PlanPoint("2024-11-28", 100.0), PlanPoint("2024-11-29", 400.0), PlanPoint("2024-11-30", 500.0)]
    (goal,) = progress([campaign(plan=plan)])
    # 100 and the half of 400 of 1,000 were due, 350 were sold.
    assert goal.basis == "plan"
    assert goal.expected_share == pytest.approx(0.3)
    assert goal.pace_pct == pytest.approx(350 / 300 * 100)


def test_nothing_is_expected_of_hours_that_the_order_feed_has_not_told_yet() -> None:
    """The last order is of 10:00: an open feed at noon says nothing of the two hours since (X-79)."""
    columns = board([*SALES[:3], campaign()], zone=ZONE)
    (goal,) = goal_progress(columns, ShopSettings(SHOP, ZONE), as_of_ms=NOW)
    assert goal.complete_ms == at("2024-11-29 10:00", ZONE)
    assert goal.expected_share == pytest.approx(34 / 72)


def test_needed_per_hour_is_what_is_missing_over_the_hours_left() -> None:
    assert progress([campaign()])[0].needed_per_h == pytest.approx(65_000 / 36)
    assert progress([campaign(target_value=300.0)])[0].needed_per_h == 0
    assert progress([campaign(target_value=None)])[0].needed_per_h is None


def test_in_the_last_five_minutes_no_rate_an_hour_is_told() -> None:
    last = NOW + 5 * MINUTE_MS - 1  # a campaign's end is its last millisecond
    assert progress([campaign(ends_at_ms=last)])[0].needed_per_h == pytest.approx(65_000 * 12)
    assert progress([campaign(ends_at_ms=last - MINUTE_MS)])[0].needed_per_h is None


def test_the_projected_end_of_a_straight_line_goes_on_as_before() -> None:
    (goal,) = progress([campaign()])
    assert goal.projected == pytest.approx(70_000, rel=1e-3)
    assert goal.projected_low is not None
    assert goal.projected_high is not None
    assert 35_000 <= goal.projected_low < 70_000 < goal.projected_high


def test_a_campaign_that_is_over_has_ended_where_it_ended() -> None:
    (goal,) = progress([campaign(ends_at_ms=at("2024-11-29 11:00", ZONE))])
    assert (goal.projected_low, goal.projected, goal.projected_high) == (35_000, 35_000, 35_000)
    assert goal.expected_share == 1.0
    assert goal.pace_pct == pytest.approx(35.0)
    assert goal.needed_per_h is None


def test_a_goal_of_the_settings_stands_in_for_one_that_the_record_does_not_name() -> None:
    columns = board([*SALES, campaign(target_value=None)], zone=ZONE)
    columns.settings = dataclasses.replace(
        columns.settings, goals={SHOP: GoalSettings(campaigns={"c1": 500.0})}
    )
    (goal,) = goal_progress(columns, ShopSettings(SHOP, ZONE), as_of_ms=NOW)
    assert goal.target == 50_000
    assert goal.progress_pct == pytest.approx(70.0)


def test_the_record_wins_over_the_settings() -> None:
    columns = board([*SALES, campaign()], zone=ZONE)
    columns.settings = dataclasses.replace(
        columns.settings, goals={SHOP: GoalSettings(campaigns={"c1": 500.0})}
    )
    assert goal_progress(columns, ShopSettings(SHOP, ZONE), as_of_ms=NOW)[0].target == 100_000


def test_without_a_campaign_or_a_gmv_target_there_is_no_goal_of_today() -> None:
    assert today([]) is None
    assert today([campaign(target_value=None)]) is None
    assert today([campaign(target_metric="orders")]) is None
    assert today([campaign(ends_at_ms=NOW)]) is None


def test_a_days_gmv_is_null_before_orders_were_a_source() -> None:
    columns = board(SALES, zone=ZONE)
    shop = ShopSettings(SHOP, ZONE)
    assert gmv_of_day(columns, shop, DAY_29 - 1) == 10_500
    assert gmv_of_day(columns, shop, DAY_29 - 3) is None


def test_a_day_of_25_hours_is_taken_whole() -> None:
    sold = [
        order(str(hour), at("2024-11-03 00:30", ZONE) + hour * HOUR_MS, [line("1", "A1", 100)])
        for hour in range(26)
    ]
    # 2024-11-03, when the clocks go back in Los Angeles.
    assert gmv_of_day(board(sold, zone=ZONE), ShopSettings(SHOP, ZONE), 739_193) == 2_500
