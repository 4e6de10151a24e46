"""One generated day by every way: direct engine or Kafka, any speed, any number of workers and partitions, any order.

The day is recorded three times. `plain` is as generated. `repeated` has one record in twenty a second time, with an R
within the repeat window of the first, and records that cannot count. `moved` holds the records of `repeated`, each with
its R, in an order that is up to the allowed lateness off. Whatever way `repeated` or `moved` goes, it must come to what
the direct engine makes of `repeated` in one partition; and that, to what it makes of `plain`, as far as the additions
cannot matter.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from agents.board import KafkaBoard
from replay.direct import direct_flushes, load_columns
from replay.generator.scenario import generate
from replay.player import PlayReport, play
from replay.recording import Line, Recording
from replay.writing import RecordingWriter
from streams.catalogue import METRICS
from streams.columns import Columns
from streams.errors import QueryError
from streams.outcomes import COUNTING, REPEATED, Outcome
from streams.query import parse_request, run
from streams.settings import FoldSettings, Settings
from streams.state import Flush
from streams.topics import short_name
from tests import world
from tests.workers import WorkerProcess
from warroom.replaying import folded, player_world, world_of

pytestmark = [pytest.mark.timeout(150), pytest.mark.slow]

SCALE: Final = 0.05
"""About 30,000 records, more than half of them heartbeats."""

SEED: Final = 5
FOLD: Final = FoldSettings()

FAST_UNTIL_MS: Final = 1_795_842_000_000
"""2026-11-27T21:00 in Los Angeles, when the flash sale begins."""

SPEED: Final = 600.0
SLICE_UNTIL_MS: Final = FAST_UNTIL_MS + 50 * 60_000
"""Fifty minutes at 600x are five seconds, with several flushes and a feed that falls silent."""

BROKEN: Final[dict[bytes | None, Outcome]] = {
    b"": Outcome.REJECTED_SCHEMA,
    None: Outcome.REJECTED_SCHEMA,
    b'{"event_id":"\xff"}': Outcome.REJECTED_SCHEMA,
    b'{"event_type":"teleported"}': Outcome.REJECTED_TYPE,
    b'{"event_id":"x","event_type":"product_page_view","shop_id":"elsewhere","occurred_at_ms":1,"product_id":"p"}': (
        Outcome.REJECTED_SHOP
    ),
}
"""Values that a producer may send by mistake, and what must become of them."""

BROKEN_ON: Final = "page_views"
"""Not on impressions: most of their batches shall be valid as a whole and take the columnar way."""


@dataclass(frozen=True)
class Days:
    """The three recordings, and what was added to the first."""

    plain: Recording
    repeated: Recording
    moved: Recording
    repeats: Counter[str]
    broken: Counter[Outcome]


def write(folder: Path, like: Recording, lines: Iterable[Line]) -> Recording:
    with RecordingWriter(folder, like.manifest, compression="none") as writer:
        for line in lines:
            key = None if line.key is None else line.key.decode()
            writer.write(line.topic, key, line.timestamp_ms, line.value)
    return Recording.open(folder)


def repeats_of(lines: Sequence[Line], draw: random.Random) -> Iterator[Line]:
    """Yield one record in twenty again. Only first copies: a copy of a copy may be outside the window of the first."""
    seen: set[tuple[str, str]] = set()
    delays_ms = (0, 1, 60_000, FOLD.repeat_window_ms - 1, FOLD.repeat_window_ms)
    for line in lines:
        identity = (line.topic, json.loads(line.value or b"{}")["event_id"])
        if identity not in seen and draw.random() < 0.05:
            yield line._replace(timestamp_ms=line.timestamp_ms + draw.choice(delays_ms))
        seen.add(identity)


def in_order(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: line.timestamp_ms)


def disordered(lines: Iterable[Line], draw: random.Random) -> list[Line]:
    """Move records, each with its R, to where R could have been up to the allowed lateness later."""
    moved = [(line.timestamp_ms + draw.randint(0, FOLD.allowed_lateness_ms), line) for line in lines]
    return [line for _, line in sorted(moved, key=lambda place: place[0])]


def merged(flushes: Iterable[Flush]) -> world.Merged:
    """Merge the newest record of every key of every partition."""
    newest: defaultdict[int, dict[object, object]] = defaultdict(dict)
    for flush in flushes:
        part = newest[flush.partition]
        part |= {row.key: row for row in flush.rows}
        part |= {("people", row.key): row for row in flush.people}
        part |= {fact.key: fact for fact in flush.facts}
        part |= {position.topic: position for position in flush.positions}
    return world.merge(part.values() for part in newest.values())


def assert_equal(found: world.Merged, wanted: world.Merged) -> None:
    assert world.differences(found, wanted) == {"lost": 0, "double": 0, "differ": 0, "examples": []}


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Days:
    folder = tmp_path_factory.mktemp("days")
    generate(folder / "plain", seed=SEED, scale=SCALE)
    plain = Recording.open(folder / "plain")
    draw = random.Random(SEED)
    lines = list(plain.lines())
    repeats = list(repeats_of(lines, draw))
    values = [value for value in BROKEN for _ in range(8)]
    broken = [
        Line(f"cm.{BROKEN_ON}", f"b{number}".encode(), draw.choice(lines).timestamp_ms, value)
        for number, value in enumerate(values)
    ]
    more = in_order([*lines, *repeats, *broken])
    return Days(
        plain,
        write(folder / "repeated", plain, more),
        write(folder / "moved", plain, disordered(more, draw)),
        Counter(str(short_name("cm.", line.topic)) for line in repeats),
        Counter(BROKEN[value] for value in values),
    )


@pytest.fixture(scope="module")
def wanted(days: Days) -> world.Merged:
    """What the direct engine makes of the day with repeats, in one partition."""
    return merged(direct_flushes(days.repeated, Settings()))


def test_the_day_is_what_these_tests_need(days: Days, wanted: world.Merged) -> None:
    lines = list(days.repeated.lines())
    moved = list(days.moved.lines())
    assert 20_000 < len(lines) < 45_000
    assert 0.03 < days.repeats.total() / len(lines) < 0.07
    assert Counter(moved) == Counter(lines)
    elsewhere = sum(one != other for one, other in zip(moved, lines, strict=True))
    assert elsewhere > len(lines) / 2
    assert days.moved.warnings, "the lines are out of the order of R"
    assert sum(FAST_UNTIL_MS < line.timestamp_ms <= SLICE_UNTIL_MS for line in lines) > 1_000
    seen = Counter[Outcome]()
    for outcomes in wanted.outcomes.values():
        seen += outcomes
    assert seen.keys() >= {*COUNTING, *REPEATED, *BROKEN.values()}


def test_repeats_and_broken_records_change_nothing_but_their_own_outcomes(
    days: Days, wanted: world.Merged
) -> None:
    plain = merged(direct_flushes(days.plain, Settings()))
    assert wanted.rows == plain.rows
    assert facts_but_copies(wanted) == facts_but_copies(plain)
    broken = sum(days.broken.values())
    for topic, outcomes in wanted.outcomes.items():
        before = plain.outcomes[topic]
        assert outcomes.total() == before.total() + days.repeats[topic] + broken * (topic == BROKEN_ON)
        assert {outcome: outcomes[outcome] for outcome in COUNTING} == {
            outcome: before[outcome] for outcome in COUNTING
        }
        again = sum(outcomes[outcome] - before[outcome] for outcome in REPEATED)
        assert again == days.repeats[topic]
    rejected = {outcome: wanted.outcomes[BROKEN_ON][outcome] for outcome in days.broken}
    assert rejected == days.broken


def facts_but_copies(found: world.Merged) -> dict[object, object]:
    return {key: row._replace(copies=0) for key, row in found.facts.items()}


@pytest.mark.parametrize(("name", "partitions"), [("repeated", 8), ("moved", 1), ("moved", 8)])
def test_the_direct_engine_gives_the_same_in_any_number_of_partitions_and_any_order(
    days: Days, wanted: world.Merged, name: str, partitions: int
) -> None:
    recording: Recording = getattr(days, name)
    assert_equal(merged(direct_flushes(recording, Settings(), partitions=partitions)), wanted)


def test_a_lost_record_a_late_repeat_and_a_changed_record_are_noticed(
    days: Days, wanted: world.Merged, tmp_path: Path
) -> None:
    """The comparison that everything here rests on must be able to fail."""
    lines = list(days.repeated.lines())
    seen = Counter(line.value for line in lines)
    line = next(line for line in lines if line.topic == "cm.clicks" and seen[line.value] == 1)
    after_ms = line.timestamp_ms + FOLD.repeat_window_ms + 1
    value = (line.value or b"").replace(b'"user_key":"', b'"user_key":"another ')
    assert value != line.value
    others = [one for one in lines if one is not line]
    for number, (changed, lost, double) in enumerate(
        [
            (others, True, False),
            (in_order([*lines, line._replace(timestamp_ms=after_ms)]), False, True),
            (in_order([*others, line._replace(value=value)]), False, False),
        ]
    ):
        recording = write(tmp_path / str(number), days.plain, changed)
        found = world.differences(merged(direct_flushes(recording, Settings())), wanted)
        assert found["differ"]
        assert (bool(found["lost"]), bool(found["double"])) == (lost, double)


@asynccontextmanager
async def played(
    recording: Recording,
    settings: Settings,
    folder: Path,
    *,
    workers: int,
    speed: float | None = None,
    fast_until_ms: int | None = None,
    to_ms: int | None = None,
) -> AsyncIterator[tuple[KafkaBoard, PlayReport]]:
    """Play to workers that run already, and hand out the board that has read all that they made of it.

    The workers end when the caller is done, gently and with code 0.
    """
    processes = [WorkerProcess(settings, folder, f"worker{number}") for number in range(workers)]
    world_of_topics = player_world(settings)
    await world_of_topics.create()
    board = KafkaBoard(settings, lambda: 0)
    for process in processes:
        process.start()
    await board.start()
    try:
        report = await play(
            recording,
            settings,
            world_of_topics,
            speed=speed,
            fast_until_ms=fast_until_ms,
            to_ms=to_ms,
            keep=True,
        )
        await folded(board, report.clock_ms)
        yield board, report
    finally:
        codes = [await process.stop() for process in processes]
        await board.stop()
    assert codes == [0] * workers, "\n".join(process.log.read_text() for process in processes)


def settings_for(
    recording: Recording, base: Settings, partitions: int, speed: float | None = None
) -> Settings:
    settings = world_of(recording, replace(base, shops={}), base.replay_id, speed)
    # Many flushes, so that many versions of a row meet.
    return world.with_kafka(settings, partitions=partitions, flush_after_ms=100)


@pytest.mark.parametrize(
    ("name", "partitions", "workers"),
    [("repeated", 1, 1), ("moved", 8, 1), ("moved", 8, 3), ("repeated", 1, 3)],
)
async def test_kafka_at_top_speed_gives_what_the_direct_engine_gives(
    days: Days,
    wanted: world.Merged,
    world_settings: Settings,
    tmp_path: Path,
    name: str,
    partitions: int,
    workers: int,
) -> None:
    recording: Recording = getattr(days, name)
    settings = settings_for(recording, world_settings, partitions)
    async with played(recording, settings, tmp_path, workers=workers) as (board, report):
        assert not report.unread
        assert report.total == wanted.read
        assert outcomes_of(board.columns) == wanted.outcomes
        if workers > 1 and partitions > 1:
            assert_same_answers(board, load_columns(days.repeated, settings), window="all")
    assert_equal(await world.stored(settings), wanted)


async def test_kafka_at_600x_gives_what_the_direct_engine_gives(
    days: Days, world_settings: Settings, tmp_path: Path
) -> None:
    settings = settings_for(days.moved, world_settings, 8, SPEED)
    async with played(
        days.moved,
        settings,
        tmp_path,
        workers=1,
        speed=SPEED,
        fast_until_ms=FAST_UNTIL_MS,
        to_ms=SLICE_UNTIL_MS,
    ) as (board, report):
        assert report.seconds > 0.9 * (SLICE_UNTIL_MS - FAST_UNTIL_MS) / 1_000 / SPEED
        columns = load_columns(days.repeated, settings, until_ms=SLICE_UNTIL_MS)
        assert_same_answers(board, columns, window="today")
    wanted = merged(direct_flushes(days.repeated, Settings(), until_ms=SLICE_UNTIL_MS))
    assert_equal(await world.stored(settings), wanted)


def outcomes_of(columns: Columns) -> dict[str, Counter[Outcome]]:
    return {topic: Counter(outcomes) for topic, outcomes in columns.outcomes().items()}


def assert_same_answers(board: KafkaBoard, columns: Columns, *, window: str) -> None:
    """Ask every metric by each of its dimensions: both answer alike, or refuse for one reason."""
    now_ms = columns.vouched_ms
    assert board.columns.vouched_ms == now_ms == board.now_ms()
    answered = 0
    for metric in METRICS.values():
        for by in ("", *metric.dims):
            question = {"metrics": metric.id, "by": by, "window": window}
            found, expected = answer(board.columns, question, now_ms), answer(columns, question, now_ms)
            assert found == expected, question
            answered += isinstance(expected, dict)
    assert answered > 400


def answer(columns: Columns, question: dict[str, str], now_ms: int) -> dict[str, object] | str:
    try:
        return run(columns, parse_request(question), now_ms=now_ms).document()
    except QueryError as refused:
        return refused.reason
