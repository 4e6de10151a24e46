"""Recorded time: how fast it passes, and how it is moved to another day."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from streams.days import BusinessCalendar

if TYPE_CHECKING:
    from collections.abc import Callable

_TIME: Final = re.compile(rb'("[A-Za-z0-9_]*_ms"\s*:\s*)(\d{1,18})(?![\d.eE])')
_DATE: Final = re.compile(rb'("(?:date|reference)"\s*:\s*")(\d{4}-\d\d-\d\d)(?=")')


@dataclass(frozen=True, slots=True)
class Shift:
    """Moves every time of a record by a fixed span; the empty shift changes nothing.

    Times are the integers of fields that end in `_ms` (the wire has no others), at any depth, and the dates of a
    campaign's plan and reference. A quote inside a JSON string is escaped, so a pattern of a quoted name and a colon
    can only be a field; what is not JSON stays as broken as it was.

    Attributes:
        by_ms: added to every instant.
        days: added to every date.
    """

    by_ms: int = 0
    days: int = 0

    def __bool__(self) -> bool:
        return bool(self.by_ms or self.days)

    def instant(self, at_ms: int) -> int:
        """Return a moved instant; 0, which means "not said", stays 0."""
        return at_ms + self.by_ms if at_ms else 0

    def value(self, value: bytes) -> bytes:
        """Return a record's value with every time moved."""
        moved = _TIME.sub(lambda m: m[1] + str(int(m[2]) + self.by_ms).encode(), value)
        if self.days and (b'"date"' in moved or b'"reference"' in moved):
            moved = _DATE.sub(self._date, moved)
        return moved

    def _date(self, match: re.Match[bytes]) -> bytes:
        try:
            day = dt.date.fromisoformat(match[2].decode())
        except ValueError:
            return match[0]
        return match[1] + (day + dt.timedelta(days=self.days)).isoformat().encode()


def shift_to_day(last_ms: int, *, today_ms: int, timezone: str) -> Shift:
    """Return the shift that puts the local day of `last_ms` on the local day of `today_ms`.

    Local midnights are laid on each other, so hours of the day agree unless a clock change lies between.
    """
    calendar = BusinessCalendar(timezone)
    recorded, today = calendar.day_of(last_ms), calendar.day_of(today_ms)
    return Shift(calendar.day_start_ms(today) - calendar.day_start_ms(recorded), today - recorded)


def parse_speed(text: str) -> float | None:
    """Return a speed such as `60x`, `0.5x` or `600` as a factor; `max` is None.

    Raises:
        ValueError: neither a positive number nor `max`.
    """
    cleaned = text.strip().lower()
    if cleaned == "max":
        return None
    try:
        speed = float(cleaned.removesuffix("x"))
    except ValueError:
        speed = math.nan
    if not (math.isfinite(speed) and speed > 0):
        what = f"speed {text!r} is neither a positive factor such as 60x nor max"
        raise ValueError(what)
    return speed


def local_instant_ms(text: str, timezone: str) -> int:
    """Return an instant from ms since the epoch, or from local time such as 2011-11-25T08:00.

    Raises:
        ValueError: it is neither.
    """
    if text.isdecimal():
        return int(text)
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        what = f"{text!r} is no time"
        raise ValueError(what) from None
    return int((at if at.tzinfo else at.replace(tzinfo=ZoneInfo(timezone))).timestamp() * 1000)


class Pace:
    """Recorded time as a function of the wall: starts at `from_ms` and passes `speed` times as fast.

    Args:
        from_ms: recorded time at the start.
        speed: factor, > 0; None is as fast as possible: everything is due at once.
        wall_s: a monotonic clock in seconds.
    """

    def __init__(self, from_ms: int, speed: float | None, wall_s: Callable[[], float]) -> None:
        self._from_ms = from_ms
        self._speed = speed
        self._wall_s = wall_s
        self._started_s = wall_s()

    def now_ms(self) -> float:
        """Return the recorded time that has come; infinite at top speed."""
        if self._speed is None:
            return math.inf
        return self._from_ms + (self._wall_s() - self._started_s) * 1000 * self._speed

    def wait_s(self, until_ms: int) -> float:
        """Return how long the wall must wait until a recorded time comes, >= 0."""
        if self._speed is None:
            return 0.0
        return max(0.0, (until_ms - self.now_ms()) / 1000 / self._speed)
