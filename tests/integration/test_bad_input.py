"""Bad input through a real Kafka, a worker and a board: it hurts nobody, it is kept with its reason, it can be mended.

One dialogue is held with each world, a replay's and a live one, and the tests look at what was said: every record that
cannot count stands between two good ones; then its dead letter is sent again as it is, and once more repaired.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from agents import dead_letters, topics
from agents.board import KafkaBoard
from streams.days import DAY_MS, EARLIEST_MS, HOUR_MS
from streams.decoding import MAX_NESTING
from streams.errors import QueryError
from streams.outcomes import COUNTING, DEAD_LETTERS, Outcome
from streams.query import parse_request, run
from streams.records import DEAD_LETTER_BYTES, MAX_RECORD_BYTES, DeadLetter
from streams.settings import FoldSettings, KafkaSettings, Settings
from tests import world
from tests.kafka_broker import KafkaBroker
from tests.workers import WorkerProcess

pytestmark = [pytest.mark.timeout(150), pytest.mark.slow]

CARTS: Final = "add_to_cart"
ORDERS: Final = "orders"
IMPRESSIONS: Final = "impressions"
CHECKOUTS: Final = "checkouts"
METRIC_OF: Final = {
    CARTS: "atc_count",
    ORDERS: "orders",
    IMPRESSIONS: "product_impressions",
    CHECKOUTS: "checkouts_initiated",
}
FACTS: Final = (ORDERS, CHECKOUTS)
"""Facts count at any age."""

NEIGHBOUR: Final = "neighbour"
REPAIRED: Final = "repaired"
QUANTITY: Final = 2
GOODS_MINOR: Final = 1_250

CROWD: Final = 150
"""Neighbours before and after each bad impression: enough for whole batches to take the columnar way."""

AT_ONCE: Final = 8
"""Repairs sent at a time; each has a reader and a producer of its own."""

JSON = dict[str, Any]


class Case(NamedTuple):
    """A record that cannot count.

    Attributes:
        refused_again: the reason why it is not sent again as it is; None when it is.
    """

    topic: str
    name: str
    value: bytes | None
    outcome: Outcome
    refused_again: str | None = None

    @property
    def title(self) -> str:
        """Return what names the case."""
        return f"{self.topic}: {self.name}"


class Legal(NamedTuple):
    """A record that looks odd and counts, and the product that it counts for."""

    topic: str
    name: str
    value: bytes
    product: str
    outcome: Outcome = Outcome.COUNTED


@dataclass
class Told:
    """What a dialogue brought to light.

    Attributes:
        sent: records per topic, each sending again included.
        letters: the first dead letter of each bad case, by title.
        again: what became of each as it was: another dead letter, or the reason of the refusal.
        before, after: what is durable after the first sending, and at the end.
        answers: value by product of metrics, as the board gives them at the end.
        outcomes: records by topic and outcome, as the board gives them.
        pids: of the worker at the start and at the end.
        exits: how often it ended in between.
        code: of its end when it was told to.
    """

    sent: Counter[str] = field(default_factory=Counter)
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    again: dict[str, DeadLetter | str] = field(default_factory=dict)
    before: world.Merged = field(default_factory=world.Merged)
    after: world.Merged = field(default_factory=world.Merged)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcomes: dict[str, Counter[Outcome]] = field(default_factory=dict)
    pids: tuple[int, int] = (0, 0)
    exits: int = 0
    code: int | None = None


# -- records


def event_of(topic: str, number: int, at_ms: int, product: str = NEIGHBOUR) -> JSON:
    """Return a good event of a topic."""
    if topic == ORDERS:
        money = ("shipping_paid_minor", "tax_minor", "seller_discount_minor", "coupon_minor")
        line = {
            "line_id": "1",
            "product_id": product,
            "sku_id": product,
            "quantity": QUANTITY,
            "list_price_minor": GOODS_MINOR,
            "goods_paid_minor": GOODS_MINOR,
            **dict.fromkeys((*money, "cofund_product_minor", "cofund_shipping_minor"), 0),
        }
        ids = {"order_id": f"o{number}", "customer_id": f"c{number}"}
        times = {"created_at_ms": at_ms, "paid_at_ms": at_ms}
        return world.event("order_paid", number, at_ms, **ids, **times, credits_minor=0, lines=[line])
    if topic == CHECKOUTS:
        line = {"product_id": product, "sku_id": product, "quantity": QUANTITY}
        return world.event("checkout_started", number, at_ms, checkout_id=f"ch{number}", lines=[line])
    if topic == CARTS:
        return world.event("add_to_cart", number, at_ms, product_id=product, user_key="u1", quantity=QUANTITY)
    return world.event("product_impression", number, at_ms, product_id=product, user_key="u1")


def text_of(event: JSON) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def with_field(event: JSON, name: str, raw: bytes) -> bytes:
    """Return an event's bytes with one more field, whose value need not be JSON."""
    return text_of(event)[:-1] + b',"' + name.encode() + b'":' + raw + b"}"


