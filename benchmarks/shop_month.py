"""A month of the reference shop as flushes: what a board has read when it answers, and a further second of it.

Nothing is decoded or folded, so that a board of millions of rows is there within two minutes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.load import DAY, SHOP, Load, product_id
from benchmarks.month_cells import PARTITIONS, MonthCells
from benchmarks.month_facts import BEATS, CAMPAIGN_SHARE, MonthFacts, Size
from benchmarks.shop_day import SUB_CAMPAIGNS
from streams.facts import key_of, version_of
from streams.outcomes import Outcome
from streams.state import FactRow, Flush, PeopleRow, Position, ShopSpan, StateRow
from streams.topics import TOPIC_OF_TYPE

if TYPE_CHECKING:
    from streams.envelope import Fact

TICK_CELLS: Final = 22_000
"""Rows of cubes that a second of 20,000 events changes (docs/STATE.md)."""

TICK_ORDERS: Final = 200

_FLUSH_FACTS: Final = 40_000


class ShopMonth:
    """The same month for the same size.

    Args:
        size: of the shop.

    Attributes:
        now_ms: the instant of the last record.
        cells: rows of cubes of the month, over all partitions.
    """

    def __init__(self, size: Size) -> None:
        self.cells = 0
        load = Load(1, shop=size.shop)
        blocks: list[dict[str, Any]] = [
            json.loads("{" + block[1:] + "}")["source"] if block else {} for block in load.blocks
        ]
        for number, block in enumerate(blocks):
            if "content_id" in block:
                block["sub_campaign_id"] = f"sc_{number % SUB_CAMPAIGNS:02d}"
        products = [product_id(number) for number in range(size.shop.products)]
        self._size = size
        self._cells = MonthCells(size.shop, blocks, load.atoms, products)
        self._facts = MonthFacts(size, blocks, products, self._cells.images)
        self.now_ms = self._facts.begin_ms
        self._today: list[list[StateRow]] = [[] for _ in range(PARTITIONS)]
        self._flushes = count(1)
        self._spans: dict[str, tuple[int, int]] = {}

    @property
    def lines(self) -> int:
        """Order lines handed out so far."""
        return self._facts.lines

    def flushes(self) -> Iterator[Flush]:
        """Yield the month, a few ten thousand facts or the cells of a day and partition at a time."""
        facts: list[FactRow] = []
        for event in self._facts.all():
            facts.append(self._row(event))
            if len(facts) == _FLUSH_FACTS:
                yield self._flush(0, facts=facts)
                facts = []
        yield self._flush(0, facts=facts)
        for day in range(DAY - self._size.days + 1, DAY + 1):
            events = self._size.events * (CAMPAIGN_SHARE if day == DAY else 1)
            of_day = self._cells.of_day(day, self._facts.span(day), events)
            for partition, (rows, people) in enumerate(of_day):
                self.cells += len(rows)
                yield self._flush(partition, rows, people)
                if day == DAY:
                    self._today[partition] = rows

    def second(self) -> list[Flush]:
        """Return the flushes of one more second of the campaign day, one for each partition."""
        self.now_ms += 1_000
        rng = np.random.default_rng(self.now_ms)
        found = []
        for partition, rows in enumerate(self._today):
            chosen = rng.choice(len(rows), min(TICK_CELLS // PARTITIONS, len(rows)), replace=False).tolist()
            for at in chosen:
                row = rows[at]
                rows[at] = row._replace(events=(row.events or 0) + 1, keyed=row.keyed + 1)
            found.append(self._flush(partition, [rows[at] for at in chosen]))
        span = (self.now_ms - 1_000, self.now_ms)
        events: list[Fact] = list(self._facts.sales(TICK_ORDERS, span, settled=False))
        events += self._facts.stock_levels(rng, TICK_ORDERS // 4, self.now_ms)
        events += self._facts.engagement(rng, 10, self.now_ms)
        events += [self._facts.beat(name, self.now_ms) for name in BEATS]
        found.append(self._flush(0, facts=[self._row(event) for event in events]))
        return found

    def _flush(
        self,
        partition: int,
        rows: Sequence[StateRow] = (),
        people: Sequence[PeopleRow] = (),
        facts: Sequence[FactRow] = (),
    ) -> Flush:
        for topic in ("impressions", "clicks", "page_views", "add_to_cart"):
            self._spans[topic] = (self._facts.span(DAY - self._size.days + 1)[0], self.now_ms)
        positions = [
            Position(
                topic,
                1,
                self.now_ms,
                {Outcome.COUNTED: 1},
                {SHOP.shop_id: ShopSpan(first_ms, max(last_ms, self.now_ms), 1)},
            )
            for topic, (first_ms, last_ms) in self._spans.items()
        ]
        return Flush(partition, next(self._flushes), list(rows), list(facts), positions, [], [], list(people))

    def _row(self, event: Fact) -> FactRow:
        at_ms = event.occurred_at_ms
        topic = TOPIC_OF_TYPE[event.event_type]
        first_ms, last_ms = self._spans.get(topic, (at_ms, at_ms))
        self._spans[topic] = (min(first_ms, at_ms), max(last_ms, at_ms))
        return FactRow(key_of(event), version_of(event), at_ms, 1, at_ms, 1, event)
