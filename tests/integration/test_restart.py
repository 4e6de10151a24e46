"""Workers that are killed, stopped, told to end, or lose their broker: nothing is lost and nothing counts twice."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from agents import topics
from agents.transport import ConsumerThread
from agents.worker import Worker
from streams.settings import KafkaSettings, Settings
from streams.state import Flush, RowKey, StateRow
from streams.topics import full_name
from streams.wire import encode_flush
from tests import world
from tests.kafka_broker import KafkaBroker
from tests.workers import WorkerProcess

pytestmark = [pytest.mark.timeout(150), pytest.mark.slow]


async def test_killed_under_load_and_started_again_it_counts_everything_once(
    world_settings: Settings, tmp_path: Path
) -> None:
    settings = world.with_kafka(world_settings, flush_after_ms=50)
    await topics.ensure(settings)
    sent = list(world.records(9_000, seed=3))
    worker = WorkerProcess(settings, tmp_path, "worker").supervise()
    try:
        await world.send(settings, sent[:3_000])
        await world.under_way(settings, 1_000, within_s=30)
        worker.signal(signal.SIGKILL)
        await world.send(settings, sent[3_000:6_000])
        await world.under_way(settings, 3_500, within_s=40)
        worker.signal(signal.SIGKILL)
        await world.send(settings, sent[6_000:])
        merged = await world.settled(settings, len(sent), within_s=60)
    finally:
        await worker.stop()
    assert merged.read == len(sent)
    assert world.differences(merged, world.expected(settings, sent))["examples"] == []


async def test_told_to_end_it_flushes_everything_within_ten_seconds_and_the_next_one_goes_on(
    world_settings: Settings, tmp_path: Path
) -> None:
    # A flush is due only after a minute, so what is durable after SIGTERM is what the end of the worker flushed.
    settings = world.with_kafka(world_settings, flush_after_ms=60_000, flush_at_most_ms=60_000)
    await topics.ensure(settings)
    sent = list(world.records(4_000, seed=4))
    for number, part in enumerate((sent[:2_000], sent[2_000:])):
        worker = WorkerProcess(settings, tmp_path, f"worker{number}").start()
        await world.send(settings, part)
        await worker.said("Owns partitions", within_s=20)
        await asyncio.sleep(2)
        told_s = time.monotonic()
        worker.signal(signal.SIGTERM)
        assert await worker.ended(10) == 0, worker.log.read_text()
        assert time.monotonic() - told_s < 10
    merged = await world.stored(settings)
    assert world.differences(merged, world.expected(settings, sent))["examples"] == []


async def test_a_worker_that_slept_past_its_session_is_fenced_and_ends_with_75(
    world_settings: Settings, tmp_path: Path
) -> None:
    settings = world.with_kafka(world_settings, flush_after_ms=3_000)
    await topics.ensure(settings)
    sent = list(world.records(9_000, seed=5))
    sleeper = WorkerProcess(settings, tmp_path, "sleeper").start()
    try:
        await world.send(settings, sent[:3_000])
        await world.settled(settings, 3_000, within_s=30)
        # What the sleeper has folded and not flushed when it falls asleep, the other one folds again.
        await world.send(settings, sent[3_000:6_000])
        await asyncio.sleep(1)
        sleeper.signal(signal.SIGSTOP)
        other = WorkerProcess(settings, tmp_path, "other").start()
        try:
            merged = await world.settled(settings, 6_000, within_s=40)
            assert merged.read == 6_000
            sleeper.signal(signal.SIGCONT)
            assert await sleeper.ended(10) == 75
            assert "belongs to another worker now" in sleeper.log.read_text()
            await world.send(settings, sent[6_000:])
            merged = await world.settled(settings, len(sent), within_s=40)
            assert merged.read == len(sent)
        finally:
            await other.stop()
    finally:
        await sleeper.stop()
    merged = await world.stored(settings)
    assert world.differences(merged, world.expected(settings, sent))["examples"] == []


async def test_a_broker_that_goes_away_for_a_while_costs_nothing(tmp_path: Path) -> None:
    with KafkaBroker(tmp_path / "broker") as broker:
        settings = Settings(
            shops={world.SHOP_ID: world.SHOP},
            kafka=KafkaSettings(
                bootstrap=broker.bootstrap, app="test", prefix="replay.outage.", session_timeout_ms=6_000
            ),
            replay_id="outage",
        )
        await topics.ensure(settings)
        sent = list(world.records(6_000, seed=6))
        worker = WorkerProcess(settings, tmp_path, "worker").supervise()
        try:
            await world.send(settings, sent[:3_000])
            await world.under_way(settings, 500, within_s=30)
            await asyncio.to_thread(broker.stop)
            await asyncio.sleep(8)
            await asyncio.to_thread(broker.start)
            await world.send(settings, sent[3_000:])
            merged = await world.settled(settings, len(sent), within_s=60)
        finally:
            await worker.stop()
        assert merged.read == len(sent)
        assert world.differences(merged, world.expected(settings, sent))["examples"] == []


async def test_a_source_topic_that_was_made_anew_under_old_state_is_refused(
    world_settings: Settings, tmp_path: Path
) -> None:
    settings = world.with_kafka(world_settings, partitions=1)
    await topics.ensure(settings)
    sent = list(world.records(500, seed=7))
    worker = WorkerProcess(settings, tmp_path, "first").start()
    await world.send(settings, sent)
    await world.settled(settings, 500, within_s=30)
    assert await worker.stop() == 0
    await world.recreate(settings, "impressions")
    worker = WorkerProcess(settings, tmp_path, "second").start()
    try:
        assert await worker.ended(30) == 4
        assert "was deleted or cut" in worker.log.read_text()
    finally:
        await worker.stop()


async def test_a_source_topic_that_is_made_anew_while_it_is_read_ends_the_worker_with_4(
    world_settings: Settings, tmp_path: Path
) -> None:
    settings = world.with_kafka(world_settings, partitions=1)
    await topics.ensure(settings)
    sent = list(world.records(400, seed=11))
    worker = WorkerProcess(settings, tmp_path, "worker").start()
    try:
        await world.send(settings, sent)
        assert (await world.settled(settings, len(sent), within_s=30)).read == len(sent)
        await world.recreate(settings, "impressions")
        await world.send(settings, [record for record in sent[:20] if record.topic == "impressions"])
        assert await worker.ended(60) == 4, worker.log.read_text()
    finally:
        await worker.stop()


async def test_records_that_a_cancelled_call_took_count_although_none_comes_after_them(
    world_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.with_kafka(world_settings, partitions=1)
    await topics.ensure(settings)
    sent = list(world.records(400, seed=12))
    thief = Thief(monkeypatch)
    worker = Worker(settings, end=lambda _code: None)
    await worker.start()
    try:
        await world.send(settings, sent[:300])
        assert (await world.settled(settings, 300, within_s=30)).read == 300
        thief.wants = 100
        await world.send(settings, sent[300:])
        merged = await world.settled(settings, len(sent), within_s=60)
    finally:
        await worker.stop()
    assert len(thief.taken) == 100
    assert merged.read == len(sent)
    assert world.differences(merged, world.expected(settings, sent))["examples"] == []


class Thief:
    """Takes what a worker's fetches bring and gives it to nobody, as a call does whose caller is gone.

    Attributes:
        wants: how many records it takes before it lets everything pass.
        taken: partition and offset of each.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wants = 0
        self.taken: set[tuple[Any, int]] = set()
        self._fetch: Any = ConsumerThread._fetch_records
        # In place before a worker starts: a call that waits already would take past it.
        monkeypatch.setattr(
            ConsumerThread, "_fetch_records", lambda *args, **named: self._take(*args, **named)
        )

    async def _take(self, *args: Any, **named: Any) -> Any:
        found = await self._fetch(*args, **named)
        if len(self.taken) >= self.wants:
            return found
        self.taken.update(
            (partition, record.offset)
            for partition, chunks in found.items()
            for chunk in chunks
            for record in chunk.records
            if record.offset >= chunk.begins
        )
        return {}


