"""Values of measures over traffic: what the cubes give, and a refusal by name of what they do not."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from streams.cubes import CUBES, Cube, Grain
from streams.days import MINUTE_MS, QUARTER_MS, day_label
from streams.errors import QueryError
from streams.fact_frames import with_variants
from streams.formulas import Measure
from streams.grid import GRAINS
from streams.query_people import people_values
from streams.scope import CLOSED, TIME, Scope, expand_atoms
from streams.unnamed_creators import of_creators

if TYPE_CHECKING:
    from streams.grid import TimeGrain

PARTIAL_DIMS: Final = frozenset({"sku", "content", "creator", "sub_campaign", "territory"})
"""Dimensions that an event may lack: a cube with one of them does not hold all events, and answers only by it."""

_FINENESS: Final = {Grain.DAY: 0, Grain.QUARTER: 1, Grain.MINUTE: 2}
_NEEDED: Final[dict[TimeGrain | None, int]] = {
    None: 0,
    "month": 0,
    "week": 0,
    "day": 0,
    "hour": 1,
    "minute": 2,
}


@dataclass(frozen=True, slots=True)
class TrafficValues:
    """Values of a measure.

    Attributes:
        values: the scope's key columns, `value` Int64, and for people `count` and `keyed` events.
        relative_error: one standard deviation of an estimate of people; None for counts.
        since_ms: event time from which the cube holds everything, where the window reaches further back.
    """

    values: pl.DataFrame
    relative_error: float | None = None
    since_ms: int | None = None


def traffic_values(scope: Scope, measure: Measure, metric: str) -> TrafficValues:
    """Return a traffic measure's values, only rows with anything counted.

    Args:
        scope: where to count.
        measure: over traffic.
        metric: whose part it is, for the message of a refusal.

    Raises:
        QueryError: `no_cube` when no cube keeps the combination, `grain_too_coarse` when the window cuts the buckets
            of those that do, `no_detail_before` when the fine buckets are no longer kept.
    """
    cube = choose_cube(scope, measure, metric)
    if not measure.people:
        return TrafficValues(count_values(scope, measure, cube), since_ms=_since_ms(scope, cube))
    values = people_values(scope, measure, cube, cells_in_scope(scope, measure, cube))
    return TrafficValues(values, 1.04 / math.sqrt(2 ** (cube.lg_k or 0)), _since_ms(scope, cube))


def count_values(scope: Scope, measure: Measure, cube: Cube) -> pl.DataFrame:
    """Return how many events of a measure a cube holds: the scope's key columns and `value`."""
    keys = [*scope.keys, "atom"] if scope.by_atom else list(scope.keys)
    keys = [key for key in keys if key not in CLOSED]
    counted = cells_in_scope(scope, measure, cube).group_by(keys).agg(pl.col("count").sum())
    return expand_atoms(counted, scope.names).group_by(scope.keys).agg(pl.col("count").sum().alias("value"))


def choose_cube(scope: Scope, measure: Measure, metric: str) -> Cube:
    """Return the cube that answers with the least work; see `traffic_values` for the errors."""
    able = list(_able(_needs(scope.needs, measure), scope.grain, measure))
    if not able:
        raise _no_cube(scope, measure, metric)
    fitting = [cube for cube in able if _fits(scope, cube)]
    if not fitting:
        words = " and ".join(sorted(_words(scope))) or "the whole shop"
        what = f"The window {scope.window.text} cuts the buckets in which {metric} is kept for {words}."
        mend = "Use a window of whole shop-days such as today or range:<date>..<date>."
        raise QueryError(what, reason="grain_too_coarse", mend=mend)
    keeping = [cube for cube in fitting if cube.keep == "hot_days"]
    keeping = keeping or [cube for cube in fitting if _is_whole(scope, measure, cube)]
    for cube in keeping:
        if _since_ms(scope, cube) is None:
            return cube
    if keeping:
        return keeping[0]
    keep = scope.columns.settings.fold.minute_hours
    what = f"{metric} is kept in that detail for {keep} hours only, and the window {scope.window.text} reaches further."
    raise QueryError(
        what, reason="no_detail_before", mend="Ask for a later window, or by hour or day of the shop."
    )


