"""The HTTP API of views: which there are, and the answer of each."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from dashboards.api import json_answer
from dashboards.problems import problem
from dashboards.security import VIEWS_PATH
from streams.errors import QueryError
from streams.view import COMMON, view_document
from streams.views import VIEWS, run_view, view_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.board import Board
    from streams.view import View


WEB_FOLDER: Final = Path(__file__).parent / "web"


class ViewsApi:
    """The handlers under `/api/v1/views`.

    Args:
        board: whose columns answer.
    """

    def __init__(self, board: Board) -> None:
        self._board = board

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the handlers."""
        router.add_get(VIEWS_PATH, _page)
        router.add_get("/api/v1/views", self.views)
        router.add_get("/api/v1/views/{name}", self.view)

    async def views(self, _request: web.Request) -> web.StreamResponse:
        """Answer which views there are, with their parts, parameters and limits."""
        views = [view_document(view) for view in VIEWS.values()]
        return json_answer({"views": views, "parameters": dict(COMMON)})

    async def view(self, request: web.Request) -> web.StreamResponse:
        """Answer one view; parameters and answer as `warroom view`."""
        waiting = self._board.ready()
        if waiting is not None:
            return problem(
                503, "loading", f"The board is not whole yet: {waiting}.", mend="Ask again in a moment."
            )
        words = {name: request.query.getall(name) for name in request.query}
        try:
            view = view_of(request.match_info["name"])
        except QueryError as error:
            return problem(404, error.reason, error.what, mend=error.mend)
        return await self._board.in_turn(partial(self._answer, view, words))

    def _answer(self, view: View, words: Mapping[str, Sequence[str]]) -> web.Response:
        try:
            answer = run_view(self._board.columns, view, words, now_ms=self._board.now_ms())
        except QueryError as error:
            return problem(422, error.reason, error.what, mend=error.mend)
        form = answer.form
        if form == "json":
            # A replay is never taken for live, nor synthetic figures for real ones.
            marks = {"replay_id": self._board.replay_id, "badge": self._board.badge}
            return json_answer(answer.document() | {name: mark for name, mark in marks.items() if mark})
        kinds = {"csv": "text/csv", "table": "text/plain"}
        return web.Response(
            text=answer.text(form),
            content_type=kinds[form],
            charset="utf-8",
            headers={"Cache-Control": "no-store"},
        )


async def _page(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(WEB_FOLDER / "views.html", headers={"Cache-Control": "no-cache"})
