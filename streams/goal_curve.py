"""What is expected when: the sales of a period by hour, as its plan says, else as a reference sold, else evenly.

An own earlier day or campaign, or one of the recording beside, is laid beside the period by campaign day and hour of
the shop's clock (X-80). Without one that is named, the shop's own last six weeks give the weight of each weekday and
hour.

Source: spec/events.md campaign.plan and campaign.reference; spec/metrics.md goal_pace_pct and notes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from streams.days import DAY_MS, HOUR_MS, BusinessCalendar, day_label, parse_day
from streams.errors import QueryError
from streams.grid import starts
from streams.line_days import sales_by_quarter
from streams.recording_beside import PREFIX, DaysBeside, days_beside, reference_of
from streams.shape import local_hours
from streams.windows import campaign_period

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from streams.columns import Columns
    from streams.events import Campaign, PlanPoint
    from streams.settings import ShopSettings

    Floats = NDArray[np.float64]
    Millis = NDArray[np.int64]

Basis = Literal["plan", "reference", "straight"]

OWN_DAYS: Final = 42
"""The shop's own shape is that of at most so many days before the period: six weeks, as the weekly views show."""

LEAST_ORDERS: Final = 100
"""Orders below which earlier days say more about chance than about the hours of a day."""

MOST_MS: Final = 400 * DAY_MS
"""A longer period is a slip of whoever typed its end; it is divided evenly."""

FLOOR: Final = 0.01
"""Share of the reference that is spread evenly: an hour in which it sold nothing is not one in which nothing sells."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The sales expected in each hour of a period.

    Attributes:
        edges_ms: starts of its hours and, last, its end.
        expected: by hour, >= 0, in the unit of the goal where `days` > 0, else on any scale; their sum is above 0.
        basis: what they follow.
        reference: the days that shaped it, as a person reads them; empty where none did.
        days: of how many earlier days these are the mean sales, so that their level too is a forecast; 0 where they
            are none: a plan alone, or another shop's.
        even_days: business days whose hours nothing tells, so that they are taken evenly.
        unused: why the recording that is named as reference shapes nothing, and what would mend it; empty where it
            does, or where none is named.
    """

    edges_ms: Millis
    expected: Floats
    basis: Basis
    reference: str
    days: float
    even_days: frozenset[int] = frozenset()
    unused: str = ""

    def passed(self, at_ms: int) -> Floats:
        """Return what is expected of each hour up to an instant: of the hour that holds it, the part that passed."""
        lengths = np.diff(self.edges_ms)
        done = np.clip((at_ms - self.edges_ms[:-1]) / np.maximum(lengths, 1), 0.0, 1.0)
        return self.expected * done

    def share(self, at_ms: int) -> float:
        """Return the share of the whole that is expected up to an instant, 0 to 1."""
        return min(float(self.passed(at_ms).sum() / self.expected.sum()), 1.0)

    def least_share(self, at_ms: int, calendar: BusinessCalendar, peak: float) -> float:
        """Return the share that is due at an instant even of a shop that sells in the evening.

        On a day whose hours nothing tells, the hours that are left may sell `peak` times the day's mean. On others it
        is `share`.
        """
        day = calendar.day_of(at_ms)
        if day not in self.even_days:
            return self.share(at_ms)
        before, after = self.share(calendar.day_start_ms(day)), self.share(calendar.day_start_ms(day + 1))
        return max(before, after - peak * (after - self.share(at_ms)))


def campaign_curve(columns: Columns, shop: ShopSettings, campaign: Campaign, metric: str) -> Curve:
    """Return what a campaign is expected to sell when."""
    calendar = columns.calendar(shop.shop_id)
    start_ms, end_ms = campaign_period(campaign, calendar)
    shape = period_curve(
        columns, shop, metric, start_ms, end_ms, reference=reference_of(columns, shop, campaign)
    )
    target = target_value_of(columns, shop, campaign)
    planned = _planned(campaign.plan, shape, calendar, target) if end_ms - start_ms <= MOST_MS else None
    if planned is None:
        return shape
    # A goal is a wish: the plan says when it sells, the reference how much, where there is one.
    planned *= shape.expected.sum() / planned.sum()
    told = {parse_day(label) for label in _plan_by_hour(campaign.plan)}
    return replace(shape, expected=planned, basis="plan", even_days=shape.even_days - told)


def target_value_of(columns: Columns, shop: ShopSettings, campaign: Campaign) -> float | None:
    """Return a campaign's goal as it was set: its record's, else the settings'; money in major units."""
    if campaign.target_value is not None:
        return campaign.target_value
    own = columns.settings.goals.get(shop.shop_id)
    return None if own is None else own.campaigns.get(str(campaign.campaign_id))


