"""`warroom topics`, `up`, `query --url` and SIGTERM, as a seller's engineer types them, on a real Kafka."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from streams.topics import full_name
from tests.kafka_broker import KafkaBroker
from tests.processes import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

WARROOM = [sys.executable, "-m", "warroom.cli"]
NUMBERS = itertools.count(1)


RETAIL = Path(__file__).parents[2] / "replay" / "recordings" / "online-retail-2010-11"


def prefix_of(config: Path) -> str:
    return str(tomllib.loads(config.read_text(encoding="utf-8"))["kafka"]["prefix"])


@pytest.fixture
def config(kafka: KafkaBroker, tmp_path: Path) -> Path:
    path = tmp_path / "warroom.toml"
    path.write_text(
        f"""
[kafka]
bootstrap = "{kafka.bootstrap}"
prefix = "up{next(NUMBERS)}."
partitions = 2
[board]
port = {free_port()}
data_dir = "{tmp_path}/data"
[shops.s1]
timezone = "Europe/London"
currency = "GBP"
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def running(config: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    created = subprocess.run(
        [*WARROOM, "--config", str(config), "topics", "--json"], capture_output=True, text=True
    )
    assert created.returncode == 0, created.stderr
    assert set(json.loads(created.stdout).values()) == {"created"}
    process = subprocess.Popen(
        [*WARROOM, "--config", str(config), "up", "--against", str(RETAIL)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process, process.stdout.readline().strip()
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stdout.close()


def is_ready(url: str) -> bool:
    """Return whether a board has read what there is; before that it answers nothing at all."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def wait_ready(url: str) -> None:
    """Return once the board is ready, or after a time in which it must be; what is asked then says why not."""
    until = time.monotonic() + 40
    while not is_ready(url) and time.monotonic() < until:
        time.sleep(0.2)


def order(number: int, at_ms: int) -> bytes:
    money = dict.fromkeys(
        ("shipping_paid_minor", "tax_minor", "seller_discount_minor", "cofund_product_minor",
         "cofund_shipping_minor", "coupon_minor"), 0,
    )  # fmt: skip
    line = {"line_id": "1", "product_id": "p", "sku_id": "p", "quantity": 1, "list_price_minor": 1250,
            "goods_paid_minor": 1250, **money}  # fmt: skip
    return json.dumps(
        {"event_id": f"e{number}", "event_type": "order_paid", "shop_id": "s1", "occurred_at_ms": at_ms,
         "order_id": f"o{number}", "created_at_ms": at_ms, "paid_at_ms": at_ms, "customer_id": f"c{number % 2}",
         "credits_minor": 0, "lines": [line]}
    ).encode()  # fmt: skip


async def send(kafka: KafkaBroker, prefix: str, count: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    for number in range(count):
        value = order(number, time.time_ns() // 1_000_000)
        await producer.send_and_wait(full_name(prefix, "orders"), value, key=f"o{number}".encode())
    await producer.stop()


def asked(config: Path, url: str) -> dict[str, object]:
    answer = subprocess.run(
        [*WARROOM, "--config", str(config), "query", "--url", url, "--metrics", "gmv,orders,unique_customers,ctor",
         "--format", "json"],
        capture_output=True, text=True,
    )  # fmt: skip
    if answer.returncode:
        return {"error": answer.stderr}
    row: dict[str, object] = json.loads(answer.stdout)["rows"][0]
    return row


def test_an_order_on_the_topic_is_in_the_answer_and_sigterm_ends_cleanly(
    kafka: KafkaBroker, config: Path, running: tuple[subprocess.Popen[str], str]
) -> None:
    process, url = running
    assert url.startswith("http://127.0.0.1:")
    asyncio.run(send(kafka, prefix_of(config), 3))
    until = time.monotonic() + 40
    while (row := asked(config, url)).get("orders") != 3 and time.monotonic() < until:
        time.sleep(0.5)
    assert row == {"gmv": 37.5, "orders": 3, "unique_customers": 2, "ctor": None}
    ended = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert time.monotonic() - ended < 10


def test_a_board_compares_with_the_recording_that_it_was_started_with(
    config: Path, running: tuple[subprocess.Popen[str], str]
) -> None:
    _, url = running
    wait_ready(url)
    with urllib.request.urlopen(
        f"{url}/api/v1/query?metrics=orders&window=yesterday&compare=recording:2010-11-24", timeout=20
    ) as answer:
        (row,) = json.load(answer)["rows"]
    # Different order ids that its lines have on that day, counted by DuckDB.
    assert row["orders_compared"] == 133


def test_a_question_with_no_right_answer_is_refused_alike_by_board_and_recording(
    config: Path, running: tuple[subprocess.Popen[str], str]
) -> None:
    _, url = running
    wait_ready(url)
    said = []
    for place in (["--url", url], ["--recording", str(RETAIL)]):
        refused = subprocess.run(
            [*WARROOM, "--config", str(config), "query", *place, "--metrics", "gmvv"],
            capture_output=True,
            text=True,
        )
        assert refused.returncode == 2
        said.append(refused.stderr)
    assert said[0] == said[1]
    assert "Did you mean gmv" in said[0]
