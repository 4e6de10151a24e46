"""The seller's own metrics on the first screen: today's value of each, in a line of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dashboards.missing import missing, unfed
from streams.errors import QueryError
from streams.metric import Unit
from streams.own_metrics import known_metrics
from streams.query import run
from streams.request import parse_request

if TYPE_CHECKING:
    from streams.board import Board

SHOWN: Final = 4
"""The first so many of the settings: a wall has room for no more, and the API has all of them."""

_FORMS: Final = {Unit.MONEY: "money", Unit.RATE: "ratio", Unit.NUMBER: "number"}


def own_figures(board: Board, shop_id: str, now_ms: int) -> list[dict[str, Any]]:
    """Return title, form, value and why it is missing of each own metric, today; none while the board loads."""
    known = known_metrics(board.columns.settings)
    own = [metric for metric in known.values() if metric.is_own][:SHOWN]
    if board.ready() is not None:
        return []
    found = []
    for metric in own:
        figure: dict[str, Any] = {
            "metric": metric.id,
            "title": metric.title,
            "unit": _FORMS.get(metric.unit, "count"),
            "value": None,
            "null": None,
        }
        try:
            question = parse_request({"metrics": metric.id, "shop": shop_id}, known=known)
            answer = run(board.columns, question, now_ms=now_ms)
            figure["value"] = answer.rows[0][metric.id] if answer.rows else None
            if figure["value"] is None:
                needs = unfed(board.columns, shop_id, metric.topics)
                figure |= missing(next(iter(answer.nulls.get(metric.id, {})), None), needs)
        except QueryError as error:
            figure |= missing(error.reason)
        found.append(figure)
    return found
