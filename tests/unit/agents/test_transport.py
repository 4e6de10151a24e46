"""Whole fetches as messages, and nothing skipped: what was fetched and not handed over is fetched again."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException, KafkaConnectionError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from faust.transport.drivers.aiokafka import Consumer as Faust
from faust.types import TP

from agents.batches import pieces_of
from agents.chunks import RAW, Chunk
from agents.fetched import Fetched
from agents.transport import Consumer, Fetch
from streams.errors import StateError

A, B = TP("cm.orders", 0), TP("cm.clicks", 0)


class Raw(NamedTuple):
    offset: int
    timestamp: int = 5_000
    timestamp_type: int = 1
    key: bytes | None = None
    value: bytes | None = b"{}"
    headers: tuple[tuple[str, bytes], ...] = ()
    checksum: None = None


class FakeKeeper:
    def __init__(self) -> None:
        self.epoch = 1
        self.placed = True
        self.offsets: dict[TP, int] = {}
        self.calls: list[str] = []

    async def place(self, _assigned: frozenset[TP]) -> dict[TP, int]:
        self.calls.append("place")
        return self.offsets

    def settle(self, epoch: int) -> None:
        self.calls.append(f"settle {epoch}")

    async def revoke(self) -> None: ...

    def idle(self) -> None: ...


class Rig(Consumer):
    """The consumer with Faust and the broker cut away: fetches are given, seeks are noted."""

    def __init__(self, keeper: FakeKeeper, fetches: list[dict[TP, list[Raw]]]) -> None:
        self.app = cast("Any", SimpleNamespace(keeper=keeper, consumer_generation_id=1))
        self.next_offsets = {}
        self._stands = {}
        self._dropped = set()
        self._looked_s = 0.0
        self.flow_active = True
        self.assigned = {A, B}
        self.found: dict[TP, int] = {}
        self.earliest: dict[TP, int] = {}
        self.positions: dict[TP, int] = {}
        self.stand({tp: records[0].offset for fetch in reversed(fetches) for tp, records in fetch.items()})
        self.fetches = fetches
        self.seeks: list[dict[TP, int]] = []
        self.ends: dict[TP, int] = {}
        self.during_fetch: Any = None

    @property
    def should_stop(self) -> bool:
        return False

    def assignment(self) -> set[TP]:
        return self.assigned

    def highwater(self, tp: Any) -> int:
        return self.ends.get(tp, 0)

    def stand(self, offsets: dict[TP, int]) -> None:
        """Stand there, as after a placement."""
        self.next_offsets, self._stands, self.positions = dict(offsets), dict(offsets), dict(offsets)

    async def seek_wait(self, partitions: Any) -> None:
        assert set(partitions) <= self.assigned, "aiokafka: IllegalStateError, not assigned"
        self.seeks.append(dict(partitions))
        self.positions.update(partitions)

    async def read_positions(self) -> dict[TP, int]:
        """Return what would move nothing, as long as a test does not care."""
        return self.found or dict(self._stands)

    async def earliest_offsets(self, *partitions: Any) -> dict[Any, int]:
        if not self.earliest:
            return dict.fromkeys(partitions, 0)
        return {tp: self.earliest[tp] for tp in partitions}

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        if self.during_fetch is not None:
            self.during_fetch()
        fetch = self.fetches.pop(0) if self.fetches else {}
        return {tp: [self._chunk(tp, record) for record in records] for tp, records in fetch.items()}, set()

    def _chunk(self, tp: TP, record: Raw) -> Chunk:
        """Return a batch of one record; of no record where its value is None, as of a commit marker."""
        begins, self.positions[tp] = self.positions[tp], record.offset + 1
        return Chunk(begins, record.offset + 1, None if record.value is None else [record])

    async def handed(self) -> dict[TP, Fetch]:
        return {tp: cast("Any", message).value async for tp, message in self.getmany(0.0)}


def offsets(fetch: Fetch) -> list[int]:
    return [record.offset for batch in fetch.batches for record in batch]


async def test_a_fetch_is_one_message_per_partition_with_the_offset_of_its_last_record() -> None:
    rig = Rig(FakeKeeper(), [{A: [Raw(3), Raw(4), Raw(9)], B: [Raw(1)]}])
    messages = {tp: message async for tp, message in rig.getmany(0.0)}
    assert {tp: message.offset for tp, message in messages.items()} == {A: 9, B: 1}
    fetch = cast("Fetch", messages[A].value)
    assert offsets(fetch) == [3, 4, 9]
    assert (fetch.epoch, fetch.follows) == (1, 3)
    assert rig.next_offsets == {A: 10, B: 2}


async def test_a_full_queue_leaves_no_partition_out_of_what_is_asked_for_next() -> None:
    rig = Rig(FakeKeeper(), [])
    rig.app.in_recovery = False
    rig._active_partitions = {A, B}
    rig._buffered_partitions = set()
    rig.on_buffer_full(A)
    assert rig._get_active_partitions() == {A, B}
    rig.on_buffer_drop(A)
    assert rig._get_active_partitions() == {A, B}


async def test_nothing_is_handed_over_before_state_is_loaded() -> None:
    keeper = FakeKeeper()
    keeper.placed = False
    rig = Rig(keeper, [{A: [Raw(3)]}])
    assert await rig.handed() == {}
    assert len(rig.fetches) == 1


async def test_records_fetched_for_an_epoch_that_passed_are_dropped_and_fetched_again() -> None:
    keeper = FakeKeeper()
    rig = Rig(keeper, [{A: [Raw(7)]}, {}])
    rig.stand({A: 7})

    def revoke() -> None:
        keeper.epoch += 1

    rig.during_fetch = revoke
    assert await rig.handed() == {}
    rig.during_fetch = None
    await rig.handed()
    assert rig.seeks == [{A: 7}]


async def test_what_is_left_of_a_fetch_when_the_epoch_passes_is_fetched_again() -> None:
    keeper = FakeKeeper()
    rig = Rig(keeper, [{A: [Raw(7)], B: [Raw(2)]}, {}])
    rig.stand({A: 7, B: 2})
    handed = []
    messages = cast("AsyncIterator[Any]", rig.getmany(0.0))
    async for tp, _ in messages:
        handed.append(tp)
        keeper.epoch += 1
    assert len(handed) == 1
    await rig.handed()
    left = A if handed == [B] else B
    assert rig.seeks == [{left: rig.next_offsets[left]}]


async def test_a_placement_in_the_middle_of_a_message_keeps_its_own_offsets() -> None:
    keeper = FakeKeeper()
    rig = Rig(keeper, [{A: [Raw(7)]}])
    async for _ in rig.getmany(0.0):
        rig.next_offsets = {A: 3}
        keeper.epoch += 1
    assert rig.next_offsets == {A: 3}


async def test_a_worker_whose_partitions_all_went_to_others_seeks_none_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rest of a fetch is dropped at a revocation; without a next placement nothing else would forget it."""
    keeper = FakeKeeper()
    rig = Rig(keeper, [{A: [Raw(7)], B: [Raw(2)]}])

    async def nothing(_consumer: Any, _revoked: set[TP]) -> None: ...

    monkeypatch.setattr(Faust, "on_partitions_revoked", nothing)
    async for _ in rig.getmany(0.0):
        keeper.epoch += 1
        await rig.on_partitions_revoked({A, B})
        rig.assigned = set()
    assert await rig.handed() == {}
    assert rig.seeks == []


