"""The board's HTTP server: the page, the API, the stream of changes, /metrics."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from dashboards.alerts_api import AlertsApi
from dashboards.api import Api
from dashboards.cubes_api import CubesApi
from dashboards.events_stream import ChangeStream
from dashboards.explain_api import ExplainApi
from dashboards.exporter import Exporter
from dashboards.exports import ExportsApi
from dashboards.goals_api import GoalsApi
from dashboards.overview import Overview
from dashboards.preflight_api import PreflightApi
from dashboards.problems import problem
from dashboards.rules_api import RulesApi
from dashboards.security import LOGIN_PATH, PAGE_PATH, Guard, add_headers, read_token
from dashboards.views_api import ViewsApi
from dashboards.what_if_api import WhatIfApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from dashboards.delivery import Delivery
    from dashboards.desk import Desk
    from streams.alerts import Alert
    from streams.board import Board, PublishesCampaigns
    from streams.rules import RuleState

WEB_FOLDER: Final = Path(__file__).parent / "web"
MOST_REQUEST_BYTES: Final = 64 * 1024

logger = logging.getLogger(__name__)

CHANGES: Final = web.AppKey("changes", ChangeStream)
"""The stream of changes of an application, for tests and for whoever counts its clients."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What the one who starts the server knows and the board does not.

    Attributes:
        delivering: pages really go out; else the page's log says "would have been".
        desk: acknowledgements and mutes; None where they cannot be given.
        deliveries: the newest so many of the outbox.
        evaluated_ms: wall time at which stock, goals and rules were last looked at; None before the first.
        rule_state: what the rules that run beside the server remember; None while another board evaluates.
        campaigns: puts a campaign's new record on its topic when its goal is set; None where there is no topic.
        publish: keeps alerts where those of the rules are kept, for the test page; None where it cannot be sent.
        looked: told up to when the board was complete each time somebody asked for the first screen (a demo waits).
        changes: the stream of changes, when it must be made otherwise than usual (tests).
    """

    delivering: bool = False
    desk: Desk | None = None
    deliveries: Callable[[int], Awaitable[list[Delivery]]] | None = None
    evaluated_ms: Callable[[], int | None] = lambda: None
    rule_state: Callable[[], RuleState | None] = lambda: None
    campaigns: PublishesCampaigns | None = None
    publish: Callable[[Sequence[Alert]], Awaitable[None]] | None = None
    looked: Callable[[int], None] | None = None
    changes: Callable[[Board], ChangeStream] | None = None


def build_app(board: Board, extras: Extras | None = None) -> web.Application:
    """Return the application for a board; the caller binds it to `settings.board.host` and `port`.

    Raises:
        SettingsError: the bind is wider than loopback and no token guards it, or the token cannot be read.
    """
    extras = extras or Extras()
    settings = board.settings.board
    guard = Guard(read_token(settings), bound_host=settings.host)
    overview = Overview(
        board,
        build=_build_of(WEB_FOLDER),
        delivering=extras.delivering,
        desk=extras.desk,
        looked=extras.looked,
    )
    api = Api(board, overview)
    changes = (
        extras.changes(board) if extras.changes else ChangeStream(board, most_clients=settings.sse_clients)
    )
    exporter = Exporter(board, streams_open=lambda: changes.clients, evaluated_ms=extras.evaluated_ms)

    app = web.Application(
        middlewares=[_explain, guard.check],
        client_max_size=MOST_REQUEST_BYTES,
    )
    app[CHANGES] = changes
    app.on_response_prepare.append(add_headers)
    app.router.add_get(PAGE_PATH, _page)
    app.router.add_get(LOGIN_PATH, guard.login_form)
    app.router.add_post(LOGIN_PATH, guard.login)
    app.router.add_get("/api/v1/query", api.query)
    app.router.add_get("/api/v1/overview", api.overview)
    app.router.add_get("/api/v1/stream", changes.handle)
    AlertsApi(board, extras.desk, extras.deliveries).add_routes(app.router)
    GoalsApi(board, extras.campaigns).add_routes(app.router)
    WhatIfApi(board).add_routes(app.router)
    ExplainApi(board).add_routes(app.router)
    ExportsApi(board).add_routes(app.router)
    ViewsApi(board).add_routes(app.router)
    app.router.add_get("/api/v1/catalogue", api.catalogue)
    PreflightApi(
        board,
        extras.desk,
        routes=extras.delivering,
        evaluated_ms=extras.evaluated_ms,
        publish=extras.publish,
    ).add_routes(app)
    rules = RulesApi(board, extras.rule_state)
    app.router.add_get("/api/v1/rules", rules.rules)
    app.router.add_get("/api/v1/rules/explain", rules.explain)
    app.router.add_get("/api/v1/cubes", CubesApi(board).cubes)
    app.router.add_get("/healthz", api.healthz)
    app.router.add_get("/readyz", api.readyz)
    app.router.add_get("/metrics", exporter.handle)
    app.router.add_static("/static", WEB_FOLDER, append_version=False)

    async def streaming(_app: web.Application) -> AsyncIterator[None]:
        await changes.start()
        yield
        await changes.stop()

    app.cleanup_ctx.append(streaming)
    # Streams never end by themselves: without this a shutdown waits for every open page.
    app.on_shutdown.append(lambda _app: changes.stop())
    return app


async def _page(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(WEB_FOLDER / "index.html", headers={"Cache-Control": "no-cache"})


@web.middleware
async def _explain(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn what the framework or a defect raises into problem documents; a defect tells its class to the log only."""
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        known = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
        return problem(error.status, known.get(error.status, "http_error"), error.reason)
    except Exception:
        logger.exception("a request failed: %s", request.path)
        return problem(500, "internal", "The board could not answer; its log says why.")
    if request.path.startswith("/static/"):
        # The files change with a release only, and a wall that loads itself again must get the new ones.
        answer.headers.setdefault("Cache-Control", "no-cache")
    return answer


def _build_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
