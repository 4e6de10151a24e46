"""Tables in pieces: nothing is lost or twice, and no piece grows beyond what a question can wait for."""

from __future__ import annotations

import polars as pl
import pytest

from streams import frames
from streams.columns import Columns
from tests.unit.streams.boards import SHOP, at, flush_of, line, order, settings

NOON = at("2024-11-29 12:00")


def test_a_table_that_is_kept_in_many_pieces_has_every_order_once_as_it_was_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "MOST_MERGED_ROWS", 4)
    columns = Columns(settings())
    for number in range(25):
        columns.apply(flush_of([order(f"o{number}", NOON + number, [line("1", "A1", 100 + number)])]))
        assert columns.order_lines(SHOP).height == number + 1
    columns.apply(flush_of([order("o3", NOON + 900, [line("1", "A1", 7)])]))
    lines = columns.order_lines(SHOP).select("order_id", "goods_minor").rows()
    assert sorted(lines) == sorted([(f"o{at}", 7 if at == 3 else 100 + at) for at in range(25)])
    pieces = [
        rows.height
        for rows, counted in columns.order_pieces(SHOP, "rows", lambda rows: rows.select(pl.len()))
        if rows.height == counted.item()
    ]
    assert sum(pieces) == 25
    assert max(pieces) <= 4
