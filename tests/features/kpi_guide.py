"""S5, the guide of metrics and KPIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from streams.views import VIEWS, run_view
from tests.features.feature import agree, feature, near, only, row_of
from tests.features.history import DAY_MS, HOUR, LARGE, NOON, SHOP, SMALL
from tests.features.product_guide import query, view
from tests.features.world import BEFORE, DAY, END_MS

if TYPE_CHECKING:
    from tests.features.feature import Ask
    from tests.features.world import Rows, World

DAY_BEFORE: Final = f"day:{BEFORE}"
AFTER_THE_LIVE: Final = NOON + 3 * HOUR
VIEWERS: Final = 400
"""Of the LIVE of each of the two other shops; one of them buys."""


def card(shop: str = SHOP, **words: Any) -> Ask:
    """Ask the scorecard of a shop."""
    window = f"day:{DAY}" if shop == SHOP else DAY_BEFORE
    return lambda world: world.view("scorecard", "bands", shop=shop, **{"window": window, **words})


def kpis(goal: str) -> Ask:
    return view("kpis", goal, goal=goal)


def fires(rule: str, shop: str, **words: int) -> Ask:
    return lambda world: world.readings(rule, shop=shop, **words)


def banded(
    rows: Rows, metric: str, low: float | None, high: float | None, **place: object
) -> dict[str, object]:
    """Return the row of a metric's band with these ends; it must be told where the figure lies."""
    row = row_of(rows, metric=metric, low=low, high=high)
    assert row["value"] is not None
    assert {name: row[name] for name in place} == place
    return row


# --- KPIs and sales ------------------------------------------------------------------------------------------------


@feature("S5-01", lambda world: world.view("kpis", "marked", shop=SMALL, goal="ads", window=DAY_BEFORE))
def the_seller_marks_what_is_a_kpi(world: World, rows: Rows) -> None:
    assert (only(rows)["metric"], only(rows)["value"], only(rows)["kpi"]) == ("items_sold", 1, True)


@feature("S5-02", kpis("drive_sales"))
def volume_and_revenue(world: World, rows: Rows) -> None:
    sold = world.oracle.lines.filter(day=DAY)["quantity"].sum()
    assert row_of(rows, metric="items_sold")["value"] == sold
    assert row_of(rows, metric="gmv")["value"] == near(world.gmv())


@feature("S5-03", query("sales_volume_mom_pct,items_sold", shop=SMALL, window="month:2026-11"))
def volume_month_over_month(world: World, rows: Rows) -> None:
    """Two items in November so far, five in October."""
    assert (only(rows)["items_sold"], only(rows)["sales_volume_mom_pct"]) == (2, near((2 - 5) / 5))


@feature("S5-04", lambda world: world.readings("A-40"))
def the_quarters_target(world: World, rows: Rows) -> None:
    assert only(rows)["judgement"] == "fires"
    reached = (world.gmv() + 100 + 100) / 10_000
    assert f"{reached:.0%} of its target" in only(rows)["says"]


@feature("S5-05", query("conversion_rate", shop=SMALL, window=DAY_BEFORE))
def viewers_who_buy(world: World, rows: Rows) -> None:
    assert only(rows)["conversion_rate"] == near(1 / VIEWERS, within=0.02)
    assert abs(only(rows)["conversion_rate"] * VIEWERS - 1) < 0.02


@feature("S5-06", card(SMALL))
def conversion_of_a_small_shop(world: World, rows: Rows) -> None:
    banded(rows, "conversion_rate", 0.02, 0.04, place="below", band="small shop")


@feature("S5-07", card())
def conversion_of_a_mid_shop(world: World, rows: Rows) -> None:
    banded(rows, "conversion_rate", 0.04, 0.06, place="below", band="mid shop")


@feature("S5-08", card(SMALL))
def viewers_who_click(world: World, rows: Rows) -> None:
    assert row_of(rows, metric="content_ctr")["value"] == near(150 / 20_000)


@feature("S5-09", card(SMALL))
def the_band_of_ctr(world: World, rows: Rows) -> None:
    banded(rows, "content_ctr", 0.01, 0.03, place="below", off=True)


@feature("S5-10", card(SMALL))
def clicks_that_become_orders(world: World, rows: Rows) -> None:
    assert row_of(rows, metric="ctor")["value"] == near(1 / 150)


@feature("S5-11", card(SMALL))
def the_band_of_ctor(world: World, rows: Rows) -> None:
    banded(rows, "ctor", 0.03, 0.05, place="below", off=True)


# --- LIVEs ---------------------------------------------------------------------------------------------------------


