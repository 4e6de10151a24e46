"""Evaluate stock, goals and rules on the board's clock, once, and publish what came of it.

The board that holds the lease (or the only board) runs one `Evaluator`. All arithmetic is in `streams/`; what is here
is when to evaluate, what has changed enough to be published, and that no alert is lost between rules and sink.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from streams.days import MINUTE_MS
from streams.digest import digest
from streams.errors import UnavailableError
from streams.rule_context import Memo, RuleContext
from streams.rulebook import rules_of
from streams.rules import RuleState, evaluate
from streams.settings import ShopSettings

if TYPE_CHECKING:
    from streams.alerts import Alert
    from streams.board import Board
    from streams.goals import GoalProgress
    from streams.rule import Rule
    from streams.stock import SkuStock

logger = logging.getLogger(__name__)

LEAST_PAUSE_S: Final = 0.5
PAUSE_OF_COST: Final = 4
"""A pause is at least this many times what an evaluation costs, the less of the last two: at most a fifth of the
board's time is spent here, also when a replay's clock runs at 600 times. One that took long by itself, as the first of
cold caches does, is not paid off: a replay's hours would pass unseen. Looks at which nothing was due cost nothing and
count for nothing, nor does the wait for a turn with the columns or for a sink that is away: what it has not taken must
not come minutes late. Cost is time of processors: on a machine that is busy with other work an evaluation takes longer,
and no page must wait."""

_ETA_STEP_MS: Final = 5 * MINUTE_MS

_Row = TypeVar("_Row")


class Sink(Protocol):
    """Where evaluations go: the topics of a Kafka board, or a list when there is no broker.

    A method returns once what it was given is kept; what was given before a failure is given again.

    Raises:
        UnavailableError: it could not be kept.
    """

    async def publish_projections(self, rows: Sequence[SkuStock]) -> None:
        """Keep the newest projection of each SKU."""
        ...

    async def publish_progress(self, rows: Sequence[GoalProgress]) -> None:
        """Keep the newest progress of each campaign."""
        ...

    async def publish_alerts(self, alerts: Sequence[Alert]) -> None:
        """Keep the newest version of each alert, in this order."""
        ...


class Evaluator:
    """The stock, goals and rules agents of a board.

    Args:
        board: asked for its clock, columns and, at the first evaluation, the alerts it knows.
        sink: where results go.
        may: whether this board holds the lease; one that does not, forgets what it knows of incidents, and learns
            it again from the alerts topic when it gets the lease.
        sleep: waits between looks at the clock; injected by tests.

    Attributes:
        state: what the rules remember; None before the first evaluation and without the lease.
        ended_ms: wall time at which a look at the clock last ended without a fault, whether or not an evaluation was
            due: a replay whose clock stands has nothing to evaluate, and is well. None before the first. A rule that
            breaks is a fault until it is evaluated whole: what watches this time pages, while the other rules go on.
    """

    def __init__(
        self,
        board: Board,
        sink: Sink,
        *,
        may: Callable[[], bool] = lambda: True,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._board = board
        self._sink = sink
        self._may = may
        self._sleep = sleep
        self.ended_ms: int | None = None
        self.state: RuleState | None = None
        self._last_ms: int | None = None
        self._cost_s = 0.0
        self._heads: dict[str, int] = {}
        self._memo: Memo = {}
        self._unpublished: list[Alert] = []
        self._broken: dict[tuple[str, str], str] = {}
        self._published_stock: dict[tuple[str, str], tuple[object, ...]] = {}
        self._published_goals: dict[tuple[str, str], tuple[object, ...]] = {}

    async def run(self) -> None:
        """Evaluate until cancelled; an unavailable sink is tried again."""
        before_s = 0.0
        while True:
            pause_s = LEAST_PAUSE_S
            try:
                evaluated = await self.step()
                if not self._broken:
                    self.ended_ms = int(time.time() * 1000)
            except UnavailableError as error:
                logger.warning("Evaluation could not be published, will try again: %s", error)
            else:
                if evaluated:
                    pause_s = max(pause_s, PAUSE_OF_COST * min(self._cost_s, before_s))
                    before_s = self._cost_s
            await self._sleep(pause_s)

    async def step(self) -> bool:
        """Evaluate every shop if the board is ready and the next evaluation is due; return whether it was."""
        board = self._board
        if board.ready() is not None:
            return False
        if not self._may():
            self.state, self._unpublished, self._broken = None, [], {}
            return False
        if self._unpublished:
            await self._publish_alerts()
        now_ms = board.now_ms()
        if board.replay_id and board.columns.vouched_ms:
            # At 600x the player is ten minutes ahead of the fold, in which nothing would seem to have been sold.
            now_ms = min(now_ms, board.columns.vouched_ms)
        if self._last_ms is not None and now_ms - self._last_ms < board.settings.board.evaluate_every_ms:
            return False
        self._last_ms, self._cost_s = now_ms, 0.0
        if self.state is None:
            self.state = RuleState.restored(
                board.alerts(), digest_every_ms=board.settings.stock.digest_every_ms
            )
        # A shop that never sent anything has a feed that is missing, too.
        for shop_id in sorted({*await board.in_turn(board.columns.shops), *board.settings.shops}):
            shop = board.settings.shops.get(shop_id) or ShopSettings(shop_id)
            goals, rows = await board.in_turn(partial(self._evaluate_shop, self.state, shop, now_ms))
            await self._publish_goals(goals)
            await self._publish_alerts()
            await self._publish_stock(rows)
        return True

    def _evaluate_shop(
        self, state: RuleState, shop: ShopSettings, now_ms: int
    ) -> tuple[Sequence[GoalProgress], Sequence[SkuStock]]:
        """Look at a shop, all of it at one state of the columns; alerts wait in `_unpublished`."""
        began_s = time.process_time()
        settings = self._board.settings
        at_head = self._at_head(shop.shop_id, now_ms)
        context = RuleContext(
            self._board.columns, shop, settings, now_ms, state.incidents, at_head, self._memo
        )
        was_broken = {key: self._broken.pop(key) for key in list(self._broken) if key[0] == shop.shop_id}

        def broke(what: str, error: Exception) -> None:
            key, said = (shop.shop_id, what), repr(error)
            self._broken[key] = said
            if was_broken.get(key) != said:
                logger.error("%s of shop %s cannot be evaluated.", what, shop.shop_id, exc_info=error)

        def rule_broke(rule: Rule, error: Exception) -> None:
            broke(f"Rule {rule.number}", error)

        def tried(what: str, ask: Callable[[], Sequence[_Row]]) -> Sequence[_Row]:
            # One record that breaks one answer must not silence all the others.
            try:
                return ask()
            except Exception as error:
                broke(what, error)
                return ()

        goals = tried("Goal progress", lambda: context.goals)
        self._unpublished += evaluate(state, rules_of(settings), context, broke=rule_broke)
        self._unpublished += tried("The digest", partial(digest, state, context))
        rows = tried("Stock", lambda: context.stock)
        self._cost_s += time.process_time() - began_s
        return goals, rows

    def _at_head(self, shop_id: str, now_ms: int) -> bool:
        """Return False while the order feed lies behind and moves: what it says is about a time that is over.

        A feed that lies behind and does not move is idle or dead, which is for the rules to judge (X-82).
        """
        as_of_ms = self._board.columns.as_of_ms(shop_id, ("orders",), now_ms)
        moved = self._heads.get(shop_id) != as_of_ms
        self._heads[shop_id] = as_of_ms
        return not moved or now_ms - as_of_ms <= self._board.settings.board.catching_up_ms

    async def _publish_alerts(self) -> None:
        if not self._unpublished:
            return
        # The rules hold these as said: they stay here until the sink has them.
        await self._sink.publish_alerts(self._unpublished)
        self._unpublished = []

    async def _publish_stock(self, rows: Sequence[SkuStock]) -> None:
        seen = {(row.shop_id, row.sku_id): _look_of_stock(row) for row in rows}
        news = [
            row for row in rows if self._published_stock.get(key := (row.shop_id, row.sku_id)) != seen[key]
        ]
        if news:
            await self._sink.publish_projections(news)
            self._published_stock.update(seen)

    async def _publish_goals(self, goals: Sequence[GoalProgress]) -> None:
        seen = {(goal.shop_id, goal.campaign_id): _look_of_goal(goal) for goal in goals}
        news = [
            goal
            for goal in goals
            if self._published_goals.get(key := (goal.shop_id, goal.campaign_id)) != seen[key]
        ]
        if news:
            await self._sink.publish_progress(news)
            self._published_goals.update(seen)


def _look_of_goal(goal: GoalProgress) -> tuple[object, ...]:
    """Return what a reader of the topic would call a change: a pace that crept by less than a percent is none."""
    pace = None if goal.pace_pct is None else round(goal.pace_pct)
    projected = None if goal.projected is None else f"{goal.projected:.3g}"
    return goal.value, goal.target, goal.metric, goal.name, goal.basis, pace, projected


def _look_of_stock(row: SkuStock) -> tuple[object, ...]:
    """Return what a reader of the topic would call a change: an eta that crept by seconds is none."""
    return (
        row.status,
        row.unknown_because,
        row.on_hand,
        None if row.eta_ms is None else row.eta_ms // _ETA_STEP_MS,
        f"{row.gmv_at_risk_minor:.2g}",
        row.campaign_id,
        row.name,
    )
