"""Values of single business days, and of frames that stand still, kept between questions.

Most of a long window is over and changes no more: what was counted of a day is kept until one of its facts changes, and
a window of thirty days costs what changed today. Sums, distinct orders and daily distinct customers add over days;
what is distinct over a whole window is counted anew.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Final

import polars as pl

MAX_BYTES: Final = 256 << 20
"""Most bytes of values kept by day. All views of a month of 2,000 products and 1.5 million order lines keep 45 MiB;
with less than they need, each forgets what the next one asks for, and every question counts its days anew."""

MAX_MADE_BYTES: Final = 128 << 20
MOST_MADE: Final = 256
"""Most bytes, and most answers, kept that were made of several days together; 22 MiB and 32 of the same month."""

MAX_FRAME_CELLS: Final = 20_000
"""Most values of one answer that is kept while a frame stands still."""

Made = Mapping[str, pl.DataFrame]
"""What is made of several days together, by name."""

Compute = Callable[[list[int]], dict[int, dict[str, pl.DataFrame]]]
"""Count days: day -> measure -> values; a day without any may be left out."""


def over_and_last(days: Mapping[int, Hashable]) -> tuple[dict[int, Hashable], int]:
    """Return the days before the last one, which are over and put together once, and the last: today as a rule."""
    last = max(days)
    return {day: change for day, change in days.items() if day != last}, last


class DayValues:
    """Remember the values of days by question, the least recently asked question forgotten first."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, dict[int, tuple[Hashable, dict[str, pl.DataFrame]]]] = (
            OrderedDict()
        )
        self._bytes: dict[Hashable, int] = {}
        self._made: OrderedDict[Hashable, Made] = OrderedDict()
        self._made_bytes = 0
        self._frames: OrderedDict[Hashable, tuple[weakref.ref[pl.DataFrame], Made]] = OrderedDict()

    def of(
        self, question: Hashable, days: Mapping[int, Hashable], compute: Compute
    ) -> list[dict[str, pl.DataFrame]]:
        """Return the values of days, counting only those that are not known as they are now.

        Args:
            question: all that the values of one day depend on, besides what was counted of the day.
            days: day -> what differs whenever one of its facts has changed.
            compute: counts the days that are missing.
        """
        known = self._known.setdefault(question, {})
        self._known.move_to_end(question)
        missing = [day for day, change in days.items() if day not in known or known[day][0] != change]
        if missing:
            found = compute(missing)
            grown = 0
            for day in missing:
                parts = found.get(day, {})
                grown += _bytes_of(parts) - (_bytes_of(known[day][1]) if day in known else 0)
                known[day] = (days[day], parts)
            self._bytes[question] = self._bytes.get(question, 0) + grown
        result = [known[day][1] for day in days]
        while sum(self._bytes.values()) > MAX_BYTES and self._known:
            oldest, _ = self._known.popitem(last=False)
            self._bytes.pop(oldest, None)
        return result

    def made_of(self, question: Hashable, days: Mapping[int, Hashable], make: Callable[[], Made]) -> Made:
        """Return what is made of several days together, made once while these days are as they are.

        Args:
            question: all that it depends on, besides the days.
            days: as for `of`.
            make: makes it.
        """
        key = (question, tuple(days.items()))
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = make()
            self._made_bytes += _bytes_of(found)
        self._made.move_to_end(key)
        while self._made_bytes > MAX_MADE_BYTES or len(self._made) > MOST_MADE:
            _, oldest = self._made.popitem(last=False)
            self._made_bytes -= _bytes_of(oldest)
        return found

    def while_same(self, question: Hashable, frame: pl.DataFrame, make: Callable[[], Made]) -> Made:
        """Return what is made of a frame, made once while it is this very frame.

        Args:
            question: all that it depends on, besides the frame.
            frame: that it is made of; it is not kept alive for this.
            make: makes it.
        """
        known = self._frames.pop(question, None)
        if known is None or known[0]() is not frame:
            known = (weakref.ref(frame), make())
        if _cells_of(known[1]) <= MAX_FRAME_CELLS:
            self._frames[question] = known
        if len(self._frames) > MOST_MADE:
            self._frames.popitem(last=False)
        return known[1]


def _cells_of(parts: Mapping[str, pl.DataFrame]) -> int:
    return sum(values.height * values.width for values in parts.values())


def _bytes_of(parts: Mapping[str, pl.DataFrame]) -> int:
    return sum(int(values.estimated_size()) for values in parts.values())
