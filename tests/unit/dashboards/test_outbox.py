"""The outbox against receivers that are slow, busy, broken, hanging or down."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from dashboards import notifiers
from dashboards.notifiers import HttpNotifier, Notifier, escape_slack, notifiers_of, slack_body, webhook_body
from dashboards.outbox import GROUP_MS, HEARD_LIFE_MS, NOTICE_LIFE_MS, Outbox, Status
from streams.alerts import Alert, AlertRoute, AlertState, SoldBy
from streams.board import Board
from streams.errors import SettingsError
from streams.settings import BoardSettings, NotifySettings, Settings

Make = Callable[..., Outbox]
SETTINGS = NotifySettings(retry_first_ms=1_000, retry_most_ms=8_000)


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_732_900_000_000

    def __call__(self) -> int:
        return self.now_ms


class Receiver:
    """A local HTTP server that answers as it is told and remembers what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.answers: list[web.Response] = []
        self.hang: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(json.loads(await request.read()))
        self.keys.append(request.headers["Idempotency-Key"])
        self.arrived.set()
        if self.hang is not None:
            await self.hang.wait()
        return self.answers.pop(0) if self.answers else web.Response(text="ok")

    def told(self) -> list[tuple[str, str]]:
        """Return (alert id, state) of every alert in every body, as received."""
        return [
            (alert["alert_id"], alert["state"])
            for body in self.bodies
            for alert in [*body["alerts"], *body["more"]]
        ]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    yield receiver
    if receiver.hang is not None:
        receiver.hang.set()
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Make]:
    made: list[Outbox] = []

    def build(*routes: Notifier, replay_id: str = "", name: str = "outbox.sqlite3") -> Outbox:
        box = Outbox(tmp_path / name, routes, SETTINGS, replay_id=replay_id, clock=clock)
        made.append(box)
        return box

    yield build
    for box in made:
        box.close()


def page(
    number: int = 1, state: AlertState = AlertState.OPEN, at_ms: int = 1_732_900_000_000, **more: Any
) -> Alert:
    alert = Alert(
        alert_id=f"s1/c1/A-01/sku-{number}/2024-11-29",
        rule="A-01",
        shop_id="s1",
        state=state,
        route=AlertRoute.PAGE,
        opened_at_ms=at_ms,
        updated_at_ms=at_ms,
        timezone="UTC",
        currency="USD",
        sku_id=f"sku-{number}",
        message=f"Dress {number} runs out ~21:40.",
    )
    return dataclasses.replace(alert, **more)


def resolved(number: int = 1) -> Alert:
    return page(number, AlertState.RESOLVED)


def webhook(receiver: Receiver, session: aiohttp.ClientSession, route: str = "webhook") -> HttpNotifier:
    return HttpNotifier(route, receiver.url, session, webhook_body)


async def offer(box: Outbox, *alerts: Alert, clock: Clock) -> int:
    return await box.offer(alerts, now_ms=clock.now_ms)


