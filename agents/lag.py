"""How far the workers are behind the source topics, as a board sees it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.clients import client_options
from streams.topics import SOURCE_TOPICS, full_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streams.settings import KafkaSettings

logger = logging.getLogger(__name__)

PEEK_MS: Final = 500
ANSWER_S: Final = 5.0
"""A broker that takes longer is away: the lag is unknown, and no old figure is shown for it."""

CONNECT_S: Final = 20.0
"""The first answers of a broker that has just started come late, and nothing is shown before them."""

SILENT_S: Final = 30.0
"""Only what lasts longer is told: a broker that starts, or that is busy for a moment, is no fault."""

Place = tuple[int, str]


class SourceLag:
    """Compares the ends of the source topics with the positions of the state.

    Attributes:
        records: offsets that are not folded yet over all places; None while the broker does not answer.
        lagging: (partition, topic without prefix) with records that are not folded yet.
    """

    def __init__(self, kafka: KafkaSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.records: int | None = None
        self.lagging: frozenset[Place] = frozenset()
        self._kafka = kafka
        self._clock = clock
        self._silent_since_s: float | None = clock()
        self._is_told = False
        self._consumer: AIOKafkaConsumer | None = None
        self._places = {
            TopicPartition(full_name(kafka.prefix, topic.name), partition): (partition, topic.name)
            for topic in SOURCE_TOPICS
            for partition in range(kafka.partitions)
        }
        self._ends: dict[Place, int] = {}
        self._before: dict[Place, tuple[int, int]] = {}
        self._empty: dict[Place, tuple[int, int]] = {}

    async def look(self, positions: Mapping[Place, int]) -> bool:
        """Look once; return whether the broker answered.

        Args:
            positions: per place, the first offset that is not folded.
        """
        try:
            async with asyncio.timeout(CONNECT_S):
                consumer = await self._connected()
            async with asyncio.timeout(ANSWER_S):
                gaps = await self._gaps(consumer, positions)
        except (KafkaError, OSError) as error:
            self._is_silent(error)
            self.records = None
            await self.close()
            return False
        self._answers()
        self._before = gaps
        self._ends = {place: end for place, (_, end) in gaps.items()}
        waiting = {
            place: end - position
            for place, (position, end) in gaps.items()
            if position < end and self._empty.get(place) != (position, end)
        }
        self.lagging = frozenset(waiting)
        self.records = sum(waiting.values())
        return True

    def unfolded_ends(self) -> dict[Place, int]:
        """Return the ends, as at the last look, of the places that lag."""
        return {place: self._ends[place] for place in self.lagging}

    async def close(self) -> None:
        """Let go of the connection; the next look makes a new one."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await asyncio.gather(consumer.stop(), return_exceptions=True)

    def _is_silent(self, error: Exception) -> None:
        """Tell once that the broker does not answer, when it has lasted."""
        now_s = self._clock()
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        silent_s = now_s - self._silent_since_s
        if silent_s < SILENT_S or self._is_told:
            logger.info("The broker does not say how many records wait to be folded: %s.", why(error))
            return
        self._is_told = True
        logger.warning(
            "For %.0f s the broker has not said how many records wait to be folded (%s): how far the figures are "
            "behind is not known. It is asked again until it answers.",
            silent_s,
            why(error),
        )

    def _answers(self) -> None:
        if self._is_told:
            logger.warning("The broker answers again.")
        self._silent_since_s, self._is_told = None, False

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **client_options(self._kafka), isolation_level="read_committed", enable_auto_commit=False
            )
            self._consumer = consumer
            await consumer.start()
            # Paused: nothing is fetched; assigned: otherwise every look-up waits a second for metadata.
            consumer.assign(list(self._places))
            consumer.pause(*self._places)
        return self._consumer

    async def _gaps(
        self, consumer: AIOKafkaConsumer, positions: Mapping[Place, int]
    ) -> dict[Place, tuple[int, int]]:
        """Return per place where reading would begin and where the topic ends."""
        ends = await consumer.end_offsets(list(self._places))
        begins = await consumer.beginning_offsets(list(self._places))
        gaps = {
            place: (max(positions.get(place, 0), begins[tp]), ends[tp]) for tp, place in self._places.items()
        }
        for tp, place in self._places.items():
            position, end = gaps[place]
            if position < end and self._before.get(place) == gaps[place] != self._empty.get(place):
                await self._peek(consumer, tp, place, gaps[place])
        return gaps

    async def _peek(
        self, consumer: AIOKafkaConsumer, tp: TopicPartition, place: Place, gap: tuple[int, int]
    ) -> None:
        """Find out whether a gap that stands still holds any record.

        A source that is written in transactions ends with a marker, and aborted records are never read: without this
        an idle partition would lag for ever and hold its topic's as-of back.
        """
        position, end = gap
        consumer.seek(tp, position)
        consumer.resume(tp)
        try:
            found = await consumer.getmany(tp, timeout_ms=PEEK_MS, max_records=1)
            if not found and await consumer.position(tp) >= end:
                self._empty[place] = gap
        finally:
            consumer.pause(tp)


def why(error: BaseException) -> str:
    """Return in words why a broker did not answer; a time that ran out has no words of its own."""
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
