"""The order of rows and their places, greatest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from streams.demand import DemandFlag
from streams.errors import QueryError
from streams.stock_frame import WORST_FIRST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.formulas import Rank

_TEXT_RANK: Final = (*map(str, WORST_FIRST), *map(str, DemandFlag))
"""What is text is sorted by this, first on top: the worst stock status, high demand."""


class First(NamedTuple):
    """Which rows of an answer are wanted: so many by a metric, or by name where it is empty; limit None: all."""

    sort: str
    limit: int | None


def order_of(
    values: Sequence[Any] | None, height: int, limit: int | None, *, places: bool = False
) -> list[int]:
    """Return row numbers, those of the greatest values first, of places the first; without values as they stand.

    Text goes by `_TEXT_RANK`, null last; equals keep their order.

    Args:
        values: of each row.
        height: number of rows.
        limit: most rows; None: all.
        places: the values are places: 1 is on top.
    """
    order = list(range(height))
    if values is not None and places:
        values = [None if value is None else -value for value in values]
    if values is not None:
        figures = None if None in values else np.array(values)
        if figures is not None and figures.dtype.kind in "if":
            order = np.argsort(-figures, kind="stable").tolist()
        else:
            order.sort(key=lambda index: _descending(values[index]))
    return order if limit is None else order[:limit]


def _descending(value: Any) -> tuple[bool, float]:
    if value is None:
        return True, 0.0
    if isinstance(value, str):
        return False, float(_TEXT_RANK.index(value) if value in _TEXT_RANK else len(_TEXT_RANK))
    return False, -value


def places(
    metric_id: str,
    formula: Rank,
    names: Mapping[str, Sequence[Any]],
    times: Sequence[int],
    figures: Sequence[Sequence[Any]],
) -> list[int | None]:
    """Return places, 1 first, among rows that differ in the ranked dimension alone; None for a row without a place.

    Args:
        metric_id: for the message of a refusal.
        formula: what is ranked among what.
        names: by dimension of the rows, its value in each of them.
        times: start of each row's time.
        figures: what is ranked by, one after the other, in each row.

    Raises:
        QueryError: `needs_dimension` when the rows have nothing to rank.
    """
    among = next((dims for dims in (formula.among, formula.otherwise) if names.keys() & set(dims)), None)
    if among is None:
        what = f"{metric_id} ranks rows, and the question names none to rank."
        mend = f"Ask by={' or by='.join((*formula.among, *formula.otherwise))}."
        raise QueryError(what, reason="needs_dimension", mend=mend)
    keys = list(zip(*names.values(), strict=True))
    apart = [index for index, dim in enumerate(names) if dim not in among]
    # The slice that holds the others is no rival of theirs; a product or creator may be called anything.
    whole = [index for index, dim in enumerate(names) if dim == "slice" and dim in among]
    rows: dict[tuple[Any, ...], list[int]] = {}
    for index, values in enumerate(zip(*figures, strict=True)):
        if values[0] and all(keys[index][at] != "all" for at in whole):
            rows.setdefault((times[index], *(keys[index][at] for at in apart)), []).append(index)
    found: dict[int, int] = {}
    for group in rows.values():
        group.sort(key=lambda index: (*(-(column[index] or 0) for column in figures), keys[index]))
        found |= {index: place for place, index in enumerate(group, start=1)}
    return [found.get(index) for index in range(len(times))]
