"""S1-39: whoever asks by a retired name is told the new one."""

from __future__ import annotations

import pytest

from streams.catalogue import METRICS
from streams.errors import QueryError
from streams.request import parse_request
from streams.retired import RETIRED, successors


@pytest.mark.parametrize(
    ("old", "now"),
    [
        ("gross_sales", ("gmv",)),
        ("Gross Sales", ("gmv",)),
        ("cart_conversion_rate", ("atc_count", "atc_rate")),
        ("Daily customers", ("est_customers",)),
        ("impressions", ("product_impressions",)),
        ("page_views", ("product_clicks",)),
    ],
)
def test_a_question_by_an_old_name_is_told_the_new_one(old: str, now: tuple[str, ...]) -> None:
    with pytest.raises(QueryError) as refused:
        parse_request({"metrics": old})
    assert refused.value.reason == "unknown_metric"
    assert f"Ask for {' and '.join(now)}." in str(refused.value)


def test_the_name_conversion_rate_is_that_of_the_new_metric() -> None:
    assert successors("conversion rate") == ("ctor",)
    assert parse_request({"metrics": "conversion_rate"}).metrics == ("conversion_rate",)


def test_every_successor_is_in_the_catalogue() -> None:
    assert {name for old in RETIRED for name in old.now} <= METRICS.keys()
