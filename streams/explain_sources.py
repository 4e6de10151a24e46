"""The records behind a cell: winning facts as they were sent, cells of the cubes, and what became of every record.

No record shows who a person is: keys of customers and of users are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from streams.atoms import ATOM_NAMES
from streams.cubes import CUBE_BY_NAME, Grain
from streams.days import day_label
from streams.errors import QueryError
from streams.fact_frames import FRAMES, READY_MADE
from streams.formulas import (
    AdderFigure,
    FreshnessFigure,
    LossFigure,
    StockFigure,
    measures_of,
)
from streams.frames import SLOT
from streams.measures import Counts, Frame, Measure
from streams.min_group import DEMOGRAPHICS, FIGURES_OF_RECORDS, narrows
from streams.outcomes import COUNTING, DEAD_LETTERS, Outcome
from streams.page_adders import ADD, VIEW
from streams.query_facts import rows_in_scope
from streams.query_traffic import cells_in_scope, choose_cube
from streams.ready_made import feeds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.fact_frames import FactFrame
    from streams.metric import Metric
    from streams.scope import Scope

MOST_RECORDS: Final = 20
"""Records shown of one cell, over all of its sources."""

_PEOPLE: Final = ("customer", "user", "buyer", "viewer", "address", "email", "phone", "zip", "name")
"""Text columns with these words may say who a person is."""

_OWN: Final = frozenset({*DEMOGRAPHICS, SLOT, "day", "customer_no", "user_no", "sku_no"})
"""Columns that number rows inside the board, and who the few viewers of one record are."""

_RECORD_OF: Final = {
    Frame.ORDER_LINES: "order_paid",
    Frame.REFUNDS: "refund",
    Frame.AD_REFUNDS: "refund",
    Frame.CONTENT: "content",
    Frame.CONTENT_DAYS: "content",
    Frame.ENGAGEMENT: "content_engagement",
    Frame.VIOLATIONS: "violation",
    Frame.CHECKOUTS: "checkout_started",
    Frame.ADS: "ad_metric",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Records, or cells of a cube, that a cell counts.

    Attributes:
        kind: event type of facts, or `cube` and its name.
        topic: where they were read, without prefix.
        total: how many there are; `rows` shows some of them.
        rows: columns by name; `place` says which record or cell it is.
    """

    kind: str
    topic: str
    total: int
    rows: list[dict[str, Any]]


def sources_of(scope: Scope, metric: Metric) -> list[Source]:
    """Return what a cell counts, at most `MOST_RECORDS` records in all.

    Args:
        scope: of the cell, without dimensions; of "the last minutes" and "now" the window is theirs.
        metric: whose cell it is.
    """
    formula = metric.formula
    found: list[Source] = []
    facts: dict[tuple[Frame, frozenset[int] | None], list[Measure]] = {}
    for measure in dict.fromkeys(measures_of(formula)):
        if measure.frame is Frame.TRAFFIC:
            found += _of_cube(scope, measure, metric.id)
        else:
            facts.setdefault((measure.frame, measure.atoms), []).append(measure)
    for (frame, _), measures in facts.items():
        found.append(_of_facts(scope, FRAMES[frame], _RECORD_OF.get(frame, str(frame)), measures))
    if isinstance(formula, AdderFigure):
        found += _of_adders(scope)
    if isinstance(formula, (StockFigure, LossFigure)):
        found.append(_of_stock(scope))
    if isinstance(formula, FreshnessFigure):
        found.append(_of_positions(scope))
    return fewer(list({(one.kind, one.topic, one.total): one for one in found}.values()))


