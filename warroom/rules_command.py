"""`warroom rules`: which rules there are, and why one fired or did not, over a recording or a running board."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import click

from streams.answers import plain
from streams.errors import QueryError
from streams.money import compact_money
from warroom.board_client import address_of, call_board
from warroom.configuration import load
from warroom.options import FOLDER


@click.group()
def rules() -> None:
    """Look at the rules: which there are, and why one did or did not fire."""


@rules.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def list_rules(config: Path | None, *, as_json: bool) -> None:
    """List every rule with its condition, its numbers as they are set, and who is told how."""
    from streams.rule_explain import rule_document
    from streams.rulebook import RULES

    settings = load(config)
    documents = [rule_document(rule, settings) for rule in RULES]
    click.echo(
        json.dumps(documents, ensure_ascii=False)
        if as_json
        else "\n\n".join(_rule_text(one) for one in documents)
    )


@rules.command("explain")
@click.argument("rule")
@click.argument("entity")
@click.option("--recording", type=FOLDER, help="By the direct engine.")
@click.option("--url", help="As of now, from a running board; default that of the settings.")
@click.option("--at", help="With --recording: shop time, 2011-11-25T20:00, or ms; default its end.")
@click.option("--shop", help="Shop id; needed where there are several.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def explain_rule(
    config: Path | None,
    /,
    rule: str,
    entity: str,
    recording: Path | None,
    url: str | None,
    at: str | None,
    shop: str | None,
    *,
    as_json: bool,
) -> None:
    """Say why RULE (A-01 or oos_forecast) fired on ENTITY (a SKU, product, campaign, topic or shop), or why not."""
    if recording is not None and url is not None:
        what = "Name one of --recording and --url."
        raise QueryError(what, reason="bad_request", mend="See warroom rules explain --help.")
    settings = load(config)
    if recording is not None:
        from replay.explaining import explain_recording

        document = asdict(explain_recording(recording, settings, rule, entity, at=at, shop_id=shop))
    else:
        if at is not None:
            what = "--at looks back in a recording; a board answers as of now."
            raise QueryError(what, reason="at_needs_recording", mend="Use --recording, or leave --at out.")
        words = {"rule": rule, "entity": entity} | ({"shop": shop} if shop else {})
        path = f"/api/v1/rules/explain?{urlencode(words)}"
        document = asyncio.run(call_board(address_of(settings, url), path, settings))
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else _explanation_text(document))


def _rule_text(rule: dict[str, Any]) -> str:
    off = "" if rule["on"] else "  OFF"
    head = f"{rule['rule']}  {rule['key']}  {rule['title']}{off}"
    told = f"{rule['severity']} to {rule['owner']} by {rule['route']}"
    lines = [head, f"  of each {rule['entity']}: {told}", f"  fires   {rule['condition']}"]
    if rule["minimum"]:
        lines.append(f"  least   {rule['minimum']}")
    lines.append(
        f"  holds   {rule['hold_ms'] / 1000:g} s, clears after {rule['clear_ms'] / 1000:g} s: {rule['clears']}"
    )
    if rule["settings"]:
        lines.append("  numbers " + ", ".join(f"{key} = {value}" for key, value in rule["settings"].items()))
    return "\n".join(lines)


def _explanation_text(one: dict[str, Any]) -> str:
    zone = ZoneInfo(one["timezone"])

    def time(at_ms: int) -> str:
        return f"{dt.datetime.fromtimestamp(at_ms / 1000, zone):%Y-%m-%d %H:%M:%S}"

    name = f" ({plain(one['name'])})" if one["name"] else ""
    lines = [
        f"{one['rule']} {one['title']}: {plain(one['entity'])}{name} at {time(one['at_ms'])} {one['timezone']}",
        plain(one["answer"]),
    ]
    if one["judgement"]:
        lines.append(f"  judgement  {one['judgement']}")
        lines += [
            f"  {label:<9}  {one[label]:g} {one['unit']}".rstrip()
            for label in ("value", "threshold", "clearing")
            if one[label] is not None
        ]
        if one["minimum"] is not None:
            lines.append(f"  volume     {one['volume']:g}, least {one['minimum']:g}")
        if one["money_minor"]:
            lines.append(f"  money      {compact_money(one['money_minor'], one['currency'])}")
        figures = [
            f"{name} {plain(str(value))}" for name, value in one["figures"].items() if value is not None
        ]
        if figures:
            lines.append(f"  figures    {', '.join(figures)}")
    lines.append(
        f"  held       {one['held_ms'] / 1000:g} of {one['hold_ms'] / 1000:g} s;"
        f" clearing {one['clearing_ms'] / 1000:g} of {one['clear_ms'] / 1000:g} s"
    )
    if one["stale"]:
        lines.append(f"  stale      {', '.join(one['stale'])}")
    for at_ms, judgement, value in one["history"]:
        lines.append(
            f"  {time(at_ms)}  {judgement}" + ("" if value is None else f"  {value:g} {one['unit']}")
        )
    if one["sentence"]:
        lines.append(f"  says       {plain(one['sentence'])}")
    return "\n".join(lines)
