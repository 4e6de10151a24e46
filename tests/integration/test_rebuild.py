"""A new version of the workers takes over under load: a cube that it brings is rebuilt, and nothing else notices."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from agents import topics
from agents.board import KafkaBoard
from agents.rebuild_requests import ask_rebuild
from streams.answers import Answer
from streams.cubes import CUBES
from streams.kept_cubes import PIECES
from streams.query import parse_request, run
from streams.settings import Settings
from tests import world
from tests.workers import WorkerProcess

pytestmark = [pytest.mark.timeout(150), pytest.mark.slow]

NEW: Final = (
    *("product_day", "shop_minute", "sku_day", "product_theta"),
    *("content_sub_campaign_day", "content_sku_day"),
)
OLDER: Final = [argument for cube in CUBES if cube.name not in NEW for argument in ("--cube", cube.name)]
"""Arguments of a worker of the version before, which does not know some of the cubes."""

OF_ONE_LIVE: Final = ("content,sub_campaign", "content,sku")

CHANGED: Final = "content_day"
"""The version before keeps it as it was defined then (`tests.older_worker`)."""


async def test_a_cube_that_is_new_under_load_says_since_when_until_it_is_rebuilt_and_nothing_is_lost_or_double(
    world_settings: Settings, tmp_path: Path
) -> None:
    settings = world.with_kafka(world_settings, flush_after_ms=50)
    await topics.ensure(settings)
    sent = list(world.records(12_000, seed=31))
    async with loading(settings, sent):
        older = WorkerProcess(settings, tmp_path, "older", OLDER, module="tests.older_worker").start()
        await world.under_way(settings, 3_000, within_s=40)
        assert await older.stop() == 0
        newer = WorkerProcess(world.with_kafka(settings, rebuild_records_per_s=0), tmp_path, "newer").start()
        try:
            await world.under_way(settings, 6_000, within_s=40)
            async with reading(settings) as board:
                answer = await asked(board)
                assert world.BEGIN_MS < answer.since_ms["product_impressions"] < NOW_MS
                lacking = [row for _, row in board.columns.cubes_kept() if row.cube in (*NEW, CHANGED)]
                assert {row.cube for row in lacking} == {*NEW, CHANGED}
                assert all(row.handed == 0 and row.since_ms > 0 for row in lacking)
                assert (await asked(board, by="content")).since_ms["product_impressions"] > world.BEGIN_MS
                for by in OF_ONE_LIVE:
                    assert (await asked(board, by, "product_clicks")).since_ms[
                        "product_clicks"
                    ] > world.BEGIN_MS
        finally:
            assert await newer.stop() == 0
        rebuilding = WorkerProcess(settings, tmp_path, "rebuilding").supervise()
        try:
            await world.under_way(settings, 9_000, within_s=40)
            # Wherever it is: what is handed over is durable, the rest begins anew.
            rebuilding.signal(signal.SIGKILL)
            await world.settled(settings, len(sent), within_s=60)
            async with reading(settings) as board:
                await rebuilt(board)
                answer = await asked(board)
                assert answer.since_ms == {}
                assert (await asked(board, by="content,slice")).since_ms == {}
                for by in OF_ONE_LIVE:
                    assert (await asked(board, by, "product_clicks")).since_ms == {}
                assert "since" not in answer.table()
                await ask_rebuild(settings.kafka, ("creator_day",), asked_at_ms=1)
                await rebuilt(board, "creator_day", asked_ms=1)
        finally:
            await rebuilding.stop()
    merged = await world.stored(settings)
    assert world.differences(merged, world.expected(settings, sent))["examples"] == []


NOW_MS: Final = world.BEGIN_MS + 3_600_000


@contextlib.asynccontextmanager
async def loading(settings: Settings, sent: list[world.Record]) -> AsyncIterator[None]:
    """Send records steadily; at the end all are sent."""
    task = asyncio.create_task(send_steadily(settings, sent))
    try:
        yield
        await task
    finally:
        task.cancel()


async def send_steadily(settings: Settings, sent: list[world.Record]) -> None:
    for begin in range(0, len(sent), 300):
        await world.send(settings, sent[begin : begin + 300])
        await asyncio.sleep(0.3)


@contextlib.asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[KafkaBoard]:
    board = KafkaBoard(settings, lambda: NOW_MS)
    await board.start()
    try:
        async with asyncio.timeout(30):
            version = 0
            while board.ready() is not None:
                version = await board.changed(version)
        yield board
    finally:
        await board.stop()


async def asked(board: KafkaBoard, by: str = "product", metric: str = "product_impressions") -> Answer:
    question = parse_request({"metrics": metric, "by": by, "window": "all"})
    return await board.in_turn(lambda: run(board.columns, question, now_ms=NOW_MS))


async def rebuilt(board: KafkaBoard, name: str = "", asked_ms: int = 0) -> None:
    """Wait until all cubes are whole, and one of them since it was asked for."""
    async with asyncio.timeout(60):
        version = 0
        while any(
            row.handed < PIECES or (row.cube == name and row.asked_ms < asked_ms)
            for _, row in board.columns.cubes_kept()
        ):
            version = await board.changed(version)
