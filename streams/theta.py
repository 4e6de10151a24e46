"""Counting people who are in two crowds at once: theta sketches of `user_key`, which unite and intersect.

A theta sketch keeps the 2**lg_k smallest hashes of a crowd, exactly all of them while there are no more. Two crowds
hashed alike can be intersected, which HLL sketches cannot. What `unite` gives is a function of the set of people alone:
the library's own union keeps the k smallest hashes and the next one as its bound, whatever the order and the pieces,
so its ordered image is canonical. Hashing is Apache DataSketches' own, stable by contract (golden vector in the tests).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from datasketches import compact_theta_sketch, theta_intersection, theta_union, update_theta_sketch

from streams.errors import StateError

SIGMAS: Final = 2
"""Bounds of an estimate are this many standard deviations away: 95 % of crowds lie within."""


class Overlap(NamedTuple):
    """How many people of a crowd are in a second one as well.

    Attributes:
        people: of the first crowd, >= 0; exact up to 2**lg_k people.
        both: of them in the second one, 0 to `people`.
        spread: one standard deviation of `both`; 0 when it is exact.
    """

    people: float
    both: float
    spread: float


def new(lg_k: int) -> update_theta_sketch:
    """Make an empty sketch that takes people one by one."""
    return update_theta_sketch(lg_k)


def unite(lg_k: int, images: Iterable[bytes], sketch: update_theta_sketch | None = None) -> bytes:
    """Return the canonical image of everybody in images and in a sketch.

    Raises:
        StateError: bytes are not an image of a theta sketch.
    """
    image: bytes = _union(lg_k, images, sketch).serialize()
    return image


def overlap(lg_k: int, crowd: Iterable[bytes], other: Iterable[bytes]) -> Overlap:
    """Return how many people of a crowd are in another one.

    Args:
        lg_k: size of the sketches, of both.
        crowd: images that together hold everybody of it.
        other: images of the other one.

    Raises:
        StateError: bytes are not an image of a theta sketch.
    """
    people, others = _crowd(lg_k, crowd), _crowd(lg_k, other)
    meeting = theta_intersection()
    meeting.update(people)
    meeting.update(others)
    both = meeting.get_result()
    width = both.get_upper_bound(SIGMAS) - both.get_lower_bound(SIGMAS)
    count = float(people.get_estimate())
    # Where the other crowd is the larger one it sets the sampling rate, and chance may put `both` above the crowd.
    return Overlap(count, min(float(both.get_estimate()), count), width / (2 * SIGMAS))


def _crowd(lg_k: int, images: Iterable[bytes]) -> Any:
    """Return everybody in some images; what `unite` wrote is its own union, and most crowds are one image."""
    found = list(images)
    return _load(found[0]) if len(found) == 1 else _union(lg_k, found)


def _union(lg_k: int, images: Iterable[bytes], sketch: update_theta_sketch | None = None) -> Any:
    union = theta_union(lg_k)
    for image in images:
        union.update(_load(image))
    if sketch is not None:
        union.update(sketch)
    return union.get_result()


def _load(image: bytes) -> compact_theta_sketch:
    try:
        return compact_theta_sketch.deserialize(image)
    except (ValueError, RuntimeError, IndexError) as error:
        what = f"A sketch of people in the state cannot be read: {error}."
        raise StateError(
            what, mend="Delete the state topics of this prefix and fold the source again."
        ) from error
