"""The cells of one cube in one partition: counts in numpy columns, people beside them (`streams.cell_people`).

Traffic comes as codes, so that a batch costs a few numpy calls, whatever the number of cells it touches. A cell's key
packs the code of its scope (shop, event type, bucket) and that of its dimensions into one integer, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, repeat
from typing import Final, NamedTuple

import numpy as np

from streams.cell_index import CellIndex
from streams.cell_people import CellPeople
from streams.cell_tables import CellTables
from streams.coding import CodedTraffic, Coder, Codes, Coding, Dimensions, Mask
from streams.cubes import Cube
from streams.hash_index import extended
from streams.spill import SpillFiles
from streams.state import PeopleRow, RowKey, StateRow

_SCOPE_SHIFT: Final = 32
_DIMS_MASK: Final = (1 << _SCOPE_SHIFT) - 1
_NO_CELL: Final = -1
_DIMS_FREE: Final = 10_000
"""Names that no cell has any more are dropped when there are so many more of them than cells, twice over."""


class Scope(NamedTuple):
    """What cells share: the shop, the type of traffic and the bucket of time."""

    shop_id: str
    event_type: str
    bucket: int


def scope_of(key: RowKey) -> Scope:
    """Return the scope of a cell."""
    return Scope(key.shop_id, key.event_type, key.bucket)


class CubeCells:
    """One cube's cells: `add` folds, `take_rows` gives what changed, `expire` forgets.

    Args:
        cube: with HLL sketches of people, or without people.
        spill: makes the file of what rests.
    """

    def __init__(self, cube: Cube, spill: SpillFiles) -> None:
        self.cube = cube
        self._definition = cube.definition
        self._index = CellIndex()
        self._tables = CellTables()
        self._counts: Codes = np.zeros(0, dtype=np.int64)
        self._keyed: Codes = np.zeros(0, dtype=np.int64)
        # Of rows without a cell, `_NO_CELL`.
        self._keys: Codes = np.zeros(0, dtype=np.int64)
        self._changed: Mask = np.zeros(0, dtype=np.bool_)
        self._people = None if cube.lg_k is None else CellPeople(cube.lg_k, spill)
        # The names of each code of dimensions: cells of all buckets share them.
        self._dims: dict[int, tuple[str, ...]] = {}
        self._scope_codes = Coder()
        self._scopes: dict[int, Scope] = {}
        self._forgotten: list[StateRow] = []
        self._forgotten_people: list[PeopleRow] = []

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self._index)

    @property
    def resting(self) -> int:
        """Return the number of cells whose people rest."""
        return 0 if self._people is None else self._people.resting

    def scope_code(self, scope: Scope) -> int:
        """Return the code of a scope, for `add`."""
        code = self._scope_codes[scope]
        self._scopes[code] = scope
        return code

    def add(self, traffic: CodedTraffic, scope_codes: Codes) -> None:
        """Count events and their people.

        Args:
            traffic: the events.
            scope_codes: of every event, by `scope_code`; -1 where the cube does not take it.
        """
        dims = traffic.dimensions.codes(self.cube.dims)
        taken = (dims >= 0) & (scope_codes >= 0)
        selected = None if taken.all() else np.flatnonzero(taken)
        if selected is not None and not len(selected):
            return
        rows = self._rows_of(traffic.dimensions, scope_codes, dims, selected)
        np.add.at(self._counts, rows, 1)
        self._changed[rows] = True
        if self._people is None:
            rows = traffic.keyed(rows, selected)
        else:
            self._people.wake(rows)
            rows, users = traffic.people(rows, selected)
            self._people.add(rows, users)
        np.add.at(self._keyed, rows, 1)

    def expire(self, is_over: Callable[[Scope], bool]) -> None:
        """Forget the cells of scopes that are no longer kept."""
        over = [code for code, scope in self._scopes.items() if is_over(scope)]
        if not over:
            return
        forgotten = np.flatnonzero(np.isin(self._keys >> _SCOPE_SHIFT, over))
        keys = [self._row_key(key) for key in self._keys[forgotten].tolist()]
        self._forgotten += [StateRow(key, None, 0, None) for key in keys]
        if self._people is not None:
            apart = self._people.apart(forgotten).tolist()
            self._forgotten_people += [PeopleRow(key, None) for key in compress(keys, apart)]
            self._people.forget(forgotten)
        self._keys[forgotten] = _NO_CELL
        self._changed[forgotten] = False
        for code in over:
            self._tables.drop(code)
            del self._scope_codes[self._scopes.pop(code)]
        rows = np.flatnonzero(self._keys >= 0)
        self._index.keep(self._keys[rows], rows)
        if len(self._dims) > 2 * len(rows) + _DIMS_FREE:
            used = set((self._keys[rows] & _DIMS_MASK).tolist())
            self._dims = {code: names for code, names in self._dims.items() if code in used}

    def rest(self) -> None:
        """Put cells to rest that nobody touched since the last call.

        Raises:
            UnavailableError: there is no room for their people.
        """
        if self._people is not None:
            self._people.rest(self._changed)

    def take_rows(self, taken: list[StateRow], people: list[PeopleRow]) -> None:
        """Give the cells that changed since the last call and those forgotten, each with its whole value.

        Args:
            taken: rows are appended.
            people: and the rows of people that are due.
        """
        taken += self._forgotten
        people += self._forgotten_people
        self._forgotten, self._forgotten_people = [], []
        changed = np.flatnonzero(self._changed)
        self._changed[changed] = False
        name, definition, scopes, dims = self.cube.name, self._definition, self._scopes, self._dims
        images: Iterable[bytes | None] = repeat(None, len(changed))
        due: Mapping[int, bytes] = {}
        if self._people is not None:
            images, due = self._people.take(changed)
        columns = (self._keys[changed], self._counts[changed], self._keyed[changed])
        # A million rows a minute come by here: everything that a row does not need of its own stands outside the loop.
        begin = len(taken)
        for key, count, keyed, image in zip(*(column.tolist() for column in columns), images, strict=True):
            shop_id, event_type, bucket = scopes[key >> _SCOPE_SHIFT]
            row_key = RowKey(name, definition, shop_id, bucket, event_type, dims[key & _DIMS_MASK])
            taken.append(StateRow(row_key, count, keyed, image))
        people += [PeopleRow(taken[begin + place].key, whole) for place, whole in due.items()]

    def restore(
        self, state_rows: Sequence[StateRow], people: Mapping[RowKey, PeopleRow], coding: Coding
    ) -> None:
        """Take over kept cells, each key once, and the rows of people of those that have one.

        Raises:
            UnavailableError: there is no room for their people.
        """
        rows = self._rows_named(state_rows, coding)
        self._counts[rows] = [row.events or 0 for row in state_rows]
        self._keyed[rows] = [row.keyed for row in state_rows]
        if self._people is not None:
            known = (people.get(row.key) for row in state_rows)
            apart = [None if row is None else row.image for row in known]
            self._people.restore(rows, [row.sketch for row in state_rows], apart)

    def absorb(self, state_rows: Sequence[StateRow], coding: Coding) -> None:
        """Add cells that were counted elsewhere, from other records; each key once, all people in `sketch`."""
        rows = self._rows_named(state_rows, coding)
        self._counts[rows] += [row.events or 0 for row in state_rows]
        self._keyed[rows] += [row.keyed for row in state_rows]
        self._changed[rows] = True
        if self._people is not None:
            self._people.wake(rows)
            for number, row in zip(rows.tolist(), state_rows, strict=True):
                if row.sketch is not None:
                    self._people.unite(number, row.sketch)

    def _rows_named(self, state_rows: Sequence[StateRow], coding: Coding) -> Codes:
        dimensions = self._dimensions([row.key.dims for row in state_rows], coding)
        scopes = np.array([self.scope_code(scope_of(row.key)) for row in state_rows], dtype=np.int64)
        return self._rows_of(dimensions, scopes, dimensions.codes(self.cube.dims), None)

    def recode(self, coding: Coding) -> None:
        """Take new codes for the names of all cells, after `Coding.renew`; rows and scopes keep their numbers."""
        rows = np.flatnonzero(self._keys >= 0)
        if not len(rows):
            return
        old, inverse = np.unique(self._keys[rows] & _DIMS_MASK, return_inverse=True)
        names = [self._dims[code] for code in old.tolist()]
        new = self._dimensions(names, coding).codes(self.cube.dims)
        self._dims = dict(zip(new.tolist(), names, strict=True))
        self._keys[rows] = (self._keys[rows] >> _SCOPE_SHIFT) << _SCOPE_SHIFT | new[inverse]
        self._tables.clear()
        self._index.keep(self._keys[rows], rows)

    def _dimensions(self, dims: Sequence[tuple[str, ...]], coding: Coding) -> Dimensions:
        return coding.dimensions_of(self.cube.dims, zip(*dims, strict=True))

    def _rows_of(
        self, dimensions: Dimensions, scope_codes: Codes, dims: Codes, selected: Codes | None
    ) -> Codes:
        """Return the row of every selected event; make the rows that are missing."""
        if selected is not None:
            scope_codes, dims = scope_codes[selected], dims[selected]
        rows = self._tables.find(scope_codes, dims)
        unknown = np.flatnonzero(rows < 0)
        if not len(unknown):
            return rows
        scopes, codes = scope_codes[unknown], dims[unknown]
        keys = scopes << _SCOPE_SHIFT | codes
        found, first = self._index.open(keys)
        rows[unknown] = found
        self._tables.note(scopes, codes, found)
        if not len(first):
            return rows
        self._reserve(self._index.size)
        opened = found[first]
        self._keys[opened] = keys[first]
        self._counts[opened] = 0
        self._keyed[opened] = 0
        self._name(dimensions, codes[first], unknown[first] if selected is None else selected[unknown[first]])
        return rows

    def _name(self, dimensions: Dimensions, codes: Codes, events: Codes) -> None:
        """Remember the names of codes that no cell had yet; each code stands at its event."""
        pairs = zip(codes.tolist(), events.tolist(), strict=True)
        new = {code: event for code, event in pairs if code not in self._dims}
        if new:
            names = dimensions.texts(self.cube.dims, np.array(list(new.values()), dtype=np.int64))
            self._dims.update(zip(new, names, strict=True))

    def _reserve(self, size: int) -> None:
        known = len(self._changed)
        self._counts = extended(self._counts, size)
        self._keyed = extended(self._keyed, size)
        self._keys = extended(self._keys, size)
        self._keys[known:] = _NO_CELL
        self._changed = extended(self._changed, size)
        self._changed[known:] = False
        if self._people is not None:
            self._people.reserve(size)

    def _row_key(self, key: int) -> RowKey:
        scope = self._scopes[key >> _SCOPE_SHIFT]
        dims = self._dims[key & _DIMS_MASK]
        return RowKey(self.cube.name, self._definition, scope.shop_id, scope.bucket, scope.event_type, dims)
