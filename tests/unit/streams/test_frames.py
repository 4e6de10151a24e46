"""The newest fact of each key as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import polars as pl
import pytest

from streams import frames
from streams.columns import Columns
from streams.frames import SLOT, LatestFacts
from tests.unit.streams.boards import SHOP, at, fact_row, flush_of, settings, stock

if TYPE_CHECKING:
    from streams.events import StockChanged
    from streams.state import FactRow

NOON = at("2024-11-29 12:00")


def test_keys_of_several_parts_are_told_apart_where_their_parts_end() -> None:
    columns = Columns(settings())
    columns.apply(flush_of([stock("A1", 1, NOON, warehouse="1w"), stock("A11", 2, NOON, warehouse="w")]))
    columns.apply(flush_of([stock("A1", 3, NOON + 1, warehouse="1w")], partition=1))
    levels = columns.stock_levels(SHOP).select("sku_id", "warehouse_id", "available")
    assert sorted(levels.iter_rows()) == [("A1", "1w", 3), ("A11", "w", 2)]


class Told:
    """A table that notes how many facts rows were made of, each time."""

    def __init__(self) -> None:
        self.made: list[int] = []
        schema: dict[str, pl.DataType] = {SLOT: pl.UInt32(), "available": pl.Int64()}

        def extract(slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
            self.made.append(len(rows))
            available = [cast("StockChanged", row.event).available for row in rows]
            return pl.DataFrame({SLOT: slots, "available": available}, schema=schema)

        self.table = LatestFacts(schema, extract)

    def put(self, sku: str, available: int, at_ms: int = NOON) -> None:
        row = fact_row(stock(sku, available, at_ms))
        self.table.put(row.key.ids, row)

    def available(self) -> list[int]:
        return sorted(self.table.frame().get_column("available").to_list())


def test_a_table_that_is_asked_for_has_its_rows_made_when_a_flush_is_over() -> None:
    told = Told()
    assert told.available() == []
    told.put("A1", 1)
    told.put("A2", 2)
    told.table.settle()
    assert told.made == [2]
    assert told.available() == [1, 2]
    told.put("A1", 7, NOON + 1)
    told.put("A3", 3)
    told.table.settle()
    told.table.settle()
    assert told.made == [2, 2]
    assert told.available() == [2, 3, 7]
    assert told.made == [2, 2]


def test_a_table_that_nobody_has_asked_for_lately_makes_rows_of_many_flushes_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "ASKED_LATELY", 2)
    told = Told()
    for number in range(3):
        told.put("A1", number, NOON + number)
        told.table.settle()
    assert told.made == []
    assert told.available() == [2]
    for number in range(3, 9):
        told.put("A1", number, NOON + number)
        told.table.settle()
    assert told.made == [1, 1, 1]
    assert told.available() == [8]
    assert told.made == [1, 1, 1, 1]


def test_what_is_made_of_rows_is_forgotten_when_it_is_too_much_what_was_asked_for_last_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "FEW_ROWS", 1)
    told = Told()
    told.put("A1", 1)
    made: list[str] = []

    def ask(name: str) -> None:
        def reduce(rows: pl.DataFrame) -> pl.DataFrame:
            made.append(name)
            return rows

        told.table.reduced(name, reduce)

    told.table.reduced("size", lambda rows: rows)
    size = int(told.table.frame().estimated_size())
    monkeypatch.setattr(frames, "MOST_REDUCED_BYTES", 2 * size)
    # Each is made of the piece and then of what is left of all pieces.
    for name in ("a", "b", "a", "c", "a", "b"):
        ask(name)
    assert made == ["a", "a", "b", "b", "a", "c", "c", "a", "b", "b"]
