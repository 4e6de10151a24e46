"""Ads of one shop as polars columns: every account, one row per winning record and shop hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import polars as pl

from streams.content_rows import days_of, text
from streams.days import HOUR_MS
from streams.events import AdAccountSelected, AdMetric
from streams.frames import SLOT, LatestFacts
from streams.spreading import spread

if TYPE_CHECKING:
    from streams.days import BusinessCalendar
    from streams.state import FactRow

_TEXT: Final = pl.String()
_INT: Final = pl.Int64()

AD_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "ad_account_id": _TEXT,
    "ad_campaign_id": _TEXT,
    "ad_id": _TEXT,
    "product_id": _TEXT,
    "creator_id": _TEXT,
    "content_id": _TEXT,
    "sub_campaign_id": _TEXT,
    "at_ms": _INT,
    "spend_minor": _INT,
    "gross_revenue_minor": _INT,
    "impressions": _INT,
    "clicks": _INT,
    "purchases": _INT,
    "new_customers": _INT,
    "told_spend_minor": _INT,
    "received_at_ms": _INT,
    "day": pl.Int32(),
}
"""`told_spend_minor` is the spend of records that tell their new customers. A bucket that straddles hours of the shop's
clock (a zone of half hours, a bucket of a day) is split by seconds, to the unit: its parts sum to it."""

_MEASURES: Final = ("spend_minor", "gross_revenue_minor", "impressions", "clicks", "purchases")


class AdColumns:
    """Ads of one shop.

    Args:
        calendar: the shop's.
    """

    KINDS: Final = ("ad_metric", "ad_account_selected")
    """The facts that belong here."""

    def __init__(self, calendar: BusinessCalendar) -> None:
        self._calendar = calendar
        self._ads = LatestFacts(AD_SCHEMA, self._rows)
        self._selected: FactRow | None = None
        self._primary: tuple[pl.DataFrame, str | None, pl.DataFrame] | None = None

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._ads) + (self._selected is not None)

    def put(self, row: FactRow) -> None:
        """Take one fact in; the winner of its key stays."""
        if row.key.kind == "ad_metric":
            self._ads.put(row.key.ids, row)
        elif self._selected is None or row.merge_order > self._selected.merge_order:
            self._selected = row

    def settle(self) -> None:
        """Make rows of what was put: `LatestFacts.settle`."""
        self._ads.settle()

    def metrics(self) -> pl.DataFrame:
        """Return `AD_SCHEMA` of every account."""
        return self._ads.frame()

    def selection(self) -> AdAccountSelected | None:
        """Return the newest choice of the primary account; None while none was made."""
        return None if self._selected is None else cast("AdAccountSelected", self._selected.event)

    def primary_account(self) -> str | None:
        """Return the account that was selected; without a selection the only one there is, else None (X-50)."""
        selection = self.selection()
        if selection is not None:
            return str(selection.primary_ad_account_id)
        accounts = self._ads.frame().get_column("ad_account_id").unique().to_list()
        return accounts[0] if len(accounts) == 1 else None

    def of_primary(self) -> pl.DataFrame:
        """Return `AD_SCHEMA` of the primary account alone, its whole past included; no rows without one."""
        ads, account = self.metrics(), self.primary_account()
        if self._primary is None or self._primary[0] is not ads or self._primary[1] != account:
            own = ads.filter(pl.col("ad_account_id") == account) if account is not None else ads.clear()
            self._primary = (ads, account, own)
        return self._primary[2]

    def _rows(self, slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
        parts: list[tuple[int, FactRow, int, list[int], int | None]] = []
        for slot, row in zip(slots, rows, strict=True):
            event = cast("AdMetric", row.event)
            spans = self._spans(event.bucket_start_ms, event.bucket_seconds * 1000)
            weights = [length for _, length in spans]
            shares = [spread(getattr(event, name), weights) for name in _MEASURES]
            new = None if event.new_customers is None else spread(event.new_customers, weights)
            for index, (at_ms, _) in enumerate(spans):
                own = [share[index] for share in shares]
                parts.append((slot, row, at_ms, own, None if new is None else new[index]))
        events = [cast("AdMetric", row.event) for _, row, _, _, _ in parts]
        columns = dict(zip(_MEASURES, zip(*(own for *_, own, _ in parts), strict=True), strict=False))
        return pl.DataFrame(
            {
                SLOT: [part[0] for part in parts],
                "ad_account_id": [str(event.ad_account_id) for event in events],
                "ad_campaign_id": [str(event.ad_campaign_id) for event in events],
                "ad_id": [str(event.ad_id) for event in events],
                "product_id": [text(event.product_id) for event in events],
                "creator_id": [text(event.creator_id) for event in events],
                "content_id": [text(event.content_id) for event in events],
                "sub_campaign_id": [text(event.sub_campaign_id) for event in events],
                "at_ms": [part[2] for part in parts],
                **{name: list(columns.get(name, ())) for name in _MEASURES},
                "new_customers": [part[4] or 0 for part in parts],
                "told_spend_minor": [0 if part[4] is None else part[3][0] for part in parts],
                "received_at_ms": [part[1].received_at_ms for part in parts],
                "day": days_of(self._calendar, [part[2] for part in parts]),
            },
            schema=AD_SCHEMA,
        )

    def _spans(self, start_ms: int, length_ms: int) -> list[tuple[int, int]]:
        """Return start and length of the parts of a bucket, one for each hour of the shop's clock that it touches."""
        spans = []
        at_ms, end_ms = start_ms, start_ms + length_ms
        while at_ms < end_ms:
            # The next hour begins at most an hour on, and less where the clock changes or the zone is of half hours.
            next_ms = self._calendar.hour_start_ms(at_ms) + HOUR_MS
            until_ms = min(end_ms, next_ms)
            spans.append((at_ms, until_ms - at_ms))
            at_ms = until_ms
        return spans
