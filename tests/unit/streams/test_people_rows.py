"""Large sketches of people are written when enough has come to them, and never a person is lost by it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from streams import sketches, wire
from streams.columns import Columns
from streams.cubes import PRODUCT_DAY
from streams.days import DAY_MS
from streams.errors import StateError
from streams.fold import PartitionState
from streams.records import RecordBatch
from streams.settings import FoldSettings, Settings, ShopSettings
from streams.state import Flush, PeopleRow, StateRow
from streams.wire import StateRecord

if TYPE_CHECKING:
    from datasketches import hll_sketch

SHOP = ShopSettings("s1", timezone="Europe/London", currency="GBP")
NOON_MS = 1_749_729_600_000
CROWD = [f"u_{number}" for number in range(6_000)]


class Worker:
    """A partition whose flushes go through bytes, as on a topic: the newest record of every key is kept."""

    def __init__(self, hot_days: int = 45) -> None:
        self._settings = FoldSettings(hot_days=hot_days)
        self.topic: dict[bytes, bytes | None] = {}
        self.flushes: list[Flush] = []
        self.state = self._new()

    def _new(self) -> PartitionState:
        return PartitionState(0, shops={"s1": SHOP}, settings=self._settings, cubes=(PRODUCT_DAY,))

    def see(self, users: Sequence[str], *, at_ms: int = NOON_MS, product: str = "p1") -> Flush:
        """Let users see a product, flush, and return the flush."""
        first = self.state.next_offset("impressions")
        offsets = range(first, first + len(users))
        values = [
            json.dumps(
                {
                    "event_id": f"e{offset}",
                    "event_type": "product_impression",
                    "shop_id": "s1",
                    "occurred_at_ms": at_ms,
                    "product_id": product,
                    "user_key": user,
                }
            ).encode()
            for offset, user in zip(offsets, users, strict=True)
        ]
        self.state.fold(
            RecordBatch("impressions", 0, offsets, [at_ms] * len(users), values, [None] * len(users))
        )
        flush = self.state.take_flush()
        assert flush is not None
        self.topic.update(wire.encode_flush(flush).state)
        self.flushes.append(flush)
        return flush

    def restart(self) -> None:
        """Go on in a new process, from the bytes alone."""
        self.state = self._new()
        self.state.restore(self.stored())

    def stored(self) -> list[StateRecord]:
        return [wire.decode_state(key, value) for key, value in self.topic.items()]

    def images(self) -> list[bytes]:
        """Return all sketches that are stored, whichever row they stand in."""
        images = []
        for record in self.stored():
            if isinstance(record, StateRow):
                images.append(record.sketch)
            elif isinstance(record, PeopleRow):
                images.append(record.image)
        return [image for image in images if image is not None]

    def people(self) -> bytes:
        """Return everybody who is stored, as bytes that do not depend on how they came."""
        return sketches.canonical_images(self.images(), 12)


def crowd_of(users: Iterable[str]) -> hll_sketch:
    """Return one sketch that saw everybody itself."""
    sketch = sketches.new(12)
    for user in users:
        sketch.update(user)
    return sketch


@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_lost_over_flushes_of_any_size_and_restarts_at_any_of_them(seed: int) -> None:
    draw = random.Random(seed)
    worker, seen = Worker(), set[str]()
    for _ in range(60):
        users = draw.choices(CROWD, k=draw.choice([1, 3, 20, 90, 400]))
        worker.see(users)
        seen.update(users)
        if draw.random() < 0.3:
            worker.restart()
        assert worker.people() == sketches.canonical(crowd_of(seen))
    assert any(flush.people for flush in worker.flushes)


def test_a_board_knows_everybody_at_every_flush_whatever_it_asked_before() -> None:
    draw = random.Random(5)
    worker, seen = Worker(), set[str]()
    columns = Columns(Settings().with_shops({"s1": SHOP}))
    for number in range(60):
        users = draw.choices(CROWD, k=draw.choice([1, 3, 20, 90, 400]))
        columns.apply(worker.see(users))
        seen.update(users)
        if number % 3:
            slots = columns.cube("product_day", "s1")["slot"].to_numpy()
            (people,) = columns.people("product_day", "s1", [("p1", slots)])
            assert people == sketches.estimate(crowd_of(seen))


def test_a_board_that_starts_late_knows_everybody_from_the_newest_rows_alone() -> None:
    worker = Worker()
    for start in range(0, len(CROWD), 50):
        worker.see(CROWD[start : start + 50])
    newest = [record for record in worker.stored() if isinstance(record, StateRow)]
    people = [record for record in worker.stored() if isinstance(record, PeopleRow)]
    columns = Columns(Settings().with_shops({"s1": SHOP}))
    columns.apply(replace(worker.flushes[-1], rows=newest, people=people))
    slots = columns.cube("product_day", "s1")["slot"].to_numpy()
    assert columns.people("product_day", "s1", [("p1", slots)]) == [sketches.estimate(crowd_of(CROWD))]


def test_one_more_viewer_of_a_crowd_costs_a_fraction_of_its_sketch() -> None:
    worker = Worker()
    worker.see(CROWD)
    (whole,) = worker.flushes[-1].people
    assert whole.image is not None
    written = 0
    for number in range(1_000):
        flush = worker.see([f"new {number}"])
        written += sum(len(row.sketch or b"") for row in flush.rows)
        written += sum(len(row.image or b"") for row in flush.people)
    assert len(whole.image) > 2_000
    assert written / 1_000 < 300


def test_few_people_stand_beside_their_count_and_many_in_a_row_of_their_own() -> None:
    worker = Worker()
    few = worker.see(CROWD[:20])
    assert (len(few.rows), few.people) == (1, [])
    assert few.rows[0].sketch is not None
    many = worker.see(CROWD[:500])
    assert [row.key for row in many.people] == [many.rows[0].key]
    assert many.rows[0].sketch is None


def test_a_forgotten_cell_leaves_no_people_behind() -> None:
    worker = Worker(hot_days=1)
    columns = Columns(Settings().with_shops({"s1": SHOP}))
    columns.apply(worker.see(CROWD[:500]))
    columns.apply(worker.see(CROWD[500:520]))
    columns.apply(worker.see(["u"], at_ms=NOON_MS + 3 * DAY_MS))
    left = [record for record in worker.stored() if isinstance(record, PeopleRow) and record.image]
    assert left == []
    assert worker.people() == sketches.canonical(crowd_of(["u"]))
    worker.restart()
    columns.apply(worker.see(["v"], at_ms=NOON_MS + 3 * DAY_MS))
    assert worker.people() == sketches.canonical(crowd_of(["u", "v"]))
    slots = columns.cube("product_day", "s1")["slot"].to_numpy()
    both = sketches.estimate(crowd_of(["u", "v"]))
    assert columns.people("product_day", "s1", [("all", slots)]) == [both]


def test_a_cell_in_the_place_of_a_forgotten_one_starts_without_its_people() -> None:
    worker = Worker(hot_days=1)
    worker.see(CROWD[:500])
    flush = worker.see(["u"], at_ms=NOON_MS + 3 * DAY_MS)
    again = worker.see(["v"], at_ms=NOON_MS + 3 * DAY_MS, product="p2")
    assert {row.key.dims for row in flush.rows if row.events} == {("p1", "12")}
    images = [row.sketch for row in (*flush.rows, *again.rows) if row.sketch is not None]
    assert [sketches.estimate(sketches.load(image)) for image in images] == [1.0, 1.0]


def test_state_whose_rows_carry_everybody_goes_on() -> None:
    worker = Worker()
    row = worker.see(["u"]).rows[0]
    whole = row._replace(events=500, keyed=500, sketch=sketches.dump(crowd_of(CROWD[:500])))
    worker.topic = dict(wire.encode_flush(replace(worker.flushes[-1], rows=[whole])).state)
    worker.restart()
    worker.see(CROWD[500:510])
    assert worker.people() == sketches.canonical(crowd_of(CROWD[:510]))


def test_a_row_of_people_survives_the_wire_and_its_tombstone_too() -> None:
    worker = Worker()
    row = worker.see(CROWD[:500]).people[0]
    for people in (row, row._replace(image=None)):
        ((key, value), *_) = wire.encode_flush(replace(worker.flushes[-1], rows=[], people=[people])).state
        assert wire.decode_state(key, value) == people


def test_a_row_of_people_of_another_definition_is_refused_with_the_remedy() -> None:
    worker = Worker()
    row = worker.see(CROWD[:500]).people[0]
    other = row._replace(key=row.key._replace(definition="00000000"))
    ((key, value), *_) = wire.encode_flush(replace(worker.flushes[-1], rows=[], people=[other])).state
    with pytest.raises(StateError, match="another definition"):
        wire.decode_state(key, value)
