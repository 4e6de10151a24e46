"""Which facts arrived after their day was final (X-63, X-77)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.days import HOUR_MS
from streams.formulas import Frame
from streams.frames import SLOT
from streams.windows import day_final_ms

if TYPE_CHECKING:
    from streams.scope import Scope

ARRIVALS: Final = {"paid_at_ms": Frame.ORDER_LINES, "processed_at_ms": Frame.REFUNDS}
"""Facts of which it is known when they arrived, by the instant that decides on their day."""


def late_slots(scope: Scope, facts: pl.DataFrame, at: str) -> pl.Series:
    """Return the slots of the facts that arrived after their day was final, of all days.

    Args:
        scope: whose calendar and final hour count.
        facts: with `day` and `received_at_ms`.
        at: column of the instant that decides on the day.
    """
    calendar, hour = scope.calendar, scope.columns.settings.board.day_final_hour
    # A day is final at the earliest so long after its last instant; the clock may take an hour off. Few facts are
    # that late, and only they are held against their own day.
    least_ms = max(hour - 1, 0) * HOUR_MS
    slow = facts.lazy().filter(pl.col("received_at_ms") - pl.col(at) > least_ms)
    found = slow.select(SLOT, "day", "received_at_ms").collect()
    days = found.get_column("day").unique().to_list()
    finals = [day_final_ms(calendar, day, hour) for day in days]
    final_ms = pl.col("day").replace_strict(days, finals, return_dtype=pl.Int64())
    late = found.filter(pl.col("received_at_ms") > final_ms) if days else found
    return late.get_column(SLOT).unique()
