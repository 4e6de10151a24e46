"""The state stays within its budget: 10 MB a second for a worker at 20,000 events a second (design, decision 14)."""

from __future__ import annotations

import pytest

from benchmarks.state_volume import BUDGET_BYTES, EVENTS_PER_SECOND, measure
from streams.cubes import CUBES


@pytest.mark.timeout(120)
def test_no_day_makes_the_cubes_break_the_budget() -> None:
    """The bound of every day: all sketches full, everyone new; only which cells a second touches is drawn.

    Of each LIVE and video an eighth is seen on the Shop tab: more cells than of one that is seen at one place only.
    """
    document = measure(campaign_events=80_000, seconds=3, dense=True, shop_tab=0.12)
    kinds = document["kinds"]
    assert {cube.name for cube in CUBES} < kinds.keys()
    assert all(kinds[cube.name]["rows_per_second"] for cube in CUBES)
    assert document["events_per_second"] == EVENTS_PER_SECOND == 20_000
    assert BUDGET_BYTES == 10_000_000
    spent = {kind: figures["bytes_per_second"] for kind, figures in kinds.items()}
    assert sum(spent.values()) <= BUDGET_BYTES, sorted(spent.items(), key=lambda item: -item[1])
