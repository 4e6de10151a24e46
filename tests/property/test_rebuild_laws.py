"""Laws of rebuilding: an upgrade, a rebuild and a crash anywhere come to what a fold from scratch comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import cell_people, cubes, kept_cubes, rebuild, wire
from streams.cubes import CUBES, Cube, Grain
from streams.fold import PartitionState
from streams.kept_cubes import PIECES
from streams.records import RecordBatch
from streams.settings import FoldSettings
from streams.state import CubeRow, Flush
from tests.core_oracle import Sent
from tests.core_worlds import (
    SETTINGS,
    SHOPS,
    Board,
    assert_equal,
    batches,
    through_the_wire,
    worlds,
)

CUTS = st.lists(st.integers(1, 6), max_size=6)
EXAMPLES = settings(max_examples=60)
EARLIER = Cube("content_day", ("content", "product"), Grain.DAY, 12, "hot_days")
"""As it was before it had the atom; a version that kept it so has written state."""

NEW = st.sets(st.sampled_from([cube.name for cube in CUBES]), min_size=1, max_size=3)


@dataclass
class Partition:
    """One partition over several processes: what is durable, and what a reader of it knows."""

    log: list[wire.StateRecord] = field(default_factory=list)
    board: Board = field(default_factory=Board)
    cubes: dict[str, CubeRow] = field(default_factory=dict)

    def flush(self, state: PartitionState) -> None:
        while (flush := state.take_flush()) is not None:
            self.take(flush)

    def take(self, flush: Flush) -> None:
        self.log += through_the_wire(flush)
        self.board.apply(flush)
        self.cubes |= {row.cube: row for row in flush.cubes}

    def take_over(self, kept: Sequence[Cube], keeping: FoldSettings = SETTINGS) -> PartitionState:
        state = self.restored(kept, keeping)
        self.flush(state)
        return state

    def restored(self, kept: Sequence[Cube], keeping: FoldSettings) -> PartitionState:
        state = PartitionState(0, shops=SHOPS, settings=keeping, cubes=kept)
        state.restore(self.log)
        return state


def handed_over(
    partition: Partition,
    state: PartitionState,
    past: Sequence[RecordBatch],
    coming: list[RecordBatch],
    crash_after: int | None,
    keeping: FoldSettings,
) -> bool:
    """Rebuild what is missing while further batches come; return False when the process crashed on the way."""
    handed = 0
    for row in state.unbuilt():
        side = rebuild.CubeRebuild(row, 0, shops=SHOPS, settings=keeping, newest_ms=state.newest_ms)
        for batch in past:
            side.fold(batch)
        for piece in side.pieces(0):
            if handed == crash_after:
                return False
            state.hand_over(piece.row, piece.cells)
            if coming:
                state.fold(coming.pop(0))
            if handed + 1 == crash_after:
                return False  # taken over, and not flushed
            partition.flush(state)
            handed += 1
    return True


@EXAMPLES
@given(
    records=worlds(),
    cuts=CUTS,
    upgrade_at=st.integers(0, 12),
    new=NEW,
    changed=st.booleans(),
    crashes=st.lists(st.integers(0, 4), max_size=3),
    pieces=st.integers(1, 3),
    image_bytes=st.sampled_from((12, 128)),
    keeping=st.sampled_from((SETTINGS, FoldSettings(hot_days=1, minute_hours=5))),
)
def test_an_upgrade_and_a_rebuild_that_crashes_anywhere_come_to_a_fold_from_scratch(
    records: list[Sent],
    cuts: list[int],
    upgrade_at: int,
    new: set[str],
    changed: bool,
    crashes: list[int],
    pieces: int,
    image_bytes: int,
    keeping: FoldSettings,
) -> None:
    whole = Partition()
    scratch = PartitionState(0, shops=SHOPS, settings=keeping)
    for batch in batches(records, cuts):
        scratch.fold(batch)
    whole.flush(scratch)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rebuild, "HANDED_CELLS", pieces)
        patched.setattr(cell_people, "WHOLE_BYTES", image_bytes)
        every = batches(records, cuts)
        partition = Partition()
        if changed:
            new = new | {EARLIER.name}
        kept = [cube for cube in CUBES if cube.name not in new] + [EARLIER] * changed
        old = PartitionState(0, shops=SHOPS, settings=keeping, cubes=kept)
        for batch in every[:upgrade_at]:
            old.fold(batch)
            partition.flush(old)
        coming = every[upgrade_at:]
        state = partition.take_over(CUBES, keeping)
        for crash in [*crashes, None]:
            if handed_over(partition, state, every, coming, crash, keeping):
                break
            state = partition.take_over(CUBES, keeping)
            # What was folded and not flushed comes again.
            coming = [batch for batch in every if batch.offsets[-1] >= state.next_offset(batch.topic)]
        for batch in every:
            state.fold(batch)
        partition.flush(state)
    assert_equal(partition.board, whole.board)
    assert not state.unbuilt()
    if every[:upgrade_at]:
        assert {partition.cubes[name].handed for name in new} == {PIECES}
        assert {partition.cubes[name].since_ms for name in new} == {0}


@EXAMPLES
@given(
    records=worlds(),
    cuts=CUTS,
    name=st.sampled_from([c.name for c in CUBES]),
    asked_at=st.integers(0, 8),
    at_once=st.integers(1, 4),
    crash_after=st.integers(0, 6),
    keeping=st.sampled_from((SETTINGS, FoldSettings(hot_days=1, minute_hours=5))),
)
def test_a_cube_that_is_rebuilt_anew_under_load_comes_to_a_fold_from_scratch(
    records: list[Sent],
    cuts: list[int],
    name: str,
    asked_at: int,
    at_once: int,
    crash_after: int,
    keeping: FoldSettings,
) -> None:
    every = batches(records, cuts)
    whole, partition = Partition(), Partition()
    scratch = PartitionState(0, shops=SHOPS, settings=keeping)
    state = PartitionState(0, shops=SHOPS, settings=keeping)
    for batch in every:
        scratch.fold(batch)
    whole.flush(scratch)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kept_cubes, "DELETED_AT_ONCE", at_once)
        for batch in every[:asked_at]:
            state.fold(batch)
            partition.flush(state)
        assert state.rebuild_anew(name, 7)
        coming = every[asked_at:]
        number = 0
        while (flush := state.take_flush()) is not None:
            partition.take(flush)
            if coming:
                state.fold(coming.pop(0))
            if number == crash_after:
                state = partition.restored(CUBES, keeping)
                coming = [batch for batch in every if batch.offsets[-1] >= state.next_offset(batch.topic)]
            number += 1
        assert not state.rebuild_anew(name, 7)
        assert handed_over(partition, state, every, coming, None, keeping)
        for batch in every:
            state.fold(batch)
        partition.flush(state)
    assert_equal(partition.board, whole.board)
    assert not state.unbuilt()


@EXAMPLES
@given(
    records=worlds(), cuts=CUTS, upgrade_at=st.integers(1, 12), name=st.sampled_from([c.name for c in CUBES])
)
def test_rows_of_a_former_definition_are_deleted_for_good(
    records: list[Sent], cuts: list[int], upgrade_at: int, name: str
) -> None:
    every = batches(records, cuts)
    partition = Partition()
    old = PartitionState(0, shops=SHOPS, settings=SETTINGS)
    for batch in every[:upgrade_at]:
        old.fold(batch)
        partition.flush(old)
    ours = cubes.CUBE_BY_NAME[name]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kept_cubes, "DELETED_AT_ONCE", 1)
        patched.setattr(cubes, "FORMER", frozenset({(name, ours.definition)}))
        kept = [cube for cube in CUBES if cube.name != name]
        state = PartitionState(0, shops=SHOPS, settings=SETTINGS, cubes=kept)
        state.restore(partition.log)
        partition.flush(state)
        again = PartitionState(0, shops=SHOPS, settings=SETTINGS, cubes=kept)
        again.restore(partition.log)
        assert not again.changed
    assert not [key for _, key in partition.board.rows if key.cube == name]
    assert partition.cubes[name].begins is None
