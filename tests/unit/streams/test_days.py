"""The shop's calendar over clock changes, against the standard library's own reading of the zone."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.days import (
    DAY_MS,
    EARLIEST_MS,
    HOUR_MS,
    QUARTER_MS,
    BusinessCalendar,
    day_label,
    parse_day,
)

ZONES = (
    "America/Los_Angeles",
    "Europe/London",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Africa/Cairo",
    "UTC",
)
INSTANTS = st.integers(EARLIEST_MS, 1_893_456_000_000)


@given(zone=st.sampled_from(ZONES), at_ms=INSTANTS)
def test_the_day_is_the_date_on_the_shops_wall(zone: str, at_ms: int) -> None:
    calendar = BusinessCalendar(zone)
    expected = dt.datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).date().toordinal()
    assert calendar.day_of(at_ms) == expected
    assert calendar.days_of(np.array([at_ms])).tolist() == [expected]


@given(zone=st.sampled_from(ZONES), at_ms=st.lists(INSTANTS, max_size=5))
def test_a_column_of_instants_gives_the_days_of_each(zone: str, at_ms: list[int]) -> None:
    calendar = BusinessCalendar(zone)
    for part in (at_ms, at_ms[::-1]):
        days = calendar.days_of(np.array(part, dtype=np.int64))
        assert days.tolist() == [calendar.day_of(instant) for instant in part]


@given(zone=st.sampled_from(ZONES), at_ms=INSTANTS)
def test_a_day_begins_at_its_first_instant_and_at_a_quarter_hour(zone: str, at_ms: int) -> None:
    calendar = BusinessCalendar(zone)
    day = calendar.day_of(at_ms)
    start = calendar.day_start_ms(day)
    assert start <= at_ms < calendar.day_start_ms(day + 1)
    assert start % QUARTER_MS == 0
    assert calendar.day_of(start - 1) < day


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2025-11-02", 25),
        ("America/New_York", "2025-03-09", 23),
        ("Europe/London", "2011-10-30", 25),
        ("Australia/Lord_Howe", "2025-04-06", 24.5),
        ("Europe/London", "2011-11-25", 24),
        ("Pacific/Apia", "2011-12-29", 24),
    ],
)
def test_days_have_the_length_that_the_clocks_give_them(zone: str, day: str, hours: float) -> None:
    calendar = BusinessCalendar(zone)
    ordinal = parse_day(day)
    assert calendar.day_start_ms(ordinal + 1) - calendar.day_start_ms(ordinal) == hours * HOUR_MS


def test_a_day_without_midnight_begins_when_the_clocks_have_jumped() -> None:
    calendar = BusinessCalendar("America/Sao_Paulo")
    start = calendar.day_start_ms(parse_day("2018-11-04"))
    assert calendar.hour_label(start) == "2018-11-04T01-02:00"


def test_the_repeated_hour_is_two_hours_with_their_offsets() -> None:
    calendar = BusinessCalendar("America/New_York")
    first = int(dt.datetime(2025, 11, 2, 5, 30, tzinfo=dt.UTC).timestamp() * 1000)
    labels = [calendar.hour_label(calendar.hour_start_ms(at)) for at in (first, first + HOUR_MS)]
    assert labels == ["2025-11-02T01-04:00", "2025-11-02T01-05:00"]
    assert calendar.minute_label(first) == "2025-11-02T01:30-04:00"


def test_offsets_follow_the_zone() -> None:
    calendar = BusinessCalendar("Asia/Kathmandu")
    assert calendar.offset_ms(EARLIEST_MS) == int(5.75 * HOUR_MS)
    assert BusinessCalendar("UTC").offset_ms(EARLIEST_MS) == 0


def test_no_instants_have_no_days() -> None:
    assert len(BusinessCalendar("UTC").days_of(np.empty(0, dtype=np.int64))) == 0


def test_labels_are_iso_dates() -> None:
    assert day_label(parse_day("2011-11-25")) == "2011-11-25"
    with pytest.raises(ValueError, match="month"):
        parse_day("2011-13-01")
    assert DAY_MS == 24 * HOUR_MS


def test_an_hour_that_a_half_hour_change_cuts_begins_at_the_change() -> None:
    # Lord Howe, 5 April 2026: at 15:00 UTC the clocks go back from 02:00+11:00 to 01:30+10:30.
    calendar = BusinessCalendar("Australia/Lord_Howe")
    change = int(dt.datetime(2026, 4, 4, 15, tzinfo=dt.UTC).timestamp() * 1000)
    starts = [calendar.hour_start_ms(at) for at in (change - 1, change, change + QUARTER_MS)]
    assert starts == [change - HOUR_MS, change, change]
    assert [calendar.hour_label(start) for start in starts[:2]] == [
        "2026-04-05T01+11:00",
        "2026-04-05T01+10:30",
    ]
    # 4 October 2026: at 15:30 UTC they go forward from 02:00+10:30 to 02:30+11:00.
    forward = int(dt.datetime(2026, 10, 3, 15, 30, tzinfo=dt.UTC).timestamp() * 1000)
    assert calendar.hour_start_ms(forward + QUARTER_MS) == forward
    assert calendar.hour_label(forward) == "2026-10-04T02+11:00"
