"""The hourly digest of a shop: what was sold, where the goal stands, what moved, what runs out, how new that is.

Source: spec/alerts.md A-01, route "status and hourly digest"; the issue: GMV, % of plan, needed per hour, top mover,
three risks by money, state of the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.alerts import LISTED_SKUS, Alert, AlertRoute, AlertState, DigestLine, clean_name, listed
from streams.days import HOUR_MS, MINUTE_MS
from streams.goals import least_due, running_campaign, sold
from streams.metrics_sales import gmv_minor
from streams.money import compact_money
from streams.rule import Severity
from streams.rules import DIGEST
from streams.stock import StockStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.goals import GoalProgress
    from streams.rule_context import RuleContext
    from streams.rules import RuleState
    from streams.stock import SkuStock

TOLD_RISKS: Final = 3
"""SKUs that the message names; the alert's lines hold ten."""

_AT_RISK: Final = frozenset({StockStatus.OUT_OF_STOCK, StockStatus.AT_RISK})
_FEEDS: Final = ("orders", "stock")
_UNITS: Final = {"orders": "orders", "items_sold": "items"}
_BASES: Final = {"plan": "by its plan", "straight": "by a straight line"}
_EVEN_PLAN: Final = "by its plan, which names no hours: evenly"


def digest(state: RuleState, context: RuleContext) -> list[Alert]:
    """Return the digest that is due, and remember its hour; see `hourly`."""
    shop_id, every_ms = context.shop.shop_id, context.settings.stock.digest_every_ms
    if not context.at_head:
        # What is not read yet would look like an hour without sales.
        return []
    hour = context.now_ms // every_ms
    said = hourly(context, context.now_ms, state.digest_hours.get(shop_id, hour))
    state.digest_hours[shop_id] = hour
    return [] if said is None else [said]


def hourly(context: RuleContext, now_ms: int, last_hour: int) -> Alert | None:
    """Return the digest of one shop; None in the hour of the last one, or with nothing to say.

    There is nothing to say when no campaign runs, nothing was sold since, and nothing runs out.

    Args:
        context: the shop's answers at `now_ms`.
        now_ms: the board's clock.
        last_hour: number of the `digest_every_ms` in which the last one was said.
    """
    shop, every_ms = context.shop, context.settings.stock.digest_every_ms
    hour = now_ms // every_ms
    if hour == last_hour or context.columns.source_since_ms(shop.shop_id, "orders") is None:
        return None
    risks = [row for row in context.stock if row.status in _AT_RISK]
    risks.sort(key=lambda row: (-row.gmv_at_risk_minor, row.sku_id))
    recent = sold(context.columns, shop, "gmv", now_ms - every_ms, now_ms)
    campaign = running_campaign(context.columns, shop, as_of_ms=now_ms)
    if campaign is None and not recent and not risks:
        return None
    goal = next((g for g in context.goals if campaign and g.campaign_id == str(campaign.campaign_id)), None)
    money_minor = sum(row.gmv_at_risk_minor for row in risks)
    calendar = context.columns.calendar(shop.shop_id)
    today_minor = sold(context.columns, shop, "gmv", calendar.day_start_ms(calendar.day_of(now_ms)), now_ms)
    parts = [
        f"{clean_name(shop.name) or shop.shop_id} at {context.clock.time(now_ms)}.",
        f"GMV today {compact_money(today_minor, shop.currency)}.",
        _goal_text(context, goal),
        # An hour whose orders have not come would look like a fall of everything.
        "" if "orders" in context.stale else _mover_text(context, now_ms, every_ms),
        _risk_text(context, risks),
        _data_text(context, now_ms),
    ]
    return Alert(
        alert_id=f"{shop.shop_id}/-/A-01/digest/{hour * every_ms}",
        rule="A-01",
        key=DIGEST,
        title="Hourly digest",
        entity_kind="shop",
        entity_id=shop.shop_id,
        severity=Severity.NOTE,
        shop_id=shop.shop_id,
        state=AlertState.NOTICE,
        route=AlertRoute.DIGEST,
        opened_at_ms=now_ms,
        updated_at_ms=now_ms,
        timezone=shop.timezone,
        currency=shop.currency,
        gmv_at_risk_minor=money_minor,
        money_minor=money_minor,
        horizon_end_ms=max((row.horizon_end_ms for row in risks), default=None),
        lines=tuple(
            DigestLine(row.sku_id, row.name, row.status.value, row.on_hand, row.eta_ms, row.gmv_at_risk_minor)
            for row in risks[:LISTED_SKUS]
        ),
        more=max(0, len(risks) - LISTED_SKUS),
        figures={
            "gmv_today_minor": today_minor,
            "goal_pct": None if goal is None else goal.progress_pct,
            "plan_pct": None if goal is None else goal.pace_pct,
            "needed_per_h": None if goal is None else goal.needed_per_h,
        },
        message=" ".join(part for part in parts if part),
    )


