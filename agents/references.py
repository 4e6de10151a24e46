"""Put reference records on their topics: what `warroom send` does."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents import topics
from agents.clients import client_options
from streams.errors import UnavailableError
from streams.topics import RECORDING_PREFIX, full_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.settings import Settings
    from streams.setup import ReferenceRecord


async def send(settings: Settings, records: Sequence[ReferenceRecord]) -> dict[str, int]:
    """Send records under their keys and return topic -> how many, when all are durable.

    The topics must be as they must be: an automatic one partition would hold the records for ever apart from the
    worker that folds their shop.

    Raises:
        TopicsError: a topic is missing or differs.
        UnavailableError: the broker does not take them; sending all again is harmless, the newest version wins.
    """
    await topics.check(settings)
    producer = AIOKafkaProducer(
        **client_options(settings.kafka), acks="all", enable_idempotence=settings.kafka.transactions
    )
    sent: Counter[str] = Counter()
    try:
        await producer.start()
        for record in records:
            name = full_name(settings.kafka.prefix, record.topic.removeprefix(RECORDING_PREFIX))
            await producer.send(name, bytes(record.value), key=record.key.encode())
            sent[name] += 1
        await producer.flush()
    except KafkaError as error:
        what = f"The broker did not take the reference records: {error!r}."
        raise UnavailableError(what, mend="Send them again: the newest version wins.") from error
    finally:
        await asyncio.gather(producer.stop(), return_exceptions=True)
    return dict(sorted(sent.items()))
