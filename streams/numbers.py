"""Number ids in the order of first sight, in 20 bytes an id, whatever their text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from streams.hash_index import HashIndex, extended


class Numbers:
    """Give every id its number, from 0 without gaps; a number is never given to two ids.

    Ids are told apart by 128 bits of their hash, as the repeat window does.
    """

    def __init__(self) -> None:
        self._index = HashIndex()
        self._tags: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)

    def of(self, ids: Sequence[str | None]) -> list[int | None]:
        """Return the number of every id, a new one where it is seen first; None for None."""
        distinct = [each for each in dict.fromkeys(ids) if each is not None]
        if not distinct:
            return [None] * len(ids)
        digests = b"".join(xxhash.xxh3_128_digest(each.encode()) for each in distinct)
        halves = np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2)
        keys, tags = np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])
        numbers = self._index.find(keys, lambda asked, rows: self._tags[rows] == tags[asked])
        new = numbers < 0
        numbers[new] = self._index.insert(keys[new])
        self._tags = extended(self._tags, len(self._index))
        self._tags[numbers[new]] = tags[new]
        known: dict[str | None, int] = dict(zip(distinct, numbers.tolist(), strict=True))
        return [known.get(each) for each in ids]
