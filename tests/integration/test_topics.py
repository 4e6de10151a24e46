"""Topics on a real broker: created as planned, checked against it, a replay's deleted."""

from __future__ import annotations

import dataclasses

import pytest

from agents import topics
from streams.errors import TopicsError, UnavailableError
from streams.settings import Settings


async def test_topics_are_created_once_and_pass_their_own_check(world_settings: Settings) -> None:
    created = await topics.ensure(world_settings)
    assert world_settings.kafka.prefix + "orders" in created
    assert len(created) == len(topics.plan(world_settings))
    await topics.check(world_settings)
    assert await topics.ensure(world_settings) == []


async def test_missing_topics_are_named_with_the_command_that_makes_them(world_settings: Settings) -> None:
    with pytest.raises(TopicsError, match=r"orders.*warroom topics"):
        await topics.check(world_settings)


async def test_another_partition_count_is_refused_and_says_what_to_set(world_settings: Settings) -> None:
    await topics.ensure(world_settings)
    other = dataclasses.replace(world_settings, kafka=dataclasses.replace(world_settings.kafka, partitions=3))
    with pytest.raises(TopicsError, match=r"has 4 partitions.*kafka\.partitions"):
        await topics.check(other)


async def test_topics_that_stamp_other_times_are_refused_with_the_command_that_mends_them(
    world_settings: Settings,
) -> None:
    await topics.ensure(world_settings)
    live = dataclasses.replace(world_settings, replay_id="")
    with pytest.raises(TopicsError, match=r"message\.timestamp\.type=CreateTime.*kafka-configs"):
        await topics.check(live)


async def test_a_replay_is_deleted_whole_and_can_begin_anew(world_settings: Settings) -> None:
    await topics.ensure(world_settings)
    deleted = await topics.delete(world_settings)
    assert len(deleted) == len(topics.plan(world_settings))
    with pytest.raises(TopicsError, match="missing"):
        await topics.check(world_settings)


async def test_a_broker_that_is_not_there_is_reported_with_its_address(world_settings: Settings) -> None:
    nowhere = dataclasses.replace(
        world_settings, kafka=dataclasses.replace(world_settings.kafka, bootstrap="127.0.0.1:9")
    )
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9 does not answer"):
        await topics.check(nowhere)
