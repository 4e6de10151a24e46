"""The metric catalogue: every number that a person can ask for, as data.

The page, the API, the exporter, the dashboards and docs/METRICS.md take names, units and meanings from here and
nowhere else. Source: spec/metrics.md; settled questions in spec/decisions.md.
"""

from __future__ import annotations

from typing import Final

from streams.metric import NULL_REASONS, Metric, Unit
from streams.metrics_ads import AD_METRICS, AUDIENCE_METRICS
from streams.metrics_compare import COMPARE_METRICS
from streams.metrics_content import CONTENT_METRICS
from streams.metrics_now import FRESHNESS_METRICS, GOAL_METRICS, STOCK_METRICS
from streams.metrics_sales import CUSTOMER_METRICS, REFUND_METRICS, SALES
from streams.metrics_traffic import FUNNEL_METRICS, TRAFFIC_METRICS

__all__ = ["DIMENSIONS", "GROUPS", "METRICS", "NULL_REASONS", "Metric", "Unit"]

METRICS: Final[dict[str, Metric]] = {
    metric.id: metric
    for metric in (
        *SALES,
        *CUSTOMER_METRICS,
        *REFUND_METRICS,
        *TRAFFIC_METRICS,
        *FUNNEL_METRICS,
        *CONTENT_METRICS,
        *AUDIENCE_METRICS,
        *AD_METRICS,
        *STOCK_METRICS,
        *GOAL_METRICS,
        *FRESHNESS_METRICS,
        *COMPARE_METRICS,
    )
}
"""Every metric by id, in the order of the documentation."""

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    name: tuple(metric.id for metric in METRICS.values() if metric.group == name)
    for name in dict.fromkeys(metric.group for metric in METRICS.values() if metric.group)
}
"""Names that ask for several metrics, each its own column."""

DIMENSIONS: Final = {
    "month": "calendar month of the shop, such as 2011-11",
    "week": "week of the shop by its first day, such as 2011-11-20; it begins on the shop's `week_start`, else Sunday",
    "day": "business day of the shop, such as 2011-11-25",
    "hour": "hour of the shop's clock with its offset, such as 2011-11-25T14+00:00",
    "minute": "minute with its offset, such as 2011-11-25T14:05+00:00",
    "product": "product id",
    "sku": "SKU id; clicks and presses of add-to-cart that name none are in no row",
    "slice": "the eight formats of the briefs; they overlap and are never added up",
    "leaf": "the partition for shares: Shop tab first, then each format outside it; sums to all",
    "owner": "own for the shop's accounts, affiliate for creators; what is of neither is in no row",
    "creator": "creator id; what no creator brought is in no row",
    "content": "id of a LIVE or video; what no content brought is in no row",
    "variant": "A/B label of a LIVE or video; what has none is in no row",
    "sub_campaign": "sub-campaign id; what is in none is in no row",
    "territory": "region code of the viewer or of the order's address",
    "account": "id of the account that posts",
    "ad": "ad id",
    "ad_account": "ad account id; asked by it, every account has its row, not the primary one alone",
    "price_tier": "low, mid or high, of the product that an ad names: as its card says, else by its price; an ad that "
    "names none is in no row",
    "age_band": "age band of the viewers, as the source names it",
    "gender": "gender of the viewers, as the source names it",
    "status": "present status of an order",
    "campaign": "campaign id",
    "metric": "id of the metric that a benchmark describes",
    "group": "whom a benchmark describes: own_tier or higher_tier",
    "topic": "topic without prefix",
    "outcome": "what became of a record",
}
"""Every dimension, with what its values are."""
