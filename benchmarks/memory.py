"""Measure the worker's memory: with many events, with a flush that hangs, with very small batches.

    python -m benchmarks.memory --json [--in-order] [--reference]

Ratios are of greatest resident sizes, each of a worker process of its own with every cube on:

- `large_to_small`: a campaign day of 20 million events against the same day of 5 million, of a shop of 100 products.
  Of so small a shop practically every cell is there after 5 million; what comes on top is state that grows with the
  traffic of a day (orders, ids within the repeat window) or a leak (docs/STATE.md);
- `at_large_to_at_small`: one worker on the larger day, its size at the 20 millionth event against that at the 5
  millionth (the greatest of the looks in the tenth before each); `large_to_its_first_part` the same with the greatest
  sizes from the first event on. All topics are read at once, so the day's orders are in memory at the 5 millionth:
  this finds leaks, and does not show what orders take;
- `in_order_last_to_first`, with `--in-order`: one worker that gets the larger day quarter by quarter, each after it has
  folded the one before, its greatest size in the last against that in the first. So does a live worker see a day; it
  also gains the minutes and quarter hours that were still to come;
- `stalled_to_small`: the small day with the state topics refusing writes for a minute (the broker is told that they
  need two replicas, so flushes hang while records can still be fetched), against the undisturbed one;
- `tiny_batches_to_plain`: records that come one by one in 50,000 fetches, against the same records in large ones;
- `reference_large_to_small`, with `--reference`: both days of the reference shop (2,000 products, 500 contents, 200
  creators), where the larger day also has more cells: held to the bound in docs/STATE.md rather than to a ratio.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from confluent_kafka import Producer

from benchmarks.cluster import Cluster
from benchmarks.load import CAMPAIGN_MIX, REFERENCE_SHOP, SMALL_SHOP, Assortment, Load
from benchmarks.preload import preload
from benchmarks.worker import WorkerRun, kept

if TYPE_CHECKING:
    from benchmarks.worker import Progress
    from streams.settings import Settings

MEBIBYTE: Final = 1 << 20
COMMIT_WITHIN_S: Final = 60.0
QUARTERS: Final = 4


def measure(
    small: int,
    large: int,
    stall_s: float,
    tiny_batches: int,
    say: Callable[[str], None],
    *,
    in_order: bool,
    reference: bool,
) -> dict[str, object]:
    """Run every form and return the document.

    Raises:
        RuntimeError: a worker ended, stood still or lost a record.
    """
    with Cluster() as cluster:
        plain: dict[int, Progress] = {}
        stalled: Progress | None = None
        for records in (small, large):
            prefix = f"memory{records}."
            plain[records] = _run_day(cluster, prefix, records, SMALL_SHOP, say)
            if records == small:
                stalled = _run_stalled(cluster, prefix, stall_s)
                say(f"flush stalled for {stall_s:g} s: {_mebibytes(stalled)} MiB")
            cluster.drop(prefix)
        parts = _run_in_order(cluster, large, say) if in_order else []
        days: dict[int, Progress] = {}
        for records in (small, large) if reference else ():
            days[records] = _run_day(cluster, f"reference{records}.", records, REFERENCE_SHOP, say)
            cluster.drop(f"reference{records}.")
        prefix = "tiny."
        cluster.create(prefix)
        _preload_one_by_one(Load(tiny_batches, mix=CAMPAIGN_MIX), cluster.bootstrap, prefix)
        cluster.seal(prefix)
        few = _run(cluster, cluster.settings(prefix))
        cluster.reset_state(prefix)
        settings = cluster.settings(prefix, app="tiny")
        # One byte a partition: the broker then sends exactly one batch, and each batch is one record.
        tiny = _run(
            cluster, dataclasses.replace(settings, kafka=dataclasses.replace(settings.kafka, fetch_bytes=1))
        )
        say(f"{tiny_batches:,} records, {_mebibytes(few)} MiB; one at a time, {_mebibytes(tiny)} MiB")
    if stalled is None:
        message = "the stalled form was not run"
        raise RuntimeError(message)
    on_demand: dict[str, object] = {}
    if parts:
        on_demand |= {
            "in_order_last_to_first": _ratio(parts[-1], parts[0]),
            "rss_in_order_mib": [_mebibytes(part) for part in parts],
        }
    if days:
        on_demand |= {
            "reference_large_to_small": _ratio(days[large], days[small]),
            "rss_reference_small_mib": _mebibytes(days[small]),
            "rss_reference_large_mib": _mebibytes(days[large]),
        }
    return {
        **on_demand,
        "large_to_small": _ratio(plain[large], plain[small]),
        "at_large_to_at_small": _grown(plain[large], small, large),
        "large_to_its_first_part": _grown(plain[large], small, large, since=0.0),
        "stalled_to_small": _ratio(stalled, plain[small]),
        "tiny_batches_to_plain": _ratio(tiny, few),
        "rss_small_mib": _mebibytes(plain[small]),
        "rss_large_mib": _mebibytes(plain[large]),
        "rss_stalled_mib": _mebibytes(stalled),
        "rss_tiny_batches_mib": _mebibytes(tiny),
        "small_events": small,
        "large_events": large,
        "stall_seconds": stall_s,
        "tiny_batches": tiny_batches,
        "large_events_per_second": round(plain[large].records / plain[large].seconds),
    }


def _run_day(
    cluster: Cluster, prefix: str, records: int, shop: Assortment, say: Callable[[str], None]
) -> Progress:
    """Load a day of a shop and let a worker fold it; its topics stay."""
    say(f"loading {records:,} records of {shop.products:,} products")
    cluster.create(prefix)
    preload(Load(records, mix=CAMPAIGN_MIX, shop=shop), cluster.bootstrap, prefix)
    cluster.seal(prefix)
    progress = _run(cluster, cluster.settings(prefix))
    say(f"{records:,} records: {_mebibytes(progress)} MiB")
    return progress


def _run_in_order(cluster: Cluster, records: int, say: Callable[[str], None]) -> list[Progress]:
    """Load a quarter of a day and let one worker fold it, then the next; return what each quarter took."""
    prefix = "inorder."
    load = Load(records, mix=CAMPAIGN_MIX, shop=SMALL_SHOP)
    cluster.create(prefix)
    settings = cluster.settings(prefix)
    parts: list[Progress] = []
    with contextlib.ExitStack() as running:
        for number in range(QUARTERS):
            if parts:
                cluster.unseal(prefix)
            part = (records * number // QUARTERS, records * (number + 1) // QUARTERS)
            preload(load, cluster.bootstrap, prefix, part=part)
            cluster.seal(prefix)
            if not parts:
                worker = running.enter_context(WorkerRun(settings))
                worker.wait_assigned()
            parts.append(worker.wait_committed(cluster.end_offsets(prefix), within_s=COMMIT_WITHIN_S))
            say(f"in order, up to {parts[-1].records:,} records: {_mebibytes(parts[-1])} MiB")
    _assert_all_counted(settings, parts[-1])
    cluster.drop(prefix)
    return parts


def _run(cluster: Cluster, settings: Settings) -> Progress:
    """Let a worker fold a whole world and return what it took."""
    ends = cluster.end_offsets(settings.kafka.prefix)
    with WorkerRun(settings) as worker:
        worker.wait_assigned()
        progress = worker.wait_committed(ends, within_s=COMMIT_WITHIN_S)
    _assert_all_counted(settings, progress)
    return progress


def _run_stalled(cluster: Cluster, prefix: str, stall_s: float) -> Progress:
    """The same, with the state topics refusing writes for a while soon after the start.

    The transaction and the watchdog get more time than the stall takes: with the defaults the worker ends (code 75)
    long before its memory could show anything.
    """
    cluster.reset_state(prefix)
    settings = cluster.settings(prefix, app="stalled")
    patient_ms = int(stall_s * 3_000) + 60_000
    kafka = dataclasses.replace(settings.kafka, transaction_timeout_ms=patient_ms, stall_after_ms=patient_ms)
    settings = dataclasses.replace(settings, kafka=kafka)
    ends = cluster.end_offsets(prefix)
    with WorkerRun(settings) as worker:
        worker.wait_assigned()
        worker.wait_first_commit(ends)
        cluster.refuse_state_writes(prefix, refuse=True)
        peak = worker.watch_memory(stall_s)
        cluster.refuse_state_writes(prefix, refuse=False)
        progress = worker.wait_committed(ends, within_s=stall_s + COMMIT_WITHIN_S)
    _assert_all_counted(settings, progress)
    progress.peak_rss_bytes = max(progress.peak_rss_bytes, peak)
    return progress


def _assert_all_counted(settings: Settings, progress: Progress) -> None:
    state = kept(settings)
    outcomes = state.outcomes()
    if sum(outcomes.values()) != progress.records or state.uncounted():
        message = f"{progress.records} records were read, outcomes are {outcomes}"
        raise RuntimeError(message)


def _preload_one_by_one(load: Load, bootstrap: str, prefix: str) -> None:
    """Produce a load so that every record is a batch of its own."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 0,
            "batch.num.messages": 1,
            "enable.idempotence": True,
            "log_level": 2,
        }
    )
    for record in load.rendered():
        while True:
            try:
                producer.produce(
                    prefix + record.topic, record.value, record.key, timestamp=record.timestamp_ms
                )
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    if producer.flush(120):
        message = "the broker did not take all records"
        raise RuntimeError(message)


