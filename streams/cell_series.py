"""One metric in every cell of an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Series:
    """One metric in every cell.

    Attributes:
        values: int, float, text or None; money in minor units.
        reasons: number of the cell -> why its value is None.
        partial: cells that show an unfinished day where finished ones are meant.
    """

    values: list[Any]
    reasons: dict[int, str] = field(default_factory=dict)
    partial: frozenset[int] = frozenset()

    def mark(self, reason: str, holds: Callable[[int], bool]) -> None:
        """Set the cells to null that it holds of."""
        for index in range(len(self.values)):
            if holds(index):
                self.values[index] = None
                self.reasons[index] = reason
