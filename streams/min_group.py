"""The minimum group of demographics: what so few people of an age or gender did is not told, by no metric.

A cell that age or gender narrows is shown when `board.min_group` distinct viewers are known in it, over the whole of
its time: a person of seven days is one. A cell whose records name no viewers is not shown either, since nobody can say
how many they are.

Source: S5-46; spec/events.md "content_engagement".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streams.formulas import Share
from streams.measures import MEASURES
from streams.query_viewers import viewer_values

if TYPE_CHECKING:
    import polars as pl

    from streams.formulas import Formula
    from streams.scope import Scope

DEMOGRAPHICS: Final = frozenset({"age_band", "gender"})
"""Dimensions that say who somebody is."""

TOO_FEW, NOBODY_NAMED = "below_minimum", "source_gives_no_people"

FIGURES_OF_RECORDS: Final = frozenset(
    {"views", "keyed_views", "likes", "comments", "shares", "saves", "watch_ms", "concurrent_viewers"}
)
"""Columns of engagement that say what the viewers of one record did."""


def narrows(scope: Scope) -> bool:
    """Return whether rows or filters name an age or a gender."""
    return not DEMOGRAPHICS.isdisjoint(scope.needs)


def guards(scope: Scope, formula: Formula) -> bool:
    """Return whether cells of a metric in a scope are shown from the minimum group on alone."""
    return narrows(scope) or (isinstance(formula, Share) and formula.guarded)


def crowds(scope: Scope) -> pl.DataFrame:
    """Return the scope's key columns, `value`: its distinct viewers, `count` and `keyed` as `viewer_values`."""
    return viewer_values(scope, MEASURES["viewers_distinct"]).values


def withheld_by(viewers: int, views: int, named: int, least: int) -> str | None:
    """Return why a cell is not shown; None where it is.

    Args:
        viewers: distinct people that are known in it.
        views: of all its records.
        named: views of the records that name their viewers.
        least: the minimum group.
    """
    if viewers >= least:
        return None
    return NOBODY_NAMED if views and not named else TOO_FEW
