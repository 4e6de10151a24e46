"""`warroom goal`: look at goals and set a campaign's."""

from __future__ import annotations

import asyncio
import getpass
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from streams.errors import QueryError
from warroom.board_client import address_of, call_board
from warroom.configuration import load
from warroom.options import FOLDER, against

_url = click.option("--url", help="Address of a running board; default that of the settings.")
_shop = click.option("--shop", help="Shop id; needed where there are several.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
_recording = click.option("--recording", type=FOLDER, help="Answer from a recording.")
_against = against("a reference recording:...")
_at = click.option("--at", help="With --recording: as known then, 2011-11-25T20:00 shop time, or ms.")


@click.group()
def goal() -> None:
    """Goals of campaigns, weeks and quarters: how far, on pace or not, where they end; set a campaign's."""


@goal.command()
@_url
@_recording
@_at
@_against
@_shop
@_json
@click.pass_obj
def show(config: Path | None, /, *, as_json: bool, **asked: Any) -> None:
    """Show every goal: progress, what was due, pace, projected end with its 80 % interval, needed an hour."""
    from streams.goal_report import goals_text

    document = _document(config, **asked)
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else goals_text(document))


@goal.command()
@click.argument("campaign")
@_url
@_recording
@_at
@_against
@_shop
@_json
@click.pass_obj
def history(config: Path | None, /, campaign: str, *, as_json: bool, **asked: Any) -> None:
    """Show how a campaign's goal came to be what it is: when, who, from what to what."""
    from streams.goal_report import history_text

    document = _document(config, **asked)
    known = {each["campaign_id"]: each["history"] for each in document["campaigns"]}
    if campaign not in known:
        what = f"There is no campaign {campaign!r}."
        raise QueryError(what, reason="no_campaign", mend=f"Known: {', '.join(known) or 'none'}.")
    click.echo(
        json.dumps(known[campaign], ensure_ascii=False) if as_json else history_text(document, campaign)
    )


@goal.command("set")
@click.argument("campaign")
@click.argument("value", type=float, required=False)
@click.option("--clear", is_flag=True, help="Take the goal away instead.")
@click.option(
    "--metric",
    type=click.Choice(["gmv", "orders", "items_sold"]),
    help="What it counts; default as before, gmv at first.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='JSON: [{"date": "2026-11-27", "hour": 20, "value": 5000}, ...]; hour may be left out.',
)
@click.option("--by", help="Who sets it; default the name of this machine's user.")
@click.option("--version", type=int, help="Refuse when the record is at another version by now.")
@_url
@_shop
@_json
@click.pass_obj
def set_goal(
    config: Path | None,
    /,
    campaign: str,
    value: float | None,
    *,
    clear: bool,
    plan: Path | None,
    url: str | None,
    shop: str | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Set a campaign's goal to VALUE: whole currency units, or a number of orders or items.

    The board sends a new version of the campaign's record; the plan, unless given, is scaled along.
    """
    if clear == (value is not None):
        what = "Name a value, or --clear."
        raise QueryError(what, reason="bad_request", mend="See warroom goal set --help.")
    asked["by"] = asked["by"] or getpass.getuser()
    body = {"value": value} | {name: one for name, one in asked.items() if one is not None}
    if plan is not None:
        body["plan"] = _plan(plan)
    settings = load(config)
    path = f"/api/v1/goals/{quote(campaign, safe='')}{_query(shop)}"
    told = asyncio.run(call_board(address_of(settings, url), path, settings, method="PUT", body=body))
    said = "none" if told["target"] is None else f"{told['target']:g} in {told['metric']}"
    click.echo(json.dumps(told) if as_json else f"{campaign}: goal {said}, version {told['version']}.")


def _document(
    config: Path | None,
    *,
    url: str | None,
    recording: Path | None,
    at: str | None,
    against: Path | None,
    shop: str | None,
) -> Any:
    from warroom.asking import instant_of, needs_recording, opened

    settings = load(config)
    if recording is None:
        needs_recording(at=at, against=against)
        path = f"/api/v1/goals{_query(shop)}"
        return asyncio.run(call_board(address_of(settings, url), path, settings))
    from streams.goal_report import goals_document

    at_ms = instant_of(recording, settings, at, shop=shop)
    columns, found = opened(recording, settings, at=at_ms, shop=shop, against=against)
    return goals_document(columns, found, columns.settings, now_ms=at_ms or columns.vouched_ms)


def _query(shop: str | None) -> str:
    return f"?{urlencode({'shop': shop})}" if shop else ""


def _plan(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what = f"{path} holds no plan: {error}."
        raise QueryError(
            what, reason="bad_request", mend="Write a JSON list of date, hour and value."
        ) from error