async def test_a_topic_that_was_made_anew_while_it_was_read_ends_the_consumer() -> None:
    rig = Rig(FakeKeeper(), [{A: [Raw(0)]}])
    rig.stand({A: 7})
    rig.positions[A] = 0
    with pytest.raises(StateError, match="begins anew at offset 0 of partition 0, after 7 was read"):
        await rig.handed()


async def test_the_sources_stand_where_the_state_ends_before_records_flow() -> None:
    keeper = FakeKeeper()
    keeper.offsets = {A: 100, B: 0}
    rig = Rig(keeper, [])
    assert await rig.seek_to_committed() == {A: 100, B: 0}
    assert rig.seeks == [{A: 100, B: 0}]
    assert rig.next_offsets == {A: 100, B: 0}
    assert keeper.calls == ["place", "settle 1"]


async def test_a_placement_that_was_revoked_meanwhile_moves_nothing() -> None:
    keeper = FakeKeeper()
    rig = Rig(keeper, [])
    await rig.seek_to_committed()
    assert rig.seeks == []
    assert keeper.calls == ["place"]


def batch_of(first: int, values: list[bytes], *, transactional: bool = False, producer_id: int = -1) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, transactional, producer_id, 0, 0, 1 << 20)
    for number, value in enumerate(values):
        builder.append(number, 1_000 + first + number, b"k", value, [])
    image = builder.build()
    # The broker writes the base offset: the first 8 bytes, outside the checksum.
    image[:8] = first.to_bytes(8, "big")
    return bytes(image)


