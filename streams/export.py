"""Exports: answers as CSV, Parquet and JSON files, one format of the briefs or all of them in one file.

Columns are stable: the tab where there is one, dimensions, then metrics, in the order asked for. What is written is
what was answered: money in major units with at least the currency's digits, rates as fractions, days as 2011-11-25,
hours with their offset, nothing where a value is null.

Source: S1-16, S1-69; X-71.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final, Literal, get_args

import polars as pl

from streams.answers import csv_line, spreadsheet_cell
from streams.catalogue import METRICS
from streams.errors import QueryError
from streams.export_tabs import TAB, tab_answers
from streams.metric import Unit
from streams.money import minor_digits
from streams.query import run
from streams.request import PARAMETERS, Request, parse_request, unknown
from streams.scope import CLOSED

if TYPE_CHECKING:
    from streams.answers import Answer
    from streams.columns import Columns
    from streams.metric import Metric

ExportFormat = Literal["csv", "parquet", "json"]

FORMATS: Final[tuple[ExportFormat, ...]] = get_args(ExportFormat)
CONTENT_TYPES: Final[dict[ExportFormat, str]] = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
}

EXPORT_PARAMETERS: Final = {
    **{name: meaning for name, meaning in PARAMETERS.items() if name != "format"},
    "format": "csv, parquet or json; csv when not named",
    "all_formats": "1: every format of the briefs in one file, with a first column Tab Name",
    "why": "1: beside every metric a column that says why its value is missing, or since when it counts",
}
"""Names of an export's parts, as the API takes them."""

WHY: Final = "_why"
CHUNK_ROWS: Final = 2_000
"""Rows that are turned into text at once: a file of a million rows is never whole in memory."""

