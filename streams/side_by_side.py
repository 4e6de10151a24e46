"""Two sides of a comparison in one table: the window's figures, and those of the earlier time beside them.

Both sides cover the same part: a window that is not over is compared with what the other side had at the same time of
the clock, traffic through the last full quarter hour, means through the last finished day.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from streams.cell_series import Series
from streams.days import MINUTE_MS, QUARTER_MS
from streams.errors import ComparisonError, QueryError
from streams.formulas import AdderFigure, DailyMean, Frame, Recent, measures_of
from streams.grid import SPANS_OF_DAYS, days_of, starts
from streams.metric import has_mean
from streams.query_figures import REFERENCE_TOPICS
from streams.ready_made import fed_since_ms
from streams.scope import CLOSED, TIME, Scope
from streams.series import Cells

if TYPE_CHECKING:
    from streams.comparison import Comparison
    from streams.metric import Metric
    from streams.query_figures import Figures
    from streams.windows import Window

_TOO_FINE: Final = frozenset({"grain_too_coarse", "no_detail_before"})
"""Refusals of a part of a day that mean for a comparison: this one figure has nothing beside it."""

_NOWHERE: Final = -1
"""Time of a row beside which nothing stands."""


@dataclass(slots=True)
class SideBySide:
    """Figures of both sides in the same rows.

    Attributes:
        cells: names and times of the rows, as of the window.
        own, other: metric id -> its values.
        through_ms: metric id -> where both sides end, for those that end before the window does.
        coverage, relative_error: the worse of both sides, by metric of people.
        since_ms: by metric whose cube is not rebuilt yet.
    """

    cells: Cells
    own: dict[str, Series]
    other: dict[str, Series]
    through_ms: dict[str, int]
    coverage: dict[str, float]
    relative_error: dict[str, float]
    since_ms: dict[str, int]


class _Part(NamedTuple):
    """What a group of metrics is compared over."""

    metrics: list[Metric]
    own: Cells
    other: Cells | None
    reason: str
    through_ms: int | None


def side_by_side(
    scope: Scope,
    metrics: Sequence[Metric],
    comparison: Comparison,
    given: Mapping[str, Figures],
) -> SideBySide:
    """Return the figures of a window and of what it is compared with.

    Args:
        scope: of the window.
        metrics: whose dimensions fit the scope.
        comparison: resolved for that window.
        given: as for `Cells`.

    Raises:
        QueryError: as for the window alone.
        ComparisonError: `comparison_not_over` when the other side is still to come.
    """
    parts = list(_parts(scope, metrics, comparison, given))
    index = _union(scope, comparison, parts)
    beside = _beside(scope, comparison, index)
    found = SideBySide(parts[0].own, {}, {}, {}, {}, {}, {})
    for part in parts:
        part.own.show(index)
        if part.other is not None:
            part.other.show(beside)
        for metric in part.metrics:
            found.own[metric.id] = part.own.series(metric)
            found.other[metric.id] = _other_series(part, metric, comparison)
            if part.through_ms is not None:
                found.through_ms[metric.id] = part.through_ms
        for cells in (part.own, part.other):
            if cells is None:
                continue
            for name, share in cells.coverage.items():
                found.coverage[name] = min(share, found.coverage.get(name, 1.0))
            for name, error in cells.relative_error.items():
                found.relative_error[name] = max(error, found.relative_error.get(name, 0.0))
            found.since_ms |= cells.since_ms
    return found


# -- the same part of both sides ------------------------------------------------------------------------------------


def _parts(
    scope: Scope, metrics: Sequence[Metric], comparison: Comparison, given: Mapping[str, Figures]
) -> list[_Part]:
    """Group the metrics by where both sides end, and evaluate them there."""
    alone = [metric for metric in metrics if not _has_counterpart(metric, comparison)]
    groups: dict[int | None, list[Metric]] = {}
    for metric in metrics:
        if metric not in alone:
            groups.setdefault(_through_ms(scope, metric, comparison), []).append(metric)
    parts = []
    for through_ms, group in groups.items():
        parts += _evaluated(scope, group, comparison, through_ms)
    if alone:
        figures = {metric.id: given[metric.id] for metric in alone if metric.id in given}
        parts.append(_Part(alone, Cells(scope, alone, figures), None, "not_compared", None))
    return parts


def _evaluated(
    scope: Scope, group: list[Metric], comparison: Comparison, through_ms: int | None
) -> list[_Part]:
    own = scope
    if through_ms is not None:
        own = dataclasses.replace(scope, window=_cut(scope.window, through_ms))
    other = _other_scope(scope, comparison, through_ms)
    try:
        return [_Part(group, Cells(own, group), Cells(other, group), "", through_ms)]
    except QueryError as error:
        if error.reason not in _TOO_FINE:
            raise
        if len(group) > 1:
            return [part for metric in group for part in _evaluated(scope, [metric], comparison, through_ms)]
        return [_Part(group, Cells(scope, group), None, error.reason, None)]


def _has_counterpart(metric: Metric, comparison: Comparison) -> bool:
    if isinstance(metric.formula, Recent):
        return not comparison.alignment.shift_ms
    return metric.windows == "any" and not metric.is_comparison


def _through_ms(scope: Scope, metric: Metric, comparison: Comparison) -> int | None:
    """Return where both sides end for a metric; None where the window itself ends there."""
    window = scope.window
    known_ms = scope.as_of_ms + 1
    limit = comparison.own_end_ms
    if window.to_ms is not None and window.to_ms <= known_ms:
        return None if limit is None or limit >= window.to_ms else limit
    if limit is not None and limit <= known_ms:
        return limit
    through = known_ms
    whole_days = has_mean(metric.formula) or isinstance(metric.formula, (DailyMean, AdderFigure))
    today_ms = scope.calendar.day_start_ms(scope.calendar.day_of(known_ms))
    if whole_days and (window.from_ms is None or today_ms > window.from_ms):
        through = today_ms
    elif any(measure.frame is Frame.TRAFFIC for measure in measures_of(metric.formula)):
        through = known_ms // QUARTER_MS * QUARTER_MS
    return comparison.alignment.own_edge(max(through, window.from_ms or 0))


def _cut(window: Window, to_ms: int) -> Window:
    unit = "instants" if window.unit == "stream" else window.unit
    return dataclasses.replace(window, text=f"{window.text} so far", to_ms=to_ms, unit=unit)


def _other_scope(scope: Scope, comparison: Comparison, through_ms: int | None) -> Scope:
    window, alignment = comparison.window, comparison.alignment
    if through_ms is not None and (window.to_ms is None or alignment.other_edge(through_ms) < window.to_ms):
        window = _cut(window, alignment.other_edge(through_ms))
    now_ms = max(scope.now_ms, comparison.columns.vouched_ms)
    own = comparison.columns is scope.columns
    known_ms = scope.as_of_ms if own else comparison.columns.vouched_ms
    if window.to_ms is None or window.to_ms > known_ms + 1:
        what = f"What {comparison.text} would compare {scope.window.text} with is not over yet."
        raise ComparisonError(what, reason="comparison_not_over", mend="Compare with an earlier time.")
    where = tuple(pair for pair in scope.where if not scope.window.content or pair[0] != "content")
    if window.content:
        where = (*where, ("content", window.content))
    recent_ms = scope.recent_end_ms or scope.as_of_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS
    return dataclasses.replace(
        scope,
        columns=comparison.columns,
        shop=comparison.shop,
        calendar=comparison.calendar,
        window=window,
        where=where,
        now_ms=now_ms,
        recent_end_ms=None if alignment.shift_ms else alignment.other_edge(recent_ms),
    )


# -- the same rows on both sides ------------------------------------------------------------------------------------


def _union(scope: Scope, comparison: Comparison, parts: Sequence[_Part]) -> pl.DataFrame:
    """Return the rows that either side has, under the window's own times."""
    frames = [part.own.index for part in parts]
    for part in parts:
        if part.other is None:
            continue
        index = part.other.index
        if scope.grain is not None:
            times = index.get_column(TIME).to_list()
            own = {at: _row_beside(scope, comparison, at, back=False) for at in dict.fromkeys(times)}
            index = index.with_columns(pl.Series(TIME, [own[at] for at in times], dtype=pl.Int64))
            index = index.filter(pl.col(TIME) != _NOWHERE)
        frames.append(index)
    both: pl.DataFrame = pl.concat(frames).unique()
    if scope.grain is None or not both.height or any(dim not in CLOSED for dim in scope.names):
        return both.sort(scope.keys)
    # Without an open dimension time is continuous, also between the rows of both sides.
    at_ms = both.get_column(TIME).to_numpy()
    grid = starts(
        scope.calendar, scope.grain, int(at_ms.min()), int(at_ms.max()), week_start=scope.week_start
    )
    rows = pl.DataFrame({TIME: grid}, schema={TIME: pl.Int64()})
    if scope.names:
        rows = rows.join(both.select(scope.names).unique(), how="cross")
    return rows.select(scope.keys).sort(scope.keys)


