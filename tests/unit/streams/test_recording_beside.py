"""A recording as the shape of a goal's pace: laid beside by campaign day and hour of the shop's clock (X-80)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS
from streams.events import Fact
from streams.goal_curve import Curve, campaign_curve
from streams.goal_report import goals_document, goals_text
from streams.goals import goal_progress
from streams.query import parse_request, run
from streams.settings import GoalSettings
from tests.unit.streams.boards import SHOP, at, board, line, order
from tests.unit.streams.test_goal_curve import FRIDAY, SHOP_SETTINGS, ZONE, campaign, sales

RECORDED_END = at("2019-07-05 00:00", ZONE) - 1
"""The last record of what `recorded` gives."""

ORDERS = [("2019-07-03 09:10", 2), ("2019-07-03 20:30", 6), ("2019-07-04 12:30", 1)]
"""When the recording has how many orders of one dollar."""


def recorded(
    *, zone: str = ZONE, until_ms: int = RECORDED_END, earlier: bool = False, currency: str = "USD"
) -> Columns:
    """Return the columns of a recording of two days; `earlier` knows a campaign on both."""
    events: list[Fact] = [
        order(f"{time}-{n}", at(time, zone), [line("1", "A1", 100)])
        for time, count in ORDERS
        for n in range(count)
    ]
    if earlier:
        events.append(campaign(campaign_id="summer", start_ms=at("2019-07-03 00:00", zone), days=2))
    return board(events, zone=zone, vouch_ms=until_ms, currency=currency)


def shop_with(
    beside: Columns | None, *events: Fact, references: dict[str, str] | None = None, **more: Any
) -> Columns:
    columns = board([*events, campaign(**more)], zone=ZONE, vouch_ms=FRIDAY + 12 * HOUR_MS)
    if references is not None:
        goals = {SHOP: GoalSettings(references=references)}
        columns.settings = dataclasses.replace(columns.settings, goals=goals)
    if beside is not None:
        columns.beside = {SHOP: beside}
    return columns


def curve_of(columns: Columns, metric: str = "gmv") -> Curve:
    (bf,) = columns.campaigns(SHOP)
    return campaign_curve(columns, SHOP_SETTINGS, bf, metric)


def test_a_day_of_the_recording_gives_the_share_of_each_hour_of_the_clock() -> None:
    curve = curve_of(shop_with(recorded(), reference="recording:2019-07-03"))
    assert (curve.basis, curve.reference) == ("reference", "2019-07-03 of the recording beside")
    # 2 of 8 orders by 10, all of them by 21; a hundredth is spread evenly over the day.
    assert curve.share(FRIDAY + 10 * HOUR_MS) == pytest.approx(0.99 * 2 / 8 + 0.01 * 10 / 24)
    assert curve.share(FRIDAY + 20 * HOUR_MS) == pytest.approx(0.99 * 2 / 8 + 0.01 * 20 / 24)
    assert curve.share(FRIDAY + 21 * HOUR_MS) == pytest.approx(0.99 + 0.01 * 21 / 24)
    assert curve.unused == ""


def test_a_campaign_of_the_recording_is_laid_beside_by_campaign_day() -> None:
    curve = curve_of(shop_with(recorded(earlier=True), days=3, reference="recording:summer"))
    assert curve.reference == "2019-07-03 to 2019-07-04 of the recording beside"
    # 8 orders, then 1; the third day, which it has not, is expected to be their mean of 4.5.
    assert curve.share(FRIDAY + DAY_MS) == pytest.approx(0.99 * 8 / 13.5 + 0.01 / 3)
    assert curve.share(FRIDAY + 2 * DAY_MS) == pytest.approx(0.99 * 9 / 13.5 + 0.01 * 2 / 3)


def test_hours_are_those_of_each_shops_own_clock() -> None:
    """9 o'clock in Tokyo stands beside 9 o'clock in New York."""
    until_ms = at("2019-07-05 00:00", "Asia/Tokyo") - 1
    beside = recorded(zone="Asia/Tokyo", until_ms=until_ms)
    curve = curve_of(shop_with(beside, reference="recording:2019-07-03"))
    assert curve.share(FRIDAY + 9 * HOUR_MS) == pytest.approx(0.01 * 9 / 24)
    assert curve.share(FRIDAY + 10 * HOUR_MS) == pytest.approx(0.99 * 2 / 8 + 0.01 * 10 / 24)


def test_the_settings_name_a_reference_where_the_record_names_none() -> None:
    columns = shop_with(recorded(), references={"bf": "recording:2019-07-03"})
    assert curve_of(columns).reference == "2019-07-03 of the recording beside"
    columns = shop_with(
        recorded(), references={"bf": "recording:2019-07-03"}, reference="recording:2019-07-04"
    )
    assert curve_of(columns).reference == "2019-07-04 of the recording beside"


def test_pace_and_end_follow_the_recording() -> None:
    """3 orders by noon where a quarter of the goal of 8 is due by then: 1.5 times the pace, up to the hundredth."""
    sold = sales("2026-11-27 09:10", "2026-11-27 09:20", "2026-11-27 09:30")
    columns = shop_with(
        recorded(), *sold, reference="recording:2019-07-03", target_value=8, target_metric="orders"
    )
    (goal,) = goal_progress(columns, SHOP_SETTINGS, as_of_ms=FRIDAY + 12 * HOUR_MS)
    assert goal.pace_pct == pytest.approx(100 * (3 / 8) / (0.99 / 4 + 0.01 / 2), rel=0.001)
    answer = run(
        columns, parse_request({"metrics": "goal_pace_pct", "by": "campaign"}), now_ms=FRIDAY + 12 * HOUR_MS
    )
    assert answer.rows == [{"campaign": "bf", "goal_pace_pct": pytest.approx((goal.pace_pct or 0) / 100)}]
    # The evening is still to come: the straight line would end at 6.
    assert goal.projected is not None
    assert goal.projected > 7


def test_amounts_of_another_currency_say_when_it_sells_and_not_how_much() -> None:
    own = curve_of(shop_with(recorded(), reference="recording:2019-07-03"))
    foreign = curve_of(shop_with(recorded(currency="JPY"), reference="recording:2019-07-03"))
    assert (own.days, foreign.days) == (1, 0)
    assert foreign.share(FRIDAY + 10 * HOUR_MS) == own.share(FRIDAY + 10 * HOUR_MS)


def test_a_campaign_is_compared_with_the_recording_that_it_names() -> None:
    columns = shop_with(recorded(), reference="recording:2019-07-03")
    asked = {"metrics": "orders", "window": "campaign", "compare": "reference"}
    (row,) = run(columns, parse_request(asked), now_ms=FRIDAY + 12 * HOUR_MS).rows
    # Up to noon the recording had sold its two orders of the morning.
    assert row["orders_compared"] == 2


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("recording:2019-07-02", "does not tell the whole of 2019-07-02. It tells 2019-07-03 to 2019-07-04."),
        ("recording:2019-07-05", "does not tell the whole of 2019-07-05. It tells 2019-07-03 to 2019-07-04."),
        (
            "recording:winter",
            "'winter' is neither a day nor a campaign of the recording beside. Its campaigns: none.",
        ),
    ],
)
def test_a_recording_without_such_hours_shapes_nothing_and_that_is_said(reference: str, says: str) -> None:
    columns = shop_with(recorded(), reference=reference, target_value=5.0)
    curve = curve_of(columns)
    assert curve.basis == "straight"
    assert curve.unused.endswith(says)
    shown = goals_text(goals_document(columns, SHOP_SETTINGS, columns.settings, now_ms=FRIDAY + 12 * HOUR_MS))
    assert f"Its reference is not used: {curve.unused}" in shown


def test_a_day_that_the_recording_breaks_off_in_has_not_all_its_hours() -> None:
    beside = recorded(until_ms=at("2019-07-04 15:00", ZONE))
    assert (
        "It tells 2019-07-03 to 2019-07-03."
        in curve_of(shop_with(beside, reference="recording:2019-07-04")).unused
    )


def test_without_a_recording_beside_it_is_said_how_to_name_one() -> None:
    unused = curve_of(shop_with(None, reference="recording:2019-07-03")).unused
    assert unused.startswith("No recording is given beside. Name one with --against PATH")
