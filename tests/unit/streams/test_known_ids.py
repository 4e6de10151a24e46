"""A filter by an id that no record names gives no zero: it is a slip of the key, and says so."""

from __future__ import annotations

from typing import Any

import pytest

from streams import known_ids
from streams.columns import Columns
from streams.events import Campaign, Product, Source, SubCampaign
from streams.explain import explain, parse_explain
from streams.known_ids import is_known
from tests.unit.streams.asking import answer, rows, value, why
from tests.unit.streams.boards import (
    CREATOR,
    LIVE,
    SHOP,
    at,
    board,
    line,
    order,
    refund,
    stock,
    traffic,
)
from tests.unit.streams.events import account, ad, checkout, content, engagement, follower, total, violation

NOON = at("2024-11-29 12:00")
NOW = NOON + 3_600_000
ZOE = Source("affiliate", "video", "feed", False, creator_id="zoe", content_id="video-9")


def sold() -> list[Any]:
    return [
        order("o", NOON, [line("1", "A", 1_000, source=CREATOR)]),
        traffic("product_click", NOON, "u", "A", LIVE),
    ]


def shop(*more: Any) -> Columns:
    return board([*sold(), *more], vouch_ms=NOW)


def card(product_id: str, *skus: str) -> Product:
    return Product(
        event_id=f"card-{product_id}",
        event_type="product",
        shop_id=SHOP,
        occurred_at_ms=NOON,
        product_id=product_id,
        name="Mug",
        category="",
        sku_ids=list(skus),
        price_minor=100,
    )


def campaign(*subs: str, products: tuple[str, ...] = ()) -> Campaign:
    return Campaign(
        event_id="bf",
        event_type="campaign",
        shop_id=SHOP,
        occurred_at_ms=NOON,
        campaign_id="bf",
        name="Friday",
        starts_at_ms=NOON,
        ends_at_ms=NOW,
        joined_at_ms=0,
        version=1,
        product_ids=list(products),
        sub_campaigns=[SubCampaign(id=each, name=each, joined=True) for each in subs],
    )


@pytest.mark.parametrize(
    "where",
    [
        *("product=nosuch", "sku=nosuch", "content=nosuch", "creator=nosuch", "variant=nosuch"),
        *("sub_campaign=nosuch", "territory=nosuch", "product=nosuch,slice=seller_live"),
    ],
)
@pytest.mark.parametrize("metric", ["gmv", "orders", "items_sold", "refunds_amount"])
def test_an_id_that_no_record_names_is_null_and_never_zero(metric: str, where: str) -> None:
    back = refund("r", "o", "1", "A", 500, NOON)
    assert why(shop(back), metric, now_ms=NOW, where=where) == "unknown_id"


@pytest.mark.parametrize("metric", ["product_clicks", "ctor", "unique_clicks", "est_customers"])
def test_traffic_and_rates_of_an_unknown_product_say_that_it_is_unknown(metric: str) -> None:
    assert why(shop(), metric, now_ms=NOW, where="product=nosuch") == "unknown_id"
    assert value(shop(), metric, now_ms=NOW, where="product=A") == 1


def test_every_row_of_an_unknown_id_is_null() -> None:
    found = answer(shop(), "gmv", "slice", now_ms=NOW, where="sku=nosuch")
    assert found.nulls["gmv"] == {"unknown_id": list(range(8))}
    assert rows(shop(), "gmv", "day", now_ms=NOW, where="sku=nosuch") == [("2024-11-29", None)]


def test_an_unknown_id_has_its_own_row_by_its_dimension_and_the_reason_there() -> None:
    found = answer(shop(), "gmv,ctor", "product", now_ms=NOW, where="product=nosuch")
    assert found.rows == [{"product": "nosuch", "gmv": None, "ctor": None}]
    assert found.nulls == {"gmv": {"unknown_id": [0]}, "ctor": {"unknown_id": [0]}}
    by_day = answer(shop(), "gmv", "day,product,slice", now_ms=NOW, where="product=nosuch,slice=shop_tab")
    assert by_day.rows == [{"day": "2024-11-29", "product": "nosuch", "slice": "shop_tab", "gmv": None}]
    assert by_day.nulls == {"gmv": {"unknown_id": [0]}}


