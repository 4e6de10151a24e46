"""Exports: a file says what the answer says, in CSV, Parquet and JSON, for one format and for all of them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import Any

import polars as pl
import pytest

from streams.columns import Columns
from streams.errors import QueryError
from streams.export import (
    CHUNK_ROWS,
    Export,
    FileForm,
    Table,
    chunks,
    file_name,
    parse_export,
    tables_of,
    write_export,
)
from streams.export_tabs import TAB, TABS
from streams.own_metrics import known_metrics
from streams.query import parse_request, run
from streams.settings_check import checked_settings
from tests.unit.streams.boards import (
    CREATOR,
    LIVE,
    SHOP_TAB,
    at,
    board,
    flush_of,
    line,
    order,
    refund,
    settings,
    traffic,
)

HOSTILE = ["=HYPERLINK(1)", "+1", "-1+1", "@SUM(A1)", "\tx", "\rx", 'say "hi", then\nbye', "näme ☂", "plain"]
NOW_MS = at("2024-11-29 20:00")


def shop(currency: str = "USD") -> Columns:
    """One order of each hostile product, each a minute later, from three formats; clicks on the first ones."""
    columns = Columns(settings("UTC", currency))
    start = at("2024-11-29 10:00")
    events: list[Any] = [
        order(
            f"o{number}",
            start + 60_000 * number,
            [
                line(
                    "1",
                    f"sku-{number}",
                    1_050 + number,
                    product_id=name,
                    source=(LIVE, CREATOR, SHOP_TAB)[number % 3],
                )
            ],
            customer=f"c{number}",
        )
        for number, name in enumerate(HOSTILE)
    ]
    events += [
        traffic("product_click", start + 1_000 * number, "u1", HOSTILE[number % 4], LIVE)
        for number in range(30)
    ]
    events.append(refund("r1", "o0", "1", "sku-0", 500, start + 3_600_000))
    columns.apply(flush_of(events))
    columns.vouch(NOW_MS)
    return columns


def export_of(**params: str) -> Export:
    return parse_export({"metrics": "gmv,orders,ctor", "by": "product", "window": "all"} | params)


def written(columns: Columns, export: Export) -> bytes:
    file = io.BytesIO()
    write_export(tables_of(columns, export, now_ms=NOW_MS), export.form, file)
    return file.getvalue()


def answered(columns: Columns, export: Export) -> list[dict[str, Any]]:
    return run(columns, export.request, now_ms=NOW_MS).rows


def undefused(text: str) -> str:
    return text.removeprefix("'")


def test_csv_read_back_is_the_answer_and_runs_in_no_spreadsheet() -> None:
    columns, export = shop(), export_of()
    data = written(columns, export)
    head, *rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))
    assert head == ["product", "gmv", "orders", "ctor"]
    assert [
        {"product": undefused(p), "gmv": float(g), "orders": int(o), "ctor": float(c) if c else None}
        for p, g, o, c in rows
    ] == answered(columns, export)
    assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r")]
    assert {row[0] for row in rows} >= {"'=HYPERLINK(1)", "'-1+1", "plain", 'say "hi", then\nbye'}


def test_polars_reads_the_csv_as_the_same_figures() -> None:
    columns, export = shop(), export_of()
    frame = pl.read_csv(io.BytesIO(written(columns, export)))
    expected = answered(columns, export)
    assert frame.get_column("gmv").to_list() == [row["gmv"] for row in expected]
    assert frame.get_column("orders").to_list() == [row["orders"] for row in expected]
    assert frame.get_column("ctor").to_list() == [row["ctor"] for row in expected]


def test_a_negative_figure_is_a_number_and_not_text() -> None:
    columns, export = shop(), export_of(metrics="refunds_amount,gmv", by="")
    assert written(columns, export) == b"refunds_amount,gmv\n5.00,94.86\n"
    own = {"metrics": {"lost": {"formula": "-refunds_amount"}}}
    columns.settings = checked_settings(own, place="t")
    lost = parse_export({"metrics": "lost", "window": "all"}, known=known_metrics(columns.settings))
    assert written(columns, lost) == b"lost\n-5.00\n"


@pytest.mark.parametrize(
    ("currency", "gmv", "aov"),
    [("USD", "94.86", "10.54"), ("JPY", "9486", "1054"), ("KWD", "9.486", "1.054")],
)
def test_money_has_the_digits_of_its_currency(currency: str, gmv: str, aov: str) -> None:
    data = written(shop(currency), export_of(metrics="gmv,aov_revenue", by=""))
    assert data.decode().splitlines() == ["gmv,aov_revenue", f"{gmv},{aov}"]


def test_a_quotient_of_money_keeps_what_its_currency_has_no_digits_for() -> None:
    columns = shop()
    export = parse_export({"metrics": "gmv,aov_revenue", "window": "all", "where": "slice=seller_live"})
    (line_,) = list(csv.DictReader(io.StringIO(written(columns, export).decode())))
    assert float(line_["aov_revenue"]) == answered(columns, export)[0]["aov_revenue"]
    assert "e" not in line_["aov_revenue"]


def test_rates_are_fractions_days_are_dates_hours_have_their_offset() -> None:
    zone = "Europe/London"
    columns = board([order("o", at("2011-07-01 14:05", zone), [line("1", "A", 1_000)])], zone=zone)
    for by, text in (
        ("day", "2011-07-01"),
        ("hour", "2011-07-01T14+01:00"),
        ("minute", "2011-07-01T14:05+01:00"),
    ):
        data = written(columns, export_of(metrics="cancel_rate", by=by)).decode()
        assert data.splitlines() == [f"{by},cancel_rate", f"{text},0.0" if "." in data else f"{text},0"]


def test_a_missing_value_is_an_empty_cell_and_says_why_where_that_is_asked_for() -> None:
    columns = shop()
    plain = list(csv.DictReader(io.StringIO(written(columns, export_of(metrics="ctr,gmv")).decode())))
    assert {row["ctr"] for row in plain} == {""}
    told = list(csv.DictReader(io.StringIO(written(columns, export_of(metrics="ctr,gmv", why="1")).decode())))
    assert list(told[0]) == ["product", "ctr", "ctr_why", "gmv", "gmv_why"]
    assert {(row["ctr"], row["ctr_why"], row["gmv_why"]) for row in told} == {("", "no_source", "")}


def test_a_file_of_one_column_keeps_the_row_whose_value_is_missing() -> None:
    data = written(shop(), export_of(metrics="ctr", by=""))
    assert list(csv.reader(io.StringIO(data.decode()))) == [["ctr"], [""]]


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_a_comparison_stands_beside_each_metric_as_in_the_answer(form: str) -> None:
    columns = shop()
    day_before = [order("before", at("2024-11-28 10:00"), [line("1", "A", 4_000)])]
    columns.apply(flush_of(day_before, partition=1))
    export = export_of(format=form, by="", metrics="gmv,orders", window="today", compare="previous")
    expected = answered(columns, export)
    assert len(expected[0]) > 4
    (row,) = _rows(written(columns, export), form)
    assert list(row) == list(expected[0])
    assert [float(value) for value in row.values()] == pytest.approx(list(expected[0].values()))


def test_parquet_keeps_every_cell_as_it_is_with_types_and_units() -> None:
    columns, export = shop(), export_of(format="parquet", metrics="gmv,orders,ctor,ctr", why="1")
    data = written(columns, export)
    frame = pl.read_parquet(io.BytesIO(data))
    assert frame.schema == {
        "product": pl.String,
        "gmv": pl.Float64,
        "gmv_why": pl.String,
        "orders": pl.Int64,
        "orders_why": pl.String,
        "ctor": pl.Float64,
        "ctor_why": pl.String,
        "ctr": pl.Float64,
        "ctr_why": pl.String,
    }
    names = ["product", "gmv", "orders", "ctor", "ctr"]
    assert frame.select(names).to_dicts() == answered(columns, export)
    assert set(frame.get_column("ctr_why")) == {"no_source"}
    told = pl.read_parquet_metadata(io.BytesIO(data))
    assert (told["warroom.shop"], told["warroom.currency"], told["warroom.window"]) == ("s1", "USD", "all")
    units = json.loads(told["warroom.units"])
    assert (units["gmv"], units["orders"], units["ctor"]) == ("money, USD", "count", "fraction")


def test_a_file_of_an_unknown_id_has_its_row_and_the_reason_there() -> None:
    words = {"metrics": "gmv,ctor", "where": "product=nosuch"}
    assert written(shop(), export_of(**words)) == b"product,gmv,ctor\nnosuch,,\n"
    lines = written(shop(), export_of(**words, why="1")).decode().splitlines()
    assert lines == ["product,gmv,gmv_why,ctor,ctor_why", "nosuch,,unknown_id,,unknown_id"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"metrics": "gmv", "by": "creator", "where": "product=nosuch"}, "unknown_id"),
        ({"metrics": "product_impressions", "by": "product"}, "no_source"),
        ({"metrics": "gmv", "by": "product", "window": "day:2024-12-24"}, "not_begun"),
    ],
)
def test_a_file_without_rows_says_why_where_that_is_asked_for(words: dict[str, str], reason: str) -> None:
    columns, metric, by = shop(), words["metrics"], words["by"]
    assert written(columns, export_of(**words)).decode() == f"{by},{metric}\n"
    told = written(columns, export_of(**words, why="1")).decode()
    assert told.splitlines() == [f"{by},{metric},{metric}_why", f",,{reason}"]
    frame = pl.read_parquet(io.BytesIO(written(columns, export_of(**words, format="parquet", why="1"))))
    assert frame.rows() == [(None, None, reason)]
    assert pl.read_parquet(io.BytesIO(written(columns, export_of(**words, format="parquet")))).height == 0
    document = json.loads(written(columns, export_of(**words, format="json")))
    assert (document["rows"], document["nulls"]) == ([], {metric: {reason: []}})


def test_json_has_the_rows_the_columns_with_units_and_why_values_are_missing() -> None:
    columns, export = shop(), export_of(format="json", metrics="gmv,ctr")
    document = json.loads(written(columns, export))
    assert document["rows"] == answered(columns, export)
    assert document["columns"] == [
        {"name": "product", "unit": "text"},
        {"name": "gmv", "unit": "money, USD"},
        {"name": "ctr", "unit": "fraction"},
    ]
    assert document["nulls"] == run(columns, export.request, now_ms=NOW_MS).nulls
    assert (document["shop"], document["state"], document["window"]) == ("s1", "provisional", "all")


def test_a_file_of_one_format_holds_that_format() -> None:
    """S1-16: the data of the content type that is selected."""
    export = export_of(where="slice=seller_live")
    found = {row["product"] for row in csv.DictReader(io.StringIO(written(shop(), export).decode()))}
    assert {undefused(name) for name in found} == {
        name for n, name in enumerate(HOSTILE) if n % 3 == 0
    } | set(HOSTILE[:4])


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_a_file_of_all_formats_is_the_files_of_each_under_its_tab_name(form: str) -> None:
    """S1-69: an added column Tab Name tells the rows apart; columns and numbers are those of one format."""
    columns = shop()
    rows = _rows(written(columns, export_of(format=form, all_formats="1")), form)
    assert list(rows[0]) == [TAB, "product", "gmv", "orders", "ctor"]
    assert list(dict.fromkeys(row[TAB] for row in rows)) == [
        tab for name, tab in TABS.items() if any(row[TAB] == tab for row in rows)
    ]
    for name, tab in TABS.items():
        alone = _rows(written(columns, export_of(format=form, where=f"slice={name}")), form)
        assert [{key: row[key] for key in row if key != TAB} for row in rows if row[TAB] == tab] == alone
    assert {"All", "Seller LIVE", "Shop tab", "Affiliate", "Affiliate-video"} <= {row[TAB] for row in rows}


def _rows(data: bytes, form: str) -> list[dict[str, Any]]:
    if form == "parquet":
        return pl.read_parquet(io.BytesIO(data)).to_dicts()
    if form == "json":
        rows: list[dict[str, Any]] = json.loads(data)["rows"]
        return rows
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_nulls_of_a_file_of_all_formats_name_rows_of_the_whole_file() -> None:
    document = json.loads(written(shop(), export_of(format="json", all_formats="1", metrics="gmv,ctor")))
    missing = {row for rows in document["nulls"]["ctor"].values() for row in rows}
    assert missing == {number for number, row in enumerate(document["rows"]) if row["ctor"] is None}
    assert len({document["rows"][row][TAB] for row in missing}) > 1


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_a_metric_without_formats_stands_under_all_and_says_elsewhere_that_it_has_none(form: str) -> None:
    """S1-69: one figure that has no formats does not cost the others theirs."""
    columns = shop()
    words = {"format": form, "by": "product", "all_formats": "1", "why": "1", "window": "all"}
    export = parse_export({**words, "metrics": "stock_on_hand,gmv,orders", "sort": "stock_on_hand"})
    rows = _rows(written(columns, export), form)
    assert list(rows[0]) == [
        *(TAB, "product", "stock_on_hand", "stock_on_hand_why"),
        *("gmv", "gmv_why", "orders", "orders_why"),
    ]
    assert {row[TAB] for row in rows} >= {"All", "Seller LIVE", "Affiliate-video", "Shop tab"}
    whys = {row["stock_on_hand_why"] for row in rows if row[TAB] != "All"}
    assert whys == {"not_by_format"}
    assert "not_by_format" not in {row["stock_on_hand_why"] for row in rows if row[TAB] == "All"}
    for name, tab in TABS.items():
        alone = _rows(
            written(columns, export_of(format=form, metrics="gmv,orders", where=f"slice={name}")), form
        )
        kept = [{key: row[key] for key in ("product", "gmv", "orders")} for row in rows if row[TAB] == tab]
        sold = [row for row in kept if row["gmv"] not in ("0.00", 0, 0.0)]
        assert sold == [row for row in alone if row["gmv"] not in ("0.00", 0, 0.0)]


def test_a_comparison_of_what_has_no_formats_is_missing_with_it_and_columns_stay() -> None:
    words = {"by": "", "metrics": "stock_on_hand,gmv", "compare": "previous", "window": "today"}
    one = list(csv.reader(io.StringIO(written(shop(), export_of(**words)).decode())))
    rows = list(csv.reader(io.StringIO(written(shop(), export_of(**words, all_formats="1")).decode())))
    assert rows[0] == [TAB, *one[0]]
    assert rows[1] == ["All", *one[1]]
    assert [row[0] for row in rows[1:]] == list(TABS.values())
    lacks = [number for number, name in enumerate(rows[0]) if name.startswith("stock_on_hand")]
    assert len(lacks) == 4
    assert {row[number] for row in rows[2:] for number in lacks} == {""}


def test_what_has_no_formats_at_all_is_no_file_of_all_formats() -> None:
    with pytest.raises(QueryError, match="Nothing of the question is by format") as refused:
        written(shop(), export_of(metrics="stock_on_hand", all_formats="1"))
    assert refused.value.mend == "Leave all_formats out."


def test_a_long_file_comes_in_pieces_and_columns_stand_in_the_order_asked_for() -> None:
    columns = Columns(settings())
    lines = [line(f"{n:05}", f"s{n}", 100 + n, product_id=f"p{n:05}") for n in range(2 * CHUNK_ROWS + 10)]
    columns.apply(flush_of([order("o", NOW_MS - 1_000, lines)]))
    export = export_of(metrics="orders,gmv", by="product")
    pieces = list(chunks(tables_of(columns, export, now_ms=NOW_MS), export.form))
    assert len(pieces) > 2
    assert max(map(len, pieces)) < 60_000
    rows = list(csv.reader(io.StringIO(b"".join(pieces).decode())))
    assert rows[0] == ["product", "orders", "gmv"]
    assert rows[1:] == [[one.product_id, "1", f"{one.goods_paid_minor / 100:.2f}"] for one in lines]


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_a_file_without_rows_still_has_its_columns(form: str) -> None:
    data = written(shop(), export_of(format=form, by="sku", where="product=nobody's"))
    names = ["sku", "gmv", "orders", "ctor"]
    if form == "json":
        assert json.loads(data)["rows"] == []
        assert [column["name"] for column in json.loads(data)["columns"]] == names
    else:
        frame = (
            pl.read_parquet(io.BytesIO(data))
            if form == "parquet"
            else pl.read_csv(io.BytesIO(data), raise_if_empty=False)
        )
        assert (frame.columns, frame.height) == (names, 0)


def test_tables_of_different_columns_make_one_file_with_all_of_them() -> None:
    columns = shop()
    sold = run(columns, parse_request({"metrics": "gmv", "window": "all"}), now_ms=NOW_MS)
    seen = run(
        columns,
        parse_request({"metrics": "product_clicks", "by": "slice", "window": "all", "limit": "1"}),
        now_ms=NOW_MS,
    )
    tables = [Table(sold, {"part": "sales"}), Table(seen, {"part": "traffic"})]
    text = b"".join(chunks(tables, FileForm("csv"))).decode()
    assert text == "part,slice,gmv,product_clicks\nsales,,94.86,\ntraffic,affiliate,,0\n"


@pytest.mark.parametrize(
    ("params", "reason", "mend"),
    [
        ({"format": "xlsx"}, "bad_format", "csv, parquet, json"),
        ({"format": "table"}, "bad_format", "csv, parquet, json"),
        ({"why": "perhaps"}, "bad_flag", "why=1"),
        ({"formats": "all"}, "unknown_parameter", "format"),
        ({"all_formats": "1", "by": "slice"}, "bad_by", "slice"),
        ({"all_formats": "1", "where": "leaf=other"}, "bad_by", "leaf"),
        ({"metrics": "gmw"}, "unknown_metric", "gmv"),
        ({"metrics": ""}, "no_metrics", "gmv"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_what_would_work(
    params: dict[str, str], reason: str, mend: str
) -> None:
    with pytest.raises(QueryError) as refused:
        export_of(**params)
    assert refused.value.reason == reason
    assert mend in refused.value.mend


@pytest.mark.parametrize(
    ("shop_id", "window", "expected"),
    [
        ("s1", "today", "warroom_s1_gmv-orders-ctor_today.csv"),
        ("../../etc/passwd", "day:2011-11-25", "warroom_etc-passwd_gmv-orders-ctor_day-2011-11-25.csv"),
        ('a"; rm -rf /\r\nX: y', "all", "warroom_a-rm-rf-X-y_gmv-orders-ctor_all.csv"),
        ("日本", "campaign:ü", "warroom_gmv-orders-ctor_campaign.csv"),
        ("s" * 500, "all", f"warroom_{'s' * 112}.csv"),
    ],
)
def test_a_file_name_is_safe_whatever_things_are_called(shop_id: str, window: str, expected: str) -> None:
    answer = run(shop(), export_of(by="").request, now_ms=NOW_MS)
    answer = dataclasses.replace(answer, shop_id=shop_id, window=window)
    assert file_name(answer, FileForm("csv")) == expected


def test_a_file_says_since_when_a_metric_counts_whose_cube_is_not_rebuilt() -> None:
    since = {"product_clicks": at("2024-11-29 10:00") + 5_000}
    later = {"product_clicks": at("2024-11-29 10:00") + 9_000}
    first, *others = tables_of(
        shop(), export_of(metrics="gmv,product_clicks", all_formats="1"), now_ms=NOW_MS
    )
    tables = [
        dataclasses.replace(first, answer=dataclasses.replace(first.answer, since_ms=since)),
        dataclasses.replace(others[0], answer=dataclasses.replace(others[0].answer, since_ms=later)),
        *others[1:],
    ]
    files = {}
    for form in ("json", "csv", "parquet"):
        files[form] = io.BytesIO()
        write_export(tables, FileForm(form, all_formats=True, why=True), files[form])
    rows = _rows(files["csv"].getvalue(), "csv")
    assert json.loads(files["json"].getvalue())["since_ms"] == later
    assert (
        json.loads(pl.read_parquet_metadata(io.BytesIO(files["parquet"].getvalue()))["warroom.since_ms"])
        == later
    )
    why = {row[TAB]: row["product_clicks_why"] for row in rows}
    assert why["All"] == "since 2024-11-29T10:00:05+00:00"
    assert why["Seller LIVE"] == "since 2024-11-29T10:00:09+00:00"
    assert not why["Shop tab"].startswith("since")
    assert not any(row["gmv_why"].startswith("since") for row in rows)
