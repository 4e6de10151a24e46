"""What `warroom export` does: tables of a recording or of a board into a file that is whole or not there."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from streams.errors import QueryError, UnavailableError
from streams.export import write_export
from streams.export_views import answer_export, read_export
from streams.own_metrics import known_metrics
from streams.settings import Settings
from warroom.asking import loaded, needs_recording, parameters_of
from warroom.board_client import download


@contextlib.contextmanager
def opened_file(out: Path | None) -> Iterator[IO[bytes]]:
    """Yield a file that takes the place of `out` once all is written; standard output without a name.

    Raises:
        UnavailableError: the folder cannot be written to.
    """
    if out is None:
        yield sys.stdout.buffer
        return
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    except OSError as error:
        what = f"{out} cannot be written: {error.strerror}."
        raise UnavailableError(what, mend="Name a file in a folder that is there.") from error
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
        # A file made for one person's eyes would stay so; an export is as readable as any new file.
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(out)
    finally:
        Path(name).unlink(missing_ok=True)


def export_recording(
    path: Path, settings: Settings, words: Mapping[str, Any], form: str, file: IO[bytes]
) -> None:
    """Write the answer of the direct engine.

    Raises:
        RecordingError: the recording cannot be read.
        QueryError: the question has no right answer.
    """
    named = parameters_of(_named(words), window="" if words["view"] else "all", form=form)
    export = read_export(named, known_metrics(settings))
    columns = loaded(path, settings, at=words["at"], against=words.get("against"))
    tables, _ = answer_export(columns, export, now_ms=words["at"] or columns.vouched_ms)
    write_export(tables, export.form, file)


async def export_board(
    url: str, settings: Settings, words: Mapping[str, Any], form: str, file: IO[bytes]
) -> None:
    """Write a board's answer as it comes.

    Raises:
        QueryError: the board says that the question has no right answer.
        UnavailableError: the board does not answer, or breaks off.
    """
    needs_recording(at=words["at"], against=words.get("against"))
    params = parameters_of(_named(words), window="" if words["view"] else "today", form=form)
    await download(url, "/api/v1/export", params, settings, file)


def _named(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words as the API takes them: flags, and parameters of a view under their own names."""
    named = dict(words)
    for name in ("all_formats", "why"):
        named[name] = "1" if words[name] else ""
    for parameter in named.pop("parameters"):
        key, equals, value = parameter.partition("=")
        if not (equals and words["view"]):
            what = f"{parameter!r} is no choice of a view."
            raise QueryError(what, reason="bad_request", mend="Write --view NAME content_type=seller_live.")
        named[key] = value
    return named
