"""The engine of the rules: when an incident opens, when it closes, what it says. What a rule looks for is its own.

    held      a topic that the rule reads is stale (X-82), or the shop catches up: nothing opens, nothing closes,
              running holds start over
    opens     the rule's condition has held for its hold
    closes    its clearing condition has held for as long as it asks, or what it watched is over or gone
    worse     an open incident that now deserves a worse severity or route closes, and a new one opens
    missed    what began and ended while nobody looked goes to history, told to nobody

One incident opens once and closes once, under one id. State is rebuilt from the alerts topic after a restart; a hold
that was running starts again.

Source: spec/alerts.md, "Rules about rules".
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from streams.alerts import Alert, AlertRoute, AlertState, Resolution, advised, clean_name, one_line
from streams.days import HOUR_MS, MINUTE_MS, BusinessCalendar, day_label
from streams.rule import Judgement, Reading, Rule, Severity

if TYPE_CHECKING:
    from streams.rule_context import RuleContext

HOLE_MS: Final = 2 * MINUTE_MS
"""A rule that did not look for so long asks what it missed."""

TRACE_LOOKS: Final = 60
TRACE_MS: Final = HOUR_MS
"""What a rule said of an entity that it fired on is remembered for so long, at most so many changes of it."""

DIGEST: Final = "digest"
"""Key of the hourly digest, which no rule opens."""

_WORSE: Final = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.PAGE: 2}
_LOUDER: Final = {AlertRoute.PANEL: 0, AlertRoute.DIGEST: 1, AlertRoute.CHANNEL: 2, AlertRoute.PAGE: 3}

_Incident = tuple[str, str, str]
"""Shop, rule, entity: at most one of them is open."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a rule said of an entity at one instant, and until it said something else."""

    at_ms: int
    judgement: Judgement
    value: float | None


class RuleState:
    """What the rules remember.

    Attributes:
        incidents: the newest incident of each shop, rule and entity, open or closed.
        opened: incidents by the id of the day's first.
        digest_hours: by shop, the hour of the last digest.
        firing_since, clear_since: running holds.
        looked: by shop and rule, when it last looked.
        traces: changes of judgement in the last hour, of entities that a rule fired on.
    """

    def __init__(self) -> None:
        self.incidents: dict[_Incident, Alert] = {}
        self.opened: dict[str, int] = {}
        self.digest_hours: dict[str, int] = {}
        self.firing_since: dict[_Incident, int] = {}
        self.clear_since: dict[_Incident, int] = {}
        self.looked: dict[tuple[str, str], int] = {}
        self.traces: dict[_Incident, deque[Look]] = {}
        self._open: dict[_Incident, None] = {}

    @classmethod
    def restored(cls, alerts: Iterable[Alert], *, digest_every_ms: int) -> RuleState:
        """Return the state that has published these alerts, the newest version of each id."""
        state = cls()
        for alert in sorted(alerts, key=lambda each: each.opened_at_ms):
            if alert.route is AlertRoute.DIGEST and alert.state is AlertState.NOTICE:
                state.digest_hours[alert.shop_id] = alert.opened_at_ms // digest_every_ms
                continue
            state._count(alert.alert_id)
            state.keep(alert)
        return state

    def keep(self, alert: Alert) -> None:
        """Take an incident's newest version in."""
        incident = (alert.shop_id, alert.rule, alert.entity_id or alert.sku_id)
        self.incidents[incident] = alert
        if alert.state is AlertState.OPEN:
            self._open[incident] = None
        else:
            self._open.pop(incident, None)

    def open_alert(self, incident: _Incident) -> Alert | None:
        """Return the open incident of a shop, rule and entity."""
        return self.incidents[incident] if incident in self._open else None

    def open_of(self, shop_id: str) -> list[_Incident]:
        """Return what is open in a shop, oldest first."""
        return [incident for incident in self._open if incident[0] == shop_id]

    def new_id(self, context: RuleContext, campaign_id: str, rule: str, entity_id: str) -> str:
        """Return the stable id of an incident that opens now; the second of a day ends in `/2`."""
        shop = context.shop
        day = day_label(BusinessCalendar(shop.timezone).day_of(context.now_ms))
        base = f"{shop.shop_id}/{campaign_id or '-'}/{rule}/{entity_id}/{day}"
        times = self.opened.get(base, 0) + 1
        alert_id = base if times == 1 else f"{base}/{times}"
        self._count(alert_id)
        return alert_id

    def _count(self, alert_id: str) -> None:
        base, _, last = alert_id.rpartition("/")
        # An id ends in its day, which holds dashes, or in the number of its recurrence.
        known, times = (base, int(last)) if last.isdecimal() else (alert_id, 1)
        self.opened[known] = max(self.opened.get(known, 0), times)

    def forget_holds(self, shop_id: str, rule: str) -> None:
        """Start all running holds of a rule in a shop over."""
        for since in (self.firing_since, self.clear_since):
            for incident in [key for key in since if key[:2] == (shop_id, rule)]:
                del since[incident]

    def forget(self, incident: _Incident) -> None:
        """Start the running holds of one incident over."""
        self.firing_since.pop(incident, None)
        self.clear_since.pop(incident, None)

    def note(self, incident: _Incident, look: Look) -> None:
        """Remember what was said, from the first time that the rule fires until an hour after it was last of note."""
        trace = self.traces.get(incident)
        if trace is None:
            if look.judgement is not Judgement.FIRES:
                return
            trace = self.traces[incident] = deque(maxlen=TRACE_LOOKS)
        if not trace or trace[-1].judgement is not look.judgement:
            trace.append(look)
        elif (
            look.judgement is not Judgement.FIRES
            and incident not in self._open
            and look.at_ms - trace[-1].at_ms > TRACE_MS
        ):
            del self.traces[incident]