def _goal_text(context: RuleContext, goal: GoalProgress | None) -> str:
    """Return `Goal $60k: 69% reached, 92% of what was due by now (by its plan), needs $4.7k an hour until midnight.`"""
    if goal is None or goal.target is None or goal.progress_pct is None:
        return ""
    parts = [f"{goal.progress_pct:.0f}% reached"]
    if goal.pace_pct is not None:
        basis = _BASES.get(goal.basis) or f"as {goal.reference or 'its reference'} went"
        if goal.basis == "plan" and least_due(context.columns, context.shop, goal, peak=1).even:
            basis = _EVEN_PLAN
        parts.append(f"{goal.pace_pct:.0f}% of what was due by now ({basis})")
    if goal.needed_per_h:
        needed = _amount(goal.needed_per_h, goal.metric, context.shop.currency)
        parts.append(f"needs {needed} an hour until {context.clock.end(goal.ends_at_ms)}")
    return f"Goal {_amount(goal.target, goal.metric, context.shop.currency)}: {', '.join(parts)}."


def _amount(value: float, metric: str, currency: str) -> str:
    if metric == "gmv":
        return compact_money(round(value), currency)
    return f"{value:,.0f} {_UNITS.get(metric, metric)}"


def _mover_text(context: RuleContext, now_ms: int, every_ms: int) -> str:
    """Return the product whose GMV changed most against the interval before."""
    lines = context.columns.order_lines(context.shop.shop_id)
    middle_ms = now_ms - every_ms
    last = pl.col("paid_at_ms") > middle_ms
    money = gmv_minor(context.shop)
    moved = (
        lines.filter(pl.col("paid_at_ms").is_between(middle_ms - every_ms, now_ms, closed="right"))
        .group_by("product_id")
        .agg(
            money.filter(last).sum().alias("now"),
            money.filter(~last).sum().alias("before"),
        )
        .filter(pl.col("now") != pl.col("before"))
        .sort((pl.col("now") - pl.col("before")).abs(), "product_id", descending=[True, False])
    )
    if not moved.height:
        return ""
    product_id, now, before = moved.row(0)
    product = context.columns.products(context.shop.shop_id).get(product_id)
    name = clean_name(product.name if product is not None else product_id)
    currency = context.shop.currency
    sign = "+" if now > before else ""
    span = "hour" if every_ms == HOUR_MS else f"{every_ms // MINUTE_MS} min"
    change = f"{sign}{compact_money(now - before, currency)}"
    figures = f"{compact_money(now, currency)} after {compact_money(before, currency)}"
    return f"Top mover: {name}, {change} in the last {span} ({figures})."


def _risk_text(context: RuleContext, risks: Sequence[SkuStock]) -> str:
    if not risks:
        return ""
    told = []
    for row in risks[:TOLD_RISKS]:
        when = "at risk" if row.eta_ms is None else f"~{context.clock.time(row.eta_ms)}"
        when = "out" if row.status is StockStatus.OUT_OF_STOCK else when
        told.append(f"{row.name} {when} ({compact_money(row.gmv_at_risk_minor, context.shop.currency)})")
    return f"Runs out: {listed(told, len(risks) - len(told))}."


def _data_text(context: RuleContext, now_ms: int) -> str:
    """Return up to when each feed is known; one that is required and silent for too long is called silent."""
    shop_id = context.shop.shop_id
    known = [topic for topic in _FEEDS if context.columns.source_since_ms(shop_id, topic) is not None]
    others = sorted(context.stale - set(known))
    said = []
    for topic in known:
        at = context.clock.time(context.columns.as_of_ms(shop_id, (topic,), now_ms))
        said.append(f"{topic} silent since {at}" if topic in context.stale else f"{topic} as of {at}")
    said += [f"{topic} silent" for topic in others]
    return f"Data: {', '.join(said)}."
