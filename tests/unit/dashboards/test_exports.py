"""Exports over HTTP: a file to save, sent in pieces, or a problem document that says what would work."""

from __future__ import annotations

import csv
import io
import json

import polars as pl
import pytest

from streams.query import parse_request, run
from tests.unit.dashboards.conftest import Connect
from tests.unit.dashboards.shops import NOW_MS, empty_board, full_board, orders_board
from tests.unit.streams.boards import flush_of, line, order

QUESTION = "metrics=gmv,orders,ctor&by=product&window=today"


@pytest.mark.parametrize(
    ("form", "content_type"),
    [("csv", "text/csv"), ("parquet", "application/vnd.apache.parquet"), ("json", "application/json")],
)
async def test_a_file_has_its_type_a_name_to_save_it_under_and_the_rows_of_the_answer(
    connect: Connect, form: str, content_type: str
) -> None:
    board = full_board()
    answer = await (await connect(board)).get(f"/api/v1/export?{QUESTION}&format={form}")
    assert (answer.status, answer.content_type) == (200, content_type)
    name = f"warroom_s1_gmv-orders-ctor_today.{form}"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.headers["Cache-Control"] == "no-store"
    data = await answer.read()
    params = {"metrics": "gmv,orders,ctor", "by": "product", "window": "today"}
    expected = run(board.columns, parse_request(params), now_ms=NOW_MS).rows
    assert len(expected) == 6
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))
        assert [{**row, "gmv": float(row["gmv"]), "orders": int(row["orders"])} for row in rows] == [
            {**row, "ctor": f"{row['ctor']!r}"} for row in expected
        ]
    elif form == "parquet":
        assert pl.read_parquet(io.BytesIO(data)).to_dicts() == expected
    else:
        assert json.loads(data)["rows"] == expected


async def test_a_file_of_thousands_of_rows_comes_in_pieces(connect: Connect) -> None:
    board = empty_board()
    lines = [line(f"{n:05}", f"s{n}", 100, product_id=f"p{n:05}") for n in range(9_000)]
    board.columns.apply(flush_of([order("o", NOW_MS - 1_000, lines)], zone="Europe/London"))
    answer = await (await connect(board)).get("/api/v1/export?metrics=gmv&by=product&all_formats=1")
    pieces = [piece async for piece, _ in answer.content.iter_chunks()]
    assert len(pieces) > 5
    rows = list(csv.DictReader(io.StringIO(b"".join(pieces).decode())))
    assert {row["Tab Name"] for row in rows} == {"All"}
    assert [row["product"] for row in rows] == [f"p{n:05}" for n in range(9_000)]


async def test_a_view_is_exported_with_its_parts_under_its_own_name(connect: Connect) -> None:
    client = await connect(full_board())
    shown = await (await client.get("/api/v1/views/overview")).json()
    answer = await client.get("/api/v1/export?view=overview&format=json")
    assert answer.status == 200
    assert "overview" in answer.headers["Content-Disposition"]
    document = await answer.json()
    parts = {part["part"]: part["rows"] for part in shown["parts"] if part["state"] != "refused"}
    assert len(parts) > 1
    for name, rows in parts.items():
        found = [row for row in document["rows"] if row["part"] == name]
        assert [{key: row[key] for key in (rows[0] if rows else {})} for row in found] == rows


async def test_the_product_list_of_all_formats_is_one_file_with_tab_names(connect: Connect) -> None:
    """S1-69, beside S1-16: the content type that is selected."""
    client = await connect(full_board())
    whole = await (await client.get("/api/v1/export?view=product_list&all_formats=1&format=json")).json()
    assert whole["columns"][0]["name"] == "Tab Name"
    tabs = {"All": "all", "Seller LIVE": "seller_live", "Shop tab": "shop_tab"}
    assert tabs.keys() < {row["Tab Name"] for row in whole["rows"]}
    for tab, content_type in tabs.items():
        question = f"/api/v1/export?view=product_list&content_type={content_type}&format=json"
        alone = await (await client.get(question)).json()
        rows = [row for row in whole["rows"] if row["Tab Name"] == tab]
        assert [{key: row[key] for key in row if key != "Tab Name"} for row in rows] == alone["rows"]


async def test_hostile_names_end_up_in_no_header_and_run_in_no_cell(connect: Connect) -> None:
    board = empty_board()
    lines = [line("1", "x", 500, product_id="=cmd|'/C calc'!A0\"\r\nX-Evil: 1")]
    board.columns.apply(flush_of([order("o", NOW_MS - 1_000, lines)], zone="Europe/London"))
    client = await connect(board)
    answer = await client.get("/api/v1/export", params={"metrics": "gmv", "by": "product"})
    (row,) = list(csv.DictReader(io.StringIO(await answer.text(), newline="")))
    assert row["product"].startswith("'=cmd")
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("metrics=gmw", "unknown_metric"),
        ("metrics=gmv&format=xlsx", "bad_format"),
        ("metrics=gmv&by=weekday", "unknown_dimension"),
        ("metrics=gmv&all_formats=1&by=slice", "bad_by"),
        ("metrics=gmv&why=perhaps", "bad_flag"),
        ("metrics=gmv&window=tomorrow", "unknown_window"),
        ("metrics=product_impressions&by=sku", "no_cube"),
        ("metrics=product_clicks&by=product&window=last:20m", "grain_too_coarse"),
        ("metrics=stock_on_hand&all_formats=1", "no_such_dimension"),
        ("view=nonsense", "unknown_view"),
        ("view=ads&all_formats=1", "bad_by"),
        ("view=live_ranking&where=slice=all&all_formats=1", "bad_by"),
        ("view=product_list&content_type=all&all_formats=1", "bad_by"),
        ("view=overview&metrix=1", "unknown_parameter"),
        ("nonsense=1&metrics=gmv", "unknown_parameter"),
        ("", "no_metrics"),
    ],
)
async def test_what_cannot_be_exported_is_a_problem_document_with_what_would_work(
    connect: Connect, question: str, reason: str
) -> None:
    answer = await (await connect(full_board())).get(f"/api/v1/export?{question}")
    assert (answer.status, answer.content_type) == (422, "application/problem+json")
    assert "Content-Disposition" not in answer.headers
    document = await answer.json(content_type=None)
    assert (document["status"], document["reason"]) == (422, reason)
    assert document["detail"]
    assert document["mend"]


async def test_while_the_board_loads_there_is_no_file(connect: Connect) -> None:
    board = orders_board()
    board.waiting = "state partition 2"
    answer = await (await connect(board)).get("/api/v1/export?metrics=gmv")
    assert answer.status == 503
    assert (await answer.json(content_type=None))["reason"] == "loading"
