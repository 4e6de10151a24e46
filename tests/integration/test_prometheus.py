"""Real Prometheus: it takes our configuration and rules, scrapes a board, and every panel's query gives an answer."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from dashboards.grafana.generate import dashboard
from dashboards.prometheus.generate import JOB, OUTPUT
from dashboards.server import build_app
from streams.outcomes import Outcome
from streams.state import Flush, Position
from tests.processes import Prometheus, running_prometheus
from tests.unit.dashboards.shops import FixedBoard, full_board

ROOT: Final = Path(__file__).resolve().parents[2]
SHIPPED: Final = ROOT / "dashboards" / "prometheus" / "prometheus.yml"

TOKEN: Final = "a token for this test alone"
ANSWERS_WITHIN_S: Final = 20.0


def promtool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        pytest.fail("promtool is missing; run: make tools")
    return subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=25
    )


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A folder as docker-compose.yml lays it out, with the secret beside it."""
    (tmp_path / "rules").mkdir()
    shutil.copy(OUTPUT, tmp_path / "rules")
    token = tmp_path / "board_token"
    token.write_text(TOKEN, encoding="utf-8")
    config = SHIPPED.read_text(encoding="utf-8").replace("/run/secrets/board_token", str(token))
    (tmp_path / "prometheus.yml").write_text(config, encoding="utf-8")
    return tmp_path


def test_prometheus_accepts_the_configuration_and_the_rules(configured: Path) -> None:
    checked = promtool("check", "config", "prometheus.yml", folder=configured)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "11 rules found" in checked.stdout


def test_every_alert_is_silent_before_its_time_and_says_its_text_after(tmp_path: Path) -> None:
    shutil.copy(OUTPUT, tmp_path)
    shutil.copy(Path(__file__).with_name("pipeline.rules.test.yml"), tmp_path)
    tested = promtool("test", "rules", "pipeline.rules.test.yml", folder=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.fixture
async def scraped(configured: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus with the shipped configuration that scrapes a guarded board, at the test's pace."""
    board = full_board(token_file=str(configured / "board_token"))
    server = TestServer(build_app(board))
    await server.start_server()
    config = (configured / "prometheus.yml").read_text(encoding="utf-8")
    config = config.replace("board:8321", f"127.0.0.1:{server.port}")
    config = config.replace("scrape_interval: 5s", "scrape_interval: 500ms")
    config = config.replace("scrape_timeout: 4s", "scrape_timeout: 500ms")
    # Started and ended in a thread: the board must answer on this loop meanwhile.
    manager = running_prometheus(configured, config)
    prometheus = await asyncio.to_thread(manager.__enter__)
    trade = asyncio.create_task(_keep_trading(board))
    yield prometheus
    trade.cancel()
    await asyncio.to_thread(manager.__exit__, None, None, None)
    await server.close()


async def _keep_trading(board: FixedBoard) -> None:
    """Read more records while Prometheus looks: a counter that stands still has no rate."""
    (orders,) = [position for _, position in board.columns.positions() if position.topic == "orders"]
    for read in itertools.count(1):
        outcomes = {Outcome.COUNTED: orders.outcomes[Outcome.COUNTED] + 7 * read}
        flush = _only(dataclasses.replace(orders, outcomes=outcomes), read)
        await board.in_turn(partial(board.columns.apply, flush))
        await asyncio.sleep(0.2)


def _only(position: Position, number: int) -> Flush:
    return Flush(0, number, rows=[], facts=[], positions=[position], repeats=[], dead_letters=[])


async def test_every_panel_of_the_dashboard_has_data(scraped: Prometheus) -> None:
    panels = dashboard()["panels"]
    async with aiohttp.ClientSession() as session:
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        missing = [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]
        assert missing
        while missing and time.monotonic() < deadline:
            await asyncio.sleep(0.3)
            missing = [
                (title, query) for title, query in missing if not await _result(session, scraped, query)
            ]
        assert missing == []


async def test_the_variables_of_the_dashboard_find_job_and_shop(scraped: Prometheus) -> None:
    async with aiohttp.ClientSession() as session:
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        found: list[str] = []
        while not found and time.monotonic() < deadline:
            await asyncio.sleep(0.3)
            async with session.get(
                f"{scraped.url}/api/v1/label/shop/values",
                params={"match[]": f'warroom_shop_info{{job="{JOB}"}}'},
            ) as answer:
                found = (await answer.json())["data"]
        assert found == ["s1"]


async def _result(session: aiohttp.ClientSession, prometheus: Prometheus, expression: str) -> list[Any]:
    query = expression.replace("$job", JOB).replace("$shop", "s1").replace("$__rate_interval", "10s")
    async with session.get(f"{prometheus.url}/api/v1/query", params={"query": query}) as answer:
        document = await answer.json()
    assert document["status"] == "success", (expression, document)
    found = document["data"]["result"]
    return [sample for sample in found if sample["value"][1] != "NaN"]
