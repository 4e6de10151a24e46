"""The rows of an answer: what was counted, every slice, every hour between the first and the last record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.grid import starts
from streams.past_totals import past_span
from streams.query_spans import first_and_last_of
from streams.scope import CLOSED, TIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.metric import Metric
    from streams.scope import Scope

_ONE_ROW: Final = pl.DataFrame({TIME: [0]}, schema={TIME: pl.Int64()})


def rows_of(scope: Scope, metrics: Sequence[Metric], counted: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the key columns of every row, in the order time, then names.

    Without an open dimension time is continuous from the first to the last record in the window; with one, rows are
    what anything was counted in, and if that is nothing the one that the filters name, if they name one. Slices and
    leaves have all their values, or the one that is filtered by.

    Args:
        scope: the question.
        metrics: whose topics span the time.
        counted: values with key columns: what has a row where a dimension is open.
    """
    open_dims = [dim for dim in scope.names if dim not in CLOSED]
    if open_dims:
        index = pl.concat(_different(frame.select(TIME, *open_dims) for frame in counted)).unique()
        if not index.height:
            index = _filtered_by(scope, metrics, open_dims)
    elif scope.grain is not None:
        index = pl.DataFrame({TIME: _grid(scope, metrics)}, schema={TIME: pl.Int64()})
    else:
        index = _ONE_ROW
    if not scope.names:
        return index
    for dim in (dim for dim in scope.names if dim in CLOSED):
        wanted = {value for name, value in scope.where if name == dim}
        # Of a filtered dimension the other values are not zero, they are not asked for.
        values = [value for value in CLOSED[dim] if wanted <= {value}]
        index = index.join(pl.DataFrame({dim: values}, schema={dim: pl.String()}), how="cross")
    return index.select(scope.keys).sort(scope.keys)


def _filtered_by(scope: Scope, metrics: Sequence[Metric], dims: Sequence[str]) -> pl.DataFrame:
    """Return the rows of the one value that is filtered by in each of these dimensions; none where one has no such."""
    values = {dim: {value for name, value in scope.where if name == dim} for dim in dims}
    named = all(len(found) == 1 for found in values.values())
    times = [] if not named else [0] if scope.grain is None else _grid(scope, metrics)
    return pl.DataFrame({TIME: times}, schema={TIME: pl.Int64()}).with_columns(
        pl.lit(next(iter(found), None), pl.String()).alias(dim) for dim, found in values.items()
    )


def _different(frames: Iterable[pl.DataFrame]) -> list[pl.DataFrame]:
    """Leave out frames that say the same as one before: figures of one kind have the same keys."""
    found: list[pl.DataFrame] = []
    for frame in frames:
        if not any(frame.equals(known) for known in found):
            found.append(frame)
    return found


def _grid(scope: Scope, metrics: Sequence[Metric]) -> list[int]:
    """Return every row's start from the first to the last record of the topics read in the window."""
    assert scope.grain is not None  # noqa: S101 - the caller has asked; for the type checker
    topics = dict.fromkeys(topic for metric in metrics for topic in metric.topics)
    ends = [span for topic in topics if (span := first_and_last_of(scope, topic)) is not None]
    past = past_span(scope, metrics)
    if past is not None:
        ends.append(past)
    if not ends:
        return []
    first, last = min(low for low, _ in ends), max(high for _, high in ends)
    grid: list[int] = starts(scope.calendar, scope.grain, first, last, week_start=scope.week_start).tolist()
    return grid
