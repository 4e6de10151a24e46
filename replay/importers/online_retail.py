"""Import UCI Online Retail (I and II): the orders and returns of a British gift retailer, to the minute.

How a line of the file becomes an event:

- An invoice that begins neither with C nor with A is an order; its lines with Quantity > 0 and UnitPrice > 0 are the
  order's. It is paid at the first minute of its lines (a few real invoices span two). Customer: CustomerID, else
  `guest-<invoice>`.
- A line of a C-invoice with Quantity < 0 and UnitPrice > 0 is a refund of kind `return`, at its own minute. The file
  does not say of which order, so the order is `unknown-<customer>`.
- SKU and product are the StockCode as it stands: real ones hold spaces and lower-case suffixes.
- Duplicate lines are kept, for nothing tells a repeated line from two of the same; `line_id` is the position of the
  line in its invoice.
- Codes that are charges and not goods (postage, carriage, bank charges...) are products of category `fee`.
- Left out, and counted by kind in the manifest: A-invoices (bad debt), price 0 (write-offs, samples), negative prices,
  lines of orders without a positive and of cancellations without a negative quantity.

Money of a line is Quantity x UnitPrice. Where that is no whole number of cents (UnitPrice is 0.001 on a few lines; it
is taken to six decimals), the running sum of the product is rounded half up and the line gets what that adds: so the
sum over any span of time is within a cent of the raw one, which rounding line by line would miss by more the longer
the span. The manifest counts these lines (`rounded_lines`).

Source: spec/events.md; README of the data set.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl

from replay.importers.foreign import between_days, instants_ms, read_table
from replay.manifest import Manifest
from replay.writing import Compression, RecordingWriter
from streams.errors import RecordingError
from streams.settings import ShopSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHOP_ID: Final = "online-retail"
TIMEZONE: Final = "Europe/London"
CURRENCY: Final = "GBP"
SOURCE: Final = "Online Retail (datasets 352 and 502 of the UCI repository), Daqing Chen, 2012 and 2019"
LICENCE: Final = "CC BY 4.0"

FEE_CODES: Final = frozenset(
    {
        "ADJUST",
        "ADJUST2",
        "AMAZONFEE",
        "B",  # bad debt
        "BANK CHARGES",
        "C2",  # carriage
        "C3",
        "CRUK",  # commission of a charity
        "D",  # discount
        "DOT",  # postage of another shop of theirs
        "M",  # manual
        "PADS",  # "to match all cushions", charged at a token 0.001
        "POST",
        "S",  # samples
    }
)
"""StockCodes, in upper case, that are charges and not goods; the data set has no flag for them."""

_COLUMNS: Final = {
    "invoice": ("InvoiceNo", "Invoice"),
    "code": ("StockCode",),
    "description": ("Description",),
    "quantity": ("Quantity",),
    "time": ("InvoiceDate",),
    "price": ("UnitPrice", "Price"),
    "customer": ("CustomerID", "Customer ID", "Customer_ID"),
}
_MICRO: Final = 1_000_000
_CENT: Final = 10_000
"""Micro-units in a cent."""


def import_online_retail(
    source: Path,
    out: Path,
    *,
    from_day: str | None = None,
    to_day: str | None = None,
    name: str = "",
    compression: Compression = "zst",
) -> Manifest:
    """Turn an Online Retail file into a recording.

    Args:
        source: .csv or .parquet with the eight columns of the data set.
        out: folder of the recording, made by this.
        from_day: first local day, such as 2010-11-22; None is the first of the file.
        to_day: last local day, included.
        name: of the recording; made from the file's name when empty.
        compression: of its parts.

    Returns:
        The manifest; `import` in it counts lines by what became of them, and they sum to `rows`.

    Raises:
        RecordingError: the file cannot be read or a cell is not what its column must hold.
    """
    table = _priced(between_days(_read(source), from_day, to_day, timezone=TIMEZONE))
    kept = table.filter(pl.col("fate").is_in(["order", "refund"]))
    orders = _orders(kept.filter(pl.col("fate") == "order"))
    refunds = kept.filter(pl.col("fate") == "refund")
    products = _products(kept)
    manifest = Manifest(
        name=name or f"Online Retail, {source.stem}",
        shops={SHOP_ID: ShopSettings(SHOP_ID, TIMEZONE, CURRENCY)},
        source=SOURCE,
        licence=LICENCE,
        other={"import": _report(source, table, orders, refunds, products)},
    )
    with RecordingWriter(out, manifest, compression=compression) as writer:
        if kept.height:
            start_ms = _integer(kept["at_ms"].min())
            for value, key in _product_events(products, start_ms):
                writer.write("cm.products", key, start_ms, value)
        events = [*_order_events(orders), *_refund_events(refunds)]
        # Stable: events of one minute stay in the order of the file.
        events.sort(key=lambda event: (event[0], event[1]))
        for at_ms, _, key, value in events:
            writer.write("cm.orders", key, at_ms, value)
    return writer.manifest


def _read(source: Path) -> pl.DataFrame:
    """Read the file: invoice, code, description, quantity, price_micro, customer, at_ms, row, position, fate."""
    table = read_table(source, _COLUMNS, optional=frozenset({"description"}))
    try:
        table = table.with_columns(
            pl.col("invoice", "code", "description").cast(pl.String),
            pl.col("quantity").cast(pl.Float64).cast(pl.Int64),
            (pl.col("price").cast(pl.Float64) * _MICRO).round().cast(pl.Int64).alias("price_micro"),
            _customer(table["customer"]),
        )
    except pl.exceptions.PolarsError as error:
        what = f"{source}: a cell of Quantity, UnitPrice or CustomerID is no number: {error}."
        raise RecordingError(what) from error
    for column in ("invoice", "code", "quantity", "price_micro"):
        if table[column].null_count():
            row = table[column].is_null().arg_max()
            what = f"{source}: row {(row or 0) + 1} has no {column.removesuffix('_micro')}."
            raise RecordingError(what)
    kind = pl.col("invoice").str.slice(0, 1).str.to_uppercase()
    price, quantity = pl.col("price_micro"), pl.col("quantity")
    return table.with_columns(
        instants_ms(table["time"], timezone=TIMEZONE, path=source),
        pl.int_range(pl.len()).alias("row"),
        (pl.int_range(pl.len()).over("invoice") + 1).alias("position"),
        pl.when(kind == "A")
        .then(pl.lit("adjustment_invoice"))
        .when(price == 0)
        .then(pl.lit("price_zero"))
        .when(price < 0)
        .then(pl.lit("price_negative"))
        .when(kind == "C")
        .then(
            pl.when(quantity < 0)
            .then(pl.lit("refund"))
            .otherwise(pl.lit("cancellation_without_negative_quantity"))
        )
        .when(quantity > 0)
        .then(pl.lit("order"))
        .otherwise(pl.lit("order_without_positive_quantity"))
        .alias("fate"),
    )


def _priced(table: pl.DataFrame) -> pl.DataFrame:
    """Add amount_minor, list_price_minor and rounded; the remainders of a cent are carried along each product."""
    micro = pl.col("quantity").abs() * pl.col("price_micro")
    so_far = (micro.cum_sum() + _CENT // 2) // _CENT
    price = pl.col("price_micro")
    return (
        table.sort("at_ms", "row")
        .with_columns(
            (so_far - so_far.shift(1, fill_value=0)).over("code", "fate").alias("amount_minor"),
            (micro % _CENT != 0).alias("rounded"),
            ((price + _CENT // 2) // _CENT).alias("list_price_minor"),
        )
        .sort("row")
    )


def _customer(cells: pl.Series) -> pl.Expr:
    """Return customer ids as text: `17850` whether the file holds an integer, a float or their text."""
    if cells.dtype.is_float():
        return pl.col("customer").cast(pl.Int64).cast(pl.String)
    text = pl.col("customer").cast(pl.String).str.strip_chars().str.strip_suffix(".0")
    return pl.when(text.is_in(["", "nan", "NaN", "null"])).then(None).otherwise(text).alias("customer")


def _orders(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one row per order: invoice, at_ms, customer, row, minutes, customers and its lines as lists."""
    return lines.group_by("invoice", maintain_order=True).agg(
        pl.col("at_ms").min(),
        pl.col("customer").drop_nulls().first(),
        pl.col("row").first(),
        pl.col("at_ms").n_unique().alias("minutes"),
        pl.col("customer").drop_nulls().n_unique().alias("customers"),
        pl.col("position", "code", "quantity", "amount_minor"),
        pl.col("list_price_minor"),
    )


