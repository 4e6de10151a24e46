"""A place in a recording that moves with recorded time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replay.recording import Line


class Cursor:
    """Hands out lines as their time comes; looks one line ahead.

    Args:
        lines: in the order of R. The first is read at once, which opens the file.
    """

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._ahead = next(lines, None)
        self._last_ms = 0

    @property
    def next_ms(self) -> int | None:
        """Return the R of the next line; None at the end."""
        return None if self._ahead is None else self._ahead.timestamp_ms

    def take(self, due_ms: float, most: int) -> list[Line]:
        """Return the next lines with R <= `due_ms`, at most `most`."""
        chunk: list[Line] = []
        while self._ahead is not None and self._ahead.timestamp_ms <= due_ms and len(chunk) < most:
            chunk.append(self._ahead)
            self._last_ms = max(self._last_ms, self._ahead.timestamp_ms)
            self._ahead = next(self._lines, None)
        return chunk

    def reached_ms(self, due_ms: float) -> int:
        """Return up to when every line has been handed out, given that time has come to `due_ms`."""
        if self._ahead is None:
            return self._last_ms
        return int(min(due_ms, self._ahead.timestamp_ms - 1))
