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
from streams.goals import GoalProgress, day_goal, goal_progress, running_campaign
from streams.metrics_sales import gmv_minor
from streams.money import major
from streams.outcomes import COUNTING, DEAD_LETTERS, Outcome
from streams.recording_beside import OF_BESIDE

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
    """Today's part of the running campaign's goal beside what was sold, and where the whole campaign ends.

    Attributes:
        unit: `money` in major units, or `count` for a goal in orders or items, which has no part of today: target and
            progress are then the whole campaign's.
        target: in that unit.
        progress: today's GMV / target, a fraction, not clipped at 1.
        reference_progress: the reference's GMV by this time / target; None without a reference.
        campaign_progress: of the campaign's whole goal, None when today's part is all of it.
        pace: of the campaign, progress / what was due by now, 1 is on pace; None while nothing is due.
        due_by: what that follows, in words: the plan, a day, earlier days, an even pace.
        projected, projected_low, projected_high: the campaign's end value with its 80 % interval.
        needed_per_hour: until the campaign's end, to reach its goal; 0 when it is reached, None in its last minutes.
    """

    unit: str
    target: float
    progress: float
    reference_progress: float | None
    campaign_progress: float | None
    pace: float | None
    due_by: str
    projected: float | None
    projected_low: float | None
    projected_high: float | None
    needed_per_hour: float | None


def goal_bar(
    columns: Columns, shop: ShopSettings, *, as_of_ms: int, gmv: float | None, reference_gmv: float | None
) -> GoalBar | None:
    """Return how far today's GMV has come; None without a running campaign, a goal, or a GMV where it counts that.

    Args:
        columns: what is known.
        shop: whose goal.
        as_of_ms: on the board's clock.
        gmv: today's, major units, as the query layer gave it.
        reference_gmv: the reference's by this time, likewise.
    """
    running = running_campaign(columns, shop, as_of_ms=as_of_ms)
    if running is None:
        return None
    whole = next(
        one
        for one in goal_progress(columns, shop, as_of_ms=as_of_ms)
        if one.campaign_id == str(running.campaign_id)
    )
    if whole.metric != "gmv":
        if not whole.target or whole.progress_pct is None:
            return None
        return _bar(whole, "count", whole.target, whole.progress_pct / 100, None, None, 1.0)
    goal = day_goal(columns, shop, as_of_ms=as_of_ms)
    if goal is None or goal.goal_minor <= 0 or gmv is None:
        return None
    target = major(goal.goal_minor, shop.currency)
    is_part = whole.progress_pct is not None and whole.target != goal.goal_minor
    return _bar(
        whole,
        "money",
        target,
        gmv / target,
        None if reference_gmv is None else reference_gmv / target,
        whole.progress_pct / 100 if is_part and whole.progress_pct is not None else None,
        major(1, shop.currency),
    )


def _bar(
    whole: GoalProgress,
    unit: str,
    target: float,
    progress: float,
    reference_progress: float | None,
    campaign_progress: float | None,
    scale: float,
) -> GoalBar:
    def scaled(value: float | None) -> float | None:
        return None if value is None else value * scale

    return GoalBar(
        unit=unit,
        target=target,
        progress=progress,
        reference_progress=reference_progress,
        campaign_progress=campaign_progress,
        pace=None if whole.pace_pct is None else whole.pace_pct / 100,
        due_by=_due_by(whole),
        projected=scaled(whole.projected),
        projected_low=scaled(whole.projected_low),
        projected_high=scaled(whole.projected_high),
        needed_per_hour=scaled(whole.needed_per_h),
    )


def _due_by(goal: GoalProgress) -> str:
    if goal.basis != "reference":
        return {"plan": "by the plan", "straight": "at an even pace"}[goal.basis]
    with suppress(ValueError):
        day = dt.date.fromisoformat(goal.reference)
        return f"as on {day:%a} {day.day} {day:%b}"
    return "as in the recording beside" if goal.reference.endswith(OF_BESIDE) else "as on earlier days"


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
