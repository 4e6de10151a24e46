"""Find the cells of a batch by plain indexing: for each scope in use, a table from the code of dimensions to the row.

Nearly all events of a batch fall into the buckets that are open now, and codes are dense. Reading a table costs a few
nanoseconds an event where a dictionary costs 60. Tables are a cache: what they do not know, the cube's dictionary
does.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.hash_index import extended

Codes = NDArray[np.int64]

TABLE_CODES: Final = 1 << 18
"""Codes beyond this have no place in a table: it would be larger than the cells that it finds (1 MiB here)."""

TABLES: Final = 16
"""Most scopes that have a table; one cube's tables take 16 MiB at most, a few hundred KiB in practice."""

_BATCH_SCOPES: Final = 8
"""A batch of more scopes (a backlog of hours) is looked up by the dictionary: each scope costs some calls of numpy."""

_UNKNOWN: Final = -1


class CellTables:
    """Rows by scope and code; 4 bytes a code."""

    def __init__(self) -> None:
        self._tables: dict[int, NDArray[np.int32]] = {}

    def find(self, scopes: Codes, codes: Codes) -> Codes:
        """Return the row of every (scope, code), -1 where no table knows it."""
        rows = np.full(len(codes), _UNKNOWN, dtype=np.int64)
        for scope, where in _by_scope(scopes):
            table = self._tables.get(scope)
            if table is None:
                continue
            own = codes if where is None else codes[where]
            inside = own < len(table)
            found = table[np.where(inside, own, 0)]
            found[~inside] = _UNKNOWN
            rows[slice(None) if where is None else where] = found
        return rows

    def note(self, scopes: Codes, codes: Codes, rows: Codes) -> None:
        """Remember rows that the dictionary knew."""
        for scope, where in _by_scope(scopes):
            own, own_rows = (codes, rows) if where is None else (codes[where], rows[where])
            small = own < TABLE_CODES
            if not small.any():
                continue
            own, own_rows = own[small], own_rows[small]
            # The scope that was opened first is likely to be over.
            table = self._tables.pop(scope, np.empty(0, dtype=np.int32))
            if len(self._tables) >= TABLES:
                del self._tables[next(iter(self._tables))]
            known = len(table)
            table = extended(table, int(own.max()) + 1)
            table[known:] = _UNKNOWN
            table[own] = own_rows
            self._tables[scope] = table

    def drop(self, scope: int) -> None:
        """Forget a scope whose rows are given to others."""
        self._tables.pop(scope, None)

    def clear(self) -> None:
        """Forget all: codes have changed."""
        self._tables.clear()


def _by_scope(scopes: Codes) -> list[tuple[int, Codes | None]]:
    """Return the distinct scopes and where each stands, None for everywhere; nothing when they are many."""
    if not len(scopes):
        return []
    first = int(scopes[0])
    if (scopes == first).all():
        return [(first, None)]
    distinct = np.unique(scopes)
    if len(distinct) > _BATCH_SCOPES:
        return []
    return [(scope, np.flatnonzero(scopes == scope)) for scope in distinct.tolist()]
