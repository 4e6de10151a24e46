"""The newest fact of each key as a frame."""

from __future__ import annotations

from streams.columns import Columns
from tests.unit.streams.boards import SHOP, at, flush_of, settings, stock

NOON = at("2024-11-29 12:00")


def test_keys_of_several_parts_are_told_apart_where_their_parts_end() -> None:
    columns = Columns(settings())
    columns.apply(flush_of([stock("A1", 1, NOON, warehouse="1w"), stock("A11", 2, NOON, warehouse="w")]))
    columns.apply(flush_of([stock("A1", 3, NOON + 1, warehouse="1w")], partition=1))
    levels = columns.stock_levels(SHOP).select("sku_id", "warehouse_id", "available")
    assert sorted(levels.iter_rows()) == [("A1", "1w", 3), ("A11", "w", 2)]
