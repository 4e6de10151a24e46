"""Cells of a cube in a board's memory: what is kept of them, and that nothing is kept for ever."""

from __future__ import annotations

import pytest

from streams import cube_columns
from streams.cube_columns import CubeColumns
from streams.cubes import CUBE_BY_NAME
from streams.days import DAY_MS, MINUTE_MS
from streams.state import RowKey, StateRow

MINUTES = CUBE_BY_NAME["product_quarter"]
DAYS = CUBE_BY_NAME["product_day"]


def row(bucket: int, product: str, events: int | None, *, cube: str = "product_quarter") -> StateRow:
    # A text of its own for each row, as records that are decoded have.
    text = "".join(list(product))
    dims = (text,) if cube == "product_quarter" else (text, "3")
    return StateRow(RowKey(cube, "d", "s1", bucket, "product_click", dims), events, 0, None)


def counted(cube: CubeColumns) -> dict[tuple[int, str], int]:
    return {
        (bucket, product): count
        for bucket, product, count in cube.frame().select("bucket", "product", "count").iter_rows()
    }


def test_cells_that_left_their_retention_are_swept_also_when_nobody_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cube_columns, "_COMPACT_FROM", 10)
    cube = CubeColumns(MINUTES)
    for minute in range(1_000):
        cube.put(0, row(minute * MINUTE_MS, "p", 5))
        if minute >= 20:
            cube.put(0, row((minute - 20) * MINUTE_MS, "p", None))
    assert cube._size <= 3 * 20, "twenty are counted, and as many and more may wait to be swept"
    assert counted(cube) == {(minute * MINUTE_MS, "p"): 5 for minute in range(980, 1_000)}


def test_cells_are_the_same_whether_they_are_asked_for_at_once_or_pile_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cube_columns, "_MOST_NEW", 7)
    monkeypatch.setattr(cube_columns, "_COMPACT_FROM", 30)
    cube, expected = CubeColumns(MINUTES), dict[tuple[int, str], int]()
    for number in range(400):
        # Days come in turn, cells again with more events, and some leave.
        bucket, product = number % 3 * DAY_MS + number % 60 * MINUTE_MS, f"p{number % 7}"
        cube.put(number % 2, row(bucket, product, number))
        cube.put(1 - number % 2, row(bucket, product, 1_000))
        expected[bucket, product] = number + 1_000
        if number % 5 == 4:
            gone = next(iter(expected))
            for partition in (0, 1):
                cube.put(partition, row(*gone, None))
            del expected[gone]
    assert counted(cube) == expected


def test_cells_of_many_days_share_the_text_of_what_they_are_about() -> None:
    cube = CubeColumns(DAYS)
    for day in range(30):
        cube.put(0, row(739_000 + day, "product-1", 1, cube="product_day"))
    dims = {id(known) for cells in cube._slots.values() for known in cells}
    assert (cube.frame().height, len(dims)) == (30, 1)
