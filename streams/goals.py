"""Campaign goals: how far the shop is, how far it should be, where it ends, and what today's part of the goal is.

Source: spec/metrics.md campaign_target, goal_progress_pct, goal_pace_pct, gmv_projected_campaign_end and notes; X-67,
X-76, X-79, X-80.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from streams.days import DAY_MS, HOUR_MS, MINUTE_MS, day_label
from streams.goal_curve import (
    Basis,
    Curve,
    campaign_curve,
    plan_by_day,
    sold_by_quarter,
    target_value_of,
)
from streams.goal_projection import EndValue, project_end
from streams.line_days import sales_by_quarter
from streams.money import to_minor
from streams.windows import campaign_period, current_campaign, is_running

if TYPE_CHECKING:
    from streams.columns import Columns
    from streams.events import Campaign
    from streams.settings import ShopSettings


BASKET_MS: Final = 7 * DAY_MS
"""Orders of the last week say how large an order is."""


RATE_LEFT_MS: Final = 5 * MINUTE_MS
"""With less left until the end, what is needed an hour runs off to billions, and helps nobody."""


@dataclass(frozen=True, slots=True)
class GoalProgress:
    """A campaign's goal against what was sold from its first day on.

    Attributes:
        starts_at_ms: 00:00 shop time of the campaign's first day (X-76); ends_at_ms: the exact end.
        metric: `gmv`, `orders` or `items_sold`.
        target: in minor units for gmv, else a count; None without a target, then progress_pct is None too.
        value: of the same metric, of the whole shop, from starts_at_ms to the lesser of as_of_ms and ends_at_ms.
        complete_ms: the order feed is complete up to here, <= as_of_ms; what is expected, is expected by then (X-79).
        progress_pct: value / target x 100, not clipped at 100; None without a target or with a target of 0.
        expected_share: the share of the goal that should be reached by complete_ms, 0 to 1.
        basis: what it follows: `plan`, `reference` or `straight`; the screen says which.
        reference: the days whose hours shaped it, as a person reads them; empty where none did.
        unused: why the recording that is named as reference did not, and what would mend it; else empty.
        pace_pct: progress_pct / expected_share: below 100 is behind; None without a progress, or while nothing is
            due.
        projected, projected_low, projected_high: the value at the campaign's end with its 80 % interval, in the
            target's unit; None while nothing is known from which to project; the value itself after the end.
        needed_per_h: per hour until the end to reach the target, in its unit; 0 when it is reached; None without a
            target, after the end, and in the last five minutes before it.
    """

    shop_id: str
    campaign_id: str
    name: str
    starts_at_ms: int
    ends_at_ms: int
    as_of_ms: int
    metric: str
    target: float | None
    value: int
    progress_pct: float | None
    expected_share: float | None = None
    basis: Basis = "straight"
    pace_pct: float | None = None
    projected: float | None = None
    projected_low: float | None = None
    projected_high: float | None = None
    needed_per_h: float | None = None
    complete_ms: int = 0
    reference: str = ""
    unused: str = ""


@dataclass(frozen=True, slots=True)
class DayGoal:
    """Today's part of a campaign's GMV goal.

    Attributes:
        goal_minor: minor units.
        basis: `plan` when the campaign names it; else it is what remained at the start of today, divided over the
            campaign's remaining days as the `reference` sold on them, or `straight`, evenly; the screen says which.
    """

    campaign_id: str
    day: int
    goal_minor: int
    basis: Basis


def goal_progress(columns: Columns, shop: ShopSettings, *, as_of_ms: int) -> list[GoalProgress]:
    """Return every campaign that has started, the one that ends last first.

    Args:
        columns: what is known.
        shop: its zone and currency, and whether shipping is part of GMV (X-05).
        as_of_ms: sales at or before it count.
    """
    calendar = columns.calendar(shop.shop_id)
    started = [
        campaign
        for campaign in columns.campaigns(shop.shop_id)
        if campaign_period(campaign, calendar)[0] <= as_of_ms
    ]
    started.sort(key=lambda each: (-each.ends_at_ms, str(each.campaign_id)))
    return [_progress(columns, shop, campaign, as_of_ms) for campaign in started]


def running_campaign(columns: Columns, shop: ShopSettings, *, as_of_ms: int) -> Campaign | None:
    """Return the campaign that runs at the instant; of several, the one that ends last."""
    calendar = columns.calendar(shop.shop_id)
    campaign = current_campaign(columns.campaigns(shop.shop_id), calendar, as_of_ms)
    return campaign if campaign is not None and is_running(campaign, calendar, as_of_ms) else None


class Due(NamedTuple):
    """What is due of a goal by any account.

    Attributes:
        share: 0 to 1; None where nothing is expected of the goal.
        even: nothing tells the hours of the day, so that the expected share takes them evenly; `share` does not.
    """

    share: float | None
    even: bool


def least_due(columns: Columns, shop: ShopSettings, goal: GoalProgress, *, peak: float) -> Due:
    """Return what is due of a goal at complete_ms by any account.

    It is `expected_share`, unless nothing tells the hours of the day: then the hours that are left of it may sell
    `peak` times its mean, since a shop that sells in the evening is behind an even line every noon.
    """
    if goal.reference or goal.complete_ms >= goal.ends_at_ms:
        return Due(goal.expected_share, even=False)
    campaign = next(
        each for each in columns.campaigns(shop.shop_id) if str(each.campaign_id) == goal.campaign_id
    )
    curve, calendar = campaign_curve(columns, shop, campaign, goal.metric), columns.calendar(shop.shop_id)
    even = calendar.day_of(goal.complete_ms) in curve.even_days
    return Due(curve.least_share(goal.complete_ms, calendar, peak), even)


def campaign_end_gmv(columns: Columns, shop: ShopSettings, progress: GoalProgress) -> EndValue | None:
    """Return the GMV at a campaign's end in minor units, whatever its goal counts; None while nothing tells it."""
    if progress.metric == "gmv":
        if progress.projected is None or progress.projected_low is None or progress.projected_high is None:
            return None
        return EndValue(progress.projected, progress.projected_low, progress.projected_high)
    campaign = next(
        each for each in columns.campaigns(shop.shop_id) if str(each.campaign_id) == progress.campaign_id
    )
    start_ms, end_ms = campaign_period(campaign, columns.calendar(shop.shop_id))
    value = sold(columns, shop, "gmv", start_ms, min(progress.as_of_ms, end_ms - 1))
    if progress.complete_ms >= end_ms:
        return EndValue(value, value, value)
    curve = campaign_curve(columns, shop, campaign, "gmv")
    return _at_least(value, end_value(columns, shop, "gmv", curve, as_of_ms=progress.complete_ms))


