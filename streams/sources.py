"""Sources of data as records: what each can give of each event type, and how late; what a metric needs of them.

A source is somewhere data comes from, not a program: what carries it on to the topics is a producer or a connector.
`live` is within seconds of the event; `late` is told by the most that passes before the figure is there.

Source: docs/SOURCES.md; spec/events.md; S4-22 to S4-24, S4-32, S4-38; design, "Freshness".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.catalogue import METRICS
from streams.formulas import GoalFigure, measures_of
from streams.measures import Frame, Measure
from streams.metric import Metric
from streams.topics import TOPICS

LIVE: Final = 0
HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
POLLED_S: Final = 900
"""What has to be asked for is asked every quarter of an hour: our choice, as often as stock levels are kept."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of data.

    Attributes:
        id: stable.
        title: as the page shows it.
        about: what it is, one or two sentences.
        recorded: it is a recording: "live" is by the clock of its replay.
        late_s: event type -> most seconds until it is there, `LIVE` for at once; other types it cannot give.
        notes: event type -> why so late, or what is missing in it.
        without: event type -> metrics that need what is missing in its records.
    """

    id: str
    title: str
    about: str
    late_s: Mapping[str, int]
    notes: Mapping[str, str]
    recorded: bool = False
    without: Mapping[str, frozenset[str]] = field(default_factory=dict)


_AS_IT_HAPPENS: Final = (
    *("product_impression", "product_click", "product_page_view", "add_to_cart", "checkout_started"),
    *("order_paid", "order_status", "refund", "stock_changed", "heartbeat"),
    *("campaign", "product", "shop", "account", "ad_account_selected"),
    *("content", "violation", "follower"),
)
"""Event types of which a program of the seller's own sends each event at once; the generated day is such a program."""

_OF_PEOPLE: Final = frozenset(metric.id for metric in METRICS.values() if metric.counts_people)
_OF_SOURCE_BLOCKS: Final = frozenset(
    {
        *("gmv_per_live", "gmv_contribution_rate", "gmv_contribution_rate_within_videos"),
        *("gmv_contribution_rate_lives", "gmv_contribution_rate_within_lives"),
        *("content_rank_live", "content_rank_video", "orders_by_source_rank"),
    }
)
"""Nothing but nulls where order lines name no source."""
_OF_GOALS: Final = frozenset(
    metric.id
    for metric in METRICS.values()
    if isinstance(metric.formula, GoalFigure) and "campaigns" in metric.topics
)
_OF_PERIOD_GOALS: Final = frozenset({"period_sales_goal_pct", "quarter_revenue_target_pct"})
_OF_CARDS: Final = frozenset({"product_rating", "product_opportunity_matched"})

SOURCES: Final[tuple[Source, ...]] = (
    Source(
        "own_producers",
        "Own systems",
        "Programs of the seller or of an agency that write single events on the topics as they happen: shop, "
        "warehouse, tracking of own pages and LIVE rooms.",
        {
            **dict.fromkeys((*_AS_IT_HAPPENS, "content_engagement"), LIVE),
            "history_total": DAY_S,
        },
        {
            "product_impression": "only of what the seller's own programs see",
            "history_total": "closed days only",
        },
    ),
    Source(
        "tiktok_shop",
        "TikTok Shop",
        "Webhooks and the Partner API, as documented. It has no single events of traffic: only ready-made counts.",
        {
            **dict.fromkeys(("order_paid", "order_status", "refund", "product", "content", "campaign"), LIVE),
            "stock_changed": POLLED_S,
            "traffic_total": DAY_S,
            "account": DAY_S,
        },
        {
            "order_paid": "a webhook that is not answered is sent again for 15.5 h: a few orders may be that late",
            "content": "told when a product is added to a video or LIVE",
            "campaign": "promotions; the goal is the seller's own",
            "stock_changed": "webhooks tell only of low and empty stock; levels are asked for every 15 minutes",
            "traffic_total": "counts of the last finished day, per product, video and LIVE; people are not in them",
            "account": "creators of affiliate orders",
        },
        without={"campaign": _OF_GOALS | _OF_PERIOD_GOALS, "product": frozenset({"product_rating"})},
    ),
    Source(
        "seller_center",
        "Seller Center",
        "What only the seller's screens show: typed in, or taken from a downloaded file.",
        {
            **dict.fromkeys(("ad_account_selected", "campaign", "shop", "account"), LIVE),
            **dict.fromkeys(("benchmark", "history_total", "follower", "violation"), DAY_S),
        },
        {
            "benchmark": "refreshed daily after the day is final; the day before when that is late, older is not shown",
            "history_total": "closed days only",
            "follower": "one level a day",
            "violation": "as often as somebody looks",
        },
    ),
    Source(
        "ad_platform",
        "Ad platform",
        "The reporting of the platform on which ads run, by hour and ad.",
        {"ad_metric": HOUR_S},
        {"ad_metric": "hours come when they are over, and are revised for days"},
    ),
    Source(
        "generated_day",
        "Generated day",
        "`warroom generate`: a synthetic campaign day of a made-up shop.",
        {
            **dict.fromkeys(_AS_IT_HAPPENS, LIVE),
            "content_engagement": POLLED_S,
            "ad_metric": 2 * HOUR_S,
            "benchmark": DAY_S,
        },
        {
            "content_engagement": "counts of a quarter of an hour come when it is over",
            "ad_metric": "hours come when they are over, and are revised once",
            "benchmark": "of the day before",
            "product": "without rating and opportunities",
            "campaign": "with a goal of the campaign, without goals of week and quarter",
        },
        recorded=True,
        without={"product": _OF_CARDS, "campaign": _OF_PERIOD_GOALS},
    ),
    Source(
        "online_retail",
        "Online Retail",
        "Recorded orders and returns of a British gift retailer, 2010 and 2011.",
        dict.fromkeys(("order_paid", "refund", "product"), LIVE),
        {
            "order_paid": "minutes, without seconds; lines do not say what brought them",
            "product": "without rating and opportunities",
        },
        recorded=True,
        without={"order_paid": _OF_SOURCE_BLOCKS, "product": _OF_CARDS},
    ),
    Source(
        "open_bandit",
        "Open Bandit",
        "Recorded showings and clicks of the fashion shop ZOZOTOWN, November 2019.",
        dict.fromkeys(("product_impression", "product_click"), LIVE),
        dict.fromkeys(
            ("product_impression", "product_click"), "without `user_key`: people cannot be counted"
        ),
        recorded=True,
        without=dict.fromkeys(("product_impression", "product_click"), _OF_PEOPLE),
    ),
)
"""In the order of the page: what feeds a live shop, then the recordings that come with the project."""

