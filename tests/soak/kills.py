"""Kill, stop and starve workers under load, and compare what they counted with a fold that nothing happened to.

    python -m tests.soak.kills --kills 10 --json

Real Apache Kafka, mixed topics with repeats, two supervised workers that flush all the time. Faults: kill -9 at random
moments (flushes are frequent, so many fall into one), a third worker that joins and leaves, SIGSTOP for longer than the
session and SIGCONT, the broker stopped for 20 s. After each fault the time is taken until everything that was on the
topics at that moment is durable in the state. At the end every row, fact and outcome must equal the fold of the same
records in one process. Exit code 0 when it does and every recovery was in time.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import logging
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from agents import topics
from streams.settings import KafkaSettings, Settings
from streams.state import Position
from streams.topics import STATE, full_name
from streams.wire import decode_state
from tests import world
from tests.kafka_broker import KafkaBroker
from tests.workers import WorkerProcess

RECOVERY_BEYOND_SESSION_S: Final = 15.0
REFUSED_EXIT_S: Final = 5.0
STOP_S: Final = 30.0
BROKER_AWAY_S: Final = 20.0
SETTLE_S: Final = 90.0
OWNS: Final = re.compile(r"Owns partitions \[([^]]*)\]")
REFUSED: Final = re.compile(r"^(\S+ \S+) CRITICAL .*belongs to another worker now", re.MULTILINE)


@dataclass
class Report:
    """What happened, and what came of it."""

    sent: int = 0
    counted: int = 0
    lost: int = -1
    double: int = -1
    longest_recovery_s: float = 0.0
    kills: int = 0
    stops: int = 0
    broker_stops: int = 0
    joins: int = 0
    uncommitted_records: int = 0
    """Records in the state topic that no reader sees: what flushes had written when they were cut."""
    refused_exit_s: list[float] = field(default_factory=list)
    exits: dict[str, int] = field(default_factory=dict)
    examples: object = None
    seconds: float = 0.0
    passed: bool = False


class Soak:
    """One run."""

    def __init__(self, broker: KafkaBroker, folder: Path, *, seed: int, rate: int) -> None:
        self.report = Report()
        self.broker = broker
        self.settings = Settings(
            shops={world.SHOP_ID: world.SHOP},
            kafka=KafkaSettings(
                bootstrap=broker.bootstrap, app="soak", prefix="replay.soak.", flush_after_ms=100
            ),
            replay_id="soak",
        )
        self.sent: list[world.Record] = []
        self._draw = random.Random(seed)
        self._rate = rate
        self._folder = folder
        self._records = world.records(10_000_000, seed=seed, per_second=rate)
        self._positions: dict[tuple[int, str], int] = {}
        self._load_on = asyncio.Event()
        self._load_on.set()
        self.workers = [WorkerProcess(self.settings, folder, f"worker{number}") for number in (1, 2)]

    async def load(self) -> None:
        """Send records at the rate until cancelled; a record is sent once, whatever happens to the broker."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka.bootstrap, linger_ms=5, enable_idempotence=True, acks="all"
        )
        await producer.start()
        try:
            while True:
                began = time.monotonic()
                await self._load_on.wait()
                batch = [record for record, _ in zip(self._records, range(self._rate // 10), strict=False)]
                # Shielded: a batch that is sent half when the load ends would be counted as not sent.
                await asyncio.shield(asyncio.ensure_future(self._send(producer, batch)))
                await asyncio.sleep(max(0.0, 0.1 - (time.monotonic() - began)))
        finally:
            await producer.stop()

    async def _send(self, producer: AIOKafkaProducer, batch: list[world.Record]) -> None:
        await world.send(self.settings, batch, producer=producer)
        self.sent += batch

    async def balanced(self) -> None:
        """Wait until both workers own partitions, so that a fault hits one that has something to lose."""
        everything = set(range(self.settings.kafka.partitions))
        for _ in range(600):
            owned = [_owned(worker) for worker in self.workers]
            if all(owned) and set.union(*owned) == everything:
                return
            await asyncio.sleep(0.1)
        raise RuntimeError("the workers do not share the partitions")

    async def kill(self) -> None:
        """Kill -9 one worker; its supervisor starts it again."""
        self._draw.choice(self.workers).signal(signal.SIGKILL)
        self.report.kills += 1
        await self._recover("kill -9")

    async def stop_and_continue(self) -> None:
        """Stop a worker for longer than its session; woken, it must find itself refused and end."""
        worker = self._draw.choice(self.workers)
        began = time.monotonic()
        worker.signal(signal.SIGSTOP)
        await self._recover("SIGSTOP")
        await asyncio.sleep(max(0.0, began + STOP_S - time.monotonic()))
        worker.signal(signal.SIGCONT)
        self.report.stops += 1
        await self._recover("SIGCONT")

    async def broker_away(self) -> None:
        """Stop the broker for a while; the load waits."""
        self._load_on.clear()
        await asyncio.sleep(0.3)
        await asyncio.to_thread(self.broker.stop)
        await asyncio.sleep(BROKER_AWAY_S)
        await asyncio.to_thread(self.broker.start)
        self._load_on.set()
        self.report.broker_stops += 1
        await self._recover("broker away")

    async def join_and_leave(self) -> None:
        """Let a third worker join for a while and leave as it should."""
        third = WorkerProcess(self.settings, self._folder, f"guest{self.report.joins}").start()
        self.report.joins += 1
        await self._recover("join")
        await asyncio.sleep(self._draw.uniform(3.0, 5.0))
        self._exit(await third.stop())
        await self._recover("leave")

    async def _recover(self, name: str) -> None:
        """Take the time until what is on the topics now is durable in the state."""
        took = await self._caught_up()
        self.report.longest_recovery_s = round(max(self.report.longest_recovery_s, took), 1)
        print(
            f"{time.strftime('%H:%M:%S')} {name}: caught up after {took:.1f} s", file=sys.stderr, flush=True
        )

    async def finish(self) -> None:
        """Wait until everything is durable, end the workers, compare."""
        print("waiting for the end of the topics", file=sys.stderr)
        found = await world.settled(self.settings, len(self.sent), within_s=SETTLE_S)
        for worker in self.workers:
            for _, code in worker.exits:
                self._exit(code)
            self._exit(await worker.stop())
        wanted = await asyncio.to_thread(world.expected, self.settings, self.sent)
        report = self.report
        different = world.differences(found, wanted)
        report.sent, report.counted = len(self.sent), found.read
        report.lost = int(str(different["lost"]))
        report.double = int(str(different["double"]))
        report.examples = different["examples"]
        report.uncommitted_records = await self._uncommitted()
        report.refused_exit_s = [round(took, 2) for took in self._refusals()]
        in_time = (
            report.longest_recovery_s
            <= self.settings.kafka.session_timeout_ms / 1000 + RECOVERY_BEYOND_SESSION_S
        )
        report.passed = (
            not different["differ"]
            and in_time
            and all(took <= REFUSED_EXIT_S for took in report.refused_exit_s)
        )

    async def _caught_up(self) -> float:
        """Return the seconds until every source record that is on the broker now is durable in the state."""
        began = time.monotonic()
        ends: dict[tuple[int, str], int] | None = None
        while time.monotonic() - began < SETTLE_S:
            try:
                if ends is None:
                    ends = await self._ends()
            except KafkaError:
                await asyncio.sleep(0.2)
                continue
            if all(self._positions.get(place, 0) >= end for place, end in ends.items()):
                break
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def follow(self) -> None:
        """Follow the positions in the state, through outages, until cancelled."""
        name = full_name(self.settings.kafka.prefix, STATE.name)
        tps = [TopicPartition(name, partition) for partition in range(self.settings.kafka.partitions)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka.bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            consumer.assign(tps)
            while True:
                for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                    for key, value in {record.key: record.value for record in records}.items():
                        row = decode_state(key, value)
                        if isinstance(row, Position):
                            self._positions[tp.partition, row.topic] = row.next_offset
        finally:
            await consumer.stop()

    async def _ends(self) -> dict[tuple[int, str], int]:
        tps = world.source_partitions(self.settings)
        prefix = self.settings.kafka.prefix
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.kafka.bootstrap)
        try:
            await consumer.start()
            consumer.assign(tps)
            consumer.pause(*tps)
            ends = await consumer.end_offsets(tps)
        finally:
            await asyncio.gather(consumer.stop(), return_exceptions=True)
        return {(tp.partition, tp.topic.removeprefix(prefix)): end for tp, end in ends.items()}

    async def _uncommitted(self) -> int:
        counts = []
        for level in ("read_uncommitted", "read_committed"):
            counts.append(await _count(self.settings, level))  # noqa: PERF401 - one consumer at a time
        return counts[0] - counts[1]

    def _refusals(self) -> list[float]:
        """Return the seconds from each refused flush (from the log) to the end of its process (its supervisor)."""
        took = []
        for worker in self.workers:
            log = worker.log.read_text(encoding="utf-8", errors="replace")
            for match in REFUSED.finditer(log):
                refused_s = dt.datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
                ends = [ended_s for ended_s, _ in worker.exits if ended_s >= refused_s]
                took.append(min(ends) - refused_s if ends else float("inf"))
        return took

    def _exit(self, code: int) -> None:
        exits = Counter(self.report.exits)
        exits[str(code)] += 1
        self.report.exits = dict(exits)


async def run(kills: int, stops: int, broker_stops: int, joins: int, *, seed: int, rate: int) -> Report:
    """Run the faults in a random order and return the report."""
    began = time.monotonic()
    # A broker that is away on purpose is reported by every client, many times a second.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="warroom-soak-") as directory, KafkaBroker() as broker:
        soak = Soak(broker, Path(directory), seed=seed, rate=rate)
        await topics.ensure(soak.settings)
        for worker in soak.workers:
            worker.supervise()
        load = asyncio.create_task(soak.load())
        following = asyncio.create_task(soak.follow())
        faults = [soak.kill] * kills + [soak.stop_and_continue] * stops
        faults += [soak.broker_away] * broker_stops + [soak.join_and_leave] * joins
        draw = random.Random(seed)
        draw.shuffle(faults)
        for fault in faults:
            await soak.balanced()
            await asyncio.sleep(draw.uniform(1.0, 3.0))
            await fault()
        load.cancel()
        following.cancel()
        await asyncio.gather(load, following, return_exceptions=True)
        await soak.finish()
        soak.report.seconds = round(time.monotonic() - began, 1)
        return soak.report


def _owned(worker: WorkerProcess) -> set[int]:
    """Return the partitions that a worker last said it owns."""
    said = worker.log.read_text(encoding="utf-8", errors="replace").rpartition("WorkerApp]: Starting")[2]
    lists = OWNS.findall(said)
    return {int(number) for number in lists[-1].split(",") if number.strip()} if lists else set()


async def _count(settings: Settings, level: str) -> int:
    name = full_name(settings.kafka.prefix, STATE.name)
    tps = [TopicPartition(name, partition) for partition in range(settings.kafka.partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap, isolation_level=level, auto_offset_reset="earliest"
    )
    count = 0
    try:
        await consumer.start()
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        await consumer.seek_to_beginning(*tps)
        while [tp for tp in tps if await consumer.position(tp) < ends[tp]]:
            fetched = await consumer.getmany(timeout_ms=500)
            count += sum(len(records) for records in fetched.values())
    finally:
        await asyncio.gather(consumer.stop(), return_exceptions=True)
    return count


def main() -> int:
    """Run the soak that the arguments describe and print its report."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak.kills", description="Kill workers, lose nothing."
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--stops", type=int, default=1)
    parser.add_argument("--broker-stops", type=int, default=1)
    parser.add_argument("--joins", type=int, default=2)
    parser.add_argument("--rate", type=int, default=2_000, help="records a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    report = asyncio.run(
        run(
            options.kills,
            options.stops,
            options.broker_stops,
            options.joins,
            seed=options.seed,
            rate=options.rate,
        )
    )
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        for name, value in asdict(report).items():
            print(f"{name}: {value}")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
