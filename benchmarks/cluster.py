"""One real Apache Kafka for a benchmark, and the topics of the worlds that it measures in.

A world is a prefix of its own: source topics with a preloaded load, and the worker's state. The records carry the R of
a campaign day, so the topics take CreateTime while they are loaded, and are put back to what a live cluster has before
a worker looks at them; its check of the topics stays on.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Self

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # documented names, not in its __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from agents import topics
from benchmarks.load import SHOP
from streams.settings import KafkaSettings, Settings
from streams.topics import FACTS, SOURCE_TOPICS, STATE, TOPICS, Role, full_name
from tests.kafka_broker import KafkaBroker

if TYPE_CHECKING:
    from types import TracebackType

PARTITIONS: Final = 4
VISIBLE_WITHIN_S: Final = 20.0


class Cluster:
    """A broker with its own data; use as a context manager."""

    def __init__(self) -> None:
        # Kafka's default: without it the first process of a worker takes every partition, and gives half of them back.
        self.broker = KafkaBroker(delay_ms=3_000)

    @property
    def bootstrap(self) -> str:
        """Return host:port."""
        return self.broker.bootstrap

    def __enter__(self) -> Self:
        self.broker.__enter__()
        self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.broker.__exit__(kind, error, trace)

    def settings(self, prefix: str, *, app: str = "bench") -> Settings:
        """Return a worker's settings: our defaults, but for the place."""
        kafka = KafkaSettings(bootstrap=self.bootstrap, app=app, prefix=prefix, partitions=PARTITIONS)
        return Settings(shops={SHOP.shop_id: SHOP}, kafka=kafka)

    def create(self, prefix: str) -> None:
        """Create the source topics of a world, ready to be loaded with old timestamps.

        They are created so and not altered afterwards: the first batches could otherwise come before the change and
        be stamped with the time of their arrival.
        """
        old = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
        sources = {full_name(prefix, topic.name) for topic in SOURCE_TOPICS}
        plans = [plan for plan in topics.plan(self.settings(prefix)) if plan.name in sources]
        created = self._admin.create_topics(
            [NewTopic(plan.name, plan.partitions, 1, config=plan.config | old) for plan in plans]
        )
        for future in created.values():
            future.result()

    def seal(self, prefix: str) -> None:
        """Make a loaded world what a live cluster has: LogAppendTime, though records keep the timestamps they came
        with, and all the other topics.
        """
        names = [full_name(prefix, topic.name) for topic in SOURCE_TOPICS]
        self._alter(names, {"message.timestamp.type": "LogAppendTime"})
        asyncio.run(topics.ensure(self.settings(prefix)))

    def unseal(self, prefix: str) -> None:
        """Take records with old timestamps again."""
        names = [full_name(prefix, topic.name) for topic in SOURCE_TOPICS]
        self._alter(names, {"message.timestamp.type": "CreateTime"})

    def reset_state(self, prefix: str) -> None:
        """Forget what workers have written, so that the next one starts at the first record."""
        names = [
            full_name(prefix, topic.name)
            for topic in TOPICS.values()
            if topic.role in {Role.STATE, Role.OUTPUT}
        ]
        existing = [name for name in names if name in self._admin.list_topics(timeout=10).topics]
        if existing:
            for future in self._admin.delete_topics(existing).values():
                future.result()
        deadline = time.monotonic() + VISIBLE_WITHIN_S
        while any(name in self._admin.list_topics(timeout=10).topics for name in names):
            if time.monotonic() > deadline:
                message = f"state topics of {prefix} are still there after {VISIBLE_WITHIN_S:.0f} s"
                raise RuntimeError(message)
            time.sleep(0.1)
        asyncio.run(topics.ensure(self.settings(prefix)))

    def refuse_state_writes(self, prefix: str, *, refuse: bool) -> None:
        """Let writes to the state topics of a world fail for want of a second replica, or succeed again."""
        needed = {"min.insync.replicas": "2" if refuse else "1"}
        self._alter([full_name(prefix, STATE.name), full_name(prefix, FACTS.name)], needed)

    def drop(self, prefix: str) -> None:
        """Delete a world, to give its disk space back."""
        names = [name for name in self._admin.list_topics(timeout=10).topics if name.startswith(prefix)]
        for future in self._admin.delete_topics(names).values():
            future.result()

    def end_offsets(self, prefix: str) -> dict[TopicPartition, int]:
        """Return the end of every partition of every source topic."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "benchmark"})
        try:
            return {
                place: consumer.get_watermark_offsets(place, timeout=10)[1]
                for topic in SOURCE_TOPICS
                for place in (
                    TopicPartition(full_name(prefix, topic.name), number) for number in range(PARTITIONS)
                )
            }
        finally:
            consumer.close()

    def _alter(self, names: list[str], config: dict[str, str]) -> None:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in config.items()
        ]
        resources = [ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries) for name in names]
        for future in self._admin.incremental_alter_configs(resources).values():
            future.result()
        self._wait_for(names, config)

    def _wait_for(self, names: list[str], config: dict[str, str]) -> None:
        """Wait until the broker itself, not only its controller, goes by the change."""
        deadline = time.monotonic() + VISIBLE_WITHIN_S
        while True:
            described = self._admin.describe_configs(
                [ConfigResource(ResourceType.TOPIC, name) for name in names]
            )
            found = [
                {name: entry.value for name, entry in future.result().items()}
                for future in described.values()
            ]
            if all(one.get(name) == value for one in found for name, value in config.items()):
                return
            if time.monotonic() > deadline:
                message = f"{names[0]} and others do not have {config} after {VISIBLE_WITHIN_S:.0f} s"
                raise RuntimeError(message)
            time.sleep(0.1)
