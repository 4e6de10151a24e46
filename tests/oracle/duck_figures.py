"""The oracle's answer to a question: one SQL statement for all metrics asked, and what differs from ours."""

# ruff: noqa: S608 - every word of the SQL is ours, or an id of a recording that we made
from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import duckdb

from tests.oracle.duck_metrics import FIGURES, PARTS, Figure

TIME: Final = ("month", "week", "day", "hour", "minute")
MOST_SIGMA: Final = 0.033
"""No estimate may state a greater error than that of 1,024 registers, which viewers of content come in."""

_BY_PRODUCT: Final = {"contents": "contents_by_product"}
_BY_ACCOUNT: Final = {"ads": "ads_of_all", "ad_refunds": "ad_refunds_of_all"}
_WORD: Final = re.compile(r"\b(whole_)?(p_[a-z_]+)\b")
_DAYS: Final = frozenset(part.table for part in PARTS.values() if part.table.startswith("days_of_"))

_PEOPLELESS: Final = "SELECT kind FROM traffic GROUP BY kind HAVING count(user_key) = 0"
"""Kinds of traffic of which no event names its user: there are no people to count, and none is not zero."""

Rows = dict[tuple[str, ...], dict[str, float | None]]


@dataclass(frozen=True)
class Span:
    """A window as the oracle means it.

    Attributes:
        text: as the question says it.
        from_ms, to_ms: first instant and the first after it.
        content: the LIVE that it is; its orders count by when they were placed, its traffic by whole days.
    """

    text: str
    from_ms: int
    to_ms: int
    content: str = ""
    days: tuple[int, int] = (0, 0)

    def holds(self, table: str, *, timeless: bool = False, whole: bool = False) -> str:
        """Return the condition for rows of a table; a day is in the window when a part of it is.

        Args:
            table: of `duck_tables`.
            timeless: whenever it was.
            whole: of every content, also where the window is of one.
        """
        of_live = f"content = '{self.content}' AND " if self.content and not whole else ""
        if timeless:
            return f"{of_live}true"
        if table in _DAYS:
            return f"ms + 86400000 > {self.from_ms} AND ms < {self.to_ms}"
        if not self.content:
            return f"ms >= {self.from_ms} AND ms < {self.to_ms}"
        if table in ("lines", "refunds"):
            at = "created_at" if table == "lines" else "ms"
            return f"{of_live}{at} >= {self.from_ms} AND {at} < {self.to_ms}"
        if table == "traffic":
            return f"{of_live}ms >= {self.days[0]} AND ms < {self.days[1]}"
        return f"{of_live}ms >= {self.from_ms} AND ms < {self.to_ms}"


class _Group(NamedTuple):
    """Parts that are drawn from one table at once."""

    table: str
    dims: tuple[str, ...]
    timeless: bool
    whole: bool

    @property
    def alias(self) -> str:
        """Its name in the statement."""
        marks = ("timeless",) * self.timeless + ("whole",) * self.whole
        return "_".join((self.table, *marks, "by", *self.dims))


def figures(base: duckdb.DuckDBPyConnection, metrics: Iterable[str], by: tuple[str, ...], span: Span) -> Rows:
    """Return the metrics per combination of `by` that occurs; people are exact; money is in units, not cents."""
    names = list(metrics)
    found = base.execute(_statement(names, by, span)).fetchall()
    begins = _begins(names, dict(base.execute("SELECT topic, ms FROM sources").fetchall()))
    nobody = {kind for (kind,) in base.execute(_PEOPLELESS).fetchall()}
    uncounted = {
        name
        for name in names
        for word in words_of(name)
        if PARTS[word].sketched and PARTS[word].kind in nobody
    }
    nameless = _nameless(base, by, span) if "sku" in by else set()
    few = _few(base, by, span)
    rows: Rows = {}
    for row in found:
        key = tuple(str(part) for part in row[: len(by)])
        others = tuple(part for dim, part in zip(by, key, strict=True) if dim != "sku")
        end_ms = _end_ms(base, dict(zip(by, key, strict=True)), span)
        values = {}
        for name, value in zip(names, row[len(by) :], strict=True):
            known = value is not None and begins[name] < end_ms and name not in uncounted
            known &= not any((PARTS[word].kind, *others) in nameless for word in words_of(name))
            known &= key not in few
            number = float(value) if known else None
            values[name] = number / 100 if number and FIGURES[name].money else number
        rows[key] = values
    return rows


