"""Numbers for names: traffic as integer columns, which the fold can pack, compare and count without touching text.

Codes are exact (no hashing), given in the order of first sight, and never leave the process: state rows carry text.
A look-up in a dictionary costs 30 nanoseconds; names of an attribution block are looked up once for each distinct
block of a batch, and a column that holds one value (a shop, a type, a currency) once for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from streams.cubes import TRAFFIC, Dimension
from streams.settings import ShopSettings
from streams.traffic import TrafficColumns

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

TEXT_DIMENSIONS: Final[tuple[Dimension, ...]] = (
    *("product", "sku", "content", "creator", "sub_campaign", "territory"),
)
UNKNOWN: Final = -1
NOT_GIVEN: Final = -2

_PLACE_NAMES: Final[tuple[Dimension, ...]] = ("content", "creator", "sub_campaign")

_ATOM_BITS: Final = 4
_ATOM_TEXTS: Final = tuple(str(atom) for atom in range(1 << _ATOM_BITS))
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


class Names(Coder):
    """Number texts, and give the text of a number back."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def __missing__(self, value: object) -> int:
        """Give the next number."""
        self.texts.append(str(value))
        return super().__missing__(value)

    def code_of(self, text: str | None) -> int:
        """Return the number of a text, `UNKNOWN` for None."""
        return UNKNOWN if text is None else self[text]


class Coding:
    """The codes of one partition.

    Args:
        shops: settings by shop id; a shop's code is its place among the sorted ids.
    """

    def __init__(self, shops: Mapping[str, ShopSettings]) -> None:
        self.shops = tuple(sorted(shops))
        self.pairs: dict[tuple[Dimension, ...], Coder] = {}
        self.names: dict[Dimension, Names] = {name: Names() for name in TEXT_DIMENSIONS}
        currencies = sorted({shop.currency for shop in shops.values()})
        self.currency_of_shop: Codes = np.array(
            [currencies.index(shops[shop_id].currency) for shop_id in self.shops], dtype=np.int64
        )
        self._shop_codes = {shop_id: code for code, shop_id in enumerate(self.shops)}
        self._type_codes = {event_type: code for code, event_type in enumerate(TRAFFIC)}
        self._currency_codes: dict[str | None, int] = {
            None: NOT_GIVEN,
            **{currency: code for code, currency in enumerate(currencies)},
        }

    def renew(self) -> None:
        """Forget all names. Whoever keeps codes must ask for new ones (`CubeCells.recode`)."""
        self.names = {name: Names() for name in TEXT_DIMENSIONS}
        self.pairs.clear()

    def __len__(self) -> int:
        """Return the number of names and combinations that have a code."""
        return sum(map(len, self.names.values())) + sum(map(len, self.pairs.values()))

    def code(self, columns: TrafficColumns) -> CodedTraffic:
        """Turn columns of text into codes; at least one row."""
        shops, currencies = self._shop_codes, self._currency_codes
        return CodedTraffic(
            index=columns.index,
            occurred_ms=columns.occurred_ms,
            shop=_each(columns.shop_ids, lambda shop_id: shops.get(shop_id, UNKNOWN)),
            event_type=_each(columns.event_types, self._type_codes.__getitem__),
            currency=_each(columns.currencies, lambda currency: currencies.get(currency, UNKNOWN)),
            identity=_identities(columns.shop_ids, columns.event_ids),
            users=columns.users,
            dimensions=self._dimensions(columns),
        )

    def _dimensions(self, columns: TrafficColumns) -> Dimensions:
        names = self.names
        of_places: dict[Dimension, Codes] = {
            "atom": np.array([place.atom for place in columns.places], dtype=np.int64)
        }
        for place_name in _PLACE_NAMES:
            code_of = names[place_name].code_of
            codes = [code_of(getattr(place, place_name)) for place in columns.places]
            of_places[place_name] = np.array(codes, dtype=np.int64)
        single: dict[Dimension, Codes] = {
            "product": names["product"].codes(columns.products, len(columns)),
            "sku": _each(columns.skus, names["sku"].code_of),
            "territory": _each(columns.territories, names["territory"].code_of),
        }
        return Dimensions(self, single, Dimensions(self, of_places), columns.place_rows)

    def dimensions_of(self, names: Sequence[Dimension], columns: Iterable[Sequence[str]]) -> Dimensions:
        """Turn columns of some dimensions, as text, into codes."""
        codes = {
            name: np.array(list(map(int, column)), dtype=np.int64)
            if name == "atom"
            else self.names[name].codes(column, len(column))
            for name, column in zip(names, columns, strict=True)
        }
        return Dimensions(self, codes)


