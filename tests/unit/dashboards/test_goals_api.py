"""Goals over HTTP: look at them, set them, and who may not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from dashboards.server import Extras, build_app
from streams.errors import UnavailableError
from streams.events import Campaign
from tests.unit.dashboards.shops import NOW_MS, FixedBoard, empty_board, full_board
from tests.unit.streams.boards import flush_of

Client = TestClient[Any, Any]
CHANGE = {"X-Warroom": "1"}


class Topic:
    """A topic that keeps what it was given; full, it takes nothing."""

    def __init__(self) -> None:
        self.records: list[Campaign] = []
        self.full = False

    async def publish_campaign(self, campaign: Campaign) -> None:
        if self.full:
            what = "The topic is full."
            raise UnavailableError(what)
        self.records.append(campaign)


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def shown() -> FixedBoard:
    return full_board()


@pytest.fixture
async def client(shown: FixedBoard, topic: Topic) -> AsyncIterator[Client]:
    client: Client = TestClient(TestServer(build_app(shown, Extras(campaigns=topic))))
    await client.start_server()
    yield client
    await client.close()


async def put(client: Client, body: object, *, campaign: str = "bf", **more: Any) -> tuple[int, Any]:
    answer = await client.put(f"/api/v1/goals/{campaign}", json=body, **{"headers": CHANGE} | more)
    return answer.status, await answer.json(content_type=None)


async def test_goals_are_shown_in_major_units_with_their_basis(client: Client) -> None:
    document = await (await client.get("/api/v1/goals")).json()
    (campaign,) = document["campaigns"]
    assert (campaign["campaign_id"], campaign["target"], campaign["unit"]) == ("bf", 30_000, "GBP")
    assert campaign["running"] is True
    gmv = (await (await client.get("/api/v1/query?metrics=gmv")).json())["rows"][0]["gmv"]
    assert campaign["progress"]["value"] == pytest.approx(gmv)
    assert campaign["progress"]["share"] == pytest.approx(gmv / 30_000)
    assert campaign["progress"]["basis"] in {"plan", "reference", "straight"}


async def test_a_goal_that_is_set_is_the_next_version_of_the_campaigns_record(
    client: Client, topic: Topic, shown: FixedBoard
) -> None:
    status, told = await put(client, {"value": 45_000, "by": "Anna"})
    (record,) = topic.records
    assert (status, told["target"], told["version"]) == (202, 45_000, 2)
    assert (record.target_value, record.version, record.target_changed_by) == (45_000, 2, "Anna")
    assert record.target_changed_at_ms == record.occurred_at_ms == NOW_MS
    shown.columns.apply(flush_of([record], zone="Europe/London", number=2))
    document = await (await client.get("/api/v1/goals")).json()
    (campaign,) = document["campaigns"]
    assert campaign["target"] == 45_000
    (first, second) = campaign["history"]
    assert (first["from_value"], first["to_value"]) == (None, 30_000)
    assert second == {
        "at_ms": NOW_MS,
        "by": "Anna",
        "from_metric": "gmv",
        "from_value": 30_000,
        "to_metric": "gmv",
        "to_value": 45_000,
    }


async def test_a_second_change_before_the_first_is_folded_builds_on_it(client: Client, topic: Topic) -> None:
    await put(client, {"value": 45_000, "by": "Anna"})
    await put(client, {"value": 50_000, "by": "Ben"})
    first, second = topic.records
    assert (first.version, second.version) == (2, 3)
    assert [step.value for step in second.target_history] == [30_000, 45_000]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"value": -1, "by": "Anna"}, 400, "bad_request"),
        ({"value": 1e300, "by": "Anna"}, 400, "bad_request"),
        ({"value": "much", "by": "Anna"}, 400, "bad_request"),
        ({"value": 45_000}, 400, "bad_request"),
        ({"value": 45_000, "by": " \n "}, 422, "bad_request"),
        ({"value": 45_000, "by": "Anna", "metric": "smiles"}, 400, "bad_request"),
        ({"value": 45_000, "by": "Anna", "goal": 3}, 400, "bad_request"),
        ({"value": 30_000, "by": "Anna"}, 422, "unchanged"),
        ({"value": 45_000, "by": "Anna", "version": 7}, 409, "other_version"),
        ([], 400, "bad_request"),
    ],
)
async def test_what_is_no_goal_is_refused_and_nothing_sent(
    client: Client, topic: Topic, body: object, status: int, reason: str
) -> None:
    answered, problem = await put(client, body)
    assert (answered, problem["reason"]) == (status, reason)
    assert topic.records == []


async def test_a_campaign_or_shop_that_nobody_knows_is_not_found(client: Client, topic: Topic) -> None:
    assert (await put(client, {"value": 1, "by": "Anna"}, campaign="other"))[0] == 404
    assert (await put(client, {"value": 1, "by": "Anna"}, params={"shop": "other"}))[0] == 404
    assert (await client.get("/api/v1/goals?shop=other")).status == 404
    assert topic.records == []


async def test_a_foreign_page_cannot_set_a_goal(client: Client, topic: Topic) -> None:
    body = {"value": 1, "by": "Mallory"}
    assert (await put(client, body, headers={}))[0] == 403
    assert (await put(client, body, headers={**CHANGE, "Origin": "http://evil.example"}))[0] == 403
    assert topic.records == []


async def test_a_topic_that_takes_nothing_is_told(client: Client, topic: Topic) -> None:
    topic.full = True
    status, problem = await put(client, {"value": 1, "by": "Anna"})
    assert (status, problem["reason"]) == (503, "unavailable")


async def test_without_a_broker_goals_can_only_be_read() -> None:
    async with TestClient(TestServer(build_app(full_board()))) as client:
        assert (await client.get("/api/v1/goals")).status == 200
        answer = await client.put("/api/v1/goals/bf", json={"value": 1, "by": "A"}, headers=CHANGE)
        assert answer.status == 409


async def test_a_board_that_is_not_whole_shows_no_goal() -> None:
    board = empty_board()
    board.waiting = "loading"
    async with TestClient(TestServer(build_app(board))) as client:
        assert (await client.get("/api/v1/goals")).status == 503
