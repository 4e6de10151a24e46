"""Cubes over HTTP: since when each is whole, how far it is rebuilt, and from which day on days are in memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dashboards.api import json_answer
from dashboards.problems import problem
from streams.days import day_label
from streams.kept_cubes import PIECES

if TYPE_CHECKING:
    from aiohttp import web

    from streams.board import Board
    from streams.columns import Columns


class CubesApi:
    """The handler of `/api/v1/cubes`.

    Args:
        board: whose columns are looked at.
    """

    def __init__(self, board: Board) -> None:
        self._board = board

    async def cubes(self, _request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/cubes`."""
        waiting = self._board.ready()
        if waiting is not None:
            return problem(503, "loading", f"The board is not whole yet: {waiting}.")
        return json_answer(await self._board.in_turn(partial(document, self._board.columns)))


def document(columns: Columns) -> dict[str, Any]:
    """Return per cube `since_ms` (null: whole) and the share that is rebuilt, per shop its first day in memory."""
    cubes: dict[str, dict[str, Any]] = {}
    for _, row in columns.cubes_kept():
        entry = cubes.setdefault(row.cube, {"cube": row.cube, "definition": row.definition, "partitions": 0})
        entry["partitions"] += 1
        entry["handed"] = entry.get("handed", 0) + max(row.handed, 0)
        entry["emptying"] = entry.get("emptying", False) or row.handed < 0
    for name, entry in cubes.items():
        entry["since_ms"] = columns.cube_since_ms(name)
        entry["rebuilt"] = entry.pop("handed") / (PIECES * entry["partitions"])
    hot = {shop_id: columns.day_boundary(shop_id) for shop_id in columns.shops()}
    return {
        "cubes": list(cubes.values()),
        "hot_from": {shop_id: None if day is None else day_label(day) for shop_id, day in hot.items()},
    }
