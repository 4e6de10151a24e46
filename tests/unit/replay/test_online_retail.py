"""Import of Online Retail: one small file with every kind of dirt that the real one has."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from replay.importers.online_retail import import_online_retail
from replay.recording import Recording
from streams.errors import RecordingError
from streams.events import OrderPaid, Product, Refund

ROWS = [
    ("489434", "85048", "CHRISTMAS BALLS", 12, "2010-07-01 07:45", 6.95, 13085),
    ("489434", "85048", "CHRISTMAS BALLS", 12, "2010-07-01 07:45", 6.95, 13085),
    ("489434", "47503J ", "CARDS ", 3, "2010-07-01 07:46", 0.335, 13085),
    ("489435", "85123a", "HEART", 1, "2010-07-01 08:00", 2.55, None),
    ("489435", "POST", "POSTAGE", 1, "2010-07-01 08:00", 18.0, None),
    ("489435", "m", "Manual", 1, "2010-07-01 08:00", 0.001, None),
    ("489436", "22041", "given away", 2, "2010-07-01 08:10", 0.0, None),
    ("489437", "22041", "damaged", -5, "2010-07-01 08:10", 0.0, None),
    ("489438", "22041", "odd", -5, "2010-07-01 08:10", 1.0, None),
    ("C489440", "85048", "CHRISTMAS BALLS", -2, "2010-07-01 09:00", 6.95, 13085),
    ("C489441", "22041", "FRAME", -1, "2010-07-01 09:30", 2.1, None),
    ("C489441", "M", "Manual", 1, "2010-07-01 09:30", 373.57, None),
    ("A506401", "B", "Adjust bad debt", 1, "2010-07-01 10:00", -53594.36, None),
    ("489450", "85048", "CHRISTMAS BALL", 1, "2010-07-02 08:00", 7.0, 17850),
]
COLUMNS = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]


def frame() -> pl.DataFrame:
    rows = pl.DataFrame(ROWS, schema=COLUMNS, orient="row")
    return rows.with_columns(pl.col("InvoiceDate").str.to_datetime("%Y-%m-%d %H:%M"))


def imported(tmp_path: Path, table: pl.DataFrame | None = None, **options: Any) -> Recording:
    source = tmp_path / "set.parquet"
    (frame() if table is None else table).write_parquet(source)
    import_online_retail(source, tmp_path / "out", **options)
    return Recording.open(tmp_path / "out")


def values(recording: Recording, event_type: str) -> list[bytes]:
    found = [line.value or b"" for line in recording.lines()]
    return [value for value in found if msgspec.json.decode(value)["event_type"] == event_type]


def orders(recording: Recording) -> dict[str, OrderPaid]:
    found = [msgspec.json.decode(value, type=OrderPaid) for value in values(recording, "order_paid")]
    return {str(order.order_id): order for order in found}


def refunds(recording: Recording) -> list[Refund]:
    return [msgspec.json.decode(value, type=Refund) for value in values(recording, "refund")]


def local_ms(text: str) -> int:
    # British summer time is one hour ahead of UTC.
    utc = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) - dt.timedelta(hours=1)
    return int(utc.timestamp() * 1000)


def test_an_order_holds_its_invoice_lines_with_money_to_the_cent(tmp_path: Path) -> None:
    order = orders(imported(tmp_path))["489434"]
    assert order.customer_id == "13085"
    assert [(line.line_id, line.sku_id, line.product_id, line.quantity) for line in order.lines] == [
        ("1", "85048", "85048", 12),
        ("2", "85048", "85048", 12),
        ("3", "47503J ", "47503J ", 3),
    ]
    # 12 x 6.95 = 83.40; 3 x 0.335 = 1.005, half a cent goes up.
    assert [line.goods_paid_minor for line in order.lines] == [8340, 8340, 101]
    assert [line.list_price_minor for line in order.lines] == [695, 695, 34]


def test_parts_of_a_cent_are_not_lost_however_many_lines_have_them(tmp_path: Path) -> None:
    tenths = pl.concat(
        [
            frame()[:1].with_columns(
                pl.lit(f"5000{number:02}").alias("InvoiceNo"),
                pl.lit(1, dtype=pl.Int64).alias("Quantity"),
                pl.lit(0.001 if number % 2 else 2.5).alias("UnitPrice"),
            )
            for number in range(28)
        ]
    )
    paid = [order.lines[0].goods_paid_minor for order in orders(imported(tmp_path, tenths)).values()]
    # 14 x 2.50 and 14 x 0.001 are 35.014.
    assert sum(paid) == 3501
    assert paid[::2] == [250] * 14
    assert sorted(paid[1::2]) == [0] * 13 + [1]


def test_an_order_is_paid_at_the_first_minute_of_its_lines_in_london_time(tmp_path: Path) -> None:
    recording = imported(tmp_path)
    order = orders(recording)["489434"]
    assert order.paid_at_ms == order.created_at_ms == order.occurred_at_ms == local_ms("2010-07-01 07:45")
    assert recording.manifest.other["import"]["orders_over_several_minutes"] == 1  # type: ignore[index]  # a JSON object


def test_a_missing_customer_is_a_guest_of_the_invoice(tmp_path: Path) -> None:
    recording = imported(tmp_path)
    assert orders(recording)["489435"].customer_id == "guest-489435"
    assert recording.manifest.other["import"]["guest_orders"] == 1  # type: ignore[index]  # a JSON object


def test_a_cancellation_is_a_return_of_an_unknown_order(tmp_path: Path) -> None:
    found = refunds(imported(tmp_path))
    assert [
        (r.refund_id, r.order_id, r.customer_id, r.kind, r.quantity, r.amount_minor, r.line_id) for r in found
    ] == [
        ("C489440", "unknown-13085", "13085", "return", 2, 1390, "1"),
        ("C489441", "unknown-guest-C489441", "guest-C489441", "return", 1, 210, "1"),
    ]
    assert found[0].processed_at_ms == found[0].requested_at_ms == local_ms("2010-07-01 09:00")


def test_what_is_left_out_is_counted_and_everything_adds_up(tmp_path: Path) -> None:
    report: Any = imported(tmp_path).manifest.other["import"]
    assert report["left_out"] == {
        "adjustment_invoice": 1,
        "cancellation_without_negative_quantity": 1,
        "order_without_positive_quantity": 1,
        "price_zero": 2,
    }
    assert report["rows"] == len(ROWS)
    assert report["rows"] == report["order_lines"] + report["refund_lines"] + sum(report["left_out"].values())
    assert report["duplicate_lines_kept"] == 1
    # 3 x 0.335 and 1 x 0.001
    assert report["rounded_lines"] == 2


def test_fee_codes_are_products_of_their_own_category(tmp_path: Path) -> None:
    found = [msgspec.json.decode(v, type=Product) for v in values(imported(tmp_path), "product")]
    assert {product.product_id: product.category for product in found} == {
        "22041": "gifts",
        "47503J ": "gifts",
        "85048": "gifts",
        "85123a": "gifts",
        "POST": "fee",
        "m": "fee",
    }
    balls = next(product for product in found if product.product_id == "85048")
    # Three lines say BALLS, one says BALL; the median of 6.95, 6.95, 6.95, 7.00 is 6.95.
    assert (balls.name, balls.price_minor, balls.sku_ids) == ("CHRISTMAS BALLS", 695, ["85048"])


def test_products_come_first_and_lines_are_in_order(tmp_path: Path) -> None:
    recording = imported(tmp_path)
    found = list(recording.lines())
    assert [line.topic for line in found[:6]] == ["cm.products"] * 6
    assert all(line.topic == "cm.orders" for line in found[6:])
    assert [line.timestamp_ms for line in found] == sorted(line.timestamp_ms for line in found)
    assert recording.warnings == []


def test_days_are_taken_from_the_local_calendar(tmp_path: Path) -> None:
    assert set(orders(imported(tmp_path, from_day="2010-07-02", to_day="2010-07-02"))) == {"489450"}


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%-m/%-d/%Y %-H:%M", "%Y-%m-%dT%H:%M:%S+01:00"]
)
def test_a_csv_gives_the_same_recording_as_a_parquet_file(tmp_path: Path, form: str) -> None:
    texts = frame().with_columns(
        pl.col("InvoiceDate").dt.strftime(form), pl.col("CustomerID").cast(pl.Float64).cast(pl.String)
    )
    texts.write_csv(tmp_path / "set.csv")
    import_online_retail(tmp_path / "set.csv", tmp_path / "csv")
    from_csv, from_parquet = Recording.open(tmp_path / "csv"), imported(tmp_path)
    assert list(from_csv.lines()) == list(from_parquet.lines())


def test_an_rfc_3339_time_is_an_instant_and_not_local(tmp_path: Path) -> None:
    texts = frame().with_columns(pl.lit("2010-07-01T07:45:00Z").alias("InvoiceDate"))
    assert orders(imported(tmp_path, texts))["489434"].paid_at_ms == local_ms("2010-07-01 08:45")


def test_a_broken_cell_is_refused_with_its_row(tmp_path: Path) -> None:
    texts = frame().with_columns(pl.col("InvoiceDate").dt.strftime("%Y-%m-%d %H:%M"))
    texts[2, "InvoiceDate"] = "yesterday"
    with pytest.raises(RecordingError, match="row 3 has no time but 'yesterday'"):
        imported(tmp_path, texts)


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no column Quantity"):
        imported(tmp_path, frame().drop("Quantity"))


def test_the_columns_of_the_second_edition_are_known(tmp_path: Path) -> None:
    renamed = frame().rename({"InvoiceNo": "Invoice", "UnitPrice": "Price", "CustomerID": "Customer ID"})
    assert "489434" in orders(imported(tmp_path, renamed))