async def test_state_of_a_cube_that_was_defined_otherwise_is_refused_with_the_remedy(
    world_settings: Settings, tmp_path: Path
) -> None:
    await topics.ensure(world_settings)
    key = RowKey("product_day", "0ld0ld0l", world.SHOP_ID, 734_000, "product_impression", ("p1", "0"))
    old = Flush(0, 1, [StateRow(key, 5, 0, None)], [], [], [], [])
    producer = AIOKafkaProducer(bootstrap_servers=world_settings.kafka.bootstrap)
    await producer.start()
    try:
        for row_key, value in encode_flush(old).state:
            name = full_name(world_settings.kafka.prefix, "state")
            await producer.send_and_wait(name, value, key=row_key, partition=0)
    finally:
        await producer.stop()
    worker = WorkerProcess(world_settings, tmp_path, "worker").start()
    try:
        assert await worker.ended(30) == 4
        log = worker.log.read_text()
        assert "cube 'product_day' was written under another definition" in log
        assert "delete this prefix's state and facts topics" in log
    finally:
        await worker.stop()


async def test_without_transactions_the_same_rows_are_written(
    world_settings: Settings, tmp_path: Path
) -> None:
    settings = world.with_kafka(world_settings, transactions=False)
    await topics.ensure(settings)
    sent = list(world.records(3_000, seed=8))
    worker = WorkerProcess(settings, tmp_path, "worker").start()
    try:
        await world.send(settings, sent)
        merged = await world.settled(settings, len(sent), within_s=40)
    finally:
        assert await worker.stop() == 0
    assert world.differences(merged, world.expected(settings, sent))["examples"] == []


async def test_a_worker_that_stands_still_while_there_is_work_ends_with_75(world_settings: Settings) -> None:
    settings = world.with_kafka(world_settings, stall_after_ms=3_000)
    await topics.ensure(settings)
    codes: list[int] = []
    worker = Worker(settings, end=codes.append)
    await worker.start()
    try:
        for _ in range(400):
            await asyncio.sleep(0.05)
            if worker.keeper.placed:
                break
        # A fold that never returns stands for whatever may hang; heartbeats go on, so the group sees a healthy member.
        hang = asyncio.Event()
        works = worker.keeper._in_executor

        async def hanging(_function: object, *_arguments: object) -> None:
            await hang.wait()

        worker.keeper._in_executor = hanging  # type: ignore[method-assign, assignment] # the hang
        await world.send(settings, list(world.records(100, seed=9)))
        for _ in range(200):
            if codes:
                break
            await asyncio.sleep(0.1)
        assert codes == [75]
        worker.keeper._in_executor = works  # type: ignore[method-assign] # back
        hang.set()
    finally:
        await worker.stop()
