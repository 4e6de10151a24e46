"""Views: parameters, conditions on rows, limits of the vendor's pages, states, and foreign text."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest

from streams.catalogue import DIMENSIONS, METRICS
from streams.columns import Columns
from streams.errors import ComparisonError, QueryError
from streams.events import Event, Product
from streams.settings import Settings, ShopSettings, ViewSettings
from streams.view import AUTO_GRAIN, Limits, Part, Shape, View
from streams.view_answer import PartAnswer, ViewAnswer
from streams.view_labels import LABELS
from streams.views import VIEWS, run_view, view_of
from tests.unit.streams.boards import (
    CREATOR,
    LIVE,
    SHOP,
    SHOP_TAB,
    at,
    flush_of,
    line,
    order,
    stock,
    traffic,
)

NOW_MS = at("2024-11-29 18:00")
HOSTILE = '=cmd|"/C calc"!A0 \x1b[31m<script>alert(1)</script>'


def card(product_id: str, name: str, version: int = 1, **more: object) -> Product:
    values: dict[str, object] = {"category": "clothes", "sku_ids": [product_id], "price_minor": 2500} | more
    return Product(
        event_id=f"card-{product_id}-{version}",
        event_type="product",
        shop_id=SHOP,
        occurred_at_ms=at("2024-11-01 00:00"),
        product_id=product_id,
        name=name,
        version=version,
        **values,  # type: ignore[arg-type] # fields by name
    )


def board(*events: Event, settings: Settings | None = None) -> Columns:
    shop = ShopSettings(SHOP, "UTC", "USD")
    columns = Columns(dataclasses.replace(settings or Settings(), shops={SHOP: shop}))
    columns.apply(flush_of(list(events)))
    columns.vouch(NOW_MS)
    return columns


def sales() -> list[Event]:
    """Two products today: A by LIVE and in the Shop tab, B by a creator; C is shown and not sold."""
    noon = at("2024-11-29 12:00")
    return [
        order("o1", noon, [line("1", "A", 3000, source=LIVE)], "c1"),
        order(
            "o2",
            noon + 60_000,
            [line("1", "A", 1000, source=SHOP_TAB), line("2", "B", 2000, source=CREATOR)],
            "c2",
        ),
        order("o3", noon + 120_000, [line("1", "B", 2000, source=CREATOR)], "c3"),
        *(traffic("product_impression", noon + index, f"u{index}", "A", LIVE) for index in range(10)),
        *(traffic("product_click", noon + index, f"u{index}", "A", LIVE) for index in range(4)),
        traffic("product_impression", noon, "u1", "C", SHOP_TAB),
        traffic("product_click", noon, "u9", "B", CREATOR),
        card("A", "Linen dress"),
        card("B", "Cotton shirt"),
    ]


def answer(columns: Columns, name: str, **words: str) -> ViewAnswer:
    return run_view(columns, VIEWS[name], words, now_ms=NOW_MS)


def part(columns: Columns, name: str, part_name: str, **words: str) -> PartAnswer:
    (found,) = answer(columns, name, part=part_name, **words).parts
    return found


def rows(found: PartAnswer) -> list[dict[str, object]]:
    assert found.answer is not None, found.refused
    return found.answer.rows


# -- records ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_a_view_names_what_there_is(view: View) -> None:
    parameters = {parameter.name for parameter in view.parameters}
    assert len({each.name for each in view.parts}) == len(view.parts)
    for each in view.parts:
        metrics = {*each.metrics, *each.choices, *each.sort, *each.banded, *dict(each.about)}
        assert metrics <= METRICS.keys(), f"{each.name}: {metrics - METRICS.keys()}"
        assert set(each.by) - {AUTO_GRAIN} <= DIMENSIONS.keys()
        assert not each.labels or each.labels in each.by
        labels = LABELS[each.labels][0] if each.labels else ()
        for option in each.options:
            assert option.parameter in {*parameters, ""}
            assert option.column in {*METRICS, *labels}
        assert each.when is None or each.when[0] in parameters
        assert each.title
        assert each.empty.endswith(".")
    assert view.answers.endswith("?")
    assert view.sources


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_every_view_answers_also_where_nothing_is_known_but_the_shop(view: View) -> None:
    words = {each.name: "A" for each in view.parameters if each.required}
    document = run_view(board(), view, words, now_ms=NOW_MS).document()
    json.dumps(document, allow_nan=False)
    for found in document["parts"]:
        for metric in found["metrics"]:
            for row in found["rows"]:
                assert row[metric["metric"]] is None or metric["unit"] in ("seconds", "count")


def test_only_views_that_copy_a_page_have_limits() -> None:
    assert [view.name for view in VIEWS.values() if view.limits != Limits() and not view.copies] == []


# -- parameters and rows ----------------------------------------------------------------------------------------------


def test_a_content_type_recomputes_rows_and_order() -> None:
    columns = board(*sales())
    everything = rows(part(columns, "product_list", "list", window="today"))
    assert [(row["product"], row["gmv"]) for row in everything] == [("A", 40.0), ("B", 40.0), ("C", 0.0)]
    by_creator = rows(part(columns, "product_list", "list", window="today", content_type="affiliate"))
    assert (by_creator[0]["product"], by_creator[0]["gmv"]) == ("B", 40.0)
    assert {row["product"]: row["gmv"] for row in by_creator}.get("A", 0.0) == 0.0


def test_equal_gmv_goes_by_orders_and_then_by_id() -> None:
    noon = at("2024-11-29 12:00")
    columns = board(
        order("o1", noon, [line("1", "B", 1000)]),
        order("o2", noon, [line("1", "A", 1000)]),
        order("o3", noon, [line("1", "C", 500)]),
        order("o4", noon, [line("1", "C", 500)]),
    )
    found = rows(part(columns, "product_list", "list", window="today"))
    assert [row["product"] for row in found] == ["C", "A", "B"]


def test_search_finds_part_of_a_name_or_id_in_any_case() -> None:
    columns = board(*sales())
    assert [
        row["product"] for row in rows(part(columns, "product_list", "list", window="today", search="SHIRT"))
    ] == ["B"]
    assert [
        row["product"] for row in rows(part(columns, "product_list", "list", window="today", search="c"))
    ] == ["B", "C"]


def test_a_limit_counts_after_search_and_null_rows_follow_their_rows() -> None:
    columns = board(*sales())
    found = part(columns, "product_list", "list", window="today", search="c", limit="1", sort="ctr")
    assert found.answer is not None
    assert [row["product"] for row in found.answer.rows] == ["C"]
    assert found.answer.nulls["ctor"] == {"zero_divisor": [0]}
    assert found.answer.nulls["name"] == {"no_card": [0]}


def test_a_chosen_metric_takes_the_place_of_the_others_and_the_order_stays() -> None:
    found = part(board(*sales()), "product_list", "list", window="today", metrics="ctr,orders")
    assert found.answer is not None
    about = dict(VIEWS["product_list"].parts[0].about)
    assert found.answer.metrics == ("ctr", "orders", *about)
    assert [row["product"] for row in found.answer.rows] == ["A", "B", "C"]
    assert set(found.answer.rows[0]) == {"product", "ctr", "orders", *about, *LABELS["product"][0]}


def test_the_people_view_of_the_funnel_takes_the_place_of_the_events_view() -> None:
    columns = board(*sales())
    names = [each.part.name for each in answer(columns, "product_details", product="A", window="today").parts]
    assert "funnel" in names
    assert "funnel_people" not in names
    found = part(columns, "product_details", "funnel_people", product="A", window="today", count="people")
    assert rows(found) == [
        {
            "unique_product_impressions": 10,
            "unique_clicks": 4,
            "est_customers": 2,
            "unique_ctr": 0.4,
            "unique_ctor": 0.5,
        }
    ]


def test_a_metric_without_the_filters_dimension_is_left_out_by_name() -> None:
    found = part(board(*sales()), "products", "table", where="slice=seller_live", list="all")
    assert found.left_out["stock_status"] == "it is not kept by slice"
    assert found.answer is not None
    assert "stock_status" not in found.answer.metrics
    assert {row["product"]: row["gmv"] for row in found.answer.rows}["A"] == 30.0


def test_a_part_that_cannot_be_asked_so_says_why_and_the_others_answer() -> None:
    found = {each.part.name: each for each in answer(board(*sales()), "overview", where="product=A").parts}
    assert found["goal"].state == "refused"
    assert "not kept by product" in found["goal"].refused
    assert rows(found["headline"])[0]["gmv"] == 40.0


def test_trends_of_one_day_are_by_hour_and_of_more_by_day() -> None:
    columns = board(*sales())
    for window, by in (("today", "hour"), ("last:6h", "hour"), ("last7", "day"), ("month", "day")):
        found = part(columns, "overview", "sales_trend", window=window)
        assert found.answer is not None
        assert found.answer.by == (by,)
    found = part(columns, "overview", "sales_trend", window="month", grain="week")
    assert found.answer is not None
    assert found.answer.by == ("week",)


@pytest.mark.parametrize(
    ("words", "reason", "says"),
    [
        ({"contnt_type": "all"}, "unknown_parameter", "content_type"),
        ({"content_type": "live"}, "unknown_value", "seller_live"),
        ({"metrics": "gvm"}, "unknown_metric", "gmv"),
        ({"metrics": ","}, "no_metrics", "gmv"),
        ({"sort": "gvm"}, "unknown_metric", "gmv"),
        ({"part": "lst"}, "unknown_part", "list"),
        ({"limit": "0"}, "bad_limit", "1 to"),
        ({"limit": "ten"}, "bad_limit", "1 to"),
        ({"window": "someday"}, "unknown_window", "today"),
        ({"where": "prodct=A"}, "unknown_dimension", "product"),
        ({"shop": "other"}, "unknown_shop", SHOP),
        ({"format": "xml"}, "unknown_format", "json"),
    ],
)
def test_what_is_not_right_is_refused_with_what_would_work(
    words: dict[str, str], reason: str, says: str
) -> None:
    with pytest.raises(QueryError) as refused:
        answer(board(*sales()), "product_list", **words)
    assert refused.value.reason == reason
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("window", "compare", "reason"),
    [
        ("all", "previous", "no_period_before"),
        ("last7", "baseline:2024-11-20", "baseline_one_day"),
        ("today", "baseline:2023-11-20", "baseline_range"),
        ("today", "benchmark", "benchmark_on_today"),
        ("last7", "benchmark", "benchmark_window"),
        ("today", "reference:nosuch", "no_reference"),
        ("today", "reference", "no_reference"),
        ("today", "recording:2024-11-20", "no_recording"),
        ("today", "reference:2099-01-01", "comparison_not_over"),
        ("today", "last-year", "unknown_comparison"),
    ],
)
def test_a_comparison_that_cannot_be_is_told_to_whoever_asks_for_it(
    window: str, compare: str, reason: str
) -> None:
    with pytest.raises(ComparisonError) as refused:
        answer(board(*sales()), "product_details", product="A", window=window, compare=compare)
    assert refused.value.reason == reason
    assert refused.value.mend


def test_an_unknown_view_is_refused_with_near_ones() -> None:
    with pytest.raises(QueryError, match="product_list"):
        view_of("products_list")


def test_a_view_of_one_product_needs_it() -> None:
    with pytest.raises(QueryError) as refused:
        answer(board(*sales()), "product_details")
    assert refused.value.reason == "needs_parameter"


# -- limits -----------------------------------------------------------------------------------------------------------


def test_more_than_two_metrics_on_the_trend_of_product_details_are_refused() -> None:
    """A-67; anywhere else, and where the switch is off, any number is drawn."""
    columns, words = board(*sales()), {"product": "A", "window": "today", "trend": "gmv,orders,ctr"}
    with pytest.raises(QueryError) as refused:
        answer(columns, "product_details", **words)
    assert refused.value.reason == "trend_metrics"
    assert 'unbound = ["product_details"]' in str(refused.value)
    found = part(columns, "overview", "sales_trend", trend="gmv,orders,ctr")
    assert found.answer is not None
    assert found.answer.metrics == ("gmv", "orders", "ctr")
    free = board(*sales(), settings=Settings(views=ViewSettings(unbound=("product_details",))))
    found = part(free, "product_details", "trend", **words)
    assert found.answer is not None
    assert found.answer.metrics == ("gmv", "orders", "ctr")


def bound(limits: Limits) -> View:
    trend = Part("trend", "Trend", ("gmv", "orders"), (AUTO_GRAIN,), Shape.TREND)
    return View(
        "bound",
        "Bound",
        "What?",
        (trend,),
        "S4-38",
        copies="page",
        limits=limits,
        parameters=VIEWS["overview"].parameters,
    )


def test_by_the_hour_only_what_the_vendor_gives_by_the_hour() -> None:
    """A-69."""
    view = bound(Limits(hourly_metrics=frozenset({"gmv"})))
    columns = board(*sales())
    with pytest.raises(QueryError) as refused:
        run_view(columns, view, {"grain": "hour"}, now_ms=NOW_MS)
    assert refused.value.reason == "hourly_only_ads"
    assert run_view(columns, view, {"grain": "day"}, now_ms=NOW_MS).parts[0].state == "provisional"


def test_a_day_is_compared_with_an_own_earlier_day_at_most_six_months_back() -> None:
    """A-45, S4-13 to S4-16: it binds Daily; elsewhere any own time is compared with (X-80)."""
    earlier = at("2024-11-22 12:00")
    known = [*sales(), order("before", at("2024-11-20 12:00"), [line("1", "A", 1)])]
    columns = board(*known, order("o9", earlier, [line("1", "A", 4000)], "c9"))
    (row,) = rows(part(columns, "daily", "headline", window="day:2024-11-29", compare="baseline:2024-11-22"))
    assert (row["gmv"], row["gmv_compared"], row["gmv_pct"]) == (80.0, 40.0, 1.0)
    with pytest.raises(QueryError) as refused:
        part(columns, "daily", "headline", window="day:2024-11-29", compare="baseline:2024-05-28")
    assert refused.value.reason == "baseline_range"
    with pytest.raises(QueryError) as refused:
        part(columns, "daily", "headline", window="day:2024-11-29", compare="reference:2024-11-22")
    assert refused.value.reason == "baseline_range"
    (row,) = rows(part(columns, "overview", "headline", window="today", compare="reference:2024-11-22"))
    assert row["gmv_compared"] == 40.0


@pytest.mark.parametrize(
    ("view", "words", "reason"),
    [
        ("overview", {"compare": "last year"}, "unknown_comparison"),
        ("overview", {"compare": "reference:nobody"}, "no_reference"),
        ("overview", {"compare": "benchmark"}, "benchmark_on_today"),
        ("daily", {"compare": "baseline:2020-01-01"}, "baseline_range"),
    ],
)
def test_a_comparison_that_no_part_can_answer_is_refused_though_parts_that_compare_nothing_answer(
    view: str, words: dict[str, str], reason: str
) -> None:
    columns = board(*sales())
    assert {each.state for each in answer(columns, view).parts} - {"refused"}
    with pytest.raises(QueryError) as refused:
        answer(columns, view, **words)
    assert refused.value.reason == reason


def test_a_comparison_follows_its_rows_through_search_and_choice() -> None:
    earlier = at("2024-11-28 12:00")
    columns = board(*sales(), order("o9", earlier, [line("1", "B", 1000, source=CREATOR)], "c9"))
    words = {"window": "today", "compare": "yesterday", "search": "shirt", "metrics": "gmv"}
    (row,) = rows(part(columns, "product_list", "list", **words))
    assert (row["product"], row["gmv"], row["gmv_compared"], row["gmv_difference"]) == ("B", 40.0, 10.0, 30.0)
    assert "orders_compared" not in row


@pytest.mark.parametrize(
    ("window", "fits"),
    [
        ("weeks:2", True),
        ("range:2024-11-17..2024-11-23", True),
        ("range:2024-11-17..2024-11-30", True),
        ("range:2024-11-18..2024-11-24", False),
        ("range:2024-11-17..2024-11-22", False),
        ("last7", False),
        ("today", False),
        ("all", False),
    ],
)
def test_where_weeks_must_be_whole_a_part_of_a_week_is_refused(window: str, fits: bool) -> None:
    """A-68; weeks begin on Sunday (X-21)."""
    view = bound(Limits(whole_weeks=True))
    if fits:
        run_view(board(*sales()), view, {"window": window}, now_ms=NOW_MS)
        return
    with pytest.raises(QueryError) as refused:
        run_view(board(*sales()), view, {"window": window}, now_ms=NOW_MS)
    assert refused.value.reason == "range_weeks"


# -- states and forms -------------------------------------------------------------------------------------------------


def test_what_no_source_feeds_says_what_it_needs() -> None:
    columns = board(order("o1", at("2024-11-29 12:00"), [line("1", "A", 1000)]))
    found = part(columns, "product_traffic", "all", window="today")
    assert found.needs["product_impressions"] == ["impressions"]
    assert found.needs["ctr"] == ["clicks", "impressions"] or found.needs["ctr"] == ["impressions", "clicks"]
    assert "gmv" not in found.needs
    assert "needs records of impressions" in answer(columns, "product_traffic", window="today").text("table")


def test_a_part_without_rows_says_so() -> None:
    columns = board(*sales(), stock("A", 1000, at("2024-11-29 12:00")))
    found = part(columns, "products", "skus", only="replenish", list="all")
    assert found.state == "empty"
    assert found.document()["says"] == "No SKU needs stock."


def test_a_part_without_rows_for_a_time_of_which_nothing_is_known_says_that() -> None:
    ahead = part(board(*sales()), "trends", "trend", window="day:2024-12-24")
    assert ahead.document()["says"] == "Nothing is counted here in this window: not begun yet."
    before = part(board(*sales()), "trends", "trend", window="day:2024-01-01")
    assert before.document()["says"] == "Nothing is counted here in this window: no source feeds this."


def test_what_is_written_on_an_unknown_thing_names_it_too() -> None:
    found = part(board(*sales()), "product_details", "card", product="nosuch", window="day:2024-01-01")
    assert found.answer is not None
    assert found.answer.nulls["product_status"] == {"unknown_id": [0]}
    assert "product_status: unknown_id in 1 rows (no record names product=nosuch)" in found.answer.table()


def test_a_hostile_name_stays_text_in_every_form() -> None:
    columns = board(*sales(), card("A", HOSTILE, version=2))
    found = answer(columns, "product_list", window="today")
    table = found.text("table")
    assert "\x1b" not in table
    cells = list(csv.DictReader(io.StringIO(found.text("csv"))))
    assert cells[0]["name"] == "'" + HOSTILE
    assert json.loads(found.text("json"))["parts"][0]["rows"][0]["name"] == HOSTILE


def test_several_parts_are_one_table_of_csv() -> None:
    text = answer(board(*sales()), "traffic_sources").text("csv")
    found = list(csv.DictReader(io.StringIO(text)))
    assert {row["part"] for row in found} == {"channels", "formats"}
    assert all(row["slice"] == "" for row in found if row["part"] == "channels")
