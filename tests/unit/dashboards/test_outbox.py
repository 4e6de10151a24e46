"""The outbox against receivers that are slow, busy, broken, hanging or down; on each kind of store."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import aiohttp
import pytest
from aiohttp import web

from dashboards import notifiers
from dashboards.delivery import Status
from dashboards.desk import Desk
from dashboards.ledger import HEARD_LIFE_MS
from dashboards.messages import escape_slack, slack_body, webhook_body
from dashboards.notifiers import GROUP_MS, HttpNotifier, Notifier
from dashboards.outbox import Outbox
from dashboards.routes import notifiers_of
from dashboards.store import Store, stores_beside
from streams.alerts import Alert, AlertState, SoldBy
from streams.board import Board
from streams.errors import SettingsError
from streams.incidents import NOTICE_LIFE_MS
from streams.settings import BoardSettings, NotifySettings, Settings
from tests.unit.dashboards.receivers import Clock, Receiver, Recorder, page, receiving, resolved, telling
from tests.unit.dashboards.stores import KINDS, store_maker

Make = Callable[..., Outbox]
SETTINGS = NotifySettings(retry_first_ms=1_000, retry_most_ms=8_000)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=KINDS)
async def make(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Make]:
    stores: list[Store] = []
    new_store = store_maker(request, tmp_path)

    def build(*routes: Notifier, replay_id: str = "") -> Outbox:
        kept, shared = new_store("outbox"), new_store("desk")
        stores.extend((kept, shared))
        return Outbox(kept, Desk(shared), routes, SETTINGS, replay_id=replay_id, clock=clock)

    yield build
    for store in stores:
        await store.close()


def webhook(receiver: Receiver, session: aiohttp.ClientSession, route: str = "webhook") -> HttpNotifier:
    return HttpNotifier(route, receiver.url, session, webhook_body, per_alert=True)


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
    await first.close()

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

    first = make(Dying("webhook", receiver.url, session, webhook_body, per_alert=True))
    await offer(first, page(), clock=clock)
    with pytest.raises(KilledError):
        await first.deliver_due()
    await first.close()

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
    down = make(
        HttpNotifier("webhook", f"http://127.0.0.1:{port}/hook", session, webhook_body, per_alert=True)
    )
    await offer(down, page(), clock=clock)
    assert await down.deliver_due() == 0
    entry = (await down.log())[0]
    assert (entry.status, entry.attempts, entry.error) == (Status.PENDING, 1, "ClientConnectorError")
    await down.close()

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

    class Quick(Recorder):
        async def send(self, body: bytes, *, key: str, now_ms: int) -> notifiers.Reply:
            told_slack.set()
            return await super().send(body, key=key, now_ms=now_ms)

    box = make(webhook(receiver, session), Quick("slack", per_alert=True))
    await offer(box, page(1), clock=clock)
    delivering = asyncio.create_task(box.deliver_due())
    await asyncio.gather(receiver.arrived.wait(), told_slack.wait())
    # The webhook hangs at this point; writing down goes on.
    assert await offer(box, page(2), clock=clock) == 1
    assert not delivering.done()
    await delivering
    by_route = {entry.route: entry for entry in await box.log() if entry.subject == page(1).alert_id}
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


def test_a_slack_message_of_a_group_names_some_and_counts_the_rest() -> None:
    text = json.loads(slack_body([telling(*(page(number) for number in range(5_000)))]))["text"]
    assert text.startswith("5,000 alerts at once. SKU runs out (A-01), s1, campaign c1.\n")
    assert text.count("runs out ~") == 10
    assert text.endswith("and 4,990 more")


def test_a_slack_message_of_many_incidents_names_some_and_counts_the_rest() -> None:
    text = json.loads(slack_body([telling(page(number)) for number in range(40)]))["text"]
    assert text.startswith("s1: 40 alerts, 0 closed\n")
    assert text.count("runs out") == 10
    assert text.endswith("and 30 more")


def test_a_slack_message_of_long_names_ends_before_slack_cuts_it() -> None:
    long = [telling(page(number, message="<" * 900)) for number in range(10)]
    text = json.loads(slack_body(long))["text"]
    assert len(text) < 4_000
    assert "more lines" in text


def test_a_hostile_name_cannot_ring_everybody_in_slack() -> None:
    assert escape_slack("<!channel> a & b") == "&lt;!channel&gt; a &amp; b"
    hostile = page(message="<!channel> <https://evil|click> runs out", title="<!here>")
    for said in ([telling(hostile)], [telling(hostile, hostile)], [telling(hostile), telling(page(2))]):
        body = json.loads(slack_body(said))
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
    statuses = {entry.subject: entry.status for entry in await box.log()}
    assert statuses[page(2).alert_id] is Status.OBSOLETE


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
    assert {entry.subject: entry.status for entry in await box.log()} == {
        page(1).alert_id: Status.REFUSED,
        page(2).alert_id: Status.SENT,
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
    assert [(entry.route, entry.status, entry.state) for entry in await box.log()] == [
        ("webhook", Status.WOULD_HAVE_SENT, "resolved"),
        ("webhook", Status.WOULD_HAVE_SENT, "open"),
    ]


async def test_a_replay_that_is_played_again_is_logged_again(tmp_path: Path, clock: Clock) -> None:
    class Replay:
        settings = Settings(board=BoardSettings(data_dir=str(tmp_path)))
        replay_id = "friday"

    for _ in range(2):
        kept, shared = stores_beside(cast("Board", Replay()))
        box = Outbox(kept, Desk(shared), [], SETTINGS, replay_id="friday", clock=clock)
        assert await offer(box, page(), clock=clock) == 1
        assert len(await box.log()) == 1
        await box.close()
        await shared.close()


async def test_without_a_route_pages_are_in_the_would_have_sent_log(make: Make, clock: Clock) -> None:
    box = make()
    await offer(box, page(), clock=clock)
    assert [(entry.route, entry.status, entry.text) for entry in await box.log()] == [
        ("log", Status.WOULD_HAVE_SENT, "Dress 1 runs out ~21:40.")
    ]


async def test_a_route_configured_later_does_not_send_what_was_only_logged(
    receiver: Receiver, session: aiohttp.ClientSession, make: Make, clock: Clock
) -> None:
    before = make()
    await offer(before, page(1), resolved(1), clock=clock)
    await before.close()
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
    document = (Path(__file__).parents[3] / "docs" / "DELIVERY.md").read_text(encoding="utf-8")
    example = json.loads(document.split("```json")[1].split("```")[0])
    sent = json.loads(webhook_body([telling(page(sold_by=SoldBy("LIVE", "live-1", 0.7)))]))
    assert example.keys() == sent.keys()
    assert example["alerts"][0].keys() == sent["alerts"][0].keys()
    assert example["alerts"][0]["sold_by"].keys() == sent["alerts"][0]["sold_by"].keys()
    many = json.loads(webhook_body([telling(page(number)) for number in range(101)]))
    assert example["more"][0].keys() == many["more"][0].keys()
