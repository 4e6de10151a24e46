"""Faust's aiokafka transport, with a whole fetch of a partition as one message.

Stock Faust wraps, tracks, delivers and acknowledges every record by itself, which costs 50 to 100 microseconds each.
Here a `ConsumerMessage` is all records of one partition that one fetch brought; its value is a `Fetch`. aiokafka's own
record object is left out as well, and batches stay packed until they are folded: six fetches that wait, unpacked, were
a hundred MiB of a worker that catches up, and every fetch left other holes in its heap.

Where a worker reads from is not the group's offsets, which expire and which aiokafka reads while a commit may still be
pending: it is what the worker's `Keeper` has in its state. Whatever was fetched and not handed over is fetched again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, Protocol, cast

import aiokafka
from aiokafka.errors import KafkaError
from faust.transport import drivers
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from agents.chunks import RAW
from agents.clients import client_options, group_id
from streams.errors import StateError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from agents.chunks import Chunk
    from streams.settings import KafkaSettings

logger = logging.getLogger(__name__)

SCHEME: Final = "warroom"
"""Broker URLs with this scheme take this transport."""

FETCH_BYTES_ALL: Final = 4 << 20
"""Most bytes of one fetch over all partitions, as they travel; the next one is on its way meanwhile. With 16 MiB a
worker that caught up on every topic at a time took more memory, and was no faster."""

FETCH_LEAST_BYTES: Final = 256 << 10
"""The broker answers a fetch when it has so much for us, or after `FETCH_WAIT_MS`. By default it answers with the first
record: at 20,000 records a second that is hundreds of fetches of a few records, and a fold costs a millisecond before
its first record."""

FETCH_WAIT_MS: Final = 200
"""A fetch with little or no data returns after this; it is also how long a rewound partition may wait for its turn."""


LOOK_EVERY_S: Final = 1.0
"""How long the last records of a topic can be lost to a call that was cancelled before they are asked for again."""


class Fetch(NamedTuple):
    """Records of one source partition, in offset order, as one fetch brought them.

    Attributes:
        epoch: of the keeper when they were asked for; a later one means that they must not be folded.
        follows: the first offset after those that were handed over before these; nothing lies between.
        ends: the first offset after these.
        batches: each gives raw records of aiokafka once, and is unpacked by that: offset, timestamp (ms), key, value,
            headers. The first ones may lie before the offset that was asked for, and are folded already.
        behind: records that the broker had beyond them when it answered.
    """

    epoch: int
    follows: int
    ends: int
    batches: deque[Iterable[Any]]
    behind: int = 0


class Keeper(Protocol):
    """Who keeps the state of the partitions that this process owns.

    Attributes:
        epoch: rises whenever what was fetched before is void: at every revocation and every placement.
        placed: state is loaded and the sources stand where it ends; until then nothing is handed over.
    """

    epoch: int
    placed: bool

    async def revoke(self) -> None:
        """Flush what is owned and forget it; others may own it next."""
        ...

    async def place(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """Take the partitions over and return the first offset to read of each; ends the process on failure.

        Empty when they were revoked meanwhile.
        """
        ...

    def settle(self, epoch: int) -> None:
        """The sources stand where `place` said: hand records over from now on, unless the epoch has passed."""
        ...

    def idle(self) -> None:
        """No partition was assigned: there are more workers than partitions."""
        ...


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread with aiokafka's consumer, which is built here, as Faust cannot say what we need of it."""

    def _create_worker_consumer(
        self,
        transport: driver.Transport,  # noqa: ARG002 - Faust's signature
    ) -> aiokafka.AIOKafkaConsumer:
        app = cast("Any", self.app)
        kafka: KafkaSettings = app.kafka
        # Faust's assignor gives partition p of all topics to one worker; the plain round robin would not.
        self._assignor = app.assignor
        return aiokafka.AIOKafkaConsumer(
            **client_options(kafka),
            client_id=app.conf.broker_client_id,
            group_id=group_id(kafka),
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            key_deserializer=RAW,
            max_poll_records=None,
            max_partition_fetch_bytes=kafka.fetch_bytes,
            fetch_max_bytes=max(FETCH_BYTES_ALL, kafka.fetch_bytes),
            # A partition alone must be able to fill it, or fetches wait their whole time once the others are read.
            fetch_min_bytes=min(FETCH_LEAST_BYTES, kafka.fetch_bytes // 2),
            fetch_max_wait_ms=FETCH_WAIT_MS,
            session_timeout_ms=kafka.session_timeout_ms,
            heartbeat_interval_ms=min(3_000, kafka.session_timeout_ms // 3),
            max_poll_interval_ms=max(300_000, kafka.stall_after_ms * 2),
            rebalance_timeout_ms=int(app.conf.broker_rebalance_timeout * 1000),
            request_timeout_ms=40_000,
        )

    async def read_positions(self) -> dict[TP, int]:
        """Return where aiokafka stands in every partition that is assigned."""
        consumer = self._ensure_consumer()
        return {tp: await consumer.position(tp) for tp in consumer.assignment()}

    async def behind(self, folded: Mapping[TP, int]) -> bool:
        """Return whether records are waiting: on the broker, or handed over and not folded yet.

        Offsets of the consumer, not of records, are compared with the broker's end: the last offset of a partition
        may be a commit marker, which no record ever reaches.
        """
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        ends = await consumer.end_offsets(assigned)
        for tp in assigned:
            if await consumer.position(tp) < ends[tp]:
                return True
        given = cast("Consumer", self.consumer).next_offsets
        return any(offset > folded.get(tp, offset) for tp, offset in given.items())


class Consumer(driver.Consumer):
    """Hand over whole fetches, from where the keeper's state ends, without a hole.

    Attributes:
        next_offsets: the first offset after the last record that was handed over.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.next_offsets: dict[TP, int] = {}
        # Where aiokafka must go on: beyond `next_offsets` where commit markers follow.
        self._stands: dict[TP, int] = {}
        self._dropped: set[TP] = set()
        self._looked_s = 0.0

    @property
    def _keeper(self) -> Keeper:
        return cast("Keeper", cast("Any", self.app).keeper)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def behind(self, folded: Mapping[TP, int]) -> bool:
        """Return whether records wait to be folded; raises KafkaError when no broker says so."""
        thread = cast("ConsumerThread", self._thread)
        return bool(await thread.call_thread(thread.behind, folded))

    async def read_positions(self) -> dict[TP, int]:
        """Return where aiokafka stands in every partition that is assigned."""
        thread = cast("ConsumerThread", self._thread)
        return dict(await thread.call_thread(thread.read_positions))

    def on_buffer_full(self, tp: TP) -> None:
        """Go on: the agent's queue is bounded by itself.

        Faust would leave the partition out of what it asks for next. aiokafka, asked for none or for others, answers
        after a whole second, also when the queue has been empty for long: two cores stood idle for a fifth of the time.
        """

    def on_buffer_drop(self, tp: TP) -> None:
        """Go on, as nothing was left out."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Flush and forget before others may take over."""
        await self._keeper.revoke()
        # Where nothing is assigned next, nobody else would forget: a partition of others cannot be sought.
        self._stands, self.next_offsets = {}, {}
        self._dropped.clear()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Let Faust arrange its streams; state is loaded when it seeks (`seek_to_committed`)."""
        if not assigned:
            self._keeper.idle()
        await super().on_partitions_assigned(assigned, generation_id)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Load the state of what was assigned and stand where it ends.

        Faust awaits this before it lets records flow; its assigned signal does not hold them back.
        """
        keeper = self._keeper
        epoch = keeper.epoch
        offsets = dict(await keeper.place(frozenset(self.assignment())))
        if offsets:
            await self.seek_wait(offsets)
            self.next_offsets = dict(offsets)
            self._stands = dict(offsets)
            self._dropped.clear()
            keeper.settle(epoch)
        return offsets

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109 - Faust's signature
    ) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Yield one message per partition that the next fetch brings."""
        keeper = self._keeper
        if not keeper.placed:
            await asyncio.sleep(0.05)
            return
        epoch = keeper.epoch
        await self._look()
        await self._rewind()
        waiting: dict[TP, list[Chunk]] = dict((await self._wait_next_records(timeout))[0] or {})
        try:
            while waiting and keeper.epoch == epoch and self.flow_active and not self.should_stop:
                message = self._handed_over(*waiting.popitem())
                if message is not None:
                    yield message.tp, message
        finally:
            # aiokafka believes that these were taken; without a rewind they would never be read again.
            self._dropped.update(waiting)

    def _handed_over(self, tp: TP, chunks: list[Chunk]) -> ConsumerMessage | None:
        """Return a partition's batches as a message; None where no reader sees one, or where they do not follow."""
        stands = self._stands.get(tp, -1)
        if chunks[0].begins < stands:
            _refuse_other_log(tp, stands, chunks[0].begins)
        if chunks[0].begins > stands:
            # A call that a rebalance cancelled goes on in the consumer's thread and takes what comes next.
            logger.info("%s came from offset %d, not from %d: asked for again.", tp, chunks[0].begins, stands)
            self._dropped.add(tp)
            return None
        # Before it is yielded: a placement may happen in the middle of that, and what it sets must stand.
        self._stands[tp] = chunks[-1].ends
        seen = [(chunk.ends, chunk.records) for chunk in chunks if chunk.records is not None]
        if not seen:
            return None
        follows, ends = self.next_offsets[tp], seen[-1][0]
        self.next_offsets[tp] = ends
        behind = max(0, (self.highwater(tp) or 0) - ends)
        batches = deque(batch for _, batch in seen)
        # Faust's thread holds on to the lists that it gave last, and while batches are folded they are unpacked.
        chunks.clear()
        return self._message(tp, Fetch(self._keeper.epoch, follows, ends, batches, behind))

    async def _look(self) -> None:
        """Find what a cancelled call took and nothing came after: the hole would show with the next record only."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        epoch = self._keeper.epoch
        try:
            positions = await self.read_positions()
        except KafkaError as error:
            logger.warning("Where the consumer stands is not known: %r", error)
            return
        if self._keeper.epoch == epoch:
            # All that came has been handed over or dropped: what aiokafka is beyond was given to nobody.
            self._dropped.update(tp for tp, stands in self._stands.items() if positions.get(tp, 0) > stands)

    async def _rewind(self) -> None:
        """Seek back to what was fetched and not handed over; what the broker has deleted since cannot be had."""
        dropped, self._dropped = [tp for tp in self._dropped if tp in self._stands], set()
        if not dropped:
            return
        epoch = self._keeper.epoch
        try:
            earliest = await self.earliest_offsets(*dropped)
        except KafkaError as error:
            # What comes meanwhile does not begin where it should, and is refused.
            logger.warning("The broker does not say where topics begin, will ask again: %r", error)
            self._dropped.update(dropped)
            return
        if self._keeper.epoch != epoch:
            return
        for tp in dropped:
            if earliest[tp] > self._stands[tp]:
                deleted = "%s: offsets %d to %d were deleted on the broker before they were read: raise its retention."
                logger.error(deleted, tp, self._stands[tp], earliest[tp] - 1)
                self._stands[tp] = earliest[tp]
        await self.seek_wait({tp: self._stands[tp] for tp in dropped})

    def _message(self, tp: TP, fetch: Fetch) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            fetch.ends - 1,
            # Each record has a time of its own, and is packed.
            0.0,
            0,
            [],
            None,
            cast("Any", fetch),
            None,
            -1,
            -1,
            tp,
            generation_id=self.app.consumer_generation_id,
        )


def _refuse_other_log(tp: TP, stands: int, begins: int) -> NoReturn:
    """Raise StateError when aiokafka went back by itself: the broker knows no such offset (any more).

    The state would take what lies there now for folded, and leave it out in silence.
    """
    what = f"Topic {tp.topic} begins anew at offset {begins} of partition {tp.partition}, after {stands} was read."
    mend = "The topic was deleted or cut: delete the state and facts topics too, and fold what is left anew."
    raise StateError(what, mend=mend)


class Transport(driver.Transport):
    """The transport behind `warroom://` broker URLs."""

    Consumer = Consumer


drivers.TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
