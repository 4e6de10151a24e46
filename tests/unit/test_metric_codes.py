"""Every code that rows of the briefs' catalogue of metrics have is told in docs/METRICS.md, with what asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.catalogue import DIMENSIONS
from streams.request import parse_request
from streams.windows import FORMS
from tests.oracle.test_asked_rows import DIMENSIONS as ASKED
from tests.oracle.test_asked_rows import ROWS, WINDOWS
from tools.generate_metrics import DIMENSION_CODES, PAGE, WINDOW_CODES, documents

OF_LATER_PARTS = {"CU", "CH"}
"""Codes of rows on customers and channels, which nothing answers yet."""

PAGE_TEXT = documents(Path())[PAGE]


def codes(column: int) -> set[str]:
    return {code for row in ROWS.strip().splitlines() for code in row.split("|")[column].split()}


def test_every_dimension_code_has_words_and_the_dimensions_that_answer_it() -> None:
    assert codes(1) | OF_LATER_PARTS | {"F6t"} == DIMENSION_CODES.keys()
    for code in codes(1):
        assert tuple(DIMENSION_CODES[code][0].split()) == tuple(dim for dim in ASKED[code] if dim)
    assert {dim for dims, _ in DIMENSION_CODES.values() for dim in dims.split()} <= DIMENSIONS.keys()


def test_every_window_code_has_words_and_a_form_that_is_documented() -> None:
    assert codes(2) <= WINDOW_CODES.keys() == WINDOWS.keys()
    for code, (form, _) in WINDOW_CODES.items():
        assert form in FORMS
        assert form.partition(":")[0] == WINDOWS[code].partition(":")[0]
        parse_request({"metrics": "gmv", "window": form})


@pytest.mark.parametrize("code", [*DIMENSION_CODES, *WINDOW_CODES])
def test_every_code_stands_in_the_page(code: str) -> None:
    words = (DIMENSION_CODES.get(code) or WINDOW_CODES[code])[1]
    assert f"| {code} | {words} |" in PAGE_TEXT
