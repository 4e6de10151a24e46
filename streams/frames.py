"""Tables that grow by a flush at a time and stay cheap to read.

A board applies a flush every second to tables of a million rows. Nothing is rebuilt for that: new rows become a chunk,
chunks are merged when they are of like size and small (so there are about a dozen for a million rows), and only where a
key's row is replaced are its old rows filtered out.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import polars as pl
import xxhash

from streams.state import FactRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLOT: Final = "slot"
"""The column that says which key a row belongs to; numbers are given in the order of first sight."""

PENDING_ROWS: Final = 50_000
"""A table that nobody reads turns its new rows into a chunk at this many, so that events are not held for ever."""

ASKED_LATELY: Final = 128
"""So many flushes after a table was asked for, rows are made of what comes in at once, so that whoever asks next does
not wait for it. A board that loads, of which nobody asks anything, does not make tens of thousands of tiny tables."""

MOST_MERGED_ROWS: Final = 1 << 17
"""Chunks are not merged into one of more rows: a question would wait for the copy, and lose what was made of them."""

KEPT_DAYS: Final = 3
"""Days of which a chunk keeps its rows apart: today and those that a question goes back to again and again."""

FEW_ROWS: Final = 8_192
"""Chunks of fewer rows are reduced together, every time: one by one takes longer, and they merge soon."""

KEPT_REDUCTIONS: Final = 128
MOST_REDUCED_BYTES: Final = 8 << 20
"""What was made of a chunk's rows: so many results, in so many bytes; the rows of the largest chunk are 25 MiB."""

Extract = Callable[[list[int], list[FactRow]], pl.DataFrame]
"""Turn slots and their facts into rows of a fixed schema, `slot` included; a fact may give several rows."""


_ENCODER: Final = msgspec.msgpack.Encoder()


def _short(key: Hashable) -> Hashable:
    """Return a key of several parts as its 128-bit hash: a million tuples of text are 200 MiB."""
    return xxhash.xxh3_128_intdigest(_ENCODER.encode(key)) if type(key) is tuple else key


