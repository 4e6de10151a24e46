"""Ask a running board over its API: one place for address, token and what its refusals mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from streams.errors import QueryError, UnavailableError
from warroom.configuration import secret_from

if TYPE_CHECKING:
    from streams.settings import Settings

TIMEOUT_S = 60


async def call_board(
    url: str,
    path: str,
    settings: Settings,
    *,
    method: str | None = None,
    body: dict[str, Any] | None = None,
    token_file: Path | None = None,
) -> dict[str, Any]:
    """Return the board's answer; with a body it is a POST, unless `method` says otherwise.

    Raises:
        QueryError: the board refuses.
        UnavailableError: it does not answer, or not with an answer.
    """
    file = str(token_file) if token_file else settings.board.token_file
    token = secret_from(file, key="--token-file" if token_file else "board.token_file")
    # The header says that a program asks: no foreign page can make a browser send it.
    headers = {"X-Warroom": "1"} | ({"Authorization": f"Bearer {token}"} if token else {})
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.request(
                method or ("GET" if body is None else "POST"), f"{url.rstrip('/')}{path}", json=body
            ) as response,
        ):
            if response.status == 204:
                return {}
            document: dict[str, Any] = await response.json(content_type=None)
            if response.status in (400, 404, 409, 422):
                what = str(document.get("detail", "The board refuses."))
                raise QueryError(what, reason=document.get("reason", ""), mend=document.get("mend", ""))
            if response.status >= 400:
                what = f"{url} answers {response.status}."
                raise UnavailableError(
                    what, mend="Is it a board, is it ready (/readyz), does it want a token?"
                )
            return document
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        what = f"{url} does not answer: {error}."
        raise UnavailableError(what, mend="Start one with `warroom up`, or name its address.") from error
