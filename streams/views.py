"""Views: named queries, and how one is answered.

A view asks the query layer once per part, puts names beside ids, keeps the rows that its parameters ask for, and says
of every part what it is: provisional, final, restated, empty, without a source, or refused.

Source: X-80; docs/VIEWS.md.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from streams import views_campaign, views_content, views_kpis, views_products
from streams.comparison import SUFFIXES
from streams.errors import ComparisonError, QueryError
from streams.own_metrics import known_metrics
from streams.query import run
from streams.query_figures import REFERENCE_TOPICS
from streams.request import parse_request, unknown
from streams.scorecards import COLUMNS, put_places, scorecard
from streams.view import AUTO_GRAIN, GRAIN, SEARCH, Option, Part, Shape, View
from streams.view_answer import PartAnswer, ViewAnswer
from streams.view_labels import LABELS, NO_CARD, SEARCHED, put_labels
from streams.view_limits import check_answer, check_question
from streams.view_words import Chosen, Words, choose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.answers import Answer
    from streams.columns import Columns
    from streams.metric import Metric

VIEWS: Final[dict[str, View]] = {
    view.name: view
    for view in (*views_campaign.VIEWS, *views_content.VIEWS, *views_products.VIEWS, *views_kpis.VIEWS)
}
"""Every view by name, in the order of the documentation."""

_SEVERAL: Final = 2
"""The query layer sorts by one metric; rows that several decide on are put in order here."""

_HOURLY: Final = ("today", "yesterday", "day:", "hour:", "stream:")
_BY_MINUTES: Final = ("m", "h")


def view_of(name: str) -> View:
    """Return a view by its name.

    Raises:
        QueryError: `unknown_view`; the message names near ones.
    """
    if name not in VIEWS:
        raise unknown(name, VIEWS, kind="view")
    return VIEWS[name]


def run_view(columns: Columns, view: View, words: Words, *, now_ms: int) -> ViewAnswer:
    """Answer a view.

    Args:
        columns: what is known.
        view: the record.
        words: parameters by name, `view.COMMON` and the view's own; one given several times may be a list.
        now_ms: "now" (X-79).

    Raises:
        QueryError: a parameter is not right, a limit of the vendor's page binds, no part has an answer, or no part
            that compares can be compared so.
    """
    profile = columns.profile(_shop_of(columns, words))
    chosen = choose(view, words, known_metrics(columns.settings), profile)
    asked = [
        (part, metrics)
        for part in view.parts
        if _is_shown(part, chosen) and (metrics := chosen.metrics_of(part))
    ]
    _check_sort(view, chosen)
    unbound = view.name in columns.settings.views.unbound
    if not unbound:
        check_question(view, chosen, asked)
    answered: list[PartAnswer] = []
    errors: list[QueryError] = []
    not_compared: list[QueryError] = []
    for part, metrics in asked:
        try:
            answered.append(_ask_part(columns, view, part, metrics, chosen, now_ms))
        except QueryError as error:
            errors.append(error)
            # Whoever asks for a comparison is told that there is none, also where other parts compare nothing.
            if part.compare and isinstance(error, ComparisonError):
                not_compared.append(error)
            answered.append(PartAnswer(part, None, refused=str(error)))
    answers = [part.answer for part in answered if part.answer is not None]
    if errors and not answers:
        raise errors[0]
    if not_compared and len(not_compared) == sum(part.compare for part, _ in asked):
        raise not_compared[0]
    if not unbound:
        for answer in answers:
            check_answer(view, columns, answer)
    shop_id = answers[0].shop_id if answers else ""
    shop = columns.shop(shop_id)
    return ViewAnswer(
        view,
        shop_id,
        shop.currency,
        shop.timezone,
        chosen.shown(),
        tuple(answered),
        form=chosen["format"] or "json",  # type: ignore[arg-type]  # checked by `choose`
    )


def _shop_of(columns: Columns, words: Words) -> str:
    """Return the shop whose record gives defaults; the query layer says what is wrong with a shop that is not there."""
    wanted, known = words.get("shop", ""), columns.shops()
    named = wanted if isinstance(wanted, str) else wanted[-1]
    return named or (known[0] if len(known) == 1 else "")


def _check_sort(view: View, chosen: Chosen) -> None:
    known = list(dict.fromkeys(name for part in view.parts for name in (*part.metrics, *part.choices)))
    known += chosen.metrics
    if chosen["sort"] and chosen["sort"] not in known:
        raise unknown(chosen["sort"], known, kind="metric")


def _is_shown(part: Part, chosen: Chosen) -> bool:
    if chosen["part"] and chosen["part"] != part.name:
        return False
    return part.when is None or chosen[part.when[0]] in part.when[1]


def _ask_part(
    columns: Columns, view: View, part: Part, metrics: Sequence[str], chosen: Chosen, now_ms: int
) -> PartAnswer:
    """Ask a part; by day where its hours are not kept and the reader has not asked for hours."""
    try:
        return _ask(columns, view, part, metrics, chosen, now_ms)
    except QueryError as error:
        if error.reason != "no_cube" or AUTO_GRAIN not in part.by or chosen[GRAIN.name]:
            raise
        by = tuple("day" if dim == AUTO_GRAIN else dim for dim in part.by)
        return _ask(columns, view, dataclasses.replace(part, by=by), metrics, chosen, now_ms)


def _ask(
    columns: Columns, view: View, part: Part, metrics: Sequence[str], chosen: Chosen, now_ms: int
) -> PartAnswer:
    where = _filters(view, part, chosen)
    window = part.window or chosen["window"] or view.window
    by = tuple(_grain(chosen, window) if dim == AUTO_GRAIN else dim for dim in part.by)
    kept, left_out = _askable(metrics, where, chosen.known)
    if not kept:
        why = "; ".join(dict.fromkeys(left_out.values()))
        what = f"Nothing of {part.title!r} can be asked so: {why}."
        raise QueryError(what, reason="no_such_dimension", mend="Leave the filter out.")
    sort = _sort(part, chosen, where)
    options = [option for option in part.options if chosen[option.parameter] == option.value]
    options += [
        Option(each.name, chosen[each.name], each.column, any_of=(chosen[each.name],))
        for each in view.parameters
        if each.column and chosen[each.name]
    ]
    # Conditions may read a metric that the reader did not choose: it is asked for and taken off again.
    extra = [
        name
        for name in (*sort, *(option.column for option in options))
        if name in chosen.known and name not in dict(part.about)
    ]
    words: dict[str, str | Sequence[str]] = {
        "metrics": list(dict.fromkeys((*kept, *extra))),
        "by": by,
        "shop": chosen["shop"],
        "window": window,
        "where": [f"{dimension}={value}" for dimension, value in where],
        "sort": sort[0] if len(sort) == 1 else "",
    }
    limit = int(chosen["limit"]) if chosen["limit"] else part.limit
    if part.compare and chosen["compare"]:
        words["compare"] = chosen["compare"]
    takes_rows_out = bool(options or chosen[SEARCH.name]) or part.shape is Shape.SCORECARD
    if limit is not None and len(sort) < _SEVERAL and not takes_rows_out:
        # Nothing below changes the order either: rows that are not shown are not made.
        words["limit"] = str(limit)
    answer = run(columns, parse_request(words, known=chosen.known), now_ms=now_ms)
    if part.shape is Shape.SCORECARD:
        card = scorecard(answer, chosen.known, chosen.profile)
        return PartAnswer(part, card, COLUMNS, left_out, _needs(columns, answer, chosen.known))
    labels = LABELS[part.labels][0] if part.labels else ()
    about = [name for name, _ in part.about]
    answer = _with_about(columns, part, answer, window, chosen, where, now_ms)
    kept += about
    rows = [dict(row) for row in answer.rows]
    missing = put_labels(columns, answer.shop_id, part.labels, rows, now_ms) if part.labels else {}
    labels += put_places(answer, rows, part.banded, chosen.profile)
    order = [index for index, row in enumerate(rows) if _keeps(row, options)]
    order = [index for index in order if _found(rows[index], part, labels, chosen[SEARCH.name])]
    if len(sort) >= _SEVERAL:
        for name in reversed(sort):
            order.sort(key=lambda index, name=name: _descending(rows[index][name]))  # type: ignore[misc] # bound now
    order = order[:limit]
    titles = {name: chosen.known[name].title for name in kept}
    shown = _shown(answer, rows, order, tuple(kept), missing)
    return PartAnswer(part, shown, labels, left_out, _needs(columns, shown, chosen.known), titles)


def _with_about(
    columns: Columns,
    part: Part,
    answer: Answer,
    window: str,
    chosen: Chosen,
    where: Sequence[tuple[str, str]],
    now_ms: int,
) -> Answer:
    """Put beside the rows what they are themselves (`Part.about`), asked without the reader's filters.

    Of a thing that a filter names, as the only one that has a row, nothing else is asked.
    """
    own = [f"{dimension}={value}" for dimension, value in where if dimension in answer.by]
    for about_window in dict.fromkeys(about for _, about in part.about):
        names = [name for name, about in part.about if about == about_window]
        words: dict[str, str | Sequence[str]] = {
            "metrics": names,
            "by": answer.by,
            "shop": answer.shop_id,
            "window": about_window or window,
            "where": own,
        }
        found = run(columns, parse_request(words, known=chosen.known), now_ms=now_ms)
        places = {tuple(row[dim] for dim in answer.by): number for number, row in enumerate(found.rows)}
        beside = [places.get(tuple(row[dim] for dim in answer.by)) for row in answer.rows]
        rows = [
            row | {name: None if at is None else found.rows[at][name] for name in names}
            for row, at in zip(answer.rows, beside, strict=True)
        ]
        nulls = dict(answer.nulls)
        for name in names:
            why = {at: reason for reason, numbers in found.nulls.get(name, {}).items() for at in numbers}
            reasons: dict[str, list[int]] = {}
            for number, (row, at) in enumerate(zip(rows, beside, strict=True)):
                if row[name] is None:
                    reasons.setdefault("not_told" if at is None else why[at], []).append(number)
            if reasons:
                nulls[name] = reasons
        answer = dataclasses.replace(
            answer,
            metrics=(*answer.metrics, *names),
            rows=rows,
            nulls=nulls,
            units=answer.units | found.units,
            unknown=answer.unknown or found.unknown,
        )
    return answer


def _filters(view: View, part: Part, chosen: Chosen) -> list[tuple[str, str]]:
    filters = list(part.where)
    for parameter in view.parameters:
        value = chosen[parameter.name]
        if parameter.name in part.ignores:
            continue
        if parameter.dimension and value and value != parameter.default:
            filters.append((parameter.dimension, value))
    if chosen.where:
        filters += parse_request({"metrics": "gmv", "where": chosen.where}).where
    return list(dict.fromkeys(filters))


def _grain(chosen: Chosen, window: str) -> str:
    if chosen[GRAIN.name]:
        return chosen[GRAIN.name]
    short = window.startswith("last:") and window.endswith(_BY_MINUTES)
    return "hour" if short or window.startswith(_HOURLY) else "day"


def _askable(
    metrics: Sequence[str], where: Sequence[tuple[str, str]], known: Mapping[str, Metric]
) -> tuple[list[str], dict[str, str]]:
    """Return the metrics that have every filter's dimension, and why the others are left out."""
    kept, left_out = [], {}
    for name in metrics:
        lacks = [dimension for dimension, _ in where if dimension not in known[name].dims]
        if lacks:
            left_out[name] = f"it is not kept by {' and '.join(dict.fromkeys(lacks))}"
        else:
            kept.append(name)
    return kept, left_out