_WHOLE: Final = frozenset({Unit.COUNT, Unit.UNITS, Unit.PEOPLE, Unit.PERSON_DAYS, Unit.INSTANT})
_YES: Final = {"1": True, "true": True, "yes": True, "": False, "0": False, "false": False, "no": False}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._]+")
_MAX_NAME: Final = 120
_NUMBERS: Final[dict[frozenset[type], pl.DataType]] = {
    frozenset({int}): pl.Int64(),
    frozenset({float}): pl.Float64(),
    frozenset({int, float}): pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class FileForm:
    """What a file is to look like.

    Attributes:
        format: of the file.
        all_formats: the question once for each format of the briefs.
        why: reasons of nulls, and since when a metric counts whose cube is not rebuilt, have columns of their own.
    """

    format: ExportFormat = "csv"
    all_formats: bool = False
    why: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """A question whose answer goes into a file."""

    request: Request
    form: FileForm = FileForm()


@dataclass(frozen=True, slots=True)
class Table:
    """An answer that goes into a file.

    Attributes:
        answer: rows; tables of one file may have different columns, a file has all of them.
        lead: first columns, each the same in every row: `{TAB: "Shop tab"}`.
        labels: columns of names, between dimensions and metrics.
    """

    answer: Answer
    lead: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a file; without a unit it holds text; `why_of` is the metric whose gaps it explains."""

    name: str
    unit: Unit | None = None
    why_of: str = ""


def parse_export(
    params: Mapping[str, str | Sequence[str]], *, known: Mapping[str, Metric] = METRICS
) -> Export:
    """Return the export that parameters ask for.

    Args:
        params: by names of `EXPORT_PARAMETERS`.
        known: as `parse_request` takes it.

    Raises:
        QueryError: as `parse_request`, `bad_format`, `bad_flag`, `bad_by`.
    """
    for name in params:
        if name not in EXPORT_PARAMETERS:
            raise unknown(name, EXPORT_PARAMETERS, kind="parameter")
    question = {name: value for name, value in params.items() if name in PARAMETERS and name != "format"}
    request, form = parse_request(question, known=known), parse_form(params)
    if form.all_formats:
        asked = {*request.by, *(dim for dim, _ in request.where)}
        both = [dim for dim in CLOSED if dim in asked]
        if both:
            what = f"A file of all formats cannot be asked by {' and '.join(both)} too."
            raise QueryError(what, reason="bad_by", mend=f"Leave {' and '.join(both)} out, or all_formats.")
    return Export(request, form)


def parse_form(params: Mapping[str, str | Sequence[str]]) -> FileForm:
    """Return the form that parameters ask for: `format`, `all_formats`, `why`.

    Raises:
        QueryError: `bad_format`, `bad_flag`.
    """
    form = _last(params, "format") or "csv"
    if form not in FORMATS:
        what = f"The format {form[:100]!r} is not known."
        raise QueryError(what, reason="bad_format", mend=f"Formats are {', '.join(FORMATS)}.")
    return FileForm(form, all_formats=_flag(params, "all_formats"), why=_flag(params, "why"))


def tables_of(columns: Columns, export: Export, *, now_ms: int) -> list[Table]:
    """Answer the question of an export, once or for each format, all as of the same columns.

    Raises:
        QueryError: as `streams.query.run`, or as `tab_answers`.
    """
    if not export.form.all_formats:
        return [Table(run(columns, export.request, now_ms=now_ms))]
    found = tab_answers(columns, export.request, now_ms=now_ms)
    return [Table(answer, {TAB: tab}) for tab, answer in found]


def chunks(tables: Sequence[Table], form: FileForm) -> Iterator[bytes]:
    """Yield a file of text piece by piece, UTF-8: CSV or JSON."""
    tables = [_told(table) for table in tables] if form.why else tables
    return _json_chunks(tables, why=form.why) if form.format == "json" else _csv_chunks(tables, why=form.why)


def write_export(tables: Sequence[Table], form: FileForm, file: IO[bytes]) -> None:
    """Write a file of any format."""
    if form.format == "parquet":
        write_parquet(tables, file, why=form.why)
        return
    for piece in chunks(tables, form):
        file.write(piece)


def write_parquet(tables: Sequence[Table], file: IO[bytes], *, why: bool = False) -> None:
    """Write a Parquet file; its metadata holds shop, currency, zone, window, state, as-of and the units by column.

    Where a cube is not rebuilt yet it also holds since when metrics count, in `warroom.since_ms`.
    """
    tables = [_told(table) for table in tables] if why else tables
    columns = _columns(tables, why=why)
    found: dict[str, pl.Series] = {}
    for column in columns:
        values = [value for table in tables for value in _values(table, column)]
        found[column.name] = pl.Series(column.name, values, dtype=_type(column, values))
    answer = tables[0].answer
    metadata = {
        "warroom.shop": answer.shop_id,
        "warroom.currency": answer.currency,
        "warroom.timezone": answer.timezone,
        "warroom.window": answer.window,
        "warroom.state": answer.state,
        "warroom.as_of_ms": str(answer.as_of_ms),
        "warroom.units": json.dumps({column.name: _unit_text(column, answer.currency) for column in columns}),
    }
    if since := _since(tables):
        metadata["warroom.since_ms"] = json.dumps(since)
    pl.DataFrame(found).write_parquet(file, metadata=metadata)


def file_name(answer: Answer, form: FileForm, *, name: str = "") -> str:
    """Return a file name of letters, digits, dots and dashes, whatever shop, window or view are called.

    Args:
        answer: of the file.
        form: gives the ending, and says whether all formats are in it.
        name: of the view; empty names the metrics.
    """
    words = ["warroom", answer.shop_id, name or "-".join(answer.metrics[:3]), answer.window]
    if form.all_formats:
        words.append("all-formats")
    safe = (_UNSAFE.sub("-", word).strip("-.") for word in words)
    return f"{'_'.join(word for word in safe if word)[:_MAX_NAME]}.{form.format}"


# -- text -----------------------------------------------------------------------------------------------------------


def _csv_chunks(tables: Sequence[Table], *, why: bool) -> Iterator[bytes]:
    columns = _columns(tables, why=why)
    digits = minor_digits(tables[0].answer.currency)
    yield csv_line([column.name for column in columns]).encode()
    for rows in _batches(_rows(tables, columns)):
        lines = [
            csv_line([_cell(value, column, digits) for value, column in zip(row, columns, strict=True)])
            for row in rows
        ]
        yield "".join(lines).encode()


def _json_chunks(tables: Sequence[Table], *, why: bool) -> Iterator[bytes]:
    columns = _columns(tables, why=why)
    head = tables[0].answer.document()
    for name in ("rows", "nulls", "partial", "coverage", "relative_error"):
        head.pop(name, None)
    if since := _since(tables):
        head["since_ms"] = since
    head["columns"] = [
        {"name": column.name, "unit": _unit_text(column, tables[0].answer.currency)} for column in columns
    ]
    yield (_json(head)[:-1] + ',"rows":[').encode()
    names = [column.name for column in columns]
    lead = ""
    for rows in _batches(_rows(tables, columns)):
        lines = [_json(dict(zip(names, row, strict=True))) for row in rows]
        yield (lead + ",\n".join(lines)).encode()
        lead = ",\n"
    yield ("],\n" + _json({"nulls": _nulls(tables)})[1:] + "\n").encode()


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _nulls(tables: Sequence[Table]) -> dict[str, dict[str, list[int]]]:
    """Return metric -> reason -> numbers of the rows of the whole file."""
    found: dict[str, dict[str, list[int]]] = {}
    first = 0
    for table in tables:
        for metric, reasons in table.answer.nulls.items():
            for reason, rows in reasons.items():
                found.setdefault(metric, {}).setdefault(reason, []).extend(first + row for row in rows)
        first += len(table.answer.rows)
    return found


def _since(tables: Sequence[Table]) -> dict[str, int]:
    """Return metric -> event time before which values of the file lack events: the latest of its tables."""
    found: dict[str, int] = {}
    for table in tables:
        for metric, at_ms in table.answer.since_ms.items():
            found[metric] = max(at_ms, found.get(metric, at_ms))
    return found


def _cell(value: Any, column: _Column, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, (str, bool)):
        return str(spreadsheet_cell(value))
    if column.unit is Unit.MONEY:
        return _money(value, digits)
    return format(Decimal(repr(value)), "f")


def _money(value: float, digits: int) -> str:
    """Return an amount with the currency's digits; a quotient that has more keeps them all."""
    text = f"{value:.{digits}f}"
    return text if float(text) == value else format(Decimal(repr(value)), "f")


def _told(table: Table) -> Table:
    """Return a table without rows that says why there are none with one row, whose cells but the reasons are empty."""
    answer = table.answer
    if answer.rows or not answer.nulls:
        return table
    nulls = {name: {reason: [0] for reason in reasons} for name, reasons in answer.nulls.items()}
    return dataclasses.replace(table, answer=dataclasses.replace(answer, rows=[{}], nulls=nulls))


# -- rows and columns -----------------------------------------------------------------------------------------------


def _columns(tables: Sequence[Table], *, why: bool) -> list[_Column]:
    leads = [_Column(name) for table in tables for name in table.lead]
    names = [_Column(name) for table in tables for name in (*table.answer.by, *table.labels)]
    metrics = [
        column
        for table in tables
        for metric in table.answer.columns
        for column in _of_metric(metric, table.answer.units.get(metric), why=why)
    ]
    return list(dict.fromkeys((*leads, *names, *metrics)))


def _of_metric(metric: str, unit: Unit | None, *, why: bool) -> list[_Column]:
    found = [_Column(metric, None if unit is Unit.STATUS else unit)]
    return [*found, _Column(f"{metric}{WHY}", why_of=metric)] if why else found


def _rows(tables: Sequence[Table], columns: Sequence[_Column]) -> Iterator[tuple[Any, ...]]:
    for table in tables:
        yield from zip(*(_values(table, column) for column in columns), strict=True)


def _values(table: Table, column: _Column) -> Iterator[Any]:
    rows = table.answer.rows
    if column.why_of:
        reasons = {
            row: reason
            for reason, found in table.answer.nulls.get(column.why_of, {}).items()
            for row in found
        }
        since_ms = table.answer.since_ms.get(column.why_of)
        lacks = None if since_ms is None else f"since {table.answer.instant(since_ms)}"
        return (reasons.get(index, lacks) for index in range(len(rows)))
    if column.name in table.lead:
        return (table.lead[column.name] for _ in rows)
    return (row.get(column.name) for row in rows)


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, CHUNK_ROWS)):
        yield batch


def _type(column: _Column, values: Sequence[Any]) -> pl.DataType:
    if column.unit is None:
        # Labels hold names, and also prices, times, and yes or no.
        kinds = {type(value) for value in values} - {type(None)}
        return pl.Boolean() if kinds == {bool} else _NUMBERS.get(frozenset(kinds), pl.String())
    whole = column.unit in _WHOLE and not any(isinstance(value, float) for value in values)
    return pl.Int64() if whole else pl.Float64()


def _unit_text(column: _Column, currency: str) -> str:
    if column.unit is None:
        return "text"
    return f"{column.unit.value}, {currency}" if column.unit is Unit.MONEY else column.unit.value


def _last(params: Mapping[str, str | Sequence[str]], name: str) -> str:
    value = params.get(name, "")
    return (value if isinstance(value, str) else value[-1] if value else "").strip().lower()


def _flag(params: Mapping[str, str | Sequence[str]], name: str) -> bool:
    text = _last(params, name)
    if text not in _YES:
        what = f"{name} = {text[:100]!r} is neither yes nor no."
        raise QueryError(what, reason="bad_flag", mend=f"Write {name}=1, or leave it out.")
    return _YES[text]
