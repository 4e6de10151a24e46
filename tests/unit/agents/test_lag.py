"""How far the workers are behind, as a board asks the broker: what is said when the broker does not answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from agents import lag
from agents.lag import ANSWER_S, SILENT_S, SourceLag
from streams.settings import KafkaSettings
from streams.topics import SOURCE_TOPICS

FOLDED = {(0, topic.name): 7 for topic in SOURCE_TOPICS}
"""Positions at the ends of all topics."""


class Broker:
    """Stands in for aiokafka's consumer: every place ends at 7, unless the broker fails."""

    def __init__(self) -> None:
        self.fails: BaseException | None = None
        self.connects_after: asyncio.Event | None = None
        self.connected = 0

    def consumer(self, **_: Any) -> Broker:
        return self

    async def start(self) -> None:
        if self.connects_after is not None:
            await self.connects_after.wait()
        if self.fails is not None:
            raise self.fails
        self.connected += 1

    async def stop(self) -> None: ...

    def assign(self, _: Any) -> None: ...

    def pause(self, *_: Any) -> None: ...

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        if self.fails is not None:
            raise self.fails
        return dict.fromkeys(places, 7)

    async def beginning_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(lag, "AIOKafkaConsumer", broker.consumer)
    return broker


async def test_a_broker_that_is_still_starting_is_no_news(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    looked = SourceLag(KafkaSettings(partitions=1), clock)
    broker.fails = TimeoutError()
    caplog.set_level(logging.WARNING)
    assert not await looked.look({})
    clock.now_s += SILENT_S - 1
    assert not await looked.look({})
    before = looked.records
    broker.fails = None
    assert await looked.look({})
    assert caplog.messages == []
    assert (before, looked.records) == (None, 7 * len(SOURCE_TOPICS))


async def test_a_broker_that_stays_silent_is_told_once_in_words_and_so_is_its_return(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    looked = SourceLag(KafkaSettings(partitions=1), clock)
    caplog.set_level(logging.WARNING)
    assert await looked.look(FOLDED)
    broker.fails = TimeoutError()
    for _ in range(20):
        assert not await looked.look(FOLDED)
        clock.now_s += SILENT_S / 10
    broker.fails = None
    assert await looked.look(FOLDED)
    assert await looked.look(FOLDED)
    told, over = caplog.messages
    assert told.startswith(
        "For 30 s the broker has not said how many records wait to be folded (no answer in time): "
    )
    assert over == "The broker answers again."


async def test_what_the_broker_says_of_itself_is_passed_on(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    looked = SourceLag(KafkaSettings(partitions=1), clock)
    broker.fails = KafkaConnectionError("No connection to node 1")
    clock.now_s += SILENT_S
    assert not await looked.look({})
    assert "No connection to node 1" in caplog.text


async def test_connecting_may_take_longer_than_an_answer(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that has just started answers its first client late: to begin anew each time would never end."""
    monkeypatch.setattr(lag, "ANSWER_S", 0.5)
    allowed: list[float] = []
    timeout = asyncio.timeout

    def counted(within_s: float) -> asyncio.Timeout:
        allowed.append(within_s)
        return timeout(within_s)

    monkeypatch.setattr(asyncio, "timeout", counted)
    broker.connects_after = asyncio.Event()
    looking = asyncio.create_task(SourceLag(KafkaSettings(partitions=1)).look({}))
    await asyncio.sleep(0)
    broker.connects_after.set()
    assert await looking
    assert broker.connected == 1
    assert allowed[0] >= 2 * ANSWER_S
    assert allowed[1] == 0.5
