"""What a document of the wall says of a figure that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.reason_words import in_short
from streams.topics import RECORDING_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.columns import Columns


def missing(reason: str | None, needs: Sequence[str] = ()) -> dict[str, Any]:
    """Return the reason for programs, the topics that would mend it, and the words that a person reads."""
    return {"null": reason, "needs": list(needs), "says": in_short(reason, needs)}


def unfed(columns: Columns, shop_id: str, topics: Iterable[str]) -> list[str]:
    """Return the topics, by the names that a producer knows them by, that no source feeds."""
    return [RECORDING_PREFIX + topic for topic in topics if columns.source_since_ms(shop_id, topic) is None]
