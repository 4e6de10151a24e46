"""A worker on a real Kafka: what it leaves in the state equals a fold with no broker; bad input hurts nobody."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from agents import dead_letters, topics
from streams.outcomes import DEAD_LETTERS, Outcome
from streams.settings import Settings
from tests import world
from tests.workers import WorkerProcess

pytestmark = pytest.mark.timeout(90)


async def counted(
    settings: Settings, folder: Path, sent: list[world.Record], workers: int = 1
) -> world.Merged:
    """Send, fold with some workers, stop them as a deployment does, and return what they left."""
    await topics.ensure(settings)
    processes = [WorkerProcess(settings, folder, f"worker{n}").start() for n in range(workers)]
    try:
        await world.send(settings, sent)
        merged = await world.settled(settings, len(sent), within_s=60)
    finally:
        codes = [await process.stop() for process in processes]
    assert codes == [0] * workers, "\n".join(process.log.read_text() for process in processes)
    return merged


@pytest.mark.parametrize(("partitions", "workers"), [(4, 1), (1, 1), (8, 3)])
async def test_any_number_of_workers_and_partitions_gives_what_a_single_fold_gives(
    world_settings: Settings, tmp_path: Path, partitions: int, workers: int
) -> None:
    settings = world.with_kafka(world_settings, partitions=partitions)
    sent = list(world.records(6_000, seed=partitions))
    merged = await counted(settings, tmp_path, sent, workers)
    assert merged.read == len(sent)
    assert world.differences(merged, world.expected(settings, sent))["examples"] == []


async def test_a_worker_of_several_processes_survives_the_kill_of_one_and_ends_with_all_of_them(
    world_settings: Settings, tmp_path: Path
) -> None:
    settings = world_settings
    sent = list(world.records(6_000, seed=3))
    await topics.ensure(settings)
    worker = WorkerProcess(settings, tmp_path, "pool", ["--processes", "2"]).start()
    try:
        await world.send(settings, sent[:3_000])
        await world.settled(settings, 3_000, within_s=40)
        begun = psutil.Process(worker.pid).children()
        begun[0].kill()
        await world.send(settings, sent[3_000:])
        merged = await world.settled(settings, len(sent), within_s=60)
        # The one that was killed may have owned nothing yet: then all is counted before another one is there.
        async with asyncio.timeout(20):
            while len(family := psutil.Process(worker.pid).children()) < 2:  # noqa: ASYNC110 -- no event tells
                await asyncio.sleep(0.1)
    finally:
        code = await worker.stop()
    assert (len(begun), len(family), begun[0] in family) == (2, 2, False)
    assert world.differences(merged, world.expected(settings, sent))["examples"] == []
    assert code == 0, worker.log.read_text()
    assert not any(process.is_running() for process in family)


BAD: dict[str, tuple[bytes | None, Outcome]] = {
    "empty": (b"", Outcome.REJECTED_SCHEMA),
    "no value": (None, Outcome.REJECTED_SCHEMA),
    "two megabytes": (b'{"event_id":"' + b"x" * (2 << 20) + b'"}', Outcome.REJECTED_SIZE),
    "bad UTF-8": (b'{"event_id":"\xff"}', Outcome.REJECTED_SCHEMA),
    "deep nesting": (b"[" * 100_000 + b"]" * 100_000, Outcome.REJECTED_SCHEMA),
    "unknown type": (
        json.dumps(world.event("teleported", 1, world.BEGIN_MS)).encode(),
        Outcome.REJECTED_TYPE,
    ),
    "far future": (
        json.dumps(world.event("product_impression", 2, world.BEGIN_MS + 10**9, product_id="p1")).encode(),
        Outcome.REJECTED_FUTURE,
    ),
}


async def test_bad_records_between_good_neighbours_are_dead_letters_and_the_neighbours_count(
    world_settings: Settings, tmp_path: Path
) -> None:
    settings = world_settings
    sent: list[world.Record] = []
    for number, (value, _) in enumerate(BAD.values()):
        at_ms = world.BEGIN_MS + number * 1_000
        for side in (0, 1):
            neighbour: dict[str, Any] = world.event(
                "product_impression", 100 + 2 * number + side, at_ms, product_id="p1"
            )
            sent.append(world.Record("impressions", "one key", at_ms, json.dumps(neighbour).encode()))
            if not side:
                sent.append(world.Record("impressions", "one key", at_ms, value))
    merged = await counted(settings, tmp_path, sent)
    assert merged.outcomes["impressions"][Outcome.COUNTED] == 2 * len(BAD)
    assert merged.read == len(sent)
    letters = await dead_letters.find(settings)
    wanted = sorted((number * 3 + 1, outcome) for number, (_, outcome) in enumerate(BAD.values()))
    assert sorted((letter.offset, letter.outcome) for letter in letters) == wanted
    assert all(letter.outcome in DEAD_LETTERS and letter.detail for letter in letters)


async def test_a_record_of_another_replay_is_not_counted(world_settings: Settings, tmp_path: Path) -> None:
    await topics.ensure(world_settings)
    worker = WorkerProcess(world_settings, tmp_path, "worker").start()
    value = json.dumps(world.event("product_impression", 1, world.BEGIN_MS, product_id="p1")).encode()
    record = world.Record("impressions", "k", world.BEGIN_MS, value)
    try:
        await world.send(world_settings, [record])
        await world.send(world_settings, [record], replay_id="another")
        merged = await world.settled(world_settings, 2, within_s=30)
    finally:
        await worker.stop()
    assert merged.outcomes["impressions"] == {Outcome.COUNTED: 1, Outcome.REJECTED_REPLAY: 1}


async def test_a_worker_without_its_topics_says_how_to_make_them_and_ends_with_five(
    world_settings: Settings, tmp_path: Path
) -> None:
    worker = WorkerProcess(world_settings, tmp_path, "worker").start()
    assert await worker.ended(20) == 5
    assert "Run `warroom topics` to create them." in worker.log.read_text()


async def test_a_worker_without_a_partition_says_so_and_goes_on(
    world_settings: Settings, tmp_path: Path
) -> None:
    settings = world.with_kafka(world_settings, partitions=1)
    await topics.ensure(settings)
    workers = [WorkerProcess(settings, tmp_path, f"worker{n}").start() for n in range(2)]
    try:
        sent = list(world.records(500, seed=1))
        await world.send(settings, sent)
        assert (await world.settled(settings, 500, within_s=40)).read == 500
        for _ in range(200):
            if any("owns no partition" in worker.log.read_text() for worker in workers):
                break
            assert await workers[0].ended(0.1) is None
        assert any("more workers than the 1 partitions" in worker.log.read_text() for worker in workers)
    finally:
        codes = [await worker.stop() for worker in workers]
    assert codes == [0, 0]
