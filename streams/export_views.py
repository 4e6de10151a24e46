"""Exports of named views: every part of a view in one file, for one format of the briefs or for all of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streams.errors import QueryError
from streams.export import Export, FileForm, Table, file_name, parse_export, parse_form, tables_of
from streams.export_tabs import (
    ALL,
    NOT_BY_FORMAT,
    REFUSED_BY_FORMAT,
    TAB,
    TABS,
    completed,
    unanswered,
)
from streams.request import filters_of
from streams.scope import CLOSED
from streams.view import GRAIN, Shape
from streams.views import run_view, view_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.answers import Answer
    from streams.columns import Columns
    from streams.metric import Metric
    from streams.view import View
    from streams.view_answer import PartAnswer

    Words = Mapping[str, str | Sequence[str]]

PART: Final = "part"
"""First column of a file with several parts of a view."""

_FORM: Final = ("format", "all_formats", "why")


@dataclass(frozen=True, slots=True)
class ViewExport:
    """A view whose answer goes into a file."""

    view: View
    words: Words
    form: FileForm


def read_export(params: Words, known: Mapping[str, Metric]) -> Export | ViewExport:
    """Return the export that parameters ask for: a question, or with `view` that view and its own parameters.

    Raises:
        QueryError: as `parse_export`, or `unknown_view`.
    """
    if "view" not in params:
        return parse_export(params, known=known)
    name = params["view"]
    view = view_of(name if isinstance(name, str) else name[-1])
    words = {key: value for key, value in params.items() if key not in ("view", *_FORM)}
    return ViewExport(view, words, parse_form(params))


def answer_export(columns: Columns, export: Export | ViewExport, *, now_ms: int) -> tuple[list[Table], str]:
    """Return the tables of a file, and its name.

    Raises:
        QueryError: as `streams.query.run` or `streams.views.run_view`; `no_rows`, `bad_by`.
    """
    if isinstance(export, Export):
        tables, name = tables_of(columns, export, now_ms=now_ms), ""
    else:
        tables, name = _view_tables(columns, export, now_ms=now_ms), export.view.name
    return tables, file_name(tables[0].answer, export.form, name=name)


def _view_tables(columns: Columns, export: ViewExport, *, now_ms: int) -> list[Table]:
    """Answer a view once, or for each format, all as of the same columns."""
    if export.form.all_formats:
        tables = _tables_by_format(columns, export, now_ms=now_ms)
    else:
        answer = run_view(columns, export.view, export.words, now_ms=now_ms)
        shown = [part for part in answer.parts if part.answer is not None]
        tables = [_table(part, part.answer, several=len(shown) > 1) for part in shown if part.answer]
    if not tables:
        what = f"No part of the view {export.view.name} has an answer here."
        raise QueryError(what, reason="no_rows", mend=f"See warroom view {export.view.name}.")
    return tables


def _tables_by_format(columns: Columns, export: ViewExport, *, now_ms: int) -> list[Table]:
    """Answer a view for each format: by its own choice of one, else with a filter.

    A part that is itself by format is left out: its rows are what the tabs are.
    """
    view = export.view
    key = next((one.name for one in view.parameters if one.dimension == "slice"), "")
    given = export.words.get("where", ())
    chosen = [dim for dim, _ in filters_of(given) if dim in CLOSED]
    if key in export.words:
        chosen.append(key)
    if chosen:
        what = f"The view {view.name} is asked for {' and '.join(chosen)} and for all formats."
        mend = f"Leave {' and '.join(chosen)} out, or all_formats."
        raise QueryError(what, reason="bad_by", mend=mend)
    filters = [given] if isinstance(given, str) else given
    whole = run_view(columns, view, export.words, now_ms=now_ms)
    answers = [part for part in whole.parts if part.answer is not None]
    shown = [part for part in answers if part.answer and not set(part.answer.by) & CLOSED.keys()]
    if answers and not shown:
        what = f"The view {view.name} is by format itself: every format has its row."
        raise QueryError(what, reason="bad_by", mend="Leave all_formats out.")
    several = len(answers) > 1
    tables = [_table(part, part.answer, several=several, tab=TABS[ALL]) for part in shown if part.answer]
    answered = False
    for name, tab in TABS.items():
        if name == ALL:
            continue
        words = {key: name} if key else {"where": [*filters, f"slice={name}"]}
        try:
            found = {
                part.part.name: part.answer
                for part in run_view(columns, view, {**export.words, **words}, now_ms=now_ms).parts
            }
        except QueryError as error:
            if error.reason not in REFUSED_BY_FORMAT:
                raise
            found = {}
        for part in shown:
            own = found.get(part.part.name)
            if part.answer and own is not None and own.by != part.answer.by:
                # Hours of a single format are not kept: the file is by day under every tab.
                by_day = dataclasses.replace(export, words={**export.words, GRAIN.name: "day"})
                return _tables_by_format(columns, by_day, now_ms=now_ms)
            answered |= own is not None
            answer = _of_tab(part, own)
            tables.append(_table(part, answer, several=several, tab=tab))
    if not answered:
        what = f"The view {view.name} is not by format."
        raise QueryError(what, reason="bad_by", mend="Leave all_formats out.")
    return tables


def _of_tab(part: PartAnswer, answer: Answer | None) -> Answer:
    """Return what stands under a tab: the part's answer there, with what only `All` can say as nulls."""
    whole = part.answer
    assert whole is not None  # noqa: S101 - only such parts are shown; for the type checker
    if part.part.shape is not Shape.SCORECARD:
        return unanswered(whole) if answer is None else completed(answer, whole)
    rows = [] if answer is None else answer.rows
    told = {row["metric"] for row in rows}
    kept = ("metric", "title", "unit", "kind", "kpi")
    missing = {
        row["metric"]: dict.fromkeys(row)
        | {name: row[name] for name in kept}
        | {"shown": "-", "why": NOT_BY_FORMAT}
        for row in whole.rows
        if row["metric"] not in told
    }
    nulls = {} if answer is None else dict(answer.nulls)
    if missing:
        numbers = list(range(len(rows), len(rows) + len(missing)))
        nulls["value"] = nulls.get("value", {}) | {NOT_BY_FORMAT: numbers}
    return dataclasses.replace(answer or whole, rows=[*rows, *missing.values()], nulls=nulls)


def _table(part: PartAnswer, answer: Answer, *, several: bool, tab: str = "") -> Table:
    lead = {TAB: tab} if tab else {}
    return Table(answer, lead | ({PART: part.part.name} if several else {}), part.labels)
