"""What the stock table starts from: a shop's facts brought to one row per SKU.

Source: spec/metrics.md stock_on_hand, stock_horizon_hours; X-34. Pure reading and joining; no projection here.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from streams.days import HOUR_MS, QUARTER_MS, BusinessCalendar, parse_day
from streams.line_days import by_day, in_span
from streams.metrics_sales import gmv_minor
from streams.names import sku_name
from streams.projection import ProjectionInput
from streams.shape import DayShape, local_hours, shape_of, weekday_weights
from streams.stock_sales import Sales, StockSales

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from streams.columns import Columns
    from streams.events import Campaign
    from streams.settings import ShopSettings, StockSettings

SHAPE_DAYS: Final = 7
"""The hours of the shop's own shape are those of at most so many days before today."""

WEEKDAY_DAYS: Final = 28
"""And its days of the week those of at most so many."""

_NEVER_MS: Final = 1 << 62
"""Later than any instant."""

_NUMBER_BITS: Final = 32
"""Of the numbers of SKUs and customers."""

_INSTANT_BITS: Final = 40
"""Of an instant since the sales that are remembered begin: 34 years."""

_LEVELS: Final = {"sku_id": pl.String, "level": pl.Int64, "from_ms": pl.Int64, "to_ms": pl.Int64}


