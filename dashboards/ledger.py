"""The outbox's books: what is to be told to which route, what was tried, what became of it. Pure; stored by others.

One delivery per (route, incident or alert, state). What a request says is fixed with its id before its first try, so
that a try that a kill cut short is repeated word for word under the same Idempotency-Key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from dashboards.delivery import Delivery, Pace, Status
from dashboards.messages import summary_of
from dashboards.notifiers import Reply, Verdict
from dashboards.routes import Routing
from streams.alerts import DELIVERED_ROUTES, Alert, AlertState
from streams.incidents import NOTICE_LIFE_MS, Ack, Incident, Incidents, IncidentState, Known, Step, Telling

if TYPE_CHECKING:
    from dashboards.notifiers import Notifier
    from streams.settings import NotifySettings

LOG_ONLY: Final = "log"
"""Route name of what is written down while no route is configured."""

PAGE_LIFE_MS: Final = 24 * 60 * 60_000
"""After a day nobody acts on a page any more."""

HEARD_LIFE_MS: Final = 60 * 60_000
"""An alert that changed longer ago than this, on the board's clock, is history to an outbox that never saw it: a lost
outbox must not tell the whole past again. What is still open is told at any age."""

KEEP_MS: Final = 14 * 24 * 60 * 60_000
FORGET_EVERY_MS: Final = 10 * 60_000
MOST_REFUSALS: Final = 5


_Key = tuple[str, str, IncidentState]
_K = TypeVar("_K")


class Ledger:
    """All that the outbox knows.

    Args:
        settings: grouping, escalation, backoff.
        notifiers: the routes; empty: everything is only written down.
        sends: false on a replay: everything is only written down.
    """

    def __init__(self, settings: NotifySettings, notifiers: Sequence[Notifier], *, sends: bool) -> None:
        self._settings = settings
        self._sends = sends
        self._notifiers = {each.route: each for each in notifiers}
        self._per_alert = [each.route for each in notifiers if each.per_alert]
        self._routing = Routing([each.route for each in notifiers if not each.per_alert], settings.escalation)
        self._incidents = Incidents(settings)
        self._deliveries: dict[int, Delivery] = {}
        self._by_key: dict[_Key, int] = {}
        self._of_subject: dict[str, list[int]] = {}
        self._pending: dict[str, dict[int, None]] = {}
        self._paces: dict[str, Pace] = {}
        self._unsaid: set[str] = set()
        self._next_number = 1
        self._forgot_ms = 0
        self._changed_deliveries: set[int] = set()
        self._changed_routes: set[str] = set()

    # --- what is stored -------------------------------------------------------------------------------------------

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Take in what `changes` gave, all of it."""
        known, incidents = {}, {}
        for place, value in entries.items():
            kind, _, key = place.partition("/")
            if kind == "alert":
                known[key] = msgspec.msgpack.decode(value, type=Known)
            elif kind == "incident":
                incidents[key] = msgspec.msgpack.decode(value, type=Incident)
            elif kind == "route":
                self._paces[key] = msgspec.msgpack.decode(value, type=Pace)
            elif kind == "delivery":
                self._index(msgspec.msgpack.decode(value, type=Delivery))
        self._incidents.restore(known, incidents)
        # A route that is configured later is told what is open, not what was said before it was there.
        self._unsaid = {key for key, each in known.items() if each.alert.state is AlertState.OPEN}
        self._next_number = max(self._deliveries, default=0) + 1

    def changes(self) -> dict[str, bytes | None]:
        """Return what has changed since the last call, by place; None is removed."""
        incidents = self._incidents
        found = {
            **_encoded("alert", incidents.changed_alerts, incidents.known),
            **_encoded("incident", incidents.changed_incidents, incidents.incidents),
            **_encoded("delivery", self._changed_deliveries, self._deliveries),
            **_encoded("route", self._changed_routes, self._paces),
        }
        for changed in (
            self._incidents.changed_alerts,
            self._incidents.changed_incidents,
            self._changed_deliveries,
            self._changed_routes,
        ):
            changed.clear()
        return found

    def everything(self) -> dict[str, bytes | None]:
        """Return all that `restore` would need, for a store that has lost its memory."""
        self._incidents.changed_alerts |= self._incidents.known.keys()
        self._incidents.changed_incidents |= self._incidents.incidents.keys()
        self._changed_deliveries |= self._deliveries.keys()
        self._changed_routes |= self._paces.keys()
        return self.changes()

    # --- what comes in --------------------------------------------------------------------------------------------

    def take(self, alerts: Iterable[Alert], *, at_ms: int, now_ms: int) -> int:
        """Take alerts over; return how many of them are news.

        Args:
            alerts: any, also ones taken before; newest version of each.
            at_ms: wall clock.
            now_ms: the board's clock, on which the alerts' times are.
        """
        return sum(self._take_one(alert, at_ms, now_ms) for alert in alerts)

    def _take_one(self, alert: Alert, at_ms: int, now_ms: int) -> bool:
        if alert.route not in DELIVERED_ROUTES:
            return False
        if not self._sends:
            return self._would_send(alert, at_ms)
        history = alert.state is not AlertState.OPEN and now_ms - alert.updated_at_ms > HEARD_LIFE_MS
        if history and alert.alert_id not in self._incidents.known:
            return False
        if not self._incidents.take(alert, at_ms):
            return False
        if alert.state is AlertState.RESOLVED:
            self._unsaid.discard(alert.alert_id)
            self._close(alert.alert_id, (alert,), at_ms, per_alert=True)
        else:
            self._unsaid.add(alert.alert_id)
        return True

    def _would_send(self, alert: Alert, at_ms: int) -> bool:
        ways = self._per_alert + self._routing.ways(alert.route, alert.owner)[:1]
        telling = Telling(alert.alert_id, IncidentState(alert.state.value), (alert,))
        told = [
            self._add(way, telling, at_ms, Status.WOULD_HAVE_SENT)
            for way in (ways if self._notifiers else [LOG_ONLY])
        ]
        self._incidents.take(alert, at_ms)
        return any(told)

    def advance(self, at_ms: int, *, acks: Mapping[str, Ack], muted: Callable[[Alert], bool]) -> None:
        """Write down what has to be told by now: what opened, closed, was acknowledged, or waited for too long."""
        if at_ms - self._forgot_ms >= FORGET_EVERY_MS:
            self._forgot_ms = at_ms
            self._incidents.forget(at_ms - KEEP_MS)
            self._forget(at_ms - KEEP_MS)
        if not self._sends:
            return
        for alert_id in sorted(self._unsaid):
            alert = self._incidents.known[alert_id].alert
            if not muted(alert):
                self._unsaid.discard(alert_id)
                telling = Telling(alert_id, IncidentState(alert.state.value), (alert,))
                for route in self._per_alert:
                    self._add(route, telling, at_ms)
        steps = self._incidents.advance(at_ms, acks=acks, muted=muted, levels=self._levels)
        for step in list(steps):
            self._say(step, at_ms)

    def taken_on(self, acks: Mapping[str, Ack]) -> dict[str, Ack]:
        """Return the acknowledgements of alerts that were told together with one that somebody took on."""
        return {
            member: incident.ack
            for incident in self._incidents.incidents.values()
            if incident.ack is not None and incident.closed_ms is None
            for member in incident.members
            if member not in acks
        }

    def _levels(self, incident: Incident) -> int:
        return len(self._routing.ways(incident.route, incident.owner))

    def _say(self, step: Step, at_ms: int) -> None:
        incident = step.incident
        alerts = tuple(self._incidents.alerts_of(incident))
        if step.state is IncidentState.RESOLVED:
            self._close(incident.key, alerts, at_ms, per_alert=False)
        elif step.state is IncidentState.ACKNOWLEDGED:
            self._acknowledge(incident, alerts, at_ms)
        else:
            ways = self._routing.ways(incident.route, incident.owner)
            if step.level < len(ways):
                telling = Telling(incident.key, step.state, alerts, escalated=step.level > 0)
                self._add(ways[step.level], telling, at_ms, level=step.level)

    def _close(self, subject: str, alerts: tuple[Alert, ...], at_ms: int, *, per_alert: bool) -> None:
        """Tell a closing wherever the opening may have been heard; an unsent opening is obsolete now."""
        telling = Telling(subject, IncidentState.RESOLVED, alerts)
        for delivery in self._said(subject, per_alert=per_alert):
            if delivery.status is Status.PENDING:
                self._settle(delivery, Status.OBSOLETE, at_ms)
            # A batch that was tried may have arrived although its answer did not.
            heard = delivery.status is Status.SENT or bool(delivery.batch)
            if delivery.state is IncidentState.OPEN and heard:
                self._add(delivery.route, telling, at_ms)

    def _acknowledge(self, incident: Incident, alerts: tuple[Alert, ...], at_ms: int) -> None:
        by = incident.ack.by if incident.ack else ""
        telling = Telling(incident.key, IncidentState.ACKNOWLEDGED, alerts, by=by)
        for delivery in self._said(incident.key, per_alert=False):
            if delivery.status is Status.PENDING and not delivery.batch:
                self._settle(delivery, Status.OBSOLETE, at_ms)
            elif self._notifiers[delivery.route].acknowledges:
                self._add(delivery.route, telling, at_ms)

    def _said(self, subject: str, *, per_alert: bool) -> list[Delivery]:
        """Return what was told of an incident, or of an alert; not to routes that are no longer configured."""
        found = [self._deliveries[number] for number in self._of_subject.get(subject, [])]
        return [
            each
            for each in found
            if each.route in self._notifiers and (each.route in self._per_alert) == per_alert
        ]

    def _add(
        self, route: str, telling: Telling, at_ms: int, status: Status = Status.PENDING, *, level: int = 0
    ) -> bool:
        """Write a delivery down, once per key; return whether it is new."""
        if (route, telling.key, telling.state) in self._by_key:
            return False
        delivery = Delivery(
            number=self._next_number,
            route=route,
            subject=telling.key,
            state=telling.state,
            shop_id=telling.alerts[0].shop_id,
            status=status,
            created_ms=at_ms,
            text=summary_of(telling),
            level=level,
            done_ms=None if status is Status.PENDING else at_ms,
        )
        self._next_number += 1
        self._index(delivery)
        self._changed_deliveries.add(delivery.number)
        return True

    def _index(self, delivery: Delivery) -> None:
        self._deliveries[delivery.number] = delivery
        self._by_key[delivery.route, delivery.subject, delivery.state] = delivery.number
        self._of_subject.setdefault(delivery.subject, []).append(delivery.number)
        if delivery.status is Status.PENDING:
            self._pending.setdefault(delivery.route, {})[delivery.number] = None

    def _settle(self, delivery: Delivery, status: Status, at_ms: int) -> None:
        delivery.status, delivery.done_ms = status, at_ms
        self._pending.get(delivery.route, {}).pop(delivery.number, None)
        self._changed_deliveries.add(delivery.number)

    def _forget(self, before_ms: int) -> None:
        """Forget what was settled before a time, unless its incident is still open: it would be told again."""
        subjects = self._incidents.known.keys() | self._incidents.incidents.keys()
        old = [
            each
            for each in self._deliveries.values()
            if each.done_ms is not None and each.done_ms < before_ms and each.subject not in subjects
        ]
        for delivery in old:
            del self._deliveries[delivery.number]
            self._by_key.pop((delivery.route, delivery.subject, delivery.state), None)
            self._of_subject[delivery.subject].remove(delivery.number)
            self._changed_deliveries.add(delivery.number)

    # --- what goes out --------------------------------------------------------------------------------------------

    def next_batch(self, notifier: Notifier, at_ms: int) -> tuple[str, bytes] | None:
        """Return id and body of the request that is due on a route, forming one of what waits; None when none is."""
        route = notifier.route
        pace = self._paces.setdefault(route, Pace())
        if pace.next_ms > at_ms:
            return None
        self._expire(route, at_ms)
        pending = self._pending.get(route, {})
        if pace.batch and not any(number in pending for number in pace.members):
            self._clear(pace, route)
        if not pace.batch:
            members = [self._deliveries[number] for number in sorted(pending)]
            members = [each for each in members if each.shop_id == members[0].shop_id][: notifier.most]
            if not members:
                return None
            self._form_batch(pace, notifier, members)
        return pace.batch, pace.body

    def _form_batch(self, pace: Pace, notifier: Notifier, members: Sequence[Delivery]) -> None:
        digest = hashlib.sha256(notifier.route.encode())
        for each in members:
            digest.update(repr((each.subject, each.state.value)).encode())
        pace.batch = digest.hexdigest()[:32]
        pace.body = notifier.render([self._telling(each) for each in members])
        pace.members = tuple(each.number for each in members)
        for each in members:
            each.batch = pace.batch
            self._changed_deliveries.add(each.number)
        self._changed_routes.add(notifier.route)

    def _telling(self, delivery: Delivery) -> Telling:
        incident = self._incidents.incidents.get(delivery.subject)
        notifier = self._notifiers[delivery.route]
        if incident is None or notifier.per_alert:
            return Telling(delivery.subject, delivery.state, (self._incidents.known[delivery.subject].alert,))
        by = incident.ack.by if incident.ack else ""
        alerts = tuple(self._incidents.alerts_of(incident))
        return Telling(incident.key, delivery.state, alerts, escalated=delivery.level > 0, by=by)

    def note(self, notifier: Notifier, batch: str, reply: Reply, at_ms: int) -> int:
        """Note what a try came to and when the route may be tried next; return how many deliveries are settled."""
        route = notifier.route
        pace = self._paces.setdefault(route, Pace())
        members = [self._deliveries[n] for n in pace.members if n in self._deliveries]
        if pace.batch != batch:
            return 0
        settled = 0
        for each in members:
            each.attempts += 1
            each.error = "" if reply.verdict is Verdict.DELIVERED else reply.detail
            self._changed_deliveries.add(each.number)
            if reply.verdict is Verdict.DELIVERED:
                # Also what became obsolete while the request was under way: the receiver has it.
                self._settle(each, Status.SENT, at_ms)
                settled += 1
            elif (
                reply.verdict is Verdict.REFUSED
                and each.attempts >= MOST_REFUSALS
                and each.status is Status.PENDING
            ):
                self._settle(each, Status.REFUSED, at_ms)
                self._incidents.refuse(each.subject)
                settled += 1
        self._pace(pace, reply, notifier, at_ms)
        if settled:
            self._clear(pace, route)
        return settled

    def _pace(self, pace: Pace, reply: Reply, notifier: Notifier, at_ms: int) -> None:
        if reply.verdict is Verdict.DELIVERED:
            pace.failures, wait_ms = 0, notifier.rest_ms
        else:
            pace.failures += 1
            doubled = self._settings.retry_first_ms * 2 ** min(pace.failures - 1, 32)
            wait_ms = min(doubled, self._settings.retry_most_ms)
            if reply.retry_after_ms is not None:
                wait_ms = reply.retry_after_ms
        pace.next_ms = at_ms + wait_ms
        self._changed_routes.add(notifier.route)

    def _clear(self, pace: Pace, route: str) -> None:
        pace.batch, pace.body, pace.members = "", b"", ()
        self._changed_routes.add(route)

    def _expire(self, route: str, at_ms: int) -> None:
        for number in list(self._pending.get(route, {})):
            delivery = self._deliveries[number]
            life_ms = NOTICE_LIFE_MS if delivery.state is IncidentState.NOTICE else PAGE_LIFE_MS
            if at_ms - delivery.created_ms > life_ms:
                self._settle(delivery, Status.OBSOLETE, at_ms)

    def log(self, limit: int) -> list[Delivery]:
        """Return the newest deliveries, newest first."""
        return [self._deliveries[number] for number in sorted(self._deliveries, reverse=True)[:limit]]


def _encoded(kind: str, keys: Iterable[_K], values: Mapping[_K, object]) -> dict[str, bytes | None]:
    return {f"{kind}/{key}": msgspec.msgpack.encode(values[key]) if key in values else None for key in keys}
