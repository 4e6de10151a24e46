"""The LIVEs of a shop, by when they started and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.windows import Stream

if TYPE_CHECKING:
    from streams.columns import Columns


def streams_of(columns: Columns, shop_id: str) -> list[Stream]:
    """Return the LIVEs that have started, the earliest first; none where no source feeds `content`."""
    records: list[Any] = getattr(columns, "content_states", lambda _shop_id: [])(shop_id)
    ends = {str(record.content_id): record for record in records if record.state == "live_ended"}
    found = []
    for record in records:
        if record.state != "live_started":
            continue
        content_id = str(record.content_id)
        end = ends.get(content_id)
        found.append(
            Stream(
                content_id,
                str(record.account_id),
                record.started_at_ms or record.occurred_at_ms,
                None if end is None else end.ended_at_ms or end.occurred_at_ms,
            )
        )
    return sorted(found, key=lambda stream: (stream.from_ms, stream.content_id))
