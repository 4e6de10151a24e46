"""`warroom view`: the named queries, over a recording or a running board."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.errors import QueryError
from warroom.configuration import load
from warroom.options import COMPARED, FOLDER, WINDOWS, against

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.view import View


@click.command("view")
@click.argument("name", required=False)
@click.argument("parameters", nargs=-1, metavar="[PARAMETER=VALUE]...")
@click.option("--recording", type=FOLDER, help="Answer from a recording.")
@click.option("--url", help="Answer from a running board, such as http://127.0.0.1:8321.")
@click.option("--at", type=int, help="With --recording: as known at this instant, ms since the epoch.")
@click.option("--shop", help="Shop id; needed where there are several.")
@click.option("--window", help=f"{WINDOWS}; default the view's own.")
@click.option("--compare", help=f"What each figure stands beside: {COMPARED}")
@against("--compare recording:...")
@click.option(
    "--where", multiple=True, help="Keep one value of a dimension: product=85123A. Repeatable: all must hold."
)
@click.option("--sort", help="Metric of the rows to sort by, largest first.")
@click.option("--limit", help="Most rows of each part.")
@click.option("--part", help="Only this part of the view; `warroom view NAME` names the parts.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
@click.pass_obj
def view(
    config: Path | None,
    /,
    name: str | None,
    parameters: tuple[str, ...],
    recording: Path | None,
    url: str | None,
    at: int | None,
    against: Path | None,
    shop: str | None,
    form: str,
    **common: str | tuple[str, ...] | None,
) -> None:
    """Answer the view NAME from a recording or a running board.

    Without NAME the views are listed; with NAME alone it says what the view shows, and what you may choose in it.

    PARAMETER=VALUE is such a choice: content_type=seller_live, search=dress, ...
    """
    from streams.views import VIEWS, run_view, view_of
    from warroom.asking import board_text, needs_recording, opened

    if name is None:
        click.echo(_list(list(VIEWS.values()), form))
        return
    chosen = view_of(name)
    if recording is None and url is None:
        click.echo(_explained(chosen, form))
        return
    if recording is not None and url is not None:
        what = "Name one of --recording and --url."
        raise QueryError(what, reason="bad_request", mend="See warroom view --help.")
    words: dict[str, str | Sequence[str]] = {
        key: list(value) if isinstance(value, tuple) else value for key, value in common.items() if value
    }
    if shop:
        words["shop"] = shop
    for parameter in parameters:
        key, equals, value = parameter.partition("=")
        if not equals:
            what = f"{parameter!r} is not of the form parameter=value."
            raise QueryError(what, reason="bad_request", mend="Write for example content_type=seller_live.")
        words[key] = value
    words["format"] = form
    settings = load(config)
    if recording is not None:
        columns, _ = opened(recording, settings, at=at, shop=shop, against=against)
        click.echo(run_view(columns, chosen, words, now_ms=at or columns.vouched_ms).text(form), nl=False)  # type: ignore[arg-type] # click's choice
        return
    needs_recording(at=at, against=against)
    click.echo(asyncio.run(board_text(str(url), f"/api/v1/views/{name}", words, settings)), nl=False)


def _list(views: list[View], form: str) -> str:
    from streams.view import view_document

    if form == "json":
        return json.dumps([view_document(one) for one in views], ensure_ascii=False)
    width = max(len(one.name) for one in views)
    return "\n".join(f"{one.name.ljust(width)}  {one.answers}" for one in views)


def _explained(one: View, form: str) -> str:
    from streams.view import COMMON, view_document

    if form == "json":
        return json.dumps(view_document(one), ensure_ascii=False)
    lines = [
        f"{one.name}: {one.title}",
        one.answers,
        "",
        f"Window {one.window}, unless --window says another.",
    ]
    if one.copies:
        lines.append(f"Copies the {one.copies}.")
    lines += [f"Limit: {limit}." for limit in one.limits.words()]
    lines += ["", "Parts"]
    lines += [f"  {part.name:<14} {part.title}: {', '.join(part.metrics)}" for part in one.parts]
    if one.parameters:
        lines += ["", "Parameters"]
    for each in one.parameters:
        values = f" ({', '.join(each.values)})" if each.values else ""
        default = f"; default {each.default}" if each.default else ""
        lines.append(
            f"  {each.name:<14} {each.meaning}{values}{default}{'; needed' if each.required else ''}"
        )
    lines += ["", "Of every view", *(f"  {name:<14} {meaning}" for name, meaning in COMMON.items())]
    return "\n".join(lines)
