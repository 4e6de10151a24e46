"""Real Alertmanager, fake Slack and PagerDuty: what a board's alerts become at the receivers, whoever fails."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from dashboards.alertmanager import poster
from dashboards.alertmanager.generate import CONFIG
from dashboards.alertmanager.poster import Poster
from streams.alerts import Alert, AlertRoute, AlertState, Resolution
from streams.rule import Owner, Severity
from streams.settings import NotifySettings
from tests.alertmanager_process import Alertmanager
from tests.receivers import PagerDuty, Slack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

SETTLED_S: Final = 2.2
"""Longer than a group's interval in tests: what was to come has come."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def alert_of(number: int = 1, *, rule: str = "A-02", key: str = "oos_now", **more: Any) -> Alert:
    at_ms = now_ms()
    alert = Alert(
        alert_id=f"s1/bf/{rule}/sku-{number}/2026-11-27",
        rule=rule,
        key=key,
        title="SKU has no stock",
        shop_id="s1",
        campaign_id="bf",
        state=AlertState.OPEN,
        route=AlertRoute.PAGE,
        severity=Severity.PAGE,
        owner=Owner.OPS,
        entity_kind="sku",
        entity_id=f"sku-{number}",
        sku_id=f"sku-{number}",
        product_id="dress",
        name=f"Dress {number}",
        message=f"Dress {number} is out of stock.",
        runbook="oos_now",
        money_minor=number * 100,
        opened_at_ms=at_ms,
        updated_at_ms=at_ms,
        timezone="UTC",
        currency="USD",
    )
    return dataclasses.replace(alert, **more)


class Told:
    """What a board knows, posted as `serving` does."""

    def __init__(self, urls: list[str], session: aiohttp.ClientSession) -> None:
        self.alerts: dict[str, Alert] = {}
        self._poster = Poster(urls, session, NotifySettings(alertmanager_repost_ms=1_000, retry_first_ms=200))
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def kill(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def open(self, *alerts: Alert) -> None:
        self.alerts |= {alert.alert_id: alert for alert in alerts}

    def close(self, *alerts: Alert) -> None:
        at_ms = now_ms()
        self.open(
            *(
                dataclasses.replace(
                    alert,
                    state=AlertState.RESOLVED,
                    resolution=Resolution.RESTOCKED,
                    resolved_at_ms=at_ms,
                    updated_at_ms=at_ms,
                    message=f"Resolved: {alert.name} was restocked.",
                )
                for alert in alerts
            )
        )

    async def _run(self) -> None:
        while True:
            await self._poster.post_due(list(self.alerts.values()))
            await asyncio.sleep(0.1)


@dataclass
class World:
    """An Alertmanager, its receivers, and what a board knows."""

    slack: Slack
    pagerduty: PagerDuty
    alertmanager: Alertmanager
    told: Told


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(Slack())
        pagerduty = await stack.enter_async_context(PagerDuty())
        alertmanager = await stack.enter_async_context(Alertmanager(folder, slack, pagerduty))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        told = Told([alertmanager.url], session)
        told.start()
        stack.push_async_callback(told.kill)
        yield World(slack, pagerduty, alertmanager, told)


async def each_at_once(
    folder: Path, cases: Sequence[str], play: Callable[[World, str], Awaitable[None]]
) -> None:
    """Play every case in a world of its own, all at a time: they wait most of it."""

    async def one(number: int, case: str) -> None:
        place = folder / str(number)
        place.mkdir()
        async with world(place) as own:
            try:
                await play(own, case)
            except AssertionError as error:
                error.add_note(f"case: {case}\n{own.alertmanager.log()}")
                raise

    async with asyncio.TaskGroup() as group:
        for number, case in enumerate(cases):
            group.create_task(one(number, case))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the groups of a test's configuration, not for those of the shipped one."""
    monkeypatch.setattr(poster, "REOPEN_MS", 2_500)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as own:
        yield own


@pytest.fixture
def told(here: World) -> Told:
    return here.told


@pytest.fixture
def slack(here: World) -> Slack:
    return here.slack


@pytest.fixture
def pagerduty(here: World) -> PagerDuty:
    return here.pagerduty


def amtool(*arguments: str) -> str:
    program = shutil.which("amtool")
    if program is None:
        pytest.fail("amtool is missing; run: make tools")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_alertmanager_accepts_the_configuration() -> None:
    assert "SUCCESS" in amtool("check-config", str(CONFIG))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=oos_now", "owner=ops", "severity=page", "route=page"], "ops-page"),
        (["alertname=oos_demand", "owner=ads", "severity=warning", "route=channel"], "ads-channel"),
        (["alertname=digest", "owner=ops", "severity=note", "route=digest"], "ops-digest"),
        (["alertname=feed_missing", "owner=platform", "severity=page", "route=page"], "platform-page"),
        (["alertname=WarRoomNotEvaluated", "job=warroom", "severity=page"], "platform-page"),
        (["alertname=WarRoomNotReady", "job=warroom", "severity=ticket"], "platform-channel"),
        (["alertname=WarRoomWatchdog", "severity=none"], "nobody"),
    ],
)
def test_owner_and_severity_decide_who_is_told(labels: list[str], receiver: str) -> None:
    assert amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels) == receiver


