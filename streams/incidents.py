"""What people are told together: incidents made of alerts, and when the next route must hear of one.

An alert is one entity's; an incident is what rings. Few alerts of one rule, shop and campaign are an incident each.
More than `group_above` within `group_window_ms` are one incident that names some and counts the rest: 5,000 SKUs at
once must not be 5,000 pages. An incident opens once, under a key that never changes, and closes once, when its last
member has closed. Nothing here sends or waits: it says what has to be said, on the clock that it is given.

Source: spec/alerts.md, "Rules about rules"; docs/adr/0008-alert-outbox.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from streams.alerts import Alert, AlertState
from streams.rule import AlertRoute, Owner

if TYPE_CHECKING:
    from streams.settings import NotifySettings

NOTICE_LIFE_MS: Final = 60 * 60_000
"""A digest that could not be told for an hour is obsolete: the next one has newer figures."""


class IncidentState(StrEnum):
    """What is said of an incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    NOTICE = "notice"
    """Said once, with nothing to close."""


@dataclass(frozen=True, slots=True)
class Ack:
    """Somebody has taken an alert on.

    Attributes:
        by: the name that was given, not a proof of who it was.
        at_ms: on the board's clock.
        why: a remark; may be empty.
    """

    by: str
    at_ms: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Mute:
    """Do not tell what this covers until a time.

    Attributes:
        rule, entity, shop_id: all that are not empty must match; `entity` is an entity's, SKU's or product's id.
        created_ms, until_ms: on the board's clock.
    """

    mute_id: str
    by: str
    why: str
    created_ms: int
    until_ms: int
    rule: str = ""
    entity: str = ""
    shop_id: str = ""

    def covers(self, alert: Alert, now_ms: int) -> bool:
        """Return whether the alert is not to be told now."""
        return (
            now_ms < self.until_ms
            and self.rule in ("", alert.rule)
            and self.shop_id in ("", alert.shop_id)
            and self.entity in ("", alert.entity_id, alert.sku_id, alert.product_id)
        )


@dataclass(slots=True)
class Incident:
    """What rings once.

    Attributes:
        key: stable; of a group it is its first member's id and a `+`.
        formed_ms: wall clock.
        members: alert ids; a group takes more in while it may be joined.
        level: steps of the escalation that were taken; 0 is the first route.
        ack: of whichever member was acknowledged first.
        closed_ms: None while a member is open.
    """

    key: str
    shop_id: str
    campaign_id: str
    rule: str
    route: AlertRoute
    owner: Owner
    formed_ms: int
    members: list[str]
    grouped: bool = False
    level: int = 0
    refused: bool = False
    ack: Ack | None = None
    closed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to say now: to the route of the incident's `level`, or, when it closes, wherever it was opened."""

    incident: Incident
    state: IncidentState
    level: int = 0


@dataclass(frozen=True, slots=True)
class Telling:
    """What one message says of one incident, or of one alert where the receiver takes every alert.

    Attributes:
        key: stable, of the incident or alert.
        alerts: newest versions, open before closed, then by money; at least one.
        escalated: the route before this one did not bring anybody to acknowledge it.
        by: who acknowledged it; empty otherwise.
    """

    key: str
    state: IncidentState
    alerts: tuple[Alert, ...]
    escalated: bool = False
    by: str = ""


@dataclass(slots=True)
class Known:
    """The newest version of an alert that was taken over.

    Attributes:
        since_ms: wall clock at which it was first seen in this state.
        incident: key of its incident; empty while it waits for one.
    """

    alert: Alert
    since_ms: int
    incident: str = ""


_Group = tuple[str, str, str, AlertRoute, Owner]


