"""S4, the campaign dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.features.feature import agree, feature, near, only, row_of
from tests.features.history import HOUR
from tests.features.product_guide import query, view
from tests.features.world import BEFORE, DAY, END_MS, ON_AIR_MS

if TYPE_CHECKING:
    from tests.features.feature import Ask
    from tests.features.world import Rows, World

LIVES: Final = ("live-noon", "live-mira", "live-evening", "live-theo", "live-june")


def at(ask: str, part: str, **words: str) -> Ask:
    """Ask a view at nine in the evening."""
    return lambda world: world.view(ask, part, now_ms=ON_AIR_MS, **words)


def sold_until(world: World, until_ms: int) -> float:
    lines = [line for line in world.lines if line["order"] in world.of_day("order_paid")]
    return float(sum(line["money"] for line in lines if line["order"]["paid_at_ms"] <= until_ms) / 100)


def by_content(world: World, *contents: str) -> dict[str, float]:
    found = {}
    for content in contents:
        lines = [line for line in world.lines if (line.get("source") or {}).get("content_id") == content]
        found[content] = (
            sum(line["money"] for line in lines if line["order"] in world.of_day("order_paid")) / 100
        )
    return found


# --- headline, windows, goal ---------------------------------------------------------------------------------------


@feature("S4-01", view("overview", "headline"))
def the_campaign_as_it_runs(world: World, rows: Rows) -> None:
    names = ("gmv", "orders", "sku_orders", "items_sold", "product_impressions", "product_clicks", "ctor")
    agree(rows, world.figures(), (), names)


@feature("S4-02", view("goal", "campaigns"))
def every_joined_campaign_has_its_dashboard(world: World, rows: Rows) -> None:
    assert {row["campaign"]: row["campaign_target"] for row in rows} == {"black-friday": 4000, "autumn": 800}


@feature("S4-03", lambda world: world.readings("A-04", now_ms=ON_AIR_MS))
def a_violation_of_a_live_is_told(world: World, rows: Rows) -> None:
    row = row_of(rows, judgement="fires")
    assert (row["entity"], row["route"]) == ("live-june", "page")
    assert "misleading price claim" in row["says"]


@feature("S4-04", lambda world: world.readings("A-01", now_ms=ON_AIR_MS))
def what_runs_out_is_watched(world: World, rows: Rows) -> None:
    row = row_of(rows, entity="Linen wrap dress / M")
    assert 0 < row["value"] < 24, "hours until nothing is left"
    assert row["threshold"] == 3


@feature(
    "S4-06",
    lambda world: [
        {"asked": window, **row}
        for window in ("today", f"day:{BEFORE}", "campaign")
        for row in world.view("overview", "headline", window=window, metrics="gmv", now_ms=ON_AIR_MS)
    ],
)
def today_daily_and_campaign(world: World, rows: Rows) -> None:
    assert row_of(rows, asked="today")["gmv"] == near(sold_until(world, ON_AIR_MS))
    assert row_of(rows, asked=f"day:{BEFORE}")["gmv"] == near(100)
    assert row_of(rows, asked="campaign")["gmv"] == near(sold_until(world, ON_AIR_MS))


@feature("S4-07", at("overview", "headline", window="today"))
def today_is_from_midnight_of_the_shop_until_now(world: World, rows: Rows) -> None:
    assert only(rows)["gmv"] == near(sold_until(world, ON_AIR_MS))
    assert sold_until(world, ON_AIR_MS) < sold_until(world, END_MS)


@feature("S4-08", view("daily", "by_hour"))
def one_whole_day_by_its_hours(world: World, rows: Rows) -> None:
    found = world.oracle.figures(("hour",))
    expected = {key: row for key, row in found.items() if key[0].startswith(DAY)}
    agree(rows, expected, ("hour",), ("gmv",))


@feature("S4-09", view("overview", "headline", window="campaign:autumn"))
def a_campaign_from_its_first_day_on(world: World, rows: Rows) -> None:
    assert (only(rows)["gmv"], only(rows)["orders"]) == (near(100 + 65 + 20 + 15), 4)


@feature("S4-10", view("overview", "headline", window="campaign"))
def achievements_of_the_campaign(world: World, rows: Rows) -> None:
    assert (only(rows)["gmv"], only(rows)["orders"]) == (near(world.gmv()), world.figures()[()]["orders"])


@feature("S4-11", view("overview", "goal"))
def the_goal_that_the_seller_set(world: World, rows: Rows) -> None:
    (campaign,) = world.of_day("campaign")
    assert only(rows)["campaign_target"] == campaign["target_value"]


@feature("S4-12", at("goal", "campaigns"))
def progress_towards_the_goal(world: World, rows: Rows) -> None:
    row = row_of(rows, campaign="black-friday")
    assert row["goal_progress_pct"] == near(sold_until(world, ON_AIR_MS) / 4_000)
    low, end, high = (row[f"gmv_projected_campaign_end{which}"] for which in ("_low", "", "_high"))
    assert sold_until(world, ON_AIR_MS) <= low <= end <= high


@feature("S4-13", view("daily", "headline", compare=f"baseline:{BEFORE}", metrics="gmv"))
def a_day_beside_an_earlier_one(world: World, rows: Rows) -> None:
    assert (only(rows)["gmv"], only(rows)["gmv_compared"]) == (near(world.gmv()), near(100))


@feature("S4-14", view("daily", "headline", compare="baseline:2026-06-01", metrics="gmv"))
def the_baseline_may_lie_six_months_back(world: World, rows: Rows) -> None:
    assert only(rows)["gmv_compared"] == near(5_000)
    assert world.refusal(
        lambda: world.view("daily", "headline", compare="baseline:2026-05-01", metrics="gmv")
    )


@feature(
    "S4-15",
    lambda world: world.refusal(
        lambda: world.view("daily", "headline", compare=f"baseline:{BEFORE}", window="last7", metrics="gmv")
    ),
)
def the_vendors_page_compares_one_day(world: World, rows: Rows) -> None:
    assert only(rows)["reason"] == "baseline_one_day"
    assert world.view("overview", "headline", compare="reference:2026-11-20", metrics="gmv"), "ours does more"


@feature("S4-16", query("gmv_vs_baseline_pct", compare="baseline:2026-06-01"))
def the_difference_in_percent(world: World, rows: Rows) -> None:
    assert only(rows)["gmv_vs_baseline_pct"] == near((world.gmv() - 5_000) / 5_000)


@feature("S4-17", view("core_metrics", "formats"))
def impressions_over_live_video_and_card(world: World, rows: Rows) -> None:
    agree(rows, world.figures("slice"), ("slice",), ("product_impressions",))


@feature("S4-18", view("overview", "headline"))
def what_the_platform_adds(world: World, rows: Rows) -> None:
    lines = world.oracle.lines.filter(day=DAY)
    assert only(rows)["est_tiktok_contribution"] == near(float(lines["cofunding"].sum()) / 100)


@feature("S4-19", query("est_tiktok_contribution,gmv,gmv_with_cofunding"))
def the_estimate_stands_apart_from_gmv(world: World, rows: Rows) -> None:
    row = only(rows)
    assert row["gmv"] == near(world.gmv())
    assert row["gmv_with_cofunding"] - row["gmv"] == near(row["est_tiktok_contribution"])
    assert row["est_tiktok_contribution"] > 0


# --- benchmark -----------------------------------------------------------------------------------------------------


def _benchmark(world: World, metric: str, group: str = "own_tier") -> float:
    (found,) = {
        one["value"]
        for one in world.events["benchmark"]
        if (one["metric"], one["group"], one["benchmark_day"]) == (metric, group, BEFORE)
    }
    return float(found)


@feature(
    "S4-20",
    lambda world: [
        {"asked": form, **row}
        for form in ("benchmark", "benchmark:higher_tier")
        for row in world.view("overview", "headline", compare=form, metrics="ctor", window=f"day:{BEFORE}")
    ],
)
def top_sellers_of_the_own_tier_and_a_higher_one(world: World, rows: Rows) -> None:
    assert row_of(rows, asked="benchmark")["ctor_compared"] == near(_benchmark(world, "ctor"))
    higher = row_of(rows, asked="benchmark:higher_tier")["ctor_compared"]
    assert higher == near(_benchmark(world, "ctor", "higher_tier"))


@feature("S4-21", query("metric_vs_benchmark_pct", "metric", window=f"day:{BEFORE}"))
def the_difference_from_the_benchmark(world: World, rows: Rows) -> None:
    clicks, orders = len(world.of_day("product_click", BEFORE)), 3
    own = orders / clicks
    expected = (own - _benchmark(world, "ctor")) / _benchmark(world, "ctor")
    assert row_of(rows, metric="ctor")["metric_vs_benchmark_pct"] == near(expected)


@feature(
    "S4-22",
    lambda world: world.refusal(
        lambda: world.view("overview", "headline", compare="benchmark", metrics="ctor")
    ),
)
def there_is_no_benchmark_of_today(world: World, rows: Rows) -> None:
    assert "finished days" in only(rows)["says"]


@feature("S4-23", query("benchmark_age_days", window=f"day:{BEFORE}"))
def the_benchmark_is_of_the_day_before(world: World, rows: Rows) -> None:
    newest = max(one["benchmark_day"] for one in world.events["benchmark"])
    assert (newest, only(rows)["benchmark_age_days"]) == (BEFORE, 1)


@feature(
    "S4-24",
    lambda world: (
        world.query("benchmark_age_days", window="yesterday", now_ms=END_MS + 24 * HOUR)
        + world.readings("A-47", now_ms=END_MS + 48 * HOUR)
    ),
)
def a_benchmark_of_two_days_before_is_still_shown(world: World, rows: Rows) -> None:
    shown, late = rows
    assert (shown["benchmark_age_days"], late["judgement"], late["value"]) == (2, "fires", 3)


@feature(
    "S4-25", view("overview", "headline", compare="benchmark", metrics="gmv,orders", window=f"day:{BEFORE}")
)
def a_benchmark_is_optional(world: World, rows: Rows) -> None:
    """There is one of GMV and none of orders: the figure stays, only what it is compared with is null."""
    row = only(rows)
    assert (row["gmv"], row["orders"], row["orders_compared"]) == (near(100), 3, None)
    assert row["gmv_compared"] is not None


@feature("S4-26", lambda world: world.readings("A-46"))
def what_lies_below_the_benchmark_comes_with_advice(world: World, rows: Rows) -> None:
    row = row_of(rows, entity="ctor")
    assert row["value"] == near(100 * ((3 / 28) / _benchmark(world, "ctor") - 1))
    assert row["advice"]


# --- marketing -----------------------------------------------------------------------------------------------------


@feature("S4-27", view("marketing", "ads"))
def ad_investment_beside_content_supply(world: World, rows: Rows) -> None:
    row = only(rows)
    assert row["ad_spend"] == near(world.ads("spend_minor") / 100)
    assert (row["ad_clicks"], row["ad_impressions"]) == (world.ads("clicks"), world.ads("impressions"))
    assert world.view("marketing", "supply")


def _supply(world: World, state: str, seller: bool, day: str = DAY) -> int:
    return len(
        {
            one["content_id"]
            for one in world.of_day("content", day)
            if one["state"] == state and (one["account_kind"] != "affiliate") == seller
            if day == BEFORE or one["started_at_ms"] >= END_MS - 24 * HOUR
        }
    )


@feature(
    "S4-28",
    lambda world: world.query("creator_new_videos", "creator", window="all"),
)
def new_videos_of_creators(world: World, rows: Rows) -> None:
    expected: dict[str, int] = {}
    for one in world.events["content"]:
        if one["state"] == "published" and one["account_kind"] == "affiliate":
            expected[one["creator_id"]] = expected.get(one["creator_id"], 0) + 1
    assert {
        row["creator"]: row["creator_new_videos"] for row in rows if row["creator_new_videos"]
    } == expected


@feature("S4-29", view("marketing", "supply"))
def new_lives_of_creators(world: World, rows: Rows) -> None:
    assert only(rows)["creator_new_lives"] == _supply(world, "live_started", seller=False) == 3


@feature("S4-30", view("marketing", "supply"))
def new_videos_of_the_seller(world: World, rows: Rows) -> None:
    assert only(rows)["seller_new_videos"] == _supply(world, "published", seller=True) == 3


@feature("S4-31", view("marketing", "supply"))
def new_lives_of_the_seller(world: World, rows: Rows) -> None:
    assert only(rows)["seller_new_lives"] == _supply(world, "live_started", seller=True) == 2


@feature(
    "S4-32", lambda world: world.view("marketing", "supply", now_ms=ON_AIR_MS - 6 * HOUR, window="today")
)
def supply_is_there_as_it_happens(world: World, rows: Rows) -> None:
    started = [one for one in world.of_day("content") if one["state"] == "live_started"]
    before = [one for one in started if one["occurred_at_ms"] <= ON_AIR_MS - 6 * HOUR]
    assert only(rows)["seller_new_lives"] + only(rows)["creator_new_lives"] == len(before) == 1


@feature("S4-33", view("marketing", "ads"))
def spend_of_the_primary_account(world: World, rows: Rows) -> None:
    assert only(rows)["ad_spend"] == near(world.ads("spend_minor") / 100)


@feature("S4-34", view("marketing", "ads"))
def gross_revenue_of_the_primary_account(world: World, rows: Rows) -> None:
    assert only(rows)["ad_gross_revenue"] == near(world.ads("gross_revenue_minor") / 100)


@feature("S4-35", view("ads", "accounts", window=f"day:{BEFORE}"))
def every_account_is_kept_and_one_is_primary(world: World, rows: Rows) -> None:
    assert {row["ad_account"]: row["ad_spend"] for row in rows} == {
        "ads-own": near(30),
        "ads-other": near(10),
    }
    primary = only(world.view("ads", "account", window=f"day:{BEFORE}"))
    assert primary["ad_spend"] == near(30)


@feature("S4-36", lambda world: world.readings("A-46"))
def actions_are_suggested_where_there_is_a_benchmark(world: World, rows: Rows) -> None:
    benchmarked = {one["metric"] for one in world.events["benchmark"] if one["group"] == "own_tier"}
    assert {row["entity"] for row in rows} == benchmarked
    assert any(row["value"] is not None and row["advice"] for row in rows)


@feature("S4-38", view("marketing", "ads_trend", grain="hour"))
def spend_and_revenue_come_by_the_hour(world: World, rows: Rows) -> None:
    spent: dict[int, int] = {}
    for one in world.ad_hours:
        if one["ad_account_id"] != "ads-own":
            continue
        hour = (one["bucket_start_ms"] - (END_MS + 1 - 24 * HOUR)) // HOUR
        spent[hour] = spent.get(hour, 0) + one["spend_minor"]
    assert {int(row["hour"][11:13]): row["ad_spend"] for row in rows if row["ad_spend"]} == {
        hour: near(cents / 100) for hour, cents in spent.items() if cents
    }
    assert world.refusal(lambda: world.view("marketing", "ads_trend", grain="hour", trend="roas"))


# --- content -------------------------------------------------------------------------------------------------------


@feature(
    "S4-39",
    lambda world: [
        {"part": name, "gmv": row["gmv"], "of": row.get("content") or row.get("sub_campaign")}
        for name in ("live_ranking", "video_ranking", "sub_campaigns")
        for row in world.view(name, "ranking")
    ],
)
def lives_videos_and_sub_campaigns_are_ranked(world: World, rows: Rows) -> None:
    for name in ("live_ranking", "video_ranking", "sub_campaigns"):
        sold = [row["gmv"] for row in rows if row["part"] == name]
        assert sold == sorted(sold, reverse=True)
        assert sold[0] > 0


@feature("S4-40", at("live_ranking", "ranking", window="today", only="on_air"))
def top_lives_as_they_run(world: World, rows: Rows) -> None:
    assert {row["content"] for row in rows} == {"live-evening", "live-theo", "live-june"}
    assert {row["owner"] for row in rows} == {"own", "affiliate"}
    sold = [row["gmv"] for row in rows]
    assert sold == sorted(sold, reverse=True)
    newest = {
        one["content_id"]: one["concurrent_viewers"]
        for one in sorted(world.buckets, key=lambda each: each["bucket_start_ms"])
        if one.get("concurrent_viewers") is not None and one["occurred_at_ms"] <= ON_AIR_MS
    }
    assert all(row["viewers_now"] > 0 for row in rows)
    assert newest


@feature("S4-41", view("video_ranking", "ranking"))
def top_videos_own_and_affiliate(world: World, rows: Rows) -> None:
    videos = {one["content_id"] for one in world.events["content"] if one["kind"] == "video"}
    sold = {name: gmv for name, gmv in by_content(world, *videos).items() if gmv}
    assert {row["content"]: row["gmv"] for row in rows if row["gmv"]} == {
        name: near(gmv) for name, gmv in sold.items()
    }
    assert [row["gmv"] for row in rows] == sorted((row["gmv"] for row in rows), reverse=True)


@feature("S4-42", at("live_ranking", "ranking", window="today", only="violations"))
def lives_with_open_violations_are_marked(world: World, rows: Rows) -> None:
    assert [(row["content"], row["violations_open"]) for row in rows] == [("live-june", 1)]


@feature("S4-44", view("sub_campaigns", "ranking"))
def orders_and_revenue_of_sub_campaigns(world: World, rows: Rows) -> None:
    expected: dict[str, set[str]] = {}
    for line in world.lines:
        name = (line.get("source") or {}).get("sub_campaign_id")
        if name and line["order"] in world.of_day("order_paid"):
            expected.setdefault(name, set()).add(line["order"]["order_id"])
    assert {row["sub_campaign"]: row["orders"] for row in rows} == {
        name: len(orders) for name, orders in expected.items()
    }


def _chosen(world: World, rows: Rows, kind: str) -> None:
    views: dict[str, int] = {}
    for one in world.buckets:
        if one["content_id"].startswith(kind):
            views[one["content_id"]] = views.get(one["content_id"], 0) + one["likes"]
    assert any(views.values())
    assert {row["content"]: row["likes"] for row in rows if row["likes"]} == {
        name: likes for name, likes in views.items() if likes
    }


@feature("S4-45", view("video_ranking", "ranking", metrics="likes,shares"))
def metrics_of_videos_are_chosen(world: World, rows: Rows) -> None:
    _chosen(world, rows, "video-")
    assert "gmv" not in rows[0]


@feature("S4-46", view("video_ranking", "ranking", search="hoodie"))
def a_video_is_searched(world: World, rows: Rows) -> None:
    assert only(rows)["content"] == "video-hoodie"
    assert only(rows)["gmv"] == near(by_content(world, "video-hoodie")["video-hoodie"])


def _of_owner(world: World, rows: Rows, kind: str, owner: str) -> None:
    known = {
        one["content_id"]
        for one in world.events["content"]
        if one["kind"] == kind and (one["account_kind"] == "affiliate") == (owner == "affiliate")
    }
    sold = by_content(world, *known)
    assert {row["owner"] for row in rows} == {owner}
    assert {row["content"]: row["gmv"] for row in rows if row["gmv"]} == {
        name: near(gmv) for name, gmv in sold.items() if gmv
    }


@feature("S4-47", view("video_ranking", "ranking", owner="affiliate"))
def videos_of_one_side(world: World, rows: Rows) -> None:
    _of_owner(world, rows, "video", "affiliate")


@feature("S4-48", view("video_ranking", "contribution"))
def what_each_side_contributes(world: World, rows: Rows) -> None:
    found = {"own": 0, "affiliate": 0}
    for line in world.lines:
        source = line.get("source") or {}
        if source.get("format") == "video" and line["order"] in world.of_day("order_paid"):
            found["own" if source["owner"] == "seller" else "affiliate"] += line["money"]
    assert {row["owner"]: row["gmv_contribution_rate"] for row in rows} == {
        owner: near(cents / 100 / world.gmv()) for owner, cents in found.items()
    }


@feature("S4-49", view("live_ranking", "ranking", metrics="likes,comments"))
def metrics_of_lives_are_chosen(world: World, rows: Rows) -> None:
    _chosen(world, rows, "live-")


@feature("S4-50", view("live_ranking", "ranking", search="mira"))
def a_live_is_searched(world: World, rows: Rows) -> None:
    assert only(rows)["content"] == "live-mira"
    assert only(rows)["gmv"] == near(by_content(world, "live-mira")["live-mira"])


@feature("S4-51", view("live_ranking", "ranking", owner="affiliate"))
def lives_of_one_side(world: World, rows: Rows) -> None:
    _of_owner(world, rows, "live", "affiliate")


@feature("S4-52", at("live_ranking", "ranking", window="today", only="violations", owner="affiliate"))
def only_lives_with_violations(world: World, rows: Rows) -> None:
    assert [row["content"] for row in rows] == ["live-june"]
    assert only(rows)["violations_open"] == 1


@feature("S4-53", view("live_ranking", "ranking", only="key_sessions"))
def only_lives_of_key_sessions(world: World, rows: Rows) -> None:
    assert {row["content"] for row in rows} == {"live-noon", "live-evening", "live-before"}
    assert {row["key_session_flag"] for row in rows} == {"key_session"}
