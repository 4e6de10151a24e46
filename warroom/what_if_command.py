"""`warroom what-if`: what more stock, a flash sale or another goal would change."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlencode

import click

from streams.errors import QueryError
from warroom.board_client import address_of, call_board
from warroom.configuration import load
from warroom.options import FOLDER, against


@click.command("what-if")
@click.option("--recording", type=FOLDER, help="Start from a recording, with --at.")
@click.option("--at", help="With --recording: as known then, 2011-11-25T20:00 shop time, or ms.")
@against("a reference recording:...")
@click.option("--url", help="Address of a running board; default that of the settings.")
@click.option("--shop", help="Shop id; needed where there are several.")
@click.option(
    "--add-stock",
    multiple=True,
    metavar="SKU=300@22:00",
    help="Units that come at a time of today's, or 2026-11-28T10:00; without a time now. Repeatable.",
)
@click.option(
    "--flash-sale",
    multiple=True,
    metavar="PRODUCT=2.0@21:00..22:00",
    help="A factor on the demand of a product, a SKU or * for everything. Repeatable.",
)
@click.option(
    "--goal", type=float, help="Another goal: whole currency units, or a number of orders or items."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def what_if(
    config: Path | None,
    /,
    recording: Path | None,
    at: str | None,
    against: Path | None,
    url: str | None,
    shop: str | None,
    add_stock: tuple[str, ...],
    flash_sale: tuple[str, ...],
    goal: float | None,
    *,
    as_json: bool,
) -> None:
    """Say what would change: stock-outs, money at risk and the campaign's end value, before and after.

    Nothing is stored and nobody is told.
    """
    from streams import what_if as worlds
    from streams.what_if_words import parse_scenario, what_if_document, what_if_text
    from warroom.asking import instant_of, needs_recording, opened

    if recording is not None and url is not None:
        what = "Name one of --recording and --url."
        raise QueryError(what, reason="bad_request", mend="See warroom what-if --help.")
    if recording is None:
        needs_recording(at=at, against=against)
    settings = load(config)
    if recording is not None:
        at_ms = instant_of(recording, settings, at, shop=shop)
        columns, found = opened(recording, settings, at=at_ms, shop=shop, against=against)
        now_ms = at_ms or columns.vouched_ms
        scenario = parse_scenario(add_stock, flash_sale, goal, timezone=found.timezone, now_ms=now_ms)
        answer = worlds.what_if(columns, found, columns.settings, scenario, as_of_ms=now_ms)
        document = what_if_document(answer, found)
    else:
        asked = [("add_stock", each) for each in add_stock] + [("flash_sale", each) for each in flash_sale]
        asked += [("goal", f"{goal!r}")] if goal is not None else []
        asked += [("shop", shop)] if shop else []
        document = asyncio.run(
            call_board(address_of(settings, url), f"/api/v1/what-if?{urlencode(asked)}", settings)
        )
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else what_if_text(document))
