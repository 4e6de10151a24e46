"""What-if over HTTP: one answer with the command line, and refusals that say the form."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient, TestServer

from dashboards.server import build_app
from streams.what_if import what_if
from streams.what_if_words import parse_scenario, what_if_document
from tests.unit.dashboards.shops import NOW_MS, ZONE, full_board
from tests.unit.streams.boards import SHOP


async def test_the_api_gives_the_answer_of_the_scenario() -> None:
    board = full_board()
    shop = board.columns.shop(SHOP)
    words = {"add_stock": "A1=300@22:00", "flash_sale": "B=2.0@21:00..22:00", "goal": "20000"}
    scenario = parse_scenario(
        [words["add_stock"]], [words["flash_sale"]], words["goal"], timezone=ZONE, now_ms=NOW_MS
    )
    expected = what_if(board.columns, shop, board.settings, scenario, as_of_ms=NOW_MS)
    async with TestClient(TestServer(build_app(board))) as client:
        answer = await client.get("/api/v1/what-if", params=words)
        document = await answer.json()
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert document == what_if_document(expected, shop)
    assert {row["sku_id"] for row in document["skus"]} == {"A1", "B1"}
    assert (document["goal"]["before"]["target"], document["goal"]["after"]["target"]) == (30_000, 20_000)


@pytest.mark.parametrize(
    ("asked", "status", "reason"),
    [
        ("", 422, "bad_scenario"),
        (f"add_stock={quote('A1=many@22:00')}", 422, "bad_scenario"),
        ("goal=nan", 422, "bad_scenario"),
        ("goal=1&shop=other", 404, "unknown_shop"),
    ],
)
async def test_what_cannot_be_asked_is_refused(asked: str, status: int, reason: str) -> None:
    async with TestClient(TestServer(build_app(full_board()))) as client:
        answer = await client.get(f"/api/v1/what-if?{asked}")
        assert answer.status == status
        assert (await answer.json(content_type=None))["reason"] == reason


async def test_a_board_that_is_not_whole_answers_nothing() -> None:
    board = full_board()
    board.waiting = "loading"
    async with TestClient(TestServer(build_app(board))) as client:
        assert (await client.get("/api/v1/what-if?goal=1")).status == 503
