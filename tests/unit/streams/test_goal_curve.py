"""What is expected when: plan, reference, the shop's own days, the straight line."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS
from streams.events import Campaign, Fact, PlanPoint
from streams.goal_curve import Curve, campaign_curve, period_curve
from streams.settings import ShopSettings
from tests.unit.streams.boards import SHOP, at, board, line, order

ZONE = "America/New_York"
FRIDAY = at("2026-11-27 00:00", ZONE)
SHOP_SETTINGS = ShopSettings(SHOP, ZONE)


def campaign(*, days: int = 1, start_ms: int = FRIDAY, **more: Any) -> Campaign:
    values: dict[str, Any] = {"campaign_id": "bf", "version": 1} | more
    return Campaign(
        event_id="c",
        event_type="campaign",
        shop_id=SHOP,
        occurred_at_ms=start_ms,
        name="Friday",
        starts_at_ms=start_ms,
        ends_at_ms=start_ms + days * DAY_MS,
        joined_at_ms=0,
        product_ids=["A"],
        **values,
    )


def sales(*times: str, dollars: int = 1) -> list[Fact]:
    return [
        order(f"{time}-{n}", at(time, ZONE), [line("1", "A1", dollars * 100)]) for n, time in enumerate(times)
    ]


def curve_of(bf: Campaign, events: list[Fact] | None = None) -> Curve:
    return campaign_curve(board([*(events or []), bf], zone=ZONE), SHOP_SETTINGS, bf, "gmv")


def test_without_plan_and_history_the_expected_share_is_that_of_the_time() -> None:
    curve = curve_of(campaign())
    assert (curve.basis, curve.reference) == ("straight", "")
    assert curve.share(FRIDAY) == 0
    assert curve.share(FRIDAY + 6 * HOUR_MS) == pytest.approx(0.25)
    assert curve.share(FRIDAY + DAY_MS) == 1
    assert curve.share(FRIDAY + 9 * DAY_MS) == 1


def test_a_plan_by_day_is_spread_evenly_inside_a_day_where_nothing_tells_its_hours() -> None:
    plan = [PlanPoint("2026-11-27", 100.0), PlanPoint("2026-11-28", 300.0)]
    curve = curve_of(campaign(days=2, plan=plan))
    assert curve.basis == "plan"
    assert curve.share(FRIDAY + 12 * HOUR_MS) == pytest.approx(0.125)
    assert curve.share(FRIDAY + 24 * HOUR_MS) == pytest.approx(0.25)
    assert curve.share(FRIDAY + 36 * HOUR_MS) == pytest.approx(0.625)


def test_a_plan_by_hour_is_followed_inside_the_hour() -> None:
    plan = [PlanPoint("2026-11-27", 10.0, hour=10), PlanPoint("2026-11-27", 30.0, hour=20)]
    curve = curve_of(campaign(plan=plan))
    assert curve.share(FRIDAY + 10 * HOUR_MS) == 0
    assert curve.share(FRIDAY + 10 * HOUR_MS + HOUR_MS // 2) == pytest.approx(0.125)
    assert curve.share(FRIDAY + 20 * HOUR_MS) == pytest.approx(0.25)


def test_a_days_own_point_is_its_sum_and_its_hours_divide_it() -> None:
    plan = [
        PlanPoint("2026-11-27", 80.0),
        PlanPoint("2026-11-27", 1.0, hour=10),
        PlanPoint("2026-11-27", 3.0, hour=20),
        PlanPoint("2026-11-28", 20.0),
    ]
    curve = curve_of(campaign(days=2, plan=plan))
    assert curve.share(FRIDAY + 11 * HOUR_MS) == pytest.approx(0.2)
    assert curve.share(FRIDAY + 24 * HOUR_MS) == pytest.approx(0.8)


def test_what_the_goal_has_beyond_the_plan_goes_to_the_days_it_leaves_out() -> None:
    bf = campaign(days=3, plan=[PlanPoint("2026-11-27", 400.0)], target_value=1_000.0)
    assert curve_of(bf).share(FRIDAY + 48 * HOUR_MS) == pytest.approx(0.7)


def test_a_plan_of_other_days_is_none() -> None:
    assert curve_of(campaign(plan=[PlanPoint("2025-11-28", 100.0)])).basis == "straight"


REFERENCE_DAY = sales("2026-11-20 09:10", "2026-11-20 20:30", "2026-11-20 20:40", "2026-11-20 20:50")


def test_a_reference_day_gives_the_share_of_each_hour_of_the_clock() -> None:
    curve = curve_of(campaign(reference="2026-11-20"), REFERENCE_DAY)
    assert (curve.basis, curve.reference) == ("reference", "2026-11-20")
    # A quarter of it in the hour from 9; a hundredth is spread evenly over the day.
    assert curve.share(FRIDAY + 10 * HOUR_MS) == pytest.approx(0.99 * 0.25 + 0.01 * 10 / 24)
    assert curve.share(FRIDAY + 20 * HOUR_MS) == pytest.approx(0.99 * 0.25 + 0.01 * 20 / 24)


def test_hours_are_those_of_the_shops_clock_across_a_clock_change() -> None:
    """The clocks went back between 24 October and the campaign of 2 November: 9 is 9 o'clock on both days."""
    monday = at("2026-11-02 00:00", ZONE)
    bf = campaign(start_ms=monday, reference="2026-10-24")
    curve = curve_of(bf, sales("2026-10-24 09:10", "2026-10-24 20:30"))
    assert curve.share(at("2026-11-02 10:00", ZONE)) == pytest.approx(0.99 * 0.5 + 0.01 * 10 / 24)


