"""The tables that find cells, held to a dictionary: they may know less, never otherwise."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.cell_tables import TABLE_CODES, TABLES, CellTables

CELLS = st.lists(
    st.tuples(
        st.integers(0, TABLES + 4), st.sampled_from([0, 1, 5, 4_000, TABLE_CODES - 1, TABLE_CODES, 1 << 30])
    ),
    min_size=1,
    max_size=30,
)


def columns(cells: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    scopes, codes = zip(*cells, strict=True)
    return np.array(scopes, dtype=np.int64), np.array(codes, dtype=np.int64)


@given(batches=st.lists(CELLS, max_size=8), over=st.sets(st.integers(0, TABLES + 4), max_size=3))
def test_a_table_knows_the_row_or_says_that_it_does_not(
    batches: list[list[tuple[int, int]]], over: set[int]
) -> None:
    tables, rows = CellTables(), dict[tuple[int, int], int]()
    for number, batch in enumerate(batches):
        found = tables.find(*columns(batch)).tolist()
        for cell, row in zip(batch, found, strict=True):
            assert row in (-1, rows.get(cell, -1))
        for cell in batch:
            rows.setdefault(cell, len(rows))
        tables.note(*columns(batch), np.array([rows[cell] for cell in batch]))
        if number == 2:
            for scope in over:
                tables.drop(scope)
                rows = {cell: row for cell, row in rows.items() if cell[0] != scope}


def test_what_was_noted_is_found_until_its_scope_is_dropped() -> None:
    tables = CellTables()
    cells = columns([(3, 7), (3, 9_000), (4, 7)])
    tables.note(*cells, np.array([10, 11, 12]))
    assert tables.find(*cells).tolist() == [10, 11, 12]
    tables.drop(3)
    assert tables.find(*cells).tolist() == [-1, -1, 12]
    tables.clear()
    assert tables.find(*cells).tolist() == [-1, -1, -1]
