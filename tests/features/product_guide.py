"""S1, the product traffic guide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.features.feature import agree, feature, near, only, row_of
from tests.features.world import BEFORE, DAY

if TYPE_CHECKING:
    from tests.features.feature import Ask
    from tests.features.world import Rows, World

DRESS: Final = "linen-wrap-dress"
SEVEN: Final = (
    *("all", "seller_live", "seller_video", "seller_product_card"),
    *("affiliate", "affiliate_live", "affiliate_video"),
)
FIVE: Final = SEVEN[:5]
EIGHT: Final = (*SEVEN, "shop_tab")
COUNTS: Final = ("product_impressions", "product_clicks", "sku_orders", "ctr", "ctor")


def view(name: str, part: str, **words: Any) -> Ask:
    return lambda world: world.view(name, part, **words)


def query(metrics: str, by: str = "", **words: Any) -> Ask:
    return lambda world: world.query(metrics, by, **words)


def of_product(world: World, product: str, *by: str) -> dict[tuple[str, ...], dict[str, float | None]]:
    found = world.figures("product", *by)
    return {key[1:]: row for key, row in found.items() if key[0] == product}


# --- views ---------------------------------------------------------------------------------------------------------


@feature("S1-01", view("product_details", "sources", product=DRESS))
def sources_steps_and_the_best_channel_of_a_product(world: World, rows: Rows) -> None:
    agree(rows, of_product(world, DRESS, "slice"), ("slice",), COUNTS)


@feature("S1-03", view("product_list", "list"))
def one_row_per_product(world: World, rows: Rows) -> None:
    agree(rows, world.figures("product"), ("product",), ("gmv", "items_sold", *COUNTS, "atc_count"))


@feature("S1-04", view("product_list", "list", content_type="affiliate_video"))
def one_format_recomputes_every_row_and_the_order(world: World, rows: Rows) -> None:
    found = world.figures("product", "slice")
    expected = {key[:1]: row for key, row in found.items() if key[1] == "affiliate_video"}
    agree(rows, expected, ("product",), ("gmv", *COUNTS))
    sold = [row["gmv"] for row in rows]
    assert sold == sorted(sold, reverse=True)


@feature("S1-05", view("product_formats", "formats", product=DRESS))
def sales_of_a_product_by_format(world: World, rows: Rows) -> None:
    assert {row["slice"] for row in rows} == set(EIGHT)
    agree(rows, of_product(world, DRESS, "slice"), ("slice",), ("gmv", "orders", "items_sold", "sku_orders"))


@feature("S1-06", view("product_formats", "channels", product=DRESS))
def conversion_of_a_product_by_channel(world: World, rows: Rows) -> None:
    agree(rows, of_product(world, DRESS, "leaf"), ("leaf",), ("product_clicks", "sku_orders", "ctr", "ctor"))


@feature("S1-07", lambda world: world.query("best_format,ctor", "product", window="all"))
def the_best_format_of_a_product_converts_best(world: World, rows: Rows) -> None:
    told = [row for row in rows if row["best_format"] is not None]
    assert told
    found = world.oracle.figures(("product", "slice"))
    for row in told:
        best = found[row["product"], row["best_format"]]
        mine = {
            key[1]: one["ctor"] or 0
            for key, one in found.items()
            if key[0] == row["product"] and key[1] != "all" and (one["product_clicks"] or 0) >= 100
        }
        assert best["ctor"] == max(mine.values())


@feature("S1-08", view("product_list", "list"))
def each_product_has_its_range_of_gmv(world: World, rows: Rows) -> None:
    sold = world.oracle.figures(("product",))
    expected = {row["product"]: "<1k" if sold[row["product"],]["gmv"] else None for row in rows}
    assert {row["product"]: row["product_gmv_range"] for row in rows} == expected
    assert expected[DRESS]


@feature("S1-09", view("product_list", "list", opportunity="matched"))
def products_of_the_opportunity_center(world: World, rows: Rows) -> None:
    assert [row["product"] for row in rows] == [DRESS]
    assert rows[0]["product_opportunity_matched"] == "matched"


@feature(
    "S1-11",
    lambda world: [
        {"asked": asked, **row}
        for asked in ("hidden", "shown")
        for row in world.view("product_list", "list", window=f"day:{BEFORE}", deleted=asked)
    ],
)
def a_deleted_product_is_hidden_and_keeps_its_sales(world: World, rows: Rows) -> None:
    shown = row_of(rows, asked="shown", product="old-scarf")
    assert (shown["product_status"], shown["gmv"]) == ("deleted", near(15.0))
    assert row_of(rows, asked="hidden", product=DRESS)["product_status"] == "live"
    assert not [row for row in rows if row["asked"] == "hidden" and row["product"] == "old-scarf"]


@feature("S1-12", view("product_details", "card", product=DRESS))
def the_card_of_a_product(world: World, rows: Rows) -> None:
    row = only(rows)
    assert row["name"] == "Linen wrap dress"
    assert (row["product_status"], row["product_rating"]) == ("live", near(4.7))
    assert row["product_opportunity_matched"] == "matched"
    assert row["product_gmv_range"]


@feature(
    "S1-13", view("product_details", "trend", product=DRESS, trend="orders,product_impressions", grain="hour")
)
def chosen_metrics_of_a_product_in_time(world: World, rows: Rows) -> None:
    found = world.oracle.figures(("hour", "product"))
    expected = {key[:1]: row for key, row in found.items() if key[1] == DRESS and key[0].startswith(DAY)}
    agree(rows, expected, ("hour",), ("orders", "product_impressions"))


@feature(
    "S1-14",
    lambda world: world.refusal(
        lambda: world.view("product_details", "trend", product=DRESS, trend="gmv,orders,ctor")
    ),
)
def a_trend_of_three_metrics_is_refused(world: World, rows: Rows) -> None:
    assert only(rows)["reason"] == "trend_metrics"


@feature("S1-16", lambda world: world.export("product_list", content_type="seller_live"))
def the_selected_format_is_exported(world: World, rows: Rows) -> None:
    found = world.figures("product", "slice")
    expected = {key[:1]: row for key, row in found.items() if key[1] == "seller_live" and row["gmv"]}
    assert expected
    sold = {(row["product"],): float(row["gmv"]) for row in rows if float(row["gmv"])}
    assert sold == {key: near(row["gmv"]) for key, row in expected.items()}


@feature("S1-17", view("product_details", "funnel", product=DRESS))
def the_funnel_of_a_product(world: World, rows: Rows) -> None:
    agree(rows, of_product(world, DRESS), (), COUNTS)


@feature("S1-18", view("product_details", "funnel_people", product=DRESS, count="people"))
def the_funnel_in_people(world: World, rows: Rows) -> None:
    people = ("unique_product_impressions", "unique_clicks", "est_customers")
    agree(rows, of_product(world, DRESS), (), people, within=0.05)


@feature("S1-19", view("product_details", "lives", product=DRESS, content_type="seller_live"))
def a_content_type_turns_sources_into_contents(world: World, rows: Rows) -> None:
    assert {row["content"] for row in rows} >= {"live-noon", "live-evening"}
    assert sum(row["product_clicks"] for row in rows) == len(
        {
            one["event_id"]
            for one in world.of_day("product_click")
            if one["product_id"] == DRESS
            and (one.get("source") or {}).get("content_id") in ("live-noon", "live-evening")
        }
    )


def _sold_of(world: World, content: str, product: str = "") -> float:
    return float(
        sum(
            line["money"]
            for line in world.lines
            if (line.get("source") or {}).get("content_id") == content
            and product in ("", line["product_id"])
            and line["order"] in world.of_day("order_paid")
        )
        / 100
    )


@feature("S1-20", view("live_ranking", "ranking", owner="own"))
def own_livestreams(world: World, rows: Rows) -> None:
    assert {row["content"]: row["gmv"] for row in rows if row["gmv"]} == {
        name: near(_sold_of(world, name)) for name in ("live-noon", "live-evening")
    }
    assert {row["owner"] for row in rows} == {"own"}


@feature("S1-21", view("video_ranking", "ranking", owner="own"))
def own_videos(world: World, rows: Rows) -> None:
    assert {row["content"] for row in rows} >= {"video-hoodie", "video-lookbook", "video-lamps"}
    assert all(row["gmv"] == near(_sold_of(world, row["content"])) for row in rows)
    assert any(row["gmv"] for row in rows)


@feature("S1-22", view("product_details", "creators", product=DRESS, content_type="affiliate"))
def creators_of_a_product(world: World, rows: Rows) -> None:
    clicks: dict[str, set[str]] = {}
    for one in world.of_day("product_click"):
        source = one.get("source") or {}
        if one["product_id"] == DRESS and source.get("creator_id"):
            clicks.setdefault(source["creator_id"], set()).add(one["event_id"])
    assert clicks
    assert {row["creator"]: row["product_clicks"] for row in rows if row["product_clicks"]} == {
        name: len(found) for name, found in clicks.items()
    }


@feature("S1-23", view("creators", "list", search="MIRA"))
def creators_by_name(world: World, rows: Rows) -> None:
    row = only(rows)
    sold = sum(
        line["money"]
        for line in world.lines
        if (line.get("source") or {}).get("creator_id") == "cr-mira"
        and line["order"] in world.of_day("order_paid")
    )
    assert (row["creator"], row["gmv"]) == ("cr-mira", near(sold / 100))


@feature("S1-24", view("creators", "list", creator_type="fashion"))
def creators_of_a_type(world: World, rows: Rows) -> None:
    assert {row["creator"] for row in rows} == {"cr-mira", "cr-june"}
    assert all(row["product_clicks"] > 0 for row in rows)


@feature("S1-25", view("product_traffic", "all", content_type="affiliate"))
def all_products_of_a_format(world: World, rows: Rows) -> None:
    row = only(rows)
    expected = world.figures("slice")["affiliate",]
    assert {name: row[name] for name in ("gmv", *COUNTS)} == {
        name: near(expected[name]) for name in ("gmv", *COUNTS)
    }


@feature("S1-26", view("product_traffic", "channels"))
def the_best_channel_comes_first(world: World, rows: Rows) -> None:
    found = world.figures("leaf")
    best = sorted(found, key=lambda key: (-(found[key]["ctor"] or 0), -(found[key]["gmv"] or 0), key))
    assert [row["leaf"] for row in rows] == [key[0] for key in best]
    assert rows[0]["ctor"] == near(found[best[0]]["ctor"])
    assert rows[0]["ctor"] > 0


@feature("S1-27", view("top_products", "top"))
def top_products_of_the_shop(world: World, rows: Rows) -> None:
    sold = world.figures("product")
    best = sorted(sold, key=lambda key: (-(sold[key]["items_sold"] or 0), -(sold[key]["gmv"] or 0), key))
    assert [row["product"] for row in rows] == [key[0] for key in best[:10]]
    assert [row["items_sold"] for row in rows] == [sold[key]["items_sold"] for key in best[:10]]


# --- rules, definitions --------------------------------------------------------------------------------------------


def _told(old: str) -> Ask:
    return lambda world: world.refusal(lambda: world.query(old), old)


@feature("S1-28", _told("gross_sales"))
def gross_sales_is_gmv_now(world: World, rows: Rows) -> None:
    assert "Ask for gmv." in only(rows)["says"]


@feature("S1-29", query("gmv,orders"))
def gmv_leaves_cancelled_orders_in(world: World, rows: Rows) -> None:
    assert only(rows)["gmv"] == near(world.gmv())
    assert world.gmv(lambda line: not line["cancelled"]) < only(rows)["gmv"], "some are cancelled"


@feature("S1-30", _told("cart_conversion_rate"))
def cart_conversion_rate_is_two_metrics_now(world: World, rows: Rows) -> None:
    assert "Ask for atc_count and atc_rate." in only(rows)["says"]


@feature("S1-31", query("atc_count"))
def presses_of_add_to_cart(world: World, rows: Rows) -> None:
    assert only(rows)["atc_count"] == len(world.of_day("add_to_cart"))


@feature("S1-32", query("atc_rate"))
def add_to_cart_rate_is_by_clicks(world: World, rows: Rows) -> None:
    rate = len(world.of_day("add_to_cart")) / len(world.of_day("product_click"))
    assert only(rows)["atc_rate"] == near(rate)


@feature("S1-33", query("atc_rate", "slice"))
def the_divisor_is_clicks_and_not_viewers(world: World, rows: Rows) -> None:
    found = world.figures("slice")
    agree(rows, found, ("slice",), ("atc_rate",))
    whole = found["all",]
    assert whole["unique_page_viewers"] != whole["product_clicks"]


@feature("S1-34", query("est_customers,unique_customers", window=f"range:{BEFORE}..{DAY}"))
def customers_count_once_a_day_and_days_add_up(world: World, rows: Rows) -> None:
    days = [{line["who"] for line in _day_lines(world, day)} for day in (BEFORE, DAY)]
    assert only(rows)["est_customers"] == sum(len(day) for day in days)


def _day_lines(world: World, day: str) -> list[dict[str, object]]:
    return list(world.oracle.lines.filter(day=day).iter_rows(named=True))


@feature("S1-35", query("product_impressions", "leaf"))
def impressions_are_showings_of_products_in_every_format(world: World, rows: Rows) -> None:
    assert sum(row["product_impressions"] for row in rows) == len(world.of_day("product_impression"))
    assert {row["leaf"] for row in rows if row["product_impressions"]} >= {"seller_live", "affiliate_video"}


@feature("S1-36", query("product_clicks,product_page_views"))
def clicks_are_not_page_loads(world: World, rows: Rows) -> None:
    row = only(rows)
    assert row["product_clicks"] == len(world.of_day("product_click"))
    assert row["product_page_views"] == len(world.of_day("product_page_view"))
    assert row["product_clicks"] != row["product_page_views"]


@feature("S1-37", query("ctor"))
def ctor_is_sku_orders_by_clicks(world: World, rows: Rows) -> None:
    pairs = {
        (line["order"]["order_id"], line["sku_id"])
        for line in world.lines
        if line["order"] in world.of_day("order_paid")
    }
    assert only(rows)["ctor"] == near(len(pairs) / len(world.of_day("product_click")))


@feature("S1-38", view("product_list", "list"))
def ctor_stands_beside_its_companions(world: World, rows: Rows) -> None:
    beside = ("product_impressions", "product_clicks", "orders", "sku_orders", "ctor")
    agree(rows, world.figures("product"), ("product",), beside)


@feature(
    "S1-39",
    lambda world: [
        row
        for old in ("Gross Sales", "Cart conversion rate", "Daily customers", "Impressions", "Page views")
        for row in _told(old)(world)
    ],
)
def every_retired_name_leads_to_the_new_one(world: World, rows: Rows) -> None:
    new = ("gmv.", "atc_count and atc_rate.", "est_customers.", "product_impressions.", "product_clicks.")
    assert [row["says"].endswith(f"Ask for {name}") for row, name in zip(rows, new, strict=True)] == [
        True
    ] * 5


# --- slices --------------------------------------------------------------------------------------------------------

SLICED: Final = (
    ("S1-40", "gmv", SEVEN),
    ("S1-41", "items_sold", FIVE),
    ("S1-42", "orders", FIVE),
    ("S1-43", "sku_orders", FIVE),
    ("S1-44", "est_customers", (*FIVE, "shop_tab")),
    ("S1-45", "product_impressions", SEVEN),
    ("S1-46", "product_clicks", EIGHT),
    ("S1-47", "ctr", EIGHT),
    ("S1-48", "ctor", EIGHT),
    ("S1-49", "unique_clicks", EIGHT),
)
"""Feature, metric, the slices that must be there at least."""


def _slices(id: str, metric: str, slices: tuple[str, ...]) -> None:
    @feature(id, query(metric, "slice"))
    def sliced(world: World, rows: Rows) -> None:
        assert {row["slice"] for row in rows} >= set(slices)
        agree(
            rows,
            world.figures("slice"),
            ("slice",),
            (metric,),
            within=0.05 if metric == "unique_clicks" else 0,
        )


for _each in SLICED:
    _slices(*_each)


# --- metrics -------------------------------------------------------------------------------------------------------

OF_THE_LINES: Final = (
    ("S1-50", "aov_sku"),
    ("S1-51", "gmv_with_tax"),
    ("S1-52", "tax_paid"),
    ("S1-53", "gmv_with_cofunding"),
    ("S1-55", "shipping_fees_paid"),
    ("S1-56", "refunds_amount"),
    ("S1-57", "items_refunded"),
    ("S1-59", "refund_customers"),
)
"""Feature, metric of the shop and its products that the lines give exactly."""


def _of_lines(id: str, metric: str) -> None:
    @feature(id, query(metric, "product"))
    def figured(world: World, rows: Rows) -> None:
        agree(rows, world.figures("product"), ("product",), (metric,))


for _pair in OF_THE_LINES:
    _of_lines(*_pair)


@feature("S1-54", query("gmv_with_cofunding", "day", window=f"range:{BEFORE}..{DAY}"))
def cofunding_stands_at_the_time_of_payment(world: World, rows: Rows) -> None:
    assert row_of(rows, day=BEFORE)["gmv_with_cofunding"] == near(60 + 5 + 1.5 + 20 + 15)
    assert row_of(rows, day=DAY)["gmv_with_cofunding"] == near(world.figures()[()]["gmv_with_cofunding"])


@feature("S1-58", query("refunds_amount,gmv"))
def refunds_are_of_other_orders_than_gmv(world: World, rows: Rows) -> None:
    """A refund of an order of days ago stands on its own day and leaves GMV alone."""
    refunds = world.of_day("refund")
    orders = {line["order"]["order_id"] for line in world.lines}
    assert any(one["order_id"] not in orders for one in refunds)
    assert only(rows)["refunds_amount"] == near(
        sum(one["amount_minor"] + one["shipping_minor"] for one in refunds) / 100
    )
    assert only(rows)["gmv"] == near(world.gmv())


PEOPLE: Final = (("S1-60", "unique_product_impressions"), ("S1-62", "atc_users"))


def _of_people(id: str, metric: str) -> None:
    @feature(id, query(metric, "product"))
    def counted(world: World, rows: Rows) -> None:
        agree(rows, world.figures("product"), ("product",), (metric,), within=0.05)


for _one in PEOPLE:
    _of_people(*_one)

RATES_OF_PEOPLE: Final = (
    ("S1-61", "unique_ctr", "unique_clicks", "unique_product_impressions"),
    ("S1-63", "unique_atc_rate", "atc_users", "unique_clicks"),
    ("S1-64", "unique_ctor", "est_customers", "unique_clicks"),
)
"""Feature, metric, numerator and divisor."""


def _rate_of_people(id: str, metric: str, up: str, down: str) -> None:
    @feature(id, query(metric))
    def divided(world: World, rows: Rows) -> None:
        exact = world.figures()[()]
        assert exact[up]
        assert exact[down]
        assert abs(only(rows)[metric] / ((exact[up] or 0) / (exact[down] or 1)) - 1) < 0.05


for _rate in RATES_OF_PEOPLE:
    _rate_of_people(*_rate)


@feature("S1-65", query("avg_daily_creators_posted"))
def creators_who_posted_a_day(world: World, rows: Rows) -> None:
    started = {
        (one["creator_id"])
        for one in world.of_day("content")
        if one["state"] == "live_started" and one["account_kind"] == "affiliate"
    }
    assert len(started) == 3
    assert only(rows)["avg_daily_creators_posted"] == near(3)


@feature("S1-66", query("new_live_count", "product"))
def new_lives_by_product(world: World, rows: Rows) -> None:
    expected: dict[str, int] = {}
    for one in world.of_day("content"):
        for product in one["product_ids"] if one["state"] == "live_started" else ():
            expected[product] = expected.get(product, 0) + 1
    assert {row["product"]: row["new_live_count"] for row in rows if row["new_live_count"]} == expected
    assert expected[DRESS] == 2


@feature("S1-67", query("new_video_count", window=f"range:{BEFORE}..{DAY}"))
def new_videos(world: World, rows: Rows) -> None:
    assert only(rows)["new_video_count"] == 3 + 2


@feature("S1-68", view("product_traffic", "formats"))
def ctor_of_all_products_at_every_aggregate(world: World, rows: Rows) -> None:
    agree(rows, world.figures("slice"), ("slice",), ("ctor", "product_clicks", "sku_orders"))


@feature("S1-69", lambda world: world.export("product_list", all_formats="1"))
def all_formats_in_one_file(world: World, rows: Rows) -> None:
    assert len({row["Tab Name"] for row in rows}) == 8
    sold: dict[str, float] = {}
    for row in rows:
        sold[row["Tab Name"]] = sold.get(row["Tab Name"], 0) + float(row["gmv"])
    found = world.figures("slice")
    assert sold["Seller LIVE"] == near(found["seller_live",]["gmv"])
    assert sold["All"] == near(found["all",]["gmv"])
