"""What a metric is made of: base measures, and formulas over them, as data.

A base measure is read from facts or from cubes. A formula combines measures; a rate is always the sum of its
numerators over the sum of its divisors (X-28), never a mean of rates. Evaluation is `streams.query`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from streams.measures import MEASURES, AddsOver, Counts, Frame, Measure

__all__ = [
    "LATE_VARIANT",
    "MEASURES",
    "NOW_VARIANT",
    "WHOLE_VARIANT",
    "AdderFigure",
    "AddsOver",
    "AudienceFigure",
    "CompareFigure",
    "Counts",
    "DailyMean",
    "Formula",
    "Frame",
    "FreshnessFigure",
    "GoalFigure",
    "LabelFigure",
    "LossFigure",
    "Measure",
    "Now",
    "Rank",
    "Ratio",
    "Recent",
    "Restated",
    "Share",
    "StockFigure",
    "Total",
    "Weighted",
    "describe",
    "measures_of",
    "parts_of",
    "recent_variant",
    "whole_variant",
]


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of base measures, by name, less those of `minus`."""

    measures: tuple[str, ...]
    minus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ratio:
    """Sum over sum, times one number and per another; null where the divisor is 0 (X-27)."""

    numerator: Additive
    divisor: Additive
    times: int = 1
    per: int = 1


@dataclass(frozen=True, slots=True)
class Share:
    """A slice or leaf of a sum over the sum of all of them, everything else equal.

    Attributes:
        whole: what it is a share of; `part` where nothing else is.
        over: further dimensions whose values are parts: the divisor is the sum over them.
        guarded: a part of fewer people than the setting `board.min_group` is not shown, also without age or gender.
    """

    part: Total
    whole: Total | None = None
    over: tuple[str, ...] = ()
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class DailyMean:
    """A daily figure averaged over finished days, zeros included; today's part while there is none (X-23, X-68)."""

    of: Total


@dataclass(frozen=True, slots=True)
class Recent:
    """A sum over the last minutes, whatever window was asked for."""

    of: Total
    minutes: int


@dataclass(frozen=True, slots=True)
class Now:
    """A sum over all time up to now, whatever window was asked for: of what is open, say."""

    of: Total


@dataclass(frozen=True, slots=True)
class Rank:
    """The place of a row, 1 is first, by figures one after the other, greatest first; then by name.

    Attributes:
        by: the figures; a row without the first one, or with 0, has no place.
        among: rows that differ in one of these dimensions alone are ranked with each other.
        otherwise: the same for a question that asks for none of `among`.
    """

    by: tuple[Total | Ratio, ...]
    among: tuple[str, ...]
    otherwise: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelFigure:
    """What is written on a thing, or what its figures make it: `column` of `streams.query_labels`."""

    column: str


@dataclass(frozen=True, slots=True)
class AudienceFigure:
    """A level of the audience, or what content did to sales: `column` of `streams.query_audience`."""

    column: str


@dataclass(frozen=True, slots=True)
class Weighted:
    """A seller's own figure: a weighted sum of base measures, over another where there is a divisor.

    Attributes:
        text: as the seller wrote it.
        numerator, divisor: (factor, measure); an empty divisor divides nothing.
        money: power of money in the value: 1, 0 or -1.
    """

    text: str
    numerator: tuple[tuple[float, str], ...]
    divisor: tuple[tuple[float, str], ...] = ()
    money: int = 0


@dataclass(frozen=True, slots=True)
class AdderFigure:
    """A figure of a product's page viewers who add it to the cart: `rate` or `flag`."""

    column: str


@dataclass(frozen=True, slots=True)
class StockFigure:
    """A figure of the stock table: `column` of `streams.query_figures`."""

    column: str


@dataclass(frozen=True, slots=True)
class LossFigure:
    """What stock-outs of the window have cost (`streams.stock_losses`)."""


@dataclass(frozen=True, slots=True)
class GoalFigure:
    """A figure of a goal: a campaign's `target`, `progress`, `pace`, `end_gmv` with its ends; of `week`, `quarter`."""

    column: str


@dataclass(frozen=True, slots=True)
class FreshnessFigure:
    """A figure about the records themselves: `lag_s`, `as_of` or `records`."""

    column: str


_COMPARES: Final = {
    "baseline": "({of} - {of} of the other side) / {of} of the other side",
    "month": "({of} of the month - of the month before) / {of} of the month before",
    "benchmark": "(own - benchmark) / benchmark",
    "benchmark_age": "day after the last one shown - day of the benchmark",
}

LATE_VARIANT: Final = "late"
NOW_VARIANT: Final = "now"
WHOLE_VARIANT: Final = "whole"
"""Names of scopes; see `parts_of`."""


@dataclass(frozen=True, slots=True)
class CompareFigure:
    """A figure that is a comparison itself.

    Attributes:
        column: `baseline`, `month`, `benchmark`, `benchmark_age`.
        of: id of the metric that it compares; empty: those that a benchmark names.
    """

    column: str
    of: str = ""


@dataclass(frozen=True, slots=True)
class Restated:
    """What sums of facts have changed by since their days were final: now, less what had arrived by then."""

    of: Total


