"""Who watched: the people of content, by record, united into cells of a content's day and of a shop's day.

A record of engagement carries its viewers as keys or as a sketch; either becomes one small image. A question about
whole days takes the united cells, one about a part of a day unites the records themselves, so any window is answered
and six months cost a union a day. People who are in two records, two videos or two days are counted once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from streams import sketches
from streams.events_content import SKETCH_LG_K
from streams.foreign_sketches import rebuilt

if TYPE_CHECKING:
    from datasketches import hll_sketch
    from numpy.typing import NDArray

    from streams.events import ContentEngagement

RELATIVE_ERROR: Final = 1.04 / 2 ** (SKETCH_LG_K / 2)
"""One standard deviation of an estimate of many people; a few hundred are counted nearly exactly."""


def image_of(event: ContentEngagement) -> bytes | None:
    """Return the viewers of a record as an image; None when it names none."""
    if event.viewer_sketch is not None:
        # Through a union, which packs the registers of what others made into half the bytes.
        return sketches.dump(_unite([rebuilt(event.viewer_sketch, SKETCH_LG_K)]))
    if not event.viewer_keys:
        return None
    crowd = sketches.new(SKETCH_LG_K)
    for key in event.viewer_keys:
        crowd.update(str(key))
    return sketches.dump(crowd)


class _Cells:
    """One way of uniting records: the cell of every record, and the people of every cell."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, int], int] = {}
        self._cell_of = array("l")
        self._slots: list[list[int]] = []
        self._united: dict[int, hll_sketch] = {}

    def put(self, slot: int, name: tuple[str, int], image: bytes | None, *, replaced: bool) -> None:
        """Take a record in; `replaced` when its slot had people before."""
        cell = self._numbers.setdefault(name, len(self._numbers))
        if cell == len(self._slots):
            self._slots.append([])
        if slot == len(self._cell_of):
            self._cell_of.append(cell)
            self._slots[cell].append(slot)
        if replaced:
            # People cannot be taken out of a sketch: it is made anew when somebody asks.
            self._united.pop(cell, None)
        elif image is not None and cell in self._united:
            self._united[cell] = sketches.merge([self._united[cell], sketches.load(image)], SKETCH_LG_K)

    def whole(
        self, slots: NDArray[np.int64], images: Sequence[bytes | None]
    ) -> tuple[list[hll_sketch], NDArray[np.int64]]:
        """Return the people of the cells of which all records are asked for, and the slots that are left."""
        cells = np.frombuffer(self._cell_of, dtype=np.dtype("l"))[slots]
        found, counts = np.unique(cells, return_counts=True)
        complete = [
            cell
            for cell, count in zip(found.tolist(), counts.tolist(), strict=True)
            if count == len(self._slots[cell])
        ]
        parts = [self._people(cell, images) for cell in complete]
        return parts, slots[~np.isin(cells, complete)]

    def _people(self, cell: int, images: Sequence[bytes | None]) -> hll_sketch:
        united = self._united.get(cell)
        if united is None:
            united = self._united[cell] = _unite(images[slot] for slot in self._slots[cell])
        return united


class ViewerCells:
    """The viewers of one shop, by slot of their record: slots are given one after the other from 0."""

    def __init__(self) -> None:
        self._images: list[bytes | None] = []
        self._by_day = _Cells()
        self._by_content = _Cells()

    def put(self, slot: int, content_id: str, day: int, image: bytes | None) -> None:
        """Take a record's viewers in; a record of a slot that is known replaces it."""
        known = slot < len(self._images)
        replaced = known and self._images[slot] is not None
        if known:
            self._images[slot] = image
        else:
            self._images.append(image)
        self._by_day.put(slot, ("", day), image, replaced=replaced)
        self._by_content.put(slot, (content_id, day), image, replaced=replaced)

    def estimate(self, groups: Sequence[NDArray[np.uint32]]) -> list[float]:
        """Return the estimated number of distinct people in each group of records, by their slots."""
        return [self._estimate(slots.astype(np.int64)) for slots in groups]

    def _estimate(self, slots: NDArray[np.int64]) -> float:
        days, left = self._by_day.whole(slots, self._images)
        contents, left = self._by_content.whole(left, self._images)
        rest = _unite(self._images[slot] for slot in left.tolist())
        return sketches.estimate(sketches.merge([*days, *contents, rest], SKETCH_LG_K))


def _unite(images: Iterable[bytes | None]) -> hll_sketch:
    return sketches.merge((sketches.load(image) for image in images if image is not None), SKETCH_LG_K)
