"""The rule on demand: A-03 a product in high demand is close to running out.

Source: spec/alerts.md A-03; S4-57.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streams.alerts import AlertRoute
from streams.days import HOUR_MS, MINUTE_MS
from streams.demand import DemandFlag
from streams.money import compact_money
from streams.rule import Entity, Judgement, Owner, Reading, Rule, Severity
from streams.rules import lasted_words
from streams.stock import SkuStock, StockStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.alerts import Alert
    from streams.rule_context import RuleContext

_AT_RISK: Final = frozenset({StockStatus.OUT_OF_STOCK, StockStatus.AT_RISK})


def find_demanded(context: RuleContext) -> Iterator[Reading]:
    """Yield what A-03 finds of each product in high demand: when its first SKU runs out.

    And of one that it has told of, until it has fallen out of the wider top part: the rate of a product at the edge of
    the top part crosses it every few minutes.
    """
    settings, demands = context.settings.stock, context.demands
    lead_h = settings.demand_lead_ms / HOUR_MS
    least_minor = context.day_yardstick_minor * settings.demand_min_share
    rows_of: dict[str, list[SkuStock]] = {}
    for row in context.stock:
        rows_of.setdefault(row.product_id, []).append(row)
    for product_id, rows in sorted(rows_of.items()):
        demand = demands.get(product_id)
        high = demand is not None and demand.flag is DemandFlag.HIGH
        if not (high or context.is_open("A-03", product_id)):
            continue
        known = [row for row in rows if row.status is not StockStatus.UNKNOWN]
        at_risk = [row for row in known if row.status in _AT_RISK and row.hours_to_stockout is not None]
        first = min(at_risk, key=lambda row: row.hours_to_stockout or 0.0, default=None)
        hours = None if first is None else first.hours_to_stockout
        money_minor = sum(row.gmv_at_risk_minor for row in rows)
        why = ""
        if not known:
            judgement = Judgement.HELD
        elif not high and (demand is None or not demand.near):
            judgement, why = Judgement.CLEAR, "no longer among the products put into carts most often"
        elif hours is None or hours > lead_h * settings.page_clear_lead:
            judgement, why = Judgement.CLEAR, "no longer close to running out"
        elif money_minor < least_minor * settings.page_clear_share:
            judgement, why = Judgement.CLEAR, "little is at risk by now"
        else:
            fires = high and hours <= lead_h and money_minor >= least_minor
            judgement = Judgement.FIRES if fires else Judgement.BETWEEN
        shown = first or rows[0]
        yield Reading(
            entity=Entity(
                "product", product_id, context.product_name(product_id), shown.campaign_id, product_id
            ),
            judgement=judgement,
            value=hours,
            threshold=lead_h,
            clearing=lead_h * settings.page_clear_lead,
            volume=money_minor,
            minimum=least_minor,
            money_minor=money_minor,
            figures={
                "first_sku": shown.name,
                "left": sum(row.on_hand or 0 for row in known),
                "to_add": sum(row.replenish_units for row in rows),
                "why": why,
            },
            extra={
                "predicted_ms": shown.eta_ms,
                "gmv_at_risk_minor": money_minor,
                "horizon_end_ms": shown.horizon_end_ms,
            },
        )


def _demanded_closing(alert: Alert) -> str:
    why = alert.figures.get("why") or "no longer watched"
    return f"Resolved after {lasted_words(alert)}: {alert.name}, high demand and little stock: {why}."


def _demanded_text(reading: Reading, context: RuleContext) -> str:
    figures, clock = reading.figures, context.clock
    eta_ms, end_ms = reading.extra["predicted_ms"], reading.extra["horizon_end_ms"]
    when = f"runs out ~{clock.time(eta_ms)}" if isinstance(eta_ms, int) else "is out of stock"
    risk = ""
    if reading.money_minor > 0 and isinstance(end_ms, int):
        risk = f" At risk {compact_money(reading.money_minor, context.shop.currency)} by {clock.end(end_ms)}."
    return (
        f"{reading.entity.name}, among the products put into carts most often, {when}"
        f" (first {figures['first_sku']}). {figures['left']} left, {figures['to_add']} to add.{risk}"
    )


OOS_DEMAND: Final = Rule(
    number="A-03",
    key="oos_demand",
    title="High demand, little stock",
    entity="product",
    reads=("orders", "stock"),
    find=find_demanded,
    condition="atc_rate_pdp in the top part of the shop (demand_flag), and its first SKU at risk runs out within"
    " stock.demand_lead_ms",
    minimum="the one of demand_flag, and gmv_at_risk of stock.demand_min_share of the day's goal, else of"
    " yesterday's GMV",
    clears="the first SKU beyond the lead times stock.page_clear_lead, or out of the top stock.demand_clear_share"
    " of the shop, or the money below the least times stock.page_clear_share",
    unit="hours",
    hold_ms=5 * MINUTE_MS,
    clear_ms=30 * MINUTE_MS,
    severity=Severity.WARNING,
    owner=Owner.OPS,
    route=AlertRoute.CHANNEL,
    advice="add stock before it is gone",
    text=_demanded_text,
    runbook="stock-running-out",
    settings=(
        "stock.demand_top_share",
        "stock.demand_clear_share",
        "stock.demand_min_viewers",
        "stock.demand_lead_ms",
        "stock.demand_min_share",
        "stock.page_clear_lead",
        "stock.page_clear_share",
    ),
    sources=("S4-57", "S4-59"),
    closing=_demanded_closing,
)

RULES: Final = (OOS_DEMAND,)
