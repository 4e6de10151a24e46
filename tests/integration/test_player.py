"""The player on a real broker: the records as recorded, a world of its own, time that is told only when it is true."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from agents import topics
from agents.clients import client_options
from replay.generator.scenario import generate
from replay.player import CLOCK_EVERY_MS, PlayReport, World, play
from replay.recording import Recording
from replay.routing import route
from streams.errors import SettingsError, TopicsError, UnavailableError
from streams.settings import KafkaSettings, Settings
from streams.topics import SOURCE_TOPICS, decode_clock, full_name

pytestmark = pytest.mark.timeout(90)
"""A broker that starts while others run, ten topics to make, and a play that takes its time."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("day") / "r"
    generate(folder, seed=2, scale=0.01)
    return Recording.open(folder)


def world_of(settings: Settings) -> World:
    async def create() -> None:
        await topics.ensure(settings)

    async def delete() -> None:
        await topics.delete(settings)

    return World(create, delete, client_options(settings.kafka))


async def stored(settings: Settings, names: list[str]) -> dict[tuple[str, int], list[ConsumerRecord]]:
    """Read whole topics back, by name without prefix and partition."""
    places = {
        TopicPartition(full_name(settings.kafka.prefix, name), partition): (name, partition)
        for name in names
        for partition in range(1 if name == "clock" else settings.kafka.partitions)
    }
    found: dict[tuple[str, int], list[ConsumerRecord]] = {place: [] for place in places.values()}
    options = {"bootstrap_servers": settings.kafka.bootstrap, "auto_offset_reset": "earliest"}
    async with AIOKafkaConsumer(**options) as consumer:
        consumer.assign(list(places))
        ends = await consumer.end_offsets(list(places))
        while any(len(found[place]) < ends[tp] for tp, place in places.items()):
            for tp, batch in (await consumer.getmany(timeout_ms=1_000)).items():
                found[places[tp]] += batch
    return found


async def test_every_line_is_on_its_partition_in_order_with_its_time_and_the_replays_id(
    day: Recording, world_settings: Settings
) -> None:
    report = await play(day, world_settings, world_of(world_settings), speed=None, keep=True)
    found = await stored(world_settings, [topic.name for topic in SOURCE_TOPICS])
    expected: dict[tuple[str, int], list[tuple[bytes | None, int, bytes | None]]] = {
        place: [] for place in found
    }
    for line in day.lines():
        place = route(line, world_settings.kafka.partitions)
        assert place is not None
        expected[place].append((line.key, line.timestamp_ms, line.value))
    assert {
        place: [(record.key, record.timestamp, record.value) for record in records]
        for place, records in found.items()
    } == expected
    headers = {record.headers for records in found.values() for record in records}
    assert headers == {(("replay_id", world_settings.replay_id.encode()),)}
    assert report.total == sum(len(records) for records in found.values())
    assert (report.first_ms, report.last_ms) == (day.starts_at_ms, day.ends_at_ms)


async def test_the_clock_rises_to_the_last_record_and_never_passes_what_is_there(
    day: Recording, world_settings: Settings
) -> None:
    await play(day, world_settings, world_of(world_settings), speed=None, keep=True)
    found = await stored(world_settings, ["clock"])
    times = [decode_clock(record.value) for record in found["clock", 0]]
    assert times == sorted(set(times))
    assert times[-1] == day.ends_at_ms


async def test_at_a_speed_it_takes_its_time_and_tells_it_every_half_minute(
    day: Recording, world_settings: Settings
) -> None:
    evening = day.starts_at_ms + 20 * 3_600_000
    end = evening + 20 * 60_000
    begun = time.monotonic()
    report = await play(
        day, world_settings, world_of(world_settings), speed=600, fast_until_ms=evening, to_ms=end, keep=True
    )
    taken = time.monotonic() - begun
    # Twenty minutes at 600 times are two seconds, beside the start and the fast part.
    assert 1.8 < report.seconds < 15
    assert report.seconds <= taken
    times = [decode_clock(record.value) for record in (await stored(world_settings, ["clock"]))["clock", 0]]
    paced = [at_ms for at_ms in times if at_ms > evening]
    assert len(paced) >= 5
    # The last two are the last record and the end that was asked for.
    assert all(later - earlier >= CLOCK_EVERY_MS for earlier, later in pairwise(paced[:-2]))
    assert times[-1] == end
    assert report.last_ms <= end


async def test_it_cleans_up_after_itself_unless_it_is_told_to_keep(
    day: Recording, world_settings: Settings
) -> None:
    await play(day, world_settings, world_of(world_settings), speed=None)
    with pytest.raises(TopicsError, match="missing"):
        await topics.check(world_settings)


async def test_it_ends_early_when_asked_and_says_so(day: Recording, world_settings: Settings) -> None:
    stop = asyncio.Event()

    def halfway(report: PlayReport) -> None:
        if report.total:
            stop.set()

    begun = time.monotonic()
    report = await play(day, world_settings, world_of(world_settings), speed=1.0, progress=halfway, stop=stop)
    assert report.stopped
    assert time.monotonic() - begun < 20
    with pytest.raises(TopicsError, match="missing"):
        await topics.check(world_settings)


async def test_the_live_prefix_is_refused_without_a_word_for_it(day: Recording) -> None:
    live = Settings()
    with pytest.raises(SettingsError, match="into-live"):
        await play(day, live, world_of(live), speed=None)


async def test_a_broker_that_is_not_there_is_named(day: Recording) -> None:
    nowhere = Settings(replay_id="x", kafka=KafkaSettings(bootstrap="127.0.0.1:9", prefix="replay.x."))

    async def nothing() -> None:
        return

    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"):
        await play(day, nowhere, World(nothing, nothing), speed=None)
