"""What a cell is made of: every sum of its metric's formula, and the formula with the figures put in."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from streams.formulas import (
    DailyMean,
    Formula,
    Now,
    Rank,
    Ratio,
    Recent,
    Restated,
    Share,
    Total,
    Weighted,
    describe,
    measures_of,
)
from streams.leaves import Leaves
from streams.metric import Metric, Unit
from streams.money import major, minor_digits
from streams.own_formula import unit_of_measure
from streams.query_figures import REFERENCE_TOPICS
from streams.ready_made import feeds
from streams.series import Cells
from streams.states import state_of

if TYPE_CHECKING:
    from streams.scope import Scope
    from streams.settings import ShopSettings

_ID: Final = re.compile(r"[a-z_][a-z0-9_]*")
_WORDS_OF_UNITS: Final = {Unit.RATE: 4, Unit.NUMBER: 4}
"""Digits behind the point of what is no money and no count."""


@dataclass(frozen=True, slots=True)
class Part:
    """One figure that a cell is made of.

    Attributes:
        name: catalogue id where the catalogue has it, else a base measure or words.
        value: money in major units; None without one, then `reason` says why.
        unit: of the value.
        as_of_ms, state: as an answer of this part alone would say them.
        parts: what it is made of itself.
    """

    name: str
    value: Any
    unit: Unit
    as_of_ms: int
    state: str
    reason: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Composition:
    """How a value comes about.

    Attributes:
        words: the formula in names; empty where a name alone says it.
        figures: the same with figures in the place of names; empty where there are none.
        parts: in the order of the formula.
    """

    words: str
    figures: str = ""
    parts: tuple[Part, ...] = field(default=())


def composition(scope: Scope, metric: Metric, known: Mapping[str, Metric]) -> Composition:
    """Return what a metric is made of in a scope of one row.

    Args:
        scope: of the cell: no dimensions, its own filters and its own span of time.
        metric: whose cell it is.
        known: the catalogue with the seller's own metrics.
    """
    return _Composer(scope, metric, known).compose(metric.formula)


def instant(at_ms: int, timezone: str) -> str:
    """Return an instant by the shop's clock, with its offset."""
    return dt.datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone)).isoformat(timespec="seconds")


def shown(value: Any, unit: Unit, shop: ShopSettings, reason: str = "") -> str:
    """Return a figure as a line of text shows it: money with its currency's digits, a rate as a fraction."""
    if value is None:
        return f"null ({reason})" if reason else "null"
    if isinstance(value, str):
        return value
    if unit is Unit.MONEY:
        return f"{value:,.{minor_digits(shop.currency)}f}"
    if isinstance(value, int):
        return instant(value, shop.timezone) if unit is Unit.INSTANT else f"{value:,}"
    return f"{value:,.{_WORDS_OF_UNITS.get(unit, 2)}f}"


