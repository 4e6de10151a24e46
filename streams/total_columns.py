"""Checkouts, ready-made counts, history and benchmarks of one shop as polars columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import polars as pl

from streams.atoms import NO_SOURCE_ATOM, atom_of
from streams.content_rows import days_of, text
from streams.days import parse_day
from streams.events import Benchmark, CheckoutStarted, HistoryTotal, TrafficTotal
from streams.frames import SLOT, LatestFacts

if TYPE_CHECKING:
    from streams.days import BusinessCalendar
    from streams.events import Source
    from streams.state import FactRow

_TEXT: Final = pl.String()
_INT: Final = pl.Int64()

CHECKOUT_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "checkout_id": _TEXT,
    "product_id": _TEXT,
    "sku_id": _TEXT,
    "quantity": _INT,
    "user_key": _TEXT,
    "content_id": _TEXT,
    "creator_id": _TEXT,
    "sub_campaign_id": _TEXT,
    "at_ms": _INT,
    "received_at_ms": _INT,
    "day": pl.Int32(),
    "atom": pl.UInt8(),
}
"""One row per line of a checkout; `slot` numbers the checkout."""

COUNTED: Final = {
    "product_impression": "impressions",
    "product_click": "clicks",
    "product_page_view": "page_views",
    "add_to_cart": "add_to_carts",
}
"""By type of traffic, the field of a ready-made total that counts it."""

_COUNTS: Final = (*COUNTED.values(), "content_views")

TOTAL_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "product_id": _TEXT,
    "content_id": _TEXT,
    "creator_id": _TEXT,
    "sub_campaign_id": _TEXT,
    "at_ms": _INT,
    **dict.fromkeys(_COUNTS, _INT),
    "received_at_ms": _INT,
    "day": pl.Int32(),
    "atom": pl.UInt8(),
}
"""One row per bucket: its own counts, also where the source sends running totals; null for what it does not tell."""

_RAW: Final[dict[str, pl.DataType]] = TOTAL_SCHEMA | {
    "leaf": _TEXT,
    "running": pl.Boolean(),
    "live": pl.Boolean(),
}

HISTORY_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "date": _TEXT,
    "hour": _INT,
    "metric": _TEXT,
    "slice": _TEXT,
    "value": pl.Float64(),
    "is_final": pl.Boolean(),
}
"""`date` is a business day or `lifetime`, `hour` null for a whole day; money in minor units."""


class TotalColumns:
    """What else is known of one shop.

    Args:
        calendar: the shop's.
    """

    KINDS: Final = ("checkout_started", "traffic_total", "history_total", "benchmark")
    """The facts that belong here."""

    def __init__(self, calendar: BusinessCalendar) -> None:
        self._calendar = calendar
        self._checkouts = LatestFacts(CHECKOUT_SCHEMA, self._checkout_rows)
        self._totals = LatestFacts(_RAW, self._total_rows)
        self._history = LatestFacts(HISTORY_SCHEMA, _history_rows)
        self._benchmarks: dict[tuple[str, ...], FactRow] = {}
        self._traffic: tuple[pl.DataFrame, pl.DataFrame] | None = None
        self._by_day: tuple[pl.DataFrame, dict[str, dict[str, dict[int, float]]]] | None = None

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._benchmarks) + len(self._checkouts) + len(self._totals) + len(self._history)

    def put(self, row: FactRow) -> None:
        """Take one fact in; the winner of its key stays."""
        kind, ids = row.key.kind, row.key.ids
        if kind == "checkout_started":
            self._checkouts.put(ids, row)
        elif kind == "traffic_total":
            self._totals.put(ids, row)
        elif kind == "history_total":
            self._history.put(ids, row)
        else:
            present = self._benchmarks.get(ids)
            if present is None or row.merge_order > present.merge_order:
                self._benchmarks[ids] = row

    def settle(self) -> None:
        """Make rows of what was put: `LatestFacts.settle`."""
        for table in (self._checkouts, self._totals, self._history):
            table.settle()

    def checkouts(self) -> pl.DataFrame:
        """Return `CHECKOUT_SCHEMA`."""
        return self._checkouts.frame()

    def traffic(self) -> pl.DataFrame:
        """Return `TOTAL_SCHEMA`: ready-made counts, each bucket's own."""
        raw = self._totals.frame()
        if self._traffic is None or self._traffic[0] is not raw:
            self._traffic = (raw, _own_counts(raw))
        return self._traffic[1]

    def history(self) -> pl.DataFrame:
        """Return `HISTORY_SCHEMA`."""
        return self._history.frame()

    def history_by_day(self, metric: str) -> dict[str, dict[int, float]]:
        """Return slice -> business day -> total of a metric, of whole days."""
        history = self._history.frame()
        if self._by_day is None or self._by_day[0] is not history:
            self._by_day = (history, {})
        known = self._by_day[1]
        if metric not in known:
            chosen = history.filter(
                (pl.col("metric") == metric) & pl.col("hour").is_null() & (pl.col("date") != "lifetime")
            )
            found: dict[str, dict[int, float]] = {}
            for date, name, value in chosen.select("date", "slice", "value").iter_rows():
                found.setdefault(name, {})[parse_day(date)] = value
            known[metric] = found
        return known[metric]

    def benchmarks(self) -> list[Benchmark]:
        """Return the newest benchmark of each category, tier, group, period and metric."""
        return [cast("Benchmark", row.event) for _, row in sorted(self._benchmarks.items())]

    def _checkout_rows(self, slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
        lines = [
            (slot, row, cast("CheckoutStarted", row.event), line)
            for slot, row in zip(slots, rows, strict=True)
            for line in cast("CheckoutStarted", row.event).lines
        ]
        events = [event for _, _, event, _ in lines]
        return pl.DataFrame(
            {
                SLOT: [slot for slot, *_ in lines],
                "checkout_id": [str(event.checkout_id) for event in events],
                "product_id": [str(line.product_id) for *_, line in lines],
                "sku_id": [str(line.sku_id) for *_, line in lines],
                "quantity": [line.quantity for *_, line in lines],
                "user_key": [text(event.user_key) for event in events],
                **_source_columns([event.source for event in events]),
                "at_ms": [event.occurred_at_ms for event in events],
                "received_at_ms": [row.received_at_ms for _, row, _, _ in lines],
                "day": days_of(self._calendar, [event.occurred_at_ms for event in events]),
            },
            schema=CHECKOUT_SCHEMA,
        )

    def _total_rows(self, slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
        events = [cast("TrafficTotal", row.event) for row in rows]
        sources = [event.source for event in events]
        return pl.DataFrame(
            {
                SLOT: slots,
                "product_id": [text(event.product_id) for event in events],
                **_source_columns(sources),
                "at_ms": [event.bucket_start_ms for event in events],
                **{name: [getattr(event, name) for event in events] for name in _COUNTS},
                "received_at_ms": [row.received_at_ms for row in rows],
                "day": days_of(self._calendar, [event.bucket_start_ms for event in events]),
                "leaf": [event.leaf for event in events],
                "running": [event.mode == "running_total" for event in events],
                "live": [source is not None and source.format == "live" for source in sources],
            },
            schema=_RAW,
        )


def _source_columns(sources: list[Source | None]) -> dict[str, list[str | None] | list[int]]:
    known = ("content_id", "creator_id", "sub_campaign_id")
    return {
        **{name: [None if one is None else text(getattr(one, name)) for one in sources] for name in known},
        "atom": [
            NO_SOURCE_ATOM if one is None else atom_of(one.owner, one.format, one.surface) for one in sources
        ],
    }


def _own_counts(raw: pl.DataFrame) -> pl.DataFrame:
    """Return each bucket's own counts: what a running total rose by since the bucket before.

    A total begins anew with each shop-day, a LIVE's with the stream. One that falls was corrected by its source: the
    bucket's own count is negative then, and the day's sum is the last total.
    """
    since = pl.when("live").then(pl.lit(0, dtype=pl.Int32)).otherwise("day")
    series = ["product_id", "leaf", "content_id", since.alias("_since")]
    running = raw.filter("running").sort("at_ms", SLOT)
    known = {name: pl.col(name).forward_fill().over(series) for name in _COUNTS}
    risen = running.with_columns(
        (total - total.shift(1).over(series).fill_null(0)).alias(name) for name, total in known.items()
    )
    return pl.concat([raw.filter(~pl.col("running")), risen]).select(TOTAL_SCHEMA.keys())


def _history_rows(slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
    events = [cast("HistoryTotal", row.event) for row in rows]
    return pl.DataFrame(
        {
            SLOT: slots,
            "date": [event.date for event in events],
            "hour": [event.hour for event in events],
            "metric": [event.metric for event in events],
            "slice": [event.slice for event in events],
            "value": [event.value for event in events],
            "is_final": [event.is_final for event in events],
        },
        schema=HISTORY_SCHEMA,
    )
