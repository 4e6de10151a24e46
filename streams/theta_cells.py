"""The cells of a cube of theta sketches in one partition: few events touch them, and most of them rest.

A cell keeps bytes, not live sketches: people who came since the last flush are in a small sketch of their own, which
the flush unites with the image that stands in the cell's row. So a cell that rests costs 8 bytes for each person, and a
restart takes the images over as they are. A large image has a row of its own (ADR 10, ADR 12).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from operator import call
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from streams import theta
from streams.coding import CodedTraffic, Coder, Codes, Coding
from streams.cube_cells import Scope, scope_of
from streams.state import PeopleRow, RowKey, StateRow

if TYPE_CHECKING:
    from datasketches import update_theta_sketch

    from streams.cubes import Cube

RECENT_BYTES: Final = 512
"""Up to here an image of people stands in the cell's own row, which every flush that sees the cell writes anew."""

RECENT_SHARE: Final = 32
"""Beside a row of people of its own, the cell's row may take this part of its bytes, if that is more."""

_SCOPE_SHIFT: Final = 32


class _Cell:
    """One cell: counts, the settled image and the one of who came since, and people not flushed yet."""

    __slots__ = ("events", "keyed", "newcomers", "product", "recent", "scope", "settled")

    def __init__(self, scope: Scope, product: str) -> None:
        self.scope = scope
        self.product = product
        self.events = 0
        self.keyed = 0
        self.settled: bytes | None = None
        self.recent: bytes | None = None
        self.newcomers: update_theta_sketch | None = None


