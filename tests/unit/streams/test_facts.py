"""Facts by themselves; their dialogues are in tests/transcripts/facts.toml, their laws in tests/property."""

from __future__ import annotations

import gc
import json
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from agents.spill import disk_files
from streams.decoding import decode
from streams.events import Fact, OrderStatusChanged
from streams.facts import Arrival, FactIndex, body_hash, canonical, key_of, version_of
from streams.spill import MemoryFile, SpillFiles
from streams.state import FactKey, FactRow
from streams.tally import Tally
from streams.topics import SOURCE_TOPICS
from tests.core_worlds import BEGIN_MS, order_paid

LATENESS_MS = 120_000


@pytest.fixture(scope="module", params=["memory", "disk"])
def spill(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SpillFiles:
    return MemoryFile if request.param == "memory" else disk_files(str(tmp_path_factory.mktemp("spill")))


def tallies() -> dict[str, Tally]:
    return {topic.name: Tally(topic.name) for topic in SOURCE_TOPICS}


def read(event: dict[str, Any]) -> Fact:
    fact = decode(json.dumps(event).encode())
    assert isinstance(fact, Fact)
    return fact


def status(order_id: str, seq: int, occurred_at_ms: int = BEGIN_MS) -> OrderStatusChanged:
    return OrderStatusChanged(
        event_id="e",
        event_type="order_status",
        shop_id="s1",
        occurred_at_ms=occurred_at_ms,
        order_id=order_id,
        status="paid",
        seq=seq,
    )


@pytest.mark.parametrize("event_type", ["product", "shop", "account"])
def test_a_reference_record_without_a_version_has_version_0(event_type: str) -> None:
    # spec/events.md lists no field `version` for these: "no version counts as 0".
    plain = {
        "event_id": "e",
        "event_type": event_type,
        "shop_id": "s1",
        "occurred_at_ms": BEGIN_MS,
        "product_id": "p",
        "name": "n",
        "category": "c",
        "sku_ids": ["p"],
        "price_minor": 100,
        "timezone": "UTC",
        "currency": "USD",
        "account_id": "a",
        "display_name": "A",
        "kind": "linked",
    }
    assert version_of(read(plain)) == 0
    assert version_of(read(plain | {"version": 1})) == 1
    assert body_hash(canonical(read(plain))) == body_hash(canonical(read(plain | {"version": 0})))


def test_the_hash_of_a_body_is_the_one_that_stored_state_holds() -> None:
    assert body_hash(canonical(read(order_paid(BEGIN_MS, "o1")))) == 16_687_447_477_384_030_623


def test_fields_of_the_message_are_not_part_of_the_body() -> None:
    plain = order_paid(BEGIN_MS, "o1")
    dressed = plain | {
        "event_id": "other",
        "ingested_at_ms": 7,
        "currency": "USD",
        "channel": "tiktok",
        "unknown": 1,
    }
    assert canonical(read(plain)) == canonical(read(dressed))
    assert body_hash(canonical(read(plain))) == body_hash(canonical(read(dressed)))


def test_every_field_of_the_fact_is_part_of_the_body() -> None:
    plain = order_paid(BEGIN_MS, "o1")
    line = plain["lines"][0]
    others = [
        plain | {"customer_id": "u2"},
        plain | {"credits_minor": 1},
        plain | {"is_follower": False},
        plain | {"lines": [line | {"quantity": 2}]},
        plain | {"lines": [line, line | {"line_id": "l2"}]},
    ]
    hashes = {body_hash(canonical(read(event))) for event in (plain, *others)}
    assert len(hashes) == len(others) + 1


def test_keys_follow_the_table_of_the_specification() -> None:
    assert key_of(read(order_paid(BEGIN_MS, "o1"))) == FactKey("order_paid", "s1", ("o1",))
    assert key_of(status("o1", 4)) == FactKey("order_status", "s1", ("o1", "paid"))
    assert version_of(status("o1", 4)) == 4
    common = {"event_id": "e", "shop_id": "s1", "occurred_at_ms": 1_800_001}
    stock = read(common | {"event_type": "stock_changed", "sku_id": "k", "product_id": "p", "available": -3})
    assert key_of(stock) == FactKey("stock_changed", "s1", ("k", "default", "2"))
    assert version_of(stock) == 1_800_001
    shop = read(
        common
        | {"event_type": "shop", "timezone": "UTC", "version": 3, "category": "x", "business_size": "mid"}
    )
    assert key_of(shop) == FactKey("shop", "s1", ())


@given(
    arrivals=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 2), st.integers(0, 300_000)),
        max_size=12,
    ),
    cut=st.integers(0, 12),
    shuffled=st.randoms(),
)
def test_winner_copies_and_outcomes_do_not_depend_on_order_or_restarts(
    spill: SpillFiles, arrivals: list[tuple[str, int, int, int]], cut: int, shuffled: Any
) -> None:
    facts = [
        Arrival(status(order, seq, BEGIN_MS + tick), BEGIN_MS + late) for order, seq, tick, late in arrivals
    ]
    whole, counters = FactIndex(LATENESS_MS, spill), tallies()
    whole.fold("orders", facts, counters)
    others = list(facts)
    shuffled.shuffle(others)
    first, again = FactIndex(LATENESS_MS, spill), tallies()
    first.fold("orders", others[:cut], again)
    kept = first.take_rows()
    second = FactIndex(LATENESS_MS, spill)
    second.restore(kept)
    second.fold("orders", others[cut:], again)
    newest: dict[FactKey, FactRow] = {row.key: row for row in (*kept, *second.take_rows())}
    assert newest == {row.key: row for row in whole.take_rows()}
    assert again["orders"].position() == counters["orders"].position()


