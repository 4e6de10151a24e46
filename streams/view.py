"""A view as data: one named question, asked by the page, the API, the command line and exports alike.

A view is a record: its parts are questions to the query layer, its parameters say what a reader may choose, its limits
are those of the vendor's page that it copies. Nothing is computed here or in a view that the query layer does not give.

Source: spec/features.md S1, S4, S5; X-80 (limits bind only the views that copy a vendor's page).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from streams.atoms import SLICES


class Shape(StrEnum):
    """How a part is drawn."""

    ROWS = "rows"
    FIGURE = "figure"
    """One row: headline figures."""
    FUNNEL = "funnel"
    """One row whose metrics are the stages, in order."""
    TREND = "trend"
    """Rows by time."""
    SCORECARD = "scorecard"
    """One row per metric and band (`streams.scorecards`)."""


AUTO_GRAIN: Final = "grain"
"""Stands among a part's dimensions for the grain of time: the parameter's, else hours of a day and days of a longer
window."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a reader may choose.

    Attributes:
        name: as the API and the command line take it.
        meaning: one line of help.
        values: all that it may be; empty: any text.
        default: what holds when it is not given; empty: nothing.
        dimension: a chosen value filters the parts by it; empty: it works through options, metrics or grain.
        column: a chosen value keeps the rows that have it in this metric or label.
        required: the view has no answer without it.
        of_shop: field of the shop's own record whose value holds when none is given.
    """

    name: str
    meaning: str
    values: tuple[str, ...] = ()
    default: str = ""
    dimension: str = ""
    column: str = ""
    required: bool = False
    of_shop: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """A value of a parameter that keeps some rows of a part.

    Attributes:
        parameter, value: when it holds; without both always.
        column: metric or label of the row; any_of: what it must be; none_of: what it must not be.
    """

    parameter: str
    value: str
    column: str
    any_of: tuple[str | int | bool | None, ...] = ()
    none_of: tuple[str | int | bool | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One question of a view.

    Attributes:
        name: stable; the key of the answer's part.
        title: as a screen shows it.
        metrics: ids of the catalogue; what is shown unless the reader chooses others.
        choices: ids that the reader may put in place of them; empty: the part is as it is.
        by: dimensions; `AUTO_GRAIN` for the grain of time.
        shape: how it is drawn.
        window: in place of the view's; empty: the view's.
        where: fixed filters.
        sort: metrics, descending, the first decides; empty: by time and name.
        limit: most rows; None is all.
        compare: whether the view's comparison applies to it.
        about: (metric, window) of what the row itself is, whatever filters a reader has chosen: its listing status, its
            range of GMV. Without a window it is the view's.
        marked: its metrics are those that the shop's own record marks as KPIs.
        banded: metrics beside which the rows say where they lie against their band.
        labels: which names are put beside the ids: a dimension of `by`; empty: none.
        searched: whether a search keeps rows of this part.
        options: values of parameters that keep some rows.
        when: (parameter, values): the part is shown only while the parameter has one of them.
        ignores: parameters that do not filter this part: its own conditions say the same.
        empty: what a screen says when there is no row.
    """

    name: str
    title: str
    metrics: tuple[str, ...]
    by: tuple[str, ...] = ()
    shape: Shape = Shape.ROWS
    choices: tuple[str, ...] = ()
    window: str = ""
    where: tuple[tuple[str, str], ...] = ()
    sort: tuple[str, ...] = ()
    limit: int | None = None
    compare: bool = False
    about: tuple[tuple[str, str], ...] = ()
    marked: bool = False
    banded: tuple[str, ...] = ()
    labels: str = ""
    searched: bool = True
    options: tuple[Option, ...] = ()
    when: tuple[str, tuple[str, ...]] | None = None
    ignores: tuple[str, ...] = ()
    empty: str = "Nothing is counted here in this window."


