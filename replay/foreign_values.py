"""Lines whose `value` no JSON parser takes, although the line around it is whole.

A recorder that writes a bad record as it came (NaN, half a surrogate pair, brackets a hundred thousand deep) should
have used `value_base64`. It is still one record: it is read as its bytes, and the core says what is wrong with it, so
that its neighbours count.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# Possessive, as in `streams.decoding`: hostile text costs linear time.
_MARKS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},:]', re.DOTALL)
_VALUE: Final = b'"value"'


class Parted(NamedTuple):
    """A line in two.

    Attributes:
        rest: the line with `null` in the place of its value.
        value: the bytes of the value, without the white space around them; not empty.
    """

    rest: bytes
    value: bytes


def parted(line: bytes) -> Parted | None:
    """Part a line from its value by quotes and brackets alone; None where these do not match or there is no value."""
    depth = begin = end = 0
    text = name = b""
    start = -1
    for found in _MARKS.finditer(line):
        mark = found[0]
        if depth == 1 and mark in (b",", b"}") and name == _VALUE:
            begin, end = start, found.start()
            name = b""
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and mark == b":":
            name, start = text, found.end()
        elif depth == 1:
            text = mark
    value = line[begin:end].strip()
    if depth or not value:
        return None
    return Parted(line[:begin] + b"null" + line[end:], value)
