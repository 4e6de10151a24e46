"""A goal that is set at a board, on a real Kafka: published, folded, shown, and known again after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from agents import topics
from agents.board import KafkaBoard
from agents.outputs import Outputs
from dashboards.server import Extras, build_app
from streams.days import DAY_MS
from streams.events import Campaign
from streams.settings import Settings
from tests import world
from tests.workers import WorkerProcess

pytestmark = pytest.mark.timeout(120)

NOW_MS = world.BEGIN_MS + 3_600_000


async def until(true: Callable[[], bool], *, within_s: float = 30) -> None:
    for _ in range(int(within_s / 0.05)):
        if true():
            return
        await asyncio.sleep(0.05)
    assert true()


def target(board: KafkaBoard) -> float | None:
    campaigns = board.columns.campaigns(world.SHOP_ID)
    return campaigns[0].target_value if campaigns else None


async def history(board: KafkaBoard) -> list[dict[str, Any]]:
    async with TestClient(TestServer(build_app(board))) as client:
        document = await (await client.get("/api/v1/goals")).json()
    (campaign,) = document["campaigns"]
    return list(campaign["history"])


async def test_a_goal_set_over_http_is_folded_and_its_history_outlives_worker_and_board(
    world_settings: Settings, tmp_path: Path
) -> None:
    await topics.ensure(world_settings)
    outputs = Outputs(world_settings.kafka)
    board = KafkaBoard(world_settings, lambda: NOW_MS)
    worker = WorkerProcess(world_settings, tmp_path, "worker").start()
    await outputs.start()
    await board.start()
    try:
        await outputs.publish_campaign(
            Campaign(
                event_id="c",
                event_type="campaign",
                shop_id=world.SHOP_ID,
                occurred_at_ms=NOW_MS,
                campaign_id="bf",
                name="Friday",
                starts_at_ms=NOW_MS - DAY_MS,
                ends_at_ms=NOW_MS + DAY_MS,
                joined_at_ms=0,
                version=1,
                product_ids=[],
                target_value=1_000.0,
            )
        )
        await until(lambda: target(board) == 1_000)
        async with TestClient(TestServer(build_app(board, Extras(campaigns=outputs)))) as client:
            answer = await client.put(
                "/api/v1/goals/bf", json={"value": 2_500, "by": "Anna"}, headers={"X-Warroom": "1"}
            )
            assert answer.status == 202, await answer.text()
        await until(lambda: target(board) == 2_500)
    finally:
        await board.stop()
        await outputs.stop()
        await worker.stop()
    again = KafkaBoard(world_settings, lambda: NOW_MS)
    await again.start()
    try:
        await until(lambda: again.ready() is None)
        steps = await history(again)
    finally:
        await again.stop()
    assert [(step["by"], step["from_value"], step["to_value"]) for step in steps] == [
        ("", None, 1_000),
        ("Anna", 1_000, 2_500),
    ]
