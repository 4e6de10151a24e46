"""The demo in a real browser, as a newcomer meets it: the generated evening at 600x, and real orders."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import signal
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from replay.demo_days import REAL_DAYS
from tests.browser.demo import demo, further, query
from tests.browser.devtools import chromium
from tests.browser.wall import Wall, at_rest, until, watch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
"""Two starts of the whole pipeline beside a browser; the evening itself takes 21 s at 600x."""

OVER: Final = "The day is over."
PLAYED_WITHIN_S: Final = 150.0
"""The day waits for the board and for the browser, which share the cores with other tests."""
MOVING_WITHIN_S: Final = 60.0
"""From the start to numbers that move, says the issue."""

TILES: Final = ("gmv", "gmv_last_15m", "orders", "est_customers", "aov_revenue", "ctor")
FUNNEL: Final = ("product_impressions", "ctr", "product_clicks", "atc_rate", "atc_count", "sku_orders")
REFERENCED: Final = tuple(name for name in TILES if name != "gmv_last_15m")


@dataclass
class Day:
    """A day that was watched to its end, and what `warroom query` says of its recordings."""

    wall: Wall
    opened_s: float
    moving_s: float
    children: list[str]
    said: str
    ended: tuple[int, float, list[int]]
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def row(self, name: str) -> dict[str, Any]:
        """Return the only row of an answer."""
        (row,) = self.answers[name]["rows"]
        found: dict[str, Any] = row
        return found


async def watched(folder: Path, number: signal.Signals, *options: str) -> Day:
    """Run the demo, watch its wall until the day is over, end it."""
    async with demo(folder / "demo.log", *options) as running, chromium(folder) as page:
        await running.opened()
        await watch(page, running.url)
        await until(page, "window.seen.clocks.length >= 3", within_s=30)
        moving_s = running.age_s
        await running.says(OVER, within_s=PLAYED_WITHIN_S)
        wall = await at_rest(page, within_s=30)
        await page.picture(folder / "wall.png")
        children = running.children
        ended = await running.end(number)
        return Day(wall, running.opened_s, moving_s, children, running.said(), ended)


async def evening(folder: Path) -> Day:
    scratch = folder / "scratch"
    day = await watched(folder, signal.SIGINT, "--speed", "600x", "--scratch", str(scratch))
    at_ms, reference = day.wall.overview["now_ms"], day.wall.overview["reference"]
    today = scratch / "today"
    day.answers["today"] = await query(today, at_ms, ",".join(dict.fromkeys((*TILES, *FUNNEL))))
    day.answers |= further(
        today,
        at_ms,
        {
            "leaves": {"metrics": "gmv,gmv_channel_contribution", "by": "leaf"},
            "minutes": {"metrics": "gmv", "by": "minute"},
            "stock": {"metrics": "stock_on_hand", "by": "sku"},
            "goal": {"metrics": "campaign_target,goal_progress_pct", "by": "campaign"},
            "outcomes": {"metrics": "records_in", "by": "outcome"},
            "fresh": {"metrics": "view_as_of,today_lag_seconds"},
        },
    )
    before = {"reference": {"metrics": ",".join(REFERENCED)}}
    day.answers |= further(scratch / "reference", reference["at_ms"], before)
    return day


async def real(folder: Path) -> Day:
    day = await watched(folder, signal.SIGTERM, "--day", "real", "--speed", "3000x")
    at_ms = day.wall.overview["now_ms"]
    names = "gmv,gmv_last_15m,orders,est_customers,aov_revenue,sku_orders"
    day.answers["today"] = await query(REAL_DAYS, at_ms, names)
    return day


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """The generated evening at 600x, from 20:30 to midnight."""
    return asyncio.run(evening(tmp_path_factory.mktemp("generated")))


@pytest.fixture(scope="module")
def orders_only(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """The last of the real days, which has orders and nothing else."""
    return asyncio.run(real(tmp_path_factory.mktemp("real")))


def shown(text: str) -> tuple[float, float]:
    """Return the number that a text such as `$1,234`, `7.1%` or `£2.5k` shows, and the half of its last digit."""
    found = re.search(r"(-?[\d,]+(?:\.(\d+))?)(k|m)?(%)?", text.lower())
    assert found, text
    unit = {"k": 1e3, "m": 1e6, None: 1.0}[found[3]] * (0.01 if found[4] else 1.0)
    return float(found[1].replace(",", "")) * unit, 0.5 * 10.0 ** -len(found[2] or "") * unit


def test_numbers_move_within_a_minute_of_the_start(generated: Day) -> None:
    assert generated.opened_s <= generated.moving_s < MOVING_WITHIN_S
    assert "The day until 20:30" in generated.said


def test_every_slot_has_a_figure_from_the_first_moment_on(generated: Day) -> None:
    seen = generated.wall.seen
    assert seen["looks"] > 10
    assert seen["clocks"][0] < "21:00:00"
    assert seen["empty"] == {}
    assert seen["without"] == {}
    assert seen["zero"] == {}
    figures = generated.wall.figures
    assert {*TILES, "goal", "records"} <= set(figures)
    assert sum(name.startswith("slice-") for name in figures) == 8


def test_the_page_stands_in_the_log_with_its_predicted_and_then_its_real_time(generated: Day) -> None:
    looks = [look for name, found in generated.wall.seen["pages"].items() for look in found if "A-01" in name]
    told = [look for look in looks if look["page-predicted"] is not None and look["page-real"] is None]
    came = [look for look in looks if look["page-predicted"] is not None and look["page-real"] is not None]
    assert told
    assert came
    titles = {look["title"] for look in told} & {look["title"] for look in came}
    assert titles
    for look in came:
        assert look["page-at"] <= look["page-real"]
    assert "Would have been paged" in generated.wall.texts["pages-title"]


def test_the_feed_is_seen_to_be_lost_and_to_come_back(generated: Day) -> None:
    feeds = generated.wall.seen["feeds"]
    assert {"lost", "back"} <= set(feeds["clicks"])
    assert feeds["clicks"]["lost"] < feeds["clicks"]["back"]
    # What the replay's clock has not reached yet is no silence: no other feed was ever called lost.
    assert not [topic for topic, states in feeds.items() if topic != "clicks" and "lost" in states]


def test_the_strip_says_that_nothing_is_lost_and_nothing_double(generated: Day) -> None:
    assert list(generated.wall.seen["judged"]) == ["0 lost, 0 double"]
    judge = generated.wall.overview["strip"]["judge"]
    assert judge["agrees"]
    assert judge["records"] > 200_000


def test_with_the_player_stopped_every_number_is_that_of_the_query(generated: Day) -> None:
    row, figures, overview = generated.row("today"), generated.wall.figures, generated.wall.overview
    for name in TILES:
        assert figures[name]["value"] == row[name], name
    for name in FUNNEL:
        assert overview_figure(overview, name) == row[name], name
    for leaf in generated.answers["leaves"]["rows"]:
        found = next(one for one in overview["slices"]["rows"] if one["leaf"] == leaf["leaf"])
        assert figures[f"slice-{leaf['leaf']}"]["value"] == leaf["gmv"]
        assert found["share"] == leaf["gmv_channel_contribution"]
    goal = generated.row("goal")
    assert figures["goal"]["value"] == pytest.approx(goal["goal_progress_pct"], abs=1e-9)
    assert overview["goal"]["target"] == goal["campaign_target"]
    outcomes = generated.answers["outcomes"]["rows"]
    assert figures["records"]["value"] == sum(one["records_in"] for one in outcomes)
    fresh = generated.row("fresh")
    assert overview["strip"]["as_of_ms"] == fresh["view_as_of"] == overview["now_ms"]
    assert overview["strip"]["lag_s"] == fresh["today_lag_seconds"] == 0


def test_the_stock_on_the_wall_is_that_of_the_query(generated: Day) -> None:
    levels = {one["sku"]: one for one in generated.answers["stock"]["rows"]}
    assert generated.wall.stock
    for sku, one in generated.wall.stock.items():
        assert one["left"] == levels[sku]["stock_on_hand"]


def test_the_chart_holds_the_quarter_hours_of_the_query(generated: Day) -> None:
    chart = generated.wall.overview["chart"]
    bars = [
        closed if closed is not None else opened
        for closed, opened in zip(chart["today"], chart["open"], strict=True)
    ]
    quarters = [0.0] * len(chart["starts_ms"])
    for one in generated.answers["minutes"]["rows"]:
        at_ms = dt.datetime.fromisoformat(one["minute"]).timestamp() * 1000
        quarters[bisect_right(chart["starts_ms"], at_ms) - 1] += one["gmv"]
    assert len(quarters) == 96
    assert bars == pytest.approx(quarters, abs=0.005)


def test_the_reference_is_that_of_its_own_recording(generated: Day) -> None:
    overview, row = generated.wall.overview, generated.row("reference")
    assert overview["reference"]["day"] == "2026-11-20"
    for name in REFERENCED:
        assert overview["figures"][name]["reference"] == row[name], name


def test_what_is_written_on_the_wall_is_what_was_counted(generated: Day) -> None:
    for name, figure in generated.wall.figures.items():
        value, half = shown(figure["text"])
        assert abs(value - figure["value"]) <= half * (1 + 1e-9), (name, figure)


def test_the_page_has_no_fault_and_asks_nobody_but_its_board(generated: Day, orders_only: Day) -> None:
    for day in (generated, orders_only):
        assert day.wall.faults == []
        assert {address.split("/")[2].split(":")[0] for address in day.wall.asked if "://" in address} == {
            "127.0.0.1"
        }


def test_ctrl_c_and_sigterm_end_it_and_everything_that_it_started(generated: Day, orders_only: Day) -> None:
    for day in (generated, orders_only):
        assert any("agents.worker" in child for child in day.children)
        assert any("tansu" in child for child in day.children)
        code, _, left = day.ended
        assert (code, left) == (0, [])
        assert "Traceback" not in day.said


@pytest.mark.parametrize("moment", ["Preparing the day", "The day until"])
async def test_it_ends_as_well_while_it_still_prepares(moment: str, tmp_path: Path) -> None:
    async with demo(tmp_path / "demo.log") as running:
        await running.says(moment, within_s=60)
        code, _, left = await running.end(signal.SIGTERM)
        assert (code, left, running.said().count("Traceback")) == (0, [], 0)


def test_real_orders_are_those_of_the_query_and_what_has_no_source_says_what_it_needs(
    orders_only: Day,
) -> None:
    figures, row = orders_only.wall.figures, orders_only.row("today")
    for name in ("gmv", "gmv_last_15m", "orders", "est_customers", "aov_revenue"):
        assert figures[name]["value"] == row[name], name
    assert overview_figure(orders_only.wall.overview, "sku_orders") == row["sku_orders"]
    without = orders_only.wall.seen["without"]
    assert without["ctor"] == "needs cm.clicks"
    assert without["funnel"] == "needs cm.impressions"
    for panel, words in (("stock", "cm.stock"), ("pages", "cm.stock"), ("slices", "a source on order lines")):
        assert without[panel].startswith(f"needs {words}")
    assert not {"ctor", "product_impressions", "product_clicks"} & set(figures)
    assert orders_only.wall.seen["empty"] == {}
    assert orders_only.wall.seen["zero"].keys() <= {"gmv_last_15m"}
    assert orders_only.wall.overview["badge"] == ""
    assert "cm.campaigns" in orders_only.wall.texts["goal"]


def overview_figure(overview: dict[str, Any], name: str) -> float | None:
    """Return the value of a step or rate of the funnel."""
    for step in overview["funnel"]:
        for figure in (step, step.get("rate") or {}):
            if figure.get("metric") == name:
                value: float | None = figure["value"]
                return value
    pytest.fail(f"{name} is not in the funnel")
