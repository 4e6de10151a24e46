"""A durable outbox: every page reaches every route, once as far as that can be had, and never holds anything up.

What is to be told is written down before it is tried, and what a try came to before the next one (`dashboards.ledger`,
in a `dashboards.store`). Delivery is at-least-once with stable keys: a crash between the receiver's answer and our
note of it repeats one request, and nothing can rule that out (ADR-0008).

On a replay, or with no route configured, deliveries go to the would-have-sent log and nothing is sent (X-81).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from dashboards.delivery import Delivery
from dashboards.desk import Desk
from dashboards.ledger import Ledger
from dashboards.notifiers import Notifier, Verdict
from dashboards.store import Store, StoreError, StoreTakenError
from streams.alerts import Alert, AlertState

if TYPE_CHECKING:
    from streams.board import Board
    from streams.settings import NotifySettings

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5


class Outbox:
    """Deliver alerts to routes, durably.

    Args:
        store: what is told and what was tried; of this board alone while it delivers.
        desk: acknowledgements and mutes.
        notifiers: the routes; empty: everything goes to the would-have-sent log.
        settings: grouping, escalation, backoff.
        replay_id: not empty: nothing is sent, whatever the routes (X-81).
        clock: wall clock in ms; also on a replay, where only the log has a time.
    """

    def __init__(
        self,
        store: Store,
        desk: Desk,
        notifiers: Sequence[Notifier],
        settings: NotifySettings,
        *,
        replay_id: str = "",
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._desk = desk
        self._notifiers = list(notifiers)
        self._settings = settings
        self._sends = bool(notifiers) and not replay_id
        self._clock = clock
        self._may: Callable[[], bool] = lambda: True
        self._guard = asyncio.Lock()
        self._ledger: Ledger | None = None
        self._fence = 0
        self._offered: set[tuple[str, AlertState]] = set()

    async def close(self) -> None:
        """Close the store; what is pending waits for the next start."""
        async with self._guard:
            await self._store.close()

    async def offer(self, alerts: Iterable[Alert], *, now_ms: int) -> int:
        """Write down what is not written down yet, and what has come due; return how many alerts are news.

        Args:
            alerts: any, also ones offered before, newest state of each id.
            now_ms: the board's clock, on which the alerts' times are.

        Raises:
            StoreError: it could not be written; offer it again.
        """
        async with self._guard:
            ledger = await self._opened()
            fresh = [alert for alert in alerts if (alert.alert_id, alert.state) not in self._offered]
            at_ms = self._clock()
            news = ledger.take(fresh, at_ms=at_ms, now_ms=now_ms)
            ledger.advance(
                at_ms,
                acks=self._desk.acks,
                muted=lambda alert: self._desk.muted(alert, now_ms) is not None,
            )
            await self._keep(ledger)
            self._offered.update((alert.alert_id, alert.state) for alert in fresh)
            together = ledger.taken_on(self._desk.acks)
        for ack in set(together.values()):
            await self._desk.acknowledge([key for key, each in together.items() if each == ack], ack)
        return news

    async def deliver_due(self) -> int:
        """Try every route that is due once, all at a time; return how many deliveries were settled."""
        if not self._sends:
            return 0
        # Routes do not wait for each other: one that hangs must not hold up the other's page.
        return sum(await asyncio.gather(*(self._deliver_route(each) for each in self._notifiers)))

    async def run(self, board: Board, *, may: Callable[[], bool] = lambda: True) -> None:
        """Take over the board's alerts and deliver them until cancelled; only while `may` says so.

        Routes and the board do not wait for each other. A store that is full, locked or away is logged and tried
        again: the board goes on without its pages, and says so.
        """
        self._may = may
        async with asyncio.TaskGroup() as group:
            group.create_task(self._desk.run())
            group.create_task(self._repeat(lambda: self._take_over(board)))
            for notifier in self._notifiers if self._sends else ():
                group.create_task(self._repeat(partial(self._deliver_route, notifier)))

    async def log(self, limit: int = 100) -> list[Delivery]:
        """Return the newest deliveries, sent, pending and would-have-sent, newest first; at any board.

        Raises:
            StoreError: the store cannot be read.
        """
        async with self._guard:
            if self._ledger is not None:
                return self._ledger.log(limit)
            # Only read: taking the store over is for the board that delivers.
            return (await self._read()).log(limit)

    async def _repeat(self, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                if self._may():
                    await work()
                else:
                    # Another board delivers and writes: what this one remembers grows old.
                    self._ledger = None
            except StoreError as error:
                logger.error("The outbox cannot be written, alerts wait: %s", error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _take_over(self, board: Board) -> None:
        if board.ready() is None:
            await self.offer(board.alerts(), now_ms=board.now_ms())

    async def _deliver_route(self, notifier: Notifier) -> int:
        """Send the oldest batch of a route if it is due."""
        async with self._guard:
            ledger = await self._opened()
            due = ledger.next_batch(notifier, self._clock())
            await self._keep(ledger)
        # The lease may have gone while the batch was written down: then its successor sends it.
        if due is None or not self._may():
            return 0
        batch, body = due
        reply = await notifier.send(body, key=batch, now_ms=self._clock())
        if reply.verdict is not Verdict.DELIVERED:
            logger.warning("Route %s: a message was not delivered: %s", notifier.route, reply.detail)
        async with self._guard:
            ledger = await self._opened()
            settled = ledger.note(notifier, batch, reply, self._clock())
            await self._keep(ledger)
        return settled

    async def _opened(self) -> Ledger:
        """Return the books, read from the store when this board does not hold them."""
        if self._ledger is None:
            fence = await self._store.take()
            ledger = await self._read()
            self._offered.clear()
            self._ledger, self._fence = ledger, fence
        return self._ledger

    async def _read(self) -> Ledger:
        ledger = Ledger(self._settings, self._notifiers, sends=self._sends)
        ledger.restore(await self._store.read())
        return ledger

    async def _keep(self, ledger: Ledger) -> None:
        """Write what has changed; what could not be written is forgotten, and read again from the store."""
        changes = ledger.changes()
        if not changes:
            return
        try:
            try:
                await self._store.write(changes, fence=self._fence)
            except StoreTakenError:
                if not self._may():
                    raise
                self._fence = await self._store.take()
                if self._fence != 1:
                    raise
                # Nobody has taken it over: a Redis without memory has forgotten everything. This board has not.
                await self._store.write(ledger.everything(), fence=self._fence)
        except BaseException:
            # Also a cancelled write: whether it was done, only the store knows.
            self._ledger = None
            raise
