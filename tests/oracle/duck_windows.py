"""Windows by the words of spec/metrics.md, X-20, X-21, X-23 and X-76, worked out with the standard library alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import duckdb

from tests.oracle.duck_figures import Span

ALL_FROM_MS, ALL_TO_MS = 0, 1 << 53


class Windows:
    """The windows of one recording.

    Args:
        base: its tables.
        zone: of its shop.
        now_ms: its last record (X-79).
    """

    def __init__(self, base: duckdb.DuckDBPyConnection, zone: str, now_ms: int) -> None:
        self._base = base
        self._zone = ZoneInfo(zone)
        self.now_ms = now_ms
        self.today = dt.datetime.fromtimestamp(now_ms / 1000, self._zone).date()

    def all(self) -> Span:
        """Return everything."""
        return Span("all", ALL_FROM_MS, ALL_TO_MS)

    def __iter__(self) -> Iterator[Span]:
        """Yield one window of every kind; weeks begin on Sunday."""
        today, day = self.today, dt.timedelta(days=1)
        week = today - day * ((today.weekday() + 1) % 7)
        month = today.replace(day=1)
        quarter = today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1)
        yield self.all()
        yield self._days("today", today, today)
        yield self._days("yesterday", today - day, today - day)
        yield self._days(f"day:{today - day}", today - day, today - day)
        yield self._days(f"day:{today - 7 * day}", today - 7 * day, today - 7 * day)
        yield self._days("last7", today - 7 * day, today - day)
        yield self._days("last:2d", today - 2 * day, today - day)
        yield self._days("week", week, week + 6 * day)
        yield self._days(f"week:{today - 7 * day}", week - 7 * day, week - day)
        yield self._days("weeks", week - 42 * day, week - day)
        yield self._days("weeks:2", week - 14 * day, week - day)
        yield self._days("month", month, _later(month, 1) - day)
        yield self._days(f"month:{month:%Y-%m}", month, _later(month, 1) - day)
        yield self._days("quarter", quarter, _later(quarter, 3) - day)
        yield self._days(f"range:{today - 7 * day}..{today - day}", today - 7 * day, today - day)
        hour_ms = self._midnight(today - day) + 20 * 3_600_000
        yield Span(f"hour:{today - day}T20", hour_ms, hour_ms + 3_600_000)
        end_ms = self.now_ms // 60_000 * 60_000 + 60_000
        yield Span("last:15m", end_ms - 15 * 60_000, end_ms)
        yield Span("last:6h", end_ms - 6 * 3_600_000, end_ms)
        yield from self._campaigns()
        yield from self._streams()

    def _campaigns(self) -> Iterator[Span]:
        found = self._base.execute(
            "SELECT txt(value, '$.campaign_id'), num(value, '$.starts_at_ms'), num(value, '$.ends_at_ms') FROM campaign"
        ).fetchall()
        for name, start_ms, end_ms in found:
            start = dt.datetime.fromtimestamp(start_ms / 1000, self._zone).date()
            yield Span(f"campaign:{name}", self._midnight(start), end_ms)
            if len(found) == 1:
                yield Span("campaign", self._midnight(start), end_ms)

    def _streams(self) -> Iterator[Span]:
        lives = (
            "SELECT content, ms, ended FROM posted WHERE format = 'live' AND ended IS NOT NULL "
            "ORDER BY content LIMIT 2"
        )
        for name, start_ms, end_ms in self._base.execute(lives).fetchall():
            first = dt.datetime.fromtimestamp(start_ms / 1000, self._zone).date()
            last = dt.datetime.fromtimestamp((end_ms - 1) / 1000, self._zone).date()
            days = self._midnight(first), self._midnight(last + dt.timedelta(days=1))
            yield Span(f"stream:{name}", start_ms, end_ms, content=name, days=days)

    def _days(self, text: str, first: dt.date, last: dt.date) -> Span:
        return Span(text, self._midnight(first), self._midnight(last + dt.timedelta(days=1)))

    def _midnight(self, day: dt.date) -> int:
        return round(dt.datetime.combine(day, dt.time(), self._zone).timestamp()) * 1000


def _later(first: dt.date, months: int) -> dt.date:
    """Return the first of a month some months later."""
    return (first + dt.timedelta(days=31 * months)).replace(day=1)
