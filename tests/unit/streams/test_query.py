"""Questions about a small board whose answers are worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.errors import QueryError
from streams.query import parse_request, run
from streams.settings import Settings, ShopSettings
from tests.unit.streams.boards import (
    CREATOR,
    LIVE,
    SHOP,
    SHOP_TAB,
    at,
    board,
    flush_of,
    heartbeat,
    line,
    order,
    refund,
    settings,
    status,
    stock,
    traffic,
)

NOON = at("2024-11-29 12:00")
NOW = at("2024-12-01 12:00")

#   o1  Fri 12:00  c1  A1 10.00 (LIVE), B1 5.00 + 0.99 shipping, 0.40 tax, 0.25 co-funding (creator's video)
#   o2  Fri 15:00  c1  A1 twice on two lines: 20.00 (Shop tab, line b) and 1.00 (LIVE, line a)
#   o3  Sat 12:00  c2  B2 7.00, three items, no source
ORDERS = [
    order(
        "o1",
        NOON,
        [
            line("1", "A1", 1000, source=LIVE),
            line("2", "B1", 500, shipping=99, tax_minor=40, cofund_product_minor=25, source=CREATOR),
        ],
        "c1",
    ),
    order(
        "o2",
        NOON + 3 * HOUR_MS,
        [line("b", "A1", 2000, source=SHOP_TAB), line("a", "A1", 100, source=LIVE)],
        "c1",
    ),
    order("o3", NOON + DAY_MS, [line("1", "B2", 700, quantity=3)], "c2"),
]
REFUNDS = [
    refund("r1", "o1", "2", "B1", 300, NOON + 2 * DAY_MS, shipping_minor=99, tax_minor=40),
    refund("r1", "o1", "1", "A1", 50, NOON + 2 * DAY_MS, quantity=0),
]


def ask(columns: Columns, now_ms: int = NOW, **params: str) -> dict[str, Any]:
    return run(columns, parse_request({"window": "all"} | params), now_ms=now_ms).document()


def only_row(columns: Columns, now_ms: int = NOW, **params: str) -> dict[str, Any]:
    (row,) = ask(columns, now_ms, **params)["rows"]
    found: dict[str, Any] = row
    return found


def refusal(columns: Columns, **params: str) -> QueryError:
    with pytest.raises(QueryError) as caught:
        ask(columns, NOW, **params)
    return caught.value


def test_sales_of_all_time() -> None:
    metrics = (
        "gmv,gmv_with_tax,tax_paid,gmv_with_cofunding,shipping_fees_paid,orders,sku_orders,items_sold,aov_revenue,"
        "aov_sku,est_customers,unique_customers"
    )
    assert only_row(board(ORDERS), metrics=metrics) == {
        "gmv": 43.99,
        "gmv_with_tax": 44.39,
        "tax_paid": 0.40,
        "gmv_with_cofunding": 44.24,
        "shipping_fees_paid": 0.99,
        "orders": 3,
        "sku_orders": 4,
        "items_sold": 7,
        "aov_revenue": pytest.approx(43.99 / 3, abs=1e-12),
        "aov_sku": 43.99 / 4,
        "est_customers": 2,
        "unique_customers": 2,
    }


def test_the_setting_takes_shipping_out_of_every_form_of_gmv() -> None:
    columns = board(ORDERS, gmv_includes_shipping=False)
    assert only_row(columns, metrics="gmv,gmv_with_tax,shipping_fees_paid") == {
        "gmv": 43.00,
        "gmv_with_tax": 43.40,
        "shipping_fees_paid": 0.99,
    }


def test_days_are_continuous_from_the_first_to_the_last_record_of_the_topic() -> None:
    columns = board([*ORDERS[:2], refund("r1", "o1", "1", "A1", 1, NOON + 3 * DAY_MS)])
    assert ask(columns, metrics="gmv,orders", by="day")["rows"] == [
        {"day": "2024-11-29", "gmv": 36.99, "orders": 2},
        {"day": "2024-11-30", "gmv": 0.0, "orders": 0},
        {"day": "2024-12-01", "gmv": 0.0, "orders": 0},
        {"day": "2024-12-02", "gmv": 0.0, "orders": 0},
    ]


def test_days_of_every_product_are_those_with_a_count_and_those_of_one_are_continuous() -> None:
    columns = board([*ORDERS[:2], refund("r1", "o1", "1", "A1", 1, NOON + 2 * DAY_MS)])
    of_each = ask(columns, metrics="orders", by="day,product")["rows"]
    assert {(row["day"], row["product"]) for row in of_each} == {("2024-11-29", "A"), ("2024-11-29", "B")}
    of_one = ask(columns, metrics="orders", by="day", where="product=A")["rows"]
    assert [(row["day"], row["orders"]) for row in of_one] == [
        ("2024-11-29", 2),
        ("2024-11-30", 0),
        ("2024-12-01", 0),
    ]


def test_hours_and_minutes_carry_the_offset_of_the_shop() -> None:
    zone = "America/Los_Angeles"
    columns = board(ORDERS[:1], zone=zone)
    (row,) = ask(columns, metrics="gmv", by="day,hour,minute")["rows"]
    assert row == {
        "day": "2024-11-29",
        "hour": "2024-11-29T04-08:00",
        "minute": "2024-11-29T04:00-08:00",
        "gmv": 15.99,
    }


def test_an_order_counts_once_in_all_and_once_in_each_format_it_touches() -> None:
    rows = ask(board(ORDERS), metrics="orders,gmv,sku_orders", by="slice")["rows"]
    assert {row["slice"]: (row["orders"], row["gmv"], row["sku_orders"]) for row in rows} == {
        "affiliate": (1, 5.99, 1),
        "affiliate_live": (0, 0.0, 0),
        "affiliate_video": (1, 5.99, 1),
        "all": (3, 43.99, 4),
        # o2's pair belongs to line a, which is the LIVE's, though most money is on line b.
        "seller_live": (2, 11.0, 2),
        "seller_product_card": (1, 20.0, 0),
        "seller_video": (0, 0.0, 0),
        "shop_tab": (1, 20.0, 0),
    }
    assert [row["slice"] for row in rows] == sorted(row["slice"] for row in rows)


def test_leaves_share_the_whole_and_slices_are_shares_of_it_too() -> None:
    leaves = ask(board(ORDERS), metrics="gmv_channel_contribution", by="leaf")["rows"]
    assert sum(row["gmv_channel_contribution"] for row in leaves) == pytest.approx(1)
    assert len(leaves) == 8
    row = only_row(board(ORDERS), metrics="gmv_channel_contribution", where="slice=affiliate")
    assert row == {"gmv_channel_contribution": 599 / 4399}
    by_product = ask(
        board(ORDERS), metrics="gmv_channel_contribution", by="product", where="slice=seller_live"
    )["rows"]
    assert by_product == [{"product": "A", "gmv_channel_contribution": 1100 / 3100}]


def test_a_customer_counts_once_a_day_and_the_days_are_summed() -> None:
    again = order("o4", NOON + DAY_MS, [line("1", "A1", 1)], "c1")
    columns = board([*ORDERS, again])
    assert only_row(columns, metrics="est_customers,unique_customers") == {
        "est_customers": 3,
        "unique_customers": 2,
    }
    by_hour = ask(columns, metrics="est_customers", by="hour", window="day:2024-11-29")["rows"]
    assert [row["est_customers"] for row in by_hour] == [1, 0, 0, 1]


def test_means_run_over_finished_days_zeros_included() -> None:
    # Friday 1 customer, Saturday 1, Sunday is not over.
    columns = board([*ORDERS, order("o5", NOON + 2 * DAY_MS, [line("1", "A1", 1)], "c3")])
    assert only_row(columns, metrics="avg_daily_customers") == {"avg_daily_customers": 1.0}
    later = only_row(columns, NOW + 2 * DAY_MS, metrics="avg_daily_customers")
    assert later == {"avg_daily_customers": 3 / 4}


def test_the_mean_of_a_first_day_is_its_part_so_far_and_says_so() -> None:
    answer = ask(board(ORDERS[:1]), NOON + HOUR_MS, metrics="avg_daily_customers")
    assert answer["rows"] == [{"avg_daily_customers": 1.0}]
    assert answer["partial"] == {"avg_daily_customers": [0]}
    by_day = ask(board(ORDERS), NOON + DAY_MS + HOUR_MS, metrics="avg_daily_customers", by="day")
    assert by_day["partial"] == {"avg_daily_customers": [1]}


def test_refunds_stand_at_their_own_time_without_tax_under_the_formats_of_the_order() -> None:
    columns = board([*ORDERS, *REFUNDS])
    metrics = "refunds_amount,items_refunded,refund_customers"
    assert ask(columns, metrics=metrics, by="day", window="day:2024-12-01")["rows"] == [
        {"day": "2024-12-01", "refunds_amount": 4.49, "items_refunded": 1, "refund_customers": 1}
    ]
    assert only_row(columns, metrics="refunds_amount", where="slice=affiliate") == {"refunds_amount": 3.99}
    assert only_row(columns, metrics="refunds_amount,gmv", where="product=A") == {
        "refunds_amount": 0.5,
        "gmv": 31.0,
    }


def test_orders_stand_under_their_present_status_and_cancelled_ones_stay_in_gmv() -> None:
    changes = [
        status("o1", "shipped", 1, NOON + HOUR_MS),
        status("o1", "delivered", 2, NOON + DAY_MS),
        status("o2", "cancelled", 1, NOON + DAY_MS),
        status("unpaid", "cancelled", 1, NOON + DAY_MS),
    ]
    columns = board([*ORDERS, *changes])
    assert ask(columns, metrics="orders_by_status")["rows"] == [
        {"status": "cancelled", "orders_by_status": 1},
        {"status": "delivered", "orders_by_status": 1},
        {"status": "paid", "orders_by_status": 1},
    ]
    assert only_row(columns, metrics="cancel_rate,orders,gmv") == {
        "cancel_rate": 1 / 3,
        "orders": 3,
        "gmv": 43.99,
    }
    assert only_row(columns, metrics="gmv", where="status=cancelled") == {"gmv": 21.0}


def test_rows_are_sorted_by_time_then_names_or_by_a_metric_descending_with_ties_by_name() -> None:
    events = [
        order(f"o{sku}", NOON, [line("1", sku, goods)])
        for sku, goods in (("C1", 5), ("A1", 5), ("D1", 9), ("B1", 1))
    ]
    columns = board(events)
    plain = ask(columns, metrics="gmv", by="sku")["rows"]
    assert [row["sku"] for row in plain] == ["A1", "B1", "C1", "D1"]
    best = ask(columns, metrics="gmv", by="sku", sort="gmv", limit="3")["rows"]
    assert [row["sku"] for row in best] == ["D1", "A1", "C1"]


def test_of_the_first_rows_places_are_among_all_rows_and_nulls_are_numbered_as_shown() -> None:
    events = [
        order("o1", NOON, [line("1", "A1", 500, quantity=1)]),
        order("o2", NOON, [line("1", "B1", 100, quantity=3)]),
        order("o3", NOON, [line("1", "C1", 50, quantity=2)]),
    ]
    found = ask(board(events), metrics="gmv,top_selling_products,ctor", by="product", sort="gmv", limit="1")
    assert found["rows"] == [{"product": "A", "gmv": 5.0, "top_selling_products": 3, "ctor": None}]
    top = ask(
        board(events), metrics="top_selling_products", by="product", sort="top_selling_products", limit="2"
    )
    assert [row["top_selling_products"] for row in top["rows"]] == [1, 2]
    assert list(found["nulls"]["ctor"].values()) == [[0]]
    alone = ask(board(events), metrics="gmv,ctor", by="product", sort="gmv", limit="2")
    assert [(row["product"], row["gmv"]) for row in alone["rows"]] == [("A", 5.0), ("B", 1.0)]
    assert list(alone["nulls"]["ctor"].values()) == [[0, 1]]


def test_dimensions_combine_and_filters_must_all_hold() -> None:
    columns = board(ORDERS)
    assert ask(columns, metrics="gmv", by="day,creator")["rows"] == [
        {"day": "2024-11-29", "creator": "mia", "gmv": 5.99}
    ]
    assert ask(columns, metrics="gmv", by="content", where="product=A,slice=seller_live")["rows"] == [
        {"content": "live-1", "gmv": 11.0}
    ]
    assert ask(columns, metrics="gmv", by="sku", where="product=A,sku=B1")["rows"] == [
        {"sku": "B1", "gmv": 0.0}
    ]
    assert ask(columns, metrics="gmv", by="content", where="product=A,sku=B1")["rows"] == []


def test_windows_cut_to_the_millisecond_for_facts() -> None:
    columns = board(ORDERS)
    late = NOON + 3 * HOUR_MS + 30_000
    assert only_row(columns, late, metrics="orders,gmv_last_15m,orders_last_15m", window="last:15m") == {
        "orders": 1,
        "gmv_last_15m": 21.0,
        "orders_last_15m": 1,
    }
    assert only_row(columns, late, metrics="orders", window="last:4h") == {"orders": 2}
    assert only_row(columns, late, metrics="orders") == {"orders": 3}


def test_a_feed_that_is_behind_does_not_hold_back_the_last_minutes_of_another() -> None:
    columns = board([*ORDERS[:2], traffic("product_click", NOON - DAY_MS, "u1")])
    now_ms = NOON + 3 * HOUR_MS
    answer = ask(columns, now_ms, metrics="orders_last_15m,product_clicks")
    assert answer["rows"] == [{"orders_last_15m": 1, "product_clicks": 1}]
    assert answer["as_of_ms"] == NOON - DAY_MS


def test_money_follows_the_digits_of_the_currency() -> None:
    columns = Columns(Settings(shops={SHOP: ShopSettings(SHOP, "Asia/Tokyo", "JPY")}))
    columns.apply(flush_of(ORDERS[:1], zone="Asia/Tokyo"))
    assert only_row(columns, metrics="gmv") == {"gmv": 1599}


def test_large_sums_keep_every_cent() -> None:
    big = [order(f"o{n}", NOON, [line("1", "A1", 10**13 - 1)]) for n in range(3)]
    assert only_row(board(big), metrics="gmv") == {"gmv": 299_999_999_999.97}


# -- null, and why ---------------------------------------------------------------------------------


def test_a_topic_without_source_is_null_and_one_with_a_source_is_zero() -> None:
    answer = ask(board(ORDERS), metrics="gmv,product_clicks,refunds_amount")
    assert answer["rows"] == [{"gmv": 43.99, "product_clicks": None, "refunds_amount": 0.0}]
    assert answer["nulls"] == {"product_clicks": {"no_source": [0]}}


def test_before_its_first_record_or_heartbeat_a_topic_is_no_source_and_after_it_zero() -> None:
    clicks = [
        traffic("product_click", NOON + DAY_MS, "u1"),
        traffic("product_click", NOON + 3 * DAY_MS, "u1"),
    ]
    answer = ask(board([*ORDERS, *clicks], vouch_ms=NOW), metrics="orders,product_clicks", by="day")
    assert [row["product_clicks"] for row in answer["rows"]] == [None, 1, 0, 1]
    assert answer["nulls"] == {"product_clicks": {"no_source": [0]}}
    alive = board([*ORDERS, *clicks, heartbeat(["clicks"], NOON)])
    assert ask(alive, metrics="orders,product_clicks", by="day")["rows"][0]["product_clicks"] == 0


def test_a_rate_is_null_where_its_divisor_is_zero() -> None:
    events = [
        traffic("product_impression", NOON, "u1"),
        traffic("product_impression", NOON + DAY_MS, "u1"),
        traffic("product_click", NOON + DAY_MS + 1, "u1"),
        traffic("product_click", NOON - 1, "u1"),
        *ORDERS,
    ]
    answer = ask(board(events, vouch_ms=NOW), metrics="ctor", by="day", window="range:2024-11-29..2024-11-30")
    assert [row["ctor"] for row in answer["rows"]] == [3.0, 1.0]
    empty = ask(board(events, vouch_ms=NOW), metrics="ctor,aov_sku", by="hour", window="day:2024-11-30")
    assert [row["ctor"] for row in empty["rows"]] == [1.0]
    nothing = ask(board(ORDERS), metrics="aov_revenue", by="slice", where="product=B")
    assert nothing["rows"][1] == {"slice": "affiliate_live", "aov_revenue": None}
    assert nothing["nulls"] == {"aov_revenue": {"zero_divisor": [1, 4, 5, 6, 7]}}


def test_a_rate_of_topics_more_than_a_minute_apart_is_null_until_they_meet_or_are_vouched_for() -> None:
    events = [*ORDERS[:2], traffic("product_click", NOON, "u1")]
    columns = board(events)
    now_ms = NOON + 3 * HOUR_MS + MINUTE_MS
    answer = ask(columns, now_ms, metrics="ctor,aov_sku,product_clicks")
    assert answer["nulls"] == {"ctor": {"catching_up": [0]}}
    by_hour = ask(columns, now_ms, metrics="ctor", by="hour")
    assert by_hour["nulls"] == {"ctor": {"catching_up": [0, 1, 2, 3]}}
    columns.vouch(now_ms)
    assert ask(columns, now_ms, metrics="ctor")["rows"] == [{"ctor": 3.0}]


def test_the_rows_that_the_slower_topic_has_passed_are_not_held_back() -> None:
    columns = board(
        [*ORDERS, traffic("product_click", NOON, "u1"), traffic("product_click", NOON + HOUR_MS, "u1")]
    )
    answer = ask(columns, NOON + DAY_MS, metrics="ctor", by="hour", window="day:2024-11-29")
    assert answer["nulls"]["ctor"] == {"catching_up": [1, 2, 3]}
    assert answer["rows"][0]["ctor"] == 2.0


# -- refused ---------------------------------------------------------------------------------------


def test_of_several_shops_one_must_be_named() -> None:
    columns = Columns(Settings(shops={name: ShopSettings(name) for name in ("s1", "s2")}))
    error = refusal(columns, metrics="gmv")
    assert error.reason == "shop_needed"
    assert "s1, s2" in error.mend
    assert refusal(columns, metrics="gmv", shop="s3").reason == "unknown_shop"
    assert ask(columns, metrics="gmv", shop="s2")["shop"] == "s2"


def test_a_dimension_that_a_metric_does_not_have_is_refused_with_the_nearest_that_works() -> None:
    columns = board([*ORDERS, stock("A1", 4, NOON)])
    error = refusal(columns, metrics="gmv,stock_on_hand", by="sku,day")
    assert error.reason == "no_such_dimension"
    assert "stock_on_hand" in error.what
    assert "by=sku" in error.mend
    assert refusal(columns, metrics="avg_daily_customers", by="hour").reason == "no_such_dimension"
    assert refusal(columns, metrics="gmv", by="topic").reason == "no_such_dimension"


# -- state, freshness, stock -----------------------------------------------------------------------


def test_a_day_is_provisional_then_final_and_restated_by_an_order_that_comes_after() -> None:
    columns = board(ORDERS, vouch_ms=at("2024-11-30 18:00"))
    question: dict[str, Any] = {"metrics": "gmv", "window": "day:2024-11-29"}
    assert ask(columns, at("2024-11-30 17:59"), **question)["state"] == "provisional"
    assert ask(columns, at("2024-11-30 18:00"), **question)["state"] == "final"
    restate(columns)
    assert ask(columns, at("2024-11-30 20:00"), **question)["state"] == "restated"


def test_places_of_a_restated_day_are_answered_and_have_no_amount_of_their_own() -> None:
    columns = board(ORDERS, vouch_ms=at("2024-11-30 18:00"))
    restate(columns)
    answer = ask(
        columns,
        at("2024-11-30 20:00"),
        metrics="top_selling_products,gmv",
        by="product",
        window="day:2024-11-29",
    )
    assert answer["state"] == "restated"
    assert answer["restated"] == {"gmv": 0.01}
    assert sorted(row["top_selling_products"] for row in answer["rows"]) == [1, 2]


def restate(columns: Columns) -> None:
    """Let an order of a cent arrive after its day was final."""
    late = flush_of([order("late", NOON, [line("1", "A1", 1)])], partition=1, number=1)
    facts = [fact._replace(received_at_ms=at("2024-11-30 19:00")) for fact in late.facts]
    columns.apply(flush_with(late, facts))


def flush_with(flush: Any, facts: list[Any]) -> Any:
    return type(flush)(**{name: getattr(flush, name) for name in flush.__slots__} | {"facts": facts})


def test_records_in_are_the_sum_of_outcomes() -> None:
    columns = board([*ORDERS, stock("A1", 4, NOON)])
    assert only_row(columns, metrics="records_in") == {"records_in": 4}
    assert ask(columns, metrics="records_in", by="topic,outcome")["rows"] == [
        {"topic": "orders", "outcome": "counted", "records_in": 3},
        {"topic": "stock", "outcome": "counted", "records_in": 1},
    ]


def test_lag_and_as_of_are_those_of_the_required_topics() -> None:
    columns = board([*ORDERS, stock("A1", 4, NOON)])
    now_ms = NOON + DAY_MS + 2_500
    assert only_row(columns, now_ms, metrics="today_lag_seconds,view_as_of") == {
        "today_lag_seconds": 2.5,
        "view_as_of": NOON + DAY_MS,
    }
    rows = ask(columns, now_ms, metrics="today_lag_seconds", by="topic")["rows"]
    assert rows == [
        {"topic": "orders", "today_lag_seconds": 2.5},
        {"topic": "stock", "today_lag_seconds": 86_402.5},
    ]
    answer = ask(Columns(settings()), metrics="today_lag_seconds", shop=SHOP)
    assert answer["nulls"] == {"today_lag_seconds": {"no_source": [0]}}


def test_stock_stands_beside_sales_by_sku_and_a_product_takes_the_sum_and_the_worst() -> None:
    events = [*ORDERS, stock("A1", 4, NOON), stock("A2", 0, NOON), stock("A2", 3, NOON, warehouse="w2")]
    columns = board(events)
    now_ms = NOON + DAY_MS
    rows = ask(columns, now_ms, metrics="stock_on_hand,gmv", by="sku")["rows"]
    assert [(row["sku"], row["stock_on_hand"], row["gmv"]) for row in rows] == [
        ("A1", 4, 31.0),
        ("A2", 3, 0.0),
        ("B1", None, 5.99),
        ("B2", None, 7.0),
    ]
    by_product = ask(columns, now_ms, metrics="stock_on_hand", by="product")
    assert by_product["rows"][0] == {"product": "A", "stock_on_hand": 7}
    assert by_product["nulls"] == {"stock_on_hand": {"no_stock_record": [1]}}
    assert refusal(columns, metrics="stock_status").reason == "needs_dimension"


def test_without_a_stock_feed_stock_is_null_and_without_a_campaign_so_is_the_goal() -> None:
    answer = ask(board(ORDERS), metrics="gmv_at_risk,campaign_target,goal_progress_pct")
    assert answer["nulls"] == {
        "gmv_at_risk": {"no_source": [0]},
        "campaign_target": {"no_target": [0]},
        "goal_progress_pct": {"no_source": [0]},
    }


def test_figures_of_one_product_over_several_days_are_of_all_of_its_orders_as_they_come() -> None:
    columns = board(ORDERS)
    words = {"metrics": "gmv,orders,items_sold", "where": "product=A", "window": "all"}
    (before,) = run(columns, parse_request(words), now_ms=NOW).rows
    assert before == {"gmv": 31.0, "orders": 2, "items_sold": 3}
    late = [
        order("o4", NOON + DAY_MS, [line("1", "A1", 250)], "c3"),
        order("o5", NOON + DAY_MS, [line("1", "B1", 1)], "c3"),
        order("o6", NOON + 60, [line("1", "A2", 50)], "c3"),
    ]
    columns.apply(flush_of(late, partition=1))
    (after,) = run(columns, parse_request(words), now_ms=NOW).rows
    assert after == {"gmv": 34.0, "orders": 4, "items_sold": 5}
    nobodys = run(columns, parse_request(words | {"where": "product=Z"}), now_ms=NOW)
    assert nobodys.rows == [{"gmv": None, "orders": None, "items_sold": None}]
    assert nobodys.nulls == {name: {"unknown_id": [0]} for name in words["metrics"].split(",")}
