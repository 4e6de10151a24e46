"""Laws of the fold: one result in any order, in any pieces, however often sent, across any restart."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import cell_people
from tests.core_oracle import Sent
from tests.core_worlds import (
    BEGIN_MS,
    Board,
    assert_equal,
    assert_same,
    batches,
    disordered,
    expected_of,
    folded,
    impression,
    new_state,
    partition_of,
    read_count,
    spans,
    through_the_wire,
    worlds,
)

CUTS = st.lists(st.integers(1, 6), max_size=6)
EXAMPLES = settings(max_examples=40)


@EXAMPLES
@given(records=worlds(), cuts=CUTS)
def test_the_fold_agrees_with_the_oracle(records: list[Sent], cuts: list[int]) -> None:
    assert_same(folded(records, cuts), expected_of(records))


@EXAMPLES
@given(data=st.data(), records=worlds(), cuts=CUTS)
def test_any_order_within_the_allowed_lateness_gives_one_result(
    data: st.DataObject, records: list[Sent], cuts: list[int]
) -> None:
    moved = data.draw(disordered(records))
    board = folded(moved, cuts)
    assert_same(board, expected_of(records))
    assert spans(board) == spans(folded(records))


@EXAMPLES
@given(records=worlds(), cuts=CUTS, flush_every=st.integers(1, 3))
def test_batches_and_flushes_of_any_size_give_one_result(
    records: list[Sent], cuts: list[int], flush_every: int
) -> None:
    assert_equal(folded(records, cuts, flush_every), folded(records))


@EXAMPLES
@given(records=worlds(), partitions=st.integers(2, 8), cuts=CUTS)
def test_partitions_merge_to_what_one_partition_gives(
    records: list[Sent], partitions: int, cuts: list[int]
) -> None:
    parts: dict[int, list[Sent]] = defaultdict(list)
    for record in records:
        parts[partition_of(record.key, partitions)].append(record)
    merged = Board()
    for partition, part in parts.items():
        state = new_state(partition)
        for batch in batches(part, cuts, partition):
            state.fold(batch)
        merged.apply(state.take_flush())
    assert_equal(merged, folded(records))


@EXAMPLES
@given(records=worlds(), cuts=CUTS, restarts=st.sets(st.integers(0, 12)))
def test_a_restart_from_any_flush_changes_nothing(
    records: list[Sent], cuts: list[int], restarts: set[int]
) -> None:
    assert_equal(restarted(records, cuts, restarts), folded(records))


@EXAMPLES
@given(
    users=st.lists(st.integers(0, 30), min_size=1, max_size=40),
    cuts=CUTS,
    restarts=st.sets(st.integers(0, 12)),
    share=st.sampled_from((1, 4)),
)
def test_people_in_rows_of_their_own_are_the_same_people(
    users: list[int], cuts: list[int], restarts: set[int], share: int
) -> None:
    records = [
        Sent(
            "impressions",
            "u",
            BEGIN_MS,
            json.dumps(impression(BEGIN_MS, f"e{number}", user_key=f"u{user}")).encode(),
        )
        for number, user in enumerate(users)
    ]
    with pytest.MonkeyPatch.context() as patched:
        # Small enough that a crowd of two takes the way of large ones, with people who came since and without.
        patched.setattr(cell_people, "WHOLE_BYTES", 12)
        patched.setattr(cell_people, "RECENT_SHARE", share)
        board = restarted(records, cuts, restarts)
    assert_same(board, expected_of(records))


@EXAMPLES
@given(records=worlds(), cuts=CUTS)
def test_every_record_read_has_one_outcome(records: list[Sent], cuts: list[int]) -> None:
    board = folded(records, cuts)
    assert read_count(board) == len(records)
    assert all(count > 0 for counter in board.outcomes().values() for count in counter.values())


def restarted(records: list[Sent], cuts: list[int], restarts: set[int]) -> Board:
    """Fold records, going on in a new process after some of the flushes."""
    board, state = Board(), new_state()
    log = []
    for number, batch in enumerate(batches(records, cuts)):
        state.fold(batch)
        flush = state.take_flush()
        assert flush is not None
        board.apply(flush)
        log += through_the_wire(flush)
        if number in restarts:
            state = new_state()
            state.restore(log)
            state.fold(batch)  # read again from before its position: skipped
            assert not state.changed
    return board
