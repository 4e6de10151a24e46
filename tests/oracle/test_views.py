"""On a generated day every view gives an oracle's figures, in the right order, under the filters that it offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from replay.generator.scenario import generate
from streams.view import AUTO_GRAIN, Shape
from streams.views import VIEWS, run_view
from tests.oracle import generated_day
from tests.oracle.asking import columns_of, differences

if TYPE_CHECKING:
    from streams.columns import Columns
    from streams.view_answer import PartAnswer
    from tests.oracle.generated_day import GeneratedDay

EXACT = frozenset((*generated_day.COUNTS, *generated_day.SALES, *generated_day.REFUNDS, *generated_day.RATES))
DIMENSIONS = frozenset({"day", "hour", "product", "slice", "leaf"})
"""What the oracle groups by."""

pytestmark = pytest.mark.timeout(120)

PARTS = [
    pytest.param(view.name, part.name, id=f"{view.name}: {part.name}")
    for view in VIEWS.values()
    for part in view.parts
    if set(part.by) - {AUTO_GRAIN} <= DIMENSIONS
    and EXACT & set(part.metrics)
    and part.when is None
    and part.shape is not Shape.SCORECARD
]
SCORECARDS = [
    pytest.param(view.name, part.name, id=f"{view.name}: {part.name}")
    for view in VIEWS.values()
    for part in view.parts
    if part.shape is Shape.SCORECARD and EXACT & set(part.metrics)
]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[GeneratedDay, Columns]:
    folder = tmp_path_factory.mktemp("generated") / "recording"
    generate(folder, seed=11, scale=0.15, compression="none")
    return generated_day.read(folder), columns_of(folder)


def asked(columns: Columns, view: str, part: str, **words: str) -> PartAnswer:
    wanted = {"window": "all", "part": part, **words}
    (answer,) = run_view(columns, VIEWS[view], wanted, now_ms=columns.vouched_ms).parts
    return answer


def faults_of(answer: PartAnswer, expected: generated_day.Rows, by: tuple[str, ...]) -> list[str]:
    assert answer.answer is not None
    known = [name for name in answer.answer.metrics if name in EXACT]
    assert known
    rows = [{name: row[name] for name in (*by, *known)} for row in answer.answer.rows]
    return differences(rows, {key: {name: row[name] for name in known} for key, row in expected.items()}, by)


@pytest.mark.parametrize(("view", "part"), PARTS)
def test_a_view_gives_the_figures_of_the_lines(
    day: tuple[GeneratedDay, Columns], view: str, part: str
) -> None:
    oracle, columns = day
    words = {"list": "all"} if view == "products" else {}
    filters = {each.name for each in VIEWS[view].parameters if each.required}
    if "product" in filters:
        words["product"] = "linen-wrap-dress"
    answer = asked(columns, view, part, **words)
    assert answer.answer is not None
    by = answer.answer.by
    if "product" not in words:
        expected = oracle.figures(by)
    elif "product" in by:
        expected = {key: row for key, row in oracle.figures(by).items() if "linen-wrap-dress" in key}
    else:
        found = oracle.figures((*by, "product"))
        expected = {key[:-1]: row for key, row in found.items() if key[-1] == "linen-wrap-dress"}
    limit = next(each.limit for each in VIEWS[view].parts if each.name == part)
    if limit is not None:
        kept = {tuple(row[name] for name in by) for row in answer.answer.rows}
        assert len(kept) == min(limit, len(expected))
        expected = {key: row for key, row in expected.items() if key in kept}
    faults = faults_of(answer, expected, by)
    assert not faults, "\n".join(faults[:20])


@pytest.mark.parametrize(("view", "part"), SCORECARDS)
def test_a_scorecard_gives_the_figures_of_the_lines(
    day: tuple[GeneratedDay, Columns], view: str, part: str
) -> None:
    oracle, columns = day
    answer = asked(columns, view, part)
    assert answer.answer is not None
    (expected,) = oracle.figures(()).values()
    found = {row["metric"]: row["value"] for row in answer.answer.rows}
    known = EXACT & found.keys()
    assert known
    assert {name: found[name] for name in known} == {name: pytest.approx(expected[name]) for name in known}


@pytest.mark.parametrize("content_type", generated_day.SLICES)
def test_the_product_list_of_one_format_has_that_formats_figures_and_order(
    day: tuple[GeneratedDay, Columns], content_type: str
) -> None:
    """S1-04: choosing a format recomputes every row, and the order for that format only."""
    oracle, columns = day
    answer = asked(columns, "product_list", "list", content_type=content_type)
    assert answer.answer is not None
    found = oracle.figures(("product", "slice"))
    expected = {key[:1]: row for key, row in found.items() if key[1] == content_type}
    assert expected
    faults = faults_of(answer, expected, ("product",))
    assert not faults, "\n".join(faults[:20])
    order = [row["product"] for row in answer.answer.rows]
    wanted = sorted(
        order,
        key=lambda one: (
            -(expected.get((one,), {}).get("gmv") or 0),
            -(expected.get((one,), {}).get("orders") or 0),
            one,
        ),
    )
    assert order == wanted


def test_top_products_are_those_that_sold_most(day: tuple[GeneratedDay, Columns]) -> None:
    oracle, columns = day
    answer = asked(columns, "top_products", "top")
    assert answer.answer is not None
    sold = oracle.figures(("product",))
    best = sorted(sold, key=lambda key: (-(sold[key]["items_sold"] or 0), -(sold[key]["gmv"] or 0), key))
    assert [(row["product"],) for row in answer.answer.rows] == best[:10]


def test_channels_of_all_products_are_ranked_by_conversion(day: tuple[GeneratedDay, Columns]) -> None:
    """S1-26: the channel that turns clicks into orders best comes first."""
    oracle, columns = day
    answer = asked(columns, "product_traffic", "channels")
    assert answer.answer is not None
    found = oracle.figures(("leaf",))
    best = sorted(found, key=lambda key: (-(found[key]["ctor"] or 0), -(found[key]["gmv"] or 0), key))
    assert [row["leaf"] for row in answer.answer.rows] == [key[0] for key in best]


def test_sub_campaigns_carry_their_names_and_add_up_to_their_orders(
    day: tuple[GeneratedDay, Columns],
) -> None:
    _, columns = day
    answer = asked(columns, "sub_campaigns", "ranking")
    assert answer.answer is not None
    (shop,) = columns.shops()
    lines: dict[str, dict[str, Any]] = {}
    for line in columns.order_lines(shop).iter_rows(named=True):
        if line["sub_campaign_id"] is not None:
            found = lines.setdefault(line["sub_campaign_id"], {"orders": set(), "gmv": 0})
            found["orders"].add(line["order_id"])
            found["gmv"] += line["goods_minor"] + line["shipping_minor"]
    assert {row["sub_campaign"]: (row["orders"], round(row["gmv"] * 100)) for row in answer.answer.rows} == {
        name: (len(found["orders"]), found["gmv"]) for name, found in lines.items()
    }
    assert {row["name"] for row in answer.answer.rows} == {"LIVE festival", "Creator picks", "Flash deals"}


def test_the_replenish_list_holds_what_is_out_or_at_risk_only(day: tuple[GeneratedDay, Columns]) -> None:
    _, columns = day
    whole = asked(columns, "products", "table", list="all")
    some = asked(columns, "products", "table", list="all", only="replenish")
    assert whole.answer is not None
    assert some.answer is not None
    status = {row["product"]: row["stock_status"] for row in whole.answer.rows}
    assert {"out_of_stock"} <= set(status.values()), "the day has something to refill"
    assert sorted(row["product"] for row in some.answer.rows) == sorted(
        product for product, is_ in status.items() if is_ in ("out_of_stock", "at_risk")
    )
