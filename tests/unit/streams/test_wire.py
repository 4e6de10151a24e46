"""The bytes of state: what is written can be read, and what does not fit is refused with the remedy."""

from __future__ import annotations

import dataclasses
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cubes import CONTENT_DAY
from streams.decoding import decode
from streams.errors import StateError
from streams.events import Fact
from streams.facts import body_hash, canonical, key_of
from streams.outcomes import Outcome
from streams.records import DEAD_LETTER_BYTES, DeadLetter
from streams.state import FactRow, Flush, Position, RepeatChunk, RowKey, ShopSpan, StateRow
from streams.wire import (
    FlushMark,
    decode_dead_letter,
    decode_fact,
    decode_state,
    encode_dead_letter,
    encode_flush,
)
from tests.core_worlds import BEGIN_MS, order_paid

KEY = RowKey("content_day", CONTENT_DAY.definition, "s 1", 734_000, "product_click", ("c é", "p\u0000"))


def fact() -> FactRow:
    event = decode(json.dumps(order_paid(BEGIN_MS, "o 1")).encode())
    assert isinstance(event, Fact)
    event = canonical(event)
    topics = (("stock", 1), ("orders", 2))
    return FactRow(key_of(event), 0, BEGIN_MS, body_hash(event), BEGIN_MS + 5, 3, event, topics)


def flush(**parts: object) -> Flush:
    empty = Flush(partition=3, number=7, rows=[], facts=[], positions=[], repeats=[], dead_letters=[])
    return dataclasses.replace(empty, **parts)  # type: ignore[arg-type] # a field each, of its own type


def test_state_comes_back_as_it_was_written_with_the_mark_last() -> None:
    rows = [StateRow(KEY, 5, 3, b"image"), StateRow(KEY._replace(bucket=1), None, 0, None)]
    repeats = [RepeatChunk("clicks", 4, 0, b"\x00" * 16), RepeatChunk("clicks", 1, 2, None)]
    outcomes = {Outcome.COUNTED: 9, Outcome.REJECTED_SHOP: 1}
    positions = [
        Position("clicks", 10, 12_345, outcomes, {"s 1": ShopSpan(1, 2, 9)}),
        Position("orders", 0, 0),
    ]
    encoded = encode_flush(flush(rows=rows, repeats=repeats, positions=positions))
    decoded = [decode_state(key, value) for key, value in encoded.state]
    assert decoded == [*rows, *repeats, *positions, FlushMark(7, ("state",))]
    assert encoded.facts == []


def test_facts_come_back_as_they_were_written_with_the_mark_last() -> None:
    encoded = encode_flush(flush(facts=[fact()]))
    assert [decode_fact(key, value) for key, value in encoded.facts] == [
        fact(),
        FlushMark(7, ("state", "facts")),
    ]
    assert decode_state(*encoded.state[-1]) == FlushMark(7, ("state", "facts"))


def test_keys_of_different_rows_are_different_bytes() -> None:
    keys = [KEY, KEY._replace(dims=("c", "é p\u0000")), KEY._replace(bucket=0), KEY._replace(shop_id="s")]
    encoded = encode_flush(flush(rows=[StateRow(key, 1, 0, None) for key in keys]))
    assert len({key for key, _ in encoded.state}) == len(keys) + 1


@given(flipped=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_in_a_value_is_noticed(flipped: int, bit: int) -> None:
    encoded = encode_flush(flush(rows=[StateRow(KEY, 5, 3, b"image")], facts=[fact()]))
    for (key, value), read in ((encoded.state[0], decode_state), (encoded.facts[0], decode_fact)):
        assert value is not None
        damaged = bytearray(value)
        damaged[flipped % len(value)] ^= 1 << bit
        with pytest.raises(StateError, match="checksum"):
            read(key, bytes(damaged))


def test_a_value_under_another_key_is_noticed() -> None:
    encoded = encode_flush(
        flush(rows=[StateRow(KEY, 5, 3, None), StateRow(KEY._replace(bucket=2), 6, 3, None)])
    )
    with pytest.raises(StateError, match="checksum"):
        decode_state(encoded.state[0][0], encoded.state[1][1])


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (KEY._replace(definition="00000000"), "'content_day' was written under another definition"),
        (KEY._replace(cube="old_cube"), "'old_cube'"),
    ],
)
def test_rows_of_another_cube_are_refused_with_its_name_and_the_remedy(key: RowKey, named: str) -> None:
    for row in (StateRow(key, 1, 0, None), StateRow(key, None, 0, None)):
        encoded = encode_flush(flush(rows=[row]))
        with pytest.raises(StateError, match=named) as error:
            decode_state(*encoded.state[0])
        assert "new prefix" in error.value.mend


@pytest.mark.parametrize("key", [b"", b"\xc1", b"\x90", msgspec.msgpack.encode(["novelty", 1]), b"text"])
def test_unknown_records_are_refused(key: bytes) -> None:
    for read in (decode_state, decode_fact):
        for value in (None, b"", b"12345678"):
            with pytest.raises(StateError):
                read(key, value)


def test_a_fact_or_position_without_a_value_is_refused() -> None:
    encoded = encode_flush(flush(facts=[fact()], positions=[Position("orders", 1, 1)]))
    with pytest.raises(StateError):
        decode_fact(encoded.facts[0][0], None)
    with pytest.raises(StateError):
        decode_state(encoded.state[0][0], None)


def test_a_dead_letter_is_json_under_its_place() -> None:
    letter = DeadLetter(
        "orders", 3, 17, 99, b"\xff", b"\x00bad", 5, "abc", Outcome.REJECTED_SCHEMA, "why <b>"
    )
    encoded = encode_flush(flush(dead_letters=[letter]))
    ((key, value),) = encoded.dead_letters
    assert key == b"orders/3/17"
    assert value is not None
    assert json.loads(value)["outcome"] == "rejected_schema"
    assert json.loads(value)["value_base64"] == "AGJhZA=="
    assert decode_dead_letter(value) == letter


def test_a_dead_letter_without_value_comes_back_without_value() -> None:
    letter = DeadLetter("orders", 3, 17, 99, None, None, 0, "", Outcome.REJECTED_SCHEMA, "null")
    assert decode_dead_letter(encode_dead_letter(letter)) == letter


def test_a_huge_key_does_not_make_a_dead_letter_too_large_to_send() -> None:
    letter = DeadLetter(
        "orders", 3, 17, 99, b"k" * 10**6, b"v" * DEAD_LETTER_BYTES, 5, "", Outcome.REJECTED_SIZE, ""
    )
    assert len(encode_dead_letter(letter)) < 900_000


def test_what_is_no_dead_letter_is_refused() -> None:
    for value in (b"", b"{}", b"[1]", b'{"topic": 1}'):
        with pytest.raises(StateError, match="dead letter"):
            decode_dead_letter(value)
