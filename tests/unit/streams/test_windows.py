"""Windows: what a span's name means, on days of 23 to 25 hours too."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from streams.days import HOUR_MS, MINUTE_MS, BusinessCalendar
from streams.errors import QueryError
from streams.events import Campaign
from streams.grid import TimeGrain, end_of, labels, starts
from streams.windows import Clock, Stream, Window, current_campaign, day_final_ms, resolve
from tests.unit.streams.boards import SHOP, at

LA = "America/Los_Angeles"
LONDON = "Europe/London"


def campaign(campaign_id: str, starts_at_ms: int, ends_at_ms: int) -> Campaign:
    return Campaign(
        event_id=f"c-{campaign_id}",
        event_type="campaign",
        shop_id=SHOP,
        occurred_at_ms=starts_at_ms,
        campaign_id=campaign_id,
        name=campaign_id,
        starts_at_ms=starts_at_ms,
        ends_at_ms=ends_at_ms,
        joined_at_ms=starts_at_ms,
        version=1,
        product_ids=[],
    )


def window(text: str, now_ms: int, zone: str = LA, **more: object) -> Window:
    found = {"as_of_ms": now_ms, "campaigns": ()} | more
    return resolve(text, Clock(BusinessCalendar(zone), now_ms, **found))  # type: ignore[arg-type] # by name


def test_today_is_the_shop_day_of_now_even_where_utc_has_another_date() -> None:
    now_ms = at("2024-11-29 20:00", LA)
    found = window("today", now_ms)
    assert (found.from_ms, found.to_ms) == (at("2024-11-29 00:00", LA), at("2024-11-30 00:00", LA))


@pytest.mark.parametrize(("day", "hours"), [("2024-03-10", 23), ("2024-11-03", 25), ("2024-07-04", 24)])
def test_a_day_has_as_many_hours_as_the_shops_clock_gives_it(day: str, hours: int) -> None:
    found = window(f"day:{day}", at("2024-12-01 12:00", LA))
    assert found.from_ms is not None
    assert found.to_ms is not None
    assert (found.to_ms - found.from_ms) == hours * HOUR_MS
    grid = starts(BusinessCalendar(LA), "hour", found.from_ms, found.to_ms - 1)
    assert len(grid) == hours


def test_the_repeated_hour_is_two_rows_with_their_own_offset() -> None:
    calendar = BusinessCalendar(LONDON)
    grid = starts(calendar, "hour", at("2024-10-27 00:30", LONDON), at("2024-10-27 02:30", LONDON))
    assert labels(calendar, "hour", grid.tolist()) == [
        "2024-10-27T00+01:00",
        "2024-10-27T01+01:00",
        "2024-10-27T01+00:00",
        "2024-10-27T02+00:00",
    ]


def test_an_hour_of_a_half_hour_zone_begins_at_its_own_full_hour() -> None:
    calendar = BusinessCalendar("Asia/Kolkata")
    moment = at("2024-11-29 10:45", "Asia/Kolkata")
    assert starts(calendar, "hour", moment, moment).tolist() == [at("2024-11-29 10:00", "Asia/Kolkata")]


def test_a_range_includes_both_days() -> None:
    found = window("range:2024-11-01..2024-11-30", at("2024-12-05 12:00", LA))
    assert (found.from_ms, found.to_ms) == (at("2024-11-01 00:00", LA), at("2024-12-01 00:00", LA))


def test_the_last_minutes_end_with_the_minute_that_holds_as_of() -> None:
    now_ms = at("2024-11-29 12:07", LA) + 31_000
    found = window("last:15m", now_ms)
    assert (found.from_ms, found.to_ms) == (at("2024-11-29 11:53", LA), at("2024-11-29 12:08", LA))
    behind = window("last:15m", now_ms, as_of_ms=now_ms - 10 * MINUTE_MS)
    assert behind.to_ms == at("2024-11-29 11:58", LA)


def test_the_last_days_are_finished_ones() -> None:
    found = window("last:7d", at("2024-11-29 12:00", LA))
    assert (found.from_ms, found.to_ms) == (at("2024-11-22 00:00", LA), at("2024-11-29 00:00", LA))


def test_a_campaign_runs_from_midnight_of_its_first_day_to_its_exact_end() -> None:
    one = campaign("bf", at("2024-11-28 16:00", LA), at("2024-11-30 23:59", LA) + 59_999)
    found = window("campaign", at("2024-11-29 12:00", LA), campaigns=[one])
    assert (found.from_ms, found.to_ms) == (at("2024-11-28 00:00", LA), at("2024-12-01 00:00", LA))


def test_of_several_campaigns_the_one_under_way_is_meant_else_the_one_that_ended_last() -> None:
    calendar = BusinessCalendar("UTC")
    old = campaign("old", at("2024-10-01 00:00"), at("2024-10-03 00:00"))
    new = campaign("new", at("2024-11-28 00:00"), at("2024-11-30 00:00"))
    coming = campaign("coming", at("2024-12-24 00:00"), at("2024-12-26 00:00"))
    found = [
        current_campaign([old, new, coming], calendar, at(text))
        for text in ("2024-09-01 00:00", "2024-11-01 00:00", "2024-11-29 00:00", "2024-12-01 00:00")
    ]
    assert [str(one.campaign_id) for one in found if one] == ["old", "old", "new", "new"]
    assert current_campaign([], calendar, 0) is None


def test_a_day_is_final_at_18_oclock_of_the_next_day_by_the_shops_clock() -> None:
    calendar = BusinessCalendar(LA)
    for day, final in (("2024-11-28", "2024-11-29 18:00"), ("2024-11-02", "2024-11-03 18:00")):
        ordinal = calendar.day_of(at(f"{day} 12:00", LA))
        assert day_final_ms(calendar, ordinal, 18) == at(final, LA)


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "day:2024-13-01",
        "day:0001-01-01",
        "day:9999-12-31",
        "last:0m",
        "last:700000d",
        "last:15",
        "range:2024-01-01",
        "weeks:0",
        "month:2024-13",
        "quarter:2024-Q5",
        "week:never",
        "hour:2024-13-01T10",
        "",
    ],
)
def test_an_unknown_window_is_refused_with_the_known_forms(text: str) -> None:
    with pytest.raises(QueryError, match="today") as caught:
        window(text, at("2024-11-29 12:00", LA))
    assert caught.value.reason == "unknown_window"


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(QueryError, match="ends before it begins"):
        window("range:2024-11-30..2024-11-01", at("2024-12-05 12:00", LA))


def test_a_campaign_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(QueryError, match="There is no campaign 'xmas'") as caught:
        window("campaign:xmas", 0, campaigns=[campaign("bf", 0, 1)])
    assert caught.value.reason == "no_campaign"
    assert "bf" in caught.value.mend


def test_a_series_of_more_rows_than_anyone_reads_is_refused() -> None:
    with pytest.raises(QueryError) as caught:
        starts(BusinessCalendar("UTC"), "minute", 0, 4_000_000 * MINUTE_MS)
    assert caught.value.reason == "too_many_rows"


# -- weeks, months, quarters, hours ---------------------------------------------------------------


def days(found: Window, zone: str = LA) -> tuple[str, str]:
    """Return first and last day of a window, told by the zone's own clock."""
    assert found.from_ms is not None
    assert found.to_ms is not None
    first, last = (
        dt.datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)) for ms in (found.from_ms, found.to_ms - 1)
    )
    assert first.time() == dt.time()
    assert (last + dt.timedelta(milliseconds=1)).strftime("%H:%M") in ("00:00", "01:00")
    return first.date().isoformat(), last.date().isoformat()


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        # Friday 2024-11-29; Sunday is the 24th.
        ("yesterday", "2024-11-28", "2024-11-28"),
        ("last7", "2024-11-22", "2024-11-28"),
        ("week", "2024-11-24", "2024-11-30"),
        ("week:2024-11-09", "2024-11-03", "2024-11-09"),
        ("weeks", "2024-10-13", "2024-11-23"),
        ("weeks:6", "2024-10-13", "2024-11-23"),
        ("weeks:1", "2024-11-17", "2024-11-23"),
        ("month", "2024-11-01", "2024-11-30"),
        ("month:2024-02", "2024-02-01", "2024-02-29"),
        ("month:2023-02", "2023-02-01", "2023-02-28"),
        ("month:2024-12", "2024-12-01", "2024-12-31"),
        ("quarter", "2024-10-01", "2024-12-31"),
        ("quarter:2024-Q1", "2024-01-01", "2024-03-31"),
        ("quarter:2024-q4", "2024-10-01", "2024-12-31"),
    ],
)
def test_named_spans_of_days(text: str, first: str, last: str) -> None:
    assert days(window(text, at("2024-11-29 12:00", LA))) == (first, last)


