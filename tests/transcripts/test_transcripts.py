"""Run the dialogues of this folder; those marked `must_fail` are required to fail, so the runner itself is tested."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from streams import sketches
from streams.days import parse_day
from streams.fold import PartitionState
from streams.records import RecordBatch
from streams.settings import FoldSettings, ShopSettings
from streams.topics import TOPIC_OF_TYPE
from tests.core_worlds import Board, order_paid, through_the_wire

FOLDER: Final = Path(__file__).parent
DATE: Final = "2025-11-25"
SHOPS: Final = {
    shop_id: ShopSettings(shop_id, timezone="America/New_York", currency="USD") for shop_id in ("s1", "s2")
}
TEMPLATES: Final[dict[str, dict[str, Any]]] = {
    "traffic": {"product_id": "p1", "user_key": "u1"},
    "order_status": {},
    "refund": {
        "refund_id": "r1",
        "order_id": "o1",
        "line_id": "l1",
        "customer_id": "c1",
        "product_id": "p1",
        "sku_id": "k1",
        "kind": "return",
        "quantity": 1,
        "amount_minor": 100,
        "shipping_minor": 0,
        "tax_minor": 0,
        "requested_at_ms": 0,
    },
    "stock_changed": {"sku_id": "k1", "product_id": "p1"},
    "heartbeat": {"source": "till", "topics": ["orders"]},
}


def dialogues() -> list[Any]:
    return [
        pytest.param(dialogue, id=f"{path.stem}: {dialogue['name']}")
        for path in sorted(FOLDER.glob("*.toml"))
        for dialogue in tomllib.loads(path.read_text())["dialogue"]
    ]


@pytest.mark.parametrize("dialogue", dialogues())
def test_dialogue(dialogue: dict[str, Any]) -> None:
    if not dialogue.get("must_fail"):
        run(dialogue)
        return
    with pytest.raises(AssertionError):
        run(dialogue)


def test_some_dialogues_must_fail() -> None:
    marks = Counter(bool(case.values[0].get("must_fail")) for case in dialogues())
    assert marks[True] >= 5
    assert marks[False] >= 20


class Partition:
    """One partition with its log, as a worker and its successors see it."""

    def __init__(self) -> None:
        self.board = Board()
        self.log: list[Any] = []
        self.offsets: Counter[str] = Counter()
        self.state = self._new()

    def _new(self) -> PartitionState:
        return PartitionState(0, shops=SHOPS, settings=FoldSettings())

    def send(self, line: dict[str, Any]) -> None:
        event = event_of(line)
        topic = line.get("topic", TOPIC_OF_TYPE[event["event_type"]])
        offset = self.offsets[topic]
        self.offsets[topic] += 1
        value = json.dumps(event).encode()
        self.state.fold(RecordBatch(topic, 0, [offset], [instant(line["at"])], [value], [None]))
        flush = self.state.take_flush()
        assert flush is not None
        self.board.apply(flush)
        self.log += through_the_wire(flush)

    def restart(self) -> None:
        self.state = self._new()
        self.state.restore(self.log)


def run(dialogue: dict[str, Any]) -> None:
    partition = Partition()
    for step in dialogue["step"]:
        ((kind, content),) = step.items()
        match kind:
            case "send":
                partition.send(content)
            case "restart":
                partition.restart()
            case "outcomes":
                assert partition.board.outcomes() == content
            case "row":
                check_row(partition.board, content)
            case "fact":
                check_fact(partition.board, content)
            case _:
                pytest.fail(f"unknown step {kind}")


def check_row(board: Board, content: dict[str, Any]) -> None:
    bucket = content["bucket"]
    number = parse_day(bucket) if "-" in bucket else instant(bucket)
    rows = [
        row
        for (_, key), row in board.rows.items()
        if (key.cube, key.bucket, list(key.dims)) == (content["cube"], number, content["dims"])
    ]
    assert sum(row.events or 0 for row in rows) == content["events"]
    if "keyed" in content:
        assert sum(row.keyed for row in rows) == content["keyed"]
    if "people" in content:
        images = board.images(rows)
        lg_k = 14 if content["cube"] == "shop_quarter" else 12
        assert round(sketches.estimate(sketches.merge(map(sketches.load, images), lg_k))) == content["people"]


def check_fact(board: Board, content: dict[str, Any]) -> None:
    (fact,) = [
        fact
        for key, fact in board.winners().items()
        if (key.kind, list(key.ids)) == (content["kind"], content["ids"])
    ]
    assert fact.version == content["version"]
    assert fact.copies == content["copies"]
    for name, value in content.get("field", {}).items():
        assert getattr(fact.event, name) == value


def event_of(line: dict[str, Any]) -> dict[str, Any]:
    event_type = line.get("event_type", "product_impression")
    occurred = instant(line.get("occurred", line["at"]))
    event = {"event_id": "e", "event_type": event_type, "shop_id": "s1", "occurred_at_ms": occurred}
    if event_type == "order_paid":
        event = order_paid(occurred, "o1")
    else:
        event |= TEMPLATES.get(event_type, TEMPLATES["traffic"])
    if event_type == "refund":
        event["processed_at_ms"] = occurred
    event |= {name: value for name, value in line.items() if name not in {"at", "occurred", "topic"}}
    if event.get("user_key") == "":
        del event["user_key"]
    return event


def instant(text: str) -> int:
    """Return the ms of a time, of `DATE` unless it carries a date."""
    full = text if "T" in text else f"{DATE}T{text}"
    moment = dt.datetime.fromisoformat(full).replace(tzinfo=dt.UTC)
    return round(moment.timestamp() * 1000)
