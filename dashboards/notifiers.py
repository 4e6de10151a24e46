"""Ways out: a Slack incoming webhook and a generic webhook, each one POST of a batch of alerts.

A notifier knows how a batch is written and what an answer means; when and how often to try is the outbox's business.
URLs are secrets: they come from files, and are in no log, error or would-have-sent entry.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec

from streams.alerts import LISTED_SKUS, Alert, AlertRoute, AlertState, listed
from streams.errors import SettingsError

if TYPE_CHECKING:
    from streams.settings import NotifySettings

REQUEST_TIMEOUT_S: Final = 10.0
"""A receiver that hangs longer is tried again later: it must not hold the other routes or a shutdown."""

MOST_RETRY_AFTER_MS: Final = 60 * 60_000
"""A Retry-After beyond this is a mistake or a trap; a page is worth one try an hour."""

WEBHOOK_VERSION: Final = 1
FULL_ALERTS: Final = 100
"""Alerts given in full in one webhook body; of the others the body names key and state."""


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
    """One route out."""

    @property
    def route(self) -> str:
        """Name in the outbox and in logs; stable, it is part of a delivery's key."""
        ...

    def render(self, alerts: Sequence[Alert]) -> bytes:
        """Return the request's body for a batch of at least one alert of one shop."""
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
    """

    def __init__(
        self, route: str, url: str, session: aiohttp.ClientSession, render: Callable[[Sequence[Alert]], bytes]
    ) -> None:
        self.route = route
        self._url = url
        self._session = session
        self._render = render

    def __repr__(self) -> str:
        """Return the route; never the URL."""
        return f"HttpNotifier({self.route!r})"

    def render(self, alerts: Sequence[Alert]) -> bytes:
        """Return the body of a batch."""
        return self._render(alerts)

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


def escape_slack(text: str) -> str:
    """Return text that Slack shows as it is: `<!channel>` in a product's name must not ring everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text_of(alerts: Sequence[Alert]) -> str:
    """Return a batch as plain text: one line per alert, pages first, the list capped with `and n more`."""
    urgent_first = sorted(
        alerts,
        key=lambda alert: (
            alert.route is not AlertRoute.PAGE,
            alert.state is not AlertState.OPEN,
            -alert.gmv_at_risk_minor,
        ),
    )
    if len(alerts) == 1:
        return alerts[0].message
    shown = [alert.message for alert in urgent_first[:LISTED_SKUS]]
    more = len(alerts) - len(shown)
    opened = sum(alert.state is AlertState.OPEN for alert in alerts)
    closed = sum(alert.state is AlertState.RESOLVED for alert in alerts)
    head = f"{alerts[0].shop_id}: {opened:,} stock alert{'s' if opened != 1 else ''}, {closed:,} closed"
    tail = [listed([], more).strip()] if more else []
    return "\n".join([head, *(f"- {line}" for line in shown), *tail])


def slack_body(alerts: Sequence[Alert]) -> bytes:
    """Return the body for a Slack incoming webhook; foreign text is neither markup nor a link to unfurl."""
    return msgspec.json.encode(
        {
            "text": escape_slack(text_of(alerts)),
            "mrkdwn": False,
            "unfurl_links": False,
            "unfurl_media": False,
        }
    )


def webhook_body(alerts: Sequence[Alert]) -> bytes:
    """Return the body for a generic webhook, as described in docs/ALERTS.md."""
    rest = alerts[FULL_ALERTS:]
    body: dict[str, Any] = {
        "version": WEBHOOK_VERSION,
        "shop_id": alerts[0].shop_id,
        "text": text_of(alerts),
        "alerts": [{**msgspec.to_builtins(alert), "key": alert.key} for alert in alerts[:FULL_ALERTS]],
        "more": [{"alert_id": alert.alert_id, "state": alert.state.value} for alert in rest],
    }
    return msgspec.json.encode(body)


def notifiers_of(settings: NotifySettings, session: aiohttp.ClientSession) -> list[Notifier]:
    """Return the routes that the settings switch on.

    Raises:
        SettingsError: a file is missing or does not hold an http(s) URL.
    """
    routes: list[Notifier] = []
    for route, key, file, render in (
        ("slack", "slack_webhook_file", settings.slack_webhook_file, slack_body),
        ("webhook", "webhook_url_file", settings.webhook_url_file, webhook_body),
    ):
        if file:
            routes.append(HttpNotifier(route, _url_in(key, file), session, render))
    return routes


def _url_in(key: str, file: str) -> str:
    mend = f"Set notify.{key} to a file with one line, the URL, or leave it empty to switch the route off."
    try:
        url = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        what = f"notify.{key}: the file {file} cannot be read ({type(error).__name__})."
        raise SettingsError(what, mend=mend) from error
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        what = f"notify.{key}: the file {file} does not hold an http or https URL."
        raise SettingsError(what, mend=mend)
    return url
