"""Row numbers of cells, held to a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.cell_index import CellIndex

# Codes of scope and dimensions are packed into one key: high and low parts both vary, low bits collide.
KEYS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 16, 17, (1 << 32) - 1])).map(
        lambda pair: pair[0] << 32 | pair[1]
    ),
    min_size=1,
    max_size=30,
)


@given(batches=st.lists(st.tuples(KEYS, st.booleans()), max_size=8))
def test_every_key_has_one_row_of_its_own_until_it_is_forgotten(
    batches: list[tuple[list[int], bool]],
) -> None:
    index, rows = CellIndex(), dict[int, int]()
    for keys, forget in batches:
        found, first = index.open(np.array(keys, dtype=np.int64))
        assert {keys[place] for place in first.tolist()} == set(keys) - set(rows)
        assert [keys.index(keys[place]) for place in first.tolist()] == first.tolist()
        for key, row in zip(keys, found.tolist(), strict=True):
            assert rows.setdefault(key, row) == row
        assert len(set(rows.values())) == len(rows) == len(index)
        assert max(rows.values()) < index.size
        if forget:
            rows = dict(list(rows.items())[::2])
            index.keep(np.array(list(rows), dtype=np.int64), np.array(list(rows.values()), dtype=np.int64))


def test_rows_of_forgotten_keys_are_given_again() -> None:
    index = CellIndex()
    index.open(np.arange(1_000, dtype=np.int64) << 32)
    index.keep(np.array([0], dtype=np.int64), np.array([0], dtype=np.int64))
    index.open(np.arange(1, 1_000, dtype=np.int64))
    assert index.size == len(index) == 1_000
