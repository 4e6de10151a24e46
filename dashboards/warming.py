"""Ask every view once, before anybody does: the first question after a start counts all days that are over."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from streams.errors import QueryError
from streams.views import VIEWS, run_view

if TYPE_CHECKING:
    from streams.board import Board
    from streams.view import View

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0


async def warm(board: Board) -> None:
    """Ask every view of every shop once the board is whole, what a wall shows first; each in a turn of its own.

    A question that comes meanwhile waits for one view at most, and flushes go between them. On a replay nothing is
    asked: its clock goes on all the time, and its days are few. A view that needs to be told what of, such as a
    product, is left out: what it counts of past days the others have counted.
    """
    if board.replay_id:
        return
    while board.ready() is not None:  # noqa: ASYNC110 # a board says whether it is whole to whoever asks, no more
        await asyncio.sleep(LOOK_EVERY_S)
    began_s = time.monotonic()
    for shop_id in await board.in_turn(board.columns.shops):
        for view in VIEWS.values():
            if not any(each.required for each in view.parameters):
                await board.in_turn(partial(_ask, board, view, shop_id))
    logger.info("Every view was asked once, %.1f s.", time.monotonic() - began_s)


def _ask(board: Board, view: View, shop_id: str) -> None:
    try:
        run_view(board.columns, view, {"shop": shop_id}, now_ms=board.now_ms())
    except QueryError:
        # No campaign, say: whoever asks is told, and nothing was to be counted.
        logger.debug("The view %s has no answer yet.", view.name)
