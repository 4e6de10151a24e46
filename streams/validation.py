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
import polars as pl
from numpy.typing import NDArray

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
    """

    def __init__(self, shops: Mapping[str, ShopSettings], settings: FoldSettings) -> None:
        self._shops = shops
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

    def refused_rows(self, frame: pl.DataFrame, received_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows of a traffic frame `refuse` would refuse; R of each row beside it."""
        refused = np.ones(frame.height, dtype=np.bool_)
        occurred = frame["occurred_at_ms"].to_numpy()
        in_time = (occurred >= EARLIEST_MS) & (occurred - received_ms <= self._settings.future_tolerance_ms)
        shop_column = frame["shop_id"]
        for shop_id in shop_column.unique().to_list():
            shop = self._shops.get(shop_id)
            if shop is None:
                continue
            currency = frame["currency"]
            good = in_time & (shop_column == shop_id).to_numpy()
            if currency.null_count() < frame.height:
                good &= (currency.is_null() | (currency == shop.currency).fill_null(value=True)).to_numpy()
            rows = np.flatnonzero(good)
            refused[rows] = self._too_late(shop_id, occurred[rows], received_ms[rows])
        return refused

    def _too_late(
        self, shop_id: str, occurred_ms: NDArray[np.int64], received_ms: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Compare business days, and only where it can matter: days of 23 to 25 hours decide near the limit."""
        behind_ms = received_ms - occurred_ms
        hot_days = self._settings.hot_days
        too_late = behind_ms > (hot_days + 2) * DAY_MS
        near = np.flatnonzero(~too_late & (behind_ms > (hot_days - 1) * DAY_MS))
        if len(near):
            calendar = self._calendars[shop_id]
            received = np.minimum(received_ms[near], LATEST_R_MS)
            behind = calendar.days_of(received) - calendar.days_of(occurred_ms[near])
            too_late[near] = behind > hot_days
        return too_late

    def _days_behind(self, shop_id: str, occurred_at_ms: int, received_at_ms: int) -> int:
        calendar = self._calendars[shop_id]
        return calendar.day_of(min(received_at_ms, LATEST_R_MS)) - calendar.day_of(
            min(occurred_at_ms, LATEST_R_MS)
        )
