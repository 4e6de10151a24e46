"""The evaluator: when it evaluates, what it publishes, and that nothing is lost between rules and sink."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import pytest

from agents.evaluation import LEAST_PAUSE_S, Evaluator
from streams.alerts import Alert, AlertRoute, AlertState
from streams.columns import Columns
from streams.days import HOUR_MS, MINUTE_MS
from streams.errors import UnavailableError
from streams.events import Fact, Shop
from streams.goals import GoalProgress
from streams.rule import Reading, Rule
from streams.rule_context import RuleContext
from streams.rulebook import rules_of
from streams.settings import Settings
from streams.stock import SkuStock, StockStatus
from tests.unit.streams.boards import SHOP, flush_of, heartbeat, line, order, settings, stock
from tests.unit.streams.test_stock import NOW, campaign, sales

T = TypeVar("T")

DAY: list[Fact] = [
    *sales("A1", 60, 24),
    stock("A1", 60, NOW),
    campaign(NOW + 12 * HOUR_MS, "A", target_value=10_000.0),
    heartbeat(["orders", "stock"], NOW),
]
"""Sixty an hour and sixty left: out in an hour."""


class FakeBoard:
    """A board whose clock and facts a test moves."""

    badge = ""

    def __init__(self, events: Sequence[Fact] = DAY) -> None:
        self.replay_id = ""
        self.settings: Settings = settings()
        self.columns = Columns(self.settings)
        self.clock_ms = NOW
        self.waiting_for: str | None = None
        self.known: list[Alert] = []
        self._flushes = 0
        self.take(*events)

    def take(self, *events: Fact) -> None:
        self._flushes += 1
        self.columns.apply(flush_of(list(events), partition=self._flushes))

    def now_ms(self) -> int:
        return self.clock_ms

    def ready(self) -> str | None:
        return self.waiting_for

    def alerts(self) -> Sequence[Alert]:
        return self.known

    async def in_turn(self, work: Callable[[], T]) -> T:
        return work()

    async def changed(self, since: int) -> int:
        return self.columns.version


class Kept:
    """A sink that keeps what it is given, or is down."""

    def __init__(self) -> None:
        self.stocks: list[SkuStock] = []
        self.goal_rows: list[GoalProgress] = []
        self.said: list[Alert] = []
        self.down = False

    def _check(self) -> None:
        if self.down:
            raise UnavailableError("down")

    async def publish_projections(self, rows: Sequence[SkuStock]) -> None:
        self._check()
        self.stocks += rows

    async def publish_progress(self, rows: Sequence[GoalProgress]) -> None:
        self._check()
        self.goal_rows += rows

    async def publish_alerts(self, alerts: Sequence[Alert]) -> None:
        self._check()
        self.said += alerts


@pytest.fixture
def board() -> FakeBoard:
    return FakeBoard()


@pytest.fixture
def sink() -> Kept:
    return Kept()


async def on(evaluator: Evaluator, board: FakeBoard, by_ms: int) -> bool:
    """Move the clock, let the feeds say that they are alive, and step."""
    board.clock_ms += by_ms
    board.take(heartbeat(["orders", "stock"], board.clock_ms))
    return await evaluator.step()


def costly_looks(monkeypatch: pytest.MonkeyPatch, costs_s: Sequence[float]) -> Callable[[], int]:
    """Make looks cost so much processor time each, in this order; the result says how many there were."""
    clock_s, looks = 0.0, 0

    def evaluated(*_: object, **__: object) -> list[Alert]:
        nonlocal clock_s, looks
        clock_s += costs_s[looks]
        looks += 1
        return []

    monkeypatch.setattr("agents.evaluation.evaluate", evaluated)
    monkeypatch.setattr("agents.evaluation.time.process_time", lambda: clock_s)
    return lambda: looks


async def test_projections_progress_and_pages_are_published(board: FakeBoard, sink: Kept) -> None:
    evaluator = Evaluator(board, sink)
    assert await evaluator.step()
    assert [(row.sku_id, row.status, row.on_hand) for row in sink.stocks] == [("A1", StockStatus.AT_RISK, 60)]
    assert [(goal.campaign_id, goal.target) for goal in sink.goal_rows] == [("c1", 1_000_000)]
    assert sink.said == []
    await on(evaluator, board, MINUTE_MS)
    (alert,) = sink.said
    assert (alert.rule, alert.sku_id, alert.state) == ("A-01", "A1", AlertState.OPEN)


async def test_nothing_is_evaluated_before_the_board_is_whole(board: FakeBoard, sink: Kept) -> None:
    board.waiting_for = "loading"
    assert not await Evaluator(board, sink).step()
    assert sink.stocks == []


async def test_the_boards_clock_decides_when_the_next_evaluation_is_due(board: FakeBoard, sink: Kept) -> None:
    evaluator = Evaluator(board, sink)
    every_ms = board.settings.board.evaluate_every_ms
    assert await evaluator.step()
    assert not await on(evaluator, board, every_ms - 1)
    assert await on(evaluator, board, 1)


async def test_what_has_not_changed_is_not_published_again(board: FakeBoard, sink: Kept) -> None:
    evaluator = Evaluator(board, sink)
    await evaluator.step()
    stocks, goals = len(sink.stocks), len(sink.goal_rows)
    board.clock_ms += board.settings.board.evaluate_every_ms
    await evaluator.step()
    assert (len(sink.stocks), len(sink.goal_rows)) == (stocks, goals)
    board.take(order("new", board.clock_ms, [line("1", "A1", 1_000)]), stock("A1", 59, board.clock_ms))
    await on(evaluator, board, board.settings.board.evaluate_every_ms)
    assert (sink.stocks[-1].on_hand, sink.goal_rows[-1].value) == (59, sink.goal_rows[0].value + 1_000)


async def test_an_alert_that_could_not_be_published_is_published_later_once(
    board: FakeBoard, sink: Kept
) -> None:
    evaluator = Evaluator(board, sink)
    await evaluator.step()
    sink.down = True
    with pytest.raises(UnavailableError):
        await on(evaluator, board, MINUTE_MS)
    assert sink.said == []
    sink.down = False
    # Not due yet: what is owed goes out all the same.
    assert not await on(evaluator, board, 0)
    assert len(sink.said) == 1
    await on(evaluator, board, MINUTE_MS)
    assert len(sink.said) == 1


async def test_a_restarted_board_goes_on_with_the_alerts_that_it_knows(board: FakeBoard, sink: Kept) -> None:
    first = Evaluator(board, sink)
    await first.step()
    await on(first, board, MINUTE_MS)
    board.known = list(sink.said)

    second = Evaluator(board, sink)
    await on(second, board, MINUTE_MS)
    await on(second, board, MINUTE_MS)
    assert len(sink.said) == 1
    board.take(stock("A1", 0, board.clock_ms))
    await on(second, board, MINUTE_MS)
    assert [(alert.rule, alert.state) for alert in sink.said[1:]] == [
        ("A-01", AlertState.OPEN),
        ("A-02", AlertState.OPEN),
    ]
    assert sink.said[1].alert_id == sink.said[0].alert_id


async def test_while_catching_up_only_that_it_is_behind_is_told(sink: Kept) -> None:
    board = FakeBoard([event for event in DAY if event.event_type != "heartbeat"])
    evaluator = Evaluator(board, sink)
    board.clock_ms = NOW + 3 * HOUR_MS
    for minute in range(1, 30):
        # The feed moves on, three hours behind the clock.
        past_ms = NOW + minute * MINUTE_MS
        board.take(order(f"late-{minute}", past_ms, [line("1", "A1", 1_000)]))
        board.clock_ms += MINUTE_MS
        assert await evaluator.step()
    # First to the channel; that it does not catch up within minutes pages.
    told = [(alert.rule, alert.state, alert.route) for alert in sink.said]
    assert told == [
        ("A-64", AlertState.OPEN, AlertRoute.CHANNEL),
        ("A-64", AlertState.RESOLVED, AlertRoute.CHANNEL),
        ("A-64", AlertState.OPEN, AlertRoute.PAGE),
    ]
    board.take(
        *(
            order(
                f"now-{minute}", board.clock_ms - minute * MINUTE_MS, [line("1", "A1", 1_000)], f"c{minute}"
            )
            for minute in range(150)
        ),
        stock("A1", 30, board.clock_ms),
    )
    await on(evaluator, board, MINUTE_MS)
    await on(evaluator, board, MINUTE_MS)
    assert [alert.rule for alert in sink.said[3:]] == ["A-01"]


async def test_on_a_replay_the_rules_look_at_the_time_that_is_folded(board: FakeBoard, sink: Kept) -> None:
    board.replay_id = "r"
    board.columns.vouch(NOW)
    evaluator = Evaluator(board, sink)
    # The player is two hours ahead: by then sixty would be long gone, were they not folded yet.
    board.clock_ms = NOW + 2 * HOUR_MS
    assert await evaluator.step()
    (seen,) = sink.stocks
    assert seen.eta_ms is not None
    assert abs(seen.eta_ms - (NOW + HOUR_MS)) < 30 * MINUTE_MS
    board.columns.vouch(NOW + MINUTE_MS)
    assert await evaluator.step()
    (page,) = sink.said
    assert page.opened_at_ms == NOW + MINUTE_MS


async def test_a_dead_order_feed_makes_the_stock_unknown_and_is_all_that_is_told(
    board: FakeBoard, sink: Kept
) -> None:
    evaluator = Evaluator(board, sink)
    await evaluator.step()
    for _ in range(3):
        board.clock_ms += 20 * MINUTE_MS
        await evaluator.step()
    # The rules on stock are held; that the feed is dead while the campaign runs is an incident of its own, and the
    # digest of the next hour says how old its figures are.
    incidents = [alert for alert in sink.said if alert.state is not AlertState.NOTICE]
    assert [(alert.rule, alert.entity_id) for alert in incidents] == [("A-65", "orders")]
    assert ["orders silent" in alert.message for alert in sink.said if alert not in incidents] == [True]
    assert (sink.stocks[-1].status, sink.stocks[-1].unknown_because) == (StockStatus.UNKNOWN, "stale_orders")


async def test_running_tries_an_unavailable_sink_again_and_pauses_between(
    board: FakeBoard, sink: Kept
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        board.clock_ms += MINUTE_MS
        board.take(heartbeat(["orders", "stock"], board.clock_ms))
        sink.down = len(pauses) < 3
        if len(pauses) == 6:
            raise asyncio.CancelledError

    sink.down = True
    with pytest.raises(asyncio.CancelledError):
        await Evaluator(board, sink, sleep=sleep).run()
    assert len(sink.said) == 1
    assert min(pauses) >= LEAST_PAUSE_S


@pytest.mark.parametrize(
    ("costs_s", "pauses_s"),
    [
        ((3.0, 0.2, 0.2, 0.3), [0.5, 0.8, 0.8, 0.8]),
        ((0.5, 0.5, 0.5, 0.5), [0.5, 2.0, 2.0, 2.0]),
        ((0.1, 4.0, 0.1, 0.1), [0.5, 0.5, 0.5, 0.5]),
    ],
)
async def test_a_pause_follows_what_looks_cost_but_not_what_one_of_them_did(
    board: FakeBoard, costs_s: tuple[float, ...], pauses_s: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    costs, pauses = list(costs_s), []
    looked = costly_looks(monkeypatch, costs)

    async def sleep(seconds: float) -> None:
        pauses.append(round(seconds, 3))
        board.clock_ms += MINUTE_MS
        if looked() == len(costs):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Evaluator(board, Kept(), sleep=sleep).run()
    assert pauses == pauses_s


async def test_looks_at_which_nothing_is_due_do_not_shorten_the_pause_of_those_that_cost(
    board: FakeBoard, sink: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    costly_looks(monkeypatch, [3.0, 3.0, 60.0, 3.0])

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        # Evaluated, nothing due, evaluated, a sink that is away, evaluated.
        board.clock_ms += 0 if len(pauses) == 1 else MINUTE_MS
        board.take(order(f"o{len(pauses)}", board.clock_ms, [line("1", "A1", 1_000)]))
        sink.down = len(pauses) == 3
        if len(pauses) == 5:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Evaluator(board, sink, sleep=sleep).run()
    assert pauses == [0.5, 0.5, 12.0, 0.5, 12.0]


async def test_a_wait_for_the_columns_is_no_cost_of_a_look(
    board: FakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s, pauses = 0.0, []
    monkeypatch.setattr("agents.evaluation.time.process_time", lambda: clock_s)
    in_turn = board.in_turn

    async def after_others(work: Callable[[], T]) -> T:
        nonlocal clock_s
        clock_s += 30.0
        return await in_turn(work)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        board.clock_ms += MINUTE_MS
        if len(pauses) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(board, "in_turn", after_others)
    with pytest.raises(asyncio.CancelledError):
        await Evaluator(board, Kept(), sleep=sleep).run()
    assert pauses == [LEAST_PAUSE_S] * 3


async def test_a_rule_that_breaks_is_told_once_and_silences_no_other_until_it_is_whole(
    board: FakeBoard, sink: Kept, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(_: RuleContext) -> Iterable[Reading]:
        raise KeyError("one bad record")

    def rules(*, broken: bool) -> Callable[[Settings], tuple[Rule, ...]]:
        first, *others = rules_of(board.settings)
        first = dataclasses.replace(first, number="A-98", find=breaks if broken else lambda _: ())
        return lambda _: (first, *rules_of(board.settings), *others)

    async def look() -> None:
        with pytest.raises(asyncio.CancelledError):
            await evaluator.run()

    async def sleep(_: float) -> None:
        board.clock_ms += MINUTE_MS
        board.take(heartbeat(["orders", "stock"], board.clock_ms))
        raise asyncio.CancelledError

    evaluator = Evaluator(board, sink, sleep=sleep)
    monkeypatch.setattr("agents.evaluation.rules_of", rules(broken=True))
    await look()
    await look()
    assert [alert.rule for alert in sink.said] == ["A-01"]
    assert sink.stocks
    assert evaluator.ended_ms is None, "what watches it pages"
    (record,) = caplog.records
    assert record.getMessage() == "Rule A-98 of shop s1 cannot be evaluated."
    monkeypatch.setattr("agents.evaluation.rules_of", rules(broken=False))
    await look()
    assert evaluator.ended_ms is not None


async def test_stock_that_cannot_be_projected_leaves_the_rules_on_feeds(
    board: FakeBoard, sink: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> list[SkuStock]:
        raise ZeroDivisionError

    monkeypatch.setattr("streams.rule_context.stock_table", breaks)
    cut_off = Shop(
        event_id="profile",
        event_type="shop",
        shop_id=SHOP,
        occurred_at_ms=NOW,
        currency="USD",
        timezone="UTC",
        version=1,
        connected=False,
    )
    board.take(cut_off)
    assert await Evaluator(board, sink).step()
    assert [alert.rule for alert in sink.said] == ["A-66"]
    assert sink.goal_rows
    assert sink.stocks == []


async def test_shops_are_evaluated_under_their_own_id(board: FakeBoard, sink: Kept) -> None:
    await Evaluator(board, sink).step()
    assert {row.shop_id for row in sink.stocks} == {SHOP}


async def test_a_shop_of_the_settings_that_never_sent_anything_is_told_of_beside_one_that_sends(
    board: FakeBoard, sink: Kept
) -> None:
    board.settings = settings()
    board.settings.shops["s2"] = dataclasses.replace(
        board.settings.shops[SHOP], shop_id="s2", required_topics=("orders",)
    )
    evaluator = Evaluator(board, sink)
    await evaluator.step()
    await on(evaluator, board, MINUTE_MS)
    alert = next(alert for alert in sink.said if alert.shop_id == "s2")
    assert (alert.rule, alert.entity_id, alert.route) == ("A-64", "orders", AlertRoute.CHANNEL)
    assert "has never sent anything" in alert.message


async def test_a_shop_without_a_stock_feed_has_progress_but_no_projections(sink: Kept) -> None:
    board = FakeBoard([event for event in DAY if event.event_type in ("order_paid", "campaign")])
    assert await Evaluator(board, sink).step()
    assert (len(sink.goal_rows), sink.stocks, sink.said) == (1, [], [])