@dataclass(slots=True)
class Incidents:
    """Alerts taken over, and the incidents that they make.

    Attributes:
        changed_alerts, changed_incidents: since whoever stores them last cleared these sets.
    """

    settings: NotifySettings
    known: dict[str, Known] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    changed_alerts: set[str] = field(default_factory=set)
    changed_incidents: set[str] = field(default_factory=set)
    _waiting: set[str] = field(default_factory=set)
    _open: set[str] = field(default_factory=set)

    def restore(self, known: Mapping[str, Known], incidents: Mapping[str, Incident]) -> None:
        """Take in what was stored."""
        self.known, self.incidents = dict(known), dict(incidents)
        self._open = {key for key, each in self.incidents.items() if each.closed_ms is None}
        self._waiting = {key for key, each in self.known.items() if _waits(each)}

    def take(self, alert: Alert, now_ms: int) -> bool:
        """Take an alert's newest version over; return whether its state is news.

        The closing of an alert that was never seen open is no news: nobody can have heard of it.
        """
        before = self.known.get(alert.alert_id)
        if before is None and alert.state is AlertState.RESOLVED:
            return False
        if before is not None and before.alert.state in (alert.state, AlertState.RESOLVED):
            return False
        entry = Known(alert, now_ms, before.incident if before else "")
        self.known[alert.alert_id] = entry
        self.changed_alerts.add(alert.alert_id)
        (self._waiting.add if _waits(entry) else self._waiting.discard)(alert.alert_id)
        return True

    def advance(
        self,
        now_ms: int,
        *,
        acks: Mapping[str, Ack],
        muted: Callable[[Alert], bool],
        levels: Callable[[Incident], int],
    ) -> Iterator[Step]:
        """Give what has to be said now, each thing once.

        Args:
            now_ms: wall clock.
            acks: by alert id.
            muted: whether an alert is not to be told now; one that opened under a mute is told when it ends.
            levels: how many routes a page may go to, one after the other.
        """
        yield from self._acknowledge(acks)
        yield from self._close(now_ms)
        yield from self._form(now_ms, acks, muted)
        yield from self._escalate(now_ms, muted, levels)

    def refuse(self, key: str) -> None:
        """Note that a route has refused an incident's opening: its next route need not wait."""
        incident = self.incidents.get(key)
        if incident is not None:
            incident.refused = True
            self.changed_incidents.add(key)

    def forget(self, before_ms: int) -> None:
        """Forget what closed, or was only said, before a time."""
        for key in [k for k, each in self.incidents.items() if each.closed_ms is not None]:
            if (self.incidents[key].closed_ms or 0) < before_ms:
                del self.incidents[key]
                self.changed_incidents.add(key)
        for key, entry in list(self.known.items()):
            if entry.alert.state is not AlertState.OPEN and entry.since_ms < before_ms:
                del self.known[key]
                self._waiting.discard(key)
                self.changed_alerts.add(key)

    def alerts_of(self, incident: Incident) -> list[Alert]:
        """Return the newest versions of an incident's alerts: open before closed, then by money."""
        alerts = [self.known[key].alert for key in incident.members if key in self.known]
        return sorted(alerts, key=lambda each: (each.state is not AlertState.OPEN, -money_of(each)))

    def _acknowledge(self, acks: Mapping[str, Ack]) -> Iterator[Step]:
        for alert_id, ack in acks.items():
            entry = self.known.get(alert_id)
            incident = self.incidents.get(entry.incident) if entry else None
            if incident is not None and incident.ack is None and incident.closed_ms is None:
                incident.ack = ack
                self.changed_incidents.add(incident.key)
                yield Step(incident, IncidentState.ACKNOWLEDGED)

    def _close(self, now_ms: int) -> Iterator[Step]:
        for key in sorted(self._open):
            incident = self.incidents[key]
            if any(self._is_open(member) for member in incident.members):
                continue
            incident.closed_ms = now_ms
            self._open.discard(key)
            self.changed_incidents.add(key)
            yield Step(incident, IncidentState.RESOLVED)

    def _is_open(self, alert_id: str) -> bool:
        entry = self.known.get(alert_id)
        return entry is not None and entry.alert.state is AlertState.OPEN

    def _form(self, now_ms: int, acks: Mapping[str, Ack], muted: Callable[[Alert], bool]) -> Iterator[Step]:
        groups: dict[_Group, list[Known]] = {}
        for key in sorted(self._waiting):
            entry = self.known[key]
            alert = entry.alert
            if alert.state is AlertState.NOTICE and now_ms - entry.since_ms > NOTICE_LIFE_MS:
                self._waiting.discard(key)
            # Somebody who has it already need not be told of it.
            elif key not in acks and not muted(alert):
                if alert.state is AlertState.NOTICE:
                    yield Step(self._new([entry], now_ms), IncidentState.NOTICE)
                else:
                    group = (alert.rule, alert.shop_id, alert.campaign_id, alert.route, alert.owner)
                    groups.setdefault(group, []).append(entry)
        for group, entries in groups.items():
            # What opens at once arrives in pieces: a moment's patience makes it one message with the right number.
            if now_ms - min(entry.since_ms for entry in entries) >= self.settings.group_wait_ms:
                yield from self._form_group(group, entries, now_ms)

    def _form_group(self, group: _Group, entries: list[Known], now_ms: int) -> Iterator[Step]:
        recent = [
            each
            for each in self.incidents.values()
            if (each.rule, each.shop_id, each.campaign_id, each.route, each.owner) == group
            and now_ms - each.formed_ms < self.settings.group_window_ms
        ]
        entries.sort(key=lambda entry: -money_of(entry.alert))
        joined = next((each for each in recent if each.grouped and not each.ack and not each.closed_ms), None)
        if joined is not None:
            self._join(joined, entries)
        elif len(entries) + sum(not each.grouped for each in recent) > self.settings.group_above:
            yield Step(self._new(entries, now_ms, grouped=True), IncidentState.OPEN)
        else:
            for entry in entries:
                yield Step(self._new([entry], now_ms), IncidentState.OPEN)

    def _new(self, entries: list[Known], now_ms: int, *, grouped: bool = False) -> Incident:
        first = entries[0].alert
        notice = first.state is AlertState.NOTICE
        incident = Incident(
            key=f"{first.alert_id}+" if grouped else first.alert_id,
            shop_id=first.shop_id,
            campaign_id=first.campaign_id,
            rule=first.rule,
            route=first.route,
            owner=first.owner,
            formed_ms=now_ms,
            members=[],
            grouped=grouped,
            closed_ms=now_ms if notice else None,
        )
        self.incidents[incident.key] = incident
        if not notice:
            self._open.add(incident.key)
        self._join(incident, entries)
        return incident

    def _join(self, incident: Incident, entries: list[Known]) -> None:
        for entry in entries:
            entry.incident = incident.key
            incident.members.append(entry.alert.alert_id)
            self._waiting.discard(entry.alert.alert_id)
            self.changed_alerts.add(entry.alert.alert_id)
        self.changed_incidents.add(incident.key)

    def _escalate(
        self, now_ms: int, muted: Callable[[Alert], bool], levels: Callable[[Incident], int]
    ) -> Iterator[Step]:
        for key in sorted(self._open):
            incident = self.incidents[key]
            if (
                incident.route is not AlertRoute.PAGE
                or incident.ack
                or incident.level + 1 >= levels(incident)
            ):
                continue
            due_ms = incident.formed_ms + (incident.level + 1) * self.settings.escalate_after_ms
            if now_ms < due_ms and not incident.refused:
                continue
            if all(muted(self.known[each].alert) for each in incident.members if self._is_open(each)):
                continue
            incident.level += 1
            incident.refused = False
            self.changed_incidents.add(key)
            yield Step(incident, IncidentState.OPEN, incident.level)


def money_of(alert: Alert) -> int:
    """Return the money in an alert, minor units, by which what is told together is sorted."""
    return alert.money_minor or alert.gmv_at_risk_minor


def _waits(entry: Known) -> bool:
    return not entry.incident and entry.alert.state is not AlertState.RESOLVED
