"""What a rule may look at: one shop's answers at one instant, each computed at most once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from streams.goals import GoalProgress, goal_progress
from streams.staleness import stale_topics
from streams.stock import SkuStock, stock_table

if TYPE_CHECKING:
    from streams.columns import Columns
    from streams.settings import Settings, ShopSettings


@dataclass(frozen=True)
class RuleContext:
    """One shop's answers at `now_ms`.

    Attributes:
        columns: what is known.
        shop: whose.
        settings: of the process; rules keep their numbers there.
        now_ms: the board's clock, at the head of the feed.
    """

    columns: Columns
    shop: ShopSettings
    settings: Settings
    now_ms: int

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
    def goals(self) -> list[GoalProgress]:
        """Progress of every campaign that has started, the one that ends last first."""
        return goal_progress(self.columns, self.shop, as_of_ms=self.now_ms)
