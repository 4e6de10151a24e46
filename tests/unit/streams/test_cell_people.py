"""People of cells, held to sets: nobody is lost, doubled or moved, however often their cell rests and wakes."""

from __future__ import annotations

import tracemalloc
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from agents.spill import disk_files
from streams import cell_people, sketches
from streams.cell_people import CellPeople
from streams.errors import StateError
from streams.resting import SPARSE_BYTES
from streams.spill import MemoryFile, SpillFiles

LG_K = 12


@pytest.fixture(params=["memory", "disk"])
def spill(request: pytest.FixtureRequest, tmp_path: Path) -> SpillFiles:
    return MemoryFile if request.param == "memory" else disk_files(str(tmp_path))


def image_of(users: Iterable[str]) -> bytes:
    sketch = sketches.new(LG_K)
    for user in users:
        sketch.update(user)
    return sketches.dump(sketch)


def canonical(users: Iterable[str]) -> bytes:
    return sketches.canonical_images([image_of(users)], LG_K)


class Cells:
    """People of some rows, and what is written of them: what a successor would start from.

    Attributes:
        own, apart: the images of the cells' own rows and of rows of people, by row.
    """

    def __init__(self, size: int, spill: SpillFiles) -> None:
        self._size, self._spill = size, spill
        self.own: dict[int, bytes | None] = {}
        self.apart: dict[int, bytes] = {}
        self._changed = np.zeros(size, dtype=np.bool_)
        self._new()

    def _new(self) -> None:
        self.people = CellPeople(LG_K, self._spill)
        self.people.reserve(self._size)

    def see(self, rows: list[int], users: list[str]) -> None:
        """Let users come to rows."""
        numbers = np.array(rows, dtype=np.int64)
        self._changed[numbers] = True
        self.people.wake(numbers)
        self.people.add(numbers, users)

    def look(self, rows: list[int]) -> None:
        """Let events without a user come to rows."""
        self._changed[rows] = True
        self.people.wake(np.array(rows, dtype=np.int64))

    def unite(self, row: int, image: bytes) -> None:
        """Let users come who were counted elsewhere."""
        self._changed[row] = True
        self.people.wake(np.array([row]))
        self.people.unite(row, image)

    def flush(self, *, rest: bool) -> None:
        """Write what changed, after a rest."""
        if rest:
            self.people.rest(self._changed)
        rows = np.flatnonzero(self._changed)
        images, due = self.people.take(rows)
        self.own.update(zip(rows.tolist(), images, strict=True))
        self.apart.update((int(rows[place]), image) for place, image in due.items())
        self._changed[:] = False

    def forget(self, rows: list[int]) -> list[int]:
        """Forget rows; return those that had a row of people."""
        numbers = np.array(rows, dtype=np.int64)
        apart = numbers[self.people.apart(numbers)].tolist()
        self.people.forget(numbers)
        self._changed[numbers] = False
        for row in rows:
            self.own.pop(row, None)
            self.apart.pop(row, None)
        return sorted(apart)

    def restart(self) -> None:
        """Go on in a new process."""
        self._new()
        rows = list(self.own)
        self.people.restore(
            np.array(rows, dtype=np.int64),
            [self.own[row] for row in rows],
            [self.apart.get(row) for row in rows],
        )

    def written(self, row: int) -> bytes:
        """Return everybody who is written of a row, as bytes that do not depend on how they came."""
        images = [image for image in (self.own.get(row), self.apart.get(row)) if image is not None]
        return sketches.canonical_images(images, LG_K)