def nested(levels: int) -> bytes:
    """Return objects inside each other."""
    return b'{"":' * levels + b"1" + b"}" * levels


def with_quantity(event: JSON, raw: str) -> bytes:
    """Return an event's bytes with another quantity, which need not be JSON."""
    old = f'"quantity": {QUANTITY}'.encode()
    value = text_of(event)
    assert value.count(old) == 1
    return value.replace(old, f'"quantity": {raw}'.encode())


def at(event: JSON, at_ms: int) -> bytes:
    """Return an event's bytes at another time."""
    moved = event | {name: at_ms for name in ("occurred_at_ms", "paid_at_ms") if name in event}
    return text_of(moved)


def padded(event: JSON, size: int) -> bytes:
    """Return an event's bytes with an unknown field that makes them `size` long."""
    empty = len(with_field(event, "pad", b'""'))
    return with_field(event, "pad", b'"' + b"x" * (size - empty) + b'"')


def refused_cases(topic: str, event: JSON) -> Iterator[Case]:
    """Yield well-formed records that cannot count."""
    case = partial(Case, topic)
    at_ms = event["occurred_at_ms"]
    yield case("wrong currency", text_of(event | {"currency": "JPY"}), Outcome.CURRENCY_MISMATCH)
    yield case("unknown shop", text_of(event | {"shop_id": "elsewhere"}), Outcome.REJECTED_SHOP)
    yield case("far past", at(event, EARLIEST_MS - 1), Outcome.REJECTED_TIME)
    yield case("far future", at(event, at_ms + HOUR_MS), Outcome.REJECTED_FUTURE)
    yield case("end of time", at(event, 253_402_300_799_999), Outcome.REJECTED_FUTURE)
    if topic not in FACTS:
        yield case("before the kept days", at(event, at_ms - 47 * DAY_MS), Outcome.TOO_LATE)


