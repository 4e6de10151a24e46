"""PagerDuty, Events API v2: one event per incident and state, under a key that never changes.

Source: developer.pagerduty.com, "Events API v2": trigger, acknowledge and resolve with the same `dedup_key`; 202 is
taken, 400 is wrong, 429 and 5xx are to be tried again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dashboards.messages import lines_of, summary_of
from dashboards.notifiers import HttpNotifier, Reply
from streams.incidents import IncidentState, Telling, money_of
from streams.money import major
from streams.rule import Severity

if TYPE_CHECKING:
    import aiohttp

    from streams.settings import NotifySettings

ROUTE: Final = "pagerduty"

MOST_SUMMARY: Final = 1_024
MOST_KEY: Final = 255
"""Limits of the API; a longer key would be cut there, and two incidents could become one."""

REST_MS: Final = 500
"""An integration takes 120 events a minute."""

SEVERITIES: Final = {Severity.PAGE: "critical", Severity.WARNING: "warning", Severity.NOTE: "info"}

ACKNOWLEDGE: Final = (
    "On the war room's board, or with `warroom alerts ack`. An acknowledgement given here alone is not seen there, and"
    " the page goes on to the next person."
)
"""Said in every event: nothing comes back from PagerDuty, which whoever is called must know."""

ACTIONS: Final = {
    IncidentState.OPEN: "trigger",
    IncidentState.NOTICE: "trigger",
    IncidentState.ACKNOWLEDGED: "acknowledge",
    IncidentState.RESOLVED: "resolve",
}


class PagerDutyNotifier(HttpNotifier):
    """Send one event a request.

    Args:
        key: the integration's routing key; a secret, and so in no stored body, only in the request.
        session: its own, closed by its owner.
        settings: where to, and what to link.
    """

    most = 1
    rest_ms = REST_MS
    acknowledges = True

    def __init__(self, key: str, session: aiohttp.ClientSession, settings: NotifySettings) -> None:
        super().__init__(
            ROUTE, settings.pagerduty_url, session, lambda tellings: event_body(tellings, settings)
        )
        self._key = key

    async def send(self, body: bytes, *, key: str, now_ms: int) -> Reply:
        """Try once, with the routing key."""
        event = {"routing_key": self._key, **msgspec.json.decode(body)}
        return await super().send(msgspec.json.encode(event), key=key, now_ms=now_ms)


def dedup_key(key: str) -> str:
    """Return an incident's key in PagerDuty: itself, or with a hash for its end where it is too long."""
    if len(key) <= MOST_KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"{key[: MOST_KEY - 33]}~{digest}"


def event_body(tellings: Sequence[Telling], settings: NotifySettings) -> bytes:
    """Return the event of one incident, without the routing key."""
    (telling,) = tellings
    event: dict[str, Any] = {
        "event_action": ACTIONS[telling.state],
        "dedup_key": dedup_key(telling.key),
        "client": "War room",
    }
    if settings.board_url:
        event["client_url"] = settings.board_url
    if event["event_action"] == "trigger":
        event["payload"] = _payload(telling)
        event["links"] = _links(telling, settings)
    return msgspec.json.encode(event)


def _payload(telling: Telling) -> dict[str, Any]:
    first = telling.alerts[0]
    worst = min((alert.severity for alert in telling.alerts), key=list(SEVERITIES).index)
    shown, more = lines_of(telling)
    money = sum(money_of(alert) for alert in telling.alerts)
    return {
        "summary": _cut(summary_of(telling)),
        "source": f"war room, shop {first.shop_id}",
        "severity": SEVERITIES[worst],
        "timestamp": dt.datetime.fromtimestamp(first.opened_at_ms / 1000, dt.UTC).isoformat(),
        "component": first.name if len(telling.alerts) == 1 else f"{len(telling.alerts)} alerts",
        "group": first.campaign_id or first.shop_id,
        "class": first.key or first.rule,
        "custom_details": {
            "rule": first.rule,
            "title": first.title,
            "shop": first.shop_id,
            "campaign": first.campaign_id,
            "owner": first.owner.value,
            "advice": first.advice,
            "acknowledge": ACKNOWLEDGE,
            "alerts": len(telling.alerts),
            "money": major(money, first.currency),
            "currency": first.currency,
            "figures": first.figures if len(telling.alerts) == 1 else {},
            "first": shown,
            "more": more,
            "alert_id": first.alert_id,
        },
    }


def _links(telling: Telling, settings: NotifySettings) -> list[dict[str, str]]:
    links = []
    runbook = telling.alerts[0].runbook
    if settings.runbook_url and runbook:
        links.append({"href": f"{settings.runbook_url}#{runbook.lstrip('#')}", "text": "Runbook"})
    if settings.board_url:
        links.append({"href": settings.board_url, "text": "Board"})
    return links


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SUMMARY else text[: MOST_SUMMARY - 1] + "…"
