"""A board on Kafka writes days down as they leave the state, and a new one answers them from the files."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Final

import pytest

from agents import topics
from agents.archive import day_folder
from agents.board import KafkaBoard
from streams.days import DAY_MS
from streams.query import parse_request, run
from streams.settings import BoardSettings, FoldSettings, Settings
from tests import world
from tests.workers import WorkerProcess

pytestmark = [pytest.mark.timeout(150), pytest.mark.slow]

DAYS: Final = 6
A_DAY: Final = 40
QUESTION: Final = parse_request({"metrics": "product_impressions", "window": "all", "by": "day"})


async def test_days_that_left_the_state_are_answered_beside_those_of_now(
    world_settings: Settings, tmp_path: Path
) -> None:
    settings = dataclasses.replace(
        world.with_kafka(world_settings, flush_after_ms=50),
        fold=FoldSettings(hot_days=1),
        board=BoardSettings(data_dir=str(tmp_path / "data")),
    )
    await topics.ensure(settings)
    worker = WorkerProcess(settings, tmp_path, "worker").start()
    board = KafkaBoard(settings, lambda: 0)
    await board.start()
    keeping = asyncio.create_task(board.keep_history(lambda: True))
    try:
        for day in range(DAYS):
            await world.send(settings, impressions(day))
            # Each day is seen before the next one begins, as it is in life.
            async with asyncio.timeout(40):
                version = 0
                while sum(board.columns.outcomes().get("impressions", {}).values()) < (day + 1) * A_DAY:
                    version = await board.changed(version)
        async with asyncio.timeout(60):
            while len(day_folder(settings).days(world.SHOP_ID)) < DAYS - 2:  # noqa: ASYNC110 - files tell nobody
                await asyncio.sleep(0.2)
        expected = [A_DAY] * DAYS
        assert await by_day(board) == expected
    finally:
        keeping.cancel()
        await board.stop()
        await worker.stop()
    again = KafkaBoard(settings, lambda: 0)
    await again.start()
    try:
        async with asyncio.timeout(30):
            version = 0
            while again.ready() is not None:
                version = await again.changed(version)
        assert again.columns.cube("shop_quarter", world.SHOP_ID).height < DAYS * A_DAY
        assert await by_day(again) == expected
        assert again.history_fault() is None
    finally:
        await again.stop()


async def by_day(board: KafkaBoard) -> list[int]:
    now_ms = world.BEGIN_MS + DAYS * DAY_MS
    answer = await board.in_turn(lambda: run(board.columns, QUESTION, now_ms=now_ms))
    return [row["product_impressions"] for row in answer.rows]


def impressions(day: int) -> list[world.Record]:
    records = []
    for number in range(A_DAY):
        at_ms = world.BEGIN_MS + day * DAY_MS + number * 60_000
        fields = {"product_id": f"p{number % 3}", "user_key": f"u{number}"}
        event = world.event("product_impression", day * A_DAY + number, at_ms, **fields)
        records.append(world.Record("impressions", f"u{number}", at_ms, json.dumps(event).encode()))
    return records