_FRAMES: Final[Mapping[Frame, str]] = {
    Frame.ORDER_LINES: "order_paid",
    Frame.REFUNDS: "refund",
    Frame.AD_REFUNDS: "refund",
}
_GOALS_OF_PERIODS: Final = frozenset({"campaign"})
"""A goal of a week or a quarter stands in a campaign's record."""
_STATES: Final = frozenset({"orders_by_status", "cancel_rate"})
"""Metrics that read the states of orders beside the orders."""
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {"stock": ("order_paid",)}
"""Topic -> what its figures are computed with beside their own record: how fast stock sells comes from orders."""
_NOT_READY_MADE: Final = frozenset({"territory_share"})
"""Ready-made counts do not say where people live."""

READY_MADE: Final = "traffic_total"


def needs(metric: Metric) -> tuple[frozenset[str], ...]:
    """Return what a metric needs: of each set one event type, of all sets together.

    A count of single traffic events may also come from ready-made totals; people may not (spec/events.md).
    """
    measures = list(measures_of(metric.formula))
    found: list[frozenset[str]] = []
    for topic in metric.topics:
        types = TOPICS[topic].event_types
        mine = [measure for measure in measures if measure.topic == topic]
        if topic == "orders":
            found += [frozenset({each}) for each in _of_orders(metric, mine)]
        elif metric.id not in _NOT_READY_MADE and mine and all(_is_counted_ready_made(one) for one in mine):
            found.append(frozenset({*types, READY_MADE}))
        else:
            found.append(frozenset(types))
        found += [frozenset({each}) for each in _BESIDE.get(topic, ())]
    if metric.id in _OF_PERIOD_GOALS:
        found.append(_GOALS_OF_PERIODS)
    return tuple(dict.fromkeys(found))


def _is_counted_ready_made(measure: Measure) -> bool:
    return bool(measure.ready_made) and not measure.people


def _of_orders(metric: Metric, measures: Iterable[Measure]) -> list[str]:
    types = dict.fromkeys(_FRAMES[measure.frame] for measure in measures if measure.frame in _FRAMES)
    types = types or {"order_paid": None}
    if metric.id in _STATES:
        types["order_status"] = None
    return list(types)


def late_s(metric: Metric, sources: Iterable[Source]) -> int | None:
    """Return the most seconds that a metric lies behind when these sources feed it; None: they cannot give it.

    Of several that can give an event type the quickest counts.
    """
    known = list(sources)
    worst = LIVE
    for types in needs(metric):
        found = [source.late_s[each] for source in known for each in types if _gives(source, each, metric)]
        if not found:
            return None
        worst = max(worst, min(found))
    return worst


def missing(metric: Metric, sources: Iterable[Source]) -> list[str]:
    """Return the event types that these sources do not give and the metric needs."""
    known = list(sources)
    return [
        " or ".join(sorted(types, key=lambda each: (each == READY_MADE, each)))
        for types in needs(metric)
        if not any(_gives(source, each, metric) for source in known for each in types)
    ]


def _gives(source: Source, event_type: str, metric: Metric) -> bool:
    return event_type in source.late_s and metric.id not in source.without.get(event_type, ())
