"""The repeat window: traffic that a producer sent twice counts once (design, decision 4).

A record is a duplicate when a counted copy of its id exists with R at most the window away. The counted copy is the one
with the least R, so outcomes do not depend on the order of arrival: a later arrival with a smaller R takes over, the
former becomes the duplicate. Numbers do not change by that, it is the same event. (When a producer reuses an id for
another body, the body that came first stays in the numbers.) Exact while records of a partition are out of order by
less than the window; a copy later than the window counts again.

Ids are kept as 64-bit xxh3 of shop and id, one table per generation (a window's length of R): a counted copy within the
window can only be in the record's own generation or in the two beside it, and an old generation goes as a whole. Behind
the newest one hardly any id is new: such a generation is settled, its ids and values go to a file of its own.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from streams.errors import StateError
from streams.repeat_ids import REMOVED, Hashes, RepeatIds, Times
from streams.spill import MemoryFile, SpillFiles
from streams.state import RepeatChunk

_LOG = logging.getLogger(__name__)

_OPEN_TIMES: Final = 16
"""So many times the ids that are worth a file the newest generation must have: of fewer less than half a mebibyte."""

_KEPT_GENERATIONS: Final = 2
"""Besides the newest: one for the window, one for records that are out of order."""

CHUNK_IDS: Final = 32_768
"""Most ids of one chunk: 512 KiB, half of what a broker takes as one record by default."""

Mask = NDArray[np.bool_]


def hash_ids(identities: Sequence[bytes]) -> Hashes:
    """Return the 64-bit hash of every identity (shop, NUL, id); stable, for it is kept in the state."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, identities), dtype=np.uint64, count=len(identities))


class Verdict(NamedTuple):
    """What the window says about the records of a batch.

    Attributes:
        fresh: not seen before; adds to the numbers.
        counted: fresh, or takes over from a copy with a later R; the others are duplicates.
        displaced: (in time, late) copies counted before that became duplicates.
    """

    fresh: Mask
    counted: Mask
    displaced: tuple[int, int]