def with_header(batch: bytes, *, attributes: int = 0, last_offset_delta: int | None = None) -> bytes:
    """Return a batch with further attributes or another last offset, as brokers and their cleaners write it."""
    image = bytearray(batch)
    image[22] |= attributes
    if last_offset_delta is not None:
        image[23:27] = last_offset_delta.to_bytes(4, "big")
    image[17:21] = calc_crc32c(bytes(image[21:])).to_bytes(4, "big")
    return bytes(image)


def marker_at(offset: int, kind: int, producer_id: int) -> bytes:
    """Return the control record that ends a transaction: 0 aborts, 1 commits."""
    builder = DefaultRecordBatchBuilder(2, 0, True, producer_id, 0, 0, 1 << 20)
    builder.append(0, 1_000, b"\x00\x00\x00" + bytes([kind]), b"\x00" * 6, [])
    image = builder.build()
    image[:8] = offset.to_bytes(8, "big")
    return with_header(bytes(image), attributes=0x20)


ABORTED_PRODUCER = 7
IMAGE = (
    batch_of(10, [b"a", b"b", b"c"])
    + batch_of(13, [b"never"], transactional=True, producer_id=ABORTED_PRODUCER)
    + batch_of(14, [b"d"], transactional=True, producer_id=8)
    + batch_of(15, [b"e", b"f"])
)


def read(deserializer: Any, offset: int) -> tuple[list[Any], int]:
    aborted = [(ABORTED_PRODUCER, 13)]
    records = fetcher.PartitionRecords(
        A, Fetched(IMAGE), aborted, offset, deserializer, None, True, READ_COMMITTED
    )
    return list(records), records.next_fetch_offset


@pytest.mark.parametrize("offset", [10, 11, 12])
def test_our_consumer_reads_whole_batches_and_others_the_same_records_one_by_one(offset: int) -> None:
    single, single_next = read(None, offset)
    chunks, chunked_next = read(RAW, offset)
    ours = [record for chunk in chunks for record in chunk.records or ()]
    assert [record.value for record in single] == [b"a", b"b", b"c", b"d", b"e", b"f"][-len(single) :]
    # Records before the offset that was asked for come along; the fold skips them.
    assert [(each.offset, each.timestamp, each.value) for each in ours if each.offset >= offset] == [
        (each.offset, each.timestamp, each.value) for each in single
    ]
    assert chunked_next == single_next == 17
    assert [chunk.begins for chunk in chunks] == [offset, *(chunk.ends for chunk in chunks[:-1])]


def test_markers_and_what_compaction_took_leave_no_hole_between_batches() -> None:
    image = (
        batch_of(10, [b"never"], transactional=True, producer_id=ABORTED_PRODUCER)
        + marker_at(11, 0, ABORTED_PRODUCER)
        + batch_of(12, [b"a"], transactional=True, producer_id=ABORTED_PRODUCER)
        + marker_at(13, 1, ABORTED_PRODUCER)
        # The cleaner has taken offsets 15 to 17 from the end of this batch, and 18 and 19 as a whole.
        + with_header(batch_of(14, [b"b"]), last_offset_delta=3)
        + batch_of(20, [b"c"])
    )
    records = Fetched(image), [(ABORTED_PRODUCER, 10)], 10
    chunks = list(fetcher.PartitionRecords(A, *records, RAW, None, True, READ_COMMITTED))
    assert [(chunk.begins, chunk.ends) for chunk in chunks] == [
        (10, 11), (11, 12), (12, 13), (13, 14), (14, 18), (18, 21)
    ]  # fmt: skip
    assert [[record.value for record in chunk.records or ()] for chunk in chunks] == [
        [], [], [b"a"], [], [b"b"], [b"c"]
    ]  # fmt: skip


def test_a_torn_batch_is_refused_by_its_checksum() -> None:
    torn = bytearray(IMAGE)
    torn[70] ^= 1
    records = fetcher.PartitionRecords(A, Fetched(bytes(torn)), [], 10, RAW, None, True, READ_COMMITTED)
    with pytest.raises(CorruptRecordException):
        list(records)