def evaluate(
    state: RuleState,
    rules: Sequence[Rule],
    context: RuleContext,
    *,
    broke: Callable[[Rule, Exception], None] | None = None,
) -> list[Alert]:
    """Return the alerts that opened or closed now, in the order of the rules; `state` takes them in.

    Args:
        state: of all shops; changed.
        rules: of the rulebook; what is open of a rule that is not among them is closed as ended.
        context: of one shop. Its `incidents` are those of `state`, and its `now_ms` is never before that of the last
            call.
        broke: told of a rule that raises, whose other entities wait for the next call; the rules after it are looked
            at. Without it the error is the caller's.
    """
    shop_id = context.shop.shop_id
    run = {rule.number for rule in rules}
    alerts = [
        _close(state, incident, None, context, None)
        for incident in state.open_of(shop_id)
        if incident[1] not in run
    ]
    for rule in rules:
        try:
            # One by one: the state holds an alert as said, so it must not get lost with what breaks after it.
            for alert in _look(state, rule, context):
                alerts.append(alert)  # noqa: PERF402 - extend would do the same, and hide that this matters
        except Exception as error:
            if broke is None:
                raise
            broke(rule, error)
    return alerts


def hold_of(rule: Rule, context: RuleContext) -> int:
    """Return for how long a rule's condition must hold until it opens, ms."""
    return context.settings.rules.hold_ms.get(rule.number, rule.hold_ms)


def clear_of(rule: Rule, context: RuleContext) -> int:
    """Return for how long a rule's clearing condition must hold until it closes, ms."""
    return context.settings.rules.clear_ms.get(rule.number, rule.clear_ms)


