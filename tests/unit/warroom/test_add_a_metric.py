"""docs/add-a-metric.md is run: its settings load, its commands work, and they print what the page shows."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.own_formula import FormulaError, read_formula
from streams.own_metrics import known_metrics
from warroom.cli import main
from warroom.configuration import load

PAGE = Path(__file__).resolve().parents[3] / "docs" / "add-a-metric.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks() -> list[tuple[str, str]]:
    return [(kind, text) for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests; those of the page in their place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WARROOM_CONFIG", raising=False)
    (settings,) = (text for kind, text in blocks() if kind == "toml")
    (tmp_path / "warroom.toml").write_text(settings, encoding="utf-8")


def told(command: str) -> Result:
    words = shlex.split(command, comments=True)
    assert words[0] == "warroom"
    return CliRunner().invoke(main, words[1:])


def test_every_command_of_the_page_prints_what_the_page_shows() -> None:
    commands, compared = 0, 0
    said = ""
    for kind, text in blocks():
        if kind == "sh":
            for line in text.strip().splitlines():
                result = told(line)
                assert result.exit_code == 0, result.output
                said, commands = result.output, commands + 1
        elif kind == "text":
            lines = [line.rstrip() for line in said.strip().splitlines()]
            shown = [line.rstrip() for line in text.strip().splitlines()]
            # Three dots stand for lines that are left out.
            rest = iter(lines)
            assert [line for line in shown if line != "..." and line not in rest] == [], said
            compared += 1
    assert (commands, compared) == (4, 2)
    with Path("own.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["Tab Name", "product", "gmv_per_click"]


def test_the_settings_of_the_page_make_metrics_of_the_sellers_own() -> None:
    known = known_metrics(load())
    assert [name for name, metric in known.items() if metric.is_own] == [
        "gmv_per_view",
        "gmv_per_click",
        "kept_orders",
    ]


def test_what_the_page_says_is_refused_is_refused_and_what_it_says_works_works() -> None:
    known = known_metrics(load())
    table = PAGE.read_text(encoding="utf-8").split("## What is refused")[1].split("A ratio of ratios")[0]
    refused = [
        formula
        for row in table.splitlines()
        if row.startswith("| `")
        for formula in re.findall(r"`([^`]+)`", row.split("|")[1])
    ]
    assert len(refused) > 8
    for formula in refused:
        with pytest.raises(FormulaError):
            read_formula(formula, known)
    for formula in (
        "(product_clicks + atc_count) / product_impressions",
        "(gmv / orders) / (items_sold / orders)",
    ):
        assert f"`{formula}`" in PAGE.read_text(encoding="utf-8")
        assert read_formula(formula, known).up


def test_a_formula_that_does_not_hold_ends_with_the_message_of_the_page(tmp_path: Path) -> None:
    (console,) = (text for kind, text in blocks() if kind == "console")
    command, message = console.strip().splitlines()
    path = tmp_path / "warroom.toml"
    wrong = re.search(r'formula = ".*"', command)
    assert wrong
    settings = path.read_text(encoding="utf-8").replace('formula = "gmv / product_clicks"', wrong[0])
    path.write_text(settings, encoding="utf-8")
    result = told(command.removeprefix("$ "))
    assert result.exit_code == 2
    assert result.stderr.strip() == message