def _ratio(one: Progress, other: Progress) -> float:
    return round(one.peak_rss_bytes / other.peak_rss_bytes, 3)


def _grown(progress: Progress, small: int, large: int, since: float = 0.9) -> float | None:
    """Return the size up to `large` records against that up to `small`, each from the part `since` of them on.

    None when nobody looked in between.
    """
    first = progress.greatest_size(since * small, small)
    return round(progress.greatest_size(since * large, large) / first, 3) if first else None


def _mebibytes(progress: Progress) -> int:
    return round(progress.peak_rss_bytes / MEBIBYTE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; it fails only when a worker does."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument(
        "--small", type=int, default=5_000_000, help="events of the small day (default 5,000,000)"
    )
    parser.add_argument("--large", type=int, default=20_000_000, help="of the large one (default 20,000,000)")
    parser.add_argument(
        "--stall-seconds", type=float, default=60.0, help="a flush hangs for so long (default 60)"
    )
    parser.add_argument(
        "--tiny-batches", type=int, default=50_000, help="fetches of one record (default 50,000)"
    )
    parser.add_argument(
        "--in-order", action="store_true", help="also the large day quarter by quarter (another 5 minutes)"
    )
    parser.add_argument(
        "--reference", action="store_true", help="also both days of the reference shop (another 15 minutes)"
    )
    options = parser.parse_args(arguments)

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    document = measure(
        options.small,
        options.large,
        options.stall_seconds,
        options.tiny_batches,
        say,
        in_order=options.in_order,
        reference=options.reference,
    )
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        for name, value in document.items():
            print(f"{name:>24}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
