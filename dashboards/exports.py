"""Exports over HTTP: the answer of the query layer as a file that a browser saves, sent piece by piece."""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from typing import IO, TYPE_CHECKING, Final

from aiohttp import web

from dashboards.problems import problem
from streams.errors import QueryError
from streams.export import CONTENT_TYPES, chunks, write_export
from streams.export_views import answer_export, read_export
from streams.own_metrics import known_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from streams.board import Board
    from streams.export import FileForm, Table

PIECE_BYTES: Final = 256 << 10


class ExportsApi:
    """The handler of `/api/v1/export`."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the handler."""
        router.add_get("/api/v1/export", self.export)

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/export`: parameters of `/api/v1/query` or `view` and its own; see `EXPORT_PARAMETERS`."""
        waiting = self._board.ready()
        if waiting is not None:
            return problem(
                503, "loading", f"The board is not whole yet: {waiting}.", mend="Ask again in a moment."
            )
        params = {name: request.query.getall(name) for name in request.query}
        try:
            # All tables before the first byte: they are as of one moment, and a refusal can still be one. Sent they are
            # out of turn, however slow the one who takes them.
            tables, form, name = await self._board.in_turn(partial(self._tables, params))
        except QueryError as error:
            return problem(422, error.reason, error.what, mend=error.mend)
        return await _send(request, tables, form, name)

    def _tables(self, params: Mapping[str, Sequence[str]]) -> tuple[list[Table], FileForm, str]:
        columns = self._board.columns
        export = read_export(params, known_metrics(columns.settings))
        tables, name = answer_export(columns, export, now_ms=self._board.now_ms())
        return tables, export.form, name


async def _send(
    request: web.Request, tables: Sequence[Table], form: FileForm, name: str
) -> web.StreamResponse:
    """Send tables as a file; the name must be safe, as `file_name` makes it."""
    response = web.StreamResponse(
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    )
    response.content_type = CONTENT_TYPES[form.format]
    if form.format != "parquet":
        response.charset = "utf-8"
        await response.prepare(request)
        pieces = chunks(tables, form)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            await response.write(piece)
        await response.write_eof()
        return response
    # Parquet's index stands at its end: the file is made on disk first.
    with tempfile.TemporaryFile() as file:
        await asyncio.to_thread(write_export, tables, form, file)
        file.seek(0)
        await response.prepare(request)
        for piece in _pieces(file):
            await response.write(piece)
        await response.write_eof()
    return response


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece
