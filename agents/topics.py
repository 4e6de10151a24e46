"""Create, check and delete the topics on the broker; what they are is data in `streams.topics`.

The broker's defaults are never relied on: one partition too few sends a shop's events to a worker that has no state
for them, a source topic that deletes early loses what a restart needs, and a replay's old timestamps make Kafka
delete the records within minutes.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from agents.clients import client_options
from streams.days import DAY_MS
from streams.errors import TopicsError, UnavailableError
from streams.topics import TOPICS, Role, Topic, full_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streams.settings import Settings

MAX_MESSAGE_BYTES: Final = 8 << 20
"""A record of twice the size that we count must still reach the dead letters, and a batch holds several."""

VISIBLE_AFTER_S: Final = 15.0
"""How long a new topic may take until every partition has a leader."""


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as it must stand on the broker: its full name, partitions and settings."""

    name: str
    partitions: int
    config: dict[str, str]


def plan(settings: Settings) -> list[TopicPlan]:
    """Return every topic of these settings; a live cluster has no clock topic."""
    return [
        TopicPlan(
            name=full_name(settings.kafka.prefix, topic.name),
            partitions=settings.kafka.partitions if topic.co_partitioned else 1,
            config=_config(topic, settings),
        )
        for topic in TOPICS.values()
        if topic.role is not Role.CLOCK or settings.replay_id
    ]


async def ensure(settings: Settings) -> list[str]:
    """Create the topics that are missing, check all, and return the names of the new ones.

    Raises:
        TopicsError: a topic that exists is not as it must be, or the broker refused to create one.
        UnavailableError: no broker answers.
    """
    async with _admin(settings) as admin:
        existing = set(await admin.list_topics())
        missing = [topic for topic in plan(settings) if topic.name not in existing]
        if missing:
            await _create(admin, missing, settings.kafka.replication)
            await _wait_for_leaders(admin, missing)
    await check(settings)
    return [topic.name for topic in missing]


async def check(settings: Settings) -> None:
    """Compare the broker's topics with the plan.

    Raises:
        TopicsError: names every topic that is missing or differs, and how to mend it.
        UnavailableError: no broker answers.
    """
    planned = plan(settings)
    async with _admin(settings) as admin:
        existing = set(await admin.list_topics())
        missing = [topic.name for topic in planned if topic.name not in existing]
        if missing:
            what = f"Topics are missing: {', '.join(missing)}."
            raise TopicsError(what, mend="Run `warroom topics` to create them.")
        described = await admin.describe_topics([topic.name for topic in planned])
        partitions = {topic["topic"]: len(topic["partitions"]) for topic in described}
        configs = await _configs(admin, [topic.name for topic in planned])
    faults = [fault for topic in planned for fault in _faults(topic, configs.get(topic.name, {}))]
    counts = _count_fault(planned, partitions)
    if counts or faults:
        raise TopicsError(" ".join([*counts, *faults]))


async def delete(settings: Settings) -> list[str]:
    """Delete every topic of a replay's prefix and return their names.

    Raises:
        TopicsError: the prefix is a live one; live topics are never deleted from here.
        UnavailableError: no broker answers.
    """
    prefix = settings.kafka.prefix
    if not prefix.startswith("replay."):
        what = f"Topics of the prefix {prefix!r} are not a replay's."
        raise TopicsError(what, mend="Delete live topics with the tools of your broker.")
    async with _admin(settings) as admin:
        names = sorted(name for name in await admin.list_topics() if name.startswith(prefix))
        if names:
            response = await admin.delete_topics(names)
            for name, code in response.topic_error_codes:
                error = for_code(code)
                if error.errno and error is not UnknownTopicOrPartitionError:
                    what = f"Topic {name} cannot be deleted: {error.__name__}."
                    raise TopicsError(what, mend="Check the rights of this user on the broker.")
            for _ in range(int(VISIBLE_AFTER_S / 0.1)):
                if not set(names) & set(await admin.list_topics()):
                    break
                await asyncio.sleep(0.1)
    return names


