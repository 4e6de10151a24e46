"""One cube of one shop as columns: counts merged over partitions, and people by union of sketches."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from streams import sketches, theta
from streams.cubes import Grain
from streams.days import DAY_MS
from streams.errors import QueryError
from streams.frames import SLOT

if TYPE_CHECKING:
    from datasketches import hll_sketch
    from numpy.typing import NDArray

    from streams.cubes import Cube
    from streams.state import PeopleRow, RowKey, StateRow

CACHED_UNIONS: Final = 4_096
"""Unions of people kept between queries; at 8 KiB each this bounds them to 32 MiB a cube."""

_COMPACT_FROM: Final = 50_000
"""Forgotten cells are swept once there are this many and they are the majority."""

_MOST_NEW: Final = 50_000
"""Keys of new cells that nobody asks for become columns at this many: as objects they are three times as large."""

_GROWTH: Final = 1.25
"""Columns of numbers grow by this: doubled they would be a third empty, and there are ten of them a cube."""


_Key = tuple[int, str, tuple[str, ...]]
"""Bucket, event type and dimensions of a cell."""


class _Union(NamedTuple):
    """A union that was asked for before: of these cells, as of this change."""

    slots: NDArray[np.uint32]
    changes: int
    people: hll_sketch
    estimate: float


class CubeColumns:
    """Cells of a cube, merged over partitions.

    Args:
        cube: its definition.
    """

    def __init__(self, cube: Cube) -> None:
        self._cube = cube
        self._intersects = cube.sketch == "theta"
        self._dims: dict[str, pl.DataType] = {
            SLOT: pl.UInt32(),
            "bucket": pl.Int64(),
            "event_type": pl.String(),
        }
        for name in cube.dims:
            self._dims[name] = pl.UInt8() if name == "atom" else pl.String()
        self._changes = 0
        self._clear()

    def _clear(self) -> None:
        # By bucket and type of event: cells of all of them share their dimensions, which are most of a key.
        self._slots: dict[tuple[int, str], dict[tuple[str, ...], int]] = {}
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._size = 0
        # By span of buckets, so that what is over is not put together again for every flush.
        self._keys: dict[int, pl.DataFrame] = {}
        self._new: dict[int, list[tuple[int, _Key]]] = {}
        self._new_cells = 0
        self._frames: dict[int, pl.DataFrame] = {}
        self._counts: dict[int, NDArray[np.int64]] = {}
        self._keyed: dict[int, NDArray[np.int64]] = {}
        self._images: dict[int, dict[int, bytes]] = {}
        self._large: dict[int, dict[int, bytes]] = {}
        self._changed = np.zeros(1_024, dtype=np.int64)
        # The change that brought the newest large image: unions that have it need only what came since.
        self._large_changed = np.zeros(1_024, dtype=np.int64)
        # The change that brought other people: of cubes with theta sketches alone.
        self._crowd_changed = np.zeros(1_024 if self._intersects else 0, dtype=np.int64)
        self._forgotten: set[int] = set()
        self._frame: pl.DataFrame | None = None
        self._unions: OrderedDict[Hashable, _Union] = OrderedDict()
        self._overlaps: dict[tuple[int, int | None], tuple[int, theta.Overlap]] = {}

    def put(self, partition: int, row: StateRow) -> None:
        """Take the newest row of a cell of one partition in; without a count the cell is forgotten there."""
        key = row.key
        slot = self._slot_of(key)
        if slot is None:
            if row.events is None:
                return
            slot = self._add((key.bucket, key.event_type, key.dims))
        if partition not in self._counts:
            self._counts[partition] = np.zeros(len(self._changed), dtype=np.int64)
            self._keyed[partition] = np.zeros(len(self._changed), dtype=np.int64)
            self._images[partition] = {}
            self._large[partition] = {}
        if slot >= len(self._changed):
            self._grow(slot + 1)
        self._changes += 1
        self._changed[slot] = self._changes
        self._counts[partition][slot] = row.events or 0
        self._keyed[partition][slot] = row.keyed if row.events is not None else 0
        if row.events is None:
            self._images[partition].pop(slot, None)
            self._large[partition].pop(slot, None)
            self._forgotten.add(slot)
            if self._intersects:
                self._crowd_changed[slot] = self._changes
            # Should the cell come back, it is with fewer people: the cube was rebuilt.
            self._unions.clear()
        else:
            self._forgotten.discard(slot)
            if self._intersects and self._images[partition].get(slot) != row.sketch:
                self._crowd_changed[slot] = self._changes
            if row.sketch is not None:
                self._images[partition][slot] = row.sketch
            else:
                self._images[partition].pop(slot, None)
        self._frames.pop(self._span_of(key.bucket), None)
        self._frame = None
        if row.events is None or self._new_cells >= _MOST_NEW:
            self._tidy()

    def put_people(self, partition: int, row: PeopleRow) -> None:
        """Take a cell's newest large image of one partition in, after the cell's own row of the same flush."""
        slot = self._slot_of(row.key)
        if slot is None or row.image is None:
            return
        self._changes += 1
        self._changed[slot] = self._large_changed[slot] = self._changes
        if self._intersects:
            self._crowd_changed[slot] = self._changes
        self._large[partition][slot] = row.image

    def frame(self) -> pl.DataFrame:
        """Return slot, bucket, event_type, dimensions, count, keyed of the cells with anything counted."""
        if self._frame is None:
            self._sweep()
            self._frame = self._of_spans(sorted(self._keys.keys() | self._new.keys()))
        return self._frame

    def within(self, low: int | None, high: int | None) -> pl.DataFrame:
        """Return what `frame` holds of buckets from `low` to `high`, None: open; others may be among them."""
        if low is None and high is None:
            return self.frame()
        self._sweep()
        first = None if low is None else self._span_of(low)
        last = None if high is None else self._span_of(high)
        return self._of_spans(
            sorted(
                span
                for span in self._keys.keys() | self._new.keys()
                if (first is None or span >= first) and (last is None or span <= last)
            )
        )

    def people(self, label: Hashable, slots: NDArray[np.uint32]) -> float:
        """Return the estimated number of distinct people in the union of cells; 0 without any.

        A union asked for before under the same label takes in only what changed: a cell's people only ever grow,
        so uniting its newer image with what was united before gives the union.
        """
        if not len(slots):
            return 0.0
        if self._cube.lg_k is None or self._cube.sketch == "theta":
            what = f"The cube {self._cube.name} keeps no people."
            raise QueryError(what, reason="no_cube")
        slots = np.sort(slots)
        found = self._unions.get(label)
        # Growth is all that can be taken in: a label that lost cells is united anew.
        known = found is not None and bool(np.isin(found.slots, slots, assume_unique=True).all())
        if found is not None and known:
            fresh = slots[
                (self._changed[slots] > found.changes) | ~np.isin(slots, found.slots, assume_unique=True)
            ]
            if not len(fresh):
                self._unions.move_to_end(label)
                return found.estimate
            since = np.where(np.isin(fresh, found.slots, assume_unique=True), found.changes, -1)
            images = [sketches.load(image) for image in self._of(fresh, since)]
            people = sketches.merge([found.people, *images], self._cube.lg_k)
        else:
            people = sketches.merge([sketches.load(image) for image in self._of(slots, -1)], self._cube.lg_k)
        union = _Union(slots, self._changes, people, sketches.estimate(people))
        self._unions[label] = union
        self._unions.move_to_end(label)
        if len(self._unions) > CACHED_UNIONS:
            self._unions.popitem(last=False)
        return union.estimate

    def changes(self, slots: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the number of the change that touched each cell last."""
        return self._changed[slots]

    def union(self, label: Hashable, slots: NDArray[np.uint32]) -> hll_sketch | None:
        """Return everybody in a union of cells, kept under its label; None without any."""
        self.people(label, slots)
        found = self._unions.get(label)
        return None if found is None or not len(slots) else found.people

    def between(self, low: int, high: int) -> tuple[pl.DataFrame, list[list[bytes]]]:
        """Return the cells with buckets from `low` to before `high`, and the images of the people of each."""
        cells = self.within(low, high - 1).filter((pl.col("bucket") >= low) & (pl.col("bucket") < high))
        return cells, [self._images_of(slot) for slot in cells.get_column(SLOT).to_list()]

    def drop(self, before: int) -> None:
        """Forget the cells with earlier buckets: they are read from the history now."""
        slots = self.frame().filter(pl.col("bucket") < before).get_column(SLOT).to_numpy()
        if not len(slots):
            return
        for columns in (*self._counts.values(), *self._keyed.values()):
            columns[slots] = 0
        for images in (*self._images.values(), *self._large.values()):
            for slot in slots.tolist():
                images.pop(slot, None)
        self._forgotten.update(slots.tolist())
        self._unions.clear()
        self._overlaps.clear()
        self._changes += 1
        self._changed[slots] = self._changes
        self._frames.clear()
        self._frame = None

    def by_partition(self, slots: NDArray[np.uint32]) -> dict[int, list[int]]:
        """Return partition -> events of each of these cells there; cells of the history are in none."""
        here = slots < len(self._changed)
        known = np.where(here, slots, 0)
        return {
            partition: np.where(here, part[known], 0).tolist()
            for partition, part in sorted(self._counts.items())
        }

    def overlaps(self, pairs: Sequence[tuple[int, int | None]]) -> list[theta.Overlap]:
        """Return for each pair of cells how many people of the first are in the second, of a cube with theta sketches.

        Kept until somebody new comes to one of the two: people who come again, and events of nobody, change nothing.

        Args:
            pairs: slots; None in place of the second: nobody.
        """
        lg_k = self._cube.lg_k
        if lg_k is None or not self._intersects:
            what = f"The cube {self._cube.name} cannot tell who is in two crowds."
            raise QueryError(what, reason="no_cube")
        # Nobody has come to nobody since: the crowd's own change stands for both.
        slots = np.array(
            [(crowd, crowd if other is None else other) for crowd, other in pairs], dtype=np.int64
        )
        newest = self._crowd_changed[slots.reshape(-1, 2)].max(axis=1).tolist()
        found = []
        for pair, change in zip(pairs, newest, strict=True):
            known = self._overlaps.get(pair)
            if known is None or known[0] < change:
                crowd, other = pair
                others = [] if other is None else self._images_of(other)
                both = theta.overlap(lg_k, self._images_of(crowd), others)
                known = self._overlaps[pair] = (change, both)
            found.append(known[1])
        return found

    def _images_of(self, slot: int) -> list[bytes]:
        """Return all images of one cell."""
        parts = (*self._images.values(), *self._large.values())
        return [image for part in parts if (image := part.get(slot)) is not None]

    def _of(self, slots: NDArray[np.uint32], since: NDArray[np.int64] | int) -> Iterable[bytes]:
        """Yield the images of cells, large ones only where they changed after `since`."""
        changed = slots[self._large_changed[slots] > since]
        for chosen, parts in ((slots, self._images), (changed, self._large)):
            for images in parts.values():
                yield from (images[slot] for slot in chosen.tolist() if slot in images)

    def _slot_of(self, key: RowKey) -> int | None:
        cells = self._slots.get((key.bucket, key.event_type))
        return None if cells is None else cells.get(key.dims)

    def _add(self, key: _Key) -> int:
        """Give a new cell its slot."""
        bucket, event_type, dims = key
        shared = self._shared.get(dims)
        if shared is None:
            shared = tuple(map(sys.intern, dims))
            self._shared[shared] = shared
        slot = self._slots.setdefault((bucket, event_type), {})[shared] = self._size
        self._size += 1
        self._new.setdefault(self._span_of(bucket), []).append((slot, (bucket, event_type, shared)))
        self._new_cells += 1
        return slot

    def _tidy(self) -> None:
        """Keep what nobody asks about small, too."""
        self._sweep()
        if self._new_cells >= _MOST_NEW:
            for span in list(self._new):
                self._make_keys(span)

    def _total(self, parts: dict[int, NDArray[np.int64]]) -> NDArray[np.int64]:
        total = np.zeros(self._size, dtype=np.int64)
        for part in parts.values():
            total += part[: len(total)]
        return total

    def _span_of(self, bucket: int) -> int:
        """Return which span a bucket lies in: a business day, or 24 hours of finer buckets."""
        return bucket if self._cube.grain is Grain.DAY else bucket // DAY_MS

    def _of_spans(self, spans: Iterable[int]) -> pl.DataFrame:
        frames = [self._of_span(span) for span in spans]
        return pl.concat(frames) if frames else self._counted(pl.DataFrame(schema=self._dims))

    def _of_span(self, span: int) -> pl.DataFrame:
        frame = self._frames.get(span)
        if frame is None:
            self._make_keys(span)
            frame = self._frames[span] = self._counted(self._keys[span])
        return frame

    def _make_keys(self, span: int) -> None:
        if new := self._new.pop(span, None):
            self._new_cells -= len(new)
            parts = [self._keys[span]] if span in self._keys else []
            self._keys[span] = pl.concat([*parts, self._keys_of(new)], rechunk=True)

    def _counted(self, keys: pl.DataFrame) -> pl.DataFrame:
        slots = keys.get_column(SLOT).to_numpy()
        count, keyed = (
            sum((part[slots] for part in parts.values()), start=np.zeros(len(slots), dtype=np.int64))
            for parts in (self._counts, self._keyed)
        )
        frame = keys.with_columns(pl.Series("count", count), pl.Series("keyed", keyed))
        return frame if (count > 0).all() else frame.filter(pl.col("count") > 0)

    def _keys_of(self, cells: Sequence[tuple[int, _Key]]) -> pl.DataFrame:
        columns: dict[str, list[object]] = {
            SLOT: [slot for slot, _ in cells],
            "bucket": [bucket for _, (bucket, _, _) in cells],
            "event_type": [event_type for _, (_, event_type, _) in cells],
        }
        for index, name in enumerate(self._cube.dims):
            values = [dims[index] for _, (_, _, dims) in cells]
            columns[name] = [int(value) for value in values] if name == "atom" else list(values)
        return pl.DataFrame(columns, schema=self._dims)

    def _grow(self, size: int) -> None:
        room = max(size, int(_GROWTH * len(self._changed))) - len(self._changed)
        more = np.zeros(room, dtype=np.int64)
        self._changed = np.concatenate([self._changed, more])
        self._large_changed = np.concatenate([self._large_changed, more])
        if self._intersects:
            self._crowd_changed = np.concatenate([self._crowd_changed, more])
        for parts in (self._counts, self._keyed):
            for partition, part in parts.items():
                parts[partition] = np.concatenate([part, more])

    def _sweep(self) -> None:
        """Drop forgotten cells, so that a board that runs for weeks does not keep every minute it has seen."""
        if len(self._forgotten) < max(_COMPACT_FROM, self._size // 2):
            return
        keys = [
            (slot, (bucket, event_type, dims))
            for (bucket, event_type), cells in self._slots.items()
            for dims, slot in cells.items()
        ]
        counts, keyed, changed, large_changed = (
            self._counts,
            self._keyed,
            self._changed,
            self._large_changed,
        )
        images, large = self._images, self._large
        total = self._total(counts)
        self._clear()
        kept = np.flatnonzero(total > 0)
        self._grow(len(kept))
        for _, key in sorted(each for each in keys if total[each[0]] > 0):
            self._add(key)
        self._changed[: len(kept)] = changed[kept]
        self._large_changed[: len(kept)] = large_changed[kept]
        for partition in counts:
            self._counts[partition] = np.zeros(len(self._changed), dtype=np.int64)
            self._keyed[partition] = np.zeros(len(self._changed), dtype=np.int64)
            self._counts[partition][: len(kept)] = counts[partition][kept]
            self._keyed[partition][: len(kept)] = keyed[partition][kept]
            for target, parts in ((self._images, images), (self._large, large)):
                target[partition] = {
                    slot: parts[partition][old]
                    for slot, old in enumerate(kept.tolist())
                    if old in parts[partition]
                }
