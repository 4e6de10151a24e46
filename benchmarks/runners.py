"""The three ways of doing W1 side by side: each is a process, each gives a rate and a table."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.cluster import PARTITIONS, Cluster
from benchmarks.w1 import Table, read
from benchmarks.worker import Progress, WorkerRun, kept

if TYPE_CHECKING:
    from collections.abc import Sequence

BASELINE_WITHIN_S: Final = 600
COMMIT_WITHIN_S: Final = 60.0

LOOK_EVERY_S: Final = 0.25
"""Nobody looks at the baselines while they run. A look takes 3.6 ms of processor time, the broker's share included."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one runner."""

    records: int
    seconds: float
    table: Table
    progress: Progress | None = None

    @property
    def events_per_second(self) -> float:
        """Return the rate."""
        return self.records / self.seconds


def stock_faust(cluster: Cluster, prefix: str, records: int, run: int) -> Result:
    """Count a world with a stock Faust agent; `run` makes its tables its own."""
    return _process(
        "benchmarks.stock_faust",
        ["--bootstrap", cluster.bootstrap, "--topic", f"{prefix}impressions", "--group", f"stock{run}"],
        records,
    )


def bare_loop(cluster: Cluster, prefix: str, records: int, decoder: str) -> Result:
    """Count a world with a bare consumer loop."""
    return _process(
        "benchmarks.bare_loop",
        [
            *("--bootstrap", cluster.bootstrap, "--topic", f"{prefix}impressions"),
            *("--partitions", str(PARTITIONS), "--decoder", decoder),
        ],
        records,
    )


def our_worker(
    cluster: Cluster, prefix: str, run: int, cubes: Sequence[str], *, processes: int = 1
) -> Result:
    """Count a world with our worker; its state is fresh, its table is read back from the state topic.

    Raises:
        RuntimeError: the worker ended or stood still, or a record did not count.
    """
    cluster.reset_state(prefix)
    settings = cluster.settings(prefix, app=f"bench{run}")
    ends = cluster.end_offsets(prefix)
    with WorkerRun(settings, cubes=cubes, processes=processes) as worker:
        worker.wait_assigned()
        progress = worker.wait_committed(ends, within_s=COMMIT_WITHIN_S, look_every_s=LOOK_EVERY_S)
    state = kept(settings)
    outcomes = state.outcomes()
    if sum(outcomes.values()) != progress.records or state.uncounted():
        message = f"{progress.records} records were read, outcomes are {outcomes}"
        raise RuntimeError(message)
    return Result(progress.records, progress.seconds, state.w1(), progress)


def _process(module: str, arguments: Sequence[str], records: int) -> Result:
    """Run a baseline as a process and read its last line and its table."""
    with tempfile.TemporaryDirectory(prefix="warroom-bench-") as folder:
        path = Path(folder) / "table.json"
        command = [sys.executable, "-m", module, *arguments, "--records", str(records), "--table", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=BASELINE_WITHIN_S, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            message = f"{module} ended with code {done.returncode}: {done.stderr[-3000:]}"
            raise RuntimeError(message)
        answer = json.loads(lines[-1])
        return Result(answer["records"], answer["seconds"], read(path))