def broken_cases(topic: str, event: JSON) -> Iterator[Case]:
    """Yield records that are no events."""
    value = text_of(event)
    schema = partial(Case, topic, outcome=Outcome.REJECTED_SCHEMA)
    size = partial(Case, topic, outcome=Outcome.REJECTED_SIZE, refused_again="truncated")
    deep = 100_000
    yield schema("empty", b"")
    yield schema("no value", None, refused_again="no_value")
    yield size("two megabytes", padded(event, 2 << 20))
    yield size("a byte too long", padded(event, MAX_RECORD_BYTES + 1))
    yield schema("bad UTF-8", value.replace(NEIGHBOUR.encode(), b"neighb\xffur"))
    yield schema("brackets", b"[" * deep + b"]" * deep)
    yield schema("deep arrays", with_field(event, "x", b"[" * deep + b"]" * deep))
    yield schema("deep objects", with_field(event, "x", nested(40_000)))
    yield schema("deep and torn", with_field(event, "x", b"[" * deep)[:-1])
    yield schema("a level too deep", with_field(event, "x", nested(MAX_NESTING)))
    yield schema("text without end", with_field(event, "x", b"[" * 300 + b'"' + b'\\"' * 100_000))
    yield schema("NaN", with_quantity(event, "NaN"))
    yield schema("NaN in an unknown field", with_field(event, "x", b"NaN"))
    yield schema("infinity", with_quantity(event, "-Infinity"))
    yield schema("2^63", with_quantity(event, str(2**63)))
    yield schema("2^64", with_quantity(event, str(2**64)))
    yield schema("time of 2^63", at(event, 2**63))
    yield schema("time of -2^63", at(event, -(2**63)))
    yield schema("negative quantity", with_quantity(event, "-1"))
    yield schema("half a unit", with_quantity(event, "0.5"))
    yield schema("half a record", value[: len(value) // 2])
    yield schema("two records", value + value)
    yield schema("a list", b"[" + value + b"]")
    yield schema("a number", b"12")
    yield schema("null", b" null ")
    yield schema("no type", text_of({name: event[name] for name in event if name != "event_type"}))
    yield schema("no id", text_of({name: event[name] for name in event if name != "event_id"}))
    yield schema("id too long", text_of(event | {"event_id": "x" * 129}))
    yield schema("control character", text_of(event | {"event_id": "a\x00b"}))
    yield schema("a truth for an id", text_of(event | {"event_id": True}))
    yield Case(topic, "unknown type", text_of(event | {"event_type": "teleported"}), Outcome.REJECTED_TYPE)
    if topic == CARTS:
        yield schema("no quantity", with_quantity(event, "0"))
    if topic in FACTS:
        yield schema("no lines", text_of(event | {"lines": []}))
    if topic == ORDERS:
        line = event["lines"][0]
        yield schema("negative money", text_of(event | {"lines": [line | {"goods_paid_minor": -1}]}))
        yield schema("money with a point", text_of(event | {"lines": [line | {"goods_paid_minor": 12.5}]}))
        yield schema("paid at another time", text_of(event | {"paid_at_ms": event["paid_at_ms"] + 1}))


def bad_cases(at_ms: int) -> list[Case]:
    """Return every bad record of each topic; none shares an id with a good one."""
    cases: list[Case] = []
    for topic in (CARTS, ORDERS, CHECKOUTS):
        event = event_of(topic, 900_000, at_ms)
        cases += [*broken_cases(topic, event), *refused_cases(topic, event)]
    return [*cases, *refused_cases(IMPRESSIONS, event_of(IMPRESSIONS, 900_000, at_ms))]


def legal_records(topic: str, first: int, at_ms: int) -> Iterator[Legal]:
    """Yield odd records that count, each for a product of its own."""

    def event(number: int, product: str) -> JSON:
        return event_of(topic, first + number, at_ms, product)

    legal = partial(Legal, topic)
    yield legal("spaces in ids", text_of(event(0, "a red shirt")), "a red shirt")
    yield legal("other scripts in ids", text_of(event(1, "Hemd é 衬衫 😀")), "Hemd é 衬衫 😀")
    integer = text_of(event(2, "4711") | {"event_id": 17, "user_key": 5}).replace(b'"4711"', b"4711")
    yield legal("integer ids", integer, "4711")
    twice = text_of(event(3, "last")).replace(
        b'"product_id": "last"', b'"product_id": "first", "product_id": "last"'
    )
    yield legal("a key twice", twice, "last")
    unknown = b'{"os": ["x", {"version": null}], "n": 9223372036854775808}'
    yield legal("unknown fields", with_field(event(4, "device"), "device", unknown), "device")
    yield legal("as deep as may be", with_field(event(9, "deep"), "x", nested(MAX_NESTING - 1)), "deep")
    yield legal("a megabyte", padded(event(5, "large"), MAX_RECORD_BYTES), "large")
    yield legal("white space around", b"\n\t " + text_of(event(6, "airy")) + b" \r\n", "airy")
    yield legal("its own currency", text_of(event(7, "pound") | {"currency": "GBP"}), "pound")
    old_ms = at_ms - (3_650 if topic in FACTS else 40) * DAY_MS
    yield legal("old", at(event(8, "old"), old_ms), "old", Outcome.COUNTED_LATE)


BAD: Final = bad_cases(world.BEGIN_MS)
LEGAL: Final = [legal for topic in METRIC_OF for legal in legal_records(topic, 0, world.BEGIN_MS)]
"""Of the two dialogues only names, topics and outcomes; a live world has other times."""

BAD_ON: Final = Counter(case.topic for case in BAD)
WORLDS: Final = ("replay", "live")


def crowd_of(topic: str) -> int:
    return CROWD if topic == IMPRESSIONS else 1


# -- the dialogue


class Dialogue:
    """One world with one partition, so that offsets are numbers of records in the order of their sending."""

    def __init__(self, settings: Settings, folder: Path, base_ms: int) -> None:
        self.settings = settings
        self.told = Told()
        self._worker = WorkerProcess(settings, folder, "worker")
        self._base_ms = base_ms
        self._number = 0
        self._places: dict[str, str] = {}

    async def hold(self) -> Told:
        await topics.ensure(self.settings)
        await self._send(self._opening())
        self._worker.supervise()
        try:
            pid = self._worker.pid
            self.told.before = await self._settled()
            await self._find_letters()
            await self._send_again()
            await self._repair()
            self.told.after = await self._settled()
            await self._ask_the_board()
            await asyncio.sleep(0.3)
            self.told.pids = (pid, self._worker.pid)
            self.told.exits = len(self._worker.exits)
        finally:
            self.told.code = await self._worker.stop()
        return self.told

    def _opening(self) -> Iterator[world.Record]:
        """Yield every bad record between good ones, then the legal ones."""
        for case in bad_cases(self._base_ms):
            for _ in range(crowd_of(case.topic)):
                yield self._record(case.topic, text_of(self._good(case.topic)))
            self._places[f"{case.topic}/0/{self.told.sent[case.topic]}"] = case.title
            yield self._record(case.topic, case.value)
            for _ in range(crowd_of(case.topic)):
                yield self._record(case.topic, text_of(self._good(case.topic)))
        for first, topic in enumerate(METRIC_OF):
            for legal in legal_records(topic, 800_000 + 100 * first, self._base_ms):
                yield self._record(topic, legal.value)

    def _good(self, topic: str, product: str = NEIGHBOUR) -> JSON:
        self._number += 1
        return event_of(topic, self._number, self._base_ms, product)

    def _record(self, topic: str, value: bytes | None) -> world.Record:
        self.told.sent[topic] += 1
        return world.Record(topic, "a key", self._base_ms, value)

    async def _send(self, records: Iterable[world.Record]) -> None:
        await world.send(self.settings, records)

    async def _settled(self) -> world.Merged:
        return await world.settled(self.settings, self.told.sent.total(), within_s=40)

    async def _letters(self) -> list[DeadLetter]:
        return await dead_letters.find(self.settings, limit=10_000)

    async def _find_letters(self) -> None:
        letters = await self._letters()
        self.told.letters = {self._places.get(letter.place, letter.place): letter for letter in letters}

    async def _send_again(self) -> None:
        """Send every dead letter again as it is: alone where it is refused, the others together."""
        refused = {case.title for case in BAD if case.refused_again is not None}
        letters = {title: letter for title, letter in self.told.letters.items() if title not in refused}
        places = [letter.place for letter in letters.values()]
        sent = await dead_letters.send_again(self.settings, places)
        self.told.sent.update(again.sent_to.split("/")[0] for again in sent)
        for title in refused & self.told.letters.keys():
            with pytest.raises(QueryError) as caught:
                await dead_letters.send_again(self.settings, [self.told.letters[title].place])
            self.told.again[title] = caught.value.reason
        await self._settled()
        by_place = {letter.place: letter for letter in await self._letters()}
        for title, again in zip(letters, sent, strict=True):
            self.told.again[title] = by_place.get(again.sent_to, "no dead letter")

    async def _repair(self) -> None:
        """Send a good record in the place of every dead letter."""
        jobs = []
        for letter in self.told.letters.values():
            repaired = text_of(self._good(letter.topic, REPAIRED))
            jobs.append(dead_letters.send_again(self.settings, [letter.place], repaired=repaired))
        for start in range(0, len(jobs), AT_ONCE):
            for (again,) in await asyncio.gather(*jobs[start : start + AT_ONCE]):
                assert again.repaired
                self.told.sent[again.sent_to.split("/")[0]] += 1

    async def _ask_the_board(self) -> None:
        board = KafkaBoard(self.settings, lambda: self._base_ms + 60_000)
        await board.start()
        try:
            for _ in range(400):
                if board.ready() is None:
                    break
                await asyncio.sleep(0.05)
            assert board.ready() is None
        finally:
            await board.stop()
        self.told.outcomes = {topic: Counter(found) for topic, found in board.columns.outcomes().items()}
        for metric in (*METRIC_OF.values(), "items_sold", "gmv"):
            request = parse_request({"metrics": metric, "by": "product", "window": "all"})
            rows = run(board.columns, request, now_ms=board.now_ms()).rows
            self.told.answers[metric] = {row["product"]: row[metric] for row in rows}


@pytest.fixture(scope="module", params=WORLDS)
def told(
    request: pytest.FixtureRequest, kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory
) -> Told:
    """Hold the dialogue once with a world whose records keep their time, once with one where the broker stamps them."""
    replay_id = "bad-input" if request.param == "replay" else ""
    settings = Settings(
        shops={world.SHOP_ID: world.SHOP},
        # On a slow machine a live record may be minutes old when it is sent.
        fold=FoldSettings(allowed_lateness_ms=10 * 60_000),
        kafka=KafkaSettings(
            bootstrap=kafka.bootstrap,
            app="bad-input",
            prefix=f"replay.{replay_id}." if replay_id else "bad-input.",
            partitions=1,
            session_timeout_ms=6_000,
        ),
        replay_id=replay_id,
    )
    base_ms = world.BEGIN_MS if replay_id else time.time_ns() // 1_000_000
    return asyncio.run(Dialogue(settings, tmp_path_factory.mktemp("bad-input"), base_ms).hold())


# -- what was said


def test_there_is_one_dead_letter_for_every_bad_record_and_none_for_a_good_one(told: Told) -> None:
    assert told.letters.keys() == {case.title for case in BAD}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.title)
def test_a_bad_record_is_a_dead_letter_with_its_bytes_and_its_reason(told: Told, case: Case) -> None:
    letter = told.letters[case.title]
    assert letter.outcome is case.outcome
    assert letter.outcome in DEAD_LETTERS
    assert letter.detail.isprintable()
    assert 5 < len(letter.detail) < 500
    assert letter.key == b"a key"
    assert letter.value_bytes == len(case.value or b"")
    if case.value is None:
        assert letter.value is None
        return
    assert len(letter.value or b"") == min(len(case.value), DEAD_LETTER_BYTES)
    if letter.value_bytes <= DEAD_LETTER_BYTES:
        assert hashlib.sha256(letter.value or b"").hexdigest() == letter.value_sha256


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.title)
def test_sent_again_as_it_was_it_is_a_dead_letter_again_for_the_same_reason(told: Told, case: Case) -> None:
    again = told.again[case.title]
    if case.refused_again is not None:
        assert again == case.refused_again
        return
    first = told.letters[case.title]
    assert isinstance(again, DeadLetter), again
    assert (again.outcome, again.value, again.key) == (first.outcome, first.value, first.key)
    assert again.place != first.place