def _few(base: duckdb.DuckDBPyConnection, by: tuple[str, ...], span: Span) -> set[tuple[str, ...]]:
    """Return the rows by age or gender in which fewer people than the minimum group are known: nothing is told."""
    if not {"age_band", "gender"} & set(by):
        return set()
    found = base.execute(_statement(["unique_viewers_distinct"], by, span)).fetchall()
    ((least,),) = base.execute("SELECT getvariable('min_group')").fetchall()
    return {tuple(map(str, row[:-1])) for row in found if (row[-1] or 0) < least}


def _nameless(base: duckdb.DuckDBPyConnection, by: tuple[str, ...], span: Span) -> set[tuple[str, ...]]:
    """Return kind of traffic and other dimensions where there are events and none of them names a SKU."""
    others = [dim for dim in by if dim != "sku"]
    source = "(SELECT *, unnest(slices) AS slice FROM traffic)" if "slice" in by else "traffic"
    dims = ", ".join(["kind", *others])
    where = span.holds("traffic")
    found = base.execute(f"SELECT {dims} FROM {source} WHERE {where} GROUP BY {dims} HAVING count(sku) = 0")
    return {tuple(map(str, row)) for row in found.fetchall()}


def _begins(names: Iterable[str], since: Mapping[str, float]) -> dict[str, float]:
    return {name: max(since.get(PARTS[word].topic, math.inf) for word in words_of(name)) for name in names}


def topics_of(metric: str) -> set[str]:
    """Return the topics that a metric needs."""
    return {PARTS[word].topic for word in words_of(metric)}


def words_of(metric: str) -> set[str]:
    """Return the names of the parts that a metric is made of."""
    figure = FIGURES[metric]
    return {word for sql in (figure.sql, *figure.place) for _, word in _WORD.findall(sql)}


def _end_ms(base: duckdb.DuckDBPyConnection, row: Mapping[str, str], span: Span) -> float:
    """Return the end of a row: what began later is no source of it."""
    label = next((row[dim] for dim in reversed(TIME) if dim in row), None)
    grain = next((dim for dim in reversed(TIME) if dim in row), "")
    if label is None:
        return span.to_ms
    if grain in ("hour", "minute"):
        text = label if grain == "minute" else f"{label[:13]}:00{label[13:]}"
        start_ms = dt.datetime.fromisoformat(text).timestamp() * 1000
        return start_ms + (60_000 if grain == "minute" else 3_600_000)
    first = dt.date.fromisoformat(label if grain != "month" else f"{label}-01")
    after = first + dt.timedelta(days={"day": 1, "week": 7}.get(grain, 31))
    after = after.replace(day=1) if grain == "month" else after
    ((ends_ms,),) = base.execute("SELECT midnight_ms(CAST(? AS DATE))", [after.isoformat()]).fetchall()
    return float(ends_ms)


def _times(by: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dim for dim in by if dim in TIME)


def _statement(names: Sequence[str], by: tuple[str, ...], span: Span) -> str:
    tables: dict[_Group, dict[str, str]] = {}
    columns = []
    for name in names:
        figure = FIGURES[name]
        rest = tuple(dim for dim in by if dim not in figure.over)

        def column(match: re.Match[str], rest: tuple[str, ...] = rest, name: str = name) -> str:
            part = PARTS[match[2]]
            dims = rest if match[1] else _times(by) if part.table in _DAYS else by
            whole = bool(match[1]) and "content" in FIGURES[name].over
            group = _Group(_table(part.table, by), dims, part.timeless, whole)
            tables.setdefault(group, {})[match[2]] = part.sql
            return f"(CASE WHEN {group.alias}.here THEN {group.alias}.{match[2]} ELSE 0 END)"

        columns.append(_WORD.sub(column, _ranked(figure, by) if figure.place else figure.sql))
    parts_sql, joins, keys = [], [], []
    for group, parts in tables.items():
        parts_sql.append(f"{group.alias} AS ({_grouped(group, parts, span)})")
        same = " AND ".join(f"{group.alias}.{dim} = keys.{dim}" for dim in group.dims) or "true"
        joins.append(f"LEFT JOIN {group.alias} ON {same}")
        if group.dims == by and group.table not in _DAYS:
            keys.append(f"SELECT {', '.join(by) or '1 AS one'} FROM {group.alias}")
    keys_sql = " UNION ".join(keys) or "SELECT 1 AS one WHERE false"
    shown = ", ".join([*(f"keys.{dim}" for dim in by), *columns])
    return f"WITH {', '.join(parts_sql)}, keys AS ({keys_sql}) SELECT {shown} FROM keys {' '.join(joins)}"


