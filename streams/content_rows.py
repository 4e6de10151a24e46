"""Rows of content, engagement, violations and followers, and what follows from several of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import polars as pl

from streams.atoms import KINDS, NO_SOURCE_ATOM
from streams.events import Account, Content, Follower, Violation
from streams.frames import SLOT

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from streams.days import BusinessCalendar
    from streams.state import FactRow

_TEXT: Final = pl.String()
_INT: Final = pl.Int64()

STATE_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "content_id": _TEXT,
    "state": _TEXT,
    "kind": _TEXT,
    "account_id": _TEXT,
    "account_kind": _TEXT,
    "creator_id": _TEXT,
    "title": _TEXT,
    "key_session": pl.Boolean(),
    "product_ids": pl.List(_TEXT),
    "started_at_ms": _INT,
    "ended_at_ms": _INT,
    "variant": _TEXT,
    "campaign_id": _TEXT,
    "sub_campaign_id": _TEXT,
    "occurred_at_ms": _INT,
    "received_at_ms": _INT,
}

CONTENT_SCHEMA: Final[dict[str, pl.DataType]] = {
    "content_id": _TEXT,
    "kind": _TEXT,
    "account_id": _TEXT,
    "account_kind": _TEXT,
    "creator_id": _TEXT,
    "title": _TEXT,
    "key_session": pl.Boolean(),
    "product_ids": pl.List(_TEXT),
    "variant": _TEXT,
    "campaign_id": _TEXT,
    "sub_campaign_id": _TEXT,
    "new_at_ms": _INT,
    "ended_at_ms": _INT,
    "removed_at_ms": _INT,
    "received_at_ms": _INT,
    "day": pl.Int32(),
    "atom": pl.UInt8(),
}
"""One row per content. `new_at_ms` is when a video was published or a LIVE began, null while that is not known; `day`
is its business day. What describes it is from its latest record; products of all its records belong to it (X-78)."""

ENGAGEMENT_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "content_id": _TEXT,
    "territory": _TEXT,
    "age_band": _TEXT,
    "gender": _TEXT,
    "at_ms": _INT,
    "views": _INT,
    "keyed_views": _INT,
    "likes": _INT,
    "comments": _INT,
    "shares": _INT,
    "saves": _INT,
    "watch_ms": _INT,
    "concurrent_viewers": _INT,
    "received_at_ms": _INT,
    "day": pl.Int32(),
}
"""`at_ms` is the start of the bucket, `keyed_views` the views of records that name their viewers."""

VIOLATION_SCHEMA: Final[dict[str, pl.DataType]] = {
    "violation_id": _TEXT,
    "content_id": _TEXT,
    "content_kind": _TEXT,
    "account_id": _TEXT,
    "severity": _TEXT,
    "policy": _TEXT,
    "opened_at_ms": _INT,
    "resolved_at_ms": _INT,
    "raised": _INT,
    "open": _INT,
    "received_at_ms": _INT,
    "day": pl.Int32(),
    "creator_id": _TEXT,
    "atom": pl.UInt8(),
}
"""One row per violation, `raised` 1 and `open` 1 or 0; open is what was not resolved since it was last opened."""

FOLLOWER_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "account_id": _TEXT,
    "at_ms": _INT,
    "followers": _INT,
    "gained": _INT,
    "lost": _INT,
}

VIOLATION_STATE_SCHEMA: Final[dict[str, pl.DataType]] = {
    SLOT: pl.UInt32(),
    "violation_id": _TEXT,
    "content_id": _TEXT,
    "content_kind": _TEXT,
    "account_id": _TEXT,
    "state": _TEXT,
    "severity": _TEXT,
    "policy": _TEXT,
    "occurred_at_ms": _INT,
    "received_at_ms": _INT,
}

OF_CONTENT: Final = ("atom", "kind", "account_id", "creator_id", "sub_campaign_id")
"""What engagement takes over from its content."""

_STATE_ORDER: Final = {"published": 0, "live_started": 1, "live_ended": 2, "removed": 3}
_SELLER: Final = ("marketing", "linked")


def days_of(calendar: BusinessCalendar, at_ms: Sequence[int]) -> list[int]:
    """Return the business day of each instant."""
    days: list[int] = calendar.days_of(np.array(at_ms, dtype=np.int64)).tolist() if at_ms else []
    return days


def text(value: str | int | None) -> str | None:
    """Return an id as text: a JSON integer is its text."""
    return None if value is None else str(value)


def content_atom(account_kind: str | None, kind: str | None) -> int:
    """Return the atom of content, outside the Shop tab, from who posts it and what it is."""
    if account_kind in _SELLER:
        name = {"live": "seller_live", "video": "seller_video", "product_card": "seller_product_card"}
        return 2 * KINDS.index(name.get(kind or "", "other"))
    if account_kind == "affiliate":
        name = {"live": "affiliate_live", "video": "affiliate_video"}
        return 2 * KINDS.index(name.get(kind or "", "affiliate_other"))
    return NO_SOURCE_ATOM


def state_rows(slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
    """Return `STATE_SCHEMA`, one row per content and state."""
    events = [cast("Content", row.event) for row in rows]
    return pl.DataFrame(
        {
            SLOT: slots,
            "content_id": [str(event.content_id) for event in events],
            "state": [event.state for event in events],
            "kind": [event.kind for event in events],
            "account_id": [str(event.account_id) for event in events],
            "account_kind": [event.account_kind for event in events],
            "creator_id": [text(event.creator_id) for event in events],
            "title": [event.title for event in events],
            "key_session": [event.key_session for event in events],
            "product_ids": [[str(product) for product in event.product_ids] for event in events],
            "started_at_ms": [event.started_at_ms for event in events],
            "ended_at_ms": [event.ended_at_ms for event in events],
            "variant": [event.variant for event in events],
            "campaign_id": [text(event.campaign_id) for event in events],
            "sub_campaign_id": [text(event.sub_campaign_id) for event in events],
            "occurred_at_ms": [event.occurred_at_ms for event in events],
            "received_at_ms": [row.received_at_ms for row in rows],
        },
        schema=STATE_SCHEMA,
    )


def contents_of(states: pl.DataFrame, calendar: BusinessCalendar) -> pl.DataFrame:
    """Return `CONTENT_SCHEMA` of the states of contents."""
    rows: list[dict[str, Any]] = []
    by_content: dict[Hashable, list[dict[str, Any]]] = {}
    for state in states.iter_rows(named=True):
        by_content.setdefault(state["content_id"], []).append(state)
    for own in by_content.values():
        own.sort(key=lambda state: (state["occurred_at_ms"], _STATE_ORDER[state["state"]]))
        latest = own[-1]
        of_state = {state["state"]: state for state in own}
        products = dict.fromkeys(product for state in own for product in state["product_ids"])
        new = of_state.get("published" if latest["kind"] == "video" else "live_started")
        ended = of_state.get("live_ended")
        new_at_ms = None
        if new is not None:
            started = new["started_at_ms"]
            new_at_ms = new["occurred_at_ms"] if started is None else started
        elif ended is not None:
            # The record of its start is not known, but that it started is.
            new_at_ms, new = ended["started_at_ms"], ended
        ended_at_ms = None if ended is None else ended["ended_at_ms"]
        if ended_at_ms is not None and new_at_ms is not None and ended_at_ms < new_at_ms:
            # Of an earlier broadcast under the same id: this one goes on.
            ended_at_ms = None
        rows.append(
            {name: latest[name] for name in CONTENT_SCHEMA if name in latest}
            | {
                "product_ids": sorted(products),
                "new_at_ms": new_at_ms,
                "ended_at_ms": ended_at_ms,
                "removed_at_ms": of_state.get("removed", {}).get("occurred_at_ms"),
                "received_at_ms": (new or latest)["received_at_ms"],
                "day": None if new_at_ms is None else calendar.day_of(new_at_ms),
                "atom": content_atom(latest["account_kind"], latest["kind"]),
            }
        )
    return pl.DataFrame(rows, schema=CONTENT_SCHEMA).sort("content_id")


def by_product(contents: pl.DataFrame) -> pl.DataFrame:
    """Return contents by product; see `ContentColumns.content_products`."""
    is_new, by_creator = pl.col("new_at_ms").is_not_null(), pl.col("account_kind") == "affiliate"

    def where(condition: pl.Expr, column: str) -> pl.Expr:
        return pl.when(is_new & condition).then(pl.col(column)).otherwise(None)

    live, video = pl.col("kind") == "live", pl.col("kind") == "video"
    return contents.with_columns(
        where(live, "content_id").alias("new_live"),
        where(video, "content_id").alias("new_video"),
        where(live & by_creator, "content_id").alias("creator_live"),
        where(video & by_creator, "content_id").alias("creator_video"),
        where(live & ~by_creator, "content_id").alias("seller_live"),
        where(video & ~by_creator, "content_id").alias("seller_video"),
        where(by_creator, "creator_id").alias("poster"),
        pl.col("product_ids").alias("product_id"),
    ).explode("product_id", empty_as_null=True)


def by_day(contents: pl.DataFrame, calendar: BusinessCalendar) -> pl.DataFrame:
    """Return contents by the days on which they were new or live; see `ContentColumns.content_days`."""
    rows: list[tuple[Any, ...]] = []
    known = contents.filter(pl.col("new_at_ms").is_not_null())
    for content_id, atom, account_id, creator_id, start, end, day in known.select(
        "content_id", "atom", "account_id", "creator_id", "new_at_ms", "ended_at_ms", "day"
    ).iter_rows():
        # A LIVE without an end lasts its first day: nobody knows that it went on.
        last = day if end is None else max(day, calendar.day_of(max(start, end - 1)))
        rows += [
            (
                content_id,
                atom,
                account_id,
                creator_id,
                start if one == day else calendar.day_start_ms(one),
                one,
            )
            for one in range(day, min(last, day + _MOST_DAYS) + 1)
        ]
    schema = {name: CONTENT_SCHEMA[name] for name in ("content_id", "atom", "account_id", "creator_id")}
    return pl.DataFrame(rows, schema=schema | {"at_ms": _INT, "day": pl.Int32()}, orient="row")


_MOST_DAYS: Final = 7
"""No LIVE is taken to run longer than a week, whatever its records say."""


def with_content(frame: pl.DataFrame, contents: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Put what is known of each row's content beside it; of an unknown one, atom `other`."""
    joined = frame.join(
        contents.select("content_id", *columns), on="content_id", how="left", maintain_order="left"
    )
    return joined.with_columns(pl.col("atom").fill_null(NO_SOURCE_ATOM))


