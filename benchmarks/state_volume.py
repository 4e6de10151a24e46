"""Count the state: rows and bytes a second per cube, time to restore and memory, for the reference shop.

    python -m benchmarks.state_volume --json

The reference shop (design, decision 14) has a campaign day of 20 million events among days of 1 million. One of four
partitions is folded and its figures are times four: keys spread over partitions evenly. The day up to its last half
minute goes straight into the cubes; what they hold becomes state records; a partition is restored from these, beside
the records of all other days that are still kept (`fold.hot_days`), and the last half minute comes to it as JSON at
20,000 events a second, with a flush each second. So sketches are as full as they are late on a campaign day.

`--dense` gives a bound that does not depend on the day: every cell has the largest sketch that its cube can have, and
every event comes from someone new. It needs no day, and is what the test holds to the budget.

No broker: bytes are those of record batches as the worker makes them, before compression and after lz4.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import psutil
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from agents.worker import tune_collector
from benchmarks.load import CAMPAIGN_DAY_EVENTS
from benchmarks.shop_day import PARTITIONS, Kept, ShopDay, new_partition
from streams import cell_people, sketches, theta, theta_cells
from streams.cubes import CUBE_BY_NAME, CUBES, Cube, Grain
from streams.days import DAY_MS
from streams.fold import PartitionState
from streams.repeats import RepeatWindow
from streams.settings import FoldSettings
from streams.state import PeopleRow, RowKey
from streams.wire import StateRecord, decode_fact, decode_state, encode_flush

OTHER_EVENTS: Final = 1_000_000
EVENTS_PER_SECOND: Final = 20_000
SECONDS: Final = 30
BUDGET_BYTES: Final = 10_000_000
"""A second, for a worker that owns all partitions, before compression (design, decision 14)."""

DENSE_PEOPLE_FACTOR: Final = 6
"""People for each register of a sketch that is to be dense."""

_BATCH_BYTES: Final = 900_000
_LZ4: Final = 3
_REPEAT_IDS: Final = 1_000_000


@dataclass(slots=True)
class Volume:
    """What one kind of record takes.

    Attributes:
        records, plain_bytes, lz4_bytes: written over the measured time, in one partition.
        live_rows, live_bytes: that a partition has to read when it is restored.
    """

    records: int = 0
    plain_bytes: int = 0
    lz4_bytes: int = 0
    live_rows: int = 0
    live_bytes: int = 0


def measure(
    *,
    campaign_events: int = CAMPAIGN_DAY_EVENTS,
    other_events: int = OTHER_EVENTS,
    events_per_second: int = EVENTS_PER_SECOND,
    seconds: int = SECONDS,
    dense: bool = False,
    shop_tab: float = 0.0,
) -> dict[str, Any]:
    """Return the document.

    Args:
        campaign_events: of the campaign day, in all partitions; more than those of the measured seconds.
        other_events: of each other day that is kept.
        events_per_second: in all partitions, while flushes are measured.
        seconds: for which they are.
        dense: see the module.
        shop_tab: of `ShopDay`.
    """
    day = ShopDay(campaign_events, last=seconds * events_per_second, shop_tab=shop_tab)
    # The bound needs the cells that the measured seconds touch and no others: they are all that flushes write.
    kept = _dense(day.kept(day.seconds(events_per_second))) if dense else day.kept(day.earlier())
    other = Kept() if dense else _whole(ShopDay(other_events, shop_tab=shop_tab))
    volumes: dict[str, Volume] = defaultdict(Volume)
    state, restored = _restored(kept, other, volumes)
    flush_cpu_s = 0.0
    offsets: dict[str, int] = defaultdict(int)
    flushes = 0
    for chunk in day.seconds(events_per_second):
        for batch in day.batches(chunk, offsets, strangers=dense):
            state.fold(batch)
        began_s = time.process_time()
        flush = state.take_flush()
        if flush is None:
            message = "a second without a record"
            raise RuntimeError(message)
        encoded = encode_flush(flush)
        flush_cpu_s += time.process_time() - began_s
        flushes += 1
        for records in (encoded.state, encoded.facts, encoded.dead_letters):
            _account(records, volumes)
    if flushes != seconds:
        message = f"{flushes} flushes in {seconds} seconds"
        raise RuntimeError(message)
    per_second = {name: _per_second(volume, seconds) for name, volume in sorted(volumes.items())}
    total = {
        unit: sum(figures[unit] for figures in per_second.values())
        for unit in ("rows_per_second", "bytes_per_second", "lz4_bytes_per_second")
    }
    return {
        "campaign_events": campaign_events,
        "other_events": other_events,
        "events_per_second": events_per_second,
        "seconds": seconds,
        "dense": dense,
        "shop_tab": shop_tab,
        "kinds": per_second,
        **total,
        "budget_bytes_per_second": BUDGET_BYTES,
        "within_budget": total["bytes_per_second"] <= BUDGET_BYTES,
        "flush_cpu_ms_per_second": round(PARTITIONS * flush_cpu_s / seconds * 1e3, 1),
        "restore": restored,
    }


def _whole(day: ShopDay) -> Kept:
    return day.kept(day.earlier())


def _dense(kept: Kept) -> Kept:
    """Give every cell the largest sketch of its cube, and people since then who are on average half of what may be."""
    draw = np.random.default_rng(14)
    whole: dict[str, bytes] = {}
    recent: dict[str, list[bytes]] = {}
    for cube in CUBES:
        if cube.lg_k is None:
            continue
        crowd = _image(cube, [f"d_{number}" for number in range(DENSE_PEOPLE_FACTOR << cube.lg_k)])
        most = len(crowd) // (
            theta_cells.RECENT_SHARE if cube.sketch == "theta" else cell_people.RECENT_SHARE
        )
        newcomers: list[str] = []
        whole[cube.name], recent[cube.name] = crowd, []
        while len(image := _image(cube, newcomers)) <= most:
            recent[cube.name].append(image)
            newcomers.append(f"r_{len(newcomers)}")
    rows, people = [], []
    for row in kept.rows:
        name = row.key.cube
        if name not in whole:
            rows.append(row)
        else:
            rows.append(row._replace(sketch=recent[name][draw.integers(len(recent[name]))]))
            people.append(PeopleRow(row.key, whole[name]))
    return dataclasses.replace(kept, rows=rows, people=people)


def _image(cube: Cube, people: Sequence[str]) -> bytes:
    """Return the image of a crowd in the cube's kind of sketch."""
    lg_k = cube.lg_k or 0
    if cube.sketch == "theta":
        counted = theta.new(lg_k)
        for user in people:
            counted.update(user)
        return theta.unite(lg_k, [], counted)
    sketch = sketches.new(lg_k)
    for user in people:
        sketch.update(user)
    return sketches.dump(sketch)