async def test_a_page_opens_once_and_closes_once_at_pagerduty_and_slack(
    told: Told, slack: Slack, pagerduty: PagerDuty
) -> None:
    told.open(alert_of())
    await pagerduty.until(lambda: pagerduty.opened() == 1)
    await asyncio.sleep(SETTLED_S)
    told.close(alert_of())
    await pagerduty.until(lambda: pagerduty.closed() == 1)
    await asyncio.sleep(SETTLED_S)
    assert [incident.events for incident in pagerduty.incidents().values()] == [["trigger", "resolve"]]
    event = pagerduty.accepted[0]
    assert event["routing_key"] == "key-ops"
    assert event["payload"]["summary"] == "Dress 1 is out of stock."
    assert event["payload"]["severity"] == "critical"
    runbook = "Runbook: docs/RUNBOOK.md#oos_now"
    assert slack.texts() == [
        f"s1 bf: SKU has no stock, 1 open\n\n- Dress 1 is out of stock.\n{runbook}",
        f"s1 bf: SKU has no stock, 1 closed\n\nClosed:\n- Resolved: Dress 1 was restocked.\n{runbook}",
    ]


async def test_a_storm_is_at_most_three_messages_that_name_the_most_money_and_count_the_rest(
    told: Told, slack: Slack, pagerduty: PagerDuty
) -> None:
    storm = [alert_of(number) for number in range(1, 5_001)]
    told.open(*storm)
    await pagerduty.until(lambda: pagerduty.opened() == 1)
    await slack.until(lambda: any("5000 open" in text for text in slack.texts()))
    await asyncio.sleep(SETTLED_S)
    assert len(slack.requests) <= 3
    assert len(pagerduty.requests) <= 3
    assert pagerduty.verdict() == [(1, 0)]
    told_last = slack.texts()[-1]
    named = [f"- Dress {number} is out of stock." for number in range(5_000, 4_990, -1)]
    assert [line for line in told_last.splitlines() if line.startswith("- ")] == named
    assert "and 4990 more" in told_last
    assert all(request.size < 512_000 for request in pagerduty.requests)


async def test_a_page_reaches_receivers_that_fail_for_a_while(tmp_path: Path) -> None:
    async def play(own: World, fault: str) -> None:
        for receiver in (own.slack, own.pagerduty):
            match fault:
                case "down":
                    await receiver.down()
                case "slow":
                    receiver.delay_s = 2.0
                case "hanging":
                    receiver.hanging = True
                case status:
                    receiver.status, receiver.headers = int(status), {"Retry-After": "1"}
        own.told.open(alert_of())
        await asyncio.sleep(3)
        assert fault == "slow" or not [*own.slack.accepted, *own.pagerduty.accepted]
        for receiver in (own.slack, own.pagerduty):
            if fault == "down":
                await receiver.up()
            receiver.status, receiver.headers, receiver.delay_s = receiver.GOOD, {}, 0.0
            receiver.release()
        await own.pagerduty.until(lambda: own.pagerduty.opened() == 1)
        await own.slack.until(lambda: len(own.slack.texts()) >= 1)
        own.told.close(alert_of())
        await own.pagerduty.until(lambda: own.pagerduty.closed() == 1)
        assert own.pagerduty.verdict() == [(1, 1)]

    await each_at_once(tmp_path, ["down", "slow", "429", "500", "hanging"], play)


