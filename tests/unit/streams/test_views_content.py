"""Views of content, marketing and the KPI guide on a small shop, against figures worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.errors import QueryError
from streams.events import Event, Shop, Source
from streams.view_answer import PartAnswer
from streams.views import VIEWS, run_view
from tests.unit.streams.boards import SHOP, at, board, line, order, traffic
from tests.unit.streams.events import account, ad, content, engagement, follower, selected, violation

NOON = at("2024-11-29 12:00")
NOW = NOON + 6 * HOUR_MS

OWN_LIVE = Source("seller", "live", "live_room", False, account_id="shop", content_id="friday")
OWN_VIDEO = Source("seller", "video", "feed", False, account_id="shop", content_id="lookbook")
MIAS = Source("affiliate", "live", "live_room", False, account_id="mia", creator_id="mia", content_id="mias")
LEOS = Source("affiliate", "video", "feed", False, account_id="leo", creator_id="leo", content_id="leos")


def events() -> list[Event]:
    """The shop's LIVE runs since noon and sold 50; mia's is over and sold 90; two videos sold 20 and 40."""
    return [
        content("friday", "live_started", NOON, "A", title="Friday drop", key_session=True),
        content("mias", "live_started", NOON - 3 * HOUR_MS, "A", creator="mia", title="Mia's try-on"),
        content("mias", "live_ended", NOON - HOUR_MS, "A", creator="mia", title="Mia's try-on"),
        content("lookbook", "published", NOON - DAY_MS, "A", title="Look book", variant="long"),
        content("leos", "published", NOON, "B", creator="leo", title="Leo unboxes", variant="short"),
        account("mia", "affiliate", NOON, creator_id="mia", creator_type="star"),
        account("leo", "affiliate", NOON, creator_id="leo", creator_type="rising"),
        engagement("friday", NOON + HOUR_MS, 1_000, ["a", "b"], likes=30, concurrent_viewers=70),
        engagement("friday", NOW - MINUTE_MS, 1_000, ["c"], likes=10, concurrent_viewers=120),
        engagement("mias", NOON - 2 * HOUR_MS, 1_000, ["a"], likes=80),
        engagement("lookbook", NOON, 400, ["d"], likes=4),
        engagement("leos", NOON, 100, ["e"], likes=9),
        *(traffic("product_click", NOON + index, f"u{index}", "A", OWN_VIDEO) for index in range(8)),
        *(traffic("product_click", NOON + index, f"u{index}", "B", LEOS) for index in range(4)),
        order("o1", NOON + HOUR_MS, [line("1", "A", 5000, source=OWN_LIVE)], "c1", user_key="a"),
        order("o2", NOON - 2 * HOUR_MS, [line("1", "A", 9000, source=MIAS)], "c2", user_key="b"),
        order("o3", NOON, [line("1", "A", 2000, source=OWN_VIDEO)], "c3"),
        order("o4", NOON, [line("1", "B", 4000, source=LEOS)], "c4"),
        violation("v1", "opened", NOON, "mias"),
        violation("v2", "opened", NOON, "lookbook", content_kind="video"),
        violation("v2", "resolved", NOON + HOUR_MS, "lookbook", content_kind="video"),
    ]


def known(*more: Event, **words: Any) -> Columns:
    return board([*events(), *more], vouch_ms=NOW, **words)


def part(columns: Columns, view: str, name: str, **words: str) -> PartAnswer:
    (found,) = run_view(columns, VIEWS[view], {"part": name, **words}, now_ms=NOW).parts
    return found


def rows(columns: Columns, view: str, name: str, **words: str) -> list[dict[str, Any]]:
    found = part(columns, view, name, **words)
    assert found.answer is not None, found.refused
    return found.answer.rows


def ids(columns: Columns, view: str, name: str, key: str = "content", **words: str) -> list[Any]:
    return [row[key] for row in rows(columns, view, name, **words)]


def profile(**fields: Any) -> Shop:
    return Shop(
        event_id="profile",
        event_type="shop",
        shop_id=SHOP,
        occurred_at_ms=NOON,
        timezone="UTC",
        version=1,
        **fields,
    )


# -- rankings


def test_lives_and_videos_are_ranked_by_gmv_own_and_affiliate_together() -> None:
    """S4-40, S4-41."""
    columns = known()
    assert ids(columns, "live_ranking", "ranking") == ["mias", "friday"]
    assert ids(columns, "video_ranking", "ranking") == ["leos", "lookbook"]
    top = rows(columns, "live_ranking", "ranking")[1]
    assert (top["gmv"], top["title"], top["viewers_now"], top["on_air"]) == (50.0, "Friday drop", 120, True)


def test_a_ranking_is_switched_between_own_and_affiliate() -> None:
    """S4-47, S4-51."""
    columns = known()
    assert ids(columns, "live_ranking", "ranking", owner="own") == ["friday"]
    assert ids(columns, "live_ranking", "ranking", owner="affiliate") == ["mias"]
    assert ids(columns, "video_ranking", "ranking", owner="affiliate") == ["leos"]


def test_a_live_or_video_is_found_by_its_title() -> None:
    """S4-46, S4-50."""
    columns = known()
    assert ids(columns, "live_ranking", "ranking", search="friDAY") == ["friday"]
    assert ids(columns, "video_ranking", "ranking", search="unbox") == ["leos"]
    assert ids(columns, "video_ranking", "ranking", search="friday") == []


def test_only_lives_with_an_open_violation_or_of_a_key_session_or_on_air_are_kept() -> None:
    """S4-42, S4-52, S4-53: a resolved violation is none."""
    columns = known()
    assert ids(columns, "live_ranking", "ranking", only="violations") == ["mias"]
    assert ids(columns, "live_ranking", "ranking", only="key_sessions") == ["friday"]
    assert ids(columns, "live_ranking", "ranking", only="on_air") == ["friday"]
    assert ids(columns, "video_ranking", "ranking", only="violations") == []


def test_a_live_that_begins_again_under_its_id_is_on_air() -> None:
    columns = known(content("mias", "live_started", NOON + HOUR_MS, "A", creator="mia", title="Mia again"))
    assert ids(columns, "live_ranking", "ranking", only="on_air") == ["mias", "friday"]


def test_metrics_of_a_ranking_are_chosen_and_may_decide_the_order() -> None:
    """S4-45, S4-49, X-75."""
    found = part(known(), "video_ranking", "ranking", metrics="likes,content_views", sort="content_views")
    assert found.answer is not None
    assert found.answer.metrics == ("likes", "content_views")
    assert [(row["content"], row["likes"]) for row in found.answer.rows] == [("lookbook", 4), ("leos", 9)]


def test_the_contribution_of_each_side_is_of_all_gmv_and_of_its_kind() -> None:
    """S4-48: 20 and 40 of 200 by videos; 50 and 90 by LIVEs."""
    columns = known()
    videos = {row["owner"]: row for row in rows(columns, "video_ranking", "contribution")}
    assert videos["own"]["gmv_contribution_rate"] == pytest.approx(20 / 200)
    assert videos["affiliate"]["gmv_contribution_rate_within_videos"] == pytest.approx(40 / 60)
    lives = {row["owner"]: row for row in rows(columns, "live_ranking", "contribution")}
    assert lives["affiliate"]["gmv_contribution_rate_lives"] == pytest.approx(90 / 200)


def test_without_records_of_content_kind_and_side_come_from_the_orders() -> None:
    columns = board([event for event in events() if event.event_type == "order_paid"], vouch_ms=NOW)
    assert ids(columns, "live_ranking", "ranking", owner="own") == ["friday"]
    assert ids(columns, "video_ranking", "ranking") == ["leos", "lookbook"]


# -- lists behind a content type


def test_a_content_type_of_product_details_turns_sources_into_the_list_behind_it() -> None:
    """S1-19 to S1-24; product card and Shop tab have none (X-74)."""
    columns, words = known(), {"product": "A", "window": "today"}

    def shown(content_type: str) -> set[str]:
        found = run_view(
            columns, VIEWS["product_details"], {**words, "content_type": content_type}, now_ms=NOW
        )
        return {each.part.name for each in found.parts} & {"sources", "lives", "videos", "creators"}

    assert shown("all") == {"sources"}
    assert shown("seller_live") == {"lives"}
    assert shown("seller_video") == {"videos"}
    assert shown("affiliate") == shown("affiliate_live") == shown("affiliate_video") == {"creators"}
    assert shown("seller_product_card") == shown("shop_tab") == set()
    assert ids(columns, "product_details", "lives", content_type="seller_live", **words) == ["friday"]
    assert ids(columns, "product_details", "videos", content_type="seller_video", **words) == ["lookbook"]


def test_a_list_behind_a_product_that_no_record_names_says_so_and_not_that_it_has_none() -> None:
    def said(product: str, window: str, *more: Event) -> str:
        words = {"product": product, "window": window, "content_type": "affiliate"}
        found = part(known(*more), "product_details", "creators", **words)
        assert found.document()["rows"] == []
        return str(found.document()["says"])

    assert said("AA", "today") == "No record names product=AA."
    nobody = "No creator has sold or shown the product in this window"
    assert said("A", "yesterday") == f"{nobody}: no source feeds this."
    assert said("C", "today", content("new", "published", NOON, "C")) == f"{nobody}."


def test_creators_behind_a_product_are_searched_and_filtered_by_type() -> None:
    """S1-23, S1-24."""
    columns = known()
    words = {"product": "A", "content_type": "affiliate"}
    assert ids(columns, "product_details", "creators", "creator", window="today", **words) == ["mia"]
    assert ids(columns, "creators", "list", "creator", window="today") == ["mia", "leo"]
    assert ids(columns, "creators", "list", "creator", window="today", search="LEO") == ["leo"]
    assert ids(columns, "creators", "list", "creator", window="today", creator_type="star") == ["mia"]
    assert ids(columns, "creators", "list", "creator", window="today", creator_type="moon") == []
    # The search is for creators: the product's card stays.
    card = rows(columns, "product_details", "card", window="today", search="mia", **words)
    assert [row["product"] for row in card] == ["A"]


# -- marketing and ads


def test_marketing_shows_supply_and_the_primary_accounts_ads() -> None:
    """S4-28 to S4-35; changing the account changes the past as well."""
    ads = [ad("acc-1", "ad-1", NOON, 1000, 3000), ad("acc-2", "ad-2", NOON, 500, 5000)]
    columns = known(*ads, selected("acc-1", 1, NOON))
    (supply,) = rows(columns, "marketing", "supply")
    assert supply == {
        "creator_new_videos": 1,
        "creator_new_lives": 1,
        "seller_new_videos": 0,
        "seller_new_lives": 1,
    }
    (spent,) = rows(columns, "marketing", "ads")
    assert (spent["ad_spend"], spent["ad_gross_revenue"], spent["roas"]) == (10.0, 30.0, 3.0)
    switched = known(*ads, selected("acc-1", 1, NOON), selected("acc-2", 2, NOON + 1))
    assert rows(switched, "marketing", "ads")[0]["roas"] == 10.0


def test_content_that_features_no_product_is_supply_too() -> None:
    columns = known(content("plain", "published", NOON, creator="zoe"))
    assert rows(columns, "marketing", "supply")[0]["creator_new_videos"] == 2


def test_by_the_hour_marketing_has_ad_spend_and_gross_revenue_only() -> None:
    """S4-38, A-69: it binds this view, and the view of ads is ours."""
    columns = known(ad("acc-1", "ad-1", NOON, 1000, 3000, clicks=10))
    by_hour = rows(columns, "marketing", "ads_trend", grain="hour")
    assert [(row["ad_spend"], row["ad_gross_revenue"]) for row in by_hour] == [(10.0, 30.0)]
    with pytest.raises(QueryError) as refused:
        rows(columns, "marketing", "ads_trend", grain="hour", trend="ad_spend,cpc")
    assert refused.value.reason == "hourly_only_ads"
    assert rows(columns, "ads", "trend", grain="hour", trend="ad_spend,cpc")[0]["cpc"] == 1.0


# -- KPI guide


def test_a_scorecard_holds_figures_against_the_bands_of_size_and_industry() -> None:
    """S5-50 to S5-55, X-48: both bands of a small fashion shop are shown; 133 of 3,500 views is 3.8 %."""
    columns = known(profile(business_size="small", industry="Fashion & beauty"))
    found = [
        row for row in rows(columns, "scorecard", "bands", window="all") if row["metric"] == "engagement_rate"
    ]
    assert [(row["band"], row["place"], row["off"]) for row in found] == [
        ("small shop", "in", False),
        ("fashion beauty", "below", True),
    ]
    assert found[1]["micro_goal"] == 0.04
    assert found[1]["advice"]
    assert found[0]["advice"] is None


def test_a_shop_without_size_or_with_another_currency_has_fewer_bands() -> None:
    columns = known()
    bands = [row["band"] for row in rows(columns, "scorecard", "bands", window="all")]
    assert "small shop" not in bands
    assert "every shop" in bands


def test_streams_are_held_against_their_bands() -> None:
    columns = known(profile(business_size="small"))
    found = {row["content"]: row for row in rows(columns, "scorecard", "streams", window="all")}
    assert found.keys() == {"friday", "mias"}
    # 50 for 2,000 views is 25 a thousand, 90 for 1,000 is 90; below 200 both earned little.
    assert (found["friday"]["watch_gpm"], found["friday"]["watch_gpm_band"]) == (25.0, "above")
    assert (found["mias"]["watch_gpm_band"], found["mias"]["gmv_per_live_band"]) == ("above", "below")


@pytest.mark.parametrize(
    ("goal", "metrics"),
    [
        ("drive_sales", ["gmv", "items_sold", "conversion_rate", "ctor", "checkouts_initiated"]),
        ("ads", ["roas", "cpc", "cpp", "ad_ctr"]),
        ("compliance", ["violations_count", "flagged_content_rate"]),
        ("engagement", ["likes", "shares", "comments", "engagement_rate", "watch_duration_avg", "saves"]),
    ],
)
def test_a_goal_shows_its_own_metrics_only(goal: str, metrics: list[str]) -> None:
    """S5-29 to S5-56; the shop's record names the goal when nobody asks for another."""
    for columns, words in ((known(profile(goal=goal)), {}), (known(), {"goal": goal})):
        found = run_view(columns, VIEWS["kpis"], {"window": "today", **words}, now_ms=NOW)
        (only,) = found.parts
        assert only.part.name == goal
        assert only.answer is not None
        assert list(dict.fromkeys(row["metric"] for row in only.answer.rows)) == metrics