def _restored(kept: Kept, other: Kept, volumes: dict[str, Volume]) -> tuple[PartitionState, dict[str, Any]]:
    """Restore a partition from the bytes of all days that are kept, and return how that went."""
    state, facts = kept.encoded()
    hot_days = FoldSettings().hot_days
    for days_ago in range(1, hot_days + 1 if other.rows else 1):
        older_state, older_facts = _earlier(other, days_ago).encoded()
        state |= older_state
        facts |= older_facts
    for key, value in (*state.items(), *facts.items()):
        volume = volumes[_kind_of(key)]
        volume.live_rows += 1
        volume.live_bytes += len(key) + len(value or b"")
    tune_collector()
    process = psutil.Process()
    resident, began_s, began_cpu_s = process.memory_info().rss, time.perf_counter(), time.process_time()
    partition = new_partition()
    partition.restore(_decoded(state, facts))
    cpu_s, wall_s = time.process_time() - began_cpu_s, time.perf_counter() - began_s
    gc.collect()
    return partition, {
        "records": len(state) + len(facts),
        "bytes": sum(len(key) + len(value or b"") for key, value in (*state.items(), *facts.items())),
        "partition_cpu_s": round(cpu_s, 2),
        "partition_wall_s": round(wall_s, 2),
        "worker_cpu_s": round(PARTITIONS * cpu_s, 2),
        "worker_resident_mib": round(PARTITIONS * (process.memory_info().rss - resident) / (1 << 20)),
        "repeat_window_us_per_id": _repeat_restore_us(),
    }


def _decoded(state: dict[bytes, bytes | None], facts: dict[bytes, bytes | None]) -> Iterator[StateRecord]:
    for key, value in state.items():
        yield decode_state(key, value)
    for key, value in facts.items():
        yield decode_fact(key, value)


