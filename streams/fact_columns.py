"""Facts of one shop as polars columns: order lines, refunds, states of orders, stock, reference records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl

from streams.ad_columns import AdColumns
from streams.atoms import NO_SOURCE_ATOM, atom_of
from streams.content_columns import ContentColumns
from streams.days import BusinessCalendar
from streams.events import (
    Campaign,
    Heartbeat,
    OrderLine,
    OrderPaid,
    OrderStatusChanged,
    Product,
    Refund,
    Shop,
    Source,
    StockChanged,
)
from streams.fact_schemas import (
    LINE_ATTRIBUTION,
    ORDER_LINE_SCHEMA,
    REFUND_SCHEMA,
    STATUS_SCHEMA,
    STOCK_SCHEMA,
)
from streams.frames import SLOT, LatestFacts
from streams.numbers import Numbers
from streams.spreading import spread
from streams.state import FactRow
from streams.stock_levels import first_levels, newest_levels
from streams.total_columns import TotalColumns

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _text(value: str | int | None) -> str | None:
    """Return an id as text: a JSON integer is its text."""
    return value if value is None or type(value) is str else str(value)


def _leads(lines: list[OrderLine]) -> list[bool]:
    """Mark the least line_id of each SKU of an order; of equal ids the first."""
    first: dict[str, tuple[str, int]] = {}
    for index, line in enumerate(lines):
        sku, place = str(line.sku_id), (str(line.line_id), index)
        if sku not in first or place < first[sku]:
            first[sku] = place
    leading = {index for _, index in first.values()}
    return [index in leading for index in range(len(lines))]


def _days(calendar: BusinessCalendar, at_ms: Iterable[int]) -> pl.Series:
    return pl.Series(calendar.days_of(np.fromiter(at_ms, dtype=np.int64)).astype(np.int32))


class FactColumns:
    """All facts of one shop.

    Args:
        calendar: the shop's.

    Attributes:
        content, ads, totals: facts of other kinds.
    """

    def __init__(self, calendar: BusinessCalendar) -> None:
        self.content = ContentColumns(calendar)
        self.ads = AdColumns(calendar)
        self.totals = TotalColumns(calendar)
        self._others: dict[str, ContentColumns | AdColumns | TotalColumns] = {
            kind: columns for columns in (self.content, self.ads, self.totals) for kind in columns.KINDS
        }
        self._calendar = calendar
        self._orders = LatestFacts(ORDER_LINE_SCHEMA, self._order_rows)
        self._refunds = LatestFacts(REFUND_SCHEMA, self._refund_rows)
        self._statuses = LatestFacts(STATUS_SCHEMA, _status_rows)
        self._stock = LatestFacts(STOCK_SCHEMA, self._stock_rows)
        self._tables = (
            *(self._orders, self._refunds, self._statuses, self._stock),
            *(self.content, self.ads, self.totals),
        )
        self._customers: dict[str, int] = {}
        self._skus: dict[str, int] = {}
        self._users = Numbers()
        self._references: dict[str, dict[tuple[str, ...], FactRow]] = {}
        self._products: dict[str, Product] | None = None
        self._attributed: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame] | None = None
        self._refunded: tuple[pl.DataFrame, NDArray[np.int64]] | None = None
        self._levels: tuple[pl.DataFrame, pl.DataFrame] | None = None

    def put(self, row: FactRow) -> None:
        """Take one fact in; the winner of its key stays."""
        kind, ids = row.key.kind, row.key.ids
        if kind == "order_paid":
            self._orders.put(ids[0], row)
        elif kind == "order_status":
            self._statuses.put(ids, row)
        elif kind == "refund":
            self._refunds.put(ids, row)
        elif kind == "stock_changed":
            self._stock.put(ids, row)
        elif kind in self._others:
            self._others[kind].put(row)
        else:
            known = self._references.setdefault(kind, {})
            present = known.get(ids)
            if present is None or row.merge_order > present.merge_order:
                known[ids] = row
                if kind == "product":
                    self._products = None

    def settle(self) -> None:
        """Make rows of what was put, as `LatestFacts.settle` does: at the end of a flush."""
        for table in self._tables:
            table.settle()

    @property
    def empty(self) -> bool:
        """Whether no fact is known."""
        return not self._references and not any(len(table) for table in self._tables)

    def order_lines(self, days: Collection[int] | None = None) -> pl.DataFrame:
        """Return `ORDER_LINE_SCHEMA`, one row per line of each order; of some business days or of all."""
        return self._orders.frame() if days is None else self._orders.of_days(days)

    def order_pieces(
        self, name: Hashable, reduce: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
        """Return the rows of `order_lines` in pieces, with what `reduce` makes of each: `LatestFacts.pieces`."""
        return self._orders.pieces(name, reduce)

    def order_sums(
        self, name: Hashable, day: int, reduce: Callable[[pl.DataFrame], pl.DataFrame]
    ) -> list[pl.DataFrame]:
        """Return what `reduce` makes of a day's order lines, in pieces of whole orders: `LatestFacts.sums_of_day`."""
        return self._orders.sums_of_day(name, day, reduce)

    def order_days(self) -> dict[int, int]:
        """Return business day -> the change that touched its order lines last."""
        self._orders.frame()
        return self._orders.days

    def order_status(self) -> pl.DataFrame:
        """Return `STATUS_SCHEMA`, one row per state that an order has reached."""
        return self._statuses.frame()

    def refunds(self) -> pl.DataFrame:
        """Return `REFUND_SCHEMA` with the attribution of the refunded line; of an unknown line, atom `other`."""
        refunds, lines = self._refunds.frame(), self._orders.frame()
        if self._attributed is None or self._attributed[0] is not refunds or self._attributed[1] is not lines:
            # Orders are told by their number: a million ids as text take five times as long.
            wanted = np.zeros(len(self._orders), dtype=np.bool_)
            wanted[self._refunded_slots(refunds)] = True
            sources = (
                lines.select("order_id", "line_id", *LINE_ATTRIBUTION)
                .filter(pl.Series(wanted[lines.get_column(SLOT).to_numpy()]))
                .unique(["order_id", "line_id"], keep="first", maintain_order=True)
            )
            joined = refunds.join(sources, on=["order_id", "line_id"], how="left").with_columns(
                pl.col("atom").fill_null(NO_SOURCE_ATOM)
            )
            self._attributed = (refunds, lines, joined)
        return self._attributed[2]

    def refund_records(self) -> pl.DataFrame:
        """Return `REFUND_SCHEMA`, without what the refunded line says."""
        return self._refunds.frame()

    def _refunded_slots(self, refunds: pl.DataFrame) -> NDArray[np.int64]:
        if self._refunded is None or self._refunded[0] is not refunds:
            orders = refunds.get_column("order_id").unique()
            slots = self._orders.slots(orders.to_list())
            if len(slots) < len(orders):
                # A refund came before its order: that is looked for again.
                return slots
            self._refunded = (refunds, slots)
        return self._refunded[1]

    def stock_history(self) -> pl.DataFrame:
        """Return `STOCK_SCHEMA`, one row per SKU, warehouse and kept quarter hour."""
        return self._stock.frame()

    def stock_begun(self) -> pl.DataFrame:
        """Return `sku_id` and `occurred_at_ms` of its first kept level."""
        return self._stock.reduced("begun", first_levels)

    def stock_levels(self) -> pl.DataFrame:
        """Return `STOCK_SCHEMA`, the newest row of each SKU and warehouse."""
        history = self._stock.frame()
        if self._levels is None or self._levels[0] is not history:
            self._levels = (history, self._stock.reduced("newest", newest_levels))
        return self._levels[1]

    def campaigns(self) -> list[Campaign]:
        """Return the newest version of each campaign, by start and id."""
        found = [cast("Campaign", row.event) for row in self._of_kind("campaign")]
        return sorted(found, key=lambda campaign: (campaign.starts_at_ms, str(campaign.campaign_id)))

    def products(self) -> dict[str, Product]:
        """Return the newest version of each product card; the same dict until one changes."""
        if self._products is None:
            self._products = {row.key.ids[0]: cast("Product", row.event) for row in self._of_kind("product")}
        return self._products

    def profile(self) -> Shop | None:
        """Return the shop's newest profile."""
        return next((cast("Shop", row.event) for row in self._of_kind("shop")), None)

    def heartbeats(self) -> list[Heartbeat]:
        """Return the newest heartbeat of each sender."""
        return [cast("Heartbeat", row.event) for row in self._of_kind("heartbeat")]

    def _of_kind(self, kind: str) -> Collection[FactRow]:
        return self._references.get(kind, {}).values()

    def _order_rows(self, slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
        orders = [cast("OrderPaid", row.event) for row in rows]
        counts = [len(order.lines) for order in orders]
        lines = [line for order in orders for line in order.lines]
        credits_minor = [
            part
            for order in orders
            for part in (
                spread(order.credits_minor, [line.goods_paid_minor for line in order.lines])
                if order.credits_minor
                else [0] * len(order.lines)
            )
        ]
        sources = [line.source for line in lines]
        customers = [str(order.customer_id) for order in orders]
        numbers = [self._customers.setdefault(customer, len(self._customers)) for customer in customers]

        skus = [str(line.sku_id) for line in lines]

        def each(values: list[Any]) -> list[Any]:
            return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]

        # Buckets come from occurred_at_ms, which the contract says equals paid_at_ms and which alone the fold has
        # bounded: a paid_at_ms in the year 9000 must not stretch the calendar.
        return pl.DataFrame(
            {
                SLOT: each(slots),
                "order_id": each([str(order.order_id) for order in orders]),
                "line_id": [str(line.line_id) for line in lines],
                "product_id": [str(line.product_id) for line in lines],
                "sku_id": skus,
                "sku_no": self._numbers_of(skus),
                "customer_id": each(customers),
                "customer_no": each(numbers),
                "user_no": each(self._users.of([_text(order.user_key) for order in orders])),
                "content_id": _of_source(sources, lambda source: source.content_id),
                "creator_id": _of_source(sources, lambda source: source.creator_id),
                "sub_campaign_id": _of_source(sources, lambda source: source.sub_campaign_id),
                "ad_id": [_ad_of(line) for line in lines],
                "territory": each([_text(order.territory) for order in orders]),
                "paid_at_ms": each([order.occurred_at_ms for order in orders]),
                "created_at_ms": each([order.created_at_ms for order in orders]),
                "received_at_ms": each([row.received_at_ms for row in rows]),
                "quantity": [line.quantity for line in lines],
                "goods_minor": [line.goods_paid_minor for line in lines],
                "shipping_minor": [line.shipping_paid_minor for line in lines],
                "tax_minor": [line.tax_minor for line in lines],
                "cofund_minor": [line.cofund_product_minor + line.cofund_shipping_minor for line in lines],
                "seller_discount_minor": [line.seller_discount_minor for line in lines],
                "coupon_minor": [line.coupon_minor for line in lines],
                "credits_minor": credits_minor,
                "list_minor": [line.list_price_minor * line.quantity for line in lines],
                "leads_sku_order": [mark for order in orders for mark in _leads(order.lines)],
                "day": _days(self._calendar, each([order.occurred_at_ms for order in orders])),
                "atom": [
                    NO_SOURCE_ATOM if source is None else atom_of(source.owner, source.format, source.surface)
                    for source in sources
                ],
            },
            schema=ORDER_LINE_SCHEMA,
        )

    def _refund_rows(self, slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
        refunds = [cast("Refund", row.event) for row in rows]
        return pl.DataFrame(
            {
                SLOT: slots,
                "refund_id": [str(refund.refund_id) for refund in refunds],
                "order_id": [str(refund.order_id) for refund in refunds],
                "line_id": [str(refund.line_id) for refund in refunds],
                "customer_id": [str(refund.customer_id) for refund in refunds],
                "product_id": [str(refund.product_id) for refund in refunds],
                "sku_id": [str(refund.sku_id) for refund in refunds],
                "kind": [refund.kind for refund in refunds],
                "quantity": [refund.quantity for refund in refunds],
                "amount_minor": [refund.amount_minor for refund in refunds],
                "shipping_minor": [refund.shipping_minor for refund in refunds],
                "tax_minor": [refund.tax_minor for refund in refunds],
                "processed_at_ms": [refund.occurred_at_ms for refund in refunds],
                "received_at_ms": [row.received_at_ms for row in rows],
                "day": _days(self._calendar, [refund.occurred_at_ms for refund in refunds]),
            },
            schema=REFUND_SCHEMA,
        )

    def _stock_rows(self, slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
        changes = [cast("StockChanged", row.event) for row in rows]
        skus = [str(change.sku_id) for change in changes]
        return pl.DataFrame(
            {
                SLOT: slots,
                "sku_id": skus,
                "sku_no": self._numbers_of(skus),
                "product_id": [str(change.product_id) for change in changes],
                "warehouse_id": [str(change.warehouse_id) for change in changes],
                "available": [change.available for change in changes],
                "version": [row.version for row in rows],
                "occurred_at_ms": [change.occurred_at_ms for change in changes],
            },
            schema=STOCK_SCHEMA,
        )

    def _numbers_of(self, skus: list[str]) -> list[int]:
        """Return the number of each SKU, the next one where it has none."""
        numbers = self._skus
        return [numbers.setdefault(sku, len(numbers)) for sku in skus]


def _ad_of(line: OrderLine) -> str | None:
    """Return the ad that a line is attributed to, by the line itself or by its paid source."""
    if line.ad_id is None and line.source is not None and line.source.is_paid:
        return _text(line.source.ad_id)
    return _text(line.ad_id)


def _of_source(sources: list[Source | None], field: Callable[[Source], str | int | None]) -> list[str | None]:
    return [None if source is None else _text(field(source)) for source in sources]


def _status_rows(slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
    changes = [cast("OrderStatusChanged", row.event) for row in rows]
    return pl.DataFrame(
        {
            SLOT: slots,
            "order_id": [str(change.order_id) for change in changes],
            "status": [change.status for change in changes],
            "seq": [change.seq for change in changes],
            "occurred_at_ms": [change.occurred_at_ms for change in changes],
        },
        schema=STATUS_SCHEMA,
    )
