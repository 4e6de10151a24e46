"""Recorded time: speeds, pace, and moving a day onto another."""

from __future__ import annotations

import datetime as dt
import json
import math
from zoneinfo import ZoneInfo

import pytest

from replay.clock import Pace, Shift, parse_speed, shift_to_day

DAY_MS = 86_400_000


def at(text: str, zone: str = "Europe/London") -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "speed"), [("60x", 60.0), ("0.5x", 0.5), ("600", 600.0), (" 30X ", 30.0), ("max", None)]
)
def test_a_speed_is_a_factor_or_max(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "x", "0", "-3x", "fast", "nan", "inf", "60xx"])
def test_other_speeds_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="speed"):
        parse_speed(text)


def test_recorded_time_passes_as_many_times_faster_as_the_speed_says() -> None:
    wall = [100.0]
    pace = Pace(5_000, 60.0, lambda: wall[0])
    assert pace.now_ms() == 5_000
    wall[0] = 102.0
    assert pace.now_ms() == 125_000
    assert pace.wait_s(245_000) == pytest.approx(2.0)
    assert pace.wait_s(1) == 0.0


def test_at_top_speed_everything_is_due_and_nothing_waits() -> None:
    pace = Pace(5_000, None, lambda: 0.0)
    assert pace.now_ms() == math.inf
    assert pace.wait_s(10**12) == 0.0


def test_every_time_field_moves_at_any_depth_and_nothing_else() -> None:
    value = {
        "occurred_at_ms": 1_000,
        "version": 1_000,
        "quantity": 7,
        "lines": [{"deep": {"posted_at_ms": 2_000}, "amount_minor": 2_000}],
        "note": 'he said "at_ms": 5000, twice',
        "rate_ms": 1.5,
        "none_ms": None,
    }
    moved = json.loads(Shift(DAY_MS).value(json.dumps(value).encode()))
    assert moved == {
        **value,
        "occurred_at_ms": DAY_MS + 1_000,
        "lines": [{"deep": {"posted_at_ms": DAY_MS + 2_000}, "amount_minor": 2_000}],
    }


def test_dates_of_a_plan_and_a_reference_move_by_whole_days() -> None:
    campaign = b'{"plan":[{"date":"2026-11-27","value":1.0}],"reference":"2026-11-20","name":"2026-11-27"}'
    moved = json.loads(Shift(3 * DAY_MS, 3).value(campaign))
    assert moved == {
        "plan": [{"date": "2026-11-30", "value": 1.0}],
        "reference": "2026-11-23",
        "name": "2026-11-27",
    }


def test_a_value_that_is_not_json_keeps_its_other_bytes() -> None:
    assert Shift(5).value(b'\xff{"at_ms":10') == b'\xff{"at_ms":15'


def test_a_moved_day_keeps_its_hours_across_a_clock_change() -> None:
    # 25 November 2010 has offset 0, 15 July 2026 has +01:00: 17:35 stays 17:35.
    shift = shift_to_day(at("2010-11-25T17:35"), today_ms=at("2026-07-15T03:00"), timezone="Europe/London")
    assert shift.instant(at("2010-11-25T17:35")) == at("2026-07-15T17:35")
    assert shift.instant(at("2010-11-25T00:00")) == at("2026-07-15T00:00")
    assert shift.days == (dt.date(2026, 7, 15) - dt.date(2010, 11, 25)).days


def test_the_empty_shift_changes_nothing() -> None:
    assert not Shift()
    assert Shift().value(b'{"at_ms":10}') == b'{"at_ms":10}'
