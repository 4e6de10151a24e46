"""The soak in its small form: what CI can afford of it."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tests.soak.kills import run


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_two_kills_a_stopped_worker_and_a_lost_broker_lose_nothing_and_count_nothing_twice() -> None:
    report = await run(kills=2, stops=1, broker_stops=1, joins=1, seed=7, rate=1_000)
    assert report.passed, asdict(report)
    assert (report.kills, report.stops, report.broker_stops, report.joins) == (2, 1, 1, 1)
    assert report.sent == report.counted > 50_000
