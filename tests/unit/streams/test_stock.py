"""The stock table: levels, statuses, horizons and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.events import Campaign, Fact, Product
from streams.settings import ShopSettings, StockSettings
from streams.staleness import stale_topics
from streams.stock import SkuStock, StockStatus, by_product, stock_table
from tests.unit.streams.boards import SHOP, at, board, heartbeat, line, order, stock

NOW = at("2024-11-29 12:00")
SETTINGS = StockSettings()


def sales(sku: str, per_hour: int, hours: float, *, until_ms: int = NOW, **more: Any) -> list[Fact]:
    """Return orders of one unit of 10.00 each, evenly spread, the last half a step before the end."""
    step = HOUR_MS // per_hour
    return [
        order(
            f"{sku}-{number}",
            until_ms - step // 2 - number * step,
            [line("1", sku, 1000, **more)],
            customer=f"c{number}",
        )
        for number in range(int(hours * per_hour))
    ]


def test_one_customer_who_orders_ten_times_is_one_buyer() -> None:
    again = [order(f"r{n}", NOW - n * MINUTE_MS, [line("1", "A1", 1000)], customer="c1") for n in range(10)]
    other = order("o", NOW - 90 * MINUTE_MS, [line("1", "A1", 1000, quantity=100)], customer="c2")
    early = order("e", NOW - 121 * MINUTE_MS, [line("1", "A1", 1000)], customer="c3")
    assert table([*again, other, early, stock("A1", 50, NOW)])["A1"].recent_buyers == 2


def campaign(ends_at_ms: int, *products: str, **more: Any) -> Campaign:
    values: dict[str, Any] = {"campaign_id": "c1", "version": 1, "starts_at_ms": NOW - 12 * HOUR_MS} | more
    return Campaign(
        event_id=f"campaign-{values['campaign_id']}",
        event_type="campaign",
        shop_id=SHOP,
        occurred_at_ms=NOW - DAY_MS,
        name="Friday",
        ends_at_ms=ends_at_ms,
        joined_at_ms=0,
        product_ids=list(products),
        **values,
    )


def product(product_id: str, *skus: str, **more: Any) -> Product:
    values: dict[str, Any] = {"name": "Linen dress", "price_minor": 2500, "version": 1} | more
    return Product(
        event_id=f"product-{product_id}",
        event_type="product",
        shop_id=SHOP,
        occurred_at_ms=NOW - DAY_MS,
        product_id=product_id,
        category="dresses",
        sku_ids=list(skus),
        **values,
    )


def table(
    events: Sequence[Fact], *, as_of_ms: int = NOW, stale: frozenset[str] | None = frozenset(), **shop: Any
) -> dict[str, SkuStock]:
    columns = board(events, vouch_ms=as_of_ms, **shop)
    rows = stock_table(columns, ShopSettings(SHOP, "UTC", **shop), SETTINGS, as_of_ms=as_of_ms, stale=stale)
    return {row.sku_id: row for row in rows}


STEADY = sales("A1", 10, 48)


def test_levels_of_warehouses_add_up_and_the_as_of_is_the_newest_record() -> None:
    row = table(
        [
            stock("A1", 30, NOW - HOUR_MS, warehouse="east"),
            stock("A1", 99, NOW - 2 * HOUR_MS, warehouse="west"),
            stock("A1", 12, NOW - MINUTE_MS, warehouse="west"),
        ]
    )["A1"]
    assert (row.on_hand, row.stock_as_of_ms) == (42, NOW - MINUTE_MS)


def test_a_feed_of_each_sale_holds_the_sales_already() -> None:
    assert table([*STEADY, stock("A1", 30, NOW - HOUR_MS)])["A1"].on_hand == 30


def test_a_periodic_feed_is_less_the_units_sold_since_its_record() -> None:
    row = table([*STEADY, stock("A1", 30, NOW - HOUR_MS)], stock_feed="periodic")["A1"]
    assert row.on_hand == 20


def test_a_level_below_zero_shows_as_oversold_and_is_out_of_stock() -> None:
    row = table([*STEADY, stock("A1", -4, NOW - MINUTE_MS)])["A1"]
    assert (row.on_hand, row.status) == (-4, StockStatus.OUT_OF_STOCK)
    assert (row.hours_to_stockout, row.eta_ms) == (0, None)


def test_a_sku_that_sells_out_before_the_campaign_ends_is_at_risk() -> None:
    row = table([*STEADY, stock("A1", 30, NOW - MINUTE_MS), campaign(NOW + 12 * HOUR_MS, "A")])["A1"]
    assert row.status is StockStatus.AT_RISK
    assert row.hours_to_stockout == pytest.approx(3, rel=0.1)
    assert row.eta_ms is not None
    assert row.eta_low_ms is not None
    assert row.eta_high_ms is not None
    assert row.eta_ms == pytest.approx(NOW + 3 * HOUR_MS, abs=20 * MINUTE_MS)
    assert NOW < row.eta_low_ms < row.eta_ms < row.eta_high_ms
    # 120 wanted until midnight, 30 there: 90 to add, 90 x 10.00 at risk.
    assert row.replenish_units == pytest.approx(90, abs=10)
    assert row.gmv_at_risk_minor == pytest.approx(90_000, rel=0.1)
    assert row.gmv_at_risk_low_minor < row.gmv_at_risk_minor < row.gmv_at_risk_high_minor


def test_a_sku_that_outlasts_the_campaign_is_healthy_and_nothing_is_at_risk() -> None:
    row = table([*STEADY, stock("A1", 300, NOW - MINUTE_MS), campaign(NOW + 12 * HOUR_MS, "A")])["A1"]
    assert row.status is StockStatus.HEALTHY
    assert (row.replenish_units, row.gmv_at_risk_minor) == (0, 0)
    assert row.hours_to_stockout == pytest.approx(30, rel=0.1)


def test_without_a_campaign_the_horizon_is_seven_days() -> None:
    row = table([*STEADY, stock("A1", 1000, NOW - MINUTE_MS)])["A1"]
    assert row.horizon_hours == 7 * 24
    assert row.campaign_id == ""
    assert row.status is StockStatus.AT_RISK


def test_of_two_campaigns_the_one_that_ends_last_sets_the_horizon() -> None:
    row = table(
        [
            *STEADY,
            stock("A1", 50, NOW - MINUTE_MS),
            campaign(NOW + 2 * HOUR_MS, "A", campaign_id="c1"),
            campaign(NOW + 9 * HOUR_MS, "A", campaign_id="c2"),
        ]
    )["A1"]
    assert (row.campaign_id, row.horizon_hours) == ("c2", 9)


def test_a_campaign_of_other_products_does_not_set_the_horizon() -> None:
    row = table([*STEADY, stock("A1", 50, NOW - MINUTE_MS), campaign(NOW + HOUR_MS, "B")])["A1"]
    assert row.horizon_hours == 7 * 24


def test_after_the_campaign_stock_is_shown_and_nothing_projected() -> None:
    row = table([*STEADY, stock("A1", 5, NOW - MINUTE_MS), campaign(NOW - HOUR_MS, "A")])["A1"]
    assert (row.on_hand, row.status, row.eta_ms, row.hours_to_stockout) == (
        5,
        StockStatus.HEALTHY,
        None,
        None,
    )
    assert (row.gmv_at_risk_minor, row.replenish_units, row.horizon_hours) == (0, 0, 0)


def test_what_does_not_sell_has_no_time_of_stock_out() -> None:
    row = table([stock("A1", 5, NOW - MINUTE_MS), *sales("B1", 10, 48)])["A1"]
    assert (row.velocity_per_h, row.hours_to_stockout, row.status) == (0, None, StockStatus.HEALTHY)


@pytest.mark.parametrize(
    ("events", "stale", "because"),
    [
        (STEADY, frozenset(), "no_record"),
        ([*STEADY, stock("A1", 5, NOW - 25 * HOUR_MS)], frozenset(), "old_record"),
        ([*STEADY, stock("A1", 5, NOW)], frozenset({"stock"}), "stale_stock"),
        ([*STEADY, stock("A1", 5, NOW)], frozenset({"orders"}), "stale_orders"),
        ([*STEADY, stock("A1", 0, NOW)], frozenset({"stock"}), "stale_stock"),
    ],
)
def test_what_is_not_known_is_never_shown_as_healthy(
    events: list[Fact], stale: frozenset[str], because: str
) -> None:
    row = table(events, stale=stale)["A1"]
    assert (row.status, row.unknown_because) == (StockStatus.UNKNOWN, because)
    assert (row.eta_ms, row.hours_to_stockout, row.gmv_at_risk_minor) == (None, None, 0)


def test_an_old_record_of_a_sku_that_does_not_sell_is_still_its_level() -> None:
    row = table([stock("A1", 5, NOW - 25 * HOUR_MS), *sales("B1", 10, 1)])["A1"]
    assert (row.status, row.on_hand) == (StockStatus.HEALTHY, 5)


def test_hours_out_of_stock_do_not_lower_the_speed() -> None:
    out_ms = NOW - 5 * HOUR_MS
    row = table(
        [
            *sales("A1", 10, 43, until_ms=out_ms),
            *sales("B1", 10, 48),
            stock("A1", 430, NOW - 48 * HOUR_MS),
            stock("A1", 0, out_ms),
        ]
    )["A1"]
    assert row.status is StockStatus.OUT_OF_STOCK
    assert row.out_since_ms == out_ms
    assert row.velocity_per_h == pytest.approx(10, rel=0.15)
    assert row.recent_buyers == 20
    # Seven days at ten an hour are lost.
    assert row.gmv_at_risk_minor == pytest.approx(7 * 24 * 10 * 1000, rel=0.15)


def test_the_stock_out_began_with_the_first_record_at_zero_not_with_the_last() -> None:
    began = NOW - 40 * MINUTE_MS
    row = table([stock("A1", 7, NOW - HOUR_MS), stock("A1", 0, began), stock("A1", -2, NOW - MINUTE_MS)])[
        "A1"
    ]
    assert row.out_since_ms == began


def test_one_empty_warehouse_is_not_a_stock_out() -> None:
    row = table(
        [
            *STEADY,
            stock("A1", 300, NOW - 47 * HOUR_MS, warehouse="east"),
            stock("A1", 0, NOW - 10 * HOUR_MS, warehouse="west"),
        ]
    )["A1"]
    assert (row.status, row.on_hand, row.out_since_ms) == (StockStatus.AT_RISK, 300, None)
    assert row.velocity_per_h == pytest.approx(10, rel=0.1)


def test_a_sku_on_a_product_card_is_listed_before_its_first_record_or_sale() -> None:
    row = table([product("A", "A1", "A2"), stock("A1", 5, NOW)])["A2"]
    assert (row.status, row.on_hand, row.product_id) == (StockStatus.UNKNOWN, None, "A")


def test_a_sku_is_called_by_product_and_variant() -> None:
    rows = table([product("A", "A-M", "A-L"), product("B", "B1", name="Scarf")])
    assert {row.name for row in rows.values()} == {"Linen dress / M", "Linen dress / L", "Scarf"}


def test_skus_of_a_deleted_product_are_left_out() -> None:
    assert table([product("A", "A1", status="deleted"), stock("A1", 5, NOW)]) == {}


def test_the_price_is_the_mean_paid_with_shipping_where_gmv_has_it() -> None:
    events = [
        order("1", NOW - MINUTE_MS, [line("1", "A1", 3000, quantity=3, shipping=300)]),
        order("2", NOW - MINUTE_MS, [line("1", "A1", 900)]),
    ]
    assert table(events)["A1"].price_minor == (3300 + 900) / 4
    assert table(events, gmv_includes_shipping=False)["A1"].price_minor == (3000 + 900) / 4


def test_a_product_takes_its_worst_sku() -> None:
    rows = table(
        [
            *STEADY,
            *sales("A2", 10, 48),
            stock("A1", 0, NOW - MINUTE_MS),
            stock("A2", 30, NOW - MINUTE_MS),
            stock("A3", 10, NOW - MINUTE_MS),
            stock("B1", 10, NOW - MINUTE_MS),
        ]
    )
    first, second = by_product(rows.values())
    assert (first.product_id, first.status, first.on_hand) == ("A", StockStatus.OUT_OF_STOCK, 40)
    assert (first.skus, first.skus_at_risk) == (3, 2)
    assert (second.product_id, second.status) == ("B", StockStatus.HEALTHY)


def test_the_shape_of_earlier_days_is_the_shops_own_once_it_has_sold_enough() -> None:
    busy = [
        order(f"y{hour}-{n}", at("2024-11-28 00:00") + hour * HOUR_MS + n, [line("1", "B1", 100)])
        for hour in range(24)
        for n in range(30 if hour >= 18 else 10)
    ]
    events = [*sales("A1", 10, 12), *busy, stock("A1", 50, NOW)]
    assert table(events)["A1"].shape == "own"
    assert table([*sales("A1", 10, 12), stock("A1", 50, NOW)])["A1"].shape == "flat"


def test_a_first_day_that_began_at_noon_does_not_make_the_afternoon_look_busy() -> None:
    # Ten an hour from noon of the day before yesterday on, without a break.
    row = table([*STEADY, stock("A1", 100, NOW)])["A1"]
    assert row.shape == "own"
    assert row.velocity_per_h == pytest.approx(10, rel=0.1)
    assert row.hours_to_stockout == pytest.approx(10, rel=0.1)


def test_the_campaigns_reference_day_gives_the_shape_where_it_is_named() -> None:
    reference = [
        order(f"r{n}", at("2024-11-01 00:00") + n * 4 * MINUTE_MS, [line("1", "B1", 100)]) for n in range(360)
    ]
    events = [
        *sales("A1", 10, 12),
        *reference,
        stock("A1", 50, NOW),
        campaign(NOW + HOUR_MS, "A", reference="2024-11-01"),
    ]
    assert table(events)["A1"].shape == "reference"


def test_late_and_unordered_records_give_the_same_table() -> None:
    events: list[Fact] = [
        *sales("A1", 10, 30),
        stock("A1", 300, NOW - 30 * HOUR_MS),
        stock("A1", 0, NOW - 20 * HOUR_MS),
        stock("A1", 200, NOW - 15 * HOUR_MS, warehouse="east"),
        stock("A1", 150, NOW - HOUR_MS, warehouse="east"),
    ]
    in_order = table(events)["A1"]
    assert (in_order.on_hand, in_order.status) == (150, StockStatus.AT_RISK)
    assert table(events[::-1]) == table(events)
    assert table([*events[100:], *events[:100]]) == table(events)


def test_a_restock_moves_the_stock_out_and_leaves_the_speed() -> None:
    before = [*sales("A1", 10, 48), stock("A1", 30, NOW - HOUR_MS)]
    first, second = table(before)["A1"], table([*before, stock("A1", 330, NOW)])["A1"]
    assert second.velocity_per_h == first.velocity_per_h
    assert second.hours_to_stockout == pytest.approx(11 * (first.hours_to_stockout or 0), rel=0.01)


def test_an_empty_shop_has_an_empty_table() -> None:
    assert table([heartbeat(["orders"], NOW)]) == {}


def stale(columns: Columns, now_ms: int, *required: str) -> frozenset[str]:
    return stale_topics(
        columns, ShopSettings(SHOP, "UTC", required_topics=required), ("orders", "stock"), now_ms=now_ms
    )


def test_a_required_topic_is_stale_after_five_minutes_of_silence() -> None:
    columns = board([order("1", NOW, [line("1", "A1", 100)]), stock("A1", 5, NOW)])
    assert stale(columns, NOW + 5 * MINUTE_MS, "orders", "stock") == frozenset()
    assert stale(columns, NOW + 5 * MINUTE_MS + 1, "orders", "stock") == {"orders", "stock"}
    assert stale(columns, NOW + 5 * MINUTE_MS + 1, "orders") == {"orders"}


def test_a_heartbeat_says_that_silence_is_no_sales() -> None:
    columns = board([order("1", NOW, [line("1", "A1", 100)]), heartbeat(["orders"], NOW + HOUR_MS)])
    assert stale(columns, NOW + HOUR_MS + MINUTE_MS, "orders") == frozenset()


def test_a_topic_that_is_often_silent_for_longer_has_that_much_time() -> None:
    quiet = [order(str(n), NOW - n * 20 * MINUTE_MS, [line("1", "A1", 100)]) for n in range(100)]
    columns = board(quiet)
    assert stale(columns, NOW + 20 * MINUTE_MS, "orders") == frozenset()
    assert stale(columns, NOW + 21 * MINUTE_MS, "orders") == {"orders"}


def test_a_required_topic_that_never_spoke_is_stale() -> None:
    assert stale(board([stock("A1", 5, NOW)]), NOW, "orders") == {"orders"}


def test_a_line_without_units_has_no_part_in_speed_and_price() -> None:
    free = [order("0", NOW - MINUTE_MS, [line("1", "A1", 100, quantity=0)])]
    paid = [order("1", NOW - MINUTE_MS, [line("1", "A1", 900)])]
    assert table(free + paid)["A1"] == table(paid)["A1"]
    assert table([*free, stock("A1", 5, NOW)])["A1"] == table([stock("A1", 5, NOW)])["A1"]


def test_a_sku_of_which_only_lines_without_units_came_keeps_nobody_from_the_table() -> None:
    lines = [line("1", "A1", 100, quantity=1), line("2", "B1", 0, quantity=0)]
    rows = table([stock("A1", 0, NOW - HOUR_MS), order("o1", NOW - 2 * HOUR_MS, lines)])
    assert rows["A1"].status is StockStatus.OUT_OF_STOCK
    assert "B1" not in rows
