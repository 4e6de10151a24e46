"""`warroom dead-letters`: what cannot count, shown and sent again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from agents import dead_letters
from streams.answers import plain
from streams.errors import QueryError
from streams.outcomes import DEAD_LETTERS, Outcome
from streams.records import DeadLetter
from streams.settings import Settings


def list_all(settings: Settings, limit: int, reason: str | None, *, as_json: bool) -> None:
    """Print the newest dead letters, one a line."""
    if reason is not None and reason not in DEAD_LETTERS:
        what = f"{reason!r} is no reason for a dead letter."
        raise QueryError(
            what, reason="unknown_reason", mend=f"Reasons are {', '.join(sorted(DEAD_LETTERS))}."
        )
    outcomes = None if reason is None else [Outcome(reason)]
    letters = asyncio.run(dead_letters.find(settings, outcomes=outcomes, limit=limit))
    if as_json:
        click.echo(json.dumps([_document(letter) for letter in letters]))
        return
    for letter in letters:
        click.echo(f"{letter.place:24} {letter.outcome:18} {plain(letter.detail)}")
    if not letters:
        click.echo("No dead letters.")


def show(settings: Settings, place: str, *, as_json: bool) -> None:
    """Print one dead letter whole."""
    letter = asyncio.run(dead_letters.get(settings, place))
    if as_json:
        click.echo(json.dumps(_document(letter)))
        return
    for name, value in _document(letter).items():
        click.echo(f"{name:14} {plain(str(value))}")


def send_again(
    settings: Settings, places: tuple[str, ...], value_file: Path | None, *, as_json: bool
) -> None:
    """Send dead letters again and print where they went."""
    repaired = None if value_file is None else value_file.read_bytes()
    sent = asyncio.run(dead_letters.send_again(settings, places, repaired=repaired))
    if as_json:
        click.echo(
            json.dumps(
                [{"place": one.place, "sent_to": one.sent_to, "repaired": one.repaired} for one in sent]
            )
        )
        return
    for one in sent:
        click.echo(str(one))


def _document(letter: DeadLetter) -> dict[str, Any]:
    return {
        "place": letter.place,
        "outcome": letter.outcome.value,
        "detail": letter.detail,
        "timestamp_ms": letter.timestamp_ms,
        "key": None if letter.key is None else letter.key.decode("utf-8", "backslashreplace"),
        "value_bytes": letter.value_bytes,
        "value_sha256": letter.value_sha256,
        "value": None if letter.value is None else letter.value.decode("utf-8", "backslashreplace"),
    }