def outcomes_of(scope: Scope, metric: Metric) -> dict[str, dict[str, int]]:
    """Return topic -> what became of its records in this run, of every shop; `refused` has its reasons beside it."""
    known = scope.columns.outcomes()
    topics = sorted(feeds(scope.columns, scope.shop.shop_id, metric.topics) or known)
    found = {}
    for topic in topics:
        outcomes: Mapping[Outcome, int] = known.get(topic, {})
        refused = {
            str(outcome): outcomes[outcome]
            for outcome in Outcome
            if outcome in DEAD_LETTERS & outcomes.keys()
        }
        found[topic] = {
            "records": sum(outcomes.values()),
            "counted": sum(outcomes.get(outcome, 0) for outcome in COUNTING),
            "late": outcomes.get(Outcome.COUNTED_LATE, 0),
            "duplicate": outcomes.get(Outcome.DUPLICATE, 0),
            "superseded": outcomes.get(Outcome.SUPERSEDED, 0),
            "refused": sum(refused.values()),
            **refused,
        }
    return found


def fewer(sources: Sequence[Source]) -> list[Source]:
    """Share the room for records between sources; what one does not need the others get."""
    room, allowed = MOST_RECORDS, {}
    by_need = sorted(range(len(sources)), key=lambda index: len(sources[index].rows))
    for left, index in zip(range(len(sources), 0, -1), by_need, strict=True):
        allowed[index] = min(len(sources[index].rows), room // left)
        room -= allowed[index]
    return [
        Source(source.kind, source.topic, source.total, source.rows[: allowed[index]])
        for index, source in enumerate(sources)
    ]


# -- facts ----------------------------------------------------------------------------------------------------------


def _of_facts(scope: Scope, frame: FactFrame, kind: str, measures: Sequence[Measure]) -> Source:
    schema = frame.read(scope).schema
    names = {name for name, kind_of in schema.items() if not _hidden(name, kind_of)}
    counted = {measure.column for measure in measures}
    atoms = measures[0].atoms
    rows = rows_in_scope(scope, frame, names | (counted & schema.keys()) | {frame.at}, atoms)
    sums = [
        measure.column for measure in measures if measure.counts is Counts.SUM and measure.column in schema
    ]
    if narrows(scope):
        # One record is of fewer people than its cell: it is named, and what they did is not told.
        names -= FIGURES_OF_RECORDS
    elif sums and len(sums) == len(measures):
        # A row that adds nothing is no record behind the figure: the second line of an SKU order, say.
        rows = rows.filter(
            pl.any_horizontal(pl.col(f"m_{name}").cast(pl.Float64).fill_null(0) != 0 for name in sums)
        )
    ids = [name for name in schema if name.endswith("_id") and name in names]
    rows = rows.sort(f"m_{frame.at}", *(f"m_{name}" for name in ids), descending=[True, *[False] * len(ids)])
    shown = rows.head(MOST_RECORDS).select(
        pl.col(f"m_{name}").alias(name) for name in schema if name in names
    )
    keys = [name for name in ids if name in _KEYS.get(kind, ids)]
    found = [
        {"place": f"{kind}/{'/'.join(str(row[key]) for key in keys if row[key] is not None)}", **plain(row)}
        for row in shown.iter_rows(named=True)
    ]
    return Source(kind, measures[0].topic, rows.height, found)


_KEYS: Final = {"order_paid": ("order_id", "line_id"), "refund": ("refund_id", "line_id")}
"""Ids that say which record it is; of other kinds all ids do."""


def _hidden(name: str, kind: pl.DataType) -> bool:
    return name in _OWN or (
        kind == pl.String() and any(word in name for word in _PEOPLE) and not name.startswith("product")
    )


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row for JSON: no nulls, the source by its name."""
    found = {name: value for name, value in row.items() if value is not None}
    if "atom" in found:
        found["atom"] = ATOM_NAMES[found["atom"]]
    return found


# -- cubes ----------------------------------------------------------------------------------------------------------


def _of_cube(scope: Scope, measure: Measure, metric: str) -> list[Source]:
    try:
        cube = choose_cube(scope, measure, metric)
    except QueryError:
        return []
    cells = cells_in_scope(scope, measure, cube).sort(
        "count", "bucket", SLOT, descending=[True, False, False]
    )
    found = [_cube_source(scope, cube.name, measure.topic, cells, cube.grain is Grain.DAY)]
    if measure.ready_made:
        made = (
            rows_in_scope(scope, READY_MADE, {measure.ready_made}, measure.atoms)
            if _ready_made(scope)
            else None
        )
        if made is not None and made.height:
            wanted = Measure(measure.name, Frame.TRAFFIC, Counts.SUM, measure.ready_made, "traffic_totals")
            found.append(_of_facts(scope, READY_MADE, "traffic_total", [wanted]))
    return found


def _ready_made(scope: Scope) -> bool:
    dims = {dim for dim, _ in scope.where} - {"slice", "leaf", "owner"}
    return (
        bool(scope.columns.totals(scope.shop.shop_id).traffic().height) and dims <= READY_MADE.columns.keys()
    )


def _cube_source(scope: Scope, name: str, topic: str, cells: pl.DataFrame, by_day: bool) -> Source:
    shop_id = scope.shop.shop_id
    some = cells.head(MOST_RECORDS)
    parts = scope.columns.cube_partitions(name, shop_id, some.get_column(SLOT).to_numpy())
    rows = []
    for number, row in enumerate(some.iter_rows(named=True)):
        # Null: of a day that was written down before the cube had the dimension.
        dims: dict[str, Any] = {dim: row[dim] for dim in CUBE_BY_NAME[name].dims if row[dim] is not None}
        if "atom" in dims:
            dims["atom"] = ATOM_NAMES[dims["atom"]]
        bucket = row["bucket"]
        at = day_label(bucket) if by_day else scope.calendar.minute_label(bucket)
        rows.append(
            {
                "place": "/".join((name, at, row["event_type"], *map(str, dims.values()))),
                "bucket": at,
                "event_type": row["event_type"],
                **dims,
                "count": row["count"],
                "with_user_key": row["keyed"],
                "partitions": {str(part): counts[number] for part, counts in parts.items() if counts[number]},
            }
        )
    return Source(f"cube {name}", topic, cells.height, rows)


def _of_adders(scope: Scope) -> list[Source]:
    found = []
    calendar, window = scope.calendar, scope.window
    for event_type, topic in ((VIEW, "page_views"), (ADD, "add_to_cart")):
        condition = pl.col("event_type") == event_type
        if window.from_ms is not None:
            condition &= pl.col("bucket") >= calendar.day_of(window.from_ms)
        if window.to_ms is not None:
            condition &= pl.col("bucket") <= calendar.day_of(window.to_ms - 1)
        for dim, value in scope.where:
            if dim == "product":
                condition &= pl.col("product") == value
        cells = scope.columns.cells("product_theta", scope.shop.shop_id, window.from_ms, window.to_ms)
        cells = cells.filter(condition)
        cells = cells.sort("count", "bucket", SLOT, descending=[True, False, False])
        found.append(_cube_source(scope, "product_theta", topic, cells, by_day=True))
    return found


# -- figures of the moment ------------------------------------------------------------------------------------------


def _of_stock(scope: Scope) -> Source:
    levels = scope.columns.stock_levels(scope.shop.shop_id)
    for dim, value in scope.where:
        if dim in ("product", "sku"):
            levels = levels.filter(pl.col(f"{dim}_id") == value)
    levels = levels.sort("available", "sku_id", "warehouse_id")
    rows = [
        {"place": f"stock_changed/{row['sku_id']}/{row['warehouse_id']}", **plain(row)}
        for row in levels.head(MOST_RECORDS).drop(SLOT).iter_rows(named=True)
    ]
    return Source("stock_changed", "stock", levels.height, rows)


def _of_positions(scope: Scope) -> Source:
    rows = [
        {
            "place": f"{position.topic}/{partition}/{position.next_offset}",
            "records": sum(position.outcomes.values()),
            "last_timestamp_ms": position.last_timestamp_ms,
        }
        for partition, position in scope.columns.positions()
    ]
    return Source("position", "state", len(rows), rows)
