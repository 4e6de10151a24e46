"""The fold of a partition: bad records between good neighbours, positions, dead letters, flushes."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest

from agents.spill import disk_files
from streams import cell_people, cube_set, intake, sketches
from streams.cube_cells import CubeCells
from streams.cubes import CUBE_BY_NAME, CUBES, PRODUCT_DAY
from streams.errors import StateError
from streams.fast_decoding import decode_fast
from streams.fold import PartitionState
from streams.intake import FAST_RECORDS, DecodersDisagreeError
from streams.outcomes import COUNTING, DEAD_LETTERS, Outcome
from streams.records import DEAD_LETTER_BYTES, MAX_RECORD_BYTES, RecordBatch
from streams.settings import FoldSettings
from streams.state import Flush, Position, RowKey
from streams.topics import SOURCE_TOPICS
from tests.core_oracle import DAY, Sent, expect
from tests.core_worlds import (
    BEGIN_MS,
    ORACLE_SHOPS,
    SHOPS,
    SOURCES,
    Board,
    assert_same,
    expected_of,
    folded,
    impression,
    new_state,
    order_paid,
    through_the_wire,
)

GOOD = impression(BEGIN_MS)


def value_of(**change: Any) -> bytes:
    return json.dumps(GOOD | change).encode()


BAD: dict[str, tuple[bytes | None, Outcome]] = {
    "a null value": (None, Outcome.REJECTED_SCHEMA),
    "an empty value": (b"", Outcome.REJECTED_SCHEMA),
    "two megabytes": (value_of(other="x" * (2 << 20)), Outcome.REJECTED_SIZE),
    "bad UTF-8": (value_of().replace(b"u1", b"\xff\xfe"), Outcome.REJECTED_SCHEMA),
    "deep nesting": (
        value_of()[:-1] + b',"x":' + b"[" * 9_000 + b"]" * 9_000 + b"}",
        Outcome.REJECTED_SCHEMA,
    ),
    "not a number": (value_of().replace(str(BEGIN_MS).encode(), b"NaN"), Outcome.REJECTED_SCHEMA),
    "2 to the 63": (value_of(occurred_at_ms=2**63), Outcome.REJECTED_SCHEMA),
    "a fraction of a millisecond": (value_of(occurred_at_ms=BEGIN_MS + 0.5), Outcome.REJECTED_SCHEMA),
    "a negative quantity": (value_of(event_type="add_to_cart", quantity=-1), Outcome.REJECTED_SCHEMA),
    "a torn record": (value_of()[:-9], Outcome.REJECTED_SCHEMA),
    "two records in one": (value_of() + b"," + value_of(), Outcome.REJECTED_SCHEMA),
    "a list": (b"[" + value_of() + b"]", Outcome.REJECTED_SCHEMA),
    "an unknown type": (value_of(event_type="impression"), Outcome.REJECTED_TYPE),
    "no type": (value_of(event_type=None), Outcome.REJECTED_SCHEMA),
    "a control character in an id": (value_of(product_id="a\x00b"), Outcome.REJECTED_SCHEMA),
    "an id too long": (value_of(product_id="x" * 129), Outcome.REJECTED_SCHEMA),
    "an unknown shop": (value_of(shop_id="nobody"), Outcome.REJECTED_SHOP),
    "a wrong currency": (value_of(currency="EUR"), Outcome.CURRENCY_MISMATCH),
    "the far past": (value_of(occurred_at_ms=1), Outcome.REJECTED_TIME),
    "before the epoch": (value_of(occurred_at_ms=-5), Outcome.REJECTED_TIME),
    "the far future": (value_of(occurred_at_ms=BEGIN_MS + DAY), Outcome.REJECTED_FUTURE),
    "too late": (value_of(occurred_at_ms=BEGIN_MS - 50 * DAY), Outcome.TOO_LATE),
    "too late by years": (value_of(occurred_at_ms=BEGIN_MS - 5_000 * DAY), Outcome.TOO_LATE),
}

LEGAL: dict[str, bytes] = {
    "ids with spaces": value_of(event_id="b c", product_id="Tee, red (XL)"),
    "integer ids": value_of(event_id=17, product_id=85123),
    "duplicate keys": value_of(event_id="twice")[:-1] + b',"product_id":"last"}',
    "unknown fields": value_of(event_id="unknown", colour="red"),
    "escapes and other letters": value_of(event_id="esc", product_id="T\u00e9e \u65e5\u672c"),
    "spaces and tabs between tokens": b' {\t"event_id"' + value_of(event_id="tabs")[11:] + b"\r\n",
    "an explicit null": value_of(event_id="null", territory=None, source=None),
}


def batch_of(
    values: list[bytes | None], first: int = 0, topic: str = "impressions", **fields: Any
) -> RecordBatch:
    columns: dict[str, Any] = {
        "offsets": range(first, first + len(values)),
        "timestamps_ms": [BEGIN_MS] * len(values),
        "values": values,
        "keys": [b"key"] * len(values),
    }
    return RecordBatch(topic, 0, **columns | fields)


def flush_of(state: PartitionState) -> Flush:
    flush = state.take_flush()
    assert flush is not None
    return flush


def position_of(flush: Flush, topic: str = "impressions") -> Position:
    return next(position for position in flush.positions if position.topic == topic)


def product_cells(flush: Flush) -> dict[str, int]:
    return {row.key.dims[0]: row.events or 0 for row in flush.rows if row.key.cube == "product_day"}


@pytest.mark.parametrize("neighbours", [1, FAST_RECORDS])
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_record_has_its_outcome_and_its_neighbours_count(kind: str, neighbours: int) -> None:
    value, outcome = BAD[kind]
    before = [value_of(event_id=f"before {number}") for number in range(neighbours)]
    after = [value_of(event_id=f"after {number}") for number in range(neighbours)]
    state = new_state()
    state.fold(batch_of([*before, value, *after]))
    flush = flush_of(state)
    assert position_of(flush).outcomes == {Outcome.COUNTED: 2 * neighbours, outcome: 1}
    assert product_cells(flush) == {"p1": 2 * neighbours}
    (letter,) = flush.dead_letters
    assert (letter.outcome, letter.place) == (outcome, f"impressions/0/{neighbours}")
    assert letter.key == b"key"
    assert letter.detail
    assert letter.value == (None if value is None else value[:DEAD_LETTER_BYTES])
    assert letter.value_bytes == len(value or b"")
    assert letter.value_sha256 == ("" if value is None else hashlib.sha256(value).hexdigest())


@pytest.mark.parametrize("neighbours", [1, FAST_RECORDS])
@pytest.mark.parametrize("kind", LEGAL)
def test_what_is_odd_but_legal_counts_beside_its_neighbours(kind: str, neighbours: int) -> None:
    others = [value_of(event_id=f"other {number}") for number in range(2 * neighbours)]
    state = new_state()
    state.fold(batch_of([*others[:neighbours], LEGAL[kind], *others[neighbours:]]))
    flush = flush_of(state)
    assert position_of(flush).outcomes == {Outcome.COUNTED: 2 * neighbours + 1}
    assert sum(product_cells(flush).values()) == 2 * neighbours + 1


def test_all_bad_kinds_together_are_as_many_as_were_sent() -> None:
    state = new_state()
    state.fold(batch_of([value for value, _ in BAD.values()]))
    flush = flush_of(state)
    outcomes = position_of(flush).outcomes
    assert sum(outcomes.values()) == len(BAD) == len(flush.dead_letters)
    assert not outcomes.keys() & COUNTING
    assert outcomes.keys() <= DEAD_LETTERS
    assert flush.rows == []


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"event_type": "nonsense", "shop_id": "nobody"}, Outcome.REJECTED_TYPE),
        ({"product_id": "", "shop_id": "nobody"}, Outcome.REJECTED_SCHEMA),
        ({"shop_id": "nobody", "currency": "EUR", "occurred_at_ms": 1}, Outcome.REJECTED_SHOP),
        ({"currency": "EUR", "occurred_at_ms": 1}, Outcome.CURRENCY_MISMATCH),
    ],
)
def test_of_two_faults_the_first_in_the_documented_order_decides(
    change: dict[str, Any], outcome: Outcome
) -> None:
    state = new_state()
    state.fold(batch_of([value_of(**change)]))
    assert position_of(flush_of(state)).outcomes == {outcome: 1}


def test_facts_count_at_any_age_but_not_ahead_of_time() -> None:
    orders = [
        order_paid(BEGIN_MS - 4_000 * DAY, "old"),
        order_paid(BEGIN_MS + DAY, "ahead"),
        order_paid(5_000, "epoch"),
    ]
    state = new_state()
    state.fold(batch_of([json.dumps(order).encode() for order in orders], topic="orders"))
    assert position_of(flush_of(state), "orders").outcomes == {
        Outcome.COUNTED_LATE: 1,
        Outcome.REJECTED_FUTURE: 1,
        Outcome.REJECTED_TIME: 1,
    }


def test_a_record_of_exactly_the_limit_is_read_and_one_byte_more_is_not() -> None:
    padding = MAX_RECORD_BYTES - len(value_of(other=""))
    state = new_state()
    state.fold(batch_of([value_of(other="x" * padding), value_of(other="x" * (padding + 1))]))
    assert position_of(flush_of(state)).outcomes == {Outcome.COUNTED: 1, Outcome.REJECTED_SIZE: 1}


@pytest.mark.parametrize(
    ("ours", "headers", "counted"),
    [("", None, 2), ("", [None, "black"], 1), ("black", ["black", "red"], 1), ("black", None, 0)],
)
def test_records_of_another_replay_are_refused(
    ours: str, headers: list[str | None] | None, counted: int
) -> None:
    state = PartitionState(0, shops=SHOPS, settings=FoldSettings(), replay_id=ours)
    state.fold(batch_of([value_of(event_id="a"), value_of(event_id="b")], replay_ids=headers))
    outcomes = position_of(flush_of(state)).outcomes
    assert outcomes.get(Outcome.COUNTED, 0) == counted
    assert outcomes.get(Outcome.REJECTED_REPLAY, 0) == 2 - counted


def test_records_below_the_position_are_skipped_and_gaps_are_legal() -> None:
    state = new_state()
    values: list[bytes | None] = [value_of(event_id=str(number)) for number in range(4)]
    state.fold(batch_of(values[:2], first=5))
    assert state.next_offset("impressions") == 7
    assert state.next_offset("orders") == 0
    state.take_flush()
    state.fold(batch_of(values[:2], first=5))
    assert not state.changed
    assert state.take_flush() is None
    state.fold(batch_of(values, offsets=[5, 6, 20, 30]))
    assert state.next_offset("impressions") == 31
    assert position_of(flush_of(state)).outcomes == {Outcome.COUNTED: 4}


def test_a_flush_holds_what_changed_and_every_position() -> None:
    state = new_state()
    state.fold(batch_of([value_of(event_id="a"), value_of(event_id="b", product_id="p2")]))
    first = flush_of(state)
    state.fold(batch_of([value_of(event_id="c", product_id="p2")], first=2))
    second = flush_of(state)
    assert (first.number, second.number) == (1, 2)
    assert product_cells(second) == {"p2": 2}
    assert [position.topic for position in second.positions] == [topic.name for topic in SOURCE_TOPICS]
    assert state.take_flush() is None


def test_a_refused_record_alone_is_a_change_that_must_be_flushed() -> None:
    state = new_state()
    state.fold(batch_of([b"bad"]))
    assert state.changed
    assert len(flush_of(state).dead_letters) == 1


def test_facts_and_dead_letters_wait_with_their_bytes_until_they_are_flushed_and_traffic_does_not() -> None:
    state = new_state()
    state.fold(batch_of([value_of(event_id="a"), value_of(event_id="b")]))
    assert state.waiting_bytes == 0
    sale = json.dumps(order_paid(BEGIN_MS, "o1")).encode()
    state.fold(batch_of([sale, b"bad"], topic="orders"))
    assert state.waiting_bytes == len(sale) + len(b"bad")
    state.fold(batch_of([value_of(other="x" * (2 << 20))], first=2))
    assert state.waiting_bytes == len(sale) + len(b"bad") + DEAD_LETTER_BYTES
    flush_of(state)
    assert state.waiting_bytes == 0


def test_people_of_quarter_hours_that_are_over_are_kept_small_though_another_topic_is_far_ahead() -> None:
    state = new_state()
    quarter_ms = 15 * 60_000
    ahead_ms = BEGIN_MS + 40 * quarter_ms
    click = value_of(event_type="product_click", event_id="ahead", occurred_at_ms=ahead_ms)
    state.fold(batch_of([click], topic="clicks", timestamps_ms=[ahead_ms]))
    flush_of(state)
    quarters = next(cells for cells in state._cubes._cells if cells.cube.name == "shop_quarter")
    assert isinstance(quarters, CubeCells)
    for number in range(6):
        at_ms = BEGIN_MS + number * quarter_ms
        value = value_of(event_id=f"q{number}", occurred_at_ms=at_ms)
        state.fold(batch_of([value], first=number, timestamps_ms=[at_ms]))
        flush_of(state)
    # What the last two flushes brought may still be written to; the click has been left alone as long as the others.
    assert quarters.resting == len(quarters) - 2
    back = value_of(event_id="back", user_key="u2", occurred_at_ms=BEGIN_MS)
    state.fold(batch_of([back], first=6, timestamps_ms=[BEGIN_MS + 6 * quarter_ms]))
    rows = [row for row in flush_of(state).rows if row.key.cube == "shop_quarter"]
    assert [(row.events, row.keyed) for row in rows] == [(2, 2)]


def test_a_day_of_cells_that_rest_and_wake_is_written_as_one_in_which_none_rests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cell_people, "WHOLE_BYTES", 20)
    resting = PartitionState(0, shops=SHOPS, settings=FoldSettings(), spill=disk_files(str(tmp_path)))
    awake = PartitionState(0, shops=SHOPS, settings=FoldSettings())
    monkeypatch.setattr(awake._cubes, "rest", lambda: None)
    draw = random.Random(11)
    rested, apart = set[str](), 0
    for number in range(80):
        at_ms = BEGIN_MS + number * 15 * 60_000
        values: list[bytes | None] = [
            value_of(
                event_id=f"{number}/{event}",
                # Few see the late products, and a batch has some that were quiet for hours.
                product_id=f"p{int(30 * draw.random() ** 3)}",
                user_key=f"u{draw.randrange(60)}",
                occurred_at_ms=at_ms - draw.choice([0, 0, 0, 5]) * 900_000,
            )
            for event in range(12)
        ]
        written = []
        for state in (resting, awake):
            state.fold(batch_of(values, first=12 * number, timestamps_ms=[at_ms] * 12))
            written.append(people_of(flush_of(state)))
        assert written[0] == written[1]
        apart += len(written[0][1])
        rested.update(cells.cube.name for cells in hll_cells(resting) if at_rest(cells))
    assert {"shop_quarter", "product_day"} <= rested
    assert not any(at_rest(cells) for cells in hll_cells(awake))
    assert apart > 20


def hll_cells(state: PartitionState) -> list[CubeCells]:
    return [cells for cells in state._cubes._cells if isinstance(cells, CubeCells)]


def at_rest(cells: CubeCells) -> bool:
    """Return whether a sketch that was in use rests."""
    return cells._people is not None and bool((cells._people._where > 0).any())


def people_of(flush: Flush) -> tuple[list[Any], list[Any]]:
    """Return rows and rows of people, with bytes that do not depend on the order in which their people came."""

    def canonical(key: RowKey, image: bytes | None) -> bytes | None:
        lg_k = CUBE_BY_NAME[key.cube].lg_k
        if image is None or lg_k is None or key.cube == "product_theta":
            return image
        return sketches.canonical_images([image], lg_k)

    rows = [(row.key, row.events, row.keyed, canonical(row.key, row.sketch)) for row in flush.rows]
    return rows, [(row.key, canonical(row.key, row.image)) for row in flush.people]


def test_a_successor_goes_on_with_the_next_flush_number() -> None:
    state = new_state()
    log = []
    for number in range(3):
        state.fold(batch_of([value_of(event_id=str(number))], first=number))
        log += through_the_wire(flush_of(state))
    successor = new_state()
    successor.restore(log)
    assert not successor.changed
    successor.fold(batch_of([value_of(event_id="4")], first=3))
    flush = flush_of(successor)
    assert flush.number == 4
    assert product_cells(flush) == {"p1": 4}


def test_state_of_cubes_that_a_worker_does_not_keep_is_refused_with_the_remedy() -> None:
    state = new_state()
    state.fold(batch_of([value_of()]))
    log = through_the_wire(flush_of(state))
    small = PartitionState(0, shops=SHOPS, settings=FoldSettings(), cubes=(PRODUCT_DAY,))
    with pytest.raises(StateError, match="shop_quarter") as error:
        small.restore(log)
    assert error.value.mend


def test_a_worker_with_one_cube_fills_that_cube_alone() -> None:
    state = PartitionState(0, shops=SHOPS, settings=FoldSettings(), cubes=(PRODUCT_DAY,))
    state.fold(batch_of([value_of()]))
    assert {row.key.cube for row in flush_of(state).rows} == {"product_day"}
    assert len(CUBES) > 1


def test_large_batches_agree_with_the_oracle_too() -> None:
    records = [
        Sent(
            "impressions",
            "u",
            BEGIN_MS + number,
            value_of(
                event_id=str(number % 900),
                user_key=f"u{number % 900 % 77}",
                product_id=f"p{number % 900 % 13}",
            ),
        )
        for number in range(1_200)
    ]
    assert_same(folded(records, [400]), expected_of(records))


def test_decoders_that_disagree_stop_the_worker_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = decode_fast
    monkeypatch.setattr(intake, "_SAMPLE_ONE_IN", 1)
    state = new_state()
    state.fold(batch_of([value_of(event_id=str(number)) for number in range(FAST_RECORDS)]))
    monkeypatch.setattr(
        intake, "decode_fast", lambda values: taken([*values[:-1], value_of(event_id="forged")])
    )
    with pytest.raises(DecodersDisagreeError, match="impressions/0"):
        state.fold(
            batch_of([value_of(event_id=f"x{number}") for number in range(FAST_RECORDS)], first=FAST_RECORDS)
        )


def test_a_board_that_applies_flushes_forgets_what_left_its_retention() -> None:
    board, state = Board(), new_state(minute_hours=48)
    state.fold(batch_of([value_of()]))
    board.apply(state.take_flush())
    assert any(key.cube == "shop_minute" for _, key in board.rows)
    later = BEGIN_MS + 3 * DAY
    state.fold(batch_of([value_of(event_id="b", occurred_at_ms=later)], first=1, timestamps_ms=[later]))
    board.apply(state.take_flush())
    assert {key.bucket for _, key in board.rows if key.cube == "shop_minute"} == {later}


def test_names_of_forgotten_cells_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cube_set, "_NAMES_FREE", 5)
    records = []
    for day in range(60):
        for number in range(4):
            occurred = BEGIN_MS + day * DAY
            event = impression(
                occurred, f"{day}/{number}", product_id=f"p{day}-{number % 2}", source=SOURCES[3]
            )
            records.append(Sent("impressions", "u", occurred, json.dumps(event).encode()))
    board, state = Board(), new_state(hot_days=3, minute_hours=48)
    names = []
    for number, record in enumerate(records):
        state.fold(batch_of([record.value], first=number, timestamps_ms=[record.timestamp_ms]))
        board.apply(state.take_flush())
        names.append(len(state._coding))
    # Of all days there are 120 products with two combinations each. Kept are twice those of the days in state, one
    # content with its creator and sub-campaign, and some.
    assert max(names) < 72
    assert any(after < before for before, after in itertools.pairwise(names))
    kept = {row.key.bucket for row in board.rows.values() if row.key.cube == "creator_day"}
    # Today, three hot days, and one that a board may still be writing down.
    assert len(kept) == 5
    for (_, key), row in board.rows.items():
        if key.cube == "creator_day":
            assert (row.events, key.dims[0]) == (2, "k1")
    expected = expect(records, ORACLE_SHOPS)
    cells = {key: value for key, value in board.cells().items() if key[0] == "creator_day"}
    assert cells.keys() <= expected.cells.keys()
    assert all(expected.cells[key][0] == value[0] for key, value in cells.items())


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("people", [3, 60])
def test_people_of_a_cell_that_rested_are_still_known_when_the_next_one_comes(
    people: int, *, restarted: bool
) -> None:
    """Few people stand in the cell's row, many in a row of their own; quiet quarter hours lie between the visits."""
    records = []
    for visit in range(3):
        at_ms = BEGIN_MS + visit * 3_600_000
        for number in range(people):
            # Half of them come back at the next visit.
            event = impression(at_ms, f"{visit}/{number}", user_key=f"u{visit * people // 2 + number}")
            records.append(Sent("impressions", "u", at_ms, json.dumps(event).encode()))
        for quarter in range(1, 4):
            quiet_ms = at_ms + quarter * 900_000
            event = impression(quiet_ms, f"{visit}/q{quarter}", product_id="other")
            records.append(Sent("impressions", "u", quiet_ms, json.dumps(event).encode()))
    board, state = Board(), new_state()
    kept = []
    for number, record in enumerate(records):
        state.fold(batch_of([record.value], first=number, timestamps_ms=[record.timestamp_ms]))
        flush = flush_of(state)
        board.apply(flush)
        kept.append(flush)
        if restarted and number % people == 0:
            state = new_state()
            state.restore(record for flush in kept for record in through_the_wire(flush))
    assert_same(board, expected_of(records))
