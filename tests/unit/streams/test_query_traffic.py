"""Questions about traffic: what the cubes give, and what they refuse by name."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS
from streams.errors import QueryError
from streams.events import Event
from streams.query import parse_request, run
from tests.unit.streams.boards import (
    CREATOR,
    LIVE,
    SHOP_TAB,
    at,
    board,
    flush_of,
    line,
    order,
    settings,
    traffic,
)
from tests.unit.streams.events import content

NOON = at("2024-11-29 12:00")
NOW = at("2024-12-01 12:00")

#                       Friday 12:00          12:20 (next quarter)   Saturday 12:00
# impressions  LIVE/A   u1 u1 u2              u3                     u1
#              Shop/B   u2                                           u4, one without a user
# clicks       LIVE/A   u1                    u1
#              mia/A                                                 u2
EVENTS: list[Event] = [
    *[
        traffic("product_impression", NOON + n, user, "A", LIVE, territory="GB")
        for n, user in enumerate(["u1", "u1", "u2"])
    ],
    traffic("product_impression", NOON + 20 * MINUTE_MS, "u3", "A", LIVE),
    traffic("product_impression", NOON + DAY_MS, "u1", "A", LIVE),
    traffic("product_impression", NOON, "u2", "B", SHOP_TAB),
    traffic("product_impression", NOON + DAY_MS, "u4", "B", SHOP_TAB),
    traffic("product_impression", NOON + DAY_MS, None, "B", SHOP_TAB),
    traffic("product_click", NOON, "u1", "A", LIVE),
    traffic("product_click", NOON + 20 * MINUTE_MS, "u1", "A", LIVE),
    traffic("product_click", NOON + DAY_MS, "u2", "A", CREATOR),
]


def ask(columns: Columns, now_ms: int = NOW, **params: str) -> dict[str, Any]:
    return run(columns, parse_request({"window": "all"} | params), now_ms=now_ms).document()


def rows(columns: Columns, now_ms: int = NOW, **params: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(columns, now_ms, **params)["rows"]
    return found


def refusal(columns: Columns, now_ms: int = NOW, **params: str) -> QueryError:
    with pytest.raises(QueryError) as caught:
        ask(columns, now_ms, **params)
    return caught.value


def test_events_count_with_repeats_and_people_once_a_day() -> None:
    columns = board(EVENTS, vouch_ms=NOW)
    metrics = "product_impressions,unique_product_impressions,unique_product_impressions_distinct"
    # Friday u1 u2 u3, Saturday u1 u4: 5 person-days, 4 people.
    assert rows(columns, metrics=metrics) == [
        {
            "product_impressions": 8,
            "unique_product_impressions": 5,
            "unique_product_impressions_distinct": 4,
        }
    ]
    by_day = rows(columns, metrics=metrics, by="day")
    assert [tuple(row.values())[1:] for row in by_day] == [(5, 3, 3), (3, 2, 2)]


def test_people_of_an_hour_are_distinct_within_the_hour() -> None:
    found = rows(board(EVENTS), metrics="unique_product_impressions", by="hour", window="day:2024-11-29")
    assert found == [{"hour": "2024-11-29T12+00:00", "unique_product_impressions": 3}]


def test_slices_leaves_and_products_unite_their_people() -> None:
    columns = board(EVENTS)
    friday: dict[str, Any] = {
        "window": "day:2024-11-29",
        "metrics": "product_impressions,unique_product_impressions",
    }
    by_slice = {row["slice"]: tuple(row.values())[1:] for row in rows(columns, by="slice", **friday)}
    assert by_slice["all"] == (5, 3)
    assert by_slice["seller_live"] == (4, 3)
    assert by_slice["shop_tab"] == by_slice["seller_product_card"] == (1, 1)
    assert by_slice["affiliate"] == (0, 0)
    by_leaf = {row["leaf"]: tuple(row.values())[1:] for row in rows(columns, by="leaf", **friday)}
    assert by_leaf["shop_tab"] == (1, 1)
    assert by_leaf["seller_product_card"] == (0, 0)
    assert rows(columns, by="product", **friday) == [
        {"product": "A", "product_impressions": 4, "unique_product_impressions": 3},
        {"product": "B", "product_impressions": 1, "unique_product_impressions": 1},
    ]


def test_shares_of_leaves_sum_to_one() -> None:
    found = rows(board(EVENTS), metrics="impression_share", by="leaf")
    assert {row["leaf"]: row["impression_share"] for row in found if row["impression_share"]} == {
        "seller_live": 5 / 8,
        "shop_tab": 3 / 8,
    }


def test_a_slice_or_leaf_that_is_filtered_by_has_the_only_row() -> None:
    columns = board(EVENTS)
    everything = rows(columns, metrics="product_impressions,ctr", by="slice")
    for name in ("all", "seller_live", "affiliate", "shop_tab"):
        assert rows(columns, metrics="product_impressions,ctr", by="slice", where=f"slice={name}") == [
            row for row in everything if row["slice"] == name
        ]
    leaves = rows(columns, metrics="product_impressions", by="leaf,slice", where="leaf=shop_tab")
    assert {row["leaf"] for row in leaves} == {"shop_tab"}
    assert {row["slice"]: row["product_impressions"] for row in leaves}["all"] == 3


def test_creators_contents_and_territories_have_cubes_of_their_own() -> None:
    columns = board(EVENTS)
    assert rows(
        columns, metrics="product_clicks,unique_clicks", by="creator,slice", where="slice=affiliate_video"
    ) == [{"creator": "mia", "slice": "affiliate_video", "product_clicks": 1, "unique_clicks": 1}]
    assert rows(columns, metrics="product_clicks", by="content,product") == [
        {"content": "live-1", "product": "A", "product_clicks": 2},
        {"content": "video-1", "product": "A", "product_clicks": 1},
    ]
    assert rows(columns, metrics="product_impressions", by="territory") == [
        {"territory": "GB", "product_impressions": 3}
    ]


def test_a_content_is_told_apart_by_where_it_was_seen_and_its_record_names_its_creator() -> None:
    tab = msgspec.structs.replace(CREATOR, surface="shop_tab")
    columns = board(
        [
            content("video-1", "published", NOON - DAY_MS, "A", creator="mia"),
            content("live-1", "live_started", NOON - DAY_MS, "A", account_kind="marketing"),
            *[traffic("product_impression", NOON + n, f"u{n % 2}", "A", CREATOR) for n in range(4)],
            *[traffic("product_impression", NOON + n, f"u{n}", "A", tab) for n in range(3)],
            traffic("product_click", NOON, "u1", "A", tab),
            traffic("product_impression", NOON, "u9", "A", LIVE),
        ]
    )
    asked = "product_impressions,unique_product_impressions,product_clicks"
    by_leaf = rows(columns, metrics=asked, by="content,leaf", where="content=video-1")
    assert {row["leaf"]: tuple(row.values())[2:] for row in by_leaf if row["product_impressions"]} == {
        "affiliate_video": (4, 2, 0),
        "shop_tab": (3, 3, 1),
    }
    assert rows(columns, metrics=asked, by="content", where="slice=affiliate") == [
        # Of u0 to u2 two were in both places.
        {
            "content": "video-1",
            "product_impressions": 7,
            "unique_product_impressions": 3,
            "product_clicks": 1,
        },
    ]
    found = rows(columns, metrics=asked, by="creator,content")
    assert [tuple(row.values()) for row in found] == [("mia", "video-1", 7, 3, 1)]
    assert rows(columns, metrics=asked, by="content", where="creator=mia,owner=affiliate") == [
        {key: value for key, value in found[0].items() if key != "creator"}
    ]
    assert rows(columns, metrics="product_impressions", by="creator", where="content=live-1") == []


def test_what_one_live_brought_is_told_apart_by_sub_campaign_and_by_sku() -> None:
    flash, bundle = (
        msgspec.structs.replace(LIVE, sub_campaign_id=name, surface=surface)
        for name, surface in (("flash", "live_room"), ("bundle", "shop_tab"))
    )
    columns = board(
        [
            *[traffic("product_impression", NOON + n, "u1", "A", flash) for n in range(4)],
            *[traffic("product_impression", NOON + n, "u1", "B", bundle) for n in range(2)],
            traffic("product_impression", NOON, "u1", "A", LIVE),
            traffic(
                "product_impression",
                NOON,
                "u1",
                "A",
                msgspec.structs.replace(CREATOR, sub_campaign_id="flash"),
            ),
            traffic("product_click", NOON, "u1", "A", flash, sku_id="A-red"),
            traffic("product_click", NOON + DAY_MS, "u1", "A", flash),
            traffic("product_click", NOON, "u1", "A", LIVE, sku_id="A-red"),
            traffic("product_click", NOON, "u1", "A", CREATOR, sku_id="A-red"),
            order(
                "o1", NOON, [line("1", "A-red", 1, source=LIVE), line("2", "A-blue", 1, source=LIVE)], "c1"
            ),
        ],
        vouch_ms=NOW,
    )
    asked: dict[str, Any] = {"where": "content=live-1"}
    assert rows(columns, metrics="product_impressions,product_clicks,ctr", by="sub_campaign", **asked) == [
        {"sub_campaign": "bundle", "product_impressions": 2, "product_clicks": 0, "ctr": 0.0},
        {"sub_campaign": "flash", "product_impressions": 4, "product_clicks": 2, "ctr": 0.5},
    ]
    by_leaf = rows(columns, metrics="product_impressions", by="content,sub_campaign,leaf", **asked)
    assert [tuple(row.values()) for row in by_leaf if row["product_impressions"]] == [
        ("live-1", "bundle", "shop_tab", 2),
        ("live-1", "flash", "seller_live", 4),
    ]
    by_sku = ask(columns, metrics="product_clicks,ctor", by="sku", **asked)
    assert by_sku["rows"] == [
        {"sku": "A-blue", "product_clicks": 0, "ctor": None},
        {"sku": "A-red", "product_clicks": 2, "ctor": 0.5},
    ]
    # Of three clicks of the LIVE one names no SKU.
    assert by_sku["coverage"] == dict.fromkeys(("product_clicks", "ctor"), pytest.approx(2 / 3))
    of_one_day = rows(columns, metrics="product_clicks", by="day,product", where="content=live-1,sku=A-red")
    assert of_one_day[0] == {"day": "2024-11-29", "product": "A", "product_clicks": 2}
    # Without the content they are those of everywhere, and without the rest those of the whole LIVE.
    assert rows(columns, metrics="product_impressions", by="sub_campaign")[1]["product_impressions"] == 5
    assert rows(columns, metrics="product_clicks", by="sku") == [{"sku": "A-red", "product_clicks": 3}]
    assert rows(columns, metrics="product_impressions,product_clicks", **asked) == [
        {"product_impressions": 7, "product_clicks": 3}
    ]


def test_a_creator_is_the_one_of_the_contents_latest_record_and_is_not_guessed_without() -> None:
    asked: dict[str, Any] = {
        "metrics": "product_impressions,unique_product_impressions",
        "by": "creator,content",
    }
    events = [
        content("video-1", "published", NOON - DAY_MS, "A", creator="mya"),
        traffic("product_impression", NOON, "u1", "A", CREATOR),
    ]
    columns = board(events)
    assert rows(columns, **asked)[0]["creator"] == "mya"
    columns.apply(flush_of([content("video-1", "removed", NOON, "A", creator="mia")], number=2))
    assert rows(columns, **asked)[0]["creator"] == "mia"
    columns.apply(flush_of([traffic("product_impression", NOON, "u1", "A", LIVE)], number=3))
    assert [(row["creator"], row["content"]) for row in rows(columns, **asked)] == [
        (None, "live-1"),
        ("mia", "video-1"),
    ]


def test_rates_sum_before_they_divide_and_mix_facts_with_traffic() -> None:
    orders = [order("o1", NOON, [line("1", "A1", 1, source=LIVE)], "c1")]
    columns = board([*EVENTS, *orders], vouch_ms=NOW)
    assert rows(columns, metrics="ctr,ctor,unique_ctr,unique_ctor") == [
        {"ctr": 3 / 8, "ctor": 1 / 3, "unique_ctr": 2 / 5, "unique_ctor": 1 / 2}
    ]
    by_product = rows(columns, metrics="ctr,ctor", by="product")
    assert by_product == [
        {"product": "A", "ctr": 3 / 5, "ctor": 1 / 3},
        {"product": "B", "ctr": 0.0, "ctor": None},
    ]


#                       A-red    A-blue   A, no SKU   B, no SKU
# clicks                2        1        3           1
# add-to-cart           1        0        0           0
# SKU orders            1        1
NAMED: list[Event] = [
    *[traffic("product_click", NOON + n, f"u{n}", "A", LIVE, sku_id="A-red") for n in range(2)],
    traffic("product_click", NOON + 2, "u2", "A", SHOP_TAB, sku_id="A-blue"),
    *[traffic("product_click", NOON + n, f"u{n}", "A", LIVE) for n in range(3, 6)],
    traffic("product_click", NOON + 6, "u6", "B", LIVE),
    traffic("add_to_cart", NOON + 7, "u1", "A", LIVE, sku_id="A-red"),
    order("o1", NOON, [line("1", "A-red", 1, source=LIVE), line("2", "A-blue", 1, source=LIVE)], "c1"),
]


def test_clicks_and_presses_that_name_a_sku_count_by_it_and_the_answer_says_how_many_name_none() -> None:
    columns = board(NAMED, vouch_ms=NOW)
    answer = ask(columns, metrics="product_clicks,atc_count,ctor,atc_rate", by="sku")
    assert answer["rows"] == [
        {"sku": "A-blue", "product_clicks": 1, "atc_count": 0, "ctor": 1.0, "atc_rate": 0.0},
        {"sku": "A-red", "product_clicks": 2, "atc_count": 1, "ctor": 0.5, "atc_rate": 0.5},
    ]
    part = pytest.approx(3 / 7)
    assert answer["coverage"] == {"product_clicks": part, "atc_count": 1.0, "ctor": part, "atc_rate": part}
    of_product = ask(columns, metrics="product_clicks", by="sku,slice", where="product=A,slice=seller_live")
    assert {"sku": "A-red", "slice": "seller_live", "product_clicks": 2} in of_product["rows"]
    assert of_product["coverage"] == {"product_clicks": pytest.approx(2 / 5)}
    of_one = run(
        columns, parse_request({"metrics": "ctor", "where": "sku=A-red", "window": "all"}), now_ms=NOW
    )
    assert of_one.document()["rows"] == [{"ctor": 0.5}]
    assert "ctor: 43% of events name a SKU" in of_one.table()


def test_where_no_click_names_a_sku_nothing_is_said_by_sku_rather_than_zero() -> None:
    nameless = [event for event in NAMED if getattr(event, "sku_id", None) is None]
    answer = ask(board(nameless, vouch_ms=NOW), metrics="sku_orders,product_clicks,ctor", by="sku")
    assert answer["rows"] == [
        {"sku": "A-blue", "sku_orders": 1, "product_clicks": None, "ctor": None},
        {"sku": "A-red", "sku_orders": 1, "product_clicks": None, "ctor": None},
    ]
    assert answer["nulls"] == {
        "product_clicks": {"source_gives_no_skus": [0, 1]},
        "ctor": {"source_gives_no_skus": [0, 1]},
    }
    # Friday's clicks name SKUs, Saturday's do not.
    later = [traffic("product_click", NOON + DAY_MS, "u1", "A", LIVE)]
    by_day = ask(board([*NAMED, *later], vouch_ms=NOW), metrics="product_clicks", by="day", where="sku=A-red")
    assert by_day["rows"][:2] == [
        {"day": "2024-11-29", "product_clicks": 2},
        {"day": "2024-11-30", "product_clicks": None},
    ]


def test_the_funnel_divides_means_of_finished_days() -> None:
    orders = [order("o1", NOON, [line("1", "A1", 1)], "c1")]
    columns = board([*EVENTS, *orders], vouch_ms=NOW)
    # Finished: Friday and Saturday. Reach (3 + 2) / 2, clickers (1 + 1) / 2, customers (1 + 0) / 2.
    assert rows(columns, metrics="avg_unique_reach,avg_unique_clicks,funnel_step_rates") == [
        {
            "avg_unique_reach": 2.5,
            "avg_unique_clicks": 1.0,
            "funnel_reach_to_click": 0.4,
            "funnel_click_to_customer": 0.5,
            "funnel_impression_to_click": 3 / 8,
            "funnel_click_to_sku_order": 1 / 3,
        }
    ]


def test_people_say_their_error_and_how_many_events_name_a_user() -> None:
    answer = ask(board(EVENTS), metrics="product_impressions,unique_product_impressions")
    assert answer["coverage"] == {"unique_product_impressions": 7 / 8}
    assert answer["relative_error"] == {"unique_product_impressions": pytest.approx(1.04 / 128)}
    by_product = ask(board(EVENTS), metrics="unique_product_impressions", by="product")
    assert by_product["relative_error"] == {"unique_product_impressions": pytest.approx(1.04 / 64)}


def test_a_source_without_users_gives_no_people_rather_than_zero() -> None:
    nameless = [traffic("product_impression", NOON + n, None) for n in range(3)]
    answer = ask(board(nameless), metrics="product_impressions,unique_product_impressions,avg_unique_reach")
    assert answer["rows"] == [
        {"product_impressions": 3, "unique_product_impressions": None, "avg_unique_reach": None}
    ]
    assert answer["nulls"]["unique_product_impressions"] == {"source_gives_no_people": [0]}


def test_many_people_are_estimated_within_three_sigma() -> None:
    crowd = [traffic("product_impression", NOON + n, f"user-{n % 20_000}") for n in range(25_000)]
    (row,) = rows(board(crowd), metrics="unique_product_impressions")
    assert row["unique_product_impressions"] == pytest.approx(20_000, rel=3 * 1.04 / 128)


@pytest.mark.parametrize(
    ("params", "reason", "names"),
    [
        ({"metrics": "ctr", "by": "sku"}, "no_cube", ["by sku.", "by=product."]),
        ({"metrics": "unique_clicks", "by": "sku"}, "no_cube", ["by sku.", "by=product."]),
        ({"metrics": "gmv,ctor", "by": "sku,hour"}, "no_cube", ["ctor", "by=product,hour"]),
        ({"metrics": "atc_count", "by": "sku,creator"}, "no_cube", ["by=product,creator"]),
        ({"metrics": "unique_clicks", "by": "product,hour"}, "no_cube", ["by=product,day"]),
        ({"metrics": "unique_clicks", "by": "minute"}, "no_cube", ["by=hour"]),
        ({"metrics": "product_clicks", "by": "product,slice,hour"}, "no_cube", ["by=product,slice,day"]),
        ({"metrics": "product_page_views", "by": "content,sub_campaign"}, "no_cube", ["by=content"]),
        ({"metrics": "unique_clicks", "by": "content,sub_campaign"}, "no_cube", ["by=content"]),
        ({"metrics": "atc_count", "by": "sku", "where": "content=live-1"}, "no_cube", ["by=product"]),
        (
            {"metrics": "product_clicks", "by": "sub_campaign,sku", "where": "content=live-1"},
            "no_cube",
            ["by=sub_campaign."],
        ),
        (
            {"metrics": "product_clicks", "by": "content", "where": "creator=mia"},
            "no_cube",
            ["topic content", "by=content"],
        ),
        ({"metrics": "product_clicks", "by": "territory"}, "no_cube", ["product_clicks"]),
        ({"metrics": "product_clicks", "by": "minute", "where": "product=A"}, "no_cube", ["by=hour"]),
        (
            {"metrics": "unique_clicks", "by": "product", "window": "last:3h"},
            "grain_too_coarse",
            ["unique_clicks"],
        ),
        ({"metrics": "unique_clicks", "window": "last:15m"}, "grain_too_coarse", ["last:15m", "today"]),
        (
            {"metrics": "product_clicks", "by": "creator", "window": "last:3h"},
            "grain_too_coarse",
            ["creator"],
        ),
    ],
)
def test_what_no_cube_answers_is_refused_with_the_nearest_that_works(
    params: dict[str, str], reason: str, names: list[str]
) -> None:
    error = refusal(board(EVENTS), NOON + 20 * MINUTE_MS + 1, **params)
    assert error.reason == reason
    for name in names:
        assert name in str(error)


def test_every_nearest_by_that_a_refusal_names_does_work() -> None:
    columns = board(EVENTS)
    dims = ["minute", "hour", "product", "sku", "slice", "creator", "content", "territory", "sub_campaign"]
    for first in dims:
        for second in dims:
            by = ",".join(dict.fromkeys((first, second)))
            for metric in ("product_clicks", "unique_clicks"):
                try:
                    ask(columns, metrics=metric, by=by)
                except QueryError as error:
                    near = error.mend.partition("by=")[2].rstrip(".")
                    ask(columns, metrics=metric, by=near)


def test_minutes_and_quarter_hours_answer_short_windows() -> None:
    columns = board(EVENTS)
    now_ms = NOON + 20 * MINUTE_MS + 30_000
    assert rows(columns, now_ms, metrics="product_clicks,ctr", window="last:15m") == [
        {"product_clicks": 1, "ctr": 1.0}
    ]
    by_minute = rows(columns, now_ms, metrics="product_impressions", by="minute", window="day:2024-11-29")
    assert len(by_minute) == 21
    assert by_minute[0] == {"minute": "2024-11-29T12:00+00:00", "product_impressions": 4}
    assert rows(columns, now_ms, metrics="product_clicks", by="product,hour", window="today") == [
        {"product": "A", "hour": "2024-11-29T12+00:00", "product_clicks": 2}
    ]


def test_detail_that_is_no_longer_kept_is_refused_rather_than_too_small() -> None:
    flush = flush_of(EVENTS)
    columns = Columns(settings())
    columns.apply(flush)
    gone = [
        row._replace(events=None, keyed=0, sketch=None)
        for row in flush.rows
        if row.key.cube in ("shop_minute", "product_quarter") and row.key.bucket < NOON + QUARTER_MS
    ]
    columns.apply(dataclasses.replace(flush, rows=gone, facts=[], number=2))
    assert refusal(columns, metrics="product_clicks", by="minute").reason == "no_detail_before"
    assert refusal(columns, metrics="product_clicks", by="product,hour").reason == "no_detail_before"
    assert rows(columns, metrics="product_clicks", by="minute", window="day:2024-11-30")


def test_a_campaign_that_has_not_ended_does_not_cut_todays_bucket() -> None:
    columns = board(EVENTS)
    assert rows(
        columns, NOON + HOUR_MS, metrics="product_clicks", by="product", window="range:2024-11-29..2024-12-31"
    )


def test_an_answer_does_not_depend_on_what_was_asked_before() -> None:
    asked, fresh = board(EVENTS[:-1]), board(EVENTS)
    question: dict[str, Any] = {"metrics": "unique_clicks,unique_clicks_distinct", "by": "product"}
    ask(asked, **question)
    asked.apply(flush_of(EVENTS[-1:], partition=1))
    assert rows(asked, **question) == rows(fresh, **question)
