"""The shape of the day: how much faster than on average a shop sells in each hour of its local day and week.

A shape turns clock time into *shape-hours*: an hour that usually sells twice the average counts as two. Speeds per
shape-hour can then be compared between the small hours and prime time.

Source: spec/metrics.md sell_velocity ("with time-of-day shape"); ADR-0007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from streams.days import DAY_MS, HOUR_MS, BusinessCalendar

if TYPE_CHECKING:
    from numpy.typing import NDArray

Basis = Literal["reference", "own", "flat"]

MIN_SALES: Final = 240
"""Sales below which the hours of a day say more about chance than about its shape: the shape is flat then."""

WEEKDAYS: Final = 7
MIN_WEEKS: Final = 2
"""Whole weeks that must have been seen before one day of the week is told from another."""

WEEKDAY_PRIOR_DAYS: Final = 0.01
"""A day of the week is drawn to the mean day by so many days: a shop that never sells on Saturdays is believed."""

FLOOR: Final = 0.05
"""Least weight of an hour: an hour without a sale on earlier days must not make a sale in it count as infinite."""


_EPOCH_WEEKDAY: Final = 3
"""1 January 1970 was a Thursday."""


@dataclass(frozen=True, slots=True)
class DayShape:
    """Weights of the 24 local hours and of the days of the week, each with mean 1.

    Attributes:
        weights: by local hour, each at least about `FLOOR`.
        basis: where they come from: the campaign's reference day, the shop's own earlier days, or nothing (flat).
        timezone: IANA zone of the hours.
    """

    weights: tuple[float, ...]
    basis: Basis
    timezone: str
    weekdays: tuple[float, ...] = (1.0,) * WEEKDAYS
    """By day of the week from Monday on, each at least about `FLOOR`."""

    def levels(self, edges_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weight of each bin between neighbouring edges, which lie at most an hour apart.

        A bin that straddles two local hours takes the hour in which it starts.
        """
        if self.basis == "flat":
            return np.ones(len(edges_ms) - 1)
        local = _local_ms(edges_ms[:-1], self.timezone)
        hours = np.asarray(self.weights)[local // HOUR_MS % 24]
        return np.asarray(hours * np.asarray(self.weekdays)[(local // DAY_MS + _EPOCH_WEEKDAY) % WEEKDAYS])


def local_hours(at_ms: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Return the hour of the local day, 0 to 23, of every instant of a column; clock changes included."""
    return _local_ms(at_ms, timezone) // HOUR_MS % 24


def _local_ms(at_ms: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Return the shop's clock at every instant of a column, as milliseconds that know no zone."""
    if not len(at_ms):
        return np.empty(0, dtype=np.int64)
    calendar = BusinessCalendar(timezone)
    days, places = np.unique(at_ms // DAY_MS, return_inverse=True)
    before, after = (
        np.array([calendar.offset_ms(day * DAY_MS) for day in each.tolist()]) for each in (days, days + 1)
    )
    offsets = before[places]
    # One by one they are looked up only on a day on which the clock changes.
    for place in np.flatnonzero((before != after)[places]).tolist():
        offsets[place] = calendar.offset_ms(int(at_ms[place]))
    return np.asarray(at_ms + offsets)


def flat(timezone: str) -> DayShape:
    """Return the shape that knows nothing: every hour counts as one."""
    return DayShape((1.0,) * 24, "flat", timezone)


def shape_of(
    sales_by_hour: NDArray[np.float64],
    hours_seen: NDArray[np.float64],
    basis: Basis,
    timezone: str,
    weekdays: tuple[float, ...] = (1.0,) * WEEKDAYS,
) -> DayShape:
    """Return the shape of a day; flat below `MIN_SALES`.

    Args:
        sales_by_hour: order lines of each of the 24 local hours, summed over days. Lines and not units: one customer
            of a thousand units is no rush hour.
        hours_seen: over how many days each hour was seen: the shop's first day may have begun at noon. An hour never
            seen counts as the mean.
        basis: where the sales come from.
        timezone: of the hours.
        weekdays: as `weekday_weights` gives them.
    """
    seen = hours_seen > 0
    if sales_by_hour[seen].sum() < MIN_SALES:
        return flat(timezone)
    means = sales_by_hour[seen] / hours_seen[seen]
    weights = np.ones(24)
    weights[seen] = (1 - FLOOR) * means / means.mean() + FLOOR
    return DayShape(tuple(float(weight) for weight in weights), basis, timezone, weekdays)


def weekday_weights(first_day: int, sales_by_day: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the weights of Monday to Sunday; all 1 below `MIN_WEEKS` weeks.

    Args:
        first_day: ordinal of the first day (1 is a Monday).
        sales_by_day: order lines of whole days one after another.
    """
    total = sales_by_day.sum()
    if len(sales_by_day) < MIN_WEEKS * WEEKDAYS or total < MIN_SALES:
        return (1.0,) * WEEKDAYS
    weekday = (np.arange(len(sales_by_day)) + first_day - 1) % WEEKDAYS
    days = np.bincount(weekday, minlength=WEEKDAYS)
    sold = np.bincount(weekday, weights=sales_by_day, minlength=WEEKDAYS) / (total / len(sales_by_day))
    weights = (sold + WEEKDAY_PRIOR_DAYS) / (days + WEEKDAY_PRIOR_DAYS)
    weights = (1 - FLOOR) * weights / weights.mean() + FLOOR
    return tuple(float(weight) for weight in weights)
