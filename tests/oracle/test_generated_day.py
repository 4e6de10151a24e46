"""On a generated day with repeats, late records, cancellations and a dead feed, answers are those of an oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from replay.generator.scenario import generate
from tests.oracle import generated_day
from tests.oracle.asking import ask, columns_of, differences

if TYPE_CHECKING:
    from streams.columns import Columns
    from tests.oracle.generated_day import GeneratedDay

GROUPINGS = [
    (),
    ("day",),
    ("hour",),
    ("product",),
    ("slice",),
    ("leaf",),
    ("day", "slice"),
    ("product", "slice"),
]
EXACT = (*generated_day.COUNTS, *generated_day.SALES, *generated_day.REFUNDS, *generated_day.RATES)

SIGMA_SHOP: Final = 0.0081
SIGMA_PART: Final = 0.0163
"""Standard error of a united HLL sketch, 1.04 / sqrt(2**lg_k): lg_k 14 for the shop, 12 below (decision 13)."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[GeneratedDay, Columns]:
    folder = tmp_path_factory.mktemp("generated") / "recording"
    generate(folder, seed=11, scale=0.15, compression="none")
    return generated_day.read(folder), columns_of(folder)


@pytest.mark.parametrize("by", GROUPINGS, ids=lambda by: "+".join(by) or "all")
def test_money_counts_customers_and_rates_are_those_of_the_lines(
    day: tuple[GeneratedDay, Columns], by: tuple[str, ...]
) -> None:
    oracle, columns = day
    expected = {key: {metric: row[metric] for metric in EXACT} for key, row in oracle.figures(by).items()}
    faults = differences(ask(columns, EXACT, by), expected, by)
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:20])


@pytest.mark.parametrize("by", GROUPINGS, ids=lambda by: "+".join(by) or "all")
def test_people_are_within_three_sigma_of_the_exact_sets(
    day: tuple[GeneratedDay, Columns], by: tuple[str, ...]
) -> None:
    oracle, columns = day
    sigma = SIGMA_PART if {"product", "slice", "leaf"} & set(by) else SIGMA_SHOP
    found = {tuple(str(row[name]) for name in by): row for row in ask(columns, generated_day.PEOPLE, by)}
    faults = []
    for key, row in oracle.figures(by).items():
        for metric in generated_day.PEOPLE:
            exact, answered = row[metric] or 0, found[key][metric] or 0
            if abs(answered - exact) > max(3 * sigma * exact, 0.5):
                faults.append(f"{'/'.join(key)} {metric}: answered {answered}, exactly {exact}")
    assert not faults, f"{len(faults)} differ:\n" + "\n".join(faults[:20])


def test_page_viewers_who_add_are_those_of_the_exact_sets(day: tuple[GeneratedDay, Columns]) -> None:
    """No product of this day has more viewers than a theta sketch holds, so every rate is exact."""
    oracle, columns = day
    exact = oracle.adders()
    found = {row["product"]: row["atc_rate_pdp"] for row in ask(columns, ("atc_rate_pdp",), ("product",))}
    assert found == {product: pytest.approx(both / viewers) for product, (viewers, both) in exact.items()}
    assert max(viewers for viewers, _ in exact.values()) > 100
    assert sum(both for _, both in exact.values()) > 100


def test_orders_by_status_are_those_of_the_lines(day: tuple[GeneratedDay, Columns]) -> None:
    oracle, columns = day
    rows = ask(columns, ("orders_by_status",), ("status",))
    assert not differences(rows, oracle.statuses(), ("status",))


def test_leaves_add_up_to_all_and_slices_overlap(day: tuple[GeneratedDay, Columns]) -> None:
    _, columns = day
    metrics = ("product_impressions", "gmv")
    (whole,) = ask(columns, metrics, ())
    leaves, slices = ask(columns, metrics, ("leaf",)), ask(columns, metrics, ("slice",))
    for metric in metrics:
        assert sum(row[metric] for row in leaves) == pytest.approx(whole[metric], abs=0.001)
        assert sum(row[metric] for row in slices) > 1.5 * whole[metric]


def test_the_day_has_what_makes_it_hard(day: tuple[GeneratedDay, Columns]) -> None:
    oracle, columns = day
    outcomes = columns.outcomes()
    assert sum(found.get("duplicate", 0) for found in outcomes.values()) > 100  # type: ignore[call-overload]  # a JSON object
    assert oracle.lines["cancelled"].sum() > 0
    assert oracle.refunds.height > 0