def _earlier(kept: Kept, days_ago: int) -> Kept:
    """Return the same rows some days before, without what is no longer kept by then."""
    hours = FoldSettings().minute_hours

    def moved(key: RowKey) -> RowKey:
        cube = CUBE_BY_NAME[key.cube]
        return key._replace(bucket=key.bucket - days_ago * (1 if cube.grain is Grain.DAY else DAY_MS))

    def is_kept(key: RowKey) -> bool:
        return CUBE_BY_NAME[key.cube].keep == "hot_days" or days_ago * 24 < hours

    return Kept(
        [row._replace(key=moved(row.key)) for row in kept.rows if is_kept(row.key)],
        [row._replace(key=moved(row.key)) for row in kept.people if is_kept(row.key)],
        [fact._replace(key=fact.key._replace(ids=(f"{days_ago} {fact.key.ids[0]}",))) for fact in kept.facts],
    )


def _repeat_restore_us() -> float:
    """Return what it takes to restore an id of the repeat window."""
    draw = np.random.default_rng(4)
    keys = draw.integers(0, 1 << 64, _REPEAT_IDS, dtype=np.uint64)
    window = RepeatWindow("impressions", FoldSettings().repeat_window_ms, 2 * _REPEAT_IDS)
    window.judge(keys, np.zeros(_REPEAT_IDS, dtype=np.int64), np.zeros(_REPEAT_IDS, dtype=np.bool_))
    chunks = window.take_chunks()
    began_s = time.process_time()
    RepeatWindow("impressions", FoldSettings().repeat_window_ms, 2 * _REPEAT_IDS).restore(chunks)
    return round((time.process_time() - began_s) / _REPEAT_IDS * 1e6, 3)


def _kind_of(key: bytes) -> str:
    kind, *ids = msgspec.msgpack.decode(key)
    return str(ids[0]) if kind in ("row", "people") else str(kind)


def _account(records: Sequence[tuple[bytes, bytes | None]], volumes: dict[str, Volume]) -> None:
    """Add what one flush writes to a topic, by cube and by kind of the other records."""
    by_kind: dict[str, list[tuple[bytes, bytes | None]]] = defaultdict(list)
    for record in records:
        by_kind[_kind_of(record[0])].append(record)
    for kind, own in by_kind.items():
        volume = volumes[kind]
        volume.records += len(own)
        volume.plain_bytes += _batch_bytes(own, 0)
        volume.lz4_bytes += _batch_bytes(own, _LZ4)


def _batch_bytes(records: Sequence[tuple[bytes, bytes | None]], compression: int) -> int:
    """Return the bytes of records as batches of Kafka's format, version 2."""
    total = 0
    remaining = iter(records)
    record = next(remaining, None)
    while record is not None:
        builder = DefaultRecordBatchBuilder(2, compression, True, 1, 1, 0, _BATCH_BYTES)
        number = 0
        while record is not None and builder.append(number, 0, record[0], record[1], []) is not None:
            number += 1
            record = next(remaining, None)
        total += len(builder.build())
    return total


def _per_second(volume: Volume, seconds: int) -> dict[str, int]:
    return {
        "rows_live": PARTITIONS * volume.live_rows,
        "bytes_live": PARTITIONS * volume.live_bytes,
        "rows_per_second": round(PARTITIONS * volume.records / seconds),
        "bytes_per_second": round(PARTITIONS * volume.plain_bytes / seconds),
        "lz4_bytes_per_second": round(PARTITIONS * volume.lz4_bytes / seconds),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; exit code 1 when the budget is broken."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.state_volume", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument(
        "--campaign-events", type=int, default=CAMPAIGN_DAY_EVENTS, help="of the campaign day"
    )
    parser.add_argument("--other-events", type=int, default=OTHER_EVENTS, help="of each other day kept")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="measured, one flush each")
    parser.add_argument("--dense", action="store_true", help="the bound: every sketch full, everyone new")
    parser.add_argument(
        "--shop-tab", type=float, default=0.0, help="share of each LIVE's and video's events, 0 to 1"
    )
    options = parser.parse_args(arguments)
    document = measure(
        campaign_events=options.campaign_events,
        other_events=options.other_events,
        seconds=options.seconds,
        dense=options.dense,
        shop_tab=options.shop_tab,
    )
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        for kind, figures in document["kinds"].items():
            print(f"{kind:>18} " + "".join(f"{name} {figure:>13,}  " for name, figure in figures.items()))
        for name, value in document.items():
            if name != "kinds":
                print(f"{name:>26}  {value}")
    return 0 if document["within_budget"] else 1


if __name__ == "__main__":
    sys.exit(main())
