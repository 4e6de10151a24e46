"""Views of content and marketing: supply, ads, LIVE and video rankings, creators, violations, A/B variants.

Source: spec/features.md S4 (marketing, LIVE and video modules), S1-20 to S1-24, S5-12 to S5-14, S5-24, S5-60.
"""

from __future__ import annotations

from typing import Final

from streams.view import (
    AUTO_GRAIN,
    GRAIN,
    METRICS,
    OWNER,
    PRODUCT,
    SEARCH,
    TREND,
    Limits,
    Option,
    Parameter,
    Part,
    Shape,
    View,
)

PAGE: Final = "campaign dashboard"

SUPPLY: Final = ("creator_new_videos", "creator_new_lives", "seller_new_videos", "seller_new_lives")
ADS: Final = ("ad_spend", "ad_gross_revenue")
AD_MORE: Final = ("roas", "roas_net", "ad_impressions", "ad_clicks", "ad_ctr", "cpc", "ad_purchases", "cpp")

LIVES: Final = Option("", "", "kind", any_of=("live",))
VIDEOS: Final = Option("", "", "kind", any_of=("video",))
SIDES: Final = (
    Option("owner", "own", "owner", any_of=("own",)),
    Option("owner", "affiliate", "owner", any_of=("affiliate",)),
)
LIVE_ONLY: Final = Parameter(
    "only",
    "violations: with an open violation; key_sessions: of a Key Livestream session; on_air: that run now",
    ("all", "violations", "key_sessions", "on_air"),
    "all",
)
VIDEO_ONLY: Final = Parameter("only", "violations: with an open violation", ("all", "violations"), "all")
FLAGGED: Final = Option("only", "violations", "violations_open", none_of=(None, 0))
LIVE_CHOICES: Final = (
    FLAGGED,
    Option("only", "key_sessions", "key_session_flag", any_of=("key_session",)),
    Option("only", "on_air", "on_air", any_of=(True,)),
)
CREATOR_TYPE: Final = Parameter("creator_type", "creators of this type", column="creator_type")

LIVE_FIGURES: Final = (
    *("gmv", "gmv_last_15m", "orders", "items_sold", "viewers_now", "content_views", "product_clicks"),
    *("content_ctr", "ctor", "watch_gpm", "live_gmv_growth_pct", "violations_open", "key_session_flag"),
)
VIDEO_FIGURES: Final = (
    *("gmv", "orders", "items_sold", "content_views", "product_clicks", "content_ctr", "ctor"),
    *("page_view_rate", "violations_open"),
)
ENGAGED: Final = (
    *("unique_viewers", "likes", "comments", "shares", "saves", "engagement_rate", "watch_duration_avg"),
    *("product_impressions", "unique_product_impressions", "unique_clicks", "ctr", "product_page_views"),
    *("page_view_rate", "conversion_rate", "violations_count", "sku_orders", "est_customers", "aov_sku"),
)
"""What a reader may put in place of the figures of a content (S4-45, S4-49)."""

CREATOR_FIGURES: Final = (
    *("gmv", "orders", "items_sold", "sku_orders", "product_impressions", "product_clicks", "ctr", "ctor"),
)

OF_PRODUCT: Final = (
    *("gmv", "orders", "items_sold", "sku_orders", "product_impressions", "product_clicks", "ctr", "ctor"),
)
"""Of one product through one content: views of a content are of no single product."""


def content_list(name: str, title: str, kind: Option, *content_types: str) -> Part:
    """Return the list of contents behind a content type of product details (S1-19)."""
    return Part(
        name,
        title,
        OF_PRODUCT,
        ("content",),
        sort=("gmv", "orders"),
        labels="content",
        # The cube of contents and products has no format: kind and owner of the content say the same.
        options=(kind, Option("", "", "owner", any_of=("own",))),
        when=("content_type", content_types),
        ignores=("content_type",),
        compare=True,
        empty="No content of this type has sold or shown the product in this window.",
    )


BEHIND_A_FORMAT: Final = (
    content_list("lives", "Own LIVEs", LIVES, "seller_live"),
    content_list("videos", "Own videos", VIDEOS, "seller_video"),
    Part(
        "creators",
        "Creators",
        CREATOR_FIGURES,
        ("creator",),
        sort=("gmv", "orders"),
        labels="creator",
        when=("content_type", ("affiliate", "affiliate_live", "affiliate_video")),
        compare=True,
        empty="No creator has sold or shown the product in this window.",
    ),
)
"""The lists that take the place of traffic sources when a content type is chosen; product card and Shop tab have none
(X-74)."""


def _ranking(
    name: str,
    title: str,
    kind: Option,
    figures: tuple[str, ...],
    only: Parameter,
    sources: str,
    *,
    banded: tuple[str, ...] = (),
) -> View:
    which, what = ("lives", "LIVE") if kind is LIVES else ("videos", "video")
    rate = "gmv_contribution_rate_lives" if kind is LIVES else "gmv_contribution_rate"
    return View(
        name,
        title,
        f"Which {what}s sell most, own and of creators, and which have a violation?",
        (
            Part(
                "ranking",
                title,
                figures,
                ("content",),
                choices=ENGAGED,
                sort=("gmv", "orders"),
                labels="content",
                banded=banded,
                options=(kind, *SIDES, *(LIVE_CHOICES if kind is LIVES else (FLAGGED,))),
                compare=True,
                empty=f"No {what} has sold or been seen in this window.",
            ),
            Part(
                "contribution",
                f"Part of own and affiliate {what}s in GMV",
                (rate, f"gmv_contribution_rate_within_{which}"),
                ("owner",),
                compare=True,
            ),
        ),
        sources,
        copies=PAGE,
        parameters=(METRICS, OWNER, only, SEARCH, PRODUCT),
    )


