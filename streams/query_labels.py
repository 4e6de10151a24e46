"""Labels of products, creators and contents: what their records say, and what their figures make them."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import polars as pl

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
    if needed not in scope.names:
        # A whole shop's rows have one key; with the thing named by a filter alone, there is one row.
        values = {key[:1]: value for key, value in values.items()}
    return figure_frame(scope, values), {key: why for key, value in values.items() if value is None}


def _chosen(scope: Scope, dim: str) -> Callable[[str], bool]:
    """Return whether the filters let a thing through."""
    wanted = {value for found, value in scope.where if found == dim}
    return (lambda name: wanted == {name}) if wanted else lambda _: True


def _of_products(field: Callable[[Any], Any]) -> Callable[[Scope, Metric], tuple[Values, str]]:
    def label(scope: Scope, _metric: Metric) -> tuple[Values, str]:
        products, chosen = scope.columns.products(scope.shop.shop_id), _chosen(scope, "product")
        return {(0, name): field(product) for name, product in products.items() if chosen(name)}, "not_told"

    return label


def _matched(product: Any) -> str | None:
    if product.opportunity_matched is None:
        return None
    return "matched" if product.opportunity_matched else "not_matched"


def _creator_types(scope: Scope, _metric: Metric) -> tuple[Values, str]:
    accounts = scope.columns.content(scope.shop.shop_id).accounts()
    chosen = _chosen(scope, "creator")
    values: Values = {}
    for _, account in sorted(accounts.items()):
        creator = account.creator_id
        if creator is not None and chosen(str(creator)):
            key = (0, str(creator))
            values[key] = values.get(key) or account.creator_type
    return values, "not_told"


def _key_sessions(scope: Scope, _metric: Metric) -> tuple[Values, str]:
    contents = scope.columns.content(scope.shop.shop_id).contents()
    chosen = _chosen(scope, "content")
    rows = contents.select("content_id", "kind", "key_session").rows()
    return {
        (0, content_id): ("key_session" if key_session else "usual") if kind == "live" else None
        for content_id, kind, key_session in rows
        if chosen(content_id)
    }, "not_a_live"


def _gmv_ranges(scope: Scope, _metric: Metric) -> tuple[Values, str]:
    inner = _by(scope, "product")
    found = fact_values(inner, [MEASURES["goods"], MEASURES["shipping_in_gmv"]])
    frames = [frame.select(*inner.keys, "value") for frame in found.values()]
    sums = pl.concat(frames).group_by(inner.keys).agg(pl.col("value").sum())
    edges = scope.columns.settings.board.gmv_range_edges
    return {
        tuple(key): range_label(major(value, scope.shop.currency), edges) for *key, value in sums.iter_rows()
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
    keys = list(inner.keys)
    clicks = traffic_values(inner, MEASURES["clicks"], metric.id).values
    names = ("sku_orders", "goods", "shipping_in_gmv")
    facts = fact_values(inner, [MEASURES[name] for name in names])
    clicked = clicks.select(*keys, pl.col("value").alias("clicks"))
    for name in names:
        clicked = clicked.join(facts[name].select(*keys, pl.col("value").alias(name)), on=keys, how="left")
    places = {name: place for place, name in enumerate(SLICES_OF_FORMATS)}
    least = max(scope.columns.settings.board.format_min_clicks, 1)
    products = [key for key in keys if key != "slice"]
    best = (
        clicked.filter(pl.col("slice").is_in(SLICES_OF_FORMATS) & (pl.col("clicks") >= least))
        .with_columns(pl.col(names).fill_null(0))
        .select(
            *products,
            "slice",
            (pl.col("sku_orders") / pl.col("clicks")).alias("ctor"),
            (pl.col("goods") + pl.col("shipping_in_gmv")).alias("gmv"),
            pl.col("slice").replace_strict(places, default=0, return_dtype=pl.Int64).alias("place"),
        )
        .sort("ctor", "gmv", "place", descending=[True, True, False])
        .unique(products, keep="first", maintain_order=True)
    )
    seen = pl.concat([frame.select(products) for frame in (clicks, facts["sku_orders"])]).unique()
    values: Values = dict.fromkeys(map(tuple, seen.rows()))
    return values | {tuple(key): name for *key, name in best.select(*products, "slice").iter_rows()}, (
        "below_minimum"
    )


def _by(scope: Scope, *names: str) -> Scope:
    times = tuple(dim for dim in scope.by if dim in GRAINS)
    return dataclasses.replace(scope, by=(*times, *names))


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
