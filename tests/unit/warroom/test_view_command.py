"""`warroom view`: the list, a view's explanation, its answer from a recording, and exit codes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.views import VIEWS
from tests.unit.replay.recorded import written
from warroom.cli import main


@pytest.fixture
def small(tmp_path: Path) -> str:
    return str(written(tmp_path / "small").folder)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["view", *arguments])


def test_without_a_name_every_view_is_listed_with_its_question() -> None:
    lines = run().stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(VIEWS)
    assert all(line.endswith("?") for line in lines)
    assert [view["view"] for view in json.loads(run("--format", "json").stdout)] == list(VIEWS)


def test_a_name_alone_explains_parts_parameters_and_limits() -> None:
    shown = run("product_details").stdout
    assert "Limit: a trend shows at most 2 metrics (A-67)." in shown
    assert "content_type" in shown
    assert "needed" in shown


def test_a_recording_answers_in_every_form(small: str) -> None:
    words = ("product_list", "--recording", small, "--window", "all")
    document = json.loads(run(*words, "--format", "json").stdout)
    # 54 records of clicks: one is torn, two were sent twice.
    assert sum(row["product_clicks"] for row in document["parts"][0]["rows"]) == 51
    rows = list(csv.DictReader(io.StringIO(run(*words, "--format", "csv").stdout)))
    assert sum(int(row["product_clicks"]) for row in rows) == 51
    assert "Product list" in run(*words).stdout


def test_a_parameter_of_the_view_is_taken(small: str) -> None:
    words = ("--recording", small, "--window", "all", "--format", "json")
    document = json.loads(run("product_list", "metrics=product_clicks", "search=p0", *words).stdout)
    assert document["parameters"]["search"] == "p0"
    assert [row["product"] for row in document["parts"][0]["rows"]] == ["p0"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("prodct_list",), "product_list"),
        (("product_list", "--recording", "here", "--url", "http://127.0.0.1:1"), "--recording and --url"),
        (("product_list", "search", "--recording", "SMALL"), "parameter=value"),
        (("product_list", "colour=red", "--recording", "SMALL"), "content_type"),
        (("product_details", "--recording", "SMALL"), "product="),
        (("overview", "--at", "5", "--url", "http://127.0.0.1:1"), "--at"),
    ],
)
def test_what_is_not_right_ends_with_2_and_says_what_would_work(
    small: str, words: tuple[str, ...], says: str
) -> None:
    result = run(*(small if word == "SMALL" else word for word in words))
    assert result.exit_code == 2, result.output
    assert says in result.stderr
