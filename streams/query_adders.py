"""Values of the metrics on page viewers who add to the cart, over a question's window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from streams.demand import demand_by_product
from streams.errors import QueryError
from streams.formulas import MEASURES, AdderFigure
from streams.page_adders import add_rates, product_days
from streams.query_figures import Figures, figure_frame
from streams.query_traffic import choose_cube
from streams.scope import TIME, Scope

if TYPE_CHECKING:
    from streams.metric import Metric

    Key = tuple[Any, ...]

_VIEWERS: Final = MEASURES["page_views_people"]


class AdderValues(NamedTuple):
    """What a metric gets.

    Attributes:
        figures: key columns and `value`, and the reason of each value that is null.
        coverage: share of the events that carry a `user_key`; None without any.
        relative_error: one standard deviation of the least certain rate, as a part of it; 0 when all are exact.
    """

    figures: Figures
    coverage: float | None
    relative_error: float


def adder_values(scope: Scope, metric: Metric) -> AdderValues:
    """Return the rate, or the flag of high demand, of each row.

    Raises:
        QueryError: `needs_dimension` without a product, `grain_too_coarse` when the window cuts a day.
    """
    products = [value for dim, value in scope.where if dim == "product"]
    if not products and "product" not in scope.names:
        what = f"A whole shop has no {metric.id}: people of different products are not added up."
        raise QueryError(what, reason="needs_dimension", mend="Ask by=product, or where=product=<id>.")
    choose_cube(scope, _VIEWERS, metric.id)
    calendar, window = scope.calendar, scope.window
    first = None if window.from_ms is None else calendar.day_of(window.from_ms)
    last = None if window.to_ms is None else calendar.day_of(window.to_ms - 1)
    flags = isinstance(metric.formula, AdderFigure) and metric.formula.column == "flag"
    # A flag is a place among all products; a rate needs its own alone.
    only = None if flags or not products else products[0]
    asked = (scope.shop.shop_id, first, last, only)
    # The flag and the rate are asked for side by side, of the same days.
    known = scope.columns.once(("product days", *asked), lambda: product_days(scope.columns, *asked))
    days = known
    for product in products:
        days = days.filter(pl.col("product") == product)
    if flags:
        figures, error = _flags(scope, known, set(days.get_column("product"))), 0.0
    else:
        rates = add_rates(days.with_columns(pl.Series(TIME, _day_starts(scope, days))), scope.keys)
        untold = rates.filter(pl.col("reason") != "").select(*scope.keys, "reason")
        figures = (
            rates.select(*scope.keys, "value"),
            {tuple(key): reason for *key, reason in untold.iter_rows()},
        )
        error = float(rates.select(pl.col("relative_error").max().fill_null(0.0)).item())
    events, keyed = (int(days.get_column(name).sum()) for name in ("events", "keyed"))
    return AdderValues(figures, keyed / events if events else None, error)


def _flags(scope: Scope, days: pl.DataFrame, shown: set[str]) -> Figures:
    values: dict[Key, Any] = {}
    reasons: dict[Key, str] = {}
    for product, demand in demand_by_product(days, scope.columns.settings.stock).items():
        if product in shown:
            key: Key = (0, product) if scope.names else (0,)
            values[key] = None if demand.flag is None else str(demand.flag)
            if demand.reason:
                reasons[key] = demand.reason
    return figure_frame(scope, values), reasons


def _day_starts(scope: Scope, days: pl.DataFrame) -> Any:
    starts = {day: scope.calendar.day_start_ms(day) for day in days.get_column("bucket").unique().to_list()}
    at_ms = days.get_column("bucket").replace_strict(starts, return_dtype=pl.Int64).to_numpy()
    return scope.time_of(at_ms)
