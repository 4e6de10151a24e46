"""The shape of the day: how much faster than on average a shop sells in each hour of its local day.

A shape turns clock time into *shape-hours*: an hour that usually sells twice the average counts as two. Speeds per
shape-hour can then be compared between the small hours and prime time.

Source: spec/metrics.md sell_velocity ("with time-of-day shape"); ADR-0007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from streams.days import HOUR_MS, BusinessCalendar

if TYPE_CHECKING:
    from numpy.typing import NDArray

Basis = Literal["reference", "own", "flat"]

MIN_UNITS: Final = 240
"""Units below which the hours of a day say more about chance than about its shape: the shape is flat then."""

FLOOR: Final = 0.05
"""Least weight of an hour: an hour without a sale on earlier days must not make a sale in it count as infinite."""


@dataclass(frozen=True, slots=True)
class DayShape:
    """Weights of the 24 local hours, with mean 1.

    Attributes:
        weights: by local hour, each at least about `FLOOR`.
        basis: where they come from: the campaign's reference day, the shop's own earlier days, or nothing (flat).
        timezone: IANA zone of the hours.
    """

    weights: tuple[float, ...]
    basis: Basis
    timezone: str

    def levels(self, edges_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weight of each bin between neighbouring edges, which lie at most an hour apart.

        A bin that straddles two local hours takes the hour in which it starts.
        """
        if self.basis == "flat":
            return np.ones(len(edges_ms) - 1)
        return np.asarray(self.weights)[local_hours(edges_ms[:-1], self.timezone)]


def local_hours(at_ms: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Return the hour of the local day, 0 to 23, of every instant of a sorted column; clock changes included."""
    if not len(at_ms):
        return np.empty(0, dtype=np.int64)
    calendar = BusinessCalendar(timezone)
    first, last = calendar.offset_ms(int(at_ms[0])), calendar.offset_ms(int(at_ms[-1]))
    # Offsets are looked up one by one only when the clock changes inside the column.
    offsets: NDArray[np.int64] | int = first
    if first != last:
        offsets = np.array([calendar.offset_ms(int(at)) for at in at_ms], dtype=np.int64)
    return (at_ms + offsets) // HOUR_MS % 24


def flat(timezone: str) -> DayShape:
    """Return the shape that knows nothing: every hour counts as one."""
    return DayShape((1.0,) * 24, "flat", timezone)


def shape_of(
    units_by_hour: NDArray[np.float64], hours_seen: NDArray[np.float64], basis: Basis, timezone: str
) -> DayShape:
    """Return the shape of a day; flat below `MIN_UNITS`.

    Args:
        units_by_hour: units of each of the 24 local hours, summed over days.
        hours_seen: over how many days each hour was seen: the shop's first day may have begun at noon. An hour never
            seen counts as the mean.
        basis: where the units come from.
        timezone: of the hours.
    """
    seen = hours_seen > 0
    if units_by_hour[seen].sum() < MIN_UNITS:
        return flat(timezone)
    means = units_by_hour[seen] / hours_seen[seen]
    weights = np.ones(24)
    weights[seen] = (1 - FLOOR) * means / means.mean() + FLOOR
    return DayShape(tuple(float(weight) for weight in weights), basis, timezone)