Additive = Total | DailyMean
Formula = (
    Weighted
    | Total
    | Ratio
    | Share
    | DailyMean
    | Recent
    | Now
    | Rank
    | LabelFigure
    | AudienceFigure
    | AdderFigure
    | StockFigure
    | LossFigure
    | GoalFigure
    | FreshnessFigure
    | CompareFigure
    | Restated
)


def measures_of(formula: Formula) -> Iterator[Measure]:
    """Yield the base measures of a formula, in the order of writing."""
    if isinstance(formula, Total):
        for name in (*formula.measures, *formula.minus):
            yield MEASURES[name]
    elif isinstance(formula, Ratio):
        yield from measures_of(formula.numerator)
        yield from measures_of(formula.divisor)
    elif isinstance(formula, Share):
        yield from measures_of(formula.part)
        if formula.whole is not None:
            yield from measures_of(formula.whole)
    elif isinstance(formula, Rank):
        for part in formula.by:
            yield from measures_of(part)
    elif isinstance(formula, Weighted):
        yield from (MEASURES[name] for _, name in (*formula.numerator, *formula.divisor))
    elif isinstance(formula, (DailyMean, Recent, Now, Restated)):
        yield from measures_of(formula.of)


def recent_variant(formula: Recent) -> str:
    """Return the name of the scope that a recent sum is taken in."""
    return f"recent:{formula.minutes}:{next(measures_of(formula)).topic}"


def whole_variant(formula: Share) -> str:
    """Return the name of the scope that the whole of a share is taken in: `whole`, then the dimensions left out."""
    return ":".join((WHOLE_VARIANT, *formula.over))


def parts_of(formula: Formula) -> Iterator[tuple[Total, str]]:
    """Yield the sums of a formula, each with the variant of the scope that it is taken in."""
    if isinstance(formula, Total):
        yield formula, ""
    elif isinstance(formula, Ratio):
        yield from parts_of(formula.numerator)
        yield from parts_of(formula.divisor)
    elif isinstance(formula, Share):
        yield formula.part, ""
        yield formula.whole or formula.part, whole_variant(formula)
    elif isinstance(formula, Rank):
        for part in formula.by:
            yield from parts_of(part)
    elif isinstance(formula, Now):
        yield formula.of, NOW_VARIANT
    elif isinstance(formula, Restated):
        yield formula.of, ""
        yield formula.of, LATE_VARIANT
    elif isinstance(formula, Weighted):
        yield from ((Total((name,)), "") for _, name in (*formula.numerator, *formula.divisor))
    elif isinstance(formula, DailyMean):
        yield formula.of, ""
        yield formula.of, "finished"
    elif isinstance(formula, Recent):
        yield formula.of, recent_variant(formula)


def describe(formula: Formula) -> str:
    """Return a formula as a line of text, for docs/METRICS.md and `explain`."""
    if isinstance(formula, Total):
        return " - ".join((" + ".join(formula.measures), *formula.minus))
    if isinstance(formula, Ratio):
        times = f" * {formula.times:,}" if formula.times != 1 else ""
        times += f" / {formula.per:,}" if formula.per != 1 else ""
        return f"{_bracket(formula.numerator)} / {_bracket(formula.divisor)}{times}"
    if isinstance(formula, Weighted):
        return formula.text
    if isinstance(formula, Share):
        whole, part = _bracket(formula.whole or formula.part), _bracket(formula.part)
        return f"{part} of the {' or '.join(formula.over or ('slice',))} / {whole} of all"
    if isinstance(formula, Rank):
        return f"place by {', then '.join(map(describe, formula.by))}"
    if isinstance(formula, (DailyMean, Recent, Now, Restated)):
        return _describe_variant(formula)
    return _describe_figure(formula)


def _describe_variant(formula: DailyMean | Recent | Now | Restated) -> str:
    of = _bracket(formula.of)
    if isinstance(formula, DailyMean):
        return f"mean over finished days of {of}"
    if isinstance(formula, Recent):
        return f"{of} over the last {formula.minutes} minutes"
    return f"{of} as of now" if isinstance(formula, Now) else f"{of} now - {of} when each day was final"


def _describe_figure(formula: Formula) -> str:
    if isinstance(formula, CompareFigure):
        return _COMPARES[formula.column].format(of=formula.of)
    if isinstance(formula, AdderFigure):
        viewers = "page_views people"
        rate = f"({viewers} and add_to_carts people of a product and day) / {viewers} of it"
        return rate if formula.column == "rate" else f"top part of the shop by {rate}"
    if isinstance(formula, LossFigure):
        return "expected demand of the hours out of stock x mean price paid"
    said = {
        LabelFigure: "label",
        AudienceFigure: "audience",
        StockFigure: "stock table",
        GoalFigure: "goal",
        FreshnessFigure: "records",
    }
    return f"{said[type(formula)]}: {getattr(formula, 'column', '')}"


def _bracket(formula: Additive) -> str:
    text = describe(formula)
    return (
        f"({text})"
        if isinstance(formula, DailyMean) or len(formula.measures) + len(formula.minus) > 1
        else text
    )
