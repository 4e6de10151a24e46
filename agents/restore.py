"""Read what a partition's owners have written: its state and facts, to the end, whole transactions only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.clients import client_options
from streams.errors import StateError, UnavailableError
from streams.topics import FACTS, SOURCE_TOPICS, STATE, full_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.settings import KafkaSettings

READ_BYTES: Final = 4 << 20
STALLED_AFTER_S: Final = 30.0
"""A read that brings nothing for so long has failed; an owner must not wait for ever while its records pile up."""


class Stored:
    """The newest record of every key of one partition, per topic, undecoded."""

    def __init__(self) -> None:
        self.state: dict[bytes, bytes | None] = {}
        self.facts: dict[bytes, bytes | None] = {}


async def read_stored(kafka: KafkaSettings, partitions: Iterable[int]) -> dict[int, Stored]:
    """Read the state and facts of some partitions to their end.

    Only after the partition's producer is open: that ends what an earlier owner left unfinished, so the end is fixed.

    Raises:
        UnavailableError: the broker does not answer.
    """
    stored = {partition: Stored() for partition in partitions}
    names = {full_name(kafka.prefix, STATE.name): "state", full_name(kafka.prefix, FACTS.name): "facts"}
    tps = [TopicPartition(name, partition) for name in names for partition in stored]
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=READ_BYTES,
        # Look-ups of offsets queue behind a fetch that waits for records; with 500 ms they were most of a restart.
        fetch_max_wait_ms=50,
    )
    try:
        await consumer.start()
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        await consumer.seek_to_beginning(*tps)
        open_tps = {tp for tp in tps if await consumer.position(tp) < ends[tp]}
        idle_s = 0.0
        while open_tps:
            fetched = await consumer.getmany(timeout_ms=200)
            for tp, records in fetched.items():
                target: dict[bytes, bytes | None] = getattr(stored[tp.partition], names[tp.topic])
                for record in records:
                    # Popped first, so that the order of the newest versions is the order of writing.
                    target.pop(record.key, None)
                    target[record.key] = record.value
            # The position also passes commit markers and what compaction removed, the last record's offset does not.
            open_tps = {tp for tp in open_tps if await consumer.position(tp) < ends[tp]}
            idle_s = 0.0 if fetched else idle_s + 0.2
            if idle_s > STALLED_AFTER_S:
                what = f"Reading {', '.join(sorted(tp.topic for tp in open_tps))} brought nothing for {idle_s:.0f} s."
                raise UnavailableError(what)
    except KafkaError as error:
        what = f"State cannot be read: {error!r}."
        raise UnavailableError(what, mend="Check that the broker runs.") from error
    finally:
        await asyncio.gather(consumer.stop(), return_exceptions=True)
    return stored


async def source_offsets(
    kafka: KafkaSettings, positions: Mapping[int, Mapping[str, int]]
) -> dict[TopicPartition, int]:
    """Return the offset to read every source topic of some partitions from.

    Args:
        kafka: where the topics are.
        positions: partition -> source topic -> the first offset that is not folded.

    Raises:
        StateError: a source topic ends before the position, so it is not the one that the state was made from.
        UnavailableError: the broker does not answer.
    """
    wanted = {
        TopicPartition(full_name(kafka.prefix, topic.name), partition): offsets.get(topic.name, 0)
        for partition, offsets in positions.items()
        for topic in SOURCE_TOPICS
    }
    consumer = AIOKafkaConsumer(**client_options(kafka), enable_auto_commit=False)
    try:
        await consumer.start()
        # Paused, so that nothing is fetched; assigned, as otherwise the first look-up waits a second for metadata.
        consumer.assign(list(wanted))
        consumer.pause(*wanted)
        begins = await consumer.beginning_offsets(list(wanted))
        ends = await consumer.end_offsets(list(wanted))
    except KafkaError as error:
        what = f"Offsets of the source topics cannot be read: {error!r}."
        raise UnavailableError(what, mend="Check that the broker runs.") from error
    finally:
        await asyncio.gather(consumer.stop(), return_exceptions=True)
    for tp, offset in wanted.items():
        if offset > ends[tp]:
            what = f"Topic {tp.topic} ends at offset {ends[tp]} of partition {tp.partition}, its state at {offset}."
            mend = "The topic was deleted or cut: delete the state and facts topics too, and fold what is left anew."
            raise StateError(what, mend=mend)
    return {tp: max(offset, begins[tp]) for tp, offset in wanted.items()}
