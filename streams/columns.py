"""What a board knows: flushes of all partitions merged into columns.

A row of a cube is cumulative per source partition, so a shop's value is the sum (people: the union) of the newest row
of each partition. A fact's winner is the greatest `merge_order` over partitions. Both are independent of the order in
which flushes of different partitions arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import polars as pl

from streams import cubes, sketches, theta
from streams.cube_columns import CubeColumns
from streams.cubes import CUBE_BY_NAME, Grain, is_former
from streams.day_values import DayValues
from streams.days import BusinessCalendar
from streams.fact_columns import FactColumns
from streams.history import FIRST_SLOT, Past
from streams.outcomes import Outcome
from streams.settings import Settings, ShopSettings
from streams.state import CubeRow, Flush, PeopleRow, Position, ShopSpan, StateRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streams.ad_columns import AdColumns
    from streams.content_columns import ContentColumns
    from streams.events import Campaign, Heartbeat, Product, Shop
    from streams.history import DayStore
    from streams.total_columns import TotalColumns


class Columns:
    """Everything that a board knows, merged over partitions.

    Frames are cached until the next apply that changes them, and cost what changed, not what is there.

    Args:
        settings: shops with their zone and currency; prefix and limits.

    Attributes:
        settings: as given.
        version: rises with every apply and every vouch.
        vouched_ms: every topic is complete up to here: a replay's clock, or a recording read to its end.
        day_values: what was counted of single days before.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.version = 0
        self.vouched_ms = 0
        self._facts: dict[str, FactColumns] = {}
        self._cubes: dict[tuple[str, str], CubeColumns] = {}
        self._cube_rows: dict[tuple[int, str], CubeRow] = {}
        self._calendars: dict[str, BusinessCalendar] = {}
        self._positions: dict[tuple[int, str], Position] = {}
        self._history: set[tuple[int, str]] = set()
        self._lagging: frozenset[tuple[int, str]] = frozenset()
        self._past: Past | None = None
        self._heard: dict[tuple[str, str], int] = {}
        self.day_values = DayValues()

    def apply(self, flush: Flush, *, history: bool = False) -> None:
        """Take one whole flush in.

        Args:
            flush: of one partition; rows and facts carry their whole cumulative value.
            history: the flush loads days of the past from the direct engine under a partition number of its own;
                its records are in the numbers but not among the outcomes of this run.
        """
        for row in _present(flush.rows):
            name, shop_id = row.key.cube, row.key.shop_id
            if row.events is None and self._past and self._past.holds_back(name, shop_id, row.key.bucket):
                continue
            cube = self._cubes.get((name, shop_id))
            if cube is None:
                cube = self._cubes[name, shop_id] = CubeColumns(CUBE_BY_NAME[name])
            cube.put(flush.partition, row)
        for people in _present(flush.people):
            cube = self._cubes.get((people.key.cube, people.key.shop_id))
            if cube is not None:
                cube.put_people(flush.partition, people)
        for kept in flush.cubes:
            if not is_former(kept.cube, kept.definition):
                self._cube_rows[flush.partition, kept.cube] = kept
        for fact in flush.facts:
            self._facts_of(fact.key.shop_id).put(fact)
            if fact.key.kind == "heartbeat":
                self._hear(fact.key.shop_id, cast("Heartbeat", fact.event))
        for position in flush.positions:
            place = (flush.partition, position.topic)
            self._positions[place] = position
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

    def shops(self) -> list[str]:
        """Return the shops with anything counted; before the first record, those of the settings."""
        seen = {shop for position in self._positions.values() for shop in position.shops}
        seen |= {shop for shop, facts in self._facts.items() if not facts.empty}
        seen |= {shop for _, shop in self._cubes}
        return sorted(seen) if seen else sorted(self.settings.shops)

    def shop(self, shop_id: str) -> ShopSettings:
        """Return the settings of a shop; defaults when it has none."""
        return self.settings.shops.get(shop_id) or ShopSettings(shop_id)

    def calendar(self, shop_id: str) -> BusinessCalendar:
        """Return the shop's calendar, one object for the life of the columns."""
        if shop_id not in self._calendars:
            self._calendars[shop_id] = BusinessCalendar(self.shop(shop_id).timezone)
        return self._calendars[shop_id]

    def span(self, shop_id: str, topic: str) -> ShopSpan | None:
        """Return first and last event time and number of a shop's counted records of a topic; None without any."""
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
        return min(
            (
                beat.sent_until_ms
                for beat in self._facts_of(shop_id).heartbeats()
                if topic in {_short(name) for name in beat.topics}
            ),
            default=None,
        )

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

    def order_lines(self, shop_id: str) -> pl.DataFrame:
        """Return one row per line of each paid order: `fact_columns.ORDER_LINE_SCHEMA`."""
        return self._facts_of(shop_id).order_lines()

    def order_days(self, shop_id: str) -> dict[int, int]:
        """Return each business day with order lines -> a number that changes when any of its lines do."""
        return self._facts_of(shop_id).order_days()

    def refunds(self, shop_id: str) -> pl.DataFrame:
        """Return one row per refunded line, with the attribution of the order's line: `REFUND_SCHEMA`."""
        return self._facts_of(shop_id).refunds()

    def order_status(self, shop_id: str) -> pl.DataFrame:
        """Return one row per state that an order has reached: `STATUS_SCHEMA`."""
        return self._facts_of(shop_id).order_status()

    def stock_levels(self, shop_id: str) -> pl.DataFrame:
        """Return the newest level of each SKU and warehouse: `STOCK_SCHEMA`."""
        return self._facts_of(shop_id).stock_levels()

    def stock_history(self, shop_id: str) -> pl.DataFrame:
        """Return the last level of each SKU, warehouse and quarter hour: `STOCK_SCHEMA`."""
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

    def cube(self, name: str, shop_id: str) -> pl.DataFrame:
        """Return a cube's cells merged over partitions.

        Columns: slot UInt32, bucket Int64, event_type String, the cube's dimensions as String (atom as UInt8), count
        and keyed Int64. Cells that have left their retention are not there.
        """
        cube = self._cubes.get((name, shop_id))
        return CubeColumns(CUBE_BY_NAME[name]).frame() if cube is None else cube.frame()

    def read_history(self, store: DayStore) -> None:
        """Read days before `day_boundary` from what was written down, once there is a boundary."""
        self._past = Past(store, self.calendar)

    def day_boundary(self, shop_id: str) -> int | None:
        """Return the first day whose traffic is read from memory; None: all of it is."""
        return None if self._past is None else self._past.boundary(shop_id)

    def set_day_boundary(self, shop_id: str, day: int) -> None:
        """Forget the cells of days before `day`; they are read from the history, or are gone."""
        if self._past is None:
            return
        self._past.set_boundary(shop_id, day)
        start_ms = self.calendar(shop_id).day_start_ms(day)
        for (name, shop), cells in self._cubes.items():
            cube = CUBE_BY_NAME[name]
            if shop == shop_id and cube.keep == "hot_days":
                cells.drop(day if cube.grain is Grain.DAY else start_ms)
        self.version += 1

    def days_gone(self, shop_id: str, since_ms: int) -> list[int]:
        """Return the days from an instant on of whose traffic nothing is kept any more."""
        return [] if self._past is None else self._past.gone(shop_id, since_ms)

    def day_cells(self, name: str, shop_id: str, day: int) -> tuple[pl.DataFrame, list[list[bytes]]]:
        """Return a cube's cells of a day that is in memory, as `cube()`, and the images of the people of each."""
        cells = self._cubes.get((name, shop_id)) or CubeColumns(CUBE_BY_NAME[name])
        if CUBE_BY_NAME[name].grain is Grain.DAY:
            return cells.between(day, day + 1)
        calendar = self.calendar(shop_id)
        return cells.between(calendar.day_start_ms(day), calendar.day_start_ms(day + 1))

    def cube_since_ms(self, name: str) -> int | None:
        """Return the event time from which a cube holds everything that it keeps; None: it lacks nothing.

        A cube that came or changed while the state lived lacks what came before, until it is rebuilt (ADR 13).
        """
        since = [row.since_ms for (_, cube), row in self._cube_rows.items() if cube == name]
        newest_ms = max((position.last_timestamp_ms for position in self._positions.values()), default=0)
        fold = self.settings.fold
        if len(since) < len({partition for partition, _ in self._cube_rows}):
            # The worker of some partition is of an earlier version, and does not keep it yet.
            since.append(newest_ms + fold.future_tolerance_ms)
        since_ms = max(since, default=0)
        return since_ms if since_ms > newest_ms - CUBE_BY_NAME[name].keep_ms(fold) else None

    def cubes_kept(self) -> list[tuple[int, CubeRow]]:
        """Return (partition, since when and how far rebuilt) of every cube, by cube and partition."""
        rows = sorted((row.cube, partition, row) for (partition, _), row in self._cube_rows.items())
        return [(partition, row) for _, partition, row in rows]

    def cells(self, name: str, shop_id: str, from_ms: int | None, to_ms: int | None) -> pl.DataFrame:
        """Return a cube's cells as `cube()` does, with those of the history where a window reaches it.

        Args:
            name: of the cube.
            shop_id: whose.
            from_ms: begin of the window, None: open; cells outside of it may be among those returned.
            to_ms: its end, None: open.

        Raises:
            QueryError: `history_damaged`; `no_detail_before` for a cube that was defined otherwise then.
        """
        present = self.cube(name, shop_id)
        return (
            present if self._past is None else self._past.with_present(present, name, shop_id, from_ms, to_ms)
        )

    def people(
        self, name: str, shop_id: str, groups: Sequence[tuple[Hashable, NDArray[np.uint32]]]
    ) -> list[float]:
        """Return the estimated number of distinct people in each group of a cube's cells.

        Args:
            name: a cube with sketches.
            shop_id: whose.
            groups: a label that names the group whenever it is asked for, and its `slot`s in `cube()`.
        """
        cube = self._cubes.get((name, shop_id))
        found = []
        for label, slots in groups:
            old = slots >= FIRST_SLOT
            if self._past is not None and old.any():
                found.append(self._people_of_both(self._past, name, shop_id, label, slots))
            else:
                found.append(0.0 if cube is None else cube.people(label, slots))
        return found

    def _people_of_both(
        self, past: Past, name: str, shop_id: str, label: Hashable, slots: NDArray[np.uint32]
    ) -> float:
        lg_k = CUBE_BY_NAME[name].lg_k or 0
        cube = self._cubes.get((name, shop_id))
        present = None if cube is None else cube.union(label, slots[slots < FIRST_SLOT])
        crowds = [past.union(label, slots[slots >= FIRST_SLOT], lg_k)]
        return sketches.estimate(sketches.merge([*crowds, *([] if present is None else [present])], lg_k))

    def cell_changes(self, name: str, shop_id: str, slots: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return for each cell of a cube, by its `slot`, a number that rises when it changes; 0 in the history."""
        cube = self._cubes.get((name, shop_id))
        found = np.zeros(len(slots), dtype=np.int64)
        present = slots < FIRST_SLOT
        if cube is not None:
            found[present] = cube.changes(slots[present])
        return found

    def cube_partitions(self, name: str, shop_id: str, slots: NDArray[np.uint32]) -> dict[int, list[int]]:
        """Return partition -> events in each cell of a cube, by its `slot` in `cube()`."""
        cube = self._cubes.get((name, shop_id))
        return {} if cube is None else cube.by_partition(slots)

    def overlaps(
        self, name: str, shop_id: str, pairs: Iterable[tuple[int, int | None]]
    ) -> list[theta.Overlap]:
        """Return for each pair of cells how many people of the first one are in the second one too.

        Args:
            name: a cube with theta sketches.
            shop_id: whose, with cells in the cube.
            pairs: slots in `cube()`; None in place of a cell that nobody is in.
        """
        cube = self._cubes.get((name, shop_id))
        past, lg_k = self._past, CUBE_BY_NAME[name].lg_k or 0
        found = []
        for crowd, other in pairs:
            if past is not None and crowd >= FIRST_SLOT:
                images = [
                    list(past.images(np.array([] if slot is None else [slot], dtype=np.uint32)))
                    for slot in (crowd, other)
                ]
                found.append(theta.overlap(lg_k, *images))
            elif cube is not None:
                found.append(cube.overlap(crowd, other))
        return found

    def _facts_of(self, shop_id: str) -> FactColumns:
        facts = self._facts.get(shop_id)
        if facts is None:
            facts = self._facts[shop_id] = FactColumns(self.calendar(shop_id))
        return facts

    def _hear(self, shop_id: str, beat: Heartbeat) -> None:
        for name in beat.topics:
            place = (shop_id, _short(name))
            self._heard[place] = min(beat.occurred_at_ms, self._heard.get(place, beat.occurred_at_ms))


_Row = TypeVar("_Row", StateRow, PeopleRow)


def _present(rows: list[_Row]) -> list[_Row]:
    """Leave out rows of cubes that are declared former; a worker deletes them."""
    return [row for row in rows if not is_former(row.key.cube, row.key.definition)] if cubes.FORMER else rows


def _short(topic: str) -> str:
    """Return a topic's name without prefix: senders may know it either way."""
    return topic.rsplit(".", 1)[-1]
