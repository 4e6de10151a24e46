"""The judge: what a board says it has folded, against the direct engine's fold of the same records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from replay.engine import Engine
from replay.judge import Judge
from replay.recording import Recording
from streams.outcomes import Outcome
from streams.settings import KafkaSettings, Settings
from streams.state import Position
from tests.unit.replay.recorded import BEGIN_MS, LINES, STEP_MS, written

SETTINGS = Settings(kafka=KafkaSettings(partitions=4))

Told = list[tuple[int, Position]]


@pytest.fixture
def small(tmp_path: Path) -> Recording:
    return written(tmp_path / "small")


def told_by(recording: Recording, until: int = LINES) -> Told:
    """Return the positions of a board that has folded the first lines."""
    engine = Engine(recording, SETTINGS, partitions=4)
    engine.fold(list(recording.lines())[:until])
    return engine.positions()


def changed(told: Told, topic: str, change: Callable[[Position], Position]) -> Told:
    """Return what a board would tell if one position of a topic were different."""
    place = next(index for index, (_, position) in enumerate(told) if position.topic == topic)
    partition, position = told[place]
    return [*told[:place], (partition, change(position)), *told[place + 1 :]]


def moved(position: Position, by: dict[Outcome, int]) -> Position:
    outcomes = {outcome: position.outcomes.get(outcome, 0) + by.get(outcome, 0) for outcome in Outcome}
    return replace(position, outcomes=outcomes)


def test_a_board_that_folded_the_same_is_agreed_with(small: Recording) -> None:
    verdict = Judge(small, SETTINGS).compare(told_by(small))
    assert verdict.agrees
    assert (verdict.records, verdict.lost, verdict.double, verdict.unlike) == (LINES, 0, 0, ())
    assert verdict.at_ms == BEGIN_MS + (LINES - 1) * STEP_MS


def test_it_folds_no_further_than_the_board_says_it_has(small: Recording) -> None:
    judge = Judge(small, SETTINGS)
    for until in (0, 1, 17, 17, 40, LINES):
        verdict = judge.compare(told_by(small, until))
        assert verdict.agrees, until
        assert verdict.records == until


def test_partitions_that_are_at_different_times_are_each_held_against_their_own(small: Recording) -> None:
    ahead = told_by(small)
    behind = {(partition, one.topic): (partition, one) for partition, one in told_by(small, 20)}
    mixed = [
        behind.get((partition, one.topic), (partition, one)) if partition % 2 else (partition, one)
        for partition, one in ahead
    ]
    assert sum(one.next_offset for _, one in mixed) < LINES
    judge = Judge(small, SETTINGS)
    assert judge.compare(mixed).agrees
    assert judge.compare(ahead).agrees


def test_a_record_that_the_board_passed_over_is_lost(small: Recording) -> None:
    told = changed(told_by(small), "clicks", lambda one: moved(one, {Outcome.COUNTED: -1}))
    verdict = Judge(small, SETTINGS).compare(told)
    assert (verdict.lost, verdict.double, verdict.unlike) == (1, 0, ("counted",))
    assert not verdict.agrees


def test_a_record_that_the_board_counted_twice_is_double(small: Recording) -> None:
    told = changed(told_by(small), "clicks", lambda one: moved(one, {Outcome.COUNTED: 2}))
    verdict = Judge(small, SETTINGS).compare(told)
    assert (verdict.lost, verdict.double, verdict.unlike) == (0, 2, ("counted",))
    assert not verdict.agrees


def test_one_lost_here_does_not_make_up_for_one_double_there(small: Recording) -> None:
    told = told_by(small)
    clicks = [index for index, (_, position) in enumerate(told) if position.topic == "clicks"]
    for index, by in zip(clicks[:2], (-1, 1), strict=True):
        partition, position = told[index]
        told[index] = (partition, moved(position, {Outcome.COUNTED: by}))
    verdict = Judge(small, SETTINGS).compare(told)
    assert (verdict.lost, verdict.double) == (1, 1)


def test_the_same_number_with_another_outcome_is_noticed(small: Recording) -> None:
    swap = {Outcome.COUNTED: -1, Outcome.COUNTED_LATE: 1}
    verdict = Judge(small, SETTINGS).compare(changed(told_by(small), "clicks", lambda one: moved(one, swap)))
    assert (verdict.lost, verdict.double, verdict.unlike) == (0, 0, ("counted", "counted_late"))
    assert not verdict.agrees


def test_a_play_that_began_later_is_judged_from_there(small: Recording) -> None:
    from_ms = BEGIN_MS + 30 * STEP_MS
    engine = Engine(small, SETTINGS, partitions=4)
    engine.fold(small.lines(from_ms=from_ms))
    assert Judge(small, SETTINGS, from_ms=from_ms).compare(engine.positions()).agrees
    assert not Judge(small, SETTINGS).compare(engine.positions()).agrees
