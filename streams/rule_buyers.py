"""Rules on what buyers of a product do: they look and do not check out (A-34), they come once and not again (A-59).

Source: spec/alerts.md.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import polars as pl

from streams.days import HOUR_MS, MINUTE_MS
from streams.request import Request
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.rule_context import RuleContext


def find_checkout_friction(context: RuleContext) -> Iterable[Reading]:
    """Look for products that many view and few check out (A-34)."""
    numbers = context.settings.rules
    metrics = ("product_page_views", "pdp_to_checkout_rate")
    rows = [
        row
        for row in context.rows(Request(metrics, by=("product",), window=numbers.band_window))
        if (row["product_page_views"] or 0) >= numbers.rate_min_divisor
        and row["pdp_to_checkout_rate"] is not None
    ]
    if not rows:
        return
    rows.sort(key=lambda row: (-row["product_page_views"], row["product"]))
    top = max(1, int(len(rows) * numbers.friction_top_share))
    median = statistics.median(row["pdp_to_checkout_rate"] for row in rows)
    threshold = median * numbers.friction_rate_share
    for place, row in enumerate(rows):
        rate = row["pdp_to_checkout_rate"]
        if len(rows) < numbers.friction_min_products:
            judgement = Judgement.THIN
        elif place >= top or rate >= median:
            judgement = Judgement.CLEAR
        else:
            judgement = Judgement.FIRES if rate < threshold else Judgement.BETWEEN
        yield Reading(
            entity=Entity(
                "product",
                row["product"],
                context.product_name(row["product"]),
                product_id=row["product"],
            ),
            judgement=judgement,
            value=rate * 100,
            threshold=threshold * 100,
            clearing=median * 100,
            volume=row["product_page_views"],
            minimum=numbers.rate_min_divisor,
            figures={"page_views": row["product_page_views"], "place": place + 1, "products": len(rows)},
        )


def find_spikes(context: RuleContext) -> Iterable[Reading]:
    """Look for products that sold far more yesterday than before, and that nobody came back for (A-59)."""
    numbers, shop_id = context.settings.rules, context.shop.shop_id
    calendar = context.columns.calendar(shop_id)
    day = calendar.day_of(context.now_ms) - 1
    lines = context.columns.order_lines(shop_id)
    first = lines.get_column("day").min()
    if first is None or int(first) > day - numbers.spike_days:  # type: ignore[arg-type] # a column of days
        return
    recent = lines.filter(pl.col("day") >= day - numbers.spike_days)
    sold = recent.group_by("product_id", "day").agg(pl.col("quantity").sum()).rows()
    by_day: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for product_id, of_day, units in sold:
        by_day[product_id][of_day] = units
    for product_id, units_of in sorted(by_day.items()):
        units = units_of.get(day, 0)
        usual = statistics.median(units_of.get(day - back, 0) for back in range(1, numbers.spike_days + 1))
        if units < numbers.spike_min_units:
            judgement, repeats = Judgement.THIN, 0
        else:
            repeats = _came_back(recent, product_id, day)
            spike = units > numbers.spike_factor * usual and repeats < numbers.spike_repeats
            judgement = Judgement.FIRES if spike else Judgement.CLEAR
        yield Reading(
            entity=Entity("product", product_id, context.product_name(product_id), product_id=product_id),
            judgement=judgement,
            value=units,
            threshold=numbers.spike_factor * usual,
            volume=units,
            minimum=numbers.spike_min_units,
            figures={"usual": usual, "repeat_customers": repeats},
        )


def _came_back(lines: pl.DataFrame, product_id: str, day: int) -> int:
    """Return how many customers ordered the product on that day and once more since, or before in these days."""
    own = lines.filter(pl.col("product_id") == product_id)
    buyers = own.filter(pl.col("day") == day).get_column("customer_id").unique()
    orders = own.filter(pl.col("customer_id").is_in(buyers.implode())).group_by("customer_id")
    return orders.agg(pl.col("order_id").n_unique()).filter(pl.col("order_id") > 1).height


CHECKOUT_FRICTION: Final = Rule(
    number="A-34",
    key="checkout_friction",
    title="Many view, few check out",
    entity="product",
    reads=("page_views", "checkouts"),
    find=find_checkout_friction,
    condition=(
        "product_page_views in the top rules.friction_top_share of products, and pdp_to_checkout_rate below "
        "rules.friction_rate_share of their median; in rules.band_window"
    ),
    minimum="rules.rate_min_divisor page views of the product; rules.friction_min_products such products",
    clears="at the median or above, or no longer among those viewed most",
    unit="%",
    hold_ms=15 * MINUTE_MS,
    clear_ms=HOUR_MS,
    severity=Severity.NOTE,
    owner=Owner.CONTENT,
    route=AlertRoute.CHANNEL,
    advice="look at text, pictures and the checkout on a phone",
    text=lambda reading, _: (
        f"{reading.entity.name}: {reading.figures['page_views']:,} page views, and {reading.value or 0:.1f}% of them "
        f"began a checkout; {reading.clearing or 0:.1f}% is the middle of the shop."
    ),
    runbook="checkout-friction",
    settings=(
        "rules.friction_top_share",
        "rules.friction_rate_share",
        "rules.friction_min_products",
        "rules.rate_min_divisor",
        "rules.band_window",
    ),
    sources=("S5-31",),
)

SPIKE: Final = Rule(
    number="A-59",
    key="spike",
    title="Sales spike that is not proven yet",
    entity="product",
    reads=("orders",),
    find=find_spikes,
    condition=(
        "yesterday's items_sold above rules.spike_factor times their median over the rules.spike_days before, and "
        "fewer than rules.spike_repeats of the buyers came back"
    ),
    minimum="rules.spike_min_units sold yesterday; orders known for rules.spike_days",
    clears="no such day, or the buyers came back",
    unit="units",
    hold_ms=0,
    clear_ms=0,
    severity=Severity.NOTE,
    owner=Owner.OPS,
    route=AlertRoute.PANEL,
    advice="do not buy stock on one day; wait for buyers who come back",
    text=lambda reading, _: (
        f"{reading.entity.name} sold {reading.value or 0:,.0f} yesterday, where {reading.figures['usual']:g} a day is "
        "usual, and nobody has bought it again yet."
    ),
    runbook="",
    settings=("rules.spike_factor", "rules.spike_days", "rules.spike_repeats", "rules.spike_min_units"),
    sources=("S2-23", "S2-80"),
)

RULES: Final[tuple[Rule, ...]] = (CHECKOUT_FRICTION, SPIKE)
"""The rules on buyers."""