def _order_events(orders: pl.DataFrame) -> Iterator[tuple[int, int, str, bytes]]:
    for order in orders.iter_rows(named=True):
        invoice, at_ms = order["invoice"], order["at_ms"]
        lines = [
            {
                "line_id": str(position),
                "product_id": code,
                "sku_id": code,
                "quantity": quantity,
                "list_price_minor": price,
                "goods_paid_minor": amount,
                "shipping_paid_minor": 0,
                "tax_minor": 0,
                "seller_discount_minor": 0,
                "cofund_product_minor": 0,
                "cofund_shipping_minor": 0,
                "coupon_minor": 0,
            }
            for position, code, quantity, amount, price in zip(
                order["position"],
                order["code"],
                order["quantity"],
                order["amount_minor"],
                order["list_price_minor"],
                strict=True,
            )
        ]
        event = {
            "event_id": f"order-{invoice}",
            "event_type": "order_paid",
            "shop_id": SHOP_ID,
            "occurred_at_ms": at_ms,
            "order_id": invoice,
            "created_at_ms": at_ms,
            "paid_at_ms": at_ms,
            "customer_id": order["customer"] or f"guest-{invoice}",
            "channel": "tiktok",
            "credits_minor": 0,
            "lines": lines,
        }
        yield at_ms, order["row"], invoice, msgspec.json.encode(event)


