"""`warroom init` and `warroom send`: from answers to a settings file and reference records on the topics."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.errors import SettingsError
from warroom.configuration import CONFIG_VARIABLE, DEFAULT_FILE, load

if TYPE_CHECKING:
    from streams import setup
    from streams.settings import Settings

REFERENCES = "reference.jsonl"
SECRETS = ".warroom"

_ASKED = {
    "shop": ("Shop id", ""),
    "name": ("Name of the shop", None),
    "timezone": ("Zone of the shop's day", "America/Los_Angeles"),
    "currency": ("Currency", "USD"),
    "kafka": ("Kafka, host:port", "127.0.0.1:9092"),
    "campaign": ("Name of the campaign", "Campaign"),
    "starts": ("Campaign starts, shop time (2026-11-27 or 2026-11-27T20:00)", ""),
    "ends": ("Campaign ends, shop time; a date is the end of that day", ""),
    "goal_metric": ("Goal in gmv, orders or items_sold", "gmv"),
    "goal": ("Goal, in whole currency units or a number; 0 for none", "0"),
    "required_topics": ("Topics whose silence is an alarm, with commas", "orders"),
    "products": ("File with the campaign's products (CSV), empty for none", "-"),
}
"""Option -> question and default; an empty default must be answered, None is the shop id, `-` is nothing."""


@click.command()
@click.option("--shop", help="Shop id, as on the wire.")
@click.option("--name", help="Name of the shop.")
@click.option("--timezone", help="IANA zone of the shop's day.")
@click.option("--currency", help="ISO 4217 code.")
@click.option("--kafka", help="Bootstrap list, host:port.")
@click.option("--campaign", help="Name of the campaign; its id follows from it.")
@click.option("--starts", help="2026-11-27 or 2026-11-27T20:00, shop time.")
@click.option("--ends", help="Likewise; a date is the end of that day.")
@click.option("--goal", help="Goal in whole currency units, or a number of orders or items; 0 for none.")
@click.option("--goal-metric", type=click.Choice(["gmv", "orders", "items_sold"]))
@click.option("--required-topics", help="Topics whose silence is an alarm, with commas.")
@click.option("--products", help="CSV: product_id, name, price, and perhaps sku_ids, unit_cost.")
@click.option(
    "--route",
    "routes",
    multiple=True,
    metavar="KIND=FILE",
    help="Where pages go: slack, pagerduty or webhook, and the file that holds its URL or key. Repeatable.",
)
@click.option("--yes", is_flag=True, help="Ask nothing: options, else defaults.")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@click.option("--send", is_flag=True, help="Put the reference records on the topics, too.")
@click.pass_obj
def init(
    config: Path | None,
    /,
    routes: tuple[str, ...],
    *,
    yes: bool,
    force: bool,
    send: bool,
    **given: str | None,
) -> None:
    """Ask what a campaign day needs; write warroom.toml and the reference records."""
    from streams import setup

    target = config or Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_FILE))
    references = target.parent / REFERENCES
    for path in (target, references):
        if path.exists() and not force:
            what = f"{path} is there already."
            raise SettingsError(what, mend="Overwrite it with --force, or name another file with --config.")
    words = {name: given[name] or _asked(name, given, yes=yes) for name in _ASKED}
    files = setup.given_routes(routes) if routes or yes else _asked_routes(target.parent / SECRETS)
    answers = _answers(words, files)
    lines = b"".join(
        line + b"\n" for line in setup.reference_lines(answers, now_ms=time.time_ns() // 1_000_000)
    )
    settings = _written(target, setup.settings_text(answers), lines)
    _write(references, lines)
    click.echo(f"wrote {target} and {references}")
    if send:
        _sent(settings, references)
    else:
        click.echo(f"Next: warroom doctor, warroom topics, warroom send {references}, warroom preflight.")


@click.command("send")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def send_references(config: Path | None, file: Path) -> None:
    """Put reference records (shops, campaigns, products; FILE as `warroom init` writes it) on their topics."""
    _sent(load(config), file)


def _sent(settings: Settings, file: Path) -> None:
    from agents.references import send
    from streams import setup

    records = setup.read_references(file)
    setup.check_references(records, settings)
    for topic, count in asyncio.run(send(settings, records)).items():
        click.echo(f"sent {count} to {topic}")


def _asked(name: str, given: dict[str, str | None], *, yes: bool) -> str:
    question, default = _ASKED[name]
    if default is None:
        default = given["shop"] or ""
    if yes:
        if default:
            return default.removeprefix("-")
        what = f"--{name.replace('_', '-')} is missing."
        raise SettingsError(what, mend="It has no default; leave --yes out to be asked.")
    answer = str(click.prompt(question, default=default or None)).strip().removeprefix("-")
    given[name] = answer
    return answer


def _asked_routes(folder: Path) -> dict[str, str]:
    """Ask for the secret of each route; it goes into a file that only its owner reads."""
    from streams.setup import ROUTE_KEYS

    files = {}
    for kind in ROUTE_KEYS:
        secret = click.prompt(
            f"Secret of {kind} (URL or key; empty for none)", default="", hide_input=True, show_default=False
        )
        if secret.strip():
            path = folder / kind
            _write(path, secret.strip().encode() + b"\n", mode=0o600)
            files[kind] = str(path)
    return files


def _answers(words: dict[str, str], routes: dict[str, str]) -> setup.Answers:
    from streams import setup

    try:
        products = Path(words["products"]).read_text(encoding="utf-8") if words["products"] else ""
    except (OSError, UnicodeDecodeError) as error:
        what = f"The product list {words['products']} cannot be read: {type(error).__name__}."
        raise SettingsError(what, mend="Name a CSV file in UTF-8.") from error
    return setup.answers_of(words, routes, products)


def _written(target: Path, text: str, lines: bytes) -> Settings:
    """Write the settings once the real loader and the real decoder take them, else leave what was there."""
    from streams import setup

    draft = target.with_name(f".{target.name}.draft")
    _write(draft, text.encode())
    try:
        settings = load(draft, environment={})
        setup.check_references(setup.parse_references(lines, place=REFERENCES), settings)
        draft.replace(target)
    except SettingsError as error:
        raise SettingsError(error.what.replace(str(draft), str(target)), mend=error.mend) from error
    finally:
        draft.unlink(missing_ok=True)
    return settings


def _write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made with its mode: chmod after the write would leave a moment in which others can read a secret.
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
