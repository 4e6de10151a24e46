"""Rules on comparisons: below the chosen earlier day (A-44), below the benchmark (A-46, A-49), a late benchmark (A-47).

Benchmarks are optional (S4-25): without records these rules say nothing.

Source: spec/alerts.md.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from streams.catalogue import METRICS
from streams.days import HOUR_MS, day_label, parse_day
from streams.goals import running_campaign
from streams.request import Request
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity
from streams.rule_bands import shop_entity
from streams.windows import day_final_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.rule_context import RuleContext

SUPPLY: Final = ("creator_new_videos", "creator_new_lives", "seller_new_videos", "seller_new_lives")


def find_below_baseline(context: RuleContext) -> Iterable[Reading]:
    """Hold the last finished day of the running campaign against the earlier day that the seller chose (A-44)."""
    campaign = running_campaign(context.columns, context.shop, as_of_ms=context.now_ms)
    if campaign is None or not campaign.reference:
        return
    with suppress(ValueError):
        parse_day(campaign.reference)
        calendar = context.columns.calendar(context.shop.shop_id)
        yesterday = calendar.day_of(context.now_ms) - 1
        if yesterday < calendar.day_of(campaign.starts_at_ms):
            return
        request = Request(
            ("gmv_vs_baseline_pct", "gmv"),
            window=f"day:{day_label(yesterday)}",
            compare=f"baseline:{campaign.reference}",
        )
        for row in context.rows(request):
            change = row["gmv_vs_baseline_pct"]
            judgement = (
                Judgement.HELD if change is None else Judgement.FIRES if change < 0 else Judgement.CLEAR
            )
            yield Reading(
                entity=shop_entity(context),
                judgement=judgement,
                value=None if change is None else change * 100,
                threshold=0,
                clearing=0,
                figures={"day": day_label(yesterday), "baseline": campaign.reference},
            )


def below_benchmark(*, supply: bool) -> Callable[[RuleContext], Iterable[Reading]]:
    """Return a condition that holds yesterday's figures against their benchmarks, of content supply or of all else."""

    def find(context: RuleContext) -> Iterable[Reading]:
        margin = context.settings.rules.benchmark_margin
        request = Request(("metric_vs_benchmark_pct",), by=("metric",), window="yesterday")
        for row in context.rows(request):
            name, change = row["metric"], row["metric_vs_benchmark_pct"]
            if (name in SUPPLY) is not supply:
                continue
            judgement = Judgement.HELD if change is None else Judgement.CLEAR
            if change is not None and change < -margin:
                judgement = Judgement.FIRES
            metric = METRICS.get(name)
            yield Reading(
                entity=Entity("metric", name, metric.title if metric is not None else name),
                judgement=judgement,
                value=None if change is None else change * 100,
                threshold=0 - margin * 100,
                clearing=0 - margin * 100,
                figures={"hint": metric.advice if metric is not None else ""},
            )

    return find


def find_late_benchmarks(context: RuleContext) -> Iterable[Reading]:
    """Look whether the newest benchmark of a day describes the last day that is final for long enough (A-47)."""
    shop_id = context.shop.shop_id
    days = [
        parse_day(record.benchmark_day)
        for record in context.columns.totals(shop_id).benchmarks()
        if record.period == "day"
    ]
    if not days:
        return
    calendar = context.columns.calendar(shop_id)
    hour, wait_ms = context.settings.board.day_final_hour, context.settings.rules.benchmark_wait_ms
    due = calendar.day_of(context.now_ms) - 1
    while day_final_ms(calendar, due, hour) + wait_ms > context.now_ms:
        due -= 1
    newest, age = max(days), calendar.day_of(context.now_ms) - max(days)
    yield Reading(
        entity=shop_entity(context),
        judgement=Judgement.FIRES if newest < due else Judgement.CLEAR,
        value=age,
        threshold=calendar.day_of(context.now_ms) - due,
        figures={"newest": day_label(newest), "due": day_label(due)},
    )


def _benchmark_rule(
    number: str, key: str, title: str, *, supply: bool, sources: tuple[str, ...], advice: str
) -> Rule:
    of = "content supply" if supply else "any metric that a benchmark is known for, but content supply,"
    return Rule(
        number=number,
        key=key,
        title=title,
        entity="metric",
        reads=("orders",),
        find=below_benchmark(supply=supply),
        condition=f"yesterday's metric_vs_benchmark_pct of {of} below rules.benchmark_margin",
        minimum="a benchmark for that day, and the day final",
        clears="at the benchmark, less the margin, or above",
        unit="%",
        hold_ms=0,
        clear_ms=0,
        severity=Severity.NOTE,
        owner=Owner.CONTENT if supply else Owner.OPS,
        route=AlertRoute.PANEL,
        advice=advice,
        text=lambda reading, _: (
            f"{reading.entity.name} was {-(reading.value or 0):.0f}% below the top sellers of the category yesterday. "
            f"{reading.figures['hint']}".rstrip()
        ),
        runbook="",
        settings=("rules.benchmark_margin",),
        sources=sources,
    )


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        number="A-44",
        key="baseline_down",
        title="Campaign day below the chosen earlier day",
        entity="shop",
        reads=("orders",),
        find=find_below_baseline,
        condition="gmv_vs_baseline_pct of the campaign's last finished day below 0, against the campaign's reference",
        minimum="a reference that is a date, at most six months back",
        clears="0 or above, or the campaign is over",
        unit="%",
        hold_ms=0,
        clear_ms=0,
        severity=Severity.NOTE,
        owner=Owner.OPS,
        route=AlertRoute.PANEL,
        advice="see which format and product fell against that day",
        text=lambda reading, _: (
            f"GMV of {reading.figures['day']} was {-(reading.value or 0):.0f}% below {reading.figures['baseline']}."
        ),
        runbook="",
        settings=(),
        sources=("S4-13", "S4-16"),
    ),
    _benchmark_rule(
        "A-46",
        "benchmark_below",
        "Below the benchmark",
        supply=False,
        sources=("S4-36", "S4-26", "S4-21"),
        advice="see what stands beside it on the page that the figure comes from",
    ),
    _benchmark_rule(
        "A-49",
        "supply_gap",
        "Less content than top sellers",
        supply=True,
        sources=("S4-36", "S4-27"),
        advice="plan LIVEs, and ask creators for videos",
    ),
    Rule(
        number="A-47",
        key="benchmark_late",
        title="Benchmark is late",
        entity="shop",
        reads=(),
        find=find_late_benchmarks,
        condition="no benchmark of the last day that has been final for rules.benchmark_wait_ms (board.day_final_hour)",
        minimum="a shop that gets benchmarks",
        clears="it is there",
        unit="days old",
        hold_ms=HOUR_MS,
        clear_ms=0,
        severity=Severity.NOTE,
        owner=Owner.PLATFORM,
        route=AlertRoute.CHANNEL,
        advice="look at the connector that sends benchmarks",
        text=lambda reading, _: (
            f"The newest benchmark describes {reading.figures['newest']}, and {reading.figures['due']} is due; one "
            "more day and none is shown."
        ),
        runbook="benchmark-is-late",
        settings=("rules.benchmark_wait_ms", "board.day_final_hour"),
        sources=("S4-23", "S4-24"),
    ),
)
"""The rules on comparisons."""