def test_the_neighbours_of_bad_records_count(told: Told) -> None:
    for topic, metric in METRIC_OF.items():
        assert told.answers[metric][NEIGHBOUR] == 2 * crowd_of(topic) * BAD_ON[topic]
    assert told.answers["items_sold"][NEIGHBOUR] == 2 * BAD_ON[ORDERS] * QUANTITY
    assert told.answers["gmv"][NEIGHBOUR] == 2 * BAD_ON[ORDERS] * GOODS_MINOR / 100


def test_repaired_every_one_of_them_counts(told: Told) -> None:
    for topic, metric in METRIC_OF.items():
        assert told.answers[metric][REPAIRED] == BAD_ON[topic]
    assert told.answers["items_sold"][REPAIRED] == BAD_ON[ORDERS] * QUANTITY


@pytest.mark.parametrize("legal", LEGAL, ids=lambda legal: f"{legal.topic}: {legal.name}")
def test_a_legal_record_counts_for_the_product_that_it_names(told: Told, legal: Legal) -> None:
    assert told.answers[METRIC_OF[legal.topic]][legal.product] == 1


def test_nothing_counts_but_neighbours_repaired_and_legal_records(told: Told) -> None:
    for topic, metric in METRIC_OF.items():
        products = {NEIGHBOUR, REPAIRED, *(legal.product for legal in LEGAL if legal.topic == topic)}
        assert told.answers[metric].keys() == products