async def test_records_that_somebody_else_took_on_the_way_are_asked_for_again() -> None:
    """A call of before a rebalance that goes on in the consumer's thread takes what comes after it."""
    rig = Rig(FakeKeeper(), [{A: [Raw(9)], B: [Raw(2)]}, {A: [Raw(7), Raw(8), Raw(9)]}])
    rig.stand({A: 7, B: 2})
    rig.positions[A] = 9
    assert list(await rig.handed()) == [B]
    handed = await rig.handed()
    assert rig.seeks == [{A: 7}]
    assert (handed[A].follows, offsets(handed[A])) == (7, [7, 8, 9])


async def test_the_last_records_of_a_topic_that_somebody_else_took_are_asked_for_again() -> None:
    """No record comes after them that would begin where it should not."""
    rig = Rig(FakeKeeper(), [{A: [Raw(7), Raw(8)]}])
    rig.stand({A: 7, B: 2})
    rig.found = {A: 9, B: 2}
    assert offsets((await rig.handed())[A]) == [7, 8]
    assert rig.seeks == [{A: 7}]


async def test_a_commit_marker_between_fetches_is_no_hole_and_no_message() -> None:
    marker = Raw(8, value=None)
    rig = Rig(FakeKeeper(), [{A: [Raw(7), marker]}, {A: [Raw(9, value=None)]}, {A: [Raw(10)]}])
    fetches = [await rig.handed() for _ in range(3)]
    assert [sorted(fetch) for fetch in fetches] == [[A], [], [A]]
    assert (fetches[2][A].follows, rig.next_offsets[A], rig.seeks) == (8, 11, [])


async def test_what_the_broker_deleted_before_it_was_read_is_said_and_passed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig(FakeKeeper(), [{A: [Raw(90)]}, {A: [Raw(90)]}])
    rig.stand({A: 7})
    rig.positions[A] = rig.earliest[A] = 90
    assert await rig.handed() == {}
    assert offsets((await rig.handed())[A]) == [90]
    assert "offsets 7 to 89 were deleted on the broker" in caplog.text


async def test_while_the_broker_does_not_answer_nothing_is_handed_over_with_a_hole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(FakeKeeper(), [{A: [Raw(9)]}, {A: [Raw(10)]}, {A: [Raw(7)]}])
    rig.stand({A: 7})
    rig.positions[A] = 9
    monkeypatch.setattr(rig, "earliest_offsets", refuses)
    assert await rig.handed() == {}
    assert await rig.handed() == {}
    monkeypatch.undo()
    assert offsets((await rig.handed())[A]) == [7]
    assert rig.seeks == [{A: 7}]


async def refuses(*_partitions: Any) -> dict[Any, int]:
    raise KafkaConnectionError("away")


async def test_a_fetch_says_how_many_records_the_broker_has_beyond_it() -> None:
    rig = Rig(FakeKeeper(), [{A: [Raw(offset=6), Raw(offset=7)], B: [Raw(offset=3)]}])
    rig.ends = {A: 20, B: 4}
    handed = await rig.handed()
    assert (handed[A].behind, handed[B].behind) == (12, 0)


async def test_batches_that_were_folded_are_held_by_nobody() -> None:
    """An unpacked batch is five times as large as it travelled, and others of its fetch may wait for long."""
    rig = Rig(FakeKeeper(), [{A: [Raw(3), Raw(4)], B: [Raw(1)]}])
    alive = weakref.WeakSet[Any]()

    class Batch:
        def __init__(self, records: list[Raw]) -> None:
            self.records = records

        def __iter__(self) -> Iterator[Raw]:
            return iter(self.records)

    packed = rig._chunk

    def watched(tp: TP, record: Raw) -> Chunk:
        chunk = packed(tp, record)
        batch = Batch(list(chunk.records or ()))
        alive.add(batch)
        return chunk._replace(records=batch)

    rig._chunk = watched  # type: ignore[method-assign]  # the seam under test
    given: list[Any] = []
    wait = rig._wait_next_records

    async def held_by_the_thread(timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        given.append(await wait(timeout))
        return given[-1]

    rig._wait_next_records = held_by_the_thread  # type: ignore[method-assign]  # the seam under test
    handed = rig.getmany(0.0)
    fetched = [cast("Any", (await anext(handed))[1]).value for _ in range(2)]
    assert len(alive) == 3
    records = [
        record for fetch in fetched for piece in pieces_of("impressions", fetch.batches) for record in piece
    ]
    gc.collect()
    assert (len(records), len(alive)) == (3, 0)
    assert [each async for each in handed] == []
