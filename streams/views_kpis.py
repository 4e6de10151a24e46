"""Views of the KPI guide: scorecard with bands, KPI sets by goal, trends, territories, demographics, month.

Source: spec/features.md S5.
"""

from __future__ import annotations

from typing import Final

from streams.scorecards import GOALS
from streams.view import (
    AUTO_GRAIN,
    CONTENT_TYPE,
    GRAIN,
    METRICS,
    PRODUCT,
    SEARCH,
    TREND,
    Limits,
    Parameter,
    Part,
    Shape,
    View,
)
from streams.views_campaign import CORE, MORE
from streams.views_content import LIVES

PAGE: Final = "KPI guide"

GOAL: Final = Parameter(
    "goal", "whose KPIs are shown; the shop's own goal, else all", (*GOALS, "all"), "all", of_shop="goal"
)
TERRITORY: Final = Parameter("territory", "region code", dimension="territory")

SALES: Final = ("gmv", "items_sold", "orders", "ctor", "conversion_rate", "checkouts_initiated")
BANDED: Final = (
    *("engagement_rate", "conversion_rate", "content_ctr", "ctor", "watch_gpm", "page_view_rate"),
    *("roas", "cpc", "cpp", "violations_count", "flagged_content_rate", "follower_growth_rate"),
)

TITLES: Final = {
    "drive_sales": "Drive more sales",
    "grow_reach": "Grow audience and reach",
    "engagement": "Increase engagement",
    "ads": "Ad performance",
    "audience": "Understand the audience",
    "compliance": "Stay compliant",
}

TERRITORIES: Final = Part(
    "territories",
    "Top territories",
    ("territory_share", "content_views", "territory_order_share", "orders", "gmv"),
    ("territory",),
    sort=("territory_share", "territory_order_share"),
    compare=True,
    empty="No view or order names a territory in this window.",
)

AGES: Final = Part(
    "age_bands",
    "Viewers by age",
    ("audience_demographics_share",),
    ("age_band",),
    sort=("audience_demographics_share",),
    empty="No view names an age band in this window.",
)
GENDERS: Final = Part(
    "genders",
    "Viewers by gender",
    ("audience_demographics_share",),
    ("gender",),
    sort=("audience_demographics_share",),
    empty="No view names a gender in this window.",
)


def _of_goal(part: Part, *goals: str) -> Part:
    """Return a part that is shown for these goals only (S5-56)."""
    return Part(
        part.name,
        part.title,
        part.metrics,
        part.by,
        part.shape,
        sort=part.sort,
        compare=part.compare,
        when=("goal", (*goals, "all")),
        empty=part.empty,
    )


