"""From when to when there are records of a topic within a window: the ends of a series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.fact_frames import FRAMES, READY_MADE, FactFrame
from streams.formulas import Frame
from streams.query_traffic import first_and_last_ms
from streams.ready_made import STANDS_FOR
from streams.topics import TOPICS

if TYPE_CHECKING:
    from streams.scope import Scope

_STATUS: Final = FactFrame(lambda scope: scope.columns.order_status(scope.shop.shop_id), "occurred_at_ms", {})
_FOLLOWERS: Final = FactFrame(
    lambda scope: scope.columns.content(scope.shop.shop_id).followers(), "at_ms", {}
)
_REFUNDS: Final = FactFrame(
    lambda scope: scope.columns.refund_records(scope.shop.shop_id), "processed_at_ms", {}
)
_OF_TOPIC: Final[dict[str, tuple[FactFrame, ...]]] = {
    "orders": (FRAMES[Frame.ORDER_LINES], _REFUNDS, _STATUS),
    "content": (FRAMES[Frame.CONTENT], FRAMES[Frame.CONTENT_DAYS]),
    "engagement": (FRAMES[Frame.ENGAGEMENT],),
    "violations": (FRAMES[Frame.VIOLATIONS],),
    "checkouts": (FRAMES[Frame.CHECKOUTS],),
    "ads": (FRAMES[Frame.ADS],),
    "followers": (_FOLLOWERS,),
}


def first_and_last_of(scope: Scope, topic: str) -> tuple[int, int] | None:
    """Return the first and last event time of a topic's records within the window; None without any."""
    ends: list[int] = []
    for frame in _OF_TOPIC.get(topic, ()):
        ends += _ends(scope, frame, pl.lit(True))
    column = STANDS_FOR.get(topic)
    if column is not None:
        ends += _ends(scope, READY_MADE, pl.col(column).is_not_null())
    if topic not in _OF_TOPIC:
        found = first_and_last_ms(scope, TOPICS[topic].event_types)
        ends += [] if found is None else found
    return (min(ends), max(ends)) if ends else None


def _ends(scope: Scope, frame: FactFrame, condition: pl.Expr) -> list[int]:
    at = pl.col(frame.at)
    found = frame.read(scope).lazy().filter(scope.in_window(frame.at) & condition)
    row = found.select(at.min().alias("first"), at.max().alias("last")).collect().row(0)
    return [value for value in row if value is not None]
