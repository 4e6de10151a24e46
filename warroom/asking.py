"""`warroom query`: the same question put to a recording or to a running board, with one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from replay.clock import local_instant_ms
from replay.direct import load_columns
from replay.recording import Recording
from streams.columns import Columns
from streams.errors import QueryError, UnavailableError
from streams.own_metrics import known_metrics
from streams.query import run
from streams.request import parse_request
from streams.settings import Settings, ShopSettings
from warroom.configuration import secret_from

TIMEOUT_S = 60
PROBLEM = "application/problem+json"

Words = dict[str, str | Sequence[str]]


def ask_recording(path: Path, settings: Settings, words: Mapping[str, Any], form: str) -> str:
    """Return the answer of the direct engine, as text in the asked form.

    Raises:
        RecordingError: the recording cannot be read.
        QueryError: the question has no right answer.
    """
    request = parse_request(parameters_of(words, window="all", form=form), known=known_metrics(settings))
    columns = loaded(path, settings, at=words["at"], against=words.get("against"))
    now_ms = words["at"] or columns.vouched_ms
    return run(columns, request, now_ms=now_ms).text(request.format)


def loaded(path: Path, settings: Settings, *, at: int | None, against: Path | None) -> Columns:
    """Return a recording's columns as known at an instant, with another recording beside them to compare with.

    Raises:
        RecordingError: one of them cannot be read.
    """
    recording = Recording.open(path, settings.shops)
    columns = load_columns(recording, settings.with_shops(recording.shops), until_ms=at)
    columns.beside = recorded(against, settings)
    return columns


def recorded(path: Path | None, settings: Settings) -> dict[str, Columns]:
    """Return shop id -> the columns of a recording that something is compared with; nothing without one.

    Raises:
        RecordingError: the recording cannot be read.
    """
    if path is None:
        return {}
    recording = Recording.open(path, settings.shops)
    columns = load_columns(recording, settings.with_shops(recording.shops), until_ms=None)
    return dict.fromkeys(columns.shops(), columns)


def opened(
    path: Path, settings: Settings, *, at: int | None, shop: str | None, against: Path | None = None
) -> tuple[Columns, ShopSettings]:
    """Return a recording's columns as known at an instant, and the shop that is asked for, or its only one.

    Raises:
        RecordingError: the recording cannot be read.
        QueryError: no such shop, or one of several must be named.
    """
    columns = loaded(path, settings, at=at, against=against)
    shops = columns.shops()
    shop_id = shop or (shops[0] if len(shops) == 1 else "")
    if shop_id not in shops:
        what = f"There is no shop {shop_id!r}." if shop_id else "There are several shops."
        raise QueryError(what, reason="unknown_shop", mend=f"Name one with --shop: {', '.join(shops)}.")
    return columns, columns.shop(shop_id)


def zone_of(recording: Recording, settings: Settings) -> str:
    """Return the zone of a recording's first shop: that of the settings where they name the shop."""
    shops = settings.with_shops(recording.shops).shops
    return next((shops[shop_id].timezone for shop_id in recording.shops), "UTC")


def instant_of(path: Path, settings: Settings, at: str | None, *, shop: str | None) -> int | None:
    """Return an instant of a recording from ms, or from shop time such as 2011-11-25T20:00; None stays None.

    Raises:
        RecordingError: the recording cannot be read.
        QueryError: it is no time.
    """
    if at is None:
        return None
    shops = settings.with_shops(Recording.open(path, settings.shops).shops).shops
    known = shops.get(shop or "") or next(iter(shops.values()), None)
    try:
        return local_instant_ms(at, known.timezone if known else "UTC")
    except ValueError as error:
        what = f"{error}."
        raise QueryError(what, reason="bad_request", mend="Write 2011-11-25T20:00, or ms.") from error


def needs_recording(*, at: int | str | None, against: Path | None) -> None:
    """Refuse what only a question to a recording can say.

    Raises:
        QueryError: `at_needs_recording`, `no_recording`.
    """
    if at is not None:
        what = "--at looks back in a recording; a board answers as of now."
        raise QueryError(what, reason="at_needs_recording", mend="Use --recording, or leave --at out.")
    if against is not None:
        what = "A board compares with the recording that it was started with."
        mend = "Start it with --against PATH (warroom up, board, demo or replay), or use --recording."
        raise QueryError(what, reason="no_recording", mend=mend)


async def ask_board(url: str, settings: Settings, words: Mapping[str, Any], form: str) -> str:
    """Return a board's answer, as text in the asked form.

    Raises:
        QueryError: the board says that the question has no right answer.
        UnavailableError: the board does not answer, or not with an answer.
    """
    needs_recording(at=words["at"], against=words.get("against"))
    parameters = parameters_of(words, window="today", form=form)
    try:
        parse_request(parameters, known=known_metrics(settings))
    except QueryError as error:
        # The board may have own metrics that this machine's settings do not name.
        if error.reason != "unknown_metric":
            raise
    return await board_text(url, "/api/v1/query", parameters, settings)


async def board_text(
    url: str, path: str, parameters: Mapping[str, str | Sequence[str]], settings: Settings
) -> str:
    """Return what a board answers to a question, as text.

    Raises:
        QueryError: the board says that the question has no right answer.
        UnavailableError: the board does not answer, or not with an answer.
    """
    token = secret_from(settings.board.token_file, key="board.token_file")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    pairs = [
        (name, one)
        for name, value in parameters.items()
        for one in ([value] if isinstance(value, str) else value)
    ]
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), headers=headers) as session,
            session.get(f"{url.rstrip('/')}{path}", params=pairs) as response,
        ):
            if response.status in (404, 422) and response.content_type == PROBLEM:
                problem = await response.json(content_type=None)
                raise QueryError(
                    problem.get("detail", "The board refuses."),
                    reason=problem.get("reason", ""),
                    mend=problem.get("mend", ""),
                )
            if response.status != 200:
                what = f"{url} answers {response.status}: {(await response.text())[:300]}"
                raise UnavailableError(
                    what, mend="Is it a board, is it ready (/readyz), does it want a token?"
                )
            return await response.text()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        what = f"{url} does not answer: {error}."
        raise UnavailableError(what, mend="Start one with `warroom up`, or name its address.") from error


def parameters_of(words: Mapping[str, Any], *, window: str, form: str) -> Words:
    """Return the grammar's parameters; `window` is the default one."""
    named: Words = {"window": window, "format": form}
    for name, value in words.items():
        if name not in ("at", "against") and value not in (None, "", ()):
            named[name] = list(value) if isinstance(value, tuple) else str(value)
    return named
