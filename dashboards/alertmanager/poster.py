"""Post what is open to Alertmanager, again and again, as Prometheus does.

Alertmanager keeps alerts in memory and lets each end at its `endsAt`: whoever speaks for an alert repeats it. So this
side has no file and no queue: what the board knows (`board.alerts()`, read from the alerts topic) is posted whenever
it changes and every `repost_ms` besides, and a board or an Alertmanager that comes back is told everything. Grouping,
silences, retries to Slack and PagerDuty and their Retry-After are Alertmanager's. With several addresses each is told
by itself: they agree by gossip on who tells.

The end lies `LIVES` re-posts ahead, 5 minutes by default. That outlives a restart of the board, a lease that changes
hands and a few lost posts; and it is longer than the two minutes after which Prometheus pages "no evaluation", so that
the on-call knows that nobody watches before incidents of a dead board close by themselves.

Open alerts come before closed ones in a post: Alertmanager after a restart looks at a group when its first alert
arrives, and a closed one alone would close an incident in which others are open.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from dashboards.alertmanager.postable import NOTICE_LIFE_MS, Labels, postable, ranks, wanted
from streams.alerts import Alert, AlertState
from streams.errors import SettingsError

if TYPE_CHECKING:
    from streams.board import Board
    from streams.settings import NotifySettings

logger = logging.getLogger(__name__)

LIVES: Final = 5
"""An open alert ends after so many re-posts that did not come."""

CHUNK: Final = 500
"""Alerts in one request, about 600 kB."""

REQUEST_TIMEOUT_S: Final = 10.0
MOST_RETRY_MS: Final = 10_000
"""An Alertmanager that does not answer is tried at least this often: it is next door, and a page waits for it."""

REOPEN_MS: Final = 45_000
"""After its opening is posted again, a resolve waits for so long: longer than the `group_wait` of most."""

LOOK_EVERY_S: Final = 0.5


def addresses(settings: NotifySettings) -> list[str]:
    """Return the addresses of the setting; empty when it is.

    Raises:
        SettingsError: one is no http(s) address, or holds a password.
    """
    found = []
    for text in settings.alertmanager_url.split(","):
        url = text.strip().rstrip("/")
        if not url:
            continue
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
            good = good and not parts.query and not parts.fragment and parts.port != 0
        except ValueError:
            good = False
        if not good:
            what = "notify.alertmanager_url holds what is not the address of an Alertmanager."
            mend = "Write http://host:9093, several separated by commas, without user and password."
            raise SettingsError(what, mend=mend)
        found.append(url)
    return list(dict.fromkeys(found))


class Poster:
    """Keeps every Alertmanager up to date: `await run(board)` until cancelled.

    Args:
        urls: of the Alertmanagers; empty: nothing is posted.
        session: its own, closed by its owner.
        settings: how often, and the backoff.
        replay_id: not empty: nothing is posted (X-81).
        clock: wall clock in ms.
        muted: whether an alert is not to be told now; what Alertmanager has already is still repeated and closed.
    """

    def __init__(
        self,
        urls: Sequence[str],
        session: aiohttp.ClientSession,
        settings: NotifySettings,
        *,
        replay_id: str = "",
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        muted: Callable[[Alert], bool] = lambda _alert: False,
    ) -> None:
        self.posts = bool(urls) and not replay_id
        """Whether it posts at all."""
        self._targets = [_Target(url, session, settings, clock, muted) for url in urls if self.posts]

    async def run(self, board: Board, *, may: Callable[[], bool] = lambda: True) -> None:
        """Post until cancelled, while `may` says so and the board is whole; an Alertmanager that fails holds up
        neither the board nor another one.
        """
        async with asyncio.TaskGroup() as group:
            for target in self._targets:
                group.create_task(target.run(board, may))

    async def post_due(self, alerts: Iterable[Alert]) -> int:
        """Post once to every Alertmanager that is due; return how many took all of it."""
        known = list(alerts)
        return sum(await asyncio.gather(*(target.post_due(known) for target in self._targets)))


_Entry = tuple[dict[str, Any], Labels, Alert]
"""What is posted of an alert, and what is known there once it is taken."""


class _Status(msgspec.Struct):
    """What is read of `GET /api/v2/status`; `uptime` is when the process began."""

    uptime: str


class _Target:
    """One Alertmanager, and what it took from us.

    Alertmanager writes down whom it told every `--data.maintenance-interval` only. Killed before that, it does not
    know of an incident that PagerDuty has open, and would not tell of its end. So an incident that was open when
    Alertmanager went away, and has closed until it came back, is posted open once more before it is posted closed:
    PagerDuty takes the repeated opening as the same incident, by its key.
    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        settings: NotifySettings,
        clock: Callable[[], int],
        muted: Callable[[Alert], bool],
    ) -> None:
        self._url = url
        self._place = urlsplit(url).netloc
        self._session = session
        self._settings = settings
        self._clock = clock
        self._muted = muted
        self._process = ""
        self._took: dict[Labels, Alert] = {}
        self._reopen: dict[Labels, int] = {}
        self._next_ms = 0
        self._failures = 0

    async def run(self, board: Board, may: Callable[[], bool]) -> None:
        """Look twice a second whether anything is to be posted."""
        while True:
            if may() and board.ready() is None:
                await self.post_due(board.alerts())
            else:
                # Whoever gets the lease says everything at once.
                self._next_ms = 0
            await asyncio.sleep(LOOK_EVERY_S)

    async def post_due(self, alerts: Iterable[Alert]) -> bool:
        """Post if anything changed or the time has come; return whether Alertmanager took all of it."""
        now_ms = self._clock()
        known = {alert.alert_id for alert in self._took.values()}
        told = [alert for alert in alerts if alert.alert_id in known or not self._muted(alert)]
        current = wanted(told, now_ms=now_ms)
        if now_ms < self._next_ms and (self._failures or not self._changed(current, now_ms)):
            return False
        try:
            await self._notice_restart(now_ms)
            # Before a request with thousands of alerts is on its way, the one who writes it must not hold the loop.
            for body, taken in await asyncio.to_thread(self._requests, current, now_ms):
                await self._post(body)
                self._took |= taken
        except (aiohttp.ClientError, msgspec.MsgspecError, OSError, TimeoutError) as error:
            self._note_failure(error)
            return False
        self._took = {labels: alert for labels, alert in self._took.items() if labels in current}
        self._reopen = {
            labels: at_ms for labels, at_ms in self._reopen.items() if labels in current and at_ms > now_ms
        }
        if self._failures:
            logger.info("Alertmanager at %s takes alerts again.", self._place)
        self._failures = 0
        self._next_ms = now_ms + self._settings.alertmanager_repost_ms
        return True

    def _changed(self, current: dict[Labels, Alert], now_ms: int) -> bool:
        if current.keys() != self._took.keys() or any(at_ms <= now_ms for at_ms in self._reopen.values()):
            return True
        return any(_said(alert) != _said(self._took[labels]) for labels, alert in current.items())

    async def _notice_restart(self, now_ms: int) -> None:
        """Learn which process answers; a new one has forgotten what the last one took."""
        async with (
            asyncio.timeout(REQUEST_TIMEOUT_S),
            self._session.get(f"{self._url}/api/v2/status", allow_redirects=False) as answer,
        ):
            _check(answer)
            process = msgspec.json.decode(await answer.read(), type=_Status).uptime
        if process == self._process:
            return
        opened = [labels for labels, alert in self._took.items() if alert.state is AlertState.OPEN]
        self._reopen = dict.fromkeys([*self._reopen, *opened], now_ms + REOPEN_MS)
        self._took, self._process = {}, process

    def _requests(self, current: dict[Labels, Alert], now_ms: int) -> list[tuple[bytes, dict[Labels, Alert]]]:
        """Return the bodies to post, in order, each with what is known there once it is taken."""
        places = ranks(current)
        opened: list[_Entry] = []
        closed: list[_Entry] = []
        for labels, alert in current.items():
            ends_ms, open_now = self._end_of(labels, alert, now_ms)
            document = postable(labels, alert, self._settings, rank=places.get(labels), ends_at_ms=ends_ms)
            (opened if open_now else closed).append((document, labels, alert))
        # An alert whose severity changed has other labels, and one may vanish: what was taken ends at once.
        closed += [
            (postable(labels, alert, self._settings, rank=None, ends_at_ms=now_ms), labels, alert)
            for labels, alert in self._took.items()
            if labels not in current and alert.state is AlertState.OPEN
        ]
        entries = opened + closed
        return [
            (
                msgspec.json.encode([document for document, _, _ in chunk]),
                {labels: alert for _, labels, alert in chunk},
            )
            for chunk in (entries[start : start + CHUNK] for start in range(0, len(entries), CHUNK))
        ]

    def _end_of(self, labels: Labels, alert: Alert, now_ms: int) -> tuple[int, bool]:
        """Return when an alert that is posted now ends, and whether it is open there until then."""
        if alert.state is AlertState.NOTICE:
            return alert.opened_at_ms + NOTICE_LIFE_MS, True
        if alert.state is AlertState.OPEN:
            return now_ms + LIVES * self._settings.alertmanager_repost_ms, True
        if now_ms < (until_ms := self._reopen.get(labels, 0)):
            return until_ms + REOPEN_MS, True
        return alert.resolved_at_ms or alert.updated_at_ms, False

    async def _post(self, body: bytes) -> None:
        async with (
            asyncio.timeout(REQUEST_TIMEOUT_S),
            self._session.post(
                f"{self._url}/api/v2/alerts",
                data=body,
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
            ) as answer,
        ):
            if answer.status == HTTPStatus.BAD_REQUEST:
                # Those that it understands it has taken, and the others are refused again however often they come.
                text = (await answer.content.read(500)).decode("utf-8", "replace")
                logger.error("Alertmanager at %s refuses alerts: %r", self._place, text)
                return
            _check(answer)

    def _note_failure(self, error: Exception) -> None:
        if not self._failures:
            # Once per outage; and not the text of an error, which may hold foreign text.
            logger.warning(
                "Alertmanager at %s does not take alerts, tried again: %s", self._place, _told(error)
            )
        wait_ms = self._settings.retry_first_ms << min(self._failures, 20)
        self._failures += 1
        self._next_ms = self._clock() + min(wait_ms, MOST_RETRY_MS)


def _said(alert: Alert) -> tuple[str, AlertState]:
    return alert.alert_id, alert.state


def _check(answer: aiohttp.ClientResponse) -> None:
    if answer.status != HTTPStatus.OK:
        raise aiohttp.ClientResponseError(answer.request_info, (), status=answer.status)


def _told(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"HTTP {error.status}"
    if isinstance(error, TimeoutError):
        return f"no answer within {REQUEST_TIMEOUT_S:.0f} s"
    return type(error).__name__
