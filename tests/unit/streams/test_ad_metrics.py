"""Metrics about ads, checkouts, ranks and product labels, and ready-made counts, against figures worked out by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.events import Event, Product, Source
from streams.query_labels import range_label
from streams.settings import BoardSettings, Settings
from tests.unit.streams.asking import answer, rows, value, why
from tests.unit.streams.boards import (
    CREATOR,
    LIVE,
    SHOP,
    SHOP_TAB,
    at,
    board,
    flush_of,
    line,
    order,
    refund,
    settings,
    traffic,
)
from tests.unit.streams.events import ad, checkout, engagement, selected, total

NOON = at("2024-11-29 12:00")
NOW = NOON + 6 * HOUR_MS
DAY = "day:2024-11-29"


def known(*events: Event, **more: Any) -> Columns:
    return board(list(events), vouch_ms=NOW, **more)


# -- ads


def card(product_id: str, price_minor: int, **more: Any) -> Product:
    return Product(
        event_id=f"product-{product_id}",
        event_type="product",
        shop_id=SHOP,
        occurred_at_ms=NOON - DAY_MS,
        product_id=product_id,
        name="Mug",
        category="",
        sku_ids=[],
        price_minor=price_minor,
        **more,
    )


def advertised(*more: Event) -> Columns:
    return known(
        ad("x", "1", NOON, 2_000, 9_000, impressions=4_000, clicks=80, purchases=4, new_customers=2),
        ad("x", "1", NOON + HOUR_MS, 1_000, 3_000, impressions=1_000, clicks=20, purchases=1, product_id="A"),
        ad("x", "2", NOON, 500, 0, impressions=500),
        ad("y", "3", NOON - DAY_MS, 7_000, 21_000, impressions=100, clicks=10, purchases=2),
        *more,
    )


def test_ads_are_those_of_the_primary_account_in_money_and_rates() -> None:
    columns = advertised(selected("x", 1, NOON))
    metrics = "ad_spend,ad_gross_revenue,ad_clicks,ad_impressions,ad_purchases,ad_ctr,cpc,cpp,roas"
    assert rows(columns, metrics, now_ms=NOW) == [
        (
            *(35.0, 120.0, 100, 5_500, 5),
            *(pytest.approx(100 / 5_500), pytest.approx(0.35), pytest.approx(7.0), pytest.approx(120 / 35)),
        )
    ]
    assert rows(columns, "ad_spend", "hour", now_ms=NOW, window=DAY) == [
        ("2024-11-29T12+00:00", 25.0),
        ("2024-11-29T13+00:00", 10.0),
    ]
    assert rows(columns, "ad_spend,cpp", "ad", now_ms=NOW) == [
        ("1", 30.0, pytest.approx(6.0)),
        ("2", 5.0, None),
    ]
    # What names a product is allocated to it; the rest is in no row.
    assert rows(columns, "ad_spend", "product", now_ms=NOW) == [("A", 10.0)]


def test_a_switch_of_the_primary_account_selects_the_history_of_the_new_one() -> None:
    columns = advertised(selected("x", 1, NOON), selected("y", 2, NOON + 1))
    assert value(columns, "ad_spend", now_ms=NOW) == 70.0
    assert value(columns, "ad_spend", now_ms=NOW, window=DAY) == 0
    assert rows(columns, "ad_spend", "ad_account", now_ms=NOW) == [("x", 35.0), ("y", 70.0)]
    assert value(columns, "roas", now_ms=NOW, where="ad_account=x") == pytest.approx(120 / 35)


def test_of_several_accounts_none_is_the_primary_one_by_itself() -> None:
    columns = advertised()
    assert why(columns, "ad_spend", now_ms=NOW) == "no_primary_ad_account"
    assert why(columns, "roas", now_ms=NOW) == "no_primary_ad_account"
    assert rows(columns, "ad_spend", "ad_account", now_ms=NOW) == [("x", 35.0), ("y", 70.0)]


def test_without_an_ad_there_is_no_source() -> None:
    assert why(known(), "ad_spend", now_ms=NOW) == "no_source"


def test_new_customers_cost_what_was_spent_where_they_are_told() -> None:
    assert value(advertised(selected("x", 1, NOON)), "cpp_first_time", now_ms=NOW) == pytest.approx(20 / 2)


def test_refunds_of_lines_of_the_ads_are_taken_off_the_return() -> None:
    paid = Source("seller", "video", "feed", True, account_id="s", content_id="V", ad_id="1")
    other = Source("seller", "video", "feed", True, account_id="s", content_id="V", ad_id="3")
    columns = advertised(
        selected("x", 1, NOON),
        order(
            "o",
            NOON,
            [
                line("1", "A1", 3_000, source=paid),
                line("2", "B1", 900, source=other),
                line("3", "C1", 50, source=LIVE),
            ],
        ),
        refund("r", "o", "1", "A1", 2_000, NOON + HOUR_MS, shipping_minor=400),
        refund("r", "o", "2", "B1", 900, NOON + HOUR_MS),
        refund("r", "o", "3", "C1", 50, NOON + HOUR_MS),
    )
    assert value(columns, "roas_net", now_ms=NOW) == pytest.approx((120 - 24) / 35)
    assert rows(columns, "roas_net", "ad", now_ms=NOW)[0] == ("1", pytest.approx((120 - 24) / 30))
    assert value(columns, "roas_net", now_ms=NOW, where="ad_account=y") == pytest.approx((210 - 9) / 70)


def test_a_bucket_of_another_zone_stands_in_the_hours_of_the_shop() -> None:
    columns = known(ad("x", "1", NOON, 400, 0), zone="Asia/Kathmandu")
    assert rows(columns, "ad_spend", "hour", now_ms=NOW) == [
        ("2024-11-29T17+05:45", 1.0),
        ("2024-11-29T18+05:45", 3.0),
    ]


# -- checkouts, ranks, labels


def test_a_checkout_counts_once_and_once_under_each_of_its_products_and_sources() -> None:
    columns = known(
        checkout("1", NOON, "A", "B", source=LIVE),
        checkout("2", NOON + 1, "A", source=CREATOR),
        checkout("2", NOON + 2, "A", source=CREATOR),
        *(traffic("product_page_view", NOON + number, "u", source=LIVE) for number in range(8)),
    )
    assert value(columns, "checkouts_initiated", now_ms=NOW) == 2
    assert rows(columns, "checkouts_initiated", "product", now_ms=NOW) == [("A", 2), ("B", 1)]
    assert rows(columns, "checkouts_initiated", "owner", now_ms=NOW) == [("affiliate", 1), ("own", 1)]
    assert value(columns, "pdp_to_checkout_rate", now_ms=NOW) == pytest.approx(2 / 8)
    by_slice = dict(rows(columns, "pdp_to_checkout_rate", "slice", now_ms=NOW))
    assert by_slice["seller_live"] == pytest.approx(1 / 8)


def traded() -> Columns:
    """Return a board where LIVE sells 2 of 10 clicks, creators 3 of 10, the Shop tab 1 of 10 and one of nothing."""
    events: list[Event] = []
    for source, sold, goods in ((LIVE, 2, 900), (CREATOR, 3, 500), (SHOP_TAB, 1, 5_000)):
        for number in range(10):
            event_at = NOON + number
            events.append(traffic("product_click", event_at, f"{source.surface}{number}", source=source))
            events.append(traffic("product_impression", event_at, f"{source.surface}{number}", source=source))
        events += [
            order(f"{source.surface}{number}", NOON, [line("1", "A1", goods, source=source)])
            for number in range(sold)
        ]
    return known(*events)


def test_channels_are_ranked_by_orders_per_click_and_the_whole_is_not() -> None:
    assert dict(rows(traded(), "channel_efficiency_rank", "slice", now_ms=NOW)) == {
        "all": None,
        "affiliate": 1,
        "affiliate_video": 2,
        "seller_live": 3,
        # The product card of this board stands in the Shop tab: both are equal, and go by name.
        "seller_product_card": 4,
        "shop_tab": 5,
        **dict.fromkeys(("affiliate_live", "seller_video"), None),
    }
    assert dict(rows(traded(), "channel_efficiency_rank", "owner", now_ms=NOW)) == {"affiliate": 1, "own": 2}


def test_the_best_format_of_a_product_needs_enough_clicks() -> None:
    columns = traded()
    assert rows(columns, "best_format", "product", now_ms=NOW) == [("A", None)]
    generous = Columns(Settings(shops=columns.settings.shops, board=BoardSettings(format_min_clicks=10)))
    events: list[Event] = [
        *(traffic("product_click", NOON + number, f"l{number}", source=LIVE) for number in range(10)),
        *(traffic("product_click", NOON + number, f"c{number}", source=CREATOR) for number in range(9)),
        order("1", NOON, [line("1", "A1", 5, source=LIVE)]),
        order("2", NOON, [line("1", "A1", 5, source=CREATOR)]),
    ]
    generous.apply(flush_of(events))
    generous.vouch(NOW)
    # The creator's rate is higher, of nine clicks.
    assert rows(generous, "best_format", "product", now_ms=NOW) == [("A", "seller_live")]


def test_products_and_sources_are_ranked_by_what_they_sold() -> None:
    columns = known(
        order("1", NOON, [line("1", "A1", 100, quantity=5, source=LIVE)]),
        order("2", NOON, [line("1", "B1", 900, quantity=9, source=CREATOR)]),
        order("3", NOON, [line("1", "C1", 950, quantity=9, source=CREATOR)]),
    )
    assert rows(columns, "top_selling_products", "product", now_ms=NOW) == [("A", 3), ("B", 2), ("C", 1)]
    assert rows(columns, "orders_by_source_rank", "creator", now_ms=NOW) == [("mia", 1)]
    by_leaf = dict(rows(columns, "orders_by_source_rank", "leaf", now_ms=NOW))
    assert (by_leaf["affiliate_video"], by_leaf["seller_live"], by_leaf["other"]) == (1, 2, None)


def test_ranks_of_a_day_are_of_that_day() -> None:
    columns = known(
        order("1", NOON, [line("1", "A1", 100, quantity=5)]),
        order("2", NOON, [line("1", "B1", 100, quantity=4)]),
        order("3", NOON - DAY_MS, [line("1", "B1", 100, quantity=9)]),
    )
    assert rows(columns, "top_selling_products", "day,product", now_ms=NOW) == [
        ("2024-11-28", "B", 1),
        ("2024-11-29", "A", 1),
        ("2024-11-29", "B", 2),
    ]


@pytest.mark.parametrize(
    ("amount", "label"),
    [(0, "<30k"), (29_999.99, "<30k"), (30_000, "30k-100k"), (99_999, "30k-100k"), (100_000, ">=100k")],
)
def test_a_range_holds_its_lower_end(amount: float, label: str) -> None:
    assert range_label(amount, (30_000, 100_000)) == label


def test_a_products_range_is_that_of_its_gmv_in_major_units() -> None:
    columns = known(
        order("1", NOON, [line("1", "A1", 499_999, shipping=1), line("2", "B1", 99_999)]),
    )
    assert rows(columns, "product_gmv_range", "product", now_ms=NOW) == [("A", "5k-10k"), ("B", "<1k")]


def test_a_product_carries_the_labels_of_its_card() -> None:
    def card(product: str, **more: Any) -> Product:
        return Product(
            event_id=product,
            event_type="product",
            shop_id=SHOP,
            occurred_at_ms=NOON,
            product_id=product,
            name=product,
            category="c",
            sku_ids=[],
            price_minor=1,
            version=1,
            **more,
        )

    columns = known(
        card("A", status="reviewing", rating=4.5, opportunity_matched=True),
        card("B", opportunity_matched=False),
    )
    metrics = "product_status,product_rating,product_opportunity_matched"
    assert rows(columns, metrics, "product", now_ms=NOW) == [
        ("A", "reviewing", 4.5, "matched"),
        ("B", "live", None, "not_matched"),
    ]
    assert rows(columns, "product_status", "product", now_ms=NOW, sort="product_status")
    assert value(columns, "product_rating", now_ms=NOW, where="product=A") == 4.5


def test_the_estimated_contribution_is_the_co_funding_of_the_lines() -> None:
    columns = known(
        order(
            "1",
            NOON,
            [
                line("1", "A1", 100, cofund_product_minor=30, cofund_shipping_minor=5),
                line("2", "B1", 100, cofund_product_minor=7),
            ],
        )
    )
    assert rows(columns, "est_tiktok_contribution", "product", now_ms=NOW) == [("A", 0.35), ("B", 0.07)]


# -- ready-made counts


def test_ready_made_counts_add_to_those_of_single_events() -> None:
    columns = known(
        *(traffic("product_impression", NOON + number, "u", source=LIVE) for number in range(5)),
        traffic("product_click", NOON, "u", source=LIVE),
        total(NOON, impressions=100, clicks=4, source=LIVE),
        total(NOON, impressions=50, product="B"),
        total(NOON - DAY_MS, impressions=10_000, product="B"),
    )
    assert value(columns, "product_impressions", now_ms=NOW, window=DAY) == 155
    assert rows(columns, "product_impressions", "product", now_ms=NOW, window=DAY) == [("A", 105), ("B", 50)]
    assert value(columns, "ctr", now_ms=NOW, window=DAY) == pytest.approx(5 / 155)
    by_slice = dict(rows(columns, "product_impressions", "slice", now_ms=NOW, window=DAY))
    assert (by_slice["all"], by_slice["seller_live"], by_slice["affiliate"]) == (155, 105, 0)
    shares = dict(rows(columns, "impression_share", "leaf", now_ms=NOW, window=DAY))
    assert shares["seller_live"] == pytest.approx(105 / 155)
    # Nothing says where they were shown.
    assert rows(columns, "product_impressions", "territory", now_ms=NOW, window=DAY) == []


def test_where_only_ready_made_counts_exist_people_are_not_known() -> None:
    only = known(total(NOON, impressions=100, people=80))
    assert value(only, "product_impressions", now_ms=NOW) == 100
    assert why(only, "unique_product_impressions", now_ms=NOW) == "source_gives_no_people"
    assert why(only, "product_clicks", now_ms=NOW) == "no_source"
    both = known(
        traffic("product_impression", NOON, "u", "A"),
        total(NOON, impressions=100, product="B"),
    )
    found = answer(both, "unique_product_impressions", "product", now_ms=NOW)
    assert [tuple(row.values()) for row in found.rows] == [("A", 1)]
    asked = answer(both, "unique_product_impressions,product_impressions", "product", now_ms=NOW)
    assert [tuple(row.values()) for row in asked.rows] == [("A", 1, 1), ("B", None, 100)]
    assert asked.nulls == {"unique_product_impressions": {"source_gives_no_people": [1]}}


def test_ready_made_counts_hold_the_as_of_of_what_they_feed_back() -> None:
    columns = board([traffic("product_impression", NOON, "u"), total(NOON - HOUR_MS, impressions=5)])
    as_of = answer(columns, "product_impressions", now_ms=NOW).as_of_ms
    # The total occurred at the end of its bucket.
    assert as_of == NOON - HOUR_MS + 15 * MINUTE_MS


def test_ready_made_views_stand_beside_engagement() -> None:
    columns = known(
        engagement("L", NOON, 10, likes=3), total(NOON, content_views=20, product=None, source=LIVE)
    )
    assert value(columns, "content_views", now_ms=NOW) == 30
    assert value(columns, "engagement_rate", now_ms=NOW) == pytest.approx(3 / 30)


def test_a_purchase_costs_what_the_ads_of_its_price_tier_paid_for_it() -> None:
    cards = [card("A", 2_999), card("B", 3_000), card("C", 10_000), card("D", 500, price_tier="high")]
    columns = advertised(
        selected("x", 1, NOON),
        *cards,
        *(
            ad("x", f"ad-{product}", NOON, spend, 0, purchases=purchases, product_id=product)
            for product, spend, purchases in (
                ("A", 600, 1),
                ("B", 4_000, 2),
                ("C", 9_000, 2),
                ("D", 1_000, 2),
            )
        ),
        ad("x", "nobodys", NOON, 50_000, 0, purchases=1, product_id="no-card"),
    )
    # low: 10 of the one above and 6 for 2 purchases; high: C by its price, D because its card says so.
    assert rows(columns, "cpp,ad_spend", "price_tier", now_ms=NOW) == [
        ("high", pytest.approx(25.0), 100.0),
        ("low", pytest.approx(8.0), 16.0),
        ("mid", pytest.approx(20.0), 40.0),
    ]
    assert value(columns, "cpp", now_ms=NOW, where="price_tier=mid") == pytest.approx(20.0)
    assert rows(columns, "cpp", "ad_account,price_tier", now_ms=NOW)[0] == ("x", "high", pytest.approx(25.0))
    moved = Columns(dataclasses.replace(settings(), board=BoardSettings(price_tier_edges=(31, 200))))
    moved.apply(flush_of([*cards, ad("x", "1", NOON, 100, 0, purchases=1, product_id="B")]))
    assert rows(moved, "cpp", "price_tier", now_ms=NOW) == [("low", 1.0)]


def test_ready_made_counts_alone_give_a_series_its_rows() -> None:
    columns = known(total(NOON, impressions=4), total(NOON + 2 * HOUR_MS, impressions=6))
    assert rows(columns, "product_impressions", "hour", now_ms=NOW) == [
        ("2024-11-29T12+00:00", 4),
        ("2024-11-29T13+00:00", 0),
        ("2024-11-29T14+00:00", 6),
    ]


def test_settings_of_a_board_give_the_ranges() -> None:
    assert settings().board.gmv_range_edges == (1_000, 5_000, 10_000, 30_000, 100_000)