@pytest.mark.parametrize("seed", range(6))
def test_people_agree_with_sets_over_rests_restarts_unions_and_expiry(seed: int, spill: SpillFiles) -> None:
    rng = np.random.default_rng(seed)
    cells, seen = Cells(40, spill), defaultdict[int, set[str]](set)
    rested = 0
    for _ in range(150):
        # A few busy rows, which have a row of people, and many quiet ones.
        size = int(rng.choice([1, 5, 200]))
        rows = (40 * rng.random(size) ** 4).astype(np.int64).tolist()
        users = [f"u{number}" for number in rng.integers(0, 3_000, size).tolist()]
        what = rng.choice(["see", "look", "unite", "forget", "restart"], p=[0.7, 0.1, 0.08, 0.06, 0.06])
        if what == "see":
            cells.see(rows, users)
            for row, user in zip(rows, users, strict=True):
                seen[row].add(user)
        elif what == "look":
            cells.look(rows)
        elif what == "unite":
            cells.unite(rows[0], image_of(users))
            seen[rows[0]].update(users)
        elif what == "forget":
            had_rows = sorted(row for row in set(rows) if row in cells.apart)
            assert cells.forget(sorted(set(rows))) == had_rows
            for row in rows:
                seen.pop(row, None)
        else:
            cells.restart()
        cells.flush(rest=bool(rng.random() < 0.5))
        rested = max(rested, cells.people.resting)
        assert {row for row, image in cells.own.items() if image or row in cells.apart} == {
            row for row, known in seen.items() if known
        }
        for row, known in seen.items():
            assert cells.written(row) == canonical(known)
    assert rested > 10


@pytest.mark.parametrize("seed", range(3))
def test_what_is_written_is_the_same_whether_cells_rest_or_not(seed: int, spill: SpillFiles) -> None:
    rng = np.random.default_rng(seed)
    resting, awake = Cells(200, spill), Cells(200, spill)
    rested = 0
    for _ in range(120):
        size = int(rng.choice([1, 10, 400]))
        rows = (200 * rng.random(size) ** 3).astype(np.int64).tolist()
        users = [f"u{number}" for number in rng.integers(0, 4_000, size).tolist()]
        for cells in (resting, awake):
            cells.see(rows, users)
            cells.flush(rest=cells is resting)
        assert awake.people.resting <= resting.people.resting
        assert resting.own.keys() == awake.own.keys()
        assert resting.apart.keys() == awake.apart.keys()
        for row in set(rows):
            assert resting.written(row) == awake.written(row)
            assert len(resting.own[row] or b"") == len(awake.own[row] or b"")
        rested = max(rested, resting.people.resting)
    assert resting.apart
    assert rested > 100


def test_a_cell_rests_when_nobody_came_between_two_calls_and_wakes_with_the_next_one(
    spill: SpillFiles,
) -> None:
    cells = Cells(3, spill)
    cells.see([0, 1], ["ann", "ben"])
    cells.flush(rest=True)
    cells.see([1], ["cat"])
    cells.flush(rest=True)
    assert cells.people.resting == 0
    cells.flush(rest=True)
    assert cells.people.resting == 1
    cells.flush(rest=True)
    assert cells.people.resting == 2
    cells.see([0], ["dan"])
    assert cells.people.resting == 1
    cells.flush(rest=False)
    assert cells.written(0) == canonical(["ann", "dan"])
    assert cells.written(1) == canonical(["ben", "cat"])


def test_restored_cells_rest_without_being_read_and_a_broken_image_is_named_when_somebody_comes(
    spill: SpillFiles,
) -> None:
    people = CellPeople(LG_K, spill)
    people.reserve(3)
    crowd = image_of(f"u{number}" for number in range(100))
    people.restore(np.arange(3), [b"\x02\x01broken", b"\xff", None], [None, crowd, crowd])
    assert people.resting == 3
    for row in (0, 1):
        with pytest.raises(StateError, match="cannot be read"):
            people.wake(np.array([row]))
    people.wake(np.array([2]))
    assert people.resting == 3
    people.add(np.array([2]), ["ann"])
    assert people.resting == 2


def test_a_broken_row_of_people_is_named_when_it_is_to_be_written_anew(spill: SpillFiles) -> None:
    people = CellPeople(LG_K, spill)
    people.reserve(1)
    people.restore(np.arange(1), [None], [b"\x02\x01broken"])
    rows = np.zeros(1, dtype=np.int64)
    people.add(rows, ["ann"])
    with pytest.raises(StateError, match="cannot be read"):
        people.take(rows)


