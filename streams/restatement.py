"""Which facts arrived after their day was final (X-63, X-77)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.formulas import Frame
from streams.windows import day_final_ms

if TYPE_CHECKING:
    from streams.scope import Scope

ARRIVALS: Final = {"paid_at_ms": Frame.ORDER_LINES, "processed_at_ms": Frame.REFUNDS}
"""Facts of which it is known when they arrived, by the instant that decides on their day."""


def arrived_after_final(scope: Scope) -> pl.Expr:
    """Return the condition that a fact arrived after its day was final, over `day` and `received_at_ms`."""
    window, calendar = scope.window, scope.calendar
    hour = scope.columns.settings.board.day_final_hour
    first_ms = window.from_ms
    last = calendar.day_of(scope.now_ms if window.to_ms is None else min(window.to_ms - 1, scope.now_ms))
    first = _first_day(scope) if first_ms is None else calendar.day_of(first_ms)
    late = pl.lit(False)
    if first > last:
        return late
    # A late payment of a LIVE may lie days behind its end.
    days = list(range(first, calendar.day_of(scope.now_ms) + 1 if window.unit == "stream" else last + 1))
    finals = [day_final_ms(calendar, day, hour) for day in days]
    final_ms = pl.col("day").replace_strict(days, finals, default=finals[-1], return_dtype=pl.Int64())
    # Nothing that came before the first of these days was final can have come too late.
    return (pl.col("received_at_ms") > finals[0]) & (pl.col("received_at_ms") > final_ms)


def _first_day(scope: Scope) -> int:
    """Return the first day of which a fact is known."""
    shop_id = scope.shop.shop_id
    facts = (scope.columns.order_lines(shop_id), scope.columns.refunds(shop_id))
    firsts = [int(frame.get_column("day").to_numpy().min()) for frame in facts if frame.height]
    return min(firsts, default=scope.calendar.day_of(scope.now_ms))
