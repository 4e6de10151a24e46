"""W1 as a bare confluent-kafka loop: what Python can do at most with these records, sketches and counts.

No fault tolerance, no outcomes, no repeat window, no bounds: consume a batch, decode it, count, update sketches. Two
decoders, msgspec and polars; the benchmark runs both and takes the faster as the limit. librdkafka fetches and
decompresses in its own threads, polars decodes on all cores. Decoding in a thread of its own was tried and lost 0 to
40 %: making the message objects holds the interpreter lock, and two cores are busy as it is. The size of a batch is
the best that was measured for each decoder: a small one stays in the processor's cache, a large one feeds all cores.

Run by `benchmarks.runners` as its own process; prints one JSON line when `--records` are done.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import polars as pl
from confluent_kafka import Consumer, TopicPartition
from datasketches import hll_sketch

from benchmarks.load import SHOP
from benchmarks.w1 import Table, TableBuilder, new_sketch, write
from streams.atoms import NO_SOURCE_ATOM, atom_of
from streams.days import BusinessCalendar, day_label

BATCH_RECORDS: Final = {"msgspec": 4_000, "polars": 50_000}
IDLE_SECONDS: Final = 0.2

Cells = dict[tuple[int, str, int], list[Any]]
"""(day, product, atom) to [events, sketch]."""


class Decoder(Protocol):
    """Decode and fold one batch of values."""

    batch_records: int

    def fold(self, values: Sequence[bytes]) -> None:
        """Add the batch to the cells."""
        ...

    @property
    def cells(self) -> Cells:
        """What is folded so far."""
        ...


class _Source(msgspec.Struct, gc=False):
    owner: str
    format: str
    surface: str


class _Impression(msgspec.Struct, gc=False):
    occurred_at_ms: int
    product_id: str
    user_key: str | None = None
    source: _Source | None = None


class MsgspecDecoder:
    """One JSON array per batch into structs of only the needed fields, folded by a dictionary."""

    batch_records = BATCH_RECORDS["msgspec"]

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(list[_Impression]).decode
        self._calendar = BusinessCalendar(SHOP.timezone)
        self._cells: Cells = defaultdict(lambda: [0, new_sketch()])
        self._atoms: dict[tuple[str, str, str], int] = {}

    @property
    def cells(self) -> Cells:
        """What is folded so far."""
        return self._cells

    def fold(self, values: Sequence[bytes]) -> None:
        """Add the batch to the cells."""
        events = self._decode(b"[" + b",".join(values) + b"]")
        days = self._calendar.days_of(np.array([event.occurred_at_ms for event in events])).tolist()
        people: dict[tuple[int, str, int], list[str | None]] = defaultdict(list)
        atoms = self._atoms
        for event, day in zip(events, days, strict=True):
            source = event.source
            if source is None:
                atom = NO_SOURCE_ATOM
            else:
                kind = (source.owner, source.format, source.surface)
                found = atoms.get(kind)
                atom = atoms.setdefault(kind, atom_of(*kind)) if found is None else found
            people[(day, event.product_id, atom)].append(event.user_key)
        for key, users in people.items():
            cell = self._cells[key]
            cell[0] += len(users)
            _unite(cell[1], [user for user in users if user is not None])


class PolarsDecoder:
    """Newline-joined JSON into columns of only the needed fields, folded by a group-by."""

    batch_records = BATCH_RECORDS["polars"]

    _SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
        "occurred_at_ms": pl.Int64,
        "product_id": pl.String,
        "user_key": pl.String,
        "source": pl.Struct({"owner": pl.String, "format": pl.String, "surface": pl.String}),
    }

    def __init__(self) -> None:
        self._calendar = BusinessCalendar(SHOP.timezone)
        self._cells: Cells = defaultdict(lambda: [0, new_sketch()])
        self._atoms: dict[tuple[str | None, str | None, str | None], int] = {
            (None, None, None): NO_SOURCE_ATOM
        }

    @property
    def cells(self) -> Cells:
        """What is folded so far."""
        return self._cells

    def fold(self, values: Sequence[bytes]) -> None:
        """Add the batch to the cells."""
        frame = pl.read_ndjson(b"\n".join(values), schema=self._SCHEMA)
        days = self._calendar.days_of(frame["occurred_at_ms"].to_numpy())
        groups = (
            frame.lazy()
            .select(
                pl.Series("day", days),
                "product_id",
                "user_key",
                owner=pl.col("source").struct.field("owner"),
                format=pl.col("source").struct.field("format"),
                surface=pl.col("source").struct.field("surface"),
            )
            .group_by("day", "product_id", "owner", "format", "surface")
            .agg(pl.len().alias("events"), pl.col("user_key").drop_nulls())
            .collect()
        )
        atoms = self._atoms
        for day, product_id, owner, shape, surface, events, users in groups.iter_rows():
            kind = (owner, shape, surface)
            atom = atoms.get(kind)
            if atom is None:
                atom = atoms[kind] = atom_of(owner, shape, surface)
            cell = self._cells[(day, product_id, atom)]
            cell[0] += events
            _unite(cell[1], users)


DECODERS: Final[dict[str, type[MsgspecDecoder] | type[PolarsDecoder]]] = {
    "msgspec": MsgspecDecoder,
    "polars": PolarsDecoder,
}


def consume(bootstrap: str, topic: str, partitions: int, records: int, decoder: Decoder) -> float:
    """Fold `records` of a topic and return the seconds from the first fetch to the last fold.

    Raises:
        RuntimeError: the broker gave an error, or nothing came for 30 s.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "w1-bare",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "fetch.message.max.bytes": 4 << 20,
            "fetch.max.bytes": 32 << 20,
            "queued.max.messages.kbytes": 256 << 10,
            "queued.min.messages": 500_000,
            "check.crcs": False,
        }
    )
    places = [TopicPartition(topic, number, 0) for number in range(partitions)]
    for place in places:
        # Connects and looks up the topic before the clock starts, as a long-lived loop would have.
        consumer.get_watermark_offsets(place, timeout=10)
    gc.collect()
    gc.freeze()
    gc.disable()
    started = time.perf_counter()
    consumer.assign(places)
    done, idle_since = 0, time.perf_counter()
    while done < records:
        messages = consumer.consume(min(decoder.batch_records, records - done), IDLE_SECONDS)
        if not messages:
            if time.perf_counter() - idle_since > 30:
                text = f"nothing came for 30 s after {done} of {records} records"
                raise RuntimeError(text)
            continue
        idle_since = time.perf_counter()
        values = [value for message in messages if (value := message.value()) is not None]
        if len(values) < len(messages) or messages[-1].error():
            text = f"the broker gave an error after {done} records: {messages[-1].error()}"
            raise RuntimeError(text)
        done += len(values)
        decoder.fold(values)
    seconds = time.perf_counter() - started
    consumer.close()
    return seconds


def in_memory(values: Sequence[bytes], decoder: Decoder) -> float:
    """Fold values that are already in memory, and return the seconds: what the loop must come near to."""
    started = time.perf_counter()
    for first in range(0, len(values), decoder.batch_records):
        decoder.fold(values[first : first + decoder.batch_records])
    return time.perf_counter() - started


def table_of(cells: Cells) -> Table:
    """Return the W1 table of folded cells."""
    builder = TableBuilder()
    for (day, product_id, atom), (events, sketch) in cells.items():
        builder.add_sketch(day_label(day), product_id, atom, events, sketch)
    return builder.table()


def _unite(sketch: hll_sketch, users: Sequence[str]) -> None:
    """Update a sketch with many users; the loop runs in C."""
    deque(map(sketch.update, users), maxlen=0)


def main() -> None:
    """Fold `--records` of one topic and print how long it took."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--decoder", choices=sorted(DECODERS), required=True)
    parser.add_argument("--table", type=Path, required=True)
    options = parser.parse_args()
    decoder = DECODERS[options.decoder]()
    seconds = consume(options.bootstrap, options.topic, options.partitions, options.records, decoder)
    write(table_of(decoder.cells), options.table)
    sys.stdout.write(json.dumps({"records": options.records, "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main()