class ThetaCells:
    """One cube's cells, with the methods of `CubeCells`; its only dimension is the product.

    Args:
        cube: with theta sketches.
    """

    def __init__(self, cube: Cube) -> None:
        if cube.lg_k is None or cube.dims != ("product",):
            msg = f"the cube {cube.name} has no theta sketches by product"
            raise ValueError(msg)
        self.cube = cube
        self._lg_k = cube.lg_k
        self._definition = cube.definition
        self._scope_codes = Coder()
        self._scopes: dict[int, Scope] = {}
        self._cells: dict[Scope, dict[str, _Cell]] = {}
        # Codes of scope and product to cells, for as long as codes hold.
        self._by_code: dict[int, _Cell] = {}
        self._changed: dict[tuple[Scope, str], _Cell] = {}
        self._forgotten: list[StateRow] = []
        self._forgotten_people: list[PeopleRow] = []

    def __len__(self) -> int:
        """Return the number of cells."""
        return sum(map(len, self._cells.values()))

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
        selected = np.flatnonzero(scope_codes >= 0)
        if not len(selected):
            return
        products = traffic.dimensions.codes(self.cube.dims)
        keys = scope_codes[selected] << _SCOPE_SHIFT | products[selected]
        distinct, first, places = np.unique(keys, return_index=True, return_inverse=True)
        cells = self._cells_of(traffic, distinct.tolist(), selected[first])
        events_of = np.bincount(places)
        places, users = traffic.people(places, selected)
        keyed_of = np.bincount(places, minlength=len(distinct))
        for cell, events, keyed in zip(cells, events_of.tolist(), keyed_of.tolist(), strict=True):
            cell.events += events
            cell.keyed += keyed
            if keyed and cell.newcomers is None:
                cell.newcomers = theta.new(self._lg_k)
            self._changed[cell.scope, cell.product] = cell
        updates: list[Any] = [None if cell.newcomers is None else cell.newcomers.update for cell in cells]
        deque(map(call, map(updates.__getitem__, places.tolist()), users), maxlen=0)

    def expire(self, is_over: Callable[[Scope], bool]) -> None:
        """Forget the cells of scopes that are no longer kept."""
        for code, scope in list(self._scopes.items()):
            if not is_over(scope):
                continue
            for product, cell in self._cells.pop(scope, {}).items():
                key = self._row_key(cell)
                self._forgotten.append(StateRow(key, None, 0, None))
                if cell.settled is not None:
                    self._forgotten_people.append(PeopleRow(key, None))
                self._changed.pop((scope, product), None)
            del self._scopes[code], self._scope_codes[scope]
            self._by_code.clear()

    def take_rows(self, taken: list[StateRow], people: list[PeopleRow]) -> None:
        """Give the cells that changed since the last call and those forgotten, each with its whole value.

        Args:
            taken: rows are appended.
            people: and the rows of people that are due.
        """
        taken += self._forgotten
        people += self._forgotten_people
        self._forgotten, self._forgotten_people = [], []
        for cell in self._changed.values():
            key = self._row_key(cell)
            if cell.newcomers is not None:
                self._settle(cell)
                if cell.recent is None and cell.settled is not None:
                    people.append(PeopleRow(key, cell.settled))
            taken.append(StateRow(key, cell.events, cell.keyed, cell.recent))
        self._changed = {}

    def _settle(self, cell: _Cell) -> None:
        """Take newcomers into the recent image, and this into the settled one when it has grown too large."""
        known = [] if cell.recent is None else [cell.recent]
        cell.recent = theta.unite(self._lg_k, known, cell.newcomers)
        cell.newcomers = None
        settled = b"" if cell.settled is None else cell.settled
        if len(cell.recent) > max(RECENT_BYTES, len(settled) // RECENT_SHARE):
            cell.settled = theta.unite(self._lg_k, [settled, cell.recent] if settled else [cell.recent])
            cell.recent = None

    def restore(
        self,
        state_rows: Sequence[StateRow],
        people: Mapping[RowKey, PeopleRow],
        coding: Coding,  # noqa: ARG002 - of CubeCells' method; cells are found by name when an event comes
    ) -> None:
        """Take over kept cells, each key once, and the rows of people of those that have one; images as they are.

        Args:
            state_rows: with a count.
            people: by key.
            coding: not needed.
        """
        for row in state_rows:
            scope = scope_of(row.key)
            self.scope_code(scope)
            cell = self._cell(scope, row.key.dims[0])
            cell.events, cell.keyed, cell.recent = row.events or 0, row.keyed, row.sketch
            apart = people.get(row.key)
            cell.settled = None if apart is None else apart.image

    def absorb(self, state_rows: Sequence[StateRow], coding: Coding) -> None:  # noqa: ARG002 - of CubeCells' method
        """Add cells that were counted elsewhere, from other records; each key once, all people in `sketch`."""
        for row in state_rows:
            scope = scope_of(row.key)
            self.scope_code(scope)
            cell = self._cell(scope, row.key.dims[0])
            cell.events += row.events or 0
            cell.keyed += row.keyed
            if row.sketch is not None:
                known = [row.sketch] if cell.recent is None else [cell.recent, row.sketch]
                cell.recent = theta.unite(self._lg_k, known)
                # Settled with the next flush, as if they had just come.
                cell.newcomers = cell.newcomers or theta.new(self._lg_k)
            self._changed[cell.scope, cell.product] = cell

    def recode(self, coding: Coding) -> None:  # noqa: ARG002 - of CubeCells' method
        """Forget codes, after `Coding.renew`; cells are found by name again."""
        self._by_code.clear()

    def _cells_of(self, traffic: CodedTraffic, keys: list[int], events: Codes) -> list[_Cell]:
        """Return the cell of each key, of which one event each is given; make the cells that are missing."""
        missing = [place for place, key in enumerate(keys) if key not in self._by_code]
        if missing:
            texts = traffic.dimensions.texts(self.cube.dims, events[missing])
            for place, (product,) in zip(missing, texts, strict=True):
                key = keys[place]
                self._by_code[key] = self._cell(self._scopes[key >> _SCOPE_SHIFT], product)
        return [self._by_code[key] for key in keys]

    def _cell(self, scope: Scope, product: str) -> _Cell:
        cells = self._cells.setdefault(scope, {})
        cell = cells.get(product)
        if cell is None:
            cell = cells[product] = _Cell(scope, product)
        return cell

    def _row_key(self, cell: _Cell) -> RowKey:
        shop_id, event_type, bucket = cell.scope
        return RowKey(self.cube.name, self._definition, shop_id, bucket, event_type, (cell.product,))
