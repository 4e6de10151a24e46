"""Benchmarks: the mean of top sellers of the same category, for one finished day or a campaign's finished days.

A record holds for the day it describes and, when its successor is late, for the day after; then nothing is shown. They
are optional: without a record every value is null `no_benchmark`.

Source: S4-20 to S4-26; spec/decisions.md X-24, X-25, X-26; spec/metrics.md metric_vs_benchmark_pct, benchmark_age_days.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from streams.cell_series import Series
from streams.days import day_label, parse_day
from streams.errors import ComparisonError, QueryError
from streams.series import Cells
from streams.side_by_side import differences
from streams.windows import current_campaign, day_final_ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.comparison import Group
    from streams.events import Benchmark
    from streams.metric import Metric
    from streams.scope import Scope

GROUPS: Final[tuple[Group, ...]] = ("own_tier", "higher_tier")

MAX_AGE_DAYS: Final = 2
"""1 is normal, 2 is late, and older ones are hidden (S4-24)."""


class Finished(NamedTuple):
    """What of a window can be held against benchmarks.

    Attributes:
        scope: of its finished days; None while none is final.
        period: which records fit.
        last_day: the last finished one.
    """

    scope: Scope | None
    period: Literal["day", "campaign"]
    last_day: int


def finished_part(scope: Scope) -> Finished:
    """Return the part of a window that benchmarks describe.

    Raises:
        ComparisonError: `benchmark_on_today`, `benchmark_window`.
    """
    window, calendar = scope.window, scope.calendar
    if window.unit != "days" or window.from_ms is None or window.to_ms is None:
        raise _no_window(scope)
    first, last = calendar.day_of(window.from_ms), calendar.day_of(window.to_ms - 1)
    today = calendar.day_of(scope.now_ms)
    if window.text.startswith("campaign"):
        final = [day for day in range(first, min(last, today) + 1) if _is_final(scope, day)]
        if not final:
            return Finished(None, "campaign", first)
        end_ms = min(window.to_ms, calendar.day_start_ms(final[-1] + 1))
        cut = dataclasses.replace(window, text=f"{window.text} finished", to_ms=end_ms)
        return Finished(dataclasses.replace(scope, window=cut), "campaign", final[-1])
    if first != last:
        raise _no_window(scope)
    if first >= today:
        what = "There are no benchmarks of today: they describe finished days (S4-22)."
        mend = "Ask for window=yesterday, day:<date> or campaign; for today compare with reference:<date>."
        raise ComparisonError(what, reason="benchmark_on_today", mend=mend)
    return Finished(scope if _is_final(scope, first) else None, "day", first)


def benchmark_for(scope: Scope, metric_id: str, group: Group, part: Finished) -> Benchmark | None:
    """Return the record that stands beside a metric; None where none is known or the newest is too old."""
    profile = scope.columns.profile(scope.shop.shop_id)
    category = profile.category if profile is not None else None
    tier = profile.gmv_tier if profile is not None and group == "own_tier" else None
    found = [
        record
        for record in scope.columns.totals(scope.shop.shop_id).benchmarks()
        if record.metric == metric_id
        and record.group == group
        and record.period == part.period
        and (not category or record.category == category)
        and (not tier or record.gmv_tier == tier)
        and 1 <= age_days(record, part) <= MAX_AGE_DAYS
    ]
    return max(found, key=lambda record: (record.benchmark_day, record.published_at_ms), default=None)


def age_days(record: Benchmark, part: Finished) -> int:
    """Return days from the day that a record describes to the one on which the finished days are looked at first."""
    return part.last_day + 1 - parse_day(record.benchmark_day)


def beside(cells: Cells, metrics: Sequence[Metric], group: Group, part: Finished) -> dict[str, Series]:
    """Return the benchmark beside each metric; it describes the whole shop, so only a single row has one."""
    whole_shop = cells.height == 1 and not cells.scope.names and not cells.scope.where
    found: dict[str, Series] = {}
    for metric in metrics:
        record = benchmark_for(cells.scope, metric.id, group, part) if whole_shop else None
        value = record.value if record is not None and part.scope is not None else None
        why = "not_final" if part.scope is None else "no_benchmark"
        reasons = {} if value is not None else dict.fromkeys(range(cells.height), why)
        found[metric.id] = Series([value] * cells.height, reasons)
    return found


def benchmarked(
    scope: Scope, known: Mapping[str, Metric], column: str
) -> dict[tuple[str, Group], tuple[Any, str]]:
    """Return (metric, group) -> value and the reason where it is null, of each metric that any benchmark names.

    Args:
        scope: the question's.
        known: the catalogue.
        column: `benchmark`, the difference as a fraction, or `benchmark_age` in days.

    Raises:
        ComparisonError: `benchmark_on_today`.
    """
    shop_id = scope.shop.shop_id
    named = {(record.metric, record.group) for record in scope.columns.totals(shop_id).benchmarks()}
    metrics = {name: known[name] for name, _ in named if name in known and known[name].windows == "any"}
    try:
        part: Finished | None = finished_part(scope)
    except QueryError as error:
        if error.reason != "benchmark_window":
            raise
        part = None
    values: dict[tuple[str, Group], tuple[Any, str]] = {}
    for name, group in sorted(named):
        if name not in metrics:
            continue
        if part is None or part.scope is None:
            values[name, group] = (None, "no_benchmark" if part is None else "not_final")
            continue
        record = benchmark_for(part.scope, name, group, part)
        own = None if record is None else _own_value(part.scope, metrics[name])
        if record is None or own is None:
            values[name, group] = (None, "no_benchmark")
        elif column == "benchmark_age":
            values[name, group] = (age_days(record, part), "")
        else:
            _, change = differences(own, Series([record.value]))
            values[name, group] = (change.values[0], change.reasons.get(0, ""))
    return values


def _own_value(scope: Scope, metric: Metric) -> Series | None:
    """Return a metric of the whole shop; None for one that a whole shop does not have."""
    try:
        return Cells(dataclasses.replace(scope, by=(), where=()), [metric]).series(metric)
    except QueryError:
        return None


def _is_final(scope: Scope, day: int) -> bool:
    hour = scope.columns.settings.board.day_final_hour
    ended = scope.as_of_ms >= scope.calendar.day_start_ms(day + 1) - 1
    return ended and scope.now_ms >= day_final_ms(scope.calendar, day, hour)


def _no_window(scope: Scope) -> ComparisonError:
    campaign = current_campaign(scope.columns.campaigns(scope.shop.shop_id), scope.calendar, scope.now_ms)
    what = f"Benchmarks describe one day or the campaign, not {scope.window.text}."
    yesterday = day_label(scope.calendar.day_of(scope.now_ms) - 1)
    works = f"day:{yesterday}" + (" or campaign" if campaign is not None else "")
    return ComparisonError(what, reason="benchmark_window", mend=f"Ask for window={works}.")
