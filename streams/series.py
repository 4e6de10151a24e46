"""The cells of an answer: what every metric is in each of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import add, sub
from typing import Any, Final

import polars as pl

from streams import null_reasons
from streams.catalogue import Metric
from streams.cell_series import Series
from streams.figures import FIGURES, figure_values, missing_reason
from streams.formulas import (
    LATE_VARIANT,
    NOW_VARIANT,
    DailyMean,
    Formula,
    Frame,
    FreshnessFigure,
    Now,
    Rank,
    Ratio,
    Recent,
    Restated,
    Share,
    Total,
    Weighted,
    measures_of,
    recent_variant,
    whole_variant,
)
from streams.grid import SPANS_OF_DAYS, end_of
from streams.leaves import Leaf, Leaves
from streams.min_group import crowds, guards, withheld_by
from streams.own_values import weighted_values
from streams.past_totals import Row, filled_in, on_day
from streams.query_figures import Figures
from streams.query_skus import named_events
from streams.ranking import places
from streams.rows import rows_of
from streams.scope import TIME, Scope
from streams.unnamed_creators import mark_unnamed

_NO_ROWS: Final = "no_finished_day"

_FEW_ROWS: Final = 500

_PLACE: Final = "_place"


class Cells:
    """Evaluate metrics over the rows of a scope.

    Args:
        scope: the question.
        metrics: whose dimensions fit the scope.
        given: figures that are worked out elsewhere, by metric id.

    Attributes:
        scope: as given.
        coverage, relative_error: of metrics of people, by id; coverage also of traffic by SKU.
        since_ms: of metrics whose cube is not rebuilt yet, by id.
    """

    def __init__(
        self, scope: Scope, metrics: Sequence[Metric], given: Mapping[str, Figures] | None = None
    ) -> None:
        self.scope = scope
        self.since_ms: dict[str, int] = {}
        self._metrics = metrics
        self._known_places: list[tuple[pl.DataFrame, pl.Series]] = []
        self._leaves = Leaves(scope, metrics)
        figures = figure_values(scope, metrics)
        self.coverage = figures.coverage
        self.relative_error = figures.relative_error
        self._figures = figures.values | dict(given or {})
        counted = [frame for leaf, frame in self._leaves.values.items() if not leaf.is_whole]
        self._index = rows_of(scope, metrics, [*counted, *(frame for frame, _ in self._figures.values())])

    @property
    def height(self) -> int:
        """Number of rows."""
        return self._index.height

    @property
    def index(self) -> pl.DataFrame:
        """Key columns of the rows, in their order."""
        return self._index

    def show(self, index: pl.DataFrame) -> None:
        """Take other rows in place of the scope's own: those of two sides, or the first of an order."""
        self._index = index
        self._known_places.clear()
        for name in ("row_times", "times", "names", "spans", "_ends"):
            self.__dict__.pop(name, None)

    @cached_property
    def row_times(self) -> list[int]:
        """Start of each row's day, hour or minute."""
        times: list[int] = self._index.get_column(TIME).to_list()
        return times

    @cached_property
    def times(self) -> list[int]:
        """The distinct ones of `row_times`."""
        return list(dict.fromkeys(self.row_times))

    @cached_property
    def names(self) -> dict[str, list[Any]]:
        """Value of each dimension that is not time, per row."""
        return {dim: self._index.get_column(dim).to_list() for dim in self.scope.names}

    def series(self, metric: Metric) -> Series:
        """Return a metric's value in every row, null where it has none, with the reason."""
        formula = metric.formula
        series = self._unmarked(metric)
        measures = list(measures_of(formula))
        if since := [
            self._leaves.since_ms[measure] for measure in measures if measure in self._leaves.since_ms
        ]:
            self.since_ms[metric.id] = max(since)
        if any(measure.people for measure in measures):
            self._mark_people(metric, series)
        if metric.is_rate and len(metric.topics) > 1:
            null_reasons.mark_catching_up(self.scope, metric, series, self.spans)
        if not isinstance(formula, FreshnessFigure):
            null_reasons.mark_no_source(self.scope, metric, series, self.spans)
        frames = {measure.frame for measure in measures}
        if Frame.TRAFFIC in frames:
            null_reasons.mark_gone(self.scope, metric, series, self.spans)
            self._mark_nameless(metric, series)
        if Frame.ADS in frames:
            null_reasons.mark_no_primary(self.scope, series)
        self._fill_in(metric, series)
        null_reasons.mark_not_begun(self.scope, metric, series)
        if self.scope.where:
            null_reasons.mark_unknown_id(self.scope, series)
        if {"creator", "content"} <= self.scope.needs:
            mark_unnamed(self.scope, metric, series, self.names)
        if guards(self.scope, formula):
            self._withhold(metric, series)
        series.partial -= series.reasons.keys()
        return series

    # -- values -----------------------------------------------------------------------------------------------------

    def _unmarked(self, metric: Metric) -> Series:
        formula = metric.formula
        if isinstance(formula, FIGURES):
            return self._figure(metric, formula)
        if isinstance(formula, Restated):
            return self._restated(formula)
        if isinstance(formula, (Ratio, Share)):
            return self._ratio(formula)
        if isinstance(formula, Weighted):
            currency = self.scope.shop.currency
            return Series(*weighted_values(formula, lambda name: self._total(Total((name,)), ""), currency))
        if isinstance(formula, Rank):
            return self._rank(metric, formula)
        return self._sum(formula)

    def _column(self, leaf: Leaf, name: str = "value") -> list[int]:
        """Return a leaf's value in every row, 0 where nothing was counted."""
        return self._joined(self._leaves.values[leaf], leaf, name)

    def _joined(self, frame: pl.DataFrame, leaf: Leaf, name: str) -> list[int]:
        return [value or 0 for value in self._beside(frame, self._leaves.keys(leaf), name)]

    def _beside(self, frame: pl.DataFrame, keys: list[str], name: str) -> list[Any]:
        """Return what a frame has in a column for every row, None where it has no row for it."""
        if self.height > _FEW_ROWS or frame.height > _FEW_ROWS:
            values: list[Any] = frame.get_column(name).gather(self._places(frame.select(keys))).to_list()
            return values
        # A join of frames costs half a millisecond before it looks at a row, and an answer asks for dozens.
        own, other = (
            zip(*(rows.get_column(key).to_list() for key in keys), strict=True)
            for rows in (self._index, frame)
        )
        known = dict(zip(other, frame.get_column(name).to_list(), strict=True))
        return [known.get(row) for row in own]

    def _places(self, keys: pl.DataFrame) -> pl.Series:
        """Return at which row of a frame the keys of each row stand, null where they do not; equal frames share it."""
        for known, found in self._known_places:
            # To compare is a hundred times quicker than to join, and figures of one kind have the same keys.
            if known.equals(keys):
                return found
        own = self._index.select(keys.columns)
        joined = own.join(keys.with_row_index(_PLACE), on=keys.columns, how="left", maintain_order="left")
        self._known_places.append((keys, joined.get_column(_PLACE)))
        return self._known_places[-1][1]

    def sums(self, formula: Total) -> list[int]:
        """Return a sum of base measures in every row, of the own records."""
        return self._total(formula, "")

    def _total(self, formula: Total, variant: str) -> list[int]:
        parts = [self._column(Leaf(measure, variant)) for measure in measures_of(formula)]
        total = parts[0]
        for number, part in enumerate(parts[1:], start=1):
            total = list(map(add if number < len(formula.measures) else sub, total, part))
        return total

    def _sum(self, formula: Total | DailyMean | Recent | Now) -> Series:
        if isinstance(formula, DailyMean):
            return self._mean(formula)
        if isinstance(formula, Recent):
            return Series(list(self._total(formula.of, recent_variant(formula))))
        if isinstance(formula, Now):
            return Series(list(self._total(formula.of, NOW_VARIANT)))
        return Series(list(self._total(formula, "")))

    def _restated(self, formula: Restated) -> Series:
        # What is summed has changed by the sum of what came late.
        return Series(list(self._total(formula.of, LATE_VARIANT)))

    def _mean(self, formula: DailyMean) -> Series:
        if self.scope.grain == "day":
            # Every row is one day: its mean is itself, partial while it is not over.
            values = self._total(formula.of, "")
            open_rows = frozenset(
                index for index, at in enumerate(self.row_times) if self._ends[at] > self.scope.now_ms
            )
            return Series(list(values), partial=open_rows)
        totals = self._total(formula.of, "finished")
        days, finished = self._leaves.mean_days(next(measures_of(formula)).topic)
        counts = self._days_of_rows(days)
        means = [total / count if count else None for total, count in zip(totals, counts, strict=True)]
        reasons = {index: _NO_ROWS for index, mean in enumerate(means) if mean is None}
        partial = frozenset() if finished else frozenset(range(self.height)) - reasons.keys()
        return Series(means, reasons, partial)

    def _days_of_rows(self, days: frozenset[int]) -> list[int]:
        """Return how many of these days each row holds."""
        if self.scope.grain is None:
            return [len(days)] * self.height
        assert self.scope.grain in SPANS_OF_DAYS  # noqa: S101 - means have no hours: `metric_of`
        day_of = self.scope.calendar.day_of
        spans = {at: range(day_of(at), day_of(end - 1) + 1) for at, end in self._ends.items()}
        counts = {at: sum(day in days for day in span) for at, span in spans.items()}
        return [counts[at] for at in self.row_times]

    def _ratio(self, formula: Ratio | Share) -> Series:
        if isinstance(formula, Share):
            up = Series(list(self._total(formula.part, "")))
            down = Series(list(self._total(formula.whole or formula.part, whole_variant(formula))))
        else:
            up, down = self._sum(formula.numerator), self._sum(formula.divisor)
        reasons = up.reasons | down.reasons
        times = formula.times / formula.per if isinstance(formula, Ratio) else 1
        values: list[Any] = []
        for index, (top, bottom) in enumerate(zip(up.values, down.values, strict=True)):
            if top is None or bottom is None or not bottom:
                values.append(None)
                reasons.setdefault(index, "zero_divisor")
            else:
                values.append(top / bottom * times)
        return Series(values, reasons, up.partial | down.partial)

    def _rank(self, metric: Metric, formula: Rank) -> Series:
        figures = [self._part(part).values for part in formula.by]
        found = places(metric.id, formula, self.names, self.row_times, figures)
        return Series(
            list(found), {index: "not_ranked" for index, place in enumerate(found) if place is None}
        )

    def _part(self, formula: Total | Ratio) -> Series:
        return self._ratio(formula) if isinstance(formula, Ratio) else self._sum(formula)

    def _figure(self, metric: Metric, formula: Formula) -> Series:
        frame, why = self._figures[metric.id]
        keys = list(self.scope.keys)
        if frame.height == 0:
            values: list[Any] = [None] * self.height
        else:
            values = self._beside(frame, keys, "value")
        if isinstance(formula, FreshnessFigure) and formula.column == "records":
            values = [value or 0 for value in values]
        missing = missing_reason(formula)
        rows = self._index.rows()
        reasons = {
            index: why.get(rows[index], missing) for index, value in enumerate(values) if value is None
        }
        return Series(values, reasons)

    # -- reasons for null -------------------------------------------------------------------------------------------

    def _withhold(self, metric: Metric, series: Series) -> None:
        """Say nothing of a group of a few, whatever is asked of it."""
        least, keys = self.scope.columns.settings.board.min_group, list(self.scope.keys)
        people, views, named = (
            self._beside(self._crowds, keys, name) for name in ("value", "count", "keyed")
        )
        for index, found in enumerate(zip(people, views, named, strict=True)):
            viewers, watched, known = (count or 0 for count in found)
            why = withheld_by(viewers, watched, known, least)
            if why is not None and series.reasons.get(index) != "no_source":
                series.values[index], series.reasons[index] = None, why
        if all(value is None for value in series.values):
            # How many of a few are named is told by nothing either.
            self.coverage.pop(metric.id, None)
            self.relative_error.pop(metric.id, None)

    @cached_property
    def _crowds(self) -> pl.DataFrame:
        return crowds(self.scope)

    @cached_property
    def spans(self) -> list[tuple[int | None, int]]:
        """Start (None: open) and end of each row in event time; the future has not begun yet."""
        scope = self.scope
        now_end = scope.now_ms + 1
        if scope.grain is None:
            end = now_end if scope.window.to_ms is None else scope.window.to_ms
            return [(scope.window.from_ms, end)] * self.height
        return [(at, self._ends[at]) for at in self.row_times]

    @cached_property
    def _ends(self) -> dict[int, int]:
        """End of each row by its start."""
        scope = self.scope
        assert scope.grain is not None  # noqa: S101 - rows have a start only then; for the type checker
        return {at: end_of(scope.calendar, scope.grain, at, week_start=scope.week_start) for at in self.times}

    def _fill_in(self, metric: Metric, series: Series) -> None:
        """Take days that the own records do not have from the totals of the past."""
        scope = self.scope
        if scope.days is not None or not scope.columns.totals(scope.shop.shop_id).history().height:
            return
        chosen = next((value for dim, value in scope.where if dim == "slice"), "all")

        def own(formula: Total, day: int | None) -> list[int]:
            cells = self if day is None else Cells(on_day(scope, day), [metric])
            cells.show(self._index)
            return cells.sums(formula)

        def rows() -> list[Row]:
            slices = self.names.get("slice") or [chosen] * self.height
            return [Row(*span, name) for span, name in zip(self.spans, slices, strict=True)]

        for index, value in filled_in(scope, metric, rows, own).items():
            series.values[index] = None if isinstance(value, str) else value
            series.reasons.pop(index, None)
            if isinstance(value, str):
                series.reasons[index] = value

    def _mark_nameless(self, metric: Metric, series: Series) -> None:
        """Say how many events name a SKU; where none of them does, nothing can be said by SKU."""
        for found in named_events(self.scope, metric):
            self.coverage[metric.id] = min(found.share, self.coverage.get(metric.id, 1.0))
            nameless = self._beside(found.rows, found.keys, "nameless")
            series.mark("source_gives_no_skus", lambda index, none=nameless: bool(none[index]))  # type: ignore[misc] # bound per measure

    def _mark_people(self, metric: Metric, series: Series) -> None:
        """Events without a user_key are no people: nothing can be said where none of them has one."""
        own = set(measures_of(metric.formula))
        for leaf, error in self._leaves.errors.items():
            if leaf.measure not in own:
                continue
            frame = self._leaves.values[leaf]
            counts, keyed = int(frame.get_column("count").sum()), int(frame.get_column("keyed").sum())
            if keyed:
                self.relative_error[metric.id] = max(error, self.relative_error.get(metric.id, 0.0))
            if counts:
                share = keyed / counts
                self.coverage[metric.id] = min(share, self.coverage.get(metric.id, 1.0))
            if leaf.is_whole:
                continue
            made = self._leaves.ready_made.get(leaf)
            if made is not None:
                totals, events = self._joined(made, leaf, "value"), self._column(leaf, "count")
                series.mark(
                    "source_gives_no_people",
                    lambda index, totals=totals, events=events: totals[index] > 0 and not events[index],  # type: ignore[misc] # bound per leaf
                )
            seen, known = self._column(leaf, "count"), self._column(leaf, "keyed")
            none_at_all = bool(counts) and not keyed
            series.mark(
                "source_gives_no_people",
                lambda index, seen=seen, known=known, none=none_at_all: (  # type: ignore[misc] # bound per leaf
                    none or (seen[index] > 0 and known[index] == 0)
                ),
            )
