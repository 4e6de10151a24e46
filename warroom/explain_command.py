"""`warroom explain`: what a cell is made of, over a recording or a running board."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from streams.errors import QueryError
from warroom.configuration import load
from warroom.options import FOLDER, against


@click.command()
@click.option("--recording", type=FOLDER, help="From a recording.")
@click.option("--url", help="From a running board, such as http://127.0.0.1:8321.")
@click.option("--metric", required=True, help="One name: ctor (docs/METRICS.md).")
@click.option("--by", default="", help="Dimensions of the row with commas; those of --row when not named.")
@click.option("--row", multiple=True, metavar="day=2011-11-25,product=85123A", help="Which row. Repeatable.")
@click.option("--shop", help="Shop id; needed where there are several.")
@click.option("--window", help="As of warroom query; default today, with --recording all.")
@click.option("--compare", help="As of warroom query: the other side's figure is explained beside it.")
@against("--compare recording:...")
@click.option("--where", multiple=True, help="Keep one value of a dimension: product=85123A. Repeatable.")
@click.option("--at", type=int, help="With --recording: as known at this instant, ms since the epoch.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def explain(
    config: Path | None,
    /,
    recording: Path | None,
    url: str | None,
    at: int | None,
    against: Path | None,
    *,
    as_json: bool,
    **words: Any,
) -> None:
    """Explain one figure: formula with figures, what it counts, outcomes, the records behind it, how to ask again."""
    from streams import explain as explaining
    from streams.explain_words import explanation_text
    from streams.own_metrics import known_metrics
    from warroom.asking import board_text, needs_recording, opened, parameters_of

    if (recording is None) == (url is None):
        what = "Name one of --recording and --url."
        raise QueryError(what, reason="bad_request", mend="See warroom explain --help.")
    settings = load(config)
    named = parameters_of(words, window="today" if url else "all", form="")
    named.pop("format")
    if recording is not None:
        cell = explaining.parse_explain(named, known=known_metrics(settings))
        columns, _ = opened(recording, settings, at=at, shop=words["shop"], against=against)
        document = explaining.explain(
            columns,
            cell,
            now_ms=at or columns.vouched_ms,
            place=("--recording", str(recording), *(() if against is None else ("--against", str(against)))),
            at=at,
        )
    else:
        needs_recording(at=at, against=against)
        document = json.loads(asyncio.run(board_text(str(url), "/api/v1/explain", named, settings)))
    click.echo(
        json.dumps(document, ensure_ascii=False) if as_json else explanation_text(document).rstrip("\n")
    )