def test_a_known_id_that_sold_nothing_has_a_row_of_its_own_too() -> None:
    later = at("2024-11-30 12:00")
    columns = board([*sold(), order("o2", later, [line("1", "B", 1_000)])], vouch_ms=later)
    assert rows(columns, "gmv", "product", now_ms=later, where="product=A", window="today") == [("A", 0)]
    assert rows(columns, "gmv", "product", now_ms=later, where="product=B", window="today") == [("B", 10)]


def test_a_list_of_what_an_unknown_id_has_is_empty_and_says_why() -> None:
    found = answer(shop(), "gmv,product_clicks", "creator", now_ms=NOW, where="product=nosuch")
    assert found.rows == []
    assert found.nulls == {"gmv": {"unknown_id": []}, "product_clicks": {"unknown_id": []}}
    assert found.document()["unknown"] == ["product=nosuch"]
    assert "gmv: no rows, unknown_id (no record names product=nosuch)" in found.table()


def test_a_missing_value_is_not_called_partial() -> None:
    name, words = "avg_daily_customers", {"window": "today"}
    assert answer(shop(), name, now_ms=NOW, **words).partial == {name: [0]}
    missing = answer(shop(), name, now_ms=NOW, where="product=nosuch", **words)
    assert (missing.rows, missing.partial) == ([{name: None}], {})


def test_of_several_filters_those_that_no_record_names_are_told() -> None:
    found = answer(shop(), "gmv", now_ms=NOW, where="product=A,territory=FR,slice=affiliate,sku=\x1bA")
    assert found.unknown == ("territory=FR", "sku=\x1bA")
    assert "gmv: unknown_id in 1 rows (no record names territory=FR or sku=\\x1bA)" in found.table()
    assert answer(shop(), "gmv", now_ms=NOW, where="product=A,sku=A").document().keys() & {"unknown"} == set()


def test_a_list_of_what_no_source_feeds_or_is_still_to_come_says_why_it_is_empty() -> None:
    fed = answer(shop(), "gmv,product_impressions", "creator", now_ms=NOW, where="product=nosuch")
    assert fed.nulls == {"gmv": {"unknown_id": []}, "product_impressions": {"no_source": []}}
    unfed = answer(shop(), "product_impressions", "day", now_ms=NOW)
    assert (unfed.rows, unfed.nulls) == ([], {"product_impressions": {"no_source": []}})
    ahead = answer(shop(), "gmv", "product", now_ms=NOW, window="day:2024-12-24")
    assert (ahead.rows, ahead.nulls) == ([], {"gmv": {"not_begun": []}})


def test_a_list_of_a_known_id_that_has_nothing_is_empty_without_a_reason() -> None:
    found = answer(shop(card("Q")), "gmv,product_clicks,ctor", "creator", now_ms=NOW, where="product=Q")
    assert (found.rows, found.nulls) == ([], {})


@pytest.mark.parametrize("by", ["sub_campaign", "variant", "day,sub_campaign", "sub_campaign,slice"])
def test_a_list_by_what_no_record_names_says_so_where_there_is_something_to_tell_apart(by: str) -> None:
    found = answer(shop(), "gmv", by, now_ms=NOW, where="product=A")
    assert (found.rows, found.nulls) == ([], {"gmv": {"not_told": []}})


def test_a_list_by_sku_of_events_that_name_none_says_so() -> None:
    found = answer(shop(), "product_clicks", "sku", now_ms=NOW)
    assert (found.rows, found.nulls) == ([], {"product_clicks": {"source_gives_no_skus": []}})
    assert found.coverage == {"product_clicks": 0}


