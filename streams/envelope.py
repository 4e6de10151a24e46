"""What every event on the wire is made of: field types with their bounds, the source block, the envelope.

Source: spec/events.md, "envelope" and "source block".
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Id = Annotated[
    str | int, Meta(description="1 to 128 characters, no control characters; a JSON integer is its text")
]
Millis = Annotated[int, Meta(ge=0, le=253_402_300_799_999, description="ms since the epoch, UTC")]
Money = Annotated[int, Meta(ge=0, le=10**13, description="minor units of the shop's currency")]
Quantity = Annotated[int, Meta(ge=1, le=10**7, description="units")]
LineQuantity = Annotated[
    int, Meta(ge=0, le=10**7, description="units; 0 for a line without any, as real baskets hold")
]
Units = Annotated[int, Meta(ge=-(10**9), le=10**9, description="units, negative is oversold")]
Version = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Count = Annotated[int, Meta(ge=0, le=10**12, description="how many")]
BucketSeconds = Annotated[int, Meta(ge=1, le=86_400, description="length of what is counted together")]
Date = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="business day of the shop")]
Text = Annotated[str, Meta(max_length=1000)]

Owner = Literal["seller", "affiliate", "none"]
Format = Literal["live", "video", "product_card", "showcase", "other"]
Surface = Literal["shop_tab", "feed", "live_room", "search", "profile", "showcase", "offsite", "other"]
SourceSystem = Literal["storefront", "ads", "creator_payout", "inventory", "finance", "external"]


class Source(Struct, frozen=True, omit_defaults=True):
    """The attribution block; atom, slices and leaf follow from it (`streams.atoms`)."""

    owner: Owner
    format: Format
    surface: Surface
    is_paid: bool
    account_id: Id | None = None
    creator_id: Id | None = None
    content_id: Id | None = None
    sub_campaign_id: Id | None = None
    campaign_id: Id | None = None
    ad_id: Id | None = None


class Event(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The envelope that every event carries."""

    event_id: Id
    event_type: str
    shop_id: Id
    occurred_at_ms: int
    schema_version: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    currency: Annotated[str, Meta(min_length=3, max_length=3)] | None = None
    ingested_at_ms: Millis | None = None
    source_system: SourceSystem = "storefront"


class Traffic(Event, frozen=True, omit_defaults=True, kw_only=True):
    """What impressions, clicks, page views and add-to-cart share: they add and unite, and are never kept."""

    product_id: Id
    user_key: Id | None = None
    source: Source | None = None


class Fact(Event, frozen=True, omit_defaults=True, kw_only=True):
    """An event with an identity: the newest version of its key wins, at any age."""
