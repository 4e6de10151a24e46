"""Valid traffic as columns: what the folds of adding and uniting work on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from streams.atoms import NO_SOURCE_ATOM, atom_of
from streams.events import Traffic

FRAME_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "index": pl.UInt32,
    "event_type": pl.String,
    "event_id": pl.String,
    "shop_id": pl.String,
    "currency": pl.String,
    "occurred_at_ms": pl.Int64,
    "user_key": pl.String,
    "atom": pl.UInt8,
    "product": pl.String,
    "content": pl.String,
    "creator": pl.String,
    "sub_campaign": pl.String,
    "territory": pl.String,
}
"""One row per valid record; `index` is its place in the batch, the last six are the dimensions of cubes."""

ATOM_CODES: Final = {
    (owner, content_format, surface): atom_of(owner, content_format, surface)
    for owner in ("seller", "affiliate", "none")
    for content_format in ("live", "video", "product_card", "showcase", "other")
    for surface in ("shop_tab", "feed", "live_room", "search", "profile", "showcase", "offsite", "other")
}
"""The atom of every source block that the wire allows."""


def empty_frame() -> pl.DataFrame:
    """Return a frame without rows."""
    return pl.DataFrame(schema=FRAME_SCHEMA)


def frame_of(indices: Sequence[int], events: Sequence[Traffic]) -> pl.DataFrame:
    """Put settled events (ids as text) into columns; equal lengths, any mix of traffic types."""
    sources = [event.source for event in events]
    territories = [getattr(event, "territory", None) for event in events]
    columns = {
        "index": indices,
        "event_type": [event.event_type for event in events],
        "event_id": [event.event_id for event in events],
        "shop_id": [event.shop_id for event in events],
        "currency": [event.currency for event in events],
        "occurred_at_ms": [event.occurred_at_ms for event in events],
        "user_key": [event.user_key for event in events],
        "atom": [
            NO_SOURCE_ATOM if source is None else ATOM_CODES[source.owner, source.format, source.surface]
            for source in sources
        ],
        "product": [event.product_id for event in events],
        "content": [None if source is None else source.content_id for source in sources],
        "creator": [None if source is None else source.creator_id for source in sources],
        "sub_campaign": [None if source is None else source.sub_campaign_id for source in sources],
        "territory": territories,
    }
    return pl.DataFrame(columns, schema=FRAME_SCHEMA)
