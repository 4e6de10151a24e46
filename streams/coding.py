"""Numbers for names: traffic as integer columns, which the fold can pack, compare and count without touching text.

Codes are exact (no hashing), given in the order of first sight, and never leave the process: state rows carry text.
Everything is computed in one expression of polars a batch: a call costs 50 microseconds, however few the rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.cubes import TRAFFIC, Dimension
from streams.settings import ShopSettings

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

TEXT_DIMENSIONS: Final[tuple[Dimension, ...]] = ("product", "content", "creator", "sub_campaign", "territory")
UNKNOWN: Final = -1
NOT_GIVEN: Final = -2

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
    """The codes of one partition.

    Args:
        shops: settings by shop id; a shop's code is its place among the sorted ids.
    """

    def __init__(self, shops: Mapping[str, ShopSettings]) -> None:
        self.shops = tuple(sorted(shops))
        self.pairs: dict[tuple[Dimension, ...], Coder] = {}
        self._texts = 0
        currencies = sorted({shop.currency for shop in shops.values()})
        self.currency_of_shop: Codes = np.array(
            [currencies.index(shops[shop_id].currency) for shop_id in self.shops], dtype=np.int64
        )
        currency = pl.col("currency")
        self._own_columns = [
            _number(pl.col("shop_id").cast(pl.Enum(self.shops), strict=False)).alias("shop"),
            _number(pl.col("event_type").cast(pl.Enum(TRAFFIC))).alias("type"),
            pl.when(currency.is_null())
            .then(NOT_GIVEN)
            .otherwise(_number(currency.cast(pl.Enum(currencies), strict=False)))
            .alias("currency"),
            pl.concat_str("shop_id", pl.lit("\0"), "event_id").cast(pl.Binary).alias("identity"),
            pl.col("atom").cast(pl.Int64),
        ]
        self.renew()

    def renew(self) -> None:
        """Forget all names. Whoever keeps codes must ask for new ones (`CubeCells.recode`)."""
        self._text = pl.Categorical(pl.Categories.random())
        # Polars forgets the codes of categories that no column holds: the next batch would start again at 0, and
        # events of one product would be counted in the cells of another.
        self._held = pl.Series(dtype=self._text)
        self._columns = [*self._own_columns, *(self._number_of(name) for name in TEXT_DIMENSIONS)]
        self._texts = 0
        self.pairs.clear()

    def __len__(self) -> int:
        """Return the number of names and combinations that have a code."""
        return self._texts + sum(map(len, self.pairs.values()))

    def code(self, frame: pl.DataFrame) -> CodedTraffic:
        """Turn rows of `traffic.FRAME_SCHEMA` into codes."""
        coded = frame.select(self._columns)
        users = frame["user_key"]
        dimensions = self._numbered(coded, ("atom", *TEXT_DIMENSIONS))
        return CodedTraffic(
            index=frame["index"].to_numpy(),
            occurred_ms=frame["occurred_at_ms"].to_numpy(),
            shop=coded["shop"].to_numpy(),
            event_type=coded["type"].to_numpy(),
            currency=coded["currency"].to_numpy(),
            identity=coded["identity"].to_list(),
            users=users.to_numpy(),
            has_user=users.is_not_null().to_numpy() if users.null_count() else None,
            dimensions=Dimensions(frame, dimensions, self.pairs),
        )

    def dimensions_of(self, frame: pl.DataFrame) -> Dimensions:
        """Turn rows that have some of the dimensions, as text, into codes."""
        names: list[Dimension] = [name for name in ("atom", *TEXT_DIMENSIONS) if name in frame.columns]
        coded = frame.select(
            pl.col(name).cast(pl.Int64) if name == "atom" else self._number_of(name) for name in names
        )
        return Dimensions(frame, self._numbered(coded, names), self.pairs)

    def _numbered(self, coded: pl.DataFrame, names: Iterable[Dimension]) -> dict[Dimension, Codes]:
        numbers: dict[Dimension, Codes] = {name: coded[name].to_numpy() for name in names}
        self._texts = max(self._texts, *(int(codes.max(initial=-1)) + 1 for codes in numbers.values()))
        return numbers

    def _number_of(self, name: Dimension) -> pl.Expr:
        return _number(pl.col(name).cast(self._text)).alias(name)


class Dimensions:
    """The dimensions of rows as codes, alone and combined; each combination is computed once.

    Args:
        frame: the text of each dimension.
        single: the code of every row by dimension, -1 where the row lacks it.
        pairs: the partition's coders of combinations.
    """

    def __init__(
        self,
        frame: pl.DataFrame,
        single: dict[Dimension, Codes],
        pairs: dict[tuple[Dimension, ...], Coder],
    ) -> None:
        self._frame = frame
        self._pairs = pairs
        self._columns: dict[Dimension, NDArray[np.object_]] = {}
        self._codes: dict[tuple[Dimension, ...], Codes] = {(name,): codes for name, codes in single.items()}

    def codes(self, names: tuple[Dimension, ...]) -> Codes:
        """Return one code per row for the values of some dimensions, -1 where the row lacks one of them."""
        codes = self._codes.get(names)
        if codes is None:
            codes = self._codes[names] = self._combined(names)
        return codes

    def texts(self, names: tuple[Dimension, ...], rows: Codes) -> list[tuple[str, ...]]:
        """Return the values of some rows as they stand in `RowKey.dims`; equal text is one object."""
        return list(zip(*(map(sys.intern, self._column(name)[rows].tolist()) for name in names), strict=True))

    def _column(self, name: Dimension) -> NDArray[np.object_]:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._frame[name].cast(pl.String).to_numpy()
        return column

    def _combined(self, names: tuple[Dimension, ...]) -> Codes:
        left, right = self.codes(names[:-1]), self.codes(names[-1:])
        if left.max(initial=0) >= _MAX_CODE or right.max(initial=0) >= _MAX_CODE:
            msg = f"more than {_MAX_CODE} values of {', '.join(names)} in one partition"
            raise MemoryError(msg)
        lacking = (left < 0) | (right < 0)
        if names[-1] == "atom":
            return np.where(lacking, UNKNOWN, left << _ATOM_BITS | right)
        given = np.flatnonzero(~lacking)
        codes = np.full(len(left), UNKNOWN, dtype=np.int64)
        keys = (left[given] << _PAIR_SHIFT | right[given]).tolist()
        codes[given] = self._pairs.setdefault(names, Coder()).codes(keys, len(keys))
        return codes


@dataclass(frozen=True, slots=True)
class CodedTraffic:
    """Well-formed traffic of a batch, as columns of equal length.

    Attributes:
        index: each row's place in the batch.
        occurred_ms: event time.
        shop: the shop's code, `UNKNOWN` without settings.
        event_type: place in `cubes.TRAFFIC`.
        currency: comparable with `Coding.currency_of_shop`, `NOT_GIVEN` or `UNKNOWN`.
        identity: the bytes that identify an event within its topic.
        users: user keys, None where an event has none.
        has_user: where it has one; None: everywhere.
        dimensions: of cubes.
    """

    index: NDArray[np.uint32]
    occurred_ms: Codes
    shop: Codes
    event_type: Codes
    currency: Codes
    identity: list[bytes]
    users: NDArray[np.object_]
    has_user: Mask | None
    dimensions: Dimensions

    def people(self, rows: Codes, selected: Codes | None) -> tuple[Codes, list[str]]:
        """Return (row, user) of the selected events that have a user; `rows` are those of the selected events."""
        users = self.users if selected is None else self.users[selected]
        if self.has_user is not None:
            has_user = self.has_user if selected is None else self.has_user[selected]
            rows, users = rows[has_user], users[has_user]
        return rows, users.tolist()


def _number(text: pl.Expr) -> pl.Expr:
    """Return the physical code of an enumeration or category, -1 for null."""
    return text.to_physical().cast(pl.Int64).fill_null(UNKNOWN)
