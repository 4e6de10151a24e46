"""The HTTP API of what-if: a question about a world that is not, answered and forgotten."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from dashboards.problems import problem
from streams.errors import QueryError
from streams.what_if import what_if
from streams.what_if_words import parse_scenario, what_if_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.board import Board


class WhatIfApi:
    """The handler of `GET /api/v1/what-if`.

    Args:
        board: whose present it starts from.
    """

    def __init__(self, board: Board) -> None:
        self._board = board

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
        query = request.query
        changes = query.getall("add_stock", []), query.getall("flash_sale", []), query.get("goal")
        return await board.in_turn(partial(self._answer, query.get("shop"), *changes))

    def _answer(
        self, named: str | None, add_stock: Sequence[str], flash_sale: Sequence[str], goal: str | None
    ) -> web.Response:
        board = self._board
        shops = board.columns.shops()
        shop_id = named if named is not None else shops[0] if len(shops) == 1 else ""
        if shop_id not in shops:
            return problem(
                404, "unknown_shop", "Name one of the board's shops.", mend="See /api/v1/catalogue."
            )
        shop, now_ms = board.columns.shop(shop_id), board.now_ms()
        try:
            scenario = parse_scenario(add_stock, flash_sale, goal, timezone=shop.timezone, now_ms=now_ms)
        except QueryError as error:
            return problem(422, error.reason, error.what, mend=error.mend)
        answer = what_if(board.columns, shop, board.settings, scenario, as_of_ms=now_ms)
        body = json.dumps(what_if_document(answer, shop), ensure_ascii=False, allow_nan=False).encode()
        return web.Response(
            body=body, content_type="application/json", charset="utf-8", headers={"Cache-Control": "no-store"}
        )
