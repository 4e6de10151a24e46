"""What a metric is made of: base measures, and formulas over them, as data.

A base measure is read from facts or from cubes. A formula combines measures; a rate is always the sum of its
numerators over the sum of its divisors (X-28), never a mean of rates. Evaluation is `streams.query`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class AddsOver(StrEnum):
    """Over what a measure may be summed."""

    ALL = "all"
    """Time and every non-overlapping dimension."""

    TIME = "time"
    """Time only: an order or a person of a day counts once in each product and format it touches."""

    NONE = "none"
    """Nothing: a rate, a level, or distinct people of a whole window."""


class Frame(StrEnum):
    """Where a measure's rows are."""

    ORDER_LINES = "order_lines"
    REFUNDS = "refunds"
    TRAFFIC = "traffic"


class Counts(StrEnum):
    """How a measure is drawn from its rows."""

    SUM = "sum"
    """The sum of a column."""

    DISTINCT = "distinct"
    """Distinct values of a column in the window."""

    DAILY_DISTINCT = "daily_distinct"
    """Distinct values within each shop-day, summed over days (dd of spec/metrics.md)."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A base measure.

    Attributes:
        name: unique in `MEASURES`.
        frame: where its rows are.
        counts: how it is drawn.
        column: summed or counted; for traffic the event type.
        topic: which it needs, without prefix.
        adds_over: over what it may be summed.
        people: traffic only: counts sketched people instead of events.
        only_if: name of the shop setting without which it is 0; only_cancelled: rows of cancelled orders alone.
    """

    name: str
    frame: Frame
    counts: Counts
    column: str
    topic: str
    adds_over: AddsOver = AddsOver.ALL
    people: bool = False
    only_if: str = ""
    only_cancelled: bool = False


def _lines(name: str, column: str, **more: str) -> Measure:
    return Measure(name, Frame.ORDER_LINES, Counts.SUM, column, "orders", **more)  # type: ignore[arg-type] # only_if


def _refunds(name: str, column: str) -> Measure:
    return Measure(name, Frame.REFUNDS, Counts.SUM, column, "orders")


def _traffic(name: str, event_type: str, topic: str) -> tuple[Measure, Measure, Measure]:
    return (
        Measure(name, Frame.TRAFFIC, Counts.SUM, event_type, topic),
        Measure(
            f"{name}_people",
            Frame.TRAFFIC,
            Counts.DAILY_DISTINCT,
            event_type,
            topic,
            AddsOver.TIME,
            people=True,
        ),
        Measure(
            f"{name}_people_distinct",
            Frame.TRAFFIC,
            Counts.DISTINCT,
            event_type,
            topic,
            AddsOver.NONE,
            people=True,
        ),
    )


MEASURES: Final[dict[str, Measure]] = {
    measure.name: measure
    for measure in (
        _lines("goods", "goods_minor"),
        _lines("shipping_in_gmv", "shipping_minor", only_if="gmv_includes_shipping"),
        _lines("shipping", "shipping_minor"),
        _lines("tax", "tax_minor"),
        _lines("cofunding", "cofund_minor"),
        _lines("items", "quantity"),
        _lines("sku_orders", "leads_sku_order"),
        Measure("orders", Frame.ORDER_LINES, Counts.DISTINCT, "slot", "orders", AddsOver.TIME),
        Measure(
            "cancelled_orders",
            Frame.ORDER_LINES,
            Counts.DISTINCT,
            "slot",
            "orders",
            AddsOver.TIME,
            only_cancelled=True,
        ),
        Measure(
            "customers", Frame.ORDER_LINES, Counts.DAILY_DISTINCT, "customer_no", "orders", AddsOver.TIME
        ),
        Measure(
            "customers_distinct", Frame.ORDER_LINES, Counts.DISTINCT, "customer_no", "orders", AddsOver.NONE
        ),
        _refunds("refunded_goods", "amount_minor"),
        _refunds("refunded_shipping", "shipping_minor"),
        _refunds("items_refunded", "quantity"),
        Measure(
            "refund_customers", Frame.REFUNDS, Counts.DAILY_DISTINCT, "customer_id", "orders", AddsOver.TIME
        ),
        Measure(
            "refund_customers_distinct",
            Frame.REFUNDS,
            Counts.DISTINCT,
            "customer_id",
            "orders",
            AddsOver.NONE,
        ),
        *_traffic("impressions", "product_impression", "impressions"),
        *_traffic("clicks", "product_click", "clicks"),
        *_traffic("page_views", "product_page_view", "page_views"),
        *_traffic("add_to_carts", "add_to_cart", "add_to_cart"),
    )
}


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of base measures, by name."""

    measures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Sum over sum; null where the divisor is 0 (X-27)."""

    numerator: Additive
    divisor: Additive


