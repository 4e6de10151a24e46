"""What becomes of a record by itself: the outcomes that are a function of the record and of settings alone.

Precedence, first match wins: rejected_size, rejected_replay, rejected_schema (bytes, JSON, event_type), rejected_type,
rejected_schema (shape and bounds), rejected_shop, currency_mismatch, rejected_time, rejected_future, too_late. What
passes is counted, counted_late, duplicate or superseded (`streams.repeats`, `streams.facts`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

import numpy as np

from streams.coding import NOT_GIVEN, UNKNOWN, CodedTraffic, Codes, Coding, Mask
from streams.days import DAY_MS, EARLIEST_MS, BusinessCalendar
from streams.decoding import MAX_TIME_MS, Refusal, shown
from streams.outcomes import Outcome
from streams.records import MAX_RECORD_BYTES
from streams.settings import FoldSettings, ShopSettings

LATEST_R_MS: Final = MAX_TIME_MS - 2 * DAY_MS
"""Record timestamps are read no later than this: calendars end with the year 9999, and a zone may be ahead of UTC."""


def refuse_arrival(value: bytes | None, replay_header: str | None, replay_id: str) -> Refusal | None:
    """Check what needs no decoding: the size, then whether the record belongs to this replay (or to none)."""
    if value is not None and len(value) > MAX_RECORD_BYTES:
        return Refusal(
            Outcome.REJECTED_SIZE, f"the value has {len(value)} bytes, at most {MAX_RECORD_BYTES} are taken"
        )
    if (replay_header or "") != replay_id:
        ours = f"replay {shown(replay_id)}" if replay_id else "live data"
        theirs = f"replay {shown(replay_header)}" if replay_header else "live data"
        return Refusal(Outcome.REJECTED_REPLAY, f"the record is of {theirs}, this worker folds {ours}")
    return None


class Admission:
    """Decide on events that are well formed: shop, currency, times.

    Args:
        shops: settings by shop id; other shops are refused.
        settings: tolerances.
        coding: the codes of the columns.
    """

    def __init__(self, shops: Mapping[str, ShopSettings], settings: FoldSettings, coding: Coding) -> None:
        self._shops = shops
        self._coding = coding
        self._settings = settings
        zones = {shop.timezone for shop in shops.values()}
        calendars = {zone: BusinessCalendar(zone) for zone in zones}
        self._calendars = {shop_id: calendars[shop.timezone] for shop_id, shop in shops.items()}

    def calendar(self, shop_id: str) -> BusinessCalendar:
        """Return the calendar of a shop that has settings."""
        return self._calendars[shop_id]

    def refuse(
        self, shop_id: str, currency: str | None, occurred_at_ms: int, received_at_ms: int, *, traffic: bool
    ) -> Refusal | None:
        """Return why an event cannot count, or None. `received_at_ms` is R, the record timestamp."""
        shop = self._shops.get(shop_id)
        if shop is None:
            return Refusal(Outcome.REJECTED_SHOP, f"no settings for shop {shown(shop_id)}")
        if currency is not None and currency != shop.currency:
            detail = f"currency is {shown(currency)}, shop {shown(shop_id)} has {shop.currency}"
            return Refusal(Outcome.CURRENCY_MISMATCH, detail)
        if occurred_at_ms < EARLIEST_MS:
            return Refusal(Outcome.REJECTED_TIME, f"occurred_at_ms {occurred_at_ms} is before 2000-01-01")
        ahead_ms = occurred_at_ms - received_at_ms
        if ahead_ms > self._settings.future_tolerance_ms:
            detail = f"occurred_at_ms is {ahead_ms} ms after the record timestamp {received_at_ms}"
            return Refusal(Outcome.REJECTED_FUTURE, detail)
        if traffic and self._days_behind(shop_id, occurred_at_ms, received_at_ms) > self._settings.hot_days:
            days = self._settings.hot_days
            day = dt.date.fromordinal(self._calendars[shop_id].day_of(occurred_at_ms)).isoformat()
            return Refusal(Outcome.TOO_LATE, f"traffic of {day} came more than {days} days later")
        return None

    def refused_rows(self, traffic: CodedTraffic, received_ms: Codes) -> Mask:
        """Return which rows `refuse` would refuse; R of each row beside it."""
        occurred = traffic.occurred_ms
        refused = (
            (traffic.shop < 0)
            | (occurred < EARLIEST_MS)
            | (occurred - received_ms > self._settings.future_tolerance_ms)
        )
        own_currency = self._coding.currency_of_shop[traffic.shop] if len(self._shops) else UNKNOWN
        refused |= (traffic.currency != NOT_GIVEN) & (traffic.currency != own_currency)
        refused |= received_ms - occurred > (self._settings.hot_days + 2) * DAY_MS
        # Days of 23 to 25 hours decide near the limit, and only there days are looked up.
        near = np.flatnonzero(~refused & (received_ms - occurred > (self._settings.hot_days - 1) * DAY_MS))
        for code in np.unique(traffic.shop[near]).tolist():
            rows = near[traffic.shop[near] == code]
            calendar = self.calendar(self._coding.shops[code])
            received_days = calendar.days_of(np.minimum(received_ms[rows], LATEST_R_MS))
            refused[rows] = received_days - calendar.days_of(occurred[rows]) > self._settings.hot_days
        return refused

    def _days_behind(self, shop_id: str, occurred_at_ms: int, received_at_ms: int) -> int:
        calendar = self._calendars[shop_id]
        return calendar.day_of(min(received_at_ms, LATEST_R_MS)) - calendar.day_of(
            min(occurred_at_ms, LATEST_R_MS)
        )
