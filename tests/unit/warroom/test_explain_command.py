"""`warroom explain`: a figure of a recording taken apart, and the command that gives it again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.processes import free_port
from tests.unit.replay.recorded import BEGIN_MS, STEP_MS, written
from warroom.cli import main


@pytest.fixture(autouse=True)
def small(tmp_path: Path) -> None:
    written(tmp_path / "small")


def told(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_the_command_in_an_explanation_gives_the_figure_again() -> None:
    result = told(
        "explain", "--recording", "small", "--metric", "product_clicks", "--row", "product=p1", "--json"
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["value"] == 15
    assert found["outcomes"]["clicks"] == {
        "records": 54,
        "counted": 51,
        "late": 0,
        "duplicate": 2,
        "superseded": 0,
        "refused": 1,
        "rejected_schema": 1,
    }
    words = shlex.split(found["query"]["command"])
    assert words[0] == "warroom"
    again = told(*words[1:], "--format", "json")
    assert json.loads(again.stdout)["rows"] == [{"product": "p1", "product_clicks": 15}]


def test_an_instant_of_the_recording_stays_in_the_command() -> None:
    at = str(BEGIN_MS + 4 * STEP_MS)
    result = told("explain", "--recording", "small", "--metric", "product_clicks", "--at", at, "--json")
    found = json.loads(result.stdout)
    assert found["value"] == 5
    again = told(*shlex.split(found["query"]["command"])[1:], "--format", "json")
    assert json.loads(again.stdout)["rows"] == [{"product_clicks": 5}]


def test_the_text_says_formula_figures_meaning_outcomes_cells_and_why_a_value_is_missing() -> None:
    shown = told("explain", "--recording", "small", "--metric", "product_clicks").output
    for said in ("product_clicks = 51", "counts", "54 records", "1 rejected_schema", "cube ", "asked again"):
        assert said in shown
    missing = told("explain", "--recording", "small", "--metric", "ctor").output
    assert "null because no source feeds" in missing
    assert "Connect a source for orders, or" in missing


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--metric", "gmw", "--recording", "small"], 2, "Did you mean gmv"),
        (["--metric", "product_clicks", "--recording", "small", "--by", "product"], 2, "product=..."),
        (
            ["--metric", "product_clicks", "--recording", "small", "--row", "product=p9"],
            2,
            "Rows of product are p2",
        ),
        (["--metric", "gmv"], 2, "--recording and --url"),
        (["--metric", "gmv", "--url", "http://127.0.0.1:1", "--at", "5"], 2, "--recording"),
        (["--metric", "gmv", "--url", f"http://127.0.0.1:{free_port()}"], 69, "does not answer"),
        (["--metric", "gmv", "--recording", "nothing-here"], 3, "nothing-here"),
    ],
)
def test_what_cannot_be_explained_ends_with_its_code_and_what_would_work(
    words: list[str], code: int, said: str
) -> None:
    result = told("explain", *words)
    assert result.exit_code == code, result.output
    assert said in result.stderr
