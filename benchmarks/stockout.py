"""Are stock-outs foretold, and pages right: `python -m benchmarks.stockout --json` (`--quick` for half a minute).

Real orders under made-up stocks and generated campaign days (`benchmarks.stockout_worlds`) are shown to the stock
table and to rules A-01 and A-02 in event time, minute by minute as it would have been. Nothing is shown before it
occurred; what a world ends with is known to the judge alone.

Warned. At every whole hour each method gives the hours until each SKU runs out: ours (`hours_to_stockout`), stock over
the mean of the last 24 hours, over the mean of the last 7 days, and a library's forecast. A method *warns* of a SKU at
lead N when it says "within 2 N hours". A stock-out is *warned N h ahead* when the warning stood at the last whole hour
that lay N hours or more before it. Stock-outs with less than N hours of stock before them cannot be warned and do not
count. The same test for all methods, on the point each gives; so a method that always warns would win, and `right`
stands beside it: of all warnings that end within the judged days, the share whose SKU ran out within 4 N hours.

Pages. What A-01 and A-02 open on the route `page`, with the settings as they come (X-83). A page is *false* when its
SKU did not run out within 6 hours (A-02: had not within the 6 hours before). What opens at one look leaves as one
message and rings once (`pages_per_shop_day_max`); `paged_skus_per_shop_day_max` counts each SKU.

Coverage. `coverage_80`: of the stock-outs that we warned of, the share inside the interval that stood at the first
warning at lead 6 h. This is the interval a person first sees.

Tuned on other data: the constants of `streams.projection` and the numbers of X-83 were set on the worlds of `--tuning`
(weeks of February to October 2010, seeds from 101 on), never on those that the plain command judges by (the recording
that comes with the project, weeks of August, September and November 2010, seeds from 1 on).
"""

from __future__ import annotations

import argparse
import bisect
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from benchmarks.stockout_methods import LIBRARY, by_library, mean_of_last
from benchmarks.stockout_worlds import (
    Feed,
    Stocks,
    World,
    generated,
    generated_served,
    imported_orders,
    recorded_orders,
    served,
)
from replay.importers.online_retail import CURRENCY, SHOP_ID, TIMEZONE
from replay.recording import Recording
from streams.alerts import Alert, AlertRoute, AlertState
from streams.days import HOUR_MS, MINUTE_MS, BusinessCalendar, day_label, parse_day
from streams.rule_context import RuleContext
from streams.rule_stock import RULES
from streams.rules import RuleState, evaluate
from streams.settings import Settings, ShopSettings

LEADS_H: Final = (3, 6, 24)
COVERAGE_LEAD_H: Final = 6
FALSE_AFTER_H: Final = 6

METHODS: Final = {"": "ours", "baseline_24h_": "last_24h", "baseline_7d_": "last_7d", "library_": "library"}
"""Prefix of a method's keys, and its column."""

RECORDING: Final = Path("replay/recordings/online-retail-2010-11")
RETAIL_SHOP: Final = ShopSettings(SHOP_ID, TIMEZONE, CURRENCY)
_PAGE_RULES: Final = tuple(rule for rule in RULES if rule.number in {"A-01", "A-02"})

_FORECASTS: Final = {
    "now_ms": pl.Int64,
    "sku_id": pl.String,
    "truth": pl.Float64,
    "left": pl.Float64,
    "ours": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "last_24h": pl.Float64,
    "last_7d": pl.Float64,
    "library": pl.Float64,
}
"""Hours from `now_ms`: until the SKU ran out (inf: not in the judged days), until these end, and what was foretold."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What was foretold and paged in one world.

    Attributes:
        forecasts: `_FORECASTS`, one row per judged SKU in stock and whole hour.
        pages: as they opened.
        false_pages: those whose SKU did not run out within `FALSE_AFTER_H`.
    """

    world: World
    forecasts: pl.DataFrame
    pages: list[Alert]
    false_pages: list[Alert]


