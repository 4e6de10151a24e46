"""Ask a running board over its API: one place for address, token and what its refusals mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from streams.errors import QueryError, UnavailableError
from warroom.configuration import secret_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

    from streams.settings import Settings

TIMEOUT_S = 60
PIECE_BYTES = 256 << 10


def address_of(settings: Settings, url: str | None) -> str:
    """Return the address of the board that is asked: the one named, else that of the settings."""
    return url or f"http://{settings.board.host}:{settings.board.port}"


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


async def download(
    url: str,
    path: str,
    words: Mapping[str, str | Sequence[str]],
    settings: Settings,
    file: IO[bytes],
) -> None:
    """Write the board's answer into a file as it comes.

    Raises:
        QueryError: the board refuses.
        UnavailableError: it does not answer, not with an answer, or breaks off.
    """
    token = secret_from(settings.board.token_file, key="board.token_file")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    pairs = [
        (key, one) for key, value in words.items() for one in ([value] if isinstance(value, str) else value)
    ]
    # A large file takes as long as it takes; a board that says nothing for this long is gone.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(f"{url.rstrip('/')}{path}", params=pairs) as response,
        ):
            if response.status == 422:
                document = await response.json(content_type=None)
                what = str(document.get("detail", "The board refuses."))
                raise QueryError(what, reason=document.get("reason", ""), mend=document.get("mend", ""))
            if response.status != 200:
                what = f"{url} answers {response.status}."
                raise UnavailableError(
                    what, mend="Is it a board, is it ready (/readyz), does it want a token?"
                )
            async for piece in response.content.iter_chunked(PIECE_BYTES):
                file.write(piece)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        what = f"{url} does not answer: {error}."
        raise UnavailableError(what, mend="Start one with `warroom up`, or name its address.") from error
