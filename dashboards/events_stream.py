"""Server-sent events: one short event whenever the board's columns changed.

An event says that something changed, never what: a client that was slow or away asks for the overview and is up to
date, so nothing is buffered for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Final

from aiohttp import web

from dashboards.problems import problem

if TYPE_CHECKING:
    from streams.board import Board

LEAST_INTERVAL_S: Final = 1.0
"""At most one event a second: a person sees no more, and each one makes every wall ask."""

HEARTBEAT_S: Final = 15.0
"""A comment this often keeps proxies from closing an idle stream, and finds clients that are gone."""

WRITE_WITHIN_S: Final = 10.0
"""A client that does not take a few bytes in this time is dropped, not buffered for."""

logger = logging.getLogger(__name__)


class ChangeStream:
    """Tell every open page that the board changed.

    Args:
        board: whose `changed` is awaited once for all clients.
        most_clients: further ones get 503.
        least_interval_s, heartbeat_s, write_within_s: as the constants above; tests shorten them.
    """

    def __init__(
        self,
        board: Board,
        *,
        most_clients: int,
        least_interval_s: float = LEAST_INTERVAL_S,
        heartbeat_s: float = HEARTBEAT_S,
        write_within_s: float = WRITE_WITHIN_S,
    ) -> None:
        self._board = board
        self._most_clients = most_clients
        self._least_interval_s = least_interval_s
        self._heartbeat_s = heartbeat_s
        self._write_within_s = write_within_s
        self._version = board.columns.version
        self._moved = asyncio.Condition()
        self._watcher: asyncio.Task[None] | None = None
        self._clients: set[asyncio.Task[None]] = set()

    @property
    def clients(self) -> int:
        """Return how many streams are open."""
        return len(self._clients)

    async def start(self) -> None:
        """Begin to watch the board."""
        self._watcher = asyncio.create_task(self._watch(), name="change-stream")

    async def stop(self) -> None:
        """End the watch and every open stream, so that the server can close at once."""
        tasks = [*self._clients, *([self._watcher] if self._watcher else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            version = await self._board.changed(self._version)
            async with self._moved:
                self._version = version
                self._moved.notify_all()
            await asyncio.sleep(self._least_interval_s)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/stream`."""
        if self.clients >= self._most_clients:
            return problem(
                503,
                "too_many_streams",
                f"{self._most_clients} event streams are open already.",
                mend="Close one, or raise board.sse_clients.",
            )
        answer = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",
            }
        )
        task = asyncio.ensure_future(self._serve(request, answer))
        self._clients.add(task)
        try:
            # Not awaited itself: when `stop` cancels it, this handler must end well.
            await asyncio.wait({task})
        finally:
            task.cancel()
            self._clients.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.info("an event stream was dropped: its client left or is too slow")
            if request.transport is not None:
                request.transport.abort()
        return answer

    async def _serve(self, request: web.Request, answer: web.StreamResponse) -> None:
        await answer.prepare(request)
        told = -1
        await self._write(answer, b"retry: 2000\n\n")
        while True:
            if self._version > told:
                told = self._version
                data = json.dumps({"version": told, "now_ms": self._board.now_ms()})
                await self._write(answer, f"id: {told}\nevent: change\ndata: {data}\n\n".encode())
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    await self._beyond(told)
            except TimeoutError:
                await self._write(answer, b": alive\n\n")

    async def _beyond(self, version: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._version > version)

    async def _write(self, answer: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(self._write_within_s):
            await answer.write(data)
