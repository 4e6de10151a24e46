"""Values of days: counted once, again when the day changes, and forgotten when there are too many."""

from __future__ import annotations

import polars as pl
import pytest

from streams import day_values
from streams.day_values import DayValues

Found = dict[int, dict[str, pl.DataFrame]]


class Counter:
    """Count days, and remember which were asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, days: list[int]) -> Found:
        self.asked.append(days)
        return {day: {"gmv": pl.DataFrame({"value": [day * 10]})} for day in days if day != 3}


def values(parts: list[dict[str, pl.DataFrame]]) -> list[int]:
    return [part["gmv"].get_column("value").item() for part in parts if "gmv" in part]


def test_a_day_is_counted_once_until_it_changes() -> None:
    kept, count = DayValues(), Counter()
    assert values(kept.of("q", {1: 1, 2: 1}, count)) == [10, 20]
    assert values(kept.of("q", {2: 1}, count)) == [20]
    assert values(kept.of("q", {1: 1, 2: 5, 4: 1}, count)) == [10, 20, 40]
    assert count.asked == [[1, 2], [2, 4]]


def test_questions_do_not_share_their_days() -> None:
    kept, count = DayValues(), Counter()
    kept.of("q", {1: 1}, count)
    kept.of("r", {1: 1}, count)
    assert count.asked == [[1], [1]]


def test_a_day_in_which_nothing_was_counted_is_remembered_too() -> None:
    kept, count = DayValues(), Counter()
    assert values(kept.of("q", {3: 1}, count)) == []
    assert values(kept.of("q", {3: 1}, count)) == []
    assert count.asked == [[3]]


def test_the_question_that_was_not_asked_for_longest_is_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(day_values, "MAX_BYTES", 16)
    kept, count = DayValues(), Counter()
    for question in ("q", "r", "q", "s"):
        kept.of(question, {1: 1}, count)
    asked = len(count.asked)
    kept.of("q", {1: 1}, count)
    assert len(count.asked) == asked
    kept.of("r", {1: 1}, count)
    assert len(count.asked) == asked + 1


def test_one_question_larger_than_the_bound_is_answered_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_values, "MAX_BYTES", 16)
    kept, count = DayValues(), Counter()
    for _ in range(2):
        assert values(kept.of("q", {1: 1, 2: 1, 4: 1}, count)) == [10, 20, 40]
    assert count.asked == [[1, 2, 4], [1, 2, 4]]


class Together:
    """Put days together, and count how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> dict[str, pl.DataFrame]:
        self.made += 1
        return {"gmv": pl.DataFrame({"value": [self.made, self.made]})}


def test_days_are_put_together_once_until_one_of_them_changes() -> None:
    kept, together = DayValues(), Together()
    for days in ({1: 1, 2: 1}, {1: 1, 2: 1}, {1: 1, 2: 7}, {1: 1}, {1: 1, 2: 7}):
        kept.made_of("q", days, together)
    assert together.made == 3


def test_what_was_made_of_days_is_forgotten_when_there_is_too_much_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(day_values, "MAX_MADE_BYTES", 32)
    kept, together = DayValues(), Together()
    for question in ("q", "r", "q", "s", "q"):
        kept.made_of(question, {1: 1}, together)
    assert together.made == 3
    kept.made_of("r", {1: 1}, together)
    assert together.made == 4


def test_answers_without_any_value_are_forgotten_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_values, "MOST_MADE", 2)
    kept, made = DayValues(), []

    def nothing() -> dict[str, pl.DataFrame]:
        made.append(1)
        return {}

    for question in ("q", "r", "s", "q"):
        kept.made_of(question, {1: 1}, nothing)
    assert len(made) == 4


def test_what_is_made_of_a_frame_is_made_again_for_another_one() -> None:
    kept, together = DayValues(), Together()
    one, other = pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]})
    for frame in (one, one, other, other, one):
        kept.while_same("q", frame, together)
    assert together.made == 3


def test_a_frame_that_nobody_holds_any_more_is_no_other_frame() -> None:
    kept, together = DayValues(), Together()
    for _ in range(3):
        kept.while_same("q", pl.DataFrame({"a": [1]}), together)
    assert together.made == 3


def test_questions_of_frames_are_forgotten_and_large_answers_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(day_values, "MOST_MADE", 2)
    kept, together, frame = DayValues(), Together(), pl.DataFrame({"a": [1]})
    for question in ("q", "r", "s", "q"):
        kept.while_same(question, frame, together)
    assert together.made == 4
    monkeypatch.setattr(day_values, "MAX_FRAME_CELLS", 1)
    for _ in range(2):
        kept.while_same("t", frame, together)
    assert together.made == 6
