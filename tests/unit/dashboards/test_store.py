"""What both kinds of store hold: all or nothing, one owner, nothing lost by a restart of a board."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from dashboards.desk import KEEP_MS, Desk
from dashboards.outbox import Outbox
from dashboards.store import RedisStore, SqliteStore, Store, StoreError, StoreTakenError
from streams.incidents import Ack, Mute
from streams.settings import NotifySettings
from tests.processes import Redis, running_redis
from tests.unit.dashboards.receivers import Clock, Recorder, page
from tests.unit.dashboards.stores import KINDS, store_maker

NewStore = Callable[[str], Store]


@pytest.fixture(params=KINDS)
async def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NewStore]:
    made: list[Store] = []
    maker = store_maker(request, tmp_path)

    def make(name: str) -> Store:
        made.append(maker(name))
        return made[-1]

    yield make
    for store in made:
        await store.close()


async def test_what_was_written_is_read_by_another_connection(new_store: NewStore) -> None:
    await new_store("a").write({"k/ä \n": b"\x00\xff", "gone": b"1"})
    await new_store("a").write({"gone": None})
    assert await new_store("a").read() == {"k/ä \n": b"\x00\xff"}


async def test_stores_of_other_names_are_apart(new_store: NewStore) -> None:
    await new_store("a").write({"key": b"1"})
    assert await new_store("b").read() == {}


async def test_the_version_rises_with_every_write(new_store: NewStore) -> None:
    store = new_store("a")
    before = await store.version()
    await new_store("a").write({"key": b"1"})
    assert await store.version() > before


async def test_whoever_was_taken_over_writes_nothing_more(new_store: NewStore) -> None:
    old, new = new_store("a"), new_store("a")
    fence = await old.take()
    await old.write({"key": b"old"}, fence=fence)
    newer = await new.take()
    with pytest.raises(StoreTakenError):
        await old.write({"key": b"stale", "other": b"stale"}, fence=fence)
    await new.write({"more": b"new"}, fence=newer)
    assert await new.read() == {"key": b"old", "more": b"new"}


async def test_five_thousand_entries_are_one_write(new_store: NewStore) -> None:
    store = new_store("a")
    entries: dict[str, bytes | None] = {f"key/{number}": b"x" * 500 for number in range(5_000)}
    await store.write(entries)
    assert len(await store.read()) == 5_000


async def test_a_board_that_slept_through_its_lease_reads_again_what_its_successor_noted(
    new_store: NewStore,
) -> None:
    clock, settings = Clock(), NotifySettings(group_wait_ms=0)
    boxes, routes = [], []
    for _ in range(2):
        route = Recorder("slack", per_alert=True)
        routes.append(route)
        boxes.append(Outbox(new_store("o"), Desk(new_store("d")), [route], settings, clock=clock))
    first, second = boxes
    await first.offer([page(1)], now_ms=clock.now_ms)
    await first.deliver_due()
    await second.offer([page(1), page(2)], now_ms=clock.now_ms)
    await second.deliver_due()
    # The first one wakes up with what it remembers; its next write is refused and it starts from the store.
    with pytest.raises(StoreTakenError):
        await first.offer([page(1), page(2), page(3)], now_ms=clock.now_ms)
    await first.offer([page(1), page(2), page(3)], now_ms=clock.now_ms)
    await first.deliver_due()
    told = [key for route in routes for key, _ in route.told]
    assert sorted(told) == sorted(page(number).alert_id for number in (1, 2, 3))


async def test_reading_the_log_takes_nothing_over(new_store: NewStore) -> None:
    clock, settings = Clock(), NotifySettings(group_wait_ms=0)
    holder, other = (
        Outbox(new_store("o"), Desk(new_store("d")), [Recorder("slack")], settings, clock=clock)
        for _ in range(2)
    )
    await holder.offer([page(1)], now_ms=clock.now_ms)
    assert [each.subject for each in await other.log()] == [page(1).alert_id]
    # The one that delivers still may.
    await holder.offer([page(1), page(2)], now_ms=clock.now_ms)
    assert len(await other.log()) == 2


# --- the desk -----------------------------------------------------------------------------------------------------


async def test_what_one_board_notes_the_others_know(new_store: NewStore) -> None:
    here, there = Desk(new_store("d")), Desk(new_store("d"))
    await there.refresh()
    await here.acknowledge(["x"], Ack("Ann", 1))
    await here.mute(Mute("m", "Ann", "", 1, 100, rule="A-01"))
    await there.refresh()
    assert there.acks == {"x": Ack("Ann", 1)}
    assert there.muted(page(), 99) is not None
    assert there.muted(page(), 100) is None
    assert await there.unmute("m")
    await here.refresh()
    assert here.mutes == {}


async def test_old_acknowledgements_and_ended_mutes_are_removed(new_store: NewStore) -> None:
    desk = Desk(new_store("d"))
    await desk.acknowledge(["old"], Ack("Ann", 1))
    await desk.acknowledge(["new"], Ack("Ann", KEEP_MS + 2))
    assert set(desk.acks) == {"new"}
    await desk.mute(Mute("ended", "Ann", "", 1, 10, rule="A-01"))
    await desk.mute(Mute("running", "Ann", "", 10, 20, rule="A-01"))
    assert set(desk.mutes) == {"running"}


# --- stores that fail ---------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_said_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite3").mkdir()
    with pytest.raises(StoreError, match=r"board\.data_dir"):
        SqliteStore(tmp_path / "outbox.sqlite3", "outbox")


async def test_redis_that_is_away_is_said_without_its_password() -> None:
    store = RedisStore("redis://:s3cret@127.0.0.1:1/0", "x")
    with pytest.raises(StoreError) as error:
        await store.read()
    assert "s3cret" not in str(error.value)
    await store.close()


@pytest.mark.integration
async def test_a_redis_that_forgot_everything_is_told_again_by_the_board_that_delivers(
    tmp_path: Path,
) -> None:
    clock, route = Clock(), Recorder("pagerduty")
    with running_redis(tmp_path) as server:
        store, desk = RedisStore(server.url, "o"), Desk(RedisStore(server.url, "d"))
        box = Outbox(store, desk, [route], NotifySettings(group_wait_ms=0), clock=clock)
        await box.offer([page(1)], now_ms=clock.now_ms)
        await box.deliver_due()
        await forget(server)
        await box.offer([page(1), page(2)], now_ms=clock.now_ms)
        await box.deliver_due()
        successor = RedisStore(server.url, "o")
        later = Outbox(successor, desk, [route], NotifySettings(group_wait_ms=0), clock=clock)
        await later.offer([page(1), page(2)], now_ms=clock.now_ms)
        await later.deliver_due()
        for each in (store, successor, desk):
            await each.close()
    assert sorted(route.told) == [(page(1).alert_id, "open"), (page(2).alert_id, "open")]


async def forget(server: Redis) -> None:
    import redis.asyncio

    connection = redis.asyncio.Redis.from_url(server.url)
    await connection.flushall()
    await connection.aclose()
