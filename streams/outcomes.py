"""What becomes of a record: every record that is read ends in exactly one outcome (design, decision 6)."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """The closed list; the value is also the label in metrics, dead letters and answers."""

    COUNTED = "counted"
    COUNTED_LATE = "counted_late"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    TOO_LATE = "too_late"
    REJECTED_FUTURE = "rejected_future"
    REJECTED_TIME = "rejected_time"
    REJECTED_SCHEMA = "rejected_schema"
    REJECTED_TYPE = "rejected_type"
    REJECTED_SIZE = "rejected_size"
    REJECTED_SHOP = "rejected_shop"
    CURRENCY_MISMATCH = "currency_mismatch"
    REJECTED_REPLAY = "rejected_replay"


COUNTING = frozenset({Outcome.COUNTED, Outcome.COUNTED_LATE})
"""Records that are in the numbers."""

REPEATED = frozenset({Outcome.DUPLICATE, Outcome.SUPERSEDED})
"""Records that are not in the numbers because a better copy is."""

DEAD_LETTERS = frozenset(Outcome) - COUNTING - REPEATED
"""Records that cannot count as they are: kept in the dead-letter topic with their reason."""
