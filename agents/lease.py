"""Which of several boards evaluates and delivers: the one that holds the lease (design, decision 9)."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import TYPE_CHECKING, Final

import redis.asyncio
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

TTL_MS: Final = 15_000
"""A board that died gives its lease up after this; evaluation pauses for at most as long."""

RENEW_S: Final = TTL_MS / 3000

_IF_MINE: Final = "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end "
_RENEW: Final = _IF_MINE + "return redis.call('pexpire', KEYS[1], ARGV[2])"
_RELEASE: Final = _IF_MINE + "return redis.call('del', KEYS[1])"


class Lease:
    """A lease in Redis: `await start()`, ask `held()`, `await stop()`.

    The holder counts the time from before it asked Redis, and lets go of the lease by its own clock a renewal before
    it ends there: two boards never hold it at once, also when Redis cannot be reached. A Redis that loses its memory
    can give the lease to a second board for the rest of the first one's; the outbox's keys are stable for that.

    Args:
        url: of Redis, `redis://host:port/db`.
        name: of the lease; one per prefix.
        now_s: a monotonic clock in seconds.
    """

    def __init__(self, url: str, name: str, *, now_s: Callable[[], float] = time.monotonic) -> None:
        # With a timeout of its own redis-py calls `asyncio.wait_for`, which on Python 3.11 loses a cancellation that
        # comes as its work is done: the task then renews for ever, and the board hangs at its end.
        self._redis = redis.asyncio.Redis.from_url(url, socket_timeout=None, socket_connect_timeout=RENEW_S)
        self._name = name
        self._holder = secrets.token_hex(8)
        self._now_s = now_s
        self._until_s = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def held(self) -> bool:
        """Return whether this board may evaluate and deliver now."""
        return self._now_s() < self._until_s

    async def start(self) -> None:
        """Try to get the lease, and keep trying and renewing."""
        await self.renew()
        self._task = asyncio.create_task(self._keep(), name="lease")

    async def stop(self) -> None:
        """Give the lease up, so that another board need not wait for its end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.held():
            self._until_s = float("-inf")
            try:
                async with asyncio.timeout(RENEW_S):
                    await self._redis.eval(_RELEASE, 1, self._name, self._holder)
            except (RedisError, TimeoutError) as error:
                logger.warning("The lease %s could not be given up: %s", self._name, error)
        await self._redis.aclose()

    async def renew(self) -> None:
        """Get or renew the lease once; without Redis it runs out."""
        asked_s = self._now_s()
        try:
            async with asyncio.timeout(RENEW_S):
                mine = bool(await self._redis.set(self._name, self._holder, nx=True, px=TTL_MS)) or bool(
                    await self._redis.eval(_RENEW, 1, self._name, self._holder, str(TTL_MS))
                )
        except (RedisError, TimeoutError) as error:
            logger.warning("The lease %s cannot be renewed: %s", self._name, error)
            return
        if mine and not self.held():
            logger.info("This board evaluates: it holds the lease %s.", self._name)
        self._until_s = asked_s + TTL_MS / 1000 - RENEW_S if mine else float("-inf")

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            await self.renew()


def lease_name(app: str, prefix: str) -> str:
    """Return the key in Redis; a replay's own world has its own (X-81)."""
    return f"{app}.{prefix}evaluation"
