"""Rebuild cubes that lack what came before they began, while the worker goes on folding (ADR 13).

Reads the source topics again with a consumer of its own and no group, at a bounded rate, in a thread of its own; what
it finds is handed to the keeper in pieces, each of which is durable before the next one. A crash, a rebalance or a
broker that goes away costs the reading, never a number.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.batches import batch_of
from agents.clients import client_options
from agents.rebuild_requests import RebuildRequests
from agents.restore import STALLED_AFTER_S
from streams.cubes import CUBE_BY_NAME
from streams.errors import UnavailableError
from streams.rebuild import CubeRebuild, read_from_ms
from streams.topics import full_name, short_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.rebuild import Piece
    from streams.settings import Settings
    from streams.state import CubeRow

logger = logging.getLogger(__name__)

RETRY_S: Final = 5.0
LOOK_EVERY_S: Final = 5.0
ASKED_RECORDS_PER_S: Final = 20_000
"""The rate of a rebuild that a person asked for where `kafka.rebuild_records_per_s` is 0."""

FETCH_BYTES: Final = 1 << 20


class Host(Protocol):
    """The owner of the partitions: `agents.keeper.StateKeeper`."""

    @property
    def epoch(self) -> int:
        """Rises whenever partitions are taken over or let go."""
        ...

    def unbuilt(self, partition: int) -> tuple[list[CubeRow], int]:
        """Return the cubes of a partition that lack something, and its greatest R."""
        ...

    async def rebuild_anew(self, epoch: int, name: str, asked_ms: int) -> None:
        """Let a cube of every partition begin anew, unless that was done for this request; return when it has."""
        ...

    async def hand_over(self, epoch: int, partition: int, piece: Piece) -> bool:
        """Take a piece into the state and return when it is durable; False when the partition was let go."""
        ...


class Rebuilder:
    """Rebuilds one cube of one partition after the other.

    Args:
        settings: of the process; `kafka.rebuild_records_per_s` bounds the reading.
        host: owns the partitions.
        fail: told of a fault that is not the broker's.
    """

    def __init__(self, settings: Settings, host: Host, fail: Callable[[BaseException], None]) -> None:
        self._settings = settings
        self._kafka = settings.kafka
        self._host = host
        self._fail = fail
        self._requests = RebuildRequests(settings.kafka)

    async def run(self, partitions: Iterable[int]) -> None:
        """Rebuild what the partitions lack, and what is asked for, until they are let go."""
        epoch = self._host.epoch
        try:
            while self._host.epoch == epoch:
                try:
                    for name, asked_ms in (await self._requests.newest()).items():
                        await self._host.rebuild_anew(epoch, name, asked_ms)
                    for partition in sorted(partitions):
                        await self._rebuild_all(epoch, partition)
                except (KafkaError, OSError, UnavailableError) as error:
                    logger.warning("Rebuilding waits: %r.", error)
                    await asyncio.sleep(RETRY_S)
                await asyncio.sleep(LOOK_EVERY_S)
        except Exception as error:
            self._fail(error)
            raise
        finally:
            await self._requests.close()

    async def _rebuild_all(self, epoch: int, partition: int) -> None:
        while self._host.epoch == epoch:
            rows, newest_ms = self._host.unbuilt(partition)
            wanted = [row for row in rows if row.asked_ms or self._kafka.rebuild_records_per_s]
            if not wanted:
                return
            await self._rebuild(epoch, partition, wanted[0], newest_ms)

    async def _rebuild(self, epoch: int, partition: int, row: CubeRow, newest_ms: int) -> None:
        settings = self._settings
        side = CubeRebuild(
            row,
            partition,
            shops=settings.shops,
            settings=settings.fold,
            newest_ms=newest_ms,
            replay_id=settings.replay_id,
        )
        logger.info("Rebuilds cube %s of partition %d from the source topics.", row.cube, partition)
        since_ms, records = await self._read(side, partition, newest_ms)
        pieces = side.pieces(since_ms)
        cells = 0
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            began_s = asyncio.get_running_loop().time()
            if not await self._host.hand_over(epoch, partition, piece):
                return
            cells += len(piece.cells)
            # As long as the flush took: half of the broker's time stays for what comes now.
            await asyncio.sleep(asyncio.get_running_loop().time() - began_s)
        logger.info(
            "Cube %s of partition %d is rebuilt: %d cells of %d records.", row.cube, partition, cells, records
        )

    async def _read(self, side: CubeRebuild, partition: int, newest_ms: int) -> tuple[int, int]:
        """Fold everything before the cube began that is still there.

        Returns:
            since_ms: event time from which that is complete, 0 when nothing is missing; and the records read.

        Raises:
            UnavailableError: the broker gives nothing any more.
        """
        ends = {
            TopicPartition(full_name(self._kafka.prefix, topic), partition): end
            for topic, end in side.begins.items()
        }
        if not ends:
            return side.row.since_ms, 0
        consumer = AIOKafkaConsumer(
            **client_options(self._kafka),
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        try:
            await consumer.start()
            consumer.assign(list(ends))
            from_ms = read_from_ms(CUBE_BY_NAME[side.row.cube], self._settings.fold, newest_ms)
            cut = await _seek(consumer, ends, from_ms)
            return await self._fold(consumer, side, ends, cut)
        finally:
            await asyncio.gather(consumer.stop(), return_exceptions=True)

    async def _fold(
        self,
        consumer: AIOKafkaConsumer,
        side: CubeRebuild,
        ends: dict[TopicPartition, int],
        cut: set[TopicPartition],
    ) -> tuple[int, int]:
        tolerance_ms = self._settings.fold.future_tolerance_ms
        # Of a topic that holds nothing any more from before the cube began, nothing can be rebuilt.
        since_ms = dict.fromkeys(cut, side.row.since_ms)
        read = 0
        idle_s = 0.0
        loop = asyncio.get_running_loop()
        waiting = {tp for tp in ends if await consumer.position(tp) < ends[tp]}
        first = set(cut)
        while waiting:
            began_s = loop.time()
            fetched: dict[TopicPartition, list[Any]] = await consumer.getmany(*waiting, timeout_ms=200)
            for tp, records in fetched.items():
                if tp in first:
                    first.remove(tp)
                    since_ms[tp] = min(since_ms[tp], records[0].timestamp + tolerance_ms)
                topic = short_name(self._kafka.prefix, tp.topic) or tp.topic
                await asyncio.to_thread(side.fold, batch_of(topic, tp.partition, records))
                read += len(records)
                rate = self._kafka.rebuild_records_per_s or ASKED_RECORDS_PER_S
                await asyncio.sleep(len(records) / rate - (loop.time() - began_s))
                began_s = loop.time()
            waiting = {tp for tp in waiting if await consumer.position(tp) < ends[tp]}
            # Topics that are done are fetched no further.
            consumer.pause(*(tp for tp in ends if tp not in waiting))
            idle_s = 0.0 if fetched else idle_s + 0.2
            if idle_s > STALLED_AFTER_S:
                what = f"Reading {', '.join(sorted(tp.topic for tp in waiting))} brought nothing for {idle_s:.0f} s."
                raise UnavailableError(what)
        return max(since_ms.values(), default=0), read


async def _seek(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], from_ms: int
) -> set[TopicPartition]:
    """Go to the first record that can still be in the cube; return the topics of which some of them are gone."""
    begins = await consumer.beginning_offsets(list(ends))
    found = await consumer.offsets_for_times(dict.fromkeys(ends, from_ms)) if from_ms else {}
    cut = set()
    for tp, end in ends.items():
        at = found.get(tp)
        offset = begins[tp] if not from_ms else end if at is None else max(at.offset, begins[tp])
        if begins[tp] > 0 and offset <= begins[tp]:
            cut.add(tp)
        consumer.seek(tp, min(offset, end))
    return cut
