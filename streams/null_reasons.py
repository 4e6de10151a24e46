"""Why a row has no value: what is not fed, not whole yet, not there any more or still to come.

Every function takes a metric's series and sets to null what cannot be said, with the reason. Spans are the rows' starts
(None: open) and ends in event time.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Final

from streams.figures import FIGURES
from streams.formulas import FreshnessFigure
from streams.known_ids import unknown_filters
from streams.query_figures import REFERENCE_TOPICS
from streams.ready_made import TOPIC as READY_MADE_TOPIC
from streams.ready_made import fed_since_ms, told_since_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streams.catalogue import Metric
    from streams.cell_series import Series
    from streams.scope import Scope

    Span = tuple[int | None, int]

_OF_NOTHING: Final = frozenset({"", "zero_divisor", "not_told", "not_in_stock_feed", "no_stock_record"})
"""What is said of a row of a thing that is not there: 0, or one of these reasons."""


def mark_gone(scope: Scope, metric: Metric, series: Series, spans: Sequence[Span]) -> None:
    """Traffic of days that have left the state without being written down is not zero, it is not known."""
    columns, shop_id, calendar = scope.columns, scope.shop.shop_id, scope.calendar
    since = [at for topic in metric.topics if (at := columns.source_since_ms(shop_id, topic)) is not None]
    gone = columns.days_gone(shop_id, min(since)) if since else []
    if not gone:
        return
    starts_ms = [calendar.day_start_ms(day) for day in gone]
    ends_ms = [calendar.day_start_ms(day + 1) for day in gone]

    def reaches(span: Span) -> bool:
        begin_ms, end_ms = span
        # The days are in order: of those that end after the row begins, the first begins before the row ends.
        first = 0 if begin_ms is None else bisect.bisect_right(ends_ms, begin_ms)
        return first < len(gone) and starts_ms[first] < end_ms

    _mark_spans(series, "no_detail_before", spans, reaches)


def mark_no_source(scope: Scope, metric: Metric, series: Series, spans: Sequence[Span]) -> None:
    """A topic feeds a shop from its first record on: before, there is no value, not zero."""
    since = [fed_since_ms(scope.columns, scope.shop.shop_id, topic) for topic in metric.topics]
    if (metric.windows == "now" or metric.is_comparison) and metric.topics:
        if None in since and "no_source" in metric.null_reasons:
            series.mark("no_source", lambda _: True)
        return
    known = [at_ms for at_ms in since if at_ms is not None]
    missing = len(known) < len(since)
    began = max(known, default=0)
    _mark_spans(series, "no_source", spans, lambda span: missing or span[1] <= began)


def mark_not_begun(scope: Scope, metric: Metric, series: Series) -> None:
    """Of a window that is still to come nothing is known; what a source whose clock is ahead sent counts there."""
    if metric.windows == "now" or metric.is_comparison or isinstance(metric.formula, FreshnessFigure):
        return
    from_ms, is_figure = scope.window.from_ms, isinstance(metric.formula, FIGURES)
    if from_ms is None or from_ms <= scope.now_ms:
        return
    series.mark("not_begun", lambda index: is_figure or not series.values[index])


def mark_unknown_id(scope: Scope, series: Series) -> None:
    """Of an id that no record names nothing is known: where nothing is counted, that is no zero."""
    if not any(series.values) and unknown_filters(scope):
        series.mark("unknown_id", lambda index: series.reasons.get(index, "") in _OF_NOTHING)


def mark_catching_up(scope: Scope, metric: Metric, series: Series, spans: Sequence[Span]) -> None:
    """A rate of topics that are too far apart says nothing for what the later one has not reached."""
    columns, shop_id = scope.columns, scope.shop.shop_id
    # The silence of a reference record says nothing.
    topics = [topic for topic in metric.topics if topic not in REFERENCE_TOPICS]
    found = [columns.watermark_ms(shop_id, one) for topic in topics for one in _fed_by(scope, topic)]
    marks = [min(at_ms, scope.now_ms) for at_ms in found if at_ms is not None]
    if not marks or max(marks) - min(marks) <= columns.settings.board.catching_up_ms:
        return
    behind = min(marks)
    _mark_spans(series, "catching_up", spans, lambda span: min(span[1], scope.now_ms) > behind)


def mark_no_primary(scope: Scope, series: Series) -> None:
    """Of several ad accounts one must be chosen before anything is said of "the" ads (X-50)."""
    ads = scope.columns.ads(scope.shop.shop_id)
    if "ad_account" not in scope.needs and ads.primary_account() is None and ads.metrics().height:
        series.mark("no_primary_ad_account", lambda _: True)


def _mark_spans(series: Series, reason: str, spans: Sequence[Span], holds: Callable[[Span], bool]) -> None:
    """Mark the rows whose span it holds of; of rows of one time it is asked once."""
    marked = {span for span in set(spans) if holds(span)}
    if marked:
        series.mark(reason, lambda index: spans[index] in marked)


def _fed_by(scope: Scope, topic: str) -> tuple[str, ...]:
    """Return which topics feed what one topic would: its own, that of ready-made counts, or both."""
    told = told_since_ms(scope.columns, scope.shop.shop_id, topic) is not None
    return (topic, READY_MADE_TOPIC) if told else (topic,)
