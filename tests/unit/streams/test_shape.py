"""The shape of the day and of the week, against counts made by hand."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from streams.days import HOUR_MS, parse_day
from streams.shape import FLOOR, DayShape, local_hours, shape_of, weekday_weights
from tests.unit.streams.boards import at

MONDAY = parse_day("2024-11-04")


def test_a_day_of_the_week_weighs_as_it_sells_and_one_that_never_sells_next_to_nothing() -> None:
    # Four weeks: 30 a day, 60 on Fridays, none on Saturdays. The mean day sells 30.
    days = np.array([30, 30, 30, 30, 60, 0, 30] * 4, dtype=np.float64)
    weights = weekday_weights(MONDAY, days)
    assert weights[0] == pytest.approx(1, abs=0.01)
    assert weights[4] == pytest.approx(2 * (1 - FLOOR) + FLOOR, abs=0.01)
    assert weights[5] == pytest.approx(FLOOR, abs=0.01)
    assert sum(weights) == pytest.approx(7)


def test_weeks_that_begin_on_a_wednesday_give_the_same_weekdays() -> None:
    days = np.array([30, 30, 30, 30, 60, 0, 30] * 5, dtype=np.float64)
    assert weekday_weights(MONDAY + 2, days[2:-5]) == pytest.approx(weekday_weights(MONDAY, days), abs=1e-3)


def test_before_two_weeks_are_seen_every_day_is_alike() -> None:
    assert weekday_weights(MONDAY, np.array([100.0] * 12 + [0.0])) == (1.0,) * 7
    assert weekday_weights(MONDAY, np.array([1.0] * 28)) == (1.0,) * 7


def test_hours_and_weekdays_multiply_on_the_shops_own_clock() -> None:
    hours = tuple(2.0 if hour < 12 else 0.5 for hour in range(24))
    shape = DayShape(hours, "own", "America/Los_Angeles", (1.0, 1.0, 1.0, 1.0, 3.0, 0.5, 1.0))
    # Friday 11:00 to Saturday 02:00 in Los Angeles, by the hour.
    start_ms = at("2024-11-29 11:00", "America/Los_Angeles")
    levels = shape.levels(np.arange(start_ms, start_ms + 16 * HOUR_MS, HOUR_MS, dtype=np.int64))
    assert levels[0] == 6.0
    assert levels[1] == 1.5
    assert levels[13] == 1.0


def test_an_hour_that_was_never_seen_counts_as_the_mean() -> None:
    sales = np.array([0.0] * 12 + [30.0] * 6 + [90.0] * 6)
    seen = np.array([0.0] * 12 + [1.0] * 12)
    weights = shape_of(sales, seen, "own", "UTC").weights
    assert weights[0] == 1.0
    assert weights[23] / weights[12] == pytest.approx(3, rel=0.1)
    assert shape_of(sales / 10, seen, "own", "UTC").basis == "flat"


@pytest.mark.parametrize("zone", ["Europe/London", "America/Los_Angeles", "Australia/Lord_Howe", "UTC"])
def test_local_hours_are_those_of_the_clock_over_a_whole_year(zone: str) -> None:
    begin = dt.datetime(2024, 1, 15, tzinfo=dt.UTC)
    instants = [begin + dt.timedelta(minutes=15 * quarter) for quarter in range(366 * 96)]
    at_ms = np.array([int(each.timestamp()) * 1000 for each in instants], dtype=np.int64)
    expected = [each.astimezone(ZoneInfo(zone)).hour for each in instants]
    assert local_hours(at_ms, zone).tolist() == expected
