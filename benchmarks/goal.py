"""How far off is the projected end value: `python -m benchmarks.goal --json`.

Days and weeks of Online Retail (real sales) and generated campaign days, each projected when 25, 50 and 75 % of its
time has passed, with what was known then, by the code that the board runs. Beside it the straight line: what was sold
so far over the share of time that has passed.

Of each set and in total: mean absolute error of both in parts of the real end value (`mape`, `straight_mape`), and the
share of real end values inside the 80 % interval (`coverage_80`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from replay.direct import load_columns
from replay.generator.assortment import CURRENCY, SHOP_ID, TIMEZONE
from replay.generator.facts import gmv_minor, order_events, reference_events
from replay.generator.orders import make_sales
from replay.generator.parameters import Knobs, Scenario, parameters_of
from replay.generator.traffic import Day, make_traffic
from replay.importers.online_retail import import_online_retail
from replay.recording import Recording
from streams.columns import Columns
from streams.days import BusinessCalendar, day_label, parse_day
from streams.events import FACT_IDS, FACT_TYPES, FACT_VERSION
from streams.goal_curve import Curve, campaign_curve, period_curve
from streams.goals import end_value, sold
from streams.outcomes import Outcome
from streams.settings import Settings, ShopSettings
from streams.state import FactKey, FactRow, Flush, Position, ShopSpan
from streams.topics import TOPIC_OF_TYPE

RECORDING: Final = Path(__file__).parent.parent / "replay" / "recordings" / "online-retail-2010-11"
METRICS: Final = ("gmv", "orders")
ELAPSED: Final = (0.25, 0.5, 0.75)
SCENARIOS: Final[tuple[tuple[str, Scenario], ...]] = (
    ("2026-11-20", "ordinary_day"),
    ("2026-11-26", "ordinary_day"),
    ("2026-11-27", "campaign_day"),
)
"""The reference day, yesterday, the campaign's day."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One projection against what came.

    Attributes:
        part: `days`, `weeks` or `campaigns` of a data set.
        elapsed: share of the time that had passed.
        basis: of the curve.
        error, straight_error: absolute, in parts of the real end value.
        inside: whether that lies in the interval; width: of the interval, in parts of the end value.
    """

    part: str
    metric: str
    elapsed: float
    basis: str
    error: float
    straight_error: float
    inside: bool
    width: float


def guesses(part: str, columns: Columns, shop: ShopSettings, metric: str, curve: Curve) -> Iterator[Guess]:
    """Yield the projections of one period; none where nothing was sold in it or nothing tells its end yet."""
    start_ms, end_ms = int(curve.edges_ms[0]), int(curve.edges_ms[-1])
    real = sold(columns, shop, metric, start_ms, end_ms - 1)
    for elapsed in ELAPSED if real else ():
        now_ms = start_ms + round((end_ms - start_ms) * elapsed) - 1
        straight = sold(columns, shop, metric, start_ms, now_ms) / elapsed
        end = end_value(columns, shop, metric, curve, as_of_ms=now_ms)
        if end is None:
            continue
        yield Guess(
            part,
            metric,
            elapsed,
            curve.basis,
            abs(end.mid - real) / real,
            abs(straight - real) / real,
            end.low <= real <= end.high,
            (end.high - end.low) / real,
        )


def of_recording(name: str, columns: Columns, shop: ShopSettings, first: int, last: int) -> Iterator[Guess]:
    """Yield the projections of the days and of the weeks from Monday that lie whole in `first` to `last`."""
    calendar = columns.calendar(shop.shop_id)
    spans = [("days", day, day) for day in range(first, last + 1)]
    spans += [("weeks", day, day + 6) for day in range(first, last - 5) if day % 7 == 1]
    for kind, begin, end in spans:
        from_ms, to_ms = calendar.day_start_ms(begin), calendar.day_start_ms(end + 1)
        for metric in METRICS:
            curve = period_curve(columns, shop, metric, from_ms, to_ms)
            # Without earlier days there is nothing to compare: the curve is the straight line itself.
            if curve.basis != "straight":
                yield from guesses(f"{name} {kind}", columns, shop, metric, curve)


def of_campaigns(seeds: Sequence[int]) -> Iterator[Guess]:
    """Yield the projections of generated campaign days, held against the ordinary day a week before."""
    shop = ShopSettings(SHOP_ID, TIMEZONE, CURRENCY)
    for seed in seeds:
        columns = _campaign(seed, shop)
        (campaign,) = columns.campaigns(shop.shop_id)
        # The generated plan names the whole day only: its hours are the reference's.
        for metric in METRICS:
            curve = campaign_curve(columns, shop, campaign, metric)
            yield from guesses("generated campaigns", columns, shop, metric, curve)


def _campaign(seed: int, shop: ShopSettings) -> Columns:
    """Return the orders of three generated days and the campaign of the last, without folding their traffic."""
    calendar, rows = BusinessCalendar(TIMEZONE), []
    for label, scenario in SCENARIOS:
        day = parse_day(label)
        span = Day(calendar.day_start_ms(day), calendar.day_start_ms(day + 1), day_label(day))
        knobs = Knobs(parameters_of(scenario))
        roots = [seed, day, ("campaign_day", "ordinary_day").index(scenario)]
        draws = [np.random.default_rng([*roots, concern]) for concern in range(5)]
        sales = make_sales(draws[1], knobs, span, make_traffic(draws[0], knobs, span, 1.0).buyers)
        goal = gmv_minor(knobs, sales.orders) if scenario == "campaign_day" else None
        events = [*reference_events(span, goal), *order_events(draws[4], knobs, span, sales.orders)]
        rows += [_fact(event.value) for event in events]
    times = [row.occurred_at_ms for row in rows if TOPIC_OF_TYPE[row.key.kind] == "orders"]
    place = {shop.shop_id: ShopSpan(min(times), max(times), len(times))}
    columns = Columns(Settings(shops={shop.shop_id: shop}))
    position = Position("orders", len(times), max(times), {Outcome.COUNTED: len(times)}, place)
    columns.apply(Flush(0, 1, [], rows, [position], [], []))
    return columns


def _fact(value: bytes) -> FactRow:
    kind = msgspec.json.decode(value)["event_type"]
    event = msgspec.json.decode(value, type=FACT_TYPES[kind])
    ids = tuple(str(getattr(event, name)) for name in FACT_IDS[kind])
    version = FACT_VERSION[kind]
    number = 0 if version is None else getattr(event, version)
    return FactRow(
        FactKey(kind, SHOP_ID, ids), number, event.occurred_at_ms, 1, event.occurred_at_ms, 1, event
    )


def summed(found: Sequence[Guess]) -> dict[str, Any]:
    """Return errors and coverage of each part, metric and share of time, and in total."""

    def of(some: Sequence[Guess]) -> dict[str, Any]:
        return {
            "projections": len(some),
            "mape": round(float(np.mean([one.error for one in some])), 3),
            "straight_mape": round(float(np.mean([one.straight_error for one in some])), 3),
            "coverage_80": round(float(np.mean([one.inside for one in some])), 3),
            "median_width": round(float(np.median([one.width for one in some])), 3),
        }

    document: dict[str, Any] = {}
    for one in found:
        key = f"{one.part}, {one.metric}"
        if key not in document:
            mine = [each for each in found if (each.part, each.metric) == (one.part, one.metric)]
            parts = {f"{share:.0%}": [each for each in mine if each.elapsed == share] for share in ELAPSED}
            document[key] = (
                {"basis": one.basis} | of(mine) | {share: of(some) for share, some in parts.items()}
            )
    return {"parts": document, "total": of(found) if found else {}}


def main() -> None:
    """Project every period and print errors and coverage; exit 1 where the straight line is better."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--retail", type=Path, help="a whole Online Retail file, .parquet or .csv")
    parser.add_argument("--seeds", type=int, default=20, help="generated campaigns")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = list(of_campaigns(range(1, options.seeds + 1)))
    with tempfile.TemporaryDirectory() as folder:
        path = RECORDING
        if options.retail is not None:
            path = Path(folder) / "whole"
            import_online_retail(options.retail, path)
        recording = Recording.open(path)
        columns = load_columns(recording, Settings())
        (shop,) = recording.shops.values()
        first, last = (columns.calendar(shop.shop_id).day_of(at_ms) for at_ms in recording.span_ms())
        found += of_recording("online retail", columns, shop, first, last)
    document = summed(found)
    if options.json:
        print(json.dumps(document))  # the document is the command's answer
    else:
        for name, part in document["parts"].items():
            print(name, part)  # likewise
        print("total", document["total"])  # likewise
    if worse := [name for name, part in document["parts"].items() if part["mape"] > part["straight_mape"]]:
        sys.exit(f"The straight line is better: {', '.join(worse)}.")


if __name__ == "__main__":
    main()
