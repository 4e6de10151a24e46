"""Errors of the HTTP API as RFC 9457 problem documents."""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web

PROBLEM_TYPE: Final = "application/problem+json"

_TITLES: Final = {
    400: "Not understood",
    401: "Not allowed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Not possible now",
    413: "Too large",
    421: "Wrong host",
    422: "The question has no right answer",
    429: "Too many attempts",
    500: "The board failed",
    503: "Not now",
}


def problem(status: int, reason: str, detail: str, *, mend: str = "") -> web.Response:
    """Return a problem document; `reason` is a stable word for programs, `mend` says what to do."""
    document = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "reason": reason,
        "detail": detail,
    }
    if mend:
        document["mend"] = mend
    answer = web.Response(
        body=json.dumps(document, ensure_ascii=False).encode(), status=status, content_type=PROBLEM_TYPE
    )
    if status == 503:
        answer.headers["Retry-After"] = "1"
    return answer