def _sort(part: Part, chosen: Chosen, where: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the metrics that decide the order, the first one most, as far as they have the filters' dimensions."""
    wanted = (
        chosen["sort"] if chosen["sort"] in (*part.metrics, *part.choices, *chosen.metrics_of(part)) else ""
    )
    keys = dict.fromkeys((wanted, *part.sort) if wanted else part.sort)
    kept, _ = _askable(list(keys), where, chosen.known)
    return tuple(kept)


def _descending(value: Any) -> tuple[bool, float]:
    return (True, 0.0) if value is None else (False, -value)


def _keeps(row: dict[str, Any], options: Sequence[Option]) -> bool:
    return all(
        (not option.any_of or row[option.column] in option.any_of)
        and row[option.column] not in option.none_of
        for option in options
    )


def _found(row: dict[str, Any], part: Part, labels: Sequence[str], text: str) -> bool:
    if not text or not part.labels or not part.searched:
        return True
    wanted = text.casefold()
    return any(
        isinstance(row[name], str) and wanted in row[name].casefold()
        for name in (part.labels, *(label for label in labels if label in SEARCHED))
    )


def _shown(
    answer: Answer,
    rows: list[dict[str, Any]],
    order: list[int],
    metrics: tuple[str, ...],
    missing: dict[str, list[int]],
) -> Answer:
    """Return the answer with its rows in a new order, and every row number with them."""
    place = {index: number for number, index in enumerate(order)}

    def moved(numbers: Sequence[int]) -> list[int]:
        return sorted(place[number] for number in numbers if number in place)

    gone = [name for name in answer.metrics if name not in metrics]
    dropped = {name + suffix for name in gone for suffix in ("", *SUFFIXES)}
    nulls = {
        name: found
        for name, reasons in answer.nulls.items()
        if name not in dropped
        and (found := {why: at for why, old in reasons.items() if (at := moved(old)) or not old})
    }
    nulls |= {name: {NO_CARD: at} for name, old in missing.items() if (at := moved(old))}
    kept = [rows[index] for index in order]
    if dropped:
        kept = [{name: value for name, value in row.items() if name not in dropped} for row in kept]
    return dataclasses.replace(
        answer,
        metrics=metrics,
        rows=kept,
        nulls=nulls,
        partial={
            name: at for name, old in answer.partial.items() if name not in dropped and (at := moved(old))
        },
        coverage={name: value for name, value in answer.coverage.items() if name not in dropped},
        relative_error={name: value for name, value in answer.relative_error.items() if name not in dropped},
        units={name: unit for name, unit in answer.units.items() if name not in dropped},
    )


def _needs(columns: Columns, answer: Answer, known: Mapping[str, Metric]) -> dict[str, list[str]]:
    """Return the topics that no source feeds, by each metric that is nowhere known for want of them."""
    needs = {}
    for name in answer.metrics:
        unknown_rows = answer.nulls.get(name, {}).get("no_source", [])
        if len(unknown_rows) == len(answer.rows):
            topics = [
                topic
                for topic in known[name].topics
                if topic not in REFERENCE_TOPICS and columns.source_since_ms(answer.shop_id, topic) is None
            ]
            if topics:
                needs[name] = topics
    return needs
