"""Forms of an answer: CSV that a spreadsheet cannot be attacked with, a table that a terminal cannot."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest

from streams.answers import Answer
from streams.query import parse_request, run
from tests.unit.streams.boards import at, board, line, order

NOON = at("2024-11-29 12:00")


def answer(sku: str = "A1", **params: str) -> Answer:
    columns = board([order("o1", NOON, [line("1", sku, 123_456)])])
    return run(columns, parse_request({"metrics": "gmv,orders,ctor", "window": "all"} | params), now_ms=NOON)


def test_the_document_is_json_with_the_promised_keys() -> None:
    document = json.loads(json.dumps(answer(by="day").document(), allow_nan=False))
    promised = {name: document[name] for name in ("as_of_ms", "window", "state", "rows", "nulls")}
    assert promised == {
        "as_of_ms": NOON,
        "window": "all",
        "state": "provisional",
        "rows": [{"day": "2024-11-29", "gmv": 1234.56, "orders": 1, "ctor": None}],
        "nulls": {"ctor": {"no_source": [0]}},
    }


def test_csv_has_a_header_plain_numbers_and_empty_cells_for_null() -> None:
    assert answer(by="day").csv() == "day,gmv,orders,ctor\n2024-11-29,1234.56,1,\n"


@pytest.mark.parametrize("sku", ['=HYPERLINK("x")', "+1", "-1", "@x", 'a,"b'])
def test_no_cell_of_csv_is_a_formula_and_every_id_survives(sku: str) -> None:
    text = answer(sku, metrics="gmv", by="sku").csv()
    cell = list(csv.reader(io.StringIO(text)))[1][0]
    assert not cell.startswith(("=", "+", "-", "@"))
    assert cell.removeprefix("'") == sku


def test_the_table_shows_money_with_its_digits_and_why_something_is_missing() -> None:
    text = answer(by="day").table()
    assert "1,234.56" in text
    assert "ctor: no_source in 1 rows" in text
    assert text.splitlines()[0].split() == ["day", "gmv", "orders", "ctor"]


def test_an_id_cannot_send_escape_sequences_to_a_terminal() -> None:
    assert "\x1b" not in answer("\x1b[2J", metrics="gmv", by="sku").table()


def test_the_table_shows_an_instant_as_the_shops_time() -> None:
    text = answer(metrics="view_as_of", by="topic").table()
    assert text.splitlines()[1].split() == ["orders", "2024-11-29T12:00:00+00:00"]


def test_the_table_shows_times_prices_and_yes_or_no_of_a_view_as_a_person_reads_them() -> None:
    found = answer(metrics="orders", by="sku")
    labels = {"began_at_ms": NOON, "on_air": True, "paid": False, "rate": 0.0949398440058099}
    shown = dataclasses.replace(found, by=(*found.by, *labels), rows=[{**found.rows[0], **labels}])
    assert shown.table().splitlines()[1].split() == [
        *("A1", "2024-11-29T12:00:00+00:00", "yes", "no", "0.0949398", "1"),
    ]
