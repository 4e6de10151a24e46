"""Rows and figures of the first screen's document, each from one record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.alerts import AlertState
from streams.catalogue import METRICS
from streams.money import major
from streams.overview import FeedState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.alerts import Alert
    from streams.overview import Feed
    from streams.stock import SkuStock

    Document = dict[str, Any]


def with_lost_feed(figure: Document, feeds: Sequence[Feed]) -> Document:
    """Name the feed that a figure reads and that was lost first: `lost` with its topic and last sign of life.

    A replay's clock vouches for all topics, so its figures are not held back by a feed that died in the recording: a
    rate of orders over clicks goes on rising with no click coming. A figure that is missing says why already.
    """
    if figure["value"] is None:
        return figure
    topics = METRICS[figure["metric"]].topics
    lost = [
        (feed.since_ms, feed.topic)
        for feed in feeds
        if feed.state is FeedState.LOST and feed.topic in topics and feed.since_ms is not None
    ]
    if not lost:
        return figure
    since_ms, topic = min(lost)
    return {**figure, "lost": {"topic": topic, "since_ms": since_ms}}


def stock_row(row: SkuStock, currency: str) -> Document:
    """Return a SKU of the stock panel; money in major units, times in ms."""
    return {
        "sku_id": row.sku_id,
        "name": row.name,
        "status": row.status.value,
        "runs_out_at_ms": row.eta_ms,
        "runs_out_low_ms": row.eta_low_ms,
        "runs_out_high_ms": row.eta_high_ms,
        "out_since_ms": row.out_since_ms,
        "left": row.on_hand,
        "speed_per_hour": row.velocity_per_h,
        "gmv_at_risk": major(row.gmv_at_risk_minor, currency),
    }


def page_row(alert: Alert) -> Document:
    """Return a page of the pages panel."""
    return {
        "id": alert.alert_id,
        "rule": alert.rule,
        "name": alert.name,
        "state": alert.state.value,
        "resolution": alert.resolution.value if alert.resolution else None,
        "message": alert.message,
        "at_ms": alert.opened_at_ms,
        "resolved_at_ms": alert.resolved_at_ms,
        "predicted_at_ms": alert.predicted_ms,
        "predicted_low_ms": alert.predicted_low_ms,
        "predicted_high_ms": alert.predicted_high_ms,
        "real_at_ms": alert.actual_ms,
        "inside": alert.inside_interval,
        "gmv_at_risk": major(alert.gmv_at_risk_minor, alert.currency),
    }


def eased(alert: Alert) -> bool:
    """Return whether a page was over before what it warned of came."""
    return alert.state is AlertState.RESOLVED and alert.actual_ms is None
