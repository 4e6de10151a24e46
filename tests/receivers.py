"""Slack and PagerDuty on loopback: they remember what they are sent, answer as they are told, and give a verdict.

The verdict is PagerDuty's own: a key's incident opens with a trigger while none is open, closes with a resolve while
one is; what repeats either is taken as the same incident (Events API v2, `dedup_key`).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiohttp import web

from tests.processes import free_port

WAIT_S: Final = 25.0
"""What has not come by then does not come; a test says less where less is promised."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a receiver was sent.

    Attributes:
        at_s: monotonic time of arrival.
        accepted: it was answered with 2xx.
    """

    at_s: float
    body: dict[str, Any]
    size: int
    accepted: bool


@dataclass
class Incident:
    """What became of one key at PagerDuty."""

    opened: int = 0
    closed: int = 0
    events: list[str] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether it is open now."""
        return self.opened > self.closed

    def take(self, action: str) -> None:
        """Take an event as PagerDuty does."""
        self.events.append(action)
        if action == "trigger" and not self.open:
            self.opened += 1
        elif action == "resolve" and self.open:
            self.closed += 1


class Receiver:
    """One receiver: `async with Receiver() as slack`; its behaviour is set while it runs.

    Attributes:
        status: of its answers; 2xx takes the message.
        headers: of its answers, for example Retry-After.
        delay_s: before an answer.
        hanging: it takes requests and never answers.
        requests: everything that arrived, in order.
    """

    GOOD: int = 200

    def __init__(self) -> None:
        self.status = self.GOOD
        self.headers: dict[str, str] = {}
        self.delay_s = 0.0
        self.hanging = False
        self.requests: list[Request] = []
        self._port = free_port()
        self._runner: web.AppRunner | None = None
        self._hung = asyncio.Event()
        self._news = asyncio.Event()

    @property
    def base(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Where it takes messages."""
        return f"{self.base}/hook"

    @property
    def accepted(self) -> list[dict[str, Any]]:
        """The bodies that it answered with 2xx."""
        return [request.body for request in self.requests if request.accepted]

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.down()

    async def up(self) -> None:
        """Listen, also again after `down`, at the same address."""
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def down(self) -> None:
        """Refuse connections from now on."""
        self.release()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def release(self) -> None:
        """End the hanging; what hung is answered with an error, as a proxy would."""
        self.hanging = False
        self._hung.set()
        self._hung = asyncio.Event()

    async def until(self, holds: Callable[[], bool], *, within_s: float = WAIT_S) -> None:
        """Wait until something holds of what was received, and fail with what was received when it does not."""
        deadline = time.monotonic() + within_s
        while not holds():
            self._news.clear()
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"not within {within_s:g} s: {[request.body for request in self.requests]}"
            try:
                await asyncio.wait_for(self._news.wait(), min(left_s, 0.5))
            except TimeoutError:
                continue

    def answer(self, _body: dict[str, Any]) -> str:
        """Return the text of a good answer."""
        return "ok"

    async def _take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        body = json.loads(raw or b"{}")
        status, headers = (504, {}) if self.hanging else (self.status, self.headers)
        # Written down on arrival: the sender may not wait for the answer.
        accepted = 200 <= status < 300
        self.requests.append(Request(time.monotonic(), body, len(raw), accepted))
        self._news.set()
        if self.hanging:
            await self._hung.wait()
        await asyncio.sleep(self.delay_s)
        return web.Response(status=status, headers=headers, text=self.answer(body) if accepted else "no")


class Slack(Receiver):
    """An incoming webhook."""

    def texts(self) -> list[str]:
        """Return each message that was taken as one text: title and text of its attachments, or its own."""
        return [
            "\n".join(
                [
                    body.get("text", ""),
                    *(
                        f"{one.get('title', '')}\n{one.get('text', '')}"
                        for one in body.get("attachments", [])
                    ),
                ]
            ).strip()
            for body in self.accepted
        ]


class PagerDuty(Receiver):
    """The Events API v2."""

    GOOD = 202

    def answer(self, body: dict[str, Any]) -> str:
        return json.dumps({"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]})

    def incidents(self) -> dict[str, Incident]:
        """Return what became of every key that was taken."""
        found: dict[str, Incident] = {}
        for body in self.accepted:
            found.setdefault(body["dedup_key"], Incident()).take(body["event_action"])
        return found

    def verdict(self) -> list[tuple[int, int]]:
        """Return how often each key opened and closed, in order of its first event."""
        return [(incident.opened, incident.closed) for incident in self.incidents().values()]

    def opened(self) -> int:
        """Return how many incidents were opened."""
        return sum(incident.opened for incident in self.incidents().values())

    def closed(self) -> int:
        """Return how many incidents were closed."""
        return sum(incident.closed for incident in self.incidents().values())
