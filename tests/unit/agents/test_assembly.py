"""Whole flushes only: what a reader may show of two topics that it sees at different times, compacted or not."""

from __future__ import annotations

from agents.assembly import FlushAssembler
from streams.events import Heartbeat
from streams.state import FactKey, FactRow, Flush, Position, RowKey, StateRow
from streams.wire import FlushMark

BOTH = ("state", "facts")
STATE = ("state",)


def row(name: str, count: int) -> StateRow:
    return StateRow(RowKey("shop_day", "d", "s1", 1, "product_impression", (name,)), count, 0, None)


def fact(name: str, version: int) -> FactRow:
    event = Heartbeat(
        event_id="",
        event_type="heartbeat",
        shop_id="s1",
        occurred_at_ms=1,
        source=name,
        topics=[],
        sent_until_ms=version,
    )
    return FactRow(FactKey("heartbeat", "s1", (name,)), version, 1, 0, 1, 1, event)


def counts(flush: Flush | None) -> dict[str, int | None]:
    assert flush is not None
    return {row.key.dims[0]: row.events for row in flush.rows}


def versions(flush: Flush | None) -> dict[str, int]:
    assert flush is not None
    return {fact.key.ids[0]: fact.version for fact in flush.facts}


def test_rows_without_their_mark_are_not_given() -> None:
    assembler = FlushAssembler(0)
    assembler.put("state", row("a", 1))
    assert assembler.take() is None


def test_a_flush_of_one_topic_is_given_with_its_mark() -> None:
    assembler = FlushAssembler(3)
    assembler.put("state", row("a", 1))
    assembler.put("state", Position("orders", 7, 0))
    assembler.put("state", FlushMark(1, STATE))
    flush = assembler.take()
    assert counts(flush) == {"a": 1}
    assert flush is not None
    assert (flush.partition, flush.number) == (3, 1)
    assert [position.next_offset for position in flush.positions] == [7]
    assert assembler.take() is None


def test_a_flush_waits_for_the_topic_that_comes_later_whichever_that_is() -> None:
    assembler = FlushAssembler(0)
    assembler.put("state", row("a", 1))
    assembler.put("state", FlushMark(1, BOTH))
    assert assembler.take() is None
    assembler.put("facts", fact("f", 1))
    assert assembler.take() is None
    assembler.put("facts", FlushMark(1, BOTH))
    flush = assembler.take()
    assert counts(flush) == {"a": 1}
    assert versions(flush) == {"f": 1}

    assembler.put("facts", fact("f", 2))
    assembler.put("facts", FlushMark(2, BOTH))
    assert assembler.take() is None
    assembler.put("state", FlushMark(2, BOTH))
    assert versions(assembler.take()) == {"f": 2}


def test_several_flushes_come_as_one_with_the_newest_value_of_every_key() -> None:
    assembler = FlushAssembler(0)
    for number in (1, 2, 3):
        assembler.put("state", row("a", number))
        assembler.put("state", FlushMark(number, STATE))
    flush = assembler.take()
    assert counts(flush) == {"a": 3}
    assert flush is not None
    assert flush.number == 3


def test_what_is_whole_is_given_although_a_later_flush_is_torn() -> None:
    assembler = FlushAssembler(0)
    assembler.put("state", row("a", 1))
    assembler.put("state", FlushMark(1, STATE))
    assembler.put("state", row("a", 2))
    assembler.put("state", FlushMark(2, BOTH))
    assert counts(assembler.take()) == {"a": 1}
    assert assembler.take() is None


def test_facts_of_a_later_flush_are_held_back_until_its_rows_are_there() -> None:
    assembler = FlushAssembler(0)
    assembler.put("facts", fact("f", 1))
    assembler.put("facts", FlushMark(1, BOTH))
    assembler.put("facts", fact("f", 2))
    assembler.put("facts", FlushMark(2, BOTH))
    assembler.put("state", FlushMark(1, BOTH))
    assert versions(assembler.take()) == {"f": 1}


def test_where_compaction_took_a_mark_of_facts_the_rows_wait_for_the_next_one() -> None:
    # Flushes 1 and 2 wrote facts; in the facts topic only the mark of 2 is left, its segment holds both.
    assembler = FlushAssembler(0)
    assembler.put("facts", fact("f", 1))
    assembler.put("facts", fact("g", 2))
    assembler.put("facts", FlushMark(2, BOTH))
    assembler.put("state", row("a", 1))
    assembler.put("state", FlushMark(1, BOTH))
    assert assembler.take() is None
    assembler.put("state", FlushMark(2, BOTH))
    flush = assembler.take()
    assert versions(flush) == {"f": 1, "g": 2}
    assert counts(flush) == {"a": 1}


def test_where_compaction_took_the_marks_of_state_facts_of_flushes_before_the_first_mark_are_given() -> None:
    assembler = FlushAssembler(0)
    assembler.put("state", row("a", 9))
    assembler.put("state", FlushMark(9, STATE))
    assembler.put("facts", fact("f", 4))
    assembler.put("facts", FlushMark(4, BOTH))
    flush = assembler.take()
    assert counts(flush) == {"a": 9}
    assert versions(flush) == {"f": 4}
    assert assembler.given == assembler.seen == 9
