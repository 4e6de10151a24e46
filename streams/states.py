"""Whether an answer may still change: provisional, final or restated, and by how much (X-63, X-77)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from streams.fact_frames import FRAMES
from streams.formulas import Rank, measures_of
from streams.frames import SLOT
from streams.restatement import ARRIVALS, late_slots
from streams.series import Cells
from streams.windows import day_final_ms

if TYPE_CHECKING:
    from streams.catalogue import Metric
    from streams.scope import Scope


def state_of(scope: Scope, metrics: Sequence[Metric]) -> str:
    """Return the state of the days that an answer covers.

    `provisional` until the last of them is final: at `day_final_hour` of the next day by the board's clock, with every
    topic read complete beyond its end. Then `final`, or `restated` where an order or refund of these days arrived
    after its day was final.
    """
    if any(metric.windows == "now" for metric in metrics):
        return "provisional"
    calendar = scope.calendar
    last_ms = scope.now_ms if scope.window.to_ms is None else scope.window.to_ms - 1
    hour = scope.columns.settings.board.day_final_hour
    last_day = calendar.day_of(last_ms)
    final_ms = day_final_ms(calendar, last_day, hour)
    if scope.now_ms < final_ms or scope.as_of_ms < calendar.day_start_ms(last_day + 1):
        return "provisional"
    frames = {measure.frame for metric in metrics for measure in measures_of(metric.formula)}
    for at, frame in ARRIVALS.items():
        if frame not in frames:
            continue
        # Of a window of a few days no other lines are looked at.
        found = FRAMES[frame].read(scope)
        late = late_slots(scope, found, at)
        if late.len() and found.filter(pl.col(SLOT).is_in(late.implode()) & scope.in_window(at)).height:
            return "restated"
    return "final"


def restated_by(scope: Scope, metrics: Sequence[Metric]) -> dict[str, Any]:
    """Return by how much each metric of facts differs from what was first final, over the whole question.

    Money in minor units; a metric that has no value in one of the two is left out, and so are traffic and places, which
    a whole question has none of.
    """
    chosen = []
    for metric in metrics:
        if isinstance(metric.formula, Rank):
            continue
        frames = {measure.frame for measure in measures_of(metric.formula)}
        if frames and frames <= set(ARRIVALS.values()):
            chosen.append(metric)
    whole = dataclasses.replace(scope, by=())
    now = Cells(whole, chosen)
    then = Cells(dataclasses.replace(whole, arrived="first_final"), chosen)
    found: dict[str, Any] = {}
    for metric in chosen:
        (value,), (first,) = now.series(metric).values, then.series(metric).values
        if value is not None and first is not None:
            found[metric.id] = value - first
    return found