def _refund_events(refunds: pl.DataFrame) -> Iterator[tuple[int, int, str, bytes]]:
    for line in refunds.iter_rows(named=True):
        invoice, at_ms = line["invoice"], line["at_ms"]
        customer = line["customer"] or f"guest-{invoice}"
        event = {
            "event_id": f"refund-{invoice}-{line['position']}",
            "event_type": "refund",
            "shop_id": SHOP_ID,
            "occurred_at_ms": at_ms,
            "refund_id": invoice,
            "order_id": f"unknown-{customer}",
            "line_id": str(line["position"]),
            "customer_id": customer,
            "product_id": line["code"],
            "sku_id": line["code"],
            "kind": "return",
            "quantity": -line["quantity"],
            "amount_minor": line["amount_minor"],
            "shipping_minor": 0,
            "tax_minor": 0,
            "requested_at_ms": at_ms,
            "processed_at_ms": at_ms,
        }
        yield at_ms, line["row"], event["order_id"], msgspec.json.encode(event)


def _products(kept: pl.DataFrame) -> pl.DataFrame:
    """Return one row per StockCode: its most frequent description (ties by text), its median price, its category."""
    described = (
        kept.with_columns(pl.col("description").str.strip_chars())
        .filter(~pl.col("description").is_in(["", "nan"]))
        .group_by("code", "description")
        .len()
        .sort("code", "len", "description", descending=[False, True, False])
        .group_by("code", maintain_order=True)
        .agg(pl.col("description").first())
    )
    priced = kept.group_by("code").agg(pl.col("list_price_minor").median().round().cast(pl.Int64))
    return (
        priced.join(described, on="code", how="left")
        .with_columns(
            pl.col("description").fill_null(pl.col("code")),
            pl.when(pl.col("code").str.strip_chars().str.to_uppercase().is_in(sorted(FEE_CODES)))
            .then(pl.lit("fee"))
            .otherwise(pl.lit("gifts"))
            .alias("category"),
        )
        .sort("code")
    )


def _product_events(products: pl.DataFrame, start_ms: int) -> Iterator[tuple[bytes, str]]:
    for product in products.iter_rows(named=True):
        code = product["code"]
        event = {
            "event_id": f"product-{code}",
            "event_type": "product",
            "shop_id": SHOP_ID,
            "occurred_at_ms": start_ms,
            "product_id": code,
            "name": product["description"],
            "category": product["category"],
            "sku_ids": [code],
            "price_minor": product["list_price_minor"],
            "status": "live",
            "version": 1,
        }
        yield msgspec.json.encode(event), code


def _report(
    source: Path, table: pl.DataFrame, orders: pl.DataFrame, refunds: pl.DataFrame, products: pl.DataFrame
) -> dict[str, object]:
    fates = Counter(table["fate"].to_list())
    kept = table.filter(pl.col("fate").is_in(["order", "refund"]))
    return {
        "importer": "online_retail",
        "file": source.name,
        "rows": table.height,
        "order_lines": fates.pop("order", 0),
        "refund_lines": fates.pop("refund", 0),
        "left_out": dict(sorted(fates.items())),
        "orders": orders.height,
        "refund_invoices": refunds["invoice"].n_unique(),
        "guest_orders": orders["customer"].null_count(),
        "orders_over_several_minutes": int((orders["minutes"] > 1).sum()),
        "orders_of_several_customers": int((orders["customers"] > 1).sum()),
        "duplicate_lines_kept": kept.height
        - kept.select("invoice", "code", "description", "quantity", "time", "price", "customer").n_unique(),
        "rounded_lines": int(kept["rounded"].sum()),
        "products": products.height,
        "fee_products": int((products["category"] == "fee").sum()),
    }


def _integer(value: object) -> int:
    if not isinstance(value, int):
        what = f"{value!r} is no integer"
        raise TypeError(what)
    return value
