"""Codes of names must mean the same name for as long as the partition's state lives."""

from __future__ import annotations

import gc

import polars as pl

from streams.coding import CodedRows, Coding


def _codes(coding: Coding, products: list[str | None]) -> list[int]:
    frame = pl.DataFrame({"product": pl.Series(products, dtype=pl.String)})
    return [int(code) for code in CodedRows(frame, coding).codes(("product",))]


def test_a_name_keeps_its_code_when_no_batch_is_in_memory_any_more() -> None:
    coding = Coding()
    assert _codes(coding, ["mug", "lamp"]) == [0, 1]
    gc.collect()
    assert _codes(coding, ["lamp", "vase", "mug"]) == [1, 2, 0]


def test_a_missing_name_has_no_code() -> None:
    assert _codes(Coding(), ["mug", None]) == [0, -1]
