"""W1 as a stock Faust agent, in the per-record form of Faust's documentation.

Models for the JSON, one agent, `async for` over single events, `table[key] += 1`, default settings but for the ones
that the machine forces (partition count, no web port, start at the oldest record). People are kept as the same
sketches as everywhere, in a second table of bytes (the images are small: reading and writing one is 1 % of a record's
cost). Cells are by atom, not by slice, so that a record costs two table writes and not eight: the cheaper form, in
Faust's favour.

Run by `benchmarks.runners` as its own process; prints one JSON line when `--records` are done.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

import faust
from datasketches import hll_sketch
from faust.types import StreamT

from benchmarks.load import SHOP
from benchmarks.w1 import TableBuilder, new_sketch, write
from streams.atoms import NO_SOURCE_ATOM, atom_of
from streams.days import BusinessCalendar, day_label


class Source(faust.Record):
    """The source block."""

    owner: str
    format: str
    surface: str
    is_paid: bool
    account_id: str | None = None
    creator_id: str | None = None
    content_id: str | None = None
    campaign_id: str | None = None


class Impression(faust.Record):
    """A product impression."""

    event_id: str
    event_type: str
    shop_id: str
    occurred_at_ms: int
    product_id: str
    currency: str | None = None
    ingested_at_ms: int | None = None
    user_key: str | None = None
    source: Source | None = None


def in_memory(values: Sequence[bytes]) -> float:
    """Run the agent's body over values without Faust and Kafka, and return the seconds: a yardstick of the machine."""
    counts: dict[str, int] = defaultdict(int)
    people: dict[str, bytes] = defaultdict(bytes)
    calendar = BusinessCalendar(SHOP.timezone)
    started = time.perf_counter()
    for value in values:
        _count(Impression.loads(value, default_serializer="json"), calendar, counts, people)
    return time.perf_counter() - started


def build(bootstrap: str, topic: str, records: int, group: str, table_path: Path) -> faust.App:
    """Return the app; its process ends by itself once `records` are counted."""
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        topic_partitions=4,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        datadir=tempfile.mkdtemp(prefix="w1-stock-"),
    )
    impressions = app.topic(topic, value_type=Impression)
    counts = app.Table("counts", default=int)
    people = app.Table("people", default=bytes, value_type=bytes)
    calendar = BusinessCalendar(SHOP.timezone)

    @app.agent(impressions)
    async def count(stream: StreamT[Any]) -> None:
        done, started = 0, time.perf_counter()
        async for event in stream:
            if not done:
                started = time.perf_counter()
            _count(event, calendar, counts, people)
            done += 1
            if done == records:
                seconds = time.perf_counter() - started
                builder = TableBuilder()
                for name, number in counts.items():
                    day, product_id, part = name.split("/")
                    image = people.get(name)
                    users = hll_sketch.deserialize(image) if image else None
                    builder.add_sketch(day_label(int(day)), product_id, int(part), number, users)
                write(builder.table(), table_path)
                sys.stdout.write(json.dumps({"records": done, "seconds": seconds}) + "\n")
                sys.stdout.flush()
                shutil.rmtree(app.conf.datadir, ignore_errors=True)
                # Faust's own stop waits for commits that no one needs any more.
                os._exit(0)

    return app


def _count(
    event: Impression,
    calendar: BusinessCalendar,
    counts: MutableMapping[str, int],
    people: MutableMapping[str, bytes],
) -> None:
    """Do what the agent does with one event: two table writes."""
    source = event.source
    atom = NO_SOURCE_ATOM if source is None else atom_of(source.owner, source.format, source.surface)
    cell = f"{calendar.day_of(event.occurred_at_ms)}/{event.product_id}/{atom}"
    counts[cell] += 1
    if event.user_key is not None:
        image = people[cell]
        sketch = hll_sketch.deserialize(image) if image else new_sketch()
        sketch.update(event.user_key)
        people[cell] = bytes(sketch.serialize_compact())


def main() -> None:
    """Count `--records` of one topic and print how long it took."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--table", type=Path, required=True)
    options = parser.parse_args()
    app = build(options.bootstrap, options.topic, options.records, options.group, options.table)
    faust.Worker(app, loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
