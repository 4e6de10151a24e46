"""What is posted to Alertmanager, when, and that nobody who fails holds anything up."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from dashboards.alertmanager import generate, poster
from dashboards.alertmanager.postable import NOTICE_LIFE_MS, RESOLVED_LIFE_MS
from dashboards.alertmanager.poster import CHUNK, MOST_RETRY_MS, REOPEN_MS, Poster, addresses
from streams.alerts import Alert, AlertRoute, AlertState, Resolution
from streams.columns import Columns
from streams.errors import SettingsError
from streams.rule import Owner, Severity
from streams.settings import NotifySettings, Settings
from tests.unit.dashboards.shops import FixedBoard

NOW_MS = 1_795_842_000_000
REPOST_MS = 60_000
SETTINGS = NotifySettings(alertmanager_repost_ms=REPOST_MS, retry_first_ms=1_000)


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


class FakeAlertmanager:
    """Remembers what is posted; answers as it is told."""

    def __init__(self) -> None:
        self.posts: list[list[dict[str, Any]]] = []
        self.status = 200
        self.asked = 0
        self.uptime = "2026-11-27T06:00:00.000Z"
        self.hang: asyncio.Event | None = None
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        if self.hang is not None:
            await self.hang.wait()
        if self.status != 200:
            return web.Response(status=self.status, headers={"Location": "/elsewhere"})
        self.posts.append(await request.json())
        return web.Response()

    async def say(self, _request: web.Request) -> web.Response:
        self.asked += 1
        if self.hang is not None:
            await self.hang.wait()
        return web.json_response({"uptime": self.uptime, "cluster": {"status": "disabled"}})

    def labels(self) -> list[dict[str, str]]:
        """Return the label sets of the last post."""
        return [each["labels"] for each in self.posts[-1]]

    def ends(self) -> dict[str, int]:
        """Return when each alert of the last post ends, by its id."""
        return {each["annotations"]["alert_id"]: instant(each["endsAt"]) for each in self.posts[-1]}


def instant(text: str) -> int:
    return round(dt.datetime.fromisoformat(text).timestamp() * 1000)


@pytest.fixture
async def receivers() -> AsyncIterator[list[FakeAlertmanager]]:
    made, runners = [FakeAlertmanager(), FakeAlertmanager()], []
    for one in made:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/api/v2/alerts", one.take)
        app.router.add_get("/api/v2/status", one.say)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        runners.append(runner)
    yield made
    for one, runner in zip(made, runners, strict=True):
        if one.hang is not None:
            one.hang.set()
        await runner.cleanup()


@pytest.fixture
def there(receivers: list[FakeAlertmanager]) -> FakeAlertmanager:
    return receivers[0]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def posting(there: FakeAlertmanager, session: aiohttp.ClientSession, clock: Clock) -> Poster:
    return Poster([there.url], session, SETTINGS, clock=clock)


def alert_of(number: int = 1, **more: Any) -> Alert:
    alert = Alert(
        alert_id=f"s1/bf/A-02/sku-{number}/2026-11-27",
        rule="A-02",
        key="oos_now",
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
        name="Linen <b>dress</b>",
        message="Linen dress is out of stock.",
        runbook="oos_now",
        advice="add stock",
        money_minor=number,
        opened_at_ms=NOW_MS - 1_000,
        updated_at_ms=NOW_MS - 1_000,
        timezone="UTC",
        currency="USD",
    )
    return dataclasses.replace(alert, **more)


def empty_board() -> FixedBoard:
    settings = Settings()
    return FixedBoard(settings, Columns(settings))


def closed(alert: Alert, at_ms: int = NOW_MS, resolution: Resolution = Resolution.EASED) -> Alert:
    return dataclasses.replace(
        alert,
        state=AlertState.RESOLVED,
        resolution=resolution,
        resolved_at_ms=at_ms,
        updated_at_ms=at_ms,
    )


async def test_labels_say_which_one_it_is_and_annotations_what_to_do(
    posting: Poster, there: FakeAlertmanager
) -> None:
    assert await posting.post_due([alert_of()]) == 1
    ((posted,),) = there.posts
    assert posted["labels"] == {
        "alertname": "oos_now",
        "rule": "A-02",
        "shop": "s1",
        "campaign": "bf",
        "severity": "page",
        "owner": "ops",
        "route": "page",
        "product": "dress",
        "sku": "sku-1",
    }
    assert posted["annotations"] == {
        "title": "SKU has no stock",
        "summary": "Linen <b>dress</b>: SKU has no stock",
        "description": "Linen dress is out of stock.",
        "advice": "add stock",
        "runbook_url": "docs/RUNBOOK.md#oos_now",
        "alert_id": "s1/bf/A-02/sku-1/2026-11-27",
        "rank": "1",
    }
    assert instant(posted["startsAt"]) == NOW_MS - 1_000


@pytest.mark.parametrize(("kind", "label"), [("topic", "topic"), ("stream", "stream")])
async def test_what_is_no_sku_has_a_label_of_its_kind(
    posting: Poster, there: FakeAlertmanager, kind: str, label: str
) -> None:
    await posting.post_due(
        [alert_of(entity_kind=kind, entity_id="orders", sku_id="", product_id="", campaign_id="")]
    )
    (labels,) = there.labels()
    assert labels[label] == "orders"
    assert not {"sku", "product", "campaign"} & labels.keys()


async def test_an_open_alert_outlives_four_lost_posts_and_no_more(
    posting: Poster, there: FakeAlertmanager, clock: Clock
) -> None:
    await posting.post_due([alert_of()])
    assert there.ends() == {alert_of().alert_id: NOW_MS + 5 * REPOST_MS}
    assert not await posting.post_due([alert_of()])
    clock.now_ms += REPOST_MS - 1
    assert not await posting.post_due([alert_of()])
    clock.now_ms += 1
    assert await posting.post_due([alert_of()])
    assert there.ends() == {alert_of().alert_id: NOW_MS + 6 * REPOST_MS}


async def test_what_changes_is_posted_at_once(posting: Poster, there: FakeAlertmanager, clock: Clock) -> None:
    await posting.post_due([alert_of()])
    clock.now_ms += 500
    assert await posting.post_due([alert_of(), alert_of(2)])
    assert await posting.post_due([closed(alert_of()), alert_of(2)])
    assert there.ends()[alert_of().alert_id] == NOW_MS


async def test_open_alerts_come_first(posting: Poster, there: FakeAlertmanager) -> None:
    await posting.post_due([closed(alert_of(1)), alert_of(2), closed(alert_of(3)), alert_of(4)])
    assert [labels["sku"] for labels in there.labels()] == ["sku-2", "sku-4", "sku-1", "sku-3"]


async def test_a_closing_is_repeated_for_a_quarter_hour(
    posting: Poster, there: FakeAlertmanager, clock: Clock
) -> None:
    ended = closed(alert_of())
    for _ in range(RESOLVED_LIFE_MS // REPOST_MS):
        assert await posting.post_due([ended])
        clock.now_ms += REPOST_MS
    assert {instant(each["endsAt"]) for post in there.posts for each in post} == {NOW_MS}
    posts = len(there.posts)
    await posting.post_due([ended])
    assert len(there.posts) == posts


async def test_a_second_incident_of_a_sku_stands_and_not_the_end_of_the_first(
    posting: Poster, there: FakeAlertmanager
) -> None:
    second = alert_of(alert_id="s1/bf/A-02/sku-1/2026-11-27/2", opened_at_ms=NOW_MS, updated_at_ms=NOW_MS)
    await posting.post_due([second, closed(alert_of())])
    assert there.ends() == {second.alert_id: NOW_MS + 5 * REPOST_MS}


async def test_a_page_that_was_a_warning_ends_the_warning(
    posting: Poster, there: FakeAlertmanager, clock: Clock
) -> None:
    warning = alert_of(severity=Severity.WARNING, route=AlertRoute.CHANNEL)
    await posting.post_due([warning])
    clock.now_ms += 500
    await posting.post_due([alert_of()])
    ends = {each["labels"]["severity"]: instant(each["endsAt"]) for each in there.posts[-1]}
    assert ends == {"page": clock.now_ms + 5 * REPOST_MS, "warning": clock.now_ms}


async def test_what_stays_on_the_screen_and_what_nobody_saw_is_not_posted(
    posting: Poster, there: FakeAlertmanager
) -> None:
    panel = alert_of(1, route=AlertRoute.PANEL)
    missed = closed(alert_of(2), resolution=Resolution.MISSED)
    await posting.post_due([panel, missed])
    assert there.posts == []


async def test_a_notice_ends_by_itself_and_the_next_one_is_another(
    posting: Poster, there: FakeAlertmanager, clock: Clock
) -> None:
    said = alert_of(state=AlertState.NOTICE, opened_at_ms=NOW_MS)
    await posting.post_due([said])
    assert there.ends() == {said.alert_id: NOW_MS + NOTICE_LIFE_MS}
    first = there.labels()
    clock.now_ms += NOTICE_LIFE_MS
    await posting.post_due([said, dataclasses.replace(said, opened_at_ms=clock.now_ms)])
    assert len(there.labels()) == 1
    assert there.labels() != first


async def test_the_ten_with_most_money_of_each_group_are_ranked(
    posting: Poster, there: FakeAlertmanager
) -> None:
    await posting.post_due(
        [*(alert_of(number) for number in range(1, 31)), alert_of(99, campaign_id="other", money_minor=0)]
    )
    ranked = {
        each["labels"]["sku"]: each["annotations"]["rank"]
        for each in there.posts[-1]
        if "rank" in each["annotations"]
    }
    assert ranked == {f"sku-{30 - place}": str(place + 1) for place in range(10)} | {"sku-99": "1"}


async def test_thousands_are_posted_in_parts(posting: Poster, there: FakeAlertmanager) -> None:
    assert await posting.post_due([alert_of(number) for number in range(5_000)])
    assert [len(post) for post in there.posts] == [CHUNK] * (5_000 // CHUNK)


async def test_every_alertmanager_is_told_and_one_that_is_down_holds_up_nobody(
    receivers: list[FakeAlertmanager], session: aiohttp.ClientSession, clock: Clock
) -> None:
    posting = Poster([one.url for one in receivers], session, SETTINGS, clock=clock)
    receivers[0].status = 500
    assert await posting.post_due([alert_of()]) == 1
    assert len(receivers[1].posts) == 1
    receivers[0].status = 200
    clock.now_ms += 1_000
    assert await posting.post_due([alert_of()]) == 1
    assert receivers[0].labels() == receivers[1].labels()


async def test_one_that_hangs_is_given_up_and_the_other_is_told_meanwhile(
    receivers: list[FakeAlertmanager],
    session: aiohttp.ClientSession,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poster, "REQUEST_TIMEOUT_S", 0.2)
    receivers[0].hang = asyncio.Event()
    posting = Poster([one.url for one in receivers], session, SETTINGS, clock=clock)
    assert await posting.post_due([alert_of()]) == 1
    assert len(receivers[1].posts) == 1


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500, 503])
async def test_a_post_that_failed_is_tried_again(
    posting: Poster, there: FakeAlertmanager, clock: Clock, status: int
) -> None:
    there.status = status
    assert not await posting.post_due([alert_of()])
    there.status = 200
    clock.now_ms += 999
    assert not await posting.post_due([alert_of()])
    clock.now_ms += 1
    assert await posting.post_due([alert_of()])


async def test_the_wait_after_failures_doubles_up_to_ten_seconds(
    posting: Poster, there: FakeAlertmanager, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    there.status = 500
    tried = []
    for _ in range(100):
        asked = there.asked
        await posting.post_due([alert_of()])
        if there.asked > asked:
            tried.append(clock.now_ms)
        clock.now_ms += 500
    waits = [after - before for before, after in itertools.pairwise(tried)]
    assert waits == [1_000, 2_000, 4_000, 8_000, *[MOST_RETRY_MS] * (len(waits) - 4)]
    assert len(waits) > 5
    # One line per outage, not one per try.
    assert sum("does not take alerts" in record.message for record in caplog.records) == 1


async def test_what_is_refused_is_not_posted_again_before_its_time(
    posting: Poster, there: FakeAlertmanager, clock: Clock
) -> None:
    there.status = 400
    assert await posting.post_due([alert_of()])
    there.status = 200
    clock.now_ms += 500
    assert not await posting.post_due([alert_of()])
    clock.now_ms += REPOST_MS
    assert await posting.post_due([alert_of()])


async def test_an_alertmanager_that_began_anew_is_told_of_the_opening_before_the_end(
    posting: Poster, there: FakeAlertmanager, clock: Clock
) -> None:
    await posting.post_due([alert_of()])
    there.uptime = "2026-11-27T07:00:00.000Z"
    clock.now_ms += 10_000
    ended = closed(alert_of(), clock.now_ms)
    await posting.post_due([ended])
    assert there.ends()[ended.alert_id] > clock.now_ms
    clock.now_ms += REOPEN_MS
    await posting.post_due([ended])
    assert there.ends() == {ended.alert_id: ended.resolved_at_ms}


async def test_the_same_alertmanager_is_told_of_the_end_at_once(
    posting: Poster, there: FakeAlertmanager, clock: Clock
) -> None:
    await posting.post_due([alert_of()])
    there.status = 500
    clock.now_ms += 10_000
    ended = closed(alert_of(), clock.now_ms)
    await posting.post_due([ended])
    there.status = 200
    clock.now_ms += 10_000
    await posting.post_due([ended])
    assert there.ends() == {ended.alert_id: ended.resolved_at_ms}


async def test_a_replay_posts_nothing(
    there: FakeAlertmanager, session: aiohttp.ClientSession, clock: Clock
) -> None:
    posting = Poster([there.url], session, SETTINGS, replay_id="friday", clock=clock)
    assert not posting.posts
    assert await posting.post_due([alert_of()]) == 0
    await asyncio.wait_for(posting.run(empty_board()), 1)
    assert there.posts == []


async def test_what_is_muted_on_the_desk_is_posted_when_the_mute_ends_and_what_was_posted_is_closed(
    there: FakeAlertmanager, session: aiohttp.ClientSession, clock: Clock
) -> None:
    muted: set[str] = set()
    posting = Poster([there.url], session, SETTINGS, clock=clock, muted=lambda alert: alert.alert_id in muted)
    first, second = alert_of(1), alert_of(2)
    await posting.post_due([first])
    muted |= {first.alert_id, second.alert_id}
    clock.now_ms += REPOST_MS
    await posting.post_due([first, second])
    assert list(there.ends()) == [first.alert_id]
    assert there.ends()[first.alert_id] > clock.now_ms
    await posting.post_due([closed(first, clock.now_ms), second])
    assert there.ends() == {first.alert_id: clock.now_ms}
    muted.clear()
    await posting.post_due([closed(first, clock.now_ms), second])
    assert second.alert_id in there.ends()


async def test_a_board_posts_with_the_lease_only_and_when_it_is_whole(
    there: FakeAlertmanager, session: aiohttp.ClientSession, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poster, "LOOK_EVERY_S", 0.01)
    board, held = empty_board(), False
    board.told, board.waiting = [alert_of()], "loading"
    posting = Poster([there.url], session, SETTINGS, clock=clock)
    task = asyncio.create_task(posting.run(board, may=lambda: held))
    await asyncio.sleep(0.05)
    held = True
    await asyncio.sleep(0.05)
    assert there.posts == []
    board.waiting = None
    await until(lambda: len(there.posts) == 1)
    held = False
    await asyncio.sleep(0.05)
    held = True
    # Another board may have spoken meanwhile: nothing has changed and it is said all the same.
    await until(lambda: len(there.posts) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(holds: Any) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 # what is waited for is another's, and sets no event
            await asyncio.sleep(0.01)


def test_several_addresses_are_separated_by_commas() -> None:
    assert addresses(NotifySettings()) == []
    urls = addresses(NotifySettings(alertmanager_url="http://a:9093/, https://b/am ,http://a:9093"))
    assert urls == ["http://a:9093", "https://b/am"]


@pytest.mark.parametrize(
    "url", ["a:9093", "ftp://a", "http://", "http://me:secret@a", "http://a?x=1", "http://a:port"]
)
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        addresses(NotifySettings(alertmanager_url=url))
    assert "secret" not in str(refused.value)


# --- the configuration --------------------------------------------------------------------------------------------


def test_the_configuration_and_templates_are_what_their_generator_makes() -> None:
    assert generate.CONFIG.read_text(encoding="utf-8") == generate.text(), "run: make generate"
    assert generate.TEMPLATES.read_text(encoding="utf-8") == generate.templates(), "run: make generate"


def strings(document: Any) -> Sequence[str]:
    if isinstance(document, dict):
        return [text for value in document.values() for text in strings(value)]
    if isinstance(document, list):
        return [text for value in document for text in strings(value)]
    return [document] if isinstance(document, str) else []


def test_secrets_are_files_and_pages_have_pagerduty_and_slack() -> None:
    document = json.loads(generate.text().split("\n", 1)[1])
    receivers = {receiver["name"]: receiver for receiver in document["receivers"]}
    for owner in Owner:
        page = receivers[f"{owner.value}-page"]
        assert page["pagerduty_configs"][0]["routing_key_file"].startswith(generate.SECRETS)
        assert page["slack_configs"][0]["api_url_file"].startswith(generate.SECRETS)
        assert "pagerduty_configs" not in receivers[f"{owner.value}-channel"]
        assert receivers[f"{owner.value}-digest"]["slack_configs"][0]["send_resolved"] is False
    assert not [text for text in strings(document) if "hooks.slack.com" in text]


def test_an_incident_is_a_rule_of_a_shop_and_a_campaign() -> None:
    assert generate.config()["route"]["group_by"] == ["alertname", "shop", "campaign"]