def violation_rows(slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
    """Return `VIOLATION_STATE_SCHEMA`, one row per violation and state."""
    events = [cast("Violation", row.event) for row in rows]
    return pl.DataFrame(
        {
            SLOT: slots,
            "violation_id": [str(event.violation_id) for event in events],
            "content_id": [text(event.content_id) for event in events],
            "content_kind": [event.content_kind for event in events],
            "account_id": [str(event.account_id) for event in events],
            "state": [event.state for event in events],
            "severity": [event.severity for event in events],
            "policy": [event.policy for event in events],
            "occurred_at_ms": [event.occurred_at_ms for event in events],
            "received_at_ms": [row.received_at_ms for row in rows],
        },
        schema=VIOLATION_STATE_SCHEMA,
    )


def violations_of(
    states: pl.DataFrame, contents: pl.DataFrame, accounts: dict[str, Account], calendar: BusinessCalendar
) -> pl.DataFrame:
    """Return `VIOLATION_SCHEMA` of the states of violations, with the owner by content, else by account."""
    content_of = {row["content_id"]: row for row in contents.iter_rows(named=True)}
    kind_of: dict[str, str] = {row["account_id"]: row["account_kind"] for row in content_of.values()}
    kind_of |= {account_id: account.kind for account_id, account in accounts.items()}
    creator_of = {account_id: text(account.creator_id) for account_id, account in accounts.items()}
    by_violation: dict[Hashable, list[dict[str, Any]]] = {}
    for state in states.iter_rows(named=True):
        by_violation.setdefault(state["violation_id"], []).append(state)
    rows = []
    for own in by_violation.values():
        own.sort(key=lambda state: (state["occurred_at_ms"], state["state"]))
        latest, at_of = own[-1], {state["state"]: state["occurred_at_ms"] for state in own}
        opened = next((state for state in own if state["state"] == "opened"), own[0])
        resolved_ms = at_of.get("resolved")
        # Opened again after it was resolved: open once more.
        is_open = resolved_ms is None or opened["occurred_at_ms"] > resolved_ms
        content = content_of.get(latest["content_id"], {})
        shown = {"listing": "product_card", "caption": content.get("kind")}
        kind = shown.get(latest["content_kind"], latest["content_kind"])
        owner = content.get("account_kind") or kind_of.get(latest["account_id"])
        rows.append(
            {name: latest[name] for name in VIOLATION_SCHEMA if name in latest}
            | {
                "opened_at_ms": opened["occurred_at_ms"],
                "received_at_ms": opened["received_at_ms"],
                "resolved_at_ms": None if is_open else resolved_ms,
                "raised": 1,
                "open": int(is_open),
                "day": calendar.day_of(opened["occurred_at_ms"]),
                "creator_id": content.get("creator_id") or creator_of.get(latest["account_id"]),
                "atom": content_atom(owner, kind),
            }
        )
    return pl.DataFrame(rows, schema=VIOLATION_SCHEMA).sort("violation_id")


def follower_rows(slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
    """Return `FOLLOWER_SCHEMA`."""
    events = [cast("Follower", row.event) for row in rows]
    return pl.DataFrame(
        {
            SLOT: slots,
            "account_id": [str(event.account_id) for event in events],
            "at_ms": [event.occurred_at_ms for event in events],
            "followers": [event.followers for event in events],
            "gained": [event.gained for event in events],
            "lost": [event.lost for event in events],
        },
        schema=FOLLOWER_SCHEMA,
    )
