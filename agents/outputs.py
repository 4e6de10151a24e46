"""Publish what the evaluation finds: projections, progress and alerts, each on its compacted topic, newest per key.

And a campaign's record when somebody sets its goal at the board.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.clients import client_options
from streams.alerts import encode_alert
from streams.errors import UnavailableError
from streams.topics import (
    ALERTS,
    GOAL_PROGRESS,
    REPLAY_HEADER,
    STOCK_PROJECTIONS,
    TOPIC_OF_TYPE,
    Topic,
    full_name,
    replay_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.alerts import Alert
    from streams.events import Campaign
    from streams.goals import GoalProgress
    from streams.settings import KafkaSettings
    from streams.stock import SkuStock


class Outputs:
    """Writes the output topics: `await start()`, then publish, `await stop()`.

    A rewrite of a key is harmless, so there is no transaction: what a broker outage loses is published again by the
    next evaluation.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None
        self._sent: dict[tuple[str, str], bytes] = {}

    async def start(self) -> None:
        """Connect.

        Raises:
            UnavailableError: the broker does not answer.
        """
        producer = AIOKafkaProducer(
            **client_options(self._kafka),
            acks="all",
            enable_idempotence=self._kafka.transactions,
            linger_ms=20,
        )
        try:
            await producer.start()
        except KafkaError as error:
            await producer.stop()
            what = f"The output topics cannot be written: {error!r}."
            raise UnavailableError(what, mend="Check that the broker runs.") from error
        self._producer = producer

    async def stop(self) -> None:
        """Send what is left and disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await asyncio.gather(producer.stop(), return_exceptions=True)

    async def publish_projections(self, rows: Iterable[SkuStock]) -> None:
        """Publish stock rows under `shop_id/sku_id`; see `publish_alerts` for errors."""
        await self._publish(
            STOCK_PROJECTIONS, [(f"{row.shop_id}/{row.sku_id}", msgspec.json.encode(row)) for row in rows]
        )

    async def publish_progress(self, rows: Iterable[GoalProgress]) -> None:
        """Publish goal progress under `shop_id/campaign_id`; see `publish_alerts` for errors."""
        await self._publish(
            GOAL_PROGRESS, [(f"{row.shop_id}/{row.campaign_id}", msgspec.json.encode(row)) for row in rows]
        )

    async def publish_alerts(self, alerts: Iterable[Alert]) -> None:
        """Publish alerts under their id and return when they are durable.

        Raises:
            UnavailableError: the broker did not take them; publish them again.
        """
        await self._publish(ALERTS, [(alert.alert_id, encode_alert(alert)) for alert in alerts])

    async def publish_campaign(self, campaign: Campaign) -> None:
        """Put a new version of a campaign's record on its topic and return when it is durable.

        Raises:
            UnavailableError: the broker did not take it.
        """
        if self._producer is None:
            what = "The campaigns topic is not connected."
            raise UnavailableError(what)
        prefix = self._kafka.prefix
        name = full_name(prefix, TOPIC_OF_TYPE[campaign.event_type])
        replay_id = replay_of(prefix)
        try:
            # On a replay the record belongs to its world and to its time, or the fold refuses it.
            delivery = await self._producer.send(
                name,
                msgspec.json.encode(campaign),
                key=str(campaign.campaign_id).encode(),
                timestamp_ms=campaign.occurred_at_ms if replay_id else None,
                headers=[(REPLAY_HEADER, replay_id.encode())] if replay_id else None,
            )
            await delivery
        except KafkaError as error:
            what = f"Topic {name} did not take the campaign's record: {error!r}."
            raise UnavailableError(what, mend="Set the goal again.") from error

    async def _publish(self, topic: Topic, rows: list[tuple[str, bytes]]) -> None:
        if self._producer is None:
            what = "The output topics are not connected."
            raise UnavailableError(what)
        name = full_name(self._kafka.prefix, topic.name)
        changed = [(key, value) for key, value in rows if self._sent.get((topic.name, key)) != value]
        try:
            deliveries = [await self._producer.send(name, value, key=key.encode()) for key, value in changed]
            await asyncio.gather(*deliveries)
        except KafkaError as error:
            what = f"Topic {name} did not take what was evaluated: {error!r}."
            raise UnavailableError(what, mend="It is published again with the next evaluation.") from error
        self._sent |= {(topic.name, key): value for key, value in changed}
