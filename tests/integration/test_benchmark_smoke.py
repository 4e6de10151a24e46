"""The benchmark's smallest form: every runner prints the same W1 table, and a wrong table fails the run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.load import IMPRESSIONS_ONLY, Load
from benchmarks.w1 import Cell, difference, digest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


def test_stock_faust_a_bare_loop_and_our_worker_print_the_same_table() -> None:
    command = [sys.executable, "-m", "benchmarks.throughput", "--json", "--rounds", "1"]
    command += ["--records", "20000", "--stock-records", "2000", "--mixed-records", "20000", "--only-tables"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    document = json.loads(done.stdout)
    for key in ("w1_events_per_second", "w1_of_limit", "w1_times_stock"):
        assert document[key] > 0
    assert document["full_events_per_second"] > 0
    assert document["full_times_stock"] > 0
    assert "20,000 events" in document["w1_table"]


def test_the_expected_table_does_not_depend_on_who_draws_it_and_a_wrong_cell_is_found() -> None:
    table = Load(5_000, mix=IMPRESSIONS_ONLY).expected_w1()
    assert digest(table) == digest(Load(5_000).expected_w1())
    cell = max(table, key=lambda one: table[one][0])
    count, people = table[cell]
    wrong = {**table, cell: (count + 1, people)}
    assert difference(table, table) is None
    assert "/".join(cell) in (difference(wrong, table) or "")
    assert difference({**table, Cell("2025-11-28", "no such product", "all"): (1, 1.0)}, table) is not None