async def test_a_killed_alertmanager_opens_and_closes_an_incident_once(tmp_path: Path) -> None:
    async def restart(own: World, away_s: float = 0.0) -> None:
        await own.alertmanager.kill()
        await asyncio.sleep(away_s)
        await own.alertmanager.start()

    async def play(own: World, moment: str) -> None:
        if moment == "before it hears of the incident":
            await own.alertmanager.kill()
        own.told.open(alert_of())
        if moment == "before it hears of the incident":
            await asyncio.sleep(0.5)
            await own.alertmanager.start()
        if moment == "before it tells of the incident":
            await asyncio.sleep(0.5)
            await restart(own)
        await own.pagerduty.until(lambda: own.pagerduty.opened() == 1)
        match moment:
            case "as soon as it has told of it":
                await restart(own, 0.5)
                await asyncio.sleep(SETTLED_S)
            case "before it hears of the end":
                await asyncio.sleep(2)
                await own.alertmanager.kill()
            case "before it tells of the end":
                # No incident is so short that Alertmanager has not written down whom it told of its beginning.
                await asyncio.sleep(2)
        own.told.close(alert_of())
        match moment:
            case "before it hears of the end":
                await asyncio.sleep(0.5)
                await own.alertmanager.start()
            case "before it tells of the end":
                await asyncio.sleep(0.3)
                await restart(own)
        await own.pagerduty.until(lambda: own.pagerduty.closed() == 1)
        if moment == "as soon as it has told of the end":
            await restart(own)
        await asyncio.sleep(SETTLED_S)
        assert own.pagerduty.verdict() == [(1, 1)]

    moments = [
        "before it hears of the incident",
        "before it tells of the incident",
        "as soon as it has told of it",
        "before it hears of the end",
        "before it tells of the end",
        "as soon as it has told of the end",
    ]
    await each_at_once(tmp_path, moments, play)


async def test_an_end_is_told_that_alertmanager_does_not_know_to_have_begun(
    here: World, told: Told, pagerduty: PagerDuty
) -> None:
    # Killed before it wrote down whom it told, and away until the incident was over.
    told.open(alert_of())
    await pagerduty.until(lambda: pagerduty.opened() == 1)
    await here.alertmanager.kill()
    here.alertmanager.forget()
    told.close(alert_of())
    await here.alertmanager.start()
    await pagerduty.until(lambda: pagerduty.closed() == 1)
    await asyncio.sleep(SETTLED_S)
    assert pagerduty.verdict() == [(1, 1)]


async def test_a_forecast_that_came_true_closes_although_the_stock_out_is_open(
    told: Told, pagerduty: PagerDuty
) -> None:
    forecast = alert_of(rule="A-01", key="oos_forecast")
    told.open(forecast)
    await pagerduty.until(lambda: pagerduty.opened() == 1)
    told.open(alert_of())
    told.close(forecast)
    await pagerduty.until(lambda: (pagerduty.opened(), pagerduty.closed()) == (2, 1))
    await asyncio.sleep(SETTLED_S)
    assert pagerduty.verdict() == [(1, 1), (1, 0)]


async def test_what_a_page_says_already_is_not_said_again_in_the_channel(
    told: Told, slack: Slack, pagerduty: PagerDuty
) -> None:
    hint = {"severity": Severity.WARNING, "route": AlertRoute.CHANNEL}
    told.open(alert_of())
    await pagerduty.until(lambda: pagerduty.opened() == 1)
    told.open(
        alert_of(2, rule="A-03", key="oos_demand", message="Of the dress", **hint),
        alert_of(3, rule="A-03", key="oos_demand", message="Of a hat", product_id="hat", **hint),
        alert_of(1, rule="A-01", key="oos_forecast", message="Of the SKU", **hint),
    )
    await slack.until(lambda: any("Of a hat" in text for text in slack.texts()))
    await asyncio.sleep(SETTLED_S)
    assert not any("Of the" in text for text in slack.texts())


async def test_a_digest_is_said_once_and_the_next_one_too(told: Told, slack: Slack) -> None:
    digest = {"state": AlertState.NOTICE, "route": AlertRoute.DIGEST, "severity": Severity.NOTE, "sku_id": ""}
    first = alert_of(1, message="3 SKUs at risk", **digest)
    told.open(first)
    await slack.until(lambda: len(slack.texts()) == 1)
    # They differ in when they were said, and in nothing else that Alertmanager knows them by.
    told.open(alert_of(2, message="2 SKUs at risk", opened_at_ms=first.opened_at_ms + 1, **digest))
    await slack.until(lambda: len(slack.texts()) == 2)
    await asyncio.sleep(SETTLED_S)
    assert len(slack.texts()) == 2


async def test_names_cannot_ring_a_channel(told: Told, slack: Slack) -> None:
    told.open(alert_of(message="<!channel> & <http://evil|dress> is out of stock."))
    await slack.until(lambda: len(slack.texts()) == 1)
    assert "&lt;!channel&gt; &amp; &lt;http://evil|dress&gt; is out" in slack.texts()[0]
    assert "<" not in str(slack.accepted[0])
