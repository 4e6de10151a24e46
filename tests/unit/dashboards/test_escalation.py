"""Who rings when: grouping, acknowledgements, escalation, mutes; on a set clock and each kind of store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from dashboards import notifiers
from dashboards.delivery import Status
from dashboards.desk import Desk
from dashboards.outbox import Outbox
from dashboards.store import SqliteStore, Store
from streams.alerts import Alert, AlertRoute, AlertState
from streams.days import MINUTE_MS
from streams.incidents import Ack, Mute
from streams.rule import Owner
from streams.settings import NotifySettings
from tests.unit.dashboards.receivers import Clock, Recorder, channel, page, resolved
from tests.unit.dashboards.stores import KINDS, store_maker

SETTINGS: Final = NotifySettings()
WAIT_MS: Final = SETTINGS.group_wait_ms


class World:
    """A board's outbox with PagerDuty, Slack, a channel of the ads team and a webhook, all without a network."""

    def __init__(self, kept: Store, shared: Store, settings: NotifySettings = SETTINGS) -> None:
        self.clock = Clock()
        self.pagerduty = Recorder("pagerduty")
        self.pagerduty.acknowledges = True
        self.slack = Recorder("slack")
        self.ads = Recorder("slack-ads")
        self.webhook = Recorder("webhook", per_alert=True)
        self.desk = Desk(shared)
        routes = [self.pagerduty, self.slack, self.ads, self.webhook]
        self.box = Outbox(kept, self.desk, routes, settings, clock=self.clock)

    async def tell(self, *alerts: Alert, after_ms: int = 0) -> None:
        """Let time pass, offer alerts, wait for the group and deliver."""
        self.clock.now_ms += after_ms
        await self.box.offer(alerts, now_ms=self.clock.now_ms)
        self.clock.now_ms += WAIT_MS
        await self.look()

    async def look(self, after_ms: int = 0) -> None:
        """Let time pass and do what is due."""
        self.clock.now_ms += after_ms
        await self.box.offer([], now_ms=self.clock.now_ms)
        for _ in range(5):
            await self.box.deliver_due()

    async def ack(self, alert: Alert, by: str = "Ann") -> None:
        """Take an alert on, at any board."""
        await self.desk.acknowledge([alert.alert_id], Ack(by, self.clock.now_ms))

    async def mute(self, *, minutes: int = 60, **what: str) -> str:
        """Mute, at any board; return the mute's id."""
        now_ms = self.clock.now_ms
        await self.desk.mute(Mute("m1", "Ann", "", now_ms, now_ms + minutes * MINUTE_MS, **what))
        return "m1"


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    new_store = store_maker(request, tmp_path)
    kept, shared = new_store("outbox"), new_store("desk")
    yield World(kept, shared)
    await kept.close()
    await shared.close()


KEY: Final = page().alert_id


# --- who is told --------------------------------------------------------------------------------------------------


async def test_a_page_goes_to_pagerduty_and_a_channel_message_to_its_owners_channel(world: World) -> None:
    await world.tell(page(), channel(2, Owner.ADS), channel(3, Owner.FINANCE))
    assert world.pagerduty.told == [(KEY, "open")]
    assert world.ads.told == [(channel(2).alert_id, "open")]
    assert world.slack.told == [(channel(3).alert_id, "open")]
    assert {key for key, _ in world.webhook.told} == {KEY, channel(2).alert_id, channel(3).alert_id}


async def test_a_digest_goes_to_slack_and_a_panel_note_nowhere(world: World) -> None:
    digest = page(1, AlertState.NOTICE, route=AlertRoute.DIGEST)
    await world.tell(digest, page(2, route=AlertRoute.PANEL))
    assert world.slack.told == [(digest.alert_id, "notice")]
    assert world.pagerduty.told == []
    assert world.webhook.told == [(digest.alert_id, "notice")]


# --- what rings together ------------------------------------------------------------------------------------------


async def test_two_pages_are_two_incidents_and_three_are_one(world: World) -> None:
    await world.tell(page(1), page(2))
    assert sorted(world.pagerduty.told) == [(page(1).alert_id, "open"), (page(2).alert_id, "open")]
    world.pagerduty.told.clear()
    # Another campaign is another group, and has no incident yet.
    many = [page(number, campaign_id="c2", alert_id=f"c2/{number}") for number in range(3)]
    await world.tell(*many)
    assert world.pagerduty.told == [("c2/0+", "open")]