def period_curve(
    columns: Columns, shop: ShopSettings, metric: str, start_ms: int, end_ms: int, *, reference: str = ""
) -> Curve:
    """Return what a period is expected to sell when, by the named reference, else the shop's own days, else evenly.

    Args:
        columns: what is known.
        shop: whose.
        metric: `gmv`, `orders` or `items_sold`.
        start_ms: first instant of the period.
        end_ms: first instant after it, later than start_ms.
        reference: an ISO date or the id of a campaign, earlier than the period; others are passed over. Or
            `recording:` and a day or campaign of the recording beside, of any age.
    """
    calendar = columns.calendar(shop.shop_id)
    if end_ms - start_ms > MOST_MS:
        return Curve(np.array([start_ms, end_ms]), np.ones(1), "straight", "", 0)
    edges = np.append(starts(calendar, "hour", start_ms, end_ms - 1), end_ms)
    days, hours = calendar.days_of(edges[:-1]), local_hours(edges[:-1], shop.timezone)
    past = _Past(columns, shop, metric, int(days[0]))
    # An hour that the period cuts off is expected to sell its part.
    whole = np.diff(edges) / HOUR_MS
    aligned, length = days - int(days[0]), int(days[-1]) - int(days[0]) + 1
    unused = ""
    if reference.startswith(PREFIX):
        try:
            recorded, found = _of_recording(columns, shop, metric, reference.removeprefix(PREFIX), length)
        except QueryError as error:
            unused = str(error)
        else:
            expected = _laid_beside(recorded, aligned, hours, whole)
            return Curve(edges, expected, "reference", found.label, 1.0 if found.same_shop else 0.0)
    for first, last in _named(columns, shop, reference, int(days[0]), int(days[-1])):
        table = past.table(first, last)
        if table is not None:
            expected = _laid_beside(table, aligned, hours, whole)
            return Curve(edges, expected, "reference", _label(first, last), 1.0)
    own = past.weekdays()
    if own is not None:
        table, label, seen = own
        return Curve(edges, _lifted(table[days % 7, hours] * whole), "reference", label, seen, unused=unused)
    evenly = np.diff(edges).astype(np.float64)
    return Curve(edges, evenly, "straight", "", 0, frozenset(days.tolist()), unused)


def sold_by_quarter(
    columns: Columns, shop: ShopSettings, metric: str, from_ms: int, to_ms: int
) -> tuple[Millis, Floats]:
    """Return the quarter hours in which something was sold and how much: paid from from_ms to to_ms, both included."""
    found = sales_by_quarter(columns, shop, (from_ms, to_ms))
    return found.get_column("at_ms").to_numpy(), found.get_column(metric).to_numpy().astype(np.float64)


class _Past:
    """What the shop sold by day and hour before a day."""

    def __init__(self, columns: Columns, shop: ShopSettings, metric: str, before_day: int) -> None:
        self._columns = columns
        self._shop = shop
        self._metric = metric
        self._before = before_day
        self._calendar = columns.calendar(shop.shop_id)

    def table(self, first: int, last: int) -> Floats | None:
        """Return sales by day and hour of the clock; None where the last day is not over or nothing was sold."""
        return None if last >= self._before else self._table(self._sales(first, last), first, last)

    def _sales(self, first: int, last: int) -> pl.DataFrame:
        span_ms = self._calendar.day_start_ms(first), self._calendar.day_start_ms(last + 1) - 1
        return sales_by_quarter(self._columns, self._shop, span_ms)

    def _table(self, sales: pl.DataFrame, first: int, last: int) -> Floats | None:
        at_ms, amounts = (sales.get_column(name).to_numpy() for name in ("at_ms", self._metric))
        if not amounts.sum() > 0:
            return None
        table = np.zeros((last - first + 1, 24))
        np.add.at(
            table, (self._calendar.days_of(at_ms) - first, local_hours(at_ms, self._shop.timezone)), amounts
        )
        return table

    def weekdays(self) -> tuple[Floats, str, float] | None:
        """Return mean sales by day of the week (ordinal modulo 7) and hour, of which days, and how many of each."""
        since_ms = self._columns.source_since_ms(self._shop.shop_id, "orders")
        if since_ms is None:
            return None
        begun = self._calendar.day_of(since_ms)
        # The day on which the feed began is not whole, unless it began with the day.
        begun += since_ms - self._calendar.day_start_ms(begun) > HOUR_MS
        first, last = max(begun, self._before - OWN_DAYS), self._before - 1
        if first > last:
            return None
        sales = self._sales(first, last)
        table = self._table(sales, first, last)
        if table is None or sales.get_column("orders").sum() < LEAST_ORDERS:
            return None
        totals, weekday = table.sum(axis=1), np.arange(first, last + 1) % 7
        # One further day of the mean: a weekday that was seen once has not shown how much it sells.
        seen = np.bincount(weekday, minlength=7) + 1
        level = (np.bincount(weekday, weights=totals, minlength=7) + totals.mean()) / seen
        return (
            np.outer(level, table.sum(axis=0) / totals.sum()),
            _label(first, last),
            max(len(totals) / 7, 1.0),
        )


