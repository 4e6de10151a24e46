"""Why a rule fired on an entity, or why it did not: what it found, against what, for how long, and what it says."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from streams.alerts import AlertState
from streams.rule import Judgement
from streams.rules import Look, clear_of, hold_of, incident_of, measured

if TYPE_CHECKING:
    from streams.alerts import Alert
    from streams.rule import Reading, Rule
    from streams.rule_context import RuleContext
    from streams.rules import RuleState
    from streams.settings import Settings

NAMED: Final = 5
"""Entities that are named when the asked one is not among them."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What there is to say of one rule and one entity at one instant.

    Attributes:
        answer: one sentence: why it fired, or what kept it from firing.
        judgement: of this look, before holds; empty when the rule says nothing of the entity.
        value, threshold, clearing, volume, minimum: see `rule.Reading`; the first three in `unit`.
        money_minor: the money in it, minor units of `currency`; figures: what else it looked at, by name.
        hold_ms, held_ms: how long the condition must hold, and has held; clear_ms, clearing_ms: likewise for closing.
        stale: topics that the rule reads and that hold it.
        incident_id, opened_at_ms: of the open incident, else of the newest one; empty and None where there is none.
        is_open: whether an incident is open.
        sentence: what the open incident says, else what a new one would say; empty where nothing can be said.
        history: (instant, judgement, value) of each change in the hour before, as far as somebody looked.
    """

    rule: str
    key: str
    title: str
    shop_id: str
    entity: str
    name: str
    at_ms: int
    timezone: str
    answer: str
    judgement: str
    value: float | None
    threshold: float | None
    clearing: float | None
    unit: str
    volume: float | None
    minimum: float | None
    money_minor: int
    currency: str
    figures: dict[str, int | float | str | None]
    hold_ms: int
    held_ms: int
    clear_ms: int
    clearing_ms: int
    stale: tuple[str, ...]
    incident_id: str
    opened_at_ms: int | None
    is_open: bool
    sentence: str
    condition: str
    history: tuple[tuple[int, str, float | None], ...]


def explain(rule: Rule, entity: str, context: RuleContext, state: RuleState | None) -> Explanation:
    """Return what a rule says of an entity now.

    Args:
        rule: of the rulebook.
        entity: id, or the name that a person calls it.
        context: of the entity's shop; its `incidents` are those that are known.
        state: of the engine that looks at this shop, after its look at `context.now_ms`; None where another process
            holds it: then neither holds nor the hour before are known.
    """
    readings = list(rule.find(context))
    reading = next((one for one in readings if one.entity.id == entity), None) or next(
        (one for one in readings if one.entity.name.casefold() == entity.casefold()), None
    )
    entity_id = entity if reading is None else reading.entity.id
    incident = (context.shop.shop_id, rule.number, entity_id)
    newest = context.incident(rule.number, entity_id)
    is_open = newest is not None and newest.state is AlertState.OPEN
    held_ms, clearing_ms = (
        0 if state is None or incident not in since else context.now_ms - since[incident]
        for since in (state.firing_since if state else {}, state.clear_since if state else {})
    )
    looks = state.traces.get(incident, ()) if state is not None else ()
    answer = (
        _nothing(rule, entity, readings)
        if reading is None
        else _answer(rule, reading, context, newest, held_ms, clearing_ms)
    )
    return Explanation(
        rule=rule.number,
        key=rule.key,
        title=rule.title,
        shop_id=context.shop.shop_id,
        entity=entity_id,
        name="" if reading is None else reading.entity.name,
        at_ms=context.now_ms,
        timezone=context.shop.timezone,
        answer=answer,
        judgement="" if reading is None else reading.judgement.value,
        value=None if reading is None else reading.value,
        threshold=None if reading is None else reading.threshold,
        clearing=None if reading is None else reading.clearing,
        unit=rule.unit,
        volume=None if reading is None else reading.volume,
        minimum=None if reading is None else reading.minimum,
        money_minor=0 if reading is None else reading.money_minor,
        currency=context.shop.currency,
        figures={} if reading is None else dict(reading.figures),
        hold_ms=hold_of(rule, context),
        held_ms=held_ms,
        clear_ms=clear_of(rule, context),
        clearing_ms=clearing_ms,
        stale=tuple(sorted(context.stale & set(rule.reads))),
        incident_id="" if newest is None else newest.alert_id,
        opened_at_ms=None if newest is None else newest.opened_at_ms,
        is_open=is_open,
        sentence=_sentence(rule, reading, context, newest),
        condition=rule.condition,
        history=_history(looks, context.now_ms),
    )


def settings_of(rule: Rule, settings: Settings) -> dict[str, Any]:
    """Return the settings that hold a rule's numbers, with the values they have now."""
    values = {}
    for key in rule.settings:
        section, _, name = key.partition(".")
        values[key] = getattr(getattr(settings, section), name)
    return values


