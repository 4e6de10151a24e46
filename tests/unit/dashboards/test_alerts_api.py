"""Acknowledging and muting over HTTP: what it does, who may ask, what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient

from dashboards.desk import Desk
from dashboards.outbox import Outbox
from dashboards.server import Extras
from dashboards.store import SqliteStore, StoreError
from streams.settings import NotifySettings
from tests.unit.dashboards.shops import HOSTILE, NOW_MS, FixedBoard, full_board, opened, ran_out

Client = TestClient[Any, Any]
Connect = Callable[..., Awaitable[Client]]

OURS = {"X-Warroom": "1"}
ACK_PATH = f"/api/v1/alerts/{quote(opened().alert_id, safe='')}/ack"
HOUR_MS = 3_600_000


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(SqliteStore(tmp_path / "outbox.sqlite3", "desk"))
    yield desk
    await desk.close()


@pytest.fixture
def connect(connect: Connect, desk: Desk) -> Connect:
    async def start(board: FixedBoard | None = None, *, using: Desk | None = desk, log: Any = None) -> Client:
        return await connect(board or full_board(), Extras(desk=using, deliveries=log))

    return start


async def ack(client: Client, by: str = "Ann", path: str = ACK_PATH, **more: str) -> Any:
    return await client.post(path, json={"by": by, **more}, headers=OURS)


async def mute(client: Client, **body: Any) -> Any:
    document = {"rule": "A-01", "by": "Ann", "for_ms": HOUR_MS, **body}
    return await client.post("/api/v1/mutes", json=document, headers=OURS)


async def rows(client: Client) -> dict[str, Any]:
    answer = await (await client.get("/api/v1/alerts")).json()
    return {alert["alert_id"]: alert for alert in answer["alerts"]}


async def reason(answer: Any) -> str:
    assert answer.content_type == "application/problem+json"
    document = await answer.json(content_type=None)
    assert document["status"] == answer.status
    return str(document["reason"])


async def test_an_acknowledged_alert_says_who_has_it_and_since_when(connect: Connect) -> None:
    client = await connect()
    answer = await ack(client, why="asked the warehouse")
    assert answer.status == 200
    expected = {"by": "Ann", "at_ms": NOW_MS, "why": "asked the warehouse"}
    assert (await answer.json())["ack"] == expected
    told = await rows(client)
    assert told[opened().alert_id]["ack"] == expected
    assert told[ran_out().alert_id]["ack"] is None


async def test_who_took_it_on_first_keeps_it(connect: Connect) -> None:
    client = await connect()
    await ack(client, "Ann")
    assert (await (await ack(client, "Ben")).json())["ack"]["by"] == "Ann"


async def test_a_closed_alert_and_an_unknown_one_cannot_be_acknowledged(connect: Connect) -> None:
    client = await connect()
    closed = await ack(client, path=f"/api/v1/alerts/{ran_out().alert_id}/ack")
    assert (closed.status, await reason(closed)) == (409, "not_open")
    unknown = await ack(client, path="/api/v1/alerts/none/ack")
    assert (unknown.status, await reason(unknown)) == (404, "unknown_alert")


async def test_nobody_cannot_acknowledge_and_a_name_is_one_clean_line(connect: Connect) -> None:
    client = await connect()
    nobody = await ack(client, " \u202e\n ")
    assert (nobody.status, await reason(nobody)) == (422, "no_name")
    taken = (await (await ack(client, f"{HOSTILE}\nforged", why="a\u202eb\nc")).json())["ack"]
    assert "\n" not in taken["by"]
    assert "\u202e" not in taken["by"] + taken["why"]
    assert taken["why"] == "a b c"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"by": 1}', b'{"by": "Ann", "extra": 1}'])
async def test_a_body_that_is_not_as_documented_is_refused(connect: Connect, body: bytes) -> None:
    answer = await (await connect()).post(ACK_PATH, data=body, headers=OURS)
    assert (answer.status, await reason(answer)) == (400, "bad_body")


async def test_a_mute_covers_what_it_names_until_its_time(connect: Connect) -> None:
    board = full_board()
    client = await connect(board)
    made = await (await mute(client, entity="C1", why="sold on purpose")).json()
    told = await rows(client)
    assert told[opened().alert_id]["muted_by"] == made["mute_id"]
    assert told[ran_out().alert_id]["muted_by"] is None
    board.at_ms += HOUR_MS
    assert (await rows(client))[opened().alert_id]["muted_by"] is None


async def test_an_unmuted_alert_is_no_longer_muted(connect: Connect) -> None:
    client = await connect()
    mute_id = (await (await mute(client)).json())["mute_id"]
    assert (await client.delete(f"/api/v1/mutes/{mute_id}", headers=OURS)).status == 204
    assert (await rows(client))[opened().alert_id]["muted_by"] is None
    again = await client.delete(f"/api/v1/mutes/{mute_id}", headers=OURS)
    assert (again.status, await reason(again)) == (404, "unknown_mute")


@pytest.mark.parametrize(
    ("body", "because"),
    [
        ({"rule": ""}, "no_subject"),
        ({"rule": "A-99"}, "unknown_rule"),
        ({"for_ms": 59_999}, "bad_time"),
        ({"for_ms": 7 * 24 * HOUR_MS + 1}, "bad_time"),
        ({"by": ""}, "no_name"),
    ],
)
async def test_a_mute_of_everything_for_ever_or_by_nobody_is_refused(
    connect: Connect, body: dict[str, Any], because: str
) -> None:
    answer = await mute(await connect(), **body)
    assert (answer.status, await reason(answer)) == (422, because)


async def test_of_more_alerts_than_fit_the_open_ones_are_there(connect: Connect) -> None:
    board = full_board()
    closed = [replace(ran_out(), alert_id=f"closed-{number}") for number in range(600)]
    board.told = [*closed, opened()]
    answer = await (await (await connect(board)).get("/api/v1/alerts")).json()
    assert (len(answer["alerts"]), answer["more"]) == (500, 101)
    assert answer["alerts"][-1]["alert_id"] == opened().alert_id
    # Newest first, as the board gives them.
    assert [each["alert_id"] for each in answer["alerts"][:2]] == ["closed-0", "closed-1"]


async def test_what_was_told_is_answered_with_route_status_and_text(connect: Connect, tmp_path: Path) -> None:
    kept, shared = (SqliteStore(tmp_path / "told.sqlite3", name) for name in ("outbox", "desk"))
    box = Outbox(kept, Desk(shared), [], NotifySettings(), clock=lambda: NOW_MS)
    await box.offer([opened()], now_ms=NOW_MS)
    client = await connect(log=box.log)
    (told,) = (await (await client.get("/api/v1/deliveries")).json())["deliveries"]
    assert (told["route"], told["status"], told["state"]) == ("log", "would_have_sent", "open")
    assert (told["created_ms"], told["text"]) == (NOW_MS, opened().message)
    await kept.close()
    await shared.close()


# --- who may ask --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Warroom": "1", "Origin": "https://evil.example"},
        {"X-Warroom": "1", "Origin": "null"},
        {"Content-Type": "text/plain", "Origin": "https://evil.example"},
    ],
)
async def test_a_page_of_a_stranger_changes_nothing(
    connect: Connect, desk: Desk, headers: dict[str, str]
) -> None:
    client = await connect()
    for method, path in (("POST", ACK_PATH), ("POST", "/api/v1/mutes"), ("DELETE", "/api/v1/mutes/x")):
        answer = await client.request(method, path, data=b'{"by": "Eve"}', headers=headers)
        assert (answer.status, await reason(answer)) == (403, "foreign_request")
    await desk.refresh()
    assert desk.acks == {}


async def test_the_boards_own_page_may_change_things(connect: Connect) -> None:
    client = await connect()
    origin = f"http://{client.host}:{client.port}"
    answer = await client.post(ACK_PATH, json={"by": "Ann"}, headers={**OURS, "Origin": origin})
    assert answer.status == 200


async def test_a_foreign_host_name_and_a_missing_token_change_nothing(
    connect: Connect, tmp_path: Path
) -> None:
    client = await connect()
    rebound = await client.post(ACK_PATH, json={"by": "Eve"}, headers={**OURS, "Host": "evil.example"})
    assert rebound.status == 421
    token = tmp_path / "token"
    token.write_text("correct horse battery staple")
    guarded = await connect(full_board(token_file=str(token)))
    assert (await guarded.post(ACK_PATH, json={"by": "Eve"}, headers=OURS)).status == 401
    bearer = {**OURS, "Authorization": "Bearer correct horse battery staple"}
    assert (await guarded.post(ACK_PATH, json={"by": "Ann"}, headers=bearer)).status == 200


async def test_no_preflight_lets_a_foreign_page_send_the_header(connect: Connect) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await (await connect()).options(ACK_PATH, headers=asked)
    assert answer.status == 405
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_board_without_a_desk_reads_only(connect: Connect) -> None:
    client = await connect(using=None)
    assert (await rows(client))[opened().alert_id]["ack"] is None
    answer = await ack(client)
    assert (answer.status, await reason(answer)) == (409, "read_only")


async def test_a_store_that_is_away_is_said_and_asks_to_come_again(
    connect: Connect, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> int:
        what = "Redis does not answer."
        raise StoreError(what)

    client = await connect()
    monkeypatch.setattr(desk._store, "version", away)
    answer = await ack(client)
    assert (answer.status, await reason(answer)) == (503, "store_away")
    assert "Retry-After" in answer.headers


# --- the page -----------------------------------------------------------------------------------------------------


async def test_the_page_offers_to_take_on_what_is_open_and_then_says_who_has_it(connect: Connect) -> None:
    board = full_board()
    client = await connect(board)

    async def pages() -> dict[str, Any]:
        document = await (await client.get("/api/v1/overview")).json()
        return {page["id"]: page for page in document["pages"]["rows"]}

    before = await pages()
    assert before[opened().alert_id]["may_ack"] is True
    assert before[ran_out().alert_id]["may_ack"] is False
    await ack(client)
    board.move()
    after = (await pages())[opened().alert_id]
    assert (after["may_ack"], after["ack"]) == (False, {"by": "Ann", "at_ms": NOW_MS})


# --- Alertmanager delivers ----------------------------------------------------------------------------------------


def told_by_alertmanager(replay_id: str = "") -> FixedBoard:
    board = full_board()
    notify = NotifySettings(alertmanager_url="http://127.0.0.1:9093")
    board.settings = replace(board.settings, notify=notify)
    board.replay_id = replay_id
    return board


async def test_where_alertmanager_tells_people_an_ack_and_a_mute_say_what_they_do_not_do(
    connect: Connect,
) -> None:
    client = await connect(told_by_alertmanager())
    document = await (await client.get("/api/v1/overview")).json()
    notes = {page["id"]: page["ack_note"] for page in document["pages"]["rows"]}
    assert "PagerDuty" in notes[opened().alert_id]
    assert "board only" in (await (await ack(client)).json())["note"]
    assert "silence it there" in (await (await mute(client)).json())["note"]
    assert len((await (await client.get("/api/v1/alerts")).json())["notes"]) == 2


@pytest.mark.parametrize("board", [full_board(), told_by_alertmanager("friday")], ids=["outbox", "replay"])
async def test_where_the_outbox_tells_people_or_nobody_there_is_nothing_to_add(
    connect: Connect, board: FixedBoard
) -> None:
    client = await connect(board)
    document = await (await client.get("/api/v1/overview")).json()
    assert {page["ack_note"] for page in document["pages"]["rows"]} == {""}
    assert (await (await ack(client)).json())["note"] == ""
    assert (await (await mute(client)).json())["note"] == ""
    assert (await (await client.get("/api/v1/alerts")).json())["notes"] == []
