"""KPI scorecards: figures as rows, each beside the bands that hold for the shop, and the KPI sets of the guide by goal.

Source: S5-01, S5-29 to S5-48, S5-56, S5-61, S5-62; X-47, X-48.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from streams.bands import bands_by_tier, bands_of, speaks
from streams.comparison import CHANGE, COMPARED
from streams.metric import Unit
from streams.money import minor_digits

if TYPE_CHECKING:
    from streams.answers import Answer
    from streams.bands import Band
    from streams.events import Shop
    from streams.metric import Metric

GOALS: Final[Mapping[str, tuple[str, ...]]] = {
    "drive_sales": ("gmv", "items_sold", "conversion_rate", "ctor", "checkouts_initiated"),
    "grow_reach": ("follower_growth_rate", "unique_viewers", "product_page_views"),
    "engagement": ("likes", "shares", "comments", "engagement_rate", "watch_duration_avg", "saves"),
    "ads": ("roas", "cpc", "cpp", "ad_ctr"),
    "audience": ("follower_growth_rate", "unique_viewers"),
    "compliance": ("violations_count", "flagged_content_rate"),
}
"""By goal, the metrics that are its KPIs (S5-29 to S5-48); top territories and demographics are parts of their own."""

VANITY: Final = frozenset(
    {
        "likes",
        "comments",
        "shares",
        "saves",
        "content_views",
        "unique_viewers",
        "followers",
        "product_impressions",
    }
)
"""What looks good and decides nothing by itself; everything else is called impact (S5-62)."""

COLUMNS: Final = (
    *("title", "value", "shown", "unit", "why", "kind", "kpi", "compared", "change"),
    *("band", "low", "high", "place", "off", "micro_goal", "advice"),
)
"""Columns of a scorecard beside the metric's id."""


def scorecard(answer: Answer, known: Mapping[str, Metric], profile: Shop | None) -> Answer:
    """Turn an answer of one row into rows by metric: one for each band that holds, one without where none does.

    Columns are `COLUMNS`: `why` is the reason of a null value; `kpi` whether the seller marks it or the shop's goal
    names it; `place` is below, in or above the band; `off` asks for something to be done, `micro_goal` is the nearest
    figure that does not, `advice` is then the metric's own.
    """
    goal = profile.goal if profile is not None and profile.goal else ""
    marked = {*(profile.kpis if profile is not None else ()), *GOALS.get(goal, ())}
    figures = answer.rows[0] if answer.rows else {}
    rows: list[dict[str, Any]] = []
    nulls: list[tuple[int, str]] = []
    for name in answer.metrics:
        metric, value = known[name], figures.get(name)
        why = next((reason for reason, at in answer.nulls.get(name, {}).items() if at), "")
        common = {
            "metric": name,
            "title": metric.title,
            "value": value,
            "shown": _shown(value, metric.unit, answer.currency),
            "unit": metric.unit.value,
            "why": why,
            "kind": "vanity" if name in VANITY else "impact",
            "kpi": name in marked,
            "compared": figures.get(name + COMPARED),
            "change": figures.get(name + CHANGE),
        }
        bands: list[Band | None] = []
        if speaks(metric.unit, answer.currency):
            bands = [*bands_of(name, profile)] or [*bands_by_tier(name)]
        for band in bands or [None]:
            if value is None:
                nulls.append((len(rows), why))
            if band is None:
                rows.append(common | dict.fromkeys(COLUMNS[len(common) - 1 :]))
                continue
            # Which price tier a shop's purchases are of is not told: no figure of the whole shop is off its band.
            off = value is not None and not band.tier and band.is_off(value)
            rows.append(
                common
                | {
                    "band": f"{band.tier}-priced items" if band.tier else band.name,
                    "low": band.low,
                    "high": band.high,
                    "place": None if value is None else band.place(value).value,
                    "off": None if value is None or band.tier else off,
                    "micro_goal": band.goal if off else None,
                    "advice": metric.advice if off else None,
                }
            )
    reasons: dict[str, list[int]] = {}
    for row, why in nulls:
        reasons.setdefault(why, []).append(row)
    partial = [row for row, each in enumerate(rows) if answer.partial.get(each["metric"])]
    return dataclasses.replace(
        answer,
        by=("metric",),
        metrics=(),
        rows=rows,
        units={},
        nulls={"value": reasons} if reasons else {},
        partial={"value": partial} if partial else {},
    )


def put_places(
    answer: Answer, rows: list[dict[str, Any]], metrics: Sequence[str], profile: Shop | None
) -> tuple[str, ...]:
    """Put beside each of these metrics where it lies against the shop's first band for it; return the new columns."""
    columns = []
    for name in metrics:
        if name not in answer.metrics:
            continue
        bands = list(bands_of(name, profile)) if speaks(answer.units[name], answer.currency) else []
        columns.append(f"{name}_band")
        for row in rows:
            value = row[name]
            row[columns[-1]] = bands[0].place(value).value if bands and value is not None else None
    return tuple(columns)


def _shown(value: Any, unit: Unit, currency: str) -> str:
    if value is None:
        return "-"
    if unit is Unit.MONEY:
        return f"{value:,.{minor_digits(currency)}f} {currency}"
    if unit is Unit.RATE:
        return f"{value:.2%}"
    return (
        f"{value:,.1f}"
        if isinstance(value, float)
        else str(value)
        if isinstance(value, str)
        else f"{value:,}"
    )