async def test_five_thousand_skus_in_one_evaluation_are_at_most_three_messages_to_each_receiver(
    world: World,
) -> None:
    alerts = [page(number) for number in range(5_000)]
    # The board sees a large publication in pieces.
    for start, end in ((0, 1), (1, 2), (2, 1_700), (1_700, 5_000)):
        await world.tell(*alerts[start:end])
    for _ in range(60):
        await world.look(after_ms=1_000)
    assert 1 <= len(world.pagerduty.told) <= 3
    assert len(set(world.pagerduty.told)) == len(world.pagerduty.told)
    assert world.slack.told == world.ads.told == []
    group = next(key for key, _ in world.pagerduty.told if key.endswith("+"))
    for number in range(5_000):
        alerts[number] = resolved(number)
    await world.tell(*alerts[:4_999], after_ms=20 * MINUTE_MS)
    assert (group, "resolved") not in world.pagerduty.told
    await world.tell(alerts[4_999])
    assert world.pagerduty.told.count((group, "resolved")) == 1
    told = [key for key, state in world.pagerduty.told if state == "open"]
    closed = [key for key, state in world.pagerduty.told if state == "resolved"]
    assert sorted(told) == sorted(closed)


async def test_what_opens_after_the_window_rings_again(world: World) -> None:
    await world.tell(*(page(number) for number in range(10)))
    await world.tell(page(11))
    assert [key for key, _ in world.pagerduty.told] == [f"{page(0).alert_id}+"]
    await world.tell(page(12), after_ms=SETTINGS.group_window_ms)
    assert world.pagerduty.told[-1] == (page(12).alert_id, "open")


async def test_what_opens_after_somebody_took_the_group_on_rings_again(world: World) -> None:
    await world.tell(*(page(number) for number in range(10)))
    await world.ack(page(3))
    await world.tell(page(11), after_ms=MINUTE_MS)
    assert world.pagerduty.told[-1] == (page(11).alert_id, "open")


async def test_an_alert_that_closes_while_it_waits_for_others_is_told_to_nobody(world: World) -> None:
    await world.box.offer([page()], now_ms=world.clock.now_ms)
    await world.tell(resolved())
    assert world.pagerduty.told == []


# --- escalation ---------------------------------------------------------------------------------------------------


async def test_a_page_that_nobody_acknowledged_goes_to_the_next_route_after_five_minutes(
    world: World,
) -> None:
    await world.tell(page())
    await world.look(after_ms=5 * MINUTE_MS - 1)
    assert world.slack.told == []
    await world.look(after_ms=1)
    assert world.slack.told == [(KEY, "open")]
    await world.look(after_ms=60 * MINUTE_MS)
    assert (len(world.slack.told), len(world.pagerduty.told)) == (1, 1)


async def test_each_route_of_the_escalation_gets_its_five_minutes(tmp_path: Path) -> None:
    routes = ("pagerduty", "slack", "slack-ads")
    kept, shared = (store_of(tmp_path, name) for name in ("outbox", "desk"))
    world = World(kept, shared, replace(SETTINGS, escalation=routes))
    await world.tell(page(owner=Owner.OPS))
    seen = []
    for minute in range(1, 12):
        await world.look(after_ms=MINUTE_MS)
        seen.append((minute, len(world.slack.told), len(world.ads.told)))
    assert (4, 0, 0) in seen
    assert (5, 1, 0) in seen
    assert (9, 1, 0) in seen
    assert (10, 1, 1) in seen
    await kept.close()
    await shared.close()


async def test_an_acknowledged_page_is_not_escalated_and_pagerduty_is_told(world: World) -> None:
    await world.tell(page())
    await world.ack(page())
    await world.look(after_ms=MINUTE_MS)
    assert world.pagerduty.told == [(KEY, "open"), (KEY, "acknowledged")]
    await world.look(after_ms=60 * MINUTE_MS)
    assert world.slack.told == []
    await world.tell(resolved())
    assert world.pagerduty.told[-1] == (KEY, "resolved")


async def test_a_closed_page_is_not_escalated(world: World) -> None:
    await world.tell(page())
    await world.tell(resolved(), after_ms=MINUTE_MS)
    await world.look(after_ms=60 * MINUTE_MS)
    assert world.slack.told == []


async def test_an_acknowledgement_of_one_is_one_of_all_that_rang_with_it(world: World) -> None:
    await world.tell(*(page(number) for number in range(10)))
    await world.ack(page(3), by="Ben")
    await world.look()
    assert {ack.by for ack in world.desk.acks.values()} == {"Ben"}
    assert len(world.desk.acks) == 10
    await world.look(after_ms=60 * MINUTE_MS)
    assert world.slack.told == []


async def test_a_page_escalates_while_the_first_receiver_is_down(world: World) -> None:
    world.pagerduty.reply = notifiers.Reply(notifiers.Verdict.LATER, "HTTP 500")
    await world.tell(page())
    await world.look(after_ms=5 * MINUTE_MS)
    assert world.slack.told == [(KEY, "open")]


async def test_a_page_that_the_first_receiver_refuses_goes_to_the_next_at_once(world: World) -> None:
    world.pagerduty.reply = notifiers.Reply(notifiers.Verdict.REFUSED, "HTTP 400")
    await world.tell(page())
    for _ in range(60):
        await world.look(after_ms=1_000)
    assert world.slack.told == [(KEY, "open")]
    assert (await world.box.log())[-1].status in (Status.REFUSED, Status.SENT)