def test_images_that_are_dropped_leave_room_for_others(spill: SpillFiles) -> None:
    cells, largest = Cells(60, spill), 0
    crowds = [[f"{crowd} {number}" for number in range(20_000)] for crowd in range(4)]
    images = [image_of(crowd) for crowd in crowds]
    for day in range(60):
        # Each row is of one day, and a day is forgotten when the next but one begins.
        rows = list(range(day % 3 * 20, day % 3 * 20 + 20))
        cells.forget(rows)
        for row in rows:
            cells.unite(row, images[day % 4])
        for _ in range(3):
            cells.flush(rest=True)
        assert cells.people.resting == min(20 * (day + 1), 60)
        largest = max(largest, cells.people._images.size)
    live = sum(map(len, cells.apart.values()))
    assert live > 100_000
    assert largest < max(2 * live, SPARSE_BYTES) + live
    cells.look([45])
    cells.flush(rest=False)
    assert cells.written(45) == canonical(crowds[59 % 4])


def test_rows_of_people_that_are_written_anew_leave_no_sketches_behind(spill: SpillFiles) -> None:
    cells = Cells(3, spill)
    crowd = [f"u{number}" for number in range(400 * 60)]
    for flush in range(60):
        came = crowd[400 * flush : 400 * (flush + 1)]
        cells.see([flush % 2] * 400 + [2], [*came, came[0]])
        cells.flush(rest=False)
    # Row 0 and row 1 have a row of people anew with every flush of theirs.
    assert len(cells.people._updates) <= 1 + 3
    assert cells.written(0) == canonical(user for at, user in enumerate(crowd) if at // 400 % 2 == 0)
    assert cells.written(1) == canonical(user for at, user in enumerate(crowd) if at // 400 % 2 == 1)
    assert cells.written(2) == canonical(crowd[::400])


def bytes_a_cell(cells: int, own: bytes, apart: bytes | None, tmp_path: Path) -> float:
    people = CellPeople(LG_K, disk_files(str(tmp_path)))
    tracemalloc.start()
    try:
        people.reserve(cells)
        people.restore(np.arange(cells), [own] * cells, [apart] * cells)
        return tracemalloc.get_traced_memory()[0] / cells
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("few", "many"), [(1, 0), (20, 0), (30, 5_000)])
def test_people_at_rest_take_17_bytes_however_many_they_are(few: int, many: int, tmp_path: Path) -> None:
    own = image_of(f"f{number}" for number in range(few))
    apart = image_of(f"m{number}" for number in range(many)) if many else None
    assert bytes_a_cell(20_000, own, apart, tmp_path) < 18


@pytest.mark.parametrize("whole_bytes", [cell_people.WHOLE_BYTES, 8])
def test_cells_that_come_to_rest_leave_nothing_of_their_sketches_in_memory(
    whole_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_people, "WHOLE_BYTES", whole_bytes)
    count = 5_000
    cells = Cells(count, disk_files(str(tmp_path)))
    tracemalloc.start()
    try:
        began, _ = tracemalloc.get_traced_memory()
        # With a row of people for each where two are a crowd, and one who came since.
        for user in ("ann", "ben"):
            cells.see(list(range(count)), [user] * count)
            cells.flush(rest=False)
        awake, _ = tracemalloc.get_traced_memory()
        assert len(cells.apart) == (count if whole_bytes == 8 else 0)
        cells.own.clear()
        cells.apart.clear()
        for _ in range(2):
            cells.flush(rest=True)
        assert cells.people.resting == count
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert awake - began > 100 * count
    assert left - began < count


def test_a_crowd_is_set_apart_again_when_enough_have_come_to_it_at_rest(spill: SpillFiles) -> None:
    cells = Cells(1, spill)
    users = [f"u{number}" for number in range(3_000)]
    cells.see([0] * 2_000, users[:2_000])
    cells.flush(rest=True)
    first = cells.apart[0]
    for number in range(2_000, 3_000):
        cells.see([0], [users[number]])
        cells.flush(rest=True)
        for _ in range(2):
            cells.flush(rest=True)
        assert cells.people.resting == 1
        assert len(cells.own[0] or b"") <= len(cells.apart[0]) // cell_people.RECENT_SHARE
    assert cells.apart[0] != first
    assert cells.people._images.size < 1.2 * SPARSE_BYTES
    assert cells.written(0) == canonical(users)
