"""Metrics of the catalogue: advertising, followers.

Source: spec/metrics.md "Advertising", "Content, creators, audience".
"""

from __future__ import annotations

from typing import Final

from streams.formulas import AudienceFigure, Formula, Ratio, Total
from streams.metric import TIME_DIMS, Metric, Unit, metric_of

SPEND: Final = Total(("ad_spend",))
REVENUE: Final = Total(("ad_revenue",))
AD_CLICKS: Final = Total(("ad_clicks",))
AD_IMPRESSIONS: Final = Total(("ad_impressions",))
PURCHASES: Final = Total(("ad_purchases",))

AD_DIMS: Final = (
    *TIME_DIMS,
    "ad",
    "ad_account",
    "product",
    "price_tier",
    "creator",
    "content",
    "sub_campaign",
)
PRIMARY: Final = (
    "Of the primary account, its whole past included; asked by ad_account, of each (X-50). A bucket that straddles "
    "hours of the shop's clock is split by seconds."
)


def _ad(
    id: str,
    title: str,
    definition: str,
    unit: Unit,
    formula: Formula,
    sources: str,
    dims: tuple[str, ...] = AD_DIMS,
    **more: str,
) -> Metric:
    return metric_of(id, title, f"{definition} {PRIMARY}", unit, formula, sources, dims=dims, **more)


AD_METRICS: Final[tuple[Metric, ...]] = (
    _ad(
        "ad_spend",
        "Ad spend",
        "Cost that the ad platform reports.",
        Unit.MONEY,
        SPEND,
        "S4-33 S4-35 S4-38 X-50",
        advice="Spend without sales: lower the budget of ads whose roas is below 1 first.",
    ),
    _ad(
        "ad_gross_revenue",
        "Ad gross revenue",
        "Revenue that the ad platform attributes to ads.",
        Unit.MONEY,
        REVENUE,
        "S4-34 S4-38 X-50",
        not_counted="Refunds are not taken out; see roas_net.",
    ),
    _ad("ad_clicks", "Ad clicks", "Clicks on ads.", Unit.COUNT, AD_CLICKS, "S5-16"),
    _ad("ad_impressions", "Ad impressions", "Showings of ads.", Unit.COUNT, AD_IMPRESSIONS, "S5-42"),
    _ad("ad_purchases", "Ad purchases", "Purchases attributed to ads.", Unit.COUNT, PURCHASES, "S5-18"),
    _ad(
        "ad_ctr",
        "Ad CTR",
        "ad_clicks / ad_impressions.",
        Unit.RATE,
        Ratio(AD_CLICKS, AD_IMPRESSIONS),
        "S5-42 S5-43",
        advice="Shown but not clicked: change the first seconds or the audience.",
    ),
    _ad(
        "cpc",
        "Cost per click",
        "ad_spend / ad_clicks.",
        Unit.MONEY,
        Ratio(SPEND, AD_CLICKS),
        "S5-16 S5-17",
        advice="Dear clicks: narrow the audience, or give the creative with the best ad_ctr the budget.",
    ),
    _ad(
        "cpp",
        "Cost per purchase",
        "ad_spend / ad_purchases. By price tier, of the ads whose records name a product: its card says the tier, else "
        "its price does by board.price_tier_edges.",
        Unit.MONEY,
        Ratio(SPEND, PURCHASES),
        "S5-18 S5-19 S5-20 X-45 X-46",
        not_counted="By price tier, product, creator, content or sub-campaign: spend and purchases of ads that name "
        "none; they are not shared out.",
        advice="Dear purchases: look at the product page and stock before the ad.",
    ),
    _ad(
        "cpp_first_time",
        "Cost per new customer",
        "ad_spend / new customers, of records that tell their new customers.",
        Unit.MONEY,
        Ratio(Total(("ad_spend_with_new_customers",)), Total(("ad_new_customers",))),
        "S5-18 X-45",
        not_counted="Spend of records that do not tell how many customers are new.",
    ),
    _ad(
        "roas",
        "ROAS",
        "ad_gross_revenue / ad_spend.",
        Unit.NUMBER,
        Ratio(REVENUE, SPEND),
        "S5-21 S5-22 S5-23",
        advice="Below 1 an ad costs more than it sells: stop it or change its product.",
    ),
    _ad(
        "roas_net",
        "ROAS after refunds",
        "(ad_gross_revenue - refunds on order lines attributed to these ads, at their processed time) / ad_spend.",
        Unit.NUMBER,
        Ratio(Total(("ad_revenue",), minus=("refunds_on_ads",)), SPEND),
        "S2-43",
        (*TIME_DIMS, "ad", "ad_account"),
        not_counted="Refunds of order lines that name no ad.",
    ),
)

AUDIENCE_METRICS: Final[tuple[Metric, ...]] = (
    metric_of(
        "followers",
        "Followers",
        "Latest follower count of each account by the end of the window; the shop's is the sum over accounts.",
        Unit.PEOPLE,
        AudienceFigure("followers"),
        "S5-26",
        dims=(*TIME_DIMS, "account"),
        topics=("followers",),
        owner="streams.query_audience",
        null_reasons=("no_source", "not_told"),
        not_counted="A person who follows two accounts counts twice.",
    ),
    metric_of(
        "follower_growth_rate",
        "Follower growth rate",
        "(followers at the window's end - at its start) / at its start, over accounts known at both; of an account "
        "first heard of within the window, since then.",
        Unit.RATE,
        AudienceFigure("follower_growth"),
        "S5-26 S5-27 S5-28",
        dims=(*TIME_DIMS, "account"),
        topics=("followers",),
        owner="streams.query_audience",
        null_reasons=("no_source", "zero_divisor", "not_told"),
        advice="Ask viewers to follow in each LIVE, and say what followers get.",
    ),
)
