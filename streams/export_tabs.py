"""Files of all formats: one question asked once for each format of the briefs, whatever of it has formats.

A figure that is not kept by format stands under `All` alone: under the other tabs its cell is empty, with the reason
`not_by_format`. Columns are those of `All` under every tab.

Source: S1-69; X-71.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from streams.comparison import SUFFIXES
from streams.errors import QueryError
from streams.query import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.answers import Answer
    from streams.columns import Columns
    from streams.request import Request

TAB: Final = "Tab Name"
"""First column of a file of all formats (S1-69)."""

ALL: Final = "all"

TABS: Final = {
    ALL: "All",
    "seller_live": "Seller LIVE",
    "seller_video": "Seller video",
    "seller_product_card": "Seller product card",
    "affiliate": "Affiliate",
    "affiliate_live": "Affiliate-LIVE",
    "affiliate_video": "Affiliate-video",
    "shop_tab": "Shop tab",
}
"""The formats of the briefs and their names, in the order of the file."""

NOT_BY_FORMAT: Final = "not_by_format"

REFUSED_BY_FORMAT: Final = frozenset({"no_such_dimension", "no_cube", "grain_too_coarse", "no_detail_before"})
"""Reasons for which a question that has an answer has none for a single format."""


def tab_answers(columns: Columns, request: Request, *, now_ms: int) -> list[tuple[str, Answer]]:
    """Answer a question for each format: (name of the tab, answer), all as of the same columns.

    Raises:
        QueryError: as `streams.query.run`, also where no metric of the question is by format.
    """
    whole = run(columns, request, now_ms=now_ms)
    found = [(TABS[ALL], whole)]
    kept: Sequence[str] = request.metrics
    for name, tab in TABS.items():
        if name == ALL:
            continue
        asked = dataclasses.replace(request, where=(*request.where, ("slice", name)))
        try:
            answer = run(columns, _with_metrics(asked, kept), now_ms=now_ms)
        except QueryError as error:
            if error.reason not in REFUSED_BY_FORMAT or len(kept) < len(request.metrics):
                raise
            kept = _by_format(columns, asked, now_ms)
            if not kept:
                what = f"Nothing of the question is by format: {error.what}"
                raise QueryError(what, reason=error.reason, mend="Leave all_formats out.") from error
            answer = run(columns, _with_metrics(asked, kept), now_ms=now_ms)
        found.append((tab, completed(answer, whole)))
    return found


def completed(answer: Answer, whole: Answer) -> Answer:
    """Return the answer of a tab with every column of `All`: what is not by format is null, and says so."""
    lacks = [name for name in whole.columns if name not in answer.columns]
    if not lacks:
        return answer
    nothing = dict.fromkeys(lacks)
    every = list(range(len(answer.rows)))
    return dataclasses.replace(
        answer,
        metrics=whole.metrics,
        rows=[row | nothing for row in answer.rows],
        nulls=answer.nulls | ({name: {NOT_BY_FORMAT: every} for name in lacks} if every else {}),
        units={name: whole.units[name] for name in whole.columns},
    )


def unanswered(whole: Answer) -> Answer:
    """Return the answer of a tab where nothing is by format: one row of nulls of what is one row, else no row."""
    blank = dataclasses.replace(
        whole,
        rows=[] if whole.by else [{}],
        metrics=(),
        units={},
        nulls={},
        partial={},
        coverage={},
        relative_error={},
        since_ms={},
        restated={},
    )
    return completed(blank, whole)


def _by_format(columns: Columns, asked: Request, now_ms: int) -> list[str]:
    """Return the metrics of a question that it has an answer for, each asked alone."""
    kept = []
    for name in asked.metrics:
        try:
            run(columns, _with_metrics(asked, (name,)), now_ms=now_ms)
        except QueryError as error:
            if error.reason not in REFUSED_BY_FORMAT:
                raise
        else:
            kept.append(name)
    return kept


def _with_metrics(asked: Request, metrics: Sequence[str]) -> Request:
    """Return the question for some of its metrics; sorted by another one, it is in the order of names."""
    if tuple(metrics) == asked.metrics:
        return asked
    columns = {name + suffix for name in metrics for suffix in ("", *SUFFIXES)}
    sort = asked.sort if asked.sort in columns else ""
    return dataclasses.replace(asked, metrics=tuple(metrics), sort=sort)
