"""`warroom query --compare` over real recordings: one beside itself, one beside another, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click.testing
import pytest

from warroom.cli import main

RECORDINGS = Path(__file__).parents[3] / "replay" / "recordings"
RETAIL = str(RECORDINGS / "online-retail-2010-11")
BANDIT = str(RECORDINGS / "open-bandit-men")


def asked(*words: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, ["query", "--recording", RETAIL, *words])


def document(*words: str) -> dict[str, Any]:
    result = asked("--format", "json", *words)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_a_day_beside_the_same_day_of_the_same_recording_differs_by_nothing() -> None:
    answer = document(
        "--metrics", "gmv,orders,aov_revenue", "--by", "hour", "--window", "day:2010-11-24",
        "--compare", "recording:2010-11-24", "--against", RETAIL,
    )  # fmt: skip
    assert len(answer["rows"]) > 5
    for row in answer["rows"]:
        for metric in ("gmv", "orders", "aov_revenue"):
            assert row[f"{metric}_compared"] == row[metric]
            assert row[f"{metric}_difference"] in (0, None)
            assert row[f"{metric}_pct"] in (0, None)
    assert sum(row["gmv_pct"] == 0 for row in answer["rows"]) > 5


@pytest.mark.parametrize(
    "words",
    [
        ("view", "overview", "--part", "headline"),
        ("export", "--view", "overview", "part=headline"),
        ("export", "--metrics", "gmv"),
    ],
    ids=" ".join,
)
def test_a_view_and_a_file_compare_with_the_recording_beside_too(words: tuple[str, ...]) -> None:
    more = ["--window", "day:2010-11-24", "--compare", "recording:2010-11-23", "--against", RETAIL]
    said = click.testing.CliRunner().invoke(main, [*words, "--recording", RETAIL, "--format", "json", *more])
    assert said.exit_code == 0, said.output
    found = json.loads(said.output)
    (row,) = (found["parts"][0] if words[0] == "view" else found)["rows"]
    (alone,) = document("--metrics", "gmv", "--window", "day:2010-11-23")["rows"]
    assert row["gmv_compared"] == alone["gmv"]
    assert row["gmv_difference"] == pytest.approx(row["gmv"] - alone["gmv"])


def test_the_table_says_with_what_it_compares_and_how_far() -> None:
    result = asked("--metrics", "gmv", "--window", "today", "--compare", "yesterday")
    assert result.exit_code == 0
    assert "compared with yesterday: 2010-11-24" in result.output
    assert "both sides until 2010-11-25T19:41" in result.output


def test_csv_has_a_column_for_each_part_of_the_comparison() -> None:
    result = asked("--metrics", "gmv", "--window", "yesterday", "--compare", "previous", "--format", "csv")
    assert result.output.splitlines()[0] == "gmv,gmv_compared,gmv_difference,gmv_pct"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--compare", "benchmark", "--window", "today"), "no benchmarks of today"),
        (("--compare", "recording:2010-11-24"), "--against"),
        (("--compare", "recording:2010-12-24", "--against", RETAIL), "not over yet"),
        (("--compare", "recording:2019-11-24", "--against", BANDIT), "is in JPY, this shop in GBP"),
        (("--compare", "like last year"), "Comparisons are"),
        (("--window", "someday"), "weeks:6"),
    ],
)
def test_what_would_be_wrong_is_refused_with_what_works(words: tuple[str, ...], says: str) -> None:
    result = asked("--metrics", "gmv", *(() if "--window" in words else ("--window", "today")), *words)
    assert result.exit_code == 2
    assert says in result.output
