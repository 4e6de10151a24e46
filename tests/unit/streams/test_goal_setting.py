"""A goal's next version, and what it was before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.errors import QueryError
from streams.events import FACT_TYPES, Campaign, PlanPoint, TargetChange
from streams.goal_setting import MOST_HISTORY, GoalChange, GoalRequest, goal_history, with_goal

CAMPAIGN = Campaign(
    event_id="c",
    event_type="campaign",
    shop_id="s1",
    occurred_at_ms=1_000,
    campaign_id="bf",
    name="Friday",
    starts_at_ms=10_000,
    ends_at_ms=20_000,
    joined_at_ms=0,
    version=4,
    product_ids=["A"],
    target_value=1_000.0,
    target_changed_at_ms=900,
    plan=[PlanPoint("2026-11-27", 400.0), PlanPoint("2026-11-28", 600.0, hour=20)],
    reference="2026-11-20",
)


def changed(campaign: Campaign = CAMPAIGN, now_ms: int = 5_000, **asked: Any) -> Campaign:
    values: dict[str, Any] = {"value": 2_000.0, "by": "Anna"} | asked
    return with_goal(campaign, GoalRequest(**values), now_ms=now_ms)


def test_the_next_version_keeps_what_is_not_the_goal() -> None:
    after = changed()
    assert after.version == 5
    assert (after.target_metric, after.target_value) == ("gmv", 2_000.0)
    assert (after.target_changed_at_ms, after.target_changed_by, after.occurred_at_ms) == (
        5_000,
        "Anna",
        5_000,
    )
    assert (after.name, after.product_ids, after.reference) == ("Friday", ["A"], "2026-11-20")


def test_a_plan_is_scaled_with_the_goal() -> None:
    assert [point.value for point in changed(value=500.0).plan] == [200.0, 300.0]
    assert [(point.date, point.hour) for point in changed().plan] == [
        ("2026-11-27", None),
        ("2026-11-28", 20),
    ]


def test_a_plan_in_another_unit_keeps_its_shares() -> None:
    assert [point.value for point in changed(value=50.0, metric="orders").plan] == [20.0, 30.0]


def test_a_plan_that_is_given_is_taken_as_it_is() -> None:
    plan = [PlanPoint("2026-11-27", 2_000.0)]
    assert changed(plan=plan).plan == plan


def test_a_plan_stays_where_there_is_nothing_to_scale_by() -> None:
    assert changed(value=None).plan == CAMPAIGN.plan
    none = msgspec.structs.replace(CAMPAIGN, target_value=None, target_changed_at_ms=None)
    assert changed(none).plan == CAMPAIGN.plan


def test_history_tells_when_who_and_from_what_to_what() -> None:
    after = changed(changed(), now_ms=6_000, value=30.0, metric="orders", by="Ben")
    assert goal_history(after) == [
        GoalChange(900, "", None, None, "gmv", 1_000.0),
        GoalChange(5_000, "Anna", "gmv", 1_000.0, "gmv", 2_000.0),
        GoalChange(6_000, "Ben", "gmv", 2_000.0, "orders", 30.0),
    ]


def test_a_goal_taken_away_is_a_step_too() -> None:
    assert goal_history(changed(value=None))[-1] == GoalChange(5_000, "Anna", "gmv", 1_000.0, "gmv", None)


def test_a_campaign_that_never_had_a_goal_has_no_history() -> None:
    bare = msgspec.structs.replace(CAMPAIGN, target_value=None, target_changed_at_ms=None)
    assert goal_history(bare) == []
    assert goal_history(changed(bare)) == [GoalChange(5_000, "Anna", None, None, "gmv", 2_000.0)]


def test_history_survives_the_wire() -> None:
    after = changed(changed(), now_ms=6_000, value=3.0)
    read = msgspec.json.decode(msgspec.json.encode(after), type=FACT_TYPES["campaign"])
    assert isinstance(read, Campaign)
    assert goal_history(read) == goal_history(after)


def test_the_oldest_steps_go_when_the_record_is_full() -> None:
    steps = [TargetChange("gmv", float(value), value) for value in range(MOST_HISTORY)]
    after = changed(msgspec.structs.replace(CAMPAIGN, target_history=steps))
    assert len(after.target_history) == MOST_HISTORY
    assert after.target_history[0].value == 1.0
    assert after.target_history[-1].value == 1_000.0


def test_line_breaks_in_a_name_forge_nothing() -> None:
    assert changed(by="Anna\n2026-11-27  Ben").target_changed_by == "Anna 2026-11-27 Ben"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [({"value": 1_000.0}, "unchanged"), ({"version": 3}, "other_version"), ({"by": "\n"}, "bad_request")],
)
def test_what_changes_nothing_or_came_too_late_is_refused(asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(QueryError) as refused:
        changed(**asked)
    assert refused.value.reason == reason
