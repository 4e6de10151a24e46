"""`warroom rules`: what a person at a terminal gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.rulebook import RULES
from tests.unit.replay.recorded import written
from warroom.cli import main


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(words))
    return result.exit_code, result.output


def test_rules_are_listed_for_people_and_for_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("warroom.toml").write_text(
        '[rules]\noff = ["A-76"]\n[stock]\npage_min_sales = 9\n', encoding="utf-8"
    )
    code, text = run("rules", "list")
    assert code == 0
    assert "A-01  oos_forecast  Will run out" in text
    assert "stock.page_min_sales = 9" in text
    assert "A-76  slow_seller  Campaign product hardly sells  OFF" in text
    _, document = run("rules", "list", "--json")
    assert [rule["rule"] for rule in json.loads(document)] == [rule.number for rule in RULES]


def test_a_recording_answers_why_not(tmp_path: Path) -> None:
    written(tmp_path / "r")
    code, text = run("rules", "explain", "A-01", "p1", "--recording", str(tmp_path / "r"))
    assert code == 0
    assert "A-01 finds no sku to look at" in text
    _, document = run("rules", "explain", "A-66", "s1", "--recording", str(tmp_path / "r"), "--json")
    assert json.loads(document)["judgement"] == ""


@pytest.mark.parametrize(
    "words",
    [
        ("A-01", "x", "--url", "http://127.0.0.1:1", "--recording", "r"),
        ("A-01", "x", "--url", "http://127.0.0.1:1", "--at", "2024-11-29T20:00"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(words: tuple[str, ...]) -> None:
    assert run("rules", "explain", *words)[0] == 2


def test_a_board_that_does_not_answer_is_said_to_be_unavailable() -> None:
    assert run("rules", "explain", "A-01", "x", "--url", "http://127.0.0.1:1")[0] == 69
