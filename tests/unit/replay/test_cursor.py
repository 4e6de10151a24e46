"""A place in a recording that moves with recorded time."""

from __future__ import annotations

import math
from collections.abc import Iterator

from replay.cursor import Cursor
from replay.recording import Line


def lines(*times_ms: int) -> Iterator[Line]:
    return (Line("cm.clicks", None, at_ms, b"{}") for at_ms in times_ms)


def times(found: list[Line]) -> list[int]:
    return [line.timestamp_ms for line in found]


def test_it_hands_out_what_is_due_once_and_in_order() -> None:
    cursor = Cursor(lines(10, 20, 20, 30))
    assert times(cursor.take(9, 100)) == []
    assert times(cursor.take(20, 100)) == [10, 20, 20]
    assert times(cursor.take(20, 100)) == []
    assert cursor.next_ms == 30
    assert times(cursor.take(math.inf, 100)) == [30]
    assert cursor.next_ms is None


def test_it_hands_out_at_most_what_it_is_asked_for() -> None:
    cursor = Cursor(lines(10, 11, 12))
    assert times(cursor.take(math.inf, 2)) == [10, 11]
    assert times(cursor.take(math.inf, 2)) == [12]


def test_time_is_reached_up_to_what_was_asked_when_nothing_waits_before_it() -> None:
    cursor = Cursor(lines(10, 30))
    cursor.take(20, 100)
    assert cursor.reached_ms(20) == 20


def test_time_is_not_reached_beyond_a_line_that_is_still_to_be_handed_out() -> None:
    cursor = Cursor(lines(10, 11, 12))
    cursor.take(50, 1)
    assert cursor.reached_ms(50) == 10
    assert cursor.reached_ms(math.inf) == 10


def test_two_lines_of_one_instant_are_reached_together() -> None:
    cursor = Cursor(lines(10, 10))
    cursor.take(50, 1)
    assert cursor.reached_ms(50) == 9


def test_at_the_end_the_last_line_is_reached_and_nothing_later() -> None:
    cursor = Cursor(lines(10, 30))
    cursor.take(math.inf, 100)
    assert cursor.reached_ms(1_000_000) == 30
    assert Cursor(lines()).reached_ms(5) == 0
