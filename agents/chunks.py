"""aiokafka's reading of a fetch, a whole batch at a time and still packed, where the consumer is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import CorruptRecordException

from agents import fetched as _fetched  # noqa: F401 - what a worker fetches is read in its way

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _RawKey:
    """aiokafka asks for it only in the method that is replaced below."""

    def __call__(self, key: bytes | None) -> bytes | None:
        return key


RAW: Final = _RawKey()
"""Key deserializer of the consumers whose records stay as they travel."""


class Chunk(NamedTuple):
    """All records of one Kafka batch, in the place of one record.

    Attributes:
        begins: where the consumer stood before this batch.
        ends: where it stands after it, also beyond what compaction took from its end.
        records: in offset order, still packed; some of the first may lie before `begins`. None of a batch that no
            reader sees: a commit marker, or what was aborted.
    """

    begins: int
    ends: int
    records: Iterable[Any] | None


class ChunkedPartitionRecords(PartitionRecords):
    """aiokafka's reading of a fetch, batch by batch where the consumer is ours; others' records stay as they were.

    aiokafka handles each record by itself in three layers of Python, a microsecond and a half together, the larger
    part of it for an object that nobody here needs. A batch is also where it can be told whether anything was skipped:
    what begins is where the one before it ended, or records have been taken that never came.
    """

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Any]:
        return self._unpack_chunks() if self._key_deserializer is RAW else super()._unpack_records()

    def _unpack_chunks(self) -> Iterator[Chunk]:
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                what = f"Invalid CRC - {self._tp}"
                raise CorruptRecordException(what)
            begins, self.next_fetch_offset = self.next_fetch_offset, batch.next_offset
            yield Chunk(begins, batch.next_offset, None if self._unseen(batch) else batch)

    def _unseen(self, batch: Any) -> bool:
        """Return whether no reader of committed records may see a batch."""
        if batch.producer_id is None:
            return False
        self._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch:
            if self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            return True
        return batch.is_transactional and batch.producer_id in self._aborted_producers


fetcher.PartitionRecords = ChunkedPartitionRecords  # no public seam
