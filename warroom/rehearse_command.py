"""`warroom rehearse`: this year's goal, stock and rules on a recorded day."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.errors import SettingsError
from warroom.configuration import load
from warroom.options import FOLDER

if TYPE_CHECKING:
    from streams.alerts import Alert


@click.command()
@click.argument("path", type=FOLDER)
@click.option(
    "--speed", default="max", show_default=True, help="Recorded time against the wall's: 600x, or max."
)
@click.option(
    "--every", type=click.IntRange(1, 3600), default=60, show_default=True, help="Seconds between looks."
)
@click.option(
    "--from", "from_time", help="Look at the rules from here on: 2011-11-25T08:00 shop time, or ms."
)
@click.option("--to-time", help="And until here.")
@click.option("--history", type=FOLDER, multiple=True, help="A recording that was before it. Repeatable.")
@click.option("--goal", type=click.FloatRange(min=0, min_open=True), help="In place of the recorded one.")
@click.option(
    "--goal-metric", type=click.Choice(["gmv", "orders", "items_sold"]), default="gmv", show_default=True
)
@click.option(
    "--records",
    type=click.Path(path_type=Path, dir_okay=False),
    help="This year's campaign and products, as `warroom init` writes them, laid on the recorded day.",
)
@click.option(
    "--stock", help="Simulated starting stocks by what was sold: 110%. For recordings without a stock feed."
)
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="stock.page_lead_hours=4: also with this."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_obj
def rehearse(
    config: Path | None,
    /,
    path: Path,
    speed: str,
    every: int,
    from_time: str | None,
    to_time: str | None,
    history: tuple[Path, ...],
    goal: float | None,
    goal_metric: str,
    records: Path | None,
    stock: str | None,
    changes: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Print every page that this year's goal, stock and rules would have sent on a recorded day.

    Nothing is sent. A page stands where a look at the rules found it: with --every 60 up to a minute after a board
    would have sent it.
    """
    from replay import rehearsal, rehearsal_report
    from replay.clock import Pace, local_instant_ms, parse_speed
    from replay.recording import Recording
    from streams.settings_check import changed_settings
    from streams.setup import read_references
    from warroom.asking import zone_of

    settings = load(config)
    variants = [settings, *([changed_settings(settings, changes)] if changes else [])]
    recording = Recording.open(path, settings.shops)
    timezone = zone_of(recording, settings)
    try:
        factor = parse_speed(speed)
        span = [None if text is None else local_instant_ms(text, timezone) for text in (from_time, to_time)]
    except ValueError as error:
        what = f"{error}."
        raise SettingsError(what, mend="Write 600x or max; 2011-11-25T08:00 in shop time, or ms.") from error
    wishes = rehearsal.Wishes(
        history=tuple(Recording.open(one, settings.shops) for one in history),
        every_ms=every * 1000,
        from_ms=span[0],
        to_ms=span[1],
        goal=goal,
        goal_metric=goal_metric,
        stock_share=None if stock is None else rehearsal_report.share_of(stock),
        records=() if records is None else tuple(read_references(records)),
    )
    pace: Pace | None = None

    def wait(now_ms: int) -> None:
        nonlocal pace
        if factor is not None:
            pace = pace or Pace(now_ms, factor, time.monotonic)
            time.sleep(pace.wait_s(now_ms))

    def told(alert: Alert) -> None:
        if not as_json and alert.route.value == "page":
            click.echo(rehearsal_report.alert_line(alert))

    if not as_json:
        click.echo(rehearsal_report.headline(recording.manifest.name, stock))
    found, *others = rehearsal.rehearse(recording, variants, wishes, told=told, wait=wait)
    change = rehearsal_report.change_of(found, others[0]) if others else None
    if as_json:
        document = rehearsal_report.document(found) | {"recording": recording.manifest.name, "stock": stock}
        if change is not None:
            document["change"] = rehearsal_report.change_document(change) | {"set": list(changes)}
        click.echo(json.dumps(document, ensure_ascii=False, sort_keys=True))
        return
    for line in rehearsal_report.report_lines(found, timezone):
        click.echo(line)
    if change is not None:
        for line in rehearsal_report.change_lines(change, ", ".join(changes)):
            click.echo(line)