def incident_of(rule: Rule, reading: Reading, context: RuleContext, alert_id: str) -> Alert:
    """Return the incident that a reading opens, with its message."""
    shop, entity = context.shop, reading.entity
    fields: dict[str, Any] = {
        "alert_id": alert_id,
        "rule": rule.number,
        "key": rule.key,
        "title": rule.title,
        "shop_id": shop.shop_id,
        "state": AlertState.NOTICE if rule.once else AlertState.OPEN,
        "route": reading.route or rule.route,
        "severity": reading.severity or rule.severity,
        "owner": rule.owner,
        "runbook": rule.runbook,
        "advice": rule.advice,
        "opened_at_ms": context.now_ms,
        "updated_at_ms": context.now_ms,
        "timezone": shop.timezone,
        "currency": shop.currency,
        "entity_kind": entity.kind,
        "entity_id": entity.id,
        "name": clean_name(entity.name),
        "campaign_id": entity.campaign_id,
        "product_id": entity.product_id,
        "sku_id": entity.sku_id,
        "unit": rule.unit,
        **_figures(reading),
        **reading.extra,
    }
    alert = Alert(**fields)
    if alert.stock_as_of_ms is not None:
        as_of = f"Stock as of {context.clock.time(alert.stock_as_of_ms)}."
    else:
        as_of = context.as_of(rule.reads) if rule.reads else ""
    # Whatever a rule says of foreign names, it is one line.
    text = one_line(rule.text(reading, context))
    return dataclasses.replace(alert, message=advised(text, alert.advice, as_of))


def _figures(reading: Reading) -> dict[str, Any]:
    return {
        "value": reading.value,
        "threshold": reading.threshold,
        "money_minor": reading.money_minor,
        "figures": dict(reading.figures),
    }


def _look(state: RuleState, rule: Rule, context: RuleContext) -> Iterator[Alert]:
    shop_id = context.shop.shop_id
    if context.holds(rule.reads):
        # What was about to open or close may look different when the feed is back.
        state.forget_holds(shop_id, rule.number)
        return
    yield from _missed(state, rule, context)
    found = set()
    for reading in rule.find(context):
        found.add(reading.entity.id)
        yield from _judge(state, rule, reading, context)
    for incident in state.open_of(shop_id):
        if incident[1] == rule.number and incident[2] not in found:
            yield _close(state, incident, None, context, rule)


def _judge(state: RuleState, rule: Rule, reading: Reading, context: RuleContext) -> list[Alert]:
    now_ms = context.now_ms
    incident = (context.shop.shop_id, rule.number, reading.entity.id)
    state.note(incident, Look(now_ms, reading.judgement, reading.value))
    alert = state.open_alert(incident)
    match reading.judgement:
        case Judgement.FIRES:
            state.clear_since.pop(incident, None)
            if rule.once and incident in state.incidents:
                return []
            if alert is not None and not _worse(rule, reading, alert):
                state.firing_since.pop(incident, None)
                return []
            if now_ms - state.firing_since.setdefault(incident, now_ms) < hold_of(rule, context):
                return []
            closed = [] if alert is None else [_close(state, incident, reading, context, rule)]
            return [*closed, _open(state, rule, reading, context)]
        case Judgement.CLEAR:
            state.firing_since.pop(incident, None)
            if alert is None:
                return []
            if now_ms - state.clear_since.setdefault(incident, now_ms) < clear_of(rule, context):
                return []
            return [_close(state, incident, reading, context, rule)]
        case Judgement.ENDED:
            state.forget(incident)
            return [] if alert is None else [_close(state, incident, reading, context, rule)]
        case Judgement.BETWEEN | Judgement.THIN | Judgement.HELD:
            state.forget(incident)
            return (
                [] if alert is None or not reading.news else [_update(state, rule, reading, context, alert)]
            )


def _worse(rule: Rule, reading: Reading, alert: Alert) -> bool:
    severity, route = reading.severity or rule.severity, reading.route or rule.route
    return _WORSE[severity] > _WORSE[alert.severity] or _LOUDER[route] > _LOUDER[alert.route]


def _open(state: RuleState, rule: Rule, reading: Reading, context: RuleContext) -> Alert:
    entity = reading.entity
    alert_id = state.new_id(context, entity.campaign_id, rule.number, entity.id)
    alert = incident_of(rule, reading, context, alert_id)
    state.forget((context.shop.shop_id, rule.number, entity.id))
    state.keep(alert)
    return alert


