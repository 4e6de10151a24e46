"""The shop's calendar: business days of 23 to 25 hours, hours with their offset, buckets of time.

A business day is a date in the shop's IANA zone, from local midnight to the next (X-20). Bucket boundaries are integers
of milliseconds since the epoch, UTC. Quarter hours and minutes are aligned to the epoch: every zone's offset since 2000
is a multiple of 15 minutes, so no quarter hour straddles a local midnight or hour.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MINUTE_MS: Final = 60_000
QUARTER_MS: Final = 15 * MINUTE_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
EARLIEST_MS: Final = 946_684_800_000
"""2000-01-01T00:00Z; what claims to have occurred before is `rejected_time`."""


class BusinessCalendar:
    """Convert between instants and the days and hours of one zone.

    Day boundaries are computed once per day and kept; a lookup over a column is a binary search.
    Days are `datetime.date.toordinal()` integers inside the core, and ISO dates wherever a person reads them.
    """

    def __init__(self, timezone: str) -> None:
        self.timezone = timezone
        self._zone = ZoneInfo(timezone)
        self._first_day = 0
        self._starts_ms: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def day_start_ms(self, day: int) -> int:
        """Return the instant of local midnight that begins `day` (an ordinal).

        Where midnight does not exist (a zone that springs forward at 00:00), the first instant of the day.
        """
        midnight = dt.datetime.combine(dt.date.fromordinal(day), dt.time(), self._zone)
        start = int(midnight.timestamp()) * 1000
        before = self._local(start - 1)
        if before.toordinal() >= day:
            # Midnight falls into a gap: step to the transition, found to the quarter hour by its alignment.
            while self._local(start - QUARTER_MS).toordinal() >= day:
                start -= QUARTER_MS
        while self._local(start).toordinal() < day:
            start += QUARTER_MS
        return start

    def day_of(self, at_ms: int) -> int:
        """Return the business day, as an ordinal, that holds the instant."""
        return self._local(at_ms).toordinal()

    def days_of(self, at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the business day of every instant of a column; empty in, empty out."""
        if not len(at_ms):
            return np.empty(0, dtype=np.int64)
        self._cover(int(at_ms.min()), int(at_ms.max()))
        return self._first_day + np.searchsorted(self._starts_ms, at_ms, side="right") - 1

    def offset_ms(self, at_ms: int) -> int:
        """Return the zone's offset from UTC at an instant, in milliseconds."""
        offset = self._local(at_ms).utcoffset()
        return int(offset.total_seconds() * 1000) if offset is not None else 0

    def hour_start_ms(self, at_ms: int) -> int:
        """Return the start of the local hour; the repeated hour of a clock change is two hours.

        Where the clocks change by half an hour (Lord Howe), the hour of the new offset begins at the change.
        """
        offset = self.offset_ms(at_ms)
        start = (at_ms + offset) // HOUR_MS * HOUR_MS - offset
        while self.offset_ms(start) != offset:
            start += QUARTER_MS
        return start

    def hour_label(self, start_ms: int) -> str:
        """Return an hour as a person and the API read it, for example `2011-11-25T14+00:00`."""
        local = self._local(start_ms)
        return f"{local:%Y-%m-%dT%H}{_offset_text(local)}"

    def minute_label(self, start_ms: int) -> str:
        """Return a minute with its offset, for example `2011-11-25T14:05+00:00`."""
        local = self._local(start_ms)
        return f"{local:%Y-%m-%dT%H:%M}{_offset_text(local)}"

    def _local(self, at_ms: int) -> dt.datetime:
        return dt.datetime.fromtimestamp(at_ms / 1000, self._zone)

    def _cover(self, low_ms: int, high_ms: int) -> None:
        """Extend the table of day starts so that it brackets both instants."""
        if len(self._starts_ms) and self._starts_ms[0] <= low_ms and high_ms < self._starts_ms[-1]:
            return
        low_day, high_day = self.day_of(low_ms) - 1, self.day_of(high_ms) + 2
        if len(self._starts_ms):
            low_day = min(low_day, self._first_day)
            high_day = max(high_day, self._first_day + len(self._starts_ms) - 1)
        self._first_day = low_day
        self._starts_ms = np.array(
            [self.day_start_ms(day) for day in range(low_day, high_day + 1)], dtype=np.int64
        )


def day_label(day: int) -> str:
    """Return a business day as ISO text, for example `2011-11-25`."""
    return dt.date.fromordinal(day).isoformat()


def parse_day(text: str) -> int:
    """Return the ordinal of an ISO date.

    Raises:
        ValueError: the text is not a date of the form 2011-11-25.
    """
    return dt.date.fromisoformat(text).toordinal()


def _offset_text(local: dt.datetime) -> str:
    text = f"{local:%z}"
    return f"{text[:3]}:{text[3:5]}"
