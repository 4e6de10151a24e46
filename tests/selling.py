"""A shop that sells now: records on the topics of a real Kafka, as a seller's systems would send them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import time
from collections.abc import Sequence
from typing import Final, Self

import msgspec
from aiokafka import AIOKafkaProducer

from streams.days import MINUTE_MS
from streams.events import Event
from streams.topics import REPLAY_HEADER, TOPIC_OF_TYPE, TOPICS, encode_clock, full_name
from tests.unit.streams.boards import heartbeat, line, order, stock

PRICE_MINOR: Final = 2_500
SOLD: Final = 20
"""Units of a SKU that `sells` sells in the last hour and a half, each to another person: more than a page needs."""


def now_ms() -> int:
    """Return the wall clock."""
    return time.time_ns() // 1_000_000


def noon_zone() -> str:
    """Return the time zone in which it is about noon: what sold in the last hour and a half was sold today."""
    hours = 12 - dt.datetime.now(dt.UTC).hour
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"


class Selling:
    """Sends what happens in shops: `async with Selling(bootstrap, prefix, ["s1"])`.

    While it is open, every second a heartbeat of each shop says that nothing else happened.

    Args:
        bootstrap: of the broker.
        prefix: of the topics, which exist.
        shops: ids; the first is the default.
        replay_id: not empty: records of that replay, with its clock.
    """

    def __init__(self, bootstrap: str, prefix: str, shops: Sequence[str], *, replay_id: str = "") -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)
        self._prefix = prefix
        self._shops = list(shops)
        self._replay_id = replay_id
        self._numbers = itertools.count(1)
        self._beat: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._producer.start()
        self._beat = asyncio.create_task(self._beats())
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._beat is not None
        self._beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._beat
        await self._producer.stop()

    async def send(self, *events: Event, shop: str = "") -> None:
        """Send records of one shop and return when they are on their topics."""
        sent = []
        for event in events:
            # Ids of one test run: a second stock record within a millisecond is no repeat of the first.
            own = msgspec.structs.replace(
                event, shop_id=shop or self._shops[0], event_id=f"{next(self._numbers)}-{event.event_id}"
            )
            name = TOPIC_OF_TYPE[own.event_type]
            key = str(getattr(own, TOPICS[name].key)).encode()
            sent.append(await self._put(name, key, msgspec.json.encode(own), own.occurred_at_ms))
        await asyncio.gather(*sent)

    async def sells(self, *skus: str, shop: str = "", left: int = 500, sold: int = SOLD) -> None:
        """Sell units of each SKU in the last hour and a half, and say that some are left."""
        at_ms = now_ms()
        name = shop or self._shops[0]
        orders = [
            order(
                f"{name}-{next(self._numbers)}",
                at_ms - (number + 1) * 4 * MINUTE_MS,
                [line(str(place), sku, PRICE_MINOR) for place, sku in enumerate(some)],
                customer=f"c{number}",
            )
            for first, some in ((first, skus[first : first + 100]) for first in range(0, len(skus), 100))
            for number in range(sold)
        ]
        await self.send(*orders, *(stock(sku, left, at_ms - MINUTE_MS) for sku in skus), shop=shop)

    async def level(self, available: int, *skus: str, shop: str = "") -> None:
        """Say how much is left of SKUs now."""
        at_ms = now_ms()
        await self.send(*(stock(sku, available, at_ms) for sku in skus), shop=shop)

    async def _beats(self) -> None:
        while True:
            at_ms = now_ms()
            for shop in self._shops:
                await self.send(heartbeat(["orders", "stock"], at_ms), shop=shop)
            if self._replay_id:
                await (await self._put("clock", self._replay_id.encode(), encode_clock(at_ms), at_ms))
            await asyncio.sleep(1)

    async def _put(self, name: str, key: bytes, value: bytes, at_ms: int) -> asyncio.Future[object]:
        headers = [(REPLAY_HEADER, self._replay_id.encode())] if self._replay_id else None
        delivery: asyncio.Future[object] = await self._producer.send(
            full_name(self._prefix, name),
            value,
            key=key,
            timestamp_ms=at_ms if self._replay_id else None,
            headers=headers,
        )
        return delivery
