"""Room beside the memory, for state that is written once and seldom read: spill files, and rows of fixed size in them.

What a partition keeps grows with orders, ids and people, while a batch touches little of it. A worker that held all of
it in memory took most of its memory for what nobody asked for (docs/STATE.md). The state topics stay the truth: a spill
file lives no longer than its process, and is never read by another one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

READ_OVER_BYTES: Final = 4_096
"""Rows that are so near to each other are read at once, with what lies between: one page costs as much as one row."""

Rows = NDArray[np.int64]
Records = NDArray[np.void]


class SpillFile(Protocol):
    """Bytes by offset; gone with the object."""

    def write(self, offset: int, data: bytes) -> None:
        """Write all of the bytes, beyond the end too.

        Raises:
            UnavailableError: there is no room.
        """
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes that were written; of those that never were, anything or nothing."""
        ...


SpillFiles = Callable[[], SpillFile]
"""Makes a new, empty file."""


class MemoryFile:
    """A spill file in memory: for the direct engine, which folds a recording once, and for tests."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, offset: int, data: bytes) -> None:
        """Write all of the bytes."""
        if offset > len(self._bytes):
            self._bytes.extend(bytes(offset - len(self._bytes)))
        self._bytes[offset : offset + len(data)] = data

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes that were written."""
        return bytes(self._bytes[offset : offset + size])


class SpilledRows:
    """A table in a spill file: records of one structured type, by row number from 0.

    Args:
        file: of this table alone.
        dtype: of a record; without padding, for padding would be written, too.
    """

    def __init__(self, file: SpillFile, dtype: np.dtype[Any]) -> None:
        self._file = file
        self._dtype = dtype

    def put(self, rows: Rows, records: Records) -> None:
        """Write records, each to its row; rows are distinct, in any order."""
        if not len(rows):
            return
        order = np.argsort(rows)
        ordered = rows[order]
        size = self._dtype.itemsize
        breaks = np.flatnonzero(np.diff(ordered) != 1) + 1
        image = records[order].tobytes()
        for first, last in _runs(breaks, len(rows)):
            self._file.write(int(ordered[first]) * size, image[first * size : last * size])

    def get(self, rows: Rows) -> Records:
        """Return the records of rows, in their order; rows may repeat, and each must have been put."""
        found = np.empty(len(rows), dtype=self._dtype)
        if not len(rows):
            return found
        order = np.argsort(rows)
        ordered = rows[order]
        size = self._dtype.itemsize
        breaks = np.flatnonzero(np.diff(ordered) * size > READ_OVER_BYTES) + 1
        for first, last in _runs(breaks, len(rows)):
            begin, end = int(ordered[first]), int(ordered[last - 1]) + 1
            read = np.frombuffer(self._file.read(begin * size, (end - begin) * size), dtype=self._dtype)
            found[order[first:last]] = read[ordered[first:last] - begin]
        return found


def _runs(breaks: NDArray[np.intp], length: int) -> list[tuple[int, int]]:
    edges = [0, *breaks.tolist(), length]
    return list(itertools.pairwise(edges))
