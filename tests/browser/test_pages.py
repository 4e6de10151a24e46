"""How pages that are over stand on the wall, in a real browser."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from dashboards.overview import ASKED
from dashboards.server import build_app
from streams.alerts import AlertState, Resolution
from streams.catalogue import METRICS
from streams.days import MINUTE_MS
from tests.browser.devtools import chromium
from tests.browser.wall import until
from tests.unit.dashboards.shops import NOW_MS, FixedBoard, full_board, opened
from tests.unit.streams.boards import flush_of, heartbeat

T = TypeVar("T")

pytestmark = pytest.mark.timeout(120)

CLOSED = """
Object.fromEntries([...document.querySelectorAll(".page")].map((node) =>
  [node.dataset.rule, node.querySelector('[data-slot="page-resolved"]')?.textContent]))
"""


async def test_only_stock_is_said_to_sell_more_slowly_and_the_wait_for_the_board_is_over(
    tmp_path: Path,
) -> None:
    over = dataclasses.replace(opened(), state=AlertState.RESOLVED, resolution=Resolution.EASED)
    violation = dataclasses.replace(over, alert_id="s1/A-04/v1", rule="A-04", name="Live june")
    board = full_board()
    board.told = [over, violation]
    runner = web.AppRunner(build_app(board), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with chromium(tmp_path) as page:
            await page.open(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            await until(page, "document.querySelectorAll('.page').length === 2", within_s=20)
            assert await page.evaluate(CLOSED) == {"A-01": "selling more slowly", "A-04": "resolved"}
            stale = "document.querySelector('[data-slot=stale]').checkVisibility()"
            assert not await page.evaluate(stale)
            assert page.faults == []
    finally:
        await runner.cleanup()


META = """
[...document.querySelectorAll(".page .meta")].map((node) =>
  [node.closest(".page").dataset.rule, node.textContent, node.scrollHeight <= node.clientHeight + 1])
"""


async def test_a_page_that_is_over_says_what_was_wrong_and_where_there_is_room_what_to_do(
    tmp_path: Path,
) -> None:
    said = (
        "LIVE 'Live june' has an open violation while it is on air: warning, misleading price claim, since 20:36. "
        "Do: take down what breaks the rule, or appeal; tell the host. As of 20:44."
    )
    over = dataclasses.replace(opened(), state=AlertState.RESOLVED, resolution=Resolution.EASED)
    board = full_board()
    board.told = [
        over,
        dataclasses.replace(over, alert_id="s1/A-04/v1", rule="A-04", name="Live june", message=said),
    ]
    runner = web.AppRunner(build_app(board), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with chromium(tmp_path) as page:
            await page.open(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            await until(page, "document.querySelectorAll('.page').length === 2", within_s=20)
            assert await page.evaluate(META) == [["A-04", said, True]]
    finally:
        await runner.cleanup()


WAITING = """
[...document.querySelectorAll(".panel")].filter((node) => getComputedStyle(node, "::after").content.includes("Waiting"))
  .map((node) => node.dataset.panel)
"""


@contextlib.asynccontextmanager
async def served_slowly(may_answer: asyncio.Event) -> AsyncIterator[str]:
    """Serve a board that answers while it may; yields the address."""

    class Slow(FixedBoard):
        async def in_turn(self, work: Callable[[], T]) -> T:
            await may_answer.wait()
            return await super().in_turn(work)

    full = full_board()
    runner = web.AppRunner(build_app(Slow(full.settings, full.columns)), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_every_panel_says_that_it_waits_until_the_first_answer_is_there(tmp_path: Path) -> None:
    may_answer = asyncio.Event()
    async with served_slowly(may_answer) as url, chromium(tmp_path) as page:
        await page.open(f"{url}/")
        panels = await page.evaluate(
            "[...document.querySelectorAll('.panel')].map((node) => node.dataset.panel)"
        )
        assert len(panels) == 11
        assert await page.evaluate(WAITING) == panels
        may_answer.set()
        await until(page, "document.body.dataset.connection === 'live'", within_s=20)
        assert await page.evaluate(WAITING) == []
        assert page.faults == []


async def test_the_page_of_views_shows_no_tables_of_the_view_before_while_it_waits(tmp_path: Path) -> None:
    may_answer = asyncio.Event()
    may_answer.set()
    async with served_slowly(may_answer) as url, chromium(tmp_path) as page:
        await page.open(f"{url}/views")
        tables, said = (
            "document.querySelectorAll('#parts table').length",
            "document.querySelector('#said').textContent",
        )
        await until(page, f"{tables} > 0 && {said} === ''", within_s=20)
        may_answer.clear()
        await page.evaluate("location.hash = 'view=goal'")
        await until(page, f"{tables} === 0 && {said} === 'Waiting for the answer.'", within_s=20)
        may_answer.set()
        await until(page, f"{tables} > 0 && {said} === ''", within_s=20)
        assert page.faults == []


LACKING = """
[...document.querySelectorAll(".tile .late, .versus .late, .funnel .late, [data-slot=funnel] .late")]
  .map((node) => [node.closest(".tile")?.dataset.panel ?? "funnel", node.title || node.textContent])
"""


async def test_figures_that_read_a_lost_feed_say_since_when_it_is_lost(tmp_path: Path) -> None:
    later_ms = NOW_MS + 20 * MINUTE_MS
    board = full_board()
    board.at_ms = later_ms
    heard = [
        heartbeat(["orders", "stock", "impressions"], later_ms, "storefront"),
        heartbeat(["clicks"], NOW_MS, "tracker"),
    ]
    board.columns.apply(flush_of(heard, zone="Europe/London", partition=1))
    board.columns.vouch(later_ms)
    runner = web.AppRunner(build_app(board), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with chromium(tmp_path) as page:
            await page.open(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            await until(page, "document.querySelectorAll('.tile .late').length === 1", within_s=20)
            said = f"clicks lost {dt.datetime.fromtimestamp(NOW_MS / 1000, ZoneInfo('Europe/London')):%H:%M}"
            marked = await page.evaluate(LACKING)
            assert [(where, words) for where, words in marked if words != said] == []
            assert [where for where, _ in marked] == ["ctor", *(["funnel"] * 4)]
            assert page.faults == []
    finally:
        await runner.cleanup()


MEANINGS = """
Object.fromEntries([...document.querySelectorAll("[data-metric]")].map((node) => [node.dataset.metric, node.title]))
"""


async def test_the_name_of_every_figure_says_what_it_means_and_the_wall_leads_to_the_views(
    tmp_path: Path,
) -> None:
    runner = web.AppRunner(build_app(full_board()), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with chromium(tmp_path) as page:
            await page.open(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            named = "[...document.querySelectorAll('[data-metric]')]"
            await until(page, f"{named}.length >= 12 && {named}.every((node) => node.title)", within_s=20)
            titles = await page.evaluate(MEANINGS)
            assert titles == {name: f"{METRICS[name].title}: {METRICS[name].definition}" for name in ASKED}
            await page.evaluate("document.querySelector('.views').click()")
            await until(page, "document.querySelector('#parts table') !== null", within_s=20)
            assert page.faults == []
    finally:
        await runner.cleanup()
