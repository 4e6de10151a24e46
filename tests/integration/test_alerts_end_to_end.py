"""From a record on the topic to the message at the receiver: real Kafka, Alertmanager, Prometheus and processes.

Both ways of delivery, by Alertmanager and by the outbox, go through the same day: a page within a minute of its cause,
one end after the restock, nothing else; whoever is killed, an incident opens once and closes once.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from agents import topics
from dashboards.alertmanager.generate import PACES, Pace
from dashboards.delivery import Delivery, Status
from dashboards.prometheus.generate import OUTPUT
from dashboards.store import SqliteStore
from streams.incidents import Incident, IncidentState
from streams.topics import replay_prefix
from tests.alertmanager_process import QUICK, Alertmanager
from tests.kafka_broker import KafkaBroker
from tests.processes import free_port, running_prometheus
from tests.receivers import PagerDuty, Slack
from tests.selling import Selling, noon_zone
from tests.warroom_process import Warroom
from warroom.configuration import for_replay, load

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(170)]

PAGE_WITHIN_S: Final = 60.0
SETTLED_S: Final = 5.0
NUMBERS: Final = itertools.count(1)
SHIPPED: Final = Path(__file__).resolve().parents[2] / "dashboards/prometheus/prometheus.yml"

Way = str
"""`alertmanager` or `outbox`."""


@dataclass
class Day:
    """A campaign day under way: its receivers, what sells, and the processes of the war room."""

    slack: Slack
    pagerduty: PagerDuty
    alertmanager: Alertmanager
    board: Warroom
    selling: Selling


def written_config(
    folder: Path,
    kafka: KafkaBroker,
    prefix: str,
    port: int,
    shops: list[str],
    notify: dict[str, Any],
    evaluate_every_ms: int,
) -> Path:
    lines = [
        "[kafka]",
        f'bootstrap = "{kafka.bootstrap}"',
        f'prefix = "{prefix}"',
        "partitions = 2",
        "[board]",
        f"port = {port}",
        f'data_dir = "{folder}/data"',
        f"evaluate_every_ms = {evaluate_every_ms}",
        "[rules.clear_ms]",
        '"A-02" = 1000',
        "[notify]",
        *(f"{key} = {json.dumps(value)}" for key, value in notify.items()),
    ]
    for shop in shops:
        lines += [f"[shops.{shop}]", f'timezone = "{noon_zone()}"', 'currency = "USD"']
    path = folder / "warroom.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def notify_of(
    way: Way, folder: Path, alertmanagers: list[str], slack: Slack, pagerduty: PagerDuty
) -> dict[str, Any]:
    """Return the settings of a way of delivery."""
    if way == "alertmanager":
        return {
            "alertmanager_url": ",".join(alertmanagers),
            # What is open must outlive a restart of the board on a busy machine, as it does by default.
            "alertmanager_repost_ms": 12_000,
            "retry_first_ms": 200,
        }
    (folder / "slack").write_text(slack.url, encoding="utf-8")
    (folder / "key").write_text("key-ops", encoding="utf-8")
    return {
        "slack_webhook_file": str(folder / "slack"),
        "pagerduty_key_file": str(folder / "key"),
        "pagerduty_url": pagerduty.url,
        "retry_first_ms": 200,
        "retry_most_ms": 2_000,
    }


@contextlib.asynccontextmanager
async def day_of(
    folder: Path,
    kafka: KafkaBroker,
    way: Way,
    *,
    shops: list[str],
    paces: dict[str, Pace] = QUICK,
    more_alertmanagers: tuple[str, ...] = (),
    board_alone: bool = False,
    evaluate_every_ms: int = 500,
) -> AsyncIterator[Day]:
    """Begin a day whose board is whole, in a world of its own; the board in a process of its own if it is killed."""
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(Slack())
        pagerduty = await stack.enter_async_context(PagerDuty())
        alertmanager = await stack.enter_async_context(Alertmanager(folder, slack, pagerduty, paces=paces))
        notify = notify_of(way, folder, [alertmanager.url, *more_alertmanagers], slack, pagerduty)
        prefix, port = f"day{next(NUMBERS)}.", free_port()
        config = written_config(folder, kafka, prefix, port, shops, notify, evaluate_every_ms)
        await topics.ensure(load(config))
        if board_alone:
            await stack.enter_async_context(Warroom(config, "worker"))
        running = "board" if board_alone else "up"
        board = await stack.enter_async_context(Warroom(config, running, port=port))
        selling = await stack.enter_async_context(Selling(kafka.bootstrap, prefix, shops))
        await board.ready()
        try:
            yield Day(slack, pagerduty, alertmanager, board, selling)
        except AssertionError as error:
            error.add_note(f"Slack was told: {[text[:200] for text in slack.texts()]}")
            error.add_note(f"the board:\n{board.log()}\nAlertmanager:\n{alertmanager.log()}")
            raise


def pages(said: dict[str, Any]) -> list[str]:
    """Return the states of pages among alerts; at the turn of an hour a digest stands beside them."""
    return [one["state"] for one in said["alerts"] if one["route"] == "page"]


async def replay_a_stock_out(folder: Path, kafka: KafkaBroker, day: Day, webhook: Slack) -> None:
    """Let a SKU run out and come back on a replay that has every receiver of a live day set.

    Of another shop than the live one: what it told would be an incident of its own, not lost among the live ones.
    """
    replay_id, port = f"friday{next(NUMBERS)}", free_port()
    notify = notify_of("outbox", folder, [], day.slack, day.pagerduty)
    notify |= notify_of("alertmanager", folder, [day.alertmanager.url], day.slack, day.pagerduty)
    # Beside Alertmanager the outbox itself tells the webhook only; what else it would tell: test_delivery.py.
    (folder / "webhook").write_text(webhook.url, encoding="utf-8")
    notify["webhook_url_file"] = str(folder / "webhook")
    config = written_config(folder, kafka, "cm.", port, ["recorded"], notify, 500)
    await topics.ensure(for_replay(load(config), replay_id))
    async with (
        Warroom(config, "up", "--replay", replay_id, port=port) as board,
        Selling(kafka.bootstrap, replay_prefix(replay_id), ["recorded"], replay_id=replay_id) as selling,
    ):
        await board.ready()
        await selling.sells("A1")
        await selling.level(0, "A1")
        await board.until("/api/v1/alerts", lambda said: pages(said) == ["open"])
        # Alertmanager would tell nobody of what ends within its wait.
        await asyncio.sleep(float(PACES["page"].wait.removesuffix("s")) + SETTLED_S)
        await selling.level(500, "A1")
        await board.until("/api/v1/alerts", lambda said: pages(said) == ["resolved"])
        await asyncio.sleep(SETTLED_S)


# --- the page, the end, and nothing else --------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def prometheus_of(folder: Path, day: Day) -> AsyncIterator[None]:
    """Run Prometheus on the shipped configuration and rules, at a test's pace."""
    rules = folder / "rules"
    rules.mkdir()
    text = OUTPUT.read_text(encoding="utf-8")
    head, _, body = text.partition("\n")
    document = json.loads(body)
    (down,) = [rule for rule in document["groups"][0]["rules"] if rule["alert"] == "WarRoomBoardDown"]
    down["for"] = "2s"
    (rules / "pipeline.rules.yml").write_text(f"{head}\n{json.dumps(document)}", encoding="utf-8")
    config = SHIPPED.read_text(encoding="utf-8")
    for old, new in {
        "board:8321": day.board.url.removeprefix("http://"),
        "alertmanager:9093": day.alertmanager.url.removeprefix("http://"),
        "scrape_interval: 5s": "scrape_interval: 1s",
        "scrape_timeout: 4s": "scrape_timeout: 1s",
        "evaluation_interval: 15s": "evaluation_interval: 1s",
        "    authorization:\n      type: Bearer\n      credentials_file: /run/secrets/board_token\n": "",
    }.items():
        assert old in config, old
        config = config.replace(old, new)
    manager = running_prometheus(folder, config)
    await asyncio.to_thread(manager.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


async def test_a_stock_out_pages_within_a_minute_and_ends_once_and_a_replay_beside_it_tells_nobody(
    tmp_path: Path, kafka: KafkaBroker
) -> None:
    # The shipped waits and evaluations; only what follows the first message is quicker.
    paces = {**PACES, "page": Pace(PACES["page"].wait, "3s", "4h")}
    async with (
        day_of(tmp_path, kafka, "alertmanager", shops=["s1"], paces=paces, evaluate_every_ms=5_000) as day,
        prometheus_of(tmp_path, day),
        Slack() as webhook,
    ):
        await day.selling.sells("A1")
        await day.board.until("/api/v1/query?metrics=orders", lambda said: said["rows"][0]["orders"] == 20)
        (tmp_path / "replay").mkdir()
        replay = asyncio.create_task(replay_a_stock_out(tmp_path / "replay", kafka, day, webhook))
        caused_s = time.monotonic()
        await day.selling.level(0, "A1")
        await day.pagerduty.until(lambda: day.pagerduty.opened() == 1, within_s=PAGE_WITHIN_S)
        assert day.pagerduty.requests[0].at_s - caused_s < PAGE_WITHIN_S
        await day.slack.until(lambda: len(day.slack.texts()) == 1)

        await day.selling.level(500, "A1")
        await day.pagerduty.until(lambda: day.pagerduty.closed() == 1)
        await replay
        await asyncio.sleep(SETTLED_S)
        assert [one.events for one in day.pagerduty.incidents().values()] == [["trigger", "resolve"]]
        assert len(day.slack.texts()) == 2
        assert webhook.requests == []
        assert "A1 is out of stock" in day.slack.texts()[0]
        assert "Resolved: A1 was restocked" in day.slack.texts()[1]

        await day.board.kill()
        await day.pagerduty.until(lambda: len(day.pagerduty.accepted) > 2, within_s=PAGE_WITHIN_S)
        assert day.pagerduty.accepted[2]["payload"]["class"] == "WarRoomBoardDown"
        assert day.pagerduty.accepted[2]["routing_key"] == "key-platform"


# --- whoever is killed --------------------------------------------------------------------------------------------


async def each_way_at_once(folder: Path, play: Callable[[Way, Path], Awaitable[None]]) -> None:
    """Play both ways at a time: they wait most of it."""

    async def one(way: Way) -> None:
        place = folder / way
        place.mkdir()
        try:
            await play(way, place)
        except AssertionError as error:
            error.add_note(f"way: {way}")
            raise

    async with asyncio.TaskGroup() as group:
        for way in ("alertmanager", "outbox"):
            group.create_task(one(way))


async def test_a_killed_board_opens_every_incident_once_and_closes_it_once(
    tmp_path: Path, kafka: KafkaBroker
) -> None:
    async def play(way: Way, folder: Path) -> None:
        shops = ["one", "two", "three"]
        async with day_of(folder, kafka, way, shops=shops, board_alone=True) as day:
            pagerduty, selling = day.pagerduty, day.selling
            for shop in shops:
                await selling.sells("A1", shop=shop)

            # Away when the cause arrives.
            await day.board.kill()
            await selling.level(0, "A1", shop="one")
            await restarted(day)
            await pagerduty.until(lambda: pagerduty.opened() == 1)

            # While it tells of one incident, and another one is open.
            await selling.level(0, "A1", shop="two")
            await asyncio.sleep(1.2)
            await day.board.kill()
            await restarted(day)
            await pagerduty.until(lambda: pagerduty.opened() == 2)

            # While it tells of an end, after another one, and while a third is open.
            await selling.level(500, "A1", shop="one")
            await selling.level(0, "A1", shop="three")
            await pagerduty.until(lambda: (pagerduty.opened(), pagerduty.closed()) == (3, 1))
            await selling.level(500, "A1", shop="two")
            await asyncio.sleep(1.7)
            await day.board.kill()
            await restarted(day)
            await pagerduty.until(lambda: pagerduty.closed() == 2)

            await selling.level(500, "A1", shop="three")
            await pagerduty.until(lambda: pagerduty.closed() == 3)
            await asyncio.sleep(SETTLED_S)
            assert pagerduty.verdict() == [(1, 1)] * 3

    await each_way_at_once(tmp_path, play)


async def restarted(day: Day) -> None:
    day.board.start()
    await day.board.ready()


# --- whoever fails ------------------------------------------------------------------------------------------------


async def test_receivers_that_hang_hold_up_neither_counting_nor_evaluation(
    tmp_path: Path, kafka: KafkaBroker
) -> None:
    async def play(way: Way, folder: Path) -> None:
        async with (
            Slack() as silent,
            day_of(folder, kafka, way, shops=["s1"], more_alertmanagers=(silent.base,)) as day,
        ):
            silent.hanging = day.slack.hanging = day.pagerduty.hanging = True
            await day.selling.sells("A1", "B1")
            await day.selling.level(0, "A1")
            await day.pagerduty.until(lambda: len(day.pagerduty.requests) > 0)
            began_s = time.monotonic()
            await day.selling.sells(*(f"C{number}" for number in range(50)))
            await day.board.until(
                "/api/v1/query?metrics=orders&shop=s1",
                lambda said: said["rows"][0]["orders"] == 40,
                within_s=10,
            )
            await day.selling.level(0, "B1")
            await day.board.until("/api/v1/alerts", lambda said: len(said["alerts"]) == 2, within_s=10)
            # Not a second more than on a day when everybody answers.
            assert time.monotonic() - began_s < 10
            assert day.pagerduty.accepted == []
            day.slack.release()
            day.pagerduty.release()
            await day.pagerduty.until(lambda: day.pagerduty.opened() >= 1, within_s=30)
            await day.selling.level(500, "A1", "B1")
            await day.pagerduty.until(lambda: day.pagerduty.opened() == day.pagerduty.closed(), within_s=30)
            assert all(one == (1, 1) for one in day.pagerduty.verdict())

    await each_way_at_once(tmp_path, play)


async def test_five_thousand_skus_at_once_are_at_most_three_messages(
    tmp_path: Path, kafka: KafkaBroker
) -> None:
    skus = [f"A{number}" for number in range(5_000)]

    async def play(way: Way, folder: Path) -> None:
        async with day_of(folder, kafka, way, shops=["s1"], paces=PACES) as day:
            await day.selling.sells(*skus, sold=6)
            await day.board.until(
                "/api/v1/query?metrics=orders&shop=s1", lambda said: said["rows"][0]["orders"] == 300
            )
            await day.selling.level(0, *skus)
            await day.board.until(
                "/api/v1/alerts", lambda said: len(said["alerts"]) + said["more"] == len(skus), within_s=40
            )
            # The shipped waits: a busy machine finds the storm in many looks, which shorter ones would tell one by one.
            # Those of a second look have the page of the first before them, and go to the channel. In the
            # outbox, what opens after a message was written joins its incident in silence.
            if way == "outbox":
                assert await rang(folder, at_least=len(skus), within_s=90) == set(skus)
            else:
                await day.pagerduty.until(
                    lambda: named(day.pagerduty.accepted) + named(day.slack.accepted) >= len(skus),
                    within_s=90,
                )
            await asyncio.sleep(SETTLED_S + 1)
            assert len(day.pagerduty.requests) <= 3
            assert len(day.slack.requests) <= 3
            assert day.pagerduty.verdict() == [(1, 0)]

    await each_way_at_once(tmp_path, play)


async def rang(folder: Path, *, at_least: int, within_s: float) -> set[str]:
    """Return the SKUs in the incidents whose opening a receiver has taken, as the outbox's books name them."""
    store = SqliteStore(folder / "data/outbox.sqlite3", "outbox")
    deadline, found = time.monotonic() + within_s, set[str]()
    try:
        while len(found) < at_least and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
            entries = await store.read()
            deliveries = [
                msgspec.msgpack.decode(value, type=Delivery)
                for key, value in entries.items()
                if key.startswith("delivery/")
            ]
            told = {
                each.subject
                for each in deliveries
                if each.status is Status.SENT and each.state is IncidentState.OPEN
            }
            incidents = [
                msgspec.msgpack.decode(entries[f"incident/{subject}"], type=Incident) for subject in told
            ]
            # An id is shop, campaign, rule, SKU and day.
            found = {member.split("/")[3] for each in incidents for member in each.members}
    finally:
        await store.close()
    return found


def named(accepted: Sequence[Any]) -> int:
    """Return how many SKUs a receiver was told of: the most of `2554 open`, or of ten and `2544 more`."""
    counts = re.findall(r"(\d+) (open|more)", json.dumps(list(accepted)))
    return max((int(count) + (10 if word == "more" else 0) for count, word in counts), default=0)
