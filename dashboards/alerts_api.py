"""The HTTP API of alerts: who has taken which one on, and what is muted until when.

What changes state has passed `dashboards.security`: the Host header, the token where there is one, and a header that
no foreign page can make a browser send. The name of a person is what was typed, not a proof of who it was.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import msgspec
from aiohttp import web

from dashboards.desk import ACK_NOTE, MUTE_NOTE, told_elsewhere
from dashboards.problems import problem
from dashboards.store import StoreError
from streams.alerts import AlertState, clean_name
from streams.incidents import Ack, Mute
from streams.rulebook import RULES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dashboards.delivery import Delivery
    from dashboards.desk import Desk
    from streams.alerts import Alert
    from streams.board import Board

    Log = Callable[[int], Awaitable[list[Delivery]]]
    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_T = TypeVar("_T")

MOST_ALERTS: Final = 500
MOST_WHY: Final = 300
LEAST_MUTE_MS: Final = 60_000
MOST_MUTE_MS: Final = 7 * 24 * 60 * 60_000
"""A mute that everybody has forgotten hides the page that matters."""


class AckRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of an acknowledgement."""

    by: str
    why: str = ""


class MuteRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a mute; at least one of rule, entity and shop."""

    by: str
    for_ms: int
    why: str = ""
    rule: str = ""
    entity: str = ""
    shop: str = ""


class RefusedError(Exception):
    """A request that is answered with a problem document."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__()
        self.answer = answer


