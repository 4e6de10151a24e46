"""Rules on goals: what the pace is held against, and what the messages say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from streams.alerts import decode_alert, encode_alert
from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.events import Campaign, Event, PeriodGoal, PlanPoint
from streams.rule import AlertRoute, Judgement, Reading, Rule, Severity
from streams.rule_context import RuleContext
from streams.rule_goals import GOAL_BEHIND, GOAL_HIT, RULES, WEEK_GOAL
from streams.rule_settings import RuleSettings
from streams.rules import incident_of
from streams.settings import Settings
from tests.unit.streams.boards import SHOP, at, flush_of, heartbeat, line, order, settings
from tests.unit.streams.test_goals import campaign

START = at("2024-11-29 00:00")
GOAL = {"starts_at_ms": START, "ends_at_ms": START + DAY_MS, "target_value": 2_400.0}
"""A day of 2,400.00: without a plan and earlier days 100.00 an hour."""


HOURLY = [PlanPoint("2024-11-29", 100.0, hour=hour) for hour in range(24)]
"""The same, told by somebody who knows the hours."""


def friday(**more: Any) -> Campaign:
    return campaign(**GOAL | more)


def context(events: list[Event], now_ms: int, **numbers: Any) -> RuleContext:
    known: Settings = replace(settings(), rules=replace(RuleSettings(), **numbers))
    columns = Columns(known)
    columns.apply(flush_of([*events, heartbeat(["orders"], now_ms)]))
    return RuleContext(columns, known.shops[SHOP], known, now_ms)


def sold(minor: int, at_ms: int) -> Event:
    return order(f"o{at_ms}", at_ms, [line("1", "A1", minor)])


def sold_by_many(minor: int, at_ms: int, orders: int = 500) -> list[Event]:
    return [order(f"o{number}", at_ms, [line("1", "A1", minor // orders)]) for number in range(orders)]


def one(rule: Rule, events: list[Event], now_ms: int, **numbers: Any) -> Reading:
    (reading,) = rule.find(context(events, now_ms, **numbers))
    return reading


@pytest.mark.parametrize(
    ("minor", "judgement", "severity"),
    [
        (30_000, Judgement.FIRES, Severity.WARNING),
        (36_000, Judgement.FIRES, Severity.NOTE),
        (41_500, Judgement.BETWEEN, Severity.NOTE),
        (43_500, Judgement.CLEAR, Severity.NOTE),
    ],
)
def test_amber_is_below_90_red_below_75_clear_from_95_percent_of_the_pace(
    minor: int, judgement: Judgement, severity: Severity
) -> None:
    # At 04:30 450.00 are due.
    now_ms = START + 4 * HOUR_MS + 30 * MINUTE_MS
    events = [friday(plan=HOURLY), *sold_by_many(minor, START + MINUTE_MS)]
    reading = one(GOAL_BEHIND, events, now_ms)
    assert reading.value == pytest.approx(minor / 450, rel=0.001)
    assert (reading.judgement, reading.severity) == (judgement, severity)
    assert reading.money_minor == pytest.approx(45_000 - minor, abs=20)


@pytest.mark.parametrize("hours", [3, 12, 23])
def test_goal_behind_never_pages(hours: int) -> None:
    events = [friday(plan=HOURLY), sold(1, START + MINUTE_MS)]
    reading = one(GOAL_BEHIND, events, START + hours * HOUR_MS)
    assert reading.judgement is Judgement.FIRES
    assert (reading.route or GOAL_BEHIND.route) is AlertRoute.CHANNEL


@pytest.mark.parametrize(
    ("hours", "due"),
    [(16, None), (18, 0.25), (20, 0.5), (23, 0.875)],
)
def test_without_hours_what_is_left_of_the_day_may_sell_three_times_its_mean(
    hours: int, due: float | None
) -> None:
    events = [friday(), *sold_by_many(60_000, START + MINUTE_MS)]
    reading = one(GOAL_BEHIND, events, START + hours * HOUR_MS)
    assert reading.value == (None if due is None else pytest.approx(25 / due, rel=0.001))
    assert reading.figures["basis"] == "even_line"
    assert reading.money_minor == pytest.approx(240_000 * max((due or 0) - 0.25, 0), abs=50)
    strict = one(GOAL_BEHIND, events, START + hours * HOUR_MS, goal_even_peak=1.0)
    assert strict.value == pytest.approx(2_500 / hours * 24 / 100, rel=0.001)


def test_a_plan_with_the_hours_of_one_day_is_held_to_them_on_that_day_only() -> None:
    two_days = {
        "ends_at_ms": START + 2 * DAY_MS,
        "target_value": 4_800.0,
        "plan": [*HOURLY, PlanPoint("2024-11-30", 2_400.0)],
    }
    events = [friday(**two_days), *sold_by_many(240_000, START + MINUTE_MS)]
    first, second = (one(GOAL_BEHIND, events, START + hours * HOUR_MS) for hours in (12, 36))
    assert first.volume == pytest.approx(25, abs=0.1)
    assert first.figures["basis"] == "plan"
    # All of Friday, and nothing yet of a Saturday that may sell in its evening.
    assert second.volume == pytest.approx(50)
    assert second.figures["basis"] == "even_plan"


def test_a_tenth_that_is_due_or_two_hours_are_enough() -> None:
    def judged(minutes: int, share: float) -> Judgement:
        plan = [
            PlanPoint("2024-11-29", 2_400 * share, hour=0),
            PlanPoint("2024-11-29", 2_400 * (1 - share), hour=12),
        ]
        events: list[Event] = [friday(plan=plan), sold(1, START + MINUTE_MS)]
        return one(GOAL_BEHIND, events, START + minutes * MINUTE_MS).judgement

    assert judged(119, share=0.08) is Judgement.THIN
    assert judged(120, share=0.08) is Judgement.FIRES
    assert judged(61, share=0.12) is Judgement.FIRES


def test_without_a_goal_there_is_no_pace() -> None:
    events: list[Event] = [friday(target_value=None), sold(1, START + MINUTE_MS)]
    assert list(GOAL_BEHIND.find(context(events, START + 3 * HOUR_MS))) == []


@pytest.mark.parametrize(
    ("after_end_ms", "judgement"),
    [(-1, Judgement.FIRES), (30 * MINUTE_MS, Judgement.FIRES), (DAY_MS, Judgement.ENDED)],
)
def test_a_goal_that_was_reached_long_ago_is_no_news(after_end_ms: int, judgement: Judgement) -> None:
    events: list[Event] = [friday(), sold(240_000, START + MINUTE_MS)]
    assert one(GOAL_HIT, events, START + DAY_MS + after_end_ms).judgement is judgement


def test_99_9_percent_is_not_reached() -> None:
    assert one(GOAL_HIT, [friday(), sold(239_999, START)], START + HOUR_MS).judgement is Judgement.BETWEEN
    assert one(GOAL_HIT, [friday(), sold(240_000, START)], START + HOUR_MS).judgement is Judgement.FIRES


def test_the_next_week_is_another_incident() -> None:
    weekly = friday(period_goals=[PeriodGoal("week", "orders", 100.0)], ends_at_ms=START + 30 * DAY_MS)
    this, following = (
        one(WEEK_GOAL, [weekly, sold(1, START)], START + days * DAY_MS).entity.id for days in (1, 8)
    )
    assert this != following


def test_every_reading_makes_an_alert_that_can_be_read_again_with_its_name_on_one_line() -> None:
    goals = [PeriodGoal("last:7d", "gmv", 9_000.0), PeriodGoal("week", "orders", 10.0)]
    hostile = msgspec.structs.replace(friday(period_goals=goals), name="Black\nA-77 page\u202e Friday")
    rules = context([hostile, sold(250_000, START + MINUTE_MS)], START + 5 * HOUR_MS)
    said = [incident_of(rule, reading, rules, rule.number) for rule in RULES for reading in rule.find(rules)]
    assert {alert.rule for alert in said} == {"A-41", "A-42", "A-43"}
    for alert in said:
        assert decode_alert(encode_alert(alert)) == alert
        assert "\n" not in alert.message
        assert "\u202e" not in alert.message