VIEWS: Final = (
    View(
        "scorecard",
        "KPI scorecard",
        "Which figures are good for a shop of my size and industry, and which are not?",
        (
            Part("bands", "Against the bands", BANDED, shape=Shape.SCORECARD, compare=True),
            Part(
                "growth", "Growth", ("sales_volume_mom_pct", "quarter_revenue_target_pct"), shape=Shape.FIGURE
            ),
            Part(
                "streams",
                "LIVEs against their bands",
                ("gmv_per_live", "watch_gpm", "engagement_rate", "live_gmv_growth_pct"),
                ("content",),
                sort=("gmv_per_live",),
                labels="content",
                banded=("gmv_per_live", "watch_gpm", "engagement_rate"),
                options=(LIVES,),
                empty="No LIVE has sold or been seen in this window.",
            ),
        ),
        "S5-03 S5-04 S5-05 S5-06 S5-07 S5-08 S5-09 S5-10 S5-11 S5-13 S5-15 S5-17 S5-19 S5-20 S5-22 S5-23 S5-25 S5-27 "
        "S5-28 S5-50 S5-51 S5-52 S5-53 S5-54 S5-55",
        copies=PAGE,
        window="month",
    ),
    View(
        "kpis",
        "KPIs of the goal",
        "How do the metrics stand that count for the goal I have chosen?",
        (
            *(
                Part(
                    goal,
                    TITLES[goal],
                    metrics,
                    shape=Shape.SCORECARD,
                    when=("goal", (goal, "all")),
                    compare=True,
                )
                for goal, metrics in GOALS.items()
            ),
            _of_goal(TERRITORIES, "grow_reach", "audience"),
            _of_goal(AGES, "audience"),
            _of_goal(GENDERS, "audience"),
            Part("marked", "Marked as KPIs", (), shape=Shape.SCORECARD, marked=True, compare=True),
        ),
        "S5-01 S5-02 S5-29 S5-30 S5-32 S5-33 S5-35 S5-37 S5-38 S5-39 S5-40 S5-41 S5-42 S5-45 S5-46 S5-47 S5-48 S5-56 "
        "S5-62 S5-63",
        copies=PAGE,
        parameters=(GOAL,),
        window="last7",
    ),
    View(
        "trends",
        "Trends",
        "How does any metric move over a range of dates?",
        (
            Part(
                "trend",
                "In time",
                SALES,
                (AUTO_GRAIN,),
                Shape.TREND,
                choices=(*CORE, *MORE, *BANDED),
                compare=True,
            ),
            Part(
                "sum",
                "The whole range",
                SALES,
                shape=Shape.FIGURE,
                choices=(*CORE, *MORE, *BANDED),
                compare=True,
            ),
        ),
        "S5-57 S4-75",
        parameters=(TREND, METRICS, GRAIN, CONTENT_TYPE, PRODUCT),
        window="last:30d",
    ),
    View(
        "territories",
        "Territories",
        "Where do viewers and buyers live, and what do they buy there?",
        (
            TERRITORIES,
            Part(
                "products",
                "Products by territory",
                ("gmv", "items_sold", "orders"),
                ("territory", "product"),
                sort=("gmv",),
                limit=50,
                labels="product",
                empty="No order names a territory in this window.",
            ),
            Part("hours", "When they order", ("orders", "gmv"), ("hour",), Shape.TREND),
        ),
        "S5-34 S5-36",
        copies=PAGE,
        parameters=(TERRITORY, SEARCH),
        window="last7",
    ),
    View(
        "demographics",
        "Demographics",
        "Who watches, by age and gender?",
        (AGES, GENDERS),
        "S5-45 S5-46",
        copies=PAGE,
        parameters=(CONTENT_TYPE,),
        window="last7",
    ),
    View(
        "monthly",
        "Month",
        "How did the month go against the one before, and what is the next small goal of each KPI?",
        (
            Part(
                "kpis",
                "KPIs, with the next goal of what is off",
                ("gmv", "items_sold", "orders", "aov_sku", *BANDED),
                shape=Shape.SCORECARD,
                choices=(*CORE, *MORE),
                compare=True,
            ),
            Part("days", "Day by day", ("gmv", "orders"), ("day",), Shape.TREND, choices=(*CORE, *MORE)),
            Part(
                "products",
                "Top products",
                ("items_sold", "gmv"),
                ("product",),
                sort=("items_sold", "gmv"),
                limit=10,
                labels="product",
                compare=True,
            ),
        ),
        "S5-03 S5-49 S5-61 S5-62",
        parameters=(METRICS, TREND),
        window="month",
    ),
    View(
        "weeks",
        "Week by week",
        "How do whole weeks compare?",
        (
            Part(
                "weeks",
                "Weeks",
                ("orders", "gmv", "items_sold", "est_customers", "aov_revenue"),
                ("week",),
                Shape.TREND,
                choices=(*CORE, *MORE),
                compare=True,
            ),
        ),
        "S3-23 S3-24 S3-25",
        copies="customer dashboard",
        parameters=(TREND,),
        window="weeks:6",
        limits=Limits(whole_weeks=True),
    ),
)
"""In the order of the guide."""
