"""Days whose stock-outs are known: recorded orders under made-up stocks, and generated campaigns.

A recorded day knows what was sold and not what was in stock. So every SKU that sells in the judged days gets a stock
of some share of what it sold there, and the orders are served from it in their order: what is not left is not sold,
the line is cut or goes. Every sale leaves its stock record. The feed then looks like that of a shop that ran out, and
the instant at which the last unit went is the truth.

A generated day is either served in the same way, or held to its stock by the generator itself.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import msgspec
import numpy as np

from replay.generator.assortment import CURRENCY, SHOP_ID, TIMEZONE
from replay.generator.facts import gmv_minor, heartbeats, order_events, reference_events, stock_events
from replay.generator.orders import Sales, make_sales
from replay.generator.parameters import Knobs, Scenario, parameters_of
from replay.generator.traffic import Day, make_traffic
from replay.importers.online_retail import FEE_CODES, import_online_retail
from replay.recording import Recording
from streams.columns import Columns
from streams.days import MINUTE_MS, QUARTER_MS, BusinessCalendar, day_label, parse_day
from streams.events import (
    FACT_IDS,
    FACT_TYPES,
    FACT_VERSION,
    Fact,
    Heartbeat,
    OrderLine,
    OrderPaid,
    StockChanged,
)
from streams.outcomes import Outcome
from streams.settings import Settings, ShopSettings
from streams.state import FactKey, FactRow, Flush, Position, ShopSpan
from streams.topics import TOPIC_OF_TYPE

DAYS: Final[tuple[tuple[str, Scenario], ...]] = (
    ("2026-11-20", "ordinary_day"),
    ("2026-11-26", "ordinary_day"),
    ("2026-11-27", "campaign_day"),
)
"""The reference day, yesterday, today."""

MIN_SALES: Final = 10

_HEARTBEAT_MS: Final = 5 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class World:
    """Facts of one shop, and what really ran out.

    Attributes:
        name: as the report says it.
        shop: whose.
        rows: all facts, by event time.
        from_ms, to_ms: the judged days; what lies before is history.
        stock_outs: SKU and instant of each stock-out of the judged days, by instant.
        judged: SKUs that at least `MIN_SALES` order lines of the judged days wanted; of the others no method can know
            more than that they sell now and then.
    """

    name: str
    shop: ShopSettings
    rows: list[FactRow]
    from_ms: int
    to_ms: int
    stock_outs: list[tuple[str, int]]
    judged: frozenset[str]


@dataclass(frozen=True, slots=True)
class Stocks:
    """What every SKU has at the start, as shares of what it sells in the judged days.

    Attributes:
        least, most: the share is drawn evenly between these, SKU by SKU.
        seed: of the draw.
    """

    least: float
    most: float
    seed: int = 0

    def __str__(self) -> str:
        """Return as in the names of worlds: `110 %`, `30-150 % #1`."""
        if self.least == self.most:
            return f"{self.least:.0%}"
        return f"{self.least * 100:.0f}-{self.most:.0%} #{self.seed}"


def recorded_orders(recording: Recording) -> list[Fact]:
    """Return the orders, product cards and campaigns of a recording."""
    facts = []
    for line in recording.lines():
        if line.value is None:
            continue
        kind = msgspec.json.decode(line.value)["event_type"]
        if kind in {"order_paid", "product", "campaign"}:
            facts.append(msgspec.json.decode(line.value, type=FACT_TYPES[kind]))
    return facts


def imported_orders(table: Path, from_day: str, to_day: str) -> list[Fact]:
    """Return the orders of some days of the whole Online Retail file, and its product cards."""
    with tempfile.TemporaryDirectory() as folder:
        import_online_retail(table, Path(folder) / "days", from_day=from_day, to_day=to_day)
        return recorded_orders(Recording.open(Path(folder) / "days"))


def served(
    name: str, shop: ShopSettings, facts: Sequence[Fact], first_day: str, last_day: str, stocks: Stocks
) -> World:
    """Return orders served from made-up stocks.

    Args:
        name: of the world.
        shop: whose the facts are.
        facts: orders and reference records; orders before `first_day` are history, when there was plenty.
        first_day: judged, a local date.
        last_day: judged too.
        stocks: of each SKU that sells in them; fees have none.
    """
    calendar = BusinessCalendar(shop.timezone)
    from_ms, to_ms = (
        calendar.day_start_ms(parse_day(first_day)),
        calendar.day_start_ms(parse_day(last_day) + 1),
    )
    orders = [each for each in facts if isinstance(each, OrderPaid) and each.occurred_at_ms < to_ms]
    orders.sort(key=lambda order: order.occurred_at_ms)
    sold: dict[str, int] = defaultdict(int)
    product_of = {}
    for order in orders:
        for line in order.lines:
            product_of[str(line.sku_id)] = str(line.product_id)
            if order.occurred_at_ms >= from_ms:
                sold[str(line.sku_id)] += line.quantity
    draw = np.random.default_rng(stocks.seed)
    level = {
        sku: max(1, round(units * draw.uniform(stocks.least, stocks.most)))
        for sku, units in sorted(sold.items())
        if sku.upper() not in FEE_CODES
    }
    version = dict.fromkeys(level, 1)

    def record(sku: str, at_ms: int) -> StockChanged:
        return StockChanged(
            event_id="stock",
            event_type="stock_changed",
            shop_id=shop.shop_id,
            occurred_at_ms=at_ms,
            sku_id=sku,
            product_id=product_of[sku],
            available=level[sku],
            version=version[sku],
        )

    kept: list[Fact] = [each for each in facts if not isinstance(each, OrderPaid)]
    kept += [record(sku, from_ms) for sku in level]
    stock_outs = []
    for order in orders:
        if order.occurred_at_ms < from_ms:
            kept.append(order)
            continue
        lines = []
        for line in order.lines:
            sku = str(line.sku_id)
            quantity = min(line.quantity, level.get(sku, line.quantity))
            if not quantity:
                continue
            lines.append(_cut(line, quantity))
            if sku in level:
                level[sku] -= quantity
                version[sku] += 1
                kept.append(record(sku, order.occurred_at_ms))
                if not level[sku]:
                    stock_outs.append((sku, order.occurred_at_ms))
        if lines:
            kept.append(msgspec.structs.replace(order, lines=lines))
    first_ms = orders[0].occurred_at_ms
    kept += [_heartbeat(shop, at_ms) for at_ms in range(first_ms, to_ms, _HEARTBEAT_MS)]
    rows = sorted((fact_row(each) for each in kept), key=lambda row: row.occurred_at_ms)
    return World(name, shop, rows, from_ms, to_ms, stock_outs, _often_wanted(orders, from_ms) & level.keys())


def _often_wanted(orders: Iterable[OrderPaid], from_ms: int) -> frozenset[str]:
    wanted = Counter(
        str(line.sku_id) for order in orders if order.occurred_at_ms >= from_ms for line in order.lines
    )
    return frozenset(sku for sku, lines in wanted.items() if lines >= MIN_SALES)


def _cut(line: OrderLine, quantity: int) -> OrderLine:
    """Return the line with fewer units at the same price."""
    if quantity == line.quantity:
        return line
    paid = line.goods_paid_minor * quantity // line.quantity
    return msgspec.structs.replace(line, quantity=quantity, goods_paid_minor=paid)


def _heartbeat(shop: ShopSettings, at_ms: int) -> Heartbeat:
    return Heartbeat(
        event_id="beat",
        event_type="heartbeat",
        shop_id=shop.shop_id,
        occurred_at_ms=at_ms,
        source="hub",
        topics=["cm.orders", "cm.stock"],
        sent_until_ms=at_ms,
    )


GENERATED_SHOP: Final = ShopSettings(SHOP_ID, TIMEZONE, CURRENCY)


def generated(seed: int) -> World:
    """Return a generated campaign day with two ordinary days before it, held to its stock by the generator."""
    facts, span, sales = _generated_facts(seed, 1.0, in_plenty=False)
    rows = sorted((fact_row(each) for each in facts), key=lambda row: row.occurred_at_ms)
    judged = _often_wanted((each for each in facts if isinstance(each, OrderPaid)), span.start_ms)
    return World(
        f"generated #{seed}", GENERATED_SHOP, rows, span.start_ms, span.end_ms, sales.stock_outs, judged
    )


def generated_served(seed: int, scale: float, stocks: Stocks) -> World:
    """Return a generated campaign day of some scale, served from stocks that are shares of what is wanted."""
    facts, span, _ = _generated_facts(seed, scale, in_plenty=True)
    orders = [each for each in facts if each.event_type not in {"stock_changed", "heartbeat"}]
    name = f"generated #{seed} x{scale:g}, stock {stocks}"
    return served(name, GENERATED_SHOP, orders, span.label, span.label, stocks)


def _generated_facts(seed: int, scale: float, *, in_plenty: bool) -> tuple[list[Fact], Day, Sales]:
    facts: list[Fact] = []
    calendar = BusinessCalendar(TIMEZONE)
    for label, scenario in DAYS:
        day = parse_day(label)
        span = Day(calendar.day_start_ms(day), calendar.day_start_ms(day + 1), day_label(day))
        parameters = dict(parameters_of(scenario))
        if in_plenty:
            parameters.pop("stock_out_hour", None)
        knobs = Knobs(parameters)
        # The seeds of `replay.generator.scenario`: the same orders as a generated recording has.
        roots = [seed, day, ("campaign_day", "ordinary_day").index(scenario)]
        draws = [np.random.default_rng([*roots, concern]) for concern in range(5)]
        sales = make_sales(draws[1], knobs, span, make_traffic(draws[0], knobs, span, scale).buyers)
        goal = gmv_minor(knobs, sales.orders) if scenario == "campaign_day" else None
        events = [
            *reference_events(span, goal),
            *stock_events(sales),
            *order_events(draws[4], knobs, span, sales.orders),
            *heartbeats(span, MINUTE_MS, {}),
        ]
        for event in events:
            kind = msgspec.json.decode(event.value)["event_type"]
            facts.append(msgspec.json.decode(event.value, type=FACT_TYPES[kind]))
    return facts, span, sales


def fact_row(event: Fact) -> FactRow:
    """Return a fact as a worker would keep it."""
    kind = event.event_type
    ids = tuple(str(getattr(event, name)) for name in FACT_IDS[kind])
    if kind == "stock_changed":
        ids += (str(event.occurred_at_ms // QUARTER_MS),)
    version = FACT_VERSION[kind]
    number = 0 if version is None else cast("int", getattr(event, version))
    at_ms = event.occurred_at_ms
    return FactRow(FactKey(kind, str(event.shop_id), ids), number, at_ms, 1, at_ms, 1, event)


class Feed:
    """A world's facts, shown to a board as time goes on.

    Attributes:
        columns: what the board knows.
    """

    def __init__(self, world: World, settings: Settings) -> None:
        self.columns = Columns(settings)
        self._shop_id = world.shop.shop_id
        self._rows = world.rows
        self._shown = 0
        self._spans: dict[str, ShopSpan] = {}

    def show(self, until_ms: int) -> None:
        """Let the board know everything that occurred up to an instant."""
        first = self._shown
        while self._shown < len(self._rows) and self._rows[self._shown].occurred_at_ms <= until_ms:
            self._shown += 1
        rows = self._rows[first : self._shown]
        for row in rows:
            topic = TOPIC_OF_TYPE.get(row.key.kind)
            if topic in {"orders", "stock"}:
                span = self._spans.get(topic)
                began_ms, records = (span.first_ms, span.records) if span else (row.occurred_at_ms, 0)
                self._spans[topic] = ShopSpan(began_ms, row.occurred_at_ms, records + 1)
        self.columns.apply(Flush(0, 1, [], rows, list(self._positions()), [], []))

    def _positions(self) -> Iterator[Position]:
        for topic, span in self._spans.items():
            outcomes = {Outcome.COUNTED: span.records}
            yield Position(topic, span.records, span.last_ms, outcomes, {self._shop_id: span})

    def anything_new(self, until_ms: int) -> bool:
        """Return whether something other than a heartbeat occurred since what is shown."""
        coming = itertools.takewhile(
            lambda row: row.occurred_at_ms <= until_ms, itertools.islice(self._rows, self._shown, None)
        )
        return any(row.key.kind != "heartbeat" for row in coming)
