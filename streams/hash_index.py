"""An index from 64-bit hashes to row numbers, in numpy: a few bytes a key, and whole columns at a time.

A Python dict costs 100 bytes and more a key and is filled key by key. Here keys stand in one dense column in the order
of insertion, and an open-addressing table of 32-bit row numbers (linear probing, at most `_MAX_LOAD` full, doubled when
fuller) finds them. Keys must be hashes already: their low bits choose the slot. A wide index holds 64 further bits per
key (the tag), for ids of which two must never be taken for one.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

_FIRST_SLOTS: Final = 1024
_FIRST_ROWS: Final = 512
_MAX_LOAD: Final = 0.6
_GROWTH: Final = 1.25
"""Dense columns grow by this; doubling would leave more of them empty, and copying is cheap."""

_EMPTY: Final = -1


_Column = TypeVar("_Column", bound=np.generic)


def extended(column: NDArray[_Column], size: int) -> NDArray[_Column]:
    """Return the column with room for `size` rows, the same one when it has it; new rows hold anything."""
    if size <= len(column):
        return column
    grown = np.empty(max(size, int(len(column) * _GROWTH)), dtype=column.dtype)
    grown[: len(column)] = column
    return grown


class HashIndex:
    """Find and add 64-bit keys; a key's row number never changes, rows count from 0 in the order of insertion.

    Args:
        wide: keys have tags, which every call must give.
    """

    def __init__(self, *, wide: bool = False) -> None:
        self._slots: NDArray[np.int32] = np.full(_FIRST_SLOTS, _EMPTY, dtype=np.int32)
        self._keys: NDArray[np.uint64] = np.empty(_FIRST_ROWS, dtype=np.uint64)
        self._tags: NDArray[np.uint64] | None = np.empty(_FIRST_ROWS, dtype=np.uint64) if wide else None
        self._size = 0

    def __len__(self) -> int:
        """Return the number of keys."""
        return self._size

    @property
    def keys(self) -> NDArray[np.uint64]:
        """Return the keys by row number; a view, valid until the next insertion."""
        return self._keys[: self._size]

    @property
    def nbytes(self) -> int:
        """Return the bytes that the index holds."""
        tags = 0 if self._tags is None else self._tags.nbytes
        return self._slots.nbytes + self._keys.nbytes + tags

    def find(self, keys: NDArray[np.uint64], tags: NDArray[np.uint64] | None = None) -> NDArray[np.int64]:
        """Return the row of every key, -1 where it is not in the index."""
        rows = np.full(len(keys), _EMPTY, dtype=np.int64)
        if not self._size:
            return rows
        mask = len(self._slots) - 1
        places = (keys & np.uint64(mask)).astype(np.int64)
        found = self._slots[places]
        open_ = np.flatnonzero(found != _EMPTY)
        found = found[open_]
        while len(open_):
            hit = self._keys[found] == keys[open_]
            if self._tags is not None and tags is not None:
                hit &= self._tags[found] == tags[open_]
            rows[open_[hit]] = found[hit]
            open_ = open_[~hit]
            places[open_] = (places[open_] + 1) & mask
            found = self._slots[places[open_]]
            used = found != _EMPTY
            open_, found = open_[used], found[used]
        return rows

    def insert(self, keys: NDArray[np.uint64], tags: NDArray[np.uint64] | None = None) -> NDArray[np.int64]:
        """Add keys that are distinct and not in the index yet; return their new rows."""
        first, last = self._size, self._size + len(keys)
        self._keys = extended(self._keys, last)
        self._keys[first:last] = keys
        if self._tags is not None and tags is not None:
            self._tags = extended(self._tags, last)
            self._tags[first:last] = tags
        self._size = last
        if last > len(self._slots) * _MAX_LOAD:
            size = len(self._slots)
            while last > size * _MAX_LOAD:
                size *= 2
            self._slots = np.full(size, _EMPTY, dtype=np.int32)
            self._place(0, last)
        else:
            self._place(first, last)
        return np.arange(first, last, dtype=np.int64)

    def _place(self, first: int, last: int) -> None:
        """Put rows into empty slots; where several want one slot the last writer has it, the others go on."""
        mask = len(self._slots) - 1
        rows = np.arange(first, last, dtype=np.int32)
        places = (self._keys[first:last] & np.uint64(mask)).astype(np.int64)
        while len(rows):
            free = self._slots[places] == _EMPTY
            self._slots[places[free]] = rows[free]
            waiting = self._slots[places] != rows
            rows, places = rows[waiting], (places[waiting] + 1) & mask
