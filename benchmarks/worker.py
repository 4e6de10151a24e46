"""Our worker as its users run it: a process of its own, watched from outside.

Nothing in the worker is patched for a measurement. It starts from a file of settings; what it has done is read from
what it has committed: the offsets that travel in the transaction of each flush say when a record is durable, and the
rows of the state topic say what was counted.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psutil
from confluent_kafka import Consumer, TopicPartition

from agents.clients import group_id
from agents.processes import command
from agents.restore import read_stored
from benchmarks.w1 import Table, TableBuilder
from streams import sketches
from streams.days import day_label
from streams.outcomes import COUNTING, Outcome
from streams.settings import Settings
from streams.state import PeopleRow, Position, StateRow
from streams.wire import decode_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

LOOK_EVERY_S: Final = 0.05
ASSIGNED: Final = b"Owns partitions"
"""In the worker's log once the state is loaded and the next thing is the first fetch."""

START_WITHIN_S: Final = 60.0
END_WITHIN_S: Final = 15.0


@dataclass(slots=True)
class Progress:
    """What a worker did until everything was committed.

    Attributes:
        records: read and durable.
        seconds: from the assignment of partitions to the commit of the last record.
        cpu_seconds: of the worker's processes in that time.
        peak_rss_bytes: greatest resident size seen, of all processes, at each look.
        commits: (seconds, records) at each look that found more committed.
        sizes: (records, resident size) at every look.
    """

    records: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_rss_bytes: int = 0
    commits: list[tuple[float, int]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def greatest_size(self, first: float, last: float) -> int:
        """Return the greatest resident size, in bytes, while durable records were between two numbers.

        Commits of a worker that catches up are far apart: where none lies between, that of the last look before.
        """
        between = [size for done, size in self.sizes if first <= done <= last]
        before = [size for done, size in self.sizes if done < first]
        return max(between, default=before[-1] if before else 0)


class WorkerRun:
    """One worker; use as a context manager.

    Args:
        settings: written to a file that the worker reads.
        cubes: names of the cubes to fold; all when empty.
        processes: that share its partitions.
    """

    def __init__(self, settings: Settings, *, cubes: Sequence[str] = (), processes: int = 1) -> None:
        self.settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="warroom-bench-")
        self._log = Path(self._folder.name) / "worker.log"
        chosen = [f"--cube={cube}" for cube in cubes]
        self._command = command(settings, Path(self._folder.name), f"--processes={processes}", *chosen)
        self._offsets = Consumer(
            {"bootstrap.servers": settings.kafka.bootstrap, "group.id": group_id(settings.kafka)}
        )

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(self._command, stdout=log, stderr=log)
        self.process = psutil.Process(self._popen.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self._offsets.close()
        self._folder.cleanup()

    def family(self) -> list[psutil.Process]:
        """Return every process of the worker."""
        return [self.process, *self.process.children(recursive=True)]

    def resident_bytes(self) -> int:
        """Return the resident size of all processes."""
        return sum(process.memory_info().rss for process in self.family())

    def wait_assigned(self) -> None:
        """Wait until the worker owns its partitions.

        Raises:
            RuntimeError: it ended or took longer than `START_WITHIN_S`.
        """
        deadline = time.monotonic() + START_WITHIN_S
        while ASSIGNED not in self._log.read_bytes():
            self.check_alive()
            if time.monotonic() > deadline:
                self._fail("owned no partition in time")
            time.sleep(0.005)

    def wait_committed(
        self, ends: Mapping[TopicPartition, int], *, within_s: float, look_every_s: float = LOOK_EVERY_S
    ) -> Progress:
        """Wait until everything up to the ends is durable; call it right after `wait_assigned`.

        Args:
            ends: by partition.
            within_s: without a commit in this time, it fails.
            look_every_s: a look takes some milliseconds of the same cores.

        Raises:
            RuntimeError: the worker ended, or made no commit for `within_s`.
        """
        progress = Progress()
        places = [place for place, end in ends.items() if end]
        total = sum(ends.values())
        cpu_before = _cpu_seconds(self.family())
        started = last = time.perf_counter()
        while progress.records < total:
            time.sleep(look_every_s)
            self.check_alive()
            done = self.committed(places)
            now = time.perf_counter()
            resident = self.resident_bytes()
            progress.peak_rss_bytes = max(progress.peak_rss_bytes, resident)
            progress.sizes.append((done, resident))
            if done > progress.records:
                progress.commits.append((now - started, done))
                progress.records, last = done, now
            elif now - last > within_s:
                self._fail(f"committed nothing for {within_s:.0f} s at {progress.records} of {total} records")
        progress.seconds = last - started
        progress.cpu_seconds = _cpu_seconds(self.family()) - cpu_before
        return progress

    def wait_first_commit(self, ends: Mapping[TopicPartition, int]) -> None:
        """Wait until anything is durable.

        Raises:
            RuntimeError: the worker ended or took longer than `START_WITHIN_S`.
        """
        places = [place for place, end in ends.items() if end]
        deadline = time.monotonic() + START_WITHIN_S
        while not self.committed(places):
            self.check_alive()
            if time.monotonic() > deadline:
                self._fail("committed nothing in time")
            time.sleep(LOOK_EVERY_S)

    def watch_memory(self, seconds: float) -> int:
        """Return the greatest resident size, in bytes, that is seen over some seconds."""
        peak = 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check_alive()
            peak = max(peak, self.resident_bytes())
            time.sleep(LOOK_EVERY_S)
        return peak

    def committed(self, places: Sequence[TopicPartition]) -> int:
        """Return how many records of these partitions are durable; partitions begin at offset 0."""
        found = self._offsets.committed([TopicPartition(p.topic, p.partition) for p in places], timeout=10)
        return sum(max(place.offset, 0) for place in found)

    def check_alive(self) -> None:
        """Raise RuntimeError with the end of the log when the worker has ended."""
        if self._popen.poll() is not None:
            self._fail(f"ended with code {self._popen.returncode}")

    def _fail(self, what: str) -> None:
        message = f"the worker {what}: {self._log.read_text(errors='replace')[-3000:]}"
        raise RuntimeError(message)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a worker has left in its state topic: rows per partition, and what became of the records."""

    rows: list[StateRow]
    people: list[PeopleRow]
    positions: list[Position]

    def outcomes(self) -> dict[Outcome, int]:
        """Return records per outcome over all topics."""
        totals: dict[Outcome, int] = {}
        for position in self.positions:
            for outcome, records in position.outcomes.items():
                totals[outcome] = totals.get(outcome, 0) + records
        return totals

    def uncounted(self) -> int:
        """Return how many records are not in the numbers."""
        return sum(records for outcome, records in self.outcomes().items() if outcome not in COUNTING)

    def w1(self) -> Table:
        """Return the W1 table of the impressions."""
        builder = TableBuilder()
        for row in self.rows:
            if row.key.cube == "product_day" and row.key.event_type == "product_impression" and row.events:
                product_id, atom = row.key.dims
                people = sketches.load(row.sketch) if row.sketch is not None else None
                builder.add_sketch(day_label(row.key.bucket), product_id, int(atom), row.events, people)
        for key, image in self.people:
            if key.cube == "product_day" and key.event_type == "product_impression" and image is not None:
                product_id, atom = key.dims
                builder.add_sketch(day_label(key.bucket), product_id, int(atom), 0, sketches.load(image))
        return builder.table()


def kept(settings: Settings) -> Kept:
    """Read the state topic to its end, whole transactions only."""
    stored = asyncio.run(read_stored(settings.kafka, range(settings.kafka.partitions)))
    rows: list[StateRow] = []
    people: list[PeopleRow] = []
    positions: list[Position] = []
    for one in stored.values():
        for key, value in one.state.items():
            record = decode_state(key, value)
            if isinstance(record, StateRow):
                rows.append(record)
            elif isinstance(record, PeopleRow):
                people.append(record)
            elif isinstance(record, Position):
                positions.append(record)
    return Kept(rows, people, positions)


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(each.user + each.system for each in times))
