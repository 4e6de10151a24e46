"""Look at records that could not count, and send them again: the functions behind `warroom dead-letters`.

A dead letter keeps its record's first 256 KiB, place and reason. Sent again, it goes to the topic of its event type,
in its old partition (so a fact or a repeat meets what it belongs to), under its old key, and on a replay with its old
time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from agents.clients import client_options
from streams.errors import QueryError, UnavailableError
from streams.records import MAX_RECORD_BYTES
from streams.topics import DEAD_LETTERS, REPLAY_HEADER, TOPIC_OF_TYPE, full_name
from streams.wire import decode_dead_letter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from streams.outcomes import Outcome
    from streams.records import DeadLetter
    from streams.settings import Settings

READ_TIMEOUT_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class SentAgain:
    """Where a dead letter went.

    Attributes:
        place: where its record stood, `orders/3/1234`.
        sent_to: where it stands now.
        repaired: whether other bytes than the kept ones were sent.
    """

    place: str
    sent_to: str
    repaired: bool

    def __str__(self) -> str:
        """Return the line that a person reads."""
        return f"{self.place} sent again as {self.sent_to}{', repaired' if self.repaired else ''}"


async def find(
    settings: Settings,
    *,
    outcomes: Collection[Outcome] | None = None,
    topic: str | None = None,
    limit: int = 100,
) -> list[DeadLetter]:
    """Return the newest dead letters, newest first.

    Args:
        settings: of the cluster or replay.
        outcomes: only these reasons; None for all.
        topic: only records of this source topic, without prefix; None for all.
        limit: at most this many, >= 1.

    Raises:
        UnavailableError: the broker does not answer.
    """
    found: list[DeadLetter] = []
    async for letter in _letters(settings, range(settings.kafka.partitions)):
        if (outcomes is None or letter.outcome in outcomes) and topic in {None, letter.topic}:
            found.append(letter)
            if len(found) > 2 * limit:
                found = _newest(found, limit)
    return _newest(found, limit)


async def get(settings: Settings, place: str) -> DeadLetter:
    """Return one dead letter by its place, `orders/3/1234`.

    Raises:
        QueryError: no dead letter stands under this place.
        UnavailableError: the broker does not answer.
    """
    return (await _by_place(settings, [place]))[place]


async def send_again(
    settings: Settings, places: Sequence[str], *, repaired: bytes | None = None
) -> list[SentAgain]:
    """Send the records of dead letters again and return where they went, in the order of `places`.

    Args:
        settings: of the cluster or replay.
        places: as `find` shows them; all are looked up before the first is sent.
        repaired: bytes to send in place of the kept ones; only with a single place.

    Raises:
        QueryError: a place is not known, its kept value is cut or null, or a repair is given for several places or is
            larger than a record may be.
        UnavailableError: the broker does not answer; what was sent until then is not taken back.
    """
    if repaired is not None and len(places) != 1:
        what = f"A repaired value belongs to one dead letter, {len(places)} are named."
        raise QueryError(what, reason="ambiguous", mend="Send the others again by themselves.")
    if repaired is not None and len(repaired) > MAX_RECORD_BYTES:
        what = f"The repaired value has {len(repaired)} bytes, at most {MAX_RECORD_BYTES} are taken."
        raise QueryError(what, reason="too_large", mend="Send a smaller one.")
    letters = await _by_place(settings, places)
    values = {place: _value(letters[place], repaired) for place in places}
    producer = AIOKafkaProducer(
        **client_options(settings.kafka),
        acks="all",
        enable_idempotence=settings.kafka.transactions,
        # The largest record that counts, with its key and headers.
        max_request_size=2 * MAX_RECORD_BYTES,
    )
    headers = [(REPLAY_HEADER, settings.replay_id.encode())] if settings.replay_id else []
    sent = []
    try:
        await producer.start()
        for place in places:
            letter, value = letters[place], values[place]
            topic = _topic_of(value) or letter.topic
            stored = await producer.send_and_wait(
                full_name(settings.kafka.prefix, topic),
                value,
                key=letter.key,
                partition=letter.partition,
                timestamp_ms=letter.timestamp_ms if settings.replay_id else None,
                headers=headers,
            )
            sent.append(
                SentAgain(place, f"{topic}/{stored.partition}/{stored.offset}", repaired=repaired is not None)
            )
    except KafkaError as error:
        what = (
            f"{len(sent)} of {len(places)} dead letters were sent again, then the broker failed: {error!r}."
        )
        raise UnavailableError(what, mend="Send the rest again later.") from error
    finally:
        await asyncio.gather(producer.stop(), return_exceptions=True)
    return sent


def _value(letter: DeadLetter, repaired: bytes | None) -> bytes:
    if repaired is not None:
        return repaired
    if letter.value is None:
        what = f"The record at {letter.place} had no value."
        raise QueryError(what, reason="no_value", mend="Send a repaired value in its place.")
    if len(letter.value) < letter.value_bytes:
        what = (
            f"Of the record at {letter.place} only the first {len(letter.value)} of {letter.value_bytes} bytes are"
            " kept; half a record is not sent."
        )
        raise QueryError(
            what, reason="truncated", mend="Send a repaired value, or have its producer send it again."
        )
    return letter.value


def _topic_of(value: bytes) -> str | None:
    """Return the topic of the event's type; None when the bytes do not say."""
    try:
        event_type = msgspec.json.decode(value, type=_Typed).event_type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return TOPIC_OF_TYPE.get(event_type)


class _Typed(msgspec.Struct):
    event_type: str


async def _by_place(settings: Settings, places: Sequence[str]) -> dict[str, DeadLetter]:
    wanted = set(places)
    partitions = sorted({_partition_of(place, settings.kafka.partitions) for place in wanted})
    found = {
        letter.place: letter async for letter in _letters(settings, partitions) if letter.place in wanted
    }
    missing = sorted(wanted - found.keys())
    if missing:
        what = f"No dead letter stands under {', '.join(missing)}."
        raise QueryError(what, reason="not_found", mend="`warroom dead-letters list` shows the places.")
    return found


def _partition_of(place: str, partitions: int) -> int:
    parts = place.split("/")
    if len(parts) != 3 or not parts[1].isdecimal() or int(parts[1]) >= partitions:
        what = f"{place!r} is not a place."
        raise QueryError(
            what, reason="not_found", mend="A place is topic/partition/offset, such as orders/3/1234."
        )
    return int(parts[1])


def _newest(letters: list[DeadLetter], limit: int) -> list[DeadLetter]:
    return sorted(letters, key=lambda letter: (letter.timestamp_ms, letter.place), reverse=True)[:limit]


async def _letters(settings: Settings, partitions: Collection[int]) -> AsyncIterator[DeadLetter]:
    tps = [TopicPartition(full_name(settings.kafka.prefix, DEAD_LETTERS.name), p) for p in partitions]
    consumer = AIOKafkaConsumer(
        **client_options(settings.kafka),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        await consumer.seek_to_beginning(*tps)
        while [tp for tp in tps if await consumer.position(tp) < ends[tp]]:
            for records in (await consumer.getmany(timeout_ms=READ_TIMEOUT_MS)).values():
                for record in records:
                    yield decode_dead_letter(record.value)
    except KafkaError as error:
        what = f"Dead letters cannot be read: {error!r}."
        raise UnavailableError(what, mend="Check that the broker runs.") from error
    finally:
        await asyncio.gather(consumer.stop(), return_exceptions=True)