@feature("S5-12", query("gmv_per_live", "content"))
def sales_during_one_stream(world: World, rows: Rows) -> None:
    sold: dict[str, int] = {}
    for line in world.lines:
        source = line.get("source") or {}
        if source.get("format") == "live" and line["order"] in world.of_day("order_paid"):
            sold[source["content_id"]] = sold.get(source["content_id"], 0) + line["money"]
    assert {row["content"]: row["gmv_per_live"] for row in rows if row["gmv_per_live"]} == {
        name: near(cents / 100) for name, cents in sold.items()
    }


@feature("S5-13", fires("A-25", SMALL, now_ms=AFTER_THE_LIVE))
def a_stream_that_earned_less_than_the_one_before(world: World, rows: Rows) -> None:
    assert (only(rows)["judgement"], only(rows)["value"]) == ("fires", near(100 * (50 - 80) / 80))


@feature("S5-14", query("watch_gpm", shop=SMALL, window=DAY_BEFORE))
def gmv_by_a_thousand_views(world: World, rows: Rows) -> None:
    assert only(rows)["watch_gpm"] == near(50 / 20_000 * 1_000)


@feature("S5-15", lambda world: world.view("scorecard", "streams", shop=SMALL, window=DAY_BEFORE))
def higher_watch_gpm_is_better(world: World, rows: Rows) -> None:
    row = row_of(rows, content="corner-live")
    assert (row["watch_gpm"], row["watch_gpm_band"]) == (near(2.5), "below")


# --- ads -----------------------------------------------------------------------------------------------------------


@feature("S5-16", query("cpc", window=DAY_BEFORE))
def what_a_click_costs(world: World, rows: Rows) -> None:
    assert only(rows)["cpc"] == near(30 / 20)


@feature("S5-17", card())
def the_band_of_cpc(world: World, rows: Rows) -> None:
    row = banded(rows, "cpc", 0.5, 1.5)
    assert row["value"] == near(world.ads("spend_minor") / 100 / world.ads("clicks"))


@feature("S5-18", query("cpp,cpp_first_time", window=DAY_BEFORE))
def what_a_purchase_costs(world: World, rows: Rows) -> None:
    assert (only(rows)["cpp"], only(rows)["cpp_first_time"]) == (near(30 / 2), near(30 / 1))


@feature("S5-19", card(window=DAY_BEFORE))
def under_five_is_excellent_for_low_priced_items(world: World, rows: Rows) -> None:
    banded(rows, "cpp", None, 5, place="above", band="low-priced items")


@feature("S5-20", card(window=DAY_BEFORE))
def under_twenty_is_solid_for_mid_priced_items(world: World, rows: Rows) -> None:
    banded(rows, "cpp", None, 20, place="in", band="mid-priced items")


@feature("S5-21", query("roas"))
def revenue_by_spend(world: World, rows: Rows) -> None:
    assert only(rows)["roas"] == near(world.ads("gross_revenue_minor") / world.ads("spend_minor"))


@feature("S5-22", fires("A-26", SMALL))
def roas_of_a_small_shop(world: World, rows: Rows) -> None:
    row = only(rows)
    assert (row["judgement"], row["value"], row["threshold"]) == ("fires", near(450 / 700), 2)


@feature("S5-23", fires("A-27", LARGE))
def roas_of_a_large_shop(world: World, rows: Rows) -> None:
    row = only(rows)
    assert (row["judgement"], row["value"], row["threshold"]) == ("fires", near(450 / 700), 3)


# --- violations, followers -----------------------------------------------------------------------------------------


@feature("S5-24", query("violations_count"))
def violations_are_counted_once(world: World, rows: Rows) -> None:
    raised = {one["violation_id"] for one in world.of_day("violation")}
    assert only(rows)["violations_count"] == len(raised) == 1


@feature("S5-25", card())
def the_target_of_violations_is_zero(world: World, rows: Rows) -> None:
    banded(rows, "violations_count", 0, 0, place="above", off=True, micro_goal=0)


@feature("S5-26", query("follower_growth_rate,followers"))
def the_pace_of_followers(world: World, rows: Rows) -> None:
    newest: dict[str, int] = {}
    for one in sorted(world.events["follower"], key=lambda each: each["occurred_at_ms"]):
        newest[one["account_id"]] = one["followers"]
    now = sum(newest.values())
    assert only(rows)["followers"] == now
    month = only(world.query("follower_growth_rate", window="range:2026-10-29..2026-11-27"))
    assert month["follower_growth_rate"] == near((now - 50_000) / 50_000)
    assert 0 < only(rows)["follower_growth_rate"] < month["follower_growth_rate"]