class RepeatWindow:
    """The counted ids of one topic of a partition within the window.

    Args:
        topic: without prefix.
        window_ms: its length in R.
        max_ids: above it the oldest generation is forgotten early, counted in `shortened` and logged.
        spill: makes the files of generations behind the newest, one for each; in memory by default.
        file_ids: so many ids a generation must have for a file: fewer take less memory than an open file is worth.
    """

    def __init__(
        self,
        topic: str,
        window_ms: int,
        max_ids: int,
        spill: SpillFiles = MemoryFile,
        *,
        file_ids: int = 1_024,
    ) -> None:
        self.topic = topic
        self.shortened = 0
        self._window_ms = window_ms
        self._max_ids = max_ids
        self._spill = spill
        self._file_ids = file_ids
        self._generations: dict[int, RepeatIds] = {}
        self._newest = 0
        self._forgotten: list[RepeatChunk] = []

    def __len__(self) -> int:
        """Return the number of ids kept."""
        return sum(map(len, self._generations.values()))

    @property
    def nbytes(self) -> int:
        """Return the bytes in memory."""
        return sum(generation.nbytes for generation in self._generations.values())

    def judge(self, keys: Hashes, received_ms: Times, late: Mask) -> Verdict:
        """Decide on records in their order of arrival, and remember what counts.

        Args:
            keys: of `hash_ids`.
            received_ms: R.
            late: whether the record, if it counts, counts late.
        """
        fresh = np.zeros(len(keys), dtype=np.bool_)
        counted = np.zeros(len(keys), dtype=np.bool_)
        in_time_displaced = late_displaced = 0
        for rows in _rounds(keys, received_ms):
            generations = received_ms[rows] // self._window_ms
            first, last = int(generations.min()), int(generations.max())
            for number in [first] if first == last else np.unique(generations).tolist():
                part = rows if first == last else rows[generations == number]
                values = 2 * received_ms[part] + late[part]
                duplicate, replaced = self._judge_generation(number, keys[part], received_ms[part], values)
                counted[part] = ~duplicate
                fresh[part] = ~duplicate & (replaced == REMOVED)
                taken = replaced[replaced != REMOVED]
                late_displaced += int((taken & 1).sum())
                in_time_displaced += len(taken) - int((taken & 1).sum())
        self._forget()
        self._settle()
        return Verdict(fresh, counted, (in_time_displaced, late_displaced))

    def _judge_generation(
        self, number: int, keys: Hashes, received_ms: Times, values: Times
    ) -> tuple[Mask, Times]:
        """Judge distinct ids of one generation; return duplicates, and the values of copies taken over."""
        generation = self._generation(number)
        duplicate = np.zeros(len(keys), dtype=np.bool_)
        replaced = np.full(len(keys), REMOVED, dtype=np.int64)
        before = self._generations.get(number - 1)
        if before is not None:
            _, kept = before.find(keys)
            duplicate |= (kept != REMOVED) & (received_ms - (kept >> 1) <= self._window_ms)
        known, kept = generation.find(keys)
        duplicate |= (kept != REMOVED) & (kept >> 1 <= received_ms)
        replaced = np.where(duplicate, REMOVED, kept)
        after = self._generations.get(number + 1)
        if after is not None:
            there, kept = after.find(keys)
            moves = ~duplicate & (kept != REMOVED) & ((kept >> 1) - received_ms <= self._window_ms)
            if moves.any():
                replaced[moves] = kept[moves]
                after.put(keys[moves], np.full(int(moves.sum()), REMOVED, dtype=np.int64), there[moves])
        stays = ~duplicate
        if stays.any():
            generation.put(keys[stays], values[stays], known[stays])
        return duplicate, replaced

    def take_chunks(self) -> list[RepeatChunk]:
        """Return what changed since the last call, to be kept for the partition's next owner.

        Generations behind the newest are settled.

        Raises:
            UnavailableError: there is no room for the file of one; the window is of no use any more.
        """
        chunks, self._forgotten = self._forgotten, []
        newest = max(self._generations, default=0)
        for number, generation in sorted(self._generations.items()):
            keys, values = generation.take_changed()
            if number < newest:
                generation.settle(self._file_ids)
            for start in range(0, len(keys), CHUNK_IDS):
                image = _pack(keys[start : start + CHUNK_IDS], values[start : start + CHUNK_IDS])
                chunks.append(RepeatChunk(self.topic, number, generation.chunks, image))
                generation.chunks += 1
        return chunks

    def restore(self, chunks: list[RepeatChunk]) -> None:
        """Take over the chunks that are left of what `take_chunks` gave, in any order.

        Raises:
            StateError: a chunk is torn.
            UnavailableError: there is no room for the file of a generation.
        """
        by_generation: dict[int, list[RepeatChunk]] = defaultdict(list)
        for chunk in chunks:
            by_generation[chunk.generation].append(chunk)
        newest = max(by_generation, default=0)
        for number, parts in by_generation.items():
            generation = self._generation(number)
            for chunk in sorted(parts, key=lambda chunk: chunk.sequence):
                if chunk.image is None:
                    continue
                keys, values = _unpack(chunk)
                # In chunks of before, an id that changed twice within a flush stands twice: the last one holds.
                last = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
                generation.put(keys[last], values[last], generation.find(keys[last])[0], logged=False)
            generation.chunks = max(chunk.sequence for chunk in parts) + 1
            # One after the other, so that no two stand in memory besides the newest.
            if number < newest:
                generation.settle(self._file_ids)

    def _generation(self, number: int) -> RepeatIds:
        if number not in self._generations:
            self._generations[number] = RepeatIds(number, self._window_ms, self._spill)
        return self._generations[number]

    def _settle(self) -> None:
        """Move ids to files: of the newest generation when they are many, of others once they are behind it.

        Not at a flush alone: who catches up passes several generations between two of them.
        """
        newest = max(self._generations, default=0)
        if newest in self._generations:
            self._generations[newest].settle(_OPEN_TIMES * self._file_ids, is_open=True)
        if newest > self._newest:
            self._newest = newest
            for number in sorted(self._generations):
                if number < newest:
                    self._generations[number].settle(self._file_ids)

    def _forget(self) -> None:
        newest = max(self._generations, default=0)
        for number in sorted(self._generations):
            if number < newest - _KEPT_GENERATIONS:
                self._drop(number)
        while len(self) > self._max_ids:
            oldest = min(self._generations)
            self.shortened += 1
            _LOG.warning(
                "repeat window of %s shortened: %d ids are more than repeat_window_ids = %d",
                self.topic,
                len(self),
                self._max_ids,
            )
            self._drop(oldest)

    def _drop(self, number: int) -> None:
        generation = self._generations.pop(number)
        self._forgotten += [
            RepeatChunk(self.topic, number, sequence, None) for sequence in range(generation.chunks)
        ]


def _rounds(keys: Hashes, received_ms: Times) -> list[NDArray[np.int64]]:
    """Split a batch into rounds of distinct ids, the copies of an id in their order of arrival.

    A further copy with the very same R can only be a duplicate, so it is in no round: a producer that uses one id for
    everything costs a round per distinct R, not per record.
    """
    ordered = np.sort(keys)
    if not (ordered[1:] == ordered[:-1]).any():
        return [np.arange(len(keys), dtype=np.int64)]
    frame = (
        pl.DataFrame({"key": keys, "received": received_ms})
        .with_row_index("row")
        .filter(pl.struct("key", "received").is_first_distinct())
        .with_columns(pl.col("row").cum_count().over("key").alias("copy"))
    )
    return [
        part["row"].to_numpy().astype(np.int64)
        for part in frame.sort("copy", maintain_order=True).partition_by("copy", maintain_order=True)
    ]


def _pack(keys: Hashes, values: Times) -> bytes:
    return keys.astype("<u8").tobytes() + values.astype("<i8").tobytes()


def _unpack(chunk: RepeatChunk) -> tuple[Hashes, Times]:
    image = chunk.image or b""
    if len(image) % 16:
        what = f"The repeat window of {chunk.topic} in the state is torn (generation {chunk.generation})."
        raise StateError(what, mend="Delete the state topics of this prefix and fold the source again.")
    half = len(image) // 2
    return (
        np.frombuffer(image[:half], dtype="<u8").astype(np.uint64),
        np.frombuffer(image[half:], dtype="<i8").astype(np.int64),
    )
