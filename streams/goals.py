"""Campaign goals: how far the shop is, and what today's part of the goal is.

Source: spec/metrics.md campaign_target, goal_progress_pct and notes; X-67, X-76.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from streams.days import BusinessCalendar, day_label
from streams.metrics_sales import gmv_minor
from streams.money import to_minor
from streams.windows import campaign_period

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.columns import Columns
    from streams.events import Campaign, PlanPoint
    from streams.settings import ShopSettings


Basis = Literal["plan", "reference", "straight"]


@dataclass(frozen=True, slots=True)
class GoalProgress:
    """A campaign's goal against what was sold from its first day on.

    Attributes:
        starts_at_ms: 00:00 shop time of the campaign's first day (X-76); ends_at_ms: the exact end.
        metric: `gmv`, `orders` or `items_sold`.
        target: in minor units for gmv, else a count; None without a target, then progress_pct is None too.
        value: of the same metric, of the whole shop, from starts_at_ms to the lesser of as_of_ms and ends_at_ms.
        progress_pct: value / target x 100, not clipped at 100; None without a target or with a target of 0.
        expected_share: the share of the goal that should be reached by as_of_ms, 0 to 1; None while nothing is due.
        basis: what it follows: `plan`, `reference` or `straight`; the screen says which.
        pace_pct: progress_pct / expected_share: below 100 is behind; None without a progress or an expected share.
        projected, projected_low, projected_high: the value at the campaign's end with its 80 % interval, in the
            target's unit; None while nothing is sold from which to project.
        needed_per_h: per hour until the end to reach the target, in its unit; 0 when it is reached; None without a
            target and after the end.
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


@dataclass(frozen=True, slots=True)
class DayGoal:
    """Today's part of a campaign's GMV goal.

    Attributes:
        goal_minor: minor units.
        basis: `plan` when the campaign names it, `straight` when it is what remained at the start of today, spread
            evenly over the campaign's remaining days; the screen says which.
    """

    campaign_id: str
    day: int
    goal_minor: int
    basis: Literal["plan", "straight"]


def goal_progress(columns: Columns, shop: ShopSettings, *, as_of_ms: int) -> list[GoalProgress]:
    """Return every campaign that has started, the one that ends last first.

    Args:
        columns: what is known.
        shop: its zone and currency, and whether shipping is part of GMV (X-05).
        as_of_ms: sales at or before it count.
    """
    rows = []
    for campaign in _by_end(columns.campaigns(shop.shop_id)):
        start_ms, end_ms = campaign_period(campaign, BusinessCalendar(shop.timezone))
        if start_ms > as_of_ms:
            continue
        metric = campaign.target_metric or "gmv"
        target = campaign.target_value
        if target is not None and metric == "gmv":
            target = to_minor(target, shop.currency)
        value = _sold(columns, shop, metric, start_ms, min(as_of_ms, end_ms - 1))
        rows.append(
            GoalProgress(
                shop_id=shop.shop_id,
                campaign_id=str(campaign.campaign_id),
                name=campaign.name,
                starts_at_ms=start_ms,
                ends_at_ms=campaign.ends_at_ms,
                as_of_ms=as_of_ms,
                metric=metric,
                target=target,
                value=value,
                progress_pct=value / target * 100 if target else None,
            )
        )
    return rows


def running_campaign(columns: Columns, shop: ShopSettings, *, as_of_ms: int) -> Campaign | None:
    """Return the campaign that runs at the instant; of several, the one that ends last."""
    running = (
        campaign
        for campaign in _by_end(columns.campaigns(shop.shop_id))
        if _first_midnight(campaign, shop) <= as_of_ms < campaign.ends_at_ms
    )
    return next(running, None)


def day_goal(columns: Columns, shop: ShopSettings, *, as_of_ms: int) -> DayGoal | None:
    """Return today's goal of the running campaign; None without a campaign or without a GMV target or plan."""
    campaign = running_campaign(columns, shop, as_of_ms=as_of_ms)
    if campaign is None or (campaign.target_metric or "gmv") != "gmv":
        return None
    calendar = BusinessCalendar(shop.timezone)
    today = calendar.day_of(as_of_ms)
    campaign_id = str(campaign.campaign_id)
    planned = _planned(campaign.plan, day_label(today))
    if planned is not None:
        return DayGoal(campaign_id, today, to_minor(planned, shop.currency), "plan")
    if not campaign.target_value:
        return None
    start_ms, today_ms = _first_midnight(campaign, shop), calendar.day_start_ms(today)
    before = _sold(columns, shop, "gmv", start_ms, today_ms - 1)
    days_left = calendar.day_of(campaign.ends_at_ms - 1) - today + 1
    remaining = max(0, to_minor(campaign.target_value, shop.currency) - before)
    return DayGoal(campaign_id, today, round(remaining / days_left), "straight")


def gmv_of_day(columns: Columns, shop: ShopSettings, day: int) -> int | None:
    """Return the GMV of a business day in minor units; None when the shop's orders were no source before its end."""
    calendar = BusinessCalendar(shop.timezone)
    start_ms, end_ms = calendar.day_start_ms(day), calendar.day_start_ms(day + 1)
    since_ms = columns.source_since_ms(shop.shop_id, "orders")
    if since_ms is None or since_ms >= end_ms:
        return None
    return _sold(columns, shop, "gmv", start_ms, end_ms - 1)


def _sold(columns: Columns, shop: ShopSettings, metric: str, from_ms: int, to_ms: int) -> int:
    lines = columns.order_lines(shop.shop_id).filter(pl.col("paid_at_ms").is_between(from_ms, to_ms))
    if metric == "orders":
        return lines.get_column("order_id").n_unique()
    if metric == "items_sold":
        return int(lines.get_column("quantity").sum())
    return int(lines.select(gmv_minor(shop).sum()).item())


def _planned(plan: Sequence[PlanPoint], day: str) -> float | None:
    """Return a day's part of the plan: its own point, else the sum of its hours; None when the plan leaves it out."""
    points = [point for point in plan if point.date == day]
    whole_days = [point.value for point in points if point.hour is None]
    if whole_days:
        return whole_days[-1]
    return sum(point.value for point in points) if points else None


def _first_midnight(campaign: Campaign, shop: ShopSettings) -> int:
    calendar = BusinessCalendar(shop.timezone)
    return calendar.day_start_ms(calendar.day_of(campaign.starts_at_ms))


def _by_end(campaigns: Sequence[Campaign]) -> list[Campaign]:
    return sorted(campaigns, key=lambda each: (-each.ends_at_ms, str(each.campaign_id)))
