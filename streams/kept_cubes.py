"""Since when one partition keeps each of its cubes, and what is left of cubes that it keeps no more (ADR 13).

A cube that the state does not hold yet begins where the state ends: from there on it counts what comes. What came
before is rebuilt from the source topics and handed over in pieces (`streams.rebuild`); until then the cube says since
when it is whole. Rows of a definition that is declared former are deleted, a part with each flush.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from streams.cubes import Cube, is_former
from streams.errors import StateError
from streams.state import CubeRow, PeopleRow, StateRow

PIECES: Final = 1_024
"""What a rebuild hands over is cut into so many pieces by the hash of the cell: the same cells after a crash. Part of
the state's format."""

EMPTYING: Final = -1
"""`CubeRow.handed` while the cells of a cube that is to be rebuilt anew are deleted: until then it has none, and counts
nothing, so that a crash on the way leaves nothing that could be taken for its new cells."""

DELETED_AT_ONCE: Final = 20_000
"""Rows of a former cube that one flush deletes, so that an upgrade holds no flush up: 2 MB."""


class KeptCubes:
    """The cubes of one partition; of a partition without state all are kept from the first record on.

    Args:
        cubes: what this version keeps.
    """

    def __init__(self, cubes: Sequence[Cube]) -> None:
        self._rows = {cube.name: CubeRow(cube.name, cube.definition, {}, 0, PIECES) for cube in cubes}
        self._unwritten = set(self._rows)
        self._former_rows: deque[StateRow] = deque()
        self._former_people: deque[PeopleRow] = deque()
        self._former_cubes: set[tuple[str, str]] = set()

    @property
    def pending(self) -> bool:
        """Whether rows are still to be deleted, or emptied cubes to begin."""
        return bool(self._former_rows or self._former_people or self._former_cubes or self.emptying())

    def row(self, name: str) -> CubeRow | None:
        """Return since when a cube is kept; None: it is not."""
        return self._rows.get(name)

    def unbuilt(self) -> list[CubeRow]:
        """Return the cubes of which something that came before is not rebuilt."""
        return [row for row in self._rows.values() if EMPTYING < row.handed < PIECES]

    def emptying(self) -> frozenset[str]:
        """Return the cubes whose cells are being deleted."""
        return frozenset(name for name, row in self._rows.items() if row.handed == EMPTYING)

    def begin_emptied(self, offsets: Mapping[str, int], whole_from_ms: int) -> list[str]:
        """Let emptied cubes begin at these offsets, once nothing of them is left; return their names."""
        if self._former_rows or self._former_people:
            return []
        emptied = sorted(self.emptying())
        for name in emptied:
            row = self._rows[name]
            self.put(row._replace(begins=dict(offsets), since_ms=whole_from_ms, handed=0))
        return emptied

    def put(self, row: CubeRow) -> None:
        """Set a cube's row; the next flush has it."""
        self._rows[row.cube] = row
        self._unwritten.add(row.cube)

    def restore(
        self, rows: Iterable[CubeRow], filled: set[str], offsets: Mapping[str, int], newest_ms: int
    ) -> bool:
        """Take over what the state says of its cubes; return whether any of ours is new to it.

        Args:
            rows: of the state, each key once.
            filled: names of cubes of which the state holds cells; state of before ADR 13 has no other trace of them.
            offsets: per source topic that was read, the first offset that is not folded; empty: the state is empty.
            newest_ms: event time beyond everything that the state has folded.

        Raises:
            StateError: the state has a cube that is not ours: going on would leave a gap in it.
        """
        known: dict[str, CubeRow] = {}
        strange: list[str] = []
        for row in rows:
            if row.begins is None:
                continue
            ours = self._rows.get(row.cube)
            if ours is not None and ours.definition == row.definition:
                known[row.cube] = row
            elif is_former(row.cube, row.definition):
                self._former_cubes.add((row.cube, row.definition))
            else:
                strange.append(f"{row.cube!r} ({row.definition})")
        if strange:
            what = f"The state holds cubes that this worker does not keep: {', '.join(sorted(strange))}."
            raise StateError(what, mend="Start the version that wrote it, or with a new prefix and app.")
        is_new = False
        for name, fresh in self._rows.items():
            if name in known:
                self._rows[name] = known[name]
                self._unwritten.discard(name)
            elif offsets and name not in filled:
                self._rows[name] = fresh._replace(begins=dict(offsets), since_ms=newest_ms, handed=0)
                is_new = True
        return is_new

    def forget(self, rows: Iterable[StateRow], people: Iterable[PeopleRow]) -> None:
        """Delete rows of cubes that are former, or to be rebuilt anew, a part with each flush."""
        self._former_rows += (row._replace(events=None, keyed=0, sketch=None) for row in rows)
        self._former_people += (row._replace(image=None) for row in people)

    def take_rows(self) -> list[CubeRow]:
        """Return what changed since the last call; call it after `take_forgotten`."""
        taken = [self._rows[name] for name in sorted(self._unwritten)]
        self._unwritten.clear()
        if not self._former_rows and not self._former_people:
            taken += [
                CubeRow(name, definition, None, 0, 0) for name, definition in sorted(self._former_cubes)
            ]
            self._former_cubes.clear()
        return taken

    def take_forgotten(self) -> tuple[list[StateRow], list[PeopleRow]]:
        """Return the next rows of former cubes to be deleted."""
        return (
            [self._former_rows.popleft() for _ in range(min(DELETED_AT_ONCE, len(self._former_rows)))],
            [self._former_people.popleft() for _ in range(min(DELETED_AT_ONCE, len(self._former_people)))],
        )