def rule_document(rule: Rule, settings: Settings) -> dict[str, Any]:
    """Return a rule as JSON has it: the body of `GET /api/v1/rules` and of `warroom rules list --json`."""
    return {
        "rule": rule.number,
        "key": rule.key,
        "title": rule.title,
        "on": rule.number not in settings.rules.off,
        "entity": rule.entity,
        "reads": list(rule.reads),
        "condition": rule.condition,
        "minimum": rule.minimum,
        "clears": rule.clears,
        "unit": rule.unit,
        "hold_ms": settings.rules.hold_ms.get(rule.number, rule.hold_ms),
        "clear_ms": settings.rules.clear_ms.get(rule.number, rule.clear_ms),
        "once": rule.once,
        "severity": rule.severity.value,
        "owner": rule.owner.value,
        "route": rule.route.value,
        "advice": rule.advice,
        "runbook": rule.runbook,
        "settings": settings_of(rule, settings),
        "sources": list(rule.sources),
    }


def _nothing(rule: Rule, entity: str, readings: list[Reading]) -> str:
    if not readings:
        return f"{rule.number} finds no {rule.entity} to look at: what it needs is not there."
    called = {name: one.entity for one in readings for name in (one.entity.name, one.entity.id)}
    near = difflib.get_close_matches(entity, sorted(called), n=NAMED, cutoff=0.5) or sorted(called)
    shown = list(dict.fromkeys(called[name] for name in near))[:NAMED]
    listed = ", ".join(one.id if one.name == one.id else f"{one.id} ({one.name})" for one in shown)
    return (
        f"{rule.number} looks at {len(readings):,} of kind {rule.entity}, and {entity!r} is none of them."
        f" There is, for example: {listed}."
    )


def _answer(
    rule: Rule,
    reading: Reading,
    context: RuleContext,
    newest: Alert | None,
    held_ms: int,
    clearing_ms: int,
) -> str:
    time = context.clock.time
    if rule.number in context.settings.rules.off:
        return f"{rule.number} is switched off (rules.off)."
    if newest is not None and newest.state is AlertState.OPEN:
        opened = f"It fired: {newest.alert_id} is open since {time(newest.opened_at_ms)}."
        return f"{opened} {_stays(rule, reading, context, clearing_ms)}"
    if newest is not None and rule.once:
        return f"It was said at {time(newest.opened_at_ms)}, and is said once only."
    before = ""
    if newest is not None and newest.resolved_at_ms is not None and newest.resolution is not None:
        before = (
            f" The last one was open from {time(newest.opened_at_ms)} to {time(newest.resolved_at_ms)}"
            f" ({newest.resolution.value.replace('_', ' ')})."
        )
    return f"Not open: {_why_not(rule, reading, context, held_ms)}{before}"


def _why_not(rule: Rule, reading: Reading, context: RuleContext, held_ms: int) -> str:
    if context.holds(rule.reads):
        return _held(rule, context)
    numbers = _numbers(rule, reading)
    match reading.judgement:
        case Judgement.FIRES:
            wait_s = (hold_of(rule, context) - held_ms) / 1000
            return (
                f"its condition holds{numbers}, and opens when it has held for {max(0, wait_s):.0f} s more."
            )
        case Judgement.THIN:
            volume, least = reading.volume or 0, reading.minimum or 0
            return f"there is too little to go by: {volume:g}, and the least is {least:g} ({rule.minimum}){numbers}."
        case Judgement.HELD:
            return "a figure that it needs is unknown."
        case Judgement.ENDED:
            return "what it watches is over."
        case Judgement.BETWEEN:
            return f"it is near, but not all of its condition holds{numbers}: {rule.condition}."
        case Judgement.CLEAR:
            return f"its condition does not hold{numbers}: {rule.condition}."


def _stays(rule: Rule, reading: Reading, context: RuleContext, clearing_ms: int) -> str:
    if context.holds(rule.reads):
        return f"It stays open: {_held(rule, context)}"
    if reading.judgement is Judgement.CLEAR:
        wait_s = (clear_of(rule, context) - clearing_ms) / 1000
        return f"It closes when its clearing condition has held for {max(0, wait_s):.0f} s more."
    return f"It closes: {rule.clears}."


def _held(rule: Rule, context: RuleContext) -> str:
    stale = sorted(context.stale & set(rule.reads))
    why = f"the feed of {' and '.join(stale)} is stale" if stale else "the shop's feed is catching up"
    return f"{why}, so that nothing opens and nothing closes."


def _numbers(rule: Rule, reading: Reading) -> str:
    if reading.value is None or reading.threshold is None:
        return ""
    value, threshold = measured(reading.value, rule.unit), measured(reading.threshold, rule.unit)
    return f" (it is {value}, the line is {threshold})"


def _sentence(rule: Rule, reading: Reading | None, context: RuleContext, newest: Alert | None) -> str:
    if newest is not None and newest.state is not AlertState.RESOLVED:
        return newest.message
    if reading is None or reading.judgement is not Judgement.FIRES:
        return ""
    return incident_of(rule, reading, context, "").message


def _history(looks: Any, now_ms: int) -> tuple[tuple[int, str, float | None], ...]:
    found: list[Look] = list(looks)
    return tuple((look.at_ms, look.judgement.value, look.value) for look in found if look.at_ms <= now_ms)