@pytest.mark.parametrize(
    ("week_start", "first"),
    [(0, "2024-11-25"), (1, "2024-11-26"), (2, "2024-11-27"), (3, "2024-11-28"), (4, "2024-11-29"),
     (5, "2024-11-23"), (6, "2024-11-24")],
)  # fmt: skip
def test_a_week_begins_on_the_shops_first_day(week_start: int, first: str) -> None:
    now_ms = at("2024-11-29 12:00", LA)
    found = window("week", now_ms, week_start=week_start)
    assert days(found)[0] == first
    before = window("weeks:2", now_ms, week_start=week_start)
    assert before.to_ms == found.from_ms
    assert dt.date.fromisoformat(days(before)[0]) == dt.date.fromisoformat(first) - dt.timedelta(days=14)


def test_a_week_with_a_clock_change_is_an_hour_shorter_or_longer() -> None:
    for text, hours in (("week:2024-03-12", 167), ("week:2024-11-05", 169), ("week:2024-06-05", 168)):
        found = window(text, at("2024-12-01 12:00", LA))
        assert found.from_ms is not None
        assert found.to_ms is not None
        assert (found.to_ms - found.from_ms) == hours * HOUR_MS


def test_an_hour_that_the_clock_repeats_is_both_unless_its_offset_is_named() -> None:
    now_ms = at("2024-12-01 12:00", LONDON)
    first, second = at("2024-10-27 01:00", LONDON), at("2024-10-27 01:00", LONDON, fold=1)
    spans = {
        text: (found.from_ms, found.to_ms)
        for text in ("hour:2024-10-27T01", "hour:2024-10-27T01+01:00", "hour:2024-10-27T01+00:00")
        for found in (window(text, now_ms, LONDON),)
    }
    assert list(spans.values()) == [
        (first, second + HOUR_MS),
        (first, second),
        (second, second + HOUR_MS),
    ]


