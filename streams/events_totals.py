"""Event types that carry ready-made figures: counts of a source without single events, history, benchmarks.

Source: spec/events.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from streams.atoms import LEAF_OF_ATOM, NO_SOURCE_ATOM, atom_of
from streams.envelope import BucketSeconds, Count, Date, Fact, Id, Millis, Source, Text, Version

Figure = Annotated[
    float, Meta(ge=-1e15, le=1e15, description="money in minor units, a rate as a fraction: 0.042 is 4.2 %")
]
MetricId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,99}$", description="id of docs/METRICS.md")]
SliceName = Literal[
    "all",
    "seller_live",
    "seller_video",
    "seller_product_card",
    "affiliate",
    "affiliate_live",
    "affiliate_video",
    "shop_tab",
]


class TrafficTotal(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """Ready-made counts from a source that has no single events; they add to the counts of single events.

    `mode` delta: counts of the bucket. `running_total`: counts since the start of the shop-day, of a LIVE since its
    start; the bucket's own are what they rose by since the record before. The highest revision of a bucket holds.
    """

    bucket_start_ms: Millis
    bucket_seconds: BucketSeconds
    mode: Literal["delta", "running_total"]
    revision: Version
    product_id: Id | None = None
    source: Source | None = None
    impressions: Count | None = None
    clicks: Count | None = None
    page_views: Count | None = None
    add_to_carts: Count | None = None
    content_views: Count | None = None
    people: Count | None = None

    @property
    def atom(self) -> int:
        """The atom of the source block."""
        source = self.source
        return NO_SOURCE_ATOM if source is None else atom_of(source.owner, source.format, source.surface)

    @property
    def leaf(self) -> str:
        """The leaf of the source block: part of the key."""
        return LEAF_OF_ATOM[self.atom]

    @property
    def content_id(self) -> str | int | None:
        """The content of the source block: part of the key."""
        return None if self.source is None else self.source.content_id


class HistoryTotal(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """A base measure of a past day, of one of its hours, or of the shop's lifetime, from before the live stream."""

    date: Annotated[
        str, Meta(pattern=r"^(\d{4}-\d{2}-\d{2}|lifetime)$", description="a business day, or `lifetime`")
    ]
    metric: MetricId
    slice: SliceName
    value: Figure
    is_final: bool
    hour: Annotated[int, Meta(ge=0, le=24, description="of a day of up to 25 hours")] | None = None


class Benchmark(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """The mean of top sellers of a category and tier for one metric; the newest published one holds."""

    category: Text
    gmv_tier: Text
    group: Literal["own_tier", "higher_tier"]
    metric: MetricId
    period: Literal["day", "campaign"]
    benchmark_day: Date
    value: Figure
    published_at_ms: Millis
