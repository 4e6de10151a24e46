"""`warroom import` and `generate`: what makes recordings."""

from __future__ import annotations

import json
from pathlib import Path

import click

from replay.generator.scenario import DEFAULT_DAY, generate
from replay.importers.online_retail import import_online_retail
from replay.importers.open_bandit import import_open_bandit
from replay.manifest import Manifest


def import_file(kind: str, source: Path, out: Path, from_day: str | None, to_day: str | None) -> Manifest:
    """Import a foreign file."""
    importer = {"online-retail": import_online_retail, "open-bandit": import_open_bandit}[kind]
    return importer(source, out, from_day=from_day, to_day=to_day)


def generate_day(out: Path, seed: int, day: str | None, scale: float) -> Manifest:
    """Generate a campaign day."""
    return generate(out, seed=seed, day=day or DEFAULT_DAY, scale=scale)


def echo_manifest(manifest: Manifest, out: Path, *, as_json: bool) -> None:
    """Say what was written."""
    if as_json:
        click.echo(json.dumps(manifest.document(), ensure_ascii=False, sort_keys=True))
        return
    click.echo(f"{out}: {manifest.name}")
    for name, count in sorted(manifest.topics.items()):
        click.echo(f"  {name:24} {count.records or 0:>10,} records {count.size or 0:>14,} bytes")
    for what, count in dict(manifest.other.get("import", {})).items():  # type: ignore[call-overload]  # a JSON object
        click.echo(f"  {what}: {count}")