VIEWS: Final = (
    View(
        "marketing",
        "Marketing",
        "How much content was made for the campaign, and what do the ads cost and bring?",
        (
            Part("supply", "Content supply", SUPPLY, shape=Shape.FIGURE, compare=True),
            Part("supply_by_day", "Content supply by day", SUPPLY, ("day",), compare=True),
            Part("ads", "Ads of the primary account", (*ADS, *AD_MORE), shape=Shape.FIGURE, compare=True),
            Part("ads_trend", "Ads in time", ADS, (AUTO_GRAIN,), Shape.TREND, choices=AD_MORE, compare=True),
        ),
        "S4-27 S4-28 S4-29 S4-30 S4-31 S4-32 S4-33 S4-34 S4-35 S4-36 S4-38 S4-69",
        copies=PAGE,
        parameters=(TREND, GRAIN),
        limits=Limits(hourly_metrics=frozenset(ADS)),
    ),
    View(
        "ads",
        "Ads",
        "What does each ad cost, and what does it bring?",
        (
            Part("account", "Primary account", (*ADS, *AD_MORE), shape=Shape.FIGURE, compare=True),
            Part("accounts", "Every account", (*ADS, *AD_MORE), ("ad_account",), sort=("ad_spend",)),
            Part("list", "By ad", (*ADS, *AD_MORE), ("ad",), sort=("ad_spend",), labels="ad", compare=True),
            Part("trend", "In time", ADS, (AUTO_GRAIN,), Shape.TREND, choices=AD_MORE, compare=True),
        ),
        "S4-33 S4-34 S4-35 S5-16 S5-18 S5-21",
        parameters=(TREND, GRAIN, SEARCH),
    ),
    _ranking(
        "live_ranking",
        "Top LIVEs",
        LIVES,
        LIVE_FIGURES,
        LIVE_ONLY,
        "S4-39 S4-40 S4-42 S4-48 S4-49 S4-50 S4-51 S4-52 S4-53 S5-12 S5-13 S5-14 S1-20",
        banded=("watch_gpm", "gmv_per_live"),
    ),
    _ranking(
        "video_ranking",
        "Top videos",
        VIDEOS,
        VIDEO_FIGURES,
        VIDEO_ONLY,
        "S4-39 S4-41 S4-45 S4-46 S4-47 S4-48 S1-21",
    ),
    View(
        "violations",
        "Violations",
        "What breaks the rules of the platform, and how much of the content is it?",
        (
            Part(
                "figures",
                "Violations",
                ("violations_open", "violations_count", "flagged_content_rate"),
                shape=Shape.SCORECARD,
                compare=True,
            ),
            Part(
                "contents",
                "Contents with violations",
                ("violations_open", "violations_count"),
                ("content",),
                sort=("violations_open", "violations_count"),
                labels="content",
                options=SIDES,
                empty="No content has a violation.",
            ),
        ),
        "S4-03 S4-42 S5-24 S5-25 S5-48",
        parameters=(OWNER, SEARCH),
        window="month",
    ),
    View(
        "variants",
        "A/B test",
        "Which format, hook or pacing wins?",
        (
            Part(
                "variants",
                "Variants",
                (
                    *("content_views", "engagement_rate", "watch_duration_avg", "content_ctr", "ctor"),
                    *("conversion_rate", "gmv", "sku_orders", "watch_gpm"),
                ),
                ("variant",),
                choices=(*ENGAGED, "items_sold", "orders", "new_video_count", "new_live_count"),
                sort=("content_ctr", "content_views"),
                compare=True,
                empty="No content has a variant, or none was seen in this window.",
            ),
            Part(
                "contents",
                "Contents of the variants",
                ("content_views", "engagement_rate", "content_ctr", "ctor", "gmv"),
                ("variant", "content"),
                sort=("content_ctr", "content_views"),
                labels="content",
                empty="No content has a variant, or none was seen in this window.",
            ),
        ),
        "S5-60",
        copies="KPI guide",
        parameters=(METRICS, SEARCH, PRODUCT),
        window="last7",
    ),
    View(
        "creators",
        "Creators",
        "Which creators sell, and who posts for the shop?",
        (
            Part(
                "list",
                "Creators",
                CREATOR_FIGURES,
                ("creator",),
                choices=(*ENGAGED, "content_views", "creator_new_videos", "creator_new_lives", "watch_gpm"),
                sort=("gmv", "orders"),
                labels="creator",
                compare=True,
                empty="No creator has sold or shown anything in this window.",
            ),
            Part(
                "posting",
                "Creators who post",
                ("avg_daily_creators_posted",),
                shape=Shape.FIGURE,
                compare=True,
            ),
        ),
        "S1-22 S1-23 S1-24 S1-65 S4-28 S4-29",
        copies=PAGE,
        parameters=(METRICS, CREATOR_TYPE, SEARCH, PRODUCT),
        window="last7",
    ),
)
"""In the order of the dashboard."""
