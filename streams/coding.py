"""Numbers for names: the values of a cube's dimensions as integers that a cell's key can pack.

Codes are exact (no hashing), given in the order of first sight, and never leave the process: state rows carry text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.cubes import Dimension

Codes = NDArray[np.int64]

_ATOM_BITS: Final = 4
_PAIR_SHIFT: Final = 32
_MAX_CODE: Final = 1 << 28
"""With an atom beside it, a code must stay below 2**32. So many names do not fit into memory first."""


class Coder(dict[Any, int]):
    """Number values in the order of first sight; looking up a new one gives it the next number."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0

    def __missing__(self, value: object) -> int:
        """Give the next number; numbers of deleted values are not given again."""
        code = self[value] = self._next
        self._next += 1
        return code

    def codes(self, values: Iterable[object], count: int) -> Codes:
        """Return the number of every value."""
        return np.fromiter(map(self.__getitem__, values), dtype=np.int64, count=count)


class Coding:
    """The codes of one partition: text by the categories of polars, combinations by a dictionary each."""

    def __init__(self) -> None:
        self.text = pl.Categorical(pl.Categories.random())
        # Polars forgets the codes of categories that no column holds: the next batch would start again at 0, and
        # events of one product would be counted in the cells of another.
        self._held = pl.Series(dtype=self.text)
        self.pairs: dict[tuple[Dimension, ...], Coder] = {}


class CodedRows:
    """Dimensions of rows as codes, each computed once however many cubes ask.

    Args:
        frame: has a column per dimension: text or null, the atom as an integer.
        coding: the partition's.
    """

    def __init__(self, frame: pl.DataFrame, coding: Coding) -> None:
        self._frame = frame
        self._coding = coding
        self._codes: dict[tuple[Dimension, ...], Codes] = {}

    def codes(self, names: tuple[Dimension, ...]) -> Codes:
        """Return one code per row for the values of some dimensions, -1 where the row lacks one of them."""
        codes = self._codes.get(names)
        if codes is None:
            codes = self._single(names[0]) if len(names) == 1 else self._combined(names)
            self._codes[names] = codes
        return codes

    def texts(self, names: tuple[Dimension, ...], rows: NDArray[np.int64]) -> list[tuple[str, ...]]:
        """Return the values of some rows as they stand in `RowKey.dims`; equal text is one object."""
        columns = (self._frame[name].gather(rows).cast(pl.String).to_list() for name in names)
        return list(zip(*(map(sys.intern, column) for column in columns), strict=True))

    def _single(self, name: Dimension) -> Codes:
        column = self._frame[name]
        if name != "atom":
            column = column.cast(self._coding.text).to_physical()
        return column.cast(pl.Int64).fill_null(-1).to_numpy()

    def _combined(self, names: tuple[Dimension, ...]) -> Codes:
        left, right = self.codes(names[:-1]), self.codes(names[-1:])
        if left.max(initial=0) >= _MAX_CODE or right.max(initial=0) >= _MAX_CODE:
            msg = f"more than {_MAX_CODE} values of {', '.join(names)} in one partition"
            raise MemoryError(msg)
        lacking = (left < 0) | (right < 0)
        if names[-1] == "atom":
            return np.where(lacking, -1, left << _ATOM_BITS | right)
        packed = np.flatnonzero(~lacking)
        codes = np.full(len(left), -1, dtype=np.int64)
        keys = (left[packed] << _PAIR_SHIFT | right[packed]).tolist()
        codes[packed] = self._coding.pairs.setdefault(names, Coder()).codes(keys, len(keys))
        return codes
