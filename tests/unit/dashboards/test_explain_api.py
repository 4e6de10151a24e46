"""`GET /api/v1/explain`: the explanation of the core, and refusals as problem documents."""

from __future__ import annotations

import pytest

from streams.explain import explain, parse_explain
from tests.unit.dashboards.conftest import Connect
from tests.unit.dashboards.shops import NOW_MS, full_board, orders_board


async def test_a_cell_is_explained_and_the_address_in_it_gives_the_cell_again(connect: Connect) -> None:
    board = full_board()
    client = await connect(board)
    question = {"metric": "ctor", "row": "hour=2011-11-25T14+00:00,slice=seller_live"}
    answer = await client.get("/api/v1/explain", params=question)
    assert answer.status == 200
    found = await answer.json()
    expected = explain(
        board.columns,
        parse_explain(question),
        now_ms=NOW_MS,
        place=("--url", f"http://{answer.url.host}:{answer.url.port}"),
    )
    assert found == expected
    again = await (await client.get(found["query"]["url"])).json()
    (row,) = [
        row for row in again["rows"] if row["hour"] == "2011-11-25T14+00:00" and row["slice"] == "seller_live"
    ]
    assert row["ctor"] == found["value"]
    assert found["value"] > 0


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("metric=gmw", "unknown_metric"),
        ("", "no_metrics"),
        ("metric=gmv,orders", "one_metric"),
        ("metric=gmv&row=product=nobody", "no_such_row"),
        ("metric=gmv&by=product", "needs_row"),
        ("metric=gmv&row=product", "bad_row"),
        ("metric=gmv&row=weekday=monday", "unknown_dimension"),
        ("metric=gmv&limit=3", "unknown_parameter"),
        ("metric=product_impressions&row=sku=A1", "no_cube"),
        ("metric=gmv&shop=nobody", "unknown_shop"),
    ],
)
async def test_what_cannot_be_explained_is_a_problem_document_with_what_would_work(
    connect: Connect, question: str, reason: str
) -> None:
    answer = await (await connect(full_board())).get(f"/api/v1/explain?{question}")
    assert (answer.status, answer.content_type) == (422, "application/problem+json")
    document = await answer.json(content_type=None)
    assert (document["status"], document["reason"]) == (422, reason)
    assert document["detail"]
    assert document["mend"]


async def test_while_the_board_loads_nothing_is_explained(connect: Connect) -> None:
    board = orders_board()
    board.waiting = "state partition 2"
    answer = await (await connect(board)).get("/api/v1/explain?metric=gmv")
    assert answer.status == 503
    assert (await answer.json(content_type=None))["reason"] == "loading"
