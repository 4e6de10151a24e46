"""What the outbox notes of one thing told to one route, and of a route."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from streams.incidents import IncidentState


class Status(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"
    SENT = "sent"
    WOULD_HAVE_SENT = "would_have_sent"
    OBSOLETE = "obsolete"
    REFUSED = "refused"


@dataclass(slots=True)
class Delivery:
    """One thing to tell one route, as it is kept and as a person reads it in the log.

    Attributes:
        number: rises with every delivery.
        subject: an incident's key, or an alert's id on a route that takes every alert.
        created_ms, done_ms: when it was written down and settled, None while pending. Wall clock.
        level: step of the escalation; batch: id of the request that carries it; empty before its first try.
        error: of the last try; empty when there was none.
    """

    number: int
    route: str
    subject: str
    state: IncidentState
    shop_id: str
    status: Status
    created_ms: int
    text: str
    level: int = 0
    done_ms: int | None = None
    batch: str = ""
    attempts: int = 0
    error: str = ""


@dataclass(slots=True)
class Pace:
    """When a route may be tried again, and the request that it is at.

    Attributes:
        batch, body, members: of the request that is being tried; empty when there is none.
    """

    next_ms: int = 0
    failures: int = 0
    batch: str = ""
    body: bytes = b""
    members: tuple[int, ...] = ()
