"""Windows and grids of time: what "today", "campaign" or "last:15m" mean, and the rows of a series.

Source: spec/metrics.md "Windows"; X-20, X-63, X-76, X-77, X-79.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from streams.days import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    QUARTER_MS,
    BusinessCalendar,
    day_label,
    parse_day,
)
from streams.errors import QueryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streams.events import Campaign

TimeGrain = Literal["day", "hour", "minute"]
GRAINS: Final[tuple[TimeGrain, ...]] = ("day", "hour", "minute")

FORMS: Final = (
    "today",
    "day:2011-11-25",
    "campaign",
    "campaign:<id>",
    "all",
    "last:15m",
    "last:24h",
    "last:7d",
    "range:2011-11-01..2011-11-30",
)
"""Every form of a window, as help and messages show them."""

MAX_ROWS: Final = 1_000_000
"""A series longer than this is refused: it would be asked for by mistake, and hold the board up."""

_FIRST_DAY: Final = dt.date(2000, 1, 1).toordinal()
_LAST_DAY: Final = dt.date(9999, 1, 1).toordinal()
"""Days that can be asked for: what claims to have occurred before 2000 is never counted."""

_LAST: Final = re.compile(r"last:([1-9][0-9]{0,5})([mhd])")


@dataclass(frozen=True, slots=True)
class Window:
    """A span of event time.

    Attributes:
        text: as asked for.
        from_ms: first instant; None is open.
        to_ms: first instant after it; None is open.
    """

    text: str
    from_ms: int | None
    to_ms: int | None

    def holds(self, at_ms: int) -> bool:
        """Return whether an instant lies in the window."""
        return (self.from_ms is None or at_ms >= self.from_ms) and (self.to_ms is None or at_ms < self.to_ms)

    @property
    def edges(self) -> list[int]:
        """Return the instants that bound it."""
        return [edge for edge in (self.from_ms, self.to_ms) if edge is not None]


def resolve(
    text: str,
    *,
    calendar: BusinessCalendar,
    now_ms: int,
    as_of_ms: int,
    campaigns: Sequence[Campaign],
) -> Window:
    """Return the span that a window's text means.

    `today` is the shop-day of now. `last:<n>m` and `h` end with the minute that holds as_of and start that many minutes
    or hours earlier; `last:<n>d` is the last n finished days. `campaign` is the one under way, else the one that
    ended last, from 00:00 shop time of its first day to its exact end. `range` includes both days.

    Raises:
        QueryError: `unknown_window`, `no_campaign`.
    """
    today = calendar.day_of(now_ms)
    if text == "today":
        return Window(text, *_days(calendar, today, today))
    if text == "all":
        return Window(text, None, None)
    if text == "campaign" or text.startswith("campaign:"):
        return _campaign(text, calendar, now_ms, campaigns)
    if match := _LAST.fullmatch(text):
        number, unit = int(match[1]), match[2]
        if unit == "d":
            if today - number < _FIRST_DAY:
                raise _unknown(text)
            return Window(text, *_days(calendar, today - number, today - 1))
        end = as_of_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS
        return Window(text, end - number * (MINUTE_MS if unit == "m" else HOUR_MS), end)
    if text.startswith("day:"):
        day = _day(text, text.removeprefix("day:"))
        return Window(text, *_days(calendar, day, day))
    if text.startswith("range:") and ".." in text:
        first, _, last = text.removeprefix("range:").partition("..")
        first_day, last_day = _day(text, first), _day(text, last)
        if last_day < first_day:
            what = f"The window {text} ends before it begins."
            raise QueryError(what, reason="unknown_window", mend="Write the earlier day first.")
        return Window(text, *_days(calendar, first_day, last_day))
    raise _unknown(text)


def campaign_period(campaign: Campaign, calendar: BusinessCalendar) -> tuple[int, int]:
    """Return when a campaign starts and ends (X-76): 00:00 shop time of its first day; its exact end, exclusive.

    An end in the last second of a minute (23:59:59) means the end of that minute.
    """
    start = calendar.day_start_ms(calendar.day_of(campaign.starts_at_ms))
    end = campaign.ends_at_ms
    if end % MINUTE_MS >= MINUTE_MS - 1_000:
        end = end // MINUTE_MS * MINUTE_MS + MINUTE_MS
    return start, end


def is_running(campaign: Campaign, calendar: BusinessCalendar, at_ms: int) -> bool:
    """Return whether an instant lies in a campaign's period."""
    start, end = campaign_period(campaign, calendar)
    return start <= at_ms < end


