"""Measure how long a record takes from being produced to being in an answer of the API.

    python -m benchmarks.latency --json

A producer, our worker and a board with its HTTP server, a process each, on one real Kafka. The producer sends a
campaign's mix at a steady rate and notes when it had sent how many impressions; this process asks the API for today's
impressions again and again. A moment's records are answered at the first answer that counts them all.
"""

from __future__ import annotations

import argparse
import bisect
import http.client
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer, TopicPartition

from benchmarks.cluster import PARTITIONS, Cluster
from benchmarks.load import CAMPAIGN_MIX, SHOP, Load
from benchmarks.worker import WorkerRun
from tests.processes import free_port

PREFIX: Final = "cm."
SLOT_S: Final = 0.02
ASK_EVERY_S: Final = 0.05
READY_WITHIN_S: Final = 60.0
SETTLE_S: Final = 60.0
"""After the last record, its answer may take this long before the run fails."""

Count = tuple[float, int]
"""Wall time in s, and impressions by then."""

START: Final = "from warroom.cli import main; main()"

WARM_UP_S: Final = 3.0
"""The first seconds are left out: caches fill, the first flush creates every row."""


def produce(bootstrap: str, per_second: int, seconds: float, out: Path) -> None:
    """Send at a steady rate and write (wall time in s, impressions sent so far) per slot of `SLOT_S`."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 5, "compression.type": "lz4", "acks": "all"}
    )
    start_ms = time.time_ns() // 1_000_000 + 500
    load = Load(
        int(per_second * seconds), mix=CAMPAIGN_MIX, span_ms=(start_ms, start_ms + int(seconds * 1000))
    )
    noted: list[tuple[float, int]] = []
    impressions = 0
    slot_end = start_ms / 1000 + SLOT_S
    for record in load.rendered():
        if record.timestamp_ms / 1000 >= slot_end:
            noted.append((time.time(), impressions))
            producer.poll(0)
            slot_end = record.timestamp_ms / 1000 + SLOT_S
            time.sleep(max(0.0, slot_end - time.time()))
        producer.produce(PREFIX + record.topic, record.value, record.key)
        impressions += record.topic == "impressions"
    noted.append((time.time(), impressions))
    if producer.flush(30):
        message = "the broker did not take all records"
        raise RuntimeError(message)
    out.write_text(json.dumps(noted))


def measure(per_second: int, seconds: float, say: Callable[[str], None]) -> dict[str, object]:
    """Run producer, worker and board, and return the document.

    Raises:
        RuntimeError: a process ended, or the last record did not come into an answer.
    """
    with tempfile.TemporaryDirectory(prefix="warroom-bench-") as name, Cluster() as cluster:
        folder = Path(name)
        cluster.reset_state(PREFIX)
        port = free_port()
        (folder / "warroom.toml").write_text(_settings_text(cluster, port, folder))
        settings = cluster.settings(PREFIX)
        board_command = [sys.executable, "-c", START, "--config", str(folder / "warroom.toml"), "board"]
        with WorkerRun(settings) as worker, (folder / "board.log").open("wb") as log:
            board = subprocess.Popen(board_command, stdout=log, stderr=log)
            try:
                worker.wait_assigned()
                _wait_ready(port, board, folder / "board.log")
                say(f"producing {per_second:,} records a second for {seconds:g} s")
                noted = folder / "sent.json"
                producing = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "benchmarks.latency", "--produce-to", cluster.bootstrap),
                        *("--per-second", str(per_second), "--seconds", str(seconds), "--out", str(noted)),
                    ]
                )
                answers, durable = _ask_until_done(port, worker, producing, noted)
            finally:
                board.terminate()
                board.wait(20)
        sent = [(float(at), int(count)) for at, count in json.loads(noted.read_text())]
    return _document(sent, answers, durable, per_second)


def _ask_until_done(
    port: int, worker: WorkerRun, producing: subprocess.Popen[bytes], noted: Path
) -> tuple[list[Count], list[Count]]:
    """Ask for all impressions until everything that was sent is answered; return answers, and what was durable."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    places = [TopicPartition(f"{PREFIX}impressions", number) for number in range(PARTITIONS)]
    answers: list[Count] = []
    durable: list[Count] = []
    total, deadline = None, None
    while True:
        document = _get(connection, "/api/v1/query?metrics=product_impressions&window=all")
        count = document["rows"][0]["product_impressions"] if document.get("rows") else 0
        answers.append((time.time(), int(count or 0)))
        durable.append((time.time(), worker.committed(places)))
        if total is None and producing.poll() is not None:
            if producing.returncode:
                message = f"the producer ended with code {producing.returncode}"
                raise RuntimeError(message)
            total = json.loads(noted.read_text())[-1][1]
            deadline = time.monotonic() + SETTLE_S
        if total is not None and answers[-1][1] >= total:
            return answers, durable
        if deadline is not None and time.monotonic() > deadline:
            message = f"{answers[-1][1]} of {total} impressions are answered {SETTLE_S:.0f} s after the last was sent"
            raise RuntimeError(message)
        time.sleep(ASK_EVERY_S)


