"""Would the direct engine have said the same? Compares a running board with its own fold of the same records."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from replay.engine import Engine, Place
from streams.board import Verdict
from streams.outcomes import COUNTING, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replay.recording import Line, Recording
    from streams.settings import Settings
    from streams.state import Position


class Judge:
    """Folds exactly the records that a board says it has folded, and compares what became of them.

    A partition of a replay's topic holds the recording's lines in their order from offset 0, so a board's position is
    a number of lines of that topic and partition.

    Args:
        recording: what was played.
        settings: of the replay's world; `kafka.partitions` spreads the keys.
        from_ms: what was played began with the first record whose R is not before it.
    """

    def __init__(self, recording: Recording, settings: Settings, *, from_ms: int | None = None) -> None:
        self._engine = Engine(recording, settings, partitions=settings.kafka.partitions)
        self._lines = recording.lines(from_ms=from_ms)
        self._waiting: defaultdict[Place, list[Line]] = defaultdict(list)
        self._guard = threading.Lock()

    def compare(self, positions: Iterable[tuple[int, Position]]) -> Verdict:
        """Fold up to a board's positions, and compare; positions must not go back between calls.

        Takes as long as the new records take to fold: call it in a thread.
        """
        theirs = {(position.topic, partition): position for partition, position in positions}
        with self._guard:
            self._advance({place: position.next_offset for place, position in theirs.items()})
            ours: dict[Place, Mapping[Outcome, int]] = {}
            for partition, position in self._engine.positions():
                ours[position.topic, partition] = position.outcomes
        lost = double = records = 0
        unlike: set[str] = set()
        for place, position in theirs.items():
            mine = ours.get(place, {})
            records += sum(position.outcomes.values())
            for outcome in Outcome:
                behind = mine.get(outcome, 0) - position.outcomes.get(outcome, 0)
                if behind:
                    unlike.add(outcome.value)
            short = _counted(mine) - _counted(position.outcomes)
            lost += max(0, short)
            double += max(0, -short)
        at_ms = max((position.last_timestamp_ms for position in theirs.values()), default=0)
        return Verdict(records, lost, double, tuple(sorted(unlike)), at_ms)

    def _advance(self, wanted: Mapping[Place, int]) -> None:
        """Fold each place up to its offset; lines beyond it wait."""
        for place in wanted:
            self._fold_waiting(place, wanted)
        missing = {place for place, offset in wanted.items() if self._engine.next_offset(place) < offset}
        while missing:
            line = next(self._lines, None)
            if line is None:
                return
            for place, found in self._engine.placed([line]).items():
                self._waiting[place].extend(found)
                if len(self._waiting[place]) + self._engine.next_offset(place) >= wanted.get(place, 0):
                    self._fold_waiting(place, wanted)
                    missing.discard(place)

    def _fold_waiting(self, place: Place, wanted: Mapping[Place, int]) -> None:
        room = wanted.get(place, 0) - self._engine.next_offset(place)
        if room > 0 and self._waiting[place]:
            now, self._waiting[place] = self._waiting[place][:room], self._waiting[place][room:]
            self._engine.fold_at(place, now)


def _counted(outcomes: Mapping[Outcome, int]) -> int:
    return sum(outcomes.get(outcome, 0) for outcome in COUNTING)
