"""explain with `compare`: both sides of a cell, and the two figures of a metric that is a comparison itself."""

from __future__ import annotations

from typing import Any

import pytest

from streams.columns import Columns
from streams.errors import QueryError
from streams.explain import explain, parse_explain
from streams.explain_words import explanation_text
from streams.query import parse_request, run
from tests.unit.streams.boards import LIVE, SHOP_TAB, at, board, line, order, traffic

NOW_MS = at("2024-11-29 20:30:30")


def sold(day: str, hours: dict[int, int], amount: int) -> list[Any]:
    return [
        order(f"{day}-{hour}-{number}", at(f"{day} {hour:02}:00") + 1_000 * number, [line("1", "A", amount)])
        for hour, orders in hours.items()
        for number in range(orders)
    ]


def two_days() -> Columns:
    """Today 4 orders of 10.00 until 20:30; the day a week ago 2 of 5.00 until then and 3 later."""
    events = [*sold("2024-11-29", {9: 4}, 1_000), *sold("2024-11-22", {9: 2, 21: 3}, 500)]
    events += [
        traffic("product_click", at("2024-11-29 09:00") + n, f"u{n}", "A", SHOP_TAB) for n in range(16)
    ]
    events += [traffic("product_click", at("2024-11-22 09:00") + n, f"u{n}", "A", LIVE) for n in range(40)]
    return board(events, vouch_ms=NOW_MS)


def asked(columns: Columns, **params: str) -> dict[str, Any]:
    return explain(columns, parse_explain(params), now_ms=NOW_MS)


def test_both_sides_of_a_cell_are_explained_up_to_the_same_time_of_the_clock() -> None:
    found = asked(two_days(), metric="gmv", window="today", compare="shift:7d")
    said = found["comparison"]
    assert (found["value"], said["compared"], said["difference"], said["pct"]) == (40.0, 10.0, 30.0, 3.0)
    assert said["days"] == ["2024-11-22"]
    assert found["line"].endswith("= 40.00 + 0.00 = 40.00")
    assert len(found["sources"][0]["rows"]) == 4
    text = explanation_text(found)
    assert "compared with shift:7d (2024-11-22): 10.00, difference 30.00, change 3.0000" in text
    assert "--compare shift:7d" in text


def test_the_parts_of_a_compared_figure_end_where_both_sides_end() -> None:
    columns = two_days()
    late: list[Any] = [order("late", at("2024-11-29 20:30:20"), [line("1", "A", 700)])]
    clicks = ("2024-11-22 08:00", "2024-11-29 08:00", "2024-11-29 20:30:10")
    late += [traffic("product_click", at(clicked), "u", "A", LIVE) for clicked in clicks]
    whole = board(
        [*late, *sold("2024-11-29", {9: 4}, 1_000), *sold("2024-11-22", {9: 2}, 500)], vouch_ms=NOW_MS
    )
    assert asked(whole, metric="orders", window="today", compare="shift:7d")["value"] == 5
    found = asked(whole, metric="product_clicks", window="today", compare="shift:7d")
    assert found["value"] == 1, "traffic is compared through the last full quarter hour"
    assert [row["count"] for row in found["sources"][0]["rows"]] == [1]
    assert found["comparison"]["through_ms"] == at("2024-11-29 20:30")
    rate = asked(columns, metric="ctor", window="today", compare="shift:7d")
    assert rate["line"] == "ctor = sku_orders / product_clicks = 4 / 16 = 0.2500"
    assert rate["comparison"]["compared"] == 2 / 40


def test_an_own_day_against_an_earlier_one_is_explained_by_both_days() -> None:
    found = asked(
        two_days(), metric="gmv_vs_baseline_pct", window="day:2024-11-29", compare="baseline:2024-11-22"
    )
    assert found["value"] == 3.0
    assert [(part["name"], part["value"]) for part in found["parts"]] == [
        ("gmv", 40.0),
        ("gmv of the other side", 10.0),
    ]
    assert found["line"].endswith(" = (40.00 - 10.00) / 10.00 = 3.0000")
    assert [source["kind"] for source in found["sources"]] == ["order_paid"]


def test_the_month_is_explained_by_both_months() -> None:
    events = [
        *sold("2024-11-05", {9: 6}, 100),
        *sold("2024-10-05", {9: 4}, 100),
        *sold("2024-09-30", {9: 1}, 1),
    ]
    found = asked(board(events, vouch_ms=NOW_MS), metric="sales_volume_mom_pct", window="month")
    assert found["line"].endswith(" = (6 - 4) / 4 = 0.5000")
    assert [part["value"] for part in found["parts"]] == [6, 4]


def test_the_question_that_is_given_gives_both_sides_again() -> None:
    columns = two_days()
    found = asked(columns, metric="gmv", window="today", compare="shift:7d", row="product=A")
    assert found["query"]["url"].startswith(
        "/api/v1/query?metrics=gmv&by=product&window=today&compare=shift:7d"
    )
    request = parse_request(
        {"metrics": "gmv", "by": "product", "window": "today", "compare": "shift:7d", "where": "product=A"}
    )
    (row,) = run(columns, request, now_ms=NOW_MS).rows
    assert (row["gmv"], row["gmv_compared"]) == (found["value"], found["comparison"]["compared"])


def test_a_side_that_is_not_there_says_why_and_what_helps() -> None:
    found = asked(two_days(), metric="gmv", window="today", compare="reference:2024-10-01")
    assert found["comparison"]["compared"] is None
    assert found["comparison"]["null"]["reason"] == "no_source"
    assert "nothing there because" in explanation_text(found)


def test_a_comparison_that_has_no_right_answer_is_refused() -> None:
    with pytest.raises(QueryError, match="benchmarks of today"):
        asked(two_days(), metric="gmv", window="today", compare="benchmark")


def test_without_compare_nothing_is_said_of_another_side() -> None:
    found = asked(two_days(), metric="gmv", window="today")
    assert found["comparison"] is None
    assert "compared" not in explanation_text(found)
