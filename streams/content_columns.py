"""Content, its engagement, violations, followers and accounts of one shop as polars columns.

What content is (kind, poster, creator) stands on its own records; everything that only names a content takes it over
from there, so engagement that arrives before its content is told apart as soon as that is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import polars as pl

from streams.content_rows import (
    ENGAGEMENT_SCHEMA,
    FOLLOWER_SCHEMA,
    OF_CONTENT,
    STATE_SCHEMA,
    VIOLATION_STATE_SCHEMA,
    by_day,
    by_product,
    contents_of,
    days_of,
    follower_rows,
    state_rows,
    text,
    violation_rows,
    violations_of,
    with_content,
)
from streams.events import Account, ContentEngagement
from streams.frames import SLOT, LatestFacts
from streams.viewers import ViewerCells, image_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streams.days import BusinessCalendar
    from streams.state import FactRow


class ContentColumns:
    """Everything about content, audience and accounts of one shop; frames are cached until something wins.

    Args:
        calendar: the shop's.
    """

    KINDS: Final = ("content", "content_engagement", "violation", "follower", "account")
    """The facts that belong here."""

    def __init__(self, calendar: BusinessCalendar) -> None:
        self._calendar = calendar
        self._viewers = ViewerCells()
        self._states = LatestFacts(STATE_SCHEMA, state_rows)
        self._engagement = LatestFacts(ENGAGEMENT_SCHEMA, self._engagement_rows)
        self._violations = LatestFacts(VIOLATION_STATE_SCHEMA, violation_rows)
        self._followers = LatestFacts(FOLLOWER_SCHEMA, follower_rows)
        self._accounts: dict[str, FactRow] = {}
        self._account_version = 0
        self._derived: dict[str, tuple[tuple[object, ...], pl.DataFrame]] = {}

    def __len__(self) -> int:
        """Return the number of keys."""
        tables = (self._states, self._engagement, self._violations, self._followers)
        return len(self._accounts) + sum(len(table) for table in tables)

    def put(self, row: FactRow) -> None:
        """Take one fact in; the winner of its key stays."""
        kind, ids = row.key.kind, row.key.ids
        if kind == "content":
            self._states.put(ids, row)
        elif kind == "content_engagement":
            self._engagement.put(ids, row)
        elif kind == "violation":
            self._violations.put(ids, row)
        elif kind == "follower":
            self._followers.put(ids, row)
        else:
            present = self._accounts.get(ids[0])
            if present is None or row.merge_order > present.merge_order:
                self._accounts[ids[0]] = row
                self._account_version += 1

    def settle(self) -> None:
        """Make rows of what was put: `LatestFacts.settle`."""
        for table in (self._states, self._engagement, self._violations, self._followers):
            table.settle()

    def accounts(self) -> dict[str, Account]:
        """Return the newest version of each account, by id."""
        return {account_id: cast("Account", row.event) for account_id, row in self._accounts.items()}

    def contents(self) -> pl.DataFrame:
        """Return `CONTENT_SCHEMA`."""
        states = self._states.frame()
        return self._cached("contents", (states,), lambda: contents_of(states, self._calendar))

    def content_products(self) -> pl.DataFrame:
        """Return `CONTENT_SCHEMA` by product, `product_id` beside it: a row per product, one with null without any.

        `new_live` and `new_video` hold the content's id where it is new content of that kind, `by_creator`,
        `by_seller` likewise those of creators and of the shop's own accounts, `poster` the creator who posted it.
        """
        contents = self.contents()
        return self._cached("products", (contents,), lambda: by_product(contents))

    def content_days(self) -> pl.DataFrame:
        """Return content_id, atom, account_id, creator_id, `at_ms`, `day`: one row per day that it was new or live.

        A LIVE that runs over midnight is live on both days; `at_ms` is its start, on later days midnight.
        """
        contents = self.contents()
        return self._cached("days", (contents,), lambda: by_day(contents, self._calendar))

    def engagement(self) -> pl.DataFrame:
        """Return `ENGAGEMENT_SCHEMA` and `OF_CONTENT`; of a content that is not known, atom `other`."""
        engagement, contents = self._engagement.frame(), self.contents()
        return self._cached(
            "engagement", (engagement, contents), lambda: with_content(engagement, contents, OF_CONTENT)
        )

    def viewers(self, groups: Sequence[Any]) -> list[float]:
        """Return the estimated number of distinct viewers in groups of `engagement()` rows, each an array of slots."""
        self._engagement.frame()
        return self._viewers.estimate(groups)

    def violations(self) -> pl.DataFrame:
        """Return `VIOLATION_SCHEMA`."""
        states, contents = self._violations.frame(), self.contents()
        return self._cached(
            "violations",
            (states, contents, self._account_version),
            lambda: violations_of(states, contents, self.accounts(), self._calendar),
        )

    def followers(self) -> pl.DataFrame:
        """Return `FOLLOWER_SCHEMA`, one row per account and time, by these."""
        followers = self._followers.frame()
        return self._cached("followers", (followers,), lambda: followers.sort("account_id", "at_ms"))

    def _cached(
        self, name: str, made_of: tuple[object, ...], make: Callable[[], pl.DataFrame]
    ) -> pl.DataFrame:
        known = self._derived.get(name)
        if known is None or any(old is not new for old, new in zip(known[0], made_of, strict=True)):
            known = self._derived[name] = (made_of, make())
        return known[1]

    def _engagement_rows(self, slots: list[int], rows: list[FactRow]) -> pl.DataFrame:
        events = [cast("ContentEngagement", row.event) for row in rows]
        days = days_of(self._calendar, [event.bucket_start_ms for event in events])
        images = [image_of(event) for event in events]
        for slot, event, day, image in zip(slots, events, days, images, strict=True):
            self._viewers.put(slot, str(event.content_id), day, image)
        return pl.DataFrame(
            {
                SLOT: slots,
                "content_id": [str(event.content_id) for event in events],
                "territory": [text(event.territory) for event in events],
                "age_band": [text(event.age_band) for event in events],
                "gender": [text(event.gender) for event in events],
                "at_ms": [event.bucket_start_ms for event in events],
                "views": [event.views for event in events],
                "keyed_views": [
                    0 if image is None else event.views for event, image in zip(events, images, strict=True)
                ],
                "likes": [event.likes for event in events],
                "comments": [event.comments for event in events],
                "shares": [event.shares for event in events],
                "saves": [event.saves for event in events],
                "watch_ms": [round(event.watch_seconds * 1000) for event in events],
                "concurrent_viewers": [event.concurrent_viewers for event in events],
                "received_at_ms": [row.received_at_ms for row in rows],
                "day": days,
            },
            schema=ENGAGEMENT_SCHEMA,
        )
