"""What a rule may look at: one shop's answers at one instant, each computed at most once."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from streams.alerts import Alert, AlertState, ShopClock, clean_name
from streams.demand import Demand, demands_today
from streams.errors import QueryError
from streams.goals import GoalProgress, goal_progress
from streams.page_facts import day_yardstick, sold_by
from streams.query import run, scope_of
from streams.query_audience import push_parts
from streams.request import Request
from streams.staleness import stale_topics
from streams.stock import SkuStock, stock_table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from streams.alerts import SoldBy
    from streams.columns import Columns
    from streams.settings import Settings, ShopSettings

Memo = dict[tuple[str, str, Request], tuple[int, list[dict[str, Any]]]]
"""By kind of answer, shop and question, the look that asked it and what it got."""


@dataclass(frozen=True)
class RuleContext:
    """One shop's answers at `now_ms`.

    Attributes:
        columns: what is known.
        shop: whose.
        settings: of the process; rules keep their numbers there.
        now_ms: the board's clock, at the head of the feed.
        incidents: by shop, rule and entity the newest incident, open or closed (`rules.RuleState.incidents`): what a
            rule may want to know of another one's.
        at_head: False while the shop's feed lies behind and moves: what it says is about a time that is over.
        memo: answers of the query layer that slow rules share for `rules.band_every_ms`; kept from look to look by
            whoever evaluates.
    """

    columns: Columns
    shop: ShopSettings
    settings: Settings
    now_ms: int
    incidents: Mapping[tuple[str, str, str], Alert] = field(default_factory=dict)
    at_head: bool = True
    memo: Memo = field(default_factory=dict)

    def rows(self, request: Request) -> list[dict[str, Any]]:
        """Return the rows of an answer, asked for once in `rules.band_every_ms`: bands change slowly, and cost much.

        A question that has no right answer here has no rows.
        """
        return self._shared("rows", request, lambda asked: run(self.columns, asked, now_ms=self.now_ms).rows)

    def pushes(self, request: Request) -> list[dict[str, Any]]:
        """Return what content_push_lift of each row is made of, as `parts` beside its dimensions; else as `rows`."""

        def parts(asked: Request) -> list[dict[str, Any]]:
            scope, _ = scope_of(self.columns, asked, now_ms=self.now_ms)
            found = push_parts(scope, "content_push_lift")
            return [
                dict(zip(scope.names, names, strict=True)) | {"parts": each}
                for (_, *names), each in sorted(found.items())
            ]

        return self._shared("pushes", request, parts)

    def _shared(
        self, kind: str, request: Request, ask: Callable[[Request], list[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        every_ms = self.settings.rules.band_every_ms
        # Each question has its own phase: all of them in one evaluation would hold the board up.
        phase_ms = zlib.crc32(repr(request).encode()) % every_ms
        key = (kind, self.shop.shop_id, request)
        look = (self.now_ms + phase_ms) // every_ms
        known = self.memo.get(key)
        if known is None or known[0] != look:
            try:
                known = look, ask(dataclasses.replace(request, shop=self.shop.shop_id))
            except QueryError:
                known = look, []
            self.memo[key] = known
        return known[1]

    def holds(self, reads: Collection[str]) -> bool:
        """Return whether a rule that reads these topics is held: one of them is stale, or the shop catches up.

        A rule that reads none looks at the feeds themselves, and is never held.
        """
        return bool(self.stale & set(reads)) or bool(reads and not self.at_head)

    def incident(self, rule: str, entity_id: str) -> Alert | None:
        """Return the newest incident of a rule on an entity, open or closed."""
        return self.incidents.get((self.shop.shop_id, rule, entity_id))

    def is_open(self, rule: str, entity_id: str) -> bool:
        """Return whether an incident of a rule is open on an entity."""
        alert = self.incident(rule, entity_id)
        return alert is not None and alert.state is AlertState.OPEN

    def product_name(self, product_id: str) -> str:
        """Return what a message calls a product: the name on its card, else its id."""
        card = self.columns.products(self.shop.shop_id).get(product_id)
        return clean_name(product_id if card is None else card.name)

    def as_of(self, topics: Collection[str]) -> str:
        """Return up to when these topics are known, as a message says it: `As of 20:58.`."""
        as_of_ms = self.columns.as_of_ms(self.shop.shop_id, topics, self.now_ms)
        return f"As of {self.clock.time(as_of_ms)}."

    @cached_property
    def clock(self) -> ShopClock:
        """Times as a message of now says them."""
        return ShopClock(self.shop.timezone, self.now_ms)

    @cached_property
    def stale(self) -> frozenset[str]:
        """Topics that the shop requires and that are stale (X-82)."""
        return stale_topics(
            self.columns,
            self.shop,
            self.shop.required_topics,
            now_ms=self.now_ms,
            stale_after_ms=self.settings.board.stale_after_ms,
        )

    @cached_property
    def stock(self) -> list[SkuStock]:
        """The stock table; empty while the shop has no stock feed."""
        if self.columns.source_since_ms(self.shop.shop_id, "stock") is None:
            return []
        return stock_table(
            self.columns, self.shop, self.settings.stock, as_of_ms=self.now_ms, stale=self.stale
        )

    @cached_property
    def demands(self) -> dict[str, Demand]:
        """Demand of every product that was viewed today (demand_flag)."""
        return demands_today(self.columns, self.shop, self.settings.stock, self.now_ms)

    @cached_property
    def goals(self) -> list[GoalProgress]:
        """Progress of every campaign that has started, the one that ends last first."""
        return goal_progress(self.columns, self.shop, as_of_ms=self.now_ms)

    @cached_property
    def day_yardstick_minor(self) -> int:
        """The day's goal, else yesterday's GMV: what money at risk is held against (X-83)."""
        return day_yardstick(self.columns, self.shop, as_of_ms=self.now_ms)

    @cached_property
    def page_minimum_minor(self) -> int:
        """The least money at risk that pages (X-83), at least one minor unit."""
        return max(1, round(self.day_yardstick_minor * self.settings.stock.page_min_share))

    @cached_property
    def sold_by(self) -> dict[str, SoldBy]:
        """By SKU, the content that sold most of it in the page's sales window; left out where none is named."""
        from_ms = self.now_ms - self.settings.stock.page_sales_window_ms
        return sold_by(self.columns, self.shop, from_ms=from_ms, to_ms=self.now_ms)
