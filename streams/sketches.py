"""Counting people: HLL sketches of `user_key`, which unite without counting anyone twice.

Hashing is Apache DataSketches' own and stable by contract (golden vectors in the tests), so images written by one
version can be united by the next. An estimate is read from a fresh union that was fed the merged result twice: then it
does not depend on the order in which people and images came (design, decision 13).
"""

from __future__ import annotations

from collections.abc import Iterable

from datasketches import hll_sketch, hll_union, tgt_hll_type

from streams.errors import StateError

_LIST, _SET = 0, 1
_MODE_BYTE = 7
_LIST_START, _SET_START = 8, 12
_COUPON_BYTES = 4


def new(lg_k: int) -> hll_sketch:
    """Make an empty sketch of 2**lg_k registers of 4 bits; it stays a short list while few people are in it."""
    return hll_sketch(lg_k, tgt_hll_type.HLL_4)


def dump(sketch: hll_sketch) -> bytes:
    """Return the compact image that goes into state rows."""
    image: bytes = sketch.serialize_compact()
    return image


def load(image: bytes) -> hll_sketch:
    """Read an image back; it can be updated further.

    Raises:
        StateError: the bytes are not an image of a sketch.
    """
    try:
        return hll_sketch.deserialize(image)
    except (ValueError, RuntimeError, IndexError) as error:
        what = f"A sketch of people in the state cannot be read: {error}."
        raise StateError(
            what, mend="Delete the state topics of this prefix and fold the source again."
        ) from error


def merge(sketches: Iterable[hll_sketch], lg_k: int) -> hll_sketch:
    """Unite sketches of people of one size; empty in, empty out.

    Raises:
        ValueError: a sketch has another size. The library would unite them, but the estimate depends on the order
            and was seen to be 45 % too low (14 united into 12, 3,000 people).
    """
    union = hll_union(lg_k)
    for sketch in sketches:
        if sketch.lg_config_k != lg_k:
            msg = f"a sketch of lg_k {sketch.lg_config_k} cannot be united into one of {lg_k}"
            raise ValueError(msg)
        union.update(sketch)
    return union.get_result(tgt_hll_type.HLL_4)


def estimate(sketch: hll_sketch) -> float:
    """Return the number of people, >= 0; the standard error is 1.04 / sqrt(2**lg_k) once it is not exact."""
    return float(_settled(sketch).get_estimate())


def canonical(sketch: hll_sketch) -> bytes:
    """Return bytes that are equal for equal sets of people, in whatever order and pieces they were united.

    The HLL_8 image of the settled union, or its sorted coupons while it is sparse. For tests and comparisons at rest.
    """
    image = bytes(_settled(sketch).get_result(tgt_hll_type.HLL_8).serialize_compact())
    mode = image[_MODE_BYTE] & 3
    if mode not in (_LIST, _SET):
        return image
    start = _LIST_START if mode == _LIST else _SET_START
    coupons = sorted(image[at : at + _COUPON_BYTES] for at in range(start, len(image), _COUPON_BYTES))
    return b"".join(coupons)


def canonical_images(images: Iterable[bytes], lg_k: int) -> bytes:
    """Return the canonical bytes of the union of images."""
    return canonical(merge((load(image) for image in images), lg_k))


def _settled(sketch: hll_sketch) -> hll_union:
    union = hll_union(sketch.lg_config_k)
    union.update(sketch)
    union.update(sketch)
    return union
