"""Turn what a consumer has fetched into batches that the fold takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.records import RecordBatch
from streams.topics import REPLAY_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def _replay_id(headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    for name, value in headers:
        if name == REPLAY_HEADER:
            return (value or b"").decode("utf-8", "replace")
    return None
