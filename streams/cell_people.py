"""The people of one cube's cells in one partition: sketches by row number, in use or at rest.

Most cells are quiet: of another day, or of a product that nobody looks at now. A sketch in use takes 300 bytes and
more before anyone is in it; one that was not touched for a quarter hour of R rests as its image in a spill file, until
the next one comes. In memory a cell at rest takes 14 bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from operator import call
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams import sketches
from streams.hash_index import extended
from streams.resting import RestingImages
from streams.spill import SpillFiles

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

WHOLE_BYTES: Final = 128
"""Up to here an image of people stands in the cell's own row; a larger one has a row of its own."""

RECENT_SHARE: Final = 6
"""A row of people is written anew when the people who came since take more than this part of its bytes. Dense sketches
of lg_k 12 then cost 175 bytes a flush instead of 2,100, whatever their traffic (docs/STATE.md)."""

_LENGTH_BYTES: Final = 4


class CellPeople:
    """Sketches of people by row: `add` counts, `take` gives images, `rest` puts away what nobody touches.

    Args:
        lg_k: size of the sketches.
        spill: makes the file of what rests.
    """

    def __init__(self, lg_k: int, spill: SpillFiles) -> None:
        self._lg_k = lg_k
        self._images = RestingImages(spill)
        # The bound `update` of each sketch in use: its owner is `__self__`, and a call needs no lookup. The first
        # stands for nobody; `rest` numbers them anew.
        self._updates: list[Callable[[str], None] | None] = [None]
        # By row: minus the number of the sketch in use, or the place of the image that rests; 0 while nobody came.
        self._where: Codes = np.zeros(0, dtype=np.int64)
        self._touched: Mask = np.zeros(0, dtype=np.bool_)
        # Cells whose people have a row of their own: the size of its image (else 0), and who came since it was taken;
        # what rests is both, as `_joined` puts them.
        self._apart: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._recent: dict[int, Callable[[str], None]] = {}
        # Restored ones: their sketch holds the row of people alone until it is written anew.
        self._unmerged: Mask = np.zeros(0, dtype=np.bool_)

    @property
    def resting(self) -> int:
        """Return the number of cells whose people rest."""
        return int((self._where > 0).sum())

    def reserve(self, size: int) -> None:
        """Make room for rows below `size`; new ones have nobody."""
        known = len(self._where)
        for name in ("_where", "_touched", "_apart", "_unmerged"):
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
        apart = self._apart[rows]
        if apart.any():
            self._add_recent(rows[apart > 0].tolist(), compress(users, apart.tolist()))

    def _add_recent(self, rows: list[int], users: Iterable[str]) -> None:
        """Put users of cells whose people have a row of their own into the sketches of who came since."""
        recent: dict[int, Any] = self._recent
        for row in set(rows):
            if row not in recent:
                recent[row] = sketches.new(self._lg_k).update
        deque(map(call, map(recent.__getitem__, rows), users), maxlen=0)

    def wake(self, rows: Codes) -> None:
        """Take the sketches of those rows that rest into use.

        Raises:
            StateError: one of them cannot be read; it was restored so.
        """
        places = self._where[rows]
        if not (places > 0).any():
            return
        resting = np.unique(rows[places > 0])
        places = self._where[resting]
        woken = []
        for row, image, apart in zip(
            resting.tolist(), self._images.get(places), self._apart[resting].tolist(), strict=True
        ):
            whole, recent = _parted(image) if apart else (image, b"")
            if recent:
                self._recent[row] = sketches.load(recent).update
            woken.append(sketches.load(whole).update)
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
        places = self._images.put(map(self._image, idle.tolist()))
        updates, recent = self._updates, self._recent
        self._updates = [None, *map(updates.__getitem__, (-self._where[kept]).tolist())]
        self._recent = {row: recent[row] for row in kept.tolist() if row in recent}
        self._where[kept] = -np.arange(1, len(self._updates))
        self._where[idle] = places
        self._touched[:] = False
        if self._images.sparse:
            resting = np.flatnonzero(self._where > 0)
            self._where[resting] = self._images.pack(self._where[resting])

    def forget(self, rows: Codes) -> None:
        """Drop the people of rows; whoever comes to them next is the first."""
        places = self._where[rows]
        self._images.drop(places[places > 0])
        for row, slot in zip(rows.tolist(), (-places).tolist(), strict=True):
            if slot > 0:
                self._updates[slot] = None
                self._recent.pop(row, None)
        self._where[rows] = 0
        self._apart[rows] = 0
        self._unmerged[rows] = False

    def take(self, rows: Codes) -> tuple[list[bytes | None], dict[int, bytes]]:
        """Return what is to be written of rows that changed, none of which rests.

        Returns:
            For each row the image for the cell's own row, None for none; and, by its index among the rows, the image
            of all people of each that is to have a row of its own now.
        """
        self._touched[rows] = True
        updates: list[Any] = self._updates
        recent: dict[int, Any] = self._recent
        images: list[bytes | None] = []
        due: dict[int, bytes] = {}
        slots = (-self._where[rows]).tolist()
        # A million rows a minute come by here.
        for row, slot, apart in zip(rows.tolist(), slots, self._apart[rows].tolist(), strict=True):
            update = recent.get(row) if apart else updates[slot]
            image = None if update is None else update.__self__.serialize_compact()
            if image is not None and len(image) > (apart // RECENT_SHARE or WHOLE_BYTES):
                due[len(images)] = self._set_apart(row, slot)
                image = None
            images.append(image)
        return images, due

    def apart(self, rows: Codes) -> Mask:
        """Tell of each row whether its people have a row of their own."""
        return self._apart[rows] > 0

    def restore(self, rows: Codes, own: Sequence[bytes | None], apart: Sequence[bytes | None]) -> None:
        """Take over kept people; they rest, unread: to read every image would take most of the time of a restart.

        Args:
            rows: which nobody came to yet.
            own: the image of each cell's own row.
            apart: the image of each row of people. Where there is one, the own row holds who came since.

        Raises:
            UnavailableError: there is no room for the images.
        """
        self._apart[rows] = [0 if image is None else len(image) for image in apart]
        self._unmerged[rows] = [
            bool(image) and whole is not None for image, whole in zip(own, apart, strict=True)
        ]
        known = [bool(image) or whole is not None for image, whole in zip(own, apart, strict=True)]
        images = (
            _joined(whole, image or b"") if whole is not None else image
            for image, whole in zip(own, apart, strict=True)
        )
        self._where[rows[known]] = self._images.put(image for image in images if image)

    def unite(self, row: int, image: bytes) -> None:
        """Unite the people of a cell that does not rest with others.

        Raises:
            StateError: the image cannot be read.
        """
        recent: dict[int, Any] = self._recent

        def united(update: Any) -> Any:
            others = sketches.load(image)
            return (
                others if update is None else sketches.merge([update.__self__, others], self._lg_k)
            ).update

        slot = -int(self._where[row])
        if slot:
            self._updates[slot] = united(self._updates[slot])
        else:
            self._use(np.array([row]), [united(None)])
        if self._apart[row]:
            # The row of people is written; who comes to it now is new to readers.
            recent[row] = united(recent.get(row))

    def _set_apart(self, row: int, slot: int) -> bytes:
        """Return the image of all people of a cell, for a row of its own."""
        sketch: Any = self._updates[slot]
        recent: Any = self._recent.pop(row, None)
        whole = sketch.__self__
        if self._unmerged[row]:
            self._unmerged[row] = False
            whole = sketches.merge([whole, recent.__self__], self._lg_k)
            self._updates[slot] = whole.update
        image = sketches.dump(whole)
        self._apart[row] = len(image)
        return image

    def _image(self, row: int) -> bytes:
        """Return what is kept of a cell at rest."""
        sketch: Any = self._updates[-self._where[row]]
        image = sketches.dump(sketch.__self__)
        if not self._apart[row]:
            return image
        recent: Any = self._recent.get(row)
        return _joined(image, b"" if recent is None else sketches.dump(recent.__self__))

    def _use(self, rows: Codes, updates: Sequence[Callable[[str], None]]) -> None:
        """Give rows that have none their sketches in use."""
        first = len(self._updates)
        self._updates += updates
        self._where[rows] = -np.arange(first, len(self._updates))


def _joined(whole: bytes, recent: bytes) -> bytes:
    """Return one image of people who have a row of their own, and of those who came since, if any."""
    return len(whole).to_bytes(_LENGTH_BYTES, "little") + whole + recent


def _parted(image: bytes) -> tuple[bytes, bytes]:
    end = _LENGTH_BYTES + int.from_bytes(image[:_LENGTH_BYTES], "little")
    return image[_LENGTH_BYTES:end], image[end:]
