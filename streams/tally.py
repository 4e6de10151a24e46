"""Counting what becomes of records: outcomes and event-time spans of one source topic of a partition.

Outcomes move: when a better copy of a record comes, the one that counted before becomes a duplicate or is superseded.
Their sum is always the number of records read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from streams.outcomes import Outcome
from streams.state import Position, ShopSpan


class Tally:
    """What is known of one source topic; becomes a `Position` in every flush."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.next_offset = 0
        self.last_timestamp_ms = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._spans: dict[str, list[int]] = {}
        self._heard: dict[str, dict[str, int]] = {}

    def add(self, outcome: Outcome, records: int = 1) -> None:
        """Count records that end in an outcome."""
        if records:
            self._outcomes[outcome] += records

    def move(self, source: Outcome, target: Outcome, records: int = 1) -> None:
        """Change the outcome of records that were counted under another one before."""
        if records:
            self._outcomes[source] -= records
            self._outcomes[target] += records

    def accept(self, shop_id: str, first_ms: int, last_ms: int, counted: int) -> None:
        """Widen a shop's span by valid records, repeats included; `counted` of them are in the numbers.

        Repeats widen the span too, else it would depend on which version of a fact came first.
        """
        span = self._spans.get(shop_id)
        if span is None:
            self._spans[shop_id] = [first_ms, last_ms, counted]
            return
        span[0] = min(span[0], first_ms)
        span[1] = max(span[1], last_ms)
        span[2] += counted

    def hear(self, shop_id: str, topics: Collection[str], occurred_at_ms: int) -> None:
        """Note that a heartbeat promised these topics; the first one of each makes it a source of the shop."""
        heard = self._heard.setdefault(shop_id, {})
        for name in topics:
            heard[name] = min(occurred_at_ms, heard.get(name, occurred_at_ms))

    def recount(self, shop_id: str, counted: int) -> None:
        """Change how many records of a shop are in the numbers, after a better copy came by another topic."""
        if counted:
            self._spans[shop_id][2] += counted

    def position(self) -> Position:
        """Return the state to be kept."""
        return Position(
            topic=self.topic,
            next_offset=self.next_offset,
            last_timestamp_ms=self.last_timestamp_ms,
            outcomes={outcome: self._outcomes[outcome] for outcome in Outcome if self._outcomes[outcome]},
            shops={shop_id: ShopSpan(*self._spans[shop_id]) for shop_id in sorted(self._spans)},
            heard={shop_id: dict(sorted(self._heard[shop_id].items())) for shop_id in sorted(self._heard)},
        )

    def restore(self, position: Position) -> None:
        """Take over kept state."""
        self.next_offset = position.next_offset
        self.last_timestamp_ms = position.last_timestamp_ms
        self._outcomes = Counter(position.outcomes)
        self._spans = {shop_id: list(span) for shop_id, span in position.shops.items()}
        self._heard = {shop_id: dict(topics) for shop_id, topics in position.heard.items()}
