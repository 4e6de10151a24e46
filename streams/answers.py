"""An answer and its forms: the JSON document of the API, a table for a terminal, CSV."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from streams.metric import Unit
from streams.money import minor_digits
from streams.reason_words import in_short
from streams.request import Format

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula; an id may begin so."""


_QUOTE: Final = '"'
_QUOTED: Final = re.compile(r'[,"\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]')
"""What a reader may take for the end of a cell or of a line."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question got.

    Attributes:
        shop_id, currency, timezone: of the shop; money is in major units of the currency.
        as_of_ms: event time up to which every topic read is complete, never beyond now (X-79).
        window: as asked for; from_ms, to_ms: its bounds, None where it is open.
        state: `provisional`, `final` or `restated` (X-63, X-77).
        by: dimensions; metrics: ids; both in the order asked for.
        rows: dimensions, then metrics, by name.
        nulls: metric, or `creator` where no record names one -> reason -> numbers of the rows where it is null; where
            there is no row at all and a reason for it, that reason with no numbers.
        unknown: filters whose id no record names, where that is the reason of a null.
        partial: metric -> numbers of the rows that show an unfinished day where finished ones are meant (X-23).
        coverage: metric of people -> share of its events that carry a user_key; by SKU, of traffic: that name a SKU.
        relative_error: metric of people -> one standard deviation of the estimate, as a fraction.
        units: metric -> unit of its values.
        comparison: of the other side: `with` (as asked for), `days`, `from_ms`, `to_ms`, and `through_ms`: metric ->
            where both sides end, if that is before the window's end. Empty without one.
        restated: metric -> what it has changed by since its days were final, where `state` is `restated`.
        of_skus: whether the question is by SKU, or of one.
        since_ms: metric -> event time before which its values lack events, until its cube is rebuilt (ADR 13).
    """

    shop_id: str
    currency: str
    timezone: str
    as_of_ms: int
    window: str
    from_ms: int | None
    to_ms: int | None
    state: str
    by: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: list[dict[str, Any]]
    nulls: dict[str, dict[str, list[int]]]
    partial: dict[str, list[int]] = field(default_factory=dict)
    coverage: dict[str, float] = field(default_factory=dict)
    relative_error: dict[str, float] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)
    comparison: dict[str, Any] = field(default_factory=dict)
    restated: dict[str, Any] = field(default_factory=dict)
    since_ms: dict[str, int] = field(default_factory=dict)
    of_skus: bool = False
    unknown: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the rows after the dimensions: each metric, in a comparison followed by the other side's."""
        return tuple(self.units) or self.metrics

    def document(self) -> dict[str, Any]:
        """Return the answer as the JSON of the API and of `warroom query --format json`."""
        document: dict[str, Any] = {
            "as_of_ms": self.as_of_ms,
            "window": self.window,
            "from_ms": self.from_ms,
            "to_ms": self.to_ms,
            "state": self.state,
            "shop": self.shop_id,
            "currency": self.currency,
            "timezone": self.timezone,
            "rows": self.rows,
            "nulls": self.nulls,
        }
        if self.unknown:
            document["unknown"] = list(self.unknown)
        for name in ("partial", "coverage", "relative_error", "since_ms", "comparison", "restated"):
            if getattr(self, name):
                document[name] = getattr(self, name)
        return document

    def text(self, form: Format) -> str:
        """Return the answer in one of its forms, ending in a newline."""
        if form == "csv":
            return self.csv()
        if form == "table":
            return self.table()
        return json.dumps(self.document(), ensure_ascii=False, allow_nan=False) + "\n"

    def csv(self) -> str:
        """Return the rows as CSV with a header; null is an empty cell, and no cell can be taken for a formula."""
        names = [*self.by, *self.columns]
        lines = [csv_line(names)]
        lines += [csv_line([spreadsheet_cell(row[name]) for name in names]) for row in self.rows]
        return "".join(lines)

    def table(self) -> str:
        """Return the rows as text for a terminal, with units, states and reasons for what is missing."""
        names = [*self.by, *self.columns]
        lines = [names, *([self._shown(name, row[name]) for name in names] for row in self.rows)]
        widths = [max(len(line[index]) for line in lines) for index in range(len(names))]
        text = []
        for line in lines:
            cells = [
                cell.ljust(width) if index < len(self.by) else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            text.append("  ".join(cells).rstrip())
        text.append("")
        text.append(f"{self.shop_id}, {self.window}, {self.state}, {self.currency}, {self.timezone}")
        if self.comparison:
            days = " to ".join(self.comparison["days"])
            text.append(f"compared with {self.comparison['with']}{': ' if days else ''}{days}")
            text.extend(
                f"{metric}: both sides until {self.instant(at_ms)} here"
                for metric, at_ms in self.comparison.get("through_ms", {}).items()
            )
        text.extend(
            f"{metric}: restated by {self._shown(metric, change)} since it was final"
            for metric, change in self.restated.items()
        )
        for metric, reasons in self.nulls.items():
            text.extend(
                f"{metric}: {f'{reason} in {len(rows)} rows' if rows else f'no rows, {reason}'} ({self.why(reason)})"
                for reason, rows in reasons.items()
            )
        text.extend(
            f"{metric}: partial, the day is not over, in {len(rows)} rows"
            for metric, rows in self.partial.items()
        )
        text.extend(
            f"{metric}: estimate, 1 sigma {error:.1%}, {self.coverage.get(metric, 1):.0%} of events carry a user"
            for metric, error in self.relative_error.items()
        )
        if self.of_skus:
            text.extend(
                f"{metric}: {share:.0%} of events name a SKU" for metric, share in self.coverage.items()
            )
        text.extend(
            f"{metric}: since {self.instant(at_ms)}, what came before is not rebuilt yet"
            for metric, at_ms in self.since_ms.items()
        )
        return "\n".join(text) + "\n"

    def why(self, reason: str) -> str:
        """Return a reason of `nulls` in a few words."""
        if reason == "unknown_id" and self.unknown:
            return f"no record names {' or '.join(map(plain, self.unknown))}"
        return in_short(reason)

    def _shown(self, name: str, value: Any) -> str:
        if value is None:
            return "-"
        if name in self.by:
            return self._label(name, value)
        unit = self.units.get(name)
        if unit is Unit.MONEY:
            return f"{value:,.{minor_digits(self.currency)}f}"
        if unit is Unit.RATE:
            return f"{value:.2%}"
        if unit is Unit.INSTANT:
            return self.instant(value)
        return (
            f"{value:,.1f}"
            if isinstance(value, float)
            else f"{value:,}"
            if isinstance(value, int)
            else str(value)
        )

    def _label(self, name: str, value: Any) -> str:
        """Return what stands before the figures: a dimension, or a name, price, time, yes or no of a view."""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int) and name.endswith("_ms"):
            return self.instant(value)
        return f"{value:.6g}" if isinstance(value, float) else plain(str(value))

    def instant(self, at_ms: int) -> str:
        """Return an instant by the shop's clock, with its offset."""
        at = dt.datetime.fromtimestamp(at_ms / 1000, ZoneInfo(self.timezone))
        return at.isoformat(timespec="seconds")


def spreadsheet_cell(value: Any) -> Any:
    """Return a cell of a CSV: null is empty, yes and no as in JSON, and no text can be taken for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def csv_line(cells: Iterable[Any]) -> str:
    """Return a line of CSV with its end.

    Quotes every cell with a line break of any kind: the csv module of Python 3.11 leaves a lone carriage return bare,
    and readers take what follows it for a row of its own.
    """
    line = ",".join(_quoted(str(cell)) for cell in cells)
    # A line without anything in it is no row to a reader.
    return f"{line or _QUOTE * 2}\n"


def _quoted(text: str) -> str:
    return f'"{text.replace(_QUOTE, _QUOTE * 2)}"' if _QUOTED.search(text) else text


def plain(text: str) -> str:
    """Return foreign text that a terminal does not obey: escape sequences are shown, not sent."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
