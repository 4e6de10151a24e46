"""The grammar of a question: what is understood, and what is refused with the nearest names."""

from __future__ import annotations

import re

import pytest

from streams.catalogue import DIMENSIONS
from streams.errors import QueryError
from streams.request import Request, parse_request


def test_a_question_is_read_with_its_defaults() -> None:
    assert parse_request({"metrics": " gmv, orders ,gmv"}) == Request(("gmv", "orders"))


def test_every_part_is_understood() -> None:
    found = parse_request(
        {
            "metrics": "gmv,orders",
            "by": "product",
            "where": "product=85123A",
            "window": "day:2011-11-25",
            "shop": "s1",
            "sort": "orders",
            "limit": "20",
            "format": "csv",
        }
    )
    assert found == Request(
        ("gmv", "orders"), ("product",), (("product", "85123A"),), "day:2011-11-25", "s1", "orders", 20, "csv"
    )


def test_filters_are_joined_by_comma_or_repeated_and_a_value_may_hold_a_comma_or_an_equals_sign() -> None:
    joined = parse_request({"metrics": "gmv", "where": "product=A,5=x,slice=affiliate"}).where
    assert joined == (("product", "A,5=x"), ("slice", "affiliate"))
    assert parse_request({"metrics": "gmv", "where": ["product=A,5=x", "slice=affiliate"]}).where == joined


def test_a_group_asks_for_its_metrics_as_columns() -> None:
    assert parse_request({"metrics": "funnel_step_rates,gmv"}).metrics == (
        "funnel_reach_to_click",
        "funnel_click_to_customer",
        "funnel_impression_to_click",
        "funnel_click_to_sku_order",
        "gmv",
    )


def test_a_space_after_the_comma_between_filters_belongs_to_neither() -> None:
    where = "product=mug, blue,  slice=shop_tab, sku=A, 7"
    found = parse_request({"metrics": "gmv", "where": where})
    assert found.where == (("product", "mug, blue"), ("slice", "shop_tab"), ("sku", "A, 7"))


def test_a_filter_may_stand_twice_and_two_slices_may_hold_at_once() -> None:
    twice = parse_request({"metrics": "gmv", "where": ["product=A", "product=A"]})
    assert twice.where == (("product", "A"), ("product", "A"))
    both = parse_request({"metrics": "gmv", "where": "slice=shop_tab,slice=seller_live"})
    assert both.where == (("slice", "shop_tab"), ("slice", "seller_live"))


@pytest.mark.parametrize(
    ("params", "reason", "says"),
    [
        ({}, "no_metrics", "metrics=gmv"),
        ({"metrics": "gvm"}, "unknown_metric", "gmv"),
        ({"metrics": "GMV"}, "unknown_metric", "Did you mean gmv"),
        ({"metrics": "gmv", "by": "Product"}, "unknown_dimension", "Did you mean product"),
        ({"metrics": "gmv", "by": "prodcut"}, "unknown_dimension", "product"),
        ({"metrics": "gmv", "wher": "a=b"}, "unknown_parameter", "where"),
        ({"metrics": "gmv", "where": "product"}, "bad_where", "where=product=85123A"),
        ({"metrics": "gmv", "where": "prodcut=A"}, "unknown_dimension", "product"),
        ({"metrics": "gmv", "where": "slice=affilate"}, "unknown_value", "affiliate"),
        ({"metrics": "gmv", "where": "status=canceled"}, "unknown_value", "cancelled"),
        ({"metrics": "cpp", "where": "price_tier=middle"}, "unknown_value", "mid"),
        ({"metrics": "gmv", "where": "day=2024-01-01"}, "bad_where", "window"),
        ({"metrics": "gmv", "where": "product=A,product=B"}, "bad_where", "Ask by=product"),
        (
            {"metrics": "gmv", "where": "leaf=shop_tab,leaf=other"},
            "bad_where",
            "leaf=shop_tab and leaf=other",
        ),
        ({"metrics": "gmv", "sort": "orders"}, "bad_sort", "gmv"),
        ({"metrics": "gmv", "sort": "ordes"}, "unknown_metric", "orders"),
        ({"metrics": "gmv", "limit": "0"}, "bad_limit", "Leave it out"),
        ({"metrics": "gmv", "limit": "\u0661"}, "bad_limit", "Leave it out"),
        ({"metrics": "gmv", "limit": "99999999999"}, "bad_limit", "Leave it out"),
        ({"metrics": "gmv", "format": "xml"}, "bad_format", "json"),
        ({"metrics": ",".join(f"m{n}" for n in range(101))}, "too_many", "several questions"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_would_be(
    params: dict[str, str], reason: str, says: str
) -> None:
    with pytest.raises(QueryError) as caught:
        parse_request(params)
    assert caught.value.reason == reason
    assert says in str(caught.value)


def test_a_name_that_only_looks_like_another_is_told_all_that_would_work() -> None:
    with pytest.raises(QueryError) as refused:
        parse_request({"metrics": "gmv", "by": "customer"})
    assert set(DIMENSIONS) <= set(re.findall(r"[a-z_]+", str(refused.value)))
    with pytest.raises(QueryError) as refused:
        parse_request({"metrics": "gvm"})
    assert str(refused.value) == "The metric 'gvm' is not known. Did you mean gmv?"
