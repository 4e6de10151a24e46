"""Metrics about content, creators, audience and what content sells, against figures worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from streams.catalogue import METRICS
from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.errors import QueryError
from streams.events import Event, Source
from streams.explain import explain, parse_explain
from tests.unit.streams.asking import answer, rows, value, why
from tests.unit.streams.boards import CREATOR, LIVE, SHOP_TAB, at, board, line, order, traffic
from tests.unit.streams.events import account, content, engagement, follower, violation

NOON = at("2024-11-29 12:00")
NOW = NOON + 6 * HOUR_MS
DAY = "day:2024-11-29"
VIDEO = Source("seller", "video", "feed", False, account_id="shop", content_id="video-2")


def known(*events: Event, **more: Any) -> Columns:
    return board(list(events), vouch_ms=NOW, **more)


# -- new content


def published(*more: Event) -> Columns:
    return known(
        content("V1", "published", NOON, "A", "B", creator="mia"),
        content("V2", "published", NOON + 1, "A", creator="mia"),
        content("V3", "published", NOON - DAY_MS, "A", creator="leo"),
        content("L1", "live_started", NOON + 2, "B", creator="zoe"),
        content("S1", "published", NOON, "A"),
        content("S2", "live_started", NOON, "A", account_kind="linked"),
        content("S2", "live_ended", NOON + HOUR_MS, "C", account_kind="linked"),
        # Neither is new: one was only removed in the window, the other has not begun.
        content("V4", "removed", NOON, "A", creator="mia", kind="video"),
        content("L2", "published", NOON, "A", kind="live"),
        *more,
    )


def test_new_content_is_counted_by_who_posts_it_and_what_it_is() -> None:
    metrics = "creator_new_videos,creator_new_lives,seller_new_videos,seller_new_lives,new_live_count,new_video_count"
    assert rows(published(), metrics, now_ms=NOW, window=DAY) == [(2, 1, 1, 1, 2, 3)]


def test_by_product_a_content_counts_under_each_that_it_features_and_by_owner_under_its_own() -> None:
    columns = published()
    by_product = rows(columns, "new_video_count,new_live_count", "product", now_ms=NOW, window=DAY)
    # The LIVE S2 featured C from its last record on, and A from the first.
    assert by_product == [("A", 3, 1), ("B", 1, 1), ("C", 0, 1)]
    assert rows(columns, "new_video_count", "owner", now_ms=NOW, window=DAY) == [("affiliate", 2), ("own", 1)]
    assert rows(columns, "new_video_count", "creator", now_ms=NOW, window="all") == [
        ("leo", 1),
        ("mia", 2),
    ]


def test_creators_who_post_are_averaged_over_finished_days_zeros_included() -> None:
    # Mia and zoe on the 29th, leo on the 28th; the 30th has nobody, and all three are finished.
    later = at("2024-12-01 00:00")
    columns = published()
    columns.vouch(later)
    assert value(columns, "avg_daily_creators_posted", now_ms=later) == pytest.approx((1 + 2 + 0) / 3)
    assert rows(columns, "avg_daily_creators_posted", "product", now_ms=later) == [
        ("A", pytest.approx((1 + 1) / 3)),
        ("B", pytest.approx(2 / 3)),
    ]


# -- engagement


def watched() -> Columns:
    return known(
        content("V", "published", NOON, "A", creator="mia"),
        content("L", "live_started", NOON, "A"),
        engagement(
            "V",
            NOON,
            100,
            ["a", "b"],
            likes=8,
            comments=1,
            shares=2,
            saves=4,
            watch_seconds=500,
            territory="CA",
        ),
        engagement("L", NOON, 300, ["b", "c"], likes=15, watch_seconds=700, territory="NY", age_band="18-24"),
        engagement("L", NOON + MINUTE_MS, 100, territory="CA", age_band="25-34"),
        engagement("L", NOON + DAY_MS, 50, ["a"]),
    )


def test_engagement_adds_up_by_content_source_and_territory() -> None:
    columns = watched()
    metrics = "content_views,likes,comments,shares,saves"
    assert rows(columns, metrics, now_ms=NOW, window=DAY) == [(500, 23, 1, 2, 4)]
    assert rows(columns, "content_views", "content", now_ms=NOW) == [("L", 450), ("V", 100)]
    assert rows(columns, "content_views", "creator", now_ms=NOW) == [("mia", 100)]
    assert rows(columns, "content_views", "territory", now_ms=NOW) == [("CA", 200), ("NY", 300)]
    by_slice = dict(rows(columns, "content_views", "slice", now_ms=NOW))
    assert by_slice == {
        "all": 550,
        "seller_live": 450,
        "affiliate": 100,
        "affiliate_video": 100,
        **dict.fromkeys(("seller_video", "seller_product_card", "affiliate_live", "shop_tab"), 0),
    }


def test_rates_of_engagement_are_sums_over_sums() -> None:
    columns = watched()
    assert value(columns, "engagement_rate", now_ms=NOW, window=DAY) == pytest.approx((23 + 1 + 2 + 4) / 500)
    assert value(columns, "watch_duration_avg", now_ms=NOW, window=DAY) == pytest.approx(1_200 / 500)
    assert value(columns, "watch_ms_total", now_ms=NOW, window=DAY) == 1_200_000


def test_viewers_are_distinct_per_day_and_over_the_window_with_their_coverage() -> None:
    columns = watched()
    now = NOW + DAY_MS
    columns.vouch(now)
    assert value(columns, "unique_viewers", now_ms=now) == 3 + 1
    assert value(columns, "unique_viewers_distinct", now_ms=now) == 3
    assert rows(columns, "unique_viewers", "content", now_ms=now) == [("L", 3), ("V", 2)]
    found = answer(columns, "unique_viewers", now_ms=now, window=DAY)
    assert found.coverage == {"unique_viewers": pytest.approx(400 / 500)}
    assert found.relative_error["unique_viewers"] == pytest.approx(0.01625)


def test_viewers_of_content_whose_records_name_none_are_null_and_not_zero() -> None:
    columns = known(engagement("L", NOON, 100))
    assert why(columns, "unique_viewers", now_ms=NOW) == "source_gives_no_people"


def test_territories_share_the_views_and_groups_of_a_few_are_not_shown() -> None:
    columns = watched()
    assert rows(columns, "territory_share", "territory", now_ms=NOW, window=DAY) == [("CA", 0.4), ("NY", 0.6)]
    small = answer(columns, "audience_demographics_share", "age_band", now_ms=NOW)
    assert small.nulls == {
        "audience_demographics_share": {"below_minimum": [0], "source_gives_no_people": [1]}
    }
    crowd = known(
        engagement("L", NOON, 90, [f"y{number}" for number in range(60)], age_band="18-24"),
        engagement("L", NOON, 90, [f"o{number}" for number in range(40)], age_band="25-34"),
    )
    found = answer(crowd, "audience_demographics_share", "age_band", now_ms=NOW)
    assert [row["audience_demographics_share"] for row in found.rows] == [pytest.approx(0.6, abs=0.01), None]
    assert found.nulls == {"audience_demographics_share": {"below_minimum": [1]}}


def test_viewers_now_are_those_of_the_newest_bucket_of_lives_that_run() -> None:
    columns = known(
        content("L", "live_started", NOW - HOUR_MS),
        content("M", "live_started", NOW - HOUR_MS, creator="mia"),
        content("over", "live_started", NOW - 3 * HOUR_MS),
        content("over", "live_ended", NOW - MINUTE_MS),
        content("quiet", "live_started", NOW - HOUR_MS),
        engagement("L", NOW - 3 * MINUTE_MS, 1, concurrent_viewers=900),
        engagement("L", NOW - 2 * MINUTE_MS, 1, concurrent_viewers=70, territory="CA"),
        engagement("L", NOW - 2 * MINUTE_MS, 1, concurrent_viewers=30, territory="NY"),
        engagement("M", NOW - MINUTE_MS, 1, concurrent_viewers=7),
        engagement("over", NOW - 2 * MINUTE_MS, 1, concurrent_viewers=5_000),
        engagement("quiet", NOW - 6 * MINUTE_MS, 1, concurrent_viewers=40),
    )
    assert value(columns, "viewers_now", now_ms=NOW) == 107
    assert rows(columns, "viewers_now", "content", now_ms=NOW) == [("L", 100), ("M", 7), ("quiet", None)]
    assert rows(columns, "viewers_now", "account", now_ms=NOW) == [("mia", 7), ("shop", 100)]


# -- violations


def flagged() -> Columns:
    return known(
        content("V", "published", NOON, creator="mia"),
        content("L", "live_started", NOON - DAY_MS),
        content("W", "published", NOON - 40 * DAY_MS),
        violation("1", "opened", NOON, "V", content_kind="video"),
        violation("2", "opened", NOON, "V", content_kind="video"),
        violation("3", "opened", NOON, "L"),
        violation("3", "resolved", NOON + 1, "L"),
        violation("4", "opened", NOON - 60 * DAY_MS, "W", content_kind="video"),
        violation("4", "appealed", NOON, "W", content_kind="video"),
        violation("5", "opened", NOON),
    )


def test_open_violations_are_those_of_now_whatever_window_is_asked_for() -> None:
    columns = flagged()
    assert value(columns, "violations_open", now_ms=NOW, window=DAY) == 4
    assert rows(columns, "violations_open", "content", now_ms=NOW, window=DAY) == [
        ("L", 0),
        ("V", 2),
        ("W", 1),
    ]
    assert rows(columns, "violations_open", "owner", now_ms=NOW) == [("affiliate", 2), ("own", 2)]


def test_violations_are_counted_when_they_were_raised() -> None:
    columns = flagged()
    assert value(columns, "violations_count", now_ms=NOW, window=DAY) == 4
    assert value(columns, "violations_count", now_ms=NOW) == 5


def test_the_flagged_rate_is_contents_over_contents() -> None:
    columns = flagged()
    # Flagged on that day: V and L. Shown on that day: V alone; L began the day before and has no end.
    assert value(columns, "flagged_content_rate", now_ms=NOW, window=DAY) == pytest.approx(2 / 1)
    both = "range:2024-11-28..2024-11-29"
    assert value(columns, "flagged_content_rate", now_ms=NOW, window=both) == pytest.approx(2 / 2)


# -- what content sells


def sold() -> Columns:
    live_two = Source("seller", "live", "live_room", False, account_id="shop", content_id="live-2")
    return known(
        content("live-1", "live_started", NOON, "A"),
        content("live-1", "live_ended", NOON + HOUR_MS, "A"),
        content("live-2", "live_started", NOON + 2 * HOUR_MS, "A"),
        content("video-1", "published", NOON, "A", creator="mia"),
        content("video-2", "published", NOON, "A"),
        order("1", NOON, [line("1", "A1", 6_000, source=LIVE)], user_key="a"),
        # Paid after its stream was over: kept with it.
        order("2", NOON + 90 * MINUTE_MS, [line("1", "A1", 2_000, source=LIVE)], user_key="a"),
        order("3", NOON + 3 * HOUR_MS, [line("1", "A1", 10_000, source=live_two)], user_key="b"),
        order(
            "4",
            NOON,
            [line("1", "A1", 1_500, source=CREATOR), line("2", "B1", 500, source=SHOP_TAB)],
            user_key="z",
        ),
        order("5", NOON, [line("1", "A1", 4_500, source=VIDEO)]),
        engagement("live-1", NOON, 3_000, ["a", "b", "c"]),
        engagement("live-2", NOON + 2 * HOUR_MS, 1_000, ["b", "d"]),
        engagement("video-1", NOON, 200, ["z", "y"]),
        *(traffic("product_click", NOON + number, "u", source=LIVE) for number in range(30)),
        *(traffic("product_click", NOON + number, "u", source=SHOP_TAB) for number in range(7)),
        *(traffic("product_page_view", NOON + number, "u", source=CREATOR) for number in range(12)),
        *(traffic("product_page_view", NOON + number, "u", source=SHOP_TAB) for number in range(5)),
    )


def test_the_gmv_of_a_stream_is_that_of_its_lines_late_payments_included() -> None:
    columns = sold()
    assert rows(columns, "gmv_per_live", "content", now_ms=NOW) == [
        ("live-1", 80.0),
        ("live-2", 100.0),
    ]
    assert value(columns, "gmv_per_live", now_ms=NOW) == 180.0


def test_a_stream_grows_over_the_finished_one_before_it() -> None:
    columns = sold()
    found = answer(columns, "live_gmv_growth_pct", "content", now_ms=NOW)
    assert [tuple(row.values()) for row in found.rows] == [("live-1", None), ("live-2", pytest.approx(0.25))]
    assert found.nulls == {"live_gmv_growth_pct": {"no_earlier_live": [0]}}


def test_streams_of_a_creator_or_an_account_grow_by_their_sums() -> None:
    def live(number: int, creator: str | None, goods: int) -> list[Event]:
        name, begins = f"{creator or 'own'}-{number}", NOON + 3 * number * HOUR_MS
        owner: dict[str, Any] = {"creator_id": creator} if creator else {}
        source = Source(
            "affiliate" if creator else "seller",
            *("live", "live_room", False),
            account_id=creator or "shop",
            content_id=name,
            **owner,
        )
        return [
            content(name, "live_started", begins, "A", creator=creator),
            content(name, "live_ended", begins + HOUR_MS, "A", creator=creator),
            order(name, begins, [line("1", "A1", goods, source=source)]),
        ]

    columns = known(
        *(*live(0, "mia", 1_000), *live(1, "mia", 3_000), *live(2, "mia", 2_000)),
        *(*live(0, None, 500), *live(1, None, 1_000), *live(0, "ada", 700)),
    )
    # mia: 10 -> 30 -> 20, so 50 over 40; the mean of +200 % and -33 % would be another figure.
    by_creator = answer(columns, "live_gmv_growth_pct", "creator", now_ms=NOW)
    assert [tuple(row.values()) for row in by_creator.rows] == [("ada", None), ("mia", pytest.approx(0.25))]
    assert by_creator.nulls == {"live_gmv_growth_pct": {"no_earlier_live": [0]}}
    assert rows(columns, "live_gmv_growth_pct", "account", now_ms=NOW) == [
        *(("ada", None), ("mia", pytest.approx(0.25)), ("shop", pytest.approx(1.0))),
    ]
    assert rows(columns, "live_gmv_growth_pct", "content", where="creator=mia", now_ms=NOW) == [
        *(("mia-0", None), ("mia-1", pytest.approx(2.0)), ("mia-2", pytest.approx(-1 / 3))),
    ]
    assert value(columns, "live_gmv_growth_pct", now_ms=NOW) == pytest.approx((60 - 45) / 45)


def test_watch_gpm_is_the_money_of_a_thousand_views_of_lives() -> None:
    columns = sold()
    assert value(columns, "watch_gpm", now_ms=NOW) == pytest.approx(180 / 4_000 * 1_000)
    assert rows(columns, "watch_gpm", "content", now_ms=NOW) == [
        ("live-1", pytest.approx(80 / 3_000 * 1_000)),
        ("live-2", pytest.approx(100.0)),
    ]


def test_clicks_and_page_views_of_content_are_measured_against_its_views() -> None:
    columns = sold()
    assert value(columns, "content_ctr", now_ms=NOW) == pytest.approx(30 / 4_200)
    assert value(columns, "page_view_rate", now_ms=NOW) == pytest.approx(12 / 4_200)
    by_content = dict(rows(columns, "content_ctr", "content", now_ms=NOW))
    assert by_content["live-1"] == pytest.approx(30 / 3_000)
    by_slice = dict(rows(columns, "page_view_rate", "slice", now_ms=NOW))
    assert by_slice["affiliate_video"] == pytest.approx(12 / 200)
    assert by_slice["shop_tab"] is None


def test_viewers_convert_when_they_buy_from_content() -> None:
    # Buyers a, b and z (whose line of the Shop tab alone would not count) of viewers a, b, c, d, y, z.
    assert value(sold(), "conversion_rate", now_ms=NOW) == pytest.approx(3 / 6)


def test_videos_and_lives_have_their_part_of_all_sales_and_of_their_kind() -> None:
    columns = sold()
    everything = 60 + 20 + 100 + 15 + 5 + 45
    by_content = dict(rows(columns, "gmv_contribution_rate", "content", now_ms=NOW))
    assert by_content["video-2"] == pytest.approx(45 / everything)
    within = rows(columns, "gmv_contribution_rate_within_videos", "owner", now_ms=NOW)
    assert within == [("affiliate", pytest.approx(15 / 60)), ("own", pytest.approx(45 / 60))]
    assert value(columns, "gmv_contribution_rate_lives", now_ms=NOW) == pytest.approx(180 / everything)
    lives = dict(rows(columns, "gmv_contribution_rate_within_lives", "content", now_ms=NOW))
    assert lives["live-2"] == pytest.approx(100 / 180)


def test_contents_are_ranked_by_gmv_and_only_those_of_their_kind_that_sold() -> None:
    columns = sold()
    assert rows(columns, "content_rank_live,content_rank_video", "content", now_ms=NOW) == [
        ("live-1", 2, None),
        ("live-2", 1, None),
        ("video-1", None, 2),
        ("video-2", None, 1),
    ]
    with pytest.raises(QueryError, match="by=content or by=owner") as error:
        value(columns, "content_rank_live", now_ms=NOW)
    assert error.value.reason == "needs_dimension"


def test_sides_are_ranked_by_what_their_lives_or_videos_sold_where_no_content_is_asked_for() -> None:
    columns = sold()
    # LIVEs are the shop's alone; of the videos the affiliates' sold 15 and the shop's 45.
    assert rows(columns, "content_rank_live,content_rank_video", "owner", now_ms=NOW) == [
        ("affiliate", None, 2),
        ("own", 1, 1),
    ]
    beside = rows(columns, "content_rank_video", "owner,content", now_ms=NOW)
    assert [row for row in beside if row[-1]] == [("affiliate", "video-1", 1), ("own", "video-2", 1)]
    assert rows(columns, "content_rank_video", "owner", where="owner=affiliate", now_ms=NOW) == [
        ("affiliate", 1)
    ]


def test_equal_sales_are_ranked_by_orders_then_by_id() -> None:
    def live(name: str) -> Source:
        return Source("seller", "live", "live_room", False, account_id="shop", content_id=name)

    columns = known(
        order("1", NOON, [line("1", "A1", 100, source=live("c"))]),
        order("2", NOON, [line("1", "A1", 60, source=live("b"))]),
        order("3", NOON, [line("1", "A1", 40, source=live("b"))]),
        order("4", NOON, [line("1", "A1", 100, source=live("a"))]),
    )
    assert rows(columns, "content_rank_live", "content", now_ms=NOW) == [("a", 2), ("b", 1), ("c", 3)]


def test_a_push_is_measured_by_the_hour_before_and_the_hour_after() -> None:
    def clicks(begin: int, count: int, product: str) -> list[Event]:
        return [traffic("product_click", begin + number, "u", product) for number in range(count)]

    def orders(begin: int, count: int, product: str) -> list[Event]:
        return [
            order(f"{product}{begin}{number}", begin + number, [line("1", f"{product}1", 10)])
            for number in range(count)
        ]

    columns = known(
        # Published four minutes after noon: measured from noon.
        content("V", "published", NOON + 4 * MINUTE_MS, "A"),
        *clicks(NOON - HOUR_MS, 50, "A"),
        *orders(NOON - HOUR_MS, 2, "A"),
        *clicks(NOON + 10, 40, "A"),
        *orders(NOON + 10, 4, "A"),
        # Of another product, and of the hour after the next: neither counts.
        *clicks(NOON + 10, 500, "B"),
        *clicks(NOON + HOUR_MS, 500, "A"),
    )
    lift = (4 / 40 - 2 / 50) / (2 / 50)
    assert value(columns, "content_push_lift", now_ms=NOW) == pytest.approx(lift)
    assert rows(columns, "content_push_lift", "content", now_ms=NOW) == [("V", pytest.approx(lift))]
    assert rows(columns, "content_push_lift", "product", now_ms=NOW) == [("A", pytest.approx(lift))]
    parsed = parse_explain({"metric": "content_push_lift", "row": "content=V"}, known=METRICS)
    parts = explain(columns, parsed, now_ms=NOW)["parts"]
    assert [part["value"] for part in parts] == [2, 50, 4, 40]


def test_the_hours_around_pushes_may_overlap_and_orders_and_clicks_are_summed_first() -> None:
    def clicked(count: int, begin_ms: int) -> list[Event]:
        return [traffic("product_click", begin_ms + number, "u", "A") for number in range(count)]

    columns = known(
        content("V", "published", NOON, "A"),
        content("W", "published", NOON + HOUR_MS // 2, "A"),
        *clicked(100, NOON - 1_000),
        *clicked(10, NOON),
        *clicked(30, NOON + HOUR_MS // 2),
        *clicked(60, NOON + HOUR_MS),
        order("1", NOON - 1, [line("1", "A1", 10)]),
        order("2", NOON + 1, [line("1", "A1", 10)]),
        order("3", NOON + HOUR_MS + 1, [line("1", "A1", 10)]),
    )
    # V: 1 of 100, then 1 of 40. W: 2 of 110, then 1 of 90.
    assert rows(columns, "content_push_lift", "content", now_ms=NOW) == [
        ("V", pytest.approx((1 / 40) / (1 / 100) - 1)),
        ("W", pytest.approx((1 / 90) / (2 / 110) - 1)),
    ]
    assert value(columns, "content_push_lift", now_ms=NOW) == pytest.approx((2 / 130) / (3 / 210) - 1)


# -- labels and levels


def test_contents_and_creators_carry_the_labels_of_their_records() -> None:
    columns = known(
        content("L", "live_started", NOON, key_session=True),
        content("M", "live_started", NOON),
        content("V", "published", NOON),
        account("mia", "affiliate", NOON, creator_id="cr-mia", creator_type="beauty"),
        account("leo", "affiliate", NOON, creator_id="cr-leo"),
    )
    assert rows(columns, "key_session_flag", "content", now_ms=NOW) == [
        ("L", "key_session"),
        ("M", "usual"),
        ("V", None),
    ]
    assert rows(columns, "creator_type", "creator", now_ms=NOW) == [("cr-leo", None), ("cr-mia", "beauty")]


def test_followers_are_the_latest_count_and_grow_from_the_start_of_the_window() -> None:
    columns = known(
        follower("shop", 1_000, NOON - 3 * DAY_MS),
        follower("shop", 1_100, NOON - DAY_MS),
        follower("shop", 1_210, NOON),
        follower("second", 50, NOON - 2 * HOUR_MS),
        follower("second", 60, NOON),
    )
    assert value(columns, "followers", now_ms=NOW) == 1_270
    assert value(columns, "followers", now_ms=NOW, window="day:2024-11-27") == 1_000
    assert rows(columns, "followers", "account", now_ms=NOW) == [("second", 60), ("shop", 1_210)]
    growth = rows(columns, "follower_growth_rate", "account", now_ms=NOW, window=DAY)
    assert growth == [("second", pytest.approx(0.2)), ("shop", pytest.approx(0.1))]
    assert value(columns, "follower_growth_rate", now_ms=NOW, window=DAY) == pytest.approx(
        (1_270 - 1_150) / 1_150
    )
    by_day = rows(columns, "followers", "day", now_ms=NOW)
    assert by_day == [
        ("2024-11-26", 1_000),
        ("2024-11-27", 1_000),
        ("2024-11-28", 1_100),
        ("2024-11-29", 1_270),
    ]
