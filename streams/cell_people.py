"""The people of one cube's cells in one partition: who came since its row of people was written, and the row's image.

A cell of few people has one sketch, and its image stands in the cell's own row. Of a cell of many, only who came since
its row of people was written is in a sketch; the image of that row stays in a spill file until enough have come to
write it anew. So memory grows with the number of cells, and not with how many people they have.

Most cells are quiet: of another day, or of a product that nobody looks at now. A sketch in use takes 300 bytes and
more before anyone is in it; one that was not touched for a quarter hour of R rests as its image in the spill file, too,
until the next one comes. In memory a cell at rest takes 17 bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from operator import call
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams import sketches
from streams.hash_index import extended
from streams.resting import RestingImages, sizes
from streams.spill import SpillFiles

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

WHOLE_BYTES: Final = 128
"""Up to here an image of people stands in the cell's own row; a larger one has a row of its own."""

RECENT_SHARE: Final = 6
"""A row of people is written anew when the people who came since take more than this part of its bytes. Dense sketches
of lg_k 12 then cost 175 bytes a flush instead of 2,100, whatever their traffic (docs/STATE.md)."""


class CellPeople:
    """Sketches of people by row: `add` counts, `take` gives images, `rest` puts away what nobody touches.

    Args:
        lg_k: size of the sketches.
        spill: makes the file of what is not in use.
    """

    def __init__(self, lg_k: int, spill: SpillFiles) -> None:
        self._lg_k = lg_k
        self._images = RestingImages(spill)
        # The bound `update` of each sketch in use: its owner is `__self__`, and a call needs no lookup. The first
        # stands for nobody; `rest` numbers them anew.
        self._updates: list[Callable[[str], None] | None] = [None]
        # Numbers whose sketch was let go, for the next ones: else a cell would leave one with every row of people.
        self._free: list[int] = []
        # By row: minus the number of the sketch in use, or the place of its image that rests; 0 while nobody came, or
        # nobody since the row of people was written.
        self._where: Codes = np.zeros(0, dtype=np.int64)
        # By row: the place of the image of its row of people, 0 while it has none.
        self._whole: Codes = np.zeros(0, dtype=np.int64)
        self._touched: Mask = np.zeros(0, dtype=np.bool_)

    @property
    def resting(self) -> int:
        """Return the number of cells with people of whom no sketch is in use."""
        return int(((self._where > 0) | ((self._where == 0) & (self._whole > 0))).sum())

    def reserve(self, size: int) -> None:
        """Make room for rows below `size`; new ones have nobody."""
        known = len(self._where)
        for name in ("_where", "_whole", "_touched"):
            column = extended(getattr(self, name), size)
            column[known:] = 0
            setattr(self, name, column)

    def add(self, rows: Codes, users: list[str]) -> None:
        """Put users into the sketches of their rows, which are awake; a row has one from its first user on."""
        where = self._where[rows]
        if not where.all():
            first = np.unique(rows[where == 0])
            self._use(first, [sketches.new(self._lg_k).update for _ in range(len(first))])
            where = self._where[rows]
        updates: list[Any] = self._updates
        deque(map(call, map(updates.__getitem__, (-where).tolist()), users), maxlen=0)

    def wake(self, rows: Codes) -> None:
        """Take the sketches of those rows that rest into use; rows of people stay where they are.

        Raises:
            StateError: one of them cannot be read; it was restored so.
        """
        places = self._where[rows]
        if not (places > 0).any():
            return
        resting = np.unique(rows[places > 0])
        places = self._where[resting]
        woken = [sketches.load(image).update for image in self._images.get(places)]
        self._images.drop(places)
        self._use(resting, woken)

    def rest(self, changed: Mask) -> None:
        """Put to rest what nobody touched since the last call.

        Args:
            changed: by row, what is still to be taken; it stays awake.

        Raises:
            UnavailableError: there is no room for the images.
        """
        awake = np.flatnonzero(self._where < 0)
        busy = (self._touched | changed)[awake]
        idle, kept = awake[~busy], awake[busy]
        updates: list[Any] = self._updates
        idle_updates = map(updates.__getitem__, (-self._where[idle]).tolist())
        places = self._images.put(sketches.dump(update.__self__) for update in idle_updates)
        self._updates = [None, *map(updates.__getitem__, (-self._where[kept]).tolist())]
        self._free.clear()
        self._where[kept] = -np.arange(1, len(self._updates))
        self._where[idle] = places
        self._touched[:] = False
        self._pack()

    def forget(self, rows: Codes) -> None:
        """Drop the people of rows; whoever comes to them next is the first."""
        places, whole = self._where[rows], self._whole[rows]
        self._images.drop(places[places > 0])
        self._images.drop(whole[whole > 0])
        self._let_go((-places[places < 0]).tolist())
        self._where[rows] = 0
        self._whole[rows] = 0

    def take(self, rows: Codes) -> tuple[list[bytes | None], dict[int, bytes]]:
        """Return what is to be written of rows that changed, none of which rests.

        Returns:
            For each row the image for the cell's own row, None for none; and, by its index among the rows, the image
            of all people of each that is to have a row of people now.

        Raises:
            StateError: the row of people of one cannot be read; it was restored so.
            UnavailableError: there is no room for the images.
        """
        self._touched[rows] = True
        updates: list[Any] = self._updates
        images: list[bytes | None] = []
        due: list[int] = []
        slots = (-self._where[rows]).tolist()
        # A million rows a minute come by here.
        for slot, size in zip(slots, sizes(self._whole[rows]).tolist(), strict=True):
            update = updates[slot]
            image = None if update is None else update.__self__.serialize_compact()
            if image is not None and len(image) > (size // RECENT_SHARE or WHOLE_BYTES):
                due.append(len(images))
                image = None
            images.append(image)
        if not due:
            return images, {}
        return images, dict(zip(due, self._set_apart(rows[due]), strict=True))

    def apart(self, rows: Codes) -> Mask:
        """Tell of each row whether its people have a row of their own."""
        return self._whole[rows] > 0

    def restore(self, rows: Codes, own: Sequence[bytes | None], apart: Sequence[bytes | None]) -> None:
        """Take over kept people; they rest, unread: to read every image would take most of the time of a restart.

        Args:
            rows: which nobody came to yet.
            own: the image of each cell's own row.
            apart: the image of each row of people. Where there is one, the own row holds who came since.

        Raises:
            UnavailableError: there is no room for the images.
        """
        for column, images in ((self._where, own), (self._whole, apart)):
            known = [bool(image) for image in images]
            column[rows[known]] = self._images.put(image for image in images if image)

    def unite(self, row: int, image: bytes) -> None:
        """Unite the people of a cell that does not rest with others.

        Raises:
            StateError: the image cannot be read.
        """
        others = sketches.load(image)
        slot = -int(self._where[row])
        if slot:
            own: Any = self._updates[slot]
            self._updates[slot] = sketches.merge([own.__self__, others], self._lg_k).update
        else:
            self._use(np.array([row]), [others.update])

    def _set_apart(self, rows: Codes) -> list[bytes]:
        """Return the images of all people of cells, for rows of people; nobody has come since."""
        former = self._whole[rows]
        slots = (-self._where[rows]).tolist()
        known = iter(self._images.get(former[former > 0]))
        images = []
        for slot, has_row in zip(slots, (former > 0).tolist(), strict=True):
            update: Any = self._updates[slot]
            whole = update.__self__
            if has_row:
                whole = sketches.merge([sketches.load(next(known)), whole], self._lg_k)
            images.append(sketches.dump(whole))
        self._let_go(slots)
        self._images.drop(former[former > 0])
        self._whole[rows] = self._images.put(images)
        self._where[rows] = 0
        self._pack()
        return images

    def _pack(self) -> None:
        if not self._images.sparse:
            return
        resting, apart = np.flatnonzero(self._where > 0), np.flatnonzero(self._whole)
        places = self._images.pack(np.concatenate([self._where[resting], self._whole[apart]]))
        self._where[resting], self._whole[apart] = np.split(places, [len(resting)])

    def _use(self, rows: Codes, updates: Sequence[Callable[[str], None]]) -> None:
        """Give rows that have none their sketches in use."""
        slots = self._free[: len(rows)]
        del self._free[: len(rows)]
        for slot, update in zip(slots, updates, strict=False):
            self._updates[slot] = update
        first = len(self._updates)
        self._updates += updates[len(slots) :]
        self._where[rows] = [-slot for slot in (*slots, *range(first, len(self._updates)))]

    def _let_go(self, slots: list[int]) -> None:
        for slot in slots:
            self._updates[slot] = None
        self._free += slots