def test_two_bodies_of_one_version_and_time_have_one_winner_in_both_orders(spill: SpillFiles) -> None:
    one = read(order_paid(BEGIN_MS, "o1"))
    other = msgspec.structs.replace(one, credits_minor=5)
    winners = []
    for pair in ((one, other), (other, one)):
        index = FactIndex(LATENESS_MS, spill)
        index.fold("orders", [Arrival(event, BEGIN_MS) for event in pair], tallies())
        winners.append(index.take_rows())
    assert winners[0] == winners[1]
    assert len(winners[0]) == 1


def test_only_what_changed_is_taken(spill: SpillFiles) -> None:
    index = FactIndex(LATENESS_MS, spill)
    index.fold("orders", [Arrival(status("a", 2), BEGIN_MS), Arrival(status("b", 2), BEGIN_MS)], tallies())
    assert {row.key.ids[0] for row in index.take_rows()} == {"a", "b"}
    loser, copy = Arrival(status("a", 1), BEGIN_MS), Arrival(status("b", 2), BEGIN_MS + 1)
    counters = tallies()
    counters["orders"].accept("s1", BEGIN_MS, BEGIN_MS, 2)
    index.fold("orders", [loser, copy], counters)
    (row,) = index.take_rows()
    assert (row.key.ids[0], row.copies, row.received_at_ms) == ("b", 2, BEGIN_MS)


@given(
    version=st.integers(-(2**63), 2**63 - 1),
    occurred_at_ms=st.integers(-(2**63), 2**63 - 1),
    received_at_ms=st.integers(-(2**63), 2**63 - 1),
    copies=st.integers(1, 2**32 - 2),
)
def test_numbers_of_64_bits_are_kept_as_they_are(
    spill: SpillFiles, version: int, occurred_at_ms: int, received_at_ms: int, copies: int
) -> None:
    event = canonical(status("a", version, occurred_at_ms))
    row = FactRow(key_of(event), version, occurred_at_ms, body_hash(event), received_at_ms, copies, event)
    index = FactIndex(LATENESS_MS, spill)
    index.restore([row])
    index.fold("orders", [Arrival(event, 2**63 - 1)], tallies())
    assert index.take_rows() == [row._replace(copies=copies + 1)]


def test_keys_of_which_half_the_hash_is_the_same_are_told_apart(
    spill: SpillFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [
        [Arrival(status(name, seq), BEGIN_MS + late) for name, seq, late in batch]
        for batch in (
            [("a", 1, 0), ("b", 1, 0), ("a", 2, 1), ("c", 1, 0)],
            [("b", 1, 5), ("d", 3, 0), ("c", 2, 0), ("d", 3, 1), ("e", 1, 0)],
            [(name, 2, 300_000) for name in "fedcba"],
        )
    ]

    def folded() -> tuple[int, list[FactRow], object]:
        index, counters = FactIndex(LATENESS_MS, spill), tallies()
        for batch in batches:
            index.fold("orders", batch, counters)
        kept = index.take_rows()
        again = FactIndex(LATENESS_MS, spill)
        again.restore(kept)
        again.fold("orders", batches[2], counters)
        return len(again), again.take_rows(), counters["orders"].position()

    expected, digest = folded(), xxhash.xxh3_128_digest
    monkeypatch.setattr("xxhash.xxh3_128_digest", lambda key: bytes(8) + digest(key)[8:])
    assert folded() == expected
    assert expected[0] == len("abcdef")


def test_a_key_that_is_new_reads_nothing_and_a_batch_that_was_seen_reads_once() -> None:
    reads: list[int] = []

    class Counting(MemoryFile):
        def read(self, offset: int, size: int) -> bytes:
            reads.append(size)
            return super().read(offset, size)

    index, batch = FactIndex(LATENESS_MS, Counting), [Arrival(status(str(name), 1), 0) for name in range(50)]
    index.fold("orders", batch, tallies())
    index.fold("orders", [Arrival(status("new", 1), 0)], tallies())
    assert reads == []
    index.fold("orders", batch, tallies())
    assert len(reads) == 1


def test_a_fact_takes_21_bytes_of_memory_at_most_for_ever(tmp_path: Path) -> None:
    count = 100_000
    row = FactRow(FactKey("order_paid", "s1", ("",)), 0, BEGIN_MS, 7, BEGIN_MS, 1, status("", 1))
    tracemalloc.start()
    index = FactIndex(LATENESS_MS, disk_files(str(tmp_path)))
    index.restore(row._replace(key=FactKey("order_paid", "s1", (str(number),))) for number in range(count))
    # Python itself keeps room of freed tuples until then.
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index) == count
    assert index.nbytes <= taken <= 21 * count
