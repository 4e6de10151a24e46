"""Limits of the vendor's screens, as the views that copy a screen have them; the query layer knows none of them.

Source: X-80; A-45, A-67, A-68, A-69 of spec/alerts.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streams.errors import ComparisonError, QueryError
from streams.periods import first_weekday
from streams.view import AUTO_GRAIN, GRAIN, Shape

if TYPE_CHECKING:
    from streams.answers import Answer
    from streams.columns import Columns
    from streams.view import Part, View
    from streams.view_words import Chosen

WEEK_DAYS = 7


def check_question(view: View, chosen: Chosen, asked: Sequence[tuple[Part, Sequence[str]]]) -> None:
    """Refuse what the vendor's page refuses, as far as the question itself says it.

    Raises:
        QueryError: `trend_metrics` (A-67), `hourly_only_ads` (A-69), `baseline_range` (A-45).
    """
    limits = view.limits
    compare = chosen["compare"]
    if limits.daily_baseline and compare and not compare.startswith(("baseline:", "benchmark")):
        what = f"{view.name} compares one day with an own earlier day or a benchmark, not with {compare[:100]!r}."
        mend = _unbound(view, "Ask compare=baseline:<date>")
        raise ComparisonError(what, reason="baseline_range", mend=mend)
    trends = [(part, metrics) for part, metrics in asked if part.shape is Shape.TREND]
    for part, metrics in trends:
        if limits.most_trend_metrics and len(metrics) > limits.most_trend_metrics:
            what = (
                f"The trend {part.title!r} of {view.name} shows at most {limits.most_trend_metrics} metrics, as on "
                f"the {view.copies}, and {len(metrics)} are asked for."
            )
            raise QueryError(what, reason="trend_metrics", mend=_unbound(view, "Choose fewer metrics"))
    if limits.hourly_metrics is not None and chosen[GRAIN.name] == "hour":
        for part, metrics in trends:
            others = [name for name in metrics if name not in limits.hourly_metrics]
            if AUTO_GRAIN in part.by and others:
                what = f"By the hour {view.name} has only {', '.join(sorted(limits.hourly_metrics))}, not {others[0]}."
                raise QueryError(what, reason="hourly_only_ads", mend=_unbound(view, "Ask grain=day"))


def check_answer(view: View, columns: Columns, answer: Answer) -> None:
    """Refuse what only the resolved window shows.

    Raises:
        QueryError: `range_weeks` (A-68).
    """
    if not view.limits.whole_weeks:
        return
    calendar = columns.calendar(answer.shop_id)
    start = first_weekday(columns, columns.shop(answer.shop_id))
    whole = False
    if answer.from_ms is not None and answer.to_ms is not None:
        first, after = calendar.day_of(answer.from_ms), calendar.day_of(answer.to_ms)
        edges = (
            calendar.day_start_ms(first) == answer.from_ms and calendar.day_start_ms(after) == answer.to_ms
        )
        whole = edges and (first - 1) % WEEK_DAYS == start and (after - first) % WEEK_DAYS == 0
    if not whole:
        what = f"The window {answer.window!r} is not whole weeks, which {view.name} needs, as the {view.copies} does."
        raise QueryError(what, reason="range_weeks", mend=_unbound(view, "Ask window=weeks:6"))


def _unbound(view: View, instead: str) -> str:
    return f'{instead}, put it to `query`, or lift the limit with [views] unbound = ["{view.name}"].'
