"""What the wire classes cannot say of an event: fields that need each other, times that must agree.

Source: spec/events.md. Each check returns what is wrong, for a person, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from streams.days import EARLIEST_MS, parse_day
from streams.events import (
    Account,
    AdMetric,
    Benchmark,
    Content,
    ContentEngagement,
    HistoryTotal,
    OrderPaid,
    Refund,
    TrafficTotal,
    Violation,
)
from streams.events_content import SKETCH_LG_K
from streams.foreign_sketches import rebuilt

if TYPE_CHECKING:
    from streams.events import Event

AHEAD_MS: Final = 120_000
"""A bucket or a stream may begin so much later than the event that tells of it: clocks differ. Anything later is a
mistake, and would stretch calendars over thousands of years."""


def _order(event: OrderPaid) -> str | None:
    if event.paid_at_ms != event.occurred_at_ms:
        return f"paid_at_ms {event.paid_at_ms} must equal occurred_at_ms {event.occurred_at_ms}"
    return None


def _refund(event: Refund) -> str | None:
    if event.processed_at_ms != event.occurred_at_ms:
        return f"processed_at_ms {event.processed_at_ms} must equal occurred_at_ms {event.occurred_at_ms}"
    return None


def _content(event: Content) -> str | None:
    if event.account_kind == "affiliate" and event.creator_id is None:
        return "creator_id is missing: account_kind is affiliate"
    if event.state.startswith("live_") and event.kind != "live":
        return f"kind is {event.kind}: only a LIVE can be {event.state}"
    needed = {"live_started": "started_at_ms", "live_ended": "ended_at_ms"}.get(event.state)
    if needed and getattr(event, needed) is None:
        return f"{needed} is missing: state is {event.state}"
    if None not in (event.started_at_ms, event.ended_at_ms) and event.ended_at_ms < event.started_at_ms:  # type: ignore[operator] # neither is None
        return f"ended_at_ms {event.ended_at_ms} is before started_at_ms {event.started_at_ms}"
    return _out_of_time(event, "started_at_ms") or _out_of_time(event, "ended_at_ms")


def _engagement(event: ContentEngagement) -> str | None:
    if event.viewer_sketch is not None:
        if event.viewer_keys:
            return "viewer_keys and viewer_sketch exclude each other"
        try:
            rebuilt(event.viewer_sketch, SKETCH_LG_K)
        except ValueError as error:
            return f"viewer_sketch cannot be read: {error}"
    return _out_of_time(event, "bucket_start_ms")


def _violation(event: Violation) -> str | None:
    if event.content_kind != "listing" and event.content_id is None:
        return f"content_id is missing: content_kind is {event.content_kind}"
    return None


def _account(event: Account) -> str | None:
    if event.kind == "affiliate" and event.creator_id is None:
        return "creator_id is missing: kind is affiliate"
    return None


def _bucket(event: AdMetric | TrafficTotal) -> str | None:
    return _out_of_time(event, "bucket_start_ms")


def _history(event: HistoryTotal) -> str | None:
    if event.date == "lifetime":
        return None if event.hour is None else "hour is given: a lifetime has none"
    return _no_date(event.date, "date")


def _benchmark(event: Benchmark) -> str | None:
    return _no_date(event.benchmark_day, "benchmark_day")


def _out_of_time(event: Event, name: str) -> str | None:
    at_ms: int | None = getattr(event, name)
    if at_ms is None or EARLIEST_MS <= at_ms <= event.occurred_at_ms + AHEAD_MS:
        return None
    if at_ms < EARLIEST_MS:
        return f"{name} {at_ms} is before the year 2000"
    return f"{name} {at_ms} is after occurred_at_ms {event.occurred_at_ms}"


def _no_date(text: str, name: str) -> str | None:
    try:
        parse_day(text)
    except ValueError:
        return f"{name} {text} is no date"
    return None if text >= "2000" else f"{name} {text} is before the year 2000"


FAULTS: Final[dict[type, Callable[[Any], str | None]]] = {
    OrderPaid: _order,
    Refund: _refund,
    Content: _content,
    ContentEngagement: _engagement,
    Violation: _violation,
    Account: _account,
    AdMetric: _bucket,
    TrafficTotal: _bucket,
    HistoryTotal: _history,
    Benchmark: _benchmark,
}
"""By event type what is wrong with an event that is well formed."""
