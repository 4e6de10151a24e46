"""Rules on goals: behind the pace (A-41), reached (A-42), week or quarter behind (A-43).

A-41 never pages. The row of A-41 in spec/alerts.md says "page on last day if red", the paragraph "Rules about rules"
below the table says "A-41 never pages"; the paragraph is about all rows and was written after them, so it holds: red on
the last day is told in the channel at once, as on every other day.

Source: spec/alerts.md A-41 to A-43; X-67, X-76.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scipy.special import pdtr

from streams.alerts import clean_name
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS, day_label
from streams.goals import least_due, mean_basket
from streams.money import compact_money
from streams.period_goals import period_goals
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.goals import GoalProgress
    from streams.period_goals import PeriodGoal
    from streams.rule_context import RuleContext

_NEWS_MS: Final = HOUR_MS
"""A goal reached in the last minute of a campaign is told up to so long after it; older ones are history."""

_KINDS: Final = {"week": "Week", "month": "Month"}
_BASIS: Final = {
    "plan": "by the plan",
    "even_plan": "at the least by the plan, which names no hours",
    "even_line": "at the least by a straight line",
    "reference": "as earlier days sold",
    "straight": "by a straight line",
}
_EVEN: Final = {"plan": "even_plan", "straight": "even_line"}
"""How it is called where the hours of the day are not told: see `goals.least_due`."""


def find_goals_behind(context: RuleContext) -> Iterable[Reading]:
    """Hold the pace of every campaign goal against amber and red (A-41)."""
    numbers, columns, shop = context.settings.rules, context.columns, context.shop
    since_ms = columns.source_since_ms(shop.shop_id, "orders")
    amber, red = numbers.goal_amber_pace * 100, numbers.goal_red_pace * 100
    for goal in context.goals:
        if not goal.target or goal.progress_pct is None:
            continue
        due, even = least_due(columns, shop, goal, peak=numbers.goal_even_peak)
        even = even and numbers.goal_even_peak > 1
        pace = goal.progress_pct / due if due else None
        elapsed_ms = context.now_ms - goal.starts_at_ms
        # On a first day whose hours are not told, two hours after midnight say nothing.
        early_ms = max(numbers.goal_min_elapsed_ms, DAY_MS if even else 0)
        unseen = since_ms is None or since_ms > goal.starts_at_ms + numbers.goal_min_elapsed_ms
        if context.now_ms >= goal.ends_at_ms:
            judgement = Judgement.ENDED
        elif unseen:
            # What was sold before the feed began is not in the value: behind is what it would seem, not what it is.
            judgement = Judgement.HELD
        elif due is None or pace is None:
            judgement = Judgement.THIN
        elif pace >= numbers.goal_clear_pace * 100:
            judgement = Judgement.CLEAR
        elif due < numbers.goal_min_due and elapsed_ms < early_ms:
            judgement = Judgement.THIN
        elif pace >= amber:
            judgement = Judgement.BETWEEN
        else:
            judgement = Judgement.THIN if _by_chance(goal, due, context) else Judgement.FIRES
        is_red = pace is not None and pace < red
        yield Reading(
            entity=_campaign(goal),
            judgement=judgement,
            value=pace,
            threshold=amber,
            clearing=numbers.goal_clear_pace * 100,
            volume=None if due is None else due * 100,
            minimum=numbers.goal_min_due * 100,
            severity=Severity.WARNING if is_red else Severity.NOTE,
            money_minor=_missing_minor(goal, due),
            figures={
                "level": "red" if is_red else "amber",
                "progress_pct": goal.progress_pct,
                "target": goal.target,
                "value": goal.value,
                "metric": goal.metric,
                "expected_share": due,
                "basis": _EVEN.get(goal.basis, goal.basis) if even else goal.basis,
                "projected": goal.projected,
                "projected_low": goal.projected_low,
                "projected_high": goal.projected_high,
                "needed_per_h": goal.needed_per_h,
                "ends_at_ms": goal.ends_at_ms,
            },
        )


def _by_chance(goal: GoalProgress, due: float, context: RuleContext) -> bool:
    """Return whether so little may be sold by chance where so much is due, in orders of the usual size."""
    basket = mean_basket(context.columns, context.shop, goal.metric, goal.complete_ms)
    wanted, found = (goal.target or 0.0) * due / basket, goal.value / basket
    return bool(pdtr(found, wanted) >= context.settings.rules.goal_chance)


def _missing_minor(goal: GoalProgress, due: float | None) -> int:
    """Return the money that was due by now and is not there; 0 for a goal in orders or items."""
    if goal.metric != "gmv" or not goal.target or due is None:
        return 0
    return max(0, round(goal.target * due) - goal.value)


def _behind_text(reading: Reading, context: RuleContext) -> str:
    figures = reading.figures
    target, due = _number(figures["target"]), _number(figures["expected_share"])
    heading = ""
    if figures["projected"] is not None:
        heading = f" Heading for {_amount(figures['projected'], figures, context)}"
        if figures["projected_low"] is not None and figures["projected_high"] is not None:
            low, high = (
                _amount(figures[name], figures, context) for name in ("projected_low", "projected_high")
            )
            heading += f" ({low} to {high})"
        heading += "."
    needed = ""
    if figures["needed_per_h"] is not None:
        end = context.clock.end(int(_number(figures["ends_at_ms"])))
        needed = f" {_amount(figures['needed_per_h'], figures, context)} an hour needed until {end}."
    value, of = _amount(figures["value"], figures, context), _amount(target, figures, context)
    return (
        f"{reading.entity.name} is behind its goal, {figures['level']}: {value} of {of}, "
        f"{_amount(target * due, figures, context)} was due by now "
        f"{_BASIS.get(str(figures['basis']), '')} ({reading.value or 0:.0f}% of the pace).{heading}{needed}"
    )


def find_goals_hit(context: RuleContext) -> Iterable[Reading]:
    """Look whether a campaign's goal is reached (A-42)."""
    for goal in context.goals:
        if goal.progress_pct is None or not goal.target:
            continue
        if context.now_ms >= goal.ends_at_ms + _NEWS_MS:
            judgement = Judgement.ENDED
        else:
            judgement = Judgement.FIRES if goal.progress_pct >= 100 else Judgement.BETWEEN
        yield Reading(
            entity=_campaign(goal),
            judgement=judgement,
            value=goal.progress_pct,
            threshold=100.0,
            figures={
                "value": goal.value,
                "target": goal.target,
                "metric": goal.metric,
                "ends_at_ms": goal.ends_at_ms,
            },
        )


