"""What a wall shows beside answers of the query layer: the reference, the pulse of the day, feeds, sums of outcomes.

Everything here is pure; `dashboards/` lays it out and computes nothing.

Source: X-79 (now), X-80 (reference), X-82 (idle or dead), design decision 6 (outcomes).
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import polars as pl

from streams.days import DAY_MS, MINUTE_MS, QUARTER_MS, parse_day
from streams.goals import day_goal, goal_progress, running_campaign
from streams.metrics_sales import gmv_minor
from streams.money import major
from streams.outcomes import COUNTING, DEAD_LETTERS, Outcome

if TYPE_CHECKING:
    from streams.columns import Columns
    from streams.days import BusinessCalendar
    from streams.settings import ShopSettings

WATCHED_TOPICS: Final = ("orders", "stock", "impressions", "clicks", "page_views", "add_to_cart")
"""Feeds on the strip; reference records and heartbeats say nothing by being silent."""

BACK_FOR_MS: Final = 15 * 60_000
"""A feed that came back is marked for this long, so that whoever looks away sees that it was gone."""


def reference_day(columns: Columns, shop: ShopSettings, at_ms: int) -> int | None:
    """Return the day that today is held against: the campaign's reference where it is a date, else yesterday.

    A day without orders is no yardstick: the next choice is taken, None when there is none. The screen names the day.
    """
    today = columns.calendar(shop.shop_id).day_of(at_ms)
    choices = [today - 1]
    campaign = running_campaign(columns, shop, as_of_ms=at_ms)
    if campaign is not None and campaign.reference:
        with suppress(ValueError):
            choices.insert(0, parse_day(campaign.reference))
    known = columns.order_lines(shop.shop_id).get_column("day")
    return next((day for day in choices if day < today and (known == day).any()), None)


def aligned_ms(calendar: BusinessCalendar, at_ms: int, day: int) -> int:
    """Return the instant of another day at the same time of the shop's clock.

    On a day whose clock changed, an hour that does not exist is the first instant after the gap's start, and the
    instant never leaves the day.
    """
    clock_ms = (at_ms + calendar.offset_ms(at_ms)) % DAY_MS
    midnight_ms = (dt.date.fromordinal(day) - dt.date(1970, 1, 1)).days * DAY_MS
    found = midnight_ms + clock_ms - calendar.offset_ms(calendar.day_start_ms(day))
    found += calendar.offset_ms(calendar.day_start_ms(day)) - calendar.offset_ms(found)
    return min(max(found, calendar.day_start_ms(day)), calendar.day_start_ms(day + 1) - 1)


def window_since_midnight(calendar: BusinessCalendar, at_ms: int) -> str:
    """Return the window, in the words of the query layer, from the shop's midnight to the end of the minute of `at_ms`.

    A finished day has no "today until now" of its own: asked as of `at_ms`, this window is it.
    """
    start_ms = calendar.day_start_ms(calendar.day_of(at_ms))
    return f"last:{(at_ms - start_ms) // MINUTE_MS + 1}m"


def relative_change(value: float | None, reference: float | None) -> float | None:
    """Return (value - reference) / reference as a fraction; None when either is missing or the reference is 0."""
    if value is None or not reference:
        return None
    return (value - reference) / reference


@dataclass(frozen=True, slots=True)
class GoalBar:
    """Today's part of the running campaign's goal, beside what was sold.

    Attributes:
        target: in major units.
        progress: today's GMV / target, a fraction, not clipped at 1.
        reference_progress: the reference's GMV by this time / target; None without a reference.
        campaign_progress: of the campaign's whole goal, None when today's part is all of it.
    """

    target: float
    progress: float
    reference_progress: float | None
    campaign_progress: float | None


def goal_bar(
    columns: Columns, shop: ShopSettings, *, as_of_ms: int, gmv: float | None, reference_gmv: float | None
) -> GoalBar | None:
    """Return how far today's GMV has come; None without a running campaign, a GMV goal, or a GMV.

    Args:
        columns: what is known.
        shop: whose goal.
        as_of_ms: on the board's clock.
        gmv: today's, major units, as the query layer gave it.
        reference_gmv: the reference's by this time, likewise.
    """
    goal = day_goal(columns, shop, as_of_ms=as_of_ms)
    if goal is None or goal.goal_minor <= 0 or gmv is None:
        return None
    target = major(goal.goal_minor, shop.currency)
    whole = next(
        (
            one
            for one in goal_progress(columns, shop, as_of_ms=as_of_ms)
            if one.campaign_id == goal.campaign_id
        ),
        None,
    )
    is_part = whole is not None and whole.target is not None and whole.target != goal.goal_minor
    return GoalBar(
        target=target,
        progress=gmv / target,
        reference_progress=None if reference_gmv is None else reference_gmv / target,
        campaign_progress=whole.progress_pct / 100
        if whole and is_part and whole.progress_pct is not None
        else None,
    )


@dataclass(frozen=True, slots=True)
class Pulse:
    """GMV of a day by quarter hour, in major units.

    Attributes:
        starts_ms: start of every quarter hour of the day, 92 to 100 of them; ends_ms: the end of the last one.
        gmv: of each, 0 where nothing was sold.
    """

    starts_ms: list[int]
    ends_ms: int
    gmv: list[float]


def pulse(columns: Columns, shop: ShopSettings, day: int) -> Pulse:
    """Return the GMV of a business day by quarter hour, paid time."""
    calendar = columns.calendar(shop.shop_id)
    start, end = calendar.day_start_ms(day), calendar.day_start_ms(day + 1)
    sums = (
        columns.order_lines(shop.shop_id)
        .filter(pl.col("day") == day)
        .group_by(((pl.col("paid_at_ms") - start) // QUARTER_MS).alias("quarter"))
        .agg(gmv_minor(shop).sum().alias("minor"))
    )
    starts = list(range(start, end, QUARTER_MS))
    gmv = [0.0] * len(starts)
    for quarter, minor in sums.iter_rows():
        gmv[quarter] = major(minor, shop.currency)
    return Pulse(starts, end, gmv)


@dataclass(frozen=True, slots=True)
class RecordCounts:
    """Records of this run by what became of them; `records` is the sum of the other five.

    Superseded is normal life: the next heartbeat supersedes the last, a newer stock level the older one.
    """

    records: int
    counted: int
    late: int
    repeated: int
    superseded: int
    dead: int


def record_counts(columns: Columns) -> RecordCounts:
    """Return how many records were read, and how they divide over the outcomes."""
    totals = dict.fromkeys(Outcome, 0)
    for outcomes in columns.outcomes().values():
        for outcome, records in outcomes.items():
            totals[outcome] += records
    return RecordCounts(
        records=sum(totals.values()),
        counted=sum(totals[outcome] for outcome in COUNTING - {Outcome.COUNTED_LATE}),
        late=totals[Outcome.COUNTED_LATE],
        repeated=totals[Outcome.DUPLICATE],
        superseded=totals[Outcome.SUPERSEDED],
        dead=sum(totals[outcome] for outcome in DEAD_LETTERS),
    )


class FeedState(StrEnum):
    """Idle or dead (X-82)."""

    ALIVE = "alive"
    """A record or a heartbeat of the last minutes."""

    QUIET = "quiet"
    """No recent record, and nobody promised one: neither required nor vouched for by heartbeats."""

    LOST = "lost"
    BACK = "back"
    """Alive again after it was lost, for `BACK_FOR_MS`."""

    NONE = "none"
    """Never a source of the shop."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One topic as a source of one shop.

    Attributes:
        since_ms: lost: the last sign of life; back: when it was seen alive again; else None.
    """

    topic: str
    state: FeedState
    since_ms: int | None = None


class FeedWatch:
    """Remember which feeds were lost, so that their return can be told from never having been away."""

    def __init__(self) -> None:
        self._lost: set[tuple[str, str]] = set()
        self._back_ms: dict[tuple[str, str], int] = {}

    def feeds(self, columns: Columns, shop: ShopSettings, now_ms: int) -> list[Feed]:
        """Return the state of every watched topic at `now_ms`, on the board's clock."""
        return [self._feed(columns, shop, topic, now_ms) for topic in WATCHED_TOPICS]

    def _feed(self, columns: Columns, shop: ShopSettings, topic: str, now_ms: int) -> Feed:
        place = (shop.shop_id, topic)
        span = columns.span(shop.shop_id, topic)
        sent_ms = columns.heartbeat_until_ms(shop.shop_id, topic)
        if span is None and sent_ms is None:
            return Feed(topic, FeedState.NONE)
        last_ms = max(span.last_ms if span else 0, sent_ms or 0)
        # A replay's clock runs ahead of the fold, at 600 times by minutes: what is not folded yet is no silence.
        known_ms = min(now_ms, columns.vouched_ms) if columns.vouched_ms else now_ms
        if known_ms - last_ms > columns.settings.board.stale_after_ms:
            promised = sent_ms is not None or (topic in shop.required_topics and not columns.vouched_ms)
            if not promised:
                return Feed(topic, FeedState.QUIET)
            self._lost.add(place)
            self._back_ms.pop(place, None)
            return Feed(topic, FeedState.LOST, last_ms)
        if place in self._lost:
            self._lost.discard(place)
            self._back_ms[place] = now_ms
        back_ms = self._back_ms.get(place)
        if back_ms is not None and now_ms - back_ms <= BACK_FOR_MS:
            return Feed(topic, FeedState.BACK, back_ms)
        return Feed(topic, FeedState.ALIVE)
