"""Put flushes together again from the records of the state and facts topics, whole ones only.

A flush ends with a mark in every topic that it wrote. A reader sees the topics at different times, and compaction may
have taken older marks and rows away, so what is handed on is everything up to a flush number at which no topic is
short of anything: all rows that flushes up to it changed, and none of a later one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streams.state import CubeRow, FactRow, Flush, PeopleRow, Position, RepeatChunk, StateRow
from streams.topics import FACTS, STATE
from streams.wire import FlushMark

if TYPE_CHECKING:
    from streams.state import FactKey, RowKey
    from streams.wire import StateRecord

TOPICS: Final = (STATE.name, FACTS.name)


class _Segment:
    """Records between two marks of a topic."""

    def __init__(self, mark: FlushMark, records: list[StateRecord]) -> None:
        self.number = mark.number
        self.names_facts = FACTS.name in mark.topics
        self.records = records


class FlushAssembler:
    """Takes the records of one partition in the order of each topic, gives whole flushes; pure."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.seen = 0
        """Number of the newest flush whose mark is in the state topic; every flush writes there."""
        self.given = 0
        """Number of the newest flush that `take` gave."""
        self._open: dict[str, list[StateRecord]] = {topic: [] for topic in TOPICS}
        self._closed: dict[str, list[_Segment]] = {topic: [] for topic in TOPICS}
        self._facts_given = 0

    def put(self, topic: str, record: StateRecord) -> None:
        """Take the next record of `state` or `facts`."""
        if not isinstance(record, FlushMark):
            self._open[topic].append(record)
            return
        self._closed[topic].append(_Segment(record, self._open[topic]))
        self._open[topic] = []
        if topic == STATE.name:
            self.seen = max(self.seen, record.number)

    def take(self) -> Flush | None:
        """Return everything up to the newest flush that is whole in both topics, as one flush; None without any."""
        number = self._whole()
        if number is None:
            return None
        rows: dict[RowKey, StateRow] = {}
        facts: dict[FactKey, FactRow] = {}
        positions: dict[str, Position] = {}
        people: dict[RowKey, PeopleRow] = {}
        cubes: dict[tuple[str, str], CubeRow] = {}
        for topic in TOPICS:
            for segment in self._up_to(topic, number):
                for record in segment.records:
                    # A later row of a key carries its whole value, so the earlier one need not be applied.
                    match record:
                        case StateRow():
                            rows[record.key] = record
                        case PeopleRow():
                            people[record.key] = record
                        case FactRow():
                            facts[record.key] = record
                        case CubeRow():
                            cubes[record.cube, record.definition] = record
                        case Position():
                            positions[record.topic] = record
                        case RepeatChunk() | FlushMark():
                            pass
        self.given = number
        return Flush(
            partition=self.partition,
            number=number,
            rows=list(rows.values()),
            facts=list(facts.values()),
            positions=list(positions.values()),
            repeats=[],
            dead_letters=[],
            people=list(people.values()),
            cubes=list(cubes.values()),
        )

    def _whole(self) -> int | None:
        """Return the newest flush number up to which nothing is missing.

        The facts that flushes up to it wrote must be there, in segments that hold none of a later flush. Where
        compaction took a mark away, its records stand in the segment of the next mark.
        """
        marks = [segment.number for segment in self._closed[FACTS.name]]
        candidates: list[tuple[int, int]] = []
        newest_facts = 0
        for segment in self._closed[STATE.name]:
            if segment.names_facts:
                newest_facts = segment.number
            candidates.append((segment.number, newest_facts))
        for number, facts in reversed(candidates):
            if facts <= self._facts_given or any(facts <= mark <= number for mark in marks):
                return number
        return None

    def _up_to(self, topic: str, number: int) -> list[_Segment]:
        closed = self._closed[topic]
        taken = [segment for segment in closed if segment.number <= number]
        self._closed[topic] = closed[len(taken) :]
        if topic == FACTS.name and taken:
            self._facts_given = taken[-1].number
        return taken
