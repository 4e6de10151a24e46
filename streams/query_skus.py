"""How much of the traffic names a SKU: what figures by SKU leave out.

A click or a press of add-to-cart may name a SKU (spec/events.md). One that names none is in no SKU's row, as a click
without creator is in no creator's; but orders name their SKU always, so a rate of the two needs to say how many clicks
it is divided by: the answer's coverage. Where no event names one, nothing can be said, and that is no zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from streams.formulas import measures_of
from streams.measures import Frame
from streams.query_traffic import choose_cube, count_values, traffic_values
from streams.ready_made import ready_made_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.metric import Metric
    from streams.scope import Scope

_SKU: Final = frozenset({"sku"})


@dataclass(frozen=True, slots=True)
class Named:
    """How much of one kind of traffic names a SKU.

    Attributes:
        share: the part of the events, of all SKUs and of none together, that name one.
        keys: the scope's key columns without the SKU.
        rows: these, and `nameless`: there are events, and none of them names a SKU.
    """

    share: float
    keys: list[str]
    rows: pl.DataFrame


def named_events(scope: Scope, metric: Metric) -> Iterator[Named]:
    """Yield for each kind of traffic in a metric how much of it names a SKU; nothing of a question without SKUs.

    Args:
        scope: by SKU or of one, which a cube answers.
        metric: of traffic that may name one.
    """
    if "sku" not in scope.needs:
        return
    whole, keys = scope.without(_SKU), list(scope.without(_SKU).keys)
    for measure in measures_of(metric.formula):
        if measure.frame is not Frame.TRAFFIC:
            continue
        seen = [traffic_values(whole, measure, metric.id).values]
        # Ready-made counts never name a SKU.
        made = ready_made_values(whole, measure)
        if made is not None:
            seen.append(made)
        named = count_values(whole, measure, choose_cube(scope, measure, metric.id))
        parts = [part.select(*keys, pl.col("value").alias("seen"), named=0) for part in seen]
        parts.append(named.select(*keys, seen=0, named=pl.col("value")))
        sums = pl.concat(parts, how="vertical_relaxed").group_by(keys).agg(pl.col("seen", "named").sum())
        events = int(sums.get_column("seen").sum())
        if events:
            nameless = (pl.col("seen") > 0) & (pl.col("named") == 0)
            share = int(sums.get_column("named").sum()) / events
            yield Named(share, keys, sums.select(*keys, nameless=nameless))
