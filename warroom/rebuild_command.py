"""`warroom rebuild`: since when cubes are whole, and asking for one to be counted anew."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

import click

from streams.answers import plain
from warroom.board_client import call_board
from warroom.configuration import for_replay, load


@click.command()
@click.option(
    "--cube", "cubes", multiple=True, help="Count this cube anew. Repeatable; docs/STATE.md names them."
)
@click.option("--replay", default="", help="Of a replay's own topics, by its id.")
@click.option("--url", default="http://127.0.0.1:8321", show_default=True, help="The board that is asked.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def rebuild(config: Path | None, cubes: tuple[str, ...], replay: str, url: str, *, as_json: bool) -> None:
    """Show how far cubes are rebuilt; with --cube, have workers count one anew from the source topics.

    A cube that a new version brings or changes is rebuilt by itself. To count one anew is for when its rows are
    not to be trusted, or a shop was added to the settings after its events had come. Workers delete its rows, go on,
    and read again what the source topics still hold; until that is done its answers say since when it is whole.
    """
    settings = for_replay(load(config), replay)
    if cubes:
        from agents.rebuild_requests import ask_rebuild

        asked_ms = time.time_ns() // 1_000_000
        asyncio.run(ask_rebuild(settings.kafka, cubes, asked_ms))
        said: dict[str, Any] = {"asked": list(cubes), "asked_at_ms": asked_ms}
        click.echo(json.dumps(said) if as_json else f"Asked for: {', '.join(cubes)}. See: warroom rebuild")
        return
    document = asyncio.run(call_board(url, "/api/v1/cubes", settings))
    if as_json:
        click.echo(json.dumps(document, sort_keys=True))
        return
    for entry in document["cubes"]:
        click.echo(f"{entry['cube']:<18} {_words(entry)}")
    for shop_id, day in document["hot_from"].items():
        where = f"from {day} on in memory, older ones in files" if day else "all in memory"
        click.echo(f"{plain(shop_id)}: days are {where}")


def _words(entry: dict[str, Any]) -> str:
    if entry["emptying"]:
        return "its rows are being deleted, to be counted anew"
    if entry["since_ms"] is None:
        return "whole"
    since = dt.datetime.fromtimestamp(entry["since_ms"] / 1000, dt.UTC).isoformat(timespec="minutes")
    return f"since {since}, {entry['rebuilt']:.0%} of what came before is rebuilt"
