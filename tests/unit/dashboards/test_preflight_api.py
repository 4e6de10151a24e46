"""The preflight of a running board: its findings, and the test page from opening to acknowledgement."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner, Result

from dashboards.desk import Desk
from dashboards.server import Extras, build_app
from dashboards.store import SqliteStore
from streams.alerts import Alert, AlertRoute, AlertState
from streams.incidents import Ack
from streams.settings import PreflightSettings
from tests.unit.dashboards.shops import NOW_MS, FixedBoard, full_board
from tests.unit.streams.boards import SHOP
from warroom.cli import main

Client = TestClient[Any, Any]
OWN = {"X-Warroom": "1"}


class Desked:
    """A board with a desk, to which published alerts go straight."""

    def __init__(self, folder: Path, *, wait_ms: int = 60_000) -> None:
        board = full_board()
        board.settings = dataclasses.replace(
            board.settings,
            preflight=PreflightSettings(page_wait_ms=wait_ms, require_stock=False),
            board=dataclasses.replace(board.settings.board, data_dir=str(folder)),
        )
        board.told = []
        self.board: FixedBoard = board
        self.closed = asyncio.Event()
        self.desk = Desk(SqliteStore(folder / "desk.sqlite3", "desk"))

    async def publish(self, alerts: Sequence[Alert]) -> None:
        news = {alert.alert_id: alert for alert in [*self.board.told, *alerts]}
        self.board.told = list(news.values())
        if any(alert.state is AlertState.RESOLVED for alert in alerts):
            self.closed.set()

    def extras(self, **more: Any) -> Extras:
        values: dict[str, Any] = {
            "delivering": True,
            "desk": self.desk,
            "evaluated_ms": lambda: 1 << 50,
            "publish": self.publish,
        }
        return Extras(**{**values, **more})


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[tuple[Desked, Client]]]]:
    opened: list[tuple[Desked, Client]] = []

    async def start(*, wait_ms: int = 60_000, **more: Any) -> tuple[Desked, Client]:
        desked = Desked(tmp_path, wait_ms=wait_ms)
        client: Client = TestClient(TestServer(build_app(desked.board, desked.extras(**more))))
        await client.start_server()
        opened.append((desked, client))
        return desked, client

    yield start
    for desked, client in opened:
        await client.close()
        await desked.desk.close()


Serve = Callable[..., Awaitable[tuple[Desked, Client]]]


async def levels(client: Client) -> dict[str, str]:
    answer = await client.get("/api/v1/preflight")
    assert answer.status == 200
    return {finding["check"]: finding["level"] for finding in (await answer.json())["findings"]}


async def test_findings_are_of_the_board_and_of_each_shop(served: Serve) -> None:
    _, client = await served()
    found = await levels(client)
    assert {"lag", "evaluation", "disk", "routes", "shop", "campaign", "goal", "source:orders"} <= set(found)
    assert {found[name] for name in ("lag", "evaluation", "disk", "routes")} == {"ok"}


async def test_a_board_that_loads_or_tells_nobody_is_in_the_way(served: Serve) -> None:
    desked, client = await served(delivering=False, evaluated_ms=lambda: None)
    desked.board.waiting = "loading: 3 of 9 offsets"
    found = await levels(client)
    assert {found[name] for name in ("board", "routes", "evaluation")} == {"bad"}


async def test_the_campaigns_start_is_given_as_an_instant_with_its_zone(served: Serve) -> None:
    _, client = await served()
    (campaign,) = (await (await client.get("/api/v1/preflight")).json())["campaigns"]
    assert campaign["timezone"] == "Europe/London"
    assert campaign["starts_at_ms"] <= NOW_MS


async def test_a_test_page_is_a_page_that_says_so_and_closes_once_somebody_has_it(served: Serve) -> None:
    desked, client = await served()
    answer = await client.post("/api/v1/preflight/page", json={"by": "Mia <b>"}, headers=OWN)
    assert answer.status == 201
    alert_id = (await answer.json())["alert_id"]
    (page,) = desked.board.told
    assert (page.alert_id, page.state, page.route) == (alert_id, AlertState.OPEN, AlertRoute.PAGE)
    assert page.message.startswith("TEST PAGE of the war room, sent by Mia <b>.")
    await desked.desk.acknowledge([alert_id], Ack("Ann", NOW_MS))
    async with asyncio.timeout(5):
        await desked.closed.wait()
    assert desked.board.told[0].message == "Test page closed: acknowledged by Ann."


async def test_a_test_page_that_nobody_takes_closes_by_itself(served: Serve) -> None:
    desked, client = await served(wait_ms=100)
    await client.post("/api/v1/preflight/page", json={"by": "Mia"}, headers=OWN)
    async with asyncio.timeout(5):
        await desked.closed.wait()
    assert desked.board.told[0].message == "Test page closed: nobody acknowledged it in time."


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"by": "Mia"}, {}, 403),
        ({"by": " "}, OWN, 422),
        ({"by": "Mia", "shop": "nowhere"}, OWN, 422),
        ({"by": 7}, OWN, 400),
        ({"by": "Mia", "to": "all"}, OWN, 400),
    ],
)
async def test_a_page_that_is_not_asked_for_well_is_not_sent(
    served: Serve, body: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    desked, client = await served()
    answer = await client.post("/api/v1/preflight/page", json=body, headers=headers)
    assert answer.status == status
    assert desked.board.told == []


async def test_a_board_that_only_shows_sends_no_page(served: Serve) -> None:
    _, client = await served(publish=None)
    assert (await client.post("/api/v1/preflight/page", json={"by": "Mia"}, headers=OWN)).status == 409


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WARROOM_CONFIG", raising=False)


class Running:
    """A board in a thread of its own, as the command finds it."""

    def __init__(self, folder: Path, *, acknowledge: bool, wait_ms: int = 20_000) -> None:
        self._folder, self._acknowledge, self._wait_ms = folder, acknowledge, wait_ms
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.url = ""

    def __enter__(self) -> Running:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        desked = Desked(self._folder, wait_ms=self._wait_ms)

        async def publish(alerts: Sequence[Alert]) -> None:
            await desked.publish(alerts)
            if self._acknowledge and alerts[0].state is AlertState.OPEN:
                await desked.desk.acknowledge([alerts[0].alert_id], Ack("Ann", NOW_MS))

        runner = web.AppRunner(build_app(desked.board, desked.extras(publish=publish)))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()
        await desked.desk.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "board"
    path.mkdir()
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("preflight", *arguments))


@pytest.mark.usefixtures("apart")
def test_a_page_that_was_acknowledged_ends_in_go(folder: Path) -> None:
    with Running(folder, acknowledge=True) as board:
        done = run("--url", board.url)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "GO"
    assert "the test page was acknowledged by Ann" in done.stdout
    assert " here, " in done.stdout
    assert " UTC" in done.stdout


@pytest.mark.usefixtures("apart")
def test_without_a_test_page_it_is_no_go_unless_somebody_takes_that_on(folder: Path) -> None:
    with Running(folder, acknowledge=True) as board:
        skipped = run("--url", board.url, "--no-page")
        accepted = run("--url", board.url, "--no-page", "--accept-untested", "Mia")
    assert skipped.exit_code == 6
    assert skipped.stdout.splitlines()[-1] == "NO-GO: page"
    assert "NOT TESTED" in skipped.stdout
    assert accepted.exit_code == 0
    assert "Mia goes without it" in accepted.stdout


@pytest.mark.usefixtures("apart")
def test_a_page_that_nobody_acknowledged_is_no_go(folder: Path) -> None:
    with Running(folder, acknowledge=False, wait_ms=300) as board:
        done = run("--url", board.url, "--json")
    assert done.exit_code == 6
    document = json.loads(done.stdout)
    assert document["go"] is False
    (page,) = [finding for finding in document["findings"] if finding["check"] == "page"]
    assert page["said"] == "nobody acknowledged the test page in time"
    assert {campaign["shop_id"] for campaign in document["campaigns"]} == {SHOP}


@pytest.mark.usefixtures("apart")
def test_a_board_that_does_not_answer_is_named() -> None:
    done = run("--url", "http://127.0.0.1:9")
    assert done.exit_code == 69
    assert "http://127.0.0.1:9" in done.stderr


@pytest.mark.usefixtures("apart")
def test_board_and_recording_together_are_refused() -> None:
    done = run("--url", "http://127.0.0.1:9", "--recording", ".")
    assert done.exit_code == 2
    assert "--recording" in done.stderr


@pytest.mark.usefixtures("apart")
def test_without_an_address_the_board_of_the_settings_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARROOM_BOARD_PORT", "9")
    done = run()
    assert done.exit_code == 69
    assert "http://127.0.0.1:9" in done.stderr


@pytest.mark.usefixtures("apart")
def test_a_recording_is_looked_at_as_known_then() -> None:
    recording = Path(__file__).parents[3] / "replay" / "recordings" / "online-retail-2010-11"
    done = run("--recording", str(recording), "--at", "2010-11-23T12:00")
    assert done.exit_code == 6
    assert done.stdout.splitlines()[-1] == "NO-GO: campaign, page"
    assert "source:orders: last event" in done.stdout
