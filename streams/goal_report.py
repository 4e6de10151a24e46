"""The goals of a shop as one document and as text: what the API, the page and `warroom goal` show."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from streams.alerts import clean_name
from streams.days import BusinessCalendar
from streams.goal_curve import target_value_of
from streams.goal_setting import goal_history
from streams.goals import GoalProgress, goal_progress, metric_of
from streams.money import major
from streams.period_goals import PeriodGoal, period_goals
from streams.windows import campaign_period, is_running

if TYPE_CHECKING:
    from streams.columns import Columns
    from streams.events import Campaign
    from streams.settings import Settings, ShopSettings

Document = dict[str, Any]


def goals_document(columns: Columns, shop: ShopSettings, settings: Settings, *, now_ms: int) -> Document:
    """Return every campaign's goal, those to come included, and the goals of weeks and quarters.

    Values are in `unit`: money in major units of the currency, else a count; shares are fractions, times ms.
    """
    progress = {one.campaign_id: one for one in goal_progress(columns, shop, as_of_ms=now_ms)}
    campaigns = sorted(
        columns.campaigns(shop.shop_id), key=lambda one: (-one.ends_at_ms, str(one.campaign_id))
    )
    periods = period_goals(columns, shop, settings, as_of_ms=now_ms)
    return {
        "shop": shop.shop_id,
        "currency": shop.currency,
        "timezone": shop.timezone,
        "now_ms": now_ms,
        "campaigns": [
            _campaign(columns, shop, each, progress.get(str(each.campaign_id)), now_ms) for each in campaigns
        ],
        "periods": [_period(shop, each) for each in periods],
    }


def goals_text(document: Document) -> str:
    """Return a document of `goals_document` as lines for a terminal."""
    lines = [_campaign_text(document, each) for each in document["campaigns"]]
    lines += [_period_text(document, each) for each in document["periods"]]
    return "\n".join(lines) if lines else "No campaign and no goal is known."


def history_text(document: Document, campaign_id: str) -> str:
    """Return the history of one campaign's goal as lines, oldest first."""
    zone = ZoneInfo(document["timezone"])
    lines = []
    for campaign in document["campaigns"]:
        if campaign["campaign_id"] != campaign_id:
            continue
        for change in campaign["history"]:
            at = "?" if change["at_ms"] is None else f"{_clock(change['at_ms'], zone)}"
            before = _goal_text(change["from_value"], change["from_metric"], document["currency"])
            after = _goal_text(change["to_value"], change["to_metric"], document["currency"])
            lines.append(f"{at}  {change['by'] or 'not named'}: {before} -> {after}")
    return "\n".join(lines) if lines else "The goal was never set."


def _campaign(
    columns: Columns, shop: ShopSettings, campaign: Campaign, progress: GoalProgress | None, now_ms: int
) -> Document:
    calendar = BusinessCalendar(shop.timezone)
    starts_at_ms, ends_at_ms = campaign_period(campaign, calendar)
    metric = metric_of(campaign)
    target = target_value_of(columns, shop, campaign)
    document: Document = {
        "campaign_id": str(campaign.campaign_id),
        "name": clean_name(campaign.name),
        "starts_at_ms": starts_at_ms,
        "ends_at_ms": ends_at_ms,
        "running": is_running(campaign, calendar, now_ms),
        "version": campaign.version,
        "metric": metric,
        "unit": _unit(shop, metric),
        "target": target,
        "target_from": None if target is None else "settings" if campaign.target_value is None else "record",
        "history": [
            {
                "at_ms": change.at_ms,
                "by": clean_name(change.by),
                "from_metric": change.from_metric,
                "from_value": change.from_value,
                "to_metric": change.to_metric,
                "to_value": change.to_value,
            }
            for change in goal_history(campaign)
        ],
        "progress": None,
    }
    if progress is not None:
        document["progress"] = _measured(shop, metric, progress) | {
            "needed_per_hour": _scaled(shop, metric, progress.needed_per_h),
            "reference_unused": progress.unused,
        }
    return document


def _period(shop: ShopSettings, goal: PeriodGoal) -> Document:
    return {
        "kind": goal.kind,
        "window": clean_name(goal.window),
        "starts_at_ms": goal.starts_at_ms,
        "ends_at_ms": goal.ends_at_ms,
        "metric": clean_name(goal.metric),
        "unit": _unit(shop, goal.metric),
        "target": _scaled(shop, goal.metric, goal.target),
        "set_by": clean_name(goal.set_by),
        "null": goal.unknown_because or None,
        "elapsed": goal.elapsed_share,
        "progress": _measured(shop, goal.metric, goal),
    }


