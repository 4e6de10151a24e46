"""Content, engagement, violations, followers, ads, checkouts and totals as columns, against tables written by hand."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import polars as pl
import pytest

from streams import sketches
from streams.atoms import ATOM_NAMES
from streams.columns import Columns
from streams.days import DAY_MS, HOUR_MS, MINUTE_MS
from streams.events import Event, Source
from tests.unit.streams.boards import CREATOR, LIVE, SHOP, at, flush_of, line, order, settings
from tests.unit.streams.events import (
    account,
    ad,
    benchmark,
    checkout,
    content,
    engagement,
    follower,
    history,
    selected,
    total,
    violation,
)

NOON = at("2024-11-29 12:00")
LIVE_ATOM, VIDEO_ATOM, OTHER_ATOM = (
    ATOM_NAMES.index(name) for name in ("seller_live", "affiliate_video", "other")
)


def columns_of(*events: Event, zone: str = "UTC") -> Columns:
    columns = Columns(settings(zone))
    for number, event in enumerate(events):
        columns.apply(flush_of([event], zone=zone, number=number + 1))
    return columns


def table(frame: pl.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return sorted(frame.select(names).rows(), key=str)


# -- content


def test_a_content_is_one_row_of_all_its_states_in_any_order() -> None:
    events = [
        content("L", "live_started", NOON, "A", title="first"),
        content("L", "live_ended", NOON + HOUR_MS, "B", title="last", started_at_ms=NOON),
        content("V", "published", NOON + 5, "A", creator="mia"),
        content("V", "removed", NOON + 9, creator="mia", kind="video"),
    ]
    expected = [
        ("L", "last", NOON, NOON + HOUR_MS, None, ["A", "B"], LIVE_ATOM),
        ("V", None, NOON + 5, None, NOON + 9, ["A"], VIDEO_ATOM),
    ]
    names = ("content_id", "title", "new_at_ms", "ended_at_ms", "removed_at_ms", "product_ids", "atom")
    for shuffled in itertools.permutations(events):
        assert table(columns_of(*shuffled).content(SHOP).contents(), *names) == expected


def test_a_live_whose_start_was_not_heard_of_is_new_when_its_end_tells_the_start() -> None:
    told = columns_of(content("L", "live_ended", NOON, started_at_ms=NOON - HOUR_MS)).content(SHOP)
    untold = columns_of(content("L", "live_ended", NOON)).content(SHOP)
    assert table(told.contents(), "new_at_ms") == [(NOON - HOUR_MS,)]
    assert table(untold.contents(), "new_at_ms", "day") == [(None, None)]
    assert untold.content_days().height == 0


def test_a_live_over_midnight_is_live_on_both_days() -> None:
    eve = at("2024-11-28 23:30")
    midnight = at("2024-11-29 00:00")
    live = [content("L", "live_started", eve), content("L", "live_ended", eve + HOUR_MS)]
    assert table(columns_of(*live).content(SHOP).content_days(), "content_id", "at_ms") == [
        ("L", eve),
        ("L", midnight),
    ]
    # It ends exactly at midnight: the next day has nothing of it.
    short = [live[0], content("L", "live_ended", midnight)]
    assert table(columns_of(*short).content(SHOP).content_days(), "at_ms") == [(eve,)]


# -- engagement and viewers


def test_engagement_takes_over_what_its_content_is_also_when_that_comes_later() -> None:
    columns = columns_of(engagement("V", NOON, 10, likes=2, watch_seconds=1.5))
    names = ("content_id", "views", "likes", "watch_ms", "creator_id", "atom")
    assert table(columns.content(SHOP).engagement(), *names) == [("V", 10, 2, 1_500, None, OTHER_ATOM)]
    columns.apply(flush_of([content("V", "published", NOON, creator="mia")], number=2))
    assert table(columns.content(SHOP).engagement(), *names) == [("V", 10, 2, 1_500, "mia", VIDEO_ATOM)]


def test_parts_of_a_bucket_by_territory_and_age_stand_beside_each_other_and_a_repeat_replaces() -> None:
    again = engagement("L", NOON, 7, territory="NY")
    columns = columns_of(
        engagement("L", NOON, 3, territory="CA"),
        engagement("L", NOON, 4, territory="NY"),
        engagement("L", NOON, 5, territory="NY", age_band="18-24"),
        msgspec.structs.replace(again, occurred_at_ms=NOON + HOUR_MS),
    )
    assert table(columns.content(SHOP).engagement(), "territory", "age_band", "views") == [
        ("CA", None, 3),
        ("NY", "18-24", 5),
        ("NY", None, 7),
    ]


def viewers(columns: Columns, **where: Any) -> int:
    frame = columns.content(SHOP).engagement()
    for name, value in where.items():
        frame = frame.filter(pl.col(name) == value)
    return round(columns.content(SHOP).viewers([frame.get_column("slot").to_numpy()])[0])


def test_a_viewer_counts_once_however_many_buckets_contents_and_days_he_is_in() -> None:
    columns = columns_of(
        engagement("L", NOON, 9, ["a", "b"]),
        engagement("L", NOON + MINUTE_MS, 9, ["b", "c"]),
        engagement("V", NOON, 9, ["c", "d"]),
        engagement("V", NOON + DAY_MS, 9, ["a", "e"]),
    )
    assert viewers(columns) == 5
    assert viewers(columns, content_id="L") == 3
    assert viewers(columns, content_id="V") == 4
    assert viewers(columns, at_ms=NOON) == 4
    # Asked again after more has come, cells that were united are not asked of old.
    columns.apply(flush_of([engagement("L", NOON + 2 * MINUTE_MS, 1, ["z"])], number=9))
    assert (viewers(columns), viewers(columns, content_id="L")) == (6, 4)


def test_viewers_of_a_record_that_was_replaced_are_gone() -> None:
    columns = columns_of(engagement("L", NOON, 2, ["a", "b"]), engagement("L", NOON + MINUTE_MS, 1, ["c"]))
    assert viewers(columns) == 3
    newer = engagement("L", NOON, 1, ["d"])
    later = msgspec.structs.replace(newer, occurred_at_ms=NOON + HOUR_MS)
    columns.apply(flush_of([later], number=9))
    assert viewers(columns) == 2


def test_a_sketch_of_viewers_unites_with_keys() -> None:
    crowd = sketches.new(12)
    for number in range(3_000):
        crowd.update(f"u{number}")
    columns = columns_of(
        engagement("L", NOON, 5_000, viewer_sketch=sketches.dump(crowd)),
        engagement("L", NOON + MINUTE_MS, 10, [f"u{number}" for number in range(2_990, 3_010)]),
    )
    assert viewers(columns) == pytest.approx(3_010, rel=0.05)
    # All of the crowd are among those who came before.
    assert viewers(columns) - viewers(columns, at_ms=NOON) == pytest.approx(10, abs=15)


def test_engagement_says_which_views_have_viewers() -> None:
    columns = columns_of(engagement("L", NOON, 5, ["a"]), engagement("L", NOON + MINUTE_MS, 7))
    assert table(columns.content(SHOP).engagement(), "views", "keyed_views") == [(5, 5), (7, 0)]


# -- violations and followers


def test_a_violation_is_open_until_it_is_resolved_and_again_when_it_is_opened_again() -> None:
    opened = violation("v", "opened", NOON, "L")
    appealed = violation("v", "appealed", NOON + 1, "L")
    resolved = violation("v", "resolved", NOON + 2, "L")
    again = violation("v", "opened", NOON + 3, "L")
    names = ("violation_id", "opened_at_ms", "resolved_at_ms", "raised", "open")
    for events, expected in (
        ([opened], ("v", NOON, None, 1, 1)),
        ([opened, appealed], ("v", NOON, None, 1, 1)),
        ([opened, appealed, resolved], ("v", NOON, NOON + 2, 1, 0)),
        ([opened, resolved, again], ("v", NOON + 3, None, 1, 1)),
    ):
        for shuffled in itertools.permutations(events):
            assert table(columns_of(*shuffled).content(SHOP).violations(), *names) == [expected]


def test_a_violation_is_whose_content_or_account_it_is() -> None:
    columns = columns_of(
        content("V", "published", NOON, creator="mia"),
        account("zoe", "affiliate", NOON, creator_id="zoe-c"),
        account("shop", "marketing", NOON),
        violation("1", "opened", NOON, "V", content_kind="caption", account_id="mia"),
        violation("2", "opened", NOON, account_id="zoe"),
        violation("3", "opened", NOON, account_id="shop"),
        violation("4", "opened", NOON, "unknown", account_id="nobody"),
    )
    names = [
        ATOM_NAMES[atom] for _, atom in table(columns.content(SHOP).violations(), "violation_id", "atom")
    ]
    assert names == ["affiliate_video", "affiliate_other", "seller_product_card", "other"]
    assert table(columns.content(SHOP).violations(), "violation_id", "creator_id")[:2] == [
        ("1", "mia"),
        ("2", "zoe-c"),
    ]


def test_followers_are_kept_at_every_time_that_was_told() -> None:
    columns = columns_of(follower("shop", 10, NOON), follower("shop", 12, NOON + 1), follower("mia", 5, NOON))
    assert table(columns.content(SHOP).followers(), "account_id", "at_ms", "followers") == [
        ("mia", NOON, 5),
        ("shop", NOON, 10),
        ("shop", NOON + 1, 12),
    ]


def test_the_highest_version_of_an_account_holds_in_any_order() -> None:
    old, new = account("mia", "affiliate", NOON, 1, creator_id="c"), account("mia", "linked", NOON - 5, 2)
    for events in ((old, new), (new, old)):
        assert columns_of(*events).content(SHOP).accounts() == {"mia": new}


# -- ads


def test_the_highest_revision_of_an_hour_of_an_ad_holds_in_any_order() -> None:
    hours = [ad("x", "1", NOON, 100, 400), ad("x", "1", NOON, 130, 390, revision=2), ad("x", "2", NOON, 7, 0)]
    for events in itertools.permutations(hours):
        found = table(columns_of(*events).ads(SHOP).metrics(), "ad_id", "spend_minor", "gross_revenue_minor")
        assert found == [("1", 130, 390), ("2", 7, 0)]


def test_an_hour_that_straddles_hours_of_the_shop_is_split_by_seconds_to_the_unit() -> None:
    # Kathmandu is 5:45 ahead of UTC: a UTC hour has 15 minutes of one of its hours and 45 of the next.
    columns = columns_of(ad("x", "1", NOON, 101, 10, clicks=3), zone="Asia/Kathmandu")
    assert table(columns.ads(SHOP).metrics(), "at_ms", "spend_minor", "gross_revenue_minor", "clicks") == [
        (NOON, 25, 3, 1),
        (NOON + 15 * MINUTE_MS, 76, 7, 2),
    ]


def test_a_day_in_one_bucket_is_spread_over_the_hours_of_the_day() -> None:
    midnight = at("2024-11-29 00:00")
    columns = columns_of(ad("x", "1", midnight, 2_400, 0, bucket_seconds=86_400))
    assert table(columns.ads(SHOP).metrics(), "at_ms", "spend_minor") == [
        (midnight + hour * HOUR_MS, 100) for hour in range(24)
    ]


def test_the_primary_account_is_the_selected_one_and_its_past_comes_with_it() -> None:
    spent = [ad("x", "1", NOON, 100, 0), ad("y", "2", NOON - 30 * DAY_MS, 7, 0)]
    columns = columns_of(spent[0])
    assert columns.ads(SHOP).primary_account() == "x"
    columns.apply(flush_of([spent[1]], number=2))
    assert columns.ads(SHOP).primary_account() is None
    assert columns.ads(SHOP).of_primary().height == 0
    columns.apply(flush_of([selected("x", 1, NOON)], number=3))
    assert table(columns.ads(SHOP).of_primary(), "ad_id") == [("1",)]
    columns.apply(flush_of([selected("y", 2, NOON + 1)], number=4))
    assert table(columns.ads(SHOP).of_primary(), "ad_id") == [("2",)]
    columns.apply(flush_of([selected("x", 1, NOON + 2)], number=5))
    assert columns.ads(SHOP).primary_account() == "y"
    assert columns.ads(SHOP).metrics().height == 2


def test_a_line_knows_the_ad_that_it_is_attributed_to() -> None:
    paid = Source("seller", "video", "feed", True, account_id="shop", content_id="V", ad_id="1")
    columns = columns_of(
        order(
            "o",
            NOON,
            [
                line("1", "A1", 10, source=paid),
                line("2", "B1", 10, source=paid, ad_id="2"),
                line("3", "C1", 10, source=LIVE),
            ],
        )
    )
    assert table(columns.order_lines(SHOP), "line_id", "ad_id") == [("1", "1"), ("2", "2"), ("3", None)]


# -- checkouts, totals, history, benchmarks


def test_a_checkout_is_a_row_per_product_with_its_source() -> None:
    columns = columns_of(checkout("c", NOON, "A", "B", source=CREATOR), checkout("d", NOON, "A"))
    assert table(columns.totals(SHOP).checkouts(), "checkout_id", "product_id", "creator_id", "atom") == [
        ("c", "A", "mia", VIDEO_ATOM),
        ("c", "B", "mia", VIDEO_ATOM),
        ("d", "A", None, OTHER_ATOM),
    ]


def test_ready_made_counts_of_a_bucket_are_its_own_and_the_highest_revision_holds() -> None:
    columns = columns_of(
        total(NOON, impressions=100, clicks=5),
        total(NOON, impressions=110, revision=2),
        total(NOON + 900_000, impressions=20),
        total(NOON, product="B", impressions=7),
    )
    assert table(columns.totals(SHOP).traffic(), "product_id", "at_ms", "impressions", "clicks") == [
        ("A", NOON, 110, None),
        ("A", NOON + 900_000, 20, None),
        ("B", NOON, 7, None),
    ]


def test_running_totals_count_what_they_rose_by_and_begin_anew_with_the_day() -> None:
    eve = at("2024-11-28 23:30")
    running = [
        total(eve, mode="running_total", impressions=500),
        total(eve + 900_000, mode="running_total", impressions=620),
        total(eve + 1_800_000, mode="running_total", impressions=30),
        total(eve + 2_700_000, mode="running_total", impressions=25),
    ]
    for events in itertools.permutations(running):
        found = table(columns_of(*events).totals(SHOP).traffic(), "at_ms", "impressions")
        # A total that falls was corrected: the day's sum is its last total.
        assert [count for _, count in found] == [500, 120, 30, -5]


def test_what_a_running_total_leaves_out_for_a_while_is_not_counted_twice() -> None:
    columns = columns_of(
        total(NOON, mode="running_total", impressions=100),
        total(NOON + 900_000, mode="running_total", clicks=4),
        total(NOON + 1_800_000, mode="running_total", impressions=130, clicks=9),
    )
    assert [row[1:] for row in table(columns.totals(SHOP).traffic(), "at_ms", "impressions", "clicks")] == [
        (100, None),
        (0, 4),
        (30, 5),
    ]


def test_running_totals_of_a_live_run_over_midnight() -> None:
    eve = at("2024-11-28 23:45")
    columns = columns_of(
        total(eve, mode="running_total", clicks=40, source=LIVE),
        total(eve + 900_000, mode="running_total", clicks=55, source=LIVE),
    )
    assert [count for _, count in table(columns.totals(SHOP).traffic(), "at_ms", "clicks")] == [40, 15]


def test_history_is_kept_by_day_hour_metric_and_slice() -> None:
    columns = columns_of(
        history("2024-06-01", "gmv", 5_000, NOON),
        history("2024-06-01", "gmv", 300, NOON, hour=9),
        history("2024-06-01", "gmv", 2_000, NOON, slice="affiliate"),
        history("lifetime", "orders", 77, NOON),
    )
    assert table(columns.totals(SHOP).history(), "date", "hour", "metric", "slice", "value") == [
        ("2024-06-01", 9, "gmv", "all", 300),
        ("2024-06-01", None, "gmv", "affiliate", 2_000),
        ("2024-06-01", None, "gmv", "all", 5_000),
        ("lifetime", None, "orders", "all", 77),
    ]


def test_the_newest_published_benchmark_of_a_kind_holds_in_any_order() -> None:
    new, old = benchmark("ctr", 0.03, "2024-11-28", NOON), benchmark("ctr", 0.02, "2024-11-27", NOON - DAY_MS)
    higher = benchmark("ctr", 0.05, "2024-11-28", NOON, group="higher_tier")
    for events in itertools.permutations((new, old, higher)):
        assert columns_of(*events).totals(SHOP).benchmarks() == [higher, new]
