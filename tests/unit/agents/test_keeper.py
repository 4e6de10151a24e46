"""Taking over, folding, flushing and letting go, with the broker cut away."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from faust.types import TP

from agents import keeper as module
from agents.batches import PIECE_BYTES
from agents.flush import BODY_BYTES
from agents.keeper import StateKeeper
from agents.restore import Stored
from agents.transport import Fetch
from streams.errors import FlushError, HoleError, StateError, UnavailableError
from streams.kept_cubes import PIECES
from streams.rebuild import Piece
from streams.settings import KafkaSettings, Settings, ShopSettings
from streams.topics import SOURCE_TOPICS

AT_MS = 1_764_072_000_000
SETTINGS = Settings(
    shops={"s1": ShopSettings("s1")}, kafka=KafkaSettings(flush_after_ms=0, flush_at_most_ms=100)
)


class Raw(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class FakeWriter:
    """Notes what is written; `gate` holds a write back, `error` makes it fail."""

    made: list[FakeWriter]
    gate: asyncio.Event
    error: Exception | None = None

    def __init__(self, _kafka: KafkaSettings, partition: int) -> None:
        self.partition = partition
        self.written: list[Mapping[str, int]] = []
        self.closed = False
        FakeWriter.made.append(self)

    async def open(self) -> None: ...

    async def close(self) -> None:
        self.closed = True

    async def write(self, _rows: object, next_offsets: Mapping[str, int]) -> None:
        await FakeWriter.gate.wait()
        if FakeWriter.error is not None:
            raise FakeWriter.error
        self.written.append(next_offsets)


class Rig:
    """A keeper that owns partition 0, and what it did."""

    def __init__(self, keeper: StateKeeper, failures: list[BaseException]) -> None:
        self.keeper = keeper
        self.failures = failures

    @property
    def writer(self) -> FakeWriter:
        return FakeWriter.made[-1]

    async def take(self, *numbers: int, epoch: int | None = None) -> None:
        records = [impression(number) for number in numbers]
        fetch = Fetch(
            self.keeper.epoch if epoch is None else epoch, numbers[0], numbers[-1] + 1, deque([records])
        )
        await self.keeper.ingest("impressions", 0, fetch)


def one(rig: Rig, number: int) -> Fetch:
    return Fetch(rig.keeper.epoch, number, number + 1, deque([[impression(number)]]))


def impression(number: int) -> Raw:
    value = {
        "event_id": f"e{number}",
        "event_type": "product_impression",
        "shop_id": "s1",
        "occurred_at_ms": AT_MS,
        "product_id": "p1",
    }
    return Raw(number, AT_MS, b"k", json.dumps(value).encode())


def stock(number: int, *, padding: int) -> Raw:
    value = {
        "event_id": f"e{number}",
        "event_type": "stock_changed",
        "shop_id": "s1",
        "occurred_at_ms": AT_MS,
        "product_id": "p1",
        "sku_id": f"p1-{number}",
        "available": 5,
        "nobody_asks_for_this": "x" * padding,
    }
    return Raw(number, AT_MS, b"k", json.dumps(value).encode())


def whole(*partitions: int) -> frozenset[TP]:
    return frozenset(TP(f"cm.{topic.name}", partition) for topic in SOURCE_TOPICS for partition in partitions)


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    FakeWriter.made = []
    FakeWriter.gate = asyncio.Event()
    FakeWriter.gate.set()
    FakeWriter.error = None

    async def read_stored(_kafka: KafkaSettings, partitions: list[int]) -> dict[int, Stored]:
        return {partition: Stored() for partition in partitions}

    async def source_offsets(_kafka: KafkaSettings, positions: dict[int, dict[str, int]]) -> dict[TP, int]:
        return {
            TP(f"cm.{topic}", partition): offset
            for partition, offsets in positions.items()
            for topic, offset in offsets.items()
        }

    class NoRebuilder:
        def __init__(self, *_: object) -> None: ...

        async def run(self, _partitions: object) -> None: ...

    monkeypatch.setattr(module, "FlushWriter", FakeWriter)
    monkeypatch.setattr(module, "read_stored", read_stored)
    monkeypatch.setattr(module, "source_offsets", source_offsets)
    monkeypatch.setattr(module, "Rebuilder", NoRebuilder)
    failures: list[BaseException] = []
    keeper = StateKeeper(SETTINGS, failures.append)
    epoch = keeper.epoch
    await keeper.place(whole(0))
    keeper.settle(epoch)
    yield Rig(keeper, failures)
    FakeWriter.gate.set()
    keeper.close()


async def test_what_is_folded_is_flushed_with_the_position_behind_it(rig: Rig) -> None:
    await rig.take(0, 1, 2)
    await rig.keeper.flush_all()
    assert [offsets["impressions"] for offsets in rig.writer.written] == [3]
    assert rig.keeper.folded[TP("cm.impressions", 0)] == 3


async def test_a_piece_of_a_rebuild_is_durable_when_it_is_taken_and_not_taken_after_letting_go(
    rig: Rig,
) -> None:
    await rig.take(0, 1, 2)
    await rig.keeper.rebuild_anew(rig.keeper.epoch, "product_day", 7)
    (row,), newest_ms = rig.keeper.unbuilt(0)
    assert (row.cube, row.begins, row.asked_ms, newest_ms) == (
        "product_day",
        {"impressions": 3},
        7,
        AT_MS,
    )
    written = len(rig.writer.written)
    piece = Piece(row._replace(handed=PIECES), [])
    assert await rig.keeper.hand_over(rig.keeper.epoch, 0, piece)
    assert len(rig.writer.written) == written + 1
    assert rig.keeper.unbuilt(0)[0] == []
    await rig.keeper.revoke()
    assert not await rig.keeper.hand_over(rig.keeper.epoch - 1, 0, piece)


async def test_nothing_changed_nothing_written(rig: Rig) -> None:
    await rig.keeper.flush_all()
    assert rig.writer.written == []


async def test_records_of_an_earlier_epoch_are_not_folded(rig: Rig) -> None:
    await rig.take(5, 6, epoch=rig.keeper.epoch - 1)
    await rig.take(0)
    await rig.keeper.flush_all()
    assert rig.writer.written[0]["impressions"] == 1


async def test_revoked_it_flushes_first_then_forgets_and_lets_go(rig: Rig) -> None:
    await rig.take(0, 1)
    await rig.keeper.revoke()
    assert rig.writer.written[0]["impressions"] == 2
    assert rig.writer.closed
    assert not rig.keeper.placed
    await rig.take(2)
    assert rig.keeper.folded == {}


async def test_folding_waits_for_a_flush_that_does_not_end_so_memory_is_bounded(rig: Rig) -> None:
    FakeWriter.gate.clear()
    await rig.take(0)
    flushing = asyncio.create_task(rig.keeper.flush_all())
    await asyncio.sleep(0.01)
    await rig.take(1)
    rig.keeper._owned[0].pacer._changed_ms = 0
    waiting = asyncio.create_task(rig.take(2))
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    FakeWriter.gate.set()
    await waiting
    await flushing
    assert rig.keeper.folded[TP("cm.impressions", 0)] == 3


async def test_a_large_fetch_of_facts_is_folded_by_pieces_that_wait_for_a_flush_of_those_before(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The pacer would hold folding up for what is old, too.
    monkeypatch.setattr(module, "_now_ms", lambda: 1_000)
    FakeWriter.gate.clear()
    await rig.take(0)
    flushing = asyncio.create_task(rig.keeper.flush_all())
    await asyncio.sleep(0.01)
    levels = [stock(number, padding=64 << 10) for number in range(64)]
    folding = asyncio.create_task(
        rig.keeper.ingest("stock", 0, Fetch(rig.keeper.epoch, 0, len(levels), deque([levels])))
    )
    done, _ = await asyncio.wait({folding}, timeout=0.5)
    assert not done
    folded = rig.keeper.folded[TP("cm.stock", 0)]
    assert BODY_BYTES <= folded * (64 << 10) <= BODY_BYTES + PIECE_BYTES + (128 << 10)
    FakeWriter.gate.set()
    await flushing
    await folding
    await rig.keeper.flush_all()
    assert rig.keeper.folded[TP("cm.stock", 0)] == len(levels)
    assert rig.writer.written[-1]["stock"] == len(levels)


async def test_a_flush_is_as_old_as_its_order_also_before_it_runs(rig: Rig) -> None:
    owned = rig.keeper._owned[0]
    for number in range(2):
        await rig.take(number)
        ordered_ms = module._now_ms()
        flushing = asyncio.create_task(rig.keeper.flush_all())
        await asyncio.sleep(0)
        # Ordered, and its own task has had no turn yet.
        assert owned.flushing is not None
        assert rig.keeper.oldest_flush_ms(ordered_ms + 5_000) <= 5_000
        await flushing
        assert rig.keeper.oldest_flush_ms(ordered_ms + 5_000) == 0
        # Nor is the next one as old as this one.
        owned.flush_began_ms -= 3_600_000


async def test_a_flush_that_fails_ends_the_process(rig: Rig) -> None:
    FakeWriter.error = FlushError("refused")
    await rig.take(0)
    with pytest.raises(FlushError):
        await rig.keeper.flush_all()
    assert rig.failures == [FakeWriter.error]


async def test_a_fold_that_raises_ends_the_process_because_going_on_would_lose_its_records(rig: Rig) -> None:
    broken: Any = [[object()]]
    with pytest.raises(AttributeError):
        await rig.keeper.ingest("impressions", 0, Fetch(rig.keeper.epoch, 0, 1, deque(broken)))
    assert len(rig.failures) == 1


@pytest.mark.parametrize("change", ["hand_over", "rebuild_anew"])
async def test_a_change_of_a_rebuild_that_raises_ends_the_process_because_half_of_it_may_be_there(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    await rig.take(0)
    await rig.keeper.rebuild_anew(rig.keeper.epoch, "product_day", 7)
    (row,), _ = rig.keeper.unbuilt(0)
    error = UnavailableError("the disk does not give it back")

    def broken(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(rig.keeper._owned[0].state, change, broken)
    keeper, epoch = rig.keeper, rig.keeper.epoch
    doing: Coroutine[Any, Any, object] = (
        keeper.hand_over(epoch, 0, Piece(row, []))
        if change == "hand_over"
        else keeper.rebuild_anew(epoch, "product_day", 8)
    )
    with pytest.raises(UnavailableError):
        await doing
    assert rig.failures == [error]


async def test_a_fetch_that_leaves_a_hole_ends_the_process_which_is_to_be_started_again(rig: Rig) -> None:
    await rig.take(0, 1)
    with pytest.raises(HoleError, match="offsets 2 to 3 have not arrived") as raised:
        await rig.take(4)
    assert rig.failures == [raised.value]
    assert raised.value.exit_code == 75
    assert rig.keeper._owned[0].state.next_offset("impressions") == 2


async def test_a_partition_whose_topics_have_several_owners_is_refused(rig: Rig) -> None:
    some = frozenset(tp for tp in whole(1) if tp.topic != "cm.orders")
    with pytest.raises(StateError, match="Partition 1 came without orders"):
        await rig.keeper.place(some)
    assert isinstance(rig.failures[0], StateError)


async def test_a_revocation_in_the_middle_of_a_placement_leaves_nothing_owned(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()

    async def hangs(_kafka: KafkaSettings, _partitions: list[int]) -> dict[int, Stored]:
        await never.wait()
        return {}

    monkeypatch.setattr(module, "read_stored", hangs)
    epoch = rig.keeper.epoch
    placing = asyncio.create_task(rig.keeper.place(whole(0, 1)))
    await asyncio.sleep(0.01)
    await rig.keeper.revoke()
    assert await placing == {}
    rig.keeper.settle(epoch)
    assert not rig.keeper.placed
    assert all(writer.closed for writer in FakeWriter.made)
    assert rig.failures == []


async def test_fetches_of_a_partition_are_folded_in_their_order_also_when_the_first_waits_for_a_flush(
    rig: Rig,
) -> None:
    FakeWriter.gate.clear()
    await rig.take(0)
    flushing = asyncio.create_task(rig.keeper.flush_all())
    await asyncio.sleep(0.01)
    await rig.take(1)
    rig.keeper._owned[0].pacer._changed_ms = 0
    for number in (2, 3):
        await rig.keeper.offer("impressions", 0, one(rig, number))
    third = asyncio.create_task(rig.keeper.offer("impressions", 0, one(rig, 4)))
    await asyncio.sleep(0.01)
    assert not third.done()
    FakeWriter.gate.set()
    await flushing
    await third
    while rig.keeper._folds:
        await asyncio.wait(rig.keeper._folds)
    assert rig.keeper.folded[TP("cm.impressions", 0)] == 5
    assert rig.keeper.records == 5
    assert rig.keeper._owned[0].state.next_offset("impressions") == 5


async def test_what_was_offered_before_a_revocation_is_folded_and_flushed_or_dropped_but_never_counted_after(
    rig: Rig,
) -> None:
    await rig.keeper.offer("impressions", 0, one(rig, 0))
    await rig.keeper.revoke()
    while rig.keeper._folds:
        await asyncio.wait(rig.keeper._folds)
    assert rig.keeper.folded == {}
    assert rig.failures == []


@pytest.mark.usefixtures("rig")
async def test_a_spill_folder_that_is_not_there_ends_the_process_and_is_named(tmp_path: Path) -> None:
    kafka = replace(SETTINGS.kafka, spill_folder=str(tmp_path / "gone"))
    failures: list[BaseException] = []
    keeper = StateKeeper(replace(SETTINGS, kafka=kafka), failures.append)
    with pytest.raises(UnavailableError, match="gone"):
        await keeper.place(whole(0))
    keeper.close()
    (failure,) = failures
    assert isinstance(failure, UnavailableError)
    assert "kafka.spill_folder" in str(failure)
