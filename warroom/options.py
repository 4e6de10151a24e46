"""Options that several commands take, with one wording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

FOLDER: Final = click.Path(path_type=Path, file_okay=False)

of_replay = click.option(
    "--replay", default="", metavar="ID", help="Of this replay instead of the live topics."
)


def against(what: str) -> Callable[[Any], Any]:
    """Return the option that names the recording beside; `what` is how it is meant there."""
    return click.option("--against", type=FOLDER, help=f"The recording that {what} means.")
