"""Values of the metrics on page viewers who add to the cart, over a question's window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from streams.demand import demand_by_product
from streams.errors import QueryError
from streams.formulas import MEASURES, AdderFigure
from streams.page_adders import add_rates, product_days
from streams.query_figures import figure_frame
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

    figures: tuple[pl.DataFrame, dict[Key, str]]
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
    values: dict[Key, Any] = {}
    reasons: dict[Key, str] = {}
    error = 0.0
    if flags:
        shown = set(days.get_column("product"))
        for product, demand in demand_by_product(known, scope.columns.settings.stock).items():
            if product in shown:
                key: Key = (0, product) if scope.names else (0,)
                values[key] = None if demand.flag is None else str(demand.flag)
                reasons[key] = demand.reason
    else:
        starts = scope.time_of(_day_starts(scope, days))
        for key, rate in add_rates(days.with_columns(pl.Series(TIME, starts)), scope.keys).items():
            values[key], reasons[key] = rate.value, rate.reason
            error = max(error, rate.relative_error)
    events, keyed = (int(days.get_column(name).sum()) for name in ("events", "keyed"))
    return AdderValues(
        (figure_frame(scope, values), {key: reason for key, reason in reasons.items() if reason}),
        keyed / events if events else None,
        error,
    )


def _day_starts(scope: Scope, days: pl.DataFrame) -> Any:
    starts = {day: scope.calendar.day_start_ms(day) for day in days.get_column("bucket").unique().to_list()}
    return days.get_column("bucket").replace_strict(starts, return_dtype=pl.Int64).to_numpy()
