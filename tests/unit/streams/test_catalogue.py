"""The catalogue: every metric of the issue is there, means something, and can be asked for."""

from __future__ import annotations

import re

import pytest

from streams.catalogue import DIMENSIONS, GROUPS, METRICS, NULL_REASONS, Metric, Unit
from streams.cubes import CUBES
from streams.errors import QueryError
from streams.formulas import MEASURES, AddsOver, Frame, describe, measures_of
from streams.query import parse_request, run
from streams.settings import ShopSettings
from streams.topics import TOPICS
from tests.unit.streams.boards import at, board, line, order

WANTED = [
    "gmv",
    "gmv_with_tax",
    "tax_paid",
    "gmv_with_cofunding",
    "shipping_fees_paid",
    "orders",
    "sku_orders",
    "items_sold",
    "aov_revenue",
    "aov_sku",
    "gmv_channel_contribution",
    "est_customers",
    "avg_daily_customers",
    "unique_customers",
    "orders_by_status",
    "cancel_rate",
    "refunds_amount",
    "items_refunded",
    "refund_customers",
    "product_impressions",
    "product_clicks",
    "product_page_views",
    "atc_count",
    "unique_product_impressions",
    "unique_clicks",
    "unique_page_viewers",
    "atc_users",
    "ctr",
    "ctor",
    "atc_rate",
    "unique_ctr",
    "unique_ctor",
    "unique_atc_rate",
    "impression_share",
    "avg_unique_reach",
    "avg_unique_clicks",
    "funnel_step_rates",
    "stock_on_hand",
    "stock_status",
    "sell_velocity",
    "hours_to_stockout",
    "stock_horizon_hours",
    "replenish_units",
    "gmv_at_risk",
    "campaign_target",
    "goal_progress_pct",
    "goal_pace_pct",
    "gmv_projected_campaign_end",
    "period_sales_goal_pct",
    "quarter_revenue_target_pct",
    "gmv_last_15m",
    "orders_last_15m",
    "today_lag_seconds",
    "view_as_of",
    "records_in",
    "est_tiktok_contribution",
    "orders_by_source_rank",
    "top_selling_products",
    "product_gmv_range",
    "checkouts_initiated",
    "pdp_to_checkout_rate",
    "page_view_rate",
    "conversion_rate",
    "content_push_lift",
    "best_format",
    "channel_efficiency_rank",
    "product_status",
    "product_rating",
    "product_opportunity_matched",
    "gmv_contribution_rate",
    "creator_new_videos",
    "creator_new_lives",
    "seller_new_videos",
    "seller_new_lives",
    "new_live_count",
    "new_video_count",
    "avg_daily_creators_posted",
    "content_rank_live",
    "content_rank_video",
    "gmv_per_live",
    "live_gmv_growth_pct",
    "content_views",
    "watch_gpm",
    "unique_viewers",
    "likes",
    "shares",
    "comments",
    "saves",
    "engagement_rate",
    "watch_duration_avg",
    "violations_open",
    "violations_count",
    "flagged_content_rate",
    "key_session_flag",
    "followers",
    "follower_growth_rate",
    "territory_share",
    "audience_demographics_share",
    "creator_type",
    "viewers_now",
    "content_ctr",
    "ad_spend",
    "ad_gross_revenue",
    "ad_clicks",
    "ad_impressions",
    "ad_purchases",
    "ad_ctr",
    "cpc",
    "cpp",
    "roas",
    "roas_net",
]

ALL = list(METRICS.values())


def test_every_metric_that_was_asked_for_has_a_name() -> None:
    assert [name for name in WANTED if name not in METRICS and name not in GROUPS] == []


def test_every_metric_of_people_has_a_form_that_is_distinct_over_the_window() -> None:
    daily = {name for name, metric in METRICS.items() if metric.unit is Unit.PERSON_DAYS}
    distinct = {f"{name}_distinct" for name in daily - {"est_customers"}} | {"unique_customers"}
    assert distinct <= METRICS.keys()
    assert all(METRICS[name].adds_over is AddsOver.NONE for name in distinct)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.id)
def test_a_metric_says_what_it_is_where_it_comes_from_and_why_it_may_be_null(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.id)
    assert metric.title
    assert metric.definition.endswith(".")
    assert re.match(r"(S\d-\d\d|X-\d\d)", metric.sources)
    assert describe(metric.formula)
    assert set(metric.topics) <= TOPICS.keys()
    assert set(metric.dims) <= DIMENSIONS.keys()
    assert set(metric.null_reasons) <= NULL_REASONS.keys()
    assert not metric.group or metric.group not in METRICS


def test_rates_and_means_add_over_nothing_and_orders_over_time_only() -> None:
    adds = {name: metric.adds_over for name, metric in METRICS.items()}
    assert adds["gmv"] is adds["product_clicks"] is adds["sku_orders"] is AddsOver.ALL
    assert adds["orders"] is adds["est_customers"] is adds["unique_clicks"] is AddsOver.TIME
    for name in ("ctr", "aov_sku", "avg_daily_customers", "unique_customers", "impression_share"):
        assert adds[name] is AddsOver.NONE


def test_every_measure_is_used_and_only_settings_that_exist_switch_one_off() -> None:
    used = {measure.name for metric in ALL for measure in measures_of(metric.formula)}
    assert used == MEASURES.keys()
    shop = ShopSettings("s1")
    assert all(hasattr(shop, measure.only_if) for measure in MEASURES.values() if measure.only_if)


def test_every_traffic_measure_is_in_a_cube() -> None:
    fed = {kind for cube in CUBES for kind in cube.event_types}
    assert {m.column for m in MEASURES.values() if m.frame is Frame.TRAFFIC} <= fed


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.id)
def test_every_metric_answers_a_board_with_orders_alone_with_a_value_or_a_known_reason(
    metric: Metric,
) -> None:
    noon = at("2024-11-29 12:00")
    columns = board([order("o1", noon, [line("1", "A1", 100)])], vouch_ms=noon)
    refused: set[str] = set()
    for by in ((), *((dim,) for dim in metric.dims)):
        params = {"metrics": metric.id, "window": "all", "by": ",".join(by)}
        try:
            answer = run(columns, parse_request(params), now_ms=noon)
        except QueryError as error:
            refused.add(error.reason)
            continue
        for number, row in enumerate(answer.rows):
            reasons = [why for why, found in answer.nulls.get(metric.id, {}).items() if number in found]
            assert len(reasons) == (row[metric.id] is None)
            assert set(reasons) <= set(metric.null_reasons)
    assert refused <= {"no_cube", "needs_dimension"}
