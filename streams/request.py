"""The grammar of a question: one for `warroom query` and for the API."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from streams.atoms import LEAVES, OWNERS, SLICES
from streams.catalogue import DIMENSIONS, GROUPS, METRICS, Metric
from streams.comparison import COMPARISONS, SUFFIXES, check_comparison
from streams.errors import QueryError
from streams.events import OrderStatus
from streams.grid import GRAINS
from streams.price_tiers import TIERS
from streams.retired import successors
from streams.windows import FORMS

Format = Literal["json", "table", "csv"]

PARAMETERS: Final = {
    "metrics": "ids from docs/METRICS.md, comma separated",
    "by": "dimensions of the rows, comma separated",
    "shop": "shop id; the only shop when not named",
    "window": ", ".join(FORMS),
    "compare": ", ".join(COMPARISONS),
    "where": "dimension=value; several are joined by comma or repeated, and all must hold",
    "sort": "a metric, in a comparison also one of its columns, descending; ties by name",
    "limit": "most rows, after sorting",
    "format": "json, table or csv",
}
"""Names of a question's parts, as the API and the command line take them."""

MAX_LIMIT: Final = 1_000_000
MAX_PARTS: Final = 100
"""Most metrics, dimensions or filters in one question."""

_FEW: Final = 32
"""So many names, all dimensions say, make a message that is still read."""

_UNFILTERED: Final[dict[str, str]] = {
    **{str(grain): "Use window for a span of time." for grain in GRAINS},
    **dict.fromkeys(("topic", "outcome", "campaign"), "Ask by it instead."),
}
NEXT_PAIR: Final = re.compile(r",\s*(?=(?:" + "|".join(DIMENSIONS) + r")=)")
"""Between two `dimension=value`: an id may hold a comma."""

_CLOSED: Final = {
    "slice": tuple(SLICES),
    "leaf": tuple(LEAVES),
    "owner": tuple(OWNERS),
    "status": get_args(OrderStatus),
    "price_tier": TIERS,
}
"""Dimensions whose values are a list that everybody knows: another one is refused by name."""


@dataclass(frozen=True, slots=True)
class Request:
    """A question, checked against the catalogue.

    Attributes:
        metrics: ids in the order asked for, groups expanded.
        by: dimensions of the rows; empty gives one row.
        where: (dimension, value) pairs that must all hold.
        window: text of `streams.windows`.
        compare: text of `streams.comparison`; empty compares with nothing.
        shop: id; empty for the only one.
        sort: a metric of `metrics`, in a comparison also one of its columns; empty sorts by time, then names.
        limit: most rows after sorting; None is all.
    """

    metrics: tuple[str, ...]
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    window: str = "today"
    shop: str = ""
    sort: str = ""
    limit: int | None = None
    format: Format = "json"
    compare: str = ""


def parse_request(
    params: Mapping[str, str | Sequence[str]], *, known: Mapping[str, Metric] = METRICS
) -> Request:
    """Return the question that parameters ask; a parameter given several times may be a list.

    Args:
        params: by names of `PARAMETERS`.
        known: what may be asked for: the catalogue, or what `own_metrics.known_metrics` makes of it.

    Raises:
        QueryError: `unknown_parameter`, `no_metrics`, `unknown_metric`, `unknown_dimension`, `unknown_value`,
            `bad_where`, `bad_limit`, `bad_sort`, `bad_format`; the message names near matches.
    """
    for name in params:
        if name not in PARAMETERS:
            raise unknown(name, PARAMETERS, kind="parameter")
    metrics = _metrics(_list(params.get("metrics", "")), known)
    by = _list(params.get("by", ""))
    for dimension in by:
        if dimension not in DIMENSIONS:
            raise unknown(dimension, DIMENSIONS, kind="dimension")
    compare = _one(params, "compare")
    check_comparison(compare)
    sort = _one(params, "sort")
    columns = {name + suffix for name in metrics for suffix in SUFFIXES} if compare else set()
    if sort and sort not in metrics and sort not in columns:
        if sort not in known:
            raise unknown(sort, known, kind="metric")
        what = f"The rows cannot be sorted by {sort!r}, which is not asked for."
        raise QueryError(
            what, reason="bad_sort", mend=f"Add it to metrics, or sort by {' or '.join(metrics)}."
        )
    form = _one(params, "format") or "json"
    if form not in ("json", "table", "csv"):
        what = f"The format {form!r} is not known."
        raise QueryError(what, reason="bad_format", mend="Formats are json, table, csv.")
    return Request(
        metrics=metrics,
        by=by,
        where=filters_of(params.get("where", ())),
        window=_one(params, "window") or "today",
        compare=compare,
        shop=_one(params, "shop"),
        sort=sort,
        limit=_limit(_one(params, "limit")),
        format=form,  # type: ignore[arg-type] # checked above
    )


