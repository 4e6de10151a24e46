"""Every metric as SQL, written from spec/metrics.md and spec/decisions.md: parts over a table, and figures over parts.

The catalogue's formulas are not used here; the two are written apart so that they can disagree. Money is in cents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_TOPIC_OF_KIND: Final = {
    "product_impression": "impressions",
    "product_click": "clicks",
    "product_page_view": "page_views",
    "add_to_cart": "add_to_cart",
}
_TOPIC_OF_TABLE: Final = {
    **dict.fromkeys(("lines", "refunds", "ad_refunds", "days_of_orders"), "orders"),
    **dict.fromkeys(("contents", "content_days", "days_of_content"), "content"),
    **dict.fromkeys(("engagement", "views_by_viewer"), "engagement"),
    "accused": "violations",
    "begun": "checkouts",
    "ads": "ads",
    "days_of_impressions": "impressions",
    "days_of_clicks": "clicks",
}


@dataclass(frozen=True)
class Part:
    """What is drawn from one table: an aggregate that is grouped by the dimensions asked for.

    Attributes:
        table: of `duck_tables`.
        sql: the aggregate.
        sketched: distinct people, where the product estimates.
        timeless: counts whatever the window.
    """

    table: str
    sql: str
    sketched: bool = False
    timeless: bool = False

    @property
    def topic(self) -> str:
        """The topic that feeds it."""
        return _TOPIC_OF_KIND[self.kind] if self.kind else _TOPIC_OF_TABLE[self.table]

    @property
    def kind(self) -> str:
        """The traffic that it counts, if it does."""
        return next((kind for kind in _TOPIC_OF_KIND if kind in self.sql), "")


@dataclass(frozen=True)
class Figure:
    """A metric.

    Attributes:
        sql: over parts, by name; `whole_<part>` is the part of everything in view (`over` left out of the grouping).
        money: the value is in cents, answered in units.
        over: dimensions in which a share is a part; rows that differ in these alone make the whole.
        place: what ranks rows that differ in `over` alone, greatest first; `sql` is then the first figure.
        sides: what is ranked where nothing in `over` is asked for.
    """

    sql: str
    money: bool = False
    over: tuple[str, ...] = ()
    place: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()


def _count(kind: str, more: str = "") -> Part:
    return Part("traffic", f"count(*) FILTER (WHERE kind = '{kind}'{more})")


def _people(kind: str, *, each_day: bool, finished: bool = False) -> Part:
    of_kind = f"kind = '{kind}'" + (" AND day < getvariable('today')" if finished else "")
    who = "(day, user_key)" if each_day else "user_key"
    return Part(
        "traffic",
        f"CASE WHEN count(*) FILTER (WHERE {of_kind}) > 0 AND count(user_key) FILTER (WHERE {of_kind}) = 0 "
        f"THEN NULL ELSE count(DISTINCT {who}) FILTER (WHERE {of_kind} AND user_key IS NOT NULL) END",
        sketched=True,
    )


def _of_lines(column: str, where: str = "true") -> Part:
    return Part("lines", f"coalesce(sum({column}) FILTER (WHERE {where}), 0)")


def _new(where: str) -> Part:
    return Part("contents", f"count(DISTINCT content) FILTER (WHERE {where})")


def _sum(table: str, column: str, where: str = "true") -> Part:
    return Part(table, f"coalesce(sum({column}) FILTER (WHERE {where}), 0)")


_FINISHED: Final = "day < getvariable('today')"
_CONTENT: Final = "format IN ('live', 'video') AND owner IS NOT NULL"

PARTS: Final[dict[str, Part]] = {
    "p_paid": _of_lines("goods + shipping"),
    "p_tax": _of_lines("tax"),
    "p_cofunding": _of_lines("cofunding"),
    "p_shipping": _of_lines("shipping"),
    "p_items": _of_lines("quantity"),
    "p_orders": Part("lines", "count(DISTINCT order_id)"),
    "p_sku_orders": Part("lines", "count(*) FILTER (WHERE first_of_sku)"),
    "p_cancelled": Part("lines", "count(DISTINCT order_id) FILTER (WHERE cancelled)"),
    "p_buyer_days": Part("lines", "count(DISTINCT (day, who))"),
    "p_buyer_days_finished": Part("lines", f"count(DISTINCT (day, who)) FILTER (WHERE {_FINISHED})"),
    "p_buyers": Part("lines", "count(DISTINCT who)"),
    "p_paid_live": _of_lines("goods + shipping", f"format = 'live' AND {_CONTENT}"),
    "p_paid_video": _of_lines("goods + shipping", f"format = 'video' AND {_CONTENT}"),
    "p_orders_live": Part("lines", f"count(DISTINCT order_id) FILTER (WHERE format = 'live' AND {_CONTENT})"),
    "p_orders_video": Part(
        "lines", f"count(DISTINCT order_id) FILTER (WHERE format = 'video' AND {_CONTENT})"
    ),
    "p_content_buyers": Part("lines", f"count(DISTINCT user_key) FILTER (WHERE {_CONTENT})"),
    "p_paid_late": _of_lines(
        "goods + shipping",
        "received_ms > midnight_ms(CAST(day AS DATE) + 1) + 18 * 3600000 AND midnight_ms(CAST(day AS DATE) + 1)"
        " + 18 * 3600000 <= getvariable('now')",
    ),
    "p_refunded": _sum("refunds", "amount"),
    "p_items_refunded": _sum("refunds", "quantity"),
    "p_refunded_days": Part("refunds", "count(DISTINCT (day, who))"),
    "p_refunded_people": Part("refunds", "count(DISTINCT who)"),
    "p_impressions": _count("product_impression"),
    "p_clicks": _count("product_click"),
    "p_page_views": _count("product_page_view"),
    "p_adds": _count("add_to_cart"),
    "p_content_clicks": _count("product_click", f" AND {_CONTENT}"),
    "p_content_page_views": _count("product_page_view", f" AND {_CONTENT}"),
    "p_shown_days": _people("product_impression", each_day=True),
    "p_clicker_days": _people("product_click", each_day=True),
    "p_page_days": _people("product_page_view", each_day=True),
    "p_adder_days": _people("add_to_cart", each_day=True),
    "p_shown": _people("product_impression", each_day=False),
    "p_clickers": _people("product_click", each_day=False),
    "p_page_viewers": _people("product_page_view", each_day=False),
    "p_adders": _people("add_to_cart", each_day=False),
    "p_shown_finished": _people("product_impression", each_day=True, finished=True),
    "p_clickers_finished": _people("product_click", each_day=True, finished=True),
    **{
        f"p_days_of_{topic}": Part(f"days_of_{topic}", f"count(*) FILTER (WHERE {_FINISHED})")
        for topic in ("orders", "impressions", "clicks", "content")
    },
    "p_checkouts": Part("begun", "count(DISTINCT checkout_id)"),
    "p_creator_videos": _new("side = 'affiliate' AND format = 'video'"),
    "p_creator_lives": _new("side = 'affiliate' AND format = 'live'"),
    "p_seller_videos": _new("side = 'seller' AND format = 'video'"),
    "p_seller_lives": _new("side = 'seller' AND format = 'live'"),
    "p_lives": _new("format = 'live'"),
    "p_videos": _new("format = 'video'"),
    "p_posters": Part("contents", "count(DISTINCT (day, creator)) FILTER (WHERE side = 'affiliate')"),
    "p_posters_finished": Part(
        "contents", f"count(DISTINCT (day, creator)) FILTER (WHERE side = 'affiliate' AND {_FINISHED})"
    ),
    "p_contents_shown": Part("content_days", "count(DISTINCT content)"),
    "p_views": _sum("engagement", "views"),
    "p_live_views": _sum("engagement", "views", f"format = 'live' AND {_CONTENT}"),
    "p_likes": _sum("engagement", "likes"),
    "p_comments": _sum("engagement", "comments"),
    "p_shares": _sum("engagement", "shares"),
    "p_saves": _sum("engagement", "saves"),
    "p_watch_ms": _sum("engagement", "watch_ms"),
    "p_viewer_days": Part("views_by_viewer", "count(DISTINCT (day, viewer))", sketched=True),
    "p_viewers": Part("views_by_viewer", "count(DISTINCT viewer)", sketched=True),
    "p_raised": Part("accused", "count(*)"),
    "p_flagged": Part("accused", "count(DISTINCT content)"),
    "p_open": Part("accused", "count(*) FILTER (WHERE is_open)", timeless=True),
    "p_spend": _sum("ads", "spend"),
    "p_revenue": _sum("ads", "revenue"),
    "p_ad_clicks": _sum("ads", "clicks"),
    "p_ad_impressions": _sum("ads", "impressions"),
    "p_purchases": _sum("ads", "purchases"),
    "p_new_customers": _sum("ads", "new_customers"),
    "p_spend_of_new": _sum("ads", "spend", "new_customers IS NOT NULL"),
    "p_refunded_on_ads": _sum("ad_refunds", "amount"),
}

_FORMAT: Final = ("slice", "leaf", "owner")
_CTR: Final = "p_clicks / nullif(p_impressions, 0)"
_CTOR: Final = "p_sku_orders / nullif(p_clicks, 0)"


def _mean(topic: str, finished: str, so_far: str) -> str:
    """Return the mean over finished days since the topic began; today's part while there is none."""
    return f"CASE WHEN p_days_of_{topic} > 0 THEN {finished} / p_days_of_{topic} ELSE {so_far} END"


