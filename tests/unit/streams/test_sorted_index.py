"""The index of hashes whose records are in a file, held to a dictionary."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.spill import disk_files
from streams.sorted_index import PIECE_RECORDS, SortedIndex
from streams.spill import MemoryFile, SpillFile

RECORD = np.dtype([("key", "<u8"), ("value", "<i4")])

# Some are alike in their high bits (one bucket), in the 16 behind those (one fingerprint), or in all but the lowest.
KEYS = st.sets(
    st.integers(0, 2**64 - 1)
    | st.integers(0, 40)
    | st.integers(2**63, 2**63 + 40)
    | st.builds(lambda high, low: (high << 40) + low, st.integers(2**23, 2**23 + 6), st.integers(0, 3)),
    max_size=60,
)
FILES = [MemoryFile, disk_files("")]


class CountedFile(MemoryFile):
    """A file in memory that counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def read(self, offset: int, size: int) -> bytes:
        self.reads += 1
        return super().read(offset, size)


def index_of(kept: Iterable[int], file: SpillFile, piece: int = PIECE_RECORDS) -> SortedIndex:
    """Build an index in which a key's value is its place in order."""
    keys = np.array(sorted(kept), dtype=np.uint64)
    records = np.empty(len(keys), dtype=RECORD)
    records["key"], records["value"] = keys, np.arange(len(keys))
    pieces = (records[first : first + piece] for first in range(0, len(keys), piece))
    return SortedIndex(file, RECORD, len(keys), pieces)


def hashes(count: int, seed: int = 1) -> np.ndarray:
    return np.unique(np.random.default_rng(seed).integers(0, 2**64 - 1, count, dtype=np.uint64))


@pytest.mark.parametrize("make", FILES, ids=["memory", "disk"])
@given(kept=KEYS, asked=KEYS, piece=st.integers(1, 70))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_key_is_found_with_its_record_when_it_is_there_and_only_then(
    make: Callable[[], SpillFile], kept: set[int], asked: set[int], piece: int
) -> None:
    places = {key: place for place, key in enumerate(sorted(kept))}
    index = index_of(kept, make(), piece)
    wanted = [*asked, *kept]
    found = index.find(np.array(wanted, dtype=np.uint64))
    assert found.which.tolist() == [at for at, key in enumerate(wanted) if key in places]
    assert found.places.tolist() == [places[key] for key in wanted if key in places]
    assert found.records.tolist() == [(key, places[key]) for key in wanted if key in places]
    assert len(index) == len(kept)


def test_keys_of_one_bucket_with_one_fingerprint_are_told_apart() -> None:
    kept = [0xABCD_EF01_2345_0000 + 2 * low for low in range(200)]
    file = CountedFile()
    index = index_of(kept, file)
    found = index.find(np.array([kept[0] - 1, *(key + 1 for key in kept), *kept], dtype=np.uint64))
    assert found.which.tolist() == list(range(201, 401))
    assert found.places.tolist() == list(range(200))


@pytest.mark.parametrize("make", FILES, ids=["memory", "disk"])
def test_records_written_anew_are_found_as_they_are_now(make: Callable[[], SpillFile]) -> None:
    keys = hashes(20_000)
    index, rng = index_of(keys.tolist(), make()), np.random.default_rng(2)
    values = np.arange(len(keys))
    for _ in range(20):
        places = rng.choice(len(keys), size=int(rng.integers(1, 300)), replace=False)
        records = index.get(places).copy()
        assert records["key"].tolist() == keys[places].tolist()
        assert records["value"].tolist() == values[places].tolist()
        values[places] = records["value"] = rng.integers(-1, 2**31 - 1, len(places))
        index.put(places, records)
    for asked in (np.arange(len(keys)), rng.choice(len(keys), size=30)):
        found = index.find(keys[asked])
        assert found.places.tolist() == asked.tolist()
        assert found.records["value"].tolist() == values[asked].tolist()


def test_all_records_come_back_in_order_in_pieces() -> None:
    keys = hashes(PIECE_RECORDS + 10)
    pieces = list(index_of(keys.tolist(), MemoryFile()).pieces())
    assert [len(piece) for piece in pieces] == [PIECE_RECORDS, len(keys) - PIECE_RECORDS]
    assert list(itertools.chain(*(piece["key"].tolist() for piece in pieces))) == keys.tolist()


def test_an_index_of_nothing_finds_nothing() -> None:
    index = index_of([], MemoryFile())
    assert index.find(hashes(10)).which.tolist() == []
    assert list(index.pieces()) == []


def test_keys_that_are_not_there_are_hardly_read_and_those_that_are_once() -> None:
    keys = hashes(200_000)
    file = CountedFile()
    index = index_of(keys.tolist(), file)
    index.find(hashes(50_000, seed=3))
    # Four or so fingerprints of a bucket, each equal by chance once in 65,536: three in 50,000 are expected.
    assert file.reads <= 20
    file.reads = 0
    assert len(index.find(keys[::1_000]).which) == 200
    assert 200 <= file.reads <= 203


@pytest.mark.parametrize("count", [20_000, 24_500, 24_700, 49_000, 50_000])
def test_a_key_takes_three_and_a_half_bytes_of_memory_at_most(count: int) -> None:
    index = index_of(hashes(count).tolist(), MemoryFile())
    assert index.nbytes <= 3.5 * len(index)
