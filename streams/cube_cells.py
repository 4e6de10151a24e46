"""The cells of one cube in one partition: counts in numpy columns, sketches of people beside them.

Traffic comes as codes, so that a batch costs a few numpy calls, whatever the number of cells it touches. A cell's key
packs the code of its scope (shop, event type, bucket) and that of its dimensions into one integer, exactly.

Most cells are quiet: of another day, or of a product that nobody looks at now. A sketch in use takes 300 bytes and
more before anyone is in it; one that was not touched for a quarter hour of R rests as its image, which takes 4 bytes a
person, until the next one comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from operator import call
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams import sketches
from streams.cell_index import CellIndex
from streams.cell_tables import CellTables
from streams.coding import CodedTraffic, Coder, Codes, Coding, Dimensions, Mask
from streams.cubes import Cube
from streams.hash_index import extended
from streams.state import PeopleRow, RowKey, StateRow

_SCOPE_SHIFT: Final = 32
_DIMS_MASK: Final = (1 << _SCOPE_SHIFT) - 1
_NO_CELL: Final = -1
_DIMS_FREE: Final = 10_000
"""Names that no cell has any more are dropped when there are so many more of them than cells, twice over."""

WHOLE_BYTES: Final = 128
"""Up to here an image of people stands in the cell's own row; a larger one has a row of its own."""

RECENT_SHARE: Final = 5
"""A row of people is written anew when the people who came since take more than this part of its bytes. Dense sketches
of lg_k 12 then cost 210 bytes a flush instead of 2,100, whatever their traffic (docs/STATE.md)."""


class Scope(NamedTuple):
    """What cells share: the shop, the type of traffic and the bucket of time."""

    shop_id: str
    event_type: str
    bucket: int


def scope_of(key: RowKey) -> Scope:
    """Return the scope of a cell."""
    return Scope(key.shop_id, key.event_type, key.bucket)