@pytest.mark.parametrize(
    ("record", "where"),
    [
        (card("Q"), "product=Q"),
        (card("Q", "Q-1"), "sku=Q-1"),
        (campaign(products=("Q",)), "product=Q"),
        (campaign("doorbusters"), "sub_campaign=doorbusters"),
        (content("L9", "live_started", NOON), "content=L9"),
        (content("V9", "published", NOON, creator="zoe"), "creator=zoe"),
        (content("V9", "published", NOON, "Q"), "product=Q"),
        (content("V9", "published", NOON, variant="hook"), "variant=hook"),
        (engagement("L9", NOON, 5, territory="GB"), "content=L9"),
        (engagement("L9", NOON, 5, territory="GB"), "territory=GB"),
        (violation("v", "opened", NOON, "L9"), "content=L9"),
        (account("zoe-account", "affiliate", NOON, creator_id="zoe"), "creator=zoe"),
        (stock("Q1", 5, NOON), "sku=Q1"),
        (stock("Q1", 5, NOON), "product=Q"),
        (checkout("k", NOON, "Q"), "product=Q"),
        (total(NOON, product="Q"), "product=Q"),
        (ad("acc", "ad-1", NOON, 100, 100, product_id="Q"), "product=Q"),
        (ad("acc", "ad-1", NOON, 100, 100, creator_id="zoe"), "creator=zoe"),
        (refund("r", "other", "1", "Q", 500, NOON), "product=Q"),
        (traffic("product_impression", NOON, "u", "Q"), "product=Q"),
        (traffic("product_click", NOON, "u", "Q", sku_id="Q-7"), "sku=Q-7"),
        (traffic("product_click", NOON, "u", "Q", ZOE), "creator=zoe"),
        (traffic("product_click", NOON, "u", "Q", ZOE), "content=video-9"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.event_type,
)
def test_an_id_known_from_one_record_alone_has_sold_nothing(record: Any, where: str) -> None:
    assert value(shop(record), "gmv", now_ms=NOW, where=where) == 0
    assert why(shop(), "gmv", now_ms=NOW, where=where) == "unknown_id"


@pytest.mark.parametrize(
    ("record", "dim", "value"),
    [
        (follower("shop-account", 5, NOON), "account", "shop-account"),
        (account("zoe-account", "affiliate", NOON), "account", "zoe-account"),
        (ad("acc", "ad-1", NOON, 100, 100), "ad", "ad-1"),
        (ad("acc", "ad-1", NOON, 100, 100), "ad_account", "acc"),
        (engagement("L9", NOON, 5, age_band="18-24"), "age_band", "18-24"),
        (engagement("L9", NOON, 5, gender="f"), "gender", "f"),
    ],
)
def test_accounts_ads_and_groups_of_viewers_are_known_by_their_records(
    record: Any, dim: str, value: str
) -> None:
    assert is_known(shop(record), SHOP, dim, value)
    assert not is_known(shop(), SHOP, dim, value)


def test_what_sold_yesterday_has_sold_nothing_today() -> None:
    earlier = order("p", at("2024-11-28 12:00"), [line("1", "B", 700)])
    columns = shop(earlier)
    for dim, name in (("product", "B"), ("sku", "B")):
        assert value(columns, "gmv", now_ms=NOW, where=f"{dim}={name}", window="today") == 0
    assert value(columns, "ctor", now_ms=NOW, where="product=B", window="today") is None
    assert why(columns, "ctor", now_ms=NOW, where="product=B", window="today") == "zero_divisor"


def test_a_topic_without_a_source_stays_the_reason() -> None:
    assert why(shop(), "product_impressions", now_ms=NOW, where="product=nosuch") == "no_source"


def test_a_figure_that_is_there_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look(_columns: Columns, _shop_id: str, dim: str, name: str) -> bool:
        asked.append(f"{dim}={name}")
        return False

    monkeypatch.setattr(known_ids, "_is_known", look)
    assert value(shop(), "gmv", now_ms=NOW, where="product=A") == 10
    assert asked == []
    assert why(shop(), "gmv", now_ms=NOW, where="product=nosuch") == "unknown_id"
    assert asked == ["product=nosuch"]


def test_an_explanation_of_an_unknown_id_says_what_mends_it() -> None:
    cell = parse_explain({"metric": "gmv", "where": "sku=A-nosuch", "window": "all"})
    told = explain(shop(), cell, now_ms=NOW)["null"]
    assert told["reason"] == "unknown_id"
    assert "names the id" in told["says"]
    assert "Look at the id again" in told["mend"]


def test_a_comparison_of_an_unknown_id_is_null_on_both_sides() -> None:
    found = answer(shop(), "gmv", now_ms=NOW, where="sku=nosuch", window="today", compare="yesterday")
    assert set(found.rows[0].values()) == {None}
    assert "unknown_id" in found.nulls["gmv"]
