"""Places of rows: who is ranked with whom."""

from __future__ import annotations

from streams.formulas import Rank, Total
from streams.ranking import places

BY_ITEMS = (Total(("items",)),)


def test_the_slice_of_everything_has_no_place_among_the_slices() -> None:
    names = {"slice": ["all", "affiliate", "shop_tab"]}
    assert places("m", Rank(BY_ITEMS, ("slice",)), names, [0, 0, 0], [[9, 4, 5]]) == [None, 2, 1]


def test_products_are_ranked_within_the_slice_of_everything_as_within_any_other() -> None:
    names = {"slice": ["all", "all", "affiliate"], "product": ["a", "b", "a"]}
    assert places("m", Rank(BY_ITEMS, ("product",)), names, [0, 0, 0], [[1, 3, 1]]) == [2, 1, 1]


def test_a_product_that_is_called_all_has_its_place() -> None:
    names = {"product": ["all", "b"]}
    assert places("m", Rank(BY_ITEMS, ("product",)), names, [0, 0], [[7, 3]]) == [1, 2]
