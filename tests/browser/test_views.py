"""The page of views in a real browser: list, form, tables, what is refused, and foreign names as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from dashboards.server import build_app
from streams.metric import NULL_REASONS
from streams.views import VIEWS
from tests.browser.devtools import chromium
from tests.browser.wall import until
from tests.unit.dashboards.shops import full_board
from tests.unit.streams.boards import flush_of
from tests.unit.streams.test_views import card

pytestmark = pytest.mark.timeout(120)

HOSTILE = "<img src=x onerror=document.title='taken'>"


async def test_a_view_is_chosen_asked_with_parameters_and_shown_as_tables(tmp_path: Path) -> None:
    board = full_board()
    board.columns.apply(flush_of([card("A", HOSTILE, version=9)], partition=99))
    runner = web.AppRunner(build_app(board), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/views"
    try:
        async with chromium(tmp_path) as page:
            await page.open(url)
            await until(page, "document.querySelectorAll('#parts section').length > 1", within_s=20)
            assert await page.evaluate("document.querySelectorAll('#list a').length") == len(VIEWS)
            await page.evaluate("location.hash = 'view=product_list&window=today'")
            heading = "document.querySelector('#parts h2')?.textContent"
            await until(page, f"{heading}?.startsWith('Products')", within_s=20)
            await page.picture(tmp_path / "views.png")
            names = await page.evaluate("[...document.querySelectorAll('td')].map(cell => cell.textContent)")
            assert HOSTILE in names
            # No cell and no head is a name for programs, and a dash says in words why it is one.
            await page.evaluate("location.hash = 'view=product_list&window=today&compare=previous'")
            texts = "[...document.querySelectorAll('th, label')].map(one => one.firstChild.textContent)"
            await until(page, f"{texts}.includes('GMV, change')", within_s=20)
            told = await page.evaluate(texts)
            assert [text for text in told if "_" in text] == []
            assert "content type" in told
            assert "money in GBP" in await page.evaluate("document.querySelector('#whose').textContent")
            reasons = await page.evaluate(
                "[...document.querySelectorAll('td.missing')].map(one => one.title)"
            )
            assert set(reasons) - {""} <= {*NULL_REASONS.values()}
            assert set(reasons) - {""}
            assert await page.evaluate(
                "document.querySelector('#parts').textContent.includes('Compared with')"
            )
            # The form asks anew: a name that nothing has leaves nothing.
            await page.evaluate(
                "document.querySelector('[name=search]').value = 'no such name';"
                "document.querySelector('#words button').click()"
            )
            await until(page, "document.querySelectorAll('tbody tr').length === 0", within_s=20)
            await page.evaluate("location.hash = 'view=product_details'")
            await until(page, "document.querySelector('#said').textContent.includes('product')", within_s=20)
            assert await page.evaluate("document.title") == "Views - War room"
            assert [fault for fault in page.faults if "422" not in fault] == []
    finally:
        await runner.cleanup()
