"""Page viewers and adders of a product's day: nobody is lost by flushes and restarts, and few bytes are written."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import pytest

from streams import theta, wire
from streams.columns import Columns
from streams.cubes import CUBES, PRODUCT_DAY, PRODUCT_THETA, Cube
from streams.days import DAY_MS
from streams.errors import StateError
from streams.fold import PartitionState
from streams.records import RecordBatch
from streams.settings import FoldSettings, Settings, ShopSettings
from streams.state import Flush, PeopleRow, StateRow
from streams.theta_cells import RECENT_BYTES, ThetaCells
from streams.wire import StateRecord

SHOP = ShopSettings("s1", timezone="Europe/London", currency="GBP")
NOON_MS = 1_749_729_600_000
CROWD = [f"u_{number}" for number in range(12_000)]
TOPICS = {
    "product_impression": "impressions",
    "product_click": "clicks",
    "product_page_view": "page_views",
    "add_to_cart": "add_to_cart",
}


class Worker:
    """A partition whose flushes go through bytes, as on a topic: the newest record of every key is kept."""

    def __init__(
        self, *, partition: int = 0, hot_days: int = 45, cubes: Sequence[Cube] = (PRODUCT_THETA,)
    ) -> None:
        self._partition, self._cubes = partition, cubes
        self._settings = FoldSettings(hot_days=hot_days)
        self.topic: dict[bytes, bytes | None] = {}
        self.flushes: list[Flush] = []
        self.state = self._new()

    def _new(self) -> PartitionState:
        return PartitionState(self._partition, shops={"s1": SHOP}, settings=self._settings, cubes=self._cubes)

    def see(
        self,
        users: Sequence[str | None],
        *,
        kind: str = "product_page_view",
        product: str = "p1",
        at_ms: int = NOON_MS,
    ) -> None:
        """Let users do something with a product."""
        topic = TOPICS[kind]
        first = self.state.next_offset(topic)
        offsets = range(first, first + len(users))
        event = {"event_type": kind, "shop_id": "s1", "occurred_at_ms": at_ms, "product_id": product}
        values = [
            json.dumps(
                event | {"event_id": f"e{offset}"} | ({} if user is None else {"user_key": user})
            ).encode()
            for offset, user in zip(offsets, users, strict=True)
        ]
        self.state.fold(
            RecordBatch(topic, self._partition, offsets, [at_ms] * len(users), values, [None] * len(users))
        )

    def flush(self) -> Flush:
        """Write what changed."""
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

    def people(self, kind: str = "product_page_view") -> bytes:
        """Return everybody who is stored, as bytes that do not depend on how they came."""
        images = []
        for record in self.stored():
            if isinstance(record, StateRow) and record.key.event_type == kind:
                images.append(record.sketch)
            elif isinstance(record, PeopleRow) and record.key.event_type == kind:
                images.append(record.image)
        return theta.unite(12, [image for image in images if image is not None])

    def counts(self) -> dict[str, tuple[int | None, int]]:
        rows = [record for record in self.stored() if isinstance(record, StateRow)]
        return {row.key.event_type: (row.events, row.keyed) for row in rows}


def crowd_of(users: set[str]) -> bytes:
    """Return the image of one sketch that saw everybody itself."""
    sketch = theta.new(12)
    for user in sorted(users):
        sketch.update(user)
    return theta.unite(12, [], sketch)


@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_lost_over_flushes_of_any_size_and_restarts_at_any_of_them(seed: int) -> None:
    """More people than a sketch holds."""
    draw = random.Random(seed)
    worker = Worker()
    seen: dict[str, set[str]] = {"product_page_view": set(), "add_to_cart": set()}
    for _ in range(60):
        for kind, crowd in seen.items():
            users = draw.choices(CROWD, k=draw.choice([1, 3, 20, 90, 900]))
            worker.see(users, kind=kind)
            crowd.update(users)
        worker.flush()
        if draw.random() < 0.3:
            worker.restart()
        assert worker.people() == crowd_of(seen["product_page_view"])
        assert worker.people("add_to_cart") == crowd_of(seen["add_to_cart"])
    assert min(map(len, seen.values())) > 1 << 12
    assert any(flush.people for flush in worker.flushes)


def test_a_fetch_of_any_size_before_a_flush_gives_the_same_people() -> None:
    draw = random.Random(9)
    users = draw.choices(CROWD, k=9_000)
    one, many = Worker(), Worker()
    one.see(users)
    one.flush()
    left = list(users)
    while left:
        size = draw.randint(1, 700)
        many.see(left[:size])
        left = left[size:]
        if draw.random() < 0.5:
            many.flush()
    if many.state.changed:
        many.flush()
    assert one.people() == many.people() == crowd_of(set(users))


def test_one_more_viewer_of_a_crowd_costs_a_fraction_of_its_sketch() -> None:
    worker = Worker()
    worker.see(CROWD[:6_000])
    (whole,) = worker.flush().people
    assert whole.image is not None
    assert len(whole.image) > 30_000
    written = []
    for user in CROWD[6_000:6_600]:
        worker.see([user])
        flush = worker.flush()
        written.append(sum(len(row.sketch or b"") for row in flush.rows))
        written[-1] += sum(len(row.image or b"") for row in flush.people)
    assert sum(written) / len(written) < len(whole.image) / 32
    assert worker.people() == crowd_of(set(CROWD[:6_600]))


def test_few_people_stand_in_the_cells_own_row_and_many_in_a_row_of_their_own() -> None:
    worker = Worker()
    worker.see(CROWD[: RECENT_BYTES // 8 - 2])
    few = worker.flush()
    assert [len(few.rows), few.people] == [1, []]
    worker.see(CROWD[:100])
    many = worker.flush()
    assert [row.key for row in many.people] == [many.rows[0].key]
    assert many.rows[0].sketch is None


def test_impressions_and_clicks_touch_nothing() -> None:
    worker = Worker()
    worker.see(CROWD[:300], kind="product_impression")
    worker.see(CROWD[:300], kind="product_click")
    flush = worker.flush()
    assert [flush.rows, flush.people] == [[], []]


def test_events_without_a_user_are_counted_and_are_no_people() -> None:
    worker = Worker()
    worker.see([None, "u1", None])
    worker.see([None], kind="add_to_cart")
    worker.flush()
    assert worker.counts() == {"product_page_view": (3, 1), "add_to_cart": (1, 0)}
    assert worker.people() == crowd_of({"u1"})
    worker.see([None])
    assert worker.flush().rows[0].sketch is not None
    worker.restart()
    worker.see(["u2"])
    worker.flush()
    assert worker.counts()["product_page_view"] == (5, 2)
    assert worker.people() == crowd_of({"u1", "u2"})


def test_a_day_that_is_over_is_forgotten_in_the_state_and_does_not_come_back() -> None:
    worker = Worker(hot_days=1)
    worker.see(CROWD[:500])
    worker.see(CROWD[:3], kind="add_to_cart")
    worker.flush()
    worker.see(["u"], at_ms=NOON_MS + 3 * DAY_MS)
    worker.flush()
    left = [record for record in worker.stored() if isinstance(record, StateRow) and record.events]
    assert [row.key.event_type for row in left] == ["product_page_view"]
    assert not [record for record in worker.stored() if isinstance(record, PeopleRow) and record.image]
    assert worker.people() == crowd_of({"u"})
    worker.restart()
    worker.see(["v"], at_ms=NOON_MS + 3 * DAY_MS)
    worker.flush()
    assert worker.people() == crowd_of({"u", "v"})


def test_cells_go_on_when_names_are_coded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.cube_set._NAMES_FREE", -1)
    worker = Worker()
    for quarter in range(6):
        at_ms = NOON_MS + quarter * 900_000
        for product in ("p2", "p1") if quarter % 2 else ("p1", "p2"):
            worker.see([f"{product} {quarter}"], product=product, at_ms=at_ms)
        worker.flush()
    rows = {row.key.dims: row.events for row in worker.stored() if isinstance(row, StateRow)}
    assert rows == {("p1",): 6, ("p2",): 6}
    images = {row.key.dims: row.sketch for row in worker.stored() if isinstance(row, StateRow)}
    assert images["p1",] == crowd_of({f"p1 {quarter}" for quarter in range(6)})


def test_a_board_unites_what_partitions_know_before_it_compares() -> None:
    """Producers may key page views and presses otherwise: a person's two events need not share a partition."""
    workers = [Worker(partition=number) for number in range(3)]
    draw = random.Random(3)
    viewers, adders = CROWD[:2_500], CROWD[2_000:3_000]
    for users, kind in ((viewers, "product_page_view"), (adders, "add_to_cart")):
        places = [draw.randrange(3) for _ in users]
        for number, worker in enumerate(workers):
            own = [user for user, place in zip(users, places, strict=True) if place == number]
            worker.see(own, kind=kind)
    columns = Columns(Settings().with_shops({"s1": SHOP}))
    for worker in workers:
        columns.apply(worker.flush())
    slots = {row["event_type"]: row["slot"] for row in columns.cube("product_theta", "s1").to_dicts()}
    pair = (slots["product_page_view"], slots["add_to_cart"])
    assert columns.overlaps("product_theta", "s1", [pair]) == [(2_500, 500, 0)]
    workers[1].see(CROWD[2_500:2_600])
    columns.apply(workers[1].flush())
    assert columns.overlaps("product_theta", "s1", [pair, (pair[0], None)]) == [
        (2_600, 600, 0),
        (2_600, 0, 0),
    ]