class CubeCells:
    """One cube's cells: `add` folds, `take_rows` gives what changed, `expire` forgets."""

    def __init__(self, cube: Cube) -> None:
        self.cube = cube
        self._definition = cube.definition
        self._index = CellIndex()
        self._tables = CellTables()
        self._counts: Codes = np.zeros(0, dtype=np.int64)
        self._keyed: Codes = np.zeros(0, dtype=np.int64)
        # Of rows without a cell, `_NO_CELL`.
        self._keys: Codes = np.zeros(0, dtype=np.int64)
        self._changed: Mask = np.zeros(0, dtype=np.bool_)
        # The bound `update` of each cell's sketch: its owner is `__self__`, and a call needs no lookup. Of a cell that
        # rests, the sketch's image.
        self._updates: list[Callable[[str], None] | bytes | None] = []
        self._resting: Mask = np.zeros(0, dtype=np.bool_)
        self._touched: Mask = np.zeros(0, dtype=np.bool_)
        # Cells whose people have a row of their own: the size of its image (else 0), and who came since it was taken.
        self._apart: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._recent: dict[int, Callable[[str], None]] = {}
        # Restored ones: their sketch holds the row of people alone until it is written anew.
        self._unmerged: set[int] = set()
        # The names of each code of dimensions: cells of all buckets share them.
        self._dims: dict[int, tuple[str, ...]] = {}
        self._scope_codes = Coder()
        self._scopes: dict[int, Scope] = {}
        self._forgotten: list[StateRow] = []
        self._forgotten_people: list[PeopleRow] = []

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self._index)

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
        rows = self._rows_of(traffic.dimensions, scope_codes, dims, selected)
        np.add.at(self._counts, rows, 1)
        self._changed[rows] = True
        resting = rows[self._resting[rows]]
        if len(resting):
            self._wake(resting)
        rows, users = traffic.people(rows, selected)
        if self.cube.lg_k is not None:
            self._add_people(rows, users, self.cube.lg_k)
        np.add.at(self._keyed, rows, 1)

    def _add_people(self, rows: Codes, users: list[str], lg_k: int) -> None:
        """Put users into the sketches of their rows; a row has one from its first user on."""
        updates: list[Any] = self._updates
        for row in set(rows[self._keyed[rows] == 0].tolist()):
            updates[row] = sketches.new(lg_k).update
        numbers = rows.tolist()
        deque(map(call, map(updates.__getitem__, numbers), users), maxlen=0)
        apart = self._apart[rows] > 0
        if apart.any():
            chosen = apart.tolist()
            self._add_recent(list(compress(numbers, chosen)), compress(users, chosen), lg_k)

    def _add_recent(self, rows: list[int], users: Iterable[str], lg_k: int) -> None:
        """Put users of cells whose people have a row of their own into the sketches of who came since."""
        recent: dict[int, Any] = self._recent
        for row in set(rows):
            if row not in recent:
                recent[row] = sketches.new(lg_k).update
        deque(map(call, map(recent.__getitem__, rows), users), maxlen=0)

    def expire(self, is_over: Callable[[Scope], bool]) -> None:
        """Forget the cells of scopes that are no longer kept."""
        over = [code for code, scope in self._scopes.items() if is_over(scope)]
        if not over:
            return
        for row in np.flatnonzero(np.isin(self._keys >> _SCOPE_SHIFT, over)).tolist():
            key = self._row_key(int(self._keys[row]))
            self._forgotten.append(StateRow(key, None, 0, None))
            if self._apart[row]:
                self._forgotten_people.append(PeopleRow(key, None))
                self._apart[row] = 0
                self._recent.pop(row, None)
                self._unmerged.discard(row)
            self._keys[row] = _NO_CELL
            self._changed[row] = self._resting[row] = False
            self._updates[row] = None
        for code in over:
            self._tables.drop(code)
            del self._scope_codes[self._scopes.pop(code)]
        rows = np.flatnonzero(self._keys >= 0)
        self._index.keep(self._keys[rows], rows)
        if len(self._dims) > 2 * len(rows) + _DIMS_FREE:
            used = set((self._keys[rows] & _DIMS_MASK).tolist())
            self._dims = {code: names for code, names in self._dims.items() if code in used}

    def rest(self) -> None:
        """Put cells to rest that nobody touched since the last call."""
        idle = ~(self._touched | self._changed | self._resting) & (self._keys >= 0) & (self._keyed > 0)
        updates: list[Any] = self._updates
        for row in np.flatnonzero(idle).tolist():
            if updates[row] is not None:
                updates[row] = sketches.dump(updates[row].__self__)
                self._resting[row] = True
        self._touched[:] = False

    def _wake(self, rows: Codes) -> None:
        updates: list[Any] = self._updates
        for row in set(rows.tolist()):
            updates[row] = sketches.load(updates[row]).update
        self._resting[rows] = False

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
        self._touched[changed] = True
        columns = (self._keys[changed], self._counts[changed], self._keyed[changed])
        # A million rows a minute come by here: everything that a row does not need of its own stands outside the loop.
        name, definition, scopes, dims = self.cube.name, self._definition, self._scopes, self._dims
        updates: list[Any] = self._updates
        recent: dict[int, Any] = self._recent
        for row, key, count, keyed, apart in zip(
            changed.tolist(),
            *(column.tolist() for column in columns),
            self._apart[changed].tolist(),
            strict=True,
        ):
            shop_id, event_type, bucket = scopes[key >> _SCOPE_SHIFT]
            update = recent.get(row) if apart else updates[row]
            image = None if update is None else update.__self__.serialize_compact()
            row_key = RowKey(name, definition, shop_id, bucket, event_type, dims[key & _DIMS_MASK])
            if image is not None and len(image) > (apart // RECENT_SHARE or WHOLE_BYTES):
                people.append(PeopleRow(row_key, self._set_apart(row)))
                image = None
            taken.append(StateRow(row_key, count, keyed, image))

    def _set_apart(self, row: int) -> bytes:
        """Return the image of all people of a cell, for a row of its own."""
        sketch: Any = self._updates[row]
        recent: Any = self._recent.pop(row, None)
        whole = sketch.__self__
        if row in self._unmerged and self.cube.lg_k is not None:
            self._unmerged.remove(row)
            whole = sketches.merge([whole, recent.__self__], self.cube.lg_k)
            self._updates[row] = whole.update
        image = sketches.dump(whole)
        self._apart[row] = len(image)
        return image

    def restore(
        self, state_rows: Sequence[StateRow], people: Mapping[RowKey, PeopleRow], coding: Coding
    ) -> None:
        """Take over kept cells, each key once, and the rows of people of those that have one.

        Raises:
            StateError: a sketch cannot be read.
        """
        rows = self._rows_named(state_rows, coding)
        self._counts[rows] = [row.events or 0 for row in state_rows]
        self._keyed[rows] = [row.keyed for row in state_rows]
        for number, row in zip(rows.tolist(), state_rows, strict=True):
            apart = people.get(row.key)
            # To read every image here, or to unite two, would take most of the time of a restart.
            if apart is None or apart.image is None:
                self._updates[number] = row.sketch
            else:
                self._updates[number] = apart.image
                self._apart[number] = len(apart.image)
                if row.sketch is not None:
                    self._recent[number] = sketches.load(row.sketch).update
                    self._unmerged.add(number)
            self._resting[number] = self._updates[number] is not None

    def absorb(self, state_rows: Sequence[StateRow], coding: Coding) -> None:
        """Add cells that were counted elsewhere, from other records; each key once, all people in `sketch`."""
        rows = self._rows_named(state_rows, coding)
        self._counts[rows] += [row.events or 0 for row in state_rows]
        self._keyed[rows] += [row.keyed for row in state_rows]
        self._changed[rows] = True
        resting = rows[self._resting[rows]]
        if len(resting):
            self._wake(resting)
        for number, row in zip(rows.tolist(), state_rows, strict=True):
            if row.sketch is not None and self.cube.lg_k is not None:
                self._unite(number, row.sketch, self.cube.lg_k)

    def _unite(self, row: int, image: bytes, lg_k: int) -> None:
        """Unite the people of a cell that is awake with others."""
        updates: list[Any] = self._updates
        recent: dict[int, Any] = self._recent

        def united(update: Any) -> Any:
            others = sketches.load(image)
            return (others if update is None else sketches.merge([update.__self__, others], lg_k)).update

        updates[row] = united(updates[row])
        if self._apart[row]:
            # The row of people is written; who comes to it now is new to readers.
            recent[row] = united(recent.get(row))

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
        missing = size - len(self._updates)
        if missing > 0:
            self._updates.extend([None] * missing)
        known = len(self._changed)
        self._counts = extended(self._counts, size)
        self._keyed = extended(self._keyed, size)
        self._keys = extended(self._keys, size)
        self._keys[known:] = _NO_CELL
        for name in ("_changed", "_resting", "_touched"):
            column = extended(getattr(self, name), size)
            column[known:] = False
            setattr(self, name, column)
        self._apart = extended(self._apart, size)
        self._apart[known:] = 0

    def _row_key(self, key: int) -> RowKey:
        scope = self._scopes[key >> _SCOPE_SHIFT]
        dims = self._dims[key & _DIMS_MASK]
        return RowKey(self.cube.name, self._definition, scope.shop_id, scope.bucket, scope.event_type, dims)