def _measured(shop: ShopSettings, metric: str, goal: GoalProgress | PeriodGoal) -> Document:
    return {
        "complete_ms": goal.complete_ms,
        "value": _scaled(shop, metric, goal.value),
        "share": None if goal.progress_pct is None else goal.progress_pct / 100,
        "expected_share": goal.expected_share,
        "pace": None if goal.pace_pct is None else goal.pace_pct / 100,
        "basis": goal.basis,
        "reference": goal.reference,
        "projected": _scaled(shop, metric, goal.projected),
        "projected_low": _scaled(shop, metric, goal.projected_low),
        "projected_high": _scaled(shop, metric, goal.projected_high),
    }


def _unit(shop: ShopSettings, metric: str) -> str:
    return shop.currency if metric in {"gmv", "net_receipts"} else clean_name(metric)


def _scaled(shop: ShopSettings, metric: str, value: float | None) -> float | None:
    if value is None:
        return None
    return major(value, shop.currency) if metric in {"gmv", "net_receipts"} else float(value)


def _campaign_text(document: Document, campaign: Document) -> str:
    zone = ZoneInfo(document["timezone"])
    goal = _goal_text(campaign["target"], campaign["metric"], document["currency"])
    head = (
        f"{campaign['campaign_id']}  {campaign['name']}  {_clock(campaign['starts_at_ms'], zone)} to "
        f"{_clock(campaign['ends_at_ms'], zone)}  goal {goal}"
    )
    if campaign["target_from"] == "settings":
        head += " (settings)"
    if campaign["progress"] is None:
        return f"{head}\n  has not begun"
    text = f"{head}\n  {_progress_text(campaign['progress'], campaign['metric'], document['currency'])}"
    unused = campaign["progress"]["reference_unused"]
    return f"{text}\n  Its reference is not used: {unused}" if unused else text


def _period_text(document: Document, period: Document) -> str:
    zone = ZoneInfo(document["timezone"])
    currency = document["currency"]
    head = (
        f"{period['window']}  {_clock(period['starts_at_ms'], zone)} to {_clock(period['ends_at_ms'], zone)}  "
        f"goal {_goal_text(period['target'], period['metric'], currency)} (by {period['set_by']})"
    )
    if period["null"]:
        return f"{head}\n  no value: {period['null']}"
    return f"{head}\n  {_progress_text(period['progress'], period['metric'], currency)}"


def _progress_text(progress: Document, metric: str, currency: str) -> str:
    parts = [_amount(progress["value"], metric, currency)]
    if progress["share"] is not None:
        parts.append(f"{progress['share']:.1%} of the goal")
    if progress["expected_share"] is not None:
        due = f"{progress['expected_share']:.1%} was due"
        parts.append(f"{due} ({_basis_text(progress)})")
    if progress["pace"] is not None:
        parts.append(f"pace {progress['pace']:.0%}")
    if progress["projected"] is not None:
        low, high = (_amount(progress[key], metric, currency) for key in ("projected_low", "projected_high"))
        parts.append(f"ends at {_amount(progress['projected'], metric, currency)} ({low} to {high})")
    if progress.get("needed_per_hour"):
        parts.append(f"needs {_amount(progress['needed_per_hour'], metric, currency)} an hour")
    return ", ".join(parts)


def _basis_text(progress: Document) -> str:
    if progress["basis"] == "straight":
        return "straight line"
    if progress["basis"] == "plan":
        return "plan"
    return f"as on {progress['reference']}"


def _goal_text(value: float | None, metric: str | None, currency: str) -> str:
    return "none" if value is None else _amount(value, metric or "gmv", currency)


def _amount(value: float, metric: str, currency: str) -> str:
    if metric in {"gmv", "net_receipts"}:
        return f"{value:,.2f} {currency}"
    return f"{value:,.0f} {metric.replace('_sold', '')}"


def _clock(at_ms: int, zone: ZoneInfo) -> str:
    return f"{dt.datetime.fromtimestamp(at_ms / 1000, zone):%Y-%m-%d %H:%M}"
