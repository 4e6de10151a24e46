"""Metrics of the catalogue that compare: with a baseline day, the month before, a benchmark, the first final figures.

Source: spec/metrics.md "Sales and money in", "Freshness and quality".
"""

from __future__ import annotations

from typing import Final

from streams.formulas import CompareFigure, Restated
from streams.metric import Metric, Unit, metric_of
from streams.metrics_sales import GMV

BENCHMARK_DIMS: Final = ("metric", "group")

COMPARE_METRICS: Final[tuple[Metric, ...]] = (
    metric_of(
        "gmv_vs_baseline_pct",
        "GMV against an own earlier day",
        "(gmv - gmv of the other side) / gmv of the other side, as a fraction; the other side is what `compare` names: "
        "baseline:<date>, one day at most six calendar months before, or any other own time.",
        Unit.RATE,
        CompareFigure("baseline", "gmv"),
        "S4-13 S4-14 S4-15 S4-16 X-22 X-27",
        dims=(),
        topics=("orders",),
        owner="streams.query_compare",
        null_reasons=(
            "no_source",
            "zero_divisor",
            "nothing_compared",
            "source_began_later",
        ),
        not_counted="The part of an unfinished day that the other side had not reached at the same time.",
        advice="Below: see which format and product fell, by=slice and by=product with the same `compare`.",
    ),
    metric_of(
        "sales_volume_mom_pct",
        "Sales volume, month over month",
        "(items_sold of the month - of the month before) / of the month before, as a fraction; of the month of the "
        "window's last day. While the month is open both sides hold equally many days, up to the same time.",
        Unit.RATE,
        CompareFigure("month", "items_sold"),
        "S5-03",
        dims=(),
        topics=("orders",),
        owner="streams.query_compare",
        null_reasons=("no_source", "zero_divisor", "source_began_later"),
        advice="A small shop should sell more every month; look at the weeks of the month, by=week.",
    ),
    metric_of(
        "metric_vs_benchmark_pct",
        "Against the benchmark",
        "(own - benchmark) / benchmark, as a fraction, of each metric that a benchmark is known for: the mean of top "
        "sellers of the category in the own or a higher tier. Finished days only: one day, or the campaign through its "
        "last final day. Without group: own_tier.",
        Unit.RATE,
        CompareFigure("benchmark"),
        "S4-20 S4-21 S4-22 S4-25 S4-26 X-24 X-25 X-26 X-27",
        dims=BENCHMARK_DIMS,
        topics=("benchmarks",),
        owner="streams.benchmarks",
        null_reasons=("no_source", "no_benchmark", "not_final", "zero_divisor"),
        advice="Below: what top sellers do better; see the metric's own advice.",
    ),
    metric_of(
        "benchmark_age_days",
        "Age of the benchmark",
        "Day after the last one shown - day that the benchmark describes: 1 is normal, 2 is late, and an older one is "
        "not shown. Of several the oldest.",
        Unit.DAYS,
        CompareFigure("benchmark_age"),
        "S4-23 S4-24",
        dims=BENCHMARK_DIMS,
        topics=("benchmarks",),
        owner="streams.benchmarks",
        null_reasons=("no_source", "no_benchmark", "not_final"),
    ),
    metric_of(
        "restated_amount",
        "Restatement",
        "gmv now - gmv as it was first final: what arrived after 18:00 of the day after its payment (setting "
        "day_final_hour); 0 for days that are not final yet. A restated answer says the same of each of its metrics.",
        Unit.MONEY,
        Restated(GMV),
        "S2-41 S2-42 S2-44 X-63 X-77",
        not_counted="Traffic: it counts late or is kept apart as too_late. An order that was corrected after its day "
        "was final counts whole: its first version is not kept.",
    ),
)
