"""The rules over HTTP: which there are, and why one fired or did not."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from dashboards.api import json_answer
from dashboards.problems import problem
from streams.rule_context import RuleContext
from streams.rule_explain import explain, rule_document
from streams.rulebook import RULES, rule_of
from streams.rules import RuleState

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from streams.board import Board
    from streams.rule import Rule


class RulesApi:
    """The handlers under `/api/v1/rules`.

    Args:
        board: asked for its clock, columns and alerts.
        state: of the evaluator beside it; None while another board evaluates.
    """

    def __init__(self, board: Board, state: Callable[[], RuleState | None]) -> None:
        self._board = board
        self._state = state

    async def rules(self, _request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/rules`: every rule with its numbers as they are set."""
        return json_answer({"rules": [rule_document(rule, self._board.settings) for rule in RULES]})

    async def explain(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/rules/explain?rule=A-01&entity=...&shop=...`, as of now."""
        board = self._board
        waiting = board.ready()
        if waiting is not None:
            return problem(503, "loading", f"The board is not whole yet: {waiting}.")
        name, entity = request.query.get("rule", ""), request.query.get("entity", "")
        rule = rule_of(name)
        if rule is None or not entity:
            return problem(
                422, "bad_request", f"There is no rule {name!r}, or no entity.", mend="See /api/v1/rules."
            )
        return await board.in_turn(partial(self._explained, rule, entity, request.query.get("shop")))

    def _explained(self, rule: Rule, entity: str, named: str | None) -> web.Response:
        board = self._board
        shops = board.columns.shops()
        shop_id = named or (shops[0] if len(shops) == 1 else "")
        if shop_id not in shops:
            return problem(
                404, "unknown_shop", f"There is no shop {shop_id!r}.", mend=f"Name one: {', '.join(shops)}."
            )
        state = self._state()
        # A board that does not evaluate knows the incidents from the topic.
        every_ms = board.settings.stock.digest_every_ms
        known = state or RuleState.restored(board.alerts(), digest_every_ms=every_ms)
        now_ms = board.now_ms()
        if board.replay_id and board.columns.vouched_ms:
            now_ms = min(now_ms, board.columns.vouched_ms)
        context = RuleContext(
            board.columns, board.columns.shop(shop_id), board.settings, now_ms, known.incidents
        )
        return json_answer(asdict(explain(rule, entity, context, state)))
