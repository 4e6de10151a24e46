"""Metrics of the catalogue: content and creators, engagement, violations, what content does to sales.

Source: spec/metrics.md "Content, creators, audience", and of "Traffic and funnel" what needs them.
"""

from __future__ import annotations

from typing import Final

from streams.formulas import (
    AudienceFigure,
    DailyMean,
    LabelFigure,
    Now,
    Rank,
    Ratio,
    Share,
    Total,
)
from streams.metric import TIME_DIMS, Metric, Unit, metric_of
from streams.metrics_engagement import DAY_DIMS, ENGAGEMENT, SOURCE_DIMS, VIEWS, rate
from streams.metrics_sales import GMV

GMV_LIVE: Final = Total(("goods_live", "shipping_live"))
GMV_VIDEO: Final = Total(("goods_video", "shipping_video"))

NEW_DIMS: Final = (
    *(*TIME_DIMS, *SOURCE_DIMS, "product", "creator", "account", "content", "variant", "sub_campaign"),
)
"""Of what is published."""

BY_CONTENT: Final = (*TIME_DIMS, *SOURCE_DIMS, "content", "variant", "creator", "sub_campaign")
"""What orders and traffic share with engagement."""

ONCE: Final = (
    "A content counts once, and once under each product that it features; products do not add up (X-15)."
)


def _new(id: str, title: str, definition: str, measure: str, sources: str) -> Metric:
    return metric_of(
        id,
        title,
        f"{definition} {ONCE}",
        Unit.COUNT,
        Total((measure,)),
        sources,
        dims=NEW_DIMS,
        not_counted="What was published or went live before the window; a LIVE by its start (X-78).",
    )


NEW_CONTENT: Final[tuple[Metric, ...]] = (
    _new(
        "creator_new_videos",
        "Creator videos",
        "Videos first published in the window by creator accounts.",
        "creator_new_videos",
        "S4-28",
    ),
    _new(
        "creator_new_lives",
        "Creator LIVEs",
        "LIVE streams started in the window by creator accounts.",
        "creator_new_lives",
        "S4-29",
    ),
    _new(
        "seller_new_videos",
        "Seller videos",
        "Videos first published in the window by marketing or linked accounts.",
        "seller_new_videos",
        "S4-30",
    ),
    _new(
        "seller_new_lives",
        "Seller LIVEs",
        "LIVE streams started in the window by marketing or linked accounts.",
        "seller_new_lives",
        "S4-31",
    ),
    _new(
        "new_live_count",
        "New LIVE count",
        "LIVEs new in the window, any owner.",
        "new_lives",
        "S1-66 X-15 X-78",
    ),
    _new(
        "new_video_count",
        "New video count",
        "Videos newly published in the window, any owner.",
        "new_videos",
        "S1-67 X-15",
    ),
    metric_of(
        "avg_daily_creators_posted",
        "Avg. daily creators posted content",
        "Distinct creators who publish a new video or start a LIVE per day, averaged over finished days, days without "
        "a post included; while there is none, today's part, marked partial.",
        Unit.PEOPLE_PER_DAY,
        DailyMean(Total(("creators_posted",))),
        "S1-65 X-23 X-68",
        dims=(*DAY_DIMS, "product"),
        not_counted="Posts of the shop's own accounts.",
    ),
)

VIOLATIONS: Final[tuple[Metric, ...]] = (
    metric_of(
        "violations_open",
        "Open violations",
        "Violations that are not resolved now, appealed ones included, whenever they were opened.",
        Unit.COUNT,
        Now(Total(("violations_open",))),
        "S4-42 S4-03 X-53",
        dims=(*SOURCE_DIMS, "content", "creator", "account"),
        windows="now",
        advice="Appeal or take the content down: reach is cut while a violation is open.",
    ),
    metric_of(
        "violations_count",
        "Violations",
        "Violations raised in the window, each once.",
        Unit.COUNT,
        Total(("violations_raised",)),
        "S5-24 S5-25 X-53",
        dims=(*TIME_DIMS, *SOURCE_DIMS, "content", "creator", "account"),
        not_counted="Appeals and resolutions of violations that were opened before.",
        advice="Look at the policy named: most come again until the script or the listing is changed.",
    ),
    rate(
        "flagged_content_rate",
        "Flagged content rate",
        "Contents with a violation raised in the window / contents published or live in the window.",
        Ratio(Total(("contents_flagged",)), Total(("contents_shown",))),
        "S5-48",
        (*DAY_DIMS, *SOURCE_DIMS, "creator", "account"),
        not_counted="Violations of listings, which belong to no content.",
    ),
)