@pytest.mark.parametrize("topic", METRIC_OF)
def test_every_record_has_one_outcome(told: Told, topic: str) -> None:
    late = sum(legal.topic == topic and legal.outcome is Outcome.COUNTED_LATE for legal in LEGAL)
    good = 2 * crowd_of(topic) * BAD_ON[topic] + sum(legal.topic == topic for legal in LEGAL)
    rejected = Counter(case.outcome for case in BAD if case.topic == topic)
    wanted = rejected + Counter({Outcome.COUNTED: good - late, Outcome.COUNTED_LATE: late})
    assert told.before.outcomes[topic] == wanted
    # Then once more what could be sent again as it was, and the repaired.
    wanted += Counter(case.outcome for case in BAD if case.topic == topic and case.refused_again is None)
    wanted[Outcome.COUNTED] += BAD_ON[topic]
    assert told.after.outcomes[topic] == wanted


def test_events_in_are_the_sum_over_outcomes(told: Told) -> None:
    assert {topic: counts.total() for topic, counts in told.outcomes.items() if counts} == dict(told.sent)
    durable = {topic: counts for topic, counts in told.after.outcomes.items() if counts}
    assert {topic: counts for topic, counts in told.outcomes.items() if counts} == durable
    assert {outcome for counts in durable.values() for outcome in counts} >= COUNTING


def test_the_worker_never_ended_and_ends_well_when_it_is_told_to(told: Told) -> None:
    assert told.exits == 0
    assert told.pids[0] == told.pids[1]
    assert told.code == 0