def unknown(name: str, known: Iterable[str], *, kind: str) -> QueryError:
    """Return the error for a name that is not known, with the nearest ones that are."""
    names = list(known)
    by_letters = {one.casefold(): one for one in reversed(names)}
    near = [
        by_letters[one]
        for one in difflib.get_close_matches(name[:100].casefold(), by_letters, n=3, cutoff=0.5)
    ]
    # What is near by its letters may mean something else: where all of them fit into a message, they stand there too.
    told = [f"Did you mean {' or '.join(near)}?"] if near else []
    if not near or len(names) <= _FEW:
        told.append(f"Known are: {', '.join(names)}.")
    mend = " ".join(told)
    return QueryError(f"The {kind} {name[:100]!r} is not known.", reason=f"unknown_{kind}", mend=mend)


def _one(params: Mapping[str, str | Sequence[str]], name: str) -> str:
    value = params.get(name, "")
    if isinstance(value, str):
        return value.strip()
    return value[-1].strip() if value else ""


def _list(value: str | Sequence[str]) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    names = [name.strip() for text in texts for name in text.split(",")]
    found = tuple(dict.fromkeys(name for name in names if name))
    if len(found) > MAX_PARTS:
        what = f"The question names {len(found)} things where {MAX_PARTS} are allowed."
        raise QueryError(what, reason="too_many", mend="Ask several questions.")
    return found


def _metrics(names: Sequence[str], known: Mapping[str, Metric]) -> tuple[str, ...]:
    if not names:
        what = "No metric is asked for."
        raise QueryError(what, reason="no_metrics", mend="Name some, for example metrics=gmv,orders.")
    found: list[str] = []
    for name in names:
        if name in GROUPS:
            found.extend(GROUPS[name])
        elif name in known:
            found.append(name)
        elif now := successors(name):
            what = f"The metric {name[:100]!r} is retired."
            raise QueryError(what, reason="unknown_metric", mend=f"Ask for {' and '.join(now)}.")
        else:
            raise unknown(name, [*known, *GROUPS], kind="metric")
    return tuple(dict.fromkeys(found))


def filters_of(value: str | Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the filters of `where` as (dimension, value).

    Raises:
        QueryError: `bad_where`, `unknown_dimension`, `unknown_value`, `too_many`.
    """
    texts = [value] if isinstance(value, str) else value
    filters = []
    for text in (part for whole in texts for part in NEXT_PAIR.split(whole) if part.strip()):
        dimension, equals, wanted = text.partition("=")
        dimension = dimension.strip()
        if not equals:
            what = f"The filter {text[:100]!r} is not of the form dimension=value."
            raise QueryError(what, reason="bad_where", mend="Write for example where=product=85123A.")
        if dimension not in DIMENSIONS:
            raise unknown(dimension, DIMENSIONS, kind="dimension")
        if dimension in _UNFILTERED:
            what = f"Rows cannot be filtered by {dimension}."
            raise QueryError(what, reason="bad_where", mend=_UNFILTERED[dimension])
        if dimension in _CLOSED and wanted not in _CLOSED[dimension]:
            raise unknown(wanted, _CLOSED[dimension], kind="value")
        filters.append((dimension, wanted))
    if len(filters) > MAX_PARTS:
        what = f"The question has {len(filters)} filters where {MAX_PARTS} are allowed."
        raise QueryError(what, reason="too_many", mend="Ask several questions.")
    check_together(filters)
    return tuple(filters)


def check_together(filters: Iterable[tuple[str, str]]) -> None:
    """Refuse two values of one dimension: nothing has both, and the 0 of nothing is taken for that of the two.

    Slices overlap, so of them two may hold.

    Raises:
        QueryError: `bad_where`.
    """
    wanted: dict[str, str] = {}
    for dimension, value in filters:
        if dimension != "slice" and wanted.setdefault(dimension, value) != value:
            both = f"{dimension}={wanted[dimension][:100]} and {dimension}={value[:100]}"
            what = f"Nothing is of {both} at once, and all filters must hold."
            raise QueryError(what, reason="bad_where", mend=f"Ask by={dimension}, or one of them at a time.")


def _limit(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,6}", text) or int(text) > MAX_LIMIT:
        what = f"The limit {text[:100]!r} is not a number from 1 to {MAX_LIMIT}."
        raise QueryError(what, reason="bad_limit", mend="Leave it out for all rows.")
    return int(text)