def _hit_text(reading: Reading, context: RuleContext) -> str:
    figures = reading.figures
    ends_at_ms = int(_number(figures["ends_at_ms"]))
    left = f" It runs until {context.clock.end(ends_at_ms)}." if context.now_ms < ends_at_ms else ""
    return (
        f"{reading.entity.name} has reached its goal of {_amount(figures['target'], figures, context)}: "
        f"{_amount(figures['value'], figures, context)} sold by {context.clock.time(context.now_ms)}.{left}"
    )


def find_period_goals(context: RuleContext) -> Iterable[Reading]:
    """Hold the goals of weeks, months and named days against what should be sold of them by now (A-43).

    Should be: the share of the period's sales that earlier days made by the same time, else the share of its time that
    is gone. By time alone a shop that sells in the evening is behind every noon. Quarters are A-40's.
    """
    numbers = context.settings.rules
    since_ms = context.columns.source_since_ms(context.shop.shop_id, "orders")
    for goal in period_goals(context.columns, context.shop, context.settings, as_of_ms=context.now_ms):
        if goal.kind == "quarter":
            continue
        due = goal.elapsed_share if goal.expected_share is None else goal.expected_share
        threshold, clearing = due * 100, min(due + numbers.week_clear_margin, 1.0) * 100
        elapsed_ms = context.now_ms - goal.starts_at_ms
        reached = goal.progress_pct
        unseen = since_ms is None or since_ms > goal.starts_at_ms + numbers.week_min_elapsed_ms
        if goal.ends_at_ms <= context.now_ms and goal.kind != "last_7_days":
            judgement = Judgement.ENDED
        elif reached is None or unseen:
            judgement = Judgement.HELD
        elif reached >= clearing:
            judgement = Judgement.CLEAR
        elif elapsed_ms < numbers.week_min_elapsed_ms:
            judgement = Judgement.THIN
        else:
            judgement = Judgement.FIRES if reached < threshold else Judgement.BETWEEN
        target, value = goal.target, goal.value or 0
        yield Reading(
            entity=_period(goal, context),
            judgement=judgement,
            value=reached,
            threshold=threshold,
            clearing=clearing,
            volume=elapsed_ms / HOUR_MS,
            minimum=numbers.week_min_elapsed_ms / HOUR_MS,
            money_minor=max(0, round(target * due) - value) if goal.metric == "gmv" else 0,
            figures={
                "value": goal.value,
                "target": target,
                "metric": goal.metric,
                "due_share": due,
                "basis": goal.basis,
                "unknown_because": goal.unknown_because,
                "ends_at_ms": goal.ends_at_ms,
            },
        )


