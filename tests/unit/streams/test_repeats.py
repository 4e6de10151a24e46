"""The repeat window by itself; its dialogues are in tests/transcripts/windows.toml, its laws in tests/property."""

from __future__ import annotations

import logging
import random
from collections import defaultdict

import numpy as np
import pytest

from streams.errors import StateError
from streams.repeats import CHUNK_IDS, RepeatWindow, hash_ids
from streams.state import RepeatChunk

WINDOW_MS = 600_000


def window(max_ids: int = 10**9) -> RepeatWindow:
    return RepeatWindow("impressions", WINDOW_MS, max_ids)


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
