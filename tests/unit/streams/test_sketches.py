"""Sketches of people: stable images, an estimate and canonical bytes that do not depend on order."""

from __future__ import annotations

import hashlib
import random

import pytest
from datasketches import hll_sketch

from streams import sketches
from streams.errors import StateError

GOLDEN = {
    # (lg_k, people): (estimate, first 16 hex digits of the canonical image's SHA-256)
    (12, 3): (3.0, "5174a67b72a1c0a9"),
    (12, 300): (300.000223, "8669fa1ed24390c3"),
    (12, 10_000): (9926.342133, "c045a16abb9217e0"),
    (14, 1_000): (1000.002481, "93243dedff134964"),
    (14, 100_000): (100158.093191, "78dbde1f070f4135"),
}
"""Written once with datasketches 5.2: other values mean that stored state can no longer be united."""


def filled(lg_k: int, people: int) -> hll_sketch:
    sketch = sketches.new(lg_k)
    for number in range(people):
        sketch.update(f"user-{number}")
    return sketch


@pytest.mark.parametrize(("lg_k", "people"), GOLDEN)
def test_images_are_the_ones_that_stored_state_holds(lg_k: int, people: int) -> None:
    sketch = filled(lg_k, people)
    digest = hashlib.sha256(sketches.canonical(sketch)).hexdigest()[:16]
    assert (round(sketches.estimate(sketch), 6), digest) == GOLDEN[lg_k, people]


@pytest.mark.parametrize("lg_k", [12, 14])
@pytest.mark.parametrize("people", [0, 1, 7, 8, 9, 200, 900, 5_000, 40_000])
def test_estimates_are_within_three_standard_errors(lg_k: int, people: int) -> None:
    error = 3 * 1.04 / 2 ** (lg_k / 2)
    assert sketches.estimate(filled(lg_k, people)) == pytest.approx(people, rel=error, abs=0.01)


@pytest.mark.parametrize("people", [5, 100, 600, 3_000, 20_000])
def test_estimate_and_canonical_bytes_do_not_depend_on_order_or_pieces(people: int) -> None:
    draw = random.Random(people)
    users = [f"user-{number}" for number in range(people)]
    seen = set()
    for _ in range(6):
        draw.shuffle(users)
        parts = [sketches.new(12) for _ in range(draw.randint(1, 5))]
        for user in users:
            draw.choice(parts).update(user)
            if draw.random() < 0.1:
                draw.choice(parts).update(user)
        reloaded = [sketches.load(sketches.dump(part)) if draw.random() < 0.5 else part for part in parts]
        merged = sketches.merge(reloaded, 12)
        seen.add((sketches.estimate(merged), sketches.canonical(merged)))
    assert len(seen) == 1


def test_other_people_have_other_canonical_bytes() -> None:
    one, other = filled(12, 50), filled(12, 50)
    other.update("somebody else")
    assert sketches.canonical(one) != sketches.canonical(other)


def test_sketches_of_two_sizes_are_not_united() -> None:
    with pytest.raises(ValueError, match="lg_k 14"):
        sketches.merge([filled(12, 5), filled(14, 5)], 12)


def test_bytes_that_are_no_sketch_are_a_state_error() -> None:
    with pytest.raises(StateError, match="cannot be read"):
        sketches.load(b"\x00\x01garbage")


def test_nobody_is_nobody() -> None:
    assert sketches.estimate(sketches.merge([], 12)) == 0
    assert sketches.canonical_images([], 12) == b""
