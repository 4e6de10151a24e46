"""The doctor's look at this machine: each fault is found, named and mended in words."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dashboards.doctor import _libraries, check_alertmanager, check_machine, free_bytes
from streams.findings import Finding, Level
from streams.settings import BoardSettings, NotifySettings, PreflightSettings, Settings


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.check: finding for finding in check_machine(settings)}


def settings_in(folder: Path) -> Settings:
    return Settings(board=BoardSettings(port=0, data_dir=str(folder / "data")))


def secret(folder: Path, text: str, mode: int) -> str:
    path = folder / "secret"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_a_machine_without_faults_has_no_finding_in_the_way(tmp_path: Path) -> None:
    levels = {check: finding.level for check, finding in found(settings_in(tmp_path)).items()}
    assert set(levels) == {"python", "libraries", "disk", "data", "port", "replay files"}
    assert set(levels.values()) == {Level.OK}


@pytest.mark.parametrize(
    ("text", "mode", "level"),
    [
        ("https://x.example", 0o600, Level.OK),
        ("https://x.example", 0o644, Level.WARN),
        (" \n", 0o600, Level.BAD),
    ],
)
def test_a_file_with_a_secret_holds_one_and_belongs_to_its_owner_alone(
    tmp_path: Path, text: str, mode: int, level: Level
) -> None:
    notify = NotifySettings(slack_webhook_file=secret(tmp_path, text, mode))
    finding = found(dataclasses.replace(settings_in(tmp_path), notify=notify))["notify.slack_webhook_file"]
    assert finding.level is level
    assert "x.example" not in finding.text


def test_a_file_with_a_secret_that_is_not_there_is_in_the_way(tmp_path: Path) -> None:
    notify = NotifySettings(pagerduty_key_file=str(tmp_path / "nowhere"))
    finding = found(dataclasses.replace(settings_in(tmp_path), notify=notify))["notify.pagerduty_key_file"]
    assert finding.level is Level.BAD


def test_a_token_that_is_too_short_is_in_the_way(tmp_path: Path) -> None:
    board = dataclasses.replace(settings_in(tmp_path).board, token_file=secret(tmp_path, "short", 0o600))
    assert found(Settings(board=board))["token"].level is Level.BAD


def test_a_port_that_is_taken_is_worth_a_look(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        board = dataclasses.replace(settings_in(tmp_path).board, port=taken.getsockname()[1])
        assert found(Settings(board=board))["port"].level is Level.WARN


def test_a_full_disk_is_in_the_way(tmp_path: Path) -> None:
    wanted = PreflightSettings(min_free_bytes=free_bytes(tmp_path) * 2)
    assert found(dataclasses.replace(settings_in(tmp_path), preflight=wanted))["disk"].level is Level.BAD


def test_files_of_replays_are_named(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    folder = Path(settings.board.data_dir)
    folder.mkdir()
    (folder / "outbox.sqlite3").touch()
    assert found(settings)["replay files"].level is Level.OK
    (folder / "outbox-friday.sqlite3").touch()
    assert "outbox-friday.sqlite3" in found(settings)["replay files"].said


@pytest.mark.parametrize(
    ("required", "installed", "said"),
    [
        ("aiohttp>=3.11,<4", {"aiohttp": "3.11.0"}, None),
        ("aiohttp>=3.11,<4", {"aiohttp": "4.0"}, "aiohttp is 4.0, not >=3.11,<4"),
        ("faust-streaming==0.15.3", {"faust-streaming": "0.15.10"}, "faust-streaming is 0.15.10"),
        ("faust_streaming==0.15.3", {"faust-streaming": "0.15.3"}, None),
        ("aiokafka[lz4,zstd]>=0.14,<0.15", {}, "aiokafka is missing"),
        ('pytest>=8; extra == "dev"', {}, None),
    ],
)
def test_libraries_of_versions_that_were_never_tried_are_named(
    required: str, installed: dict[str, str], said: str | None
) -> None:
    finding = _libraries([required], installed)
    assert finding.level is (Level.OK if said is None else Level.BAD)
    assert said is None or said in finding.said


@pytest.mark.parametrize(("status", "level"), [(200, Level.OK), (503, Level.BAD)])
async def test_an_alertmanager_must_be_ready(status: int, level: Level) -> None:
    async def ready(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/-/ready", ready)
    async with TestServer(app) as server:
        settings = Settings(notify=NotifySettings(alertmanager_url=str(server.make_url("/"))))
        assert [finding.level for finding in await check_alertmanager(settings)] == [level]


async def test_an_alertmanager_that_is_not_there_is_in_the_way_and_its_password_is_not_told() -> None:
    settings = Settings(notify=NotifySettings(alertmanager_url="http://me:secret@127.0.0.1:9"))
    (finding,) = await check_alertmanager(settings)
    assert finding.level is Level.BAD
    assert "secret" not in finding.text
