"""Ask workers to rebuild a cube anew, and hear of it: one compacted topic, the cube's name to when it was asked for."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from agents.clients import client_options
from streams.cubes import CUBE_BY_NAME
from streams.errors import SettingsError, UnavailableError
from streams.topics import REBUILDS, full_name

if TYPE_CHECKING:
    from streams.settings import KafkaSettings

logger = logging.getLogger(__name__)

ANSWER_WITHIN_S: Final = 10.0

FETCH_WAIT_MS: Final = 500
"""Nearly always nothing has been asked for, and the client asks all the time: twice a second is enough. Looking up
where the topic ends may take as long, as it comes behind a fetch."""


class _Request(msgspec.Struct):
    asked_at_ms: int


class RebuildRequests:
    """Reads what was asked for; without a group, from the beginning, and then on.

    Args:
        kafka: of the process.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._tp = TopicPartition(full_name(kafka.prefix, REBUILDS.name), 0)
        self._consumer: AIOKafkaConsumer | None = None
        self._newest: dict[str, int] = {}

    async def newest(self) -> dict[str, int]:
        """Return when each cube was last asked for, up to now.

        Raises:
            KafkaError: the broker does not answer; ask again later.
        """
        try:
            consumer = await self._connected()
            end = (await consumer.end_offsets([self._tp]))[self._tp]
            while await consumer.position(self._tp) < end:
                fetched: dict[Any, list[Any]] = await consumer.getmany(self._tp, timeout_ms=500)
                for record in fetched.get(self._tp, ()):
                    self._take(record)
        except KafkaError:
            await self.close()
            raise
        return dict(self._newest)

    async def close(self) -> None:
        """Let go of the connection; the next look makes a new one and reads from the beginning."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await asyncio.gather(consumer.stop(), return_exceptions=True)

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **client_options(self._kafka), enable_auto_commit=False, fetch_max_wait_ms=FETCH_WAIT_MS
            )
            self._consumer = consumer
            await consumer.start()
            consumer.assign([self._tp])
            await consumer.seek_to_beginning(self._tp)
        return self._consumer

    def _take(self, record: Any) -> None:
        name = (record.key or b"").decode("utf-8", "replace")
        try:
            request = msgspec.json.decode(record.value or b"", type=_Request)
        except msgspec.MsgspecError as error:
            logger.warning("A request to rebuild %r cannot be read: %s.", name, error)
            return
        self._newest[name] = max(request.asked_at_ms, self._newest.get(name, 0))


def check_cubes(names: tuple[str, ...]) -> None:
    """Refuse names that are no cubes.

    Raises:
        SettingsError: names them, and those that there are.
    """
    strange = [name for name in names if name not in CUBE_BY_NAME]
    if strange:
        what = f"There is no cube {', '.join(map(repr, strange))}."
        raise SettingsError(what, mend=f"Cubes are: {', '.join(CUBE_BY_NAME)}.")


async def ask_rebuild(kafka: KafkaSettings, names: tuple[str, ...], asked_at_ms: int) -> None:
    """Ask all workers to rebuild cubes anew; return when the request is durable.

    Raises:
        SettingsError: a name is no cube's.
        UnavailableError: the broker did not take it.
    """
    check_cubes(names)
    producer = AIOKafkaProducer(**client_options(kafka), acks="all")
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await producer.start()
            for name in names:
                value = msgspec.json.encode(_Request(asked_at_ms))
                await producer.send_and_wait(full_name(kafka.prefix, REBUILDS.name), value, key=name.encode())
    except (KafkaError, OSError, TimeoutError) as error:
        what = f"The request did not reach the broker: {error!r}."
        raise UnavailableError(what, mend="Check kafka.bootstrap, and run `warroom topics`.") from error
    finally:
        await asyncio.gather(producer.stop(), return_exceptions=True)
