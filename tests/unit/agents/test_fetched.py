"""Batches as brokers send them, also with headers that no reader expects."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from agents.batches import batch_of
from agents.chunks import RAW
from agents.fetched import Fetched
from streams.topics import REPLAY_HEADER

A = TopicPartition("cm.orders", 0)
NONE, LZ4 = 0, 3


class Name(str):
    """A name of a header that goes over the wire as bytes that are no UTF-8."""

    __slots__ = ()

    def encode(self, _encoding: str = "utf-8", _errors: str = "strict") -> bytes:
        return b"na\xffme"


ODD = Name("odd")


def image_of(first: int, headers: list[list[tuple[str, bytes | None]]], compression: int) -> bytes:
    """Return a batch of one record for each list of headers."""
    builder = _DefaultRecordBatchBuilderPy(2, compression, False, -1, 0, 0, 1 << 20)
    for number, named in enumerate(headers):
        builder.append(number, 1_000 + first + number, b"k", b"v%d" % (first + number), named)
    image = builder.build()
    image[:8] = first.to_bytes(8, "big")
    return bytes(image)


def read(image: bytes, deserializer: Any, offset: int = 10) -> list[Any]:
    records = fetcher.PartitionRecords(
        A, Fetched(image), [], offset, deserializer, None, True, READ_COMMITTED
    )
    found = list(records)
    if deserializer is RAW:
        found = [record for chunk in found for record in chunk.records]
    return found


@pytest.mark.parametrize("deserializer", [RAW, None])
@pytest.mark.parametrize("compression", [NONE, LZ4])
@pytest.mark.parametrize("odd_at", [0, 1, 3])
def test_a_header_whose_name_is_no_utf_8_hinders_neither_its_record_nor_others(
    deserializer: Any, compression: int, odd_at: int
) -> None:
    headers: list[list[tuple[str, bytes | None]]] = [[("good", b"1")] for _ in range(4)]
    headers[odd_at] = [(ODD, b"2"), ("empty", None), (REPLAY_HEADER, b"friday")]
    image = image_of(10, headers, compression) + image_of(14, [[("last", b"3")]], compression)
    found = read(image, deserializer)
    assert [(record.offset, record.timestamp, record.key, record.value) for record in found] == [
        (offset, 1_000 + offset, b"k", b"v%d" % offset) for offset in range(10, 15)
    ]
    assert list(found[odd_at].headers) == [("na\\xffme", b"2"), ("empty", None), (REPLAY_HEADER, b"friday")]
    assert [list(record.headers) for record in found if record is not found[odd_at]] == [
        *[[("good", b"1")]] * 3,
        [("last", b"3")],
    ]
    batch = batch_of("orders", 0, found)
    assert batch.replay_ids is not None
    assert batch.replay_ids[odd_at] == "friday"
    assert all(type(value) is bytes for value in batch.values)


def test_records_before_the_place_that_was_asked_for_do_not_come_twice() -> None:
    image = image_of(10, [[("good", b"1")], [(ODD, b"2")], [("good", b"1")]], LZ4)
    assert [record.offset for record in read(image, None, offset=11)] == [11, 12]


def test_what_is_no_batch_of_records_is_refused_in_both_readings() -> None:
    image = bytearray(image_of(10, [[(ODD, b"2")], [("good", b"1")]], NONE))
    # One record more than there is.
    image[57:61] = (3).to_bytes(4, "big")
    image[17:21] = calc_crc32c(bytes(image[21:])).to_bytes(4, "big")
    with pytest.raises(CorruptRecordException):
        read(bytes(image), RAW)
