"""Which instant of an earlier time stands beside one of a window: by day and hour of the shop's clock, or by distance.

Source: X-22, X-80: a reference is aligned by campaign day and shop hour, on days of 23 and 25 hours too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.days import DAY_MS, QUARTER_MS
from streams.periods import months_before

if TYPE_CHECKING:
    from streams.days import BusinessCalendar


@dataclass(frozen=True, slots=True)
class Alignment:
    """Lay an earlier time beside a window; one of the three distances is not 0, or the two are the same time.

    Attributes:
        own, other: calendars of both sides; a recording may have another zone.
        days: business days from the other side to the own one.
        months: calendar months likewise; a day that the other month does not have stands beside nothing.
        shift_ms: milliseconds likewise, whatever the clock shows.
    """

    own: BusinessCalendar
    other: BusinessCalendar
    days: int = 0
    months: int = 0
    shift_ms: int = 0

    def other_of(self, own_ms: int) -> int | None:
        """Return what stands beside an instant of the window; None where the other clock never shows it."""
        if self.shift_ms:
            return own_ms - self.shift_ms
        day = self._day(self.own.day_of(own_ms), back=True)
        return None if day is None else _same_clock(self.own, own_ms, self.other, day)

    def own_of(self, other_ms: int) -> int | None:
        """Return the instant of the window beside which one of the other side stands; None where there is none."""
        if self.shift_ms:
            return other_ms + self.shift_ms
        day = self._day(self.other.day_of(other_ms), back=False)
        return None if day is None else _same_clock(self.other, other_ms, self.own, day)

    def other_edge(self, own_ms: int) -> int:
        """Return where the other side ends when the window ends at an instant: never None.

        Where the clock leaves the time out, the end of what it leaves out; where the month is over, its end.
        """
        if self.shift_ms:
            return own_ms - self.shift_ms
        own_day = last = self.own.day_of(own_ms)
        while (day := self._day(last, back=True)) is None:
            last -= 1
        if last < own_day:
            return self.other.day_start_ms(day + 1)
        found = _same_clock(self.own, own_ms, self.other, day)
        if found is not None:
            return found
        wall = _wall(self.own, own_ms)
        at_ms, end_ms = self.other.day_start_ms(day), self.other.day_start_ms(day + 1)
        while at_ms < end_ms and _wall(self.other, at_ms) < wall:
            at_ms += QUARTER_MS
        return at_ms

    def own_edge(self, own_ms: int) -> int:
        """Return where the window ends so that both sides hold the same days, at most `own_ms`.

        On 30 March with February beside it, the end of 28 February's counterpart.
        """
        if not self.months:
            return own_ms
        day = last = self.own.day_of(own_ms)
        while self._day(last, back=True) is None:
            last -= 1
        return own_ms if last == day else self.own.day_start_ms(last + 1)

    def _day(self, day: int, *, back: bool) -> int | None:
        if self.months:
            return months_before(day, self.months if back else -self.months)
        return day - self.days if back else day + self.days


def _wall(calendar: BusinessCalendar, at_ms: int) -> int:
    """Return what the clock shows, in ms since its own midnight."""
    return (at_ms + calendar.offset_ms(at_ms)) % DAY_MS


def _passes(calendar: BusinessCalendar, day: int, wall_ms: int) -> list[int]:
    """Return the instants of a day at which its clock shows a time: none, one, or two."""
    start, end = calendar.day_start_ms(day), calendar.day_start_ms(day + 1)
    midnight = start + calendar.offset_ms(start)
    # Where a day begins after 00:00, its clock's midnight lies before its start.
    local = midnight - midnight % DAY_MS + wall_ms
    offsets = dict.fromkeys((calendar.offset_ms(start), calendar.offset_ms(end - 1)))
    found = sorted(local - offset for offset in offsets)
    return [at for at in found if start <= at < end and _wall(calendar, at) == wall_ms]


def _same_clock(one: BusinessCalendar, at_ms: int, other: BusinessCalendar, day: int) -> int | None:
    """Return when the other clock shows the same time on a day, in the same pass of a repeated hour."""
    wall = _wall(one, at_ms)
    own_passes = _passes(one, one.day_of(at_ms), wall)
    passes = _passes(other, day, wall)
    number = own_passes.index(at_ms)
    return passes[number] if number < len(passes) else None
