"""`warroom doctor`: what is well and what is not, before anything is started."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.errors import SettingsError
from streams.findings import NOT_READY, Finding, Level, bad, may_go, ok
from warroom.configuration import DEFAULT_FILE, for_replay, load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option("--offline", is_flag=True, help="Leave broker, Redis and receivers out.")
@click.option(
    "--delete-replay", metavar="ID", help="Delete the topics of a replay that no longer runs, then look."
)
@click.pass_obj
def doctor(config: Path | None, /, delete_replay: str | None, *, as_json: bool, offline: bool) -> None:
    """Look at settings, files, machine, broker, Redis and receivers; say how to mend what is wrong.

    Exit code 0 when nothing is in the way, else 6.
    """
    from agents import topics
    from agents.archive import check_history
    from agents.doctor import check_broker, check_redis
    from agents.spill import check_folder
    from dashboards.doctor import check_alertmanager, check_machine

    try:
        settings = load(config)
    except SettingsError as error:
        end([bad("settings", error.what, error.mend)], as_json=as_json)
    findings = [
        _settings(settings, config),
        *check_machine(settings),
        check_history(settings),
        check_folder(settings),
    ]
    if delete_replay and not offline:
        for name in asyncio.run(topics.delete(for_replay(settings, delete_replay))):
            click.echo(f"deleted topic {name}", err=True)
    if not offline:
        for check in (check_broker, check_redis, check_alertmanager):
            findings += asyncio.run(check(settings))
    end(findings, as_json=as_json)


def _settings(settings: Settings, config: Path | None) -> Finding:
    place = str(config or DEFAULT_FILE)
    if not settings.shops:
        return bad("settings", f"{place} names no shop", "Run `warroom init`, or add [shops.<id>].")
    return ok("settings", f"{place} holds; shops: {', '.join(sorted(settings.shops))}")


def end(findings: Iterable[Finding], *, as_json: bool, head: str = "") -> None:
    """Print findings and leave with their exit code."""
    found = list(findings)
    if as_json:
        document = {"ok": may_go(found), "findings": [dataclasses.asdict(one) for one in found]}
        click.echo(json.dumps(document, ensure_ascii=False, sort_keys=True))
    else:
        for finding in found:
            click.echo(finding.text)
        counts = {level: sum(one.level is level for one in found) for level in Level}
        click.echo(
            f"{head}{counts[Level.BAD]} in the way, {counts[Level.WARN]} worth a look, {counts[Level.OK]} fine."
        )
    sys.exit(0 if may_go(found) else NOT_READY)
