"""What a flush carries: state rows, facts, positions.

A worker keeps cumulative state per source partition. Whatever changed since the last flush is one `Flush`: the Kafka
writer puts it into one transaction, the direct engine hands it straight to the board. A board that merges the newest
rows of all partitions has the shop's totals.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from streams.events import Fact
from streams.outcomes import Outcome
from streams.records import DeadLetter


class RowKey(NamedTuple):
    """The identity of one cell of a cube.

    Attributes:
        cube: name in `streams.cubes.CUBES`.
        definition: hash of the cube's definition, so that state of another definition is never misread.
        shop_id: the seller shop.
        bucket: business day as an ordinal, or the start of the quarter hour or minute in ms, by the cube's grain.
        event_type: which traffic the row counts.
        dims: values of the cube's dimensions in their declared order; the atom as its decimal code.
    """

    cube: str
    definition: str
    shop_id: str
    bucket: int
    event_type: str
    dims: tuple[str, ...]


class StateRow(NamedTuple):
    """A cell's cumulative value in one source partition.

    Attributes:
        events: events counted, >= 0; None when the row has left its cube's retention and is to be forgotten.
        keyed: those of them that carry a `user_key`; coverage of the figures of people is keyed / events.
        sketch: a compact image (HLL, or theta where the cube says so) of the people who came since the cell's
            `PeopleRow` was written, of all people while it has none; None without any and in cubes without sketches.
    """

    key: RowKey
    events: int | None
    keyed: int
    sketch: bytes | None


class PeopleRow(NamedTuple):
    """The people of a cell up to some flush; with its `StateRow.sketch` united, all of them.

    A large sketch is written when enough has come to it, not whenever anything has: state is written every second, and
    rewriting two kilobytes for every viewer was most of it (ADR 10).

    Attributes:
        key: of the cell.
        image: of the same kind; None when the cell is to be forgotten.
    """

    key: RowKey
    image: bytes | None


class CubeRow(NamedTuple):
    """Since when a partition keeps a cube, and how much of what came before is rebuilt (ADR 13).

    Attributes:
        cube, definition: as in `RowKey`.
        begins: per source topic, the first offset that the cube has counted as it came; empty: it was there from the
            first record on. None: the cube is gone, and the row is to be forgotten.
        since_ms: event time from which the cube holds everything; 0: from the first record on.
        handed: pieces of `streams.kept_cubes.PIECES` that were rebuilt and handed over; all of them: nothing is left.
            Negative: the cube is being emptied to begin anew, and counts nothing.
        asked_ms: when the rebuild was asked for by a person, 0 when it was not.
    """

    cube: str
    definition: str
    begins: dict[str, int] | None
    since_ms: int
    handed: int
    asked_ms: int = 0


class FactKey(NamedTuple):
    """The identity of a fact: kind, shop, and the ids of `streams.events.FACT_IDS`, as text."""

    kind: str
    shop_id: str
    ids: tuple[str, ...]


class FactRow(NamedTuple):
    """The winning record of a fact's key in one source partition.

    The winner is the greatest (version, occurred_at_ms, body_hash); `merge_order` compares rows of two partitions.

    Attributes:
        received_at_ms: the least R among copies of the winning body.
        copies: records with the winning body, >= 1; all but one are duplicates.
        event: without what may differ between copies: `event_id` is empty, `ingested_at_ms` and `currency` are None.
        topics: where the copies were read, as (topic, copies), the one of the copy that counts first; empty when
            all came by the kind's own topic. For the partition's next owner: outcomes are counted per topic.
    """

    key: FactKey
    version: int
    occurred_at_ms: int
    body_hash: int
    received_at_ms: int
    copies: int
    event: Fact
    topics: tuple[tuple[str, int], ...] = ()

    @property
    def merge_order(self) -> tuple[int, int, int]:
        """Return what decides among records of one key, independent of arrival."""
        return (self.version, self.occurred_at_ms, self.body_hash)


class ShopSpan(NamedTuple):
    """What one shop's counted records (or heartbeats for the topic) of one source partition span in event time."""

    first_ms: int
    last_ms: int
    records: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far one source topic of a partition is folded, and what became of its records.

    Attributes:
        topic: without prefix.
        next_offset: the first offset that is not folded yet.
        last_timestamp_ms: the greatest R seen, 0 before the first record.
        outcomes: records per outcome since the beginning; their sum is the number of records read.
        shops: per shop, the span of counted records in event time.
        heard: per shop and topic (without prefix), when the first heartbeat that promises it came to pass; of the topic
            that heartbeats are read from.
    """

    topic: str
    next_offset: int
    last_timestamp_ms: int
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    shops: dict[str, ShopSpan] = field(default_factory=dict)
    heard: dict[str, dict[str, int]] = field(default_factory=dict)


class RepeatChunk(NamedTuple):
    """A piece of the repeat window: ids seen in one flush interval of a topic, for a worker that restarts.

    Attributes:
        topic: without prefix.
        generation: the span of R it belongs to; a whole generation is forgotten at once.
        sequence: number of the chunk within its generation.
        image: packed columns; None when the generation is over and the chunk is to be forgotten.
    """

    topic: str
    generation: int
    sequence: int
    image: bytes | None


@dataclass(frozen=True, slots=True)
class Flush:
    """Everything that changed in one state partition since its last flush; applied whole or not at all.

    Attributes:
        partition: the source partition.
        number: rises by one with every flush of the partition.
        rows, facts: changed cells and facts, each with its whole cumulative value.
        positions: every source topic of the partition, also unchanged ones.
        repeats: for the next owner of the partition; a board ignores them.
        dead_letters: records since the last flush that cannot count.
        people: large sketches of changed cells that were due.
        cubes: since when cubes are kept, where that changed.
    """

    partition: int
    number: int
    rows: list[StateRow]
    facts: list[FactRow]
    positions: list[Position]
    repeats: list[RepeatChunk]
    dead_letters: list[DeadLetter]
    people: list[PeopleRow] = field(default_factory=list)
    cubes: list[CubeRow] = field(default_factory=list)
