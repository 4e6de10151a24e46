"""Images at rest in a file, in memory and on disk: found by place, and the file no larger than it must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agents.spill import disk_files
from streams.errors import UnavailableError
from streams.resting import PIECE_BYTES, SPARSE_BYTES, RestingImages
from streams.spill import MemoryFile, SpillFiles


@pytest.fixture(params=["memory", "disk"])
def spill(request: pytest.FixtureRequest, tmp_path: Path) -> SpillFiles:
    return MemoryFile if request.param == "memory" else disk_files(str(tmp_path))


class Watched(MemoryFile):
    """Notes how much is written and read at once; refuses to write when there is no room."""

    made: list[Watched]
    full = False

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []
        self.read_: list[int] = []
        self.made.append(self)

    def write(self, offset: int, data: bytes) -> None:
        if type(self).full:
            raise UnavailableError("no room", mend="make room")
        self.written.append(len(data))
        super().write(offset, data)

    def read(self, offset: int, size: int) -> bytes:
        self.read_.append(size)
        return super().read(offset, size)


@pytest.fixture
def watched() -> type[Watched]:
    class Fresh(Watched):
        made: list[Watched] = []  # noqa: RUF012 - of this test alone

    return Fresh


def image_of(number: int, size: int) -> bytes:
    return number.to_bytes(4, "little") * (size // 4 + 1)


def test_images_of_any_size_come_back_in_the_order_in_which_they_are_asked_for(spill: SpillFiles) -> None:
    images = RestingImages(spill)
    few, crowd, one = (
        images.put([b"few", b"x" * 3_000_000]),
        images.put([b"crowd" * 1_000]),
        images.put([b"1"]),
    )
    places = np.concatenate((one, crowd, few, one))
    assert images.get(places) == [b"1", b"crowd" * 1_000, b"few", b"x" * 3_000_000, b"1"]
    assert (places > 0).all()


def test_images_agree_with_a_dictionary_whatever_is_put_dropped_and_packed(spill: SpillFiles) -> None:
    images, rng = RestingImages(spill), np.random.default_rng(3)
    known: dict[int, bytes] = {}
    packs = 0
    for _ in range(60):
        sizes = rng.choice([1, 40, 2_000, 60_000], size=rng.integers(0, 40)).tolist()
        new = [image_of(int(rng.integers(1 << 30)), size) for size in sizes]
        known.update(zip(images.put(new).tolist(), new, strict=True))
        dropped = rng.choice(np.array(list(known), dtype=np.int64), size=len(known) // 2, replace=False)
        images.drop(dropped)
        for place in dropped.tolist():
            del known[place]
        if images.sparse:
            places = np.array(list(known), dtype=np.int64)
            known = dict(zip(images.pack(places).tolist(), known.values(), strict=True))
            packs += 1
            assert images.size == sum(map(len, known.values()))
        assert images.size <= max(SPARSE_BYTES, 2 * sum(map(len, known.values())) + 1)
        assert images.get(np.array(list(known), dtype=np.int64)) == list(known.values())
    assert packs > 5


def test_many_images_are_written_and_packed_by_the_megabyte(watched: type[Watched]) -> None:
    images = RestingImages(watched)
    places = images.put(image_of(number, 60) for number in range(100_000))
    (file,) = watched.made
    assert len(file.written) <= 100_000 * 64 / PIECE_BYTES + 1
    images.drop(places[::3])
    images.drop(places[1::3])
    kept = images.pack(places[2::3])
    assert not images.sparse
    packed = watched.made[-1]
    assert sum(packed.written) == len(kept) * 64
    assert max(file.written + file.read_ + packed.written) < 1.1 * PIECE_BYTES
    assert images.get(kept[[0, -1]]) == [image_of(2, 60), image_of(99_998, 60)]


def test_neighbours_are_packed_together_and_no_more_than_a_megabyte_of_them(watched: type[Watched]) -> None:
    images = RestingImages(watched)
    places = images.put(image_of(number, 60) for number in range(100_000))
    images.drop(places[:40_000])
    kept = images.pack(np.flip(places[40_000:]))
    reads = watched.made[0].read_
    assert len(reads) <= 60_000 * 64 / PIECE_BYTES + 2
    assert max(reads) < 1.1 * PIECE_BYTES
    assert images.get(kept[:2]) == [image_of(99_999, 60), image_of(99_998, 60)]


def test_a_file_is_made_for_the_first_image_and_goes_with_the_last(watched: type[Watched]) -> None:
    images = RestingImages(watched)
    assert images.get(images.put([])) == []
    assert watched.made == []
    places = images.put([b"x" * (SPARSE_BYTES + 1)])
    assert not images.sparse
    images.drop(places)
    assert len(images.pack(places[:0])) == 0
    assert (images.size, images.sparse, len(watched.made)) == (0, False, 1)
    assert images.get(images.put([b"again"])) == [b"again"]


def test_what_is_there_stays_when_there_is_no_room_to_pack_it(watched: type[Watched]) -> None:
    images = RestingImages(watched)
    places = images.put([b"first", b"x" * (2 * SPARSE_BYTES), b"last"])
    images.drop(places[1:2])
    watched.full = True
    with pytest.raises(UnavailableError, match="no room"):
        images.pack(places[::2])
    assert images.get(places[::2]) == [b"first", b"last"]
    watched.full = False
    assert images.get(images.pack(places[::2])) == [b"first", b"last"]