def current_campaign(
    campaigns: Sequence[Campaign], calendar: BusinessCalendar, now_ms: int
) -> Campaign | None:
    """Return the campaign under way (the one that ends last), else the one that ended last, else the next one.

    Among equals the one whose id sorts last; `is_running` tells the first case from the others.
    """
    periods = [(campaign_period(campaign, calendar), campaign) for campaign in campaigns]
    running = [(end, campaign) for (start, end), campaign in periods if start <= now_ms < end]
    over = [(end, campaign) for (_, end), campaign in periods if end <= now_ms]
    coming = [(-start, campaign) for (start, _), campaign in periods if start > now_ms]
    for found in (running, over, coming):
        if found:
            return max(found, key=lambda item: (item[0], str(item[1].campaign_id)))[1]
    return None


def day_final_ms(calendar: BusinessCalendar, day: int, final_hour: int) -> int:
    """Return when a day becomes final: at `final_hour`, shop time, of the next day (X-63)."""
    instant = calendar.day_start_ms(day + 1) + final_hour * HOUR_MS
    # On a day of 23 or 25 hours the wall clock is ahead or behind of the hours since midnight.
    return instant + calendar.offset_ms(calendar.day_start_ms(day + 1)) - calendar.offset_ms(instant)


def starts(calendar: BusinessCalendar, grain: TimeGrain, first_ms: int, last_ms: int) -> NDArray[np.int64]:
    """Return the starts of every day, hour or minute from the one that holds `first_ms` to that of `last_ms`.

    Raises:
        QueryError: `too_many_rows`.
    """
    length = {"day": DAY_MS, "hour": HOUR_MS, "minute": MINUTE_MS}[grain]
    if (last_ms - first_ms) // length > MAX_ROWS:
        what = f"By {grain} that window has more than {MAX_ROWS:,} rows."
        raise QueryError(what, reason="too_many_rows", mend="Ask for a shorter window or a coarser grain.")
    if grain == "minute":
        low = first_ms // MINUTE_MS * MINUTE_MS
        return np.arange(low, last_ms + 1, MINUTE_MS, dtype=np.int64)
    first_day, last_day = calendar.day_of(first_ms), calendar.day_of(last_ms)
    days = [calendar.day_start_ms(day) for day in range(first_day, last_day + 2)]
    if grain == "day":
        return np.array(days[:-1], dtype=np.int64)
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


def labels(calendar: BusinessCalendar, grain: TimeGrain, at_ms: Sequence[int]) -> list[str]:
    """Return days, hours or minutes as a person and the API read them."""
    if grain == "day":
        return [day_label(calendar.day_of(at)) for at in at_ms]
    return [calendar.hour_label(at) if grain == "hour" else calendar.minute_label(at) for at in at_ms]


def end_of(calendar: BusinessCalendar, grain: TimeGrain, start_ms: int) -> int:
    """Return the first instant after the day, hour or minute that starts at `start_ms`."""
    if grain == "day":
        return calendar.day_start_ms(calendar.day_of(start_ms) + 1)
    return start_ms + (HOUR_MS if grain == "hour" else MINUTE_MS)


def _days(calendar: BusinessCalendar, first: int, last: int) -> tuple[int, int]:
    return calendar.day_start_ms(first), calendar.day_start_ms(last + 1)


def _day(window: str, text: str) -> int:
    try:
        day = parse_day(text)
    except ValueError:
        raise _unknown(window) from None
    if not _FIRST_DAY <= day < _LAST_DAY:
        raise _unknown(window)
    return day


def _campaign(text: str, calendar: BusinessCalendar, now_ms: int, campaigns: Sequence[Campaign]) -> Window:
    wanted = text.removeprefix("campaign").removeprefix(":")
    if wanted:
        found = next((item for item in campaigns if str(item.campaign_id) == wanted), None)
    else:
        found = current_campaign(campaigns, calendar, now_ms)
    if found is None:
        known = ", ".join(str(item.campaign_id) for item in campaigns) or "none"
        what = f"There is no campaign {wanted!r}." if wanted else "The shop has no campaign."
        raise QueryError(what, reason="no_campaign", mend=f"Campaigns known: {known}.")
    return Window(text, *campaign_period(found, calendar))


def _unknown(text: str) -> QueryError:
    return QueryError(
        f"The window {text!r} is not known.",
        reason="unknown_window",
        mend=f"Windows are: {', '.join(FORMS)}.",
    )
