"""What the broker is asked for: the plan that follows from the topics as data."""

from __future__ import annotations

import dataclasses

import pytest

from agents.topics import delete, plan
from streams.errors import TopicsError
from streams.settings import KafkaSettings, Settings

LIVE = Settings()
REPLAY = dataclasses.replace(LIVE, kafka=KafkaSettings(prefix="replay.friday."), replay_id="friday")


def config(settings: Settings, name: str) -> dict[str, str]:
    return next(topic.config for topic in plan(settings) if topic.name == settings.kafka.prefix + name)


def test_live_sources_carry_the_time_of_the_broker() -> None:
    assert config(LIVE, "orders")["message.timestamp.type"] == "LogAppendTime"


def test_live_sources_are_kept_for_the_hot_days_and_one_more() -> None:
    assert config(LIVE, "impressions")["retention.ms"] == str(46 * 86_400_000)


def test_a_replay_keeps_its_recorded_times_and_is_never_deleted_for_its_age() -> None:
    assert config(REPLAY, "orders")["message.timestamp.type"] == "CreateTime"
    assert config(REPLAY, "orders")["retention.ms"] == "-1"
    assert config(REPLAY, "clock")["retention.ms"] == "-1"


def test_only_a_replay_has_a_clock() -> None:
    assert "cm.clock" not in [topic.name for topic in plan(LIVE)]
    assert "replay.friday.clock" in [topic.name for topic in plan(REPLAY)]


@pytest.mark.parametrize("name", ["state", "facts", "alerts", "stock_projections", "goal_progress"])
def test_what_keeps_the_newest_of_a_key_is_compacted(name: str) -> None:
    assert config(LIVE, name)["cleanup.policy"] == "compact"


@pytest.mark.parametrize("name", ["orders", "impressions", "dead_letters"])
def test_what_is_a_log_is_not_compacted(name: str) -> None:
    assert config(LIVE, name)["cleanup.policy"] == "delete"


def test_a_record_of_two_megabytes_reaches_the_topic_so_that_it_can_be_rejected_by_name() -> None:
    assert all(int(topic.config["max.message.bytes"]) > 2_500_000 for topic in plan(LIVE))


def test_sources_state_and_facts_have_one_count_of_partitions_and_outputs_one_partition() -> None:
    counts = {topic.name.removeprefix("cm."): topic.partitions for topic in plan(LIVE)}
    assert {counts[name] for name in ("orders", "impressions", "state", "facts", "shops")} == {4}
    assert {counts[name] for name in ("alerts", "stock_projections", "goal_progress")} == {1}


async def test_live_topics_are_never_deleted() -> None:
    with pytest.raises(TopicsError, match="not a replay's"):
        await delete(LIVE)
