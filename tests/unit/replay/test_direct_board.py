"""A board over a recording without a broker: its clock, what it vouches for, whom it tells."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from replay.direct import load_columns
from replay.direct_board import DirectBoard
from replay.recording import Recording
from streams.alerts import Alert, AlertRoute, AlertState
from streams.settings import Settings
from streams.state import Flush
from tests.unit.replay.recorded import BEGIN_MS, LINES, SHOP_ID, STEP_MS, written

SETTINGS = Settings(replay_id="t")
LAST_MS = BEGIN_MS + (LINES - 1) * STEP_MS


@pytest.fixture
def small(tmp_path: Path) -> Recording:
    return written(tmp_path / "small")


def alert(name: str, at_ms: int, state: AlertState = AlertState.OPEN) -> Alert:
    return Alert(
        alert_id=name,
        rule="A-01",
        shop_id=SHOP_ID,
        state=state,
        route=AlertRoute.PAGE,
        opened_at_ms=at_ms,
        updated_at_ms=at_ms,
        timezone="Europe/London",
        currency="GBP",
    )


async def test_played_to_its_end_it_says_what_the_direct_engine_says(small: Recording) -> None:
    board = DirectBoard(small, SETTINGS, badge="synthetic")
    assert board.ready() is not None
    assert await board.play(speed=None) == LINES
    assert board.ready() is None
    assert board.columns.outcomes() == load_columns(small, SETTINGS).outcomes()
    assert board.now_ms() == board.columns.vouched_ms == LAST_MS
    assert (board.badge, board.replay_id, board.lag()) == ("synthetic", "t", 0)


async def test_only_the_asked_part_is_played(small: Recording) -> None:
    board = DirectBoard(small, SETTINGS)
    from_ms, to_ms = BEGIN_MS + 10 * STEP_MS, BEGIN_MS + 19 * STEP_MS
    steps: list[int] = []
    assert await board.play(speed=None, from_ms=from_ms, to_ms=to_ms, progress=steps.append) == 10
    assert sum(steps) == 10
    assert sum(sum(counts.values()) for counts in board.columns.outcomes().values()) == 10
    assert board.now_ms() == to_ms


async def test_two_plays_one_after_the_other_come_to_the_same_as_one(small: Recording) -> None:
    board = DirectBoard(small, SETTINGS)
    middle_ms = BEGIN_MS + 31 * STEP_MS
    await board.play(speed=None, to_ms=middle_ms)
    assert board.now_ms() == middle_ms
    await board.play(speed=None, from_ms=middle_ms + 1)
    assert board.columns.outcomes() == load_columns(small, SETTINGS).outcomes()


async def test_at_a_speed_only_what_is_due_is_folded_and_the_clock_never_passes_it(
    small: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay.direct_board._TICK_S", 0.0)
    wall_s = 0.0
    board = DirectBoard(small, SETTINGS, wall_s=lambda: wall_s)
    open_ms = BEGIN_MS + 9 * STEP_MS
    seen: list[tuple[float, int, int]] = []

    def look(_: int) -> None:
        nonlocal wall_s
        folded = sum(sum(counts.values()) for counts in board.columns.outcomes().values())
        seen.append((wall_s, folded, board.now_ms()))
        # A second of the wall is ten of the recording.
        wall_s += 1.0

    await board.play(speed=10.0, fast_until_ms=open_ms, progress=look)
    assert seen[0][1:] == (10, open_ms)
    assert [folded for _, folded, _ in seen[1:]] == [10, 20, 30, 40, 50, 60]
    assert [now_ms for _, _, now_ms in seen[2:-1]] == [open_ms + n * 10 * STEP_MS for n in (1, 2, 3, 4)]
    assert board.now_ms() == LAST_MS


async def test_who_waits_is_told_when_the_columns_change(small: Recording) -> None:
    board = DirectBoard(small, SETTINGS)
    before = board.columns.version
    waiting = asyncio.create_task(board.changed(before))
    await asyncio.sleep(0)
    assert not waiting.done()
    await board.play(speed=None)
    assert await waiting > before
    assert await board.changed(before) == board.columns.version


async def test_nothing_is_folded_into_the_columns_while_a_question_looks_at_them(small: Recording) -> None:
    board = DirectBoard(small, SETTINGS)
    await board.play(speed=None, to_ms=BEGIN_MS + 10 * STEP_MS)
    begun, may_end, folded = threading.Event(), threading.Event(), asyncio.Event()
    flushes = board._engine.flushes

    def noticed() -> Iterator[Flush]:
        folded.set()
        yield from flushes()

    board._engine.flushes = noticed  # type: ignore[method-assign]  # tells when the next step is to apply them

    def question() -> tuple[int, int]:
        before = board.columns.version
        begun.set()
        assert may_end.wait(20)
        return before, board.columns.version

    asked = asyncio.create_task(board.in_turn(question))
    assert await asyncio.to_thread(begun.wait, 20)
    playing = asyncio.create_task(board.play(speed=None, from_ms=BEGIN_MS + 10 * STEP_MS + 1))
    async with asyncio.timeout(20):
        await folded.wait()
    may_end.set()
    before, after = await asked
    assert before == after
    await playing
    assert board.columns.outcomes() == load_columns(small, SETTINGS).outcomes()


async def test_the_newest_version_of_an_alert_is_kept_and_the_newest_stands_first(small: Recording) -> None:
    board = DirectBoard(small, SETTINGS)
    await board.publish_alerts([alert("a", 1), alert("b", 2)])
    await board.publish_alerts([alert("a", 3, AlertState.RESOLVED)])
    assert [(one.alert_id, one.state) for one in board.alerts()] == [
        ("a", AlertState.RESOLVED),
        ("b", AlertState.OPEN),
    ]