@feature("S5-27", fires("A-35", SMALL))
def followers_of_a_small_shop(world: World, rows: Rows) -> None:
    row = only(rows)
    assert (row["judgement"], row["value"], row["threshold"]) == ("fires", near(1), 5)


@feature("S5-28", fires("A-36", LARGE))
def followers_of_a_large_shop(world: World, rows: Rows) -> None:
    row = only(rows)
    assert (row["judgement"], row["value"], row["threshold"]) == ("fires", near(1), 8)


# --- goals ---------------------------------------------------------------------------------------------------------


def _set(world: World, rows: Rows, *metrics: str, **values: float) -> None:
    """Check the KPI set of a goal, and some of its figures."""
    assert {row["metric"] for row in rows} == set(metrics)
    assert {name: row_of(rows, metric=name)["value"] for name in values} == {
        name: near(value) for name, value in values.items()
    }


@feature("S5-29", kpis("drive_sales"))
def the_goal_of_more_sales(world: World, rows: Rows) -> None:
    names = ("gmv", "items_sold", "conversion_rate", "ctor", "checkouts_initiated")
    _set(world, rows, *names, gmv=world.gmv(), ctor=world.figures()[()]["ctor"] or 0)


@feature("S5-30", query("checkouts_initiated"))
def checkouts_count_once(world: World, rows: Rows) -> None:
    assert only(rows)["checkouts_initiated"] == len(
        {one["checkout_id"] for one in world.of_day("checkout_started")}
    )


@feature("S5-31", fires("A-34", SMALL))
def many_look_and_few_check_out(world: World, rows: Rows) -> None:
    row = row_of(rows, judgement="fires")
    assert (row["entity"], row["value"]) == ("mug", near(100 * 1 / 400))
    assert "checkout on a phone" in row["advice"]


@feature("S5-32", kpis("grow_reach"))
def the_goal_of_reach(world: World, rows: Rows) -> None:
    views = len(world.of_day("product_page_view"))
    _set(
        world, rows, "follower_growth_rate", "unique_viewers", "product_page_views", product_page_views=views
    )


def _viewers(world: World) -> int:
    return len({who for one in world.buckets for who in one.get("viewer_keys", ())})


@feature("S5-33", query("unique_viewers"))
def distinct_viewers(world: World, rows: Rows) -> None:
    assert abs(only(rows)["unique_viewers"] / _viewers(world) - 1) < 0.03


@feature("S5-34", lambda world: world.view("territories", "territories", window=DAY_BEFORE))
def where_viewers_live(world: World, rows: Rows) -> None:
    assert [(row["territory"], row["territory_share"]) for row in rows] == [
        ("US-CA", near(1_000 / 1_500)),
        ("US-NY", near(500 / 1_500)),
    ]


@feature("S5-35", query("product_page_views", "product"))
def page_views_of_products(world: World, rows: Rows) -> None:
    agree(rows, world.figures("product"), ("product",), ("product_page_views",))


@feature("S5-36", view("territories", "hours"))
def when_they_order_guides_when_to_post(world: World, rows: Rows) -> None:
    """A principle (X-84): the view of territories shows hours and products beside them."""
    found = world.oracle.figures(("hour",))
    agree(rows, {key: row for key, row in found.items() if key[0].startswith(DAY)}, ("hour",), ("orders",))
    assert world.view("territories", "products")


ENGAGED: Final = ("likes", "shares", "comments", "saves")


@feature("S5-37", kpis("engagement"))
def the_goal_of_engagement(world: World, rows: Rows) -> None:
    _set_engagement(world, rows)


def _set_engagement(world: World, rows: Rows) -> None:
    assert {row["metric"] for row in rows} >= {*ENGAGED, "engagement_rate", "watch_duration_avg"}
    assert {name: row_of(rows, metric=name)["value"] for name in ENGAGED} == {
        name: world.engaged(name) for name in ENGAGED
    }


@feature("S5-38", query("likes,shares,comments"))
def likes_shares_comments(world: World, rows: Rows) -> None:
    for name in ("likes", "shares", "comments"):
        assert only(rows)[name] == world.engaged(name) > 0


@feature("S5-39", query("engagement_rate"))
def engagement_by_views(world: World, rows: Rows) -> None:
    acted = sum(world.engaged(name) for name in ENGAGED)
    assert only(rows)["engagement_rate"] == near(acted / world.engaged("views"))
    assert abs(only(rows)["engagement_rate"] / (acted / world.engaged("views")) - 1) < 1e-9