def _of_recording(
    columns: Columns, shop: ShopSettings, metric: str, wanted: str, length: int
) -> tuple[Floats, DaysBeside]:
    """Return sales by day and hour of the clock of days of the recording beside, and which they are.

    Raises:
        QueryError: as `days_beside`; `no_such_hours` also where nothing was sold on them.
    """
    found = days_beside(wanted, shop, columns.beside, length)
    table = _Past(found.columns, found.shop, metric, found.last + 1).table(found.first, found.last)
    if table is None:
        what, mend = f"Nothing was sold on {found.label}.", "Name days on which something was."
        raise QueryError(what, reason="no_such_hours", mend=mend)
    return table, found


def _laid_beside(
    table: Floats, aligned: NDArray[np.int64], hours: NDArray[np.int64], whole: Floats
) -> Floats:
    """Return what is expected of each hour of a period: that hour of the table's same day, beyond it of its mean.

    Args:
        table: sales by day and hour of the clock.
        aligned: day of each hour of the period, 0 for its first.
        hours: of the clock, 0 to 23.
        whole: part of each hour that lies in the period.
    """
    rows = np.vstack([table, table.mean(axis=0)])
    return _lifted(rows[np.minimum(aligned, len(table)), hours] * whole)


def _named(
    columns: Columns, shop: ShopSettings, reference: str, first_day: int, last_day: int
) -> list[tuple[int, int]]:
    """Return the spans of days that a reference may mean, the best first: as long as the period, else shorter."""
    if not reference:
        return []
    length = last_day - first_day + 1
    calendar = columns.calendar(shop.shop_id)
    for campaign in columns.campaigns(shop.shop_id):
        if str(campaign.campaign_id) == reference:
            start_ms, end_ms = campaign_period(campaign, calendar)
            start, end = calendar.day_of(start_ms), calendar.day_of(end_ms - 1)
            return [(start, min(end, start + length - 1))]
    try:
        day = parse_day(reference)
    except ValueError:
        return []
    return [(day, day + more) for more in range(min(length, first_day - day) - 1, -1, -1)]


def _planned(
    plan: Sequence[PlanPoint], shape: Curve, calendar: BusinessCalendar, target: float | None
) -> Floats | None:
    """Return a plan by hour; None without one for any of the days.

    A day with its own point is that much, by hour as its points by hour say, else as the shape says. What the goal
    has beyond the plan is spread over the days that the plan leaves out.
    """
    by_day, by_hour = plan_by_day(plan), _plan_by_hour(plan)
    days = calendar.days_of(shape.edges_ms[:-1])
    hours = local_hours(shape.edges_ms[:-1], calendar.timezone)
    planned = np.zeros(len(days))
    left_out = np.ones(len(days), dtype=bool)
    for day in np.unique(days).tolist():
        label = day_label(day)
        if label not in by_day:
            continue
        inside = days == day
        left_out &= ~inside
        of_hours = by_hour[label][hours[inside]] if label in by_hour else shape.expected[inside]
        if of_hours.sum() > 0:
            planned[inside] = by_day[label] * of_hours / of_hours.sum()
    if left_out.all():
        return None
    beyond = max((target or 0.0) - planned.sum(), 0.0)
    if left_out.any():
        planned[left_out] = beyond * shape.expected[left_out] / shape.expected[left_out].sum()
    return planned if planned.sum() > 0 else None


def plan_by_day(plan: Sequence[PlanPoint]) -> dict[str, float]:
    """Return the goal of each day that a plan names: its own point, the last of several, else the sum of its hours."""
    totals: dict[str, float] = {}
    for point in plan:
        if point.hour is not None:
            totals[point.date] = totals.get(point.date, 0.0) + point.value
    totals.update({point.date: point.value for point in plan if point.hour is None})
    return totals


def _plan_by_hour(plan: Sequence[PlanPoint]) -> dict[str, Floats]:
    """Return the plan's 24 hours of each day that has any."""
    hours: dict[str, Floats] = {}
    for point in plan:
        if point.hour is not None:
            # Hour 24 of a day is its last one: spec/events.md allows it, no clock shows it.
            hours.setdefault(point.date, np.zeros(24))[min(point.hour, 23)] += point.value
    return {label: of_hours for label, of_hours in hours.items() if of_hours.any()}


def _lifted(expected: Floats) -> Floats:
    return np.asarray((1 - FLOOR) * expected + FLOOR * expected.mean())


def _label(first: int, last: int) -> str:
    return day_label(first) if first == last else f"{day_label(first)} to {day_label(last)}"