def test_a_day_of_25_hours_is_divided_over_25_hours() -> None:
    sunday = at("2026-11-01 00:00", ZONE)
    bf = campaign(start_ms=sunday, plan=[PlanPoint("2026-11-01", 100.0)])
    bf = campaign(start_ms=sunday, plan=bf.plan, campaign_id="long")
    curve = campaign_curve(board([bf], zone=ZONE), SHOP_SETTINGS, bf, "gmv")
    # The campaign lasts 24 hours from midnight, so it ends at 23:00 of the shop's clock.
    assert curve.share(at("2026-11-01 12:00", ZONE)) == pytest.approx(13 / 24)


def test_an_earlier_campaign_is_laid_beside_day_by_day() -> None:
    earlier = campaign(campaign_id="bf-25", start_ms=at("2025-11-28 00:00", ZONE), days=2)
    events: list[Fact] = [
        *sales("2025-11-28 12:10"),
        *sales("2025-11-29 12:10", dollars=3),
        earlier,
    ]
    curve = curve_of(campaign(days=2, reference="bf-25"), events)
    assert curve.reference == "2025-11-28 to 2025-11-29"
    assert curve.share(FRIDAY + DAY_MS) == pytest.approx(0.99 * 0.25 + 0.01 * 0.5)


def test_days_beyond_a_shorter_reference_take_its_mean() -> None:
    """A reference of one day beside a campaign of three: each of them is expected to be like it."""
    yesterday = sales("2026-11-26 12:10")
    curve = curve_of(campaign(days=3, reference="2026-11-26"), yesterday)
    assert curve.share(FRIDAY + DAY_MS) == pytest.approx(1 / 3)
    assert curve.share(FRIDAY + 2 * DAY_MS) == pytest.approx(2 / 3)


@pytest.mark.parametrize("reference", ["2026-11-27", "2026-12-24", "friday-recording", "2026-11-19"])
def test_a_reference_that_is_not_over_or_not_known_is_passed_over(reference: str) -> None:
    assert curve_of(campaign(reference=reference), REFERENCE_DAY).basis == "straight"


def weeks_before(days: int = 28) -> list[Fact]:
    """9 orders a day up to 29 November, 3 in each of the hours from 9, 15 and 21 of the clock; on Sundays none."""
    last = dt.date(2026, 11, 29)
    return [
        order(f"{day}-{hour}-{n}", at(f"{day} {hour:02}:0{n}", ZONE), [line("1", "A1", 100)])
        for day in (last - dt.timedelta(days=back) for back in range(days))
        for hour in (9, 15, 21)
        for n in range(3)
        if day.weekday() != 6
    ]


def test_without_a_named_reference_the_own_days_before_shape_weekdays_and_hours() -> None:
    columns: Columns = board(weeks_before(), zone=ZONE)
    monday = at("2026-11-30 00:00", ZONE)
    curve = period_curve(columns, SHOP_SETTINGS, "gmv", monday, monday + 7 * DAY_MS)
    assert curve.basis == "reference"
    sunday = curve.share(monday + 7 * DAY_MS) - curve.share(monday + 6 * DAY_MS)
    tuesday = curve.share(monday + 2 * DAY_MS) - curve.share(monday + DAY_MS)
    assert sunday < 0.05 < 0.13 < tuesday
    morning = curve.share(monday + 10 * HOUR_MS) - curve.share(monday + 9 * HOUR_MS)
    assert morning == pytest.approx(curve.share(monday + DAY_MS) / 3, rel=0.05)


def test_too_few_orders_before_make_no_shape() -> None:
    columns = board(weeks_before(days=10), zone=ZONE)
    monday = at("2026-11-30 00:00", ZONE)
    assert period_curve(columns, SHOP_SETTINGS, "gmv", monday, monday + DAY_MS).basis == "straight"


def test_a_campaign_that_never_ends_is_a_straight_line_and_no_fault() -> None:
    bf = campaign(days=1_000_000, plan=[PlanPoint("2026-11-27", 5.0)], target_value=10.0)
    assert curve_of(bf).basis == "straight"
