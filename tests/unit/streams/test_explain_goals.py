"""explain of a goal's figures: the campaign that set it, and the orders that count against it."""

from __future__ import annotations

from typing import Any

import pytest

from streams.columns import Columns
from streams.days import DAY_MS
from streams.events import Campaign, Fact, PeriodGoal, PlanPoint
from streams.explain import explain, parse_explain
from streams.settings import GoalSettings
from tests.unit.streams.boards import SHOP, at, board, line, order

FIRST = at("2024-11-28 00:00")
NOW_MS = at("2024-11-29 12:00")


def campaign(campaign_id: str = "bf", **more: Any) -> Campaign:
    values: dict[str, Any] = {
        "starts_at_ms": FIRST,
        "ends_at_ms": at("2024-12-01 00:00"),
        "target_value": 1_000.0,
    } | more
    return Campaign(
        event_id=campaign_id,
        event_type="campaign",
        shop_id=SHOP,
        occurred_at_ms=FIRST - DAY_MS,
        campaign_id=campaign_id,
        name="Friday",
        joined_at_ms=0,
        version=3,
        product_ids=["A"],
        **values,
    )


SALES: list[Fact] = [
    # A Friday: of the campaign before, and of the calendar quarter and, as weeks begin on Sunday, not of the week.
    order("old", at("2024-11-22 18:00"), [line("1", "A1", 99_900)]),
    order("eve", at("2024-11-27 23:59"), [line("1", "A1", 5_000)]),
    order("first", FIRST, [line("1", "A1", 10_000)]),
    order("today", at("2024-11-29 10:00"), [line("1", "B1", 20_000, quantity=3), line("2", "B2", 4_500)]),
    order("later", at("2024-11-29 12:01"), [line("1", "A1", 99_900)]),
]
EARLIER = campaign("eleven", starts_at_ms=at("2024-11-11 00:00"), ends_at_ms=at("2024-11-25 00:00"))


def sources(columns: Columns, metric: str, **params: Any) -> dict[str, Any]:
    document = explain(columns, parse_explain({"metric": metric, **params}), now_ms=NOW_MS)
    return {source["kind"]: source for source in document["sources"]}


def places(source: dict[str, Any]) -> list[str]:
    return [row["place"] for row in source["rows"]]


@pytest.mark.parametrize("metric", ["goal_progress_pct", "goal_pace_pct", "gmv_projected_campaign_end"])
def test_what_a_campaign_has_reached_shows_its_record_and_its_orders_up_to_now(metric: str) -> None:
    plan = [PlanPoint(date="2024-11-28", value=400.0), PlanPoint(date="2024-11-29", value=600.0)]
    found = sources(board([*SALES, EARLIER, campaign(plan=plan, reference="eleven")]), metric)
    assert set(found) == {"campaign", "order_paid"}
    (record,) = found["campaign"]["rows"]
    assert record["place"] == "campaign/bf"
    assert (record["version"], record["target_value"]) == (3, 1_000.0)
    assert (record["plan_points"], record["reference"]) == (2, "eleven")
    assert places(found["order_paid"]) == ["order_paid/today/1", "order_paid/today/2", "order_paid/first/1"]


def test_an_earlier_campaign_that_the_row_names_has_its_own_orders() -> None:
    found = sources(board([*SALES, EARLIER, campaign()]), "goal_progress_pct", row="campaign=eleven")
    assert places(found["campaign"]) == ["campaign/eleven"]
    assert places(found["order_paid"]) == ["order_paid/old/1"]


def test_the_goal_itself_is_in_the_campaigns_record_alone() -> None:
    assert set(sources(board([*SALES, campaign()]), "campaign_target")) == {"campaign"}


def test_twenty_records_are_shown_and_all_are_counted() -> None:
    many = [order(f"o{n:02}", FIRST + n, [line("1", "A1", 1_000)]) for n in range(30)]
    found = sources(board([*many, campaign()]), "goal_progress_pct")
    assert found["order_paid"]["total"] == 30
    assert (len(found["campaign"]["rows"]), len(found["order_paid"]["rows"])) == (1, 19)


def test_a_goal_of_the_week_shows_who_set_it_and_the_weeks_orders() -> None:
    goals = [PeriodGoal(window="week", metric="gmv", value=1_000.0)]
    found = sources(board([*SALES, campaign(period_goals=goals)]), "period_sales_goal_pct")
    (record,) = found["campaign"]["rows"]
    assert record["period_goals"] == ["week gmv 1000"]
    assert places(found["order_paid"]) == [
        "order_paid/today/1",
        "order_paid/today/2",
        "order_paid/first/1",
        "order_paid/eve/1",
    ]


def test_a_goal_of_the_settings_has_orders_and_no_campaigns_record_behind_it() -> None:
    columns = board([*SALES, campaign()])
    columns.settings.goals[SHOP] = GoalSettings(quarter=2_000.0)
    found = sources(columns, "quarter_revenue_target_pct")
    assert set(found) == {"order_paid"}
    assert found["order_paid"]["total"] == 5
    assert places(found["order_paid"])[-1] == "order_paid/old/1"


def test_figures_of_a_periods_goal_are_its_own_and_not_the_campaigns() -> None:
    columns = board([*SALES, campaign()])
    columns.settings.goals[SHOP] = GoalSettings(week=2_000.0)
    document = explain(columns, parse_explain({"metric": "period_sales_goal_pct"}), now_ms=NOW_MS)
    figures = {part["name"]: part["value"] for part in document["parts"]}
    # 50.00 + 100.00 + 245.00 since Sunday
    assert (figures["gmv so far"], figures["goal"]) == (395.0, 2_000.0)


def test_without_a_goal_nothing_is_behind_it() -> None:
    assert sources(board(SALES), "goal_progress_pct") == {}
    assert sources(board(SALES), "period_sales_goal_pct") == {}
