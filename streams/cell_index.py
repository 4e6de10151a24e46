"""Row numbers for the keys of cells: exact, 20 bytes a cell where a dictionary takes 160.

Most cells are counts of one product in one quarter hour: a million of them on a campaign day. The tables of
`streams.cell_tables` find the cells of open buckets; this index knows them all.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.hash_index import HashIndex, extended

Codes = NDArray[np.int64]

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so multiplying by it maps keys one to one: what the index holds is exact, and its low bits are spread."""


class CellIndex:
    """Give every key a row number; numbers of keys that were forgotten are given again.

    Attributes:
        size: one more than the greatest row number in use.
    """

    def __init__(self) -> None:
        self.size = 0
        self._index = HashIndex()
        self._rows: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self._free: Codes = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._index)

    def open(self, keys: Codes) -> tuple[Codes, Codes]:
        """Return the row of every key, and where each key that is new stands first; keys may repeat."""
        mixed = _mixed(keys)
        places = self._index.find(mixed)
        missing = np.flatnonzero(places < 0)
        if not len(missing):
            return self._rows[places].astype(np.int64), missing
        distinct, first, inverse = np.unique(mixed[missing], return_index=True, return_inverse=True)
        new = self._index.insert(distinct)
        self._rows = extended(self._rows, len(self._index))
        self._rows[new] = self._take(len(distinct))
        places[missing] = new[inverse]
        return self._rows[places].astype(np.int64), missing[first]

    def keep(self, keys: Codes, rows: Codes) -> None:
        """Forget all keys but these, which have these rows; also: give rows new keys."""
        kept = np.zeros(self.size, dtype=np.bool_)
        kept[rows] = True
        self._free = np.flatnonzero(~kept)
        self._index = HashIndex()
        self._index.insert(_mixed(keys))
        self._rows = rows.astype(np.int32)

    def _take(self, count: int) -> Codes:
        reused = self._free[:count]
        self._free = self._free[count:]
        new = np.arange(self.size, self.size + count - len(reused), dtype=np.int64)
        self.size += len(new)
        return np.concatenate((reused, new))


def _mixed(keys: Codes) -> NDArray[np.uint64]:
    mixed = keys.astype(np.uint64) * _MIX
    # The low bits of a product depend on the low bits of the key alone; the high ones on all.
    return mixed ^ (mixed >> np.uint64(32))
