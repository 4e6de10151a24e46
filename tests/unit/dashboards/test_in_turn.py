"""Questions beside the event loop: one at a time, in order, and never in the way of health, streams or flushes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dashboards.events_stream import ChangeStream
from dashboards.server import Extras
from streams.columns import Columns
from streams.query import run
from tests.unit.dashboards.conftest import Connect
from tests.unit.dashboards.shops import FixedBoard, full_board

WITHIN_S = 20.0
"""What hangs fails; nothing here takes as long."""


class LongQuestion:
    """A question of the API that lasts until a test lets it end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.asked = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        self.begun.set()
        assert self.may_end.wait(WITHIN_S), "the test did not let it end"
        return run(*args, **kwargs)


@pytest.fixture
def long_question(monkeypatch: pytest.MonkeyPatch) -> Iterator[LongQuestion]:
    question = LongQuestion()
    monkeypatch.setattr("dashboards.api.run", question)
    yield question
    question.may_end.set()


async def begun(question: LongQuestion) -> None:
    assert await asyncio.to_thread(question.begun.wait, WITHIN_S)


def _restless(board: Any) -> ChangeStream:
    return ChangeStream(board, most_clients=2, least_interval_s=0.0, heartbeat_s=0.01)


async def test_health_and_open_pages_are_answered_while_a_long_question_runs(
    connect: Connect, long_question: LongQuestion
) -> None:
    board = full_board()
    client = await connect(board, Extras(changes=_restless))
    asked = asyncio.create_task(client.get("/api/v1/query?metrics=gmv"))
    await begun(long_question)
    async with asyncio.timeout(WITHIN_S):
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/readyz")).status == 200
        page = await client.get("/api/v1/stream")
        while await page.content.readuntil(b"\n\n") != b": alive\n\n":
            pass
        board.move()
        while not (await page.content.readuntil(b"\n\n")).startswith(b"id: 2\nevent: change\n"):
            pass
    assert not asked.done()
    long_question.may_end.set()
    assert (await (await asked).json())["rows"]


async def test_what_is_asked_during_a_question_is_done_after_it_in_the_order_asked(
    connect: Connect, long_question: LongQuestion
) -> None:
    board = full_board()
    client = await connect(board)
    asked = asyncio.create_task(client.get("/api/v1/query?metrics=gmv"))
    await begun(long_question)
    version = board.columns.version
    done: list[str] = []

    def flush() -> None:
        board.columns.vouch(board.at_ms)
        done.append("flush")

    waiting = [
        asyncio.create_task(board.in_turn(work))
        for work in (flush, lambda: done.append("question"), lambda: done.append("another"))
    ]
    assert (await client.get("/healthz")).status == 200
    assert (board.columns.version, done) == (version, []), "a flush in the middle of a question"
    long_question.may_end.set()
    assert (await asked).status == 200
    await asyncio.gather(*waiting)
    assert done == ["flush", "question", "another"]


async def test_a_client_that_goes_away_holds_nobody_up(connect: Connect, long_question: LongQuestion) -> None:
    board = full_board()
    client = await connect(board)
    gone = [asyncio.create_task(client.get("/api/v1/query?metrics=gmv")) for _ in range(2)]
    await begun(long_question)
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    long_question.may_end.set()
    async with asyncio.timeout(WITHIN_S):
        assert (await client.get("/api/v1/query?metrics=gmv")).status == 200


async def test_who_stops_waiting_for_a_turn_is_not_answered_in_vain() -> None:
    board = full_board()
    may_end, done = threading.Event(), []
    first = asyncio.create_task(board.in_turn(lambda: may_end.wait(WITHIN_S)))
    second = asyncio.create_task(board.in_turn(lambda: done.append("second")))
    third = asyncio.create_task(board.in_turn(lambda: done.append("third")))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    may_end.set()
    assert await first
    await third
    assert done == ["third"]


async def test_a_slow_reader_of_an_export_holds_no_question_up(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending, may_send = asyncio.Event(), asyncio.Event()

    async def slowly(work: Callable[..., Any], *args: Any) -> Any:
        sending.set()
        await may_send.wait()
        return work(*args)

    monkeypatch.setattr("dashboards.exports.asyncio.to_thread", slowly)
    client = await connect(full_board())
    export = asyncio.create_task(client.get("/api/v1/export?metrics=gmv&by=product"))
    async with asyncio.timeout(WITHIN_S):
        await sending.wait()
        assert (await client.get("/api/v1/query?metrics=gmv")).status == 200
        may_send.set()
        assert (await (await export).text()).startswith("product,gmv")


# --- nothing of the columns is read on the loop -------------------------------------------------------------------


class WatchedColumns(Columns):
    """Columns that take down which of their inner values the thread of the event loop reads."""

    loop_thread: int | None = None
    read: set[str]

    def __getattribute__(self, name: str) -> Any:
        if (
            name.startswith("_")
            and not name.startswith("__")
            and threading.get_ident() == object.__getattribute__(self, "loop_thread")
        ):
            object.__getattribute__(self, "read").add(name)
        return super().__getattribute__(name)


@contextmanager
def watched(board: FixedBoard) -> Iterator[set[str]]:
    """Give the names of the inner values that the loop reads of a board's columns during the block."""
    columns = WatchedColumns(board.settings)
    columns.__dict__.update(board.columns.__dict__)
    columns.read = set()
    board.columns = columns
    columns.loop_thread = threading.get_ident()
    try:
        yield columns.read
    finally:
        columns.loop_thread = None


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/query?metrics=gmv,ctor&by=hour",
        "/api/v1/query?metrics=gmv&by=product&format=csv",
        "/api/v1/overview",
        "/api/v1/catalogue",
        "/api/v1/goals",
        "/api/v1/what-if?goal=50000",
        "/api/v1/explain?metric=gmv",
        "/api/v1/export?metrics=gmv&by=product&all_formats=1",
        "/api/v1/export?view=products&format=parquet",
        "/api/v1/views",
        "/api/v1/views/overview",
        "/api/v1/rules",
        "/api/v1/rules/explain?rule=A-01&entity=C1",
        "/api/v1/cubes",
        "/api/v1/preflight",
        "/api/v1/alerts",
        "/metrics",
        "/healthz",
        "/readyz",
        "/",
    ],
)
async def test_no_answer_reads_the_columns_on_the_loop(connect: Connect, path: str) -> None:
    board = full_board()
    client = await connect(board)
    with watched(board) as read:
        answer = await client.get(path)
        body = await answer.read()
    assert answer.status == 200, body
    assert not read
