"""Run the dialogues of `rules/`: what happens in a shop, minute by minute, and what the rules then say.

A dialogue is read by a seller: "sold one every two minutes, 30 left; at 20:05 a page". Its file is TOML; each has a
`name`, the number of its `rule` (or several), and a list of steps, each with one key:

    campaign  { id = "friday", name = "Black Friday", from = "00:00", until = "24:00", goal = 5000.0, metric = "gmv",
                products = ["dress"], ... }           other fields of the campaign record as they are; all have defaults
    product   { id = "dress", name = "Linen dress", skus = ["dress-M"], price = 25.0, ... }
    stock     { sku = "dress-M", left = 38 }
    sold      { sku = "dress-M", every = "2m", from = "18:00", until = "20:00", units = 1, price = 25.0, by = "live" }
              or { sku = "dress-M", orders = 5, at = "20:00" }; price is paid per unit; known = true: by people whose
              user_key is known; customer = "ann": all by her
    cancelled { orders = 5 }                          the newest orders that are not cancelled yet
    seen      { what = "clicks", product = "dress", number = 100, from = "18:00", until = "20:00", by = "live" }
              what: impressions, clicks, page_views, add_to_cart; `every` in place of `number`; people = 10 for so many
              people in turn, else each is another one
    shop      { connected = false }                   the shop's own record
    send      { event_type = "...", ... }             any other event, its fields as on the wire
    content, watched, broke, followers, ad, primary, checkouts, benchmark: see `content_steps`
    silent    ["orders"]                              from now on no heartbeat of these topics; [] ends it
    lagging   ["orders"]                              records of these topics wait to be folded; [] ends it
    until     "20:05"                                 the clock goes on; the rules look once a minute in the last hour
                                                      before it, and on the hour before that
    restart   true                                    another process goes on with what was published
    expect    [{ state = "open", entity = "dress-M", at = "20:01", says = ["38 left", "Do: add stock"] }]
    judged    { entity = "dress-M", is = "thin", volume = 4 }

`expect` names all alerts of the dialogue's rules since the last `expect`, in order; `[]` is "nothing". What is left out
is not compared: state, entity, rule, route, severity, resolution, at, value, threshold, name, money, id; `says` is a
text, or a list of texts, that the message must hold. `judged` asks the rule itself, before holds: is, value, threshold,
clearing, volume, minimum; `is = "not found"`: it says nothing of the entity.

Times are those of the shop, America/Los_Angeles, on Friday 2025-11-28; `yesterday 20:00`, `tomorrow 02:00` and
`2025-11-21 20:00` are other days; durations are `30s`, `2m`, `1h`. Facts may lie ahead of the clock: they come when it
reaches them. A fact without a time happens now; before the first `until` that is 00:00. A product's id is what stands
before the first dash of its SKU's. `by` is live, video (of a creator) or card. Every topic of `required` (of the
dialogue, default orders and stock) and every topic with a fact sends heartbeats, unless it is `silent`.

`settings = { "stock.page_min_sales" = 5 }` changes numbers. `must_fail = true` marks a dialogue whose expectation is
wrong: the runner requires that it is noticed.
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

from streams.alerts import Alert, decode_alert, encode_alert
from streams.columns import Columns
from streams.days import HOUR_MS, MINUTE_MS
from streams.events import FACT_TYPES, TRAFFIC_TYPES, Event, OrderPaid, OrderStatusChanged, Source
from streams.rule_context import Memo, RuleContext
from streams.rulebook import RULES, beside, rule_of, rules_of
from streams.rules import RuleState, evaluate
from streams.settings import Settings, ShopSettings
from streams.settings_check import checked_settings
from streams.topics import TOPIC_OF_TYPE
from tests.transcripts.content_steps import STEPS
from tests.unit.streams.boards import SHOP, flush_of, heartbeat, line, order, stock, traffic

FOLDER: Final = Path(__file__).parent / "rules"
ZONE: Final = "America/Los_Angeles"
TODAY: Final = dt.date(2025, 11, 28)
SOURCES: Final = {
    "live": Source("seller", "live", "live_room", False, content_id="live-friday"),
    "video": Source("affiliate", "video", "feed", False, creator_id="mia", content_id="video-mia"),
    "card": Source("seller", "product_card", "shop_tab", False),
}
TRAFFIC: Final = {
    "impressions": "product_impression",
    "clicks": "product_click",
    "page_views": "product_page_view",
    "add_to_cart": "add_to_cart",
}


def dialogues() -> list[Any]:
    return [
        pytest.param(dialogue, id=f"{path.stem}: {dialogue['name']}")
        for path in sorted(FOLDER.glob("*.toml"))
        for dialogue in tomllib.loads(path.read_text(encoding="utf-8"))["dialogue"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("dialogue", dialogues())
def test_dialogue(dialogue: dict[str, Any]) -> None:
    if not dialogue.get("must_fail"):
        run(dialogue)
        return
    with pytest.raises(AssertionError):
        run(dialogue)


def test_every_rule_has_dialogues_and_one_that_must_fail() -> None:
    kinds: Counter[tuple[str, bool]] = Counter()
    for case in dialogues():
        dialogue = case.values[0]
        for number in numbers_of(dialogue):
            kinds[number, bool(dialogue.get("must_fail"))] += 1
    assert {number for number, _ in kinds} == {rule.number for rule in RULES}
    assert [rule.number for rule in RULES if not kinds[rule.number, True]] == []
    assert [rule.number for rule in RULES if kinds[rule.number, False] < 3] == []


def numbers_of(dialogue: dict[str, Any]) -> list[str]:
    rule = dialogue["rule"]
    return [rule] if isinstance(rule, str) else list(rule)


def run(dialogue: dict[str, Any]) -> None:
    room = Room(dialogue)
    for step in dialogue["step"]:
        ((kind, content),) = step.items()
        match kind:
            case "until":
                room.until(instant(content))
            case "restart":
                room.restart()
            case "silent" | "lagging":
                setattr(room, kind, set(content))
            case "expect":
                room.expect(content)
            case "judged":
                room.judged(content)
            case _:
                room.happens(kind, dict(content))


class Room:
    """A shop with a clock, its facts that have come and are still to come, and what its rules have said."""

    def __init__(self, dialogue: dict[str, Any]) -> None:
        sections: dict[str, dict[str, Any]] = {}
        for key, value in dialogue.get("settings", {}).items():
            section, _, name = key.partition(".")
            sections.setdefault(section, {})[name] = value
        required = tuple(dialogue.get("required", ("orders", "stock")))
        self.shop = ShopSettings(SHOP, ZONE, "USD", name="Linen & Co", required_topics=required)
        changed = checked_settings(sections, place=dialogue["name"])
        self.settings: Settings = dataclasses.replace(changed, shops={SHOP: self.shop})
        self.columns = Columns(self.settings)
        self.state = RuleState()
        self.numbers = numbers_of(dialogue)
        self.rules = beside(self.numbers, rules_of(self.settings))
        self.now_ms = instant("00:00")
        self.ahead: list[Event] = []
        self.said: list[Alert] = []
        self.published: list[Alert] = []
        self.silent: set[str] = set()
        self.lagging: set[str] = set()
        self._alive = set(required)
        self._flushes: dict[str, int] = {}
        self._memo: Memo = {}
        self._count = 0
        self._number = 0

    def happens(self, kind: str, content: dict[str, Any]) -> None:
        if kind in STEPS:
            at_ms = self._time(content.pop("at", None))
            self.ahead += [self._event(name, at_ms, fields) for name, fields in STEPS[kind](at_ms, **content)]
            return
        events = getattr(self, f"_{kind}", None)
        if events is None:
            pytest.fail(f"unknown step {kind}")
        self.ahead += events(**content)

    def until(self, at_ms: int) -> None:
        assert at_ms >= self.now_ms, "the clock never goes back"
        while self.now_ms < at_ms:
            self.now_ms = min(at_ms, self.now_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS)
            if at_ms - self.now_ms < HOUR_MS or self.now_ms % HOUR_MS == 0:
                self._look()

    def _look(self) -> None:
        self._take()
        # As the board does: slow answers are shared from look to look.
        context = dataclasses.replace(self._context(), memo=self._memo)
        alerts = evaluate(self.state, self.rules, context)
        self.published += alerts
        self.said += [alert for alert in alerts if alert.rule in self.numbers]

    def _context(self) -> RuleContext:
        self.columns.mark_lagging((self._flushes[topic], topic) for topic in self.lagging)
        return RuleContext(self.columns, self.shop, self.settings, self.now_ms, self.state.incidents)

    def _take(self) -> None:
        due = [event for event in self.ahead if event.occurred_at_ms <= self.now_ms]
        self.ahead = [event for event in self.ahead if event.occurred_at_ms > self.now_ms]
        self._alive |= {TOPIC_OF_TYPE[event.event_type] for event in due}
        beating = sorted(self._alive - self.silent - self.lagging)
        if beating:
            due += [heartbeat([topic], self.now_ms, source=topic) for topic in beating]
        if due:
            self._count += 1
            self.columns.apply(flush_of(due, zone=ZONE, partition=self._count))
            self._flushes |= {TOPIC_OF_TYPE[event.event_type]: self._count for event in due}

    def restart(self) -> None:
        newest = {alert.alert_id: decode_alert(encode_alert(alert)) for alert in self.published}
        every_ms = self.settings.stock.digest_every_ms
        self.state = RuleState.restored(newest.values(), digest_every_ms=every_ms)

    def expect(self, wanted: list[dict[str, Any]]) -> None:
        said, self.said = self.said, []
        assert len(said) == len(wanted), [(told_of(alert), alert.message) for alert in said]
        for alert, named in zip(said, wanted, strict=True):
            told, want = told_of(alert), dict(named)
            texts = want.pop("says", [])
            unknown = want.keys() - told.keys()
            assert not unknown, f"an expectation cannot name {unknown}"
            assert {key: told[key] for key in want} == want, alert.message
            for text in [texts] if isinstance(texts, str) else texts:
                assert text in alert.message, alert.message

    def judged(self, named: dict[str, Any]) -> None:
        want = dict(named)
        rule = rule_of(want.pop("rule", self.numbers[0]))
        assert rule is not None
        self._take()
        entity = want.pop("entity")
        found = [one for one in rule.find(self._context()) if one.entity.id == entity]
        if want.get("is") == "not found":
            assert found == []
            return
        assert len(found) == 1, f"{len(found)} readings of {entity}"
        (reading,) = found
        told = {"is": reading.judgement.value} | {
            key: getattr(reading, key) for key in ("value", "threshold", "clearing", "volume", "minimum")
        }
        assert told == told | {
            key: pytest.approx(value, rel=0.01) if isinstance(value, int | float) else value
            for key, value in want.items()
        }

    def _id(self, what: str) -> str:
        self._number += 1
        return f"{what}{self._number}"

    def _time(self, at: str | None) -> int:
        return self.now_ms if at is None else instant(at)

    def _event(self, event_type: str, at_ms: int, fields: dict[str, Any]) -> Event:
        kinds: dict[str, Any] = {**FACT_TYPES, **TRAFFIC_TYPES}
        common = {"event_id": self._id("e"), "event_type": event_type, "shop_id": SHOP}
        event: Event = msgspec.convert({**common, "occurred_at_ms": at_ms, **fields}, kinds[event_type])
        return event

    def _send(self, event_type: str, at: str | None = None, **fields: Any) -> list[Event]:
        return [self._event(event_type, self._time(at), fields)]

    def _campaign(self, **words: Any) -> list[Event]:
        self._number += 1
        fields = {
            "campaign_id": words.pop("id", "friday"),
            "name": words.pop("name", "Black Friday"),
            "starts_at_ms": instant(words.pop("from", "00:00")),
            "ends_at_ms": instant(words.pop("until", "24:00")),
            "target_value": words.pop("goal", None),
            "target_metric": words.pop("metric", "gmv"),
            "product_ids": words.pop("products", []),
            "joined_at_ms": 0,
            "version": self._number,
        }
        return [self._event("campaign", self._time(words.pop("at", None)), fields | words)]

    def _product(self, **words: Any) -> list[Event]:
        self._number += 1
        name = words.pop("id", "dress")
        fields = {
            "product_id": name,
            "name": words.pop("name", name),
            "sku_ids": words.pop("skus", [name]),
            "price_minor": round(words.pop("price", 25.0) * 100),
            "category": "clothes",
            "version": self._number,
        }
        return [self._event("product", self._time(words.pop("at", None)), fields | words)]

    def _shop(self, at: str | None = None, **fields: Any) -> list[Event]:
        self._number += 1
        known = {"timezone": ZONE, "version": self._number}
        return [self._event("shop", self._time(at), known | fields)]

    def _stock(self, sku: str, left: int, at: str | None = None, warehouse: str = "default") -> list[Event]:
        level = stock(sku, left, self._time(at), warehouse=warehouse)
        return [msgspec.structs.replace(level, product_id=product_of(sku))]

    def _sold(self, sku: str, units: int = 1, price: float = 25.0, by: str = "", **words: Any) -> list[Event]:
        paid = round(price * units * 100)
        known, customer = words.pop("known", False), words.pop("customer", "")
        return [
            order(
                self._id("o"),
                at_ms,
                [line("1", sku, paid, quantity=units, product_id=product_of(sku), source=SOURCES.get(by))],
                customer or self._id("customer"),
                user_key=self._id("buyer") if known else None,
            )
            for at_ms in self._times(words, "orders")
        ]

    def _cancelled(self, orders: int, at: str | None = None) -> list[Event]:
        gone = {event.order_id for event in self.ahead if isinstance(event, OrderStatusChanged)}
        known = set(self.columns.order_status(SHOP).get_column("order_id")) | gone
        placed = [
            (event.paid_at_ms, str(event.order_id)) for event in self.ahead if isinstance(event, OrderPaid)
        ]
        lines = self.columns.order_lines(SHOP).select("paid_at_ms", "order_id").unique().rows()
        newest = sorted(((at_ms, one) for at_ms, one in [*placed, *lines] if one not in known), reverse=True)
        return [
            self._event(
                "order_status", self._time(at), {"order_id": order_id, "status": "cancelled", "seq": 2}
            )
            for _, order_id in newest[:orders]
        ]

    def _seen(
        self, what: str, product: str = "dress", by: str = "", people: int = 0, **words: Any
    ) -> list[Event]:
        return [
            traffic(
                TRAFFIC[what],
                at_ms,
                f"u{number % people}" if people else self._id("u"),
                product,
                SOURCES.get(by),
            )
            for number, at_ms in enumerate(self._times(words, "number"))
        ]

    def _times(self, words: dict[str, Any], number: str) -> list[int]:
        """Return the instants of a step: at one, or evenly from one to before another."""
        if "from" not in words:
            return [self._time(words.get("at"))] * words.get(number, 1)
        begin_ms, end_ms = instant(words["from"]), instant(words["until"])
        if "every" in words:
            return list(range(begin_ms, end_ms, duration(words["every"])))
        count = words[number]
        return [begin_ms + (end_ms - begin_ms) * index // count for index in range(count)]


def told_of(alert: Alert) -> dict[str, Any]:
    """Return an alert in the words of an expectation."""
    moment = dt.datetime.fromtimestamp(alert.updated_at_ms / 1000, ZoneInfo(ZONE))
    return {
        "id": alert.alert_id,
        "rule": alert.rule,
        "state": alert.state.value,
        "entity": alert.entity_id,
        "route": alert.route.value,
        "severity": alert.severity.value,
        "resolution": None if alert.resolution is None else alert.resolution.value,
        "at": f"{moment:%H:%M}",
        "value": alert.value,
        "threshold": alert.threshold,
        "name": alert.name,
        "money": alert.money_minor / 100,
    }


def product_of(sku: str) -> str:
    return sku.partition("-")[0]


def instant(text: str) -> int:
    """Return the ms of a time of the shop's clock; 24:00 is the next midnight."""
    day, _, clock = text.rpartition(" ")
    date = {
        "": TODAY,
        "yesterday": TODAY - dt.timedelta(days=1),
        "tomorrow": TODAY + dt.timedelta(days=1),
    }.get(day) or dt.date.fromisoformat(day)
    if clock == "24:00":
        date, clock = date + dt.timedelta(days=1), "00:00"
    local = dt.datetime.combine(date, dt.time.fromisoformat(clock), ZoneInfo(ZONE))
    return round(local.timestamp() * 1000)


def duration(text: str) -> int:
    """Return the ms of `30s`, `2m` or `1h`."""
    return round(float(text[:-1]) * {"s": 1_000, "m": 60_000, "h": 3_600_000}[text[-1]])