def test_the_audience_goal_shows_territories_ages_and_genders() -> None:
    found = run_view(known(), VIEWS["kpis"], {"goal": "audience", "window": "today"}, now_ms=NOW)
    assert [each.part.name for each in found.parts] == ["audience", "territories", "age_bands", "genders"]


def test_what_the_seller_marks_is_a_kpi_and_vanity_is_told_from_impact() -> None:
    """S5-01, S5-62."""
    columns = known(profile(goal="engagement", kpis=["gmv", "no_such_metric"]))
    marked = rows(columns, "kpis", "marked", window="today")
    assert [(row["metric"], row["kpi"], row["kind"]) for row in marked] == [("gmv", True, "impact")]
    engaged = {row["metric"]: row for row in rows(columns, "kpis", "engagement", window="today")}
    assert engaged["likes"]["kind"] == "vanity"
    assert engaged["engagement_rate"]["kind"] == "impact"
    assert engaged["likes"]["kpi"]


def test_variants_are_compared_by_their_own_figures() -> None:
    """S5-60: 4 clicks of 100 views beat 8 of 400, and their contents stand below."""
    columns = known()
    found = rows(columns, "variants", "variants", window="today")
    assert [(row["variant"], row["content_ctr"], row["gmv"]) for row in found] == [
        ("short", pytest.approx(0.04), 40.0),
        ("long", pytest.approx(0.02), 20.0),
    ]
    assert found[0]["engagement_rate"] == pytest.approx(0.09)
    contents = rows(columns, "variants", "contents", window="today")
    assert [(row["variant"], row["title"]) for row in contents] == [
        ("short", "Leo unboxes"),
        ("long", "Look book"),
    ]


