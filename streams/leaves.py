"""The base measures of a question, each counted once in every variant of the scope that a formula takes it in."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from streams.days import MINUTE_MS
from streams.formulas import (
    LATE_VARIANT,
    NOW_VARIANT,
    WHOLE_VARIANT,
    Frame,
    Measure,
    measures_of,
    parts_of,
)
from streams.query_days import fact_values
from streams.query_traffic import traffic_values
from streams.query_viewers import viewer_values
from streams.ready_made import fed_since_ms, ready_made_values
from streams.windows import Window

if TYPE_CHECKING:
    from streams.catalogue import Metric
    from streams.query_traffic import TrafficValues
    from streams.scope import Scope

FINISHED_VARIANT = "finished"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A measure in one variant of the scope."""

    measure: Measure
    variant: str

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole of a share, which has fewer dimensions than the rows."""
        return self.variant.startswith(WHOLE_VARIANT)


class Leaves:
    """Count what metrics are made of.

    Args:
        scope: the question.
        metrics: whose dimensions fit the scope.

    Attributes:
        values: key columns of the leaf's scope and `value`; for people `count` and `keyed` beside it.
        errors: of people, one standard deviation as a fraction.
        ready_made: what ready-made totals count where a measure of people has only events: key columns and `value`.
        since_ms: of measures whose cube is not rebuilt yet.
    """

    def __init__(self, scope: Scope, metrics: Sequence[Metric]) -> None:
        self._scope = scope
        self._scopes: dict[str, Scope] = {"": scope}
        self.values: dict[Leaf, pl.DataFrame] = {}
        self.errors: dict[Leaf, float] = {}
        self.ready_made: dict[Leaf, pl.DataFrame] = {}
        self.since_ms: dict[Measure, int] = {}
        self._evaluate(self._wanted(metrics))

    def keys(self, leaf: Leaf) -> list[str]:
        """Return the key columns of a leaf's values."""
        return list((self._scopes.get(leaf.variant) or self._scope).keys)

    def mean_days(self, topic: str) -> tuple[frozenset[int], bool]:
        """Return the days of the window that a mean runs over, and whether they are finished (X-23, X-68)."""
        scope = self._scope
        calendar, window = scope.calendar, scope.window
        since_ms = fed_since_ms(scope.columns, scope.shop.shop_id, topic)
        if since_ms is None:
            return frozenset(), False
        first_ms = since_ms if window.from_ms is None else max(since_ms, window.from_ms)
        last_ms = scope.now_ms if window.to_ms is None else min(scope.now_ms, window.to_ms - 1)
        days = range(calendar.day_of(first_ms), calendar.day_of(last_ms) + 1)
        finished = frozenset(day for day in days if calendar.day_start_ms(day + 1) <= scope.now_ms)
        return (finished, True) if finished else (frozenset(days), False)

    def _wanted(self, metrics: Sequence[Metric]) -> dict[Leaf, str]:
        """Return every leaf that the metrics need, with the first metric that needs it."""
        wanted: dict[Leaf, str] = {}
        for metric in metrics:
            for formula, variant in parts_of(metric.formula):
                for measure in measures_of(formula):
                    wanted.setdefault(Leaf(measure, variant), metric.id)
                    if variant not in self._scopes and variant != FINISHED_VARIANT:
                        self._scopes[variant] = self._variant(variant)
        return wanted

    def _variant(self, name: str) -> Scope:
        kind, *rest = name.split(":")
        if kind == WHOLE_VARIANT:
            return self._scope.over_all_atoms().without(rest)
        if kind == LATE_VARIANT:
            return dataclasses.replace(self._scope, arrived="late")
        if kind == NOW_VARIANT:
            return dataclasses.replace(self._scope, window=Window("all", None, None))
        return self._recent(int(rest[0]), rest[1])

    def _recent(self, minutes: int, topic: str) -> Scope:
        """Return the last minutes of one topic: another one that is behind does not hold them back."""
        scope = self._scope
        end = scope.recent_end_ms
        if end is None:
            as_of_ms = scope.columns.as_of_ms(scope.shop.shop_id, (topic,), scope.now_ms)
            end = as_of_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS
        return dataclasses.replace(scope, window=Window(f"last:{minutes}m", end - minutes * MINUTE_MS, end))

    def _evaluate(self, wanted: dict[Leaf, str]) -> None:
        facts: dict[tuple[str, str], list[Measure]] = {}
        for leaf, metric in wanted.items():
            measure, scope = leaf.measure, self._scope_of(leaf)
            if measure.frame is Frame.TRAFFIC:
                self._take(leaf, traffic_values(scope, measure, metric))
            elif measure.people:
                self._take(leaf, viewer_values(scope, measure))
            else:
                # Finished days differ by topic.
                facts.setdefault((leaf.variant, measure.topic), []).append(measure)
        for (variant, _), measures in facts.items():
            scope = self._scope_of(Leaf(measures[0], variant))
            values = fact_values(scope, measures)
            for measure in measures:
                self.values[Leaf(measure, variant)] = values[measure.name]
        for leaf in wanted:
            self._add_ready_made(leaf)

    def _take(self, leaf: Leaf, found: TrafficValues) -> None:
        self.values[leaf] = found.values
        if found.since_ms is not None:
            self.since_ms[leaf.measure] = found.since_ms
        if found.relative_error is not None:
            self.errors[leaf] = found.relative_error

    def _add_ready_made(self, leaf: Leaf) -> None:
        """Add ready-made counts to counts; of people they only say that there was somebody."""
        made = ready_made_values(self._scope_of(leaf), leaf.measure)
        if made is None:
            return
        if leaf.measure.people:
            self.ready_made[leaf] = made
            return
        keys = self.keys(leaf)
        both = pl.concat([self.values[leaf].select(*keys, "value"), made.select(*keys, "value")])
        self.values[leaf] = both.group_by(keys).agg(pl.col("value").sum())

    def _scope_of(self, leaf: Leaf) -> Scope:
        if leaf.variant != FINISHED_VARIANT:
            return self._scopes[leaf.variant]
        days, _ = self.mean_days(leaf.measure.topic)
        return dataclasses.replace(self._scope, days=days)
