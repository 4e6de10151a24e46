"""Produce a load to a broker before a measurement begins, keyed and packed as the contract says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import Producer

from benchmarks.load import CHUNK_RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.load import Load


def preload(
    load: Load,
    bootstrap: str,
    prefix: str,
    *,
    part: tuple[int, int | None] = (0, None),
    report: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Produce the load, keyed as the contract says, and return records per full topic name.

    Args:
        load: what to produce.
        bootstrap: host:port of the broker.
        prefix: before each topic name; the topics exist.
        part: first record and the one after the last, as `Load.rendered` takes them; all of them by default.
        report: called with the records sent so far, about every 100,000.

    Raises:
        RuntimeError: the broker refused a record or did not take all within two minutes of the last.
    """
    refused: list[str] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 50,
            "batch.num.messages": 10_000,
            "batch.size": 1 << 20,
            "queue.buffering.max.messages": 500_000,
            "compression.type": "lz4",
            "enable.idempotence": True,
            "log_level": 2,
            # Only failures come back: a Python callback per delivered record would take longer than producing it.
            "delivery.report.only.error": True,
            "on_delivery": lambda error, _message: refused.append(str(error)) if error else None,
        }
    )
    sent: dict[str, int] = {}
    for total, record in enumerate(load.rendered(*part), 1):
        topic = prefix + record.topic
        while True:
            try:
                producer.produce(topic, record.value, record.key, timestamp=record.timestamp_ms)
                break
            except BufferError:
                producer.poll(0.05)
        sent[topic] = sent.get(topic, 0) + 1
        if total % CHUNK_RECORDS == 0:
            producer.poll(0)
            if report is not None:
                report(total)
    left = producer.flush(120)
    if refused or left:
        message = f"preload failed: {left} records not taken, refused: {refused[:3]}"
        raise RuntimeError(message)
    return sent