class StockFacts:
    """The facts of one shop at one instant, joined per SKU.

    Attributes:
        skus: one row per SKU, sorted: sku_id, product_id, on_hand (None without a record), stock_as_of_ms, since_ms,
            out_since_ms, price_minor (mean paid, 0 without a sale), recent_buyers, sold_since_record.
        campaigns: by product, the campaign that holds it and ends last.
        horizon_end_ms: per row of `skus`.
    """

    def __init__(self, columns: Columns, shop: ShopSettings, settings: StockSettings, as_of_ms: int) -> None:
        self.shop = shop
        self.settings = settings
        self.as_of_ms = as_of_ms
        self._columns = columns
        self._products = columns.products(shop.shop_id)
        campaigns = columns.campaigns(shop.shop_id)
        self.campaigns: dict[str, Campaign] = {}
        for campaign in sorted(campaigns, key=lambda each: (each.ends_at_ms, str(each.campaign_id))):
            self.campaigns.update((str(product_id), campaign) for product_id in campaign.product_ids)
        self._reference = _reference_day(campaigns, as_of_ms)
        self._orders_since_ms = columns.source_since_ms(shop.shop_id, "orders")
        self._sales_until_ms = columns.as_of_ms(shop.shop_id, ("orders",), as_of_ms)
        self._today = BusinessCalendar(shop.timezone).day_of(as_of_ms)

        self._sales = StockSales(columns, shop, settings, as_of_ms, self._sales_until_ms)
        start_ms = self._sales.start_ms
        self._sold = self._sold_skus(start_ms)
        history = columns.stock_history(shop.shop_id)
        self._first_records = columns.stock_begun(shop.shop_id).rename({"occurred_at_ms": "first_record_ms"})
        self._history = levels_over_time(history, as_of_ms=as_of_ms, start_ms=start_ms)
        self.skus = self._join(columns.stock_levels(shop.shop_id))

    @cached_property
    def shape(self) -> DayShape:
        """The shape of the day: of the campaign's reference day, else of the shop's own earlier days, else flat."""
        if self._reference is not None:
            shape = self._shape_of_days(self._reference, self._reference)
            if shape.basis != "flat":
                return dataclasses.replace(shape, basis="reference")
        shape = self._shape_of_days(self._today - SHAPE_DAYS, self._today - 1)
        return shape if shape.basis == "flat" else dataclasses.replace(shape, weekdays=self._weekdays())

    @cached_property
    def horizon_end_ms(self) -> NDArray[np.int64]:
        """End of each SKU's risk horizon (X-34): after its campaign's end there is none left."""
        farthest = self.as_of_ms + self.settings.horizon_ms
        ends = {
            product_id: max(min(farthest, campaign.ends_at_ms), self.as_of_ms)
            for product_id, campaign in self.campaigns.items()
        }
        return np.array(
            [ends.get(product_id, farthest) for product_id in self.skus.get_column("product_id")],
            dtype=np.int64,
        )

    def name(self, sku_id: str, product_id: str) -> str:
        """Return what a person calls a SKU: the product's name and, where it has several, what sets the SKU apart."""
        return sku_name(self._products.get(product_id), sku_id, product_id)

    def list_price(self, product_id: str) -> float:
        """Return the product card's price, 0 without one: what stands in for the mean paid before the first sale."""
        product = self._products.get(product_id)
        return float(product.price_minor) if product is not None else 0.0

    def projection_input(self) -> ProjectionInput:
        """Return the facts as the projection's columns; sales while the level was 0 or below are left out."""
        rows = self.skus.select("sku_id").with_row_index("row")
        closed = self._history.filter(pl.col("level") <= 0).join(rows, on="sku_id")
        row_of_no = self._by_number(rows, "row", -1)
        ever_closed = self._ever_closed()
        sku_no, paid_ms, quantity = self._open_sales(ever_closed)
        row_of = row_of_no[sku_no]
        if row_of.min(initial=0) < 0:
            shown = row_of >= 0
            row_of, paid_ms, quantity = row_of[shown], paid_ms[shown], quantity[shown]
        since = self.skus.get_column("since_ms").fill_null(self.as_of_ms)
        return ProjectionInput(
            as_of_ms=self.as_of_ms,
            sales_until_ms=self._sales_until_ms,
            on_hand=self.skus.get_column("on_hand")
            .fill_null(0)
            .cast(pl.Float64)
            .clip(lower_bound=0)
            .to_numpy(),
            since_ms=since.to_numpy(),
            horizon_end_ms=self.horizon_end_ms,
            sale_sku=row_of,
            sale_at_ms=paid_ms,
            sale_units=quantity.astype(np.float64),
            closed_sku=closed.get_column("row").cast(pl.Int64).to_numpy(),
            closed_from_ms=closed.get_column("from_ms").to_numpy(),
            closed_to_ms=closed.get_column("to_ms").to_numpy(),
            shape=self.shape,
            older=self._sales.older(row_of_no, rows.height, ever_closed),
        )

    def _ever_closed(self) -> NDArray[np.bool_] | None:
        """Return by number which SKUs were without stock at some time; None: none was."""
        found = self._history.filter(pl.col("level") <= 0).select("sku_id", pl.lit(1).alias("closed"))
        return self._by_number(found.unique(), "closed", 0) > 0 if found.height else None

    def _open_sales(self, ever_closed: NDArray[np.bool_] | None) -> Sales:
        """Return the single sales made while there was stock, as far as its feed knows."""
        sales = self._sales.single(ever_closed)
        if ever_closed is None:
            return sales
        closed = ever_closed[sales.sku_no]
        touched = np.flatnonzero(closed)
        closed[touched] = self._shut(sales.sku_no[touched], sales.paid_ms[touched])
        return sales.where(~closed)

    def _shut(self, sku_no: NDArray[np.uint32], paid_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return of sales which were made while there was no stock."""
        spans = (
            self._history.filter(pl.col("level") <= 0)
            .join(self._sold.select("sku_no", "sku_id"), on="sku_id")
            .sort("sku_no", "from_ms", "to_ms")
        )
        # A SKU and an instant are one number: the last span that began before a sale is the only one it can lie in.
        start_ms = self._sales.start_ms

        def placed(numbers: NDArray[np.int64], at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
            return numbers << _INSTANT_BITS | np.maximum(at_ms - start_ms, 0)

        numbers = spans.get_column("sku_no").cast(pl.Int64).to_numpy()
        begins = placed(numbers, spans.get_column("from_ms").to_numpy())
        ends = placed(numbers, spans.get_column("to_ms").to_numpy())
        sold = placed(sku_no.astype(np.int64), paid_ms)
        # A sale and the level that it leaves carry one instant: the sale belongs to the level before it.
        last = np.searchsorted(begins, sold, side="left") - 1
        return (last >= 0) & (sold <= ends[last])

    def _sold_skus(self, start_ms: int) -> pl.DataFrame:
        """Return sku_no, sku_id, sold_product_id, first_sale_ms, last_sale_ms, price_minor of what was sold since."""
        shop = self.shop

        def reduce(lines: pl.DataFrame) -> pl.DataFrame:
            latest = pl.col("paid_at_ms").arg_max()
            return (
                lines.filter(pl.col("quantity") > 0)
                .group_by("sku_no")
                .agg(
                    pl.col("sku_id").first(),
                    pl.col("product_id").get(latest).alias("sold_product_id"),
                    pl.col("paid_at_ms").min().alias("first_sale_ms"),
                    pl.col("paid_at_ms").max().alias("last_sale_ms"),
                    gmv_minor(shop).sum().alias("gmv_minor"),
                    pl.col("quantity").sum(),
                )
            )

        def unite(sold: pl.DataFrame) -> pl.DataFrame:
            latest = pl.col("last_sale_ms").arg_max()
            return sold.group_by("sku_no").agg(
                pl.col("sku_id").first(),
                pl.col("sold_product_id").get(latest),
                pl.col("first_sale_ms").min(),
                pl.col("last_sale_ms").max(),
                pl.col("gmv_minor", "quantity").sum(),
            )

        parts = in_span(self._columns, shop, "skus", (start_ms + 1, self.as_of_ms), reduce, unite=unite)
        days = pl.concat([reduce(self._columns.order_lines(shop.shop_id, ())), *parts])
        return (
            unite(days)
            .with_columns((pl.col("gmv_minor") / pl.col("quantity")).alias("price_minor"))
            .drop("gmv_minor", "quantity")
        )

    def _by_number(self, figures: pl.DataFrame, name: str, missing: int) -> NDArray[np.int64]:
        """Return a figure of SKUs, told by `sku_id`, by their number."""
        known = self._sold.select("sku_no", "sku_id").join(figures, on="sku_id")
        found = np.full(int(self._sold.get_column("sku_no").max() or 0) + 1, missing, dtype=np.int64)  # type: ignore[arg-type] # integers
        values = known.get_column(name).cast(pl.Int64).fill_null(missing)
        found[known.get_column("sku_no").to_numpy()] = values.to_numpy()
        return found

    def _join(self, levels: pl.DataFrame) -> pl.DataFrame:
        stock = levels.group_by("sku_id").agg(
            pl.col("available").sum().alias("on_hand"),
            pl.col("occurred_at_ms").max().alias("stock_as_of_ms"),
            pl.col("product_id").sort_by("occurred_at_ms").last(),
        )
        sold = self._sold.select("sku_id", "sold_product_id", "first_sale_ms", "price_minor", "last_sale_ms")
        cards = pl.DataFrame(
            [
                (str(sku_id), product_id)
                for product_id, product in self._products.items()
                for sku_id in product.sku_ids
            ],
            schema={"sku_id": pl.String, "card_product_id": pl.String},
            orient="row",
        ).unique("sku_id", keep="first", maintain_order=True)
        deleted = [key for key, product in self._products.items() if product.status == "deleted"]
        joined = (
            stock.join(cards, on="sku_id", how="full", coalesce=True)
            .join(sold, on="sku_id", how="full", coalesce=True)
            .with_columns(
                pl.coalesce("product_id", "card_product_id", "sold_product_id").alias("product_id"),
                pl.col("price_minor").fill_null(0.0),
            )
            .filter(~pl.col("product_id").is_in(deleted))
            .join(self._first_records, on="sku_id", how="left")
            .join(self._out_since(), on="sku_id", how="left")
        )
        joined = self._with_sales_of_windows(joined)
        if self.shop.stock_feed == "periodic":
            joined = joined.with_columns(pl.col("on_hand") - pl.col("units_since_record"))
            # Nobody recorded the moment: a periodic feed's level is out since its last sale at the latest.
            joined = joined.with_columns(pl.coalesce("out_since_ms", "last_sale_ms", "stock_as_of_ms"))
        since = pl.min_horizontal("first_record_ms", "first_sale_ms")
        if self._orders_since_ms is not None:
            since = pl.max_horizontal(since, pl.lit(self._orders_since_ms))
        return joined.with_columns(
            since.alias("since_ms"), (pl.col("units_since_record") > 0).alias("sold_since_record")
        ).sort("sku_id")

    def _with_sales_of_windows(self, joined: pl.DataFrame) -> pl.DataFrame:
        """Add units since the newest stock record, and buyers of the page's window."""
        window_ms = self.settings.page_sales_window_ms
        # What no record speaks of has no sales since one.
        record_ms = self._by_number(joined.select("sku_id", "stock_as_of_ms"), "stock_as_of_ms", _NEVER_MS)
        end = pl.min_horizontal(pl.col("out_since_ms"), pl.lit(self.as_of_ms)).alias("end_ms")
        end_ms = self._by_number(joined.select("sku_id", end), "end_ms", 0)
        ends = end_ms[end_ms > 0]
        sales = self._sales.of_windows(
            int(ends.min(initial=self.as_of_ms)) - window_ms, int(record_ms.min(initial=_NEVER_MS))
        )
        numbers = sales.sku_no
        since = sales.created_ms > record_ms[numbers]
        recent = (sales.paid_ms > end_ms[numbers] - window_ms) & (sales.paid_ms <= end_ms[numbers])
        units = np.zeros(len(record_ms), dtype=np.int64)
        np.add.at(units, numbers[since], sales.quantity[since])
        # One buyer of one SKU is one number; sorted, its repeats stand behind it.
        bought = np.sort(numbers[recent].astype(np.int64) << _NUMBER_BITS | sales.customer_no[recent])
        once = bought[np.diff(bought, prepend=-1) != 0]
        buyers = np.bincount(once >> _NUMBER_BITS, minlength=len(record_ms))
        own = self._sold.get_column("sku_no").to_numpy()
        sums = self._sold.select(
            "sku_id",
            pl.Series("units_since_record", units[own]),
            pl.Series("recent_buyers", buyers[own].astype(np.int64)),
        )
        return joined.join(sums, on="sku_id", how="left").with_columns(
            pl.col("units_since_record", "recent_buyers").fill_null(0)
        )

    def _out_since(self) -> pl.DataFrame:
        """Return when each SKU that is out fell to 0: the first record since its last level above 0."""
        last_open = self._history.group_by("sku_id").agg(
            pl.col("from_ms").filter(pl.col("level") > 0).max().alias("last_open_ms")
        )
        return (
            self._history.join(last_open, on="sku_id")
            .filter((pl.col("level") <= 0) & (pl.col("from_ms") >= pl.col("last_open_ms").fill_null(0)))
            .group_by("sku_id")
            .agg(pl.col("from_ms").min().alias("out_since_ms"))
        )

    def _shape_of_days(self, first: int, last: int) -> DayShape:
        calendar = BusinessCalendar(self.shop.timezone)
        starts_ms = np.array([calendar.day_start_ms(day) for day in range(first, last + 1)], dtype=np.int64)
        # The hour in which the feed began is not whole.
        since_ms = -(-(self._orders_since_ms or 0) // HOUR_MS) * HOUR_MS
        seen = (starts_ms[:, None] + np.arange(24) * HOUR_MS >= since_ms).sum(axis=0).astype(np.float64)
        counted = self._lines_by_quarter(first, last).filter(pl.col("at_ms") >= since_ms)
        hours = local_hours(counted.get_column("at_ms").to_numpy(), self.shop.timezone)
        sales = np.bincount(hours, weights=counted.get_column("sales").to_numpy(), minlength=24)
        return shape_of(sales.astype(np.float64), seen, "own", self.shop.timezone)

    def _weekdays(self) -> tuple[float, ...]:
        """Return the weights of the days of the week, of whole days since the order feed began."""
        calendar = BusinessCalendar(self.shop.timezone)
        began = calendar.day_of(self._orders_since_ms) + 1 if self._orders_since_ms is not None else 0
        first = max(self._today - WEEKDAY_DAYS, began)
        counted = self._lines_by_quarter(first, self._today - 1)
        days = calendar.days_of(counted.get_column("at_ms").to_numpy()) - first
        sales = np.zeros(max(0, self._today - first))
        np.add.at(sales, days, counted.get_column("sales").to_numpy())
        return weekday_weights(first, sales)

    def _lines_by_quarter(self, first: int, last: int) -> pl.DataFrame:
        """Return `at_ms`, a quarter hour, and `sales`, the lines paid in it, of whole business days, by time."""

        def reduce(lines: pl.DataFrame) -> pl.DataFrame:
            quarter = (pl.col("paid_at_ms") // QUARTER_MS * QUARTER_MS).alias("at_ms")
            return lines.group_by(quarter).agg(pl.len().cast(pl.Int64).alias("sales"))

        empty = pl.DataFrame(schema={"at_ms": pl.Int64, "sales": pl.Int64})
        parts = by_day(self._columns, self.shop, "lines", range(first, last + 1), reduce)
        return pl.concat([empty, *parts]).sort("at_ms")


def levels_over_time(history: pl.DataFrame, *, as_of_ms: int, start_ms: int) -> pl.DataFrame:
    """Return the level over all warehouses as it changed, of the SKUs that were ever out.

    Args:
        history: `columns.Columns.stock_history`.
        as_of_ms: the last level lasts until then.
        start_ms: intervals that ended before are left out.

    Returns:
        sku_id, level, from_ms, to_ms.
    """
    sku_no = history.get_column("sku_no").to_numpy()
    recent = (history.get_column("occurred_at_ms") <= as_of_ms).to_numpy()
    closed = (history.get_column("available") <= 0).to_numpy() & recent
    if not closed.any():
        return pl.DataFrame(schema=_LEVELS)
    touched = np.zeros(int(sku_no.max()) + 1, dtype=np.bool_)
    touched[sku_no[closed]] = True
    steps = (
        history.lazy()
        .filter(pl.Series(touched[sku_no] & recent))
        .select("sku_id", "warehouse_id", "available", "version", "occurred_at_ms")
        .collect()
        # One instant of two warehouses comes in one order everywhere.
        .sort("occurred_at_ms", "version", "warehouse_id")
        .with_columns(
            (
                pl.col("available") - pl.col("available").shift(1).over("sku_id", "warehouse_id").fill_null(0)
            ).alias("step")
        )
        .with_columns(
            pl.col("step").cum_sum().over("sku_id").alias("level"),
            pl.col("occurred_at_ms").alias("from_ms"),
            pl.col("occurred_at_ms").shift(-1).over("sku_id").fill_null(as_of_ms).alias("to_ms"),
        )
    )
    return steps.filter(pl.col("to_ms") > start_ms).select("sku_id", "level", "from_ms", "to_ms")


def _reference_day(campaigns: Sequence[Campaign], as_of_ms: int) -> int | None:
    """Return the day that the running campaign is compared with; None where its reference is not a date."""
    running = [each for each in campaigns if each.starts_at_ms <= as_of_ms < each.ends_at_ms]
    for campaign in sorted(running, key=lambda each: -each.ends_at_ms):
        try:
            return parse_day(campaign.reference or "")
        except ValueError:
            # The name of a campaign or a recording: its days are not among this shop's facts.
            continue
    return None
