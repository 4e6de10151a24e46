"""`warroom preflight`: GO or NO-GO before a campaign day, from a running board, or from a recording to rehearse it."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import getpass
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from streams.errors import QueryError
from streams.findings import NOT_READY, Finding, Level, may_go
from warroom.board_client import address_of, call_board
from warroom.configuration import load
from warroom.options import FOLDER

if TYPE_CHECKING:
    from streams.preflight import CampaignStart
    from streams.settings import Settings

LOOK_EVERY_S = 0.5


@click.command()
@click.option("--url", help="A running board; default that of the settings.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Default: board.token_file.")
@click.option("--recording", type=FOLDER, help="Rehearse it on a recording.")
@click.option(
    "--at", help="With --recording: as known then, 2011-11-25T08:00 shop time, or ms; default its end."
)
@click.option(
    "--page/--no-page", default=True, help="Send a test page and wait until a person acknowledges it."
)
@click.option("--shop", default="", help="Whose receivers the test page goes to; default the first shop.")
@click.option(
    "--accept-untested", metavar="NAME", default="", help="Who goes without an acknowledged test page."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def preflight(
    config: Path | None,
    /,
    url: str | None,
    token_file: Path | None,
    recording: Path | None,
    at: str | None,
    shop: str,
    accept_untested: str,
    *,
    page: bool,
    as_json: bool,
) -> None:
    """Say whether the campaign day may begin.

    Ends in GO, exit code 0, or NO-GO, exit code 6. The test page goes the way of every page; acknowledge it on the
    board's page, or with `warroom alerts ack`. A recording sends none.
    """
    from streams.preflight import check_page

    if recording is not None and url is not None:
        what = "Name one of --recording and --url."
        raise QueryError(what, reason="bad_request", mend="See warroom preflight --help.")
    settings = load(config)
    if recording is not None:
        from replay.preflighting import findings_of

        findings, starts = findings_of(recording, settings, at=at)
        acknowledged, tested = None, False
    else:
        if at is not None:
            what = "--at looks back in a recording; a board answers as of now."
            raise QueryError(what, reason="at_needs_recording", mend="Use --recording, or leave --at out.")
        board = address_of(settings, url)
        findings, starts = asyncio.run(_of_board(board, settings, token_file))
        acknowledged, tested = None, page
        if page:
            acknowledged = asyncio.run(_paged(board, settings, token_file, shop))
    findings.append(check_page(acknowledged_by=acknowledged, accepted_by=accept_untested, tested=tested))
    _end(findings, starts, as_json=as_json)


async def _of_board(
    url: str, settings: Settings, token_file: Path | None
) -> tuple[list[Finding], list[CampaignStart]]:
    from streams.preflight import CampaignStart

    document = await call_board(url, "/api/v1/preflight", settings, token_file=token_file)
    try:
        return (
            msgspec.convert(document["findings"], list[Finding]),
            msgspec.convert(document["campaigns"], list[CampaignStart]),
        )
    except (KeyError, msgspec.ValidationError) as error:
        what = f"{url} answers in another version: {error}."
        raise QueryError(what, reason="other_version", mend="Use the version of the board.") from error


async def _paged(url: str, settings: Settings, token_file: Path | None, shop: str) -> str | None:
    """Send a test page; return who acknowledged it, None when nobody did in time."""
    body = {"by": getpass.getuser(), "shop": shop}
    sent = await call_board(url, "/api/v1/preflight/page", settings, body=body, token_file=token_file)
    alert_id = sent["alert_id"]
    minutes = sent["wait_ms"] / 60_000
    click.echo(f"A test page is under way. Acknowledge it within {minutes:g} min: {alert_id}", err=True)
    until_s = time.monotonic() + sent["wait_ms"] / 1000 + 2 * LOOK_EVERY_S
    while time.monotonic() < until_s:
        document = await call_board(url, "/api/v1/alerts", settings, token_file=token_file)
        for alert in document["alerts"]:
            if alert["alert_id"] == alert_id and alert.get("ack"):
                return str(alert["ack"]["by"])
        await asyncio.sleep(LOOK_EVERY_S)
    return None


def _end(findings: list[Finding], starts: list[CampaignStart], *, as_json: bool) -> None:
    go = may_go(findings)
    if as_json:
        document: dict[str, Any] = {
            "go": go,
            "findings": [dataclasses.asdict(finding) for finding in findings],
            "campaigns": [dataclasses.asdict(start) for start in starts],
        }
        click.echo(json.dumps(document, ensure_ascii=False, sort_keys=True))
    else:
        for finding in findings:
            click.echo(finding.text)
        for start in starts:
            here = dt.datetime.fromtimestamp(start.starts_at_ms / 1000).astimezone().tzinfo
            click.echo(f"{start.shop_id} {start.name} starts {start.times(here)}")
        faults = [finding.check for finding in findings if finding.level is Level.BAD]
        click.echo("GO" if go else f"NO-GO: {', '.join(faults)}")
    sys.exit(0 if go else NOT_READY)
