"""The ids of one generation of a repeat window: in memory while many come, in a file of their own after that.

In memory an id takes about 25 bytes; once it is in the file about 3, and 16 on disk (20 where the window is longer than
12 days).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.hash_index import HashIndex, extended
from streams.sorted_index import PIECE_RECORDS, SortedIndex
from streams.spill import Records, Rows, SpillFiles

REMOVED: Final = np.iinfo(np.int64).min
"""The value of an id whose counted copy moved to another generation."""

_REMOVED_HERE: Final = -1
"""The same, as a generation keeps it."""

_LATE_SHARE: Final = 1 / 16
"""So many new ids may stand in memory beside those of the file, for each of them."""

_OPEN_SHARE: Final = 1 / 2
"""The same while their span lasts: each id is then written two or three times before it is over."""

Hashes = NDArray[np.uint64]
Times = NDArray[np.int64]
Values = NDArray[np.signedinteger[Any]]


class RepeatIds:
    """The counted copies of one span of R: id -> 2 x R + (1 when it was counted late).

    Ids come into a table (`HashIndex`). When they are many, or their span is over, they go to a file (`SortedIndex`);
    what is new after that stands in a table beside it. A row counts through the ids of the file, then through those of
    the table.

    Args:
        number: of the span, from 0 at R = 0.
        window_ms: its length.
        spill: makes the file.
    """

    def __init__(self, number: int, window_ms: int, spill: SpillFiles) -> None:
        self._spill = spill
        self._settled: SortedIndex | None = None
        self._index = HashIndex()
        # Values are kept from the span's first on: 4 bytes an id instead of 8, up to windows of 12 days.
        self._first = 2 * number * window_ms
        dtype = np.int32 if 2 * window_ms <= np.iinfo(np.int32).max else np.int64
        self._values: Values = np.empty(0, dtype=dtype)
        # `turn` is the id's number in the order of arrival, in which chunks hold what changed.
        self._record = np.dtype([("key", "<u8"), ("value", self._values.dtype.str), ("turn", "<u4")])
        # What changed since the last flush: the ids of this turn and later ones, and those that were set again.
        self._taken = 0
        self._set_again: list[Hashes] = []
        self.chunks = 0

    def __len__(self) -> int:
        """Return the number of ids."""
        return self._in_file + len(self._index)

    @property
    def nbytes(self) -> int:
        """Return the bytes in memory."""
        again = sum(keys.nbytes for keys in self._set_again)
        settled = 0 if self._settled is None else self._settled.nbytes
        return settled + self._index.nbytes + self._values.nbytes + again

    @property
    def _in_file(self) -> int:
        return 0 if self._settled is None else len(self._settled)

    def find(self, keys: Hashes) -> tuple[Rows, Times]:
        """Return the row of every id, -1 where there is none, and its value, `REMOVED` where there is none."""
        values = np.full(len(keys), REMOVED, dtype=np.int64)
        if self._settled is None:
            rows = self._index.find(keys)
            known = np.flatnonzero(rows >= 0)
            values[known] = self._times(self._values[rows[known]])
            return rows, values
        rows = np.full(len(keys), -1, dtype=np.int64)
        found = self._settled.find(keys)
        rows[found.which] = found.places
        values[found.which] = self._times(found.records["value"])
        if len(self._index):
            asked = np.flatnonzero(rows < 0)
            late = self._index.find(keys[asked])
            known = np.flatnonzero(late >= 0)
            rows[asked[known]] = late[known] + len(self._settled)
            values[asked[known]] = self._times(self._values[late[known]])
        return rows, values

    def _times(self, kept: Values) -> Times:
        return np.where(kept == _REMOVED_HERE, REMOVED, kept.astype(np.int64) + self._first)

    def put(self, keys: Hashes, values: Times, rows: Rows, *, logged: bool = True) -> None:
        """Set values of distinct ids; `rows` are what `find` gave for them.

        Args:
            keys: of the ids.
            values: 2 x R + late, or `REMOVED`.
            rows: -1 for an id that is new.
            logged: `take_changed` gives them.
        """
        if not logged:
            self._set_again.append(self._new()["key"])
        kept = np.where(values == REMOVED, _REMOVED_HERE, values - self._first)
        rows = rows.copy()
        missing = rows < 0
        rows[missing] = self._index.insert(keys[missing]) + self._in_file
        self._values = extended(self._values, len(self._index))
        if self._settled is None:
            self._values[rows] = kept
        else:
            inside = rows < len(self._settled)
            self._values[rows[~inside] - len(self._settled)] = kept[~inside]
            if inside.any():
                records = self._settled.get(rows[inside]).copy()
                records["value"] = kept[inside]
                self._settled.put(rows[inside], records)
        if not logged:
            self._taken = len(self)
        elif not missing.all():
            self._set_again.append(keys[~missing])

    def take_changed(self) -> tuple[Hashes, Times]:
        """Return the ids that were set since the last call, in their order of arrival, and their values."""
        changed = np.concatenate((self._again(), self._new()))
        self._taken, self._set_again = len(self), []
        changed = changed[np.argsort(changed["turn"])]
        return changed["key"], self._times(changed["value"])

    def _new(self) -> Records:
        """Return the records of ids that came since the last `take_changed`."""
        parts: list[Records] = []
        if self._settled is not None and self._taken < len(self._settled):
            parts += (records[records["turn"] >= self._taken] for records in self._settled.pieces())
        late = np.arange(max(self._taken - self._in_file, 0), len(self._index), dtype=np.int64)
        parts.append(self._records(self._index.keys, self._values, late, self._in_file))
        return np.concatenate(parts)

    def _again(self) -> Records:
        """Return the records of ids that were set again, but those that are given for their turn."""
        if not self._set_again:
            return np.empty(0, dtype=self._record)
        rows, _ = self.find(np.unique(np.concatenate(self._set_again)))
        late = rows[rows >= self._in_file] - self._in_file
        records = self._records(self._index.keys, self._values, late, self._in_file)
        if self._settled is not None:
            records = np.concatenate((self._settled.get(rows[rows < self._in_file]), records))
        return records[records["turn"] < self._taken]

    def settle(self, at_least: int, *, is_open: bool = False) -> None:
        """Move the ids in memory to a file, when there are enough of them.

        A few new ids stay beside the file, for every time costs the whole generation: it is written anew, a piece at a
        time.

        Args:
            at_least: so many ids a generation must have for a file.
            is_open: its span is not over.

        Raises:
            UnavailableError: there is no room for the file; the generation is lost.
        """
        share = _OPEN_SHARE if is_open else _LATE_SHARE
        if len(self) < at_least or len(self._index) <= self._in_file * share:
            return
        size, keys, values, settled = len(self), self._index.keys, self._values, self._settled
        # The slots of the table go before the order comes: so the move takes no more than the table took.
        self._index, self._values = HashIndex(), np.empty(0, dtype=values.dtype)
        pieces = self._merged(settled, keys, values)
        self._settled = SortedIndex(self._spill(), self._record, size, pieces)

    def _merged(self, settled: SortedIndex | None, keys: Hashes, values: Values) -> Iterator[Records]:
        """Yield records of the ids in the file, and of those in memory among them, in the order of ids."""
        order = np.argsort(keys)
        turns = 0 if settled is None else len(settled)
        first = 0
        for records in () if settled is None else settled.pieces():
            last = int(np.searchsorted(keys, records["key"][-1], sorter=order))
            both = np.concatenate((records, self._records(keys, values, order[first:last], turns)))
            yield both[np.argsort(both["key"])]
            first = last
        for begin in range(first, len(keys), PIECE_RECORDS):
            yield self._records(keys, values, order[begin : begin + PIECE_RECORDS], turns)

    def _records(self, keys: Hashes, values: Values, rows: Rows, turns: int) -> Records:
        records = np.empty(len(rows), dtype=self._record)
        records["key"] = keys[rows]
        records["value"] = values[rows]
        records["turn"] = rows + turns
        return records
