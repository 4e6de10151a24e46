"""Theta sketches of people: stable images that do not depend on order or pieces, and honest bounds of an overlap."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import theta
from streams.errors import StateError

GOLDEN = {
    # people: first 16 hex digits of the image's SHA-256, at lg_k 12
    0: "ecb24cbedb0f1b35",
    3: "72e31f435e2e4f28",
    300: "2ab72ff8e3d5392c",
    10_000: "b90260669530165a",
}
"""Written once with datasketches 5.2: other values mean that stored state can no longer be united."""

SMALL = 5
"""The least lg_k: 32 hashes, so that small crowds are sampled too."""


def image(people: range | list[int] | set[int], lg_k: int = 12) -> bytes:
    sketch = theta.new(lg_k)
    for number in people:
        sketch.update(f"user-{number}")
    return theta.unite(lg_k, [], sketch)


@pytest.mark.parametrize("people", GOLDEN)
def test_images_are_the_ones_that_stored_state_holds(people: int) -> None:
    assert hashlib.sha256(image(range(people))).hexdigest()[:16] == GOLDEN[people]


crowds = st.lists(st.integers(0, 300), max_size=200)


@settings(deadline=None)
@given(people=crowds, draw=st.randoms(use_true_random=False), pieces=st.integers(1, 5))
def test_an_image_is_a_function_of_the_set_of_people_alone(
    people: list[int], draw: random.Random, pieces: int
) -> None:
    """Any order, any repeats, any pieces, united in any grouping, with or without live sketches."""
    parts: list[list[int]] = [[] for _ in range(pieces)]
    for number in people:
        draw.choice(parts).append(number)
        if draw.random() < 0.2:
            draw.choice(parts).append(number)
    images = [image(part, SMALL) for part in parts]
    while len(images) > 1:
        draw.shuffle(images)
        images.append(theta.unite(SMALL, [images.pop(), images.pop()]))
    assert images[0] == image(sorted(set(people)), SMALL)


@settings(deadline=None)
@given(first=crowds, second=crowds)
def test_newcomers_united_with_an_image_give_the_image_of_everybody(
    first: list[int], second: list[int]
) -> None:
    newcomers = theta.new(SMALL)
    for number in second:
        newcomers.update(f"user-{number}")
    assert theta.unite(SMALL, [image(first, SMALL)], newcomers) == image(first + second, SMALL)


@settings(deadline=None)
@given(viewers=st.sets(st.integers(0, 2_000)), adders=st.sets(st.integers(0, 2_000)))
def test_an_overlap_of_small_crowds_is_exact(viewers: set[int], adders: set[int]) -> None:
    found = theta.overlap(12, [image(viewers)], [image(adders)])
    assert found == (len(viewers), len(viewers & adders), 0)


def test_nobody_overlaps_with_nobody() -> None:
    assert theta.overlap(12, [], []) == (0, 0, 0)
    assert theta.overlap(12, [image([1])], []) == (1, 0, 0)
    assert theta.overlap(12, [], [image([1])]) == (0, 0, 0)


@pytest.mark.parametrize(("viewers", "adders", "both"), [(20_000, 3_000, 2_000), (60_000, 9_000, 6_000)])
def test_an_overlap_of_large_crowds_lies_within_its_bounds_19_times_in_20(
    viewers: int, adders: int, both: int
) -> None:
    within, draws = 0, 40
    for draw in range(draws):
        first = draw * 1_000_000
        crowd = image(range(first, first + viewers))
        found = theta.overlap(
            12, [crowd], [image(range(first + viewers - both, first + viewers - both + adders))]
        )
        assert found.people == pytest.approx(viewers, rel=0.08)
        assert found.spread == pytest.approx(both / (both * 4_096 / viewers) ** 0.5, rel=0.25)
        within += abs(found.both - both) <= theta.SIGMAS * found.spread
    assert within >= 0.85 * draws


def test_an_overlap_is_never_larger_than_its_crowd() -> None:
    """The other crowd is larger and sampled more thinly: chance alone would put more of it into the crowd."""
    everybody = image(range(50_000))
    for draw in range(20):
        crowd = range(draw * 2_000, draw * 2_000 + 2_000)
        found = theta.overlap(12, [image(crowd)], [everybody])
        assert found.people == 2_000
        assert 1_000 < found.both <= 2_000


@pytest.mark.parametrize("damaged", [b"", b"\x03", b"no sketch at all", image(range(3))[:-4]])
def test_damaged_images_are_refused_with_the_remedy(damaged: bytes) -> None:
    with pytest.raises(StateError, match="cannot be read"):
        theta.unite(12, [damaged])


@settings(deadline=None)
@given(first=crowds, second=crowds, others=crowds)
def test_an_overlap_does_not_depend_on_the_pieces_that_a_crowd_comes_in(
    first: list[int], second: list[int], others: list[int]
) -> None:
    pieces = [image(first, SMALL), image(second, SMALL)]
    whole, other = theta.unite(SMALL, pieces), image(others, SMALL)
    assert theta.overlap(SMALL, [whole], [other]) == theta.overlap(SMALL, pieces, [other, other])
    assert theta.overlap(SMALL, [other], [whole]) == theta.overlap(SMALL, [other, other], pieces)
