"""The repeat window by itself; its dialogues are in tests/transcripts/windows.toml, its laws in tests/property."""

from __future__ import annotations

import logging
import random
import weakref
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from agents.spill import disk_files
from streams.errors import StateError
from streams.repeats import CHUNK_IDS, RepeatWindow, hash_ids
from streams.spill import MemoryFile, SpillFiles
from streams.state import RepeatChunk

WINDOW_MS = 600_000


@pytest.fixture(params=["memory", "disk"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> SpillFiles:
    return MemoryFile if request.param == "memory" else disk_files(str(tmp_path))


def window(max_ids: int = 10**9, files: SpillFiles = MemoryFile, file_ids: int = 1) -> RepeatWindow:
    return RepeatWindow("impressions", WINDOW_MS, max_ids, files, file_ids=file_ids)


def judge(repeats: RepeatWindow, ids: list[str], received_ms: list[int]) -> list[bool]:
    """Return which records are counted."""
    verdict = repeats.judge(
        hash_ids([text.encode() for text in ids]),
        np.array(received_ms, dtype=np.int64),
        np.zeros(len(ids), dtype=np.bool_),
    )
    return [bool(counted) for counted in verdict.counted]


def test_the_hash_of_an_id_is_the_one_that_stored_state_holds() -> None:
    assert hash_ids([b"s1\0e1", b"s1\0e2"]).tolist() == [3_886_180_924_793_154_841, 1_256_340_593_570_570_711]


def test_repeats_within_one_batch_are_found() -> None:
    assert judge(window(), ["a", "b", "a", "a"], [0, 0, 0, 1]) == [True, True, False, False]


def test_one_id_for_everything_costs_a_round_per_time_and_counts_once() -> None:
    count = 5_000
    assert sum(judge(window(), ["same"] * count, [7] * count)) == 1


def test_counted_copies_are_those_of_going_through_the_times_in_order() -> None:
    draw = random.Random(5)
    for _ in range(30):
        copies = [(draw.choice("abc"), draw.randrange(0, 3_000_000)) for _ in range(40)]
        by_id = defaultdict(list)
        for text, received in copies:
            by_id[text].append(received)
        expected = 0
        for times in by_id.values():
            last = None
            for received in sorted(times):
                if last is None or received - last > WINDOW_MS:
                    last = received
                    expected += 1
        arrival = sorted(copies, key=lambda copy: copy[1] + draw.randrange(120_000))
        repeats, counted = window(), 0
        while arrival:
            size = draw.randint(1, 9)
            batch, arrival = arrival[:size], arrival[size:]
            verdict = repeats.judge(
                hash_ids([text.encode() for text, _ in batch]),
                np.array([received for _, received in batch], dtype=np.int64),
                np.zeros(len(batch), dtype=np.bool_),
            )
            counted += int(verdict.counted.sum()) - sum(verdict.displaced)
            if draw.random() < 0.5:
                repeats.take_chunks()
            assert int(verdict.fresh.sum()) == int(verdict.counted.sum()) - sum(verdict.displaced)
        assert counted == expected


def test_a_generation_that_is_over_is_forgotten_and_its_chunks_are_cleared() -> None:
    repeats = window()
    judge(repeats, ["a"], [0])
    (chunk,) = repeats.take_chunks()
    judge(repeats, ["b"], [3 * WINDOW_MS])
    assert len(repeats) == 1
    chunks = repeats.take_chunks()
    assert chunks[0] == chunk._replace(image=None)
    assert [chunk.generation for chunk in chunks] == [0, 3]
    assert repeats.take_chunks() == []


def test_a_successor_goes_on_where_the_window_stood() -> None:
    first = window()
    kept: dict[tuple[int, int], RepeatChunk] = {}
    numbers = [str(number) for number in range(CHUNK_IDS + 10)]
    judge(first, numbers, [500_000] * len(numbers))
    judge(first, ["0"], [499_000])  # takes over within the same flush
    for chunk in first.take_chunks():
        kept[chunk.generation, chunk.sequence] = chunk
    assert len(kept) == 2
    second = window()
    second.restore(list(reversed(kept.values())))
    assert judge(second, ["0", "1", "new"], [1_099_000, 1_100_001, 0]) == [False, True, True]
    (chunk,) = [chunk for chunk in second.take_chunks() if chunk.generation == 0]
    assert chunk.sequence == 2


def test_of_an_id_that_stands_twice_in_a_chunk_of_an_earlier_version_the_last_value_holds() -> None:
    keys = np.repeat(hash_ids([b"a"]), 2)
    values = 2 * np.array([500_000, 499_000], dtype=np.int64)
    repeats = window()
    repeats.restore([RepeatChunk("impressions", 0, 0, keys.tobytes() + values.tobytes())])
    assert judge(repeats, ["a"], [499_500]) == [False]


def test_an_id_that_changed_twice_is_flushed_once() -> None:
    repeats = window()
    judge(repeats, ["a"], [500_000])
    judge(repeats, ["a"], [499_000])
    (chunk,) = repeats.take_chunks()
    assert chunk.image is not None
    assert len(chunk.image) == 16


def test_above_its_bound_the_oldest_generation_goes_early_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    repeats = window(max_ids=3)
    judge(repeats, ["a", "b"], [0, 0])
    with caplog.at_level(logging.WARNING):
        judge(repeats, ["c", "d"], [WINDOW_MS, WINDOW_MS])
    assert len(repeats) == 2
    assert repeats.shortened == 1
    assert "repeat_window_ids = 3" in caplog.text
    assert judge(repeats, ["a"], [1_000]) == [True]
    assert judge(repeats, ["c"], [WINDOW_MS]) == [False]


def test_a_torn_chunk_is_a_state_error() -> None:
    with pytest.raises(StateError, match="torn"):
        window().restore([RepeatChunk("impressions", 0, 0, b"12345")])


class Model:
    """The repeat window as dictionaries, a record at a time: by generation, the R of each counted id and if it is late.

    Attributes:
        changed: generation and id of what the next chunks have to hold.
    """

    def __init__(self) -> None:
        self.counted: dict[int, dict[int, tuple[int, bool]]] = {}
        self.changed: set[tuple[int, int]] = set()

    def judge(self, key: int, received: int, late: bool) -> tuple[bool, bool | None]:
        """Return whether the record counts, and whether the copy that it displaced was late (None: no copy)."""
        number = received // WINDOW_MS
        self.counted.setdefault(number, {})
        beside = [at for at in (number - 1, number, number + 1) if key in self.counted.get(at, {})]
        near = [at for at in beside if abs(self.counted[at][key][0] - received) <= WINDOW_MS]
        if any(self.counted[at][key][0] <= received for at in near):
            return False, None
        displaced = None
        for at in near:
            _, displaced = self.counted[at].pop(key)
            self.changed.add((at, key))
        self.counted[number][key] = received, late
        self.changed.add((number, key))
        return True, displaced

    def keep(self, numbers: set[int]) -> None:
        self.counted = {number: ids for number, ids in self.counted.items() if number in numbers}
        self.changed = {change for change in self.changed if change[0] in numbers}

    def flush(self) -> dict[int, dict[int, int]]:
        """Return the ids that changed with their values (twice R, and one when late), by generation."""
        images: dict[int, dict[int, int]] = defaultdict(dict)
        for number, key in self.changed:
            received, late = self.counted[number].get(key, (-(2**62), False))
            images[number][key] = 2 * received + late
        self.changed = set()
        return images


def values_of(chunk: RepeatChunk) -> dict[int, int]:
    image = chunk.image or b""
    half = len(image) // 2
    keys, values = np.frombuffer(image[:half], dtype="<u8"), np.frombuffer(image[half:], dtype="<i8")
    return dict(zip(keys.tolist(), values.tolist(), strict=True))


def key_of(draw: random.Random) -> int:
    """Return one of few hashes, of which some differ in the lowest bits only: they share buckets and fingerprints."""
    return draw.choice([draw.randrange(60) * 0x0421_0842_1084_2109, (7 << 60) + draw.randrange(40)])


@pytest.mark.parametrize("seed", range(3))
def test_batches_flushes_and_restores_are_those_of_a_dictionary_and_of_a_window_without_files(
    seed: int, files: SpillFiles
) -> None:
    draw, model, restored, flushed_behind = random.Random(seed), Model(), 0, 0
    repeats, plain = window(files=files), window(file_ids=10**9)
    kept: dict[tuple[int, int], RepeatChunk] = {}
    clock_ms = 0
    for _ in range(150):
        clock_ms += draw.randrange(WINDOW_MS // 8)
        batch = [
            (key_of(draw), max(0, clock_ms - draw.randrange(WINDOW_MS * 5 // 4)), draw.random() < 0.3)
            for _ in range(draw.randint(1, 60))
        ]
        keys = np.array([key for key, _, _ in batch], dtype=np.uint64)
        received = np.array([received for _, received, _ in batch], dtype=np.int64)
        late = np.array([late for _, _, late in batch], dtype=np.bool_)
        verdicts = [each.judge(keys, received, late) for each in (repeats, plain)]
        expected = [model.judge(*record) for record in batch]
        displaced = [was_late for _, was_late in expected if was_late is not None]
        newest = max(model.counted)
        model.keep({number for number in model.counted if number >= newest - 2})
        for verdict in verdicts:
            assert verdict.counted.tolist() == [counts for counts, _ in expected]
            assert verdict.fresh.tolist() == [counts and taken is None for counts, taken in expected]
            assert verdict.displaced == (displaced.count(False), displaced.count(True))
        if draw.random() < 0.6:
            continue
        chunks = repeats.take_chunks()
        assert chunks == plain.take_chunks()
        filled = [chunk for chunk in chunks if chunk.image is not None]
        assert {chunk.generation: values_of(chunk) for chunk in filled} == model.flush()
        flushed_behind += sum(chunk.generation < newest for chunk in filled)
        kept.update({(chunk.generation, chunk.sequence): chunk for chunk in chunks})
        if draw.random() < 0.2:
            left = [chunk for chunk in kept.values() if chunk.image is not None]
            draw.shuffle(left)
            repeats, plain = window(files=files), window(file_ids=10**9)
            repeats.restore(left)
            plain.restore(left)
            model.keep({chunk.generation for chunk in left})
            restored += 1
    assert restored > 3
    assert flushed_behind > 20


def many_hashes(count: int, seed: int) -> np.ndarray:
    return np.unique(np.random.default_rng(seed).integers(0, 2**64 - 1, count, dtype=np.uint64))


def judge_hashes(repeats: RepeatWindow, keys: np.ndarray, received_ms: int) -> np.ndarray:
    times = np.full(len(keys), received_ms, dtype=np.int64)
    return repeats.judge(keys, times, np.zeros(len(keys), dtype=np.bool_)).counted


def test_an_id_in_its_file_takes_five_bytes_of_memory_at_most(files: SpillFiles) -> None:
    shuffled = np.random.default_rng(2).permutation(many_hashes(46_000, 1))
    first, late, later = np.split(shuffled, [40_000, 42_000])
    repeats = RepeatWindow("impressions", WINDOW_MS, 10**9, files)
    assert judge_hashes(repeats, first, 1_000).all()
    chunks = repeats.take_chunks()
    assert repeats.nbytes <= 4 * len(first)
    # The next span has so few ids that what its table takes at least is more than they are worth a file for.
    judge_hashes(repeats, first[:1], 2 * WINDOW_MS)
    chunks += repeats.take_chunks()
    successor = RepeatWindow("impressions", WINDOW_MS, 10**9, files)
    successor.restore(chunks)
    few = RepeatWindow("impressions", WINDOW_MS, 10**9, files)
    judge_hashes(few, first[:1], 2 * WINDOW_MS)
    for owner in (repeats, successor):
        assert owner.nbytes - few.nbytes <= 4 * len(first)
        assert judge_hashes(owner, late, 2_000).all()
        owner.take_chunks()
        assert owner.nbytes - few.nbytes <= 5 * (len(first) + len(late))
        assert not judge_hashes(owner, np.concatenate((late, first)), 2_000).any()
        assert judge_hashes(owner, first, 999).all()
        assert not judge_hashes(owner, first, 1_000).any()
        assert len(owner) == len(first) + len(late) + 1
        # More late ones than are to stand in memory beside the file.
        assert judge_hashes(owner, later, 3_000).all()
        owner.take_chunks()
        assert owner.nbytes - few.nbytes <= 4 * len(shuffled)
        assert not judge_hashes(owner, shuffled, 3_000).any()


def test_what_waits_for_its_chunk_is_not_lost_by_a_restore() -> None:
    first, second = window(), window()
    judge(first, ["a", "b", "c"], [500, 500, WINDOW_MS])
    judge(second, ["c", "a"], [400, 300])
    second.restore(first.take_chunks())
    judge(second, ["b"], [200])
    (chunk,) = second.take_chunks()
    assert set(values_of(chunk)) == set(hash_ids([b"a", b"b", b"c"]).tolist())


def test_files_go_with_their_generations() -> None:
    alive: weakref.WeakSet[MemoryFile] = weakref.WeakSet()

    def counted() -> MemoryFile:
        file = MemoryFile()
        alive.add(file)
        return file

    repeats = window(max_ids=12_000, files=counted, file_ids=1_000)
    for number in range(8):
        judge_hashes(repeats, many_hashes(2_000, number), number * WINDOW_MS)
        repeats.take_chunks()
        # Half as many again, late: their generation gets a new file in place of the one it had.
        judge_hashes(repeats, many_hashes(1_000, 100 + number), max(0, number - 1) * WINDOW_MS)
        repeats.take_chunks()
        assert len(alive) == min(number, 2)
    judge_hashes(repeats, many_hashes(11_000, 9), 8 * WINDOW_MS)
    assert len(alive) == 0
    assert repeats.shortened > 0


def test_a_generation_of_few_ids_opens_no_file() -> None:
    def refused() -> MemoryFile:
        raise AssertionError

    repeats = window(files=refused, file_ids=4)
    judge(repeats, ["a", "b", "c"], [0, 0, WINDOW_MS])
    repeats.take_chunks()
    assert judge(repeats, ["a", "d"], [1, 2]) == [False, True]


def test_ids_of_the_newest_span_leave_memory_when_they_are_many(files: SpillFiles) -> None:
    repeats = RepeatWindow("impressions", WINDOW_MS, 10**9, files)
    shuffled = np.random.default_rng(4).permutation(many_hashes(90_000, 6))
    judged = 0
    for keys in np.array_split(shuffled, 30):
        assert judge_hashes(repeats, keys, 1_000).all()
        judged += len(keys)
        # A third at most stands in the table, at 27 bytes, until the next batch.
        assert judged < 20_000 or repeats.nbytes <= 16 * judged
    assert not judge_hashes(repeats, shuffled, 1_000).any()


def test_spans_that_are_passed_between_two_flushes_leave_memory_and_are_in_the_flush_as_they_came(
    files: SpillFiles,
) -> None:
    """A worker that catches up passes an hour of a day between two flushes."""
    repeats = RepeatWindow("impressions", WINDOW_MS, 10**9, files)
    shuffled = np.random.default_rng(3).permutation(many_hashes(60_000, 5))
    spans = np.split(shuffled, 3)
    for number, keys in enumerate(spans):
        assert judge_hashes(repeats, keys, number * WINDOW_MS).all()
    # An earlier copy of one that is in a file by now takes over; a later one is a duplicate.
    again = spans[1][7:8]
    assert judge_hashes(repeats, again, WINDOW_MS - 1).all()
    assert not judge_hashes(repeats, spans[1][8:9], WINDOW_MS + 1).any()
    in_memory = len(spans[2]) * 30
    assert repeats.nbytes <= in_memory + 5 * (len(shuffled) - len(spans[2]))
    images = [(chunk.generation, chunk.image or b"") for chunk in repeats.take_chunks()]
    taken = {
        number: np.concatenate(
            [np.frombuffer(image[: len(image) // 2], dtype="<u8") for at, image in images if at == number]
        ).tolist()
        for number in range(3)
    }
    assert taken[0] == [*spans[0].tolist(), int(again[0])]
    assert [taken[1], taken[2]] == [spans[1].tolist(), spans[2].tolist()]
    assert repeats.take_chunks() == []
