"""An index from 64-bit hashes to row numbers, in numpy: a few bytes a key, and whole columns at a time.

A Python dict costs 100 bytes and more a key and is filled key by key. Here keys stand in one dense column in the order
of insertion, and an open-addressing table of 32-bit row numbers (linear probing, at most `_MAX_LOAD` full, doubled when
fuller) finds them. Keys must be hashes already: their low bits choose the slot. Where two ids must never be taken for
one, whoever holds more of their hash than 64 bits, in memory or in a file, is asked about each hit.
"""

from __future__ import annotations

from collections.abc import Callable
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

Same = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]
"""Given places of asked keys and a row with the same 64 bits for each, tells which rows are really theirs."""


def extended(column: NDArray[_Column], size: int) -> NDArray[_Column]:
    """Return the column with room for `size` rows, the same one when it has it; new rows hold anything."""
    if size <= len(column):
        return column
    grown = np.empty(max(size, int(len(column) * _GROWTH)), dtype=column.dtype)
    grown[: len(column)] = column
    return grown


class HashIndex:
    """Find and add 64-bit keys; a key's row number never changes, rows count from 0 in the order of insertion."""

    def __init__(self) -> None:
        self._slots: NDArray[np.int32] = np.full(_FIRST_SLOTS, _EMPTY, dtype=np.int32)
        self._keys: NDArray[np.uint64] = np.empty(_FIRST_ROWS, dtype=np.uint64)
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
        return self._slots.nbytes + self._keys.nbytes

    def find(self, keys: NDArray[np.uint64], same: Same | None = None) -> NDArray[np.int64]:
        """Return the row of every key, -1 where it is not in the index.

        Args:
            keys: of any number; they may repeat.
            same: confirms hits where several ids may share a key. It is asked about all hits at once, and again only
                about further rows of the keys whose hit it denied, which hardly ever is.
        """
        rows = self._first_rows(keys)
        if same is not None:
            asked = np.flatnonzero(rows != _EMPTY)
            while len(asked):
                asked = asked[~same(asked, rows[asked])]
                rows[asked] = [
                    self._row_after(key, row)
                    for key, row in zip(keys[asked].tolist(), rows[asked].tolist(), strict=True)
                ]
                asked = asked[rows[asked] != _EMPTY]
        return rows

    def insert(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Add keys that `find` did not find, each once for each id that has it; return their new rows."""
        first, last = self._size, self._size + len(keys)
        self._keys = extended(self._keys, last)
        self._keys[first:last] = keys
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

    def _first_rows(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return for every key the first of its rows in the order of slots, -1 where there is none."""
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
            rows[open_[hit]] = found[hit]
            open_ = open_[~hit]
            places[open_] = (places[open_] + 1) & mask
            found = self._slots[places[open_]]
            used = found != _EMPTY
            open_, found = open_[used], found[used]
        return rows

    def _row_after(self, key: int, row: int) -> int:
        """Return the row of a key that stands next after one of its rows in the order of slots, -1 at the end."""
        mask = len(self._slots) - 1
        place, passed = key & mask, False
        while (found := int(self._slots[place])) != _EMPTY:
            if passed and int(self._keys[found]) == key:
                return found
            passed |= found == row
            place = (place + 1) & mask
        return _EMPTY

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
