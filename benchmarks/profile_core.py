"""What an event costs, stage by stage: from the bytes of a fetch to the bytes of a flush, in this process alone.

    python -m benchmarks.profile_core --json

No broker, no event loop: what the network, Faust and the broker take is not in here (`benchmarks.throughput` shows
the processor time of a whole worker beside it). Stages are timed by wrapping the functions that the fold calls (a few
calls a batch, so the timing itself costs nothing that shows). Microseconds are of processor time: the machine may be
shared. The load is that of the other benchmarks, in four partitions, lz4, and fetches of about 2 MiB.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, NamedTuple
from unittest import mock

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from agents import fetched
from agents.batches import batch_of
from agents.chunks import RAW, ChunkedPartitionRecords
from agents.worker import tune_collector
from benchmarks.load import CAMPAIGN_DAY_EVENTS, CAMPAIGN_MIX, IMPRESSIONS_ONLY, SHOP, Load
from streams import cell_people, fast_decoding, fold, intake, wire
from streams.coding import Coding, Dimensions
from streams.cube_cells import CubeCells
from streams.cube_set import CubeSet
from streams.cubes import CUBES, PRODUCT_DAY, Cube
from streams.facts import FactIndex
from streams.fold import PartitionState
from streams.outcomes import Outcome
from streams.repeats import RepeatWindow
from streams.settings import FoldSettings
from streams.theta_cells import ThetaCells
from streams.validation import Admission

PARTITIONS: Final = 4
ORDERS_ONLY: Final = (("order_paid", 1.0),)
FETCH_RECORDS: Final = 5_000
FLUSH_EVERY_RECORDS: Final = 50_000
"""About a flush a second for a worker at full speed."""

BATCH_BYTES: Final = 900_000
_LZ4: Final = 3

FETCH: Final = "fetch: unpack batches into records"
COLUMNS: Final = "fetch: records to columns"
SEND: Final = "flush: pack records into batches, lz4"
STAGES: Final[tuple[tuple[str, Any, str], ...]] = (
    (FETCH, None, ""),
    (COLUMNS, None, ""),
    ("decode: types and bounds (msgspec)", fast_decoding, "_decode_rows"),
    ("decode: join, rows to columns", intake, "decode_fast"),
    ("decode: one by one (facts, small or doubtful batches)", intake, "_read_one_by_one"),
    ("code: names to integers", Coding, "code"),
    ("admit: shop, currency, times", Admission, "refused_rows"),
    ("repeats: hash ids", fold, "hash_ids"),
    ("repeats: window", RepeatWindow, "judge"),
    ("cubes: buckets of time", CubeSet, "_scopes"),
    ("cubes: combinations of names", Dimensions, "codes"),
    ("cubes: find cells", CubeCells, "_rows_of"),
    ("cubes: count", CubeCells, "add"),
    ("people: update sketches", cell_people, "deque"),
    ("facts: latest of their key", FactIndex, "fold"),
    ("flush: take changed rows", PartitionState, "take_flush"),
    ("flush: encode", wire, "encode_flush"),
    (SEND, None, ""),
    ("rest of the fold", PartitionState, "fold"),
)
"""Named stages; time inside a stage that another one calls counts for the inner one only."""


class Stopwatch:
    """Processor time per stage, each without the stages that it calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; the one around it stands still."""
        self._book()
        self._running.append(name)
        try:
            yield
        finally:
            self._book()
            self._running.pop()

    def _book(self) -> None:
        now = time.process_time()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, timed as a stage."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return function(*args, **kwargs)

        return wrapper


class Fetched(NamedTuple):
    """A fetch as the broker sends it."""

    topic: str
    partition: int
    records: int
    image: bytes


def fetches_of(records: int, mix: tuple[tuple[str, float], ...]) -> list[Fetched]:
    """Draw the load as fetches: each partition of each topic in offset order, interleaved as they fill."""
    pending: dict[tuple[str, int], list[tuple[int, bytes, bytes]]] = defaultdict(list)
    offsets: dict[tuple[str, int], int] = defaultdict(int)
    drawn = []

    def close(place: tuple[str, int]) -> None:
        rows = pending.pop(place)
        builder = DefaultRecordBatchBuilder(2, _LZ4, False, -1, -1, -1, 1 << 30)
        for number, (timestamp_ms, key, value) in enumerate(rows):
            builder.append(number, timestamp_ms, key, value, [])
        image = builder.build()
        # The base offset, which the broker writes: the first 8 bytes, outside the checksum.
        image[:8] = offsets[place].to_bytes(8, "big")
        offsets[place] += len(rows)
        drawn.append(Fetched(*place, len(rows), bytes(image)))

    for record in Load(records, mix=mix, day_events=max(CAMPAIGN_DAY_EVENTS, 2 * records)).rendered():
        place = (record.topic, zlib.crc32(record.key.encode()) % PARTITIONS)
        pending[place].append((record.timestamp_ms, record.key.encode(), record.value))
        if len(pending[place]) == FETCH_RECORDS:
            close(place)
    for place in list(pending):
        close(place)
    return drawn


def profile(fetches: Sequence[Fetched], cubes: Sequence[Cube]) -> dict[str, Any]:
    """Fold the fetches and return microseconds of processor time per event, by stage."""
    watch = Stopwatch()
    states = [
        PartitionState(number, shops={SHOP.shop_id: SHOP}, settings=FoldSettings(), cubes=cubes)
        for number in range(PARTITIONS)
    ]
    flushed_rows = flushed_bytes = since_flush = 0
    cube_seconds: dict[str, float] = defaultdict(float)
    with ExitStack() as stack:
        for name, owner, attribute in STAGES:
            if owner is not None:
                timed = watch.timed(name, getattr(owner, attribute))
                stack.enter_context(mock.patch.object(owner, attribute, timed))
        for kind, attribute in itertools.product((CubeCells, ThetaCells), ("add", "take_rows")):
            own = by_cube(getattr(kind, attribute), cube_seconds)
            stack.enter_context(mock.patch.object(kind, attribute, own))
        tune_collector()
        began_cpu, began_wall = time.process_time(), time.perf_counter()
        with watch.stage("rest"):
            for number, fetch in enumerate(fetches, 1):
                with watch.stage(FETCH):
                    records = _unpacked(fetch)
                with watch.stage(COLUMNS):
                    states[fetch.partition].fold(batch_of(fetch.topic, fetch.partition, records))
                since_flush += fetch.records
                if since_flush < FLUSH_EVERY_RECORDS and number < len(fetches):
                    continue
                since_flush = 0
                for state in states:
                    flush = state.take_flush()
                    if flush is None:
                        continue
                    encoded = wire.encode_flush(flush)
                    with watch.stage(SEND):
                        for rows in (encoded.state, encoded.facts):
                            flushed_bytes += _packed_bytes(rows)
                            flushed_rows += len(rows)
        cpu_s, wall_s = time.process_time() - began_cpu, time.perf_counter() - began_wall
        gc.unfreeze()
    events = sum(fetch.records for fetch in fetches)
    counted = sum(
        position.outcomes.get(outcome, 0)
        for state in states
        for position in state.positions()
        for outcome in (Outcome.COUNTED, Outcome.COUNTED_LATE)
    )
    if counted != events:
        message = f"{events} events in, {counted} counted: the profile measured something else"
        raise RuntimeError(message)
    return {
        "events": events,
        "cubes": [cube.name for cube in cubes],
        "cpu_us_per_event": round(cpu_s / events * 1e6, 2),
        "wall_us_per_event": round(wall_s / events * 1e6, 2),
        "events_per_cpu_second": round(events / cpu_s),
        "rows_flushed": flushed_rows,
        "bytes_flushed_per_event": round(flushed_bytes / events, 1),
        "cubes_us_per_event": {
            name: round(seconds / events * 1e6, 3) for name, seconds in cube_seconds.items()
        },
        "stages_us_per_event": {
            name: round(watch.seconds[name] / events * 1e6, 3)
            for name in (*(name for name, _, _ in STAGES), "rest")
            if name in watch.seconds
        },
    }


def by_cube(function: Callable[..., Any], seconds: dict[str, float]) -> Callable[..., Any]:
    """Return a method of cells, its processor time booked under the cube's name, stages within included."""

    def wrapper(cells: CubeCells | ThetaCells, *args: Any) -> Any:
        began = time.process_time()
        result = function(cells, *args)
        seconds[cells.cube.name] += time.process_time() - began
        return result

    return wrapper