def follow(world: World, *, step_ms: int = 10 * MINUTE_MS, library: bool = True) -> Followed:
    """Show a world to the stock table and the rules.

    Args:
        world: to follow through its judged days.
        step_ms: between two looks; where nothing occurred in between there is one look an hour. While a page is about
            to open there is a second look a minute later.
        library: ask the library too.
    """
    settings = Settings(shops={world.shop.shop_id: world.shop})
    feed, state = Feed(world, settings), RuleState()
    truth: dict[str, list[int]] = defaultdict(list)
    for sku, at_ms in world.stock_outs:
        truth[sku].append(at_ms)
    alerts: list[Alert] = []
    forecasts: list[tuple[object, ...]] = []

    def look(now_ms: int) -> RuleContext:
        feed.show(now_ms)
        context = RuleContext(feed.columns, world.shop, settings, now_ms, state.incidents)
        # A feed is what is given here: its silence is none.
        vars(context)["stale"] = frozenset()
        alerts.extend(evaluate(state, _PAGE_RULES, context))
        return context

    for now_ms in range(world.from_ms + step_ms, world.to_ms, step_ms):
        whole_hour = now_ms % HOUR_MS == 0
        if not whole_hour and not feed.anything_new(now_ms):
            continue
        context = look(now_ms)
        if whole_hour:
            forecasts += _foretold(world, context, truth, library=library)
        if state.firing_since:
            look(now_ms + MINUTE_MS)
    opened = {
        alert.alert_id: alert
        for alert in reversed(alerts)
        if alert.route is AlertRoute.PAGE and alert.state in {AlertState.OPEN, AlertState.RESOLVED}
    }
    pages = sorted(opened.values(), key=lambda alert: alert.opened_at_ms)
    false = [page for page in pages if not _ran_out(truth[page.sku_id], page.opened_at_ms)]
    return Followed(world, pl.DataFrame(forecasts, schema=_FORECASTS, orient="row"), pages, false)


def _ran_out(at_ms: Sequence[int], opened_at_ms: int) -> bool:
    """Return whether a stock-out lies within reach of a page, before it (A-02) or after it."""
    reach_ms = FALSE_AFTER_H * HOUR_MS
    return any(opened_at_ms - reach_ms <= each <= opened_at_ms + reach_ms for each in at_ms)


def _foretold(
    world: World, context: RuleContext, truth: Mapping[str, list[int]], *, library: bool
) -> Iterator[tuple[object, ...]]:
    now_ms = context.now_ms
    rows = {
        row.sku_id: row
        for row in context.stock
        if row.on_hand and row.on_hand > 0 and row.sku_id in world.judged
    }
    levels = {sku: row.on_hand or 0 for sku, row in rows.items()}
    lines = context.columns.order_lines(world.shop.shop_id)
    last_24h, last_7d = (mean_of_last(lines, levels, now_ms, hours) for hours in (24, 7 * 24))
    ahead = by_library(lines, levels, sorted(world.judged), now_ms) if library else None
    for sku, row in rows.items():
        next_out = bisect.bisect_right(truth[sku], now_ms)
        out_ms = truth[sku][next_out] if next_out < len(truth[sku]) else None
        yield (
            now_ms,
            sku,
            _hours(out_ms, now_ms),
            _hours(world.to_ms, now_ms),
            _hours(row.eta_ms, now_ms),
            _hours(row.eta_low_ms, now_ms),
            _hours(row.eta_high_ms, now_ms),
            last_24h[sku],
            last_7d[sku],
            None if ahead is None else ahead[sku],
        )


def _hours(at_ms: int | None, now_ms: int) -> float:
    return np.inf if at_ms is None else (at_ms - now_ms) / HOUR_MS