def _config(topic: Topic, settings: Settings) -> dict[str, str]:
    config = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    replay = bool(settings.replay_id)
    match topic.role:
        case Role.SOURCE:
            config["cleanup.policy"] = "delete"
            # A cube that is rebuilt reads the sources again, so they cover the hot days and the day in hand.
            keep_ms = (settings.fold.hot_days + 1) * DAY_MS
            config["retention.ms"] = "-1" if replay else str(keep_ms)
            config["message.timestamp.type"] = "CreateTime" if replay else "LogAppendTime"
        case Role.CLOCK:
            config |= {
                "cleanup.policy": "delete",
                "retention.ms": "-1",
                "message.timestamp.type": "CreateTime",
            }
        case Role.STATE | Role.OUTPUT if topic.compacted:
            config["cleanup.policy"] = "compact"
            # Small segments and an early cleaner keep a restart short: the reader reads what is not yet compacted.
            config["segment.bytes"] = str(64 << 20)
            config["min.cleanable.dirty.ratio"] = "0.3"
            # A reader that is at most this far behind sees every flush mark, not only the newest.
            config["min.compaction.lag.ms"] = "60000"
        case _:
            config |= {"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS)}
    return config


def _count_fault(planned: list[TopicPlan], partitions: dict[str, int]) -> list[str]:
    wrong = [
        f"{topic.name} has {partitions[topic.name]} partitions and must have {topic.partitions}"
        for topic in planned
        if partitions[topic.name] != topic.partitions
    ]
    if not wrong:
        return []
    fault = (
        f"Topic {'; '.join(wrong)}: set kafka.partitions to what all topics have, or delete the topics and run"
        " `warroom topics` (the count is fixed for the life of a prefix)."
    )
    return [fault]


def _faults(topic: TopicPlan, config: dict[str, str]) -> list[str]:
    faults = []
    for key in ("cleanup.policy", "message.timestamp.type"):
        wanted, found = topic.config.get(key), config.get(key)
        if wanted is not None and found is not None and wanted not in found.split(","):
            faults.append(_alter(topic.name, key, wanted, found))
    found = config.get("max.message.bytes")
    if found is not None and int(found) < MAX_MESSAGE_BYTES // 4:
        faults.append(_alter(topic.name, "max.message.bytes", str(MAX_MESSAGE_BYTES), found))
    found = config.get("retention.ms")
    if topic.config.get("retention.ms") == "-1" and found is not None and found != "-1":
        faults.append(_alter(topic.name, "retention.ms", "-1", found))
    return faults


def _alter(name: str, key: str, wanted: str, found: str) -> str:
    return (
        f"Topic {name} has {key}={found}, it must be {wanted}: run `kafka-configs.sh --alter --topic {name}"
        f" --add-config {key}={wanted}`."
    )


async def _create(admin: AIOKafkaAdminClient, topics: list[TopicPlan], replication: int) -> None:
    response = await admin.create_topics(
        [NewTopic(topic.name, topic.partitions, replication, topic_configs=topic.config) for topic in topics]
    )
    for name, code, *detail in response.topic_errors:
        error = for_code(code)
        if error.errno and error is not TopicAlreadyExistsError:
            what = (
                f"Topic {name} cannot be created: {error.__name__} {next(iter(detail), '') or ''}".rstrip()
                + "."
            )
            raise TopicsError(what, mend="Check kafka.replication and the rights of this user on the broker.")


async def _wait_for_leaders(admin: AIOKafkaAdminClient, topics: list[TopicPlan]) -> None:
    """Wait until the broker has led every new partition, or the first send and fetch would fail."""
    wanted = {topic.name: topic.partitions for topic in topics}
    for _ in range(int(VISIBLE_AFTER_S / 0.1)):
        described = await admin.describe_topics(list(wanted))
        led = {
            topic["topic"]: sum(partition["leader"] >= 0 for partition in topic["partitions"])
            for topic in described
        }
        if all(led.get(name, 0) >= count for name, count in wanted.items()):
            return
        await asyncio.sleep(0.1)
    what = f"New topics have no leader after {VISIBLE_AFTER_S:.0f} s: {', '.join(wanted)}."
    raise TopicsError(what, mend="Look at the broker's log.")


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    responses = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    )
    configs: dict[str, dict[str, str]] = {}
    for response in responses:
        for _code, _message, _type, name, entries in response.resources:
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin: Any = AIOKafkaAdminClient(**client_options(settings.kafka))
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError) as error:
        what = f"The broker at {settings.kafka.bootstrap} does not answer: {error or type(error).__name__}."
        raise UnavailableError(what, mend="Check kafka.bootstrap and that the broker runs.") from error
    finally:
        await admin.close()