class _Composer:
    def __init__(self, scope: Scope, metric: Metric, known: Mapping[str, Metric]) -> None:
        self._scope = scope
        self._metric = metric
        self._known = known
        self._names = {
            one.formula: name
            for name, one in reversed(list(known.items()))
            if isinstance(one.formula, Total) and not one.is_own
        }

    def compose(self, formula: Formula) -> Composition:  # one branch for each kind of formula
        if isinstance(formula, Total):
            part = self._total(formula, self._scope)
            parts = part.parts or (part,)
            return Composition(self._joined(formula, parts, words=True), self._joined(formula, parts), parts)
        if isinstance(formula, Ratio):
            return self._ratio(formula)
        if isinstance(formula, Share):
            whole = self._scope.over_all_atoms().without(formula.over)
            up, down = (
                self._total(formula.part, self._scope),
                self._total(formula.whole or formula.part, whole),
            )
            down = dataclasses.replace(down, name=f"{self._bracketed(down.name, 1)} of all")
            words = f"{self._bracketed(up.name, 1)} / {down.name}"
            return Composition(words, self._over((up, down)), (up, down))
        if isinstance(formula, DailyMean):
            parts = self._mean(formula)
            return Composition(" / ".join(part.name for part in parts), self._over(parts), parts)
        if isinstance(formula, (Recent, Now)):
            parts = tuple(
                self._evaluated(name, dataclasses.replace(formula, of=Total((name,))), self._scope)
                for name in formula.of.measures
            )
            return Composition(describe(formula), " + ".join(map(self._text, parts)), parts)
        if isinstance(formula, Restated):
            return self._restated(formula)
        if isinstance(formula, Rank):
            parts = tuple(self._named(part) for part in formula.by)
            return Composition(f"place by {', then '.join(part.name for part in parts)}", "", parts)
        if isinstance(formula, Weighted):
            return self._own(formula)
        return Composition(describe(formula))

    def _ratio(self, formula: Ratio) -> Composition:
        up, down = (
            self._mean(side) if isinstance(side, DailyMean) else (self._total(side, self._scope),)
            for side in (formula.numerator, formula.divisor)
        )
        times = f" * {formula.times:,}" if formula.times != 1 else ""
        times += f" / {formula.per:,}" if formula.per != 1 else ""
        words = [self._bracketed(" / ".join(part.name for part in side), len(side)) for side in (up, down)]
        figures = [self._bracketed(self._over(side), len(side)) for side in (up, down)]
        return Composition(" / ".join(words) + times, " / ".join(figures) + times, (*up, *down))

    def _own(self, formula: Weighted) -> Composition:
        names = [name for name in dict.fromkeys(_ID.findall(formula.text)) if name in self._known]
        parts = tuple(self._metric_part(self._known[name]) for name in names)
        figures = {part.name: self._text(part) for part in parts}
        text = _ID.sub(lambda match: figures.get(match[0], match[0]), formula.text)
        return Composition(formula.text, text, parts)

    def _restated(self, formula: Restated) -> Composition:
        now = self._total(formula.of, self._scope)
        then = self._total(formula.of, dataclasses.replace(self._scope, arrived="first_final"))
        then = dataclasses.replace(then, name=f"{then.name} when each day was final")
        return Composition(
            f"{now.name} - {then.name}", f"{self._text(now)} - {self._text(then)}", (now, then)
        )

    def _mean(self, formula: DailyMean) -> tuple[Part, ...]:
        """Return the sum over the days of a mean and their number."""
        topic = next(measures_of(formula)).topic
        days, finished = Leaves(self._scope, ()).mean_days(topic)
        total = self._total(formula.of, dataclasses.replace(self._scope, days=days))
        kind = "finished days" if finished else "days so far"
        count = Part(kind, len(days), Unit.COUNT, total.as_of_ms, total.state)
        return (dataclasses.replace(total, name=f"{total.name} of {kind}"), count)

    def _named(self, formula: Total | Ratio) -> Part:
        if isinstance(formula, Total):
            return self._total(formula, self._scope)
        found = next((one for one in self._known.values() if one.formula == formula), None)
        return self._evaluated(found.id if found else describe(formula), formula, self._scope, found)

    def _metric_part(self, metric: Metric) -> Part:
        return self._evaluated(metric.id, metric.formula, self._scope, metric)

    def _total(self, total: Total, scope: Scope) -> Part:
        """Return a sum, and below it what is added up."""
        name = self._names.get(total) or describe(total)
        inner = tuple(
            self._evaluated(one, Total((one,)), scope)
            for one in dict.fromkeys((*total.measures, *total.minus))
        )
        part = self._evaluated(name, total, scope)
        return dataclasses.replace(part, parts=inner if len(inner) > 1 else ())

    def _evaluated(self, name: str, formula: Formula, scope: Scope, like: Metric | None = None) -> Part:
        """Return a formula's value by the query layer's own cells."""
        measures = list(measures_of(formula))
        topics = tuple(dict.fromkeys(measure.topic for measure in measures))
        unit = like.unit if like else unit_of_measure(measures[0].name, self._known)
        asked = dataclasses.replace(
            like or self._metric,
            id=name,
            formula=formula,
            unit=unit,
            topics=like.topics if like else topics,
        )
        series = Cells(scope, (asked,)).series(asked)
        value = series.values[0] if series.values else None
        currency = scope.shop.currency
        if unit is Unit.MONEY and value is not None:
            value = major(value, currency)
        columns, shop_id = scope.columns, scope.shop.shop_id
        read = sorted(feeds(columns, shop_id, set(asked.topics) - REFERENCE_TOPICS))
        as_of_ms = columns.as_of_ms(shop_id, read, scope.now_ms)
        state = state_of(dataclasses.replace(scope, as_of_ms=as_of_ms), (asked,))
        return Part(name, value, unit, as_of_ms, state, series.reasons.get(0, ""))

    def _joined(self, total: Total, parts: tuple[Part, ...], *, words: bool = False) -> str:
        found = {part.name: part.name if words else self._text(part) for part in parts}
        if len(parts) == 1:
            return "" if words else next(iter(found.values()))
        plus = " + ".join(found[name] for name in total.measures)
        return " - ".join((plus, *(found[name] for name in total.minus)))

    def _over(self, parts: tuple[Part, ...]) -> str:
        return " / ".join(map(self._text, parts))

    def _bracketed(self, text: str, parts: int) -> str:
        return f"({text})" if parts > 1 or " + " in text or " - " in text else text

    def _text(self, part: Part) -> str:
        return shown(part.value, part.unit, self._scope.shop, part.reason)
