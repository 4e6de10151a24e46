"""explain: every metric's cells are taken apart into figures that give the value again, down to the records."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from replay.direct import load_columns
from replay.generator.scenario import generate
from replay.recording import Recording
from streams.catalogue import METRICS
from streams.columns import Columns
from streams.errors import QueryError
from streams.explain import explain, parse_explain
from streams.explain_sources import MOST_RECORDS
from streams.explain_words import MENDS, explanation_text
from streams.metric import NULL_REASONS, Metric
from streams.own_metrics import known_metrics
from streams.query import parse_request, run
from streams.settings import Settings
from streams.settings_check import checked_settings
from tests.unit.streams.boards import (
    LIVE,
    SHOP_TAB,
    at,
    board,
    flush_of,
    line,
    order,
    refund,
    settings,
    stock,
    traffic,
)
from tests.unit.streams.events import engagement

NOW_MS = at("2024-11-29 20:00")
TEN = at("2024-11-29 10:00")


def asked(columns: Columns, now_ms: int = NOW_MS, **params: Any) -> dict[str, Any]:
    known = known_metrics(columns.settings)
    document = explain(columns, parse_explain(params, known=known), now_ms=now_ms)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    return document


def shop() -> Columns:
    """Product A: 12 SKU orders in 10 orders from 340 clicks in two partitions; product B: clicks without an order."""
    columns = Columns(settings("UTC"))
    sold: list[Any] = [
        order(
            f"o{number}",
            TEN + 60_000 * number,
            [
                line("1", "A1", 1_000, shipping=100, source=LIVE),
                *([line("2", "A2", 500)] if number < 2 else []),
            ],
            customer=f"customer-{number % 4}",
            user_key=f"viewer-{number}",
        )
        for number in range(10)
    ]
    sold.append(refund("r1", "o3", "1", "A1", 250, TEN + 3_600_000, customer_id="customer-3"))
    sold += [stock("A1", 40, TEN), stock("B1", 7, TEN)]
    clicks = [traffic("product_click", TEN + 1_000 * n, f"viewer-{n % 9}", "A", SHOP_TAB) for n in range(340)]
    clicks += [traffic("product_click", TEN + 1_000 * n, f"viewer-{n}", "B", LIVE) for n in range(5)]
    columns.apply(flush_of([*sold, *clicks[:100]], partition=0))
    columns.apply(flush_of(clicks[100:], partition=1))
    columns.vouch(NOW_MS)
    return columns


def test_a_rate_is_shown_with_its_sums_their_figures_and_its_value() -> None:
    found = asked(shop(), metric="ctor", row="day=2024-11-29,product=A")
    assert found["line"] == "ctor = sku_orders / product_clicks = 12 / 340 = 0.0353"
    assert found["value"] == 12 / 340
    assert [(part["name"], part["value"]) for part in found["parts"]] == [
        ("sku_orders", 12),
        ("product_clicks", 340),
    ]
    assert {part["state"] for part in found["parts"]} == {"provisional"}
    assert all(part["as_of_ms"] == NOW_MS for part in found["parts"])
    assert found["definition"] == METRICS["ctor"].definition
    assert found["null"] is None


def test_money_is_shown_in_major_units_down_to_what_it_is_added_up_from() -> None:
    found = asked(shop(), metric="aov_revenue", window="all")
    assert found["line"] == "aov_revenue = gmv / orders = 120.00 / 10 = 12.00"
    gmv = found["parts"][0]
    assert [(part["name"], part["value"]) for part in gmv["parts"]] == [
        ("goods", 110.0),
        ("shipping_in_gmv", 10.0),
    ]


def test_an_instant_is_shown_by_the_clock_of_the_shop() -> None:
    columns = shop()
    found = asked(columns, metric="view_as_of")
    assert (found["value"], found["line"].rpartition(" = ")[2]) == (NOW_MS, "2024-11-29T20:00:00+00:00")
    stock_time = asked(columns, metric="stock_on_hand", row="sku=A1")["parts"][1]
    assert (stock_time["name"], stock_time["value"]) == ("time of the stock record", TEN)
    assert stock_time["shown"] == "2024-11-29T10:00:00+00:00"
    text = explanation_text(asked(columns, metric="stock_on_hand", row="sku=A1"))
    assert "time of the stock record = 2024-11-29T10:00:00+00:00  (" in text


def test_a_share_names_its_whole_and_an_own_metric_its_own_words() -> None:
    columns = shop()
    share = asked(columns, metric="gmv_channel_contribution", row="slice=seller_live", window="all")
    assert share["line"] == "gmv_channel_contribution = gmv / gmv of all = 110.00 / 120.00 = 0.9167"
    own = {"metrics": {"per_click": {"formula": "gmv / (product_clicks * 2) * 1000"}}}
    columns.settings = checked_settings(own, place="t")
    found = asked(columns, metric="per_click", row="product=A", window="all")
    assert found["own"]
    assert found["line"] == (
        "per_click = gmv / (product_clicks * 2) * 1000 = 120.00 / (340 * 2) * 1000 = 176.47"
    )


def test_the_records_behind_a_figure_are_shown_with_their_place_newest_first() -> None:
    found = asked(shop(), metric="gmv", row="product=A", window="all")
    (source,) = found["sources"]
    assert (source["kind"], source["topic"], source["total"], len(source["rows"])) == (
        "order_paid",
        "orders",
        12,
        12,
    )
    assert source["rows"][0]["place"] == "order_paid/o9/1"
    assert sum(row["goods_minor"] + row["shipping_minor"] for row in source["rows"]) == found["value"] * 100
    pairs = asked(shop(), metric="refunds_amount", window="all")["sources"]
    assert [(one["kind"], one["rows"][0]["place"], one["rows"][0]["amount_minor"]) for one in pairs] == [
        ("refund", "refund/r1/1", 250)
    ]
    stocked = asked(shop(), metric="stock_on_hand", row="sku=A1")["sources"]
    assert [(one["kind"], one["rows"][0]["available"]) for one in stocked] == [("stock_changed", 40)]


def test_traffic_is_shown_as_the_cells_of_its_cube_with_the_counts_of_partitions() -> None:
    found = asked(shop(), metric="product_clicks", row="product=A", window="today")
    (source,) = found["sources"]
    (cell,) = source["rows"]
    assert source["kind"] == "cube product_day"
    assert (cell["bucket"], cell["product"], cell["atom"]) == (
        "2024-11-29",
        "A",
        "seller_product_card+shop_tab",
    )
    assert (cell["count"], cell["partitions"]) == (340, {"0": 100, "1": 240})


def test_no_more_than_twenty_records_are_shown_and_how_many_there_are_is_said() -> None:
    lines = [line(str(n), f"S{n}", 100) for n in range(50)]
    columns = board([order("o", TEN, lines), traffic("product_click", TEN, "u")], vouch_ms=NOW_MS)
    found = asked(columns, metric="ctor", window="all")
    assert [source["total"] for source in found["sources"]] == [1, 50]
    assert sum(len(source["rows"]) for source in found["sources"]) == MOST_RECORDS


def test_outcomes_of_every_topic_that_is_read_are_counted() -> None:
    found = asked(shop(), metric="ctor", window="all")
    assert found["outcomes"]["orders"] == {
        "records": 11,
        "counted": 11,
        "late": 0,
        "duplicate": 0,
        "superseded": 0,
        "refused": 0,
    }
    assert found["outcomes"]["clicks"]["records"] == 345
    assert set(found["outcomes"]) == {"orders", "clicks"}


def test_nobody_is_recognised_in_an_explanation() -> None:
    columns = shop()
    for metric in ("gmv", "ctor", "unique_customers", "refund_customers", "unique_clicks", "refunds_amount"):
        text = json.dumps(asked(columns, metric=metric, window="all"))
        assert "customer-" not in text
        assert "viewer-" not in text
        # A number for each of them would tell which orders are of one person.
        assert "customer_no" not in text
        assert "user_no" not in text


@pytest.mark.parametrize(
    ("metric", "row", "reason", "said", "mend"),
    [
        ("ctor", "hour=2024-11-29T11+00:00", "zero_divisor", "divisor is 0", "longer window"),
        ("ctr", "", "no_source", "no source", "Connect a source for impressions, or"),
        ("hours_to_stockout", "sku=B1", "not_selling", "does not run out", "Nothing"),
    ],
)
def test_a_missing_value_is_explained_in_words_with_its_mend(
    metric: str, row: str, reason: str, said: str, mend: str
) -> None:
    found = asked(shop(), metric=metric, row=row)
    assert found["value"] is None
    assert found["null"]["reason"] == reason
    assert said in found["null"]["says"]
    assert mend in found["null"]["mend"]
    assert f"null ({reason})" in found["line"]


def test_every_reason_for_a_null_has_a_mend() -> None:
    assert NULL_REASONS.keys() == MENDS.keys()


def test_an_offset_survives_an_address_where_a_plus_means_a_space() -> None:
    zone = "Europe/London"
    columns = board([order("o", at("2024-07-01 14:05", zone), [line("1", "A", 100)])], zone=zone)
    found = asked(columns, at("2024-07-01 20:00", zone), metric="gmv", row="hour=2024-07-01T14 01:00")
    assert (found["value"], found["row"]) == (1.0, {"hour": "2024-07-01T14+01:00"})


def test_a_group_of_a_few_is_not_told_by_its_explanation_either() -> None:
    crowd = [f"y{number}" for number in range(60)]
    columns = board(
        [
            engagement("L", TEN, 90, crowd, age_band="18-24"),
            engagement("L", TEN, 7, ["o1", "o2"], age_band="25-34"),
        ],
        vouch_ms=NOW_MS,
    )
    share: Any = {"metric": "audience_demographics_share", "window": "all"}
    shown = asked(columns, **share, row="age_band=18-24")
    assert (shown["null"], len(shown["sources"])) == (None, 1)
    withheld = asked(columns, **share, row="age_band=25-34")
    assert withheld["null"]["reason"] == "below_minimum"
    assert (withheld["parts"], withheld["sources"]) == ([], [])
    assert withheld["line"].endswith(" = unique_viewers / unique_viewers of all = null (below_minimum)")


@pytest.mark.parametrize(
    ("params", "reason", "mend"),
    [
        ({"metric": "ctor", "by": "day,product", "row": "day=2024-11-29"}, "needs_row", "product=..."),
        ({"metric": "ctor", "by": "day", "row": "day=2024-11-29,product=A"}, "bad_row", "product"),
        ({"metric": "orders_by_status"}, "needs_row", "status="),
        ({"metric": "ctor", "row": "product=AA"}, "no_such_row", "A"),
        ({"metric": "ctor", "row": "product"}, "bad_row", "product=85123A"),
        ({"metric": "ctor", "row": "colour=red"}, "unknown_dimension", "Did you mean"),
        ({"metric": "ctor,gmv"}, "one_metric", "metric=ctor"),
        ({"metric": "funnel_step_rates"}, "one_metric", "metric="),
        ({"metric": "ctr0"}, "unknown_metric", "ctr"),
        ({}, "no_metrics", "gmv"),
        ({"metric": "gmv", "limit": "3"}, "unknown_parameter", ""),
        ({"metric": "unique_ctr", "row": "sub_campaign=c,content=L"}, "no_cube", "by=sub_campaign"),
        ({"metric": "gmv", "row": "day=2024-11-30"}, "no_such_row", "2024-11-29"),
        ({"metric": "gmv", "window": "tomorrow"}, "unknown_window", "today"),
    ],
)
def test_a_cell_that_is_not_there_is_refused_with_what_would_work(
    params: dict[str, Any], reason: str, mend: str
) -> None:
    with pytest.raises(QueryError) as refused:
        asked(shop(), **params)
    assert refused.value.reason == reason
    assert mend in refused.value.mend


def test_the_text_for_a_terminal_obeys_no_foreign_name() -> None:
    columns = board([order("\x1b[2Jo", TEN, [line("1", "A", 100, product_id="\x1b[31mA")])], vouch_ms=NOW_MS)
    text = explanation_text(asked(columns, metric="gmv", row="product=\x1b[31mA", window="all"))
    assert "\x1b" not in text
    assert "gmv = goods + shipping_in_gmv = 1.00 + 0.00 = 1.00" in text


OF_FINAL_DAYS = {"metric_vs_benchmark_pct"}
"""Metrics without a row on a day that is not final, such as the generated one."""

# --- every metric of the catalogue --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Columns, set[str]]:
    """Return a generated day, and the keys of every customer and viewer in it."""
    folder = tmp_path_factory.mktemp("generated") / "recording"
    generate(folder, seed=11, scale=0.05, compression="none")
    recording = Recording.open(folder)
    people = set()
    for path in Path(folder).glob("*.jsonl"):
        people |= set(re.findall(r'"(?:customer_id|user_key)":"([^"]+)"', path.read_text(encoding="utf-8")))
    assert len(people) > 100
    return load_columns(recording, Settings().with_shops(recording.shops)), people


def cells(columns: Columns, metric: Metric) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield rows with their explanation: of the whole, and one of every dimension that the metric has."""
    for by in ((), *((dim,) for dim in metric.dims)):
        question = {"metrics": metric.id, "by": ",".join(by), "window": "all"}
        try:
            answer = run(columns, parse_request(question), now_ms=columns.vouched_ms)
        except QueryError:
            continue
        valued = [row for row in answer.rows if row[metric.id]] or answer.rows
        if valued:
            row = valued[len(valued) // 2]
            named = [f"{dim}={row[dim]}" for dim in answer.by]
            yield row, asked(columns, columns.vouched_ms, metric=metric.id, window="all", row=named)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_is_explained_by_figures_that_give_its_value_again(
    day: tuple[Columns, set[str]], metric: Metric
) -> None:
    columns, people = day
    explained = 0
    for row, found in cells(columns, metric):
        explained += 1
        value = row[metric.id]
        assert found["value"] == value
        assert found["line"].startswith(f"{metric.id} = ")
        assert found["definition"]
        assert (found["null"] is None) == (value is not None)
        if value is not None:
            _check_recombined(found)
        shown = [record for source in found["sources"] for record in source["rows"]]
        assert len(shown) <= MOST_RECORDS
        assert all(record["place"] for record in shown)
        assert shown or not value, "a figure has records behind it"
        assert explanation_text(found)
        assert not people & set(re.findall(r"[\w-]+", json.dumps(found)))
        _check_asked_again(columns, metric, found)
    (shop_id,) = columns.shops()
    fed = all(columns.source_since_ms(shop_id, topic) is not None for topic in metric.topics)
    assert explained or not fed or metric.id in OF_FINAL_DAYS


def _check_recombined(found: dict[str, Any]) -> None:
    """The figures in the line, worked out as anybody would, are the value as far as the digits shown go."""
    steps = found["line"].split(" = ")
    if len(steps) < 4 or not re.fullmatch(r"[-+*/() 0-9.,]+", steps[2]):
        return
    worked = eval(steps[2].replace(",", ""))  # noqa: S307 # digits and signs alone, checked above
    assert worked == pytest.approx(found["value"], rel=2e-3, abs=0.006)


def _check_asked_again(columns: Columns, metric: Metric, found: dict[str, Any]) -> None:
    """The address and the command that are given ask for the cell."""
    params = parse_qs(urlsplit(found["query"]["url"]).query)
    again = run(columns, parse_request(params), now_ms=columns.vouched_ms)
    rows = [row for row in again.rows if all(str(row[dim]) == value for dim, value in found["row"].items())]
    assert [row[metric.id] for row in rows] == [found["value"]]
    words = shlex.split(found["query"]["command"])
    assert words[:4] == ["warroom", "query", "--url", "URL"]
    named = dict(zip(words[4::2], words[5::2], strict=True))
    assert {f"--{name}": values for name, values in params.items()} == {
        name: [value] for name, value in named.items()
    }
