"""Of several boards one evaluates; on a real Redis."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from agents.lease import RENEW_S, TTL_MS, Lease
from streams.alerts import Alert
from streams.goals import GoalProgress
from streams.stock import SkuStock
from tests.processes import Redis
from tests.unit.dashboards.shops import FixedBoard, full_board
from warroom.running import serving


class Sink:
    """Notes that an evaluation published something."""

    def __init__(self) -> None:
        self.published = asyncio.Event()

    async def publish_projections(self, rows: Sequence[SkuStock]) -> None:
        self.published.set()

    async def publish_progress(self, rows: Sequence[GoalProgress]) -> None:
        self.published.set()

    async def publish_alerts(self, alerts: Sequence[Alert]) -> None:
        self.published.set()


pytestmark = pytest.mark.integration


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_one_of_two_boards_holds_the_lease(redis_server: Redis) -> None:
    first, second = Lease(redis_server.url, "one"), Lease(redis_server.url, "one")
    await first.renew()
    await second.renew()
    assert (first.held(), second.held()) == (True, False)
    await first.stop()
    await second.renew()
    assert (first.held(), second.held()) == (False, True)
    await second.stop()


async def test_worlds_do_not_share_a_lease(redis_server: Redis) -> None:
    live, replay = Lease(redis_server.url, "live"), Lease(redis_server.url, "replay")
    await live.renew()
    await replay.renew()
    assert live.held()
    assert replay.held()
    await live.stop()
    await replay.stop()


async def test_the_holder_lets_go_before_redis_gives_the_lease_away(redis_server: Redis) -> None:
    clock = Clock()
    lease = Lease(redis_server.url, "clock", now_s=clock)
    await lease.renew()
    clock.now_s += TTL_MS / 1000 - RENEW_S - 0.001
    assert lease.held()
    clock.now_s += 0.002
    assert not lease.held()
    await lease.stop()


async def test_a_board_without_redis_does_not_evaluate_and_does_not_fall_over() -> None:
    lease = Lease("redis://127.0.0.1:1/0", "none")
    await asyncio.wait_for(lease.start(), 10)
    assert not lease.held()
    await lease.stop()


def board_with(redis_url: str, folder: Path) -> FixedBoard:
    board = full_board()
    own = dataclasses.replace(board.settings.board, redis_url=redis_url, port=0, data_dir=str(folder))
    board.settings = dataclasses.replace(board.settings, board=own)
    return board


async def test_of_two_served_boards_one_evaluates_and_the_other_takes_over(
    redis_server: Redis, tmp_path: Path
) -> None:
    first, second = Sink(), Sink()
    async with serving(board_with(redis_server.url, tmp_path / "a"), first):
        await asyncio.wait_for(first.published.wait(), 10)
        async with serving(board_with(redis_server.url, tmp_path / "b"), second):
            await asyncio.sleep(1.5)
            assert not second.published.is_set()
    async with serving(board_with(redis_server.url, tmp_path / "b"), second):
        await asyncio.wait_for(second.published.wait(), 10)
