"""Turn what a consumer has fetched into batches that the fold takes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from streams.intake import TRAFFIC_TOPICS
from streams.records import RecordBatch
from streams.topics import REPLAY_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PIECE_BYTES: Final = 512 << 10
"""Facts are folded by so many bytes of records at a time: as objects they take five times as much, and a fetch of them
alone, unpacked, is larger than what a flush may carry (`agents.flush.BODY_BYTES`)."""


def batch_of(topic: str, partition: int, records: Sequence[Any]) -> RecordBatch:
    """Return fetched records of one source topic (without prefix) of a partition as a batch."""
    replay_ids = (
        [_replay_id(record.headers) for record in records] if any(r.headers for r in records) else None
    )
    return RecordBatch(
        topic=topic,
        partition=partition,
        offsets=[record.offset for record in records],
        timestamps_ms=[record.timestamp for record in records],
        values=[record.value for record in records],
        keys=[record.key for record in records],
        replay_ids=replay_ids,
    )


def pieces_of(topic: str, batches: deque[Iterable[Any]]) -> Iterator[Sequence[Any]]:
    """Unpack the batches of a fetch and forget them: traffic as a whole, facts by `PIECE_BYTES`; a piece may be empty.

    Forgotten at once: an unpacked batch keeps its bytes as they travelled and all that they were packed from.
    """
    if topic in TRAFFIC_TOPICS:
        yield [record for batch in _drained(batches) for record in batch]
        return
    for batch in _drained(batches):
        piece, held = [], 0
        for record in batch:
            piece.append(record)
            held += len(record.value or b"")
            if held > PIECE_BYTES:
                yield piece
                piece, held = [], 0
        yield piece


def _drained(batches: deque[Iterable[Any]]) -> Iterator[Iterable[Any]]:
    while batches:
        yield batches.popleft()


def _replay_id(headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    for name, value in headers:
        if name == REPLAY_HEADER:
            return (value or b"").decode("utf-8", "replace")
    return None
