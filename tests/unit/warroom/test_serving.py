"""A board that is served: told to end, it ends, whoever still waits for an answer."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streams.query import run
from tests.unit.dashboards.shops import full_board
from warroom import running

WITHIN_S = 20.0
"""What hangs fails; nothing here takes as long."""


class Nowhere:
    """A sink that keeps nothing."""

    async def publish_projections(self, rows: object) -> None: ...

    async def publish_progress(self, rows: object) -> None: ...

    async def publish_alerts(self, alerts: object) -> None: ...


async def test_a_long_question_and_those_behind_it_do_not_hold_the_end_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def long_question(*args: Any, **kwargs: Any) -> Any:
        begun.set()
        assert may_end.wait(WITHIN_S)
        return run(*args, **kwargs)

    monkeypatch.setattr("dashboards.api.run", long_question)
    monkeypatch.setattr(running, "END_ANSWERS_S", 0.05)
    board = full_board(port=0, data_dir=str(tmp_path))
    async with aiohttp.ClientSession() as session, asyncio.timeout(WITHIN_S):
        async with running.serving(board, Nowhere()) as url:
            asked = [
                asyncio.create_task(session.get(f"{url}/api/v1/query?metrics=gmv&limit={number}"))
                for number in (1, 2, 3)
            ]
            assert await asyncio.to_thread(begun.wait, WITHIN_S)
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, aiohttp.ClientError) for answer in answers)
    may_end.set()


async def test_who_waits_for_the_first_of_several_and_is_cancelled_has_let_go_of_all_of_them() -> None:
    begun, let_go = asyncio.Event(), []

    async def waits(name: str) -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            let_go.append(name)
        return 0

    waiting = asyncio.create_task(running.first_of(waits("a"), waits("b")))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert sorted(let_go) == ["a", "b"]


async def test_a_board_that_is_served_counts_the_past_before_somebody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warmed: asyncio.Queue[Any] = asyncio.Queue()
    monkeypatch.setattr(running, "warm", warmed.put)
    board = full_board(port=0, data_dir=str(tmp_path))
    async with asyncio.timeout(WITHIN_S), running.serving(board, Nowhere()):
        assert await warmed.get() is board
