"""Goals of weeks and quarters: how far the shop is, and how far it should be.

They are set by a campaign's `period_goals` and by the settings `[goals.<shop id>]`; a campaign's goal of the same
period wins. Net receipts need the orders of other channels, which no topic brings yet: such a goal has no value.

Source: spec/metrics.md period_sales_goal_pct, quarter_revenue_target_pct; spec/events.md campaign.period_goals;
S3-18, S3-32, S5-04.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from streams.days import BusinessCalendar, parse_day
from streams.goal_curve import Basis, period_curve
from streams.goal_projection import EndValue
from streams.goals import end_value, sold
from streams.money import to_minor
from streams.periods import first_weekday

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.columns import Columns
    from streams.events import Campaign
    from streams.settings import Settings, ShopSettings

Kind = Literal["week", "last_7_days", "month", "quarter", "range"]

FIRST_YEAR: Final = 2000
MOST_DAYS: Final = dt.timedelta(days=366)
"""A range that is longer, or lies before anything can have been sold, is no goal of a period."""

_NAMES: Final[dict[str, Kind]] = {
    "week": "week",
    "w": "week",
    "l7": "last_7_days",
    "last:7d": "last_7_days",
    "month": "month",
    "m": "month",
    "quarter": "quarter",
    "q": "quarter",
}
_DATED: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    ("week", re.compile(r"(\d{4})-w(\d{2})")),
    ("quarter", re.compile(r"(\d{4})-q([1-4])")),
    ("month", re.compile(r"(\d{4})-(\d{2})")),
)
_COUNTED: Final = frozenset({"gmv", "orders", "items_sold"})


@dataclass(frozen=True, slots=True)
class PeriodGoal:
    """One goal of a week, a month or a quarter, or of named days.

    Attributes:
        kind: `last_7_days` are the last seven finished days, always over; the others hold as_of_ms or are named.
        window: as it was set, for example `week`, `quarter`, `2026-W48`, `2026-Q4`.
        starts_at_ms, ends_at_ms: shop midnights; the end is exclusive.
        metric: `gmv`, `orders`, `items_sold`; or as set, where nothing counts it yet.
        target: minor units for gmv, else a count; > 0.
        value: what was sold from starts_at_ms to as_of_ms; None where nothing counts the metric.
        unknown_because: `needs_external_orders` for net receipts, `unknown_metric`; empty with a value.
        progress_pct: value / target x 100, not clipped at 100.
        elapsed_share: share of the period's time that has passed at complete_ms, 0 to 1.
        expected_share: share of the sales that should be made by then; basis, reference: as in `GoalProgress`.
        pace_pct: progress_pct / expected_share; None while nothing is due.
        projected, projected_low, projected_high: the value at the end with its 80 % interval; None without.
        set_by: the campaign's id, or `settings`.
    """

    shop_id: str
    kind: Kind
    window: str
    starts_at_ms: int
    ends_at_ms: int
    as_of_ms: int
    complete_ms: int
    metric: str
    target: float
    value: int | None
    unknown_because: str
    progress_pct: float | None
    elapsed_share: float
    expected_share: float | None
    basis: Basis
    reference: str
    pace_pct: float | None
    projected: float | None
    projected_low: float | None
    projected_high: float | None
    set_by: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    window: str
    metric: str
    value: float
    set_by: str


def period_goals(
    columns: Columns, shop: ShopSettings, settings: Settings, *, as_of_ms: int
) -> list[PeriodGoal]:
    """Return the goals of the periods that have begun, the one that ends first first.

    Of several goals for one period and metric, the campaign's that ends last wins, then another campaign's, then the
    settings'. A window that is none, and a goal of 0, is passed over.
    """
    calendar = columns.calendar(shop.shop_id)
    found: dict[tuple[int, int, str], PeriodGoal] = {}
    for wanted in _wanted(columns, shop, settings):
        period = period_of(wanted.window, calendar, as_of_ms, first_weekday(columns, shop))
        if period is None or wanted.value <= 0:
            continue
        _, start_ms, end_ms = period
        place = (start_ms, end_ms, wanted.metric)
        if start_ms <= as_of_ms and place not in found:
            found[place] = _goal(columns, shop, wanted, period, as_of_ms)
    return sorted(found.values(), key=lambda goal: (goal.ends_at_ms, goal.starts_at_ms, goal.metric))


def period_of(
    window: str, calendar: BusinessCalendar, at_ms: int, week_start: int
) -> tuple[Kind, int, int] | None:
    """Return kind, start and end of the period that a goal's window means at an instant; None for no window.

    Args:
        window: `week`, `W`, `L7`, `last:7d`, `month`, `M`, `quarter`, `Q`; of a year `2026-W48` (ISO weeks),
            `2026-11`, `2026-Q4`; or `range:2026-11-23..2026-11-30`, both days included. Case does not matter.
        calendar: of the shop.
        at_ms: which week, month or quarter is meant where the window does not say.
        week_start: first day of a week that is not dated, 0 is Monday.
    """
    text = window.strip().lower()
    today = dt.date.fromordinal(calendar.day_of(at_ms))
    if text in _NAMES:
        kind = _NAMES[text]
        days = _current(kind, today, week_start)
    else:
        try:
            dated = _dated(text)
        except ValueError:
            # Week 60, a day that no month has, or a year that no calendar has.
            return None
        if dated is None or dated[1].year < FIRST_YEAR or dated[2] - dated[1] > MOST_DAYS:
            return None
        kind, days = dated[0], dated[1:]
    return kind, calendar.day_start_ms(days[0].toordinal()), calendar.day_start_ms(days[1].toordinal())


def _current(kind: Kind, today: dt.date, week_start: int) -> tuple[dt.date, dt.date]:
    """Return the first day of the current period, and the first one after it."""
    if kind == "last_7_days":
        return today - dt.timedelta(days=7), today
    if kind == "week":
        first = today - dt.timedelta(days=(today.weekday() - week_start) % 7)
        return first, first + dt.timedelta(days=7)
    months = 3 if kind == "quarter" else 1
    return _months(today.year, (today.month - 1) // months * months + 1, months)


def _dated(text: str) -> tuple[Kind, dt.date, dt.date] | None:
    for kind, pattern in _DATED:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        year, number = int(match[1]), int(match[2])
        if kind == "week":
            first = dt.date.fromisocalendar(year, number, 1)
            return kind, first, first + dt.timedelta(days=7)
        return kind, *(_months(year, number * 3 - 2, 3) if kind == "quarter" else _months(year, number, 1))
    if text.startswith("range:") and ".." in text:
        first_day, _, last_day = text.removeprefix("range:").partition("..")
        first, last = dt.date.fromordinal(parse_day(first_day)), dt.date.fromordinal(parse_day(last_day))
        return ("range", first, last + dt.timedelta(days=1)) if first <= last else None
    return None


def _months(year: int, month: int, count: int) -> tuple[dt.date, dt.date]:
    after = month - 1 + count
    return dt.date(year, month, 1), dt.date(year + after // 12, after % 12 + 1, 1)


def _wanted(columns: Columns, shop: ShopSettings, settings: Settings) -> Iterator[_Wanted]:
    def ends_last(campaign: Campaign) -> tuple[int, str]:
        return campaign.ends_at_ms, str(campaign.campaign_id)

    for campaign in sorted(columns.campaigns(shop.shop_id), key=ends_last, reverse=True):
        for goal in campaign.period_goals:
            yield _Wanted(goal.window, goal.metric, goal.value, str(campaign.campaign_id))
    own = settings.goals.get(shop.shop_id)
    if own is not None:
        yield _Wanted("week", own.week_metric, own.week, "settings")
        yield _Wanted("quarter", own.quarter_metric, own.quarter, "settings")


def _goal(
    columns: Columns, shop: ShopSettings, wanted: _Wanted, period: tuple[Kind, int, int], as_of_ms: int
) -> PeriodGoal:
    kind, start_ms, end_ms = period
    metric = wanted.metric
    complete_ms = columns.as_of_ms(shop.shop_id, ("orders",), as_of_ms)
    value: int | None = None
    unknown = ""
    share: float | None = None
    basis: Basis = "straight"
    reference = ""
    end: EndValue | None = None
    if metric in _COUNTED:
        value = sold(columns, shop, metric, start_ms, min(as_of_ms, end_ms - 1))
        share, end = 1.0, EndValue(value, value, value)
        if complete_ms < end_ms:
            curve = period_curve(columns, shop, metric, start_ms, end_ms)
            share, basis, reference = curve.share(complete_ms), curve.basis, curve.reference
            end = end_value(columns, shop, metric, curve, as_of_ms=complete_ms)
    else:
        unknown = "needs_external_orders" if metric == "net_receipts" else "unknown_metric"
    target = (
        float(to_minor(wanted.value, shop.currency)) if metric in {"gmv", "net_receipts"} else wanted.value
    )
    progress_pct = None if value is None else value / target * 100
    return PeriodGoal(
        shop_id=shop.shop_id,
        kind=kind,
        window=wanted.window,
        starts_at_ms=start_ms,
        ends_at_ms=end_ms,
        as_of_ms=as_of_ms,
        complete_ms=complete_ms,
        metric=metric,
        target=target,
        value=value,
        unknown_because=unknown,
        progress_pct=progress_pct,
        elapsed_share=min(max((complete_ms - start_ms) / (end_ms - start_ms), 0.0), 1.0),
        expected_share=share,
        basis=basis,
        reference=reference,
        pace_pct=None if progress_pct is None or not share else progress_pct / share,
        projected=None if end is None else max(end.mid, value or 0),
        projected_low=None if end is None else max(end.low, value or 0),
        projected_high=None if end is None else max(end.high, value or 0),
        set_by=wanted.set_by,
    )