def _period(goal: PeriodGoal, context: RuleContext) -> Entity:
    """Return what a goal is about; a week's has the week in its id, so that the next week opens its own incident."""
    calendar = context.columns.calendar(context.shop.shop_id)
    start = day_label(calendar.day_of(goal.starts_at_ms))
    last = day_label(calendar.day_of(goal.ends_at_ms - 1))
    metric = clean_name(goal.metric)
    if goal.kind == "last_7_days":
        return Entity("shop", f"last_7_days-{metric}", f"Last 7 days, {metric}")
    name = f"{start} to {last}, {metric}"
    return Entity(
        "shop",
        f"{goal.kind}-{start}-{last}-{metric}",
        name if goal.kind == "range" else f"{_KINDS[goal.kind]} {name}",
    )


def _period_text(reading: Reading, context: RuleContext) -> str:
    figures = reading.figures
    return (
        f"{reading.entity.name}: {_amount(figures['value'], figures, context)} of "
        f"{_amount(figures['target'], figures, context)} ({reading.value or 0:.0f}%), "
        f"{reading.threshold or 0:.0f}% was due by now {_BASIS.get(str(figures['basis']), '')}."
    )


def _campaign(goal: GoalProgress) -> Entity:
    return Entity("campaign", goal.campaign_id, clean_name(goal.name or goal.campaign_id), goal.campaign_id)


def _number(value: float | str | None) -> float:
    return float(value or 0)


def _amount(
    value: float | str | None, figures: Mapping[str, int | float | str | None], context: RuleContext
) -> str:
    """Return a value of a goal as a person reads it: money, or a count with what it counts."""
    number = _number(value)
    if figures["metric"] == "gmv":
        return compact_money(round(number), context.shop.currency)
    return f"{number:,.0f} {'orders' if figures['metric'] == 'orders' else 'items'}"


GOAL_BEHIND: Final = Rule(
    number="A-41",
    key="goal_behind",
    title="Campaign goal behind pace",
    entity="campaign",
    reads=("orders",),
    find=find_goals_behind,
    condition="goal_pace_pct < rules.goal_amber_pace (note), < rules.goal_red_pace (warning); it never pages",
    minimum=(
        "rules.goal_min_due of the goal was due or rules.goal_min_elapsed_ms passed; so little less likely than "
        "rules.goal_chance where so much is due (Poisson, in orders of the usual size); where nothing tells the hours "
        "of the day, those left may sell rules.goal_even_peak times its mean; the order feed knows the campaign from "
        "its start"
    ),
    clears="pace at or above rules.goal_clear_pace, or the campaign is over",
    unit="%",
    hold_ms=5 * MINUTE_MS,
    clear_ms=10 * MINUTE_MS,
    severity=Severity.WARNING,
    owner=Owner.OPS,
    route=AlertRoute.CHANNEL,
    advice="see which format and product fell against the reference, then stock; try it in the what-if",
    text=_behind_text,
    runbook="goals",
    settings=(
        "rules.goal_amber_pace",
        "rules.goal_red_pace",
        "rules.goal_clear_pace",
        "rules.goal_min_due",
        "rules.goal_min_elapsed_ms",
        "rules.goal_chance",
        "rules.goal_even_peak",
    ),
    sources=("S4-12", "S4-75"),
)

GOAL_HIT: Final = Rule(
    number="A-42",
    key="goal_hit",
    title="Campaign goal reached",
    entity="campaign",
    reads=("orders",),
    find=find_goals_hit,
    condition="goal_progress_pct >= 100 %",
    minimum="none",
    clears="never: it is said once",
    unit="%",
    hold_ms=0,
    clear_ms=0,
    severity=Severity.NOTE,
    owner=Owner.OPS,
    route=AlertRoute.CHANNEL,
    advice="tell the team, look at what still runs out before the end",
    text=_hit_text,
    runbook="goals",
    settings=(),
    sources=("S4-12",),
    once=True,
)

WEEK_GOAL: Final = Rule(
    number="A-43",
    key="week_goal",
    title="Goal of the week or period off target",
    entity="shop",
    reads=("orders",),
    find=find_period_goals,
    condition=(
        "period_sales_goal_pct below the share of the period's sales due by now: as earlier days sold, else by time "
        "elapsed; weeks, months, last 7 days, named days"
    ),
    minimum="rules.week_min_elapsed_ms of the period; the order feed knows it from its start",
    clears="rules.week_clear_margin ahead of what is due, or the goal is reached, or the period is over",
    unit="%",
    hold_ms=15 * MINUTE_MS,
    clear_ms=15 * MINUTE_MS,
    severity=Severity.NOTE,
    owner=Owner.OPS,
    route=AlertRoute.PANEL,
    advice="compare the days of the period, plan what the missing part takes",
    text=_period_text,
    runbook="",
    settings=("rules.week_min_elapsed_ms", "rules.week_clear_margin"),
    sources=("S3-18", "S3-32"),
)

RULES: Final[tuple[Rule, ...]] = (GOAL_BEHIND, GOAL_HIT, WEEK_GOAL)
"""The rules on goals."""
