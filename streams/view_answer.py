"""What a view answers, and its forms: the JSON document of the API, tables for a terminal, CSV."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from streams.answers import Answer, csv_line, plain, spreadsheet_cell
from streams.reason_words import in_short, in_words
from streams.request import Format

if TYPE_CHECKING:
    from streams.view import Part, View


_OF_A_TIME: Final = frozenset({"no_source", "not_begun", "no_detail_before"})
"""Reasons for a whole table without rows, which "nothing was counted" would not tell."""


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """What one part of a view answers.

    Attributes:
        part: the record.
        answer: rows, their nulls and states, after the view's own conditions; row numbers are of these rows.
        labels: columns of names, between dimensions and metrics.
        left_out: metric -> why it cannot be asked with the view's filters.
        needs: metric -> topics without prefix that no source feeds; the screen asks for them.
        titles: of the metrics.
        refused: why the whole part has no answer here; empty: it has.
    """

    part: Part
    answer: Answer | None
    labels: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    needs: dict[str, list[str]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    refused: str = ""

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        answer = self.answer
        return [] if answer is None else [*answer.by, *self.labels, *answer.columns]

    @property
    def state(self) -> str:
        """Return `refused`, `no_source` (nothing of it has a source), `empty`, or the answer's own state."""
        answer = self.answer
        if answer is None:
            return "refused"
        if answer.metrics and set(self.needs) >= set(answer.metrics):
            return "no_source"
        return answer.state if answer.rows else "empty"

    @property
    def says(self) -> str:
        """Return what stands in place of rows where there are none."""
        answer = self.answer
        if answer is None:
            return self.part.empty
        reasons = {reason for name in answer.metrics for reason in answer.nulls.get(name, {"": ()})}
        if "unknown_id" in reasons:
            why = answer.why("unknown_id")
            return f"{why[:1].upper()}{why[1:]}."
        if len(reasons) == 1 and reasons <= _OF_A_TIME:
            return f"{self.part.empty.removesuffix('.')}: {in_short(*reasons)}."
        return self.part.empty

    def document(self) -> dict[str, Any]:
        """Return the part as JSON."""
        part, answer = self.part, self.answer
        found: dict[str, Any] = {
            "part": part.name,
            "title": part.title,
            "shape": part.shape.value,
            "state": self.state,
        }
        if answer is None:
            return found | {"refused": self.refused, "rows": []}
        found |= {
            "by": list(answer.by),
            "labels": list(self.labels),
            "metrics": [
                {"metric": name, "title": self.titles[name], "unit": answer.units[name].value}
                for name in answer.metrics
            ],
            **{
                name: value
                for name, value in answer.document().items()
                if name not in {"shop", "currency", "timezone", "units"}
            },
        }
        for name, value in (("left_out", self.left_out), ("needs", self.needs)):
            if value:
                found[name] = value
        if not answer.rows:
            found["says"] = self.says
        return found


@dataclass(frozen=True, slots=True)
class ViewAnswer:
    """What a view answers.

    Attributes:
        view: the record.
        shop_id, currency, timezone: of the shop.
        chosen: parameters as they were taken, defaults included.
        parts: in the order of the screen; what the parameters hide is not there.
        form: that was asked for.
    """

    view: View
    shop_id: str
    currency: str
    timezone: str
    chosen: dict[str, str]
    parts: tuple[PartAnswer, ...]
    form: Format = "json"

    def document(self) -> dict[str, Any]:
        """Return the answer as the JSON of the API and of `warroom view --format json`.

        `reasons` has the sentence of every reason that the parts' `nulls` name.
        """
        return {
            "view": self.view.name,
            "title": self.view.title,
            "shop": self.shop_id,
            "currency": self.currency,
            "timezone": self.timezone,
            "parameters": self.chosen,
            "parts": [part.document() for part in self.parts],
            "reasons": in_words(part.answer.nulls for part in self.parts if part.answer is not None),
        }

    def text(self, form: Format) -> str:
        """Return the answer in a form, ending in a newline."""
        if form == "csv":
            return self.csv()
        if form == "table":
            return self.table()
        return json.dumps(self.document(), ensure_ascii=False, allow_nan=False) + "\n"

    def csv(self) -> str:
        """Return the rows as one CSV; of several parts the first column says which, and columns are all of theirs."""
        shown = [part for part in self.parts if part.answer is not None]
        several = len(shown) > 1
        columns = list(dict.fromkeys(name for part in shown for name in part.columns))
        lines = [csv_line(["part", *columns] if several else columns)]
        for part in shown:
            for row in part.answer.rows if part.answer else ():
                cells = [spreadsheet_cell(row.get(name)) for name in columns]
                lines.append(csv_line([part.part.name, *cells] if several else cells))
        return "".join(lines)

    def table(self) -> str:
        """Return a table per part for a terminal."""
        lines = [self.view.title]
        for part in self.parts:
            lines += ["", f"{part.part.title} ({part.state})"]
            if part.answer is None:
                lines.append(f"  {part.refused}")
                continue
            if not part.answer.rows:
                lines.append(f"  {part.says}")
            else:
                rows = part.answer.rows
                named = [name for name in part.labels if any(row[name] is not None for row in rows)]
                shown = dataclasses.replace(part.answer, by=(*part.answer.by, *named))
                lines += ["  " + line if line else "" for line in shown.table().rstrip("\n").split("\n")]
            lines += [f"  {name}: left out, {why}" for name, why in part.left_out.items()]
            for topics in dict.fromkeys(tuple(topics) for topics in part.needs.values()):
                names = [name for name, needed in part.needs.items() if tuple(needed) == topics]
                lines.append(f"  {', '.join(names)}: needs records of {', '.join(topics)}")
        return "\n".join(plain(line) for line in lines) + "\n"
