"""Taking a page on, on the wall, in a real browser."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from aiohttp import web

from dashboards.desk import Desk
from dashboards.server import Extras, build_app
from dashboards.store import SqliteStore
from streams.settings import NotifySettings
from tests.browser.devtools import chromium
from tests.browser.wall import until
from tests.unit.dashboards.shops import full_board, opened

pytestmark = pytest.mark.timeout(120)


async def test_a_press_and_a_name_take_a_page_on_and_the_wall_says_who_has_it(tmp_path: Path) -> None:
    desk = Desk(SqliteStore(tmp_path / "outbox.sqlite3", "desk"))
    runner = web.AppRunner(build_app(full_board(), Extras(desk=desk)), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with chromium(tmp_path) as page:
            await page.open(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            await until(page, "document.querySelectorAll('.page .ack').length === 1", within_s=20)
            # Who changes his mind has taken nothing on.
            await page.evaluate("window.prompt = () => null; document.querySelector('.ack').click()")
            # The name is foreign text on a wall that everybody sees.
            await page.evaluate(
                "window.prompt = () => ' <b>Ann</b> '; document.querySelector('.ack').click()"
            )
            who = "document.querySelector('[data-slot=page-ack]')?.textContent"
            await until(page, f"{who} === '<b>Ann</b> has it'", within_s=20)
            await page.picture(tmp_path / "wall.png")
            assert await page.evaluate("document.querySelectorAll('.ack').length") == 0
            assert await page.evaluate("localStorage.getItem('warroom-name')") == "<b>Ann</b>"
            assert page.faults == []
        assert {alert_id: ack.by for alert_id, ack in desk.acks.items()} == {opened().alert_id: "<b>Ann</b>"}
    finally:
        await runner.cleanup()
        await desk.close()


async def test_where_alertmanager_calls_people_the_button_says_that_it_only_notes(tmp_path: Path) -> None:
    board = full_board()
    notify = NotifySettings(alertmanager_url="http://127.0.0.1:9093")
    board.settings = dataclasses.replace(board.settings, notify=notify)
    desk = Desk(SqliteStore(tmp_path / "outbox.sqlite3", "desk"))
    runner = web.AppRunner(build_app(board, Extras(desk=desk)), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with chromium(tmp_path) as page:
            await page.open(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            await until(
                page, "document.querySelector('.page .ack')?.textContent === 'note here'", within_s=20
            )
            asked = await page.evaluate(
                "(() => { let said; window.prompt = (text) => { said = text; return null; };"
                " document.querySelector('.ack').click(); return said; })()"
            )
            assert "Acknowledge the page in PagerDuty, too" in asked
            assert page.faults == []
    finally:
        await runner.cleanup()
        await desk.close()
