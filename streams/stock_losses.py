"""What stock-outs have cost: demand of the hours in which a SKU really had no stock, at its mean price paid.

An estimate, and to be labelled so: nobody saw the sales that were not made. A SKU's speed is that of the hours in which
it was in stock, in shape-hours (`streams.shape`): of the same business day, steadied by the seven days before it, which
count as at most `STEADY_SALES` sales, just as `streams.projection` lets a long memory into a short one.

Source: gmv_lost_to_stockout in spec/metrics.md; S4-60.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from streams.days import HOUR_MS, MINUTE_MS
from streams.metrics_sales import gmv_minor
from streams.projection import LONG_SALES
from streams.shape import DayShape, local_hours, shape_of
from streams.stock_facts import levels_over_time

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streams.columns import Columns
    from streams.settings import ShopSettings

    Floats = NDArray[np.float64]
    Millis = NDArray[np.int64]

STEADY_DAYS: Final = 7
STEADY_SALES: Final = LONG_SALES
_STEP_MS: Final = 5 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class StockLoss:
    """What one SKU lost in an interval; an estimate.

    Attributes:
        hours_out: clock hours in which its level over all warehouses was 0 or below, as far as records tell.
        units: expected demand of these hours.
        gmv_lost_minor: units x mean price paid, minor units; 0 where it never sold.
    """

    sku_id: str
    product_id: str
    hours_out: float
    units: float
    gmv_lost_minor: int


def stock_losses(columns: Columns, shop: ShopSettings, *, from_ms: int, to_ms: int) -> list[StockLoss]:
    """Return what each SKU with a stock record lost while it was out of stock, in the order of SKUs.

    Args:
        columns: what is known.
        shop: whose.
        from_ms: begin of the interval.
        to_ms: its end, not after the instant up to which orders and stock are known: what is not known is not lost.
    """
    history = columns.stock_history(shop.shop_id)
    known = history.group_by("sku_id").agg(
        pl.col("product_id").sort_by("occurred_at_ms").last(),
        pl.col("occurred_at_ms").min().alias("since_ms"),
    )
    if not known.height or to_ms <= from_ms:
        return []
    known = known.sort("sku_id")
    calendar = columns.calendar(shop.shop_id)
    first = calendar.day_of(from_ms)
    days = range(first, calendar.day_of(to_ms - 1) + 1)
    start_ms = calendar.day_start_ms(first - STEADY_DAYS)
    lines = (
        columns.order_lines(shop.shop_id)
        .lazy()
        .filter(pl.col("paid_at_ms").is_between(start_ms, to_ms, closed="left") & (pl.col("quantity") > 0))
        .select("sku_id", "paid_at_ms", "quantity", gmv_minor(shop).alias("gmv_minor"))
        .collect()
    )
    closed = levels_over_time(history, as_of_ms=to_ms, start_ms=start_ms).filter(pl.col("level") <= 0)
    shop_since_ms = columns.source_since_ms(shop.shop_id, "orders") or start_ms
    sold_since = lines.group_by("sku_id").agg(pl.col("paid_at_ms").min().alias("sold_since_ms"))
    known = known.join(sold_since, on="sku_id", how="left").with_columns(
        pl.min_horizontal("since_ms", "sold_since_ms").alias("since_ms")
    )
    span = _Span(known, lines, closed, _shape(lines, start_ms, to_ms, shop.timezone), shop_since_ms)

    hours, units = np.zeros(known.height), np.zeros(known.height)
    for day in days:
        day_ms, end_ms = calendar.day_start_ms(day), min(calendar.day_start_ms(day + 1), to_ms)
        before_ms = calendar.day_start_ms(day - STEADY_DAYS)
        usual, usual_h = span.sold(before_ms, day_ms)
        today, today_h = span.sold(day_ms, end_ms)
        steady = np.minimum(usual, STEADY_SALES)
        exposure = np.where(usual > 0, steady * usual_h / np.where(usual > 0, usual, 1.0), 0.0) + today_h
        speed = np.where(exposure > 0, (steady + today) / np.where(exposure > 0, exposure, 1.0), 0.0)
        out_h, out_shape_h = span.out(max(day_ms, from_ms), end_ms)
        hours += out_h
        units += speed * out_shape_h
    price = span.price()
    return [
        StockLoss(
            sku_id, product_id, float(hours[row]), float(units[row]), round(float(units[row] * price[row]))
        )
        for row, (sku_id, product_id) in enumerate(known.select("sku_id", "product_id").iter_rows())
    ]


class _Span:
    """Sales and levels of an interval and the days before it, asked for by piece."""

    def __init__(
        self, known: pl.DataFrame, lines: pl.DataFrame, closed: pl.DataFrame, shape: DayShape, since_ms: int
    ) -> None:
        rows = known.select("sku_id").with_row_index("row")
        self._skus = known.height
        self._since_ms = np.maximum(known.get_column("since_ms").to_numpy(), since_ms)
        closed = closed.join(rows, on="sku_id")
        self._closed_row = closed.get_column("row").cast(pl.Int64).to_numpy()
        self._closed_from, self._closed_to = (
            closed.get_column(name).to_numpy() for name in ("from_ms", "to_ms")
        )
        self._lines = lines.join(rows, on="sku_id").with_columns(pl.col("row").cast(pl.Int64))
        self._shape = shape
        # What was sold while the level said none (oversold) belongs to no hour in stock.
        intervals = closed.select("sku_id", "from_ms", "to_ms").sort("from_ms")
        self._open = (
            self._lines.sort("paid_at_ms")
            .join_asof(
                intervals.with_columns(pl.col("from_ms") + 1),
                left_on="paid_at_ms",
                right_on="from_ms",
                by="sku_id",
                check_sortedness=False,
            )
            .filter(pl.col("to_ms").is_null() | (pl.col("paid_at_ms") > pl.col("to_ms")))
        )

    def sold(self, from_ms: int, to_ms: int) -> tuple[Floats, Floats]:
        """Return units sold while in stock, and the shape-hours in stock, from one instant to another."""
        inside = self._open.filter(pl.col("paid_at_ms").is_between(from_ms, to_ms, closed="left"))
        units = np.bincount(
            inside.get_column("row").to_numpy(),
            weights=inside.get_column("quantity").to_numpy(),
            minlength=self._skus,
        )
        up_to = self._hours(from_ms, to_ms)
        begun = up_to(np.maximum(self._since_ms, from_ms))
        in_stock = np.maximum(up_to(np.array([to_ms]))[0] - begun, 0.0)
        lost = up_to(self._closed_to) - up_to(np.maximum(self._closed_from, self._since_ms[self._closed_row]))
        np.subtract.at(in_stock, self._closed_row, np.maximum(lost, 0.0))
        return units.astype(np.float64), np.maximum(in_stock, 0.0)

    def out(self, from_ms: int, to_ms: int) -> tuple[Floats, Floats]:
        """Return clock hours and shape-hours without stock, from one instant to another."""
        clock, shaped = np.zeros(self._skus), np.zeros(self._skus)
        begin, end = np.clip(self._closed_from, from_ms, to_ms), np.clip(self._closed_to, from_ms, to_ms)
        up_to = self._hours(from_ms, to_ms)
        np.add.at(clock, self._closed_row, (end - begin) / HOUR_MS)
        np.add.at(shaped, self._closed_row, up_to(end) - up_to(begin))
        return clock, shaped

    def price(self) -> Floats:
        """Return the mean paid per unit over the whole span, 0 without a sale."""
        row = self._lines.get_column("row").to_numpy()
        paid, units = (
            np.bincount(row, weights=self._lines.get_column(name).to_numpy(), minlength=self._skus)
            for name in ("gmv_minor", "quantity")
        )
        return np.where(units > 0, paid / np.where(units > 0, units, 1.0), 0.0)

    def _hours(self, from_ms: int, to_ms: int) -> _UpTo:
        return _UpTo(self._shape, from_ms, to_ms)


class _UpTo:
    """Shape-hours from the begin of an interval up to any instant, which is taken into the interval first."""

    def __init__(self, shape: DayShape, from_ms: int, to_ms: int) -> None:
        edges = np.arange(from_ms // _STEP_MS * _STEP_MS, to_ms + _STEP_MS, _STEP_MS, dtype=np.int64)
        self._edges = np.clip(edges, from_ms, to_ms)
        steps = shape.levels(edges) * np.diff(self._edges) / HOUR_MS
        self._hours = np.concatenate(([0.0], np.cumsum(steps)))

    def __call__(self, at_ms: Millis) -> Floats:
        return np.interp(at_ms, self._edges, self._hours)


def _shape(lines: pl.DataFrame, start_ms: int, to_ms: int, timezone: str) -> DayShape:
    """Return the shape of the days that are looked at, by order lines; flat where there are few."""
    hours_ms = np.arange(start_ms, to_ms, HOUR_MS, dtype=np.int64)
    seen = np.bincount(local_hours(hours_ms, timezone), minlength=24).astype(np.float64)
    sold_ms = lines.get_column("paid_at_ms").sort().to_numpy()
    sales = np.bincount(local_hours(sold_ms, timezone), minlength=24).astype(np.float64)
    return shape_of(sales, seen, "own", timezone)
