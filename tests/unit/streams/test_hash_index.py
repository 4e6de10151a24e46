"""The index of hashes, held to a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streams.hash_index import HashIndex, Same

# Few low bits, so that keys collide in the table; the slot is chosen by them.
KEYS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3)).map(lambda pair: pair[0] << 60 | pair[1]), max_size=40
)


@given(batches=st.lists(KEYS, max_size=6))
def test_a_key_keeps_the_row_of_its_first_sight(batches: list[list[int]]) -> None:
    index, rows = HashIndex(), dict[int, int]()
    for batch in batches:
        keys = np.array(sorted(set(batch)), dtype=np.uint64)
        found = index.find(keys)
        assert {key for key, row in zip(keys.tolist(), found.tolist(), strict=True) if row >= 0} == (
            set(batch) & set(rows)
        )
        found[found < 0] = index.insert(keys[found < 0])
        for key, row in zip(keys.tolist(), found.tolist(), strict=True):
            assert rows.setdefault(key, row) == row
    assert sorted(rows.values()) == list(range(len(index)))
    assert index.keys.tolist() == [key for key, _ in sorted(rows.items(), key=lambda item: item[1])]


def test_it_grows_far_beyond_its_first_table() -> None:
    index = HashIndex()
    keys = np.arange(200_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for part in np.array_split(keys, 7):
        index.insert(part)
    assert index.find(keys).tolist() == list(range(200_000))
    assert (index.find(keys + np.uint64(1)) == -1).all()
    assert index.nbytes / len(index) < 32


def knowing(kept: NDArray[np.uint64], asked_for: NDArray[np.uint64]) -> Same:
    return lambda asked, rows: kept[rows] == asked_for[asked]


@given(batches=st.lists(KEYS, max_size=6), bits=st.sampled_from([0, 1, 60, 64]))
def test_ids_that_share_a_key_are_told_apart_by_whoever_knows_them(
    batches: list[list[int]], bits: int
) -> None:
    index, kept = HashIndex(), np.empty(0, dtype=np.uint64)
    for batch in batches:
        ids = np.array(sorted(set(batch)), dtype=np.uint64)
        keys = ids & np.uint64((1 << bits) - 1)
        found, known = index.find(keys, knowing(kept, ids)), kept.tolist()
        assert found.tolist() == [known.index(each) if each in known else -1 for each in ids.tolist()]
        assert index.insert(keys[found < 0]).tolist() == list(range(len(known), len(index)))
        kept = np.concatenate((kept, ids[found < 0]))
    assert index.keys.tolist() == [each & ((1 << bits) - 1) for each in kept.tolist()]


def test_ids_that_share_a_key_are_found_after_the_table_grew() -> None:
    index, kept = HashIndex(), np.arange(10, dtype=np.uint64)
    index.insert(np.full(10, 7, dtype=np.uint64))
    index.insert(np.arange(1_000, 5_000, dtype=np.uint64))
    found = index.find(np.full(10, 7, dtype=np.uint64), knowing(kept, kept[::-1]))
    assert found.tolist() == list(range(9, -1, -1))
    assert index.find(np.array([7, 1_000], dtype=np.uint64), lambda _, rows: rows >= 10).tolist() == [-1, 10]
