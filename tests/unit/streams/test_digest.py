"""The hourly digest: what it says, when it is said, when it has nothing to say."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from streams.alerts import AlertRoute, AlertState
from streams.days import HOUR_MS, MINUTE_MS
from streams.digest import digest, hourly
from streams.events import Event, PlanPoint
from streams.goals import GoalProgress
from streams.rule_context import RuleContext
from streams.rules import RuleState
from streams.settings import Settings, ShopSettings
from streams.stock import SkuStock, StockStatus
from tests.unit.streams.boards import SHOP, at, board, line, order, stock
from tests.unit.streams.test_goals import campaign

NOW = at("2024-11-29 20:00")
MIDNIGHT = at("2024-11-30 00:00")
HOUR = NOW // HOUR_MS
SHOP_SETTINGS = ShopSettings(SHOP, "UTC", name="Harbour & Pine", required_topics=("orders", "stock"))

RISK = SkuStock(
    shop_id=SHOP,
    sku_id="A1",
    product_id="A",
    name="Linen dress / M",
    campaign_id="c1",
    as_of_ms=NOW,
    stock_as_of_ms=NOW,
    on_hand=38,
    status=StockStatus.AT_RISK,
    unknown_because="",
    out_since_ms=None,
    velocity_per_h=52.0,
    recent_buyers=90,
    hours_to_stockout=1.0,
    eta_ms=NOW + HOUR_MS,
    eta_low_ms=None,
    eta_high_ms=None,
    horizon_end_ms=MIDNIGHT,
    demand_units=200.0,
    replenish_units=162,
    gmv_at_risk_minor=410_000,
    gmv_at_risk_low_minor=300_000,
    gmv_at_risk_high_minor=500_000,
    price_minor=2_500,
    shape="own",
)
GOAL = GoalProgress(
    shop_id=SHOP,
    campaign_id="c1",
    name="Friday",
    starts_at_ms=at("2024-11-29 00:00"),
    ends_at_ms=MIDNIGHT,
    as_of_ms=NOW,
    metric="gmv",
    target=6_000_000,
    value=4_120_000,
    progress_pct=68.67,
    expected_share=0.74,
    basis="plan",
    pace_pct=92.4,
    needed_per_h=470_000.0,
)
CAMPAIGN = campaign(starts_at_ms=GOAL.starts_at_ms, ends_at_ms=MIDNIGHT)

SALES: list[Event] = [
    order("morning", at("2024-11-29 09:00"), [line("1", "A1", 4_000_000)]),
    order("before", at("2024-11-29 18:30"), [line("1", "B1", 70_000), line("2", "C1", 20_000)]),
    order("last", at("2024-11-29 19:30"), [line("1", "B1", 190_000), line("2", "C1", 10_000)]),
]
"""GMV today 42,900.00; in the last hour B made 1,900.00 after 700.00, C 100.00 after 200.00."""


def look(
    *rows: SkuStock,
    events: list[Event] | None = None,
    goals: list[GoalProgress] | None = None,
    now_ms: int = NOW,
    stale: frozenset[str] = frozenset(),
    head: bool = True,
) -> RuleContext:
    """Return a shop's answers, with those given that are tested elsewhere."""
    given: list[Event] = (
        [*SALES, CAMPAIGN, stock("A1", 38, NOW - 2 * MINUTE_MS)] if events is None else events
    )
    context = RuleContext(board(given), SHOP_SETTINGS, Settings(), now_ms)
    if not head:
        context = dataclasses.replace(context, at_head=False)
    vars(context).update(stock=list(rows), stale=stale, goals=[GOAL] if goals is None else goals)
    return context


def said(*rows: SkuStock, **more: Any) -> str:
    alert = hourly(look(*rows, **more), more.get("now_ms", NOW), HOUR - 1)
    assert alert is not None
    return alert.message


def test_it_says_what_was_sold_where_the_goal_stands_what_moved_what_runs_out_and_how_new_that_is() -> None:
    rows = [
        dataclasses.replace(RISK, sku_id="A2", name="Scarf", gmv_at_risk_minor=50_000, eta_ms=None),
        RISK,
        dataclasses.replace(RISK, sku_id="A3", name="Hat", gmv_at_risk_minor=40_000),
        dataclasses.replace(
            RISK, sku_id="A4", name="Belt", gmv_at_risk_minor=200_000, status=StockStatus.OUT_OF_STOCK
        ),
    ]
    assert said(*rows) == (
        "Harbour & Pine at 20:00. GMV today $42.9k."
        " Goal $60.0k: 69% reached, 92% of what was due by now (by its plan), needs $4.7k an hour until midnight."
        " Top mover: B, +$1.2k in the last hour ($1.9k after $700)."
        " Runs out: Linen dress / M ~21:00 ($4.1k), Belt out ($2.0k), Scarf at risk ($500) and 1 more."
        " Data: orders as of 19:30, stock as of 19:58."
    )


