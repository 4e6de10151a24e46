"""The interval of a page against stock-outs of generated days, whose truth is known."""

from __future__ import annotations

import pytest

from benchmarks.stockouts import follow
from streams.days import MINUTE_MS


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_over_twenty_seeds_at_least_fourteen_stock_outs_lie_inside_their_interval() -> None:
    followed = [follow(seed, from_hour=19.0, step_ms=5 * MINUTE_MS) for seed in range(1, 21)]
    # The best seller of the LIVE runs out on every seed, and must have been paged before.
    best = [next(each for each in found if each.best_seller) for found in followed]
    assert all(each.opened_h < 0 for each in best)
    assert sum(each.inside for each in best) >= 14
    # An interval that holds everything because it says nothing would be no forecast either.
    widths = sorted(each.high_h - each.low_h for each in best if each.high_h is not None)
    assert widths[len(widths) // 2] < 3.0