def counts(followed: Followed) -> Counter[str]:
    """Return what the shares are made of: they add up over worlds."""
    found: Counter[str] = Counter()
    frame = followed.forecasts
    for prefix, method in METHODS.items():
        said = frame.filter(pl.col(method).is_not_null())
        for lead in LEADS_H:
            key = f"{prefix}{{}}_{lead}h"
            standing = said.filter((pl.col("truth") >= lead) & (pl.col("truth") < lead + 1))
            found[key.format("warnable")] = standing.height
            found[key.format("warned")] = standing.filter(pl.col(method) <= 2 * lead).height
            ended = said.filter((pl.col(method) <= 2 * lead) & (pl.col(method) <= pl.col("left")))
            found[key.format("warnings")] = ended.height
            found[key.format("right")] = ended.filter(pl.col("truth") <= 4 * lead).height
    first = (
        frame.filter(pl.col("ours") <= 2 * COVERAGE_LEAD_H)
        .with_columns(out_ms=(pl.col("now_ms") + pl.col("truth") * HOUR_MS).round())
        .filter(pl.col("truth").is_finite())
        .sort("now_ms")
        .unique(["sku_id", "out_ms"], keep="first")
    )
    found["covered_of"] = first.height
    found["covered"] = first.filter(pl.col("truth").is_between("low", "high")).height
    found["pages"], found["false_pages"] = len(followed.pages), len(followed.false_pages)
    found["stock_outs"] = len(followed.world.stock_outs)
    return found


def rings_of_days(followed: Followed) -> Counter[str]:
    """Return how often somebody was paged on each local day: what opens at one look rings once."""
    return _by_day(followed, {page.opened_at_ms for page in followed.pages})


def skus_of_days(followed: Followed) -> Counter[str]:
    """Return how many pages opened on each local day."""
    return _by_day(followed, [page.opened_at_ms for page in followed.pages])


def _by_day(followed: Followed, at_ms: Iterable[int]) -> Counter[str]:
    calendar = BusinessCalendar(followed.world.shop.timezone)
    return Counter(day_label(calendar.day_of(each)) for each in at_ms)


def shares(found: Mapping[str, int], most_rings: int, most_skus: int) -> dict[str, float | int | None]:
    """Return the keys of the report."""

    def share(part: str, whole: str) -> float | None:
        return round(found[part] / found[whole], 3) if found[whole] else None

    report: dict[str, float | int | None] = {
        "stock_outs": found["stock_outs"],
        "pages": found["pages"],
        "false_pages": found["false_pages"],
        "false_page_share": share("false_pages", "pages"),
        "pages_per_shop_day_max": most_rings,
        "paged_skus_per_shop_day_max": most_skus,
        "coverage_80": share("covered", "covered_of"),
    }
    for prefix in METHODS:
        for lead in LEADS_H:
            report[f"{prefix}warned_{lead}h_share"] = share(
                f"{prefix}warned_{lead}h", f"{prefix}warnable_{lead}h"
            )
    for prefix in METHODS:
        for lead in LEADS_H:
            report[f"{prefix}right_{lead}h_share"] = share(
                f"{prefix}right_{lead}h", f"{prefix}warnings_{lead}h"
            )
    return report


Made = Callable[[], World]

LEVELS: Final = (Stocks(0.5, 0.5), Stocks(0.7, 0.7), Stocks(0.9, 0.9), Stocks(1.1, 1.1), Stocks(1.5, 1.5))
MIXED: Final = (Stocks(0.3, 1.5, 1), Stocks(0.3, 1.5, 2))


def slice_worlds(stocks: Sequence[Stocks], last_day: str = "2010-11-25") -> Iterator[Made]:
    """Yield the recording that comes with the project, which has no day before the judged ones."""
    facts = recorded_orders(Recording.open(RECORDING))
    for each in stocks:
        name = f"2010-11-22 to {last_day} alone, stock {each}"
        yield partial(served, name, RETAIL_SHOP, facts, "2010-11-22", last_day, each)


