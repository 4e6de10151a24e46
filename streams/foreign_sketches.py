"""Sketches of people that others made: read by ourselves, and never given to the library as they came.

Its reader trusts its input: changed bytes were seen to corrupt the heap and end the process. So an image is taken
apart here (coupons of a small crowd, registers of a large one), every part is checked, and a new image is put together
from what was found.

Source: the layout of HLL images of Apache DataSketches, serial version 1.
"""

from __future__ import annotations

import struct
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

_FAMILY: Final = 7
_LIST, _SET, _HLL = 0, 1, 2
_HLL_4, _HLL_8 = 0, 2
_PREAMBLE: Final = {_LIST: 2, _SET: 3, _HLL: 10}
_COMPACT: Final = 8
_OUT_OF_ORDER: Final = 16
_HEAD: Final = struct.Struct("<8B")
_HLL_HEAD: Final = struct.Struct("<dddII")
_HLL_START: Final = 40
_LIST_MOST: Final = 7
_VALUE_SHIFT: Final = 26
_SLOT_MASK: Final = (1 << _VALUE_SHIFT) - 1
_MOST_VALUE: Final = 63
_EXCEPTION: Final = 15
"""A register of 4 bits with this value stands in the list of exceptions behind the registers."""

Registers = NDArray[np.uint8]


def rebuilt(image: bytes, lg_k: int) -> bytes:
    """Return an image of the same crowd that the library reads safely.

    Args:
        image: compact or updatable, of type HLL_4 or HLL_8, or still a list or set of coupons.
        lg_k: the size that it must have.

    Raises:
        ValueError: the bytes are no such image; the message says why.
    """
    if len(image) < _HEAD.size:
        _refuse("it is too short")
    preamble, version, family, size, _, _, count, mode_byte = _HEAD.unpack_from(image)
    mode, kind = mode_byte & 3, mode_byte >> 2 & 3
    if version != 1 or family != _FAMILY or _PREAMBLE.get(mode) != preamble:
        _refuse("it is no HLL image")
    if size != lg_k:
        _refuse(f"it has lg_k {size}, must have {lg_k}")
    if mode == _HLL:
        return _image(_registers(image, lg_k, kind, count), lg_k)
    start = 4 * preamble
    if mode == _SET:
        if len(image) < start:
            _refuse("it is too short")
        count = int.from_bytes(image[8:12], "little")
    coupons = _coupons(image[start:])
    # An updatable image has empty places between its coupons.
    coupons = np.unique(coupons[coupons != 0])
    if len(coupons) != count:
        _refuse(f"it holds {len(coupons)} distinct coupons, and says {count}")
    _check(coupons)
    if len(coupons) <= _most_coupons(lg_k):
        return _sparse(coupons, lg_k)
    return _image(_raised(np.zeros(1 << lg_k, dtype=np.uint8), coupons), lg_k)


def _registers(image: bytes, lg_k: int, kind: int, least: int) -> Registers:
    if len(image) < _HLL_START:
        _refuse("it is too short")
    places = 1 << lg_k
    if kind == _HLL_8:
        registers = np.frombuffer(image, dtype=np.uint8, offset=_HLL_START)[:places].copy()
        if len(registers) < places:
            _refuse("it is too short")
    elif kind == _HLL_4:
        packed = np.frombuffer(image, dtype=np.uint8, offset=_HLL_START)
        if len(packed) < places // 2:
            _refuse("it is too short")
        halves = packed[: places // 2]
        nibbles = np.stack([halves & 15, halves >> 4], axis=1).reshape(-1)
        exceptions = _coupons(image[_HLL_START + places // 2 :])
        exceptions = exceptions[exceptions != 0]
        told = int.from_bytes(image[36:40], "little")
        _check(exceptions)
        slots = exceptions & _SLOT_MASK & (places - 1)
        if len(exceptions) != told or set(slots.tolist()) != set(
            np.flatnonzero(nibbles == _EXCEPTION).tolist()
        ):
            _refuse("its exceptions are not those of its registers")
        registers = (nibbles.astype(np.int64) + least).clip(0, 255).astype(np.uint8)
        registers[slots] = (exceptions >> _VALUE_SHIFT).astype(np.uint8)
    else:
        _refuse("it is of a type other than HLL_4 and HLL_8")
    if int(registers.max()) > _MOST_VALUE:
        _refuse("a register is greater than any hash can make it")
    return registers


def _refuse(why: str) -> NoReturn:
    raise ValueError(why)


def _coupons(data: bytes) -> NDArray[np.int64]:
    if len(data) % 4:
        _refuse("its length is no whole number of coupons")
    return np.frombuffer(data, dtype="<u4").astype(np.int64)


def _check(coupons: NDArray[np.int64]) -> None:
    values = coupons >> _VALUE_SHIFT
    if ((values < 1) | (values > _MOST_VALUE)).any():
        _refuse("a coupon is greater than any hash can make it")


def _most_coupons(lg_k: int) -> int:
    """Return how many coupons the library keeps as a set before it changes to registers."""
    return 3 << (lg_k - 3) >> 2


def _raised(registers: Registers, coupons: NDArray[np.int64]) -> Registers:
    slots = coupons & _SLOT_MASK & (len(registers) - 1)
    np.maximum.at(registers, slots, (coupons >> _VALUE_SHIFT).astype(np.uint8))
    return registers


def _sparse(coupons: NDArray[np.int64], lg_k: int) -> bytes:
    body = coupons.astype("<u4").tobytes()
    if len(coupons) <= _LIST_MOST:
        flags = _COMPACT | (0 if len(coupons) else 4)
        return _HEAD.pack(2, 1, _FAMILY, lg_k, 3, flags, len(coupons), _LIST | _HLL_4 << 2) + body
    lg_places = 5
    while len(coupons) > 3 << lg_places >> 2:
        lg_places += 1
    head = _HEAD.pack(3, 1, _FAMILY, lg_k, lg_places, _COMPACT, 0, _SET | _HLL_4 << 2)
    return head + len(coupons).to_bytes(4, "little") + body


def _image(registers: Registers, lg_k: int) -> bytes:
    powers = np.exp2(-registers.astype(np.float64))
    low = registers < 32
    head = _HEAD.pack(10, 1, _FAMILY, lg_k, 0, _COMPACT | _OUT_OF_ORDER, 0, _HLL | _HLL_8 << 2)
    zeros = int((registers == 0).sum())
    # Out of order, so that the estimate is taken from the registers; the running one in the first place is not read.
    sums = _HLL_HEAD.pack(0.0, float(powers[low].sum()), float(powers[~low].sum()), zeros, 0)
    return head + sums + registers.tobytes()
