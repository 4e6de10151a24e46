"""Exports of named views: every part of a view in one file, for one format of the briefs or for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streams.errors import QueryError
from streams.export import TAB, TABS, Export, FileForm, Table, file_name, parse_export, parse_form, tables_of
from streams.scope import CLOSED
from streams.views import run_view, view_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.columns import Columns
    from streams.metric import Metric
    from streams.view import View
    from streams.view_answer import ViewAnswer

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
    """Answer a view once, or for each format, all as of the same columns.

    A part that is itself by format is left out of a file of all formats: its rows are what the tabs are.
    """
    if export.form.all_formats:
        key = next((one.name for one in export.view.parameters if one.dimension == "slice"), "")
        if not key or key in export.words:
            what = f"The view {export.view.name} " + (
                f"is asked for {key} and for all formats." if key else "is not by format."
            )
            mend = f"Leave {key} out, or all_formats." if key else "Leave all_formats out."
            raise QueryError(what, reason="bad_by", mend=mend)
        tables = [
            Table(table.answer, {TAB: tab, **table.lead}, table.labels)
            for name, tab in TABS.items()
            for table in _tables(
                run_view(columns, export.view, {**export.words, key: name}, now_ms=now_ms), by_format=False
            )
        ]
    else:
        tables = _tables(run_view(columns, export.view, export.words, now_ms=now_ms), by_format=True)
    if not tables:
        what = f"No part of the view {export.view.name} has an answer here."
        raise QueryError(what, reason="no_rows", mend=f"See warroom view {export.view.name}.")
    return tables


def _tables(answer: ViewAnswer, *, by_format: bool) -> list[Table]:
    shown = [
        (part.part.name, part.answer, part.labels)
        for part in answer.parts
        if part.answer is not None and (by_format or not set(part.answer.by) & CLOSED.keys())
    ]
    several = len(shown) > 1
    return [Table(found, {PART: name} if several else {}, labels) for name, found, labels in shown]
