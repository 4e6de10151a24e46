"""What so few people of an age or gender did is told by no metric, no order of rows and no explanation (S5-46)."""

from __future__ import annotations

from typing import Any

import pytest

from streams.catalogue import METRICS
from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS
from streams.explain import explain, parse_explain
from tests.unit.streams.asking import answer, rows, why
from tests.unit.streams.boards import at, board
from tests.unit.streams.events import content, engagement

NOON = at("2024-11-29 12:00")
NOW = NOON + 6 * HOUR_MS
GUARDED = [name for name, metric in METRICS.items() if "age_band" in metric.dims]


def crowd(first: str, number: int) -> list[str]:
    return [f"{first}{each}" for each in range(number)]


def watched() -> Columns:
    """60 young women, 20 young men, 12 old women of one LIVE, on one day."""
    return board(
        [
            content("L", "live_started", NOON - HOUR_MS),
            engagement("L", NOON, 100, crowd("yw", 60), likes=9, age_band="18-24", gender="f"),
            engagement("L", NOON, 900, crowd("ym", 20), likes=8, age_band="18-24", gender="m"),
            engagement("L", NOON, 500, crowd("ow", 12), likes=7, age_band="65+", gender="f"),
        ],
        vouch_ms=NOW,
    )


@pytest.mark.parametrize("metric", GUARDED)
def test_no_metric_tells_of_a_group_of_a_few(metric: str) -> None:
    dims = [dim for dim in ("age_band", "gender", "content") if dim in METRICS[metric].dims]
    found = answer(watched(), metric, ",".join(dims), now_ms=NOW)
    shown = {(row["age_band"], row["gender"]): row[metric] for row in found.rows}
    assert shown.pop(("18-24", "f")) is not None
    assert shown == {("18-24", "m"): None, ("65+", "f"): None}
    assert found.nulls[metric]["below_minimum"] == [1, 2]
    assert "below_minimum" in METRICS[metric].null_reasons


@pytest.mark.parametrize("metric", GUARDED)
def test_a_filter_does_not_tell_it_either(metric: str) -> None:
    columns = watched()
    found = answer(columns, metric, where=["age_band=65+"], now_ms=NOW)
    assert [row[metric] for row in found.rows] == [None]
    assert (found.coverage, found.relative_error) == ({}, {})
    assert why(columns, metric, where=["age_band=65+"], now_ms=NOW) == "below_minimum"
    assert why(columns, metric, where=["gender=m", "age_band=18-24"], now_ms=NOW) == "below_minimum"


def test_the_order_of_rows_does_not_tell_who_has_more() -> None:
    first = answer(watched(), "content_views", "age_band,gender", now_ms=NOW, sort="content_views", limit="3")
    assert [(row["age_band"], row["gender"]) for row in first.rows] == [
        ("18-24", "f"),
        ("18-24", "m"),
        ("65+", "f"),
    ]


def test_a_person_of_many_days_is_one_of_the_group() -> None:
    days = [engagement("L", NOON - day * DAY_MS, 30, crowd("o", 12), age_band="65+") for day in range(7)]
    columns = board([content("L", "live_started", NOON - 7 * DAY_MS), *days], vouch_ms=NOW)
    for metric in ("audience_demographics_share", "unique_viewers", "content_views"):
        assert why(columns, metric, where=["age_band=65+"], now_ms=NOW) == "below_minimum", metric
    grown = [
        engagement("L", NOON - day * DAY_MS, 30, crowd(f"{day}-", 12), age_band="65+") for day in range(7)
    ]
    columns = board([content("L", "live_started", NOON - 7 * DAY_MS), *grown], vouch_ms=NOW)
    assert rows(columns, "content_views", "age_band", now_ms=NOW) == [("65+", 210)]
    by_day = answer(columns, "content_views", "day,age_band", now_ms=NOW)
    assert {row["content_views"] for row in by_day.rows} == {None}


def test_a_group_whose_people_nobody_names_is_not_shown() -> None:
    columns = board([engagement("L", NOON, 5_000, age_band="65+")], vouch_ms=NOW)
    assert why(columns, "content_views", where=["age_band=65+"], now_ms=NOW) == "source_gives_no_people"


def test_a_comparison_tells_no_small_group_of_the_day_before() -> None:
    columns = board(
        [
            engagement("L", NOON - DAY_MS, 30, crowd("o", 12), age_band="65+"),
            engagement("L", NOON, 300, crowd("o", 80), age_band="65+"),
        ],
        vouch_ms=NOW,
    )
    found = answer(columns, "content_views", "age_band", now_ms=NOW, window="today", compare="previous")
    (row,) = found.rows
    assert row.pop("age_band") == "65+"
    assert row.pop("content_views") == 300
    assert set(row.values()) == {None}


def test_no_explanation_shows_records_of_a_few() -> None:
    def asked(**params: str) -> dict[str, Any]:
        return explain(watched(), parse_explain({"metric": "content_views", **params}), now_ms=NOW)

    withheld = asked(row="age_band=65+")
    assert (withheld["value"], withheld["parts"], withheld["sources"]) == (None, [], [])
    assert withheld["null"]["reason"] == "below_minimum"
    shown = asked(row="age_band=18-24")
    (source,) = shown["sources"]
    # One record is of fewer people than the cell: both are named, what they did is not told.
    assert source["total"] == 2
    assert [row["content_id"] for row in source["rows"]] == ["L", "L"]
    assert not any({"views", "likes", "gender"} & row.keys() for row in source["rows"])
    (source,) = asked(row="content=L")["sources"]
    assert len(source["rows"]) == 3
    assert not any({"age_band", "gender"} & row.keys() for row in source["rows"])
