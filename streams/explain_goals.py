"""Records behind the figures of a goal: the campaign's own record, and the orders that are counted against it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from streams.explain_sources import Source, fewer, sources_of
from streams.goals import metric_of
from streams.query_figures import PERIODS, period_goal
from streams.windows import Window, campaign_period, current_campaign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.events import Campaign
    from streams.formulas import GoalFigure
    from streams.metric import Metric
    from streams.scope import Scope


def goal_records(
    scope: Scope, metric: Metric, figure: GoalFigure, known: Mapping[str, Metric]
) -> list[Source]:
    """Return the campaign that set a goal, if one did, and the orders of the goal's span up to now.

    Args:
        scope: of the cell, without dimensions.
        metric: whose cell it is; the target itself counts no orders.
        figure: its formula.
        known: the catalogue.
    """
    if figure.column in PERIODS:
        goal = period_goal(scope, figure.column)
        if goal is None:
            return []
        setter, counted = _campaign(scope, goal.set_by), goal.metric
        start_ms, end_ms = goal.starts_at_ms, goal.ends_at_ms
    else:
        setter = campaign_of(scope)
        if setter is None:
            return []
        counted = "gmv" if figure.column.startswith("end_gmv") else metric_of(setter)
        start_ms, end_ms = campaign_period(setter, scope.calendar)
    found = [] if setter is None else [_record(setter)]
    if "orders" in metric.topics and start_ms <= scope.now_ms:
        window = Window(scope.window.text, start_ms, min(end_ms, scope.now_ms + 1))
        found += sources_of(dataclasses.replace(scope, window=window, where=()), known[counted])
    return fewer(found)


def campaign_of(scope: Scope) -> Campaign | None:
    """Return the campaign of a cell: the one that its row names, else the current one."""
    wanted = next((value for dim, value in scope.where if dim == "campaign"), None)
    if wanted is not None:
        return _campaign(scope, wanted)
    return current_campaign(scope.columns.campaigns(scope.shop.shop_id), scope.calendar, scope.now_ms)


def _campaign(scope: Scope, wanted: str) -> Campaign | None:
    campaigns = scope.columns.campaigns(scope.shop.shop_id)
    return next((campaign for campaign in campaigns if str(campaign.campaign_id) == wanted), None)


def _record(campaign: Campaign) -> Source:
    row = {
        "place": f"campaign/{campaign.campaign_id}",
        "campaign_id": str(campaign.campaign_id),
        "version": campaign.version,
        "starts_at_ms": campaign.starts_at_ms,
        "ends_at_ms": campaign.ends_at_ms,
        "target_metric": campaign.target_metric,
        "target_value": campaign.target_value,
    }
    if campaign.plan:
        row["plan_points"] = len(campaign.plan)
    if campaign.reference is not None:
        row["reference"] = campaign.reference
    if campaign.period_goals:
        row["period_goals"] = [
            f"{goal.window} {goal.metric} {goal.value:g}" for goal in campaign.period_goals
        ]
    return Source("campaign", "campaigns", 1, [row])
