"""The index of hashes, held to a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.hash_index import HashIndex

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


def test_tags_tell_keys_apart_that_share_a_hash() -> None:
    index = HashIndex(wide=True)
    key = np.array([7], dtype=np.uint64)
    one, two = np.array([1], dtype=np.uint64), np.array([2], dtype=np.uint64)
    index.insert(key, one)
    assert index.find(key, two).tolist() == [-1]
    index.insert(key, two)
    assert index.find(np.repeat(key, 2), np.array([2, 1], dtype=np.uint64)).tolist() == [1, 0]