class _Chunk:
    """Rows that came together, and those of single days of them."""

    __slots__ = ("_days", "_parts", "_reduced", "_reduced_bytes", "rows")

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows
        self._days: frozenset[int] | None = None
        self._parts: dict[int, pl.DataFrame] = {}
        self._reduced: dict[tuple[Hashable, int | None], pl.DataFrame] = {}
        self._reduced_bytes = 0

    def reduced(
        self, name: Hashable, reduce: Callable[[pl.DataFrame], pl.DataFrame], day: int | None = None
    ) -> pl.DataFrame | None:
        """Return what a reduction makes of the rows, or of those of a day; None where it has none."""
        found = self._reduced.pop((name, day), None)
        if found is None:
            rows = self.rows if day is None else self.of(day)
            if rows is None:
                return None
            found = reduce(rows)
            self._reduced_bytes += int(found.estimated_size())
        # The one asked for last stays longest.
        self._reduced[name, day] = found
        while len(self._reduced) > KEPT_REDUCTIONS or self._reduced_bytes > MOST_REDUCED_BYTES:
            self._reduced_bytes -= int(self._reduced.pop(next(iter(self._reduced))).estimated_size())
        return found

    def of(self, day: int) -> pl.DataFrame | None:
        """Return the rows of a day; None without any."""
        if self._days is None:
            self._days = frozenset(self.rows.get_column("day").unique().to_list())
        if day not in self._days:
            return None
        part = self._parts.pop(day, None)
        if part is None:
            part = self.rows if len(self._days) == 1 else self.rows.filter(pl.col("day") == day)
            if len(self._parts) == KEPT_DAYS:
                del self._parts[next(iter(self._parts))]
        self._parts[day] = part
        return part


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
        self._chunks: list[_Chunk] = []
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
        self._asked = 0
        self._of_days: dict[frozenset[int], pl.DataFrame] = {}

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._slots)

    def put(self, key: Hashable, row: FactRow) -> bool:
        """Take a fact in; return whether it is now the key's winner."""
        key = _short(key)
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
        self._asked = ASKED_LATELY
        if self._frame is None:
            self._store()
            self._frame = pl.concat([chunk.rows for chunk in self._chunks]) if self._chunks else self._empty
        return self._frame

    def settle(self) -> None:
        """Make rows of the facts that were put since the last time, where somebody asked lately."""
        if self._asked and self._pending:
            self._asked -= 1
            self._store()

    def of_days(self, days: Collection[int]) -> pl.DataFrame:
        """Return the rows of a few business days, in any order; costs what changed of them, not what is there."""
        self.frame()
        wanted = frozenset(days)
        found = self._of_days.get(wanted)
        if found is None:
            parts = [part for chunk in self._chunks for day in days if (part := chunk.of(day)) is not None]
            found = pl.concat(parts) if parts else self._empty
            if len(self._of_days) == KEPT_DAYS:
                del self._of_days[next(iter(self._of_days))]
            self._of_days[wanted] = found
        return found

    def pieces(
        self, name: Hashable, reduce: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
        """Return the rows of `frame` as the pieces that they are kept in, each with what a reduction makes of it.

        Args:
            name: as for `reduced`.
            reduce: makes anything of the rows of a piece; worked out again for new pieces alone.
        """
        self.frame()
        return [
            (chunk.rows, made)
            for chunk in self._chunks
            if chunk.rows.height and (made := chunk.reduced(name, reduce)) is not None
        ]

    def slots(self, keys: Iterable[Hashable]) -> NDArray[np.int64]:
        """Return the slots of those keys that are known, in their order."""
        known = self._slots
        return np.fromiter((known[key] for key in map(_short, keys) if key in known), dtype=np.int64)

    def reduced(self, name: str, reduce: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
        """Return what a reduction leaves of all rows, working out again only what it leaves of new ones.

        Args:
            name: stands for `reduce`: what is kept under it must always be made the same way.
            reduce: keeps some rows, and the same ones whether it is given all rows or what it left of parts of them.
        """
        frame = self.frame()
        large, few = self._by_size()
        parts = [part for chunk in large if (part := chunk.reduced(name, reduce)) is not None]
        if few:
            parts.append(reduce(pl.concat([chunk.rows for chunk in few])))
        return reduce(pl.concat(parts)) if parts else reduce(frame)

    def sums_of_day(
        self, name: Hashable, day: int, reduce: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> list[pl.DataFrame]:
        """Return what a reduction makes of a day's rows in pieces, of which only new ones are worked out.

        Args:
            name: as for `reduced`.
            day: business day.
            reduce: makes what adds up over keys; all rows of a key are in one piece.
        """
        self.frame()
        large, few = self._by_size()
        sums = [part for chunk in large if (part := chunk.reduced(name, reduce, day)) is not None]
        rest = [rows for chunk in few if (rows := chunk.of(day)) is not None]
        return [*sums, reduce(pl.concat(rest))] if rest else sums

    def _by_size(self) -> tuple[list[_Chunk], list[_Chunk]]:
        large: list[_Chunk] = []
        few: list[_Chunk] = []
        for chunk in self._chunks:
            (few if chunk.rows.height < FEW_ROWS else large).append(chunk)
        return large, few

    def _store(self) -> None:
        self._of_days.clear()
        if self._replaced:
            gone = pl.Series(SLOT, sorted(self._replaced), dtype=pl.UInt32)
            is_gone = pl.col(SLOT).is_in(gone.implode())
            self._chunks = [self._without(chunk, is_gone) for chunk in self._chunks]
            self._replaced.clear()
        if not self._pending:
            return
        slots, rows = list(self._pending), list(self._pending.values())
        self._pending = {}
        for slot in slots:
            self._stored[slot] = 1
        self._chunks.append(_Chunk(self._extract(slots, rows)))
        self._touch(self._chunks[-1].rows)
        while len(self._chunks) > 1:
            before, last = (chunk.rows for chunk in self._chunks[-2:])
            if before.height >= 2 * last.height or before.height + last.height > MOST_MERGED_ROWS:
                break
            self._chunks[-2:] = [_Chunk(pl.concat([before, last], rechunk=True))]

    def _without(self, chunk: _Chunk, is_gone: pl.Expr) -> _Chunk:
        gone = chunk.rows.filter(is_gone)
        if not gone.height:
            return chunk
        self._touch(gone)
        return _Chunk(chunk.rows.filter(~is_gone))

    def _touch(self, rows: pl.DataFrame) -> None:
        self._changes += 1
        if "day" in rows.columns:
            self.days |= dict.fromkeys(rows.get_column("day").unique().to_list(), self._changes)
