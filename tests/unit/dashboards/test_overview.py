"""What the first screen says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from dashboards.overview import Overview, UnknownShopError
from dashboards.overview_rows import with_lost_feed
from streams.alerts import Resolution
from streams.days import HOUR_MS, MINUTE_MS
from streams.overview import Feed, FeedState
from streams.query import parse_request, run
from tests.unit.dashboards.shops import (
    MIDNIGHT_MS,
    NOW_MS,
    FixedBoard,
    empty_board,
    full_board,
    opened,
    orders_board,
    ran_out,
)
from tests.unit.streams.boards import SHOP, flush_of, heartbeat, line, order, traffic


def document(board: FixedBoard) -> Any:
    """Return the document as a client reads it: through JSON."""
    return json.loads(json.dumps(Overview(board).document(), allow_nan=False))


def test_money_is_in_major_units_and_counts_are_of_today_alone() -> None:
    shown = document(orders_board())["figures"]
    # One order of 14.50 every four minutes from 00:02 to 20:30, of twenty customers in turn.
    assert shown["orders"]["value"] == 308
    assert shown["gmv"]["value"] == pytest.approx(308 * 14.50)
    assert shown["aov_revenue"]["value"] == pytest.approx(14.50)
    assert shown["est_customers"]["value"] == 20


def test_a_figure_without_a_source_is_null_and_says_what_it_needs_never_zero() -> None:
    shown = document(orders_board())
    assert shown["figures"]["ctor"]["value"] is None
    assert shown["figures"]["ctor"]["null"] == "no_source"
    assert shown["figures"]["ctor"]["needs"] == ["cm.clicks"]
    assert [step["value"] for step in shown["funnel"]] == [None, None, None, 308]
    assert shown["stock"]["null"] == "no_source"
    assert shown["stock"]["needs"] == ["cm.stock"]
    assert shown["goal"]["null"] == "no_campaign"


def test_an_empty_board_shows_no_number_at_all() -> None:
    shown = document(empty_board())
    assert {figure["value"] for figure in shown["figures"].values()} == {None}
    assert shown["chart"]["null"] == "no_source"
    assert shown["slices"]["rows"] == []


def test_while_the_board_loads_every_figure_is_null_loading() -> None:
    board = full_board()
    board.waiting = "state partition 2"
    shown = document(board)
    assert {figure["null"] for figure in shown["figures"].values()} == {"loading"}
    assert {shown[panel]["null"] for panel in ("goal", "slices", "chart", "stock")} == {"loading"}
    assert shown["strip"]["as_of_ms"] is None


def test_the_reference_is_yesterday_until_the_same_minute_of_the_shops_clock() -> None:
    board = empty_board()
    before = MIDNIGHT_MS - 24 * HOUR_MS
    board.columns.apply(
        flush_of(
            [
                order("early", before + 20 * HOUR_MS, [line("1", "A1", 1000)]),
                order("same-minute", before + 20 * HOUR_MS + 31 * MINUTE_MS + 5_000, [line("1", "A1", 200)]),
                order("later", before + 21 * HOUR_MS, [line("1", "A1", 70_000)]),
                order("today", NOW_MS - HOUR_MS, [line("1", "A1", 2400)]),
            ],
            zone="Europe/London",
        )
    )
    shown = document(board)
    assert shown["reference"]["day"] == "2011-11-24"
    assert shown["reference"]["label"] == "Thu 24 Nov"
    assert shown["figures"]["gmv"]["value"] == 24.0
    assert shown["figures"]["gmv"]["reference"] == 12.0
    assert shown["figures"]["gmv"]["change"] == pytest.approx(1.0)


def test_the_last_quarter_hour_is_not_held_back_by_a_feed_that_is_lost() -> None:
    board = orders_board()
    recent = document(board)["figures"]["gmv_last_15m"]["value"]
    assert recent > 0
    board.columns.apply(
        flush_of([heartbeat(["clicks"], NOW_MS - 6 * HOUR_MS, "tracker")], zone="Europe/London", partition=1)
    )
    shown = document(board)
    assert shown["figures"]["gmv_last_15m"]["value"] == recent
    assert {"topic": "clicks", "state": "lost", "since_ms": NOW_MS - 6 * HOUR_MS} in shown["strip"]["feeds"]


def test_a_figure_that_reads_a_lost_feed_names_it_and_since_when() -> None:
    board = orders_board()
    heard_ms = NOW_MS - 6 * HOUR_MS
    board.columns.apply(
        flush_of([heartbeat(["clicks"], heard_ms, "tracker")], zone="Europe/London", partition=1)
    )
    # A player's clock: nothing is held back, so the count stands there like a sound one.
    board.columns.vouch(NOW_MS)
    shown = document(board)
    steps = {step["metric"]: step for step in shown["funnel"]}
    assert steps["product_clicks"]["value"] == 0
    assert steps["product_clicks"]["lost"] == {"topic": "clicks", "since_ms": heard_ms}
    assert steps["sku_orders"]["value"] == 308
    marked = [figure for figure in (*shown["figures"].values(), *steps.values()) if "lost" in figure]
    assert marked == [steps["product_clicks"]]


def test_of_two_lost_feeds_the_one_that_went_first_is_named() -> None:
    lost = [Feed("orders", FeedState.LOST, 7_000), Feed("clicks", FeedState.LOST, 5_000)]
    figure = {"metric": "ctor", "value": 0.08}
    assert with_lost_feed(figure, lost) == {**figure, "lost": {"topic": "clicks", "since_ms": 5_000}}
    alive = [Feed("clicks", FeedState.BACK, 5_000), Feed("stock", FeedState.LOST, 5_000)]
    assert with_lost_feed(figure, alive) == figure
    missing = {"metric": "ctor", "value": None, "null": "catching_up"}
    assert with_lost_feed(missing, lost) == missing


def test_the_goal_has_target_progress_and_the_reference_at_the_same_time() -> None:
    shown = document(full_board())
    goal, gmv = shown["goal"], shown["figures"]["gmv"]
    assert goal["target"] == 30_000
    assert goal["progress"] == pytest.approx(gmv["value"] / 30_000)
    assert goal["reference_progress"] == pytest.approx(gmv["reference"] / 30_000)
    assert goal["campaign_progress"] is None  # a campaign of one day: its goal is today's


def test_the_goal_says_pace_what_it_follows_the_projected_end_and_what_is_needed() -> None:
    """Without a plan or a reference of its own, the campaign is held against the day before."""
    board = full_board()
    shown = document(board)
    goal, gmv = shown["goal"], shown["figures"]["gmv"]
    question = parse_request({"metrics": "gmv", "window": "day:2011-11-24"})
    day_before = run(board.columns, question, now_ms=NOW_MS).rows[0]["gmv"]
    due = gmv["reference"] / day_before
    assert goal["due_by"] == "as on Thu 24 Nov"
    assert goal["pace"] == pytest.approx(gmv["value"] / 30_000 / due, rel=0.02)
    assert gmv["value"] < goal["projected_low"] < goal["projected"] < goal["projected_high"]
    # Today sells 1.1 to 0.9 against the day before, and more in the LIVE hour.
    assert goal["projected"] == pytest.approx(gmv["value"] + 1.3 * (day_before - gmv["reference"]), rel=0.03)
    assert goal["needed_per_hour"] == 0


def test_what_is_needed_is_what_is_missing_over_the_hours_left() -> None:
    board = full_board()
    (campaign,) = board.columns.campaigns(SHOP)
    higher = msgspec.structs.replace(campaign, version=2, target_value=60_000.0)
    board.columns.apply(flush_of([higher], zone="Europe/London", number=2))
    shown = document(board)
    missing = 60_000 - shown["figures"]["gmv"]["value"]
    hours_left = 24 - 20 - 31.2 / 60
    assert shown["goal"]["needed_per_hour"] == pytest.approx(missing / hours_left)


def test_a_goal_in_orders_is_shown_as_a_count_of_the_whole_campaign() -> None:
    board = full_board()
    (campaign,) = board.columns.campaigns(SHOP)
    counted = msgspec.structs.replace(campaign, version=2, target_metric="orders", target_value=4_000.0)
    board.columns.apply(flush_of([counted], zone="Europe/London", number=2))
    shown = document(board)
    assert (shown["goal"]["unit"], shown["goal"]["target"]) == ("count", 4_000)
    assert shown["goal"]["progress"] == pytest.approx(shown["figures"]["orders"]["value"] / 4_000)


def test_quarter_hours_cover_the_day_and_the_open_one_stands_apart() -> None:
    chart = document(full_board())["chart"]
    assert len(chart["starts_ms"]) == 96
    assert [value is not None for value in chart["today"]] == [True] * 82 + [False] * 14
    assert [index for index, value in enumerate(chart["open"]) if value is not None] == [82]
    assert all(value is not None for value in chart["reference"])


def test_the_chart_adds_up_to_the_figure() -> None:
    shown = document(full_board())
    quarters = [value or 0 for series in ("today", "open") for value in shown["chart"][series]]
    assert sum(quarters) == pytest.approx(shown["figures"]["gmv"]["value"])


def test_leaves_add_up_to_the_whole() -> None:
    shown = document(full_board())
    rows = shown["slices"]["rows"]
    assert len(rows) == 8
    assert sum(row["gmv"] for row in rows) == pytest.approx(shown["figures"]["gmv"]["value"])
    assert sum(row["share"] for row in rows) == pytest.approx(1)


def test_what_runs_out_next_stands_in_the_order_of_money_at_risk() -> None:
    rows = document(full_board())["stock"]["rows"]
    at_risk = [row["gmv_at_risk"] for row in rows]
    assert rows
    assert at_risk == sorted(at_risk, reverse=True)
    assert {row["status"] for row in rows} <= {"out_of_stock", "at_risk"}
    assert next(row for row in rows if row["sku_id"] == "A1")["status"] == "out_of_stock"


def test_a_product_in_high_demand_is_marked_beside_the_state_of_its_stock() -> None:
    made = full_board()
    crowd = [f"new {number}" for number in range(300)]
    viewed = [
        traffic("product_page_view", NOW_MS - HOUR_MS, user, product)
        for user in crowd
        for product in "ABCDEF"
    ]
    added = [traffic("add_to_cart", NOW_MS - HOUR_MS, user, "A") for user in crowd]
    made.columns.apply(flush_of([*viewed, *added], partition=1))
    marks = {row["sku_id"]: row["high_demand"] for row in document(made)["stock"]["rows"]}
    assert marks.pop("A1")
    assert marks
    assert not any(marks.values())


def test_records_in_equal_the_sum_over_outcomes() -> None:
    strip = document(full_board())["strip"]
    assert strip["records_in"] == sum(part["records"] for part in strip["outcomes"]) > 0


def test_a_page_shows_when_it_came_what_it_foretold_and_what_happened() -> None:
    waiting, over = document(full_board())["pages"]["rows"]
    assert (over["real_at_ms"], over["inside"]) == (NOW_MS - 12 * MINUTE_MS, True)
    assert over["predicted_at_ms"] == NOW_MS - 8 * MINUTE_MS
    assert (waiting["real_at_ms"], waiting["inside"]) == (None, None)


def test_what_eased_by_itself_stands_below_what_ran_out_or_may() -> None:
    board = full_board()
    eased = replace(
        ran_out(),
        alert_id="eased",
        opened_at_ms=NOW_MS - MINUTE_MS,
        updated_at_ms=NOW_MS,
        resolution=Resolution.EASED,
        actual_ms=None,
    )
    board.told = [eased, *board.told]
    rows = document(board)["pages"]["rows"]
    assert [row["id"] for row in rows] == [opened().alert_id, ran_out().alert_id, "eased"]


def test_lag_is_called_behind_beyond_what_the_settings_allow() -> None:
    board = orders_board()
    heard_ms = board.columns.watermark_ms(SHOP, "orders")
    assert heard_ms is not None
    for lag_ms, behind in ((60_000, False), (61_000, True)):
        board.at_ms = heard_ms + lag_ms
        strip = document(board)["strip"]
        assert (strip["lag_s"], strip["behind"]) == (lag_ms / 1000, behind)


def test_a_document_is_given_again_until_the_board_changes() -> None:
    board, clock = orders_board(), [0.0]
    overview = Overview(board, monotonic_s=lambda: clock[0])
    first = overview.document()
    clock[0] = 0.9
    assert overview.document() is first
    board.move()
    second = overview.document()
    assert second is not first
    clock[0] = 2.0
    assert overview.document() is not second


def test_an_unknown_shop_is_refused() -> None:
    with pytest.raises(UnknownShopError, match="nobody"):
        Overview(orders_board()).document("nobody")
    assert Overview(orders_board()).document(SHOP)["shop"]["currency"] == "GBP"
