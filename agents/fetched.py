"""What a broker answered to a fetch, batch by batch, also where a producer named a header in no known alphabet.

The protocol says that names of headers are UTF-8, and some clients send what they are given. aiokafka then refuses the
record, and with it all that come after: a worker would end, start again and meet the same record. No name of a header
but one is looked at here (X-81), so such a batch is read once more, in Python, with its bad bytes escaped.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, SupportsIndex, overload

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record import MemoryRecords
from aiokafka.record.default_records import _DefaultRecordBatchPy

if TYPE_CHECKING:
    from collections.abc import Iterator

_LENGTH_AT: Final = 8
_HEAD_BYTES: Final = 12
"""Of a batch: its first offset, and the length of what follows (Kafka's protocol, RecordBatch)."""


class Fetched:
    """aiokafka's `MemoryRecords`, whose batches can be read in two ways.

    Args:
        data: the records of one partition in a response, its last batch perhaps cut off.
    """

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._data = data
        self._place = 0

    def has_next(self) -> bool:
        """Return whether another whole batch is there."""
        return bool(self._records.has_next())

    def size_in_bytes(self) -> int:
        """Return the size of the answer."""
        return int(self._records.size_in_bytes())

    def next_batch(self) -> FetchedBatch | None:
        """Return the next batch, None after the last."""
        batch = self._records.next_batch()
        if batch is None:
            return None
        begin = self._place
        (length,) = struct.unpack_from(">i", self._data, begin + _LENGTH_AT)
        self._place = begin + _HEAD_BYTES + length
        return FetchedBatch(batch, self._data, begin, self._place)


class FetchedBatch:
    """One batch, still packed: what aiokafka's gives, and its records in offset order.

    Args:
        batch: aiokafka's.
        data: what holds its bytes; aiokafka's batch keeps that as well.
        begin: of its bytes.
        end: of its bytes.
    """

    __slots__ = ("__weakref__", "_batch", "_begin", "_data", "_end")

    def __init__(self, batch: Any, data: bytes, begin: int, end: int) -> None:
        self._batch = batch
        self._data, self._begin, self._end = data, begin, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        """Unpack the records, as far as nobody has yet.

        Raises:
            CorruptRecordException: they are none, whatever their headers are called.
        """
        record = None
        try:
            for record in self._batch:
                yield record
        except (CorruptRecordException, UnicodeDecodeError):
            seen = -1 if record is None else record.offset
            again = _AnyNames(self._data[self._begin : self._end])
            yield from (record for record in again if record.offset > seen)


class _AnyNames(_DefaultRecordBatchPy):
    """aiokafka's reading of a batch in Python, where a header's name may be any bytes."""

    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Bytes(self._buffer)


class _Bytes(bytearray):
    @overload
    def __getitem__(self, at: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> bytearray: ...
    def __getitem__(self, at: Any, /) -> Any:
        found = super().__getitem__(at)
        return _Escaped(found) if isinstance(at, slice) else found


class _Escaped(bytearray):
    def decode(self, encoding: str = "utf-8", _errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")


fetcher.MemoryRecords = Fetched  # no public seam
