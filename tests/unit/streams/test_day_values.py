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
    monkeypatch.setattr(day_values, "MAX_CELLS", 2)
    kept, count = DayValues(), Counter()
    for question in ("q", "r", "q", "s"):
        kept.of(question, {1: 1}, count)
    asked = len(count.asked)
    kept.of("q", {1: 1}, count)
    assert len(count.asked) == asked
    kept.of("r", {1: 1}, count)
    assert len(count.asked) == asked + 1


def test_one_question_larger_than_the_bound_is_answered_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_values, "MAX_CELLS", 2)
    kept, count = DayValues(), Counter()
    for _ in range(2):
        assert values(kept.of("q", {1: 1, 2: 1, 4: 1}, count)) == [10, 20, 40]
    assert count.asked == [[1, 2, 4], [1, 2, 4]]