_REACH: Final = _mean("impressions", "p_shown_finished", "p_shown_days")
_CLICKS_A_DAY: Final = _mean("clicks", "p_clickers_finished", "p_clicker_days")
_BUYERS_A_DAY: Final = _mean("orders", "p_buyer_days_finished", "p_buyer_days")

FIGURES: Final[dict[str, Figure]] = {
    "gmv": Figure("p_paid", money=True),
    "gmv_with_tax": Figure("p_paid + p_tax", money=True),
    "tax_paid": Figure("p_tax", money=True),
    "gmv_with_cofunding": Figure("p_paid + p_cofunding", money=True),
    "est_tiktok_contribution": Figure("p_cofunding", money=True),
    "shipping_fees_paid": Figure("p_shipping", money=True),
    "orders": Figure("p_orders"),
    "sku_orders": Figure("p_sku_orders"),
    "items_sold": Figure("p_items"),
    "aov_revenue": Figure("p_paid / nullif(p_orders, 0)", money=True),
    "aov_sku": Figure("p_paid / nullif(p_sku_orders, 0)", money=True),
    "gmv_channel_contribution": Figure("p_paid / nullif(whole_p_paid, 0)", over=_FORMAT),
    "orders_by_status": Figure("p_orders"),
    "cancel_rate": Figure("p_cancelled / nullif(p_orders, 0)"),
    "orders_by_source_rank": Figure(
        "p_orders", over=("slice", "leaf", "creator"), place=("p_orders", "p_paid")
    ),
    "top_selling_products": Figure("p_items", over=("product",), place=("p_items", "p_paid")),
    "est_customers": Figure("p_buyer_days"),
    "avg_daily_customers": Figure(_BUYERS_A_DAY),
    "unique_customers": Figure("p_buyers"),
    "refunds_amount": Figure("p_refunded", money=True),
    "items_refunded": Figure("p_items_refunded"),
    "refund_customers": Figure("p_refunded_days"),
    "refund_customers_distinct": Figure("p_refunded_people"),
    "product_impressions": Figure("p_impressions"),
    "unique_product_impressions": Figure("p_shown_days"),
    "unique_product_impressions_distinct": Figure("p_shown"),
    "product_clicks": Figure("p_clicks"),
    "unique_clicks": Figure("p_clicker_days"),
    "unique_clicks_distinct": Figure("p_clickers"),
    "product_page_views": Figure("p_page_views"),
    "unique_page_viewers": Figure("p_page_days"),
    "unique_page_viewers_distinct": Figure("p_page_viewers"),
    "atc_count": Figure("p_adds"),
    "atc_users": Figure("p_adder_days"),
    "atc_users_distinct": Figure("p_adders"),
    "ctr": Figure(_CTR),
    "unique_ctr": Figure("p_clicker_days / nullif(p_shown_days, 0)"),
    "ctor": Figure(_CTOR),
    "unique_ctor": Figure("p_buyer_days / nullif(p_clicker_days, 0)"),
    "atc_rate": Figure("p_adds / nullif(p_clicks, 0)"),
    "unique_atc_rate": Figure("p_adder_days / nullif(p_clicker_days, 0)"),
    "impression_share": Figure("p_impressions / nullif(whole_p_impressions, 0)", over=_FORMAT),
    "avg_unique_reach": Figure(_REACH),
    "avg_unique_clicks": Figure(_CLICKS_A_DAY),
    "funnel_reach_to_click": Figure(f"({_CLICKS_A_DAY}) / nullif({_REACH}, 0)"),
    "funnel_click_to_customer": Figure(f"({_BUYERS_A_DAY}) / nullif({_CLICKS_A_DAY}, 0)"),
    "funnel_impression_to_click": Figure(_CTR),
    "funnel_click_to_sku_order": Figure(_CTOR),
    "checkouts_initiated": Figure("p_checkouts"),
    "pdp_to_checkout_rate": Figure("p_checkouts / nullif(p_page_views, 0)"),
    "channel_efficiency_rank": Figure(
        _CTOR, over=("slice", "leaf", "owner"), place=(_CTOR, "p_paid * 1000 / nullif(p_impressions, 0)")
    ),
    "creator_new_videos": Figure("p_creator_videos"),
    "creator_new_lives": Figure("p_creator_lives"),
    "seller_new_videos": Figure("p_seller_videos"),
    "seller_new_lives": Figure("p_seller_lives"),
    "new_live_count": Figure("p_lives"),
    "new_video_count": Figure("p_videos"),
    "avg_daily_creators_posted": Figure(_mean("content", "p_posters_finished", "p_posters")),
    "content_views": Figure("p_views"),
    "unique_viewers": Figure("p_viewer_days"),
    "unique_viewers_distinct": Figure("p_viewers"),
    "likes": Figure("p_likes"),
    "shares": Figure("p_shares"),
    "comments": Figure("p_comments"),
    "saves": Figure("p_saves"),
    "engagement_rate": Figure("(p_likes + p_comments + p_shares + p_saves) / nullif(p_views, 0)"),
    "watch_duration_avg": Figure("p_watch_ms / 1000 / nullif(p_views, 0)"),
    "watch_ms_total": Figure("p_watch_ms"),
    "territory_share": Figure("p_views / nullif(whole_p_views, 0)", over=(*_FORMAT, "territory")),
    "territory_order_share": Figure("p_orders / nullif(whole_p_orders, 0)", over=(*_FORMAT, "territory")),
    "audience_demographics_share": Figure(
        "CASE WHEN p_viewers >= getvariable('min_group') THEN p_viewer_days / nullif(whole_p_viewer_days, 0) END",
        over=(*_FORMAT, "age_band", "gender"),
    ),
    "violations_open": Figure("p_open"),
    "violations_count": Figure("p_raised"),
    "flagged_content_rate": Figure("p_flagged / nullif(p_contents_shown, 0)"),
    "gmv_per_live": Figure("p_paid_live", money=True),
    "watch_gpm": Figure("p_paid_live * 1000 / nullif(p_live_views, 0)", money=True),
    "content_ctr": Figure("p_content_clicks / nullif(p_views, 0)"),
    "page_view_rate": Figure("p_content_page_views / nullif(p_views, 0)"),
    "conversion_rate": Figure("p_content_buyers / nullif(p_viewers, 0)"),
    "gmv_contribution_rate": Figure("p_paid_video / nullif(whole_p_paid, 0)", over=(*_FORMAT, "content")),
    "gmv_contribution_rate_within_videos": Figure(
        "p_paid_video / nullif(whole_p_paid_video, 0)", over=(*_FORMAT, "content")
    ),
    "gmv_contribution_rate_lives": Figure(
        "p_paid_live / nullif(whole_p_paid, 0)", over=(*_FORMAT, "content")
    ),
    "gmv_contribution_rate_within_lives": Figure(
        "p_paid_live / nullif(whole_p_paid_live, 0)", over=(*_FORMAT, "content")
    ),
    "content_rank_live": Figure(
        "p_paid_live", over=("content",), place=("p_paid_live", "p_orders_live"), sides=("owner",)
    ),
    "content_rank_video": Figure(
        "p_paid_video", over=("content",), place=("p_paid_video", "p_orders_video"), sides=("owner",)
    ),
    "ad_spend": Figure("p_spend", money=True),
    "ad_gross_revenue": Figure("p_revenue", money=True),
    "ad_clicks": Figure("p_ad_clicks"),
    "ad_impressions": Figure("p_ad_impressions"),
    "ad_purchases": Figure("p_purchases"),
    "ad_ctr": Figure("p_ad_clicks / nullif(p_ad_impressions, 0)"),
    "cpc": Figure("p_spend / nullif(p_ad_clicks, 0)", money=True),
    "cpp": Figure("p_spend / nullif(p_purchases, 0)", money=True),
    "cpp_first_time": Figure("p_spend_of_new / nullif(p_new_customers, 0)", money=True),
    "roas": Figure("p_revenue / nullif(p_spend, 0)"),
    "roas_net": Figure("(p_revenue - p_refunded_on_ads) / nullif(p_spend, 0)"),
    "restated_amount": Figure("p_paid_late", money=True),
}
"""By id of spec/metrics.md. Division is of real numbers; a divisor of 0 gives null (X-27)."""
