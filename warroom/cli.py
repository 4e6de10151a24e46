"""The command line: `warroom --help`.

Exit codes: 0 done, 1 unexpected, 2 wrong use or settings, 3 unreadable recording, 4 state of another version,
5 topics not as they must be, 6 not ready (doctor, preflight), 69 broker or board not reachable, 75 stopped to be
restarted (`streams.errors`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import click

from streams.comparison import COMPARISONS
from streams.errors import QueryError, WarRoomError
from streams.windows import FORMS
from warroom.alerts_command import alerts
from warroom.configuration import for_replay, load
from warroom.doctor_command import doctor
from warroom.explain_command import explain
from warroom.export_command import export
from warroom.goal_command import goal
from warroom.init_command import init, send_references
from warroom.options import FOLDER, against, of_replay
from warroom.preflight_command import preflight
from warroom.rebuild_command import rebuild
from warroom.rehearse_command import rehearse
from warroom.rules_command import rules
from warroom.view_command import view
from warroom.what_if_command import what_if


class Commands(click.Group):
    """Turn our errors into one line on standard error and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except WarRoomError as error:
            click.echo(f"warroom: {error}", err=True)
            sys.exit(error.exit_code)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="campaign-war-room", prog_name="warroom")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file; default warroom.toml here.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.pass_context