async def test_an_alert_is_delivered_once_however_often_it_is_offered(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    box = make(webhook(receiver, session))
    for _ in range(3):
        await offer(box, page(), clock=clock)
        await box.deliver_due()
        clock.now_ms += GROUP_MS
    assert receiver.told() == [("s1/c1/A-01/sku-1/2024-11-29", "open")]


async def test_open_and_resolved_are_each_told_once_under_one_id(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    box = make(webhook(receiver, session))
    for alert in (page(), resolved(), resolved()):
        await offer(box, alert, clock=clock)
        await box.deliver_due()
        clock.now_ms += GROUP_MS
    assert receiver.told() == [
        ("s1/c1/A-01/sku-1/2024-11-29", "open"),
        ("s1/c1/A-01/sku-1/2024-11-29", "resolved"),
    ]


async def test_a_restart_neither_loses_nor_repeats(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    first = make(webhook(receiver, session))
    await offer(first, page(1), clock=clock)
    await first.deliver_due()
    await offer(first, page(2), clock=clock)
    first.close()

    clock.now_ms += GROUP_MS
    second = make(webhook(receiver, session))
    await offer(second, page(1), page(2), clock=clock)
    await second.deliver_due()
    assert [alert_id for alert_id, _ in receiver.told()] == [page(1).alert_id, page(2).alert_id]


async def test_a_kill_between_the_answer_and_our_note_repeats_under_the_same_key(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    class KilledError(Exception):
        pass

    class Dying(HttpNotifier):
        async def send(self, body: bytes, *, key: str, now_ms: int) -> notifiers.Reply:
            await super().send(body, key=key, now_ms=now_ms)
            raise KilledError

    first = make(Dying("webhook", receiver.url, session, webhook_body))
    await offer(first, page(), clock=clock)
    with pytest.raises(KilledError):
        await first.deliver_due()
    first.close()

    second = make(webhook(receiver, session))
    # What opens after the restart must not change what the repeated request says.
    await offer(second, page(2), clock=clock)
    await second.deliver_due()
    assert receiver.keys[0] == receiver.keys[1]
    assert receiver.bodies[0] == receiver.bodies[1]
    clock.now_ms += GROUP_MS
    await second.deliver_due()
    assert receiver.told()[2:] == [(page(2).alert_id, "open")]


async def test_retry_after_wins_over_the_backoff(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    receiver.answers = [web.Response(status=429, headers={"Retry-After": "30"})]
    box = make(webhook(receiver, session))
    await offer(box, page(), clock=clock)
    await box.deliver_due()
    clock.now_ms += 29_999
    await box.deliver_due()
    assert len(receiver.bodies) == 1
    clock.now_ms += 1
    assert await box.deliver_due() == 1
    assert receiver.keys[0] == receiver.keys[1]


async def test_retry_after_may_be_a_date(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    # 1732900000 is Fri, 29 Nov 2024 17:06:40 GMT.
    receiver.answers = [web.Response(status=503, headers={"Retry-After": "Fri, 29 Nov 2024 17:07:00 GMT"})]
    box = make(webhook(receiver, session))
    await offer(box, page(), clock=clock)
    await box.deliver_due()
    clock.now_ms += 19_999
    await box.deliver_due()
    assert len(receiver.bodies) == 1
    clock.now_ms += 1
    await box.deliver_due()
    assert len(receiver.bodies) == 2


@pytest.mark.parametrize("header", ["", "soon", "-5", "9" * 5000, "Fri, 99 Nov"])
async def test_a_retry_after_that_makes_no_sense_costs_at_most_an_hour(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock, header: str
) -> None:
    receiver.answers = [web.Response(status=429, headers={"Retry-After": header})]
    box = make(webhook(receiver, session))
    await offer(box, page(), clock=clock)
    await box.deliver_due()
    clock.now_ms += 60 * 60_000
    assert await box.deliver_due() == 1


async def test_a_failing_receiver_is_tried_at_doubling_intervals_up_to_the_limit(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    receiver.answers = [web.Response(status=500) for _ in range(6)]
    box = make(webhook(receiver, session))
    await offer(box, page(), clock=clock)
    start, tried = clock.now_ms, []
    for _ in range(40):
        before = len(receiver.bodies)
        await box.deliver_due()
        if len(receiver.bodies) > before:
            tried.append((clock.now_ms - start) // 1000)
        clock.now_ms += 1_000
    # Waits of 1, 2, 4, 8, 8, 8 seconds; the seventh try is taken.
    assert tried == [0, 1, 3, 7, 15, 23, 31]
    assert (await box.log())[0].status is Status.SENT


async def test_a_receiver_that_is_down_gets_the_page_when_it_is_back(
    session: aiohttp.ClientSession, make: Make, clock: Clock, receiver: Receiver
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    down = make(HttpNotifier("webhook", f"http://127.0.0.1:{port}/hook", session, webhook_body))
    await offer(down, page(), clock=clock)
    assert await down.deliver_due() == 0
    entry = (await down.log())[0]
    assert (entry.status, entry.attempts, entry.error) == (Status.PENDING, 1, "ClientConnectorError")
    down.close()

    clock.now_ms += 1_000
    back = make(webhook(receiver, session))
    await back.deliver_due()
    assert receiver.told() == [(page().alert_id, "open")]


async def test_a_hanging_receiver_holds_up_neither_the_other_route_nor_new_alerts(
    receiver: Receiver,
    session: aiohttp.ClientSession,
    make: Make,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notifiers, "REQUEST_TIMEOUT_S", 0.3)
    receiver.hang = asyncio.Event()
    told_slack = asyncio.Event()

    class Quick:
        route = "slack"

        def render(self, alerts: Sequence[Alert]) -> bytes:
            return b",".join(alert.alert_id.encode() for alert in alerts)

        async def send(self, body: bytes, *, key: str, now_ms: int) -> notifiers.Reply:
            told_slack.set()
            return notifiers.Reply(notifiers.Verdict.DELIVERED, "")

    box = make(webhook(receiver, session), Quick())
    await offer(box, page(1), clock=clock)
    delivering = asyncio.create_task(box.deliver_due())
    await asyncio.gather(receiver.arrived.wait(), told_slack.wait())
    # The webhook hangs at this point; writing down goes on.
    assert await offer(box, page(2), clock=clock) == 2
    assert not delivering.done()
    await delivering
    by_route = {entry.route: entry for entry in await box.log() if entry.alert.sku_id == "sku-1"}
    assert by_route["slack"].status is Status.SENT
    assert by_route["webhook"].status is Status.PENDING
    assert by_route["webhook"].error.startswith("no answer")


async def test_five_thousand_skus_at_once_are_at_most_three_messages(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    box = make(webhook(receiver, session))
    await offer(box, *(page(number) for number in range(5_000)), clock=clock)
    for _ in range(20):
        await box.deliver_due()
        clock.now_ms += GROUP_MS
    assert len(receiver.bodies) <= 3
    assert len(set(receiver.told())) == len(receiver.told()) == 5_000


def test_a_slack_message_of_many_names_some_and_counts_the_rest() -> None:
    text = json.loads(slack_body([page(number) for number in range(5_000)]))["text"]
    assert text.startswith("s1: 5,000 stock alerts, 0 closed\n")
    assert text.count("runs out") == 10
    assert text.endswith("and 4,990 more")


def test_a_hostile_name_cannot_ring_everybody_in_slack() -> None:
    assert escape_slack("<!channel> a & b") == "&lt;!channel&gt; a &amp; b"
    body = json.loads(slack_body([page(message="<!channel> <https://evil|click> runs out")]))
    assert "<" not in body["text"]
    assert body["mrkdwn"] is False


async def test_an_opening_that_nobody_tried_to_send_is_obsolete_once_it_closed(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    receiver.answers = [web.Response(status=500)]
    box = make(webhook(receiver, session))
    await offer(box, page(1), clock=clock)
    await box.deliver_due()
    await offer(box, page(2), clock=clock)
    await offer(box, resolved(2), clock=clock)
    clock.now_ms += 1_000
    for _ in range(3):
        await box.deliver_due()
        clock.now_ms += GROUP_MS
    assert {alert_id for alert_id, _ in receiver.told()} == {page(1).alert_id}
    statuses = {entry.alert.sku_id: entry.status for entry in await box.log()}
    assert statuses["sku-2"] is Status.OBSOLETE


async def test_a_closing_is_told_when_the_opening_may_have_arrived(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    receiver.answers = [web.Response(status=500)]
    box = make(webhook(receiver, session))
    await offer(box, page(), clock=clock)
    await box.deliver_due()
    await offer(box, resolved(), clock=clock)
    clock.now_ms += 1_000
    await box.deliver_due()
    assert receiver.told() == [(page().alert_id, "open"), (page().alert_id, "resolved")]


async def test_what_began_and_ended_unseen_is_not_told(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    box = make(webhook(receiver, session))
    assert await offer(box, resolved(), clock=clock) == 0
    await box.deliver_due()
    assert receiver.bodies == []


async def test_a_lost_outbox_does_not_tell_the_past_again_but_tells_what_is_open(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    long_ago = clock.now_ms - HEARD_LIFE_MS - 1
    digest = page(1, AlertState.NOTICE, long_ago)
    box = make(webhook(receiver, session))
    await offer(box, digest, page(2, at_ms=long_ago), clock=clock)
    await box.deliver_due()
    assert receiver.told() == [(page(2).alert_id, "open")]


async def test_a_digest_that_waited_an_hour_is_obsolete(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    receiver.answers = [web.Response(status=500)]
    box = make(webhook(receiver, session))
    await offer(box, page(1, AlertState.NOTICE), clock=clock)
    await box.deliver_due()
    clock.now_ms += NOTICE_LIFE_MS + 1
    await box.deliver_due()
    assert len(receiver.bodies) == 1
    assert (await box.log())[0].status is Status.OBSOLETE


async def test_a_body_that_is_refused_five_times_no_longer_holds_back_the_next_page(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    receiver.answers = [web.Response(status=400) for _ in range(5)]
    box = make(webhook(receiver, session))
    await offer(box, page(1), clock=clock)
    for _ in range(5):
        await box.deliver_due()
        clock.now_ms += SETTINGS.retry_most_ms
    await offer(box, page(2), clock=clock)
    await box.deliver_due()
    assert receiver.told()[-1] == (page(2).alert_id, "open")
    assert {entry.alert.sku_id: entry.status for entry in await box.log()} == {
        "sku-1": Status.REFUSED,
        "sku-2": Status.SENT,
    }


async def test_a_redirect_is_not_followed(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    receiver.answers = [web.Response(status=307, headers={"Location": receiver.url})]
    box = make(webhook(receiver, session))
    await offer(box, page(), clock=clock)
    assert await box.deliver_due() == 0
    assert len(receiver.bodies) == 1


async def test_a_replay_sends_nothing_and_logs_what_it_would_have_sent(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    box = make(webhook(receiver, session), replay_id="friday")
    await offer(box, page(), clock=clock)
    await offer(box, resolved(), clock=clock)
    assert await box.deliver_due() == 0
    assert receiver.bodies == []
    assert [(entry.route, entry.status, entry.alert.state) for entry in await box.log()] == [
        ("webhook", Status.WOULD_HAVE_SENT, AlertState.RESOLVED),
        ("webhook", Status.WOULD_HAVE_SENT, AlertState.OPEN),
    ]


async def test_a_replay_that_is_played_again_is_logged_again(tmp_path: Path, clock: Clock) -> None:
    class Replay:
        settings = Settings(board=BoardSettings(data_dir=str(tmp_path)))
        replay_id = "friday"

    for _ in range(2):
        box = Outbox.beside(cast("Board", Replay()), [])
        assert await offer(box, page(), clock=clock) == 1
        assert len(await box.log()) == 1
        box.close()


async def test_without_a_route_pages_are_in_the_would_have_sent_log(make: Make, clock: Clock) -> None:
    box = make()
    await offer(box, page(), clock=clock)
    assert [(entry.route, entry.status, entry.alert.message) for entry in await box.log()] == [
        ("log", Status.WOULD_HAVE_SENT, "Dress 1 runs out ~21:40.")
    ]


async def test_a_route_configured_later_does_not_send_what_was_only_logged(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    before = make()
    await offer(before, page(1), resolved(1), clock=clock)
    before.close()
    after = make(webhook(receiver, session))
    await offer(after, resolved(1), clock=clock)
    await after.deliver_due()
    assert receiver.bodies == []


async def test_run_takes_alerts_over_from_the_board_and_delivers_them(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    class OneAlert:
        def ready(self) -> None:
            return None

        def alerts(self) -> list[Alert]:
            return [page()]

        def now_ms(self) -> int:
            return clock.now_ms

    running = asyncio.create_task(make(webhook(receiver, session)).run(cast("Board", OneAlert())))
    await receiver.arrived.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert receiver.told() == [(page().alert_id, "open")]


async def test_a_url_is_read_from_its_file_and_shown_nowhere(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    secret = tmp_path / "slack"
    secret.write_text("https://hooks.example/T0/secret\n")
    (route,) = notifiers_of(NotifySettings(slack_webhook_file=str(secret)), session)
    assert route.route == "slack"
    assert "secret" not in repr(route)


@pytest.mark.parametrize("content", ["", "not a url", "ftp://host/x", "https://"])
async def test_a_file_without_a_url_is_refused_by_name_of_its_key(
    tmp_path: Path, session: aiohttp.ClientSession, content: str
) -> None:
    secret = tmp_path / "hook"
    secret.write_text(content)
    with pytest.raises(SettingsError, match=r"notify\.webhook_url_file"):
        notifiers_of(NotifySettings(webhook_url_file=str(secret)), session)


async def test_a_file_that_is_not_there_is_refused_by_name_of_its_key(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(SettingsError, match=r"notify\.slack_webhook_file"):
        notifiers_of(NotifySettings(slack_webhook_file=str(tmp_path / "none")), session)


def test_the_documented_body_has_the_fields_that_are_sent() -> None:
    document = (Path(__file__).parents[3] / "docs" / "ALERTS.md").read_text(encoding="utf-8")
    example = json.loads(document.split("```json")[1].split("```")[0])
    sent = json.loads(webhook_body([page(sold_by=SoldBy("LIVE", "live-1", 0.7))]))
    assert example.keys() == sent.keys()
    assert example["alerts"][0].keys() == sent["alerts"][0].keys()
    assert example["alerts"][0]["sold_by"].keys() == sent["alerts"][0]["sold_by"].keys()
    many = json.loads(webhook_body([page(number) for number in range(101)]))
    assert example["more"][0].keys() == many["more"][0].keys()
