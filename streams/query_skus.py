"""How much of the traffic names a SKU: what figures by SKU leave out.

A click or a press of add-to-cart may name a SKU (spec/events.md). One that names none is in no SKU's row, as a click
without creator is in no creator's; but orders name their SKU always, so a rate of the two needs to say how many clicks
it is divided by: the answer's coverage. Where no event names one, nothing can be said, and that is no zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from streams.query_traffic import choose_cube, count_values, traffic_values
from streams.ready_made import ready_made_values

if TYPE_CHECKING:
    from streams.measures import Measure
    from streams.scope import Scope

_SKU: Final = frozenset({"sku"})


@dataclass(frozen=True, slots=True)
class Named:
    """Events of all SKUs together.

    Attributes:
        keys: the scope's key columns without the SKU.
        values: these, `seen` events and `named` ones among them that name a SKU; Int64, not null.
    """

    keys: list[str]
    values: pl.DataFrame

    @property
    def share(self) -> float | None:
        """The part of the events that name a SKU; None without any event."""
        seen = int(self.values.get_column("seen").sum())
        return int(self.values.get_column("named").sum()) / seen if seen else None


def named_events(scope: Scope, measure: Measure, metric: str) -> Named:
    """Return how many events there are in scope whatever their SKU, and how many of them name one.

    Args:
        scope: by SKU or of one, which a cube answers.
        measure: over traffic, not of people.
        metric: whose part it is, for the message of a refusal.
    """
    whole, keys = scope.without(_SKU), list(scope.without(_SKU).keys)
    seen = [traffic_values(whole, measure, metric).values]
    # Ready-made counts never name a SKU.
    made = ready_made_values(whole, measure)
    if made is not None:
        seen.append(made)
    named = count_values(whole, measure, choose_cube(scope, measure, metric))
    parts = [part.select(*keys, pl.col("value").alias("seen"), named=0) for part in seen]
    parts.append(named.select(*keys, seen=0, named=pl.col("value")))
    values = pl.concat(parts, how="vertical_relaxed").group_by(keys).agg(pl.col("seen", "named").sum())
    return Named(keys, values)