def day_goal(columns: Columns, shop: ShopSettings, *, as_of_ms: int) -> DayGoal | None:
    """Return today's goal of the running campaign; None without a campaign or without a GMV target or plan."""
    campaign = running_campaign(columns, shop, as_of_ms=as_of_ms)
    if campaign is None or metric_of(campaign) != "gmv":
        return None
    calendar = columns.calendar(shop.shop_id)
    today = calendar.day_of(as_of_ms)
    campaign_id = str(campaign.campaign_id)
    planned = plan_by_day(campaign.plan).get(day_label(today))
    if planned is not None:
        return DayGoal(campaign_id, today, to_minor(planned, shop.currency), "plan")
    target = target_of(columns, shop, campaign)
    if not target:
        return None
    start_ms, end_ms = campaign_period(campaign, calendar)
    from_ms, to_ms = (
        max(calendar.day_start_ms(today), start_ms),
        min(calendar.day_start_ms(today + 1), end_ms),
    )
    remaining = max(0.0, target - sold(columns, shop, "gmv", start_ms, from_ms - 1))
    curve = campaign_curve(columns, shop, campaign, "gmv")
    due, left = curve.share(to_ms) - curve.share(from_ms), 1 - curve.share(from_ms)
    part = due / left if left > 0 else 1.0
    return DayGoal(campaign_id, today, round(remaining * part), curve.basis)


def gmv_of_day(columns: Columns, shop: ShopSettings, day: int) -> int | None:
    """Return the GMV of a business day in minor units; None when the shop's orders were no source before its end."""
    calendar = columns.calendar(shop.shop_id)
    start_ms, end_ms = calendar.day_start_ms(day), calendar.day_start_ms(day + 1)
    since_ms = columns.source_since_ms(shop.shop_id, "orders")
    if since_ms is None or since_ms >= end_ms:
        return None
    return sold(columns, shop, "gmv", start_ms, end_ms - 1)


def metric_of(campaign: Campaign) -> str:
    """Return what a campaign's goal counts: `gmv` where it does not say (X-67)."""
    return campaign.target_metric or "gmv"


