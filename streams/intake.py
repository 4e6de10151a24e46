"""Read a batch of records: refuse what cannot count by itself, give the rest as columns of traffic and as facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np
import xxhash

from streams.decoding import Refusal, decode
from streams.errors import WarRoomError
from streams.events import TRAFFIC_TYPES, Fact, Traffic
from streams.fast_decoding import decode_fast
from streams.records import MAX_RECORD_BYTES, RecordBatch
from streams.topics import TOPIC_OF_TYPE
from streams.traffic import TrafficColumns, columns_of
from streams.validation import refuse_arrival

TRAFFIC_TOPICS: Final = frozenset(TOPIC_OF_TYPE[name] for name in TRAFFIC_TYPES)
FAST_RECORDS: Final = 4
"""Smaller batches are decoded one by one: the fast path costs 6 microseconds a batch, and a record 1 instead of 6."""

_SAMPLE_ONE_IN: Final = 256
"""Of the batches that the fast path takes, this share is decoded by the authority as well."""


class DecodersDisagreeError(WarRoomError):
    """The fast path took a batch otherwise than the authority: a fault of this program, never of the data."""


@dataclass(slots=True)
class Intake:
    """A batch after decoding; indices count within the batch.

    Attributes:
        refusals: (index, reason) of records that cannot count.
        traffic: well-formed traffic; None where there is none.
        facts: (index, event) of well-formed facts, in order.
        fast: whether the columnar path took the batch.
    """

    refusals: list[tuple[int, Refusal]] = field(default_factory=list)
    traffic: TrafficColumns | None = None
    facts: list[tuple[int, Fact]] = field(default_factory=list)
    fast: bool = False


def read(batch: RecordBatch, start: int, replay_id: str) -> Intake:
    """Decode the records of a batch from index `start` on.

    Raises:
        DecodersDisagreeError: the two decoders gave different results for a sampled batch.
    """
    intake = Intake()
    indices, values = _arrivals(batch, start, replay_id, intake)
    if batch.topic in TRAFFIC_TOPICS and len(values) >= FAST_RECORDS and None not in values:
        traffic = decode_fast(cast("list[bytes]", values))
        if traffic is not None:
            if _is_sampled(batch, start):
                _compare(traffic, values, batch)
            if intake.refusals or start:
                traffic.index = np.array(indices, dtype=np.int64)
            intake.traffic, intake.fast = traffic, True
            return intake
    _read_one_by_one(indices, values, intake)
    return intake


def _arrivals(
    batch: RecordBatch, start: int, replay_id: str, intake: Intake
) -> tuple[Sequence[int], list[bytes | None]]:
    """Return index and value of what `refuse_arrival` lets in, refusals into the intake."""
    values, headers = list(batch.values[start:]), batch.replay_ids
    sizes = (0 if value is None else len(value) for value in values)
    ours = not replay_id if headers is None else list(headers[start:]).count(replay_id) == len(values)
    # The rule, and worth a microsecond a record: nothing is too large and everything belongs to this replay.
    if ours and max(sizes, default=0) <= MAX_RECORD_BYTES:
        return range(start, len(batch.offsets)), values
    indices: list[int] = []
    kept: list[bytes | None] = []
    for index, value in enumerate(values, start):
        refusal = refuse_arrival(value, None if headers is None else headers[index], replay_id)
        if refusal is None:
            indices.append(index)
            kept.append(value)
        else:
            intake.refusals.append((index, refusal))
    return indices, kept


def _read_one_by_one(indices: Sequence[int], values: Sequence[bytes | None], intake: Intake) -> None:
    traffic_indices: list[int] = []
    traffic: list[Traffic] = []
    for index, value in zip(indices, values, strict=True):
        event = decode(value)
        if isinstance(event, Refusal):
            intake.refusals.append((index, event))
        elif isinstance(event, Traffic):
            traffic_indices.append(index)
            traffic.append(event)
        elif isinstance(event, Fact):
            intake.facts.append((index, event))
    if traffic:
        intake.traffic = columns_of(traffic_indices, traffic)


def _is_sampled(batch: RecordBatch, start: int) -> bool:
    """Choose batches by their place, so that a run can be repeated."""
    place = f"{batch.topic}/{batch.partition}/{batch.offsets[start]}"
    return xxhash.xxh32_intdigest(place.encode()) % _SAMPLE_ONE_IN == 0


def _compare(traffic: TrafficColumns, values: Sequence[bytes | None], batch: RecordBatch) -> None:
    checked = Intake()
    _read_one_by_one(range(len(values)), values, checked)
    expected = [] if checked.traffic is None else checked.traffic.records()
    if checked.refusals or checked.facts or expected != traffic.records():
        what = (
            f"The fast decoder disagrees with msgspec on {batch.topic}/{batch.partition}, offsets "
            f"{batch.offsets[0]} to {batch.offsets[-1]}."
        )
        raise DecodersDisagreeError(
            what, mend="Please report it with these records; it is a fault of the war room."
        )