def test_an_hour_that_the_clock_leaves_out_is_refused() -> None:
    with pytest.raises(QueryError, match="does not show") as caught:
        window("hour:2024-03-31T01", at("2024-12-01 12:00", LONDON), LONDON)
    assert caught.value.reason == "unknown_window"
    assert window("hour:2024-03-31T02", at("2024-12-01 12:00", LONDON), LONDON).from_ms == at(
        "2024-03-31 02:00", LONDON
    )


def test_a_stream_lasts_from_its_start_to_its_end_and_an_unknown_one_names_the_newest() -> None:
    now_ms = at("2024-11-29 12:00", LA)
    streams = [Stream("live-1", "shop", 1_000, 2_000), Stream("live-2", "shop", 3_000, None)]
    found = window("stream:live-1", now_ms, streams=streams)
    assert (found.from_ms, found.to_ms, found.content) == (1_000, 2_000, "live-1")
    assert window("stream:live-2", now_ms, streams=streams).to_ms is None
    with pytest.raises(QueryError, match="No LIVE 'x'") as caught:
        window("stream:x", now_ms, streams=streams)
    assert caught.value.reason == "no_stream"
    assert "live-2, live-1" in caught.value.mend
    with pytest.raises(QueryError, match="No LIVE is known"):
        window("stream:x", now_ms)


@pytest.mark.parametrize(
    ("grain", "first", "last", "wanted"),
    [
        ("week", "2024-02-28 12:00", "2024-03-10 12:00", ["2024-02-25", "2024-03-03", "2024-03-10"]),
        ("month", "2023-12-31 23:00", "2024-02-01 00:00", ["2023-12", "2024-01", "2024-02"]),
        ("day", "2024-03-09 23:00", "2024-03-10 00:00", ["2024-03-09", "2024-03-10"]),
    ],
)
def test_rows_of_weeks_months_and_days(grain: TimeGrain, first: str, last: str, wanted: list[str]) -> None:
    calendar = BusinessCalendar(LA)
    grid = starts(calendar, grain, at(first, LA), at(last, LA)).tolist()
    assert labels(calendar, grain, grid) == wanted
    assert [end_of(calendar, grain, one) for one in grid[:-1]] == grid[1:]
