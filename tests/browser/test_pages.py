"""How pages that are over stand on the wall, in a real browser."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from aiohttp import web

from dashboards.server import build_app
from streams.alerts import AlertState, Resolution
from tests.browser.devtools import chromium
from tests.browser.wall import until
from tests.unit.dashboards.shops import full_board, opened

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
