"""Facts: of all records of one key the greatest (version, occurred_at_ms, body hash) wins, at any age.

The order does not depend on arrival, so neither does the result (design, decision 4). Records with the winning body are
copies: the one with the least R counts, the others are duplicates. Records with another body are superseded, also those
that had counted before the winner came.

A worker keeps for every key, for ever, what it needs to decide on the next record, but no body: 15 to 24 bytes in
memory, which tell that a key is new, and a record of 45 bytes in a spill file, which is read when the key comes again.
Bodies are kept from one flush to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from streams.days import QUARTER_MS
from streams.events import FACT_IDS, FACT_VERSION, Fact, Heartbeat, StockChanged
from streams.hash_index import HashIndex
from streams.outcomes import Outcome
from streams.spill import Records, SpilledRows, SpillFiles
from streams.state import FactKey, FactRow
from streams.tally import Tally
from streams.topics import SOURCE_TOPICS, TOPIC_OF_TYPE

_RESTORE_ROWS: Final = 10_000
_TOPIC_CODES: Final = {topic.name: code for code, topic in enumerate(SOURCE_TOPICS)}
_TOPIC_NAMES: Final = tuple(_TOPIC_CODES)
_ENCODER: Final = msgspec.msgpack.Encoder()

_RECORD: Final = np.dtype(
    [
        # The half of the key's hash that the index does not hold: two keys are never taken for one.
        ("tag", "<u8"),
        ("version", "<i8"),
        ("occurred", "<i8"),
        ("body", "<u8"),
        ("received", "<i8"),
        ("copies", "<u4"),
        ("topic", "u1"),
    ]
)
"""What is kept of a winner."""

_VALUES: Final = ("version", "occurred", "body", "received", "copies", "topic")


def key_of(event: Fact) -> FactKey:
    """Return what identifies a fact; a level of stock also by its quarter hour, so that its history is kept."""
    values = (getattr(event, name) for name in FACT_IDS[event.event_type])
    ids = tuple("" if value is None else str(value) for value in values)
    if isinstance(event, StockChanged):
        ids = (*ids, str(event.occurred_at_ms // QUARTER_MS))
    return FactKey(event.event_type, str(event.shop_id), ids)


def version_of(event: Fact) -> int:
    """Return the version that decides among records of a key first."""
    name = FACT_VERSION[event.event_type]
    if name is None:
        return 0
    version: int | None = getattr(event, name)
    return event.occurred_at_ms if version is None else version


def canonical(event: Fact) -> Fact:
    """Return the event without what may differ between copies of one fact.

    `event_id` and `ingested_at_ms` are the message's, not the fact's; a currency that is named is the shop's own.
    """
    return msgspec.structs.replace(event, event_id="", ingested_at_ms=None, currency=None)


def body_hash(event: Fact) -> int:
    """Return the hash of a canonical event's body, 0 to 2**64 - 1: ids are text, defaults count as given."""
    return xxhash.xxh3_64_intdigest(_ENCODER.encode(event))


class Arrival(NamedTuple):
    """A valid fact with its place in time.

    Attributes:
        event: settled, its ids are text.
        received_at_ms: R.
    """

    event: Fact
    received_at_ms: int


class _Entry:
    """The winner of a key while a batch is folded."""

    __slots__ = ("copies", "order", "received_at_ms", "topic")

    def __init__(self, order: tuple[int, int, int], received_at_ms: int, topic: int, copies: int) -> None:
        self.order = order
        self.received_at_ms = received_at_ms
        self.topic = topic
        self.copies = copies


class _Batch(NamedTuple):
    """The keys of a batch.

    Attributes:
        rows: of every key, in the order of the batch.
        entries: the winner of each distinct row, None while the row is new.
        tags: of the rows, in the order of `entries`.
    """

    rows: list[int]
    entries: dict[int, _Entry | None]
    tags: NDArray[np.uint64]


