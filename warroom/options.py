"""Options that several commands take, with one wording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

FOLDER: Final = click.Path(path_type=Path, file_okay=False)

WINDOWS: Final = "today, day:2011-11-25, last7, weeks:6, month, campaign, ..."
COMPARED: Final = "previous, yesterday, shift:7d, baseline:2011-10-25, reference:2011-10-25, benchmark, ..."
"""Some of the forms, where a list of all would be longer than the rest of the help (`warroom query --help`)."""

of_replay = click.option(
    "--replay", default="", metavar="ID", help="Of this replay instead of the live topics."
)


def against(what: str) -> Callable[[Any], Any]:
    """Return the option that names the recording beside; `what` is how it is meant there."""
    return click.option("--against", type=FOLDER, help=f"The recording that {what} means.")