def _beside(scope: Scope, comparison: Comparison, index: pl.DataFrame) -> pl.DataFrame:
    """Return the rows' keys on the other side."""
    if scope.grain is None:
        return index
    times = index.get_column(TIME).to_list()
    other = {at: _row_beside(scope, comparison, at, back=True) for at in dict.fromkeys(times)}
    return index.with_columns(pl.Series(TIME, [other[at] for at in times], dtype=pl.Int64))


def _row_beside(scope: Scope, comparison: Comparison, at_ms: int, *, back: bool) -> int:
    """Return the start of the row that stands beside one, `_NOWHERE` where no row begins there."""
    alignment = comparison.alignment
    found = alignment.other_of(at_ms) if back else alignment.own_of(at_ms)
    if found is None:
        return _NOWHERE
    calendar = alignment.other if back else alignment.own
    assert scope.grain is not None  # noqa: S101 - rows have a time; for the type checker
    if scope.grain in SPANS_OF_DAYS:
        day = calendar.day_of(found)
        if days_of(scope.grain, day, scope.week_start)[0] != day:
            return _NOWHERE
    return found


def _other_series(part: _Part, metric: Metric, comparison: Comparison) -> Series:
    if part.other is None:
        height = part.own.height
        return Series([None] * height, dict.fromkeys(range(height), part.reason))
    series = part.other.series(metric)
    calendar, shop_id = comparison.calendar, comparison.shop.shop_id
    began = [
        since
        for topic in set(metric.topics) - REFERENCE_TOPICS
        if (since := fed_since_ms(comparison.columns, shop_id, topic)) is not None
    ]
    for index, (start, end) in enumerate(part.other.spans):
        if start == _NOWHERE:
            series.values[index] = None
            series.reasons[index] = "no_counterpart"
        elif start is not None and any(
            start <= since < end and calendar.day_of(since) > calendar.day_of(start) for since in began
        ):
            # A total of days of which the first are not known would make every window look like growth.
            series.values[index] = None
            series.reasons[index] = "source_began_later"
    return series


# -- difference and percentage --------------------------------------------------------------------------------------


def differences(own: Series, other: Series) -> tuple[Series, Series]:
    """Return own less other, and that as a fraction of other (X-27: null where it is 0)."""
    difference, change = Series([], {}), Series([], {})
    for index, (value, beside) in enumerate(zip(own.values, other.values, strict=True)):
        why = own.reasons.get(index) if value is None else other.reasons.get(index)
        if isinstance(value, str) or isinstance(beside, str):
            why = "not_a_number"
        apart: Any = None if why is not None else value - beside
        part = None if why is not None or not beside else apart / beside
        difference.values.append(apart)
        change.values.append(part)
        if why is not None:
            difference.reasons[index] = why
        if part is None:
            change.reasons[index] = why or "zero_divisor"
    return difference, change
