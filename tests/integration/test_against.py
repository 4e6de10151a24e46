"""`--against` by way of Kafka: the board of a replay, and that of the demo, compare with the recording beside them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agents.board import KafkaBoard
from replay.demo_days import Day
from replay.embedded_broker import binary
from replay.recording import Recording
from streams.query import parse_request, run
from tests.kafka_broker import KafkaBroker
from tests.unit.replay.days import SELLS_FROM_MS, STOCK, selling_day
from warroom import demo, replaying
from warroom.cli import main

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return selling_day(tmp_path / "small").folder


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The boards that were served; no port is opened."""
    boards: list[Any] = []

    @contextlib.asynccontextmanager
    async def serving(board: Any, _sink: Any, **_options: Any) -> AsyncIterator[str]:
        boards.append(board)
        yield "http://127.0.0.1:1"

    for module in (replaying, demo):
        monkeypatch.setattr(module, "serving", serving)
    return boards


def compared(boards: list[Any]) -> tuple[Any, Any]:
    """Return the one board's orders of the day, and those of the recording beside."""
    (board,) = boards
    assert isinstance(board, KafkaBoard)
    asked = {"metrics": "orders", "window": "day:2025-11-25", "compare": "recording:2025-11-25"}
    (row,) = run(board.columns, parse_request(asked), now_ms=board.now_ms()).rows
    return row["orders"], row["orders_compared"]


def test_a_replay_that_is_watched_compares_with_the_recording_beside(
    kafka: KafkaBroker, tmp_path: Path, small: Path, served: list[Any]
) -> None:
    config = tmp_path / "warroom.toml"
    config.write_text(f'[kafka]\nbootstrap = "{kafka.bootstrap}"\npartitions = 2\n', encoding="utf-8")
    words = ("--config", str(config), "replay", str(small), "--id", "against", "--speed", "max")
    result = CliRunner().invoke(main, (*words, "--against", str(small)))
    assert result.exit_code == 0, result.output
    assert compared(served) == (STOCK, STOCK)


def test_the_demo_compares_with_the_recording_beside(
    small: Path, served: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert binary() is not None, "the extra `demo` brings the embedded broker"
    day = Day(Recording.open(small), (), None, SELLS_FROM_MS)
    monkeypatch.setattr(demo, "generated_day", lambda *_: day)
    result = CliRunner().invoke(main, ("demo", "--no-stay", "--speed", "100000x", "--against", str(small)))
    assert result.exit_code == 0, result.output
    assert compared(served) == (STOCK, STOCK)
