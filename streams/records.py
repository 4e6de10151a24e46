"""What comes in, and what cannot count: batches of source records and dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from streams.outcomes import Outcome

MAX_RECORD_BYTES: Final = 1 << 20
"""A larger value is `rejected_size`."""

DEAD_LETTER_BYTES: Final = 256 << 10
"""A dead letter keeps this much of its record's value, beside its length and hash."""


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one source partition in offset order, as columns of equal length.

    Attributes:
        topic: without prefix, one of `topics.SOURCE_TOPICS`.
        partition: the source partition, which is also the state partition.
        offsets: rising; gaps are legal.
        timestamps_ms: R, the record timestamps (LogAppendTime live, the recording's on a replay).
        values: the JSON bytes; None is a tombstone and counts as malformed.
        keys: as sent; only dead letters keep them.
        replay_ids: the replay header of each record; None where no record of the batch carries one.
    """

    topic: str
    partition: int
    offsets: Sequence[int]
    timestamps_ms: Sequence[int]
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None]
    replay_ids: Sequence[str | None] | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot count as it is, with its place and its reason; it can be repaired and sent again.

    Attributes:
        value: the first `DEAD_LETTER_BYTES` of the record's value; None for a null value.
        value_bytes: the whole length, 0 for a null value.
        value_sha256: hex digest of the whole value; empty for a null value.
        detail: what is wrong, for a person: field, bound, what was found.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    value_bytes: int
    value_sha256: str
    outcome: Outcome
    detail: str

    @property
    def place(self) -> str:
        """Return where the record stands, which is the dead letter's key: `orders/3/1234`."""
        return f"{self.topic}/{self.partition}/{self.offset}"
