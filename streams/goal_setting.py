"""Set a campaign's goal: the next version of its record, which carries what the goal was before.

The topic of campaigns keeps the newest record of a campaign, and so does the board. What the goal was before, since
when and by whom is therefore a field of the record itself, `target_history`: it lives as long as the record does, and
every board reads it from there. A producer that sends a newer version without that field begins it anew.

Source: spec/metrics.md campaign_target ("versioned with time of change"); spec/events.md campaign; X-67; S4-11.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from streams.alerts import clean_name
from streams.errors import QueryError
from streams.events import PlanPoint, TargetChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.events import Campaign

MOST_HISTORY: Final = 1_000
"""Changes that a record carries, as the schema allows; the oldest go first."""


class GoalRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody asks for: the body of `PUT /api/v1/goals/<campaign>`.

    Attributes:
        value: money in major units for gmv, else a count; null takes the goal away.
        by: who asks; kept in the history. The board's token names nobody, so this is what the asker says.
        metric: what the goal counts; without it, what it counted before.
        plan: the goal by day or hour; without it the plan stays and is scaled along with the goal.
        version: of the record that the asker has seen; another one is refused. Without it the newest is taken.
    """

    value: Annotated[float, Meta(ge=0, le=1e15)] | None
    by: Annotated[str, Meta(min_length=1, max_length=100)]
    metric: Literal["gmv", "orders", "items_sold"] | None = None
    plan: Annotated[list[PlanPoint], Meta(max_length=10_000)] | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class GoalChange:
    """One step of a goal's history.

    Attributes:
        at_ms, by: when and who; None and empty where the record's producer did not say.
        from_metric, from_value: before; both None at the first goal, the value alone where there was none.
        to_metric, to_value: after; values in major units for gmv, None where the goal was taken away.
    """

    at_ms: int | None
    by: str
    from_metric: str | None
    from_value: float | None
    to_metric: str
    to_value: float | None


def with_goal(campaign: Campaign, asked: GoalRequest, *, now_ms: int) -> Campaign:
    """Return the next version of a campaign's record with the goal that was asked for.

    Args:
        campaign: the newest record that is known.
        asked: the new goal.
        now_ms: on the board's clock.

    Raises:
        QueryError: `other_version`, or `unchanged` where the goal is that already.
    """
    if asked.version not in {None, campaign.version}:
        what = f"The campaign's record is at version {campaign.version}, not {asked.version}."
        raise QueryError(what, reason="other_version", mend="Look at the goal again, then set it.")
    by = clean_name(asked.by)
    if not by:
        what = "Nobody is named who sets the goal."
        raise QueryError(what, reason="bad_request", mend="Name somebody in `by`.")
    before = campaign.target_metric or "gmv"
    metric = asked.metric or before
    if (metric, asked.value) == (before, campaign.target_value) and asked.plan is None:
        what = f"The goal is {asked.value} in {metric} already."
        raise QueryError(what, reason="unchanged", mend="Nothing was sent.")
    history = [*campaign.target_history]
    if campaign.target_value is not None or campaign.target_changed_at_ms is not None:
        history.append(
            TargetChange(
                before, campaign.target_value, campaign.target_changed_at_ms, campaign.target_changed_by
            )
        )
    version = campaign.version + 1
    return msgspec.structs.replace(
        campaign,
        event_id=f"goal-{campaign.campaign_id}-{version}-{now_ms}"[:128],
        occurred_at_ms=now_ms,
        ingested_at_ms=None,
        version=version,
        target_metric=metric,
        target_value=asked.value,
        target_changed_at_ms=now_ms,
        target_changed_by=by,
        target_history=history[-MOST_HISTORY:],
        plan=_scaled(campaign, metric, asked.value) if asked.plan is None else asked.plan,
    )


def goal_history(campaign: Campaign) -> list[GoalChange]:
    """Return how a campaign's goal came to be what it is, oldest change first; empty without a goal."""
    steps = [*campaign.target_history]
    if campaign.target_value is not None or campaign.target_changed_at_ms is not None:
        steps.append(
            TargetChange(
                campaign.target_metric or "gmv",
                campaign.target_value,
                campaign.target_changed_at_ms,
                campaign.target_changed_by,
            )
        )
    before: TargetChange | None = None
    changes = []
    for step in steps:
        changes.append(
            GoalChange(
                at_ms=step.changed_at_ms,
                by=step.changed_by or "",
                from_metric=before.metric if before else None,
                from_value=before.value if before else None,
                to_metric=step.metric,
                to_value=step.value,
            )
        )
        before = step
    return changes


def _scaled(campaign: Campaign, metric: str, value: float | None) -> Sequence[PlanPoint]:
    """Return the plan in the unit and size of a new goal: its days and hours keep their shares."""
    planned = sum(point.value for point in campaign.plan)
    if not value or not planned:
        return campaign.plan
    if metric != (campaign.target_metric or "gmv"):
        factor = value / planned
    elif campaign.target_value:
        factor = value / campaign.target_value
    else:
        return campaign.plan
    return [msgspec.structs.replace(point, value=point.value * factor) for point in campaign.plan]
