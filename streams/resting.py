"""Images of sketches that are not in use, in a spill file: written one behind the other, found by place, packed when
sparse.

An image as an object of Python's takes 33 bytes more than its own, and it is seldom read. Here it takes a place of 8
bytes in whatever column its owner keeps.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.spill import SpillFile, SpillFiles

PIECE_BYTES: Final = 1 << 20
"""About so much is read and written at once, when many images come to rest and when they are packed."""

SPARSE_BYTES: Final = 1 << 20
"""A file of less is not worth packing."""

_SIZE_BITS: Final = 24
_SIZE_MASK: Final = (1 << _SIZE_BITS) - 1
"""A place is the offset and, in the low bits, the size: images below 16 MiB in a file below 512 GiB."""

_FIRST_OFFSET: Final = 1
"""Places are above 0."""

Places = NDArray[np.int64]


class RestingImages:
    """Images by place; a place is > 0 and holds until the next `pack`.

    Args:
        spill: makes the file, when the first image comes; and a new one when images are packed.
    """

    def __init__(self, spill: SpillFiles) -> None:
        self._spill = spill
        self._file: SpillFile | None = None
        self._end = _FIRST_OFFSET
        self._dropped = 0

    @property
    def sparse(self) -> bool:
        """Tell whether more than half of the file is of dropped images, and that is worth a `pack`."""
        return self._end > SPARSE_BYTES and 2 * self._dropped > self._end

    @property
    def size(self) -> int:
        """Return the bytes that the file takes, those of dropped images included."""
        return self._end - _FIRST_OFFSET

    def put(self, images: Iterable[bytes]) -> Places:
        """Write images, each below 16 MiB, and return their places; holds no more than a piece of them.

        Raises:
            UnavailableError: there is no room.
        """
        first = self._end
        lengths: list[int] = []
        piece: list[bytes] = []
        waiting = 0
        for image in images:
            piece.append(image)
            lengths.append(len(image))
            waiting += len(image)
            if waiting >= PIECE_BYTES:
                self._append(b"".join(piece))
                piece.clear()
                waiting = 0
        if piece:
            self._append(b"".join(piece))
        return _places(first, np.array(lengths, dtype=np.int64))

    def get(self, places: Places) -> list[bytes]:
        """Return the images of places that were put and not dropped; one read each."""
        if self._file is None:
            return []
        read = self._file.read
        return [read(place >> _SIZE_BITS, place & _SIZE_MASK) for place in places.tolist()]

    def drop(self, places: Places) -> None:
        """Forget images; their room is free again after the next `pack`."""
        self._dropped += int(sizes(places).sum())

    def pack(self, places: Places) -> Places:
        """Write the images that are left into a new file, in pieces, and return their new places.

        Args:
            places: of all images that were not dropped, in any order.

        Raises:
            UnavailableError: there is no room; the former places hold.
        """
        packed = RestingImages(self._spill)
        order = np.argsort(places)
        starts, lengths = places[order] >> _SIZE_BITS, sizes(places[order])
        ends = starts + lengths
        # Images of cells that came to rest together stand together: most are moved many at a time.
        breaks = np.flatnonzero((starts[1:] != ends[:-1]) | (np.diff(starts // PIECE_BYTES) != 0)) + 1
        if self._file is not None and len(places):
            read = self._file.read
            edges = [0, *breaks.tolist(), len(places)]
            runs = ((int(starts[first]), int(ends[last - 1])) for first, last in pairwise(edges))
            packed.put(read(begin, end - begin) for begin, end in runs)
        moved = np.empty_like(places)
        moved[order] = _places(_FIRST_OFFSET, lengths)
        self._file, self._end, self._dropped = packed._file, packed._end, 0
        return moved

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._spill()
        self._file.write(self._end, data)
        self._end += len(data)


def sizes(places: Places) -> NDArray[np.int64]:
    """Return the bytes of the image at each place; 0 of no place."""
    return places & _SIZE_MASK


def _places(first: int, lengths: NDArray[np.int64]) -> Places:
    """Return the places of images that stand one behind the other from an offset on."""
    return (first + np.cumsum(lengths) - lengths) << _SIZE_BITS | lengths
