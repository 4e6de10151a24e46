"""What a board knows: flushes of all partitions merged into columns.

A row of a cube is cumulative per source partition, so a shop's value is the sum (people: the union) of the newest row
of each partition. A fact's winner is the greatest `merge_order` over partitions. Both are independent of the order in
which flushes of different partitions arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import polars as pl

from streams.cube_store import CubeStore
from streams.day_values import DayValues
from streams.events import Heartbeat
from streams.fact_columns import FactColumns
from streams.outcomes import Outcome
from streams.settings import Settings
from streams.state import Flush, Position, ShopSpan

if TYPE_CHECKING:
    from streams.ad_columns import AdColumns
    from streams.content_columns import ContentColumns
    from streams.events import Campaign, Product, Shop
    from streams.total_columns import TotalColumns


ONCE_KEPT: Final = 16
"""Most answers kept until the next change; the clock is part of most questions, and goes on without one."""

_Found = TypeVar("_Found")


class Columns(CubeStore):
    """Everything that a board knows, merged over partitions.

    Frames are cached until the next apply that changes them, and cost what changed, not what is there.

    Args:
        settings: shops with their zone and currency; prefix and limits.

    Attributes:
        settings: as given.
        version: rises with every apply and every vouch.
        vouched_ms: every topic is complete up to here: a replay's clock, or a recording read to its end.
        day_values: what was counted of single days before.
        named: shops that are meant while nothing is counted, such as a recording's own; empty is all of the settings.
        beside: shop id -> columns of the recording that `compare=recording:...` means; whoever opens both sets it.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.vouched_ms = 0
        self._facts: dict[str, FactColumns] = {}
        self._history: set[tuple[int, str]] = set()
        self._lagging: frozenset[tuple[int, str]] = frozenset()
        self._heard: dict[tuple[str, str], int] = {}
        self.day_values = DayValues()
        self.named: Collection[str] = ()
        self.beside: Mapping[str, Columns] = {}
        self._once: tuple[int, dict[Hashable, Any]] = (0, {})
        self._spans: dict[tuple[str, str], ShopSpan | None] = {}

    def apply(self, flush: Flush, *, history: bool = False) -> None:
        """Take one whole flush in.

        Args:
            flush: of one partition; rows and facts carry their whole cumulative value.
            history: the flush loads days of the past from the direct engine under a partition number of its own;
                its records are in the numbers but not among the outcomes of this run.
        """
        self._apply_cubes(flush)
        for fact in flush.facts:
            self._facts_of(fact.key.shop_id).put(fact)
            if isinstance(fact.event, Heartbeat):
                self._hear(fact.key.shop_id, dict.fromkeys(fact.event.promised, fact.event.occurred_at_ms))
        for shop_id in {fact.key.shop_id for fact in flush.facts}:
            self._facts[shop_id].settle()
        for position in flush.positions:
            for shop_id, first_ms in position.heard.items():
                self._hear(shop_id, first_ms)
            place = (flush.partition, position.topic)
            self._positions[place] = position
            self._spans.clear()
            if history:
                self._history.add(place)
        self.version += 1

    def vouch(self, until_ms: int) -> None:
        """Declare that every topic is complete up to an instant; it never falls."""
        if until_ms > self.vouched_ms:
            self.vouched_ms = until_ms
            self.version += 1

    def mark_lagging(self, places: Iterable[tuple[int, str]]) -> None:
        """Say which (partition, topic) still have records that are not folded.

        Only these hold a topic's as-of back: a partition without records to read is idle, however old its last one.
        A reader without a broker (the direct engine) never lags.
        """
        lagging = frozenset(places)
        if lagging != self._lagging:
            self._lagging = lagging
            self.version += 1

    def lagging(self) -> frozenset[tuple[int, str]]:
        """Return which (partition, topic) still have records that are not folded."""
        return self._lagging

    def positions(self) -> list[tuple[int, Position]]:
        """Return (partition, position) of every source topic, by partition and topic."""
        return [
            (partition, self._positions[partition, topic]) for partition, topic in sorted(self._positions)
        ]

    def outcomes(self) -> dict[str, dict[Outcome, int]]:
        """Return topic -> outcome -> records of this run; their sum is the number of records read."""
        totals: dict[str, Counter[Outcome]] = {}
        for (partition, topic), position in sorted(self._positions.items()):
            if (partition, topic) not in self._history:
                totals.setdefault(topic, Counter()).update(position.outcomes)
        return {topic: dict(counter) for topic, counter in totals.items()}

    def once(self, question: Hashable, make: Callable[[], _Found]) -> _Found:
        """Return what `make` gives for a question, made once while nothing changes: parts of a view ask alike."""
        if self._once[0] != self.version:
            self._once = (self.version, {})
        known = self._once[1]
        if question not in known:
            if len(known) == ONCE_KEPT:
                del known[next(iter(known))]
            known[question] = make()
        found: _Found = known[question]
        return found

    def shops(self) -> list[str]:
        """Return the shops with anything counted; before the first record, those of `named` or the settings."""
        seen = {shop for position in self._positions.values() for shop in position.shops}
        seen |= {shop for shop, facts in self._facts.items() if not facts.empty}
        seen |= {shop for _, shop in self._cubes}
        return sorted(seen or self.named or self.settings.shops)

    def span(self, shop_id: str, topic: str) -> ShopSpan | None:
        """Return first and last event time and number of a shop's counted records of a topic; None without any."""
        # Every metric asks for its topics several times over.
        if (shop_id, topic) not in self._spans:
            self._spans[shop_id, topic] = self._span(shop_id, topic)
        return self._spans[shop_id, topic]

    def _span(self, shop_id: str, topic: str) -> ShopSpan | None:
        spans = [
            position.shops[shop_id]
            for (_, found), position in self._positions.items()
            if found == topic and shop_id in position.shops
        ]
        if not spans:
            return None
        return ShopSpan(
            min(span.first_ms for span in spans),
            max(span.last_ms for span in spans),
            sum(span.records for span in spans),
        )

    def source_since_ms(self, shop_id: str, topic: str) -> int | None:
        """Return when a topic became a source of the shop: its first counted record or heartbeat; None: no source."""
        span = self.span(shop_id, topic)
        heard = self._heard.get((shop_id, topic))
        known = [at_ms for at_ms in (span.first_ms if span else None, heard) if at_ms is not None]
        return min(known) if known else None

    def heartbeat_until_ms(self, shop_id: str, topic: str) -> int | None:
        """Return the least `sent_until_ms` of the newest heartbeats of a topic's senders; None without any."""
        return self.once(("sent until", shop_id), lambda: self._sent_until(shop_id)).get(topic)

    def _sent_until(self, shop_id: str) -> dict[str, int]:
        least: dict[str, int] = {}
        for beat in self._facts_of(shop_id).heartbeats():
            for topic in beat.promised:
                least[topic] = min(beat.sent_until_ms, least.get(topic, beat.sent_until_ms))
        return least

    def watermark_ms(self, shop_id: str, topic: str) -> int | None:
        """Return up to which event time a topic is complete; None when it is no source of the shop.

        The greatest event time folded, or the least `sent_until_ms` of the newest heartbeats of its senders where
        that is later; a partition that lags holds it back to what that partition has folded. `vouch` lifts it.
        """
        span = self.span(shop_id, topic)
        sent_ms = self.heartbeat_until_ms(shop_id, topic)
        if span is None and sent_ms is None:
            return None
        known = max(span.last_ms if span else 0, sent_ms or 0)
        for partition, lagging in self._lagging:
            if lagging == topic:
                position = self._positions.get((partition, topic))
                folded = position.shops.get(shop_id) if position else None
                known = min(known, folded.last_ms if folded else 0)
        return max(known, self.vouched_ms)

    def lags(self, topic: str) -> bool:
        """Return whether a topic still has records that are not folded, in any partition."""
        return any(lagging == topic for _, lagging in self._lagging)

    def as_of_ms(self, shop_id: str, topics: Collection[str], now_ms: int) -> int:
        """Return up to when a view of these topics is complete: the least watermark, never beyond now (X-79).

        Topics that are no source of the shop do not hold it back; their metrics are null.
        """
        marks = [self.watermark_ms(shop_id, topic) for topic in topics]
        return min((mark for mark in marks if mark is not None and mark < now_ms), default=now_ms)

    def order_lines(self, shop_id: str, days: Collection[int] | None = None) -> pl.DataFrame:
        """Return one row per line of each paid order: `fact_schemas.ORDER_LINE_SCHEMA`.

        Args:
            shop_id: whose.
            days: only these business days, in any order; a few of them cost less than all. None is all.
        """
        return self._facts_of(shop_id).order_lines(days)

    def order_pieces(
        self, shop_id: str, name: Hashable, reduce: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
        """Return the rows of `order_lines` in pieces, to be read in place, each with what `reduce` makes of it."""
        return self._facts_of(shop_id).order_pieces(name, reduce)

    def order_sums(
        self, shop_id: str, name: Hashable, day: int, reduce: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> list[pl.DataFrame]:
        """Return what `reduce` makes of a day's order lines, in pieces of whole orders that add up."""
        return self._facts_of(shop_id).order_sums(name, day, reduce)

    def order_days(self, shop_id: str) -> dict[int, int]:
        """Return each business day with order lines -> a number that changes when any of its lines do."""
        return self._facts_of(shop_id).order_days()

    def refunds(self, shop_id: str) -> pl.DataFrame:
        """Return one row per refunded line, with the attribution of the order's line: `fact_schemas.REFUND_SCHEMA`."""
        return self._facts_of(shop_id).refunds()

    def refund_records(self, shop_id: str) -> pl.DataFrame:
        """Return one row per refunded line as its own record says: `fact_schemas.REFUND_SCHEMA`."""
        return self._facts_of(shop_id).refund_records()

    def order_status(self, shop_id: str) -> pl.DataFrame:
        """Return one row per state that an order has reached: `fact_schemas.STATUS_SCHEMA`."""
        return self._facts_of(shop_id).order_status()

    def stock_begun(self, shop_id: str) -> pl.DataFrame:
        """Return `sku_id` and `occurred_at_ms` of the first kept level of each SKU."""
        return self._facts_of(shop_id).stock_begun()

    def stock_levels(self, shop_id: str) -> pl.DataFrame:
        """Return the newest level of each SKU and warehouse: `fact_schemas.STOCK_SCHEMA`."""
        return self._facts_of(shop_id).stock_levels()

    def stock_history(self, shop_id: str) -> pl.DataFrame:
        """Return the last level of each SKU, warehouse and quarter hour: `fact_schemas.STOCK_SCHEMA`."""
        return self._facts_of(shop_id).stock_history()

    def content(self, shop_id: str) -> ContentColumns:
        """Return content, engagement, violations, followers and accounts of a shop."""
        return self._facts_of(shop_id).content

    def ads(self, shop_id: str) -> AdColumns:
        """Return the ads of a shop."""
        return self._facts_of(shop_id).ads

    def totals(self, shop_id: str) -> TotalColumns:
        """Return checkouts, ready-made counts, history and benchmarks of a shop."""
        return self._facts_of(shop_id).totals

    def campaigns(self, shop_id: str) -> list[Campaign]:
        """Return the newest version of each campaign, by start and id."""
        return self._facts_of(shop_id).campaigns()

    def products(self, shop_id: str) -> dict[str, Product]:
        """Return the newest version of each product card, by id."""
        return self._facts_of(shop_id).products()

    def profile(self, shop_id: str) -> Shop | None:
        """Return the newest profile that the shop's own record gives."""
        return self._facts_of(shop_id).profile()

    def shop_disagrees(self, shop_id: str) -> bool:
        """Return whether the shop's own record names another zone or currency than the settings, which hold."""
        profile, shop = self.profile(shop_id), self.shop(shop_id)
        return profile is not None and (profile.timezone, profile.currency or shop.currency) != (
            shop.timezone,
            shop.currency,
        )

    def _facts_of(self, shop_id: str) -> FactColumns:
        facts = self._facts.get(shop_id)
        if facts is None:
            facts = self._facts[shop_id] = FactColumns(self.calendar(shop_id))
        return facts

    def _hear(self, shop_id: str, first_ms: Mapping[str, int]) -> None:
        """Note from when on heartbeats promise topics: a fact tells of the newest one, a position of the first."""
        for name, at_ms in first_ms.items():
            place = (shop_id, name)
            self._heard[place] = min(at_ms, self._heard.get(place, at_ms))
