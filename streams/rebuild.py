"""Rebuild what a cube has missed: fold the records that came before it began, for this cube alone (ADR 13).

Pure and synchronous like the fold, of which it is a part: the same decoding, admission and repeat window over the same
records in the same order count the same events. Records before `CubeRow.begins` and those from there on are two parts
without overlap, so a cell is the sum (its people: the union) of what both gave.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import xxhash

from streams.cubes import CUBE_BY_NAME, Cube
from streams.days import DAY_MS
from streams.decoding import Refusal
from streams.events import Fact
from streams.fold import PartitionState
from streams.kept_cubes import PIECES
from streams.records import RecordBatch
from streams.settings import FoldSettings, ShopSettings
from streams.state import CubeRow, RowKey, StateRow
from streams.traffic import TrafficColumns

HANDED_CELLS: Final = 4_000
"""Cells that one flush takes over, about: 1 MB, and some 20 ms in which nothing else is folded."""


class Piece(NamedTuple):
    """What one flush takes over: the cube's row once it is done, and cells with all of their people in `sketch`."""

    row: CubeRow
    cells: list[StateRow]


class CubeRebuild(PartitionState):
    """The fold of one cube over the records of one partition that came before the cube began.

    Args:
        row: the cube's, as the partition's state has it.
        partition, shops, settings, replay_id: as of `PartitionState`.
        newest_ms: the greatest R of the partition: what is over by it is not rebuilt.
    """

    def __init__(
        self,
        row: CubeRow,
        partition: int,
        *,
        shops: Mapping[str, ShopSettings],
        settings: FoldSettings,
        newest_ms: int,
        replay_id: str = "",
    ) -> None:
        cube = CUBE_BY_NAME[row.cube]
        super().__init__(partition, shops=shops, settings=settings, replay_id=replay_id, cubes=(cube,))
        self.row = row
        self.begins: dict[str, int] = dict(row.begins or {})
        self._cubes.advance(newest_ms)

    def fold(self, batch: RecordBatch) -> None:
        """Fold the records of a batch that came before the cube began."""
        end = bisect.bisect_left(batch.offsets, self.begins.get(batch.topic, 0))
        if end < len(batch.offsets):
            ids = batch.replay_ids
            batch = RecordBatch(
                topic=batch.topic,
                partition=batch.partition,
                offsets=batch.offsets[:end],
                timestamps_ms=batch.timestamps_ms[:end],
                values=batch.values[:end],
                keys=batch.keys[:end],
                replay_ids=None if ids is None else ids[:end],
            )
        if end:
            super().fold(batch)

    def pieces(self, since_ms: int) -> Iterator[Piece]:
        """Yield what is left to be handed over, at least one piece; call it once, when all is folded.

        Cells belong to pieces by their key, so what a former owner handed over before it crashed is left out here.

        Args:
            since_ms: event time from which the records that were folded are complete; 0: nothing is missing.
        """
        rows, people = self._cubes.take_rows()
        images = {row.key: row.image for row in people}
        buckets: list[list[StateRow]] = [[] for _ in range(PIECES)]
        for row in rows:
            if row.events is not None:
                image = images.get(row.key) or row.sketch
                buckets[piece_of(row.key)].append(row._replace(sketch=image))
        cells: list[StateRow] = []
        for number in range(self.row.handed, PIECES):
            cells += buckets[number]
            last = number == PIECES - 1
            if len(cells) >= HANDED_CELLS or last:
                done = self.row._replace(handed=number + 1)
                # Whole only with the last piece; a former owner that read from earlier on changes nothing in that.
                yield Piece(done._replace(since_ms=since_ms) if last else done, cells)
                cells = []

    def _fold_facts(self, batch: RecordBatch, facts: Sequence[tuple[int, Fact]]) -> None:
        """Leave facts to the owner."""

    def _refuse(self, batch: RecordBatch, index: int, refusal: Refusal) -> None:
        """Leave records that cannot count to the owner, which had them before."""

    def _refuse_rows(self, batch: RecordBatch, columns: TrafficColumns, rows: Sequence[int]) -> None:
        """Leave them to the owner."""


def piece_of(key: RowKey) -> int:
    """Return the piece that a cell belongs to; stable, for the state says which pieces are handed over."""
    return xxhash.xxh32_intdigest(msgspec.msgpack.encode(key[2:])) % PIECES


def read_from_ms(cube: Cube, settings: FoldSettings, newest_ms: int) -> int:
    """Return the record timestamp from which on records can still be in the cube, given the greatest R.

    An event is never longer before its record than the cube keeps its bucket, or the bucket is over; a bucket is a day
    of up to 25 hours at most, and clocks may be ahead by the tolerance.
    """
    return max(0, newest_ms - cube.keep_ms(settings) - 2 * DAY_MS - settings.future_tolerance_ms)