def _ranked(figure: Figure, by: tuple[str, ...]) -> str:
    """Return SQL of a row's place among those that differ in `over` alone; who has nothing has no place."""
    among = [dim for dim in by if dim in figure.over] or [dim for dim in by if dim in figure.sides]
    if not among:
        return "NULL"
    has = f"coalesce({figure.sql}, 0) > 0" + (" AND keys.slice <> 'all'" if "slice" in among else "")
    rest = [f"keys.{dim}" for dim in by if dim not in among]
    order = [f"coalesce({one}, 0) DESC" for one in figure.place]
    order += [f"keys.{dim}" for dim in among]
    parts = ", ".join([*rest, has])
    return f"CASE WHEN {has} THEN row_number() OVER (PARTITION BY {parts} ORDER BY {', '.join(order)}) END"


def _table(name: str, by: tuple[str, ...]) -> str:
    if "product" in by:
        name = _BY_PRODUCT.get(name, name)
    return _BY_ACCOUNT.get(name, name) if "ad_account" in by else name


def _grouped(group: _Group, parts: Mapping[str, str], span: Span) -> str:
    aggregates = ", ".join(f"{sql} AS {name}" for name, sql in parts.items())
    where = span.holds(group.table, timeless=group.timeless, whole=group.whole)
    source = group.table
    if "slice" in group.dims:
        source = f"(SELECT *, unnest(slices) AS slice FROM {source})"
    known = " AND ".join([where, *(f"{dim} IS NOT NULL" for dim in group.dims)])
    ends = f" GROUP BY {', '.join(group.dims)}" if group.dims else ""
    heads = "".join(f"{dim}, " for dim in group.dims)
    return f"SELECT {heads}true AS here, {aggregates} FROM {source} WHERE {known}{ends}"


def estimates(metric: str) -> int:
    """Return how many estimates of people a metric is made of; 0 is exact."""
    figure = FIGURES[metric]
    words = [prefix + word for prefix, word in _WORD.findall(figure.sql) if PARTS[word].sketched]
    # The same estimate stands in both branches of a mean.
    return len({word.removesuffix("_finished").removesuffix("_days").removesuffix("s") for word in words})


def differences(
    document: Mapping[str, Any],
    expected: Rows,
    by: tuple[str, ...],
    metrics: Sequence[str],
    *,
    excused: Mapping[str, Any] | None = None,
) -> list[str]:
    """Return every figure that is not the oracle's, for a person.

    Args:
        document: of the answer.
        by: dimensions of both.
        expected: the oracle's rows; a row of nothing may be missing on either side.
        metrics: compared.
        excused: metric -> reasons of null that the oracle does not know.
    """
    rows = document["rows"]
    reasons = {
        (name, row): reason
        for name, found in document.get("nulls", {}).items()
        for reason, numbers in found.items()
        for row in numbers
    }
    faults = []
    found = {tuple(str(row[name]) for name in by): index for index, row in enumerate(rows)}
    if len(found) < len(rows):
        faults.append(f"{len(rows) - len(found)} rows repeat a key")
    for key in sorted(found.keys() | expected.keys()):
        index = found.get(key)
        for metric in metrics:
            figure = expected.get(key, {}).get(metric)
            place = f"{'/'.join(key) or 'all'} {metric}"
            if index is None:
                if figure:
                    faults.append(f"{place}: no such row, oracle {figure}")
                continue
            answered = rows[index][metric]
            reason = reasons.get((metric, index), "")
            if answered is None and reason in (excused or {}).get(metric, ()):
                continue
            if key not in expected and not answered:
                continue
            sigma = document.get("relative_error", {}).get(metric, 0.0)
            if not same(metric, answered, figure, sigma):
                faults.append(f"{place}: answered {answered} {reason}, oracle {figure}")
    return faults


def same(metric: str, answered: float | None, figure: float | None, sigma: float) -> bool:
    """Compare money to the cent, counts exactly, rates to 12 digits, people within three sigma; null is not 0."""
    if figure is None or answered is None:
        return figure is answered
    parts = estimates(metric)
    if parts:
        if answered == figure == 0:
            # Nothing was estimated, so no error is stated.
            return True
        error = 3 * sigma * math.sqrt(parts)
        return 0 < sigma < MOST_SIGMA and abs(answered - figure) <= max(
            error * abs(figure), 0.5 * (figure >= 1)
        )
    if FIGURES[metric].money:
        return abs(answered - figure) < 0.00501
    return abs(answered - figure) <= 1e-12 * max(abs(figure), 1)