class Dimensions:
    """The dimensions of rows as codes, alone and combined; each combination is computed once.

    Args:
        coding: the partition's names and combinations.
        single: the code of every row by dimension, -1 where the row lacks it.
        places: the dimensions of attribution blocks: what they alone give is combined once a block, not once a row.
        place_rows: which of the blocks each row has.
    """

    def __init__(
        self,
        coding: Coding,
        single: dict[Dimension, Codes],
        places: Dimensions | None = None,
        place_rows: Codes | None = None,
    ) -> None:
        self._coding = coding
        self._codes: dict[tuple[Dimension, ...], Codes] = {(name,): codes for name, codes in single.items()}
        self._places = places
        self._place_rows = place_rows
        self._names = single.keys()

    def codes(self, names: tuple[Dimension, ...]) -> Codes:
        """Return one code per row for the values of some dimensions, -1 where the row lacks one of them."""
        codes = self._codes.get(names)
        if codes is None:
            if self._places is not None and self._places.gives(names):
                codes = self._places.codes(names)[self._place_rows]
            else:
                codes = self._combined(names)
            self._codes[names] = codes
        return codes

    def gives(self, names: tuple[Dimension, ...]) -> bool:
        """Return whether rows have all of these dimensions by themselves."""
        return self._names >= set(names)

    def texts(self, names: tuple[Dimension, ...], rows: Codes) -> list[tuple[str, ...]]:
        """Return the values of some rows as they stand in `RowKey.dims`; equal text is one object."""
        return list(
            zip(*(self._texts(name, self.codes((name,))[rows].tolist()) for name in names), strict=True)
        )

    def _texts(self, name: Dimension, codes: list[int]) -> Iterable[str]:
        if name == "atom":
            return (_ATOM_TEXTS[code] for code in codes)
        return map(self._coding.names[name].texts.__getitem__, codes)

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
        codes[given] = self._coding.pairs.setdefault(names, Coder()).codes(keys, len(keys))
        return codes


@dataclass(frozen=True)
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
        dimensions: of cubes.
    """

    index: Codes
    occurred_ms: Codes
    shop: Codes
    event_type: Codes
    currency: Codes
    identity: list[bytes]
    users: list[str | None]
    dimensions: Dimensions

    def people(self, rows: Codes, selected: Codes | None) -> tuple[Codes, list[str]]:
        """Return (row, user) of the selected events that have a user; `rows` are those of the selected events."""
        has_user = self._has_user
        if selected is None and has_user is None:
            return rows, cast("list[str]", self.users)
        users = self._user_column
        if selected is not None:
            users = users[selected]
            has_user = None if has_user is None else has_user[selected]
        if has_user is not None:
            rows, users = rows[has_user], users[has_user]
        return rows, users.tolist()

    def keyed(self, rows: Codes, selected: Codes | None) -> Codes:
        """Return those of `rows`, of the selected events, whose event has a user; see `people`."""
        has_user = self._has_user
        if has_user is None:
            return rows
        return rows[has_user if selected is None else has_user[selected]]

    @cached_property
    def _has_user(self) -> Mask | None:
        """Where an event has a user; None: everywhere."""
        if None not in self.users:
            return None
        return np.fromiter((user is not None for user in self.users), dtype=np.bool_, count=len(self.users))

    @cached_property
    def _user_column(self) -> NDArray[np.object_]:
        return np.array(self.users, dtype=np.object_)


_Value = TypeVar("_Value")


def _each(values: Sequence[_Value], code_of: Callable[[_Value], int]) -> Codes:
    """Return the code of every value; a column of one value costs a comparison each."""
    if values.count(values[0]) == len(values):
        return np.full(len(values), code_of(values[0]), dtype=np.int64)
    return np.fromiter(map(code_of, values), dtype=np.int64, count=len(values))


def _identities(shop_ids: Sequence[str], event_ids: Sequence[str]) -> list[bytes]:
    """Return shop, NUL and id of every event."""
    if shop_ids.count(shop_ids[0]) == len(shop_ids):
        shop = f"{shop_ids[0]}\0".encode()
        return [shop + event_id.encode() for event_id in event_ids]
    return [f"{shop_id}\0{event_id}".encode() for shop_id, event_id in zip(shop_ids, event_ids, strict=True)]
