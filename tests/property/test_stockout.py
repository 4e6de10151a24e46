"""What the stock projection and its pages must show, on a small form of the back-test."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.stockout import Followed, counts, follow, quick_worlds, rings_of_days, shares


@pytest.fixture(scope="module")
def followed() -> list[Followed]:
    return [follow(make(), library=False) for make in quick_worlds()]


@pytest.mark.timeout(300)
def test_no_shop_day_has_more_than_six_pages(followed: list[Followed]) -> None:
    most = {each.world.name: max(rings_of_days(each).values(), default=0) for each in followed}
    assert max(most.values()) <= 6, most
    # A bell that never rings would pass that, too.
    assert sum(len(each.pages) for each in followed) >= 3


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_nobody_is_paged_for_what_does_not_run_out_within_six_hours(followed: list[Followed]) -> None:
    assert [page.message for each in followed for page in each.false_pages] == []


@pytest.mark.timeout(300)
def test_more_stock_outs_are_warned_of_than_by_the_mean_of_the_last_day_or_week(
    followed: list[Followed],
) -> None:
    total: Counter[str] = Counter()
    for each in followed:
        total += counts(each)
    found = shares(total, 0, 0)
    for lead in (3, 6):
        ours = found[f"warned_{lead}h_share"] or 0.0
        assert ours > 1.2 * (found[f"baseline_24h_warned_{lead}h_share"] or 0.0)
        assert ours > 1.2 * (found[f"baseline_7d_warned_{lead}h_share"] or 0.0)
    # And not by warning of everything.
    assert (found["right_6h_share"] or 0.0) > 0.3
    assert 0.7 <= (found["coverage_80"] or 0.0) <= 0.95


@pytest.mark.timeout(300)
def test_with_a_tenth_more_stock_than_is_sold_no_often_sold_sku_runs_out_and_nobody_is_paged(
    followed: list[Followed],
) -> None:
    (plenty,) = [each for each in followed if each.world.name.endswith("stock 110%")]
    assert not {sku for sku, _ in plenty.world.stock_outs} & plenty.world.judged
    assert plenty.pages == []
