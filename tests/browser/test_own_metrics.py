"""A metric of the seller's own on the wall, in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from dashboards.server import build_app
from streams.settings import OwnMetricSettings
from tests.browser.devtools import chromium
from tests.browser.wall import until
from tests.unit.dashboards.shops import FixedBoard, full_board

pytestmark = pytest.mark.timeout(120)


async def shown(board: FixedBoard, folder: Path) -> str:
    runner = web.AppRunner(build_app(board), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with chromium(folder) as page:
            await page.open(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            await until(page, "document.querySelector('.value[data-slot=orders]') !== null", within_s=20)
            await page.picture(folder / "wall.png")
            assert page.faults == []
            line = "document.querySelector('[data-slot=own]')"
            fits = "document.documentElement.scrollHeight <= window.innerHeight"
            assert await page.evaluate(fits)
            text: str = await page.evaluate(f"{line}.hidden ? '' : {line}.innerText")
            return text
    finally:
        await runner.cleanup()


async def test_own_metrics_stand_on_the_wall_under_their_own_names(tmp_path: Path) -> None:
    board = full_board()
    own = {
        "per_click": OwnMetricSettings("gmv / product_clicks", title="<b>GMV</b> a click"),
        "basket": OwnMetricSettings("items_sold / orders"),
        "watched": OwnMetricSettings("gmv / content_views"),
    }
    board.columns.settings = replace(board.columns.settings, metrics=own)
    said = (await shown(board, tmp_path)).split()
    assert " ".join(said).startswith("Own <b>GMV</b> a click £")
    assert said[-4:] == ["basket", "1", "watched", "\u2013"]


async def test_a_wall_without_own_metrics_has_no_line_for_them(tmp_path: Path) -> None:
    assert await shown(full_board(), tmp_path) == ""
