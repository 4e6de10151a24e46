"""Content of a made-up day as events on the wire: who posts, what is live, who watches, what is objected to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from replay.generator.assortment import ACCOUNTS, CAMPAIGN_ID, CREATOR_TYPES, PLACES, PRODUCTS
from replay.generator.facts import event, user_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replay.generator.facts import Event
    from replay.generator.parameters import Knobs
    from replay.generator.traffic import Day, Traffic

LIVE_BUCKET_MS: Final = 60_000
VIDEO_BUCKET_MS: Final = 900_000
DAY_MS: Final = 86_400_000

AGE_BANDS: Final = ("18-24", "25-34", "35+")

FEEDS: Final = {
    "content-api": ("cm.content", "cm.engagement", "cm.violations", "cm.followers", "cm.accounts")
}
"""Who sends content, with heartbeats of its own."""


def content_events(rng: np.random.Generator, knobs: Knobs, day: Day, traffic: Traffic) -> Iterator[Event]:
    """Yield accounts, content, its engagement, the day's violation and follower counts."""
    yield from _accounts(day)
    yield from _contents(rng, knobs, day)
    yield from _engagement(rng, knobs, day, traffic)
    yield from _violation(knobs, day)
    yield from _followers(rng, knobs, day)


def violation_span_ms(knobs: Knobs, day: Day) -> tuple[int, int]:
    """Return when the day's violation is opened and resolved."""
    opened, resolved = knobs.row("violation_hours")
    return day.at(opened), day.at(resolved)


VIOLATED: Final = "live-june"
"""The LIVE that the violation is about."""


def contents() -> dict[str, list[int]]:
    """Return the places of each content, by content id; a video may be shown in the Shop tab as well."""
    found: dict[str, list[int]] = {}
    for index, place in enumerate(PLACES):
        content_id = place.block.get("content_id")
        if content_id is not None:
            found.setdefault(str(content_id), []).append(index)
    return found


def _accounts(day: Day) -> Iterator[Event]:
    for account_id, (kind, creator_id, name) in ACCOUNTS.items():
        creator = {"creator_id": creator_id, "creator_type": CREATOR_TYPES[creator_id]} if creator_id else {}
        yield event(
            "account",
            account_id,
            day.start_ms,
            account_id=account_id,
            display_name=name,
            kind=kind,
            **creator,
            version=1,
        )


def _contents(rng: np.random.Generator, knobs: Knobs, day: Day) -> Iterator[Event]:
    """Yield LIVEs when they start and end; videos once, of which some are of this day and the others older."""
    all_contents = contents()
    videos = [name for name, places in all_contents.items() if PLACES[places[0]].block["format"] == "video"]
    new = set(videos[: int(knobs.number("new_videos"))])
    for content_id, places in all_contents.items():
        place = PLACES[places[0]]
        block = place.block
        account_id = str(block["account_id"])
        kind, creator_id, _ = ACCOUNTS[account_id]
        featured = [product for index in places for product, _ in PLACES[index].featured]
        fields: dict[str, object] = {
            "content_id": content_id,
            "kind": block["format"],
            "account_id": account_id,
            "account_kind": kind,
            **({"creator_id": creator_id} if creator_id else {}),
            "title": content_id.replace("-", " ").capitalize(),
            "product_ids": [PRODUCTS[product].product_id for product in dict.fromkeys(featured or range(5))],
            "key_session": block.get("sub_campaign_id") == "live-festival",
        }
        if "sub_campaign_id" in block:
            fields |= {"campaign_id": CAMPAIGN_ID, "sub_campaign_id": block["sub_campaign_id"]}
        if block["format"] == "live":
            start_ms, end_ms = day.at(place.hours[0]), day.at(place.hours[1])
            for state, at_ms in (("live_started", start_ms), ("live_ended", end_ms)):
                times = {"started_at_ms": start_ms} | (
                    {"ended_at_ms": end_ms} if state == "live_ended" else {}
                )
                yield event("content", content_id, at_ms, state=state, **fields, **times)
        else:
            age_ms = 0 if content_id in new else int(rng.integers(1, 20)) * DAY_MS
            # The record of an older video tells when it was published.
            yield event(
                "content",
                content_id,
                day.start_ms,
                state="published",
                **fields,
                started_at_ms=day.start_ms - age_ms,
            )


