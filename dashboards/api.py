"""The HTTP API: one grammar with `warroom query`, one answer."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp import web

from dashboards.overview import Overview, UnknownShopError
from dashboards.problems import problem
from streams.board import Board, KeepsHistory
from streams.errors import QueryError
from streams.formulas import describe
from streams.own_metrics import known_metrics
from streams.query import run
from streams.request import parse_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_STORE: Final = {"Cache-Control": "no-store"}


def json_answer(document: object) -> web.Response:
    """Return a document as JSON; NaN and infinity are refused, they are no JSON."""
    body = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return web.Response(body=body, content_type="application/json", charset="utf-8", headers=NO_STORE)


class Api:
    """The handlers under `/api/v1/`, `/healthz` and `/readyz`."""

    def __init__(self, board: Board, overview: Overview) -> None:
        self._board = board
        self._overview = overview

    async def query(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/query`; parameters and grammar of `warroom query`."""
        waiting = self._board.ready()
        if waiting is not None:
            return problem(
                503, "loading", f"The board is not whole yet: {waiting}.", mend="Ask again in a moment."
            )
        params = {name: request.query.getall(name) for name in request.query}
        return await self._board.in_turn(partial(self._answer, params))

    def _answer(self, params: Mapping[str, Sequence[str]]) -> web.Response:
        try:
            question = parse_request(params, known=known_metrics(self._board.columns.settings))
            answer = run(self._board.columns, question, now_ms=self._board.now_ms())
        except QueryError as error:
            return problem(422, error.reason, error.what, mend=error.mend)
        if question.format == "json":
            return json_answer(answer.document())
        return web.Response(
            text=answer.text(question.format),
            content_type="text/csv" if question.format == "csv" else "text/plain",
            charset="utf-8",
            headers=NO_STORE,
        )

    async def overview(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/overview`, what the page shows."""
        return await self._board.in_turn(partial(self._screen, request.query.get("shop")))

    def _screen(self, shop_id: str | None) -> web.Response:
        try:
            return json_answer(self._overview.document(shop_id))
        except UnknownShopError as error:
            return problem(
                404, "unknown_shop", str(error), mend="Leave `shop` out, or see /api/v1/catalogue."
            )

    async def catalogue(self, _request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/catalogue`: the metrics that can be asked for, and the shops."""
        metrics = [
            {
                "metric": name,
                "title": metric.title,
                "definition": metric.definition,
                "unit": metric.unit.value,
                "formula": describe(metric.formula),
                "by": list(metric.dims),
                "needs": list(metric.topics),
                "own": metric.is_own,
            }
            for name, metric in known_metrics(self._board.columns.settings).items()
        ]
        shops = await self._board.in_turn(self._board.columns.shops)
        return json_answer({"shops": shops, "metrics": metrics})

    async def healthz(self, _request: web.Request) -> web.StreamResponse:
        """Answer whether the process serves at all."""
        return json_answer({"status": "ok"})

    async def readyz(self, _request: web.Request) -> web.StreamResponse:
        """Answer whether the board is whole; 503 with what it waits for while it is not."""
        waiting = self._board.ready()
        if waiting is not None:
            return problem(503, "loading", f"The board is not whole yet: {waiting}.")
        # What is hot is answered and evaluated all the same; who runs the board must see to the files.
        fault = self._board.history_fault() if isinstance(self._board, KeepsHistory) else None
        if fault is not None:
            what = f"Old days cannot be answered: {fault}."
            return problem(503, "history_damaged", what, mend="Run `warroom doctor`.")
        return json_answer({"status": "ready"})
