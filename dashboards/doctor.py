"""What a look at this machine and at the receivers' files finds: `warroom doctor`'s share of this room."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import stat
import sys
from http import HTTPStatus
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp

from dashboards.security import read_token
from streams.errors import SettingsError
from streams.findings import Finding, bad, ok, warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.settings import BoardSettings, PreflightSettings, Settings

ANSWER_WITHIN_S: Final = 10.0
DISTRIBUTION: Final = "campaign-war-room"
_REQUIREMENT: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?([^;]*)(;.*)?$")


def check_machine(settings: Settings) -> list[Finding]:
    """Return what is found of this machine: versions, disk, folder, port, files with secrets, replays' files."""
    return [
        _python(),
        _libraries(metadata.requires(DISTRIBUTION) or [], dict(_installed())),
        *_data_folder(settings.board, settings.preflight),
        _port(settings.board),
        *_secrets(settings),
        _leftovers(Path(settings.board.data_dir)),
    ]


async def check_alertmanager(settings: Settings) -> list[Finding]:
    """Return what is found of every Alertmanager; nothing is posted to one."""
    urls = [url.strip().rstrip("/") for url in settings.notify.alertmanager_url.split(",") if url.strip()]
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    findings = []
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for number, url in enumerate(urls, start=1):
            check = "alertmanager" if len(urls) == 1 else f"alertmanager {number}"
            status: int | str
            try:
                async with session.get(f"{url}/-/ready", allow_redirects=False) as answer:
                    status = answer.status
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                # The text of the error may hold the URL, which may hold a password.
                status = type(error).__name__
            if status == HTTPStatus.OK:
                findings.append(ok(check, "it is ready"))
            else:
                mend = "Start it, or mend notify.alertmanager_url: it tells Slack and PagerDuty."
                findings.append(bad(check, f"it is not ready: {status}", mend))
    return findings or [ok("alertmanager", "none is configured: the outbox delivers by itself")]


def free_bytes(folder: Path) -> int:
    """Return the free space of the disk that holds a folder, or will hold it."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.absolute().parent
    return shutil.disk_usage(folder).free


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return ok("python", f"version {version}")
    return bad("python", f"version {version} was never tried", "Use Python 3.11, 3.12 or 3.13.")


def _installed() -> list[tuple[str, str]]:
    return [(_canonical(one.name), one.version) for one in metadata.distributions() if one.name]


def _libraries(requirements: list[str], installed: Mapping[str, str]) -> Finding:
    """Compare what is installed with what is required; markers of extras are left out."""
    faults = []
    checked = 0
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)
        if match is None or match[3]:
            continue
        checked += 1
        version = installed.get(_canonical(match[1]))
        if version is None:
            faults.append(f"{match[1]} is missing")
        elif not _fits(version, match[2]):
            faults.append(f"{match[1]} is {version}, not {match[2].strip()}")
    if faults:
        return bad("libraries", "; ".join(faults), "Install from requirements.lock.")
    return ok("libraries", f"{checked} libraries are of versions that fit")


def _fits(version: str, specifiers: str) -> bool:
    """Return whether a version fits `>=1.2,<2` or `==1.2.3`; other operators are taken as fitting."""
    for specifier in filter(None, (one.strip() for one in specifiers.split(","))):
        operator, wanted = re.match(r"^([<>=!~]*)(.*)$", specifier).groups()  # type: ignore[union-attr]  # matches all
        have, want = _numbers(version), _numbers(wanted)
        fits = {
            ">=": have >= want,
            "<": have < want,
            "==": have == want,
            ">": have > want,
            "<=": have <= want,
        }
        if not fits.get(operator, True):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:4]]
    return tuple([*numbers, 0, 0, 0, 0][:4])


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _data_folder(board: BoardSettings, preflight: PreflightSettings) -> list[Finding]:
    folder = Path(board.data_dir)
    free = free_bytes(folder)
    said = f"{free / (1 << 30):.1f} GiB are free where {folder} is"
    enough = free >= preflight.min_free_bytes
    findings = [
        ok("disk", said) if enough else bad("disk", said, "Make room: no page could be written down.")
    ]
    there = folder
    while not there.exists() and there != there.parent:
        there = there.absolute().parent
    if os.access(there, os.W_OK | os.X_OK) and there.is_dir():
        findings.append(ok("data", f"{folder} can be written"))
    else:
        findings.append(
            bad("data", f"{folder} cannot be written", "Give this user the folder of board.data_dir.")
        )
    return findings


def _port(board: BoardSettings) -> Finding:
    place = f"{board.host}:{board.port}"
    family = socket.AF_INET6 if ":" in board.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((board.host, board.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return warn(
                    "port", f"{place} is taken", "Fine when it is this board that runs; else set board.port."
                )
            return bad(
                "port", f"{place} cannot be bound: {error.strerror}", "Mend board.host and board.port."
            )
    return ok("port", f"{place} is free")


def _secrets(settings: Settings) -> list[Finding]:
    """Look at every file that holds a secret: readable by us, by nobody else, with something in it."""
    notify, kafka, board = settings.notify, settings.kafka, settings.board
    files = {
        "board.token_file": board.token_file,
        "kafka.sasl_password_file": kafka.sasl_password_file,
        "notify.slack_webhook_file": notify.slack_webhook_file,
        "notify.pagerduty_key_file": notify.pagerduty_key_file,
        "notify.webhook_url_file": notify.webhook_url_file,
    }
    files |= {f"notify.slack_owner_files.{owner}": file for owner, file in notify.slack_owner_files.items()}
    findings = [finding for key, file in files.items() if file for finding in _secret(key, Path(file))]
    try:
        read_token(board)
    except SettingsError as error:
        findings.append(bad("token", error.what, error.mend))
    return findings


def _secret(key: str, path: Path) -> list[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        empty = not path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        return [bad(key, f"{path} cannot be read: {type(error).__name__}", "Check the path and its rights.")]
    if empty:
        return [bad(key, f"{path} is empty", "Write the secret into it, one line.")]
    if mode & 0o077:
        return [warn(key, f"others may read {path} (mode {mode:03o})", f"chmod 600 {path}")]
    return [ok(key, f"{path} is readable by its owner alone")]


def _leftovers(folder: Path) -> Finding:
    found = sorted(path.name for path in folder.glob("outbox-*.sqlite3")) if folder.is_dir() else []
    if found:
        said = f"files of replays are left over in {folder}: {', '.join(found[:10])}"
        return warn("replay files", said, "They may be deleted while no replay runs.")
    return ok("replay files", f"none are left over in {folder}")
