"""Event types about advertising. Source: spec/events.md."""

from __future__ import annotations

from streams.envelope import BucketSeconds, Count, Fact, Id, Millis, Money, Version


class AdMetric(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """What one ad cost and brought in one bucket of time; the highest revision replaces the others.

    Every account is kept, whichever is the primary one.
    """

    ad_account_id: Id
    ad_campaign_id: Id
    ad_id: Id
    bucket_start_ms: Millis
    bucket_seconds: BucketSeconds
    spend_minor: Money
    gross_revenue_minor: Money
    impressions: Count
    clicks: Count
    purchases: Count
    revision: Version
    new_customers: Count | None = None
    product_id: Id | None = None
    creator_id: Id | None = None
    content_id: Id | None = None
    sub_campaign_id: Id | None = None


class AdAccountSelected(Fact, frozen=True, omit_defaults=True, kw_only=True):
    """The shop's primary ad account, whose figures screens show; the highest version holds, for the past as well."""

    primary_ad_account_id: Id
    selected_at_ms: Millis
    version: Version
