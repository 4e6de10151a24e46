"""Weeks, months and quarters of the shop's calendar, as ranges of business days (ordinals).

Source: spec/decisions.md X-21 (first day of the week), X-22 (calendar months back).
"""

from __future__ import annotations

import calendar
import datetime as dt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streams.columns import Columns
    from streams.settings import ShopSettings

WEEK_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SUNDAY: Final = 6

Days = tuple[int, int]
"""First and last day, both included."""


def first_weekday(columns: Columns, shop: ShopSettings) -> int:
    """Return the shop's first day of the week, 0 is Monday: its settings', else its record's, else Sunday (X-21)."""
    profile = columns.profile(shop.shop_id)
    said = shop.week_start or (profile.week_start if profile is not None else "") or ""
    named = said.strip().lower()
    found = (index for index, day in enumerate(WEEK_DAYS) if len(named) > 2 and day.startswith(named))
    return next(found, SUNDAY)


def week_of(day: int, week_start: int) -> Days:
    """Return the week that holds a day."""
    first = day - (day - 1 - week_start) % 7
    return first, first + 6


def month_of(day: int, *, months: int = 1) -> Days:
    """Return the month that holds a day; with `months=3` the calendar quarter."""
    date = dt.date.fromordinal(day)
    first_month = (date.month - 1) // months * months + 1
    return days_of_months(date.year, first_month, months)


def days_of_months(year: int, month: int, count: int) -> Days:
    """Return the days of `count` months from that one on."""
    after = month - 1 + count
    last = dt.date(year + after // 12, after % 12 + 1, 1).toordinal() - 1
    return dt.date(year, month, 1).toordinal(), last


def months_before(day: int, months: int) -> int | None:
    """Return the same day number so many calendar months earlier; None where that month has no such day."""
    date = dt.date.fromordinal(day)
    number = date.year * 12 + date.month - 1 - months
    year, month = number // 12, number % 12 + 1
    return dt.date(year, month, date.day).toordinal() if date.day <= _length(year, month) else None


def months_before_clipped(day: int, months: int) -> int:
    """Return the same day number so many calendar months earlier, at most that month's last day (X-22)."""
    date = dt.date.fromordinal(day)
    number = date.year * 12 + date.month - 1 - months
    year, month = number // 12, number % 12 + 1
    return dt.date(year, month, min(date.day, _length(year, month))).toordinal()


def _length(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]
