"""`warroom export`: an answer as a CSV, Parquet or JSON file, from a recording or a running board."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from streams.errors import QueryError
from warroom.configuration import load
from warroom.options import COMPARED, FOLDER, WINDOWS, against


@click.command()
@click.option("--recording", type=FOLDER, help="Answer from a recording.")
@click.option("--url", help="Answer from a running board, such as http://127.0.0.1:8321.")
@click.argument("parameters", nargs=-1, metavar="[PARAMETER=VALUE]...")
@click.option("--view", help="Name of a view, in place of --metrics and --by (`warroom view`).")
@click.option("--metrics", default="", help="Names with commas: gmv,orders,ctor (docs/METRICS.md).")
@click.option("--by", default="", help="Dimensions with commas: day, hour, product, sku, ...")
@click.option("--shop", help="Shop id; needed where there are several.")
@click.option("--window", help=f"{WINDOWS}; default of a view its own, else today, with --recording all.")
@click.option("--at", type=int, help="With --recording: as known at this instant, ms since the epoch.")
@click.option(
    "--where",
    multiple=True,
    help="Keep one value of a dimension: slice=seller_live. Repeatable: all must hold.",
)
@click.option("--compare", help=f"What each figure stands beside, in three more columns: {COMPARED}")
@against("--compare recording:...")
@click.option("--sort", help="Metric to sort by, largest first; ties by name.")
@click.option(
    "--limit", type=click.IntRange(min=1), help="Most rows; of each part of a view, and of each format."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write; without it CSV and JSON are printed."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet", "json"]),
    help="Default: as the file's name ends, else csv.",
)
@click.option(
    "--all-formats",
    is_flag=True,
    help="Ask once for each format (All, Seller LIVE, ...), in one file with a first column `Tab Name`.",
)
@click.option(
    "--why",
    is_flag=True,
    help="Beside every metric a column that says why its value is missing, or since when it counts.",
)
@click.pass_obj
def export(
    config: Path | None,
    /,
    recording: Path | None,
    url: str | None,
    out: Path | None,
    form: str | None,
    **words: Any,
) -> None:
    """Write the answer to a question, or a view, to a file.

    Names and numbers are those of `warroom query`, `warroom view` and GET /api/v1/export (docs/EXPORTS.md).

    PARAMETER=VALUE is for --view: what the view lets you choose, such as content_type=seller_live.
    """
    from warroom import exporting

    if (recording is None) == (url is None):
        what = "Name one of --recording and --url."
        raise QueryError(what, reason="bad_request", mend="See warroom export --help.")
    ending = out.suffix.lstrip(".").lower() if out else ""
    form = form or (ending if ending in ("csv", "parquet", "json") else "csv")
    if out is None and form == "parquet":
        what = "Parquet is not printed."
        raise QueryError(what, reason="bad_request", mend="Name a file with --out.")
    settings = load(config)
    with exporting.opened_file(out) as file:
        if recording is not None:
            exporting.export_recording(recording, settings, words, form, file)
        else:
            asyncio.run(exporting.export_board(str(url), settings, words, form, file))
    if out is not None and sys.stdout.isatty():
        click.echo(f"{out}: {out.stat().st_size:,} bytes")
