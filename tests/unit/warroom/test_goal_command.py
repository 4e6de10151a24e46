"""`warroom goal` and `warroom what-if` over a recording: answers, exit codes, messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replay.generator.scenario import generate
from replay.manifest import Manifest
from replay.recording import Recording
from replay.writing import RecordingWriter
from streams.days import HOUR_MS, BusinessCalendar, parse_day
from streams.goal_curve import campaign_curve
from streams.settings import Settings
from tests.unit.streams.boards import SHOP, board
from tests.unit.streams.test_goal_curve import FRIDAY, SHOP_SETTINGS, ZONE, campaign
from warroom.asking import recorded
from warroom.cli import main

RETAIL = Path(__file__).parents[3] / "replay" / "recordings" / "online-retail-2010-11"

DAY = "2026-11-27"
EVENING_MS = BusinessCalendar("America/Los_Angeles").day_start_ms(parse_day(DAY)) + 20 * 3_600_000


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("recordings") / "day"
    generate(folder, day=DAY, seed=1, scale=0.02)
    return str(folder)


@pytest.fixture(scope="module")
def open_day(day: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same day with a campaign that names neither plan nor reference."""
    folder, original = tmp_path_factory.mktemp("recordings") / "open-day", Recording.open(Path(day))
    with RecordingWriter(folder, Manifest("open day", original.shops)) as writer:
        for line in original.lines():
            value = line.value or b"{}"
            if line.topic == "cm.campaigns":
                value = json.dumps(json.loads(value) | {"reference": None, "plan": []}).encode()
            writer.write(line.topic, (line.key or b"").decode(), line.timestamp_ms, value)
    return str(folder)


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
        (
            ("goal", "show", "--against", "x"),
            2,
            "A board compares with the recording that it was started with.",
        ),
        (("what-if", "--against", "x"), 2, "A board compares with the recording that it was started with."),
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


@pytest.mark.parametrize(
    ("reference", "against", "says"),
    [
        ("recording:2010-11-24", (), "No recording is given beside. Name one with --against PATH"),
        # The recording breaks off on the evening of the 25th.
        ("recording:2010-11-25", ("--against", str(RETAIL)), "It tells 2010-11-22 to 2010-11-24."),
        (
            "recording:sale",
            ("--against", str(RETAIL)),
            "neither a day nor a campaign of the recording beside",
        ),
    ],
)
def test_why_a_reference_in_a_recording_is_not_used_is_said(
    open_day: str, tmp_path: Path, reference: str, against: tuple[str, ...], says: str
) -> None:
    referring(tmp_path, reference)
    result = run("goal", "show", "--recording", open_day, "--at", str(EVENING_MS), *against)
    assert result.exit_code == 0, result.output
    assert "Its reference is not used: " in result.stdout
    assert says in result.stdout


def test_a_reference_in_a_recording_shapes_pace_and_end_of_the_goal_and_of_a_what_if(
    open_day: str, tmp_path: Path
) -> None:
    referring(tmp_path, "recording:2010-11-24")
    asked = ("--recording", open_day, "--at", str(EVENING_MS))
    shaped = run("goal", "show", *asked, "--against", str(RETAIL), "--json")
    assert shaped.exit_code == 0, shaped.output
    progress = json.loads(shaped.stdout)["campaigns"][0]["progress"]
    assert (progress["basis"], progress["reference"]) == ("reference", "2010-11-24 of the recording beside")
    assert progress["reference_unused"] == ""
    # Nobody bought after eight in the evening of 2010-11-24 there: but for the evenly spread hundredth all was due.
    assert progress["expected_share"] == pytest.approx(0.99 + 0.01 * 20 / 24, abs=0.001)
    assert progress["projected"] < 1.05 * progress["value"]
    with_it, without = (
        json.loads(run("what-if", *asked, "--goal", "1", "--json", *more).stdout)["goal"]
        for more in (("--against", str(RETAIL)), ())
    )
    assert (with_it["basis"], without["basis"]) == ("reference", "straight")
    assert with_it["before"]["pace"] == progress["pace"]


def referring(folder: Path, reference: str) -> None:
    """Let the settings in a folder name the reference of the day's campaign."""
    table = f'[goals.lumen-and-loom.references]\nblack-friday = "{reference}"\n'
    (folder / "warroom.toml").write_text(table, encoding="utf-8")


def test_a_real_recording_gives_the_share_of_each_hour_as_its_records_count_it() -> None:
    """Counted over the lines of the file: how many of the day's orders were paid before two in the afternoon."""
    begin_ms = BusinessCalendar("Europe/London").day_start_ms(parse_day("2010-11-24"))
    events = [json.loads(line.value or b"{}") for line in Recording.open(RETAIL).lines()]
    paid = {
        one["order_id"]: one["paid_at_ms"] - begin_ms for one in events if one["event_type"] == "order_paid"
    }
    of_day = [after_ms for after_ms in paid.values() if 0 <= after_ms < 24 * HOUR_MS]
    early = sum(after_ms < 14 * HOUR_MS for after_ms in of_day)
    assert 20 < early < len(of_day)
    bf = campaign(reference="recording:2010-11-24")
    columns = board([bf], zone=ZONE)
    columns.beside = recorded(RETAIL, Settings())
    curve = campaign_curve(columns, SHOP_SETTINGS, bf, "orders")
    assert curve.share(FRIDAY + 14 * HOUR_MS) == pytest.approx(0.99 * early / len(of_day) + 0.01 * 14 / 24)
    assert SHOP not in columns.beside
    assert curve.days == 0
