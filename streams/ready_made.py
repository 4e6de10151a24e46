"""Ready-made counts of traffic beside single events: what they add, and since when they feed what.

Source: spec/events.md "traffic_total". They count showings and the like, never people: where only they exist, a metric
of people is null `source_gives_no_people`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

import polars as pl

from streams.fact_frames import READY_MADE
from streams.query_facts import rows_in_scope, sums
from streams.scope import CLOSED

if TYPE_CHECKING:
    from streams.columns import Columns
    from streams.measures import Measure
    from streams.scope import Scope

TOPIC: Final = "traffic_totals"

STANDS_FOR: Final = {
    "impressions": "impressions",
    "clicks": "clicks",
    "page_views": "page_views",
    "add_to_cart": "add_to_carts",
    "engagement": "content_views",
}
"""By topic of single events, the field of a ready-made total that counts the same."""

_BUCKETS: Final[dict[str, tuple[Callable[[Columns, str], pl.DataFrame], str]]] = {
    "ads": (lambda columns, shop_id: columns.ads(shop_id).metrics(), "at_ms"),
    "engagement": (lambda columns, shop_id: columns.content(shop_id).engagement(), "at_ms"),
    "content": (lambda columns, shop_id: columns.content(shop_id).contents(), "new_at_ms"),
}
"""By topic, the rows and the column that says what time a record tells of."""


def ready_made_values(scope: Scope, measure: Measure) -> pl.DataFrame | None:
    """Return what ready-made counts add to a measure: the scope's key columns and `value`; None without any."""
    if not measure.ready_made or not scope.columns.totals(scope.shop.shop_id).traffic().height:
        return None
    asked = {*scope.names, *(dim for dim, _ in scope.where)} - CLOSED.keys()
    if not asked <= READY_MADE.columns.keys():
        return None
    facts = rows_in_scope(scope, READY_MADE, {measure.ready_made}, measure.atoms)
    facts = facts.filter(pl.col(f"m_{measure.ready_made}").is_not_null())
    return sums(scope, facts, [dataclasses.replace(measure, column=measure.ready_made)])[measure.name]


def told_since_ms(columns: Columns, shop_id: str, topic: str) -> int | None:
    """Return from when on ready-made counts tell what a topic's single events would; None when they do not."""
    column = STANDS_FOR.get(topic)
    if column is None:
        return None
    told = columns.totals(shop_id).traffic()
    if not told.height:
        return None
    first: int | None = told.filter(pl.col(column).is_not_null()).get_column("at_ms").min()  # type: ignore[assignment] # integers
    return first


def fed_since_ms(columns: Columns, shop_id: str, topic: str) -> int | None:
    """Return when a topic became a source of the shop, by its own records or by ready-made counts.

    A record that tells of a time before itself, a bucket or a stream, feeds that time.
    """
    known = [columns.source_since_ms(shop_id, topic), told_since_ms(columns, shop_id, topic)]
    if topic in _BUCKETS:
        frame, column = _BUCKETS[topic]
        known.append(frame(columns, shop_id).get_column(column).min())  # type: ignore[arg-type] # integers
    return min((at_ms for at_ms in known if at_ms is not None), default=None)


def feeds(columns: Columns, shop_id: str, topics: Collection[str]) -> set[str]:
    """Return topics, and that of ready-made counts where these tell what one of them would."""
    found = set(topics)
    if any(told_since_ms(columns, shop_id, topic) is not None for topic in found):
        found.add(TOPIC)
    return found
