"""Measure throughput: our worker against stock Faust and a bare loop, on one broker in one run.

    python -m benchmarks.throughput --json

W1 of the design (count and distinct users per shop-day, product and slice) is run by a stock Faust agent, by a bare
confluent-kafka loop with either decoder, and by our worker with that cube alone; rounds are interleaved, so that a
noisy minute hits all of them, and every run's table is asserted. Then our whole worker folds a campaign's mix. Details
and the checks that fail a run: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from agents.processes import count
from benchmarks import bare_loop, stock_faust
from benchmarks.cluster import Cluster
from benchmarks.load import CAMPAIGN_DAY_EVENTS, CAMPAIGN_MIX, Load
from benchmarks.preload import preload
from benchmarks.runners import Result, our_worker
from benchmarks.runners import bare_loop as run_bare_loop
from benchmarks.runners import stock_faust as run_stock_faust
from benchmarks.w1 import Table, difference, summary

SMALL, LARGE, MIXED = "w1small.", "w1large.", "mixed."
W1_CUBES: Final = ("product_day",)

MIN_BARE_OF_MEMORY: Final = 0.4
"""The bare loop must reach this part of the same decoder on values already in memory (0.75 to 0.95 is usual)."""

MIN_STOCK_OF_MEMORY: Final = 0.015
"""Stock Faust must reach this part of its own agent's body run without Faust (0.03 to 0.06 is usual)."""

MAX_SPREAD: Final = 3.0
"""The fastest run of a runner may be at most this many times its slowest, or the machine was not ours."""


class SuspiciousError(Exception):
    """A baseline or a table is not what it must be: the figures would mean nothing."""


@dataclass(slots=True)
class Series:
    """The rates of one runner over the rounds."""

    name: str
    rates: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Return the median rate, events a second."""
        return statistics.median(self.rates)

    def document(self) -> dict[str, object]:
        """Return median, spread and every round."""
        return {
            "median": round(self.median),
            "min": round(min(self.rates)),
            "max": round(max(self.rates)),
            "rounds": [round(rate) for rate in self.rates],
        }


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large a run is."""

    records: int
    stock_records: int
    mixed_records: int
    rounds: int
    only_tables: bool = False
    """Assert tables and outcomes, but believe any speed: for a run that is too small to be measured."""


def measure(sizes: Sizes, say: Callable[[str], None]) -> dict[str, object]:
    """Run everything and return the document.

    Raises:
        SuspiciousError: a table differs, or a baseline is too slow to be believed.
        RuntimeError: a runner failed.
    """
    began = time.monotonic()
    small, large = (
        Load(count, day_events=CAMPAIGN_DAY_EVENTS) for count in (sizes.stock_records, sizes.records)
    )
    mixed = Load(sizes.mixed_records, mix=CAMPAIGN_MIX, day_events=CAMPAIGN_DAY_EVENTS)
    with Cluster() as cluster:
        for prefix, load in ((SMALL, small), (LARGE, large), (MIXED, mixed)):
            say(f"loading {load.records:,} records into {prefix}*")
            cluster.create(prefix)
            preload(load, cluster.bootstrap, prefix)
            cluster.seal(prefix)
        say("folding the expected tables")
        expected_small, expected_large = small.expected_w1(), large.expected_w1()
        _same_table_everywhere(cluster, sizes, expected_small, say)
        names = ("stock", *bare_loop.DECODERS, "ours", "ours_one_process", "full", "full_one_process")
        series = {name: Series(name) for name in names}
        processes = count(cluster.settings(LARGE))
        costs: dict[str, list[float]] = {"w1": [], "full": []}
        run = 100

        def add(name: str, result: Result, expected: Table | None) -> None:
            if expected is not None:
                _assert_table(name, result.table, expected)
            series[name].rates.append(result.events_per_second)
            say(f"{name}: {result.events_per_second:,.0f} events a second")

        for number in range(sizes.rounds):
            say(f"round {number + 1} of {sizes.rounds}")
            run += 2
            add("stock", run_stock_faust(cluster, SMALL, sizes.stock_records, run), expected_small)
            for decoder in bare_loop.DECODERS:
                add(decoder, run_bare_loop(cluster, LARGE, sizes.records, decoder), expected_large)
            ours = our_worker(cluster, LARGE, run, W1_CUBES, processes=processes)
            add("ours", ours, expected_large)
            costs["w1"].append(_cpu_us(ours))
            add("ours_one_process", our_worker(cluster, LARGE, run + 1, W1_CUBES), expected_large)
            full = our_worker(cluster, MIXED, run, (), processes=processes)
            add("full", full, mixed.expected_w1() if number == 0 else None)
            costs["full"].append(_cpu_us(full))
            add("full_one_process", our_worker(cluster, MIXED, run + 1, ()), None)
    memory = _in_memory(large)
    if not sizes.only_tables:
        _check(series, memory)
    limit = max((series[name] for name in bare_loop.DECODERS), key=lambda one: one.median)
    stock, ours_w1, full_all = series["stock"].median, series["ours"].median, series["full"].median
    w1_alone, full_alone = series["ours_one_process"].median, series["full_one_process"].median
    return {
        "worker_processes": processes,
        "w1_events_per_second": round(ours_w1),
        "w1_of_limit": round(ours_w1 / limit.median, 3),
        "w1_times_stock": round(ours_w1 / stock, 1),
        "full_events_per_second": round(full_all),
        "full_times_stock": round(full_all / stock, 1),
        "w1_one_process_of_limit": round(w1_alone / limit.median, 3),
        "w1_one_process_times_stock": round(w1_alone / stock, 1),
        "full_one_process_times_stock": round(full_alone / stock, 1),
        "stock_events_per_second": round(stock),
        "limit_events_per_second": round(limit.median),
        "limit_decoder": limit.name,
        "w1_cpu_us_per_event": round(statistics.median(costs["w1"]), 2),
        "full_cpu_us_per_event": round(statistics.median(costs["full"]), 2),
        "w1_table": summary(expected_large),
        "runners": {name: one.document() for name, one in series.items()},
        "in_memory": {name: round(rate) for name, rate in memory.items()},
        "records": {"w1": sizes.records, "stock": sizes.stock_records, "full": sizes.mixed_records},
        "seconds": round(time.monotonic() - began),
    }


