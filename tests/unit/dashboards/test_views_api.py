"""The views over HTTP: which there are, their answers, and what is refused."""

from __future__ import annotations

import csv
import io

import pytest

from dashboards.problems import PROBLEM_TYPE
from streams.views import VIEWS, run_view
from tests.unit.dashboards.conftest import Connect
from tests.unit.dashboards.shops import empty_board, full_board


async def test_every_view_is_listed_with_its_parameters_and_limits(connect: Connect) -> None:
    client = await connect(full_board())
    found = await (await client.get("/api/v1/views")).json()
    assert [view["view"] for view in found["views"]] == list(VIEWS)
    details = next(view for view in found["views"] if view["view"] == "product_details")
    assert details["limits"] == ["a trend shows at most 2 metrics (A-67)"]
    assert {"shop", "window", "where"} <= set(found["parameters"])


@pytest.mark.parametrize("name", VIEWS)
async def test_a_view_answers_over_http_as_it_does_in_the_process(connect: Connect, name: str) -> None:
    board = full_board()
    client = await connect(board)
    words = {each.name: "A" for each in VIEWS[name].parameters if each.required}
    answer = await client.get(f"/api/v1/views/{name}", params=words)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    expected = run_view(board.columns, VIEWS[name], words, now_ms=board.now_ms()).document()
    found = await answer.json()
    marks = {name: found.pop(name) for name in ("replay_id", "badge") if name in found}
    assert found == expected
    assert marks == {
        name: mark for name, mark in (("replay_id", board.replay_id), ("badge", board.badge)) if mark
    }


async def test_the_page_of_views_is_there_and_runs_no_foreign_script(connect: Connect) -> None:
    client = await connect(full_board())
    page = await client.get("/views")
    assert page.status == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "innerHTML" not in (await (await client.get("/static/views.js")).text())


async def test_rows_come_as_csv(connect: Connect) -> None:
    client = await connect(full_board())
    answer = await client.get("/api/v1/views/product_list?format=csv&window=today&limit=2")
    assert answer.content_type == "text/csv"
    rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert len(rows) == 2
    assert {"product", "name", "gmv", "ctor"} <= rows[0].keys()


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("nothing", 404, "unknown_view"),
        ("product_list?content_type=live", 422, "unknown_value"),
        ("product_list?colour=red", 422, "unknown_parameter"),
        ("product_details", 422, "needs_parameter"),
        ("product_details?product=A&trend=gmv,orders,ctr", 422, "trend_metrics"),
    ],
)
async def test_what_is_not_right_is_a_problem_document(
    connect: Connect, path: str, status: int, reason: str
) -> None:
    client = await connect(full_board())
    answer = await client.get(f"/api/v1/views/{path}")
    assert answer.status == status
    assert answer.content_type == PROBLEM_TYPE
    problem = await answer.json(content_type=None)
    assert problem["reason"] == reason
    assert problem["mend"]


async def test_a_board_that_is_not_whole_answers_no_view(connect: Connect) -> None:
    board = empty_board()
    board.waiting = "loading"
    client = await connect(board)
    assert (await client.get("/api/v1/views/overview")).status == 503
