"""Errors of the HTTP API as RFC 9457 problem documents, and the CSV form of an answer."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBLEM_TYPE: Final = "application/problem+json"

_TITLES: Final = {
    401: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    413: "Too large",
    421: "Wrong host",
    422: "The question has no right answer",
    429: "Too many attempts",
    500: "The board failed",
    503: "Not now",
}

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet run a cell instead of showing it (OWASP, CSV injection)."""


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


def csv_text(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Return rows as CSV with a header line; null is an empty cell, text that could be a formula is defused."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in columns])
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
    return buffer.getvalue()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
