"""The LIVEs of a shop, by when they started and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from streams.windows import Stream

if TYPE_CHECKING:
    from streams.columns import Columns


def streams_of(columns: Columns, shop_id: str) -> list[Stream]:
    """Return the LIVEs that have started, the earliest first; none where no source feeds `content`."""
    started = (
        columns.content(shop_id)
        .contents()
        .filter((pl.col("kind") == "live") & pl.col("new_at_ms").is_not_null())
        .sort("new_at_ms", "content_id")
    )
    return [
        Stream(*row) for row in started.select("content_id", "account_id", "new_at_ms", "ended_at_ms").rows()
    ]
