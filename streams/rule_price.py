"""A price far too low: what buyers paid for a SKU in the last minutes against what they paid before (A-78).

Source: spec/alerts.md A-78; spec/events.md `product.unit_cost_minor`, `campaign.sub_campaigns`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from streams.days import MINUTE_MS
from streams.money import compact_money, major
from streams.names import sku_name
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.events import Product
    from streams.rule_context import RuleContext

_PRICES: Final = (
    pl.col("quantity").sum().alias("units"),
    (pl.col("goods_minor") + pl.col("cofund_minor")).sum().alias("paid_minor"),
    pl.col("product_id").first(),
    pl.col("paid_at_ms").max(),
)
"""Of one order and SKU. What TikTok pays for the buyer is part of the price: a sale that it funds is no mistake of the
seller's. A second unit for nothing halves the price of both, where line by line it would be one of 0."""


class _Usual(NamedTuple):
    """What a SKU usually costs: median, the price that all but few orders paid at least, and behind how many orders."""

    median_minor: float
    common_minor: float
    orders: int
    product_id: str


def find_price_slip(context: RuleContext) -> Iterable[Reading]:
    """Hold the unit prices of the last minutes against the SKU's median and its unit cost (A-78).

    The median is that of the finished days of `slip_history_ms`; of a SKU too new for it, of today's orders before the
    window; while an incident is open, as it was when it opened. With all of today in it, a wrong price that sells ten
    times as fast would soon be the median itself. A price that is common among these orders is none either: postage
    costs what it costs. Below the unit cost of the product card counts only where the median is not: a loss leader is
    meant.

    No record says when a flash sale is and for how much: planned is a sub-campaign of a running campaign that the shop
    has joined and that has `slip_flash_word` in its id or name; a SKU is in it once an order of the window came
    through it.
    """
    columns, shop, numbers = context.columns, context.shop, context.settings.rules
    lines = columns.order_lines(shop.shop_id)
    begin_ms = context.now_ms - numbers.slip_window_ms
    recent = lines.filter(
        pl.col("paid_at_ms").is_between(begin_ms, context.now_ms, closed="right") & (pl.col("quantity") > 0)
    )
    opened = {
        sku_id: alert.opened_at_ms
        for (shop_id, rule, sku_id), alert in context.incidents.items()
        if shop_id == shop.shop_id and rule == "A-78" and context.is_open(rule, sku_id)
    }
    watched = {str(sku_id): context.now_ms for sku_id in recent.get_column("sku_id").unique()} | opened
    if not watched:
        return
    usual = _usual_prices(context, watched)
    flash = _flash_sub_campaigns(context)
    in_flash = set(recent.filter(pl.col("sub_campaign_id").is_in(flash)).get_column("sku_id"))
    prices = recent.group_by("sku_id", "order_id").agg(_PRICES)
    by_sku = {str(sku_id): found for (sku_id,), found in prices.partition_by("sku_id", as_dict=True).items()}
    products = columns.products(shop.shop_id)
    for sku_id in sorted(watched):
        yield _reading(
            context, sku_id, by_sku.get(sku_id), usual.get(sku_id), products, flash=sku_id in in_flash
        )


def _reading(
    context: RuleContext,
    sku_id: str,
    sold: pl.DataFrame | None,
    usual: _Usual | None,
    products: dict[str, Product],
    *,
    flash: bool,
) -> Reading:
    numbers, currency = context.settings.rules, context.shop.currency
    median_minor, common_minor, history, product_id = usual or _Usual(0.0, 0.0, 0, "")
    if sold is not None:
        product_id = str(sold.get_column("product_id")[0])
    product = products.get(product_id)
    entity = Entity(
        "sku", sku_id, sku_name(product, sku_id, product_id), product_id=product_id, sku_id=sku_id
    )
    if history < numbers.slip_min_history:
        return Reading(entity, Judgement.THIN, volume=history, minimum=numbers.slip_min_history)
    least_minor = median_minor * numbers.slip_share
    cost_minor = product.unit_cost_minor if product is not None else None
    if cost_minor is not None and cost_minor <= median_minor:
        least_minor = max(least_minor, cost_minor)
    least_minor = min(least_minor, common_minor)
    orders = low_orders = money_minor = 0
    lowest_minor: float | None = None
    if sold is not None:
        priced = sold.with_columns((pl.col("paid_minor") / pl.col("units")).alias("price_minor"))
        low = priced.filter(pl.col("price_minor") < least_minor)
        orders, low_orders = priced.height, low.height
        lowest_minor = priced.get_column("price_minor").min()  # type: ignore[assignment] # of a Float64 column
        given_minor = (median_minor - low.get_column("price_minor")) * low.get_column("units")
        money_minor = round(given_minor.sum())
    if flash or (orders and not low_orders):
        judgement = Judgement.CLEAR
    elif low_orders >= numbers.slip_min_orders:
        judgement = Judgement.FIRES
    elif low_orders:
        judgement = Judgement.THIN
    else:
        # Nothing sold in the window says nothing of the price.
        judgement = Judgement.BETWEEN
    return Reading(
        entity=entity,
        judgement=judgement,
        value=None if lowest_minor is None else major(lowest_minor, currency),
        threshold=major(least_minor, currency),
        clearing=major(least_minor, currency),
        volume=low_orders,
        minimum=numbers.slip_min_orders,
        money_minor=money_minor,
        figures={
            "low_orders": low_orders,
            "orders": orders,
            "median_price": major(median_minor, currency),
            "unit_cost": None if cost_minor is None else major(cost_minor, currency),
            "flash_sale": "planned" if flash else "none",
        },
    )


