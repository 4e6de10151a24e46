"""PagerDuty Events v2: what is sent, what an answer means, that the key is nowhere else."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from dashboards.delivery import Status
from dashboards.desk import Desk
from dashboards.outbox import Outbox
from dashboards.pagerduty import MOST_KEY, MOST_SUMMARY, dedup_key, event_body
from dashboards.routes import notifiers_of
from dashboards.store import SqliteStore
from streams.errors import SettingsError
from streams.incidents import Ack, IncidentState
from streams.rule import Owner, Severity
from streams.settings import NotifySettings
from streams.settings_check import checked_settings
from tests.unit.dashboards.receivers import Clock, Receiver, page, receiving, resolved, telling

SECRET = "R0UT1NGKEY"
SETTINGS = NotifySettings(board_url="https://board.example", runbook_url="https://docs.example/RUNBOOK.md")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as one:
        yield one


@pytest.fixture
def settings(receiver: Receiver, tmp_path: Path) -> NotifySettings:
    (tmp_path / "key").write_text(SECRET + "\n")
    return replace(
        SETTINGS, pagerduty_key_file=str(tmp_path / "key"), pagerduty_url=receiver.url, group_wait_ms=0
    )


@pytest.fixture
async def box(
    settings: NotifySettings, session: aiohttp.ClientSession, tmp_path: Path, clock: Clock
) -> AsyncIterator[Outbox]:
    kept, shared = (SqliteStore(tmp_path / "outbox.sqlite3", name) for name in ("outbox", "desk"))
    yield Outbox(kept, Desk(shared), notifiers_of(settings, session), settings, clock=clock)
    await kept.close()
    await shared.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def event(*alerts: Any, state: IncidentState = IncidentState.OPEN, **more: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(event_body([telling(*alerts, state=state, **more)], SETTINGS))
    return document


async def deliver(box: Outbox, clock: Clock, times: int = 10) -> None:
    for _ in range(times):
        await box.offer([], now_ms=clock.now_ms)
        await box.deliver_due()
        clock.now_ms += 1_000


# --- what is sent -------------------------------------------------------------------------------------------------


def test_a_page_triggers_under_its_own_key_with_what_an_on_call_needs() -> None:
    alert = page(
        severity=Severity.WARNING,
        owner=Owner.ADS,
        runbook="stock",
        advice="add stock",
        money_minor=410_050,
        figures={"to_add": 162},
    )
    found = event(alert)
    assert (found["event_action"], found["dedup_key"]) == ("trigger", alert.alert_id)
    payload = found["payload"]
    assert payload["summary"] == alert.message
    assert payload["severity"] == "warning"
    assert payload["timestamp"] == "2024-11-29T17:06:40+00:00"
    assert (payload["component"], payload["group"], payload["class"]) == ("Dress 1", "c1", "oos_forecast")
    details = payload["custom_details"]
    assert (details["money"], details["currency"], details["figures"]) == (4100.5, "USD", {"to_add": 162})
    assert (details["advice"], details["owner"], details["alerts"]) == ("add stock", "ads", 1)
    assert "acknowledgement given here alone is not seen" in details["acknowledge"]
    assert [link["href"] for link in found["links"]] == [
        "https://docs.example/RUNBOOK.md#stock",
        "https://board.example",
    ]


@pytest.mark.parametrize(
    ("severity", "theirs"),
    [(Severity.PAGE, "critical"), (Severity.WARNING, "warning"), (Severity.NOTE, "info")],
)
def test_severities_are_theirs(severity: Severity, theirs: str) -> None:
    assert event(page(severity=severity))["payload"]["severity"] == theirs


def test_a_group_is_as_severe_as_its_worst_and_names_ten() -> None:
    group = [page(number, severity=Severity.WARNING, money_minor=100) for number in range(39)] + [page(40)]
    payload = event(*group)["payload"]
    assert payload["severity"] == "critical"
    assert payload["summary"].startswith("40 alerts at once. SKU runs out (A-01), s1, campaign c1.")
    assert (len(payload["custom_details"]["first"]), payload["custom_details"]["more"]) == (10, 30)
    assert payload["custom_details"]["money"] == 39.0


def test_acknowledge_and_resolve_carry_the_key_and_no_payload() -> None:
    for state, action in ((IncidentState.ACKNOWLEDGED, "acknowledge"), (IncidentState.RESOLVED, "resolve")):
        found = event(page(), state=state, by="Ann")
        assert (found["event_action"], found["dedup_key"]) == (action, page().alert_id)
        assert "payload" not in found


def test_a_long_message_is_cut_and_long_keys_stay_different() -> None:
    assert len(event(page(message="x" * 5_000))["payload"]["summary"]) == MOST_SUMMARY
    keys = [dedup_key("a" * 400 + end) for end in ("1", "2")]
    assert all(len(key) <= MOST_KEY for key in keys)
    assert len(set(keys)) == 2
    assert dedup_key("short") == "short"


def test_a_hostile_name_is_text_in_json() -> None:
    hostile = '"}, "event_action": "resolve", \u202e<script>'
    found = event(page(name=hostile, message=hostile))
    assert found["event_action"] == "trigger"
    assert found["payload"]["component"] == hostile


# --- what an answer means -----------------------------------------------------------------------------------------


async def test_open_acknowledged_and_resolved_are_three_events_under_one_key(
    box: Outbox, receiver: Receiver, clock: Clock
) -> None:
    await box.offer([page()], now_ms=clock.now_ms)
    await deliver(box, clock, 2)
    await box._desk.acknowledge([page().alert_id], Ack("Ann", clock.now_ms))
    await deliver(box, clock, 2)
    await box.offer([resolved()], now_ms=clock.now_ms)
    await deliver(box, clock, 2)
    key = page().alert_id
    assert receiver.events() == [("trigger", key), ("acknowledge", key), ("resolve", key)]
    assert {body["routing_key"] for body in receiver.bodies} == {SECRET}


async def test_202_is_delivered(box: Outbox, receiver: Receiver, clock: Clock) -> None:
    receiver.answers = [web.Response(status=202)]
    await box.offer([page()], now_ms=clock.now_ms)
    await deliver(box, clock)
    assert [entry.status for entry in await box.log()] == [Status.SENT]
    assert len(receiver.bodies) == 1


async def test_429_waits_as_long_as_it_says_and_sends_the_same_event(
    box: Outbox, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers = [web.Response(status=429, headers={"Retry-After": "30"})]
    await box.offer([page()], now_ms=clock.now_ms)
    await deliver(box, clock, 30)
    assert len(receiver.bodies) == 1
    await deliver(box, clock, 2)
    assert len(receiver.bodies) == 2
    assert receiver.bodies[0] == receiver.bodies[1]


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_an_outage_is_waited_out(box: Outbox, receiver: Receiver, clock: Clock, status: int) -> None:
    receiver.answers = [web.Response(status=status) for _ in range(3)]
    await box.offer([page()], now_ms=clock.now_ms)
    await deliver(box, clock, 20)
    assert [entry.status for entry in await box.log()] == [Status.SENT]
    assert len(set(receiver.events())) == 1


async def test_400_is_given_up_and_the_next_page_goes_out(
    box: Outbox, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers = [web.Response(status=400) for _ in range(5)]
    await box.offer([page(1)], now_ms=clock.now_ms)
    await deliver(box, clock, 40)
    await box.offer([page(2)], now_ms=clock.now_ms)
    await deliver(box, clock, 40)
    statuses = {entry.subject: entry.status for entry in await box.log()}
    assert statuses == {page(1).alert_id: Status.REFUSED, page(2).alert_id: Status.SENT}


# --- the key ------------------------------------------------------------------------------------------------------


async def test_the_routing_key_is_in_the_request_alone(
    box: Outbox, receiver: Receiver, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.answers = [web.Response(status=500), web.Response(status=400)]
    await box.offer([page()], now_ms=clock.now_ms)
    await deliver(box, clock)
    assert receiver.bodies[0]["routing_key"] == SECRET
    assert SECRET not in caplog.text
    assert all(SECRET not in repr(entry) for entry in await box.log())
    assert all(SECRET not in repr(notifier) for notifier in box._notifiers)
    stored = stored_in(tmp_path)
    assert page().alert_id.encode() in stored
    assert SECRET.encode() not in stored


@pytest.mark.parametrize("content", ["", "two\nlines"])
async def test_a_key_file_without_one_line_is_refused_by_name_of_its_setting(
    settings: NotifySettings, session: aiohttp.ClientSession, content: str
) -> None:
    write(settings.pagerduty_key_file, content)
    with pytest.raises(SettingsError, match=r"notify\.pagerduty_key_file"):
        notifiers_of(settings, session)


async def test_with_an_alertmanager_only_the_webhook_remains(
    settings: NotifySettings, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    for name in ("slack", "ads", "hook"):
        (tmp_path / name).write_text(f"https://hooks.example/{name}")
    own = replace(
        settings,
        slack_webhook_file=str(tmp_path / "slack"),
        slack_owner_files={"ads": str(tmp_path / "ads")},
        webhook_url_file=str(tmp_path / "hook"),
    )
    assert [each.route for each in notifiers_of(own, session)] == [
        "pagerduty",
        "slack",
        "slack-ads",
        "webhook",
    ]
    held = replace(own, alertmanager_url="http://127.0.0.1:9093")
    assert [each.route for each in notifiers_of(held, session)] == ["webhook"]


def test_the_documented_settings_are_accepted() -> None:
    page = (Path(__file__).parents[3] / "docs" / "DELIVERY.md").read_text(encoding="utf-8")
    document = tomllib.loads(page.split("```text")[1].split("```")[0])
    notify = checked_settings(document, place="docs/DELIVERY.md").notify
    assert notify.escalation == ("pagerduty", "slack", "slack-ads")
    assert set(notify.slack_owner_files) == {"ads", "platform"}


@pytest.mark.parametrize(
    "notify",
    [
        {"escalation": ["pager"]},
        {"slack_owner_files": {"adds": "x"}, "slack_webhook_file": "y"},
        {"slack_owner_files": {"ads": "x"}},
    ],
)
def test_a_route_or_an_owner_that_does_not_exist_is_refused(notify: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"notify\."):
        checked_settings({"notify": notify}, place="warroom.toml")


def stored_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("outbox.sqlite3*"))


def write(file: str, content: str) -> None:
    Path(file).write_text(content)
