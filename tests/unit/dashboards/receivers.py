"""What tests of delivery share: a receiver that answers as it is told, a clock that is set, alerts."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from dashboards import notifiers
from streams.alerts import Alert, AlertRoute, AlertState
from streams.incidents import IncidentState, Telling
from streams.rule import Owner

NOW_MS = 1_732_900_000_000


class Clock:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


class Receiver:
    """A local HTTP server that answers as it is told and remembers what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.answers: list[web.Response] = []
        self.hang: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(json.loads(await request.read()))
        self.keys.append(request.headers["Idempotency-Key"])
        self.arrived.set()
        if self.hang is not None:
            await self.hang.wait()
        return self.answers.pop(0) if self.answers else web.Response(text="ok")

    def told(self) -> list[tuple[str, str]]:
        """Return (alert id, state) of every alert in every body of a webhook, as received."""
        return [
            (alert["alert_id"], alert["state"])
            for body in self.bodies
            for alert in [*body["alerts"], *body["more"]]
        ]

    def events(self) -> list[tuple[str, str]]:
        """Return (action, key) of every PagerDuty event, as received."""
        return [(body["event_action"], body["dedup_key"]) for body in self.bodies]

    def texts(self) -> list[str]:
        """Return every Slack message, as received."""
        return [body["text"] for body in self.bodies]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver on a loopback port."""
    receiver = Receiver()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        if receiver.hang is not None:
            receiver.hang.set()
        await runner.cleanup()


class Recorder:
    """A route without a network: remembers what it was told, answers what it is set to."""

    most = 10_000
    rest_ms = 0
    acknowledges = False

    def __init__(self, route: str, *, per_alert: bool = False) -> None:
        self.route = route
        self.per_alert = per_alert
        self.reply = notifiers.Reply(notifiers.Verdict.DELIVERED, "")
        self.told: list[tuple[str, str]] = []

    def render(self, tellings: Sequence[Telling]) -> bytes:
        return json.dumps([(each.key, IncidentState(each.state).value) for each in tellings]).encode()

    async def send(self, body: bytes, *, key: str, now_ms: int) -> notifiers.Reply:
        self.told += [(subject, state) for subject, state in json.loads(body)]
        return self.reply


def page(number: int = 1, state: AlertState = AlertState.OPEN, at_ms: int = NOW_MS, **more: Any) -> Alert:
    """Return a page about a SKU."""
    alert = Alert(
        alert_id=f"s1/c1/A-01/sku-{number}/2024-11-29",
        rule="A-01",
        key="oos_forecast",
        title="SKU runs out",
        shop_id="s1",
        campaign_id="c1",
        state=state,
        route=AlertRoute.PAGE,
        opened_at_ms=at_ms,
        updated_at_ms=at_ms,
        timezone="UTC",
        currency="USD",
        entity_kind="sku",
        entity_id=f"sku-{number}",
        sku_id=f"sku-{number}",
        name=f"Dress {number}",
        message=f"Dress {number} runs out ~21:40.",
    )
    return dataclasses.replace(alert, **more)


def resolved(number: int = 1, **more: Any) -> Alert:
    """Return the closing of a page."""
    return page(number, AlertState.RESOLVED, message=f"Resolved: Dress {number} was restocked.", **more)


def channel(number: int = 1, owner: Owner = Owner.ADS, **more: Any) -> Alert:
    """Return a message for an owner's channel."""
    alert_id = f"s1/c1/A-79/sku-{number}/2024-11-29"
    return page(number, alert_id=alert_id, rule="A-79", route=AlertRoute.CHANNEL, owner=owner, **more)


def telling(*alerts: Alert, state: IncidentState = IncidentState.OPEN, **more: Any) -> Telling:
    """Return what is told of alerts together."""
    return Telling(alerts[0].alert_id, state, alerts, **more)
