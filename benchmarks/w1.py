"""Job W1: count and distinct users per shop-day, product and slice, as a table that every runner must print.

Runners keep cells by atom and unite them into the eight overlapping slices here, so none pays for reading. The
estimate of people is the canonical reading of the design (decision 13): a fresh union that is fed the merged result
twice, which depends neither on order nor on how the people were spread over partitions and batches.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from datasketches import hll_sketch, hll_union, tgt_hll_type

from streams.atoms import SLICES

LG_K: Final = 12
"""Of every product's sketch; design, decision 13."""

SKETCH_TYPE: Final = tgt_hll_type.HLL_4
"""What the worker keeps; see `streams.sketches`. The estimate does not depend on it."""


class Cell(NamedTuple):
    """A day (ISO text), a product and an atom or slice."""

    day: str
    product_id: str
    part: str


Table = dict[Cell, tuple[int, float]]
"""Per day, product and slice: events, and the canonical estimate of distinct users."""

_SLICES_OF_ATOM: Final = tuple(
    tuple(name for name, atoms in SLICES.items() if atom in atoms) for atom in range(14)
)


def new_sketch() -> hll_sketch:
    """Return an empty sketch of the kind that every runner keeps."""
    return hll_sketch(LG_K, SKETCH_TYPE)


class TableBuilder:
    """Unite counts and sketches by atom, in any order and any number of pieces, into the W1 table."""

    def __init__(self) -> None:
        self._counts: dict[Cell, int] = {}
        self._unions: dict[Cell, hll_union] = {}

    def add(self, day: str, product_id: str, atom: int, count: int, people: Iterable[str]) -> None:
        """Add events of one atom, with the users seen, each at least once."""
        sketch = new_sketch()
        for person in people:
            sketch.update(person)
        self.add_sketch(day, product_id, atom, count, sketch)

    def add_sketch(self, day: str, product_id: str, atom: int, count: int, people: hll_sketch | None) -> None:
        """Add events of one atom, with their users as a sketch; None where no event carried a user."""
        for name in _SLICES_OF_ATOM[atom]:
            cell = Cell(day, product_id, name)
            self._counts[cell] = self._counts.get(cell, 0) + count
            if people is not None and not people.is_empty():
                union = self._unions.get(cell)
                if union is None:
                    union = self._unions[cell] = hll_union(LG_K)
                union.update(people)

    def table(self) -> Table:
        """Return the table, estimates by the canonical reading."""
        return {
            cell: (count, canonical_estimate(self._unions[cell]) if cell in self._unions else 0.0)
            for cell, count in self._counts.items()
        }


def canonical_estimate(union: hll_union) -> float:
    """Return the estimate of a fresh union that was fed the merged result twice."""
    merged = union.get_result(SKETCH_TYPE)
    fresh = hll_union(LG_K)
    fresh.update(merged)
    fresh.update(merged)
    return float(fresh.get_estimate())


def digest(table: Table) -> str:
    """Return a hash of the whole table; equal tables, equal text."""
    rows = sorted((*cell, count, repr(people)) for cell, (count, people) in table.items())
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def difference(found: Table, expected: Table) -> str | None:
    """Return the first cell in which two tables differ, for a person, or None when they are equal."""
    for cell in sorted(found.keys() | expected.keys()):
        if found.get(cell) != expected.get(cell):
            return f"{'/'.join(cell)}: found {found.get(cell)}, expected {expected.get(cell)}"
    return None


def summary(table: Table) -> str:
    """Return what a person compares at a glance: cells, events, the greatest cell, the hash."""
    events = sum(count for cell, (count, _) in table.items() if cell.part == "all")
    top, (count, people) = max(table.items(), key=lambda item: (item[1], item[0]))
    return (
        f"{len(table):,} cells, {events:,} events, greatest {top.product_id} on {top.day}: "
        f"{count:,} events of {people:,.0f} people, table {digest(table)[:16]}"
    )


def write(table: Table, path: Path) -> None:
    """Save a table for the process that compares it."""
    rows = [[*cell, count, people] for cell, (count, people) in table.items()]
    path.write_text(json.dumps(rows))


def read(path: Path) -> Table:
    """Load a table that `write` saved."""
    return {
        Cell(day, product_id, part): (count, people)
        for day, product_id, part, count, people in json.loads(path.read_text())
    }
