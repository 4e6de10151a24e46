"""Columns: what a board knows after flushes of several partitions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from streams.columns import Columns
from streams.events import Shop
from streams.outcomes import Outcome
from streams.spreading import spread
from streams.state import FactRow, Flush, ShopSpan, StateRow
from tests.unit.streams.boards import (
    CREATOR,
    LIVE,
    SHOP,
    at,
    board,
    cells,
    fact_row,
    flush_of,
    heartbeat,
    line,
    order,
    refund,
    settings,
    stock,
    traffic,
)

NOON = at("2024-11-29 12:00")


def flush(partition: int = 0, *, facts: Sequence[FactRow] = (), rows: Sequence[StateRow] = ()) -> Flush:
    return Flush(partition, 1, list(rows), list(facts), [], [], [])


def test_the_greatest_merge_order_wins_whatever_partition_it_comes_from_and_whenever() -> None:
    old = fact_row(order("o1", NOON, [line("1", "A1", 100)]), version=1)
    new = fact_row(order("o1", NOON, [line("1", "A1", 700), line("2", "B1", 5)]), version=2)
    for first, second in ((old, new), (new, old)):
        columns = Columns(settings())
        columns.apply(flush(0, facts=[first]))
        assert columns.order_lines(SHOP).height in (1, 2)
        columns.apply(flush(1, facts=[second]))
        assert columns.order_lines(SHOP)["goods_minor"].sort().to_list() == [5, 700]


def test_rows_of_two_partitions_add_up_and_a_newer_row_replaces_its_own_partition() -> None:
    row = cells([traffic("product_click", NOON, "u1")], "UTC")[0]
    columns = Columns(settings())
    columns.apply(flush(0, rows=[row]))
    columns.apply(flush(1, rows=[row._replace(events=10, keyed=9)]))
    columns.apply(flush(0, rows=[row._replace(events=4, keyed=3)]))
    assert columns.cube(row.key.cube, SHOP).select("count", "keyed").rows() == [(14, 12)]


def test_people_of_two_partitions_are_united_and_later_growth_is_taken_in() -> None:
    first = cells([traffic("product_click", NOON, user) for user in ("a", "b")], "UTC")
    columns = Columns(settings())
    columns.apply(flush(0, rows=first))
    second = cells([traffic("product_click", NOON, user) for user in ("b", "c")], "UTC")
    columns.apply(flush(1, rows=second))
    slots = columns.cube("shop_quarter", SHOP)["slot"].to_numpy()
    assert columns.people("shop_quarter", SHOP, [("all", slots)]) == [pytest.approx(3, abs=0.01)]
    grown = cells([traffic("product_click", NOON, user) for user in "bcdef"], "UTC")
    columns.apply(flush(1, rows=grown))
    assert columns.people("shop_quarter", SHOP, [("all", slots)]) == [pytest.approx(6, abs=0.01)]
    assert columns.people("shop_quarter", SHOP, [("all", np.array([], dtype=np.uint32))]) == [0]


def test_a_cell_without_a_count_is_forgotten() -> None:
    rows = cells([traffic("product_click", NOON, "u1"), traffic("product_click", NOON + 60_000, "u1")], "UTC")
    minutes = [row for row in rows if row.key.cube == "shop_minute"]
    columns = Columns(settings())
    columns.apply(flush(0, rows=minutes))
    columns.apply(flush(0, rows=[minutes[0]._replace(events=None, keyed=0)]))
    assert columns.cube("shop_minute", SHOP)["bucket"].to_list() == [NOON + 60_000]


def test_a_refund_carries_the_atom_of_the_line_it_refunds_even_if_the_order_comes_later() -> None:
    columns = Columns(settings())
    columns.apply(
        flush_of([refund("r1", "o1", "2", "B1", 50, NOON), refund("r2", "gone", "1", "B1", 5, NOON)])
    )
    assert columns.refunds(SHOP)["atom"].to_list() == [12, 12]
    lines = [line("1", "A1", 100, source=LIVE), line("2", "B1", 50, source=CREATOR)]
    columns.apply(flush_of([order("o1", NOON, lines)]))
    refunds = columns.refunds(SHOP).sort("refund_id")
    assert refunds.select("atom", "creator_id").rows() == [(8, "mia"), (12, None)]


def test_a_pair_of_order_and_sku_belongs_to_its_least_line_id() -> None:
    lines = [line("b", "A1", 1, source=LIVE), line("a", "A1", 1, source=CREATOR), line("c", "B1", 1)]
    found = board([order("o1", NOON, lines)]).order_lines(SHOP)
    assert found.select("line_id", "leads_sku_order").rows() == [("b", False), ("a", True), ("c", True)]


def test_credits_are_spread_by_goods_paid_and_always_sum() -> None:
    # 10 over 1:1:1 is 3.33 each: floors 3, 3, 3 and the one left over goes to the first of equal remainders.
    assert spread(10, [1, 1, 1]) == [4, 3, 3]
    # 100 x 199/300 = 66.33, x 101/300 = 33.67: the larger remainder is the second.
    assert spread(100, [199, 101]) == [66, 34]
    assert spread(7, [0, 0]) == [7, 0]


def test_the_newest_stock_record_per_warehouse_is_the_level_and_quarters_are_kept() -> None:
    columns = board(
        [stock("A1", 9, NOON), stock("A1", 4, NOON + 3_600_000), stock("A1", 7, NOON, warehouse="w2")]
    )
    levels = columns.stock_levels(SHOP).sort("warehouse_id").select("warehouse_id", "available").rows()
    assert levels == [("default", 4), ("w2", 7)]
    assert columns.stock_history(SHOP).height == 3


def test_outcomes_add_over_partitions_and_leave_out_history() -> None:
    columns = Columns(settings())
    columns.apply(flush_of([order("o1", NOON, [line("1", "A1", 1)])], partition=0))
    columns.apply(flush_of([order("o2", NOON, [line("1", "A1", 1)])], partition=1))
    columns.apply(flush_of([order("o3", NOON, [line("1", "A1", 1)])], partition=1_000), history=True)
    assert columns.outcomes() == {"orders": {Outcome.COUNTED: 2}}
    assert columns.order_lines(SHOP).height == 3


def test_as_of_is_the_least_watermark_of_the_topics_and_never_beyond_now() -> None:
    events = [order("o1", NOON, [line("1", "A1", 1)]), traffic("product_click", NOON + 90_000, "u1")]
    columns = board(events)
    now_ms = NOON + 60_000
    assert columns.as_of_ms(SHOP, ["orders"], now_ms) == NOON
    assert columns.as_of_ms(SHOP, ["orders", "clicks"], now_ms) == NOON
    assert columns.as_of_ms(SHOP, ["clicks"], now_ms) == now_ms
    assert columns.as_of_ms(SHOP, ["impressions"], now_ms) == now_ms


def test_a_heartbeat_lifts_the_topics_it_lists_and_a_vouch_lifts_all() -> None:
    columns = board([order("o1", NOON, [line("1", "A1", 1)]), heartbeat(["cm.orders"], NOON + 30_000)])
    assert columns.as_of_ms(SHOP, ["orders"], NOON + 60_000) == NOON + 30_000
    columns.vouch(NOON + 45_000)
    assert columns.as_of_ms(SHOP, ["orders"], NOON + 60_000) == NOON + 45_000


def test_a_partition_that_lags_holds_its_topic_back_and_an_idle_one_does_not() -> None:
    columns = Columns(settings())
    columns.apply(flush_of([order("o1", NOON, [line("1", "A1", 1)])], partition=0))
    columns.apply(flush_of([order("o2", NOON + 50_000, [line("1", "A1", 1)])], partition=1))
    assert columns.as_of_ms(SHOP, ["orders"], NOON + 60_000) == NOON + 50_000
    columns.mark_lagging([(0, "orders")])
    assert columns.as_of_ms(SHOP, ["orders"], NOON + 60_000) == NOON


def test_a_topic_is_a_source_from_its_first_counted_record_or_heartbeat_on() -> None:
    columns = board([heartbeat(["orders"], NOON), order("o1", NOON + 5_000, [line("1", "A1", 1)])])
    assert columns.source_since_ms(SHOP, "orders") == NOON
    assert columns.source_since_ms(SHOP, "clicks") is None


@pytest.mark.parametrize(
    ("timezone", "currency", "disagrees"),
    [("UTC", "USD", False), ("UTC", None, False), ("Europe/London", "USD", True), ("UTC", "GBP", True)],
)
def test_a_shop_record_that_disagrees_is_noticed_and_changes_nothing(
    timezone: str, currency: str | None, disagrees: bool
) -> None:
    columns = Columns(settings())
    assert not columns.shop_disagrees(SHOP)
    record = Shop(
        event_id="s",
        event_type="shop",
        shop_id=SHOP,
        occurred_at_ms=NOON,
        timezone=timezone,
        currency=currency,
        version=1,
    )
    columns.apply(flush(0, facts=[fact_row(record)]))
    assert columns.shop_disagrees(SHOP) is disagrees
    assert columns.calendar(SHOP).timezone == "UTC"


def test_the_span_of_a_topic_grows_with_every_flush_though_it_was_asked_for_before() -> None:
    columns = Columns(settings())
    assert columns.span(SHOP, "orders") is None
    columns.apply(flush_of([order("o1", NOON, [line("1", "A1", 100)])]))
    assert columns.span(SHOP, "orders") == ShopSpan(NOON, NOON, 1)
    columns.apply(flush_of([order("o2", NOON + 60, [line("1", "A1", 100)])], partition=1))
    assert columns.span(SHOP, "orders") == ShopSpan(NOON, NOON + 60, 2)
    assert columns.watermark_ms(SHOP, "orders") == NOON + 60
