"""What a wall needs beside answers: alignment, the pulse of a day, feeds, sums of outcomes."""

from __future__ import annotations

import pytest

from streams.catalogue import METRICS
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS, BusinessCalendar, parse_day
from streams.events import Campaign
from streams.formulas import Total
from streams.overview import (
    BACK_FOR_MS,
    FeedState,
    FeedWatch,
    aligned_ms,
    pulse,
    record_counts,
    reference_day,
    relative_change,
    window_since_midnight,
)
from streams.settings import ShopSettings
from tests.unit.streams.boards import SHOP, at, board, flush_of, heartbeat, line, order, traffic

LONDON = BusinessCalendar("Europe/London")
UTC_SHOP = ShopSettings(SHOP, timezone="UTC", required_topics=("orders",))


@pytest.mark.parametrize(
    ("now", "day", "expected"),
    [
        ("2024-11-29 20:31", "2024-11-28", "2024-11-28 20:31"),
        ("2024-11-29 00:00", "2024-11-28", "2024-11-28 00:00"),
        # Clocks went back on 27 October and forward on 31 March: the wall's time is what is held beside the wall's.
        ("2024-10-28 20:31", "2024-10-27", "2024-10-27 20:31"),
        ("2024-10-27 20:31", "2024-10-26", "2024-10-26 20:31"),
        ("2024-04-01 20:31", "2024-03-31", "2024-03-31 20:31"),
        ("2024-04-01 00:30", "2024-03-31", "2024-03-31 00:30"),
    ],
)
def test_the_same_time_of_the_shops_clock_on_another_day(now: str, day: str, expected: str) -> None:
    found = aligned_ms(LONDON, at(now, "Europe/London"), parse_day(day))
    assert found == at(expected, "Europe/London")


def test_an_hour_that_another_day_does_not_have_stays_within_that_day() -> None:
    day = parse_day("2024-03-31")
    found = aligned_ms(LONDON, at("2024-04-01 01:30", "Europe/London"), day)
    assert LONDON.day_of(found) == day
    assert abs(found - at("2024-03-31 02:00", "Europe/London")) <= HOUR_MS


def test_the_window_since_midnight_counts_the_minutes_of_the_shops_day() -> None:
    assert window_since_midnight(LONDON, at("2024-11-29 00:00", "Europe/London")) == "last:1m"
    assert window_since_midnight(LONDON, at("2024-11-29 20:31", "Europe/London")) == f"last:{20 * 60 + 32}m"
    # Five hours by the wall's clock are six hours of time on the day of 25 hours.
    assert window_since_midnight(LONDON, at("2024-10-27 05:00", "Europe/London")) == f"last:{6 * 60 + 1}m"


@pytest.mark.parametrize(
    ("value", "reference", "expected"),
    [(112.0, 100.0, 0.12), (80.0, 100.0, -0.2), (5.0, 0.0, None), (None, 5.0, None), (5.0, None, None)],
)
def test_a_change_against_nothing_is_no_number(
    value: float | None, reference: float | None, expected: float | None
) -> None:
    found = relative_change(value, reference)
    assert found is None if expected is None else found == pytest.approx(expected)


def _campaign(reference: str | None) -> Campaign:
    return Campaign(
        event_id="c",
        event_type="campaign",
        shop_id=SHOP,
        occurred_at_ms=at("2024-11-28 00:00"),
        campaign_id="bf",
        name="Friday",
        starts_at_ms=at("2024-11-29 00:00"),
        ends_at_ms=at("2024-11-30 00:00"),
        joined_at_ms=at("2024-11-28 00:00"),
        version=1,
        product_ids=[],
        reference=reference,
    )


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (None, "2024-11-28"),
        ("2024-11-22", "2024-11-22"),
        ("last Black Friday", "2024-11-28"),
        ("2024-11-29", "2024-11-28"),  # today is no yardstick for today
        ("2024-11-01", "2024-11-28"),  # nor is a day without orders
    ],
)
def test_the_reference_is_the_campaigns_day_else_yesterday(named: str | None, expected: str) -> None:
    days = ("2024-11-22", "2024-11-28", "2024-11-29")
    sold = [order(day, at(f"{day} 12:00"), [line("1", "A1", 100)]) for day in days]
    columns = board([*sold, _campaign(named)])
    found = reference_day(columns, UTC_SHOP, at("2024-11-29 13:00"))
    assert found == parse_day(expected)
    assert reference_day(columns, UTC_SHOP, at("2024-11-25 13:00")) is None