@feature("S5-40", query("watch_duration_avg"))
def how_long_they_watch(world: World, rows: Rows) -> None:
    seconds = sum(one["watch_seconds"] for one in world.buckets)
    assert abs(only(rows)["watch_duration_avg"] - seconds / world.engaged("views")) < 0.001


@feature("S5-41", query("saves"))
def saves(world: World, rows: Rows) -> None:
    assert only(rows)["saves"] == world.engaged("saves") > 0


@feature("S5-42", kpis("ads"))
def the_goal_of_ads(world: World, rows: Rows) -> None:
    assert {row["metric"] for row in rows} == {"roas", "cpc", "cpp", "ad_ctr"}
    spent = world.ads("spend_minor") / 100
    assert row_of(rows, metric="cpc")["value"] == near(spent / world.ads("clicks"))
    assert [row["value"] for row in rows if row["metric"] == "cpp"] == [
        near(spent / world.ads("purchases"))
    ] * 2


@feature("S5-43", fires("A-32", SMALL))
def dear_clicks_and_few_of_them(world: World, rows: Rows) -> None:
    row = row_of(rows, judgement="fires")
    assert (row["entity"], row["value"], row["threshold"]) == ("ad-dear", near(400 / 200), 1.5)
    assert "hook" in row["advice"] or "thumbnail" in row["advice"]


@feature("S5-44", fires("A-33", SMALL))
def many_clicks_and_little_return(world: World, rows: Rows) -> None:
    row = row_of(rows, judgement="fires")
    assert (row["entity"], row["value"], row["threshold"]) == ("ad-clicked", near(0.5), 2)
    assert "page" in row["advice"]


def _ages(world: World) -> dict[str, float]:
    crowds: dict[str, set[str]] = {}
    for one in world.buckets:
        if one.get("age_band"):
            crowds.setdefault(one["age_band"], set()).update(one.get("viewer_keys", ()))
    return {name: len(crowd) / _viewers(world) for name, crowd in crowds.items()}


def _by_age(world: World, rows: Rows) -> None:
    told = {row["age_band"]: row["audience_demographics_share"] for row in rows}
    assert told
    for name, share in _ages(world).items():
        assert abs(told[name] - share) < 0.02


@feature("S5-45", view("kpis", "age_bands", goal="audience"))
def the_goal_of_knowing_the_audience(world: World, rows: Rows) -> None:
    _by_age(world, rows)
    assert {row["metric"] for row in world.view("kpis", "audience", goal="audience")} >= {"unique_viewers"}


@feature("S5-46", view("demographics", "age_bands"))
def viewers_by_age(world: World, rows: Rows) -> None:
    _by_age(world, rows)


@feature("S5-47", kpis("compliance"))
def the_goal_of_compliance(world: World, rows: Rows) -> None:
    assert {row["metric"] for row in rows} == {"violations_count", "flagged_content_rate"}
    assert row_of(rows, metric="violations_count")["value"] == 1


@feature("S5-48", query("flagged_content_rate", shop=SMALL, window=DAY_BEFORE))
def content_that_was_flagged(world: World, rows: Rows) -> None:
    assert only(rows)["flagged_content_rate"] == near(1)


# --- bands by size and industry ------------------------------------------------------------------------------------


@feature(
    "S5-50", lambda world: card(SMALL)(world) + world.readings("A-20", shop=SMALL, now_ms=AFTER_THE_LIVE)
)
def bands_of_a_small_shop(world: World, rows: Rows) -> None:
    _bands(rows, (0.03, 0.05), (0.02, 0.04), (10, 25), least=200)


@feature("S5-51", lambda world: card()(world) + world.readings("A-20"))
def bands_of_a_mid_shop(world: World, rows: Rows) -> None:
    _bands(rows, (0.05, 0.07), (0.04, 0.06), (25, 50), least=1_000)


@feature(
    "S5-52", lambda world: card(LARGE)(world) + world.readings("A-20", shop=LARGE, now_ms=AFTER_THE_LIVE)
)
def bands_of_an_enterprise(world: World, rows: Rows) -> None:
    _bands(rows, (0.07, None), (0.05, 0.08), (50, None), least=10_000)


def _bands(
    rows: Rows,
    engagement: tuple[float, float | None],
    conversion: tuple[float, float],
    gpm: tuple[float, float | None],
    *,
    least: float,
) -> None:
    told = [row for row in rows if "metric" in row]
    banded(told, "engagement_rate", *engagement)
    banded(told, "conversion_rate", *conversion)
    banded(told, "watch_gpm", *gpm)
    of_streams = [row for row in rows if "rule" in row and row["judgement"] == "fires"]
    assert of_streams
    assert {row["threshold"] for row in of_streams} == {least}


