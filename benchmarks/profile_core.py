"""What an event costs in the core, stage by stage: the fold and the encoding of its flushes, in this process alone.

    python -m benchmarks.profile_core --records 400000 --json

No broker, no transport. Stages are timed by wrapping the functions that the fold calls (a few calls a batch, so the
timing itself costs nothing that shows); `rest` is what lies between them. Microseconds are of processor time: the
machine may be shared. The load is that of the other benchmarks, in four partitions and in fetches of about 2 MiB.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest import mock

from benchmarks.load import CAMPAIGN_DAY_EVENTS, CAMPAIGN_MIX, IMPRESSIONS_ONLY, SHOP, Load
from streams import fold, intake, wire
from streams.coding import Coding, Dimensions
from streams.cube_cells import CubeCells
from streams.cube_set import CubeSet
from streams.cubes import CUBES, PRODUCT_DAY, Cube
from streams.facts import FactIndex
from streams.fold import PartitionState
from streams.outcomes import Outcome
from streams.records import RecordBatch
from streams.repeats import RepeatWindow
from streams.settings import FoldSettings
from streams.validation import Admission

PARTITIONS: Final = 4
FETCH_RECORDS: Final = 5_000
FLUSH_EVERY_RECORDS: Final = 50_000
"""About a flush a second for a worker at full speed."""

STAGES: Final[tuple[tuple[str, Any, str], ...]] = (
    ("decode: bytes to columns (fast path)", intake, "decode_fast"),
    ("decode: one by one (facts, doubtful batches)", intake, "_read_one_by_one"),
    ("code: names to integers", Coding, "code"),
    ("admit: shop, currency, times", Admission, "refused_rows"),
    ("repeats: hash ids", fold, "hash_ids"),
    ("repeats: window", RepeatWindow, "judge"),
    ("cubes: buckets of time", CubeSet, "_scopes"),
    ("cubes: combinations of names", Dimensions, "codes"),
    ("cubes: find cells", CubeCells, "_rows_of"),
    ("cubes: count and unite people", CubeCells, "add"),
    ("facts: latest of their key", FactIndex, "fold"),
    ("flush: take changed rows", PartitionState, "take_flush"),
    ("flush: encode", wire, "encode_flush"),
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


def batches(records: int, mix: tuple[tuple[str, float], ...]) -> list[RecordBatch]:
    """Draw the load as fetches: each partition of each topic in offset order, interleaved as they fill."""
    pending: dict[tuple[str, int], list[tuple[int, bytes, bytes]]] = defaultdict(list)
    offsets: dict[tuple[str, int], int] = defaultdict(int)
    drawn = []

    def close(place: tuple[str, int]) -> None:
        rows = pending.pop(place)
        first = offsets[place]
        offsets[place] += len(rows)
        timestamps, values, keys = zip(*rows, strict=True)
        drawn.append(
            RecordBatch(place[0], place[1], range(first, first + len(rows)), timestamps, values, keys)
        )

    for record in Load(records, mix=mix, day_events=max(CAMPAIGN_DAY_EVENTS, 2 * records)).rendered():
        place = (record.topic, zlib.crc32(record.key.encode()) % PARTITIONS)
        pending[place].append((record.timestamp_ms, record.value, record.key.encode()))
        if len(pending[place]) == FETCH_RECORDS:
            close(place)
    for place in list(pending):
        close(place)
    return drawn


def profile(fetches: Sequence[RecordBatch], cubes: Sequence[Cube]) -> dict[str, Any]:
    """Fold the fetches and return microseconds of processor time per event, by stage."""
    watch = Stopwatch()
    states = [
        PartitionState(number, shops={SHOP.shop_id: SHOP}, settings=FoldSettings(), cubes=cubes)
        for number in range(PARTITIONS)
    ]
    flushed_rows = flushed_bytes = since_flush = 0
    counted = 0
    with ExitStack() as stack:
        for name, owner, attribute in STAGES:
            timed = watch.timed(name, getattr(owner, attribute))
            stack.enter_context(mock.patch.object(owner, attribute, timed))
        gc.collect()
        gc.freeze()
        began_cpu, began_wall = time.process_time(), time.perf_counter()
        with watch.stage("rest"):
            for number, fetch in enumerate(fetches, 1):
                states[fetch.partition].fold(fetch)
                since_flush += len(fetch.offsets)
                if since_flush < FLUSH_EVERY_RECORDS and number < len(fetches):
                    continue
                since_flush = 0
                for state in states:
                    flush = state.take_flush()
                    if flush is None:
                        continue
                    encoded = wire.encode_flush(flush)
                    flushed_rows += len(encoded.state) + len(encoded.facts)
                    flushed_bytes += sum(
                        len(key) + len(value or b"") for key, value in (*encoded.state, *encoded.facts)
                    )
        cpu_s, wall_s = time.process_time() - began_cpu, time.perf_counter() - began_wall
        gc.unfreeze()
    events = sum(len(fetch.offsets) for fetch in fetches)
    for state in states:
        counted += sum(
            position.outcomes.get(outcome, 0)
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
        "stages_us_per_event": {
            name: round(watch.seconds[name] / events * 1e6, 3)
            for name in (*(name for name, _, _ in STAGES), "rest")
            if name in watch.seconds
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the profile and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    results = {
        "w1": profile(batches(options.records, IMPRESSIONS_ONLY), (PRODUCT_DAY,)),
        "full": profile(batches(options.records, CAMPAIGN_MIX), CUBES),
    }
    if options.json:
        json.dump(results, sys.stdout, indent=2)
        print()
        return 0
    for name, result in results.items():
        print(f"{name}: {result['cpu_us_per_event']} us an event, {result['events_per_cpu_second']} a second")
        for stage, microseconds in result["stages_us_per_event"].items():
            print(f"  {microseconds:7.3f}  {stage}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
