"""Where a recorded line goes: the topic of its event type, and the partition of its key.

Player and direct engine share this, so that partition p of a replay holds the same records in the same order by
either way.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
from aiokafka.partitioner import murmur2

from streams.topics import RECORDING_PREFIX, REPLAY_HEADER, SOURCE_TOPICS, TOPIC_OF_TYPE, short_name

if TYPE_CHECKING:
    from replay.recording import Line

_SOURCES: Final = frozenset(topic.name for topic in SOURCE_TOPICS)


class _Peek(msgspec.Struct):
    event_type: str = ""
    event_id: msgspec.Raw = msgspec.Raw(b"")


_DECODER: Final = msgspec.json.Decoder(_Peek)
_NOTHING: Final = _Peek()


def route(line: Line, partitions: int) -> tuple[str, int] | None:
    """Return topic (without prefix) and partition of a line; None when no worker reads the topic it belongs to.

    The event type decides; a line whose type is unknown or unreadable stays on the topic that it names. The partition
    is that of Kafka's default partitioner (murmur2 of the key). A line without a key goes by its event_id, so that a
    repeat finds the partition of its first copy; without that, by its value.
    """
    seen = _peek(line.value)
    topic = TOPIC_OF_TYPE.get(seen.event_type) or short_name(RECORDING_PREFIX, line.topic) or line.topic
    if topic not in _SOURCES:
        return None
    key = line.key if line.key is not None else bytes(seen.event_id) or line.value or b""
    return topic, partition_of(key, partitions)


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner gives a key."""
    return (_hash(key) & 0x7FFFFFFF) % partitions if partitions > 1 else 0


def own_headers(line: Line) -> list[tuple[str, bytes]]:
    """Return a line's headers without a replay's id: a recorded replay becomes another replay."""
    return [header for header in line.headers if header[0] != REPLAY_HEADER]


@lru_cache(maxsize=1 << 17)
def _hash(key: bytes) -> int:
    return int(murmur2(key))


def _peek(value: bytes | None) -> _Peek:
    if value is None:
        return _NOTHING
    try:
        return _DECODER.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return _NOTHING
