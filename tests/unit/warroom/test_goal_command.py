"""`warroom goal` and `warroom what-if` over a recording: answers, exit codes, messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replay.generator.scenario import generate
from streams.days import BusinessCalendar, parse_day
from warroom.cli import main

DAY = "2026-11-27"
EVENING_MS = BusinessCalendar("America/Los_Angeles").day_start_ms(parse_day(DAY)) + 20 * 3_600_000


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("recordings") / "day"
    generate(folder, day=DAY, seed=1, scale=0.02)
    return str(folder)


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WARROOM_CONFIG", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_goals_of_a_recording_are_shown_as_known_then(day: str) -> None:
    result = run("goal", "show", "--recording", day, "--at", str(EVENING_MS), "--json")
    assert result.exit_code == 0, result.output
    (campaign,) = json.loads(result.stdout)["campaigns"]
    assert campaign["progress"]["basis"] == "plan"
    assert 0 < campaign["progress"]["value"] < campaign["target"] * 2
    text = run("goal", "show", "--recording", day, "--at", str(EVENING_MS)).stdout
    assert "goal 0.00" not in text
    assert "was due (plan)" in text


def test_the_history_of_a_goal_is_shown(day: str) -> None:
    result = run("goal", "history", "black-friday", "--recording", day)
    assert result.exit_code == 0, result.output
    assert "2026-11-26 00:00  not named: none -> " in result.stdout


def test_settings_set_a_weeks_goal(day: str, tmp_path: Path) -> None:
    (tmp_path / "warroom.toml").write_text("[goals.lumen-and-loom]\nweek = 900\n", encoding="utf-8")
    result = run("goal", "show", "--recording", day, "--json")
    assert result.exit_code == 0, result.output
    (period,) = json.loads(result.stdout)["periods"]
    assert (period["kind"], period["target"], period["set_by"]) == ("week", 900, "settings")


def test_what_if_starts_from_a_recording_and_leaves_it(day: str) -> None:
    asked = ("what-if", "--recording", day, "--at", str(EVENING_MS), "--flash-sale", "*=2@21:00..22:00")
    result = run(*asked, "--goal", "1", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["goal"]["after"]["target"] == 1
    assert document["gmv_at_risk"]["after"]["mid"] >= document["gmv_at_risk"]["before"]["mid"]
    assert run(*asked).stdout.startswith("As of 27 Nov 20:00. Nothing is stored.\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("goal", "set", "black-friday"), 2, "Name a value, or --clear."),
        (("goal", "set", "black-friday", "5", "--clear"), 2, "Name a value, or --clear."),
        (("goal", "set", "black-friday", "5", "--url", "http://127.0.0.1:9"), 69, "does not answer"),
        (("goal", "show", "--at", "5"), 2, "--at looks back"),
        (("goal", "show", "--recording", "nowhere"), 3, "nowhere"),
        (
            ("what-if", "--recording", "x", "--url", "http://127.0.0.1:9"),
            2,
            "Name one of --recording and --url.",
        ),
        (("what-if", "--at", "5"), 2, "--at looks back"),
        (("what-if", "--goal", "5", "--url", "http://127.0.0.1:9"), 69, "does not answer"),
    ],
)
def test_wrong_use_is_told_in_one_line(arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("what-if",), ("goal", "show"), ("preflight",), ("rules", "explain", "A-01", "x")]
)
def test_without_an_address_the_board_of_the_settings_is_asked(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARROOM_BOARD_PORT", "9")
    result = run(*words)
    assert result.exit_code == 69
    assert "http://127.0.0.1:9 does not answer" in result.stderr


def test_an_instant_is_named_in_shop_time_or_in_ms(day: str) -> None:
    asked = ("what-if", "--recording", day, "--goal", "1", "--json", "--at")
    assert run(*asked, f"{DAY}T20:00").stdout == run(*asked, str(EVENING_MS)).stdout != ""
    refused = run(*asked, "eight")
    assert (refused.exit_code, "Write 2011-11-25T20:00, or ms." in refused.stderr) == (2, True)


def test_an_unknown_campaign_names_those_that_are_known(day: str) -> None:
    result = run("goal", "history", "other", "--recording", day)
    assert result.exit_code == 2
    assert "black-friday" in result.stderr