@dataclass(frozen=True, slots=True)
class Limits:
    """What the vendor's page refuses, and a view that copies it does too; `views.unbound` switches it off by view.

    Attributes:
        most_trend_metrics: A-67; 0: any number.
        whole_weeks: A-68: the window must be whole weeks of the shop.
        hourly_metrics: A-69: only these come by the hour; None: all.
        daily_baseline: A-45: a comparison with an own day is for one whole day, and at most six calendar months back.
    """

    most_trend_metrics: int = 0
    whole_weeks: bool = False
    hourly_metrics: frozenset[str] | None = None
    daily_baseline: bool = False

    def words(self) -> list[str]:
        """Return what is refused, for a reader."""
        said = []
        if self.most_trend_metrics:
            said.append(f"a trend shows at most {self.most_trend_metrics} metrics (A-67)")
        if self.whole_weeks:
            said.append("the window is whole weeks (A-68)")
        if self.hourly_metrics is not None:
            said.append(f"only {' and '.join(sorted(self.hourly_metrics))} come by the hour (A-69)")
        if self.daily_baseline:
            said.append("an own day is compared with one whole day, at most six months back (A-45)")
        return said


@dataclass(frozen=True, slots=True)
class View:
    """A named query.

    Attributes:
        name: stable; in the API's path.
        title: as a screen shows it.
        answers: the question, as a seller asks it.
        copies: the vendor's page that it copies; empty: it is ours.
        parts: in the order of the screen.
        parameters: what a reader may choose, beside those of every view.
        window: when none is asked for.
        limits: of the page that it copies.
        sources: ids of the features that it shows.
    """

    name: str
    title: str
    answers: str
    parts: tuple[Part, ...]
    sources: str
    copies: str = ""
    parameters: tuple[Parameter, ...] = ()
    window: str = "today"
    limits: Limits = field(default_factory=Limits)


def view_document(view: View) -> dict[str, object]:
    """Return a view as `GET /api/v1/views` and `warroom view` list it."""
    return {
        "view": view.name,
        "title": view.title,
        "answers": view.answers,
        "copies": view.copies,
        "window": view.window,
        "sources": view.sources.split(),
        "parameters": [
            {
                "parameter": each.name,
                "meaning": each.meaning,
                "values": list(each.values),
                "default": each.default,
                "required": each.required,
            }
            for each in view.parameters
        ],
        "parts": [
            {
                "part": part.name,
                "title": part.title,
                "shape": part.shape.value,
                "by": list(part.by),
                "metrics": list(part.metrics),
                "choices": list(part.choices),
            }
            for part in view.parts
        ],
        "limits": view.limits.words(),
    }


COMMON: Final[Mapping[str, str]] = {
    "shop": "shop id; the only shop when not named",
    "window": "as for a query: today, day:<date>, campaign, last7, weeks:6, month, range:<date>..<date>, ...",
    "where": "dimension=value; several are joined by comma or repeated, and all must hold",
    "compare": "what each figure stands beside, as for a query: previous, yesterday, shift:7d, baseline:<date>, "
    "reference:<date>, benchmark, ...",
    "sort": "a metric of the rows, largest first",
    "limit": "most rows of each part",
    "part": "only this part",
    "format": "json, table or csv",
}
"""Parameters of every view."""

CONTENT_TYPE: Final = Parameter(
    "content_type",
    "one content format: every row, the order and the lists follow it",
    tuple(SLICES),
    "all",
    "slice",
)
PRODUCT: Final = Parameter("product", "product id", dimension="product")
ONE_PRODUCT: Final = Parameter("product", "product id", dimension="product", required=True)
SEARCH: Final = Parameter("search", "keep rows whose id or name holds this text, in any case")
METRICS: Final = Parameter("metrics", "which metrics are shown, comma separated")
TREND: Final = Parameter("trend", "which metrics the trends draw, comma separated")
GRAIN: Final = Parameter(
    "grain", "grain of time of trends; hours of one day, else days", ("hour", "day", "week", "month")
)
OWNER: Final = Parameter(
    "owner",
    "own: of marketing and linked accounts; affiliate: of creators",
    ("all", "own", "affiliate"),
    "all",
)