def target_of(columns: Columns, shop: ShopSettings, campaign: Campaign) -> float | None:
    """Return a campaign's goal in minor units for gmv, else a count; None without one."""
    value = target_value_of(columns, shop, campaign)
    return to_minor(value, shop.currency) if value is not None and metric_of(campaign) == "gmv" else value


def sold(columns: Columns, shop: ShopSettings, metric: str, from_ms: int, to_ms: int) -> int:
    """Return what the whole shop sold, paid from from_ms to to_ms, both included: minor units for gmv, else a count."""
    return int(sales_by_quarter(columns, shop, (from_ms, to_ms)).get_column(metric).sum())


def end_value(
    columns: Columns, shop: ShopSettings, metric: str, curve: Curve, *, as_of_ms: int
) -> EndValue | None:
    """Return the value at the end of a curve's period, from what was sold up to as_of_ms; see `project_end`."""
    at_ms, amounts = sold_by_quarter(columns, shop, metric, int(curve.edges_ms[0]), as_of_ms)
    passed = curve.passed(as_of_ms + 1)
    begun = int(np.searchsorted(curve.edges_ms[:-1], as_of_ms, side="right"))
    by_hour = np.zeros(len(passed))
    np.add.at(by_hour, np.searchsorted(curve.edges_ms, at_ms, side="right") - 1, amounts)
    return project_end(
        sold=by_hour[:begun],
        passed=passed[:begun],
        remaining=max(float(curve.expected.sum() - passed.sum()), 0.0),
        basket=mean_basket(columns, shop, metric, as_of_ms),
        days=curve.days,
        shaped=curve.basis != "straight",
    )


def _progress(columns: Columns, shop: ShopSettings, campaign: Campaign, as_of_ms: int) -> GoalProgress:
    start_ms, end_ms = campaign_period(campaign, columns.calendar(shop.shop_id))
    metric, target = metric_of(campaign), target_of(columns, shop, campaign)
    value = sold(columns, shop, metric, start_ms, min(as_of_ms, end_ms - 1))
    progress_pct = value / target * 100 if target else None
    complete_ms = columns.as_of_ms(shop.shop_id, ("orders",), as_of_ms)
    basis: Basis = "plan" if campaign.plan else "straight"
    share, reference, unused = 1.0, "", ""
    end: EndValue | None = EndValue(value, value, value)
    if complete_ms < end_ms:
        # What is over needs no curve: a shop may have years of campaigns behind it.
        curve = campaign_curve(columns, shop, campaign, metric)
        share, basis, reference = curve.share(complete_ms), curve.basis, curve.reference
        unused = curve.unused
        end = _at_least(value, end_value(columns, shop, metric, curve, as_of_ms=complete_ms))
    return GoalProgress(
        shop_id=shop.shop_id,
        campaign_id=str(campaign.campaign_id),
        name=campaign.name,
        starts_at_ms=start_ms,
        ends_at_ms=campaign.ends_at_ms,
        as_of_ms=as_of_ms,
        metric=metric,
        target=target,
        value=value,
        progress_pct=progress_pct,
        expected_share=share,
        basis=basis,
        pace_pct=None if progress_pct is None or share <= 0 else progress_pct / share,
        projected=None if end is None else end.mid,
        projected_low=None if end is None else end.low,
        projected_high=None if end is None else end.high,
        needed_per_h=needed_per_h(target, value, end_ms - as_of_ms),
        complete_ms=complete_ms,
        reference=reference,
        unused=unused,
    )


def needed_per_h(target: float | None, value: float, left_ms: int) -> float | None:
    """Return what must be sold per hour until the end; None without a target or with less than RATE_LEFT_MS left."""
    if not target or left_ms < RATE_LEFT_MS:
        return None
    return max(target - value, 0.0) / (left_ms / HOUR_MS)


def _at_least(value: int, end: EndValue | None) -> EndValue | None:
    """Return an end value that is nowhere below what is sold: partitions ahead of the slowest one tell of more."""
    return None if end is None else EndValue(*(max(each, value) for each in (end.mid, end.low, end.high)))


def mean_basket(columns: Columns, shop: ShopSettings, metric: str, as_of_ms: int) -> float:
    """Return the mean squared order over the mean order of the last week: how far chance alone moves a sum."""
    if metric == "orders":
        return 1.0
    sales = sales_by_quarter(columns, shop, (as_of_ms - BASKET_MS, as_of_ms))
    squares, total = (
        float(sales.get_column(name).to_numpy().sum()) for name in (f"{metric}_squares", metric)
    )
    return max(squares / total, 1.0) if total else 1.0
