"""The cells of an answer: which rows there are, and what every metric is in each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import polars as pl

from streams.catalogue import Metric
from streams.days import MINUTE_MS
from streams.formulas import (
    FIRST_FINAL_VARIANT,
    AdderFigure,
    CompareFigure,
    DailyMean,
    FreshnessFigure,
    GoalFigure,
    LossFigure,
    Measure,
    Ratio,
    Recent,
    Restated,
    Share,
    StockFigure,
    Total,
    Weighted,
    measures_of,
    parts_of,
    recent_variant,
)
from streams.formulas import Frame as Source
from streams.grid import SPANS_OF_DAYS, end_of, starts
from streams.money import minor_digits
from streams.query_adders import adder_values
from streams.query_facts import fact_values
from streams.query_figures import Figures, freshness_values, goal_values, stock_values
from streams.query_losses import loss_values
from streams.query_traffic import first_and_last_ms, traffic_values
from streams.scope import CLOSED, TIME, Scope
from streams.topics import TOPICS
from streams.windows import Window

_NO_ROWS: Final = "no_finished_day"

_FIGURES: Final = (AdderFigure, StockFigure, LossFigure, GoalFigure, FreshnessFigure, CompareFigure)


@dataclass(slots=True)
class Series:
    """One metric in every cell.

    Attributes:
        values: int, float, text or None; money in minor units.
        reasons: number of the cell -> why its value is None.
        partial: cells that show an unfinished day where finished ones are meant.
    """

    values: list[Any]
    reasons: dict[int, str] = field(default_factory=dict)
    partial: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A measure in one variant of the scope."""

    measure: Measure
    variant: str


