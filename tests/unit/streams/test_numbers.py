"""Ids are numbered in the order of first sight, without gaps."""

from __future__ import annotations

import random

from streams.numbers import Numbers


def test_an_id_keeps_its_number_and_what_is_no_id_has_none() -> None:
    numbers = Numbers()
    assert numbers.of(["b", None, "a", "b"]) == [0, None, 1, 0]
    assert numbers.of([None]) == [None]
    assert numbers.of(["c", "a"]) == [2, 1]
    assert numbers.of([]) == []


def test_many_ids_in_many_batches_get_as_many_numbers() -> None:
    draw, numbers, known = random.Random(3), Numbers(), dict[str, int]()
    for _ in range(50):
        batch = [f"user-{draw.randint(0, 5_000)}" for _ in range(400)]
        for each, number in zip(batch, numbers.of(batch), strict=True):
            assert known.setdefault(each, len(known)) == number
