"""The LIVEs of a shop, by when they started and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from streams.windows import Stream

if TYPE_CHECKING:
    from streams.columns import Columns


def streams_of(columns: Columns, shop_id: str) -> list[Stream]:
    """Return the LIVEs that have started, the earliest first; none where no source feeds `content`."""
    contents = columns.content(shop_id).contents()

    def started() -> dict[str, pl.DataFrame]:
        lives = contents.filter((pl.col("kind") == "live") & pl.col("new_at_ms").is_not_null())
        in_order = lives.sort("new_at_ms", "content_id")
        return {"": in_order.select("content_id", "account_id", "new_at_ms", "ended_at_ms")}

    found = columns.day_values.while_same(("streams", shop_id), contents, started)[""]
    return [Stream(*row) for row in found.rows()]
