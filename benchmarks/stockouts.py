"""How often does a real stock-out fall into its 80 % interval: `python -m benchmarks.stockouts --seeds 20 --json`.

Each seed is a generated campaign day with two ordinary days before it: its orders and stock records are shown to the
stock table and the rules every few minutes, in event time. What counts is the page's own promise: the interval that
stood on the A-01 page when it opened, against the time at which the SKU ran out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import msgspec
import numpy as np

from replay.generator.assortment import CURRENCY, SHOP_ID, TIMEZONE
from replay.generator.facts import gmv_minor, heartbeats, order_events, reference_events, stock_events
from replay.generator.orders import HERO_SKU, make_sales
from replay.generator.parameters import Knobs, Scenario, parameters_of
from replay.generator.traffic import Day, make_traffic
from streams.alerts import Alert, AlertState
from streams.columns import Columns
from streams.days import HOUR_MS, MINUTE_MS, QUARTER_MS, BusinessCalendar, day_label, parse_day
from streams.events import FACT_IDS, FACT_TYPES, FACT_VERSION
from streams.outcomes import Outcome
from streams.rule_context import RuleContext
from streams.rule_stock import RULES
from streams.rules import RuleState, evaluate
from streams.settings import Settings, ShopSettings
from streams.state import FactKey, FactRow, Flush, Position, ShopSpan
from streams.topics import TOPIC_OF_TYPE

DAYS: Final[tuple[tuple[str, Scenario], ...]] = (
    ("2026-11-20", "ordinary_day"),
    ("2026-11-26", "ordinary_day"),
    ("2026-11-27", "campaign_day"),
)
"""The reference day, yesterday, today."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """A stock-out that was paged before it came; hours from the real stock-out, negative is earlier.

    Attributes:
        best_seller: the LIVE's best seller, which runs out on every seed.
    """

    seed: int
    sku_id: str
    best_seller: bool
    opened_h: float
    low_h: float
    predicted_h: float
    high_h: float | None
    inside: bool


def follow(seed: int, *, from_hour: float = 12.0, step_ms: int = 3 * MINUTE_MS) -> list[Foretold]:
    """Return the stock-outs of one seed's campaign day that were paged before they came."""
    shop = ShopSettings(SHOP_ID, TIMEZONE, CURRENCY)
    settings = Settings(shops={SHOP_ID: shop})
    rows, span = _facts(seed)
    columns, state, now_ms = Columns(settings), RuleState(), span.at(from_hour)
    alerts: list[Alert] = []
    shown = 0
    while now_ms < span.end_ms:
        upto = shown
        while upto < len(rows) and rows[upto].occurred_at_ms <= now_ms:
            upto += 1
        columns.apply(_flush(rows[:upto], shown))
        shown = upto
        context = RuleContext(columns, shop, settings, now_ms, state.incidents)
        # A feed is what is given here: its silence is none.
        vars(context)["stale"] = frozenset()
        alerts += evaluate(state, RULES, context)
        now_ms += step_ms
    return [
        _foretold(seed, alert)
        for alert in alerts
        if alert.rule == "A-01" and alert.state is AlertState.OPEN and alert.actual_ms is not None
    ]


def _facts(seed: int) -> tuple[list[FactRow], Day]:
    rows: list[FactRow] = []
    calendar = BusinessCalendar(TIMEZONE)
    for label, scenario in DAYS:
        day = parse_day(label)
        span = Day(calendar.day_start_ms(day), calendar.day_start_ms(day + 1), day_label(day))
        knobs = Knobs(parameters_of(scenario))
        # The seeds of `replay.generator.scenario`: the same orders as a generated recording has.
        roots = [seed, day, ("campaign_day", "ordinary_day").index(scenario)]
        draws = [np.random.default_rng([*roots, concern]) for concern in range(5)]
        sales = make_sales(draws[1], knobs, span, make_traffic(draws[0], knobs, span, 1.0).buyers)
        goal = gmv_minor(knobs, sales.orders) if scenario == "campaign_day" else None
        events = [
            *reference_events(span, goal),
            *stock_events(sales),
            *order_events(draws[4], knobs, span, sales.orders),
            *heartbeats(span, MINUTE_MS, {}),
        ]
        rows += [_fact(event.value) for event in events]
    rows.sort(key=lambda row: row.occurred_at_ms)
    return rows, span


def _fact(value: bytes) -> FactRow:
    kind = msgspec.json.decode(value)["event_type"]
    event = msgspec.json.decode(value, type=FACT_TYPES[kind])
    ids = tuple(str(getattr(event, name)) for name in FACT_IDS[kind])
    if kind == "stock_changed":
        ids += (str(event.occurred_at_ms // QUARTER_MS),)
    version = FACT_VERSION[kind]
    number = 0 if version is None else getattr(event, version)
    key = FactKey(kind, SHOP_ID, ids)
    return FactRow(key, number, event.occurred_at_ms, 1, event.occurred_at_ms, 1, event)


def _flush(rows: Sequence[FactRow], shown: int) -> Flush:
    """Return a flush of the rows from `shown` on, with the positions of all."""
    positions = []
    for topic in ("orders", "stock"):
        times = [row.occurred_at_ms for row in rows if TOPIC_OF_TYPE[row.key.kind] == topic]
        span = ShopSpan(times[0], times[-1], len(times))
        positions.append(
            Position(topic, len(times), times[-1], {Outcome.COUNTED: len(times)}, {SHOP_ID: span})
        )
    return Flush(0, 1, [], list(rows[shown:]), positions, [], [])


def _foretold(seed: int, alert: Alert) -> Foretold:
    def hours(at_ms: int | None) -> float:
        return round(((at_ms or 0) - (alert.actual_ms or 0)) / HOUR_MS, 2)

    return Foretold(
        seed,
        alert.sku_id,
        alert.sku_id == HERO_SKU,
        hours(alert.opened_at_ms),
        hours(alert.predicted_low_ms),
        hours(alert.predicted_ms),
        None if alert.predicted_high_ms is None else hours(alert.predicted_high_ms),
        bool(alert.inside_interval),
    )


def _followed(seeds: Sequence[int], from_hour: float) -> Iterator[Foretold]:
    for seed in seeds:
        yield from follow(seed, from_hour=from_hour)


def main() -> None:
    """Follow the seeds and print each stock-out, or everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--from-hour", type=float, default=12.0, help="local hour at which watching begins")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = list(_followed(range(options.first, options.first + options.seeds), options.from_hour))
    best = [each for each in found if each.best_seller]
    summary = {
        "seeds": options.seeds,
        "stock_outs": len(found),
        "inside": sum(each.inside for each in found),
        "best_seller_stock_outs": len(best),
        "best_seller_inside": sum(each.inside for each in best),
    }
    if options.json:
        print(json.dumps({**summary, "rows": [asdict(each) for each in found]}))
        return
    for each in found:
        print(each)
    print(summary)


if __name__ == "__main__":
    main()
