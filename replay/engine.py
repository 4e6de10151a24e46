"""The fold without a broker, line by line: what the direct engine, its board and the judge have in common."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from replay.routing import route
from streams.days import DAY_MS
from streams.fold import PartitionState
from streams.records import RecordBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replay.recording import Line, Recording
    from streams.settings import FoldSettings, Settings
    from streams.state import Flush, Position

Place = tuple[str, int]
"""Topic without prefix, and partition."""


class Engine:
    """Partition states of one recording, fed with lines in the order of R.

    Args:
        recording: names the shops; `fold` settings are widened to keep all of it.
        settings: win over the recording's manifest where both name the shop.
        partitions: over which keys are spread, as Kafka's default partitioner does.
        first_partition: number of the first state partition; history beside a live board needs numbers of its own.

    Attributes:
        unread: lines of a type and topic that this version does not read, by the topic that they name.
    """

    def __init__(
        self, recording: Recording, settings: Settings, *, partitions: int = 1, first_partition: int = 0
    ) -> None:
        shops = settings.with_shops(recording.shops).shops
        fold = whole_recording(settings.fold, recording)
        self.unread: Counter[str] = Counter()
        self._partitions = partitions
        self._first = first_partition
        self._states = [
            PartitionState(first_partition + p, shops=shops, settings=fold) for p in range(partitions)
        ]
        self._offsets: Counter[Place] = Counter()

    def fold(self, lines: Iterable[Line]) -> None:
        """Fold lines."""
        for place, found in self.placed(lines).items():
            self.fold_at(place, found)

    def placed(self, lines: Iterable[Line]) -> dict[Place, list[Line]]:
        """Return lines by topic and partition; what nobody reads is counted in `unread`."""
        places: defaultdict[Place, list[Line]] = defaultdict(list)
        for line in lines:
            place = route(line, self._partitions)
            if place is None:
                self.unread[line.topic] += 1
            else:
                places[place].append(line)
        return places

    def fold_at(self, place: Place, lines: list[Line]) -> None:
        """Fold lines of one topic and partition, the next ones there."""
        topic, partition = place
        offset = self._offsets[place]
        self._offsets[place] += len(lines)
        self._states[partition].fold(
            RecordBatch(
                topic=topic,
                partition=self._first + partition,
                offsets=range(offset, offset + len(lines)),
                timestamps_ms=[line.timestamp_ms for line in lines],
                values=[line.value for line in lines],
                keys=[line.key for line in lines],
            )
        )

    def next_offset(self, place: Place) -> int:
        """Return how many lines of a topic and partition are folded."""
        return self._offsets[place]

    def positions(self) -> list[tuple[int, Position]]:
        """Return (partition, position) of every source topic, with the outcomes so far."""
        return [(state.partition, position) for state in self._states for position in state.positions()]

    def flushes(self) -> Iterator[Flush]:
        """Yield what changed since the last call, one flush per partition that changed."""
        for state in self._states:
            flush = state.take_flush()
            if flush is not None:
                yield flush


def whole_recording(fold: FoldSettings, recording: Recording) -> FoldSettings:
    """Return settings that keep every day and every minute of a recording, and never less than they kept.

    Raises:
        RecordingError: the recording cannot be read: its records tell the span, see `Recording.span_ms`.
    """
    first_ms, last_ms = recording.span_ms()
    # The span may begin and end inside a day, and a day may have 25 hours.
    days = (last_ms - first_ms) // DAY_MS + 2
    return replace(fold, hot_days=max(fold.hot_days, days), minute_hours=max(fold.minute_hours, days * 25))
