"""Explanations over HTTP: what a cell is made of, and which records are behind it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dashboards.api import json_answer
from dashboards.problems import problem
from streams.errors import QueryError
from streams.explain import explain, parse_explain
from streams.own_metrics import known_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from streams.board import Board


class ExplainApi:
    """The handler of `/api/v1/explain`."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the handler."""
        router.add_get("/api/v1/explain", self.explain)

    async def explain(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/explain`; parameters are those of `warroom explain`."""
        waiting = self._board.ready()
        if waiting is not None:
            return problem(
                503, "loading", f"The board is not whole yet: {waiting}.", mend="Ask again in a moment."
            )
        params = {name: request.query.getall(name) for name in request.query}
        address = f"{request.scheme}://{request.host}"
        return await self._board.in_turn(partial(self._explained, params, address))

    def _explained(self, params: Mapping[str, Sequence[str]], address: str) -> web.Response:
        columns = self._board.columns
        try:
            cell = parse_explain(params, known=known_metrics(columns.settings))
            return json_answer(explain(columns, cell, now_ms=self._board.now_ms(), place=("--url", address)))
        except QueryError as error:
            return problem(422, error.reason, error.what, mend=error.mend)
