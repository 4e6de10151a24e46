"""Metrics of the catalogue: what people do with content, and who they are.

Source: spec/metrics.md "Content, creators, audience".
"""

from __future__ import annotations

from typing import Final

from streams.formulas import AudienceFigure, Formula, Ratio, Share, Total
from streams.metric import TIME_DIMS, Metric, Unit, metric_of
from streams.metrics_sales import ORDERS
from streams.metrics_traffic import PEOPLE

VIEWS: Final = Total(("views",))
VIEWERS: Final = Total(("viewers",))

SOURCE_DIMS: Final = ("slice", "leaf", "owner")
DAY_DIMS: Final = ("month", "week", "day")
ENGAGED_DIMS: Final = (
    *TIME_DIMS,
    *SOURCE_DIMS,
    *("content", "variant", "creator", "account", "sub_campaign", "territory", "age_band", "gender"),
)

BUCKETS: Final = (
    "What a source does not report; buckets count by their start. By age or gender no group of fewer than "
    "board.min_group distinct viewers is told of."
)


def _engaged(id: str, title: str, definition: str, sources: str, **more: str) -> Metric:
    return metric_of(
        id,
        title,
        definition,
        Unit.COUNT,
        Total((id,)),
        sources,
        dims=ENGAGED_DIMS,
        not_counted=BUCKETS,
        **more,
    )


def rate(
    id: str,
    title: str,
    definition: str,
    formula: Formula,
    sources: str,
    dims: tuple[str, ...],
    unit: Unit = Unit.RATE,
    **more: str,
) -> Metric:
    """Return a rate that may be asked by these dimensions."""
    return metric_of(id, title, definition, unit, formula, sources, dims=dims, **more)


ENGAGEMENT: Final[tuple[Metric, ...]] = (
    metric_of(
        "content_views",
        "Content views",
        "Number of views of videos and LIVEs.",
        Unit.COUNT,
        VIEWS,
        "S5-14 S2-77",
        dims=ENGAGED_DIMS,
        not_counted=BUCKETS,
    ),
    metric_of(
        "unique_viewers",
        "Unique viewers",
        "Distinct viewers of content within each shop-day, summed over days; by hour, distinct within the hour.",
        Unit.PERSON_DAYS,
        VIEWERS,
        "S5-33 S5-32",
        dims=ENGAGED_DIMS,
        not_counted="Viewers that a record does not name (their share is the answer's coverage); an estimate.",
    ),
    metric_of(
        "unique_viewers_distinct",
        "Unique viewers (distinct)",
        "Distinct viewers of content in the whole window, by union of sketches.",
        Unit.PEOPLE,
        Total(("viewers_distinct",)),
        "S5-33 S5-32",
        dims=ENGAGED_DIMS,
        not_counted="Viewers that a record does not name (their share is the answer's coverage); an estimate.",
    ),
    _engaged("likes", "Likes", "Like actions.", "S5-38"),
    _engaged("shares", "Shares", "Share actions.", "S5-38"),
    _engaged("comments", "Comments", "Comment actions.", "S5-38"),
    _engaged("saves", "Saves", "Save actions.", "S5-41"),
    rate(
        "engagement_rate",
        "Engagement rate",
        "(likes + comments + shares + saves) / content_views.",
        Ratio(Total(("likes", "comments", "shares", "saves")), VIEWS),
        "S5-39 S5-50",
        ENGAGED_DIMS,
        advice="Ask a question in the first seconds, answer comments, pin the product that is asked for.",
    ),
    rate(
        "watch_duration_avg",
        "Watch duration",
        "Seconds watched / content_views.",
        Ratio(Total(("watch_ms",)), VIEWS, per=1_000),
        "S5-40",
        ENGAGED_DIMS,
        Unit.SECONDS,
        advice="Left early: bring the offer and the product into the first seconds.",
    ),
    metric_of(
        "watch_ms_total",
        "Watch time",
        "Milliseconds watched, over all viewers.",
        Unit.MILLISECONDS,
        Total(("watch_ms",)),
        "S5-40",
        dims=ENGAGED_DIMS,
        not_counted=BUCKETS,
    ),
    rate(
        "territory_share",
        "Top territories",
        "content_views of a territory / content_views of all, those without a territory included.",
        Share(VIEWS, over=("territory",)),
        "S5-34 S5-36",
        (*TIME_DIMS, *SOURCE_DIMS, "content", "creator", "account", "territory"),
    ),
    rate(
        "territory_order_share",
        "Top territories by orders",
        "orders of a territory / orders of all, those without a territory included.",
        Share(ORDERS, over=("territory",)),
        "S5-34 S5-36",
        (*TIME_DIMS, *SOURCE_DIMS, "product", "content", "creator", "territory"),
    ),
    rate(
        "audience_demographics_share",
        "Audience demographics",
        "unique_viewers of an age band or gender / unique_viewers of all, those without included. A group of fewer "
        "than board.min_group is null.",
        Share(VIEWERS, over=("age_band", "gender"), guarded=True),
        "S5-46",
        (*DAY_DIMS, *SOURCE_DIMS, "content", "creator", "age_band", "gender"),
        not_counted=PEOPLE,
    ),
    metric_of(
        "viewers_now",
        "Viewers now",
        "Latest concurrent viewers of the LIVEs that run; a report older than board.stale_after_ms is none.",
        Unit.PEOPLE,
        AudienceFigure("viewers_now"),
        "S4-40",
        dims=("content", "account"),
        windows="now",
        topics=("content", "engagement"),
        owner="streams.query_audience",
        null_reasons=("no_source", "not_told"),
    ),
)
