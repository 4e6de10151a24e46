"""A board counts the days that are over before somebody asks."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

import pytest

from dashboards import warming
from dashboards.warming import warm
from streams.errors import QueryError
from streams.views import VIEWS, run_view
from tests.unit.dashboards.shops import full_board
from tests.unit.streams.boards import SHOP

ASKED_WITHOUT_A_NAME = [
    name for name, view in VIEWS.items() if not any(each.required for each in view.parameters)
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(view, shop) of every question, all of them off the event loop."""
    found: list[tuple[str, str]] = []

    def spy(columns: Any, view: Any, words: Any, *, now_ms: int) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        found.append((view.name, words["shop"]))
        return run_view(columns, view, words, now_ms=now_ms)

    monkeypatch.setattr(warming, "run_view", spy)
    return found


async def test_every_view_that_needs_no_name_is_asked_once_and_the_first_screen_first(
    asked: list[tuple[str, str]],
) -> None:
    await warm(full_board())
    assert asked == [(name, SHOP) for name in ASKED_WITHOUT_A_NAME]
    assert asked[0] == ("overview", SHOP)
    assert len(asked) > 20


async def test_a_question_that_comes_meanwhile_waits_for_one_view_and_not_for_all(
    asked: list[tuple[str, str]],
) -> None:
    board = full_board()
    warming_up = asyncio.create_task(warm(board))
    seen = [0]
    while not warming_up.done():
        seen.append(await board.in_turn(lambda: len(asked)))
    assert len(seen) > 20
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(seen))


async def test_nothing_is_asked_before_the_board_is_whole(
    asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "LOOK_EVERY_S", 0.001)
    board = full_board()
    board.waiting = "loading"
    warming_up = asyncio.create_task(warm(board))
    await board.in_turn(lambda: None)
    assert asked == []
    board.waiting = None
    await warming_up
    assert asked


async def test_a_replay_is_left_alone(asked: list[tuple[str, str]]) -> None:
    board = full_board()
    board.replay_id = "friday"
    await warm(board)
    assert asked == []


async def test_a_view_without_an_answer_does_not_keep_the_next_ones_from_being_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def refuses(_columns: Any, view: Any, _words: Any, *, now_ms: int) -> Any:
        asked.append(view.name)
        what = "There is no campaign."
        raise QueryError(what, reason="no_campaign", mend="Wait for one.")

    monkeypatch.setattr(warming, "run_view", refuses)
    await warm(full_board())
    assert asked == ASKED_WITHOUT_A_NAME
