"""S4, the campaign dashboard: products with stock, traffic, the funnel, and what holds all of it together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.features.campaign_dashboard import sold_until
from tests.features.feature import agree, feature, near, only, row_of
from tests.features.history import SHOP
from tests.features.product_guide import query, view
from tests.features.world import BEFORE, DAY, END_MS, ON_AIR_MS

if TYPE_CHECKING:
    from tests.features.world import Rows, World


# --- products and stock --------------------------------------------------------------------------------------------


@feature("S4-55", view("products", "table", list="all", metrics="items_sold,atc_count"))
def metrics_of_products_are_chosen(world: World, rows: Rows) -> None:
    agree(rows, world.figures("product"), ("product",), ("items_sold", "atc_count"))


@feature("S4-56", view("products", "table", list="all"))
def of_page_viewers_who_adds(world: World, rows: Rows) -> None:
    exact = {product: both / viewers for product, (viewers, both) in world.oracle.adders().items()}
    found = {row["product"]: row["atc_rate_pdp"] for row in rows if row["atc_rate_pdp"] is not None}
    assert found == {product: near(exact[product]) for product in found}
    assert any(found.values())


@feature("S4-57", view("products", "table", list="all"))
def products_in_high_demand_are_marked(world: World, rows: Rows) -> None:
    told = {row["product"]: row["demand_flag"] for row in rows if row["demand_flag"] is not None}
    assert set(told.values()) <= {"high_demand", "high", "usual"}
    assert told["linen-wrap-dress"]


def _levels(world: World, until_ms: int) -> dict[str, int]:
    """Return the newest level of each SKU, over its warehouses."""
    newest: dict[tuple[str, str], dict[str, object]] = {}
    for one in world.events["stock_changed"]:
        key = (one["sku_id"], one.get("warehouse_id", ""))
        if one["occurred_at_ms"] <= until_ms and (
            key not in newest or one["version"] > newest[key]["version"]
        ):
            newest[key] = one
    levels: dict[str, int] = {}
    for (sku, _), one in newest.items():
        levels[sku] = levels.get(sku, 0) + int(str(one["available"]))
    return levels


@feature("S4-58", query("stock_on_hand", "sku"))
def stock_is_the_newest_level(world: World, rows: Rows) -> None:
    expected = _levels(world, END_MS)
    assert expected
    assert {row["sku"]: row["stock_on_hand"] for row in rows if row["stock_on_hand"] is not None} == expected


@feature("S4-59", lambda world: world.query("stock_status,stock_horizon_hours", "sku", now_ms=ON_AIR_MS))
def the_status_looks_ahead_to_the_end_of_the_campaign(world: World, rows: Rows) -> None:
    levels = _levels(world, ON_AIR_MS)
    out = {sku for sku, level in levels.items() if level <= 0}
    assert {row["sku"] for row in rows if row["stock_status"] == "out_of_stock"} == out
    assert out
    horizons = {row["stock_horizon_hours"] for row in rows}
    assert 3 in {round(hours, 3) for hours in horizons}, "three hours are left of the campaign"


@feature("S4-60", view("products", "table", list="campaign", only="replenish"))
def what_needs_stock(world: World, rows: Rows) -> None:
    out = {sku for sku, level in _levels(world, END_MS).items() if level <= 0}
    products = {one["product_id"] for one in world.events["stock_changed"] if one["sku_id"] in out}
    assert {row["product"] for row in rows} >= products
    assert {row["stock_status"] for row in rows} <= {"out_of_stock", "at_risk"}


@feature(
    "S4-61",
    lambda world: [
        {"asked": which, **row}
        for which in ("campaign", "all")
        for row in world.view("products", "table", list=which, window=f"day:{BEFORE}")
    ],
)
def products_of_the_campaign_or_all(world: World, rows: Rows) -> None:
    (campaign,) = world.of_day("campaign")
    of_campaign = {row["product"] for row in rows if row["asked"] == "campaign"}
    assert of_campaign <= set(campaign["product_ids"])
    assert "old-scarf" not in of_campaign
    assert row_of(rows, asked="all", product="old-scarf")["gmv"] == near(15)


# --- traffic and funnel --------------------------------------------------------------------------------------------

CHANNEL: Final = ("product_impressions", "product_clicks", "ctr", "ctor", "sku_orders")


@feature("S4-64", view("traffic_sources", "channels"))
def impressions_by_channel(world: World, rows: Rows) -> None:
    agree(rows, world.figures("leaf"), ("leaf",), CHANNEL)


@feature("S4-65", view("traffic_sources", "channels"))
def the_share_of_each_channel(world: World, rows: Rows) -> None:
    whole = len(world.of_day("product_impression"))
    found = world.figures("leaf")
    assert {row["leaf"]: row["impression_share"] for row in rows if row["impression_share"]} == {
        key[0]: near((one["product_impressions"] or 0) / whole)
        for key, one in found.items()
        if one["product_impressions"]
    }


@feature("S4-66", view("traffic_sources", "channels"))
def how_far_products_draw_clicks(world: World, rows: Rows) -> None:
    agree(rows, world.figures("leaf"), ("leaf",), ("ctr",))


@feature("S4-67", view("traffic_sources", "formats"))
def sku_orders_by_clicks(world: World, rows: Rows) -> None:
    agree(rows, world.figures("slice"), ("slice",), ("ctor",))


@feature("S4-68", view("traffic_sources", "channels"))
def the_best_channels_are_told(world: World, rows: Rows) -> None:
    found = world.figures("leaf")
    best = max(found, key=lambda key: (found[key]["ctor"] or 0, found[key]["gmv"] or 0))
    assert row_of(rows, channel_efficiency_rank=1)["leaf"] == best[0]


@feature("S4-69", view("marketing", "supply_by_day"))
def traffic_and_marketing_are_read_together(world: World, rows: Rows) -> None:
    """A principle (X-84): both views answer for the same day."""
    row = row_of(rows, day=DAY)
    assert row["seller_new_lives"] + row["creator_new_lives"] == 5
    agree(world.view("traffic_sources", "channels"), world.figures("leaf"), ("leaf",), CHANNEL)


@feature("S4-70", view("funnel", "people"))
def the_funnel_of_people(world: World, rows: Rows) -> None:
    users = {kind: {one.get("user_key") for one in world.of_day(kind)} for kind in ("product_impression",)}
    reach, row = len(users["product_impression"] - {None}), only(rows)
    assert row["avg_unique_reach"] == near(reach, within=0.03)
    assert row["avg_unique_reach"] > row["avg_unique_clicks"] > row["avg_daily_customers"] > 0


def _people(world: World, kind: str) -> int:
    return len({one.get("user_key") for one in world.of_day(kind)} - {None})


@feature("S4-71", query("avg_unique_reach"))
def people_reached_a_day(world: World, rows: Rows) -> None:
    assert only(rows)["avg_unique_reach"] == near(_people(world, "product_impression"), within=0.03)


@feature("S4-72", query("avg_unique_clicks"))
def people_who_click_a_day(world: World, rows: Rows) -> None:
    assert only(rows)["avg_unique_clicks"] == near(_people(world, "product_click"), within=0.03)


@feature("S4-73", query("avg_daily_customers"))
def customers_a_day(world: World, rows: Rows) -> None:
    assert only(rows)["avg_daily_customers"] == len(
        {one["customer_id"] for one in world.of_day("order_paid")}
    )


@feature("S4-74", view("overview", "headline", metrics="tax_paid,refunds_amount"))
def headline_metrics_are_chosen(world: World, rows: Rows) -> None:
    agree(rows, world.figures(), (), ("tax_paid", "refunds_amount"))
    assert "gmv" not in rows[0]


@feature("S4-75", lambda world: world.readings("A-41", now_ms=ON_AIR_MS))
def results_and_progress_at_a_glance(world: World, rows: Rows) -> None:
    """A principle (X-84), honoured by the overview; behind its pace the goal is told of."""
    row = row_of(rows, entity="black-friday")
    assert 0 < row["value"] < row["threshold"]
    goal = only(world.view("overview", "goal", now_ms=ON_AIR_MS, window="today", shop=SHOP))
    assert goal["goal_pace_pct"] == near(sold_until(world, ON_AIR_MS) / 4_000 / (21 / 24))
