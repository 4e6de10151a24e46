"""A time that is still to come has no figures: it is null and says so, it is not 0."""

from __future__ import annotations

import pytest

from streams.catalogue import METRICS
from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS
from streams.errors import QueryError
from streams.explain import explain, parse_explain
from streams.metric import Metric
from tests.unit.streams.asking import answer, rows, value, why
from tests.unit.streams.boards import LIVE, at, board, line, order, traffic
from tests.unit.streams.events import content, engagement, follower

NOON = at("2024-11-29 12:00")
NOW = NOON + HOUR_MS
FUTURE = (
    "day:2027-01-01",
    "range:2027-01-01..2027-01-09",
    "hour:2024-11-29T14",
    "month:2025-02",
    "day:2024-11-30",
)
OF_A_WINDOW = [metric for metric in METRICS.values() if "not_begun" in metric.null_reasons]


def shop() -> Columns:
    return board(
        [
            order("o", NOON, [line("1", "A", 100)]),
            *(
                traffic(kind, NOON, "u", source=LIVE)
                for kind in ("product_impression", "product_click", "product_page_view")
            ),
            content("L", "live_started", NOON - HOUR_MS),
            engagement("L", NOON, 10, ["a", "b"]),
            follower("shop", 1_000, NOON),
        ],
        vouch_ms=NOW,
    )


@pytest.mark.parametrize("window", FUTURE)
@pytest.mark.parametrize("metric", ["gmv", "orders", "ctor", "content_views", "unique_viewers", "followers"])
def test_a_window_that_has_not_begun_is_null(metric: str, window: str) -> None:
    assert why(shop(), metric, now_ms=NOW, window=window) == "not_begun"


@pytest.mark.parametrize("metric", OF_A_WINDOW, ids=lambda metric: metric.id)
def test_no_metric_has_a_figure_of_a_day_to_come(metric: Metric) -> None:
    columns = shop()
    try:
        found = answer(columns, metric.id, now_ms=NOW, window="day:2027-01-01")
    except QueryError:
        # What one dimension alone gives is not asked of the whole shop.
        return
    assert {row[metric.id] for row in found.rows} <= {None}
    assert set(found.nulls.get(metric.id, ())) <= {*metric.null_reasons} - {"zero_divisor"}


def test_a_window_that_runs_has_its_figures_and_begins_with_its_first_instant() -> None:
    columns = shop()
    assert value(columns, "gmv", now_ms=NOW, window="range:2024-11-29..2025-01-09") == 1.0
    assert value(columns, "orders", now_ms=NOW, window="hour:2024-11-29T13") == 0
    assert why(columns, "orders", now_ms=NOW - 1, window="hour:2024-11-29T13") == "not_begun"


def test_a_row_of_slices_is_null_too_and_what_a_fast_clock_sent_counts() -> None:
    columns = shop()
    found = answer(columns, "gmv", "slice", now_ms=NOW, window="day:2027-01-01")
    assert {row["gmv"] for row in found.rows} == {None}
    ahead = board([order("p", NOW + 2 * HOUR_MS, [line("1", "A", 300)])], vouch_ms=NOW)
    assert value(ahead, "orders", now_ms=NOW, window="hour:2024-11-29T15") == 1


def test_a_series_ends_with_the_last_record_and_its_explanation_says_why_it_is_null() -> None:
    columns = shop()
    assert len(rows(columns, "gmv", "hour", now_ms=NOW + DAY_MS, window="all")) == 1
    found = explain(columns, parse_explain({"metric": "gmv", "window": "day:2027-01-01"}), now_ms=NOW)
    assert (found["value"], found["null"]["reason"]) == (None, "not_begun")
    assert "begun" in found["null"]["mend"]
