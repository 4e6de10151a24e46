"""Ways out: one POST of what is to be told, and what the answer means.

A notifier knows how a batch is written and what an answer means; when and how often to try is the outbox's business.
URLs and keys are secrets: they come from files, and are in no log, error, stored body or would-have-sent entry.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp

if TYPE_CHECKING:
    from streams.incidents import Telling

REQUEST_TIMEOUT_S: Final = 10.0
"""A receiver that hangs longer is tried again later: it must not hold the other routes or a shutdown."""

MOST_RETRY_AFTER_MS: Final = 60 * 60_000
"""A Retry-After beyond this is a mistake or a trap; a page is worth one try an hour."""

GROUP_MS: Final = 15_000
"""After a message a route rests for so long: what opens meanwhile goes out as one, and Slack takes one a second."""


class Verdict(Enum):
    """What to do with a batch after a try."""

    DELIVERED = auto()
    LATER = auto()
    REFUSED = auto()
    """The receiver understood and does not want this body; trying again forever would hold back the next page."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a try came to.

    Attributes:
        retry_after_ms: what the receiver asked for; None when it did not.
        detail: for the log, without the URL.
    """

    verdict: Verdict
    detail: str
    retry_after_ms: int | None = None


class Notifier(Protocol):
    """One route out.

    Attributes:
        route: name in the outbox and in logs; stable, it is part of a delivery's key.
        per_alert: whether it takes every alert, for a program; else what rings people, as incidents.
        most: things told in one request.
        rest_ms: pause after a delivered request.
        acknowledges: whether it wants to know that somebody has taken an incident on.
    """

    route: str
    per_alert: bool
    most: int
    rest_ms: int
    acknowledges: bool

    def render(self, tellings: Sequence[Telling]) -> bytes:
        """Return the request's body for a batch of at least one telling of one shop; no secret is in it."""
        ...

    async def send(self, body: bytes, *, key: str, now_ms: int) -> Reply:
        """Try once; never raises for what the network or the receiver does.

        Args:
            body: what `render` gave.
            key: the same on every try of one batch, so that a receiver can tell a repeat.
            now_ms: wall clock, for a Retry-After that is a date.
        """
        ...


class HttpNotifier:
    """POST JSON to a URL and read the answer.

    Args:
        route: its name.
        url: where to; a secret.
        session: its own, closed by its owner.
        render: a batch to the body.
        per_alert: see `Notifier`.
    """

    most = 10_000
    rest_ms = GROUP_MS
    acknowledges = False

    def __init__(
        self,
        route: str,
        url: str,
        session: aiohttp.ClientSession,
        render: Callable[[Sequence[Telling]], bytes],
        *,
        per_alert: bool = False,
    ) -> None:
        self.route = route
        self.per_alert = per_alert
        self._url = url
        self._session = session
        self._render = render

    def __repr__(self) -> str:
        """Return the route; never the URL."""
        return f"HttpNotifier({self.route!r})"

    def render(self, tellings: Sequence[Telling]) -> bytes:
        """Return the body of a batch."""
        return self._render(tellings)

    async def send(self, body: bytes, *, key: str, now_ms: int) -> Reply:
        """Try once and judge the answer."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                # A redirect would carry the page to a host that nobody configured.
                async with self._session.post(
                    self._url, data=body, headers=headers, allow_redirects=False
                ) as response:
                    return _judge(response.status, response.headers.get("Retry-After"), now_ms)
        except TimeoutError:
            return Reply(Verdict.LATER, f"no answer within {REQUEST_TIMEOUT_S:.0f} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The text of an aiohttp error may hold the URL: its type is enough.
            return Reply(Verdict.LATER, type(error).__name__)


def _judge(status: int, retry_after: str | None, now_ms: int) -> Reply:
    detail = f"HTTP {status}"
    if 200 <= status < 300:
        return Reply(Verdict.DELIVERED, detail)
    if status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ):
        return Reply(Verdict.REFUSED, detail)
    # 401, 403, 404 and the like are a route that somebody has to mend: the page waits for it.
    return Reply(Verdict.LATER, detail, _retry_after_ms(retry_after, now_ms))


def _retry_after_ms(header: str | None, now_ms: int) -> int | None:
    """Return a Retry-After, in seconds or as a date, as a wait in ms of at most `MOST_RETRY_AFTER_MS`."""
    if header is None:
        return None
    text = header.strip()
    if text.isdecimal() and text.isascii():
        # Digits beyond any sensible wait are not worth an integer of their size.
        wait_ms = int(text[:9]) * 1000
    else:
        try:
            at = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=dt.UTC)
        wait_ms = int(at.timestamp() * 1000) - now_ms
    return min(max(wait_ms, 0), MOST_RETRY_AFTER_MS)
