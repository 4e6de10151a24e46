"""The board beside its broker: flushes are applied between questions, never during one, and the loop stays free."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition

from agents.board import KafkaBoard
from agents.evaluation import Evaluator
from streams.alerts import Alert, AlertRoute, AlertState, encode_alert
from streams.columns import Columns
from streams.rule_context import RuleContext
from streams.settings import BoardSettings, Settings, ShopSettings
from streams.topics import ALERTS, FACTS, STATE, full_name
from streams.wire import encode_flush
from tests.unit.streams.boards import SHOP, flush_of, line, order

NOW_MS = 1_700_000_000_000
WITHIN_S = 20.0
"""What hangs fails; nothing here takes as long."""


class Record(NamedTuple):
    key: bytes
    value: bytes | None


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[KafkaBoard]:
    settings = Settings(shops={SHOP: ShopSettings(SHOP)}, board=BoardSettings(data_dir=str(tmp_path)))
    made = KafkaBoard(settings, lambda: NOW_MS)
    made._loading = None
    yield made
    await made.stop()


def fetched(board: KafkaBoard, number: int, *order_ids: str) -> dict[TopicPartition, list[Any]]:
    """Return what the consumer gives of a flush with orders of one item for 10.00 each."""
    orders = [order(each, NOW_MS - 60_000, [line("1", "A1", 1_000)]) for each in order_ids]
    encoded = encode_flush(flush_of(orders, number=number))
    prefix = board.settings.kafka.prefix
    return {
        TopicPartition(full_name(prefix, topic.name), 0): [Record(*record) for record in records]
        for topic, records in ((STATE, encoded.state), (FACTS, encoded.facts))
    }


def lines_of(columns: Columns) -> int:
    return columns.order_lines(SHOP).height


async def test_a_flush_is_not_applied_in_the_middle_of_a_question(
    board: KafkaBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    await board._take(fetched(board, 1, "first"))
    begun, may_end = threading.Event(), threading.Event()

    def question() -> tuple[int, int, int, int]:
        before = board.columns.version, lines_of(board.columns)
        begun.set()
        assert may_end.wait(WITHIN_S)
        return *before, board.columns.version, lines_of(board.columns)

    queued = asyncio.Event()
    in_turn = board.in_turn

    async def noticed(work: Callable[[], Any]) -> Any:
        queued.set()
        return await in_turn(work)

    asked = asyncio.create_task(board.in_turn(question))
    assert await asyncio.to_thread(begun.wait, WITHIN_S)
    monkeypatch.setattr(board, "in_turn", noticed)
    taking = asyncio.create_task(board._take(fetched(board, 2, "second", "third")))
    async with asyncio.timeout(WITHIN_S):
        await queued.wait()
    may_end.set()
    version, lines, version_after, lines_after = await asked
    assert (version, lines) == (version_after, lines_after)
    await taking
    assert await board.in_turn(lambda: lines_of(board.columns)) == lines + 2


async def test_the_loop_is_free_while_the_rules_look_at_a_shop(
    board: KafkaBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def long_look(_: object, __: object, context: RuleContext, **___: object) -> list[Alert]:
        begun.set()
        assert may_end.wait(WITHIN_S)
        return []

    monkeypatch.setattr("agents.evaluation.evaluate", long_look)
    looking = asyncio.create_task(Evaluator(board, Nowhere()).step())
    # Would the look be on the loop, this wait would not end before it.
    assert await asyncio.to_thread(begun.wait, WITHIN_S)
    assert not looking.done()
    may_end.set()
    assert await looking


async def test_who_goes_through_the_alerts_goes_through_those_that_were_there(board: KafkaBoard) -> None:
    topic = TopicPartition(full_name(board.settings.kafka.prefix, ALERTS.name), 0)
    await board._take(
        {topic: [Record(b"a", encode_alert(alert("a"))), Record(b"b", encode_alert(alert("b")))]}
    )
    going = iter(board._alerts)
    next(going)
    await board._take({topic: [Record(b"c", encode_alert(alert("c"))), Record(b"a", None)]})
    assert list(going) == ["b"]
    assert {one.alert_id for one in board.alerts()} == {"b", "c"}


async def test_a_replay_shows_the_newest_record_until_its_player_ticks(tmp_path: Path) -> None:
    settings = Settings(
        shops={SHOP: ShopSettings(SHOP)}, board=BoardSettings(data_dir=str(tmp_path)), replay_id="r"
    )
    replay = KafkaBoard(settings, lambda: 1)
    assert replay.now_ms() == 0
    await replay._take(fetched(replay, 1, "first"))
    assert replay.now_ms() == NOW_MS - 60_000
    await replay.stop()


async def test_a_board_that_stops_forgets_who_still_waits(board: KafkaBoard) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def question() -> bool:
        begun.set()
        return may_end.wait(WITHIN_S)

    running = asyncio.create_task(board.in_turn(question))
    waiting = asyncio.create_task(board.in_turn(lambda: True))
    assert await asyncio.to_thread(begun.wait, WITHIN_S)
    async with asyncio.timeout(WITHIN_S):
        await board.stop()
        assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
    may_end.set()
    assert await running


class Nowhere:
    """A sink that keeps nothing."""

    async def publish_projections(self, rows: object) -> None: ...

    async def publish_progress(self, rows: object) -> None: ...

    async def publish_alerts(self, alerts: object) -> None: ...


def alert(name: str) -> Alert:
    return Alert(
        alert_id=name,
        rule="A-01",
        shop_id=SHOP,
        state=AlertState.OPEN,
        route=AlertRoute.PAGE,
        opened_at_ms=NOW_MS,
        updated_at_ms=NOW_MS,
        timezone="UTC",
        currency="USD",
    )
