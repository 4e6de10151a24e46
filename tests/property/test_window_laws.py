"""Laws of windows and comparisons on random shops, on days when the clock changes, with facts that come late."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from streams import query
from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.events import Campaign
from streams.state import Flush
from tests.unit.streams import boards
from tests.unit.streams.boards import (
    CREATOR,
    LIVE,
    SHOP,
    SHOP_TAB,
    at,
    flush_of,
    heartbeat,
    line,
    order,
    traffic,
)

ADDITIVE = ("gmv", "orders", "sku_orders", "items_sold", "est_customers", "product_clicks", "unique_clicks")
ZONES = (
    ("America/Los_Angeles", "2024-03-01 00:00"),
    ("America/Los_Angeles", "2024-10-25 00:00"),
    ("Europe/London", "2024-10-20 00:00"),
    ("Australia/Lord_Howe", "2024-04-01 00:00"),
    ("Asia/Kolkata", "2024-02-20 00:00"),
)
WINDOWS = ("last7", "weeks:1", "weeks:2", "week", "month", "campaign", "today", "yesterday", "all")
LENGTH_MINUTES = 20 * 24 * 60

sales = st.lists(
    st.tuples(
        st.integers(0, LENGTH_MINUTES),
        st.sampled_from(["c1", "c2", "c3"]),
        st.sampled_from(["A1", "A2", "B1"]),
        st.integers(1, 5_000),
        st.sampled_from([None, LIVE, CREATOR, SHOP_TAB]),
    ),
    max_size=25,
)
clicks = st.lists(
    st.tuples(
        st.integers(0, LENGTH_MINUTES), st.sampled_from(["u1", "u2", "u3"]), st.sampled_from(["A", "B"])
    ),
    max_size=15,
)


def events_of(base_ms: int, sold: list[Any], clicked: list[Any]) -> list[Any]:
    found: list[Any] = [heartbeat(["orders", "clicks"], base_ms - 60 * DAY_MS)]
    for number, (minute, customer, sku, goods, source) in enumerate(sold):
        parts = [line("1", sku, goods, source=source)]
        found.append(order(f"o{number}", base_ms + minute * MINUTE_MS, parts, customer))
    found += [
        traffic("product_click", base_ms + minute * MINUTE_MS, user, product)
        for minute, user, product in clicked
    ]
    return found


def board_of(zone: str, events: list[Any], now_ms: int) -> Columns:
    return boards.board(events, zone=zone, vouch_ms=now_ms)


def rows(columns: Columns, now_ms: int, **question: str) -> list[dict[str, Any]]:
    return query.run(columns, query.parse_request(question), now_ms=now_ms).rows


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(ZONES), sales, clicks, st.integers(9 * 24, 20 * 24), st.sampled_from(WINDOWS))
def test_what_adds_over_time_is_the_sum_over_the_days_of_every_window(
    place: tuple[str, str], sold: list[Any], clicked: list[Any], hours: int, window: str
) -> None:
    zone, begin = place
    base_ms = at(begin, zone)
    now_ms = base_ms + hours * HOUR_MS
    campaign = campaign_of(base_ms)
    columns = board_of(zone, [*events_of(base_ms, sold, clicked), campaign], now_ms)
    metrics = ",".join(ADDITIVE)
    (total,) = rows(columns, now_ms, metrics=metrics, window=window)
    for by in ("day", "week", "month"):
        parts = rows(columns, now_ms, metrics=metrics, window=window, by=by)
        for metric in ADDITIVE:
            assert sum(part[metric] for part in parts) == pytest.approx(total[metric] or 0, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(ZONES), sales, clicks, st.integers(9 * 24, 20 * 24), st.sampled_from(WINDOWS[:-1]))
def test_a_window_beside_itself_differs_by_nothing(
    place: tuple[str, str], sold: list[Any], clicked: list[Any], hours: int, window: str
) -> None:
    zone, begin = place
    base_ms = at(begin, zone)
    now_ms = base_ms + hours * HOUR_MS
    campaign = campaign_of(base_ms)
    columns = board_of(zone, [*events_of(base_ms, sold, clicked), campaign], now_ms)
    answer = query.run(columns, query.parse_request({"metrics": "gmv", "window": window}), now_ms=now_ms)
    assert answer.from_ms is not None
    first = dt.datetime.fromtimestamp(answer.from_ms / 1000, ZoneInfo(zone)).date().isoformat()
    for by in ("", "day", "hour", "product", "slice"):
        question = {"metrics": "gmv,orders,aov_revenue,product_clicks", "window": window, "by": by}
        for row in rows(columns, now_ms, **question, compare=f"reference:{first}"):
            for metric in ("gmv", "orders", "aov_revenue", "product_clicks"):
                beside = row[f"{metric}_compared"]
                if beside is not None:
                    assert beside == row[metric]
                    assert row[f"{metric}_difference"] == 0
                    assert row[f"{metric}_pct"] in (0, None)
                    assert (row[f"{metric}_pct"] is None) == (beside == 0)


@settings(max_examples=10, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.sampled_from(ZONES), sales, clicks, st.data())
def test_what_was_kept_of_days_never_changes_an_answer(
    place: tuple[str, str], sold: list[Any], clicked: list[Any], data: st.DataObject
) -> None:
    """Ask after every flush, of facts in any order and with corrections; then ask a board that saw all at once."""
    zone, begin = place
    base_ms = at(begin, zone)
    now_ms = base_ms + 20 * DAY_MS
    events = events_of(base_ms, sold, clicked)
    orders = [event for event in events if event.event_type == "order_paid"]
    beat, views = events[0], [event for event in events if event.event_type == "product_click"]
    shuffled = data.draw(st.permutations(orders))
    corrected = data.draw(st.lists(st.sampled_from(orders), max_size=3)) if orders else []
    questions = [
        {"metrics": ",".join((*ADDITIVE, "unique_customers")), "window": window, "by": by}
        for window, by in (
            ("all", ""),
            ("all", "week"),
            ("last7", "day"),
            ("weeks:2", "product"),
            ("all", "slice"),
        )
    ]
    grown, final = Columns(boards.settings(zone)), Columns(boards.settings(zone))
    steps = [[beat], *([one] for one in shuffled), views or [beat]]
    for number, step in enumerate(steps):
        grown.apply(flush_of(step, zone=zone, partition=number))
        for question in questions:
            rows(grown, now_ms, **question)
        final.apply(flush_of(step, zone=zone, partition=number))
    for columns in (grown, final):
        for number, one in enumerate(corrected):
            moved = boards.order(str(one.order_id), one.paid_at_ms + 3 * DAY_MS, [line("1", "B1", 77)], "c9")
            flush = flush_of([moved], zone=zone, partition=1_000 + number)
            columns.apply(with_version(flush, number + 5))
        columns.vouch(now_ms)
    for question in questions:
        assert rows(grown, now_ms, **question) == rows(final, now_ms, **question)


def with_version(flush: Flush, version: int) -> Flush:
    flush.facts[:] = [fact._replace(version=version) for fact in flush.facts]
    return flush


def campaign_of(base_ms: int) -> Campaign:
    return Campaign(
        event_id="campaign",
        event_type="campaign",
        shop_id=SHOP,
        occurred_at_ms=base_ms,
        campaign_id="bf",
        name="bf",
        starts_at_ms=base_ms + 8 * DAY_MS,
        ends_at_ms=base_ms + 18 * DAY_MS,
        joined_at_ms=base_ms,
        version=1,
        product_ids=[],
    )