def _engagement(rng: np.random.Generator, knobs: Knobs, day: Day, traffic: Traffic) -> Iterator[Event]:
    """Yield engagement by bucket: whoever is shown a product by a content watches it, and others do as well.

    A video's buckets are told by age band of the viewers, a LIVE's are not.
    """
    shown = traffic.impressions
    bands = np.array(knobs.row("age_band_shares")).cumsum()
    for content_id, places in contents().items():
        rows = np.isin(shown.place, places)
        is_live = PLACES[places[0]].block["format"] == "live"
        length_ms = LIVE_BUCKET_MS if is_live else VIDEO_BUCKET_MS
        person = shown.person[rows]
        # A person's age is his for good.
        band = np.searchsorted(bands, (person * 7_919 % 1_000) / 1_000, side="right").clip(
            0, len(AGE_BANDS) - 1
        )
        watched = (
            pl.DataFrame(
                {
                    "bucket": (shown.at_ms[rows] - day.start_ms) // length_ms,
                    "band": np.zeros(len(person), dtype=np.int64) if is_live else band,
                    "person": person,
                }
            )
            .group_by("bucket", "band")
            .agg(pl.col("person").unique().sort())
            .sort("bucket", "band")
        )
        for bucket, age, people in watched.iter_rows():
            start_ms = day.start_ms + bucket * length_ms
            yield _bucket(rng, knobs, day, content_id, start_ms, length_ms, people, None if is_live else age)


def _bucket(
    rng: np.random.Generator,
    knobs: Knobs,
    day: Day,
    content_id: str,
    start_ms: int,
    length_ms: int,
    people: list[int],
    age: int | None,
) -> Event:
    views = len(people) + int(rng.poisson(len(people) * (knobs.number("views_per_viewer") - 1)))
    actions = {
        name: int(rng.binomial(views, share))
        for name, share in zip(
            ("likes", "comments", "shares", "saves"), knobs.row("engagement_shares"), strict=True
        )
    }
    seconds = knobs.number("watch_seconds_live" if age is None else "watch_seconds_video")
    parts = {} if age is None else {"age_band": AGE_BANDS[age]}
    return event(
        "content_engagement",
        content_id,
        min(start_ms + length_ms, day.end_ms - 1),
        event_id=f"engagement-{content_id}-{start_ms}-{parts.get('age_band', 'all')}",
        content_id=content_id,
        bucket_start_ms=start_ms,
        views=views,
        **actions,
        watch_seconds=round(views * seconds * float(rng.uniform(0.8, 1.2)), 1),
        viewer_keys=[user_key(person) for person in people],
        **({"concurrent_viewers": int(views * knobs.number("concurrent_share"))} if age is None else {}),
        **parts,
    )


def _violation(knobs: Knobs, day: Day) -> Iterator[Event]:
    if "violation_hours" not in knobs:
        return
    account_id = next(
        str(place.block["account_id"]) for place in PLACES if place.block.get("content_id") == VIOLATED
    )
    for state, at_ms in zip(("opened", "resolved"), violation_span_ms(knobs, day), strict=True):
        yield event(
            "violation",
            VIOLATED,
            at_ms,
            event_id=f"violation-{day.label}-{state}",
            violation_id=f"v-{day.label}-1",
            content_id=VIOLATED,
            content_kind="live",
            account_id=account_id,
            state=state,
            severity="warning",
            policy="misleading price claim",
        )


def _followers(rng: np.random.Generator, knobs: Knobs, day: Day) -> Iterator[Event]:
    for account_id, (kind, _, _) in ACCOUNTS.items():
        if kind == "affiliate":
            continue
        followers = int(knobs.number("followers")) // (1 if kind == "marketing" else 4)
        for hour in range(24):
            gained = int(rng.poisson(followers * knobs.number("follower_gain_per_day") / 24))
            lost = int(rng.poisson(gained * 0.2))
            followers += gained - lost
            at_ms = day.at(hour)
            yield event(
                "follower",
                account_id,
                at_ms,
                event_id=f"follower-{account_id}-{at_ms}",
                account_id=account_id,
                followers=followers,
                gained=gained,
                lost=lost,
            )
