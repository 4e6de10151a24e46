"""Event types about content, who posts it and who watches it. Source: spec/events.md."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from streams.envelope import Count, Fact, Id, Millis, Text, Version

SKETCH_LG_K: Final = 12
"""Size of the sketches of viewers: an HLL of Apache DataSketches with 2**12 registers, error 1.6 %."""

AccountKind = Literal["marketing", "linked", "affiliate"]
ContentKind = Literal["live", "video"]
ContentState = Literal["published", "live_started", "live_ended", "removed"]

ViewerKeys = Annotated[list[Id], Meta(max_length=5_000)]
"""Who watched in the bucket, as `user_key`; for more of them there is the sketch."""

ViewerSketch = Annotated[
    bytes,
    Meta(
        max_length=8_192,
        description="who watched in the bucket: base64 of an HLL image of Apache DataSketches, lg_k 12, fed with text",
    ),
]


class Content(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """A video or LIVE reached a state; of each state the latest record stands.

    New content is a video's `published` and a LIVE's `live_started`.
    """

    content_id: Id
    kind: ContentKind
    state: ContentState
    account_id: Id
    account_kind: AccountKind
    product_ids: Annotated[list[Id], Meta(max_length=10_000)]
    key_session: bool
    creator_id: Id | None = None
    title: Text | None = None
    started_at_ms: Millis | None = None
    ended_at_ms: Millis | None = None
    variant: Text | None = None
    campaign_id: Id | None = None
    sub_campaign_id: Id | None = None


class ContentEngagement(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """What people did with a piece of content in one bucket of time: counts of that bucket alone.

    Records of one content and bucket that differ in territory, age band or gender are parts of it and add up.
    """

    content_id: Id
    bucket_start_ms: Millis
    views: Count
    likes: Count
    comments: Count
    shares: Count
    saves: Count
    watch_seconds: Annotated[float, Meta(ge=0, le=1e12, description="sum over viewers")]
    viewer_keys: ViewerKeys = field(default_factory=list)
    viewer_sketch: ViewerSketch | None = None
    concurrent_viewers: Count | None = None
    territory: Id | None = None
    age_band: Id | None = None
    gender: Id | None = None


class Violation(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """A violation of the platform's rules reached a state; open is what is not resolved."""

    violation_id: Id
    content_kind: Literal["live", "video", "listing", "caption"]
    account_id: Id
    state: Literal["opened", "appealed", "resolved"]
    severity: Literal["warning", "restriction", "removal"]
    content_id: Id | None = None
    policy: Text | None = None


class Follower(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """The number of followers of an account at a time: absolute, so a lost record heals itself."""

    account_id: Id
    followers: Count
    gained: Count | None = None
    lost: Count | None = None


class CommissionTerms(Struct, frozen=True, omit_defaults=True):
    """A creator's terms from a time on."""

    version: Id
    rate: Annotated[float, Meta(ge=0, le=1, description="0.1 is 10 %")]
    from_ms: Millis


class Account(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """A creator's or a shop's account; the highest version wins."""

    account_id: Id
    display_name: Text
    kind: AccountKind
    creator_id: Id | None = None
    creator_type: Text | None = None
    commission_terms: Annotated[list[CommissionTerms], Meta(max_length=1_000)] = field(default_factory=list)
    version: Version = 0