class FactIndex:
    """The winners of a partition, over every topic.

    Args:
        allowed_lateness_ms: R - occurred_at above this counts late.
        spill: makes the file of what is read only when a key comes again.

    Every method that folds, takes or restores may raise what the file raises: UnavailableError when there is no room.
    """

    def __init__(self, allowed_lateness_ms: int, spill: SpillFiles) -> None:
        self._allowed_lateness_ms = allowed_lateness_ms
        self._index = HashIndex()
        self._records = SpilledRows(spill(), _RECORD)
        # Copies by topic, only for facts whose copies came by several: outcomes are counted per topic.
        self._spread: dict[int, dict[int, int]] = {}
        self._changed: dict[int, tuple[FactKey, Fact]] = {}

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._index)

    @property
    def nbytes(self) -> int:
        """Return the bytes that keys take in memory; the file is not counted, nor what waits for the next flush."""
        return self._index.nbytes

    def fold(self, topic: str, arrivals: Sequence[Arrival], tallies: dict[str, Tally]) -> None:
        """Fold valid facts of one topic in their order of arrival, and count what becomes of them.

        Args:
            topic: where they were read, which need not be their type's own.
            arrivals: in order.
            tallies: of all topics; a winner may displace what another topic counted.
        """
        events = [canonical(arrival.event) for arrival in arrivals]
        keys = [key_of(event) for event in events]
        batch = self._load(keys)
        entries = batch.entries
        code = _TOPIC_CODES[topic]
        for row, key, event, arrival in zip(batch.rows, keys, events, arrivals, strict=True):
            order = (version_of(event), event.occurred_at_ms, body_hash(event))
            entry = entries.get(row)
            counted = 0
            if entry is None:
                entries[row] = _Entry(order, arrival.received_at_ms, code, 1)
                tallies[topic].add(self._lateness(order, arrival.received_at_ms))
                self._changed[row] = (key, event)
                counted = 1
            elif order == entry.order:
                self._add_copy(row, entry, arrival.received_at_ms, code, key.shop_id, tallies)
                self._changed[row] = (key, event)
            elif order > entry.order:
                self._supersede(row, entry, key.shop_id, tallies)
                entries[row] = _Entry(order, arrival.received_at_ms, code, 1)
                tallies[topic].add(self._lateness(order, arrival.received_at_ms))
                self._changed[row] = (key, event)
                counted = 1
            else:
                tallies[topic].add(Outcome.SUPERSEDED)
            tallies[topic].accept(key.shop_id, event.occurred_at_ms, event.occurred_at_ms, counted)
            if isinstance(event, Heartbeat):
                # The fact is the newest; when a topic became a source, the first one tells.
                tallies[topic].hear(key.shop_id, event.promised, event.occurred_at_ms)
        self._store(batch)

    def take_rows(self) -> list[FactRow]:
        """Return the winners that changed since the last call, each with its whole value."""
        changed, self._changed = self._changed, {}
        rows = np.fromiter(changed, dtype=np.int64, count=len(changed))
        taken = []
        for (row, (key, event)), (version, occurred, body, received, copies, topic) in zip(
            changed.items(), _values(self._records.get(rows)), strict=True
        ):
            spread = self._spread.get(row, {topic: copies})
            home = {_TOPIC_CODES[TOPIC_OF_TYPE[key.kind]]} == spread.keys()
            topics = () if home else _named(spread, first=topic)
            taken.append(FactRow(key, version, occurred, body, received, copies, event, topics))
        return taken

    def restore(self, facts: Iterable[FactRow]) -> None:
        """Take over kept winners; of several rows of one key the last holds. Bodies are not kept."""
        iterator = iter(facts)
        while chunk := list(islice(iterator, _RESTORE_ROWS)):
            batch = self._load([fact.key for fact in chunk])
            for row, fact in zip(batch.rows, chunk, strict=True):
                spread = {_TOPIC_CODES[name]: copies for name, copies in fact.topics}
                topic = next(iter(spread), _TOPIC_CODES[TOPIC_OF_TYPE[fact.key.kind]])
                batch.entries[row] = _Entry(fact.merge_order, fact.received_at_ms, topic, fact.copies)
                self._spread.pop(row, None)
                if len(spread) > 1:
                    self._spread[row] = spread
            self._store(batch)

    def _lateness(self, order: tuple[int, int, int], received_at_ms: int) -> Outcome:
        late = received_at_ms - order[1] > self._allowed_lateness_ms
        return Outcome.COUNTED_LATE if late else Outcome.COUNTED

    def _add_copy(
        self, row: int, entry: _Entry, received_at_ms: int, code: int, shop_id: str, tallies: dict[str, Tally]
    ) -> None:
        """Count another copy of the winner; the one with the least (R, topic) is the one that counts."""
        if code != entry.topic or row in self._spread:
            spread = self._spread.setdefault(row, {entry.topic: entry.copies})
            spread[code] = spread.get(code, 0) + 1
        entry.copies += 1
        here, there = tallies[_TOPIC_NAMES[code]], tallies[_TOPIC_NAMES[entry.topic]]
        if (received_at_ms, code) >= (entry.received_at_ms, entry.topic):
            here.add(Outcome.DUPLICATE)
            return
        there.move(self._lateness(entry.order, entry.received_at_ms), Outcome.DUPLICATE)
        here.add(self._lateness(entry.order, received_at_ms))
        if here is not there:
            there.recount(shop_id, -1)
            here.accept(shop_id, entry.order[1], entry.order[1], 1)
        entry.received_at_ms, entry.topic = received_at_ms, code

    def _supersede(self, row: int, entry: _Entry, shop_id: str, tallies: dict[str, Tally]) -> None:
        """Move the former winner and its copies, wherever they were read, to superseded."""
        for code, copies in self._spread.pop(row, {entry.topic: entry.copies}).items():
            tally = tallies[_TOPIC_NAMES[code]]
            counted = int(code == entry.topic)
            tally.move(self._lateness(entry.order, entry.received_at_ms), Outcome.SUPERSEDED, counted)
            tally.move(Outcome.DUPLICATE, Outcome.SUPERSEDED, copies - counted)
            tally.recount(shop_id, -counted)

    def _load(self, keys: Sequence[FactKey]) -> _Batch:
        """Return the rows of keys, new ones added, and the present winner of every row."""
        numbers: dict[FactKey, int] = {}
        places = [numbers.setdefault(key, len(numbers)) for key in keys]
        digests = b"".join(xxhash.xxh3_128_digest(_ENCODER.encode(key)) for key in numbers)
        halves = np.frombuffer(digests, dtype=">u8").astype(np.uint64).reshape(-1, 2)
        hashes, tags = np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])
        records = np.empty(len(numbers), dtype=_RECORD)

        def same(asked: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
            records[asked] = self._records.get(rows)
            told: NDArray[np.bool_] = records["tag"][asked] == tags[asked]
            return told

        rows = self._index.find(hashes, same)
        known = rows >= 0
        rows[~known] = self._index.insert(hashes[~known])
        entries: dict[int, _Entry | None] = dict.fromkeys(rows.tolist())
        for row, (version, occurred, body, received, copies, topic) in zip(
            rows[known].tolist(), _values(records[known]), strict=True
        ):
            entries[row] = _Entry((version, occurred, body), received, topic, copies)
        return _Batch(rows[places].tolist(), entries, tags)

    def _store(self, batch: _Batch) -> None:
        """Write the winners of all rows of a batch; each has one by now."""
        winners = [entry for entry in batch.entries.values() if entry is not None]
        records = np.empty(len(batch.entries), dtype=_RECORD)
        records["tag"] = batch.tags
        records["version"] = [entry.order[0] for entry in winners]
        records["occurred"] = [entry.order[1] for entry in winners]
        records["body"] = [entry.order[2] for entry in winners]
        records["received"] = [entry.received_at_ms for entry in winners]
        records["copies"] = [entry.copies for entry in winners]
        records["topic"] = [entry.topic for entry in winners]
        self._records.put(np.fromiter(batch.entries, dtype=np.int64, count=len(records)), records)


def _values(records: Records) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Return version, occurred_at_ms, body hash, R, copies and topic of records."""
    return zip(*(records[name].tolist() for name in _VALUES), strict=True)


def _named(spread: dict[int, int], *, first: int) -> tuple[tuple[str, int], ...]:
    """Return copies by topic name, the topic of the copy that counts first."""
    order = sorted(spread, key=lambda code: (code != first, code))
    return tuple((_TOPIC_NAMES[code], spread[code]) for code in order)
