"""Idle or dead: whether a topic that a shop requires has gone silent for longer than it ever does.

Source: X-82. Stale = no heartbeat and no event for the longer of five minutes and the topic's own 99.9 % gap at that
hour; only topics in the shop's `required_topics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from streams.days import DAY_MS, MINUTE_MS
from streams.shape import local_hours

if TYPE_CHECKING:
    from collections.abc import Collection

    from streams.columns import Columns
    from streams.settings import ShopSettings

STALE_AFTER_MS: Final = 5 * MINUTE_MS
GAP_SHARE: Final = 0.999

_HISTORY_MS: Final = 14 * DAY_MS
_ENOUGH_GAPS: Final = 50
_EVENT_TIMES: Final = {"orders": ("order_lines", "paid_at_ms"), "stock": ("stock_history", "occurred_at_ms")}
"""Topics whose single event times are kept; the others have five minutes."""


def stale_topics(
    columns: Columns,
    shop: ShopSettings,
    topics: Collection[str],
    *,
    now_ms: int,
    stale_after_ms: int = STALE_AFTER_MS,
) -> frozenset[str]:
    """Return which of the topics the shop requires and has heard nothing of for too long.

    A required topic that never was a source is stale. A heartbeat is hearing: its silence is "no events".

    Args:
        columns: what is known.
        shop: whose `required_topics` bind.
        topics: without prefix.
        now_ms: the board's clock.
        stale_after_ms: the least silence.
    """
    stale = set()
    for topic in set(topics) & set(shop.required_topics):
        if columns.source_since_ms(shop.shop_id, topic) is None:
            stale.add(topic)
            continue
        heard_ms = columns.as_of_ms(shop.shop_id, (topic,), now_ms)
        # The topic's own gaps are read only when there is a silence to judge: they cost a pass over its events.
        if now_ms - heard_ms > stale_after_ms and now_ms - heard_ms > _own_gap_ms(
            columns, shop, topic, heard_ms
        ):
            stale.add(topic)
    return frozenset(stale)


def _own_gap_ms(columns: Columns, shop: ShopSettings, topic: str, at_ms: int) -> float:
    """Return the 99.9 % gap between the events in the local hour of `at_ms`; of all hours where few are known."""
    if topic not in _EVENT_TIMES:
        return 0.0
    table, column = _EVENT_TIMES[topic]
    frame: pl.DataFrame = getattr(columns, table)(shop.shop_id)
    times = frame.filter(pl.col(column).is_between(at_ms - _HISTORY_MS, at_ms)).get_column(column)
    starts = times.unique().sort().to_numpy()
    if len(starts) < _ENOUGH_GAPS:
        return 0.0
    gaps = np.diff(starts)
    hours = local_hours(np.append(starts[:-1], at_ms), shop.timezone)
    same_hour = gaps[hours[:-1] == hours[-1]]
    known = same_hour if len(same_hour) >= _ENOUGH_GAPS else gaps
    return float(np.quantile(known, GAP_SHARE, method="higher"))