@dataclass(frozen=True, slots=True)
class Share:
    """A slice or leaf of a sum over the sum of all of them."""

    part: Total


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
    """What a sum has changed by since its days were final: now, less what had arrived when each day became final."""

    of: Total


_COMPARES: Final = {
    "baseline": "({of} - {of} of the other side) / {of} of the other side",
    "month": "({of} of the month - of the month before) / {of} of the month before",
    "benchmark": "(own - benchmark) / benchmark",
    "benchmark_age": "day after the last one shown - day of the benchmark",
}

FIRST_FINAL_VARIANT: Final = "first_final"

Additive = Total | DailyMean
Formula = (
    Weighted
    | Total
    | Ratio
    | Share
    | DailyMean
    | Recent
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
        for name in formula.measures:
            yield MEASURES[name]
    elif isinstance(formula, Ratio):
        yield from measures_of(formula.numerator)
        yield from measures_of(formula.divisor)
    elif isinstance(formula, Share):
        yield from measures_of(formula.part)
    elif isinstance(formula, Weighted):
        yield from (MEASURES[name] for _, name in (*formula.numerator, *formula.divisor))
    elif isinstance(formula, (DailyMean, Recent, Restated)):
        yield from measures_of(formula.of)


def recent_variant(formula: Recent) -> str:
    """Return the name of the scope that a recent sum is taken in."""
    return f"recent:{formula.minutes}:{next(measures_of(formula)).topic}"


def parts_of(formula: Formula) -> Iterator[tuple[Total, str]]:
    """Yield the sums of a formula, each with the variant of the scope that it is taken in."""
    if isinstance(formula, Total):
        yield formula, ""
    elif isinstance(formula, Ratio):
        yield from parts_of(formula.numerator)
        yield from parts_of(formula.divisor)
    elif isinstance(formula, Share):
        yield formula.part, ""
        yield formula.part, "whole"
    elif isinstance(formula, Weighted):
        yield from ((Total((name,)), "") for _, name in (*formula.numerator, *formula.divisor))
    elif isinstance(formula, Restated):
        yield formula.of, ""
        yield formula.of, FIRST_FINAL_VARIANT
    elif isinstance(formula, DailyMean):
        yield formula.of, ""
        yield formula.of, "finished"
    elif isinstance(formula, Recent):
        yield formula.of, recent_variant(formula)


def describe(formula: Formula) -> str:
    """Return a formula as a line of text, for docs/METRICS.md and `explain`."""
    if isinstance(formula, Total):
        return " + ".join(formula.measures)
    if isinstance(formula, Ratio):
        return f"{_bracket(formula.numerator)} / {_bracket(formula.divisor)}"
    if isinstance(formula, Weighted):
        return formula.text
    if isinstance(formula, Share):
        return f"{_bracket(formula.part)} of the slice / {_bracket(formula.part)} of all"
    if isinstance(formula, Restated):
        return f"{_bracket(formula.of)} now - {_bracket(formula.of)} when each day was final"
    if isinstance(formula, CompareFigure):
        return _COMPARES[formula.column].format(of=formula.of)
    if isinstance(formula, DailyMean):
        return f"mean over finished days of {_bracket(formula.of)}"
    if isinstance(formula, Recent):
        return f"{_bracket(formula.of)} over the last {formula.minutes} minutes"
    if isinstance(formula, AdderFigure):
        viewers = "page_views people"
        rate = f"({viewers} and add_to_carts people of a product and day) / {viewers} of it"
        return rate if formula.column == "rate" else f"top part of the shop by {rate}"
    if isinstance(formula, StockFigure):
        return f"stock table: {formula.column}"
    if isinstance(formula, LossFigure):
        return "expected demand of the hours out of stock x mean price paid"
    if isinstance(formula, GoalFigure):
        return f"goal: {formula.column}"
    return f"records: {formula.column}"


def _bracket(formula: Additive) -> str:
    text = describe(formula)
    return f"({text})" if isinstance(formula, DailyMean) or len(formula.measures) > 1 else text
