"""A seller's own metrics: sums over sums at every aggregate, and settings that are refused with what would work."""

from __future__ import annotations

from typing import Any

import pytest

from streams.columns import Columns
from streams.errors import QueryError, SettingsError
from streams.metric import Unit
from streams.own_metrics import known_metrics, own_metric
from streams.query import parse_request, run
from streams.settings import OwnMetricSettings, Settings, ShopSettings
from streams.settings_check import checked_settings
from tests.unit.streams.boards import SHOP, at, flush_of, line, order, refund, status, traffic

DAY_1, DAY_2 = at("2024-11-28 10:00"), at("2024-11-29 10:00")


def columns_with(currency: str = "USD", **formulas: str) -> Columns:
    """Two days: 1 order of 100.00 from 4 clicks, then 3 orders of 10.00, 20.00, 30.00 from 2 clicks."""
    document = {"metrics": {name: {"formula": formula} for name, formula in formulas.items()}}
    own = checked_settings(document, place="warroom.toml").metrics
    columns = Columns(Settings(shops={SHOP: ShopSettings(SHOP, "UTC", currency)}, metrics=own))
    events: list[Any] = [order("o1", DAY_1, [line("1", "A1", 10_000)], customer="c1")]
    events += [
        order(
            f"o{number}", DAY_2 + number, [line("1", "B1", 1_000 * (number - 1), quantity=2)], customer="c2"
        )
        for number in (2, 3, 4)
    ]
    events += [traffic("product_click", DAY_1 + 60_000 * number, "u1", "A") for number in range(4)]
    events += [traffic("product_click", DAY_2 + 60_000 * number, "u2", "B") for number in range(2)]
    events += [refund("r1", "o1", "1", "A1", 2_500, DAY_2), status("o2", "cancelled", 5, DAY_2 + 9)]
    columns.apply(flush_of(events))
    columns.vouch(DAY_2 + 3_600_000)
    return columns


def asked(columns: Columns, metric: str, **words: str) -> list[Any]:
    question = parse_request(
        {"metrics": metric, "window": "all"} | words, known=known_metrics(columns.settings)
    )
    return [row[metric] for row in run(columns, question, now_ms=columns.vouched_ms).rows]


@pytest.mark.parametrize(
    ("formula", "whole", "by_day", "unit"),
    [
        ("gmv / product_clicks * 1000", 160 / 6 * 1000, [25_000, 30_000], Unit.MONEY),
        ("1000 * (gmv / product_clicks)", 160 / 6 * 1000, [25_000, 30_000], Unit.MONEY),
        ("gmv - refunds_amount", 135.0, [100.0, 35.0], Unit.MONEY),
        ("-refunds_amount", -25.0, [0.0, -25.0], Unit.MONEY),
        ("items_sold / orders", 7 / 4, [1, 2], Unit.NUMBER),
        ("sku_orders / product_clicks", 4 / 6, [1 / 4, 3 / 2], Unit.RATE),
        ("ctor * 100", 400 / 6, [25.0, 150.0], Unit.NUMBER),
        ("1 - cancel_rate", 3 / 4, [1.0, 2 / 3], Unit.RATE),
        ("orders / gmv", 4 / 160, [0.01, 0.05], Unit.NUMBER),
        ("aov_revenue * orders", 160.0, [100.0, 60.0], Unit.MONEY),
        ("(gmv / orders) / (items_sold / orders)", 160 / 7, [100.0, 10.0], Unit.MONEY),
        ("product_clicks * 2", 12, [8, 4], Unit.COUNT),
        ("gmv * 0.1 + 0.9 * gmv", 160.0, [100.0, 60.0], Unit.MONEY),
    ],
)
def test_an_own_metric_is_a_sum_over_a_sum_at_every_aggregate(
    formula: str, whole: float, by_day: list[float], unit: Unit
) -> None:
    columns = columns_with(mine=formula)
    assert asked(columns, "mine") == [pytest.approx(whole)]
    assert asked(columns, "mine", by="day") == pytest.approx(by_day)
    metric = known_metrics(columns.settings)["mine"]
    assert (metric.unit, metric.is_own) == (unit, True)


def test_money_counts_in_the_currencys_own_digits() -> None:
    columns = columns_with("JPY", per_click="gmv / product_clicks", per_yen="orders / gmv")
    assert asked(columns, "per_click") == [pytest.approx(16_000 / 6)]
    assert asked(columns, "per_yen") == [pytest.approx(4 / 16_000)]


def test_a_divisor_of_0_and_a_missing_source_are_null_with_their_reason() -> None:
    columns = columns_with(per_click="gmv / product_clicks", per_view="gmv / product_page_views")
    question = parse_request(
        {"metrics": "per_click,per_view,gmv", "by": "hour", "window": "all"},
        known=known_metrics(columns.settings),
    )
    answer = run(columns, question, now_ms=columns.vouched_ms)
    assert answer.nulls["per_view"] == {"no_source": list(range(len(answer.rows)))}
    idle = [row for row in answer.rows if not row["gmv"]]
    assert idle
    assert all(row["per_click"] is None for row in idle)
    assert set(answer.nulls["per_click"]) == {"zero_divisor"}


