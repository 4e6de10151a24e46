"""A durable outbox: every page reaches every route, once as far as that can be had, and never holds anything up.

What is to be told is written down before it is tried: one row per (alert id, state, route) in SQLite. A batch (all
that waits for a route, one shop) gets its id before its first try and keeps it, so that a try that a kill cut short
repeats under the same Idempotency-Key. Delivery is at-least-once with stable keys: a crash between the receiver's
answer and our note of it repeats one request, and nothing can rule that out (ADR-0008).

On a replay, or with no route configured, rows go to the would-have-sent log and nothing is sent (X-81).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from dashboards.notifiers import Notifier, Reply, Verdict
from streams.alerts import Alert, AlertState, decode_alert, encode_alert

if TYPE_CHECKING:
    from streams.board import Board
    from streams.settings import NotifySettings

logger = logging.getLogger(__name__)

_P = ParamSpec("_P")
_R = TypeVar("_R")

LOG_ONLY: Final = "log"
"""Route name of rows that are written down while no route is configured."""

NOTICE_LIFE_MS: Final = 60 * 60_000
"""A digest that could not be delivered for an hour is obsolete: the next one has newer figures."""

PAGE_LIFE_MS: Final = 24 * 60 * 60_000
"""After a day nobody acts on a page any more."""

HEARD_LIFE_MS: Final = 60 * 60_000
"""An alert that changed longer ago than this, on the board's clock, is history to an outbox that never saw it: a lost
outbox must not tell the whole past again. What is still open is told at any age."""

KEEP_MS: Final = 14 * 24 * 60 * 60_000
MOST_REFUSALS: Final = 5
GROUP_MS: Final = 15_000
"""After a message a route rests for so long: what opens meanwhile goes out as one, and Slack takes one a second."""

LOOK_EVERY_S: Final = 0.5


class Status(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"
    SENT = "sent"
    WOULD_HAVE_SENT = "would_have_sent"
    OBSOLETE = "obsolete"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One delivery as a person reads it.

    Attributes:
        at_ms: when it was written down; done_ms: when it was settled, None while pending. Wall clock.
        error: of the last try; empty when there was none.
        alert: as it was told, with its message.
    """

    at_ms: int
    done_ms: int | None
    route: str
    status: Status
    attempts: int
    error: str
    alert: Alert


