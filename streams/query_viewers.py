"""Values of measures over the viewers of content: distinct people, by union of what each record names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from streams.fact_frames import FRAMES
from streams.formulas import Counts, Frame, Measure
from streams.frames import SLOT
from streams.query_facts import rows_in_scope
from streams.query_traffic import TrafficValues
from streams.scope import expand_atoms
from streams.viewers import RELATIVE_ERROR

if TYPE_CHECKING:
    from streams.scope import Scope


def viewer_values(scope: Scope, measure: Measure) -> TrafficValues:
    """Return distinct viewers; `count` is of views, `keyed` of those whose records name their viewers."""
    columns = {SLOT, "views", "keyed_views"}
    rows = rows_in_scope(scope, FRAMES[Frame.ENGAGEMENT], columns, measure.atoms)
    per_day = ["day"] if measure.counts is Counts.DAILY_DISTINCT else []
    groups = (
        expand_atoms(rows, scope.names)
        .group_by([*scope.keys, *per_day])
        .agg(
            pl.col(f"m_{SLOT}").alias(SLOT),
            pl.col("m_views").sum().alias("count"),
            pl.col("m_keyed_views").sum().alias("keyed"),
        )
    )
    content = scope.columns.content(scope.shop.shop_id)
    people = content.viewers([slots.to_numpy() for slots in groups.get_column(SLOT)])
    # Each day is rounded before days are added, so that the days of a table sum to its total.
    values = (
        groups.with_columns(pl.Series("value", [round(value) for value in people], dtype=pl.Int64))
        .group_by(scope.keys)
        .agg(pl.col("value", "count", "keyed").sum())
    )
    return TrafficValues(values, RELATIVE_ERROR)
