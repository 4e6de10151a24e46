"""Records that could not count, found and sent again on a real Kafka."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents import dead_letters, topics
from streams.errors import QueryError
from streams.outcomes import Outcome
from streams.records import DEAD_LETTER_BYTES, MAX_RECORD_BYTES
from streams.settings import Settings
from tests import world
from tests.workers import WorkerProcess

pytestmark = pytest.mark.timeout(90)

AT_MS = world.BEGIN_MS
TOO_LARGE = b'{"event_type":"product_impression","pad":"' + b"x" * MAX_RECORD_BYTES + b'"}'
FUTURE = json.dumps(world.event("product_click", 1, AT_MS + 600_000, product_id="p1")).encode()


@pytest.fixture
async def settings(world_settings: Settings, tmp_path: Path) -> AsyncIterator[Settings]:
    """A world with three dead letters on partition 0 (one cut, one null, one on the wrong topic) and a live worker."""
    settings = world.with_kafka(world_settings, partitions=1)
    await topics.ensure(settings)
    worker = WorkerProcess(settings, tmp_path, "worker").start()
    try:
        await world.send(
            settings,
            [
                world.Record("impressions", "a", AT_MS, TOO_LARGE),
                world.Record("impressions", "b", AT_MS + 1, None),
                # A click that came on the wrong topic and, by its time, from the future.
                world.Record("impressions", "c", AT_MS + 2, FUTURE),
            ],
        )
        await world.settled(settings, 3, within_s=30)
        yield settings
    finally:
        await worker.stop()


async def test_they_are_listed_newest_first_with_their_reason_and_place(settings: Settings) -> None:
    letters = await dead_letters.find(settings)
    assert [(letter.place, letter.outcome) for letter in letters] == [
        ("impressions/0/2", Outcome.REJECTED_FUTURE),
        ("impressions/0/1", Outcome.REJECTED_SCHEMA),
        ("impressions/0/0", Outcome.REJECTED_SIZE),
    ]
    assert letters[2].value_bytes == len(TOO_LARGE)
    assert len(letters[2].value or b"") == DEAD_LETTER_BYTES
    assert letters[0].value == FUTURE
    assert letters[0].key == b"c"


async def test_they_can_be_narrowed_to_a_reason_a_topic_and_a_number(settings: Settings) -> None:
    assert [letter.offset for letter in await dead_letters.find(settings, limit=1)] == [2]
    by_reason = await dead_letters.find(settings, outcomes={Outcome.REJECTED_SIZE})
    assert [letter.offset for letter in by_reason] == [0]
    assert await dead_letters.find(settings, topic="orders") == []


async def test_one_is_shown_by_its_place_and_an_unknown_place_is_refused(settings: Settings) -> None:
    assert (await dead_letters.get(settings, "impressions/0/1")).value is None
    with pytest.raises(QueryError, match="No dead letter stands under orders/0/99"):
        await dead_letters.get(settings, "orders/0/99")
    with pytest.raises(QueryError, match="is not a place"):
        await dead_letters.get(settings, "orders")


async def test_half_a_record_and_no_record_are_not_sent_and_neither_is_what_was_named_with_them(
    settings: Settings,
) -> None:
    with pytest.raises(QueryError, match="half a record is not sent"):
        await dead_letters.send_again(settings, ["impressions/0/2", "impressions/0/0"])
    with pytest.raises(QueryError, match="had no value"):
        await dead_letters.send_again(settings, ["impressions/0/1"])
    assert (await world.stored(settings)).read == 3


async def test_sent_again_a_record_goes_to_the_topic_of_its_type_and_a_repaired_one_counts(
    settings: Settings,
) -> None:
    sent = await dead_letters.send_again(settings, ["impressions/0/2"])
    assert [again.sent_to for again in sent] == ["clicks/0/0"]
    repaired = json.dumps(world.event("product_click", 1, AT_MS, product_id="p1")).encode()
    sent = await dead_letters.send_again(settings, ["impressions/0/2"], repaired=repaired)
    assert str(sent[0]) == "impressions/0/2 sent again as clicks/0/1, repaired"
    padded = repaired[:-1] + b', "pad": "' + b"x" * (MAX_RECORD_BYTES - len(repaired) - 11) + b'"}'
    assert len(padded) == MAX_RECORD_BYTES
    await dead_letters.send_again(settings, ["impressions/0/2"], repaired=padded.replace(b'"e1"', b'"e2"'))
    merged = await world.settled(settings, 6, within_s=30)
    # The bytes as they were are rejected once more, at their old time; the repaired ones are in the numbers,
    # as large as a record may be, too.
    assert merged.outcomes["clicks"] == {Outcome.REJECTED_FUTURE: 1, Outcome.COUNTED: 2}


async def test_one_repair_for_several_records_is_refused(settings: Settings) -> None:
    with pytest.raises(QueryError, match="belongs to one dead letter, 2 are named"):
        await dead_letters.send_again(settings, ["impressions/0/0", "impressions/0/1"], repaired=b"{}")


async def test_a_repair_that_is_larger_than_a_record_may_be_is_refused_before_it_is_sent(
    settings: Settings,
) -> None:
    with pytest.raises(QueryError, match="has 1048577 bytes, at most 1048576 are taken"):
        await dead_letters.send_again(settings, ["impressions/0/2"], repaired=b"x" * (MAX_RECORD_BYTES + 1))
