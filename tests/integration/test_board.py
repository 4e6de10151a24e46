"""The board on a real Kafka: whole flushes, ready only when everything up to its start is in, through an outage."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents import topics
from agents.board import KafkaBoard
from agents.outputs import Outputs
from streams.alerts import Alert, AlertRoute, AlertState
from streams.board import Board, ReportsLag
from streams.settings import KafkaSettings, Settings
from streams.topics import ALERTS, encode_clock, full_name
from tests import world
from tests.kafka_broker import KafkaBroker
from tests.workers import WorkerProcess

pytestmark = pytest.mark.timeout(120)

NOW_MS = world.BEGIN_MS + 3_600_000


async def until(true: Callable[[], bool], *, within_s: float = 30) -> None:
    for _ in range(int(within_s / 0.05)):
        if true():
            return
        await asyncio.sleep(0.05)
    assert true()


def outcomes(board: KafkaBoard) -> dict[str, Counter[object]]:
    return {topic: Counter(counts) for topic, counts in board.columns.outcomes().items() if counts}


def wanted(merged: world.Merged) -> dict[str, Counter[object]]:
    return {topic: Counter(counts) for topic, counts in merged.outcomes.items() if counts}


@pytest.fixture
async def board(world_settings: Settings) -> AsyncIterator[KafkaBoard]:
    await topics.ensure(world_settings)
    board = KafkaBoard(world_settings, lambda: NOW_MS, badge="synthetic")
    await board.start()
    try:
        yield board
    finally:
        await board.stop()


async def test_it_shows_what_a_single_fold_gives_and_says_when_it_lags(
    board: KafkaBoard, world_settings: Settings, tmp_path: Path
) -> None:
    protocol: Board = board
    assert isinstance(protocol, ReportsLag)
    await until(lambda: board.ready() is None)
    sent = list(world.records(4_000, seed=21))
    await world.send(world_settings, sent)
    await until(lambda: board.lag() == len(sent))
    worker = WorkerProcess(world_settings, tmp_path, "worker").start()
    try:
        version = board.columns.version
        assert await asyncio.wait_for(board.changed(version), 20) > version
        merged = world.expected(world_settings, sent)
        await until(lambda: outcomes(board) == wanted(merged))
        await until(lambda: board.lag() == 0)
    finally:
        await worker.stop()
    lines = board.columns.order_lines(world.SHOP_ID)
    orders = [row for key, row in merged.facts.items() if key.kind == "order_paid"]
    assert len(orders) == len(lines)
    assert sum(row.event.lines[0].goods_paid_minor for row in orders) == lines["goods_minor"].sum()  # type: ignore[attr-defined] # orders


async def test_a_board_that_starts_later_is_ready_only_with_everything_that_was_there(
    world_settings: Settings, tmp_path: Path
) -> None:
    await topics.ensure(world_settings)
    sent = list(world.records(3_000, seed=22))
    worker = WorkerProcess(world_settings, tmp_path, "worker").start()
    try:
        await world.send(world_settings, sent)
        await world.settled(world_settings, len(sent), within_s=40)
    finally:
        await worker.stop()
    board = KafkaBoard(world_settings, lambda: NOW_MS)
    assert board.ready() is not None
    await board.start()
    try:
        await until(lambda: board.ready() is None)
        assert outcomes(board) == wanted(world.expected(world_settings, sent))
    finally:
        await board.stop()


async def test_on_a_replay_now_is_the_players_clock_and_vouches_once_all_is_folded(
    board: KafkaBoard, world_settings: Settings, tmp_path: Path
) -> None:
    sent = list(world.records(1_000, seed=23))
    await world.send(world_settings, sent)
    clock = full_name(world_settings.kafka.prefix, "clock")
    producer = AIOKafkaProducer(bootstrap_servers=world_settings.kafka.bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(clock, encode_clock(NOW_MS + 30_000), key=b"t")
    finally:
        await producer.stop()
    await until(lambda: board.now_ms() == NOW_MS + 30_000)
    await asyncio.sleep(1.5)
    assert board.columns.vouched_ms == 0, "nothing is folded yet"
    worker = WorkerProcess(world_settings, tmp_path, "worker").start()
    try:
        await until(lambda: board.columns.vouched_ms == NOW_MS + 30_000)
    finally:
        await worker.stop()
    assert sum(counts.total() for counts in outcomes(board).values()) == len(sent)


async def test_alerts_come_back_newest_first_and_an_unchanged_one_is_not_written_again(
    board: KafkaBoard, world_settings: Settings
) -> None:
    outputs = Outputs(world_settings.kafka)
    await outputs.start()
    first, second = (
        Alert(
            alert_id=f"s1/{number}",
            rule="A-01",
            shop_id="s1",
            state=AlertState.OPEN,
            route=AlertRoute.PAGE,
            opened_at_ms=NOW_MS + number,
            updated_at_ms=NOW_MS + number,
            timezone="Europe/London",
            currency="GBP",
        )
        for number in (1, 2)
    )
    try:
        await outputs.publish_alerts([first, second])
        await outputs.publish_alerts([first])
        await until(lambda: len(board.alerts()) == 2)
    finally:
        await outputs.stop()
    assert list(board.alerts()) == [second, first]
    topic = TopicPartition(full_name(world_settings.kafka.prefix, ALERTS.name), 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=world_settings.kafka.bootstrap)
    await consumer.start()
    try:
        assert await consumer.end_offsets([topic]) == {topic: 2}
    finally:
        await consumer.stop()


async def test_it_goes_on_after_the_broker_was_away(tmp_path: Path) -> None:
    with KafkaBroker(tmp_path / "broker") as broker:
        settings = Settings(
            shops={world.SHOP_ID: world.SHOP},
            kafka=KafkaSettings(
                bootstrap=broker.bootstrap, app="test", prefix="replay.away.", session_timeout_ms=6_000
            ),
            replay_id="away",
        )
        await topics.ensure(settings)
        board = KafkaBoard(settings, lambda: NOW_MS)
        await board.start()
        worker = WorkerProcess(settings, tmp_path, "worker").supervise()
        try:
            sent = list(world.records(2_000, seed=24))
            await world.send(settings, sent[:1_000])
            await until(lambda: sum(c.total() for c in outcomes(board).values()) == 1_000)
            await asyncio.to_thread(broker.stop)
            await until(lambda: board.lag() is None)
            await asyncio.to_thread(broker.start)
            await world.send(settings, sent[1_000:])
            await until(lambda: outcomes(board) == wanted(world.expected(settings, sent)), within_s=60)
            assert board.ready() is None
        finally:
            await worker.stop()
            await board.stop()
