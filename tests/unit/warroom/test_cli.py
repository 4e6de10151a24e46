"""The command line: answers, exit codes, and messages that name what is wrong and how to mend it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tests.unit.replay.recorded import BEGIN_MS, LINES, STEP_MS, written
from warroom.cli import main


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return written(tmp_path / "small").folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def refused(result: Result, code: int) -> str:
    """Return the one line on standard error of a command that ended with a code of ours."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("warroom: ")
    return line


def test_a_recording_is_asked_about_all_of_its_time(small: Path) -> None:
    result = run("query", "--recording", str(small), "--metrics", "product_clicks", "--format", "json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    # 54 records of clicks: one is torn, two were sent twice.
    assert document["rows"] == [{"product_clicks": 51}]
    assert {"as_of_ms", "window", "state", "nulls"} <= set(document)


def test_json_can_be_asked_of_a_query_as_of_every_other_command(small: Path) -> None:
    common = ("query", "--recording", str(small), "--metrics", "product_clicks")
    assert json.loads(run(*common, "--json").stdout)["rows"] == [{"product_clicks": 51}]
    assert run(*common, "--json").stdout == run(*common, "--format", "json").stdout


def test_at_an_instant_it_knows_what_had_arrived(small: Path) -> None:
    at_ms = BEGIN_MS + 4 * STEP_MS
    common = ("query", "--recording", str(small), "--metrics", "product_clicks", "--at", str(at_ms))
    assert json.loads(run(*common, "--format", "json").stdout)["rows"] == [{"product_clicks": 5}]
    shown = run(*common, "--by", "product", "--format", "csv").stdout
    assert {row["product"]: row["product_clicks"] for row in csv.DictReader(io.StringIO(shown))} == {
        "p0": "2",
        "p1": "2",
        "p2": "1",
    }


def test_a_figure_without_a_source_is_no_zero_in_any_form(small: Path) -> None:
    common = ("query", "--recording", str(small), "--metrics", "gmv,product_clicks")
    document = json.loads(run(*common, "--format", "json").stdout)
    assert document["rows"][0]["gmv"] is None
    assert document["nulls"]["gmv"] == {"no_source": [0]}
    (row,) = csv.DictReader(io.StringIO(run(*common, "--format", "csv").stdout))
    assert row["gmv"] == ""
    assert "no_source" in run(*common).stdout


def test_an_unknown_metric_is_named_with_where_to_look(small: Path) -> None:
    said = refused(run("query", "--recording", str(small), "--metrics", "gmw"), 2)
    assert "gmw" in said
    assert "METRICS.md" in said or "gmv" in said


@pytest.mark.parametrize("sources", [(), ("--recording", "x", "--url", "http://127.0.0.1:1")])
def test_a_question_has_one_addressee(sources: tuple[str, ...]) -> None:
    said = refused(run("query", "--metrics", "gmv", *sources), 2)
    assert "--recording" in said
    assert "--url" in said


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert str(nowhere) in refused(run("query", "--recording", str(nowhere), "--metrics", "gmv"), 3)


def test_a_board_that_is_not_there_is_named() -> None:
    said = refused(run("query", "--url", "http://127.0.0.1:1", "--metrics", "gmv"), 69)
    assert "http://127.0.0.1:1" in said


def test_settings_that_are_wrong_are_named_with_key_and_mend(tmp_path: Path, small: Path) -> None:
    config = tmp_path / "other.toml"
    config.write_text('[kafka]\npartitions = "four"\n', encoding="utf-8")
    said = refused(run("--config", str(config), "query", "--recording", str(small), "--metrics", "gmv"), 2)
    assert "kafka.partitions" in said
    assert "four" in said


def test_a_speed_and_a_start_that_cannot_be_read_are_named(small: Path) -> None:
    assert "--speed" in refused(run("replay", str(small), "--speed", "fast"), 2)
    assert "--speed" in refused(run("demo", "--speed", "0x"), 2)


def silent(folder: Path) -> Path:
    """Take zone and currency off a recording's manifest: only the settings say them."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("timezone", "currency"):
        manifest.pop(name)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_rehearsal_takes_zone_and_currency_of_a_shop_from_the_settings(tmp_path: Path, small: Path) -> None:
    before = silent(written(tmp_path / "before").folder)
    assert "timezone" in refused(run("rehearse", str(silent(small)), "--json"), 3)
    config = tmp_path / "shops.toml"
    config.write_text('[shops.s1]\ntimezone = "Asia/Tokyo"\ncurrency = "JPY"\n', encoding="utf-8")
    common = ("--config", str(config), "rehearse", str(small), "--history", str(before), "--json")
    # From 22 o'clock in Tokyo on: the records are of an hour before, at 12 UTC.
    for extra in ((), ("--from", "2025-11-25T21:00", "--to-time", "2025-11-25T21:01")):
        result = run(*common, *extra)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["recording"] == "small"


@pytest.mark.parametrize(
    ("zone", "bounds", "records"),
    [
        ("Europe/London", (), LINES),
        ("Europe/London", ("--from", "2025-11-25T12:01"), 0),
        ("Europe/London", ("--to-time", "2025-11-25T11:59"), 0),
        # The settings' zone holds, not the manifest's: noon in London is 21 o'clock in Tokyo.
        ("Asia/Tokyo", ("--to-time", "2025-11-25T20:59"), 0),
        ("Asia/Tokyo", ("--from", "2025-11-25T21:00"), LINES),
    ],
)
def test_a_replay_tells_its_progress_of_what_is_played(
    tmp_path: Path,
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    bounds: tuple[str, ...],
    records: int,
) -> None:
    lengths: list[int] = []
    bar = click.progressbar

    def noted(*arguments: Any, length: int, **more: Any) -> Any:
        lengths.append(length)
        return bar(*arguments, length=length, **more)

    monkeypatch.setattr(click, "progressbar", noted)
    config = tmp_path / "shops.toml"
    config.write_text(f'[shops.s1]\ntimezone = "{zone}"\ncurrency = "GBP"\n', encoding="utf-8")
    result = run(
        "--config", str(config), "replay", str(small), *bounds, "--speed", "max", "--to", "direct", "--json"
    )
    assert result.exit_code == 0, result.output
    assert lengths == [records]
    assert json.loads(result.stdout)["records"] == records


def test_a_wrong_use_ends_with_two_and_the_usage() -> None:
    result = run("query", "--recording", "x")
    assert result.exit_code == 2
    assert "--metrics" in result.stderr
    assert run("frobnicate").exit_code == 2


def test_generate_says_what_it_wrote_and_does_not_write_over_it(tmp_path: Path) -> None:
    out = tmp_path / "day"
    result = run("generate", str(out), "--scale", "0.01", "--seed", "3", "--json")
    assert result.exit_code == 0, result.output
    manifest = json.loads(result.stdout)
    assert manifest["synthetic"] is True
    assert manifest["seed"] == 3
    assert manifest["topics"]["cm.orders"]["records"] > 0
    assert str(out) in refused(run("generate", str(out), "--scale", "0.01"), 3)


def test_a_replay_without_a_broker_counts_every_line(small: Path) -> None:
    result = run("replay", str(small), "--speed", "max", "--to", "direct", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["records"] == 60
    assert report["outcomes"]["clicks"] == {"counted": 51, "duplicate": 2, "rejected_schema": 1}


def commands(group: click.Group, before: str = "") -> list[str]:
    found = []
    for name, command in group.commands.items():
        found.append(f"{before}{name}")
        if isinstance(command, click.Group):
            found += commands(command, f"{before}{name} ")
    return found


def test_help_names_every_command_and_every_command_has_help() -> None:
    front = run("--help").stdout
    for name in commands(main):
        first, *rest = name.split()
        assert f"\n  {first} " in front
        helped = run(first, *rest, "--help")
        assert helped.exit_code == 0
        assert helped.stdout.startswith("Usage: ")
        assert len(helped.stdout.splitlines()) > 5
    wanted = {
        "demo",
        "worker",
        "board",
        "up",
        "topics",
        "replay",
        "import",
        "generate",
        "query",
        "dead-letters",
    }
    assert wanted <= set(main.commands)


def test_the_installed_command_is_this_one() -> None:
    program = Path(sys.executable).with_name("warroom")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("warroom, version ")
