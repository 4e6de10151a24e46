"""The series that Prometheus gets, as data: the exporter fills them, the Grafana dashboard asks for them.

Labels are shop, campaign, slice, window, topic and outcome, and nothing else: a product, a SKU, a creator or a person
is never a label (X-65, X-66), the HTTP API has them. `warroom_shop_info` alone also carries currency and timezone.

The series budget, written: a shop has 13 figures x 8 slices x 2 windows + 2 x 8 of the last quarter hour + 3 of the
reference + 2 per campaign + 1 + 15 of health, so 245 with one campaign; a board has 10 topics x (13 outcomes + 1 + 9
dead letters) + 8 = 238.
`board.series_budget` (2,000) holds seven shops. Beyond it whole shops are dropped, and counted in
`warroom_series_dropped` by their written size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streams.catalogue import METRICS, Unit

PREFIX: Final = "warroom_"

LABELS: Final = ("shop", "campaign", "slice", "window", "topic", "outcome")
INFO_LABELS: Final = ("shop", "currency", "timezone")

SLICED_FACTS: Final = ("gmv", "orders", "sku_orders", "items_sold", "est_customers", "aov_revenue")
SLICED_TRAFFIC: Final = (
    "product_impressions",
    "product_clicks",
    "product_page_views",
    "atc_count",
    "ctr",
    "ctor",
    "atc_rate",
)
SLICED: Final = (*SLICED_FACTS, *SLICED_TRAFFIC)
"""Asked by slice, for the windows `today` and `campaign`; facts and traffic apart, for one may be refused."""

RECENT: Final = {"gmv": "gmv_last_15m", "orders": "orders_last_15m"}
"""Series that also have the window `last_15m`, and the metric behind it."""

REFERENCED: Final = ("gmv", "orders", "est_customers")
"""Series that also have the window `reference`: the reference day until the same time of the shop's clock."""

CAMPAIGN: Final = ("campaign_target", "goal_progress_pct")

SHOP: Final = ("gmv_at_risk",)


A_SHOP: Final = 245
"""Series of a shop with one campaign, as written above; a test adds it up."""

_RENAMED: Final = {"atc_count": "add_to_carts"}
"""Prometheus keeps the ending `_count` for histograms."""


@dataclass(frozen=True, slots=True)
class Series:
    """One metric family.

    Attributes:
        name: as Prometheus has it, without `_total`.
        help: one sentence.
        labels: of every sample, in this order.
        kind: `gauge`, `counter` or `info`.
        unit: of the catalogue; None for health.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    kind: str = "gauge"
    unit: Unit | None = None

    @property
    def exposed(self) -> str:
        """Return the name of its samples."""
        return self.name + {"counter": "_total", "info": "_info"}.get(self.kind, "")


def series_name(metric: str) -> str:
    """Return the series name of a metric of the catalogue: a rate is a ratio from 0 to 1, as the values are."""
    if METRICS[metric].unit is Unit.RATE:
        return f"{PREFIX}{metric.removesuffix('_pct').removesuffix('_rate')}_ratio"
    return PREFIX + _RENAMED.get(metric, metric)


def _business(metric: str, labels: tuple[str, ...], note: str = "") -> Series:
    entry = METRICS[metric]
    money = " In major units of the currency in warroom_shop_info." if entry.unit is Unit.MONEY else ""
    return Series(series_name(metric), f"{entry.definition}{note}{money}", labels, unit=entry.unit)


BUSINESS: Final[dict[str, Series]] = {
    **{name: _business(name, ("shop", "slice", "window")) for name in SLICED},
    **{name: _business(name, ("shop", "campaign")) for name in CAMPAIGN},
    **{name: _business(name, ("shop",)) for name in SHOP},
}
"""Series of the catalogue, by metric."""

RECORDS: Final = Series(
    f"{PREFIX}records_by_outcome",
    "Records read from source topics in this run by what became of them; a record that a newer version supersedes "
    "moves from one outcome to another.",
    ("topic", "outcome"),
)
READ: Final = Series(
    f"{PREFIX}records_read", "Records read from source topics in this run.", ("topic",), "counter"
)
DEAD: Final = Series(
    f"{PREFIX}dead_letters",
    "Records of this run that cannot count, by topic and reason.",
    ("topic", "outcome"),
    "counter",
)
DISAGREES: Final = Series(
    f"{PREFIX}shop_disagrees",
    "1 when the shop's own record names another zone or currency than the settings, which hold; else 0.",
    ("shop",),
)
LAST_EVENT: Final = Series(
    f"{PREFIX}last_event_timestamp_seconds",
    "Newest event time folded, per shop and topic.",
    ("shop", "topic"),
)
COMPLETE_UNTIL: Final = Series(
    f"{PREFIX}complete_until_timestamp_seconds",
    "Event time up to which a topic is complete, per shop and topic.",
    ("shop", "topic"),
)
NOW: Final = Series(f"{PREFIX}now_timestamp_seconds", "The board's clock: the wall's, or a replay's.", ())
READY: Final = Series(f"{PREFIX}ready", "1 when the board holds everything up to its start, else 0.", ())
LAG: Final = Series(f"{PREFIX}lag_records", "Records on the source topics that are not folded yet.", ())
EVALUATION: Final = Series(
    f"{PREFIX}last_evaluation_timestamp_seconds",
    "When stock, goals and rules were last looked at without a fault, wall clock.",
    (),
)
ALERTS: Final = Series(f"{PREFIX}alerts_open", "Alerts that are open, per shop.", ("shop",))
STREAMS: Final = Series(f"{PREFIX}event_streams", "Open event streams of pages.", ())
DROPPED: Final = Series(
    f"{PREFIX}series_dropped", "Series left out because the series budget is spent; 0 is healthy.", ()
)
SHOP_INFO: Final = Series(f"{PREFIX}shop", "Currency and time zone of a shop.", INFO_LABELS, "info")

HEALTH: Final = (
    RECORDS,
    READ,
    DEAD,
    LAST_EVENT,
    COMPLETE_UNTIL,
    NOW,
    READY,
    LAG,
    EVALUATION,
    ALERTS,
    DISAGREES,
    STREAMS,
    DROPPED,
    SHOP_INFO,
)
ALL: Final = (*BUSINESS.values(), *HEALTH)
