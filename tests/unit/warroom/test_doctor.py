"""`warroom doctor`: one line per finding, and an exit code for scripts."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from warroom.cli import main

SETTINGS = '[shops.s1]\ntimezone = "Europe/London"\ncurrency = "GBP"\n[board]\nport = 0\n'


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("doctor", *arguments))


def test_a_machine_that_is_well_ends_with_0() -> None:
    Path("warroom.toml").write_text(SETTINGS, encoding="utf-8")
    done = run("--offline")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "ok   settings: warroom.toml holds; shops: s1"
    assert "0 in the way" in done.stdout.splitlines()[-1]


def test_settings_that_cannot_be_read_are_a_finding_and_not_a_crash() -> None:
    Path("warroom.toml").write_text("[kafka]\nbootstrp = 'x'\n", encoding="utf-8")
    done = run("--offline")
    assert done.exit_code == 6
    assert "bootstrp" in done.stdout
    assert "-> " in done.stdout


def test_no_shop_at_all_is_in_the_way() -> None:
    done = run("--offline")
    assert done.exit_code == 6
    assert "names no shop" in done.stdout


def test_a_broker_that_is_not_there_is_in_the_way_and_programs_can_read_it() -> None:
    Path("warroom.toml").write_text(f"{SETTINGS}[kafka]\nbootstrap = '127.0.0.1:9'\n", encoding="utf-8")
    done = run("--json")
    assert done.exit_code == 6
    document = json.loads(done.stdout)
    assert document["ok"] is False
    (broker,) = [finding for finding in document["findings"] if finding["level"] == "bad"]
    assert broker["check"] == "broker"
    assert "127.0.0.1:9" in broker["said"]