def test_it_is_asked_by_what_all_of_its_parts_have() -> None:
    columns = columns_with(
        per_click="gmv / product_clicks", per_showing="gmv / product_impressions", net="gmv - refunds_amount"
    )
    own = known_metrics(columns.settings)
    assert "sku" in own["net"].dims
    assert "sku" in own["per_click"].dims
    assert "sku" not in own["per_showing"].dims
    assert own["per_click"].topics == ("orders", "clicks")
    assert asked(columns, "per_click", by="product", sort="per_click") == [30.0, 25.0]
    with pytest.raises(QueryError) as refused:
        asked(columns, "per_showing", by="sku")
    assert refused.value.reason == "no_cube"


def test_two_sets_of_settings_in_one_process_know_their_own_metrics_alone() -> None:
    one, other = columns_with(mine="gmv / orders"), columns_with(mine="orders / gmv")
    assert asked(one, "mine") == [40.0]
    assert asked(other, "mine") == [0.025]
    with pytest.raises(QueryError, match="mine"):
        run(
            columns_with(),
            parse_request({"metrics": "mine"}, known=known_metrics(one.settings)),
            now_ms=DAY_2,
        )


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("gmv * refunds_amount", "money by money"),
        ("gmv * orders", "no sum over a sum"),
        ("ctr / ctor", "no sum over a sum"),
        ("gmv / orders / items_sold", "no sum over a sum"),
        ("ctr + atc_rate", "different divisors"),
        ("gmv + orders", "mixes money and count"),
        ("gmv + 5", "mixes money and a number"),
        ("aov_revenue - 1", "mixes money / count and a number"),
        ("unique_clicks + est_customers", "twice"),
        ("gmw / orders", "'gmw' is no metric"),
        ("avg_daily_customers / orders", "no sum and no ratio of sums"),
        ("stock_on_hand / orders", "no sum and no ratio of sums"),
        ("goods / orders", "'goods' is no metric"),
        ("gmv / 0", "divides by 0"),
        ("gmv / (orders - orders)", "divides by 0"),
        ("gmv - gmv", "always 0"),
        ("5 / orders", "no metric above the line"),
        ("3 * 4", "no metric above the line"),
        ("gmv / gmv", "no metric above the line"),
        ("", "ends too early"),
        ("gmv /", "ends too early"),
        ("(gmv", "ends too early"),
        ("gmv)", "')' at character 4"),
        ("gmv orders", "'orders' at character 5"),
        ("gmv ** 2", "'*' at character 6"),
        ("gmv; import os", "';' at character 4"),
        ("__import__('os')", "at character 12"),
        ("gmv / 1_000", "'_000' at character 8"),
        ("gmv / ٣", "at character 7"),
        ("(" * 5_000 + "gmv" + ")" * 5_000, "longer than"),
        ("(" * 200 + "gmv" + ")" * 200, "brackets within"),
        ("-" * 300 + "gmv", "signs in a row"),
    ],
)
def test_what_is_no_sum_over_a_sum_is_refused_at_start_with_key_value_and_mend(
    formula: str, said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        checked_settings({"metrics": {"mine": {"formula": formula}}}, place="warroom.toml")
    assert refused.value.what.startswith("warroom.toml: metrics.mine.formula = ")
    assert formula[:100] in refused.value.what
    assert said in refused.value.what
    assert refused.value.mend


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"gmv": {"formula": "orders"}}, "name of a metric"),
        ({"funnel_step_rates": {"formula": "orders"}}, "name of a group"),
        ({"product": {"formula": "orders"}}, "name of a dimension"),
        ({"GMV per view": {"formula": "orders"}}, "is no id"),
        ({"other": {"formula": "mine / orders"}, "mine": {"formula": "gmv"}}, "'mine' is no metric"),
        ({"mine": {"title": "x"}}, "has no formula"),
        ({"mine": {"formula": 5}}, "has no formula"),
        ({"mine": {"formula": "gmv", "unit": "x"}}, "unit is not a setting"),
        ({"mine": "gmv"}, "has no formula"),
        ("gmv", "has no formula"),
        ({f"m{number}": {"formula": "gmv"} for number in range(201)}, "200 are allowed"),
    ],
)
def test_a_table_that_is_no_metric_is_refused_with_its_place(tables: Any, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        checked_settings({"metrics": tables}, place="warroom.toml")
    assert refused.value.what.startswith("warroom.toml: ")
    assert said in refused.value.what
    assert refused.value.mend


def test_a_title_and_what_it_is_for_are_the_sellers_words() -> None:
    named = own_metric("mine", OwnMetricSettings("gmv/orders", "Basket", "What a basket brings.", "Bundle."))
    assert (named.title, named.definition, named.advice) == ("Basket", "What a basket brings.", "Bundle.")
    bare = own_metric("mine", OwnMetricSettings(" gmv/orders "))
    assert (bare.title, bare.definition) == ("mine", "gmv/orders, summed first.")
