"""The HTTP API of the preflight: what is in the way, and a test page that a person must acknowledge."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from dashboards.doctor import free_bytes
from dashboards.problems import problem
from dashboards.store import StoreError
from streams.alerts import clean_name
from streams.board import ReportsLag
from streams.errors import UnavailableError
from streams.findings import bad
from streams.preflight import check_process, check_shop, closed_page, next_campaign, start_of, test_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from dashboards.desk import Desk
    from streams.alerts import Alert
    from streams.board import Board
    from streams.findings import Finding
    from streams.preflight import CampaignStart
    from streams.settings import ShopSettings

LOOK_EVERY_S: Final = 0.5


class PageRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /api/v1/preflight/page`: who sends it, and for which shop (empty: the first)."""

    by: str
    shop: str = ""


class PreflightApi:
    """The handlers under `/api/v1/preflight`.

    Args:
        board: whose columns and clock.
        desk: where acknowledgements are; None where none can be given.
        routes: whether pages leave this board.
        evaluated_ms: wall time at which the rules were last looked at.
        publish: keeps an alert as the rules' are kept; None where none can be.
    """

    def __init__(
        self,
        board: Board,
        desk: Desk | None,
        *,
        routes: bool,
        evaluated_ms: Callable[[], int | None],
        publish: Callable[[Sequence[Alert]], Awaitable[None]] | None,
    ) -> None:
        self._board = board
        self._desk = desk
        self._routes = routes
        self._evaluated_ms = evaluated_ms
        self._publish = publish
        self._closing: set[asyncio.Task[None]] = set()

    def add_routes(self, app: web.Application) -> None:
        """Register the handlers."""
        app.router.add_get("/api/v1/preflight", self.findings)
        app.router.add_post("/api/v1/preflight/page", self.page)
        app.on_shutdown.append(self._stop)

    async def findings(self, _request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/preflight`: findings and campaigns; without the test page, so without a verdict."""
        board, settings = self._board, self._board.settings
        waiting = board.ready()
        findings = [] if waiting is None else [bad("board", waiting, "Wait until it is ready: /readyz.")]
        folder = Path(settings.board.data_dir)
        findings += check_process(
            settings.preflight,
            lag=board.lag() if isinstance(board, ReportsLag) else 0,
            evaluated_ms=self._evaluated_ms(),
            wall_ms=time.time_ns() // 1_000_000,
            free_bytes=await asyncio.to_thread(free_bytes, folder),
            routes=self._routes,
        )
        now_ms, of_shops, campaigns = await board.in_turn(self._look)
        findings += of_shops
        if not settings.shops:
            findings.append(bad("shops", "no shop is configured", "Run `warroom init`."))
        return _json({"now_ms": now_ms, "findings": findings, "campaigns": campaigns})

    def _look(self) -> tuple[int, list[Finding], list[CampaignStart]]:
        """Return now, what is found of the shops, and their next campaigns."""
        board = self._board
        now_ms = board.now_ms()
        findings: list[Finding] = []
        campaigns: list[CampaignStart] = []
        for shop in board.settings.shops.values():
            findings += check_shop(board.columns, shop, now_ms=now_ms)
            if (start := self._next(shop, now_ms)) is not None:
                campaigns.append(start)
        return now_ms, findings, campaigns

    def _next(self, shop: ShopSettings, now_ms: int) -> CampaignStart | None:
        campaign = next_campaign(self._board.columns, shop, now_ms=now_ms)
        return None if campaign is None else start_of(self._board.columns, shop, campaign)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Answer `POST /api/v1/preflight/page`: open a test page, which closes when it is acknowledged or too old."""
        if self._publish is None or self._desk is None:
            return problem(409, "read_only", "This board only shows: it tells nobody anything.")
        try:
            given = msgspec.json.decode(await request.read(), type=PageRequest)
        except msgspec.DecodeError as error:
            return problem(400, "bad_body", f"The body is not as documented: {error}.")
        by, shops = clean_name(given.by), self._board.settings.shops
        shop = shops.get(given.shop) if given.shop else next(iter(shops.values()), None)
        if not by or shop is None:
            what = "Nobody is named." if not by else "There is no such shop."
            return problem(
                422, "bad_request", what, mend="Send `by`, the name of the person, and a known shop."
            )
        now_ms = self._board.now_ms()
        start = await self._board.in_turn(partial(self._next, shop, now_ms))
        alert = test_page(shop, start, by=by, now_ms=now_ms)
        try:
            await self._publish([alert])
        except UnavailableError as error:
            return problem(503, "not_kept", error.what, mend=error.mend)
        task = asyncio.create_task(self._close_later(alert, self._desk), name="test page")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return _json(
            {"alert_id": alert.alert_id, "wait_ms": self._board.settings.preflight.page_wait_ms}, status=201
        )

    async def _close_later(self, alert: Alert, desk: Desk) -> None:
        """Close the test page when somebody has it, or when nobody had it in time: it must not ring for ever."""
        wait_s = self._board.settings.preflight.page_wait_ms / 1000
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s and alert.alert_id not in desk.acks:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await desk.refresh()
            except StoreError:
                continue
        ack = desk.acks.get(alert.alert_id)
        closed = closed_page(alert, by="" if ack is None else ack.by, now_ms=self._board.now_ms())
        while self._publish is not None:
            try:
                await self._publish([closed])
            except UnavailableError:
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                return

    async def _stop(self, _app: web.Application) -> None:
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)


def _json(document: Any, *, status: int = 200) -> web.Response:
    body = msgspec.json.encode(document)
    headers = {"Cache-Control": "no-store"}
    return web.Response(
        body=body, status=status, content_type="application/json", charset="utf-8", headers=headers
    )
