"""`--against`: the recording that a board of `replay --watch` and of `demo` compares with."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from replay.demo_days import Day
from replay.recording import Recording
from streams.board import Board
from streams.query import parse_request, run
from tests.unit.replay.days import SELLS_FROM_MS, STOCK, selling_day
from warroom import demo, replaying
from warroom.cli import main


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return selling_day(tmp_path / "small").folder


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Board]:
    """The boards that were served; no port is opened."""
    boards: list[Board] = []

    @contextlib.asynccontextmanager
    async def serving(board: Board, _sink: Any) -> AsyncIterator[str]:
        boards.append(board)
        yield "http://127.0.0.1:1"

    for module in (replaying, demo):
        monkeypatch.setattr(module, "serving", serving)
    return boards


def command(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def compared(board: Board) -> tuple[Any, Any]:
    """Return a board's orders of the day, and those of the recording beside."""
    asked = {"metrics": "orders", "window": "day:2025-11-25", "compare": "recording:2025-11-25"}
    (row,) = run(board.columns, parse_request(asked), now_ms=board.now_ms()).rows
    return row["orders"], row["orders_compared"]


def test_a_replay_that_is_watched_compares_with_the_recording_beside(
    small: Path, served: list[Board]
) -> None:
    words = ("replay", str(small), "--to", "direct", "--speed", "100000x", "--against", str(small))
    result = command(*words)
    assert result.exit_code == 0, result.output
    assert compared(served[0]) == (STOCK, STOCK)


def test_the_demo_compares_with_the_recording_beside(
    small: Path, served: list[Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    day = Day(Recording.open(small), (), None, SELLS_FROM_MS)
    monkeypatch.setattr(demo, "generated_day", lambda *_: day)
    monkeypatch.setattr(demo, "binary", lambda: None)
    result = command("demo", "--no-stay", "--speed", "100000x", "--against", str(small))
    assert result.exit_code == 0, result.output
    assert compared(served[0]) == (STOCK, STOCK)


@pytest.mark.parametrize("words", [("demo",), ("replay", "SMALL"), ("replay", "SMALL", "--to", "direct")])
def test_a_recording_that_is_not_there_is_named_before_anything_is_played(
    small: Path, served: list[Board], words: tuple[str, ...]
) -> None:
    result = command(*(word.replace("SMALL", str(small)) for word in words), "--against", "nowhere")
    assert result.exit_code == 3, result.output
    assert "nowhere" in result.stderr.splitlines()[-1]
    assert served == []


@pytest.mark.parametrize(
    "words", [("--only-play",), ("--into-live",), ("--to", "direct", "--speed", "max")], ids=" ".join
)
def test_where_nothing_is_watched_there_is_nothing_to_compare(small: Path, words: tuple[str, ...]) -> None:
    result = command("replay", str(small), "--against", str(small), *words)
    assert result.exit_code == 2
    assert "--against is what a board compares with, and nothing is watched here." in result.stderr