def _update(state: RuleState, rule: Rule, reading: Reading, context: RuleContext, alert: Alert) -> Alert:
    """Publish an open incident anew: its figures and its sentence, as loud as it was."""
    updated = dataclasses.replace(
        incident_of(rule, reading, context, alert.alert_id),
        opened_at_ms=alert.opened_at_ms,
        route=alert.route,
        severity=alert.severity,
    )
    state.keep(updated)
    return updated


_RESOLUTIONS: Final = {Judgement.FIRES: Resolution.WORSE, Judgement.CLEAR: Resolution.EASED}


def _close(
    state: RuleState, incident: _Incident, reading: Reading | None, context: RuleContext, rule: Rule | None
) -> Alert:
    """Close what is open; without a reading its entity is gone, without a rule nobody watches it any more."""
    changes: dict[str, Any] = {
        "state": AlertState.RESOLVED,
        "updated_at_ms": context.now_ms,
        "resolved_at_ms": context.now_ms,
        "resolution": Resolution.ENDED,
    }
    if reading is not None:
        changes["resolution"] = _RESOLUTIONS.get(reading.judgement, Resolution.ENDED)
        changes |= _figures(reading) | dict(reading.extra)
    # The advice was for the one who was called.
    changes.pop("advice", None)
    closed = dataclasses.replace(state.incidents[incident], **changes)
    says = closing_text if rule is None or rule.closing is None else rule.closing
    closed = dataclasses.replace(closed, message=one_line(says(closed)))
    state.forget(incident)
    state.keep(closed)
    return closed


def _missed(state: RuleState, rule: Rule, context: RuleContext) -> list[Alert]:
    """Return what began and ended since the rule last looked: closed at once, on the panel's route, told to nobody."""
    shop_id, now_ms = context.shop.shop_id, context.now_ms
    since_ms = state.looked.get((shop_id, rule.number))
    state.looked[shop_id, rule.number] = now_ms
    if rule.missed is None or since_ms is None or now_ms - since_ms <= HOLE_MS:
        return []
    alerts = []
    for reading in rule.missed(context, since_ms, now_ms):
        incident = (shop_id, rule.number, reading.entity.id)
        if state.open_alert(incident) is None:
            opened = incident_of(
                rule,
                reading,
                context,
                state.new_id(context, reading.entity.campaign_id, rule.number, reading.entity.id),
            )
            missed = dataclasses.replace(
                opened, state=AlertState.RESOLVED, route=AlertRoute.PANEL, resolution=Resolution.MISSED
            )
            alerts.append(dataclasses.replace(missed, message=one_line(rule.text(reading, context))))
            state.keep(alerts[-1])
    return alerts


def closing_text(alert: Alert) -> str:
    """Return what an incident says when it closes, from its title, name and value."""
    name = f", {alert.name}" if alert.name else ""
    lasted = lasted_words(alert)
    match alert.resolution:
        case Resolution.WORSE:
            return f"Worse than it was told: {alert.title}{name}. It is told anew."
        case Resolution.ENDED:
            return f"Closed after {lasted}: {alert.title}{name}. It is no longer watched."
        case _:
            now = "" if alert.value is None else f" Now {measured(alert.value, alert.unit)}."
            return f"Resolved after {lasted}: {alert.title}{name}.{now}"


def measured(value: float, unit: str) -> str:
    """Return a number with its unit, as a person reads it: `93 %`, `1.5 hours`, `12 orders`."""
    number = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.3g}"
    return f"{number} {unit}".rstrip()


def lasted_words(alert: Alert) -> str:
    """Return for how long an incident was open: `42 min`, `3 h`."""
    minutes = max(1, round(((alert.resolved_at_ms or alert.updated_at_ms) - alert.opened_at_ms) / MINUTE_MS))
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
