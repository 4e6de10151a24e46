"""Days from before the live stream: filled in from their totals, one source a day, in the same question as today."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from streams.answers import Answer
from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS
from streams.fold import PartitionState
from streams.query import parse_request, run
from streams.records import RecordBatch
from streams.settings import FoldSettings, Settings, ShopSettings
from streams.topics import TOPIC_OF_TYPE

SHOP: Final = ShopSettings("s1", timezone="UTC", currency="USD")
SETTINGS: Final = Settings(shops={"s1": SHOP}, fold=FoldSettings(hot_days=400))
LIVE_MS: Final = 1_764_504_000_000
"""2025-11-30T12:00Z: the war room begins at noon."""

NOW_MS: Final = LIVE_MS + 2 * DAY_MS


def board(*events: dict[str, Any]) -> Columns:
    state, columns = PartitionState(0, shops=SETTINGS.shops, settings=SETTINGS.fold), Columns(SETTINGS)
    for number, event in enumerate(events):
        topic = TOPIC_OF_TYPE[event["event_type"]]
        first = state.next_offset(topic)
        value = json.dumps({"event_id": f"e{number}", "shop_id": "s1"} | event).encode()
        state.fold(RecordBatch(topic, 0, [first], [max(LIVE_MS, event["occurred_at_ms"])], [value], [b"k"]))
    flush = state.take_flush()
    assert flush is not None
    columns.apply(flush)
    return columns


def seen(at_ms: int, user: str = "u1") -> dict[str, Any]:
    return {
        "event_type": "product_impression",
        "occurred_at_ms": at_ms,
        "product_id": "p1",
        "user_key": user,
    }


def total(date: str, metric: str, value: float, *, name: str = "all") -> dict[str, Any]:
    return {
        "event_type": "history_total",
        "occurred_at_ms": LIVE_MS,
        "date": date,
        "metric": metric,
        "slice": name,
        "value": value,
        "is_final": True,
    }


def ask(columns: Columns, metrics: str, **more: str) -> Answer:
    return run(columns, parse_request({"metrics": metrics} | more), now_ms=NOW_MS)


def totals(values: Iterable[int], metric: str = "product_impressions") -> list[dict[str, Any]]:
    """Totals of the days that end with 30 November."""
    dates = ("2025-11-27", "2025-11-28", "2025-11-29", "2025-11-30")
    return [total(date, metric, value) for date, value in zip(dates, values, strict=False)]


LIVE: Final = (
    seen(LIVE_MS),
    seen(LIVE_MS + HOUR_MS, "u2"),
    seen(LIVE_MS + DAY_MS),
    seen(LIVE_MS + DAY_MS + 1),
    seen(LIVE_MS + DAY_MS + 2),
)


def test_days_before_the_first_record_come_from_totals_beside_days_of_our_own() -> None:
    columns = board(*LIVE, *totals((10, 20, 30)))
    rows = ask(columns, "product_impressions", window="all", by="day").rows
    assert [(row["day"], row["product_impressions"]) for row in rows] == [
        ("2025-11-27", 10),
        ("2025-11-28", 20),
        ("2025-11-29", 30),
        ("2025-11-30", 2),
        ("2025-12-01", 3),
    ]
    assert ask(columns, "product_impressions", window="all").rows == [{"product_impressions": 65}]


def test_a_day_that_we_have_a_part_of_is_the_totals_and_a_whole_one_is_ours() -> None:
    columns = board(*LIVE, *totals((10, 20, 30, 40)), total("2025-12-01", "product_impressions", 99))
    rows = ask(columns, "product_impressions", window="all", by="day").rows
    assert [row["product_impressions"] for row in rows] == [10, 20, 30, 40, 3]
    whole = ask(columns, "product_impressions", window="all")
    assert whole.rows == [{"product_impressions": 10 + 20 + 30 + 40 + 3}]


def test_a_hole_between_totals_and_us_leaves_no_sum_over_it() -> None:
    columns = board(*LIVE, *(one for one in totals((10, 20, 30, 40)) if one["date"] != "2025-11-29"))
    rows = ask(columns, "product_impressions", window="all", by="day")
    values = {row["day"]: row["product_impressions"] for row in rows.rows}
    assert values["2025-11-28"] == 20
    assert values["2025-11-29"] is None
    assert values["2025-11-30"] == 40
    whole = ask(columns, "product_impressions", window="all")
    assert whole.rows == [{"product_impressions": None}]
    assert whole.nulls == {"product_impressions": {"no_detail_before": [0]}}


def test_a_rate_needs_the_totals_of_both_its_sums() -> None:
    question = {"window": "range:2025-11-27..2025-11-28"}
    only = board(*LIVE, *totals((100, 100)))
    assert ask(only, "ctr", **question).rows == [{"ctr": None}]
    both = board(*LIVE, *totals((100, 100)), *totals((5, 20), "product_clicks"))
    assert ask(both, "ctr", **question).rows == [{"ctr": 0.125}]


def test_people_of_several_days_are_the_sum_of_the_days_only_where_each_day_counts_anew() -> None:
    daily, distinct = "unique_product_impressions", "unique_product_impressions_distinct"
    columns = board(*LIVE, *totals((7, 8, 9, 6), daily), *totals((7, 8, 9, 6), distinct))
    by_day = ask(columns, distinct, window="all", by="day").rows
    assert [row[distinct] for row in by_day] == [7, 8, 9, 6, 1]
    whole = ask(columns, f"{daily},{distinct}", window="all")
    assert whole.rows == [{daily: 7 + 8 + 9 + 6 + 1, distinct: None}]
    assert whole.nulls == {distinct: {"no_detail_before": [0]}}


def test_totals_of_a_slice_answer_that_slice_and_no_product() -> None:
    columns = board(*LIVE, total("2025-11-28", "product_impressions", 5, name="seller_live"))
    question = {"window": "day:2025-11-28"}
    where = ask(columns, "product_impressions", where="slice=seller_live", **question)
    assert where.rows == [{"product_impressions": 5}]
    assert ask(columns, "product_impressions", **question).rows == [{"product_impressions": None}]
    product = ask(columns, "product_impressions", where="product=p1", **question)
    assert product.rows == [{"product_impressions": None}]


def test_money_of_a_past_day_is_in_minor_units_like_every_amount() -> None:
    columns = board(*LIVE, total("2025-11-28", "gmv", 123_456))
    assert ask(columns, "gmv", window="day:2025-11-28").rows == [{"gmv": 1234.56}]


def test_totals_of_orders_are_those_of_orders_and_of_what_is_divided_by_them() -> None:
    columns = board(*LIVE, *totals((4, 5, 6), "orders"), *totals((4_000, 5_000, 6_000), "gmv"))
    answer = ask(columns, "orders,aov_revenue", window="range:2025-11-27..2025-11-29")
    assert answer.rows == [{"orders": 15, "aov_revenue": 10.0}]