SALES_OF_CONTENT: Final[tuple[Metric, ...]] = (
    metric_of(
        "gmv_per_live",
        "GMV of one stream",
        "gmv of order lines that come from a LIVE; late payments are kept with their stream.",
        Unit.MONEY,
        GMV_LIVE,
        "S5-12 S5-50 S5-51 S5-52",
        dims=BY_CONTENT,
        not_counted="Orders of the same time that come from elsewhere; refunds are not taken off.",
        advice="Below the last stream: compare viewers first, then CTR and CTOR of the pinned products.",
    ),
    metric_of(
        "live_gmv_growth_pct",
        "Stream-over-stream growth",
        "(gmv_per_live - that of the finished stream before it of the same account) / the latter, as a fraction, for "
        "streams that started in the window; of several streams both are summed first.",
        Unit.RATE,
        AudienceFigure("live_growth"),
        "S5-13",
        dims=("content", "creator", "account"),
        not_counted="An account's first stream, which has none before it.",
        topics=("content", "orders"),
        owner="streams.query_audience",
        null_reasons=("no_source", "zero_divisor", "no_earlier_live", "not_told"),
        advice="Falling: keep what the better stream did with host, hour and opening offer.",
    ),
    rate(
        "watch_gpm",
        "Watch GPM",
        "gmv_per_live / views of LIVEs x 1,000.",
        Ratio(GMV_LIVE, Total(("live_views",)), times=1_000),
        "S5-14 S5-15",
        BY_CONTENT,
        Unit.MONEY,
        advice="Watched but not bought: move the offer and the best product to where viewers peak.",
    ),
    rate(
        "content_ctr",
        "Content CTR",
        "product_clicks that come from LIVEs and videos / content_views.",
        Ratio(Total(("content_clicks",)), VIEWS),
        "S5-08 S5-09",
        BY_CONTENT,
        advice="Watched but not clicked: show the product earlier and say what to do.",
    ),
    rate(
        "page_view_rate",
        "Product page view rate",
        "product_page_views that come from LIVEs and videos / content_views.",
        Ratio(Total(("content_page_views",)), VIEWS),
        "S2-77 S2-78 X-44",
        BY_CONTENT,
    ),
    rate(
        "conversion_rate",
        "Conversion rate (viewers)",
        "Distinct buyers with a line that comes from a LIVE or video / distinct viewers of content in the window.",
        Ratio(Total(("content_buyers",)), Total(("viewers_distinct",))),
        "S5-05 S5-29",
        BY_CONTENT,
        not_counted="Orders without user_key; viewers that a record does not name.",
        advice="Viewers do not buy: check price, stock and the step from content to product page.",
    ),
    *(
        rate(
            f"gmv_contribution_rate{suffix}",
            title,
            definition,
            Share(part, whole, over=("content",)),
            "S4-48 X-52",
            (*TIME_DIMS, *SOURCE_DIMS, "content"),
        )
        for suffix, title, definition, part, whole in (
            ("", "GMV contribution of videos", "gmv of videos / gmv of all.", GMV_VIDEO, GMV),
            (
                "_within_videos",
                "GMV contribution among videos",
                "gmv of videos of a side or of one video / gmv of all videos.",
                GMV_VIDEO,
                None,
            ),
            ("_lives", "GMV contribution of LIVEs", "gmv of LIVEs / gmv of all.", GMV_LIVE, GMV),
            (
                "_within_lives",
                "GMV contribution among LIVEs",
                "gmv of LIVEs of a side or of one LIVE / gmv of all LIVEs.",
                GMV_LIVE,
                None,
            ),
        )
    ),
    *(
        metric_of(
            f"content_rank_{kind}",
            title,
            f"Place of a {what} by gmv, ties by orders, then by id (X-75); sort by any other metric beside it. By "
            f"owner without content: place of a side, own or affiliate, by gmv of all its {what}s.",
            Unit.COUNT,
            Rank((gmv, Total((f"orders_{kind}",))), ("content",), otherwise=("owner",)),
            sources,
            dims=(*TIME_DIMS, *SOURCE_DIMS, "content", "product"),
            not_counted=f"Orders that come from elsewhere; {what}s and sides that sold nothing in the window.",
        )
        for kind, title, what, gmv, sources in (
            ("live", "Top LIVEs", "LIVE", GMV_LIVE, "S4-40 S4-49"),
            ("video", "Top videos", "video", GMV_VIDEO, "S4-41 S4-45"),
        )
    ),
    metric_of(
        "content_push_lift",
        "Conversion change after a content push",
        "(ctor of the 60 minutes after a publish or LIVE start - of the 60 before) / the latter, of the products that "
        "the content features; over several pushes orders and clicks are summed first. A push counts from the nearest "
        "quarter hour, and once its 60 minutes are over.",
        Unit.RATE,
        AudienceFigure("push_lift"),
        "S2-46",
        dims=("content", "product"),
        topics=("content", "clicks", "orders"),
        owner="streams.query_audience",
        null_reasons=("no_source", "zero_divisor", "catching_up", "not_told"),
        not_counted="Pushes whose quarter hours are no longer kept are refused (fold.minute_hours).",
    ),
)

CONTENT_LABELS: Final[tuple[Metric, ...]] = (
    metric_of(
        "key_session_flag",
        "Key Livestream session",
        "key_session for a LIVE that is registered in a key session, else usual.",
        Unit.STATUS,
        LabelFigure("key_session"),
        "S4-53",
        dims=("content",),
        windows="now",
        topics=("content",),
        owner="streams.query_labels",
        null_reasons=("no_source", "not_a_live", "not_told"),
    ),
    metric_of(
        "creator_type",
        "Creator type",
        "The class of creator that the creator's account record names.",
        Unit.STATUS,
        LabelFigure("creator_type"),
        "S1-24",
        dims=("creator",),
        windows="now",
        topics=("accounts",),
        owner="streams.query_labels",
        null_reasons=("no_source", "not_told"),
    ),
)

CONTENT_METRICS: Final = (*NEW_CONTENT, *ENGAGEMENT, *VIOLATIONS, *SALES_OF_CONTENT, *CONTENT_LABELS)
