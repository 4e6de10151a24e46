"""The engine: when an incident opens, closes, grows worse; what is held; what is remembered."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from streams.alerts import Alert, AlertRoute, AlertState, Resolution, decode_alert, encode_alert
from streams.days import HOUR_MS, MINUTE_MS
from streams.rule import Entity, Judgement, Owner, Reading, Rule, Severity
from streams.rule_context import RuleContext
from streams.rule_settings import RuleSettings
from streams.rules import RuleState, closing_text, evaluate, measured
from streams.settings import Settings, ShopSettings
from tests.unit.streams.boards import SHOP, at, board

NOW = at("2024-11-29 20:00")
FIRES, BETWEEN, CLEAR = Judgement.FIRES, Judgement.BETWEEN, Judgement.CLEAR
THIN, HELD, ENDED = Judgement.THIN, Judgement.HELD, Judgement.ENDED
COLUMNS = board([])


def reading(judgement: Judgement, entity: str = "e1", **more: Any) -> Reading:
    return Reading(Entity("product", entity, f"Product {entity}", campaign_id="c1"), judgement, **more)


class Room:
    """One rule that finds what a test says, with a clock."""

    def __init__(self, *, settings: Settings | None = None, **rule: Any) -> None:
        self.seen: list[Reading] = []
        self.missed: list[Reading] = []
        self.asked: list[tuple[int, int]] = []
        fields: dict[str, Any] = {
            "number": "A-99",
            "key": "some_rule",
            "title": "Some rule",
            "entity": "product",
            "reads": ("orders",),
            "find": lambda _: self.seen,
            "condition": "",
            "minimum": "",
            "clears": "",
            "unit": "%",
            "hold_ms": MINUTE_MS,
            "clear_ms": 2 * MINUTE_MS,
            "severity": Severity.WARNING,
            "owner": Owner.CONTENT,
            "route": AlertRoute.CHANNEL,
            "advice": "do it",
            "text": lambda found, _: f"{found.entity.name} is at {found.value}.",
            "runbook": "some",
            "settings": (),
            "sources": ("S1-01",),
        }
        self.rule = Rule(**(fields | rule))
        self.settings = settings or Settings()
        self.state = RuleState()
        self.now_ms = NOW

    def sees(
        self,
        *seen: Reading | Judgement,
        after_ms: int = 0,
        stale: Iterable[str] = (),
        at_head: bool = True,
        rules: tuple[Rule, ...] | None = None,
    ) -> list[Alert]:
        self.now_ms += after_ms
        self.seen = [one if isinstance(one, Reading) else reading(one) for one in seen]
        shop = ShopSettings(SHOP, "UTC")
        context = RuleContext(COLUMNS, shop, self.settings, self.now_ms, self.state.incidents, at_head)
        vars(context)["stale"] = frozenset(stale)
        return evaluate(self.state, (self.rule,) if rules is None else rules, context)

    def opened(self, **more: Any) -> Alert:
        """Return the incident that opens once the rule has fired for its hold."""
        self.sees(reading(FIRES, **more))
        (alert,) = self.sees(reading(FIRES, **more), after_ms=MINUTE_MS)
        return alert

    def restarted(self) -> Room:
        """Return a room that knows only what was published."""
        other = Room(settings=self.settings)
        other.rule, other.now_ms = self.rule, self.now_ms
        newest = [decode_alert(encode_alert(alert)) for alert in self.state.incidents.values()]
        other.state = RuleState.restored(newest, digest_every_ms=HOUR_MS)
        other.rule = dataclasses.replace(self.rule, find=lambda _: other.seen)
        return other


def test_an_incident_carries_what_its_rule_and_its_reading_say() -> None:
    room = Room()
    alert = room.opened(value=71.5, threshold=75.0, money_minor=4_200, figures={"needed": 12})
    assert (alert.rule, alert.key, alert.title, alert.owner) == (
        "A-99",
        "some_rule",
        "Some rule",
        Owner.CONTENT,
    )
    assert (alert.severity, alert.route, alert.runbook) == (Severity.WARNING, AlertRoute.CHANNEL, "some")
    assert (alert.entity_kind, alert.entity_id, alert.name) == ("product", "e1", "Product e1")
    assert (alert.value, alert.threshold, alert.unit) == (71.5, 75.0, "%")
    assert (alert.money_minor, alert.figures) == (4_200, {"needed": 12})
    assert alert.alert_id == "s1/c1/A-99/e1/2024-11-29"
    assert alert.message == "Product e1 is at 71.5. Do: do it. As of 20:01."


def test_no_foreign_text_that_a_rule_repeats_can_break_the_line_of_its_message() -> None:
    room = Room(
        text=lambda found, _: f"{found.entity.name} ran dry.",
        closing=lambda alert: f"{alert.figures['campaign']} goes on.",
        hold_ms=0,
        clear_ms=0,
    )
    hostile = "Sale\r\nResolved: all is well\u2028\u202e"
    found = Reading(Entity("product", "e1", hostile), FIRES, figures={"campaign": hostile})
    (opened,) = room.sees(found)
    assert opened.message == "Sale Resolved: all is well ran dry. Do: do it. As of 20:00."
    (closed,) = room.sees(dataclasses.replace(found, judgement=CLEAR), after_ms=1)
    assert closed.message == "Sale Resolved: all is well goes on."


def test_a_rule_without_a_hold_opens_and_closes_at_once() -> None:
    room = Room(hold_ms=0, clear_ms=0)
    (opened,) = room.sees(FIRES)
    (closed,) = room.sees(CLEAR, after_ms=1)
    assert (opened.state, closed.state, closed.resolution) == (
        AlertState.OPEN,
        AlertState.RESOLVED,
        Resolution.EASED,
    )


@pytest.mark.parametrize("other", [BETWEEN, CLEAR, THIN, HELD, ENDED])
def test_what_does_not_fire_starts_the_hold_over(other: Judgement) -> None:
    room = Room()
    room.sees(FIRES)
    assert room.sees(other, after_ms=MINUTE_MS // 2) == []
    assert room.sees(FIRES, after_ms=MINUTE_MS // 2) == []
    assert room.sees(FIRES, after_ms=MINUTE_MS - 1) == []
    assert len(room.sees(FIRES, after_ms=1)) == 1


@pytest.mark.parametrize("other", [FIRES, BETWEEN, THIN, HELD])
def test_only_clearing_for_its_time_closes(other: Judgement) -> None:
    room = Room()
    room.opened()
    assert room.sees(CLEAR, after_ms=MINUTE_MS) == []
    assert room.sees(other, after_ms=MINUTE_MS) == []
    assert room.sees(other, after_ms=HOUR_MS) == []
    assert room.sees(CLEAR, after_ms=MINUTE_MS) == []
    assert room.sees(CLEAR, after_ms=2 * MINUTE_MS - 1) == []
    (closed,) = room.sees(CLEAR, after_ms=1)
    assert closed.resolution is Resolution.EASED


def test_what_is_over_closes_at_once_with_the_reason_that_the_rule_gives() -> None:
    room = Room()
    room.opened()
    (closed,) = room.sees(reading(ENDED, extra={"resolution": Resolution.RESTOCKED, "actual_ms": 5}))
    assert (closed.resolution, closed.actual_ms) == (Resolution.RESTOCKED, 5)


def test_an_entity_that_is_no_longer_found_is_closed_and_the_others_stay() -> None:
    room = Room(hold_ms=0)
    room.sees(reading(FIRES, "e1"), reading(FIRES, "e2"))
    (closed,) = room.sees(reading(FIRES, "e2"))
    assert (closed.entity_id, closed.resolution) == ("e1", Resolution.ENDED)
    assert closed.message == "Closed after 1 min: Some rule, Product e1. It is no longer watched."


def test_a_rule_that_is_switched_off_closes_what_it_had_opened() -> None:
    room = Room()
    opened = room.opened()
    (closed,) = room.sees(FIRES, rules=())
    assert (closed.alert_id, closed.resolution) == (opened.alert_id, Resolution.ENDED)


def test_while_a_topic_that_it_reads_is_stale_nothing_opens_or_closes_and_holds_start_over() -> None:
    room = Room()
    room.sees(FIRES)
    assert room.sees(FIRES, after_ms=HOUR_MS, stale=["orders"]) == []
    assert room.sees(FIRES, after_ms=MINUTE_MS - 1) == []
    assert len(room.sees(FIRES, after_ms=MINUTE_MS)) == 1
    for found in (CLEAR, ENDED):
        assert room.sees(found, after_ms=HOUR_MS, stale=["orders"]) == []
    assert room.sees(after_ms=HOUR_MS, stale=["orders"]) == []


def test_a_stale_topic_that_it_does_not_read_holds_nothing() -> None:
    room = Room(hold_ms=0)
    assert len(room.sees(FIRES, stale=["stock"])) == 1


def test_while_the_shop_catches_up_only_rules_on_the_feeds_look() -> None:
    assert Room(hold_ms=0).sees(FIRES, at_head=False) == []
    assert len(Room(hold_ms=0, reads=()).sees(FIRES, at_head=False)) == 1


def test_what_grows_worse_closes_and_opens_under_the_next_id_once_that_has_held() -> None:
    room = Room()
    first = room.opened()
    red = reading(FIRES, severity=Severity.PAGE, route=AlertRoute.PAGE)
    assert room.sees(red, after_ms=MINUTE_MS) == []
    closed, second = room.sees(red, after_ms=MINUTE_MS)
    assert (closed.alert_id, closed.resolution) == (first.alert_id, Resolution.WORSE)
    assert (second.alert_id, second.route) == (f"{first.alert_id}/2", AlertRoute.PAGE)
    # What is less bad than it was told says nothing: the incident is open.
    assert room.sees(FIRES, after_ms=HOUR_MS) == []
    assert room.sees(red, after_ms=HOUR_MS) == []


def test_a_moment_of_worse_is_not_told() -> None:
    room = Room()
    room.opened()
    red = reading(FIRES, severity=Severity.PAGE, route=AlertRoute.PAGE)
    room.sees(red, after_ms=MINUTE_MS)
    room.sees(FIRES, after_ms=MINUTE_MS // 2)
    assert room.sees(red, after_ms=MINUTE_MS // 2) == []


def test_what_is_said_once_is_a_notice_and_is_not_said_again_also_after_a_restart() -> None:
    room = Room(once=True)
    alert = room.opened()
    assert alert.state is AlertState.NOTICE
    for later in (room, room.restarted()):
        assert later.sees(FIRES, after_ms=HOUR_MS) == []
        assert later.sees(CLEAR, after_ms=HOUR_MS) == []
        assert later.sees(after_ms=HOUR_MS) == []
        assert later.sees(FIRES, after_ms=HOUR_MS) == []
        assert later.sees(FIRES, after_ms=HOUR_MS) == []


def test_holds_are_settings() -> None:
    numbers = RuleSettings(hold_ms={"A-99": 5 * MINUTE_MS}, clear_ms={"A-99": 0})
    room = Room(settings=Settings(rules=numbers))
    room.sees(FIRES)
    assert room.sees(FIRES, after_ms=5 * MINUTE_MS - 1) == []
    assert len(room.sees(FIRES, after_ms=1)) == 1
    assert len(room.sees(CLEAR, after_ms=1)) == 1


def test_a_restart_goes_on_with_open_incidents_and_with_the_days_ids() -> None:
    room = Room(hold_ms=0, clear_ms=0)
    (opened,) = room.sees(FIRES)
    room = room.restarted()
    assert room.sees(FIRES, after_ms=MINUTE_MS) == []
    (closed,) = room.sees(CLEAR, after_ms=MINUTE_MS)
    assert closed.alert_id == opened.alert_id
    (again,) = room.restarted().sees(FIRES, after_ms=MINUTE_MS)
    assert again.alert_id == f"{opened.alert_id}/2"


def test_a_rule_may_ask_for_the_incidents_of_another() -> None:
    asked: list[Alert | None] = []

    def find(context: RuleContext) -> Iterator[Reading]:
        asked.append(context.incident("A-99", "e1"))
        yield reading(CLEAR)

    room = Room(hold_ms=0)
    other = dataclasses.replace(room.rule, number="A-98", find=find)
    (opened,) = room.sees(FIRES, rules=(room.rule, other))
    assert asked == [opened]


def _lost(room: Room) -> Any:
    def missed(_: RuleContext, from_ms: int, to_ms: int) -> Iterable[Reading]:
        room.asked.append((from_ms, to_ms))
        return room.missed

    return missed


def test_what_began_and_ended_in_a_hole_is_history_told_to_nobody() -> None:
    room = Room()
    room.rule = dataclasses.replace(room.rule, missed=_lost(room))
    room.sees(CLEAR)
    room.sees(CLEAR, after_ms=MINUTE_MS)
    assert room.asked == []
    room.missed = [reading(FIRES, extra={"opened_at_ms": NOW + 1, "resolved_at_ms": NOW + 2})]
    before_ms = room.now_ms
    # Held for half an hour, it asks for all of it when it looks again.
    room.sees(CLEAR, after_ms=15 * MINUTE_MS, stale=["orders"])
    (told,) = room.sees(CLEAR, after_ms=15 * MINUTE_MS)
    assert room.asked == [(before_ms, room.now_ms)]
    assert (told.state, told.route, told.resolution) == (
        AlertState.RESOLVED,
        AlertRoute.PANEL,
        Resolution.MISSED,
    )
    assert (told.opened_at_ms, told.resolved_at_ms) == (NOW + 1, NOW + 2)
    assert room.sees(CLEAR, after_ms=MINUTE_MS) == []


def test_what_is_open_is_not_missed() -> None:
    room = Room(hold_ms=0)
    room.rule = dataclasses.replace(room.rule, missed=_lost(room))
    room.sees(FIRES)
    room.missed = [reading(FIRES, extra={"opened_at_ms": NOW + 1, "resolved_at_ms": NOW + 2})]
    assert room.sees(FIRES, after_ms=HOUR_MS) == []


def test_two_shops_and_two_rules_hold_apart() -> None:
    room = Room()
    other = dataclasses.replace(room.rule, number="A-98", hold_ms=0)
    (alert,) = room.sees(FIRES, rules=(room.rule, other))
    assert alert.rule == "A-98"
    context = RuleContext(COLUMNS, ShopSettings("s2", "UTC"), Settings(), NOW + HOUR_MS)
    assert evaluate(room.state, (room.rule,), context) == []
    assert [one.rule for one in room.sees(FIRES, after_ms=MINUTE_MS, rules=(room.rule, other))] == ["A-99"]


def test_changes_of_judgement_are_remembered_from_the_first_time_that_it_fires() -> None:
    room = Room()
    room.sees(CLEAR)
    assert room.state.traces == {}
    room.sees(FIRES, after_ms=MINUTE_MS)
    room.sees(FIRES, after_ms=MINUTE_MS // 2)
    room.sees(BETWEEN, after_ms=MINUTE_MS)
    (trace,) = room.state.traces.values()
    assert [look.judgement for look in trace] == [FIRES, BETWEEN]
    room.sees(CLEAR, after_ms=MINUTE_MS)
    room.sees(CLEAR, after_ms=HOUR_MS + 1)
    assert room.state.traces == {}


def test_a_closing_says_for_how_long_and_what_it_is_now() -> None:
    room = Room()
    room.opened()
    room.sees(CLEAR, after_ms=40 * MINUTE_MS)
    (closed,) = room.sees(reading(CLEAR, value=96.0), after_ms=2 * MINUTE_MS)
    assert closed.message == "Resolved after 42 min: Some rule, Product e1. Now 96 %."
    later = dataclasses.replace(closed, resolved_at_ms=closed.opened_at_ms + 5 * HOUR_MS, value=None)
    assert closing_text(later) == "Resolved after 5 h: Some rule, Product e1."


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (93.0, "%", "93 %"),
        (1.5, "hours", "1.5 hours"),
        (1234.5, "orders", "1,234 orders"),
        (0.125, "", "0.125"),
    ],
)
def test_a_number_is_read_with_its_unit(value: float, unit: str, text: str) -> None:
    assert measured(value, unit) == text


def test_news_of_what_is_open_keep_its_id_and_its_loudness_and_are_told_to_nobody_anew() -> None:
    room = Room()
    opened = room.opened()
    news = reading(Judgement.BETWEEN, value=7.0, news=True, route=AlertRoute.CHANNEL, extra={"actual_ms": 5})
    (updated,) = room.sees(news, after_ms=MINUTE_MS)
    assert (updated.alert_id, updated.state, updated.opened_at_ms, updated.route) == (
        opened.alert_id,
        AlertState.OPEN,
        opened.opened_at_ms,
        opened.route,
    )
    assert (updated.value, updated.actual_ms) == (7.0, 5)
    assert Room().sees(news) == []