async def test_a_closing_goes_wherever_the_page_went(world: World) -> None:
    await world.tell(page())
    await world.look(after_ms=5 * MINUTE_MS)
    await world.tell(resolved())
    assert world.pagerduty.told[-1] == (KEY, "resolved")
    assert world.slack.told[-1] == (KEY, "resolved")


async def test_without_pagerduty_a_page_goes_to_slack_at_once(tmp_path: Path) -> None:
    clock, slack = Clock(), Recorder("slack")
    kept, shared = (store_of(tmp_path, name) for name in ("outbox", "desk"))
    box = Outbox(kept, Desk(shared), [slack], SETTINGS, clock=clock)
    await box.offer([page()], now_ms=clock.now_ms)
    clock.now_ms += WAIT_MS
    await box.offer([], now_ms=clock.now_ms)
    await box.deliver_due()
    assert slack.told == [(KEY, "open")]
    await kept.close()
    await shared.close()


async def test_a_channel_message_is_never_escalated(world: World) -> None:
    await world.tell(channel())
    await world.look(after_ms=60 * MINUTE_MS)
    assert (len(world.ads.told), world.slack.told, world.pagerduty.told) == (1, [], [])


# --- mutes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what", [{"rule": "A-01"}, {"entity": "sku-1"}, {"shop_id": "s1"}, {"rule": "A-01", "shop_id": "s1"}]
)
async def test_what_is_muted_is_told_to_nobody_and_when_it_is_unmuted_it_is_told(
    world: World, what: dict[str, str]
) -> None:
    mute_id = await world.mute(minutes=60, **what)
    await world.tell(page())
    await world.look(after_ms=10 * MINUTE_MS)
    assert world.pagerduty.told == world.slack.told == world.webhook.told == []
    await world.desk.unmute(mute_id)
    await world.look()
    assert world.pagerduty.told == [(KEY, "open")]
    assert world.webhook.told == [(KEY, "open")]


@pytest.mark.parametrize(
    "what", [{"rule": "A-02"}, {"entity": "sku-2"}, {"shop_id": "s2"}, {"rule": "A-01", "shop_id": "s2"}]
)
async def test_a_mute_of_something_else_holds_nothing_back(world: World, what: dict[str, str]) -> None:
    await world.mute(minutes=60, **what)
    await world.tell(page())
    assert world.pagerduty.told == [(KEY, "open")]


async def test_a_mute_ends_by_itself(world: World) -> None:
    await world.mute(minutes=30, rule="A-01")
    await world.tell(page())
    await world.look(after_ms=30 * MINUTE_MS)
    assert world.pagerduty.told == [(KEY, "open")]


async def test_what_opened_and_closed_under_a_mute_is_told_to_nobody(world: World) -> None:
    mute_id = await world.mute(rule="A-01")
    await world.tell(page())
    await world.tell(resolved(), after_ms=MINUTE_MS)
    await world.desk.unmute(mute_id)
    await world.look()
    assert world.pagerduty.told == world.webhook.told == []


async def test_a_muted_page_is_not_escalated_but_what_was_told_is_closed(world: World) -> None:
    await world.tell(page())
    await world.mute(minutes=120, rule="A-01")
    await world.look(after_ms=60 * MINUTE_MS)
    assert world.slack.told == []
    await world.tell(resolved())
    assert world.pagerduty.told == [(KEY, "open"), (KEY, "resolved")]


async def test_somebody_who_has_it_before_it_rang_is_not_rung(world: World) -> None:
    await world.box.offer([page()], now_ms=world.clock.now_ms)
    await world.ack(page())
    await world.look(after_ms=WAIT_MS)
    assert world.pagerduty.told == []


# --- restarts -----------------------------------------------------------------------------------------------------


async def test_acknowledgements_mutes_and_escalations_survive_a_restart(tmp_path: Path) -> None:
    first = World(store_of(tmp_path, "outbox"), store_of(tmp_path, "desk"))
    await first.tell(page(1), page(2))
    await first.ack(page(1))
    await first.mute(rule="A-02")
    await first.box.close()
    await first.desk.close()

    second = World(store_of(tmp_path, "outbox"), store_of(tmp_path, "desk"))
    second.clock.now_ms = first.clock.now_ms
    await second.desk.refresh()
    await second.tell(page(1), page(2), page(3, rule="A-02"))
    assert second.pagerduty.told == [(KEY, "acknowledged")]
    await second.look(after_ms=5 * MINUTE_MS)
    assert second.slack.told == [(page(2).alert_id, "open")]
    await second.box.close()
    await second.desk.close()


def store_of(folder: Path, name: str) -> Store:
    return SqliteStore(folder / "outbox.sqlite3", name)