def _usual_prices(context: RuleContext, at_ms: dict[str, int]) -> dict[str, _Usual]:
    """Return the usual price of each SKU as it was at an instant, before the window that ended with it."""
    columns, shop, numbers = context.columns, context.shop, context.settings.rules
    calendar = columns.calendar(shop.shop_id)
    midnight = {at: calendar.day_start_ms(calendar.day_of(at)) for at in set(at_ms.values())}
    bounds = pl.DataFrame(
        {
            "sku_id": list(at_ms),
            "until_ms": [at - numbers.slip_window_ms for at in at_ms.values()],
            "midnight_ms": [midnight[at] for at in at_ms.values()],
        },
        schema={"sku_id": pl.String, "until_ms": pl.Int64, "midnight_ms": pl.Int64},
    )
    orders = (
        columns.order_lines(shop.shop_id)
        .lazy()
        # The span of all SKUs first: a join over months of lines would cost more than all else here.
        .filter(
            pl.col("paid_at_ms").is_between(
                min(midnight.values()) - numbers.slip_history_ms, max(at_ms.values())
            )
            & (pl.col("quantity") > 0)
        )
        .join(bounds.lazy(), on="sku_id")
        .filter(
            (pl.col("paid_at_ms") < pl.col("until_ms"))
            & (pl.col("paid_at_ms") >= pl.col("midnight_ms") - numbers.slip_history_ms)
        )
        .group_by("sku_id", "order_id")
        .agg(*_PRICES, (pl.col("paid_at_ms").max() < pl.col("midnight_ms").first()).alias("finished"))
        .with_columns((pl.col("paid_minor") / pl.col("units")).alias("price_minor"))
        .with_columns(pl.col("finished").sum().over("sku_id").alias("orders_finished"))
        # Finished days where they are enough, else all orders of the SKU.
        .filter(pl.col("finished") | (pl.col("orders_finished") < numbers.slip_min_history))
    )
    usual = (
        orders.group_by("sku_id")
        .agg(
            pl.col("price_minor").median().alias("median"),
            pl.col("price_minor").quantile(numbers.slip_common_share, "lower").alias("common"),
            pl.len().alias("orders"),
            pl.col("product_id").sort_by("paid_at_ms").last(),
        )
        .collect()
    )
    return {
        row["sku_id"]: _Usual(float(row["median"]), float(row["common"]), row["orders"], row["product_id"])
        for row in usual.iter_rows(named=True)
    }


def _flash_sub_campaigns(context: RuleContext) -> list[str]:
    word = context.settings.rules.slip_flash_word.casefold()
    if not word:
        return []
    return sorted(
        str(sub.id)
        for campaign in context.columns.campaigns(context.shop.shop_id)
        if campaign.starts_at_ms <= context.now_ms < campaign.ends_at_ms
        for sub in campaign.sub_campaigns
        if sub.joined and (word in str(sub.id).casefold() or word in sub.name.casefold())
    )


def _text(reading: Reading, context: RuleContext) -> str:
    figures, shop = reading.figures, context.shop
    minutes = context.settings.rules.slip_window_ms // MINUTE_MS
    cost = figures["unit_cost"]
    below = f", unit cost {_price(float(cost), context)}" if cost is not None else ""
    return (
        f"{reading.entity.name} sells far too cheap: down to {_price(reading.value or 0.0, context)} in "
        f"{figures['low_orders']} orders of the last {minutes} minutes; usual is "
        f"{_price(float(figures['median_price'] or 0.0), context)}{below}. Given away so far in these "
        f"{compact_money(reading.money_minor, shop.currency)}."
    )


def _price(amount: float, context: RuleContext) -> str:
    return f"{amount:,.2f} {context.shop.currency}"


PRICE_SLIP: Final = Rule(
    number="A-78",
    key="price_slip",
    title="Price far too low",
    entity="sku",
    reads=("orders",),
    find=find_price_slip,
    condition=(
        "unit price paid in an order (goods and co-funding) < rules.slip_share x the median of the finished days of "
        "rules.slip_history_ms, or < the unit cost on the product card where the median is not, and lower than all but "
        "rules.slip_common_share of these orders paid; no flash sale planned "
        "(a joined sub-campaign with rules.slip_flash_word in its name, through which the SKU sells)"
    ),
    minimum=(
        "rules.slip_min_orders such orders in rules.slip_window_ms; rules.slip_min_history orders behind the median"
    ),
    clears="the SKU sells, and no order of the window is below that price",
    unit="price",
    hold_ms=0,
    clear_ms=5 * MINUTE_MS,
    severity=Severity.PAGE,
    owner=Owner.OPS,
    route=AlertRoute.PAGE,
    advice="check price and discounts of the SKU, mend or deactivate it, ack",
    text=_text,
    runbook="price-far-too-low",
    settings=(
        "rules.slip_share",
        "rules.slip_common_share",
        "rules.slip_min_orders",
        "rules.slip_window_ms",
        "rules.slip_history_ms",
        "rules.slip_min_history",
        "rules.slip_flash_word",
    ),
    sources=("S2-29", "S2-50"),
)
