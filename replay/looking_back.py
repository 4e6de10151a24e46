"""A recording as it was known at one instant after the other: columns that grow between two looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from replay.cursor import Cursor
from replay.engine import Engine
from streams.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replay.recording import Recording
    from streams.settings import Settings

_CHUNK: Final = 1 << 16


def columns_at(
    recording: Recording, settings: Settings, instants: Iterable[int]
) -> Iterator[tuple[int, Columns]]:
    """Yield each instant with what was known then; the columns are one object, which the next step changes.

    Args:
        recording: lines in the order of R.
        settings: win over the recording's manifest where both name the shop.
        instants: ms, never falling.

    Raises:
        RecordingError: the recording cannot be read.
    """
    columns = Columns(settings.with_shops(recording.shops))
    engine = Engine(recording, settings)
    cursor = Cursor(recording.lines())
    for at_ms in instants:
        while chunk := cursor.take(at_ms, _CHUNK):
            engine.fold(chunk)
            for flush in engine.flushes():
                columns.apply(flush)
        columns.vouch(at_ms)
        yield at_ms, columns
