"""`warroom alerts`: list, acknowledge, mute, against a running board."""

from __future__ import annotations

import asyncio
import datetime as dt
import getpass
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import click

from streams.answers import plain
from warroom.board_client import call_board
from warroom.configuration import load

DEFAULT_URL = "http://127.0.0.1:8321"
UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}

url_option = click.option("--url", default=DEFAULT_URL, show_default=True, help="Address of the board.")
by_option = click.option("--by", help="Who does it; default: the name you are logged on with.")
why_option = click.option("--why", default="", help="A remark.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group()
def alerts() -> None:
    """See what is open, take it on, mute what is known."""


@alerts.command("list")
@url_option
@click.option("--all", "closed", is_flag=True, help="Closed ones and digests, too.")
@json_option
@click.pass_obj
def list_alerts(config: Path | None, url: str, *, closed: bool, as_json: bool) -> None:
    """List open alerts, who has them, and what is muted."""
    found = _call(config, url, "/api/v1/alerts")
    if not closed:
        found["alerts"] = [alert for alert in found["alerts"] if alert["state"] == "open"]
    if as_json:
        _echo(found)
        return
    for alert in found["alerts"]:
        click.echo(_line(alert))
    for mute in found["mutes"]:
        what = " ".join(f"{name}={mute[key]}" for name, key in _MUTED.items() if mute[key])
        left_min = max(0, mute["until_ms"] - found["now_ms"]) // 60_000
        why = f": {mute['why']}" if mute["why"] else ""
        click.echo(plain(f"mute {mute['mute_id']}  {what}  {left_min} min left, by {mute['by']}{why}"))
    if not found["alerts"]:
        click.echo("no alerts" if closed else "nothing is open")
    for note in found["notes"]:
        click.echo(f"note: {plain(note)}")


@alerts.command("log")
@url_option
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@json_option
@click.pass_obj
def log(config: Path | None, url: str, limit: int, *, as_json: bool) -> None:
    """Show what was told to whom, what waits, and what would have been sent; newest first."""
    found = _call(config, url, "/api/v1/deliveries")["deliveries"][:limit]
    if as_json:
        _echo(found)
        return
    for each in found:
        at = dt.datetime.fromtimestamp(each["created_ms"] / 1000, dt.UTC)
        error = f" ({each['attempts']} tries, {each['error']})" if each["error"] else ""
        head = f"{at:%Y-%m-%d %H:%M:%S}Z  {each['route']}  {each['state']}  {each['status']}{error}"
        click.echo(f"{plain(head)}  {plain(each['text'])}")
    if not found:
        click.echo("nothing was told to anybody")


@alerts.command("ack")
@click.argument("alert_id")
@url_option
@by_option
@why_option
@json_option
@click.pass_obj
def acknowledge(
    config: Path | None, alert_id: str, url: str, by: str | None, why: str, *, as_json: bool
) -> None:
    """Take an alert on: it is not escalated any more, and PagerDuty knows; ALERT_ID as `alerts list` shows it.

    Where Alertmanager tells PagerDuty, it is noted on the board only: acknowledge there, too.
    """
    body = {"by": by or getpass.getuser(), "why": why}
    path = f"/api/v1/alerts/{quote(alert_id, safe='')}/ack"
    answer = _call(config, url, path, body)
    if as_json:
        _echo(answer)
    else:
        click.echo(plain(f"{answer['ack']['by']} has {answer['alert_id']}"))
        _note(answer)


@alerts.command("mute")
@click.option("--rule", default="", help="Number of a rule, A-01.")
@click.option("--entity", default="", help="Id of an entity, SKU or product.")
@click.option("--shop", default="", help="Shop id.")
@click.option("--for", "duration", default="1h", show_default=True, help="30m, 2h or 1d; at most 7d.")
@url_option
@by_option
@why_option
@json_option
@click.pass_obj
def mute(
    config: Path | None, /, url: str, duration: str, by: str | None, *, as_json: bool, **words: str
) -> None:
    """Do not tell anybody of what is named; what is still open at the end is told then.

    What was told before goes on, and is closed, at its receivers.
    """
    body = {**words, "by": by or getpass.getuser(), "for_ms": _milliseconds(duration)}
    made = _call(config, url, "/api/v1/mutes", body)
    if as_json:
        _echo(made)
    else:
        click.echo(f"mute {made['mute_id']}")
        _note(made)


@alerts.command("unmute")
@click.argument("mute_id")
@url_option
@click.pass_obj
def unmute(config: Path | None, mute_id: str, url: str) -> None:
    """End a mute; MUTE_ID as `alerts list` shows it."""
    _call(config, url, f"/api/v1/mutes/{quote(mute_id, safe='')}", method="DELETE")
    click.echo(f"no longer muted: {plain(mute_id)}")


_MUTED = {"rule": "rule", "entity": "entity", "shop": "shop_id"}


def _call(
    config: Path | None,
    url: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    method: str | None = None,
) -> Any:
    return asyncio.run(call_board(url, path, load(config), method=method, body=body))


def _line(alert: dict[str, Any]) -> str:
    opened = dt.datetime.fromtimestamp(alert["opened_at_ms"] / 1000, ZoneInfo(alert["timezone"]))
    who = f"  [{alert['ack']['by']} has it]" if alert["ack"] else ""
    muted = f"  [muted by {alert['muted_by']}]" if alert["muted_by"] else ""
    head = f"{opened:%a %H:%M}  {alert['rule']} {alert['route']} {alert['state']}  {alert['alert_id']}"
    said = [f"    {plain(line)}" for line in alert["message"].splitlines()]
    return "\n".join([plain(f"{head}{who}{muted}"), *said])


def _note(answer: dict[str, Any]) -> None:
    if answer["note"]:
        click.echo(f"note: {plain(answer['note'])}")


def _milliseconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,4})([mhd])", text.strip())
    if found is None:
        msg = f"{text!r} is no duration; write 30m, 2h or 1d."
        raise click.BadParameter(msg, param_hint="--for")
    return int(found[1]) * UNITS_MS[found[2]]


def _echo(document: object) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, sort_keys=True))