@feature("S5-53", card())
def fashion_and_beauty(world: World, rows: Rows) -> None:
    banded(rows, "engagement_rate", 0.04, 0.06, band="fashion beauty", place="above")


@feature("S5-54", card(SMALL))
def ecommerce_and_tech(world: World, rows: Rows) -> None:
    banded(rows, "conversion_rate", 0.03, 0.06, band="ecommerce tech", place="below")


@feature("S5-55", card(LARGE))
def health_and_wellness(world: World, rows: Rows) -> None:
    banded(rows, "engagement_rate", 0.02, 0.04, band="health wellness", place="below")


# --- practice ------------------------------------------------------------------------------------------------------


@feature("S5-49", fires("A-07", SMALL, now_ms=DAY_MS + 4 * 24 * HOUR + 10 * HOUR))
def the_monthly_audit_is_due(world: World, rows: Rows) -> None:
    """On 1 December a reminder, once a month."""
    row = only(rows)
    assert (row["judgement"], row["entity"]) == ("fires", f"{SMALL}/2026-12")
    assert "listings and captions" in row["says"]


@feature("S5-56", lambda world: _parts(world, "kpis", shop=SMALL, window=DAY_BEFORE))
def only_the_metrics_of_the_goal(world: World, rows: Rows) -> None:
    """The small shop's own goal is ads."""
    assert {row["part"] for row in rows} == {"ads", "marked"}
    assert row_of(rows, metric="roas")["value"] == near(450 / 700)


def _parts(world: World, name: str, **words: str) -> Rows:
    answer = run_view(world.columns, VIEWS[name], words, now_ms=END_MS)
    return [
        {"part": part.part.name, **row} for part in answer.parts if part.answer for row in part.answer.rows
    ]


@feature("S5-57", view("trends", "trend", window=f"range:{BEFORE}..{DAY}", trend="gmv,orders"))
def figures_over_a_range_of_dates(world: World, rows: Rows) -> None:
    assert [(row["day"], row["gmv"]) for row in rows] == [(BEFORE, near(100)), (DAY, near(world.gmv()))]


@feature("S5-58", fires("A-14", SMALL))
def a_low_ctr_asks_for_another_call_to_action(world: World, rows: Rows) -> None:
    row = row_of(rows, entity="seller_live")
    assert (row["judgement"], row["threshold"]) == ("fires", 1)
    assert row["value"] < 1
    assert row["advice"] == "vary the call to action"


@feature("S5-59", fires("A-38", SMALL, now_ms=AFTER_THE_LIVE))
def flat_engagement_of_lives(world: World, rows: Rows) -> None:
    """Three LIVEs in a row with 100 likes of 20,000 views each."""
    row = only(rows)
    assert (row["judgement"], row["value"]) == ("fires", near(0))
    assert "host" in row["advice"]


@feature("S5-60", lambda world: world.view("variants", "variants", window=DAY_BEFORE))
def the_better_variant_comes_first(world: World, rows: Rows) -> None:
    assert [(row["variant"], row["content_ctr"]) for row in rows] == [
        ("hook-a", near(20 / 1_000)),
        ("hook-b", near(8 / 500)),
    ]


@feature("S5-61", lambda world: world.view("monthly", "kpis", shop=SMALL, window="month:2026-11"))
def a_month_with_small_goals(world: World, rows: Rows) -> None:
    banded(rows, "roas", 2, None, off=True, micro_goal=2)
    assert row_of(rows, metric="items_sold")["value"] == 2


@feature("S5-62", lambda world: _parts(world, "kpis", shop=SHOP, window=f"day:{DAY}", goal="all"))
def vanity_apart_from_impact(world: World, rows: Rows) -> None:
    kinds = {row["metric"]: row["kind"] for row in rows if "metric" in row}
    assert (kinds["likes"], kinds["unique_viewers"]) == ("vanity", "vanity")
    assert (kinds["gmv"], kinds["conversion_rate"], kinds["ctor"]) == ("impact", "impact", "impact")


@feature("S5-63", query("est_customers,unique_customers", window=f"range:{BEFORE}..{DAY}"))
def those_who_come_back_show(world: World, rows: Rows) -> None:
    """A principle (X-84): customers of several days against those of each day; retention itself needs history (S2)."""
    days = world.oracle.lines.filter(world.oracle.lines["day"] >= BEFORE)
    assert only(rows)["unique_customers"] == days["who"].n_unique()
