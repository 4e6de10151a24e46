"""Write a flush: one Kafka transaction per state partition, from a producer that fences all older ones of it.

A flush is seen whole or not at all: state rows, facts, the repeat window, dead letters and source positions stand in
one transaction, and in each topic a mark comes last. Only the broker that `warroom demo` starts has no transactions
(design, decision 10); there the same rows are written in an order that a crash can only cut short.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from agents.clients import client_options, group_id, transactional_id
from streams.errors import FencedError, FlushError, UnavailableError
from streams.topics import DEAD_LETTERS, FACTS, STATE, full_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.settings import KafkaSettings

BATCH_BYTES: Final = 900_000
"""Of one batch of a flush: below the 1 MiB that brokers take by default, should a topic be older than our settings."""

CATCHING_UP_RECORDS: Final = 20_000
"""A source partition that is further behind its end catches up: a second's worth at four times the rated speed."""

CAUGHT_UP_MS: Final = 500
"""How long after that the rest of a backlog takes: a flush before would leave it to another one."""

BODY_BYTES: Final = 1 << 20
"""Facts and dead letters travel whole, and a worker that catches up folds megabytes of orders a second: with so many
bytes of records waiting a flush is due, however young. Before, they took 200 MiB as objects, which the heap kept."""

Row = tuple[bytes, bytes | None]


class EncodedRows(Protocol):
    """What `streams.wire.encode_flush` gives: key and value of every record, the mark last in each list."""

    @property
    def state(self) -> Sequence[Row]:
        """Rows of the state topic."""
        ...

    @property
    def facts(self) -> Sequence[Row]:
        """Rows of the facts topic."""
        ...

    @property
    def dead_letters(self) -> Sequence[Row]:
        """Records of the dead-letter topic."""
        ...


