"""One cube of one shop as columns: counts merged over partitions, and people by union of sketches."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from streams import sketches, theta
from streams.errors import QueryError
from streams.frames import SLOT

if TYPE_CHECKING:
    from datasketches import hll_sketch
    from numpy.typing import NDArray

    from streams.cubes import Cube
    from streams.state import PeopleRow, StateRow

CACHED_UNIONS: Final = 4_096
"""Unions of people kept between queries; at 8 KiB each this bounds them to 32 MiB a cube."""

_COMPACT_FROM: Final = 50_000
"""Forgotten cells are swept once there are this many and they are the majority."""


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
        self._slots: dict[tuple[int, str, tuple[str, ...]], int] = {}
        self._keys: list[pl.DataFrame] = []
        self._new: list[tuple[int, str, tuple[str, ...]]] = []
        self._counts: dict[int, NDArray[np.int64]] = {}
        self._keyed: dict[int, NDArray[np.int64]] = {}
        self._images: dict[int, dict[int, bytes]] = {}
        self._large: dict[int, dict[int, bytes]] = {}
        self._changed = np.zeros(1_024, dtype=np.int64)
        # The change that brought the newest large image: unions that have it need only what came since.
        self._large_changed = np.zeros(1_024, dtype=np.int64)
        self._forgotten: set[int] = set()
        self._frame: pl.DataFrame | None = None
        self._unions: OrderedDict[Hashable, _Union] = OrderedDict()
        self._overlaps: dict[tuple[int, int], tuple[int, theta.Overlap]] = {}

    def put(self, partition: int, row: StateRow) -> None:
        """Take the newest row of a cell of one partition in; without a count the cell is forgotten there."""
        key = (row.key.bucket, row.key.event_type, row.key.dims)
        slot = self._slots.get(key)
        if slot is None:
            if row.events is None:
                return
            slot = self._slots[key] = len(self._slots)
            self._new.append(key)
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
            # Should the cell come back, it is with fewer people: the cube was rebuilt.
            self._unions.clear()
        else:
            self._forgotten.discard(slot)
            if row.sketch is not None:
                self._images[partition][slot] = row.sketch
            else:
                self._images[partition].pop(slot, None)
        self._frame = None

    def put_people(self, partition: int, row: PeopleRow) -> None:
        """Take a cell's newest large image of one partition in, after the cell's own row of the same flush."""
        slot = self._slots.get((row.key.bucket, row.key.event_type, row.key.dims))
        if slot is None or row.image is None:
            return
        self._changes += 1
        self._changed[slot] = self._large_changed[slot] = self._changes
        self._large[partition][slot] = row.image

    def frame(self) -> pl.DataFrame:
        """Return slot, bucket, event_type, dimensions, count, keyed of the cells with anything counted."""
        if self._frame is None:
            self._sweep()
            if self._new:
                self._keys.append(self._new_keys())
                while len(self._keys) > 1 and self._keys[-2].height < 2 * self._keys[-1].height:
                    last = self._keys.pop()
                    self._keys[-1] = pl.concat([self._keys[-1], last], rechunk=True)
            keys = pl.concat(self._keys) if self._keys else pl.DataFrame(schema=self._dims)
            frame = keys.with_columns(
                pl.Series("count", self._total(self._counts)), pl.Series("keyed", self._total(self._keyed))
            )
            self._frame = frame.filter(pl.col("count") > 0)
        return self._frame

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
        cells = self.frame().filter((pl.col("bucket") >= low) & (pl.col("bucket") < high))
        slots = cells.get_column(SLOT).to_list()
        parts = (*self._images.values(), *self._large.values())
        return cells, [[part[slot] for part in parts if slot in part] for slot in slots]

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
        self._frame = None

    def by_partition(self, slots: NDArray[np.uint32]) -> dict[int, list[int]]:
        """Return partition -> events of each of these cells there; cells of the history are in none."""
        here = slots < len(self._changed)
        known = np.where(here, slots, 0)
        return {
            partition: np.where(here, part[known], 0).tolist()
            for partition, part in sorted(self._counts.items())
        }

    def overlap(self, crowd: int, other: int | None) -> theta.Overlap:
        """Return how many people of a cell are in another one too, of a cube with theta sketches.

        Kept until one of the two changes, so that asking about every product again costs what changed.

        Args:
            crowd: slot of the cell.
            other: of the other one; None: nobody.
        """
        if self._cube.lg_k is None or self._cube.sketch != "theta":
            what = f"The cube {self._cube.name} cannot tell who is in two crowds."
            raise QueryError(what, reason="no_cube")
        slots = (crowd, -1 if other is None else other)
        changes = int(max(self._changed[slot] for slot in slots if slot >= 0))
        found = self._overlaps.get(slots)
        if found is None or found[0] < changes:
            images = [list(self._of(np.array([slot]), -1)) if slot >= 0 else [] for slot in slots]
            found = self._overlaps[slots] = (changes, theta.overlap(self._cube.lg_k, *images))
        return found[1]

    def _of(self, slots: NDArray[np.uint32], since: NDArray[np.int64] | int) -> Iterable[bytes]:
        """Yield the images of cells, large ones only where they changed after `since`."""
        changed = slots[self._large_changed[slots] > since]
        for chosen, parts in ((slots, self._images), (changed, self._large)):
            for images in parts.values():
                yield from (images[slot] for slot in chosen.tolist() if slot in images)

    def _total(self, parts: dict[int, NDArray[np.int64]]) -> NDArray[np.int64]:
        total = np.zeros(len(self._slots), dtype=np.int64)
        for part in parts.values():
            total += part[: len(total)]
        return total

    def _new_keys(self) -> pl.DataFrame:
        first = len(self._slots) - len(self._new)
        columns: dict[str, list[object]] = {
            SLOT: list(range(first, len(self._slots))),
            "bucket": [bucket for bucket, _, _ in self._new],
            "event_type": [event_type for _, event_type, _ in self._new],
        }
        for index, name in enumerate(self._cube.dims):
            values = [dims[index] for _, _, dims in self._new]
            columns[name] = [int(value) for value in values] if name == "atom" else list(values)
        self._new = []
        return pl.DataFrame(columns, schema=self._dims)

    def _grow(self, size: int) -> None:
        room = max(size, 2 * len(self._changed)) - len(self._changed)
        more = np.zeros(room, dtype=np.int64)
        self._changed = np.concatenate([self._changed, more])
        self._large_changed = np.concatenate([self._large_changed, more])
        for parts in (self._counts, self._keyed):
            for partition, part in parts.items():
                parts[partition] = np.concatenate([part, more])

    def _sweep(self) -> None:
        """Drop forgotten cells, so that a board that runs for weeks does not keep every minute it has seen."""
        if len(self._forgotten) < max(_COMPACT_FROM, len(self._slots) // 2):
            return
        keys = list(self._slots)
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
        for slot, old in enumerate(kept.tolist()):
            self._slots[keys[old]] = slot
            self._new.append(keys[old])
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
