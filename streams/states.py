"""Whether an answer may still change: provisional, final or restated (X-63, X-77)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from streams.formulas import Frame, measures_of
from streams.windows import day_final_ms

if TYPE_CHECKING:
    from streams.catalogue import Metric
    from streams.scope import Scope


def state_of(scope: Scope, metrics: Sequence[Metric]) -> str:
    """Return the state of the days that an answer covers.

    `provisional` until the last of them is final: at `day_final_hour` of the next day by the board's clock, with every
    topic read complete beyond its end. Then `final`, or `restated` where an order or refund of these days arrived
    after its day was final.
    """
    if any(metric.windows == "now" for metric in metrics):
        return "provisional"
    calendar = scope.calendar
    last_ms = scope.now_ms if scope.window.to_ms is None else scope.window.to_ms - 1
    hour = scope.columns.settings.board.day_final_hour
    last_day = calendar.day_of(last_ms)
    final_ms = day_final_ms(calendar, last_day, hour)
    if scope.now_ms < final_ms or scope.as_of_ms < calendar.day_start_ms(last_day + 1):
        return "provisional"
    frames = {measure.frame for metric in metrics for measure in measures_of(metric.formula)}
    shop_id = scope.shop.shop_id
    for frame, facts, at in (
        (Frame.ORDER_LINES, scope.columns.order_lines, "paid_at_ms"),
        (Frame.REFUNDS, scope.columns.refunds, "processed_at_ms"),
    ):
        if frame not in frames:
            continue
        found = facts(shop_id).filter(scope.in_window(at)).select("day", "received_at_ms")
        days = found.get_column("day").to_numpy()
        known, index = np.unique(days, return_inverse=True)
        finals = np.array([day_final_ms(calendar, int(day), hour) for day in known], dtype=np.int64)
        late = found.filter(
            pl.Series(finals[index] if len(known) else [], dtype=pl.Int64) < pl.col("received_at_ms")
        )
        if late.height:
            return "restated"
    return "final"