def test_the_pulse_puts_money_into_the_quarter_in_which_it_was_paid() -> None:
    columns = board(
        [
            order("a", at("2024-11-29 00:00"), [line("1", "A1", 1000, shipping=50)]),
            order("b", at("2024-11-29 00:14"), [line("1", "A1", 200)]),
            order("c", at("2024-11-29 23:59"), [line("1", "A1", 300)]),
            order("d", at("2024-11-28 23:59"), [line("1", "A1", 9999)]),
        ]
    )
    day = pulse(columns, UTC_SHOP, parse_day("2024-11-29"))
    assert (len(day.gmv), day.gmv[0], day.gmv[-1], sum(day.gmv)) == (96, 12.5, 3.0, 15.5)
    assert day.ends_ms - day.starts_ms[0] == DAY_MS
    without = ShopSettings(SHOP, timezone="UTC", gmv_includes_shipping=False)
    assert pulse(columns, without, parse_day("2024-11-29")).gmv[0] == 12.0


def test_the_pulse_has_as_many_quarters_as_the_day() -> None:
    shop = ShopSettings(SHOP, timezone="Europe/London")
    columns = board([order("a", at("2024-10-27 12:00"), [line("1", "A1", 100)])], zone="Europe/London")
    assert len(pulse(columns, shop, parse_day("2024-10-27")).gmv) == 100
    assert len(pulse(columns, shop, parse_day("2024-03-31")).gmv) == 92


def test_gmv_is_a_sum_so_that_the_pulse_can_add_it() -> None:
    assert isinstance(METRICS["gmv"].formula, Total)


def test_records_divide_over_outcomes_without_a_rest() -> None:
    columns = board([order(str(n), at("2024-11-29 12:00") + n, [line("1", "A1", 1)]) for n in range(5)])
    counts = record_counts(columns)
    assert counts.records == 5
    assert counts.records == counts.counted + counts.late + counts.repeated + counts.superseded + counts.dead


def _state(watch: FeedWatch, columns: object, now_ms: int, topic: str) -> tuple[FeedState, int | None]:
    (feed,) = [one for one in watch.feeds(columns, UTC_SHOP, now_ms) if one.topic == topic]  # type: ignore[arg-type] # Columns
    return feed.state, feed.since_ms


def test_a_feed_that_promised_by_heartbeat_is_lost_when_both_fall_silent_and_back_when_it_speaks() -> None:
    start = at("2024-11-29 12:00")
    columns = board([traffic("product_click", start, "u"), heartbeat(["clicks"], start + MINUTE_MS)])
    watch = FeedWatch()
    assert _state(watch, columns, start + 5 * MINUTE_MS, "clicks") == (FeedState.ALIVE, None)
    lost_at = start + 7 * MINUTE_MS
    assert _state(watch, columns, lost_at, "clicks") == (FeedState.LOST, start + MINUTE_MS)
    columns.apply(flush_of([heartbeat(["clicks"], lost_at + MINUTE_MS)], partition=1))
    back_at = lost_at + 2 * MINUTE_MS
    assert _state(watch, columns, back_at, "clicks") == (FeedState.BACK, back_at)
    columns.apply(flush_of([heartbeat(["clicks"], back_at + BACK_FOR_MS)], partition=2))
    assert _state(watch, columns, back_at + BACK_FOR_MS + 1, "clicks") == (FeedState.ALIVE, None)


def test_silence_without_a_promise_is_lost_only_where_the_shop_requires_the_topic() -> None:
    start = at("2024-11-29 12:00")
    columns = board([order("a", start, [line("1", "A1", 1)]), traffic("product_click", start, "u")])
    later = start + HOUR_MS
    assert _state(FeedWatch(), columns, later, "orders") == (FeedState.LOST, start)
    assert _state(FeedWatch(), columns, later, "clicks") == (FeedState.QUIET, None)
    assert _state(FeedWatch(), columns, later, "stock") == (FeedState.NONE, None)


def test_a_replays_clock_vouches_for_silence_but_not_against_a_heartbeat_that_stopped() -> None:
    start = at("2024-11-29 12:00")
    later = start + HOUR_MS
    columns = board([order("a", start, [line("1", "A1", 1)]), heartbeat(["clicks"], start)], vouch_ms=later)
    assert _state(FeedWatch(), columns, later, "orders") == (FeedState.QUIET, None)
    assert _state(FeedWatch(), columns, later, "clicks") == (FeedState.LOST, start)


def test_what_a_fast_replay_has_not_folded_yet_is_no_silence() -> None:
    start = at("2024-11-29 12:00")
    beats = [heartbeat(["clicks"], start), heartbeat(["stock"], start)]
    columns = board(beats, vouch_ms=start + 4 * MINUTE_MS)
    # The clock is ten minutes ahead of the fold: at 600x that is one second.
    watch, now_ms = FeedWatch(), start + 14 * MINUTE_MS
    assert _state(watch, columns, now_ms, "clicks") == (FeedState.ALIVE, None)
    columns.vouch(start + 6 * MINUTE_MS)
    assert _state(watch, columns, now_ms, "clicks") == (FeedState.LOST, start)