class FlushPacer:
    """When a flush of one partition is due; a pure object, time is passed in.

    Due `flush_after_ms` after the first change, but not before four times the last flush's duration have passed since
    it ended (a slow broker is not asked more often than it can answer), and at the latest `flush_at_most_ms` after it.
    While a partition catches up nobody waits for its newest second, and a row that changes all the time costs a
    fifth: a flush is due at the latest moment then. Once it has caught up somebody does: the next flush does not wait
    for what the last one took, which was our own load and not the broker's. What is large is flushed at once.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._after_ms = kafka.flush_after_ms
        self._at_most_ms = kafka.flush_at_most_ms
        self._changed_ms: int | None = None
        self._far_behind: set[str] = set()
        self._full = False
        self._caught_up_ms = 0
        self._ended_ms = 0
        self._duration_ms = 0

    def changed(
        self, now_ms: int, *, topic: str | None = None, behind: int = 0, waiting_bytes: int = 0
    ) -> None:
        """Note that there is something to flush.

        Args:
            now_ms: of a clock that only goes on.
            topic: of the source that it came from; None when it came from none.
            behind: records of that topic that are still to be read.
            waiting_bytes: of bodies that the next flush carries.
        """
        self._full = waiting_bytes > BODY_BYTES
        if topic is not None:
            if behind > CATCHING_UP_RECORDS:
                self._far_behind.add(topic)
            elif topic in self._far_behind:
                self._far_behind.discard(topic)
                if not self._far_behind:
                    self._caught_up_ms = now_ms
                    self._duration_ms = 0
        if self._changed_ms is None:
            self._changed_ms = now_ms

    def taken(self) -> None:
        """Note that everything up to now is in the flush that begins."""
        self._changed_ms = None
        self._full = False

    def ended(self, began_ms: int, now_ms: int) -> None:
        """Note how long the flush took."""
        self._ended_ms = now_ms
        self._duration_ms = now_ms - began_ms

    def due(self, now_ms: int) -> bool:
        """Return whether a flush should begin now."""
        if self._changed_ms is None:
            return False
        if self._far_behind or self._full:
            return self.overdue(now_ms)
        earliest = max(
            self._changed_ms + self._after_ms,
            self._ended_ms + 4 * self._duration_ms,
            self._caught_up_ms + CAUGHT_UP_MS,
        )
        return now_ms >= min(earliest, self._changed_ms + self._at_most_ms)

    def overdue(self, now_ms: int) -> bool:
        """Return whether changes wait so long, or are so many, that no more may be folded on top of them."""
        if self._changed_ms is None:
            return False
        return self._full or now_ms >= self._changed_ms + self._at_most_ms


class FlushWriter:
    """Writes the flushes of one state partition."""

    def __init__(self, kafka: KafkaSettings, partition: int) -> None:
        self.partition = partition
        self._kafka = kafka
        options: dict[str, Any] = {
            **client_options(kafka),
            "acks": "all",
            "linger_ms": 0,
            "max_batch_size": BATCH_BYTES,
            "compression_type": "lz4",
            "request_timeout_ms": 2 * kafka.transaction_timeout_ms,
        }
        if kafka.transactions:
            options["transactional_id"] = transactional_id(kafka, partition)
            options["transaction_timeout_ms"] = kafka.transaction_timeout_ms
        self._producer = AIOKafkaProducer(**options)

    async def open(self) -> None:
        """Fence every older writer of this partition and end what it left open.

        Raises:
            UnavailableError: the broker does not answer or refuses.
        """
        try:
            await self._producer.start()
        except KafkaError as error:
            await self._producer.stop()
            what = f"Partition {self.partition} cannot be taken over: {error!r}."
            raise UnavailableError(
                what, mend="Check the broker and the rights on the transactional id."
            ) from error

    async def close(self) -> None:
        """Let go of the partition; never raises, the next owner fences in any case."""
        # A producer that the broker refused raises its refusal once more here.
        await asyncio.gather(self._producer.stop(), return_exceptions=True)

    async def write(self, rows: EncodedRows, next_offsets: Mapping[str, int]) -> None:
        """Write one flush whole.

        Args:
            rows: as encoded, the mark last in each topic.
            next_offsets: per source topic (without prefix), sent along for tools that show lag.

        Raises:
            FencedError: another worker owns the partition.
            FlushError: the flush failed or its fate is unknown; this process must end.
        """
        try:
            if self._kafka.transactions:
                # No context manager: on an error it would abort, which waits for a broker that may be away. The
                # process ends instead, and the next owner aborts what is left open.
                await self._producer.begin_transaction()
                await asyncio.gather(
                    self._send(FACTS.name, rows.facts),
                    self._send(STATE.name, rows.state),
                    self._send(DEAD_LETTERS.name, rows.dead_letters),
                )
                await self._producer.send_offsets_to_transaction(
                    self._offsets(next_offsets), group_id(self._kafka)
                )
                await self._producer.commit_transaction()
            else:
                # The mark of the state topic is last of all: a board that sees it has seen the facts.
                await self._send(DEAD_LETTERS.name, rows.dead_letters)
                await self._send(FACTS.name, rows.facts)
                await self._send(STATE.name, rows.state)
        except (ProducerFenced, InvalidProducerEpoch) as error:
            what = f"Partition {self.partition} belongs to another worker now ({type(error).__name__})."
            raise FencedError(what) from error
        except KafkaError as error:
            what = f"The flush of partition {self.partition} failed: {error!r}."
            raise FlushError(what, mend="Start the worker again; it goes on from its last flush.") from error

    def _offsets(self, next_offsets: Mapping[str, int]) -> dict[TopicPartition, OffsetAndMetadata]:
        return {
            TopicPartition(full_name(self._kafka.prefix, topic), self.partition): OffsetAndMetadata(
                offset, ""
            )
            for topic, offset in next_offsets.items()
        }

    async def _send(self, topic: str, rows: Sequence[Row]) -> None:
        """Send rows in order, in batches of our own making: 2 to 3 microseconds a row instead of 50."""
        name = full_name(self._kafka.prefix, topic)
        deliveries = []
        batch = self._producer.create_batch()
        for key, value in rows:
            if batch.append(key=key, value=value, timestamp=None) is None:
                batch.close()
                deliveries.append(await self._producer.send_batch(batch, name, partition=self.partition))
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None)
        if batch.record_count():
            batch.close()
            deliveries.append(await self._producer.send_batch(batch, name, partition=self.partition))
        # Every send is awaited: a batch that failed silently would be a hole in a committed flush.
        await asyncio.gather(*deliveries)