class Cells:
    """Evaluate metrics over the rows of a scope.

    Args:
        scope: the question.
        metrics: whose dimensions fit the scope.
        given: figures that are worked out elsewhere, by metric id.

    Attributes:
        scope: as given.
        coverage, relative_error: of metrics of people, by id.
        since_ms: of metrics whose cube is not rebuilt yet, by id.
    """

    def __init__(
        self, scope: Scope, metrics: Sequence[Metric], given: Mapping[str, Figures] | None = None
    ) -> None:
        self.scope = scope
        self.coverage: dict[str, float] = {}
        self.relative_error: dict[str, float] = {}
        self.since_ms: dict[str, int] = {}
        self._metrics = metrics
        self._scopes: dict[str, Scope] = {"": scope}
        self._people: dict[_Leaf, tuple[pl.DataFrame, float]] = {}
        self._leaves = self._evaluate()
        self._figures = self._evaluate_figures() | dict(given or {})
        self._index = self._rows()

    @property
    def height(self) -> int:
        """Number of rows."""
        return self._index.height

    @property
    def index(self) -> pl.DataFrame:
        """Key columns of the rows, in their order."""
        return self._index

    def show(self, index: pl.DataFrame) -> None:
        """Take other rows in place of the scope's own, before anything is asked of them: those of two sides."""
        self._index = index

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
        if isinstance(formula, _FIGURES):
            series = self._figure(metric, formula)
        elif isinstance(formula, Restated):
            series = self._restated(formula)
        elif isinstance(formula, (Ratio, Share)):
            series = self._ratio(formula)
        elif isinstance(formula, Weighted):
            series = self._weighted(formula)
        else:
            series = self._sum(formula)
        if any(measure.people for measure in measures_of(formula)):
            self._mark_people(metric, series)
        if metric.is_rate and len(metric.topics) > 1:
            self._mark_catching_up(metric, series)
        if not isinstance(formula, FreshnessFigure):
            self._mark_no_source(metric, series)
        return series

    # -- parts ------------------------------------------------------------------------------------------------------

    def _wanted(self) -> dict[_Leaf, str]:
        """Return every leaf that the metrics need, with the first metric that needs it."""
        wanted: dict[_Leaf, str] = {}
        for metric in self._metrics:
            for formula, variant in parts_of(metric.formula):
                for measure in measures_of(formula):
                    wanted.setdefault(_Leaf(measure, variant), metric.id)
                    if variant not in self._scopes and variant != "finished":
                        self._scopes[variant] = self._variant(variant)
        return wanted

    def _variant(self, name: str) -> Scope:
        if name == "whole":
            return self.scope.over_all_atoms()
        if name == FIRST_FINAL_VARIANT:
            return dataclasses.replace(self.scope, first_final=True)
        minutes, _, topic = name.removeprefix("recent:").partition(":")
        return self._recent(int(minutes), topic)

    def _recent(self, minutes: int, topic: str) -> Scope:
        """Return the last minutes of one topic: another one that is behind does not hold them back."""
        scope = self.scope
        end = scope.recent_end_ms
        if end is None:
            as_of_ms = scope.columns.as_of_ms(scope.shop.shop_id, (topic,), scope.now_ms)
            end = as_of_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS
        return dataclasses.replace(
            self.scope, window=Window(f"last:{minutes}m", end - minutes * MINUTE_MS, end)
        )

    def _evaluate(self) -> dict[_Leaf, pl.DataFrame]:
        found: dict[_Leaf, pl.DataFrame] = {}
        facts: dict[str, list[Measure]] = {}
        for leaf, metric in self._wanted().items():
            scope = self._scope_of(leaf)
            if leaf.measure.frame is Source.TRAFFIC:
                traffic = traffic_values(scope, leaf.measure, metric)
                found[leaf] = traffic.values
                if traffic.relative_error is not None:
                    self._people[leaf] = (traffic.values, traffic.relative_error)
            else:
                facts.setdefault(leaf.variant, []).append(leaf.measure)
        for variant, measures in facts.items():
            # Finished days differ by topic only, and all facts come from one.
            scope = self._scope_of(_Leaf(measures[0], variant))
            for name, values in fact_values(scope, measures).items():
                found[_Leaf(next(one for one in measures if one.name == name), variant)] = values
        return found

    def _scope_of(self, leaf: _Leaf) -> Scope:
        if leaf.variant != "finished":
            return self._scopes[leaf.variant]
        days, _ = self._mean_days(leaf.measure.topic)
        return dataclasses.replace(self.scope, days=days)

    def _evaluate_figures(self) -> dict[str, Figures]:
        found: dict[str, Figures] = {}
        stock = [m.id for m in self._metrics if isinstance(m.formula, StockFigure)]
        if stock:
            found |= stock_values(self.scope, stock)
        goals = {m.id: m.formula.column for m in self._metrics if isinstance(m.formula, GoalFigure)}
        if goals:
            values = goal_values(self.scope, list(goals.values()))
            found |= {name: values[column] for name, column in goals.items()}
        for metric in self._metrics:
            if isinstance(metric.formula, AdderFigure):
                adders = adder_values(self.scope, metric)
                found[metric.id] = adders.figures
                if adders.coverage is not None:
                    self.coverage[metric.id] = adders.coverage
                if adders.relative_error:
                    self.relative_error[metric.id] = adders.relative_error
            if isinstance(metric.formula, LossFigure):
                found[metric.id] = loss_values(self.scope)
            if isinstance(metric.formula, FreshnessFigure):
                found[metric.id] = freshness_values(self.scope, metric.formula.column)
        return found

    # -- rows -------------------------------------------------------------------------------------------------------

    def _rows(self) -> pl.DataFrame:
        """Return the key columns of every row, in the order time, then names.

        Without an open dimension time is continuous from the first to the last record in the window; with one, rows
        are what anything was counted in. Slices and leaves always have all their values.
        """
        scope = self.scope
        open_dims = [dim for dim in scope.names if dim not in CLOSED]
        if open_dims:
            frames = [
                frame.select(TIME, *open_dims)
                for leaf, frame in self._leaves.items()
                if leaf.variant != "whole"
            ]
            frames += [frame.select(TIME, *open_dims) for frame, _ in self._figures.values()]
            index = pl.concat(frames).unique()
        elif scope.grain is not None:
            index = pl.DataFrame({TIME: self._grid()}, schema={TIME: pl.Int64()})
        else:
            index = pl.DataFrame({TIME: [0]}, schema={TIME: pl.Int64()})
        for dim in (dim for dim in scope.names if dim in CLOSED):
            index = index.join(pl.DataFrame({dim: CLOSED[dim]}), how="cross")
        return index.select(scope.keys).sort(scope.keys)

    def _grid(self) -> list[int]:
        """Return every day, hour or minute from the first to the last record of the topics read in the window."""
        scope = self.scope
        assert scope.grain is not None  # noqa: S101 - the caller has asked; for the type checker
        ends = [span for topic in self._topics() if (span := self._records_of(topic)) is not None]
        if not ends:
            return []
        first, last = min(low for low, _ in ends), max(high for _, high in ends)
        grid = starts(scope.calendar, scope.grain, first, last, week_start=scope.week_start)
        found: list[int] = grid.tolist()
        return found

    def _topics(self) -> list[str]:
        return list(dict.fromkeys(topic for metric in self._metrics for topic in metric.topics))

    def _records_of(self, topic: str) -> tuple[int, int] | None:
        """Return the first and last event time of a topic's records within the window."""
        scope = self.scope
        if topic != "orders":
            return first_and_last_ms(scope, TOPICS[topic].event_types)
        columns, shop_id = scope.columns, scope.shop.shop_id
        ends: list[int] = []
        for frame, at in (
            (columns.order_lines(shop_id), "paid_at_ms"),
            (columns.refunds(shop_id), "processed_at_ms"),
            (columns.order_status(shop_id), "occurred_at_ms"),
        ):
            found = (
                frame.lazy()
                .filter(scope.in_window(at))
                .select(pl.col(at).min().alias("a"), pl.col(at).max().alias("b"))
            )
            ends.extend(value for value in found.collect().row(0) if value is not None)
        return (min(ends), max(ends)) if ends else None

    # -- values -----------------------------------------------------------------------------------------------------

    def _column(self, leaf: _Leaf, name: str = "value") -> list[int]:
        """Return a leaf's value in every row, 0 where nothing was counted."""
        frame = self._leaves[leaf]
        keys = list((self._scopes.get(leaf.variant) or self.scope).keys)
        joined = self._index.join(frame.select(*keys, name), on=keys, how="left", maintain_order="left")
        values: list[int] = joined.get_column(name).fill_null(0).to_list()
        return values

    def _total(self, formula: Total, variant: str) -> list[int]:
        parts = [self._column(_Leaf(measure, variant)) for measure in measures_of(formula)]
        return parts[0] if len(parts) == 1 else [sum(values) for values in zip(*parts, strict=True)]

    def _sum(self, formula: Total | DailyMean | Recent) -> Series:
        if isinstance(formula, DailyMean):
            return self._mean(formula)
        if isinstance(formula, Recent):
            return Series(list(self._total(formula.of, recent_variant(formula))))
        return Series(list(self._total(formula, "")))

    def _restated(self, formula: Restated) -> Series:
        now, then = self._total(formula.of, ""), self._total(formula.of, FIRST_FINAL_VARIANT)
        return Series([value - first for value, first in zip(now, then, strict=True)])

    def _mean(self, formula: DailyMean) -> Series:
        if self.scope.grain == "day":
            # Every row is one day: its mean is itself, partial while it is not over.
            values = self._total(formula.of, "")
            open_rows = frozenset(
                index for index, at in enumerate(self.row_times) if self._ends[at] > self.scope.now_ms
            )
            return Series(list(values), partial=open_rows)
        totals = self._total(formula.of, "finished")
        days, finished = self._mean_days(next(measures_of(formula)).topic)
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

    def _mean_days(self, topic: str) -> tuple[frozenset[int], bool]:
        """Return the days of the window that a mean runs over, and whether they are finished (X-23, X-68)."""
        scope = self.scope
        calendar, window = scope.calendar, scope.window
        since_ms = scope.columns.source_since_ms(scope.shop.shop_id, topic)
        if since_ms is None:
            return frozenset(), False
        first_ms = since_ms if window.from_ms is None else max(since_ms, window.from_ms)
        last_ms = scope.now_ms if window.to_ms is None else min(scope.now_ms, window.to_ms - 1)
        days = range(calendar.day_of(first_ms), calendar.day_of(last_ms) + 1)
        finished = frozenset(day for day in days if calendar.day_start_ms(day + 1) <= scope.now_ms)
        return (finished, True) if finished else (frozenset(days), False)

    def _ratio(self, formula: Ratio | Share) -> Series:
        if isinstance(formula, Share):
            up = Series(list(self._total(formula.part, "")))
            down = Series(list(self._total(formula.part, "whole")))
        else:
            up, down = self._sum(formula.numerator), self._sum(formula.divisor)
        reasons = up.reasons | down.reasons
        values: list[Any] = []
        for index, (top, bottom) in enumerate(zip(up.values, down.values, strict=True)):
            if top is None or bottom is None or not bottom:
                values.append(None)
                reasons.setdefault(index, "zero_divisor")
            else:
                values.append(top / bottom)
        return Series(values, reasons, up.partial | down.partial)

    def _weighted(self, formula: Weighted) -> Series:
        values: list[Any] = self._weighted_sums(formula.numerator)
        if not formula.divisor:
            return Series(values)
        # Money below the line is in minor units like all money; the value is of major ones.
        lift = 10 ** minor_digits(self.scope.shop.currency) if formula.money < 0 else 1
        reasons: dict[int, str] = {}
        for index, bottom in enumerate(self._weighted_sums(formula.divisor)):
            values[index] = values[index] * lift / bottom if bottom else None
            if not bottom:
                reasons[index] = "zero_divisor"
        return Series(values, reasons)

    def _weighted_sums(self, terms: Sequence[tuple[float, str]]) -> list[Any]:
        columns = [[factor * value for value in self._total(Total((name,)), "")] for factor, name in terms]
        return [sum(values) for values in zip(*columns, strict=True)]

    def _figure(
        self,
        metric: Metric,
        formula: AdderFigure | StockFigure | LossFigure | GoalFigure | FreshnessFigure | CompareFigure,
    ) -> Series:
        frame, why = self._figures[metric.id]
        keys = list(self.scope.keys)
        if frame.height == 0:
            values: list[Any] = [None] * self.height
        else:
            joined = self._index.join(frame, on=keys, how="left", maintain_order="left")
            values = joined.get_column("value").to_list()
        if isinstance(formula, FreshnessFigure) and formula.column == "records":
            values = [value or 0 for value in values]
        missing = "no_target" if isinstance(formula, GoalFigure) else "not_in_stock_feed"
        if isinstance(formula, AdderFigure):
            missing = "zero_divisor"
        if isinstance(formula, CompareFigure):
            missing = "no_benchmark"
        rows = self._index.rows()
        reasons = {
            index: why.get(rows[index], missing) for index, value in enumerate(values) if value is None
        }
        return Series(values, reasons)

    # -- reasons for null -------------------------------------------------------------------------------------------

    def _mark(self, series: Series, reason: str, holds: Callable[[int], bool]) -> None:
        for index in range(self.height):
            if holds(index):
                series.values[index] = None
                series.reasons[index] = reason

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

    def _mark_no_source(self, metric: Metric, series: Series) -> None:
        """A topic feeds a shop from its first record on: before, there is no value, not zero."""
        shop_id = self.scope.shop.shop_id
        since = [self.scope.columns.source_since_ms(shop_id, topic) for topic in metric.topics]
        if (metric.windows == "now" or metric.is_comparison) and metric.topics:
            if None in since and "no_source" in metric.null_reasons:
                self._mark(series, "no_source", lambda _: True)
            return
        known = [at_ms for at_ms in since if at_ms is not None]
        missing = len(known) < len(since)
        began = max(known, default=0)
        self._mark(series, "no_source", lambda index: missing or self.spans[index][1] <= began)

    def _mark_catching_up(self, metric: Metric, series: Series) -> None:
        """A rate of topics that are too far apart says nothing for what the later one has not reached."""
        scope = self.scope
        found = [scope.columns.watermark_ms(scope.shop.shop_id, topic) for topic in metric.topics]
        marks = [min(mark, scope.now_ms) for mark in found if mark is not None]
        if not marks or max(marks) - min(marks) <= scope.columns.settings.board.catching_up_ms:
            return
        behind = min(marks)
        self._mark(series, "catching_up", lambda index: min(self.spans[index][1], scope.now_ms) > behind)

    def _mark_people(self, metric: Metric, series: Series) -> None:
        """Events without a user_key are no people: nothing can be said where none of them has one."""
        for leaf, (frame, error) in self._people.items():
            if leaf.measure not in set(measures_of(metric.formula)):
                continue
            counts, keyed = int(frame.get_column("count").sum()), int(frame.get_column("keyed").sum())
            if keyed:
                self.relative_error[metric.id] = max(error, self.relative_error.get(metric.id, 0.0))
            if counts:
                share = keyed / counts
                self.coverage[metric.id] = min(share, self.coverage.get(metric.id, 1.0))
            if leaf.variant == "whole":
                continue
            seen, known = self._column(leaf, "count"), self._column(leaf, "keyed")
            none_at_all = bool(counts) and not keyed
            self._mark(
                series,
                "source_gives_no_people",
                lambda index, seen=seen, known=known, none=none_at_all: (  # type: ignore[misc] # bound per leaf
                    none or (seen[index] > 0 and known[index] == 0)
                ),
            )
