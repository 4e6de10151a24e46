"""Who may ask: host names, the token, and what a browser may do with the answer.

The board binds loopback unless a token guards it. A page of a stranger can still reach loopback by DNS rebinding, so
the Host header is checked too; behind a token no name is trusted, only the token. What changes state must also carry
a header that no page of a stranger can make a browser send.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from aiohttp import web

from dashboards.problems import problem
from streams.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streams.settings import BoardSettings

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SESSION_COOKIE: Final = "warroom_session"
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
PAGE_PATH: Final = "/"
VIEWS_PATH: Final = "/views"
PAGES: Final = frozenset({PAGE_PATH, VIEWS_PATH})
"""What a person opens in a browser: without a session they lead to the login form."""
LOGIN_PATH: Final = "/login"
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", LOGIN_PATH})
"""What an orchestrator and a person without a session need; they tell no numbers."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CHANGE_HEADER: Final = "X-Warroom"
"""A request that changes something carries this header, with any value. A form or a simple request of a foreign page
cannot; a scripted one needs a preflight, which the board does not answer."""

MIN_TOKEN_LENGTH: Final = 16
MAX_LOGIN_BYTES: Final = 4096
FAILURES_PER_MINUTE: Final = 20
"""Wrong tokens before everyone has to wait: a guesser is slowed, a person with a typing error is not."""

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def read_token(settings: BoardSettings) -> str:
    """Return the token of `board.token_file`, or an empty string for a loopback bind without one.

    Raises:
        SettingsError: the bind is wider than loopback without a token, or the token cannot be read or is too short.
    """
    if not settings.token_file:
        if not is_loopback(settings.host):
            what = f"board.host is {settings.host!r}, which others can reach, and board.token_file is empty."
            raise SettingsError(what, mend="Name a file that holds a token, or bind 127.0.0.1.")
        return ""
    try:
        token = Path(settings.token_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        what = f"board.token_file {settings.token_file!r} cannot be read: {type(error).__name__}."
        raise SettingsError(what, mend="Check the path and its permissions.") from error
    if len(token) < MIN_TOKEN_LENGTH:
        what = f"board.token_file {settings.token_file!r} holds fewer than {MIN_TOKEN_LENGTH} characters."
        raise SettingsError(what, mend="Write a long random token, e.g. from `openssl rand -hex 24`.")
    return token


def is_loopback(host: str) -> bool:
    """Return whether a bind address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_name(header: str) -> str:
    """Return the name in a Host header, without port and brackets, in lower case; empty when it is malformed."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


class Guard:
    """The middleware that lets a request in, or says why not.

    Args:
        token: empty when everyone on loopback may ask.
        bound_host: the address of `board.host`, a name that requests may carry besides the loopback names.
    """

    def __init__(self, token: str, *, bound_host: str) -> None:
        self._token = token
        self._names = LOOPBACK_NAMES | {bound_host}
        self._failures: deque[float] = deque()

    @property
    def session(self) -> str:
        """Return the cookie's value: derived from the token, so a new token ends every session."""
        return hmac.new(self._token.encode(), b"warroom session", hashlib.sha256).hexdigest()

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a foreign host name, a missing token or a change that a foreign page asks for, else pass it on."""
        if not self._token and host_name(request.headers.get("Host", "")) not in self._names:
            return problem(
                421,
                "foreign_host",
                "The Host header does not name this board.",
                mend="Use http://127.0.0.1 or http://localhost.",
            )
        if self._token and request.path not in OPEN_PATHS and not self._is_known(request):
            if request.path in PAGES:
                raise web.HTTPSeeOther(LOGIN_PATH)
            # Static files hold no numbers, and the login form needs its style.
            if not request.path.startswith("/static/"):
                answer = problem(
                    401, "no_token", "This board asks for a token.", mend="Send it as a Bearer token."
                )
                answer.headers["WWW-Authenticate"] = "Bearer"
                return answer
        if _changes(request) and not _is_own(request):
            return problem(
                403,
                "foreign_request",
                "A change must come from the board's own page or from a program that says so.",
                mend=f"Send the header {CHANGE_HEADER}: 1, and no Origin of another site.",
            )
        return await handler(request)

    def _is_known(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _equal(given.strip(), self._token):
            return True
        return _equal(request.cookies.get(SESSION_COOKIE, ""), self.session)

    async def login_form(self, _request: web.Request) -> web.StreamResponse:
        """Show the form that turns a token into a session; EventSource cannot send a header."""
        if not self._token:
            raise web.HTTPSeeOther(PAGE_PATH)
        return _form("")

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Take the token of the form and set the session cookie."""
        if not self._token:
            raise web.HTTPSeeOther(PAGE_PATH)
        now_s = asyncio.get_running_loop().time()
        while self._failures and self._failures[0] < now_s - 60:
            self._failures.popleft()
        if len(self._failures) >= FAILURES_PER_MINUTE:
            return problem(429, "too_many_attempts", "Too many wrong tokens.", mend="Wait a minute.")
        if (request.content_length or 0) > MAX_LOGIN_BYTES:
            return problem(413, "too_large", "That is no token.")
        form = await request.post()
        if not _equal(str(form.get("token", "")).strip(), self._token):
            self._failures.append(now_s)
            return _form("That token is not the board's.", status=401)
        answer = web.Response(status=303, headers={"Location": PAGE_PATH})
        answer.set_cookie(
            SESSION_COOKIE, self.session, httponly=True, samesite="Strict", secure=request.secure, path="/"
        )
        return answer


def _changes(request: web.Request) -> bool:
    """Return whether a request would change something; what has no handler changes nothing and is told so."""
    found = request.match_info.http_exception is None
    return found and request.method not in SAFE_METHODS and request.path != LOGIN_PATH


def _is_own(request: web.Request) -> bool:
    """Return whether a change is asked for by the board's page or by a program, not by a page of a stranger."""
    if CHANGE_HEADER not in request.headers:
        return False
    origin = request.headers.get("Origin")
    # A browser that names where the page came from must name the board, host and port.
    return origin is None or origin.partition("://")[2].lower() == request.headers.get("Host", "").lower()


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on every answer, errors and streams included."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def _equal(given: str, expected: str) -> bool:
    # Digests first: compare_digest tells the length of unequal inputs apart.
    digest = hashlib.sha256
    return hmac.compare_digest(digest(given.encode()).digest(), digest(expected.encode()).digest())


def _form(said: str, *, status: int = 200) -> web.Response:
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>War room</title>'
        '<link rel="stylesheet" href="/static/login.css">'
        f'<form method="post" action="/login"><h1>War room</h1><p role="alert">{said}</p>'
        '<label>Token <input type="password" name="token" autocomplete="current-password" autofocus required>'
        "</label><button>Open the board</button></form></html>"
    )
    return web.Response(text=page, content_type="text/html", status=status)
