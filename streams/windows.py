"""Windows: what "today", "campaign", "weeks:6" or "last:15m" mean, as a span of event time.

Source: spec/metrics.md "Windows"; X-20, X-21, X-63, X-76, X-77, X-79.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from streams.days import HOUR_MS, MINUTE_MS, BusinessCalendar, parse_day
from streams.errors import QueryError
from streams.periods import SUNDAY, days_of_months, month_of, week_of

if TYPE_CHECKING:
    from streams.events import Campaign

FORMS: Final[dict[str, str]] = {
    "today": "the shop-day of now; the default, except of a recording, where `all` is",
    "yesterday": "the shop-day before",
    "day:2011-11-25": "that business day: local midnight to the next, 23 to 25 hours (X-20); `by=hour` gives its hours",
    "hour:2011-11-25T14": "that hour of the shop's clock; with its offset (`T01-04:00`) one of two where the clock "
    "repeats it",
    "last7": "the last 7 finished days; today is left out",
    "last:15m": "so many minutes (`m`), hours (`h`) that end with the minute which holds as_of; or finished days (`d`)",
    "week": "the week of now so far, or `week:2011-11-25` the one that holds the day; its first day is the shop's "
    "`week_start`, else Sunday (X-21)",
    "weeks:6": "so many whole weeks before the week of now; `weeks` alone is 6",
    "month": "the calendar month of now so far, or `month:2011-11`",
    "quarter": "the calendar quarter of now so far, or `quarter:2011-Q4`",
    "range:2011-11-01..2011-11-30": "these days, both included",
    "campaign": "00:00 shop time of the first day to the exact end (X-76); `campaign:<id>`, without id the one under "
    "way, else the one that ended last",
    "stream:<content id>": "one LIVE, from its start to its end; an order placed in it counts also when it is paid "
    "after the end. Traffic is kept by day for a LIVE: its days count whole",
    "all": "everything known",
}
"""Every form of a window with its meaning, as help, documents and messages show them."""

DEFAULT_WEEKS: Final = 6
MAX_WEEKS: Final = 520

_FIRST_DAY: Final = dt.date(2000, 1, 1).toordinal()
_LAST_DAY: Final = dt.date(9999, 1, 1).toordinal()
"""Days that can be asked for: what claims to have occurred before 2000 is never counted."""

_LAST: Final = re.compile(r"last:([1-9][0-9]{0,5})([mhd])")
_WEEKS: Final = re.compile(r"weeks(?::([1-9][0-9]{0,2}))?")
_MONTH: Final = re.compile(r"month:(\d{4})-(\d{2})")
_QUARTER: Final = re.compile(r"quarter:(\d{4})-[Qq]([1-4])")
_HOUR: Final = re.compile(r"hour:(\d{4}-\d{2}-\d{2})T(\d{2})([+-]\d{2}:\d{2})?")

Unit = Literal["days", "months", "instants", "stream", "all"]


@dataclass(frozen=True, slots=True)
class Window:
    """A span of event time.

    Attributes:
        text: as asked for.
        from_ms: first instant; None is open.
        to_ms: first instant after it; None is open.
        unit: what the period before it is measured in: `days` of the shop, calendar `months`, or `instants`.
        months: how many calendar months it is, of unit `months`.
        content: id of the LIVE that it is, of unit `stream`.
    """

    text: str
    from_ms: int | None
    to_ms: int | None
    unit: Unit = "instants"
    months: int = 0
    content: str = ""

    def holds(self, at_ms: int) -> bool:
        """Return whether an instant lies in the window."""
        return (self.from_ms is None or at_ms >= self.from_ms) and (self.to_ms is None or at_ms < self.to_ms)

    @property
    def edges(self) -> list[int]:
        """Return the instants that bound it."""
        return [edge for edge in (self.from_ms, self.to_ms) if edge is not None]


class Stream(NamedTuple):
    """A LIVE.

    Attributes:
        content_id, account_id: whose.
        from_ms: its start; to_ms: its end, None while it is on air.
    """

    content_id: str
    account_id: str
    from_ms: int
    to_ms: int | None


@dataclass(frozen=True, slots=True)
class Clock:
    """What a window's text depends on.

    Attributes:
        calendar: of the shop.
        now_ms: "now" (X-79); as_of_ms: up to here everything asked for is complete, <= now_ms.
        campaigns, streams: of the shop.
        week_start: first day of its week, 0 is Monday.
    """

    calendar: BusinessCalendar
    now_ms: int
    as_of_ms: int
    campaigns: Sequence[Campaign] = ()
    streams: Sequence[Stream] = ()
    week_start: int = SUNDAY

    @property
    def today(self) -> int:
        """The shop-day of now."""
        return self.calendar.day_of(self.now_ms)


def resolve(text: str, clock: Clock) -> Window:
    """Return the span that a window's text means: see `FORMS`.

    Raises:
        QueryError: `unknown_window`, `no_campaign`, `no_stream`; the message names what would work.
    """
    for form in _NAMED:
        found = form(text, clock)
        if found is not None:
            return found
    raise _unknown(text)


def _days_form(text: str, clock: Clock) -> Window | None:
    today = clock.today
    if text in ("today", "yesterday"):
        day = today - (text == "yesterday")
        return _of_days(text, clock, day, day)
    if text == "last7":
        return _of_days(text, clock, today - 7, today - 1)
    if text.startswith("day:"):
        day = _day(text, text.removeprefix("day:"))
        return _of_days(text, clock, day, day)
    if text.startswith("range:") and ".." in text:
        first, _, last = text.removeprefix("range:").partition("..")
        first_day, last_day = _day(text, first), _day(text, last)
        if last_day < first_day:
            what = f"The window {text} ends before it begins."
            raise QueryError(what, reason="unknown_window", mend="Write the earlier day first.")
        return _of_days(text, clock, first_day, last_day)
    return None


def _last_form(text: str, clock: Clock) -> Window | None:
    match = _LAST.fullmatch(text)
    if match is None:
        return None
    number, unit = int(match[1]), match[2]
    if unit == "d":
        if clock.today - number < _FIRST_DAY:
            raise _unknown(text)
        return _of_days(text, clock, clock.today - number, clock.today - 1)
    end = clock.as_of_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS
    return Window(text, end - number * (MINUTE_MS if unit == "m" else HOUR_MS), end)


def _hour_form(text: str, clock: Clock) -> Window | None:
    match = _HOUR.fullmatch(text)
    if match is None:
        return None
    day = _day(text, match[1])
    start = clock.calendar.day_start_ms(day)
    hours = [
        at
        for at in dict.fromkeys(
            clock.calendar.hour_start_ms(at)
            for at in range(start, clock.calendar.day_start_ms(day + 1), HOUR_MS // 2)
        )
        if clock.calendar.hour_label(at).startswith(f"{match[1]}T{match[2]}{match[3] or ''}")
    ]
    if not hours:
        what = f"The shop's clock does not show the hour of {text}."
        raise QueryError(
            what, reason="unknown_window", mend="Hours are 00 to 23; a clock change leaves one out."
        )
    return Window(text, hours[0], hours[-1] + HOUR_MS)


def _weeks_form(text: str, clock: Clock) -> Window | None:
    this_week = week_of(clock.today, clock.week_start)[0]
    if text == "week":
        return _of_days(text, clock, this_week, this_week + 6)
    if text.startswith("week:"):
        return _of_days(text, clock, *week_of(_day(text, text.removeprefix("week:")), clock.week_start))
    match = _WEEKS.fullmatch(text)
    if match is None:
        return None
    number = int(match[1] or DEFAULT_WEEKS)
    if number > MAX_WEEKS:
        what = f"The window {text} holds more than {MAX_WEEKS} weeks."
        raise QueryError(what, reason="unknown_window", mend="Ask for `all`, or for a range of days.")
    return _of_days(text, clock, this_week - 7 * number, this_week - 1)


def _months_form(text: str, clock: Clock) -> Window | None:
    months = 3 if text.startswith("quarter") else 1
    if text in ("month", "quarter"):
        days = month_of(clock.today, months=months)
    elif match := (_QUARTER if months == 3 else _MONTH).fullmatch(text):
        year, number = int(match[1]), int(match[2])
        if not (2000 <= year < 9999 and 1 <= number <= 12 // months):
            raise _unknown(text)
        days = days_of_months(year, (number - 1) * months + 1, months)
    else:
        return None
    return Window(text, *_edges(clock.calendar, *days), unit="months", months=months)


def _campaign_form(text: str, clock: Clock) -> Window | None:
    if text != "campaign" and not text.startswith("campaign:"):
        return None
    wanted = text.removeprefix("campaign").removeprefix(":")
    if wanted:
        found = next((item for item in clock.campaigns if str(item.campaign_id) == wanted), None)
    else:
        found = current_campaign(clock.campaigns, clock.calendar, clock.now_ms)
    if found is None:
        known = ", ".join(str(item.campaign_id) for item in clock.campaigns) or "none"
        what = f"There is no campaign {wanted!r}." if wanted else "The shop has no campaign."
        raise QueryError(what, reason="no_campaign", mend=f"Campaigns known: {known}.")
    return Window(text, *campaign_period(found, clock.calendar), unit="days")


def _stream_form(text: str, clock: Clock) -> Window | None:
    if not text.startswith("stream:"):
        return None
    wanted = text.removeprefix("stream:")
    found = next((stream for stream in clock.streams if stream.content_id == wanted), None)
    if found is None:
        newest = sorted(clock.streams, key=lambda stream: -stream.from_ms)[:3]
        known = ", ".join(stream.content_id for stream in newest)
        what = f"No LIVE {wanted[:100]!r} has started."
        mend = f"The newest are {known}." if known else "No LIVE is known: no source feeds `content`."
        raise QueryError(what, reason="no_stream", mend=f"{mend} Ask for a video by where=content=<id>.")
    return stream_window(text, found)


def stream_window(text: str, stream: Stream) -> Window:
    """Return the window of one LIVE."""
    return Window(text, stream.from_ms, stream.to_ms, unit="stream", content=stream.content_id)


def _all_form(text: str, _clock: Clock) -> Window | None:
    return Window(text, None, None, unit="all") if text == "all" else None


_NAMED: Final[tuple[Callable[[str, Clock], Window | None], ...]] = (
    _days_form,
    _last_form,
    _hour_form,
    _weeks_form,
    _months_form,
    _campaign_form,
    _stream_form,
    _all_form,
)


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


def _edges(calendar: BusinessCalendar, first: int, last: int) -> tuple[int, int]:
    return calendar.day_start_ms(first), calendar.day_start_ms(last + 1)


def _of_days(text: str, clock: Clock, first: int, last: int) -> Window:
    return Window(text, *_edges(clock.calendar, first, last), unit="days")


def _day(window: str, text: str) -> int:
    try:
        day = parse_day(text)
    except ValueError:
        raise _unknown(window) from None
    if not _FIRST_DAY <= day < _LAST_DAY:
        raise _unknown(window)
    return day


def _unknown(text: str) -> QueryError:
    return QueryError(
        f"The window {text[:100]!r} is not known.",
        reason="unknown_window",
        mend=f"Windows are: {', '.join(FORMS)}.",
    )
