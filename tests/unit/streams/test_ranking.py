"""Places of rows: who is ranked with whom."""

from __future__ import annotations

from streams.formulas import Rank, Total
from streams.ranking import order_of, places

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


def test_the_greatest_comes_first_equals_stay_and_null_is_last() -> None:
    assert order_of([3, 7, 3, 9], 4, None) == [3, 1, 0, 2]
    assert order_of([0.5, 2, 0.5, -1.0], 4, 3) == [1, 0, 2]
    assert order_of([3, None, 3, 9], 4, None) == [3, 0, 2, 1]
    assert order_of(["healthy", "out_of_stock", None, "at_risk"], 4, None) == [1, 3, 0, 2]


def test_without_figures_rows_stand_as_they_are() -> None:
    assert order_of(None, 3, 2) == [0, 1]
    assert order_of([], 0, None) == []


def test_places_are_sorted_from_the_first_down() -> None:
    assert order_of([3, None, 1, 2], 4, 3, places=True) == [2, 3, 0]