def test_an_overlap_that_was_asked_for_before_takes_in_who_came_since_to_either_crowd() -> None:
    worker, columns = Worker(), Columns(Settings().with_shops({"s1": SHOP}))
    viewed, added = 0, 0
    # Few at first, then enough for images of their own row, with flushes in which nobody new comes.
    for viewers, adders in ((3, 2), (3, 3), (40, 3), (40, 30), (40, 30), (900, 30), (900, 600), (2_000, 600)):
        worker.see(CROWD[viewed:viewers] or CROWD[:1])
        worker.see(CROWD[added:adders] or CROWD[:1], kind="add_to_cart")
        viewed, added = viewers, adders
        columns.apply(worker.flush())
        slots = {row["event_type"]: row["slot"] for row in columns.cube("product_theta", "s1").to_dicts()}
        pair = (slots["product_page_view"], slots["add_to_cart"])
        expected = [(viewers, adders, 0), (viewers, 0, 0)]
        assert columns.overlaps("product_theta", "s1", [pair, (pair[0], None)]) == expected


def test_state_of_a_version_without_these_rows_is_taken_over() -> None:
    older = Worker(cubes=[cube for cube in CUBES if cube is not PRODUCT_THETA])
    older.see(["u1"])
    older.flush()
    newer = Worker(cubes=CUBES)
    newer.topic = older.topic
    newer.restart()
    newer.see(["u2"])
    newer.flush()
    rows = {row.key.cube: row.events for row in newer.stored() if isinstance(row, StateRow)}
    assert (rows["product_day"], rows["product_theta"]) == (2, 1)


def test_a_damaged_image_stops_the_worker_with_the_remedy() -> None:
    worker = Worker()
    worker.see(["u1"])
    row = worker.flush().rows[0]
    worker.state = worker._new()
    worker.state.restore([row._replace(sketch=b"no sketch")])
    worker.see(["u2"])
    with pytest.raises(StateError, match="cannot be read"):
        worker.state.take_flush()


def test_only_a_cube_by_product_has_these_cells() -> None:
    with pytest.raises(ValueError, match="product_day"):
        ThetaCells(PRODUCT_DAY)
