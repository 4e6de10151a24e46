"""Why an answer has no row: a list of nothing is right where nothing was counted, and else has a reason."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from streams import null_reasons
from streams.cell_series import Series
from streams.errors import QueryError
from streams.formulas import Frame, FreshnessFigure, measures_of
from streams.leaves import Leaves
from streams.query_skus import named_events

if TYPE_CHECKING:
    from streams.metric import Metric
    from streams.scope import Scope


def why_nothing(scope: Scope, metric: Metric) -> str | None:
    """Return why an answer without any row says nothing of a metric; None: there was nothing to count.

    The reasons are those of a single row that holds nothing, and then what its records do not name: a SKU, or anything
    by which the rows would be told apart.
    """
    window, series = scope.window, Series([0])
    spans = [(window.from_ms, scope.now_ms + 1 if window.to_ms is None else window.to_ms)]
    if not isinstance(metric.formula, FreshnessFigure):
        null_reasons.mark_no_source(scope, metric, series, spans)
    if any(measure.frame is Frame.TRAFFIC for measure in measures_of(metric.formula)):
        null_reasons.mark_gone(scope, metric, series, spans)
    null_reasons.mark_not_begun(scope, metric, series)
    if scope.where:
        null_reasons.mark_unknown_id(scope, series)
    if series.reasons:
        return series.reasons[0]
    if any(not found.share for found in named_events(scope, metric)):
        return "source_gives_no_skus"
    return "not_told" if scope.names and _counts(dataclasses.replace(scope, by=()), metric) else None


def _counts(scope: Scope, metric: Metric) -> bool:
    """Return whether anything of a metric is counted in a scope."""
    try:
        leaves = Leaves(scope, [metric])
    except QueryError:
        return False
    own = [frame.get_column("value") for leaf, frame in leaves.values.items() if not leaf.is_whole]
    return any(bool((values != 0).any()) for values in own)
