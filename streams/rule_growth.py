"""Rules on growth: the month of a small shop (A-39), the quarter of a larger one (A-40).

Source: spec/alerts.md.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from streams.days import HOUR_MS
from streams.period_goals import period_goals
from streams.request import Request
from streams.rule import AlertRoute, Judgement, Owner, Reading, Rule, Severity
from streams.rule_bands import shop_entity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.rule_context import RuleContext


def find_month(context: RuleContext) -> Iterable[Reading]:
    """Look whether a small shop sells more than in the month before (A-39)."""
    profile = context.columns.profile(context.shop.shop_id)
    if profile is None or profile.business_size != "small":
        return
    day = dt.date.fromordinal(context.columns.calendar(context.shop.shop_id).day_of(context.now_ms)).day
    for row in context.rows(Request(("sales_volume_mom_pct",), window="today")):
        value = row["sales_volume_mom_pct"]
        if value is None:
            judgement = Judgement.HELD
        elif day <= context.settings.rules.month_min_days:
            judgement = Judgement.THIN
        else:
            judgement = Judgement.FIRES if value <= 0 else Judgement.CLEAR
        yield Reading(shop_entity(context), judgement, None if value is None else value * 100, 0, 0)


def find_quarter(context: RuleContext) -> Iterable[Reading]:
    """Look whether the quarter's target of a medium or large shop is behind its pace (A-40)."""
    profile = context.columns.profile(context.shop.shop_id)
    if profile is None or profile.business_size not in ("mid", "enterprise"):
        return
    goals = period_goals(context.columns, context.shop, context.settings, as_of_ms=context.now_ms)
    for goal in (each for each in goals if each.kind == "quarter" and each.metric == "gmv"):
        elapsed_ms = goal.complete_ms - goal.starts_at_ms
        if goal.pace_pct is None or elapsed_ms < context.settings.rules.week_min_elapsed_ms:
            judgement = Judgement.THIN
        else:
            judgement = Judgement.FIRES if goal.pace_pct < 100 else Judgement.CLEAR
        yield Reading(
            entity=shop_entity(context),
            judgement=judgement,
            value=goal.pace_pct,
            threshold=100,
            clearing=100,
            figures={"progress_pct": goal.progress_pct, "window": goal.window},
        )


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        number="A-39",
        key="sales_mom",
        title="Sales volume does not rise",
        entity="shop",
        reads=("orders",),
        find=find_month,
        condition="sales_volume_mom_pct of a small shop 0 or below; both months up to the same day",
        minimum="more than rules.month_min_days of the month",
        clears="above 0",
        unit="%",
        hold_ms=HOUR_MS,
        clear_ms=HOUR_MS,
        severity=Severity.NOTE,
        owner=Owner.OPS,
        route=AlertRoute.PANEL,
        advice="look at the weeks of the month, and at which products fell",
        text=lambda reading, _: f"Sales volume is {reading.value or 0:+.0f}% against the month before.",
        runbook="",
        settings=("rules.month_min_days",),
        sources=("S5-03",),
    ),
    Rule(
        number="A-40",
        key="quarter_target",
        title="Quarter target behind",
        entity="shop",
        reads=("orders",),
        find=find_quarter,
        condition="the quarter's gmv of a medium or large shop below its pace",
        minimum="rules.week_min_elapsed_ms of the quarter",
        clears="on pace",
        unit="%",
        hold_ms=HOUR_MS,
        clear_ms=HOUR_MS,
        severity=Severity.NOTE,
        owner=Owner.OPS,
        route=AlertRoute.PANEL,
        advice="see which weeks and formats are missing, and plan the rest of the quarter",
        text=lambda reading, _: (
            f"The quarter has {reading.value or 0:.0f}% of what was due by now; "
            f"{reading.figures['progress_pct'] or 0:.0f}% of its target is reached."
        ),
        runbook="",
        settings=("rules.week_min_elapsed_ms",),
        sources=("S5-04",),
    ),
)
"""The rules on growth."""