def _since_ms(scope: Scope, cube: Cube) -> int | None:
    """Return from when on the cube holds everything of the window, None when it holds all of it."""
    since_ms = scope.columns.cube_since_ms(cube.name)
    begin_ms = scope.window.from_ms
    return None if since_ms is None or (begin_ms is not None and begin_ms >= since_ms) else since_ms


def first_and_last_ms(scope: Scope, event_types: Sequence[str]) -> tuple[int, int] | None:
    """Return the first and last bucket of the window that holds events of these types; None without any."""
    name = "shop_minute" if scope.grain == "minute" else "shop_quarter"
    length = MINUTE_MS if scope.grain == "minute" else QUARTER_MS
    buckets = scope.columns.cells(name, scope.shop.shop_id, scope.window.from_ms, scope.window.to_ms).filter(
        pl.col("event_type").is_in(list(event_types)) & _overlaps(scope, length)
    )
    if not buckets.height:
        return None
    found = buckets.get_column("bucket")
    first, last = int(found.min()), int(found.max())  # type: ignore[arg-type] # not empty, integers
    start = scope.window.from_ms
    return (first if start is None else max(first, start)), last


def _overlaps(scope: Scope, length_ms: int) -> pl.Expr:
    condition = pl.lit(True)
    if scope.window.from_ms is not None:
        condition &= pl.col("bucket") + length_ms > scope.window.from_ms
    if scope.window.to_ms is not None:
        condition &= pl.col("bucket") < scope.window.to_ms
    return condition


def _needs(dims: frozenset[str], measure: Measure) -> frozenset[str]:
    """Return the dimensions that a cube must have for those asked for; a content's record names its creator."""
    needs = dims if measure.atoms is None else dims | {"atom"}
    return needs - {"creator"} if "content" in needs else needs


def _able(needs: frozenset[str], grain: TimeGrain | None, measure: Measure) -> Iterator[Cube]:
    """Yield the cubes that hold these dimensions, best first: kept long, few dimensions too many, coarse."""

    def cost(cube: Cube) -> tuple[bool, int, int]:
        return cube.keep != "hot_days", len(cube.dims), _FINENESS[cube.grain]

    for cube in sorted(CUBES, key=cost):
        holds = needs <= set(cube.dims) and (PARTIAL_DIMS & set(cube.dims)) <= needs
        if (
            holds
            and cube.sketch != "theta"
            and measure.column in cube.event_types
            and _FINENESS[cube.grain] >= _NEEDED[grain]
            and not (measure.people and cube.lg_k is None)
        ):
            yield cube


def _fits(scope: Scope, cube: Cube) -> bool:
    """Return whether the window ends between buckets; an end that is still to come cuts nothing that is known."""
    window = scope.window
    if window.unit == "stream":
        # What a LIVE brought is kept by day: its own id bounds it, and its days count whole.
        return True
    edges = [edge for edge in window.edges if edge == window.from_ms or edge <= scope.now_ms]
    if cube.grain is Grain.DAY:
        calendar = scope.calendar
        return all(calendar.day_start_ms(calendar.day_of(edge)) == edge for edge in edges)
    length = QUARTER_MS if cube.grain is Grain.QUARTER else MINUTE_MS
    return all(edge % length == 0 for edge in edges)


