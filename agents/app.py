"""The Faust app of a worker: group membership, assignment, one agent over all source topics.

What Faust brings beyond that is switched off, for reasons that field reports and measurements gave: its web server
(open to the network by default), its acknowledgements and commits (46 ms a batch after 5,000 batches), its redirect of
standard output, its wait for streams to become empty (without a time limit), its tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import faust
from faust.app.base import BootStrategy

from agents.clients import group_id
from agents.transport import SCHEME
from streams.topics import SOURCE_TOPICS, full_name, short_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faust.types import EventT, StreamT

    from agents.transport import Fetch, Keeper
    from streams.settings import KafkaSettings

FETCHES_BUFFERED: Final = 4
"""Fetches that wait for the agent; each may be `KafkaSettings.fetch_bytes` of values."""

PLACEMENT_TIMEOUT_S: Final = 300.0
"""Faust waits this long for the state of newly assigned partitions to be read."""


class _Boot(BootStrategy):
    enable_web = False
    # Faust's producer is never used: what we write goes through one transactional producer per partition.
    enable_kafka_producer = False


class _RawSchema(faust.Schema[Any, Any]):
    """Hand keys and values over as they are; a message's value is a whole `Fetch`."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002 - Faust's signature
        return None

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002 - Faust's signature
        return message.value


class WorkerApp(faust.App):
    """A Faust app that knows where its state is kept.

    Attributes:
        kafka: settings of the clients that the transport builds.
        keeper: owns the state; the transport asks it where to read from.
    """

    BootStrategy = _Boot
    kafka: KafkaSettings
    keeper: Keeper

    def _create_directories(self) -> None:
        """Make none: nothing of ours lies in Faust's data directory."""


def build_app(
    kafka: KafkaSettings, keeper: Keeper, ingest: Callable[[str, int, Fetch], Awaitable[None]]
) -> WorkerApp:
    """Return the app whose one agent hands every fetch to `ingest(topic, partition, fetch)`."""
    app = WorkerApp(
        group_id(kafka),
        broker=";".join(f"{SCHEME}://{server.strip()}" for server in kafka.bootstrap.split(",")),
        broker_session_timeout=kafka.session_timeout_ms / 1000,
        broker_heartbeat_interval=min(3.0, kafka.session_timeout_ms / 3000),
        broker_request_timeout=PLACEMENT_TIMEOUT_S,
        broker_rebalance_timeout=60.0,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=FETCHES_BUFFERED,
        stream_wait_empty=False,
        # The assignor that gives partition p of all topics to one worker is used only where standbys are asked for.
        table_standby_replicas=1,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.kafka = kafka
    app.keeper = keeper
    topics = [full_name(kafka.prefix, topic.name) for topic in SOURCE_TOPICS]
    channel = app.topic(*topics, acks=False, schema=_RawSchema())

    async def fold(stream: StreamT[Any]) -> None:
        async for event in cast("Any", stream).events():
            message = cast("EventT[Any]", event).message
            topic = short_name(kafka.prefix, message.topic)
            await ingest(topic or message.topic, message.partition, cast("Any", message.value))

    # One at a time: with more, Faust commits past what is still in work, and folds would no longer be in order.
    app.agent(channel, concurrency=1, name="fold")(fold)
    return app