def _delays(sent: list[Count], seen: list[Count]) -> list[float]:
    """Return, for every noted moment after the warm-up, the seconds until a look saw all that was sent by then."""
    counts = [count for _, count in seen]
    begin = sent[0][0] + WARM_UP_S
    return [seen[bisect.bisect_left(counts, count)][0] - at for at, count in sent if at >= begin]


def _document(
    sent: list[Count], answers: list[Count], durable: list[Count], per_second: int
) -> dict[str, object]:
    delays = _delays(sent, answers)
    elapsed = sent[-1][0] - sent[0][0]
    cuts = statistics.quantiles(delays, n=100)
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(answers)]
    return {
        "p50_seconds": round(cuts[49], 3),
        "p95_seconds": round(cuts[94], 3),
        "p99_seconds": round(cuts[98], 3),
        "max_seconds": round(max(delays), 3),
        "p95_durable_seconds": round(statistics.quantiles(_delays(sent, durable), n=100)[94], 3),
        "asked_per_second": per_second,
        "impressions_per_second": round(sent[-1][1] / elapsed),
        "answers": len(answers),
        "answer_every_seconds": round(statistics.median(gaps), 3),
    }


def _settings_text(cluster: Cluster, port: int, folder: Path) -> str:
    return (
        f'[kafka]\nbootstrap = "{cluster.bootstrap}"\nprefix = "{PREFIX}"\npartitions = {PARTITIONS}\n'
        f'[board]\nport = {port}\ndata_dir = "{folder}"\n'
        f'[shops.{SHOP.shop_id}]\ntimezone = "{SHOP.timezone}"\ncurrency = "{SHOP.currency}"\n'
    )


def _wait_ready(port: int, board: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            pass
        if board.poll() is not None or time.monotonic() > deadline:
            message = f"the board is not ready: {log.read_text(errors='replace')[-3000:]}"
            raise RuntimeError(message)
        time.sleep(0.2)


def _get(connection: http.client.HTTPConnection, path: str) -> dict[str, Any]:
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    if response.status != http.client.OK:
        message = f"the API answered {response.status}: {body[:500]!r}"
        raise RuntimeError(message)
    document: dict[str, Any] = json.loads(body)
    return document


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; it fails only when a part does."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.latency", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--per-second", type=int, default=20_000, help="records a second (default 20,000)")
    parser.add_argument("--seconds", type=float, default=30.0, help="for how long (default 30)")
    parser.add_argument("--produce-to", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.produce_to:
        produce(options.produce_to, options.per_second, options.seconds, options.out)
        return 0

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    document = measure(options.per_second, options.seconds, say)
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        for name, value in document.items():
            print(f"{name:>24}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
