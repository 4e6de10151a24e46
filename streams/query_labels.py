"""Labels of products, creators and contents: what their records say, and what their figures make them."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from streams.errors import QueryError
from streams.formulas import MEASURES
from streams.grid import GRAINS
from streams.money import major
from streams.query_days import fact_values
from streams.query_figures import Figures, figure_frame
from streams.query_traffic import traffic_values
from streams.scope import SLICES_OF_FORMATS, Scope

if TYPE_CHECKING:
    from streams.metric import Metric

Key = tuple[Any, ...]
Values = dict[Key, Any]

_NEEDED: Final = {
    "status": "product",
    "rating": "product",
    "opportunity": "product",
    "gmv_range": "product",
    "best_format": "product",
    "creator_type": "creator",
    "key_session": "content",
}
"""The dimension without which a label is of nothing."""


def label_values(scope: Scope, metric: Metric, column: str) -> Figures:
    """Return a label by product, creator or content.

    Raises:
        QueryError: `needs_dimension` when neither rows nor a filter name the things that are labelled.
    """
    needed = _NEEDED[column]
    if needed not in scope.names and needed not in {dim for dim, _ in scope.where}:
        what = f"A whole shop has no {metric.id}."
        mend = f"Ask by={needed}, or where={needed}=<id>."
        raise QueryError(what, reason="needs_dimension", mend=mend)
    values, why = _LABELS[column](scope, metric)
    # A whole shop's rows have one key; with the thing named by a filter alone, there is one row.
    values = {key if needed in scope.names else key[:1]: value for key, value in values.items()}
    return figure_frame(scope, values), {key: why for key, value in values.items() if value is None}


def _wanted(scope: Scope, dim: str, name: str) -> bool:
    return all(value == name for found, value in scope.where if found == dim)


def _of_products(field: Callable[[Any], Any]) -> Callable[[Scope, Metric], tuple[Values, str]]:
    def label(scope: Scope, _metric: Metric) -> tuple[Values, str]:
        products = scope.columns.products(scope.shop.shop_id)
        return {
            (0, name): field(product) for name, product in products.items() if _wanted(scope, "product", name)
        }, "not_told"

    return label


def _matched(product: Any) -> str | None:
    if product.opportunity_matched is None:
        return None
    return "matched" if product.opportunity_matched else "not_matched"


def _creator_types(scope: Scope, _metric: Metric) -> tuple[Values, str]:
    accounts = scope.columns.content(scope.shop.shop_id).accounts()
    values: Values = {}
    for _, account in sorted(accounts.items()):
        creator = account.creator_id
        if creator is not None and _wanted(scope, "creator", str(creator)):
            key = (0, str(creator))
            values[key] = values.get(key) or account.creator_type
    return values, "not_told"


def _key_sessions(scope: Scope, _metric: Metric) -> tuple[Values, str]:
    contents = scope.columns.content(scope.shop.shop_id).contents()
    rows = contents.select("content_id", "kind", "key_session").rows()
    return {
        (0, content_id): ("key_session" if key_session else "usual") if kind == "live" else None
        for content_id, kind, key_session in rows
        if _wanted(scope, "content", content_id)
    }, "not_a_live"


def _gmv_ranges(scope: Scope, _metric: Metric) -> tuple[Values, str]:
    inner = _by(scope, "product")
    found = fact_values(inner, [MEASURES["goods"], MEASURES["shipping_in_gmv"]])
    sums: Values = {}
    for frame in found.values():
        for *key, value in frame.select(*inner.keys, "value").rows():
            sums[tuple(key)] = sums.get(tuple(key), 0) + value
    edges = scope.columns.settings.board.gmv_range_edges
    return {
        key: range_label(major(value, scope.shop.currency), edges) for key, value in sums.items()
    }, "no_source"


def range_label(amount: float, edges: tuple[int, ...]) -> str:
    """Return the bucket that holds an amount, lower end inclusive: `30k-100k`, `<1k`, `>=100k` (X-49)."""
    place = bisect.bisect_right(edges, amount)
    if place == 0:
        return f"<{_short(edges[0])}"
    if place == len(edges):
        return f">={_short(edges[-1])}"
    return f"{_short(edges[place - 1])}-{_short(edges[place])}"


def _short(edge: int) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if edge >= size and edge % size == 0:
            return f"{edge // size}{unit}"
    return str(edge)


def _best_formats(scope: Scope, metric: Metric) -> tuple[Values, str]:
    """Return the format of the highest CTOR with enough clicks, ties by GMV, then by the order of formats."""
    inner = _by(scope, "product", "slice")
    clicks = _counts(inner, traffic_values(inner, MEASURES["clicks"], metric.id).values)
    names = ("sku_orders", "goods", "shipping_in_gmv")
    facts = fact_values(inner, [MEASURES[name] for name in names])
    sold, goods, shipping = (_counts(inner, facts[name]) for name in names)
    least = scope.columns.settings.board.format_min_clicks
    best: dict[Key, tuple[float, int, int]] = {}
    products = {key[:-1] for counts in (clicks, sold) for key in counts}
    for key in products:
        for place, name in enumerate(SLICES_OF_FORMATS):
            cell = (*key, name)
            clicked = clicks.get(cell, 0)
            if clicked < max(least, 1):
                continue
            gmv = goods.get(cell, 0) + shipping.get(cell, 0)
            figures = (sold.get(cell, 0) / clicked, gmv, -place)
            best[key] = max(best.get(key, figures), figures)
    return {
        key: SLICES_OF_FORMATS[-best[key][2]] if key in best else None for key in products
    }, "below_minimum"


def _by(scope: Scope, *names: str) -> Scope:
    times = tuple(dim for dim in scope.by if dim in GRAINS)
    return dataclasses.replace(scope, by=(*times, *names))


def _counts(scope: Scope, frame: Any) -> dict[Key, int]:
    return {tuple(key): value for *key, value in frame.select(*scope.keys, "value").rows()}


_LABELS: Final[dict[str, Callable[[Scope, Any], tuple[Values, str]]]] = {
    "status": _of_products(lambda product: product.status),
    "rating": _of_products(lambda product: product.rating),
    "opportunity": _of_products(_matched),
    "creator_type": _creator_types,
    "key_session": _key_sessions,
    "gmv_range": _gmv_ranges,
    "best_format": _best_formats,
}
"""By label, what gives it and why it is null where it is."""
