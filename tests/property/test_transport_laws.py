"""Whatever happens between two fetches, what is handed over has no hole, and what is folded is folded once.

A log of two partitions stands in for the broker and aiokafka's position for the consumer. Steps are drawn: records
and commit markers are written, a call of before a rebalance takes what comes next, partitions move, retention deletes,
the broker does not answer, Faust stops the flow in the middle of a fetch.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from aiokafka.errors import KafkaConnectionError
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from agents.chunks import Chunk
from agents.transport import Consumer, Fetch

A, B = TP("cm.orders", 0), TP("cm.clicks", 0)


class Record(NamedTuple):
    offset: int
    timestamp: int = 1_000
    timestamp_type: int = 1


class World:
    """The broker's log, aiokafka's position, and what the keeper has folded and flushed."""

    def __init__(self) -> None:
        self.batches: dict[TP, list[tuple[int, int, bool]]] = {A: [], B: []}
        self.earliest = {A: 0, B: 0}
        self.positions = {A: 0, B: 0}
        self.folded: dict[TP, list[int]] = {A: [], B: []}
        self.next = {A: 0, B: 0}
        self.flushed: dict[TP, tuple[int, int]] = {A: (0, 0), B: (0, 0)}
        self.away = False
        self.epoch = 1
        self.placed = True

    def end(self, tp: TP) -> int:
        return self.batches[tp][-1][1] if self.batches[tp] else 0

    def write(self, tp: TP, records: int, *, seen: bool) -> None:
        """Append a batch; what is not seen is a marker or aborted."""
        self.batches[tp].append((self.end(tp), self.end(tp) + records, seen))

    def visible(self, tp: TP) -> list[int]:
        return [offset for first, end, seen in self.batches[tp] for offset in range(first, end) if seen]

    def take(self, tp: TP, most: int) -> list[Chunk]:
        """Return what aiokafka gives next, whole batches, and move its position as it does."""
        self.positions[tp] = max(self.positions[tp], self.earliest[tp])
        chunks: list[Chunk] = []
        for first, end, seen in self.batches[tp]:
            if end > self.positions[tp] and len(chunks) < most:
                records = [Record(offset) for offset in range(first, end)] if seen else None
                chunks.append(Chunk(self.positions[tp], end, records))
                self.positions[tp] = end
        return chunks

    def fold(self, tp: TP, fetch: Fetch) -> None:
        if fetch.epoch != self.epoch:
            return
        assert fetch.follows <= self.next[tp], "a hole"
        new = [record.offset for batch in fetch.batches for record in batch if record.offset >= self.next[tp]]
        self.folded[tp] += new
        self.next[tp] = max(self.next[tp], fetch.ends)


class Rig(Consumer):
    """The consumer with Faust cut away."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.app = cast("Any", SimpleNamespace(keeper=world, consumer_generation_id=1))
        self.next_offsets = {A: 0, B: 0}
        self._stands = {A: 0, B: 0}
        self._dropped = set()
        self._looked_s = 0.0
        self.flow_active = True
        self.most = 1

    @property
    def should_stop(self) -> bool:
        return False

    def highwater(self, tp: Any) -> int:
        return self.world.end(tp)

    async def seek_wait(self, partitions: Any) -> None:
        self.world.positions.update(partitions)

    async def read_positions(self) -> dict[TP, int]:
        return dict(self.world.positions)

    async def earliest_offsets(self, *partitions: Any) -> dict[Any, int]:
        if self.world.away:
            what = "away"
            raise KafkaConnectionError(what)
        return {tp: self.world.earliest[tp] for tp in partitions}

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        fetch = {tp: self.world.take(tp, self.most) for tp in (A, B)}
        return {tp: chunks for tp, chunks in fetch.items() if chunks}, set()

    def assignment(self) -> set[TP]:
        return {A, B}

    async def move(self) -> None:
        """Revoke everything and place it where the last flush ends."""
        world = self.world
        world.epoch += 1
        offsets = {}
        for tp in (A, B):
            count, world.next[tp] = world.flushed[tp]
            del world.folded[tp][count:]
            offsets[tp] = world.next[tp] = max(world.next[tp], world.earliest[tp])
        world.epoch += 1
        await self.seek_wait(offsets)
        self.next_offsets, self._stands = dict(offsets), dict(offsets)
        self._dropped.clear()


PARTITIONS = st.sampled_from([A, B])
STEPS = st.one_of(
    st.tuples(st.just("write"), PARTITIONS, st.integers(1, 4), st.booleans()),
    st.tuples(st.just("fetch"), st.integers(1, 3)),
    st.tuples(st.just("stolen"), PARTITIONS, st.integers(1, 2)),
    st.tuples(st.just("moved in a message"), st.integers(1, 3)),
    st.tuples(st.just("stopped in a message"), st.integers(1, 3)),
    st.tuples(st.just("flush")),
    st.tuples(st.just("move")),
    st.tuples(st.just("away"), st.booleans()),
    st.tuples(st.just("delete"), PARTITIONS),
)


async def happens(rig: Rig, step: tuple[Any, ...]) -> None:
    world = rig.world
    match step:
        case ("write", tp, records, seen):
            world.write(tp, records, seen=seen)
        case ("stolen", tp, most):
            world.take(tp, most)
        case ("flush",):
            world.flushed = {tp: (len(world.folded[tp]), world.next[tp]) for tp in (A, B)}
        case ("move",):
            await rig.move()
        case ("away", away):
            world.away = away
        case ("delete", tp):
            # Only what is flushed: what retention takes before it was read is lost, and another test has it.
            world.earliest[tp] = max(world.earliest[tp], world.flushed[tp][1])
        case (kind, most):
            rig.most, rig._looked_s = most, 0.0
            async for tp, message in rig.getmany(0.0):
                world.fold(tp, cast("Any", message).value)
                if kind == "moved in a message":
                    await rig.move()
                elif kind == "stopped in a message":
                    rig.flow_active = False
            rig.flow_active = True


@given(st.lists(STEPS, max_size=60))
def test_whatever_happens_all_that_can_be_read_is_folded_once_and_in_order(
    steps: list[tuple[Any, ...]],
) -> None:
    rig = Rig(World())

    async def play() -> None:
        for step in [*steps, ("away", False), *[("fetch", 3)] * (2 * len(steps) + 2)]:
            await happens(rig, step)

    asyncio.run(play())
    assert rig.world.folded == {tp: rig.world.visible(tp) for tp in (A, B)}