def main(ctx: click.Context, config: Path | None, *, verbose: bool) -> None:
    """Watch a campaign day: from records on Kafka topics to a number that can be trusted, and to a page."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    ctx.obj = config


def echo_json(document: object) -> None:
    """Print a document as one line of JSON."""
    click.echo(json.dumps(document, ensure_ascii=False, sort_keys=True))


@main.command()
@click.option("--recording", type=FOLDER, help="Answer from a recording, by the direct engine.")
@click.option("--url", help="Answer from a running board, such as http://127.0.0.1:8321.")
@click.option("--metrics", required=True, help="Names with commas: gmv,orders,ctor (docs/METRICS.md).")
@click.option(
    "--by", default="", help="Dimensions with commas: day, hour, minute, product, sku, slice, leaf, ..."
)
@click.option("--shop", help="Shop id; needed where there are several.")
@click.option(
    "--window",
    help=f"{', '.join(FORMS)}; default today, with --recording all. docs/METRICS.md says what each means.",
)
@click.option(
    "--compare",
    help=f"{', '.join(COMPARISONS)}: adds the other value, the difference and the percentage to each metric.",
)
@against("--compare recording:...")
@click.option("--at", type=int, help="With --recording: as known at this instant, ms since the epoch.")
@click.option("--where", multiple=True, help="Keep one value of a dimension: product=85123A. Repeatable.")
@click.option("--sort", help="Metric to sort by, descending, such as gmv, or gmv_pct with --compare.")
@click.option("--limit", type=click.IntRange(min=1), help="Most rows.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
@click.pass_obj
def query(config: Path | None, /, form: str, recording: Path | None, url: str | None, **words: Any) -> None:
    """Ask the semantic layer; the API takes the same names and gives the same answer."""
    from warroom import asking

    if (recording is None) == (url is None):
        what = "Name one of --recording and --url."
        raise QueryError(what, reason="bad_request", mend="See warroom query --help.")
    if recording is not None:
        answer = asking.ask_recording(recording, load(config), words, form)
    else:
        answer = asyncio.run(asking.ask_board(str(url), load(config), words, form))
    click.echo(answer.rstrip("\n"))


@main.command("import")
@click.argument("kind", type=click.Choice(["online-retail", "open-bandit"]))
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=FOLDER)
@click.option("--from-day", help="First day, 2011-11-25.")
@click.option("--to-day", help="Last day, inclusive.")
@json_option
def import_(
    kind: str, source: Path, out: Path, from_day: str | None, to_day: str | None, *, as_json: bool
) -> None:
    """Turn a foreign file into a recording."""
    from warroom import recordings

    recordings.echo_manifest(
        recordings.import_file(kind, source, out, from_day, to_day), out, as_json=as_json
    )


@main.command()
@click.argument("out", type=FOLDER)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--day", help="The campaign day in shop time, 2026-11-27.")
@click.option("--scale", type=float, default=1.0, show_default=True, help="Factor on the traffic.")
@json_option
def generate(out: Path, seed: int, day: str | None, scale: float, *, as_json: bool) -> None:
    """Write a synthetic campaign day of one shop, with its truth in the manifest."""
    from warroom import recordings

    recordings.echo_manifest(recordings.generate_day(out, seed, day, scale), out, as_json=as_json)


@main.command()
@click.argument("path", type=FOLDER)
@click.option(
    "--speed", default="60x", show_default=True, help="Recorded time against the wall's: 60x, or max."
)
@click.option("--to", "to", type=click.Choice(["kafka", "direct"]), default="kafka", show_default=True)
@click.option("--from", "from_time", help="Skip records before: 2011-11-25T08:00 shop time, or ms.")
@click.option("--to-time", help="Stop after: shop time, or ms.")
@click.option("--rebase", type=click.Choice(["today"]), help="Move the recording's last day to today.")
@click.option("--keep", is_flag=True, help="Keep the replay's topics at its end.")
@click.option("--id", "replay_id", help="Name of the replay's world; default from the recording.")
@click.option(
    "--watch/--only-play", default=True, help="Run a worker, a board and its page beside it, or only send."
)
@against("compare=recording:...")
@click.option(
    "--into-live", is_flag=True, help="Play into the live prefix. The numbers of today will be false."
)
@json_option
@click.pass_obj
def replay(config: Path | None, /, path: Path, **options: Any) -> None:
    """Play a recording: its own topics, its own board, no live pager."""
    from warroom import replaying

    sys.exit(replaying.play_recording(path, load(config), **options))


@main.command()
@click.option("--check", is_flag=True, help="Only check; change nothing.")
@click.option("--replay", "replay_id", default="", help="The topics of this replay instead of the live ones.")
@json_option
@click.pass_obj
def topics(config: Path | None, replay_id: str, *, check: bool, as_json: bool) -> None:
    """Create the topics with our settings where they are missing, and check them."""
    from warroom import running

    report = asyncio.run(running.topics_report(load(config), replay_id, create=not check))
    echo_json(report) if as_json else click.echo(
        "\n".join(f"{name}: {said}" for name, said in report.items())
    )


@main.command()
@click.option("--replay", "replay_id", default="", help="Work for this replay instead of the live topics.")
@click.pass_obj
def worker(config: Path | None, replay_id: str) -> None:
    """Fold the source topics into state, on every core; run as many as there are partitions at most."""
    from warroom import running

    sys.exit(running.run_worker(load(config), replay_id))


@main.command()
@click.option("--replay", "replay_id", default="", help="Show this replay instead of the live topics.")
@against("compare=recording:...")
@click.pass_obj
def board(config: Path | None, replay_id: str, against: Path | None) -> None:
    """Serve the page, the API and /metrics from the state topics; evaluate stock, goals and rules."""
    from warroom import running

    sys.exit(asyncio.run(running.run_board(load(config), replay_id, with_worker=False, against=against)))


@main.command()
@click.option("--replay", "replay_id", default="", help="Run for this replay instead of the live topics.")
@against("compare=recording:...")
@click.pass_obj
def up(config: Path | None, replay_id: str, against: Path | None) -> None:
    """Run worker and board in one go: topics are created where missing."""
    from warroom import running

    sys.exit(asyncio.run(running.run_board(load(config), replay_id, with_worker=True, against=against)))


@main.command()
@click.option(
    "--day", "which", type=click.Choice(["generated", "real"]), default="generated", show_default=True
)
@click.option("--speed", default="30x", show_default=True, help="Of the evening that is played live.")
@click.option("--start", default="20:30", show_default=True, help="Shop time at which the screen opens.")
@click.option("--port", type=int, default=8321, show_default=True, help="0 takes a free one.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--stay/--no-stay", default=True, help="Keep the page up when the day is over.")
@click.option("--scratch", type=FOLDER, help="Keep the generated recordings in this folder.")
@against("compare=recording:...")
@click.pass_obj
def demo(config: Path | None, /, **options: Any) -> None:
    """Play a campaign day on this machine: broker, worker, board and page, nothing to install or set."""
    from warroom import demo as demonstration

    sys.exit(demonstration.run(load(config), **options))


@main.group("dead-letters")
def dead_letters() -> None:
    """Look at records that cannot count, and send them again."""


@dead_letters.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--reason", help="Only this outcome, such as rejected_schema.")
@of_replay
@json_option
@click.pass_obj
def list_letters(config: Path | None, replay: str, limit: int, reason: str | None, *, as_json: bool) -> None:
    """List the newest dead letters with place and reason."""
    from warroom import letters

    letters.list_all(for_replay(load(config), replay), limit, reason, as_json=as_json)


@dead_letters.command("show")
@click.argument("place")
@of_replay
@json_option
@click.pass_obj
def show_letter(config: Path | None, replay: str, place: str, *, as_json: bool) -> None:
    """Show one dead letter whole; PLACE is topic/partition/offset."""
    from warroom import letters

    letters.show(for_replay(load(config), replay), place, as_json=as_json)


@dead_letters.command("send")
@click.argument("places", nargs=-1, required=True)
@click.option(
    "--value-file", type=click.Path(path_type=Path, exists=True), help="The repaired record, for one place."
)
@of_replay
@json_option
@click.pass_obj
def send_letters(
    config: Path | None, replay: str, places: tuple[str, ...], value_file: Path | None, *, as_json: bool
) -> None:
    """Send dead letters again, as they were or repaired, with their old key."""
    from warroom import letters

    letters.send_again(for_replay(load(config), replay), places, value_file, as_json=as_json)


main.add_command(alerts)
main.add_command(doctor)
main.add_command(explain)
main.add_command(export)
main.add_command(goal)
main.add_command(init)
main.add_command(rules)
main.add_command(preflight)
main.add_command(rehearse)
main.add_command(send_references)
main.add_command(view)
main.add_command(what_if)
main.add_command(rebuild)

if __name__ == "__main__":
    main()
