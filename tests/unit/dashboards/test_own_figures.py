"""The seller's own metrics in the first screen's document."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboards.overview import Overview
from dashboards.own_figures import SHOWN
from streams.settings import OwnMetricSettings
from tests.unit.dashboards.shops import FixedBoard, empty_board, orders_board


def with_own(board: FixedBoard, **formulas: str) -> FixedBoard:
    own = {name: OwnMetricSettings(formula, title=name.upper()) for name, formula in formulas.items()}
    board.columns.settings = replace(board.columns.settings, metrics=own)
    return board


def test_each_has_its_title_todays_value_and_why_it_is_missing() -> None:
    board = with_own(
        orders_board(), basket="gmv / orders", size="items_sold / orders", seen="orders / product_clicks"
    )
    assert Overview(board).document("s1")["own"] == [
        {"metric": "basket", "title": "BASKET", "unit": "money", "value": pytest.approx(14.5), "null": None},
        {"metric": "size", "title": "SIZE", "unit": "number", "value": 1.0, "null": None},
        {
            "metric": "seen",
            "title": "SEEN",
            "unit": "ratio",
            "value": None,
            "null": "no_source",
            "needs": ["cm.clicks"],
            "says": "needs cm.clicks",
        },
    ]


def test_there_are_no_more_than_a_wall_has_room_for_and_none_by_default() -> None:
    many = {f"m{number}": "gmv / orders" for number in range(SHOWN + 3)}
    shown = Overview(with_own(orders_board(), **many)).document("s1")["own"]
    assert [figure["metric"] for figure in shown] == [f"m{number}" for number in range(SHOWN)]
    assert Overview(orders_board()).document("s1")["own"] == []


def test_while_the_board_loads_there_is_nothing_to_show() -> None:
    board = with_own(empty_board(), basket="gmv / orders")
    board.waiting = "state partition 2"
    assert Overview(board).document("s1")["own"] == []
