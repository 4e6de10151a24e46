"""The benchmark of the history asks a board that has every day: the last ones in memory, the others in files."""

from __future__ import annotations

import json

import pytest

from benchmarks import history
from benchmarks.load import Assortment
from benchmarks.month_facts import Size

SMALL = Size(days=2, lines=600, events=600, shop=Assortment(products=40, contents=20, creators=10))


@pytest.mark.timeout(120)
def test_every_day_in_memory_and_in_files_is_in_the_answers_that_are_timed() -> None:
    document = history.measure(SMALL, days=9)
    assert document["days_counted"] == 9
    assert document["questions"].keys() == history.QUESTIONS.keys()
    for figures in document["questions"].values():
        assert figures["first_wall_ms"] > 0
    assert document["cells_a_day"] > 0
    assert document["file_mib_a_day"] > 0
    assert json.loads(json.dumps(document)) == document
