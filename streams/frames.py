"""Tables that grow by a flush at a time and stay cheap to read.

A board applies a flush every second to tables of a million rows. Nothing is rebuilt for that: new rows become a chunk,
chunks are merged when they are of like size (so there are about log2(n) of them), and only where a key's row is
replaced are its old rows filtered out.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable
from typing import Final

import polars as pl

from streams.state import FactRow

SLOT: Final = "slot"
"""The column that says which key a row belongs to; numbers are given in the order of first sight."""

PENDING_ROWS: Final = 50_000
"""A table that nobody reads turns its new rows into a chunk at this many, so that events are not held for ever."""

Extract = Callable[[list[int], list[FactRow]], pl.DataFrame]
"""Turn slots and their facts into rows of a fixed schema, `slot` included; a fact may give several rows."""


class LatestFacts:
    """The winning fact of every key, as a frame.

    The winner among facts of one key is the one with the greatest `merge_order`, whatever partition it comes from
    and whenever it arrives.

    Args:
        schema: of the frame, with `slot` as UInt32.
        extract: makes the rows.

    Attributes:
        days: business day -> the change that touched it last, where rows have a `day`; of the last frame.
    """

    def __init__(self, schema: dict[str, pl.DataType], extract: Extract) -> None:
        self._extract = extract
        self._chunks: list[pl.DataFrame] = []
        self._frame: pl.DataFrame | None = pl.DataFrame(schema=schema)
        self._empty = self._frame
        self._slots: dict[Hashable, int] = {}
        # The merge order of each slot, as three columns: tuples would cost 150 bytes a fact.
        self._versions = array("q")
        self._occurred = array("q")
        self._hashes = array("Q")
        self._pending: dict[int, FactRow] = {}
        self._stored = bytearray()
        self._replaced: set[int] = set()
        self.days: dict[int, int] = {}
        self._changes = 0

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._slots)

    def put(self, key: Hashable, row: FactRow) -> bool:
        """Take a fact in; return whether it is now the key's winner."""
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = len(self._slots)
            self._versions.append(row.version)
            self._occurred.append(row.occurred_at_ms)
            self._hashes.append(row.body_hash)
            self._stored.append(0)
        else:
            present = (self._versions[slot], self._occurred[slot], self._hashes[slot])
            if row.merge_order <= present:
                return False
            self._versions[slot], self._occurred[slot], self._hashes[slot] = row.merge_order
            if self._stored[slot]:
                self._replaced.add(slot)
        self._pending[slot] = row
        self._frame = None
        if len(self._pending) >= PENDING_ROWS:
            self._store()
        return True

    def frame(self) -> pl.DataFrame:
        """Return one row group per key; the same object until a fact wins."""
        if self._frame is None:
            self._store()
            self._frame = pl.concat(self._chunks) if self._chunks else self._empty
        return self._frame

    def _store(self) -> None:
        if self._replaced:
            gone = pl.Series(SLOT, sorted(self._replaced), dtype=pl.UInt32)
            is_gone = pl.col(SLOT).is_in(gone.implode())
            for chunk in self._chunks:
                self._touch(chunk.filter(is_gone))
            self._chunks = [chunk.filter(~is_gone) for chunk in self._chunks]
            self._replaced.clear()
        if not self._pending:
            return
        slots, rows = list(self._pending), list(self._pending.values())
        self._pending = {}
        for slot in slots:
            self._stored[slot] = 1
        self._chunks.append(self._extract(slots, rows))
        self._touch(self._chunks[-1])
        while len(self._chunks) > 1 and self._chunks[-2].height < 2 * self._chunks[-1].height:
            last = self._chunks.pop()
            self._chunks[-1] = pl.concat([self._chunks[-1], last], rechunk=True)

    def _touch(self, rows: pl.DataFrame) -> None:
        self._changes += 1
        if "day" in rows.columns:
            self.days |= dict.fromkeys(rows.get_column("day").unique().to_list(), self._changes)
