"""The HTTP surface: answers, refusals, headers, the token, the stream."""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path
from typing import Any

import pytest

from dashboards.events_stream import ChangeStream
from dashboards.security import SESSION_COOKIE, host_name, is_loopback
from dashboards.server import CHANGES, WEB_FOLDER, Extras, build_app
from streams.errors import SettingsError
from streams.query import parse_request, run
from tests.unit.dashboards.conftest import Connect
from tests.unit.dashboards.shops import NOW_MS, empty_board, full_board, orders_board
from tests.unit.streams.boards import flush_of, line, order

TOKEN = "correct horse battery staple"


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n", encoding="utf-8")
    return str(path)


# --- answers ------------------------------------------------------------------------------------------------------


async def test_the_api_gives_the_answer_of_the_query_layer(connect: Connect) -> None:
    board = full_board()
    client = await connect(board)
    answer = await client.get("/api/v1/query?metrics=gmv,orders,ctor&by=hour&window=today")
    expected = run(
        board.columns, parse_request({"metrics": "gmv,orders,ctor", "by": "hour"}), now_ms=NOW_MS
    ).document()
    assert answer.status == 200
    assert await answer.json() == expected


async def test_csv_defuses_cells_that_a_spreadsheet_would_run(connect: Connect) -> None:
    board = empty_board()
    lines = [line("1", "-1+1", 500, product_id="=HYPERLINK(1)"), line("2", "B", 300, product_id="plain")]
    board.columns.apply(flush_of([order("o", NOW_MS - 1_000, lines)], zone="Europe/London"))
    client = await connect(board)
    answer = await client.get("/api/v1/query?metrics=gmv&by=product&format=csv")
    rows = list(csv.reader(io.StringIO(await answer.text())))
    assert answer.content_type == "text/csv"
    assert rows[0] == ["product", "gmv"]
    assert sorted(rows[1:]) == [["'=HYPERLINK(1)", "5.0"], ["plain", "3.0"]]


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("metrics=nonsense", "unknown_metric"),
        ("metrics=gmv&by=nonsense", "unknown_dimension"),
        ("metrics=gmv&nonsense=1", "unknown_parameter"),
        ("metrics=gmv&format=xml", "bad_format"),
        ("", "no_metrics"),
    ],
)
async def test_a_question_without_a_right_answer_is_a_problem_document_with_reason_and_mend(
    connect: Connect, question: str, reason: str
) -> None:
    client = await connect(orders_board())
    answer = await client.get(f"/api/v1/query?{question}")
    assert answer.status == 422
    assert answer.content_type == "application/problem+json"
    document = await answer.json(content_type=None)
    assert (document["status"], document["reason"]) == (422, reason)
    assert document["mend"]


async def test_while_the_board_loads_it_is_not_ready_and_asks_to_come_again(connect: Connect) -> None:
    board = orders_board()
    board.waiting = "state partition 2"
    client = await connect(board)
    for path in ("/readyz", "/api/v1/query?metrics=gmv"):
        answer = await client.get(path)
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert (await answer.json(content_type=None))["reason"] == "loading"
    assert (await client.get("/healthz")).status == 200
    board.waiting = None
    assert (await client.get("/readyz")).status == 200


async def test_alerts_and_catalogue_are_served(connect: Connect) -> None:
    client = await connect(full_board())
    alerts = await (await client.get("/api/v1/alerts")).json()
    assert [alert["sku_id"] for alert in alerts["alerts"]] == ["A1", "C1"]
    catalogue = await (await client.get("/api/v1/catalogue")).json()
    assert catalogue["shops"] == ["s1"]
    (gmv,) = [metric for metric in catalogue["metrics"] if metric["metric"] == "gmv"]
    assert gmv["unit"] == "money"


async def test_what_is_not_there_is_a_problem_document_too(connect: Connect) -> None:
    client = await connect(orders_board())
    answer = await client.get("/api/v1/nothing")
    assert (answer.status, answer.content_type) == (404, "application/problem+json")
    assert (await client.post("/api/v1/query")).status == 405
    assert (await client.get("/api/v1/overview?shop=nobody")).status == 404


async def test_a_defect_tells_nothing_of_itself(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    board = orders_board()
    client = await connect(board)
    monkeypatch.setattr(board, "now_ms", lambda: 1 / 0)
    answer = await client.get("/api/v1/alerts")
    assert answer.status == 500
    assert "ZeroDivision" not in await answer.text()


# --- who may ask --------------------------------------------------------------------------------------------------


async def test_every_answer_forbids_foreign_scripts_frames_and_sniffing(connect: Connect) -> None:
    client = await connect(orders_board())
    for path in ("/", "/static/app.js", "/api/v1/overview", "/api/v1/nothing", "/metrics", "/healthz"):
        headers = (await client.get(path)).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert headers["X-Content-Type-Options"] == "nosniff", path


def test_the_page_has_no_inline_script_or_style_and_loads_nothing_from_elsewhere() -> None:
    page = (WEB_FOLDER / "index.html").read_text(encoding="utf-8")
    assert "<style" not in page
    assert " style=" not in page
    assert " on" not in page.replace(" one ", " ").split("<body")[1].lower().split("<footer")[0].replace(
        " only", ""
    )
    assert page.count("<script") == page.count("<script src=")
    assert "http://" not in page
    assert "https://" not in page


def test_scripts_put_foreign_text_into_the_page_as_text_only() -> None:
    for path in WEB_FOLDER.glob("*.js"):
        code = path.read_text(encoding="utf-8")
        for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert forbidden not in code, f"{path.name} uses {forbidden}"


async def test_a_page_of_a_stranger_that_rebinds_its_name_to_loopback_is_refused(connect: Connect) -> None:
    client = await connect(orders_board())
    answer = await client.get("/api/v1/overview", headers={"Host": "evil.example:8321"})
    assert answer.status == 421
    assert (await client.get("/api/v1/overview", headers={"Host": "localhost:8321"})).status == 200


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("127.0.0.1:8321", "127.0.0.1"),
        ("LOCALHOST", "localhost"),
        ("[::1]:80", "::1"),
        ("127.0.0.1.evil.example", "127.0.0.1.evil.example"),
        ("user@localhost", "localhost"),
        ("[::1", ""),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "board.example"])  # noqa: S104 # refused
