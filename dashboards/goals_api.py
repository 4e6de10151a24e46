"""The HTTP API of goals: look at them, and set a campaign's."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from dashboards.problems import problem
from streams.errors import QueryError, UnavailableError
from streams.goal_report import goals_document
from streams.goal_setting import GoalRequest, with_goal

if TYPE_CHECKING:
    from streams.board import Board, PublishesCampaigns
    from streams.events import Campaign
    from streams.settings import ShopSettings


class GoalsApi:
    """The handlers of `/api/v1/goals`.

    Args:
        board: whose campaigns.
        publisher: puts a new record on the topic; None where there is no topic, then goals can only be read.
    """

    def __init__(self, board: Board, publisher: PublishesCampaigns | None) -> None:
        self._board = board
        self._publisher = publisher
        self._sent: dict[tuple[str, str], Campaign] = {}

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the handlers; `dashboards.security.Guard` decides who may change something."""
        router.add_get("/api/v1/goals", self.show)
        router.add_put("/api/v1/goals/{campaign_id:.+}", self.change)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/goals`: goals with progress, pace, projection and history; weeks and quarters."""
        shop = await self._shop(request)
        if isinstance(shop, web.Response):
            return shop
        return await self._board.in_turn(partial(self._shown, shop))

    def _shown(self, shop: ShopSettings) -> web.Response:
        board = self._board
        return _json(goals_document(board.columns, shop, board.settings, now_ms=board.now_ms()))

    async def change(self, request: web.Request) -> web.StreamResponse:
        """Answer `PUT /api/v1/goals/<campaign>`: send a new version of the campaign's record.

        202: the record is durable on the topic, and the board shows it as soon as it is folded.
        """
        shop = await self._shop(request)
        if isinstance(shop, web.Response):
            return shop
        if self._publisher is None:
            return problem(
                409, "no_topic", "This board has no broker: a goal cannot be set.", mend="Use `warroom up`."
            )
        try:
            asked = msgspec.json.decode(await request.read(), type=GoalRequest)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return problem(400, "bad_request", f"That is no goal: {error}.", mend="See docs/GOALS.md.")
        campaign_id = request.match_info["campaign_id"]
        campaign = await self._board.in_turn(partial(self._newest, shop.shop_id, campaign_id))
        if campaign is None:
            return problem(
                404, "unknown_campaign", "The shop has no such campaign.", mend="See /api/v1/goals."
            )
        try:
            changed = with_goal(campaign, asked, now_ms=self._board.now_ms())
        except QueryError as error:
            status = 409 if error.reason == "other_version" else 422
            return problem(status, error.reason, error.what, mend=error.mend)
        try:
            await self._publisher.publish_campaign(changed)
        except UnavailableError as error:
            return problem(503, "unavailable", error.what, mend=error.mend)
        self._sent[shop.shop_id, str(changed.campaign_id)] = changed
        return _json(
            {
                "campaign_id": str(changed.campaign_id),
                "version": changed.version,
                "metric": changed.target_metric,
                "target": changed.target_value,
                "changed_at_ms": changed.target_changed_at_ms,
                "changed_by": changed.target_changed_by,
            },
            status=202,
        )

    def _newest(self, shop_id: str, campaign_id: str) -> Campaign | None:
        """Return the newest record: of two changes within a second, the first may not be folded yet."""
        known = next(
            (each for each in self._board.columns.campaigns(shop_id) if str(each.campaign_id) == campaign_id),
            None,
        )
        sent = self._sent.get((shop_id, campaign_id))
        if known is None or sent is None or known.version >= sent.version:
            return known
        return sent

    async def _shop(self, request: web.Request) -> ShopSettings | web.Response:
        board = self._board
        waiting = board.ready()
        if waiting is not None:
            return problem(
                503, "loading", f"The board is not whole yet: {waiting}.", mend="Ask again in a moment."
            )
        shops = await board.in_turn(board.columns.shops)
        shop_id = request.query.get("shop", shops[0] if len(shops) == 1 else "")
        if shop_id not in shops:
            return problem(
                404, "unknown_shop", "Name one of the board's shops.", mend="See /api/v1/catalogue."
            )
        return await board.in_turn(partial(board.columns.shop, shop_id))


def _json(document: object, *, status: int = 200) -> web.Response:
    body = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return web.Response(
        body=body,
        status=status,
        content_type="application/json",
        charset="utf-8",
        headers={"Cache-Control": "no-store"},
    )
