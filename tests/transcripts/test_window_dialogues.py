"""Run the dialogues of `windows/`: a shop, a clock, and what is asked of both; those marked `must_fail` must fail.

A step is one of:

    source    = { topics, at }                       a topic became a source, with nothing in it
    sold      = { at, money, product, units, by, customer, received, created }    one order, paid at that time
    seen      = { at, what, product, people }        showings or clicks, each of another person, at one time
    refunded  = { at, money, received }              of the newest order
    campaign  = { id, from, until, reference }
    live      = { id, account, from, until, at }
    benchmark = { day, metric, value, group, period, tier, published }
    shop      = { week_start, category, gmv_tier }
    now       = time of the board's clock; from then on everything is complete up to it, unless `as_of` is given
    as_of     = time up to which everything is complete

    ask       = a question, with what it must give beside it:
        rows      = the rows, in order; a named column must be there, others may be
        nulls     = column -> reason -> rows
        state, days (of the other side), through (metric -> time), restated, window (first and last instant)
        refused   = reason of the refusal, says = text that it must hold
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest

from streams.columns import Columns
from streams.errors import QueryError
from streams.events import FACT_TYPES, Event, Fact, Source
from streams.query import Answer, parse_request, run
from tests.unit.streams.boards import SHOP, flush_of, heartbeat, line, order, refund, settings, traffic

FOLDER: Final = Path(__file__).parent / "windows"
SOURCES: Final = {
    "live": lambda content: Source("seller", "live", "live_room", False, content_id=content),
    "video": lambda content: Source(
        "affiliate", "video", "feed", False, content_id=content, creator_id="mia"
    ),
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
        hold(dialogue)
        return
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        hold(dialogue)


def test_some_dialogues_must_fail() -> None:
    marks = Counter(bool(case.values[0].get("must_fail")) for case in dialogues())
    assert marks[True] >= 4
    assert marks[False] >= 30


def hold(dialogue: dict[str, Any]) -> None:
    shop = Shop(dialogue.get("zone", "UTC"), dialogue.get("settings", {}))
    for step in dialogue["step"]:
        if "ask" in step:
            shop.ask(**step)
            continue
        ((kind, content),) = step.items()
        if kind in ("now", "as_of"):
            getattr(shop, kind)(content)
        else:
            shop.happens(getattr(shop, kind)(**content), content)


class Shop:
    """One shop with a clock that the dialogue sets."""

    def __init__(self, zone: str, own: dict[str, Any]) -> None:
        self.zone = zone
        self.columns = Columns(settings(zone, **own))
        self.now_ms = 0
        self._count = 0
        self._vouched = True

    def happens(self, events: list[Event], content: dict[str, Any]) -> None:
        self._count += 1
        flush = flush_of(events, zone=self.zone, partition=self._count)
        if "received" in content:
            received_at_ms = self.time(content["received"])
            facts = [fact._replace(received_at_ms=received_at_ms) for fact in flush.facts]
            flush = dataclasses.replace(flush, facts=facts)
        self.columns.apply(flush)

    def now(self, text: str) -> None:
        self.now_ms = self.time(text)
        self.columns.vouch(self.now_ms)

    def as_of(self, text: str) -> None:
        self.now_ms = self.time(text)

    def time(self, text: str) -> int:
        """Return an instant of the shop's clock; a second pass of a repeated hour is marked by `*`."""
        local = dt.datetime.fromisoformat(text.rstrip("*")).replace(tzinfo=ZoneInfo(self.zone))
        return round(local.replace(fold=int(text.endswith("*"))).timestamp() * 1000)

    def source(self, topics: list[str], at: str) -> list[Event]:
        return [heartbeat(topics, self.time(at), source="+".join(topics))]

    def sold(
        self,
        at: str,
        money: float,
        product: str = "A",
        units: int = 1,
        by: str = "",
        customer: str = "",
        created: str = "",
        received: str = "",
    ) -> list[Event]:
        self._count += 1
        kind, _, content = by.partition(":")
        source = SOURCES[kind](content) if by else None
        at_ms = self.time(at)
        parts = [line("1", f"{product}1", round(money * 100), quantity=units, source=source)]
        more = {"created_at_ms": self.time(created)} if created else {}
        placed = order(f"o{self._count}", at_ms, parts, customer or f"c{self._count}")
        return [msgspec.structs.replace(placed, **more)]

    def seen(self, at: str, what: str, product: str = "A", people: int = 1, by: str = "") -> list[Event]:
        kind, _, content = by.partition(":")
        source = SOURCES[kind](content) if by else None
        return [traffic(what, self.time(at), f"u{number}", product, source) for number in range(people)]

    def refunded(self, at: str, money: float, received: str = "") -> list[Event]:
        self._count += 1
        lines = self.columns.order_lines(SHOP).sort("paid_at_ms")
        order_id = lines.get_column("order_id").to_list()[-1]
        return [refund(f"r{self._count}", order_id, "1", "A1", round(money * 100), self.time(at))]

    def campaign(self, id: str, until: str, reference: str | None = None, **words: str) -> list[Event]:
        begin = self.time(words["from"])
        return [
            self._fact(
                "campaign",
                begin,
                campaign_id=id,
                name=id,
                starts_at_ms=begin,
                ends_at_ms=self.time(until),
                joined_at_ms=begin,
                version=1,
                product_ids=[],
                reference=reference,
            )
        ]

    def live(self, id: str, account: str = "shop", until: str = "", **words: str) -> list[Event]:
        begin = self.time(words["from"])
        common = {
            "content_id": id,
            "kind": "live",
            "account_id": account,
            "account_kind": "marketing",
            "product_ids": [],
            "key_session": False,
            "started_at_ms": begin,
        }
        events: list[Event] = [self._fact("content", begin, state="live_started", **common)]
        if until:
            end = self.time(until)
            events.append(self._fact("content", end, state="live_ended", ended_at_ms=end, **common))
        return events

    def benchmark(
        self,
        day: str,
        metric: str,
        value: float,
        group: str = "own_tier",
        period: str = "day",
        tier: str = "gold",
        category: str = "clothes",
    ) -> list[Event]:
        self._count += 1
        at_ms = self.time(f"{day} 00:00") + 30 * 3_600_000
        return [
            self._fact(
                "benchmark",
                at_ms,
                category=category,
                gmv_tier=tier,
                group=group,
                metric=metric,
                period=period,
                benchmark_day=day,
                value=value,
                published_at_ms=at_ms,
            )
        ]

    def shop(self, **fields: str) -> list[Event]:
        return [self._fact("shop", 0, timezone=self.zone, version=1, **fields)]

    def _fact(self, event_type: str, at_ms: int, **fields: Any) -> Fact:
        self._count += 1
        return FACT_TYPES[event_type](
            event_id=f"e{self._count}",
            event_type=event_type,
            shop_id=SHOP,
            occurred_at_ms=at_ms,
            **fields,
        )

    def ask(self, ask: dict[str, str], refused: str = "", says: str = "", **wanted: Any) -> None:
        if refused:
            with pytest.raises(QueryError) as caught:
                self._answer(ask)
            assert caught.value.reason == refused
            assert says in str(caught.value), str(caught.value)
            return
        answer = self._answer(ask)
        assert says in answer.text("table"), answer.text("table")
        for name, value in wanted.items():
            getattr(self, f"_expect_{name}")(answer, value)

    def _answer(self, question: dict[str, str]) -> Answer:
        return run(self.columns, parse_request(question), now_ms=self.now_ms)

    def _expect_rows(self, answer: Answer, rows: list[dict[str, Any]]) -> None:
        assert len(answer.rows) == len(rows), answer.rows
        for found, row in zip(answer.rows, rows, strict=True):
            for name, value in row.items():
                assert name in found, found
                if value == "null":
                    assert found[name] is None, (name, found)
                elif isinstance(value, str):
                    assert found[name] == value, (name, found)
                else:
                    assert found[name] == pytest.approx(value), (name, found)

    def _expect_nulls(self, answer: Answer, nulls: dict[str, dict[str, list[int]]]) -> None:
        assert {name: answer.nulls.get(name) for name in nulls} == nulls

    def _expect_state(self, answer: Answer, state: str) -> None:
        assert answer.state == state

    def _expect_restated(self, answer: Answer, restated: dict[str, float]) -> None:
        assert answer.restated == pytest.approx(restated)

    def _expect_days(self, answer: Answer, days: list[str]) -> None:
        assert answer.comparison["days"] == days

    def _expect_through(self, answer: Answer, through: dict[str, str]) -> None:
        found = answer.comparison.get("through_ms", {})
        assert found == {name: self.time(text) for name, text in through.items()}

    def _expect_window(self, answer: Answer, window: list[str]) -> None:
        assert [answer.from_ms, answer.to_ms] == [self.time(text) for text in window]