_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY,
    alert_id TEXT NOT NULL,
    state TEXT NOT NULL,
    route TEXT NOT NULL,
    shop_id TEXT NOT NULL,
    status TEXT NOT NULL,
    alert BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    done_ms INTEGER,
    batch TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    UNIQUE (alert_id, state, route)
);
CREATE INDEX IF NOT EXISTS deliveries_by_status ON deliveries (status, route, id);
CREATE TABLE IF NOT EXISTS routes (
    route TEXT PRIMARY KEY,
    next_ms INTEGER NOT NULL,
    failures INTEGER NOT NULL
);
"""

_FIND_DELIVERY: Final = "SELECT status, batch FROM deliveries WHERE alert_id = ? AND state = ? AND route = ?"
_SETTLE_DELIVERY: Final = (
    "UPDATE deliveries SET status = ?, done_ms = ? WHERE alert_id = ? AND state = ? AND route = ?"
)
_FIND_WAITING: Final = (
    "SELECT alert_id, state FROM deliveries WHERE status = ? AND route = ? AND shop_id = ? AND batch IS NULL"
    " ORDER BY id"
)
_BATCH_WAITING: Final = (
    "UPDATE deliveries SET batch = ? WHERE status = ? AND route = ? AND shop_id = ? AND batch IS NULL"
)


class Outbox:
    """Deliver alerts to routes, durably.

    Args:
        path: of the SQLite file; its folder is made.
        notifiers: the routes; empty: everything goes to the would-have-sent log.
        settings: backoff.
        replay_id: not empty: nothing is sent, whatever the routes (X-81).
        clock: wall clock in ms; also on a replay, where only the log has a time.
    """

    def __init__(
        self,
        path: Path,
        notifiers: Sequence[Notifier],
        settings: NotifySettings,
        *,
        replay_id: str = "",
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # FULL: a page that was written down survives the machine, not only the process.
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;")
        self._db.executescript(_SCHEMA)
        self._notifiers = {notifier.route: notifier for notifier in notifiers}
        self._settings = settings
        self._sends = bool(notifiers) and not replay_id
        self._routes = tuple(self._notifiers) or (LOG_ONLY,)
        self._clock = clock
        self._guard = threading.Lock()
        self._offered: set[tuple[str, AlertState]] = set()

    @classmethod
    def beside(cls, board: Board, notifiers: Sequence[Notifier]) -> Outbox:
        """Return the outbox of a board, in its data folder; each replay has a file of its own, empty at first."""
        settings = board.settings
        name = f"outbox-{board.replay_id}.sqlite3" if board.replay_id else "outbox.sqlite3"
        path = Path(settings.board.data_dir) / name
        if board.replay_id:
            # The same day played again has the same alert ids: with the old log none of them would be written down.
            for old in path.parent.glob(f"{path.name}*"):
                old.unlink()
        return cls(path, notifiers, settings.notify, replay_id=board.replay_id)

    def close(self) -> None:
        """Close the file; what is pending waits for the next start."""
        with self._guard:
            self._db.close()

    async def offer(self, alerts: Iterable[Alert], *, now_ms: int) -> int:
        """Write down what is not written down yet; return how many deliveries are new.

        Args:
            alerts: any, also ones offered before, newest state of each id.
            now_ms: the board's clock, on which the alerts' times are.
        """
        fresh = [alert for alert in alerts if (alert.alert_id, alert.state) not in self._offered]
        if not fresh:
            return 0
        added = await self._in_thread(self._write_down, fresh, now_ms)
        self._offered.update((alert.alert_id, alert.state) for alert in fresh)
        return added

    async def deliver_due(self) -> int:
        """Try every route that is due once, all at a time; return how many deliveries were settled."""
        if not self._sends:
            return 0
        # Routes do not wait for each other: one that hangs must not hold up the other's page.
        settled = await asyncio.gather(*(self._deliver_route(each) for each in self._notifiers.values()))
        return sum(settled)

    async def run(self, board: Board, *, may: Callable[[], bool] = lambda: True) -> None:
        """Take over the board's alerts and deliver them until cancelled; only while `may` says so.

        Routes and the board do not wait for each other. A disk that is full or locked is logged and tried again:
        the board goes on without its pages, and says so.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(lambda: self._take_over(board), may))
            for notifier in self._notifiers.values() if self._sends else ():
                group.create_task(self._repeat(partial(self._deliver_route, notifier), may))

    async def log(self, limit: int = 100) -> list[LogEntry]:
        """Return the newest deliveries, sent, pending and would-have-sent, newest first."""
        return await self._in_thread(self._read_log, limit)

    async def _repeat(self, work: Callable[[], Awaitable[object]], may: Callable[[], bool]) -> None:
        while True:
            try:
                if may():
                    await work()
            except sqlite3.Error as error:
                logger.error("The outbox cannot be written, alerts wait: %s", error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _take_over(self, board: Board) -> None:
        if board.ready() is None:
            await self.offer(board.alerts(), now_ms=board.now_ms())

    async def _deliver_route(self, notifier: Notifier) -> int:
        """Send the oldest batch of a route if it is due."""
        taken = await self._in_thread(self._take_batch, notifier.route)
        if taken is None:
            return 0
        batch, alerts = taken
        reply = await notifier.send(notifier.render(alerts), key=batch, now_ms=self._clock())
        if reply.verdict is not Verdict.DELIVERED:
            logger.warning("Route %s: %d alerts not delivered: %s", notifier.route, len(alerts), reply.detail)
        return await self._in_thread(self._note, notifier.route, batch, reply)

    async def _in_thread(self, work: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        # Off the loop, because a commit waits for the disk.
        return await asyncio.to_thread(self._alone, work, *args, **kwargs)

    def _alone(self, work: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Do one thing at a time on the connection, whole or not at all; a cancelled caller leaves it whole too."""
        with self._guard:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                result = work(*args, **kwargs)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            return result

    def _write_down(self, alerts: Sequence[Alert], now_ms: int) -> int:
        at_ms = self._clock()
        self._db.execute("DELETE FROM deliveries WHERE done_ms < ?", (at_ms - KEEP_MS,))
        return sum(
            self._write_one(alert, route, at_ms)
            for alert in alerts
            for route in self._routes
            if not self._sends
            or alert.state is AlertState.OPEN
            or now_ms - alert.updated_at_ms <= HEARD_LIFE_MS
        )

    def _write_one(self, alert: Alert, route: str, at_ms: int) -> int:
        if self._sends and alert.state is AlertState.RESOLVED and not self._heard_of(alert, route, at_ms):
            return 0
        status, done_ms = (Status.PENDING, None) if self._sends else (Status.WOULD_HAVE_SENT, at_ms)
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO deliveries (alert_id, state, route, shop_id, status, alert, created_ms, done_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (alert.alert_id, alert.state, route, alert.shop_id, status, encode_alert(alert), at_ms, done_ms),
        )
        return cursor.rowcount

    def _heard_of(self, alert: Alert, route: str, at_ms: int) -> bool:
        """Return whether a receiver may know of an incident that has closed; its unsent opening is obsolete now."""
        keys = (alert.alert_id, AlertState.OPEN, route)
        found = self._db.execute(_FIND_DELIVERY, keys).fetchone()
        if found is None:
            return False
        status, batch = found
        if status == Status.PENDING:
            self._db.execute(_SETTLE_DELIVERY, (Status.OBSOLETE, at_ms, *keys))
        # A batch that was tried may have arrived although its answer did not.
        return status == Status.SENT or batch is not None

    def _take_batch(self, route: str) -> tuple[str, list[Alert]] | None:
        """Return the batch that is due on a route and its alerts, forming one of what waits; None when nothing is."""
        at_ms = self._clock()
        due = self._db.execute("SELECT next_ms FROM routes WHERE route = ?", (route,)).fetchone()
        if due is not None and due[0] > at_ms:
            return None
        self._db.execute(
            "UPDATE deliveries SET status = ?, done_ms = ? WHERE status = ? AND route = ? AND created_ms <"
            " CASE state WHEN ? THEN ? ELSE ? END",
            (
                Status.OBSOLETE,
                at_ms,
                Status.PENDING,
                route,
                AlertState.NOTICE,
                at_ms - NOTICE_LIFE_MS,
                at_ms - PAGE_LIFE_MS,
            ),
        )
        oldest = self._db.execute(
            "SELECT batch, shop_id FROM deliveries WHERE status = ? AND route = ? ORDER BY batch IS NULL, id LIMIT 1",
            (Status.PENDING, route),
        ).fetchone()
        if oldest is None:
            return None
        batch, shop_id = oldest
        if batch is None:
            batch = self._form_batch(route, shop_id)
        rows = self._db.execute(
            "SELECT alert FROM deliveries WHERE status = ? AND route = ? AND batch = ? ORDER BY id",
            (Status.PENDING, route, batch),
        )
        return batch, [decode_alert(value) for (value,) in rows]

    def _form_batch(self, route: str, shop_id: str) -> str:
        """Give everything of a shop that waits for a route one batch id, before the first try."""
        keys = (Status.PENDING, route, shop_id)
        digest = hashlib.sha256(route.encode())
        for row in self._db.execute(_FIND_WAITING, keys):
            digest.update(repr(row).encode())
        batch = digest.hexdigest()[:32]
        self._db.execute(_BATCH_WAITING, (batch, *keys))
        return batch

    def _note(self, route: str, batch: str, reply: Reply) -> int:
        """Note what a try came to and when the route may be tried next; return how many deliveries are settled."""
        at_ms = self._clock()
        of_batch = (route, batch)
        delivered = reply.verdict is Verdict.DELIVERED
        self._db.execute(
            "UPDATE deliveries SET attempts = attempts + 1, error = ? WHERE route = ? AND batch = ?",
            ("" if delivered else reply.detail, *of_batch),
        )
        settled = 0
        if delivered:
            # Also what became obsolete while the request was under way: the receiver has it.
            settled = self._db.execute(
                "UPDATE deliveries SET status = ?, done_ms = ? WHERE route = ? AND batch = ?",
                (Status.SENT, at_ms, *of_batch),
            ).rowcount
        elif reply.verdict is Verdict.REFUSED:
            settled = self._db.execute(
                "UPDATE deliveries SET status = ?, done_ms = ? WHERE route = ? AND batch = ? AND status = ?"
                " AND attempts >= ?",
                (Status.REFUSED, at_ms, *of_batch, Status.PENDING, MOST_REFUSALS),
            ).rowcount
        self._pace(route, reply, at_ms)
        return settled

    def _pace(self, route: str, reply: Reply, at_ms: int) -> None:
        known = self._db.execute("SELECT failures FROM routes WHERE route = ?", (route,)).fetchone()
        if reply.verdict is Verdict.DELIVERED:
            failures, wait_ms = 0, GROUP_MS
        else:
            failures = (known[0] if known else 0) + 1
            doubled = self._settings.retry_first_ms * 2 ** min(failures - 1, 32)
            wait_ms = min(doubled, self._settings.retry_most_ms)
            if reply.retry_after_ms is not None:
                wait_ms = reply.retry_after_ms
        self._db.execute("INSERT OR REPLACE INTO routes VALUES (?, ?, ?)", (route, at_ms + wait_ms, failures))

    def _read_log(self, limit: int) -> list[LogEntry]:
        rows = self._db.execute(
            "SELECT created_ms, done_ms, route, status, attempts, error, alert FROM deliveries"
            " ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [
            LogEntry(at_ms, done_ms, route, Status(status), attempts, error, decode_alert(alert))
            for at_ms, done_ms, route, status, attempts, error, alert in rows
        ]