def test_territories_are_ranked_by_views() -> None:
    """S5-34."""
    columns = known(
        engagement("friday", NOON, 700, territory="TX"), engagement("friday", NOON, 300, territory="CA")
    )
    found = rows(columns, "territories", "territories", window="today")
    assert [row["territory"] for row in found] == ["TX", "CA"]


def test_a_demographic_group_that_is_too_small_is_not_shown() -> None:
    """S5-46: a group of fewer than board.min_group viewers has no share."""
    crowd = [f"p{number}" for number in range(200)]
    columns = known(
        engagement("friday", NOON, 100, crowd, age_band="18-24"),
        engagement("friday", NOON, 5, ["x", "y"], age_band="65+"),
    )
    found = part(columns, "demographics", "age_bands", window="today")
    assert found.answer is not None
    shares = {row["age_band"]: row["audience_demographics_share"] for row in found.answer.rows}
    assert shares["65+"] is None
    assert shares["18-24"] is not None
    assert "below_minimum" in found.answer.nulls["audience_demographics_share"]


def test_followers_grow_in_the_scorecard_of_the_month() -> None:
    columns = known(
        follower("shop", 1_000, at("2024-11-01 00:00")),
        follower("shop", 1_060, NOON),
        profile(business_size="small"),
    )
    found = {row["metric"]: row for row in rows(columns, "scorecard", "bands")}
    assert found["follower_growth_rate"]["value"] == pytest.approx(0.06)
    assert found["follower_growth_rate"]["off"] is False
