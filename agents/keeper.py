"""Keep the state of the partitions that this process owns: take over, fold, flush, let go.

One executor thread does all arithmetic, so folds and flushes of a partition are in order without a lock, and the
event loop with its timers is never blocked by a batch. A flush is taken between two batches; while it travels, the
next batches are folded, until changes have waited `flush_at_most_ms`: then folding waits for the flush, which bounds
memory when a broker is slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from faust.types import TP

from agents.batches import batch_of, pieces_of
from agents.flush import FlushPacer, FlushWriter
from agents.rebuilding import Rebuilder
from agents.restore import read_stored, source_offsets
from agents.spill import disk_files
from streams.errors import HoleError, StateError
from streams.fold import PartitionState
from streams.topics import SOURCE_TOPICS, full_name, short_name
from streams.wire import EncodedFlush, decode_fact, decode_state, encode_flush

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from agents.restore import Stored
    from agents.transport import Fetch
    from streams.cubes import Cube
    from streams.rebuild import Piece
    from streams.settings import Settings
    from streams.state import CubeRow
    from streams.wire import StateRecord

logger = logging.getLogger(__name__)

TICK_S: Final = 0.05

LET_GO_S: Final = 2.0
"""A rebuild closes its connections; a broker that is away must not hold a rebalance up for it."""

FOLDS_UNDER_WAY: Final = 2
"""Fetches that are folded or wait for the thread that folds; memory is bounded with `app.FETCHES_BUFFERED`."""


class Owned:
    """One partition that this process owns: its state, its writer and its pace."""

    def __init__(self, state: PartitionState, writer: FlushWriter, pacer: FlushPacer) -> None:
        self.state = state
        self.writer = writer
        self.pacer = pacer
        self.writing = asyncio.Lock()
        self.folding = asyncio.Lock()
        self.flushing: asyncio.Task[None] | None = None
        self.flush_began_ms = 0


class StateKeeper:
    """Implements `agents.transport.Keeper` over `PartitionState`s.

    Attributes:
        folded: next offset to fold per source topic partition, with the topic's full name.
        progress: rises with every record folded or restored and every flush; the watchdog looks at it.
    """

    def __init__(
        self,
        settings: Settings,
        fail: Callable[[BaseException], None],
        *,
        cubes: Sequence[Cube] | None = None,
    ) -> None:
        self.epoch = 0
        self.placed = False
        self.assigned: frozenset[int] = frozenset()
        self.folded: dict[TP, int] = {}
        self.progress = 0
        self.records = 0
        self._settings = settings
        self._kafka = settings.kafka
        self._fail = fail
        self._cubes = cubes
        self._owned: dict[int, Owned] = {}
        self._placing: asyncio.Task[dict[TP, int]] | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fold")
        self._room = asyncio.Semaphore(FOLDS_UNDER_WAY)
        self._folds: set[asyncio.Task[None]] = set()
        self._rebuilder = Rebuilder(settings, self, fail)
        self._rebuilding: asyncio.Task[None] | None = None

    # -- taking over and letting go

    async def place(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """Fence the old owners, load the state, and return where each source topic is to be read from."""
        placing = self._placing = asyncio.create_task(self._place(assigned))
        try:
            await asyncio.wait({placing})
        except asyncio.CancelledError:
            placing.cancel()
            raise
        if placing.cancelled():
            # Revoked meanwhile; another placement follows.
            return {}
        error = placing.exception()
        if error is not None:
            # Faust would log this and let records flow to a worker without state.
            self._fail(error)
            raise error
        return placing.result()

    async def _place(self, assigned: frozenset[TP]) -> dict[TP, int]:
        await self._forget()
        began = time.monotonic()
        partitions = _whole_partitions(self._kafka.prefix, assigned)
        for partition in partitions:
            self._owned[partition] = Owned(
                self._new_state(partition), FlushWriter(self._kafka, partition), FlushPacer(self._kafka)
            )
        await asyncio.gather(*(owned.writer.open() for owned in self._owned.values()))
        stored = await read_stored(self._kafka, partitions)
        positions = {}
        for partition, owned in self._owned.items():
            await self._in_executor(_restore, owned.state, stored.pop(partition))
            positions[partition] = {
                topic.name: owned.state.next_offset(topic.name) for topic in SOURCE_TOPICS
            }
            self.progress += 1
        offsets = await source_offsets(self._kafka, positions)
        self.folded = {TP(tp.topic, tp.partition): offset for tp, offset in offsets.items()}
        self.assigned = frozenset(partitions)
        logger.info("Owns partitions %s after %.2f s.", sorted(partitions), time.monotonic() - began)
        return self.folded

    def settle(self, epoch: int) -> None:
        """The sources stand where the state ends: fold from here on, unless all was revoked meanwhile."""
        if epoch != self.epoch:
            return
        self.epoch += 1
        self.placed = True
        self.progress += 1
        for owned in self._owned.values():
            if owned.state.changed:
                # Cubes have come or gone: boards must know, also while no record comes.
                owned.pacer.changed(_now_ms())
        self._rebuilding = asyncio.create_task(self._rebuilder.run(self.assigned), name="rebuild")

    def idle(self) -> None:
        """Say that this process has nothing to do."""
        self.placed = True
        self.assigned = frozenset()
        logger.warning(
            "This worker owns no partition: there are more workers than the %d partitions (kafka.partitions).",
            self._kafka.partitions,
        )

    async def revoke(self) -> None:
        """Flush what is owned and forget it."""
        self.epoch += 1
        self.placed = False
        if self._placing is not None and not self._placing.done():
            self._placing.cancel()
            await asyncio.wait({self._placing})
        await self.flush_all()
        await self._forget()

    async def _forget(self) -> None:
        rebuilding, self._rebuilding = self._rebuilding, None
        if rebuilding is not None:
            rebuilding.cancel()
            await asyncio.wait({rebuilding}, timeout=LET_GO_S)
        owned, self._owned = self._owned, {}
        self.folded = {}
        self.assigned = frozenset()
        await asyncio.gather(*(one.writer.close() for one in owned.values()))

    def _new_state(self, partition: int) -> PartitionState:
        settings = self._settings
        options: dict[str, Any] = {} if self._cubes is None else {"cubes": self._cubes}
        return PartitionState(
            partition,
            shops=settings.shops,
            settings=settings.fold,
            replay_id=settings.replay_id,
            spill=disk_files(settings.kafka.spill_folder),
            **options,
        )

    # -- folding

    async def offer(self, topic: str, partition: int, fetch: Fetch) -> None:
        """Fold one fetch soon, in the order of offers for a partition; returns when another may be offered.

        While one is folded the next is at hand: the thread that folds never waits for the event loop.
        """
        await self._room.acquire()
        fold = asyncio.create_task(self.ingest(topic, partition, fetch))
        self._folds.add(fold)
        fold.add_done_callback(self._folded)

    def _folded(self, fold: asyncio.Task[None]) -> None:
        self._folds.discard(fold)
        self._room.release()
        if not fold.cancelled():
            # `ingest` has told of it: the process ends.
            fold.exception()

    async def ingest(self, topic: str, partition: int, fetch: Fetch) -> None:
        """Fold one fetch; returns when it is folded, drops it when it belongs to an earlier placement."""
        owned = self._owned.get(partition)
        if fetch.epoch != self.epoch or owned is None:
            return
        tp = TP(full_name(self._kafka.prefix, topic), partition)
        with self._fault_ends():
            # In order, also while a fetch waits for a flush: one that overtook it would leave a hole behind it.
            async with owned.folding:
                pieces, count = pieces_of(topic, fetch.batches), 1
                while count:
                    if owned.flushing is not None and owned.pacer.overdue(_now_ms()):
                        await owned.flushing
                    if fetch.epoch != self.epoch:
                        return
                    _refuse_hole(tp, self.folded.get(tp, fetch.follows), fetch)
                    count, ends = await self._in_executor(_fold_next, owned.state, topic, partition, pieces)
                    if owned.state.changed:
                        waiting = owned.state.waiting_bytes
                        owned.pacer.changed(
                            _now_ms(), topic=topic, behind=fetch.behind, waiting_bytes=waiting
                        )
                    self.progress += count
                    self.records += count
                    if fetch.epoch == self.epoch:
                        self.folded[tp] = ends if count else fetch.ends

    # -- rebuilding

    def unbuilt(self, partition: int) -> tuple[list[CubeRow], int]:
        """Return the cubes of a partition that lack something, and its greatest R."""
        owned = self._owned.get(partition)
        return ([], 0) if owned is None else (owned.state.unbuilt(), owned.state.newest_ms)

    async def rebuild_anew(self, epoch: int, name: str, asked_ms: int) -> None:
        """Let a cube of every partition begin anew, unless that was done for this request; return when it has."""
        for owned in list(self._owned.values()):
            if epoch == self.epoch:
                with self._fault_ends():
                    await self._in_executor(owned.state.rebuild_anew, name, asked_ms)
            while epoch == self.epoch and owned.state.deleting:
                await asyncio.shield(self._begin_flush(owned))

    async def hand_over(self, epoch: int, partition: int, piece: Piece) -> bool:
        """Take a piece of a rebuilt cube into the state and return when it is durable; False when it was let go."""
        owned = self._owned.get(partition)
        if epoch != self.epoch or owned is None:
            return False
        # Between two folds, so that its cells and the word that they are in are in one flush.
        with self._fault_ends():
            await self._in_executor(owned.state.hand_over, piece.row, piece.cells)
        if epoch != self.epoch:
            return False
        await asyncio.shield(self._begin_flush(owned))
        return epoch == self.epoch

    # -- flushing

    async def run_flushes(self) -> None:
        """Begin flushes when they are due, until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            now_ms = _now_ms()
            for owned in list(self._owned.values()):
                if owned.flushing is None and owned.pacer.due(now_ms):
                    self._begin_flush(owned)

    async def flush_all(self) -> None:
        """Flush everything that changed and return when it is durable; raises what a flush raises."""
        await asyncio.gather(*(self._begin_flush(owned) for owned in self._owned.values()))

    def oldest_flush_ms(self, now_ms: int) -> int:
        """Return how long the flush that is longest under way has taken, 0 when there is none."""
        began = [owned.flush_began_ms for owned in self._owned.values() if owned.flushing is not None]
        return now_ms - min(began) if began else 0

    def _begin_flush(self, owned: Owned) -> asyncio.Task[None]:
        if owned.flushing is None:
            # It is watched from now on, and its task has not run yet: what began before is not this one.
            owned.flush_began_ms = _now_ms()
        owned.flushing = asyncio.create_task(self._flush(owned))
        return owned.flushing

    async def _flush(self, owned: Owned) -> None:
        with self._fault_ends():
            async with owned.writing:
                owned.flush_began_ms = _now_ms()
                owned.pacer.taken()
                taken = await self._in_executor(_take, owned.state)
                # The pace is the broker's: waiting for our own folds is no reason to ask it less often.
                began_ms = _now_ms()
                if taken is not None:
                    rows, next_offsets = taken
                    await owned.writer.write(rows, next_offsets)
                owned.pacer.ended(began_ms, _now_ms())
        self.progress += 1
        if owned.state.deleting:
            owned.pacer.changed(_now_ms())
        if owned.flushing is asyncio.current_task():
            owned.flushing = None

    @contextlib.contextmanager
    def _fault_ends(self) -> Iterator[None]:
        """End the process on whatever is raised: what was half done must be neither flushed nor done again.

        Data never raises (design, decision 6); whatever does is a fault, and going on would lose records.
        """
        try:
            yield
        except Exception as error:
            self._fail(error)
            raise

    async def _in_executor(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    def close(self) -> None:
        """Let the executor go; call after the last flush."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _whole_partitions(prefix: str, assigned: frozenset[TP]) -> list[int]:
    """Return the partition numbers, all of whose source topics are assigned.

    Raises:
        StateError: some topic of a partition went to another worker; state of one partition would have two owners.
    """
    topics: dict[int, set[str]] = {}
    for tp in assigned:
        name = short_name(prefix, tp.topic)
        if name is not None:
            topics.setdefault(tp.partition, set()).add(name)
    wanted = {topic.name for topic in SOURCE_TOPICS}
    for partition, found in topics.items():
        if found != wanted:
            what = f"Partition {partition} came without {', '.join(sorted(wanted - found))}."
            mend = "All members of the group must be workers of this version, with the same prefix."
            raise StateError(what, mend=mend)
    return sorted(topics)


def _refuse_hole(tp: TP, folded: int, fetch: Fetch) -> None:
    """Raise HoleError when records before a fetch were handed over and have not arrived here."""
    if fetch.follows > folded:
        what = (
            f"{tp.topic}, partition {tp.partition}: offsets {folded} to {fetch.follows - 1} have not arrived."
        )
        raise HoleError(what, mend="Start the worker again; it goes on from its last flush.")


def _restore(state: PartitionState, stored: Stored) -> None:
    state.restore(_decoded(stored))


def _decoded(stored: Stored) -> Iterator[StateRecord]:
    for key, value in stored.state.items():
        yield decode_state(key, value)
    for key, value in stored.facts.items():
        yield decode_fact(key, value)


def _fold_next(
    state: PartitionState, topic: str, partition: int, pieces: Iterator[Sequence[Any]]
) -> tuple[int, int]:
    """Fold the next piece; return how many records it had and the offset after them, (0, 0) when none is left."""
    # Of a batch whose records a compaction took, nothing is left.
    records = next(filter(None, pieces), None)
    if records is None:
        return 0, 0
    state.fold(batch_of(topic, partition, records))
    return len(records), records[-1].offset + 1


def _take(state: PartitionState) -> tuple[EncodedFlush, dict[str, int]] | None:
    flush = state.take_flush()
    if flush is None:
        return None
    return encode_flush(flush), {position.topic: position.next_offset for position in flush.positions}


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
