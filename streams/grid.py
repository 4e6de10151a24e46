"""Grids of time: the months, weeks, days, hours and minutes that the rows of a series are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from streams.days import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS, BusinessCalendar, day_label
from streams.errors import QueryError
from streams.periods import SUNDAY, Days, month_of, week_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

TimeGrain = Literal["month", "week", "day", "hour", "minute"]
GRAINS: Final[tuple[TimeGrain, ...]] = ("month", "week", "day", "hour", "minute")
"""Dimensions of time, coarsest first."""

SPANS_OF_DAYS: Final = frozenset({"month", "week", "day"})
"""Grains whose rows are whole business days."""

MAX_ROWS: Final = 1_000_000
"""A series longer than this is refused: it would be asked for by mistake, and hold the board up."""

_LENGTH_MS: Final[dict[TimeGrain, int]] = {
    "month": 28 * DAY_MS,
    "week": 7 * DAY_MS,
    "day": DAY_MS,
    "hour": HOUR_MS,
    "minute": MINUTE_MS,
}


def starts(
    calendar: BusinessCalendar, grain: TimeGrain, first_ms: int, last_ms: int, *, week_start: int = SUNDAY
) -> NDArray[np.int64]:
    """Return the starts of every month, week, day, hour or minute from the one that holds `first_ms` to `last_ms`'s.

    Raises:
        QueryError: `too_many_rows`.
    """
    if (last_ms - first_ms) // _LENGTH_MS[grain] > MAX_ROWS:
        what = f"By {grain} that window has more than {MAX_ROWS:,} rows."
        raise QueryError(what, reason="too_many_rows", mend="Ask for a shorter window or a coarser grain.")
    if grain == "minute":
        low = first_ms // MINUTE_MS * MINUTE_MS
        return np.arange(low, last_ms + 1, MINUTE_MS, dtype=np.int64)
    first_day, last_day = calendar.day_of(first_ms), calendar.day_of(last_ms)
    if grain in SPANS_OF_DAYS:
        found = []
        day = days_of(grain, first_day, week_start)[0]
        while day <= last_day:
            found.append(calendar.day_start_ms(day))
            day = days_of(grain, day, week_start)[1] + 1
        return np.array(found, dtype=np.int64)
    days = [calendar.day_start_ms(day) for day in range(first_day, last_day + 2)]
    hours: list[int] = []
    for start, end in itertools.pairwise(days):
        if end - start == DAY_MS:
            hours.extend(range(start, end, HOUR_MS))
        else:
            # The clock changes on this day: ask quarter hour by quarter hour, since a change may be half an hour.
            hours.extend(
                sorted({max(start, calendar.hour_start_ms(at)) for at in range(start, end, QUARTER_MS)})
            )
    grid = np.array(hours, dtype=np.int64)
    begin = int(np.searchsorted(grid, first_ms, side="right")) - 1
    stop = int(np.searchsorted(grid, last_ms, side="right"))
    return grid[begin:stop]


def days_of(grain: TimeGrain, day: int, week_start: int) -> Days:
    """Return first and last day of the month, week or day that holds a day."""
    if grain == "month":
        return month_of(day)
    return week_of(day, week_start) if grain == "week" else (day, day)


def labels(
    calendar: BusinessCalendar, grain: TimeGrain, at_ms: Sequence[int], *, week_start: int = SUNDAY
) -> list[str]:
    """Return months, weeks (by their first day), days, hours or minutes as a person and the API read them."""
    if grain in SPANS_OF_DAYS:
        firsts = (day_label(days_of(grain, calendar.day_of(at), week_start)[0]) for at in at_ms)
        return [first[: len("2011-11")] for first in firsts] if grain == "month" else list(firsts)
    return [calendar.hour_label(at) if grain == "hour" else calendar.minute_label(at) for at in at_ms]


def end_of(calendar: BusinessCalendar, grain: TimeGrain, start_ms: int, *, week_start: int = SUNDAY) -> int:
    """Return the first instant after the month, week, day, hour or minute that starts at `start_ms`."""
    if grain in SPANS_OF_DAYS:
        return calendar.day_start_ms(days_of(grain, calendar.day_of(start_ms), week_start)[1] + 1)
    return start_ms + (HOUR_MS if grain == "hour" else MINUTE_MS)