def test_a_bind_that_others_reach_is_refused_without_a_token(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(SettingsError, match="token_file"):
        build_app(orders_board(host=host))


def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("1234", encoding="utf-8")
    with pytest.raises(SettingsError, match="fewer than"):
        build_app(orders_board(token_file=str(tmp_path / "short")))
    with pytest.raises(SettingsError, match="cannot be read"):
        build_app(orders_board(token_file=str(tmp_path / "missing")))


async def test_with_a_token_nobody_reads_a_number_without_it(connect: Connect, token_file: str) -> None:
    client = await connect(orders_board(token_file=token_file, host="0.0.0.0"))  # noqa: S104 # guarded
    for path in (
        "/api/v1/overview",
        "/api/v1/query?metrics=gmv",
        "/api/v1/stream",
        "/metrics",
        "/api/v1/alerts",
    ):
        assert (await client.get(path)).status == 401, path
        assert (await client.get(path, headers={"Authorization": "Bearer wrong"})).status == 401, path
    page = await client.get("/", allow_redirects=False)
    assert (page.status, page.headers["Location"]) == (303, "/login")
    answer = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200
    # An orchestrator asks without a token, and learns no number.
    assert (await client.get("/readyz")).status == 200


async def test_the_login_form_gives_a_session_that_scripts_and_strangers_cannot_use(
    connect: Connect, token_file: str
) -> None:
    client = await connect(orders_board(token_file=token_file))
    refused = await client.post("/login", data={"token": "wrong"})
    assert refused.status == 401
    assert SESSION_COOKIE not in refused.cookies
    answer = await client.post("/login", data={"token": TOKEN}, allow_redirects=False)
    cookie = answer.cookies[SESSION_COOKIE]
    assert answer.status == 303
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert TOKEN not in cookie.value
    allowed = await client.get("/api/v1/overview", cookies={SESSION_COOKIE: cookie.value})
    assert allowed.status == 200


async def test_a_guesser_of_tokens_has_to_wait(connect: Connect, token_file: str) -> None:
    client = await connect(orders_board(token_file=token_file))
    answers = [(await client.post("/login", data={"token": f"guess {n}"})).status for n in range(21)]
    assert answers == [401] * 20 + [429]


# --- the stream ---------------------------------------------------------------------------------------------------


def _stream(board: Any, **more: Any) -> ChangeStream:
    values = {"most_clients": 2, "least_interval_s": 0.0} | more
    return ChangeStream(board, **values)


async def test_a_change_of_the_board_reaches_an_open_page(connect: Connect) -> None:
    board = orders_board()
    client = await connect(board, Extras(changes=_stream))
    answer = await client.get("/api/v1/stream")
    assert answer.content_type == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert await answer.content.readuntil(b"\n\n") == b"retry: 2000\n\n"
    first = await answer.content.readuntil(b"\n\n")
    assert first.startswith(b"id: 1\nevent: change\n")
    board.move()
    assert (await answer.content.readuntil(b"\n\n")).startswith(b"id: 2\nevent: change\n")


async def test_an_idle_stream_says_that_it_is_alive(connect: Connect) -> None:
    client = await connect(orders_board(), Extras(changes=lambda board: _stream(board, heartbeat_s=0.01)))
    answer = await client.get("/api/v1/stream")
    for _ in range(2):
        await answer.content.readuntil(b"\n\n")
    assert await answer.content.readuntil(b"\n\n") == b": alive\n\n"


async def test_there_are_never_more_streams_than_the_setting_allows(connect: Connect) -> None:
    client = await connect(orders_board(), Extras(changes=_stream))
    opened = [await client.get("/api/v1/stream") for _ in range(2)]
    refused = await client.get("/api/v1/stream")
    assert (refused.status, (await refused.json(content_type=None))["reason"]) == (503, "too_many_streams")
    for answer in opened:
        answer.close()


async def test_a_client_that_left_makes_room(connect: Connect) -> None:
    client = await connect(
        orders_board(), Extras(changes=lambda board: _stream(board, most_clients=1, heartbeat_s=0.01))
    )
    first = await client.get("/api/v1/stream")
    first.close()
    changes = client.app[CHANGES]
    async with asyncio.timeout(5):
        while changes.clients:
            await client.get("/healthz")
    assert (await client.get("/api/v1/stream")).status == 200


async def test_open_streams_do_not_hold_a_shutdown_up(connect: Connect) -> None:
    client = await connect(orders_board(), Extras(changes=_stream))
    await client.get("/api/v1/stream")
    async with asyncio.timeout(2):
        await client.server.close()