def test_a_plan_that_names_no_hours_is_said_to_be_taken_evenly() -> None:
    planned = campaign(
        starts_at_ms=GOAL.starts_at_ms, ends_at_ms=MIDNIGHT, plan=[PlanPoint("2024-11-29", 60_000.0)]
    )
    text = said(events=[*SALES, planned], goals=[dataclasses.replace(GOAL, complete_ms=NOW)])
    assert "92% of what was due by now (by its plan, which names no hours: evenly)" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"basis": "straight"}, "92% of what was due by now (by a straight line)"),
        (
            {"basis": "reference", "reference": "2023-11-24"},
            "92% of what was due by now (as 2023-11-24 went)",
        ),
        (
            {"needed_per_h": 0.0, "progress_pct": 104.0},
            "104% reached, 92% of what was due by now (by its plan).",
        ),
        ({"metric": "orders", "target": 600.0, "needed_per_h": 12.4}, "Goal 600 orders: "),
        ({"metric": "orders", "target": 600.0, "needed_per_h": 12.4}, "needs 12 orders an hour"),
    ],
)
def test_the_goal_says_what_it_counts_and_what_it_is_held_against(
    changes: dict[str, Any], words: str
) -> None:
    assert words in said(goals=[dataclasses.replace(GOAL, **changes)])


def test_parts_without_a_source_are_left_out() -> None:
    text = said(events=SALES, goals=[])
    assert "Goal" not in text
    assert "Runs out" not in text
    assert text.endswith("Data: orders as of 19:30.")


def test_a_silent_feed_is_called_silent() -> None:
    silent = said(stale=frozenset({"orders"}))
    assert silent.endswith("Data: orders silent since 19:30, stock as of 19:58.")
    # What did not come is not a fall.
    assert "Top mover" not in silent
    assert said(stale=frozenset({"stock"}), events=SALES).endswith("orders as of 19:30, stock silent.")


def test_a_fall_is_told_as_a_fall() -> None:
    events = [SALES[0], order("before", at("2024-11-29 18:30"), [line("1", "C1", 500_000)])]
    assert "Top mover: C, -$5.0k in the last hour ($0 after $5.0k)." in said(events=[*events, CAMPAIGN])


def test_a_hostile_name_is_one_line() -> None:
    shop = dataclasses.replace(SHOP_SETTINGS, name="x\nForged: all is well\u202e")
    context = dataclasses.replace(look(), shop=shop)
    vars(context).update(stock=[], stale=frozenset(), goals=[])
    alert = hourly(context, NOW, HOUR - 1)
    assert alert is not None
    assert "\n" not in alert.message
    assert "\u202e" not in alert.message


def test_it_is_a_notice_for_the_digests_route_with_ten_skus_by_money() -> None:
    rows = [
        dataclasses.replace(RISK, sku_id=f"A{number}", gmv_at_risk_minor=number) for number in range(5_000)
    ]
    alert = hourly(look(*rows), NOW, HOUR - 1)
    assert alert is not None
    assert (alert.state, alert.route, alert.key) == (AlertState.NOTICE, AlertRoute.DIGEST, "digest")
    assert [entry.sku_id for entry in alert.lines] == [f"A{number}" for number in range(4_999, 4_989, -1)]
    assert alert.more == 4_990
    assert alert.gmv_at_risk_minor == sum(range(5_000))
    assert alert.message.count("Linen") == 3
    assert alert.figures["gmv_today_minor"] == 4_290_000


def test_what_is_healthy_or_unknown_does_not_run_out() -> None:
    rows = [dataclasses.replace(RISK, status=each) for each in (StockStatus.HEALTHY, StockStatus.UNKNOWN)]
    assert "Runs out" not in said(*rows)


def test_nobody_is_told_that_nothing_happens() -> None:
    quiet: list[Event] = [SALES[0]]
    assert hourly(look(events=quiet, goals=[]), NOW, HOUR - 1) is None
    # A campaign without sales is worth a word, and so is a SKU that runs out.
    assert hourly(look(events=[*quiet, CAMPAIGN]), NOW, HOUR - 1) is not None
    assert hourly(look(RISK, events=quiet, goals=[]), NOW, HOUR - 1) is not None
    # Nothing is known of a shop without orders.
    assert hourly(look(RISK, events=[stock("A1", 1, NOW)], goals=[]), NOW, HOUR - 1) is None


def test_it_is_said_once_an_hour_and_not_at_the_first_look() -> None:
    state = RuleState()
    times = [NOW + minutes * MINUTE_MS for minutes in (0, 30, 59, 60, 61, 119, 125)]
    told = [len(digest(state, look(RISK, now_ms=now_ms))) for now_ms in times]
    assert told == [0, 0, 0, 1, 0, 0, 1]


def test_it_is_not_said_again_after_a_restart() -> None:
    state = RuleState()
    digest(state, look(RISK))
    (first,) = digest(state, look(RISK, now_ms=NOW + HOUR_MS))
    later = RuleState.restored([first], digest_every_ms=HOUR_MS)
    assert digest(later, look(RISK, now_ms=NOW + HOUR_MS + MINUTE_MS)) == []
    (second,) = digest(later, look(RISK, now_ms=NOW + 2 * HOUR_MS))
    assert second.alert_id != first.alert_id


def test_while_catching_up_it_waits() -> None:
    state = RuleState()
    digest(state, look(RISK))
    assert digest(state, look(RISK, now_ms=NOW + HOUR_MS, head=False)) == []
    assert len(digest(state, look(RISK, now_ms=NOW + HOUR_MS + MINUTE_MS))) == 1