def _same_table_everywhere(
    cluster: Cluster, sizes: Sizes, expected: Table, say: Callable[[str], None]
) -> None:
    """Let every runner print its table of the same small world: the same W1, whoever counts it."""
    runs: list[tuple[str, Result]] = [
        ("stock", run_stock_faust(cluster, SMALL, sizes.stock_records, 0)),
        *((name, run_bare_loop(cluster, SMALL, sizes.stock_records, name)) for name in bare_loop.DECODERS),
        ("ours", our_worker(cluster, SMALL, 0, W1_CUBES)),
    ]
    for name, result in runs:
        say(f"{name:>8}: {summary(result.table)}")
        _assert_table(name, result.table, expected)


def _assert_table(name: str, found: Table, expected: Table) -> None:
    wrong = difference(found, expected)
    if wrong is not None:
        message = f"the W1 table of {name} is wrong at {wrong}"
        raise SuspiciousError(message)


def _in_memory(load: Load) -> dict[str, float]:
    """Return what the baselines' own code reaches without Kafka: the yardstick of this machine, in this run."""
    count = min(load.records, 100_000)
    values = []
    for record in load.rendered():
        values.append(record.value)
        if len(values) == count:
            break
    rates = {
        name: count / bare_loop.in_memory(values, decoder()) for name, decoder in bare_loop.DECODERS.items()
    }
    body = values[: min(count, 5_000)]
    return rates | {"stock": len(body) / stock_faust.in_memory(body)}


def _check(series: dict[str, Series], memory: dict[str, float]) -> None:
    """Fail the run when a baseline cannot be believed.

    Raises:
        SuspiciousError: says which, and by how much.
    """
    for name, share in (
        *((name, MIN_BARE_OF_MEMORY) for name in bare_loop.DECODERS),
        ("stock", MIN_STOCK_OF_MEMORY),
    ):
        reached = series[name].median / memory[name]
        if reached < share:
            message = f"{name} reached {reached:.3f} of its code in memory, at least {share} is expected"
            raise SuspiciousError(message)
    for one in series.values():
        if max(one.rates) > MAX_SPREAD * min(one.rates):
            message = f"{one.name} ran at {min(one.rates):,.0f} and at {max(one.rates):,.0f}: the machine is not quiet"
            raise SuspiciousError(message)


def _cpu_us(result: Result) -> float:
    return result.progress.cpu_seconds / result.records * 1e6 if result.progress is not None else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0, or 1 when a baseline or a table is not to be believed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--records", type=int, default=4_000_000, help="of W1 (default 4,000,000)")
    parser.add_argument(
        "--stock-records", type=int, default=20_000, help="for the stock agent (default 20,000)"
    )
    parser.add_argument("--mixed-records", type=int, default=1_000_000, help="of the mix (default 1,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument(
        "--only-tables", action="store_true", help="assert tables, not speeds: for a very small form"
    )
    options = parser.parse_args(arguments)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    sizes = Sizes(
        options.records, options.stock_records, options.mixed_records, options.rounds, options.only_tables
    )
    try:
        document = measure(sizes, say)
    except SuspiciousError as error:
        say(f"not to be believed: {error}")
        return 1
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        for name, value in document.items():
            print(f"{name:>24}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
