"""Traffic of a LIVE or video by its creator: the one whom its record names, and nobody where no record names one.

What is of nobody keeps a row of its own, so that a missing record takes its creator's name away and no event: the parts
still add up. Nothing is guessed from order lines (X-33), so beside it stand no figures that would take the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.atoms import SLICES
from streams.errors import QueryError
from streams.formulas import Frame, measures_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.cell_series import Series
    from streams.metric import Metric
    from streams.scope import Scope

NO_CARD: Final = "no_card"

NOBODY: Final = ""
"""The creator of a LIVE or video whom no record of it names; an id has at least one character."""

_BY_RECORD: Final = frozenset({Frame.TRAFFIC, Frame.ENGAGEMENT, Frame.VIOLATIONS})
"""Frames whose rows have their creator from the record of their content."""


def of_creators(scope: Scope, cells: pl.DataFrame) -> pl.DataFrame:
    """Put the creator beside each cell, as the record of its content names it, or `NOBODY`; leave out what is of none.

    Who posts a LIVE or video posts it alone, so all traffic of a cell that is kept by content is of one creator.

    Raises:
        QueryError: `no_cube` where a filter names a creator whose traffic cannot be told from that of nobody.
    """
    contents = scope.columns.content(scope.shop.shop_id).contents()
    known = contents.select(
        pl.col("content_id").alias("content"), creator="creator_id", told=pl.lit(value=True)
    )
    cells = cells.join(known, on="content", how="left", maintain_order="left")
    of_affiliates = pl.col("atom").is_in(sorted(SLICES["affiliate"])).fill_null(value=False)
    untold = pl.col("creator").is_null() & (pl.col("told").is_null() | of_affiliates)
    cells = cells.with_columns(
        pl.when(untold).then(pl.lit(NOBODY)).otherwise(pl.col("creator")).alias("creator")
    )
    wanted = {value for dim, value in scope.where if dim == "creator"}
    if wanted - {NOBODY} and not any(dim == "content" for dim, _ in scope.where):
        _refuse_maybe_of(scope, cells.filter(pl.col("creator") == NOBODY), wanted)
    condition = pl.col("creator").is_not_null()
    for value in wanted:
        condition &= pl.col("creator") == value
    return cells.drop("told").filter(condition)


def _refuse_maybe_of(scope: Scope, nobodys: pl.DataFrame, creators: set[str]) -> None:
    """Refuse a question about a creator who had traffic where a content of nobody had: it may be hers."""
    if not nobodys.height:
        return
    window = scope.window
    hers = scope.columns.cells("creator_day", scope.shop.shop_id, window.from_ms, window.to_ms)
    hers = hers.filter(pl.col("creator").is_in(sorted(creators)))
    keys = [key for key in ("bucket", "event_type", "product") if key in nobodys.columns]
    both = nobodys.join(hers.select(*keys, of_hers="atom").unique(), on=keys, how="inner")
    both = both.filter(pl.col("atom").is_null() | (pl.col("atom") == pl.col("of_hers")))
    if scope.columns.cube_since_ms("creator_day") is not None:
        both = nobodys
    if not both.height:
        return
    names = " and ".join(sorted(creators))
    content = both.item(0, "content")
    what = f"Traffic came from the LIVE or video {content}, and no record says whether {names} posted it."
    left = ",".join(dim for dim in scope.by if dim != "creator")
    mend = f"Send its record on the topic content, or leave the creator out{left and f': by={left}'}."
    raise QueryError(what, reason="no_cube", mend=mend)


def mark_unnamed(scope: Scope, metric: Metric, series: Series, names: Mapping[str, Sequence[str]]) -> None:
    """Set to null what cannot be said of a content and a creator whom no record of the content names.

    The row of nobody tells its traffic; the row of a creator whom order lines name tells what these are summed to.

    Args:
        scope: by or of both content and creator.
        metric: that is told.
        series: its values.
        names: of each open dimension, its value in every row.
    """
    frames = {measure.frame for measure in measures_of(metric.formula)}
    contents = scope.columns.content(scope.shop.shop_id).contents()
    named = set(contents.filter(pl.col("creator_id").is_not_null()).get_column("content_id"))
    asked = dict(scope.where)

    def cannot_be_said(index: int) -> bool:
        content, creator = (
            names[dim][index] if dim in names else asked[dim] for dim in ("content", "creator")
        )
        if content in named or series.reasons.get(index) == "no_source":
            return False
        return frames != {Frame.TRAFFIC} if creator == NOBODY else bool(frames & _BY_RECORD)

    series.mark(NO_CARD, cannot_be_said)
