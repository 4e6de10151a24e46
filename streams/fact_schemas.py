"""Columns of the tables that facts become: what `Columns` answers with."""

from __future__ import annotations

from typing import Final

import polars as pl

from streams.frames import SLOT

_TEXT: Final = pl.String()
_INT: Final = pl.Int64()

ORDER_LINE_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "order_id": _TEXT,
    "line_id": _TEXT,
    "product_id": _TEXT,
    "sku_id": _TEXT,
    "sku_no": pl.UInt32(),
    "customer_id": _TEXT,
    "customer_no": pl.UInt32(),
    "user_no": pl.UInt32(),
    "content_id": _TEXT,
    "creator_id": _TEXT,
    "sub_campaign_id": _TEXT,
    "ad_id": _TEXT,
    "territory": _TEXT,
    "paid_at_ms": _INT,
    "created_at_ms": _INT,
    "received_at_ms": _INT,
    "quantity": _INT,
    "goods_minor": _INT,
    "shipping_minor": _INT,
    "tax_minor": _INT,
    "cofund_minor": _INT,
    "seller_discount_minor": _INT,
    "coupon_minor": _INT,
    "credits_minor": _INT,
    "list_minor": _INT,
    "leads_sku_order": pl.Boolean(),
    "day": pl.Int32(),
    "atom": pl.UInt8(),
}
"""`slot` numbers the order, `customer_no` the customer, `user_no` the `user_key` (null without one) and `sku_no` the
SKU: what distinct counts and joins run over.
`leads_sku_order` marks the least line_id (as text, by code point) of each (order, SKU): the pair's source is that
line's."""

REFUND_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "refund_id": _TEXT,
    "order_id": _TEXT,
    "line_id": _TEXT,
    "customer_id": _TEXT,
    "product_id": _TEXT,
    "sku_id": _TEXT,
    "kind": _TEXT,
    "quantity": _INT,
    "amount_minor": _INT,
    "shipping_minor": _INT,
    "tax_minor": _INT,
    "processed_at_ms": _INT,
    "received_at_ms": _INT,
    "day": pl.Int32(),
}

STATUS_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "order_id": _TEXT,
    "status": _TEXT,
    "seq": _INT,
    "occurred_at_ms": _INT,
}

STOCK_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "sku_id": _TEXT,
    "sku_no": pl.UInt32(),
    "product_id": _TEXT,
    "warehouse_id": _TEXT,
    "available": _INT,
    "version": _INT,
    "occurred_at_ms": _INT,
}

LINE_ATTRIBUTION: Final = ("atom", "content_id", "creator_id", "sub_campaign_id", "ad_id", "territory")
"""What a refund takes over from the order's line that it refunds."""