def _is_whole(scope: Scope, measure: Measure, cube: Cube) -> bool:
    """Return whether a cube of short retention still holds every event of the window's whole quarter hours."""
    condition = pl.col("event_type") == measure.column
    if scope.window.from_ms is not None:
        condition &= pl.col("bucket") >= -(-scope.window.from_ms // QUARTER_MS) * QUARTER_MS
    if scope.window.to_ms is not None:
        condition &= pl.col("bucket") < scope.window.to_ms // QUARTER_MS * QUARTER_MS
    shop_id = scope.shop.shop_id
    fine, coarse = (
        scope.columns.cells(name, shop_id, scope.window.from_ms, scope.window.to_ms)
        .filter(condition)
        .get_column("count")
        .sum()
        for name in (cube.name, "shop_quarter")
    )
    return bool(fine == coarse)


def cells_in_scope(scope: Scope, measure: Measure, cube: Cube) -> pl.DataFrame:
    """Return slot, count, keyed, day, time and dimensions of the cells in scope.

    Raises:
        QueryError: `no_detail_before` where old days were kept without the format and owner that are asked for,
            `no_cube` where a creator's traffic cannot be told from that of contents whose creator no record names.
    """
    window = scope.window
    cells = scope.columns.cells(cube.name, scope.shop.shop_id, window.from_ms, window.to_ms)
    cells = with_variants(scope, cells, "content")
    condition = pl.col("event_type") == measure.column
    if "variant" in scope.names:
        condition &= pl.col("variant").is_not_null()
    calendar = scope.calendar
    if cube.grain is Grain.DAY:
        if window.from_ms is not None:
            condition &= pl.col("bucket") >= calendar.day_of(window.from_ms)
        if window.to_ms is not None:
            condition &= pl.col("bucket") <= calendar.day_of(window.to_ms - 1)
    else:
        condition &= scope.in_window("bucket")
    wanted = [atoms for atoms in (scope.atoms(), measure.atoms) if atoms is not None]
    if wanted and "atom" in cube.dims:
        of_them = pl.col("atom").is_in(sorted(frozenset.intersection(*wanted)))
        # Null in days that were written down before the cube had it.
        condition &= of_them | pl.col("atom").is_null() if cells.get_column("atom").null_count() else of_them
    by_record = "creator" in scope.needs and "creator" not in cube.dims
    for dim, value in scope.where:
        if dim not in CLOSED and not (by_record and dim == "creator"):
            condition &= pl.col(dim) == value
    cells = cells.filter(condition)
    buckets = cells.get_column("bucket").to_numpy()
    if cube.grain is Grain.DAY:
        days = buckets
        found, places = np.unique(days, return_inverse=True)
        at_ms = np.array([calendar.day_start_ms(day) for day in found.tolist()], dtype=np.int64)[places]
    else:
        days, at_ms = calendar.days_of(buckets), buckets
    cells = cells.with_columns(pl.Series(TIME, scope.time_of(at_ms)), pl.Series("day", days.astype(np.int64)))
    if scope.days is not None:
        cells = cells.filter(pl.col("day").is_in(sorted(scope.days)))
    if "atom" in scope.needs and cells.get_column("atom").null_count():
        raise _no_atom_then(cells)
    return of_creators(scope, cells) if by_record else cells


def _no_atom_then(cells: pl.DataFrame) -> QueryError:
    """Name the last day of which a LIVE's or video's traffic is kept without the atom."""
    last = day_label(int(cells.filter(pl.col("atom").is_null()).get_column("day").max()))  # type: ignore[arg-type] # not empty, integers
    what = f"Up to {last} the traffic of a LIVE or video was written down without its format and owner."
    mend = f"Ask for days after {last}, or without slice, leaf and owner."
    return QueryError(what, reason="no_detail_before", mend=mend)


def _words(scope: Scope) -> set[str]:
    return {*scope.by, *(dim for dim, _ in scope.where)}


def _no_cube(scope: Scope, measure: Measure, metric: str) -> QueryError:
    """Name the nearest `by` that a cube answers: fewest dimensions dropped, then time or SKU made coarser."""
    asked = scope.by
    filters = ", ".join(f"{dim}={value}" for dim, value in scope.where)
    found = next((by for by in _nearer(asked) if _answers(scope, by, measure)), None)
    what = f"No cube keeps {metric} by {', '.join(asked) or 'shop'}{' where ' + filters if filters else ''}."
    if found is None:
        mend = "Leave the filter out."
    else:
        mend = f"The nearest that works is by={','.join(found)}." if found else "Without `by` it works."
    return QueryError(what, reason="no_cube", mend=mend)


def _nearer(by: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    coarser = {"minute": ("hour", "day"), "hour": ("day",), "sku": ("product",)}
    for size in range(len(by), -1, -1):
        for kept in itertools.combinations(by, size):
            yield kept
            for dim in kept:
                for other in coarser.get(dim, ()):
                    if other not in kept:
                        yield tuple(other if name == dim else name for name in kept)


def _answers(scope: Scope, by: tuple[str, ...], measure: Measure) -> bool:
    dims = {*by, *(dim for dim, _ in scope.where)} - set(GRAINS)
    grain: TimeGrain | None = "minute" if "minute" in by else "hour" if "hour" in by else None
    needs = dataclasses.replace(scope, by=(), where=tuple((dim, "") for dim in dims)).needs
    return next(_able(_needs(needs, measure), grain, measure), None) is not None
