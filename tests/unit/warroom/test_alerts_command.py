"""`warroom alerts` against a board that answers over HTTP."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from dashboards.desk import Desk
from dashboards.server import Extras, build_app
from dashboards.store import SqliteStore
from streams.settings import NotifySettings
from tests.unit.dashboards.shops import full_board, opened
from warroom.cli import main

TOKEN = "correct horse battery staple"


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(TOKEN)
    path = tmp_path / "warroom.toml"
    path.write_text(f'[board]\ntoken_file = "{tmp_path / "token"}"\n')
    return path


@pytest.fixture
def notify() -> NotifySettings:
    """How the board delivers."""
    return NotifySettings()


@pytest.fixture
def url(tmp_path: Path, settings_file: Path, notify: NotifySettings) -> Iterator[str]:
    """A board behind a token, in a loop of its own: the commands run one, too."""
    board = full_board(token_file=str(tmp_path / "token"))
    board.settings = dataclasses.replace(board.settings, notify=notify)
    board.told = [
        dataclasses.replace(opened(), name="\x1b[2Jdress", message="\x1b[2J runs out"),
        *board.told[:1],
    ]
    place: list[str] = []
    begun, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        desk = Desk(SqliteStore(tmp_path / "outbox.sqlite3", "desk"))
        runner = web.AppRunner(build_app(board, Extras(desk=desk)), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        place.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        begun.set()
        await over.wait()
        await runner.cleanup()
        await desk.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert begun.wait(10)
    yield place[0]
    loop.call_soon_threadsafe(over.set)
    thread.join(10)
    loop.close()


def run(settings_file: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(settings_file), "alerts", *words])


def test_an_alert_is_listed_taken_on_and_listed_with_who_has_it(url: str, settings_file: Path) -> None:
    before = run(settings_file, "list", "--url", url)
    assert before.exit_code == 0
    assert opened().alert_id in before.output
    assert "has it" not in before.output
    taken = run(settings_file, "ack", opened().alert_id, "--by", "Ann", "--url", url)
    assert (taken.exit_code, taken.output) == (0, f"Ann has {opened().alert_id}\n")
    assert "[Ann has it]" in run(settings_file, "list", "--url", url).output


@pytest.mark.parametrize("notify", [NotifySettings(alertmanager_url="http://127.0.0.1:9093")])
def test_beside_alertmanager_the_commands_say_what_they_do_not_do(url: str, settings_file: Path) -> None:
    listed = run(settings_file, "list", "--url", url).output
    assert "note: Noted on the board only: Alertmanager tells Slack and PagerDuty." in listed
    assert "note: What Alertmanager has been told of already goes on there" in listed
    taken = run(settings_file, "ack", opened().alert_id, "--by", "Ann", "--url", url)
    assert "note: Noted on the board only" in taken.output
    muted = run(settings_file, "mute", "--rule", "A-01", "--by", "Ann", "--url", url)
    assert "silence it there, too" in muted.output


def test_what_is_muted_is_listed_until_it_is_unmuted(url: str, settings_file: Path) -> None:
    words = ["mute", "--rule", "A-01", "--for", "2h", "--by", "Ann", "--why", "known", "--json", "--url", url]
    mute_id = json.loads(run(settings_file, *words).output)["mute_id"]
    listed = run(settings_file, "list", "--url", url).output
    assert f"[muted by {mute_id}]" in listed
    assert f"mute {mute_id}  rule=A-01  120 min left, by Ann: known" in listed
    assert run(settings_file, "unmute", mute_id, "--url", url).exit_code == 0
    assert "muted" not in run(settings_file, "list", "--url", url).output


def test_closed_alerts_are_listed_when_asked_for(url: str, settings_file: Path) -> None:
    def states(*words: str) -> list[str]:
        answer = json.loads(run(settings_file, "list", "--json", "--url", url, *words).output)
        return [alert["state"] for alert in answer["alerts"]]

    assert states() == ["open"]
    assert sorted(states("--all")) == ["open", "resolved"]


def test_a_name_from_outside_does_not_reach_the_terminal_as_a_command(url: str, settings_file: Path) -> None:
    assert "\x1b" not in run(settings_file, "list", "--url", url).output


def test_a_refusal_says_why_and_is_exit_code_2(url: str, settings_file: Path) -> None:
    answer = run(settings_file, "ack", "none", "--by", "Ann", "--url", url)
    assert answer.exit_code == 2
    assert "knows no such alert" in answer.output
    assert run(settings_file, "mute", "--for", "soon", "--url", url).exit_code == 2
    assert (
        run(settings_file, "mute", "--rule", "A-01", "--for", "8d", "--by", "A", "--url", url).exit_code == 2
    )


def test_without_the_token_and_without_a_board_it_is_exit_code_69(
    url: str, settings_file: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    denied = run(empty, "list", "--url", url)
    assert denied.exit_code == 69
    assert "token" in denied.output
    assert run(settings_file, "list", "--url", "http://127.0.0.1:1").exit_code == 69
