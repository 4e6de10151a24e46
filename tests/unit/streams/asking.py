"""Ask a small board questions and read the answers as tables."""

from __future__ import annotations

from typing import Any

from streams.answers import Answer
from streams.columns import Columns
from streams.query import parse_request, run


def answer(columns: Columns, metrics: str, by: str = "", *, now_ms: int, **params: Any) -> Answer:
    return run(
        columns,
        parse_request({"metrics": metrics, "by": by, "window": "all"} | params),
        now_ms=now_ms,
    )


def rows(
    columns: Columns, metrics: str, by: str = "", *, now_ms: int, **params: Any
) -> list[tuple[Any, ...]]:
    """Return the rows as tuples: dimensions, then metrics."""
    found = answer(columns, metrics, by, now_ms=now_ms, **params)
    return [tuple(row.values()) for row in found.rows]


def value(columns: Columns, metric: str, *, now_ms: int, **params: Any) -> Any:
    ((found,),) = rows(columns, metric, now_ms=now_ms, **params)
    return found


def why(columns: Columns, metric: str, *, now_ms: int, **params: Any) -> str:
    """Return the reason of the one value, which is null."""
    found = answer(columns, metric, now_ms=now_ms, **params)
    assert [row[metric] for row in found.rows] == [None]
    (reason,) = found.nulls[metric]
    return reason
