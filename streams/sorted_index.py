"""Find 64-bit hashes among many that hardly change: three bytes a key in memory, its record in a spill file.

Records stand in the file in the order of their keys. The high bits of a key name a bucket of a few keys; of each key
the following 16 bits stand in memory, its fingerprint. A search compares the fingerprints of the bucket and reads the
record only where one is equal, to compare the whole key. So a key that is not here costs a read in some ten thousand
searches, and one that is here costs one. Whole columns of keys are looked up at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.spill import READ_OVER_BYTES, Records, Rows, SpilledRows, SpillFile

PIECE_RECORDS: Final = 65_536
"""Records that are read or written at once when all are: a megabyte or so."""

_KEYS_PER_BUCKET: Final = 6
"""Fewer than these on average, and at least half of them. Starts of buckets cost a byte a key at most."""

_FINGERPRINT_BITS: Final = 16
_FINGERPRINT: Final = np.uint64(_FINGERPRINT_BITS)


class Found(NamedTuple):
    """What a search found.

    Attributes:
        which: positions of the keys found among those asked for, ascending.
        places: of their records.
        records: as they stand in the file.
    """

    which: Rows
    places: Rows
    records: Records


class SortedIndex:
    """Records by 64-bit key; a record's place is that of its key in order.

    Args:
        file: of this index alone.
        dtype: of a record, without padding; its field `key` is an unsigned integer of 64 bits.
        size: the number of records.
        pieces: the records in ascending order of distinct keys, in pieces of any length. Keys must be hashes, for their
            high bits choose the bucket: the search goes through a bucket key by key.

    Raises:
        UnavailableError: there is no room for the file.
    """

    def __init__(self, file: SpillFile, dtype: np.dtype[Any], size: int, pieces: Iterable[Records]) -> None:
        self._file = file
        self._record_bytes = dtype.itemsize
        self._dtype = dtype
        self._table = SpilledRows(file, dtype)
        bits = max((size // _KEYS_PER_BUCKET).bit_length(), 1)
        self._shift = np.uint64(64 - bits - _FINGERPRINT_BITS)
        self._fingerprints = np.empty(size, dtype=np.uint16)
        self._starts = np.zeros((1 << bits) + 1, dtype=np.int32)
        first = 0
        for records in pieces:
            last = first + len(records)
            self._table.put(np.arange(first, last, dtype=np.int64), records)
            codes = records["key"] >> self._shift
            self._fingerprints[first:last] = codes.astype(np.uint16)
            buckets = (codes >> _FINGERPRINT).astype(np.int64)
            counts = np.bincount(buckets - buckets[0])
            after = int(buckets[0]) + 1
            self._starts[after : after + len(counts)] += counts.astype(np.int32)
            first = last
        np.cumsum(self._starts, out=self._starts)

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._fingerprints)

    @property
    def nbytes(self) -> int:
        """Return the bytes in memory."""
        return self._fingerprints.nbytes + self._starts.nbytes

    def find(self, keys: NDArray[np.uint64]) -> Found:
        """Return which of the keys are here, where, and their records."""
        codes = keys >> self._shift
        wanted = codes.astype(np.uint16)
        buckets = (codes >> _FINGERPRINT).astype(np.int64)
        places, ends = self._starts[buckets], self._starts[buckets + 1]
        rows = np.full(len(keys), -1, dtype=np.int64)
        kept = np.empty(len(keys), dtype=self._dtype)
        open_ = np.arange(len(keys), dtype=np.int64)
        while len(open_):
            matched, at = self._next_equal(places, ends, wanted)
            open_ = open_[matched]
            records = self.get(at.astype(np.int64))
            hit = records["key"] == keys[open_]
            rows[open_[hit]] = at[hit]
            kept[open_[hit]] = records[hit]
            # Another key with the same fingerprint: the one asked for may stand behind it.
            matched, open_, places = matched[~hit], open_[~hit], at[~hit] + 1
            ends, wanted = ends[matched], wanted[matched]
        which = np.flatnonzero(rows >= 0)
        return Found(which, rows[which], kept[which])

    def get(self, places: Rows) -> Records:
        """Return the records of places, in their order; not to be written to."""
        if len(places) * READ_OVER_BYTES > len(self) * self._record_bytes:
            return self._table.get(places)
        # Most stand far from each other: to look for neighbours would cost six times what it saves.
        size, read = self._record_bytes, self._file.read
        image = b"".join([read(place * size, size) for place in places.tolist()])
        return np.frombuffer(image, dtype=self._dtype)

    def put(self, places: Rows, records: Records) -> None:
        """Write records anew, with the keys that they have; places are distinct."""
        self._table.put(places, records)

    def pieces(self) -> Iterator[Records]:
        """Yield all records in the order of their keys, `PIECE_RECORDS` at a time."""
        for first in range(0, len(self), PIECE_RECORDS):
            yield self._table.get(np.arange(first, min(first + PIECE_RECORDS, len(self)), dtype=np.int64))

    def _next_equal(
        self, places: NDArray[np.int32], ends: NDArray[np.int32], wanted: NDArray[np.uint16]
    ) -> tuple[Rows, NDArray[np.int32]]:
        """Go on from each place to the next one of its bucket with the fingerprint wanted.

        Returns:
            The positions for which there is one, ascending, and these places.
        """
        matched = np.full(len(places), -1, dtype=np.int32)
        open_ = np.flatnonzero(places < ends)
        places, ends, wanted = places[open_], ends[open_], wanted[open_]
        while len(open_):
            fingerprints = self._fingerprints[places]
            equal = np.flatnonzero(fingerprints == wanted)
            matched[open_[equal]] = places[equal]
            places = places + 1
            # Within a bucket fingerprints ascend, for they are the bits that follow.
            on = np.flatnonzero((fingerprints < wanted) & (places < ends))
            open_, places, ends, wanted = open_[on], places[on], ends[on], wanted[on]
        which = np.flatnonzero(matched >= 0)
        return which, matched[which]