def week_worlds(table: Path, weeks: Sequence[tuple[str, str]], stocks: Sequence[Stocks]) -> Iterator[Made]:
    """Yield weeks of the whole file with the four weeks before them as history."""
    for first, last in weeks:
        facts = imported_orders(table, day_label(parse_day(first) - 28), last)
        for each in stocks:
            name = f"{first} to {last} after four weeks, stock {each}"
            yield partial(served, name, RETAIL_SHOP, facts, first, last, each)


def campaign_worlds(seeds: Sequence[int]) -> Iterator[Made]:
    """Yield generated campaigns: as they are generated, and served from stocks of all sizes, at several scales."""
    for seed in seeds:
        yield partial(generated, seed)
    for number, seed in enumerate(seeds):
        scale = (1.0, 2.0, 5.0)[number % 3]
        yield partial(generated_served, seed, scale, Stocks(0.3, 1.5, seed))


JUDGED_WEEKS: Final = (
    ("2010-08-09", "2010-08-13"),
    ("2010-09-20", "2010-09-24"),
    ("2010-11-22", "2010-11-25"),
)
TUNING_WEEKS: Final = (
    ("2010-03-08", "2010-03-12"),
    ("2010-07-05", "2010-07-09"),
    ("2010-10-04", "2010-10-08"),
)


def worlds_of(options: argparse.Namespace) -> Iterator[Made]:
    """Yield how to make the worlds of a run."""
    if options.tuning:
        if options.online_retail:
            yield from week_worlds(
                options.online_retail, TUNING_WEEKS, (Stocks(0.3, 1.5, 11), Stocks(0.8, 0.8))
            )
        yield from campaign_worlds(range(101, 101 + options.seeds))
        return
    if options.quick:
        yield from quick_worlds()
        return
    yield from slice_worlds((*LEVELS, *MIXED))
    if options.online_retail:
        yield from week_worlds(options.online_retail, JUDGED_WEEKS, (MIXED[0], LEVELS[3]))
    yield from campaign_worlds(range(1, 1 + options.seeds))


def quick_worlds() -> Iterator[Made]:
    """Yield what half a minute is enough for: two real days under two stocks, two generated days."""
    yield from slice_worlds((MIXED[0], LEVELS[3]), "2010-11-23")
    yield partial(generated, 1)
    yield partial(generated_served, 2, 5.0, Stocks(0.3, 1.5, 2))


def main() -> None:
    """Follow the worlds and print the figures of each and of all, as lines or as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    parser.add_argument(
        "--quick", action="store_true", help="four small worlds without the library: half a minute"
    )
    parser.add_argument("--tuning", action="store_true", help="the worlds to tune by, not those to judge by")
    parser.add_argument("--seeds", type=int, default=6, help="generated campaigns of each kind")
    parser.add_argument("--online-retail", type=Path, help="the whole Online Retail file, .csv or .parquet")
    parser.add_argument("--pages", action="store_true", help="print every page to standard error")
    options = parser.parse_args()
    recordings: dict[str, dict[str, float | int | None]] = {}
    total: Counter[str] = Counter()
    most_rings = most_skus = 0
    for make in worlds_of(options):
        began = time.perf_counter()
        followed = follow(make(), library=not options.quick)
        found = counts(followed)
        rings = max(rings_of_days(followed).values(), default=0)
        skus = max(skus_of_days(followed).values(), default=0)
        recordings[followed.world.name] = shares(found, rings, skus)
        total += found
        most_rings, most_skus = max(most_rings, rings), max(most_skus, skus)
        print(f"{followed.world.name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
        for page in followed.pages if options.pages else ():
            mark = "FALSE " if page in followed.false_pages else ""
            print(f"  {mark}{page.rule} {page.message}", file=sys.stderr)
    report = {
        "library": None if options.quick else LIBRARY,
        "recordings": recordings,
        "total": shares(total, most_rings, most_skus),
    }
    if options.json:
        print(json.dumps(report, indent=1))
        return
    for name, figures in (*recordings.items(), ("total", report["total"])):
        print(name, figures)


if __name__ == "__main__":
    main()
