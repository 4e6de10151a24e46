"""`warroom query --url`: the board's answer, its refusals, and a board that is not one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dashboards.server import build_app
from streams.errors import QueryError, UnavailableError
from streams.settings import BoardSettings, OwnMetricSettings, Settings
from tests.processes import free_port
from tests.unit.dashboards.shops import FixedBoard, full_board, orders_board
from warroom.asking import ask_board, recorded

RETAIL = Path(__file__).parents[3] / "replay" / "recordings" / "online-retail-2010-11"
ORDERS_THAT_DAY = 133
"""Different order ids that its lines have on 24 November 2010, counted by DuckDB."""
Serve = Callable[[web.Application], Awaitable[str]]

WORDS: dict[str, Any] = {"metrics": "gmv,orders", "at": None, "against": None}


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[TestServer] = []

    async def start(app: web.Application) -> str:
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server in servers:
        await server.close()


async def asked(url: str, settings: Settings | None = None, form: str = "json", **words: Any) -> str:
    return await ask_board(url, settings or Settings(), {**WORDS, **words}, form)


async def test_a_board_answers_about_today_unless_another_window_is_named(serve: Serve) -> None:
    url = await serve(build_app(orders_board()))
    (row,) = json.loads(await asked(url))["rows"]
    assert row == {"gmv": pytest.approx(308 * 14.50), "orders": 308}
    recent = json.loads(await asked(url + "/", window="last:60m"))
    assert 0 < recent["rows"][0]["orders"] < 308


async def test_every_word_of_the_question_reaches_the_board(serve: Serve) -> None:
    url = await serve(build_app(full_board()))
    document = json.loads(
        await asked(url, by="product", where=("product=A",), sort="gmv", limit=1, shop=None)
    )
    assert [row["product"] for row in document["rows"]] == ["A"]


async def test_the_form_is_the_boards_own(serve: Serve) -> None:
    url = await serve(build_app(orders_board()))
    assert [row["orders"] for row in csv.DictReader(io.StringIO(await asked(url, form="csv")))] == ["308"]
    assert "308" in await asked(url, form="table")


async def test_a_question_without_a_right_answer_is_refused_before_it_is_asked() -> None:
    with pytest.raises(QueryError) as refused:
        await asked(f"http://127.0.0.1:{free_port()}", by="weekday")
    assert refused.value.reason == "unknown_dimension"


async def test_a_metric_that_only_the_board_knows_is_asked_of_it(serve: Serve) -> None:
    board = orders_board()
    own = {"gmv_per_order": OwnMetricSettings("gmv / orders")}
    board.columns.settings = replace(board.columns.settings, metrics=own)
    url = await serve(build_app(board))
    (row,) = json.loads(await asked(url, metrics="gmv_per_order"))["rows"]
    assert row == {"gmv_per_order": pytest.approx(14.50)}
    with pytest.raises(QueryError) as refused:
        await asked(url, metrics="gmv_per_oder")
    assert refused.value.reason == "unknown_metric"
    assert "gmv_per_order" in refused.value.mend


async def test_what_only_the_board_can_refuse_comes_with_its_reason(serve: Serve) -> None:
    url = await serve(build_app(orders_board()))
    with pytest.raises(QueryError) as refused:
        await asked(url, shop="nobody")
    assert refused.value.reason == "unknown_shop"
    assert "nobody" in refused.value.what


async def test_the_past_is_asked_of_recordings_only() -> None:
    with pytest.raises(QueryError, match="--recording") as refused:
        await asked("http://127.0.0.1:1", at=5)
    assert refused.value.reason == "at_needs_recording"


async def test_a_board_compares_with_the_recording_that_it_was_started_with(serve: Serve) -> None:
    board = orders_board()
    url = await serve(build_app(board))
    with pytest.raises(QueryError, match="--against") as refused:
        await asked(url, compare="recording:2010-11-24")
    assert refused.value.reason == "no_recording"
    board.columns.beside = recorded(RETAIL, Settings())
    (row,) = json.loads(await asked(url, window="yesterday", compare="recording:2010-11-24"))["rows"]
    assert (row["orders"], row["orders_compared"]) == (None, ORDERS_THAT_DAY)
    with pytest.raises(QueryError, match="started with"):
        await asked(url, compare="recording:2010-11-24", against=RETAIL)


async def test_the_token_of_the_settings_opens_a_guarded_board(serve: Serve, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("correct horse battery staple\n", encoding="utf-8")
    guarded = Settings(board=BoardSettings(token_file=str(secret)))
    board: FixedBoard = orders_board()
    board.settings = replace(board.settings, board=replace(board.settings.board, token_file=str(secret)))
    url = await serve(build_app(board))
    assert json.loads(await asked(url, guarded))["rows"][0]["orders"] == 308
    with pytest.raises(UnavailableError, match="401"):
        await asked(url)


async def test_a_board_that_does_not_answer_is_named(serve: Serve) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UnavailableError, match=nowhere):
        await asked(nowhere)
    with pytest.raises(UnavailableError, match="warroom up"):
        await asked("no address at all")
    other = await serve(web.Application())
    with pytest.raises(UnavailableError, match="404"):
        await asked(other)
