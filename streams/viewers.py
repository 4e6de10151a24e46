"""Who watched: the people of content, by record, united into cells of a content's day and of a shop's day.

A record of engagement carries its viewers as keys or as a sketch; either becomes one small image. A question about
whole days takes the united cells, one about a part of a day unites the records themselves, so any window is answered
and six months cost a union a day. People who are in two records, two videos or two days are counted once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
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

_DAY: Final = ("",)
"""Marks the cell of a whole day among those of contents."""


def image_of(event: ContentEngagement) -> bytes | None:
    """Return the viewers of a record as an image; None when it names none."""
    if event.viewer_sketch is not None:
        return rebuilt(event.viewer_sketch, SKETCH_LG_K)
    if not event.viewer_keys:
        return None
    crowd = sketches.new(SKETCH_LG_K)
    for key in event.viewer_keys:
        crowd.update(str(key))
    return sketches.dump(crowd)


class ViewerCells:
    """The viewers of one shop, by slot of their record."""

    def __init__(self) -> None:
        self._images: dict[int, bytes | None] = {}
        self._cells: dict[int, tuple[Hashable, int]] = {}
        self._slots: defaultdict[tuple[Hashable, int], set[int]] = defaultdict(set)
        self._united: dict[tuple[Hashable, int], hll_sketch] = {}

    def put(self, slot: int, content_id: str, day: int, image: bytes | None) -> None:
        """Take a record's viewers in; a record of a slot that is known replaces it."""
        replaced = self._images.get(slot) is not None
        self._images[slot] = image
        for cell in ((content_id, day), (_DAY, day)):
            self._slots[cell].add(slot)
            if replaced:
                # People cannot be taken out of a sketch: it is made anew when somebody asks.
                self._united.pop(cell, None)
            elif image is not None and cell in self._united:
                self._united[cell] = sketches.merge([self._united[cell], sketches.load(image)], SKETCH_LG_K)
        self._cells[slot] = (content_id, day)

    def estimate(self, groups: Sequence[NDArray[np.uint32]]) -> list[float]:
        """Return the estimated number of distinct people in each group of records, by their slots."""
        return [self._estimate(slots) for slots in groups]

    def _estimate(self, slots: NDArray[np.uint32]) -> float:
        left = set(slots.tolist())
        parts: list[hll_sketch] = []
        for cell_of in (self._day_cell, self._cells.__getitem__):
            by_cell: defaultdict[tuple[Hashable, int], set[int]] = defaultdict(set)
            for slot in left:
                by_cell[cell_of(slot)].add(slot)
            for cell, own in by_cell.items():
                if len(own) == len(self._slots[cell]):
                    parts.append(self._unite(cell))
                    left -= own
        images = (self._images[slot] for slot in left)
        parts += [sketches.load(image) for image in images if image is not None]
        return sketches.estimate(sketches.merge(parts, SKETCH_LG_K))

    def _day_cell(self, slot: int) -> tuple[Hashable, int]:
        return (_DAY, self._cells[slot][1])

    def _unite(self, cell: tuple[Hashable, int]) -> hll_sketch:
        united = self._united.get(cell)
        if united is None:
            images = (self._images[slot] for slot in sorted(self._slots[cell]))
            united = self._united[cell] = sketches.merge(
                [sketches.load(image) for image in images if image is not None], SKETCH_LG_K
            )
        return united
