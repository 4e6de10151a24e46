"""The HTTP API of what-if: a question about a world that is not, answered and forgotten."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from aiohttp import web

from dashboards.problems import problem
from streams.errors import QueryError
from streams.what_if import what_if
from streams.what_if_words import parse_scenario, what_if_document

if TYPE_CHECKING:
    from streams.board import Board


class WhatIfApi:
    """The handler of `GET /api/v1/what-if`.

    Args:
        board: whose present it starts from.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._one_at_a_time = asyncio.Lock()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the handler."""
        router.add_get("/api/v1/what-if", self.answer)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer with stock-outs, money at risk and end value before and after; parameters as `warroom what-if`."""
        board = self._board
        waiting = board.ready()
        if waiting is not None:
            return problem(
                503, "loading", f"The board is not whole yet: {waiting}.", mend="Ask again in a moment."
            )
        shops = board.columns.shops()
        shop_id = request.query.get("shop", shops[0] if len(shops) == 1 else "")
        if shop_id not in shops:
            return problem(
                404, "unknown_shop", "Name one of the board's shops.", mend="See /api/v1/catalogue."
            )
        shop, now_ms = board.columns.shop(shop_id), board.now_ms()
        try:
            scenario = parse_scenario(
                request.query.getall("add_stock", []),
                request.query.getall("flash_sale", []),
                request.query.get("goal"),
                timezone=shop.timezone,
                now_ms=now_ms,
            )
        except QueryError as error:
            return problem(422, error.reason, error.what, mend=error.mend)
        # A question costs several projections of the whole shop: two at once would hold the screen up.
        async with self._one_at_a_time:
            answer = what_if(board.columns, shop, board.settings, scenario, as_of_ms=now_ms)
        body = json.dumps(what_if_document(answer, shop), ensure_ascii=False, allow_nan=False).encode()
        return web.Response(
            body=body, content_type="application/json", charset="utf-8", headers={"Cache-Control": "no-store"}
        )