class AlertsApi:
    """The handlers under `/api/v1/alerts` and `/api/v1/mutes`.

    Args:
        board: whose alerts; its clock is that of acknowledgements and mutes.
        desk: None where nobody delivers: then alerts can be read only.
        deliveries: the newest so many of the outbox; None where there is none.
    """

    def __init__(self, board: Board, desk: Desk | None, deliveries: Log | None = None) -> None:
        self._board = board
        self._desk = desk
        self._deliveries = deliveries

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register the handlers."""
        router.add_get("/api/v1/alerts", _answered(self.alerts))
        router.add_get("/api/v1/deliveries", _answered(self.deliveries))
        router.add_post("/api/v1/alerts/{alert_id:.+}/ack", _answered(self.acknowledge))
        router.add_post("/api/v1/mutes", _answered(self.mute))
        router.add_delete("/api/v1/mutes/{mute_id}", _answered(self.unmute))

    async def alerts(self, _request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/alerts`: newest first, open and closed, who has them, and the mutes."""
        now_ms = self._board.now_ms()
        desk = self._desk
        if desk is not None:
            await desk.refresh()
        mutes = [] if desk is None else [each for each in desk.mutes.values() if now_ms < each.until_ms]
        mutes.sort(key=lambda each: each.until_ms)
        known = self._board.alerts()
        # Where there are more than fit, what is open must not be what is left out.
        shown = {each.alert_id for each in sorted(known, key=_is_closed)[:MOST_ALERTS]}
        return _json(
            {
                "now_ms": now_ms,
                "alerts": [self._told(each, now_ms) for each in known if each.alert_id in shown],
                "more": max(0, len(known) - len(shown)),
                "mutes": [msgspec.to_builtins(each) for each in mutes],
                "notes": [ACK_NOTE, MUTE_NOTE] if told_elsewhere(self._board) else [],
            }
        )

    async def deliveries(self, _request: web.Request) -> web.StreamResponse:
        """Answer `GET /api/v1/deliveries`: what was told to whom, waits, or would have been sent; newest first."""
        found = [] if self._deliveries is None else await self._deliveries(MOST_ALERTS)
        return _json({"deliveries": [msgspec.to_builtins(each) for each in found]})

    async def acknowledge(self, request: web.Request) -> web.StreamResponse:
        """Answer `POST /api/v1/alerts/<alert_id>/ack`."""
        desk = self._writable()
        given = await _body(request, AckRequest)
        by = _name(given.by)
        alert_id = request.match_info["alert_id"]
        alert = next((each for each in self._board.alerts() if each.alert_id == alert_id), None)
        if alert is None:
            _refuse(404, "unknown_alert", "The board knows no such alert.", "See /api/v1/alerts.")
        await desk.refresh()
        if alert_id not in desk.acks:
            if alert.state is not AlertState.OPEN:
                _refuse(409, "not_open", "The alert is not open: nobody need take it on.")
            await desk.acknowledge([alert_id], Ack(by, self._board.now_ms(), _remark(given.why)))
        note = ACK_NOTE if told_elsewhere(self._board) else ""
        return _json({"alert_id": alert_id, "ack": msgspec.to_builtins(desk.acks[alert_id]), "note": note})

    async def mute(self, request: web.Request) -> web.StreamResponse:
        """Answer `POST /api/v1/mutes`."""
        desk = self._writable()
        given = await _body(request, MuteRequest)
        if not (given.rule or given.entity or given.shop):
            _refuse(422, "no_subject", "Nothing is named to mute.", "Name a rule, an entity or a shop.")
        if given.rule and given.rule not in {rule.number for rule in RULES}:
            _refuse(
                422, "unknown_rule", f"There is no rule {given.rule[:20]!r}.", "See `warroom rules list`."
            )
        if not LEAST_MUTE_MS <= given.for_ms <= MOST_MUTE_MS:
            _refuse(422, "bad_time", "A mute lasts from a minute to 7 days.", "Send for_ms accordingly.")
        now_ms = self._board.now_ms()
        mute = Mute(
            mute_id=secrets.token_hex(4),
            by=_name(given.by),
            why=_remark(given.why),
            created_ms=now_ms,
            until_ms=now_ms + given.for_ms,
            rule=given.rule,
            entity=given.entity,
            shop_id=given.shop,
        )
        await desk.mute(mute)
        note = MUTE_NOTE if told_elsewhere(self._board) else ""
        return _json({**msgspec.to_builtins(mute), "note": note}, status=201)

    async def unmute(self, request: web.Request) -> web.StreamResponse:
        """Answer `DELETE /api/v1/mutes/<mute_id>`."""
        if not await self._writable().unmute(request.match_info["mute_id"]):
            _refuse(404, "unknown_mute", "There is no such mute.", "See /api/v1/alerts.")
        return web.Response(status=204)

    def _told(self, alert: Alert, now_ms: int) -> dict[str, Any]:
        ack = mute = None
        if self._desk is not None:
            ack, mute = self._desk.acks.get(alert.alert_id), self._desk.muted(alert, now_ms)
        return {
            **msgspec.to_builtins(alert),
            "ack": None if ack is None else msgspec.to_builtins(ack),
            "muted_by": None if mute is None else mute.mute_id,
        }

    def _writable(self) -> Desk:
        if self._desk is None:
            _refuse(409, "read_only", "This board only shows: nothing can be changed here.")
        return self._desk


def _is_closed(alert: Alert) -> bool:
    return alert.state is not AlertState.OPEN


def _answered(handler: Handler) -> Handler:
    """Turn refusals and a store that is away into problem documents."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except RefusedError as refused:
            return refused.answer
        except StoreError as error:
            return problem(503, "store_away", error.what, mend=error.mend or "Ask again in a moment.")

    return answer


async def _body(request: web.Request, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        _refuse(400, "bad_body", f"The body is not as documented: {error}.")


def _name(text: str) -> str:
    name = clean_name(text)
    if not name:
        _refuse(422, "no_name", "Nobody is named.", "Send `by`, the name of the person.")
    return name


def _remark(text: str) -> str:
    """Return a remark as one line without control characters or direction marks."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line[:MOST_WHY]


def _refuse(status: int, reason: str, what: str, mend: str = "") -> NoReturn:
    raise RefusedError(problem(status, reason, what, mend=mend))


def _json(document: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(document),
        status=status,
        content_type="application/json",
        charset="utf-8",
        headers={"Cache-Control": "no-store"},
    )
