"""Every metric may be asked on every dimension and in every window of its row in the metric catalogue.

What the answers are is the business of `test_duck`; here nothing may be refused. Customers' segments, other sales
channels and profit are of later parts and left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from streams.catalogue import GROUPS, METRICS
from streams.errors import QueryError
from streams.query import parse_request, run
from tests.oracle import duck_days
from tests.oracle.asking import columns_of

if TYPE_CHECKING:
    from streams.columns import Columns

pytestmark = pytest.mark.timeout(120)

ROWS: Final = """
gmv | SH PR SK F7 OW CR CI SC | T D C L7 W A R M Q S
gmv_with_tax | SH PR F1 | T D C R
tax_paid | SH PR F1 | T D C R
gmv_with_cofunding | SH PR F1 | T D C R
est_tiktok_contribution | SH PR SC | T D C
shipping_fees_paid | SH PR F1 | T D C R
orders | SH PR SK F5 CR CI SC | T D C L7 W A R S
sku_orders | SH PR SK F5 CR CI SC | T D C R S
items_sold | SH PR SK F5 CR CI SC | T D C L7 W A R M S
aov_revenue | SH F5 | T D C R
aov_sku | SH PR F5 | T D C R
gmv_vs_baseline_pct | SH | D
metric_vs_benchmark_pct | SH | D C
campaign_target | SH | C
goal_progress_pct | SH | C
goal_pace_pct | SH | C
gmv_projected_campaign_end | SH | C
period_sales_goal_pct | SH | L7 W
quarter_revenue_target_pct | SH | Q
sales_volume_mom_pct | SH | M
gmv_channel_contribution | F7 OW | T D C L7 R
gmv_contribution_rate | OW CI | T D C
orders_by_status | SH | T D C A
orders_by_source_rank | F5 CR | T D C L7
top_selling_products | PR | W R T C
product_gmv_range | PR | A
product_impressions | SH PR F7 CR CI SC | T D C R S
unique_product_impressions | SH PR F1 | T D C R
product_clicks | SH PR F8 CR CI SC | T D C R S
unique_clicks | SH PR F8 CR CI | T D C R
ctr | SH PR F8 CR CI | T D C R S
unique_ctr | SH PR F8 | T D C R
ctor | SH PR SK F8 CR CI | T D C R S
unique_ctor | SH PR F8 | T D C R
atc_count | SH PR SK F8 | T D C R
atc_users | SH PR F8 | T D C R
atc_rate | SH PR F8 | T D C R
unique_atc_rate | SH PR F8 | T D C R
atc_rate_pdp | PR | T D C
product_page_views | SH PR F8 | T D C L7 R
unique_page_viewers | SH PR | T D C
page_view_rate | SH CR CI F5 | T D C L7
checkouts_initiated | SH PR F5 | T D C R
pdp_to_checkout_rate | SH PR | T D C R
conversion_rate | SH F5 CR CI | T D C L7 M S
impression_share | leaf | T D C
avg_unique_reach | SH | D C R
avg_unique_clicks | SH | D C R
funnel_step_rates | SH PR F8 | T D C R
best_format | PR | D C R
channel_efficiency_rank | F8 | T D C R
content_push_lift | PR SH CI | D
product_opportunity_matched | PR | now
product_status | PR | now
product_rating | PR | now
creator_new_videos | SH CR PR | T D C
creator_new_lives | SH CR PR | T D C
seller_new_videos | SH PR | T D C
seller_new_lives | SH PR | T D C
new_live_count | PR SH OW | T D C R
new_video_count | PR SH OW | T D C R
avg_daily_creators_posted | SH PR | D C R
content_rank_live | CI OW | T D C
content_rank_video | CI OW | T D C
gmv_per_live | CI | S
live_gmv_growth_pct | CR CI | S
content_views | CI CR SH | T D C S
watch_gpm | CI CR SH | S T D C
unique_viewers | SH CI | T D C M S
likes | CI SH | T D C S
shares | CI SH | T D C S
comments | CI SH | T D C S
saves | CI SH | T D C S
engagement_rate | CI CR SH | T D C M S
watch_duration_avg | CI SH | T D C S
violations_open | CI SH | T
violations_count | CI SH OW | T D C M
flagged_content_rate | SH OW | D C M
key_session_flag | CI | now
followers | SH | now D
follower_growth_rate | SH | M D L7
territory_share | GE | D C M
audience_demographics_share | segment | D C M
creator_type | CR | now
viewers_now | CI SH | T
gmv_last_15m | SH CI PR SK F7 | T
orders_last_15m | SH CI PR SK F7 | T
content_ctr | SH CR CI | T D C S
ad_spend | AD SH | T D C H
ad_gross_revenue | AD SH | T D C H
ad_clicks | AD | T D C
ad_impressions | AD | T D C
ad_purchases | AD | T D C
ad_ctr | AD | T D C
cpc | AD | T D C
cpp | AD PR-price-tier | T D C
roas | AD | T D C M
roas_net | AD | D C M
today_lag_seconds | topic | T
view_as_of | view | all
benchmark_age_days | SH | D C
restated_amount | SH PR CR | D W M
"""
"""Metric, dimensions and windows by the codes of spec/metrics.md, rows of its five chapters on sales, traffic,
content, ads and freshness."""

DIMENSIONS: Final = {
    "SH": ("",),
    "PR": ("product",),
    "SK": ("sku",),
    "CR": ("creator",),
    "CI": ("content",),
    "OW": ("owner",),
    "SC": ("sub_campaign",),
    "GE": ("territory",),
    "AD": ("ad", "ad_account"),
    "PR-price-tier": ("price_tier",),
    "segment": ("age_band", "gender"),
    "leaf": ("leaf",),
    "topic": ("topic",),
    "view": ("",),
    "F1": ("",),
    **dict.fromkeys(("F5", "F7", "F8"), ("slice",)),
}
WINDOWS: Final = {
    **dict.fromkeys(("T", "now"), "today"),
    **dict.fromkeys(("A", "all"), "all"),
    "D": "day:2026-11-26",
    "H": "hour:2026-11-26T20",
    "C": "campaign",
    "L7": "last7",
    "W": "weeks",
    "R": "range:2026-11-20..2026-11-26",
    "M": "month",
    "Q": "quarter",
    "S": "stream:ab-live",
}


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> Columns:
    return columns_of(duck_days.make(tmp_path_factory.mktemp("asked")))


@pytest.mark.parametrize("row", ROWS.strip().splitlines(), ids=lambda row: row.partition(" ")[0])
def test_a_metric_is_answered_on_each_dimension_and_window_of_its_row(columns: Columns, row: str) -> None:
    name, dims, windows = (part.split() for part in row.split("|"))
    asked = [
        (metric, dim, window)
        for metric in GROUPS.get(name[0], name)
        for dim in dict.fromkeys(dim for code in dims for dim in DIMENSIONS[code])
        for window in dict.fromkeys(WINDOWS[code] for code in windows)
    ]
    assert {metric for metric, _, _ in asked} <= METRICS.keys()
    refused = [(question, why) for question in asked if (why := _refusal(columns, *question))]
    assert asked
    assert not refused


def _refusal(columns: Columns, metric: str, dim: str, window: str) -> str:
    wanted = {"metrics": metric, "window": window, **({"by": dim} if dim else {})}
    try:
        run(columns, parse_request(wanted), now_ms=columns.vouched_ms)
    except QueryError as error:
        return str(error)
    return ""


def test_ranks_of_contents_are_answered_beside_their_owner(columns: Columns) -> None:
    for metric in ("content_rank_live", "content_rank_video"):
        assert not _refusal(columns, metric, "content,owner", "campaign")