def _unpacked(fetch: Fetched) -> list[Any]:
    """Return the records of a fetch as the worker's consumer hands them over."""
    place = TopicPartition(fetch.topic, fetch.partition)
    images = fetched.Fetched(fetch.image)
    chunks = ChunkedPartitionRecords(place, images, [], 0, RAW, None, True, READ_COMMITTED)
    return [record for chunk in chunks for record in chunk.records or ()]


def _packed_bytes(rows: Sequence[tuple[bytes, bytes | None]]) -> int:
    """Pack records as the flush does and return the bytes that would be sent."""
    total, remaining = 0, iter(rows)
    row = next(remaining, None)
    while row is not None:
        builder = DefaultRecordBatchBuilder(2, _LZ4, True, 1, 1, 0, BATCH_BYTES)
        number = 0
        while row is not None and builder.append(number, 0, row[0], row[1], []) is not None:
            number += 1
            row = next(remaining, None)
        total += len(builder.build())
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the profile and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    results = {
        "w1": profile(fetches_of(options.records, IMPRESSIONS_ONLY), (PRODUCT_DAY,)),
        "impressions": profile(fetches_of(options.records, IMPRESSIONS_ONLY), CUBES),
        "orders": profile(fetches_of(options.records // 10, ORDERS_ONLY), CUBES),
        "full": profile(fetches_of(options.records, CAMPAIGN_MIX), CUBES),
    }
    if options.json:
        json.dump(results, sys.stdout, indent=2)
        print()
        return 0
    for name, result in results.items():
        print(f"{name}: {result['cpu_us_per_event']} us an event, {result['events_per_cpu_second']} a second")
        for stage, microseconds in result["stages_us_per_event"].items():
            print(f"  {microseconds:7.3f}  {stage}")
        for cube, microseconds in result["cubes_us_per_event"].items():
            print(f"  {microseconds:7.3f}  in all, cube {cube}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
