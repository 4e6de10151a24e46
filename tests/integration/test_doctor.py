"""The doctor on a real broker: topics, replays left over, clocks."""

from __future__ import annotations

import dataclasses

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from agents import topics
from agents.doctor import check_broker
from streams.findings import Finding, Level
from streams.settings import Settings

pytestmark = pytest.mark.integration


async def found(settings: Settings) -> dict[str, Finding]:
    return {finding.check: finding for finding in await check_broker(settings)}


async def test_missing_topics_are_in_the_way_until_they_are_made(world_settings: Settings) -> None:
    before = await found(world_settings)
    assert before["topics"].level is Level.BAD
    assert "warroom topics" in before["topics"].mend
    await topics.ensure(world_settings)
    after = await found(world_settings)
    assert {check: finding.level for check, finding in after.items() if check != "replays"} == {
        "broker": Level.OK,
        "topics": Level.OK,
        "clock": Level.OK,
    }


async def test_topics_of_a_replay_are_named_and_no_topic_of_the_doctors_stays(
    world_settings: Settings,
) -> None:
    # Of many replays the first ten are named, and other tests leave theirs.
    kafka = dataclasses.replace(world_settings.kafka, prefix="replay.0first.")
    await topics.ensure(dataclasses.replace(world_settings, kafka=kafka, replay_id="0first"))
    assert ": 0first" in (await found(world_settings))["replays"].said
    admin = AIOKafkaAdminClient(bootstrap_servers=world_settings.kafka.bootstrap)
    await admin.start()
    try:
        assert [name for name in await admin.list_topics() if name.startswith("warroom.doctor")] == []
    finally:
        await admin.close()


async def test_more_copies_than_there_are_brokers_are_in_the_way(world_settings: Settings) -> None:
    kafka = dataclasses.replace(world_settings.kafka, replication=3)
    assert (await found(dataclasses.replace(world_settings, kafka=kafka)))["replication"].level is Level.BAD
