"""Rules on sales as they come in: orders that stop, prices that slip, cancellations that rise.

A-77 and A-78 page: both are about a mistake of the last ten minutes that costs money until somebody mends it.

Source: spec/alerts.md A-63, A-77, A-78; X-18, X-82.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl
from scipy.special import pdtr

from streams.alerts import clean_name
from streams.days import MINUTE_MS
from streams.metrics_sales import gmv_minor
from streams.money import compact_money
from streams.query import run
from streams.request import Request
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity
from streams.rule_price import PRICE_SLIP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.rule_context import RuleContext

_FEWEST_WINDOWS: Final = 3
"""A baseline shorter than so many windows says too little of what is usual."""


def find_cancel_spike(context: RuleContext) -> Iterable[Reading]:
    """Hold today's cancellation share against that of the finished days before (A-63).

    Today's orders have had less time to be cancelled than those before, so the share of today errs to the low side:
    what fires has risen, what has risen may fire late.
    """
    numbers = context.settings.rules
    today = _orders_and_cancelled(context, "today")
    if today is None:
        return
    orders, cancelled = today
    # A feed that began today has no days before.
    orders_before, cancelled_before = _orders_and_cancelled(context, f"last:{numbers.cancel_days}d") or (0, 0)
    least = numbers.cancel_min_orders
    level = cancelled_before / orders_before if orders_before else None
    share = cancelled / orders if orders else None
    # One cancellation more than there were: a level of 0 from few orders does not make the first one improbable.
    expected = orders * (cancelled_before + 1) / orders_before if orders_before else 0.0
    chance = _chance_of_at_least(cancelled, expected)
    if share is None or level is None or min(orders, orders_before) < least:
        judgement = Judgement.THIN
    elif share > level * numbers.cancel_factor and chance < numbers.cancel_chance:
        judgement = Judgement.FIRES
    elif share <= level * numbers.cancel_clear_factor or not cancelled:
        judgement = Judgement.CLEAR
    else:
        judgement = Judgement.BETWEEN
    yield Reading(
        entity=_shop(context),
        judgement=judgement,
        value=None if share is None else share * 100,
        threshold=None if level is None else level * numbers.cancel_factor * 100,
        clearing=None if level is None else level * numbers.cancel_clear_factor * 100,
        volume=min(orders, orders_before),
        minimum=least,
        figures={
            "orders": orders,
            "cancelled": cancelled,
            "orders_before": orders_before,
            "cancelled_before": cancelled_before,
            "level_pct": None if level is None else level * 100,
            "chance": chance,
        },
    )


def _orders_and_cancelled(context: RuleContext, window: str) -> tuple[int, int] | None:
    """Return orders paid in the window and how many of them are cancelled by now; None without an order feed."""
    request = Request(metrics=("orders", "cancel_rate"), window=window, shop=context.shop.shop_id)
    row = run(context.columns, request, now_ms=context.now_ms).rows[0]
    if row["orders"] is None:
        return None
    return row["orders"], round((row["cancel_rate"] or 0.0) * row["orders"])


def _chance_of_at_least(count: int, expected: float) -> float:
    return 1.0 if count <= 0 else float(1.0 - pdtr(count - 1, expected))


def _cancel_text(reading: Reading, context: RuleContext) -> str:
    figures = reading.figures
    return (
        f"{reading.value or 0:.1f}% of today's orders are cancelled ({figures['cancelled']:,} of "
        f"{figures['orders']:,}); the {context.settings.rules.cancel_days} days before had {figures['level_pct']:.1f}%."
    )


@dataclass(frozen=True, slots=True)
class _Flow:
    """Clicks, orders and their GMV in a span of time."""

    length_ms: int
    clicks: int
    orders: int
    gmv_minor: int
    last_order_ms: int | None


def find_sales_stop(context: RuleContext) -> Iterable[Reading]:
    """Hold the orders of the last minutes against the clicks that they should have come from (A-77).

    Expected are clicks x orders per click of the baseline before. Orders, not SKU orders as CTOR has them: two SKUs of
    one basket come or fail together, and would make chance look smaller than it is. Clicks beyond their own pace of
    the baseline do not raise what is expected: bots click and do not buy, and neither do the first minutes of a rush.
    For the same reason a hole in the clicks of the baseline, which makes every click look better, changes nothing.

    The shop only. By stream it would take clicks by content and minute, and no cube keeps these (design, decision 2).
    """
    numbers = context.settings.rules
    entity = _shop(context)
    columns, shop_id = context.columns, context.shop.shop_id
    since_ms = columns.source_since_ms(shop_id, "clicks")
    if since_ms is None or columns.source_since_ms(shop_id, "orders") is None:
        return
    alive_ms = columns.heartbeat_until_ms(shop_id, "orders")
    known_ms = columns.as_of_ms(shop_id, ("orders", "clicks"), context.now_ms)
    # Clicks are kept by the minute; a minute that is not over would miss clicks and orders alike.
    end_ms = min(known_ms, context.now_ms if alive_ms is None else alive_ms) // MINUTE_MS * MINUTE_MS
    if alive_ms is None or context.now_ms - end_ms > context.settings.board.stale_after_ms:
        # Without a heartbeat of the order feed, no orders and no feed look the same.
        yield Reading(entity, Judgement.HELD, figures={"orders_alive_until_ms": alive_ms})
        return
    window_ms = numbers.stop_window_ms // MINUTE_MS * MINUTE_MS
    begin_ms = end_ms - window_ms
    baseline_ms = min(numbers.stop_baseline_ms, begin_ms - since_ms) // MINUTE_MS * MINUTE_MS
    if baseline_ms < _FEWEST_WINDOWS * window_ms:
        yield Reading(entity, Judgement.THIN, volume=0, minimum=numbers.stop_min_expected)
        return
    before = _flow(context, begin_ms - baseline_ms, begin_ms)
    now = _flow(context, begin_ms, end_ms)
    expected = _expected(before, now)
    chance = float(pdtr(now.orders, expected))
    # Orders that come are a sign of life at any volume; a pause of clicks is none.
    if now.orders and now.orders >= expected * numbers.stop_clear_share:
        judgement = Judgement.CLEAR
    elif expected < numbers.stop_min_expected:
        judgement = Judgement.THIN
    elif chance < numbers.stop_chance and now.orders <= expected * numbers.stop_most_share:
        judgement = Judgement.FIRES
    else:
        judgement = Judgement.BETWEEN
    price_minor = before.gmv_minor / before.orders if before.orders else 0.0
    yield Reading(
        entity=entity,
        judgement=judgement,
        value=now.orders,
        threshold=expected * numbers.stop_most_share,
        clearing=expected * numbers.stop_clear_share,
        volume=expected,
        minimum=numbers.stop_min_expected,
        money_minor=round(max(0.0, expected - now.orders) * price_minor),
        figures={
            "orders": now.orders,
            "clicks": now.clicks,
            "expected_orders": expected,
            "chance": chance,
            "window_end_ms": end_ms,
            "last_order_ms": before.last_order_ms if now.last_order_ms is None else now.last_order_ms,
            "orders_before": before.orders,
            "clicks_before": before.clicks,
        },
    )


def _expected(before: _Flow, now: _Flow) -> float:
    """Return the orders that the clicks of now should bring, never more than the pace of the baseline brings."""
    if not before.clicks:
        return 0.0
    usual_clicks = before.clicks * now.length_ms / before.length_ms
    return before.orders / before.clicks * min(float(now.clicks), usual_clicks)


def _flow(context: RuleContext, from_ms: int, to_ms: int) -> _Flow:
    """Return what was clicked and ordered from one full minute to another."""
    shop_id = context.shop.shop_id
    clicks = context.columns.cube("shop_minute", shop_id).filter(
        (pl.col("event_type") == "product_click") & pl.col("bucket").is_between(from_ms, to_ms, closed="left")
    )
    lines = context.columns.order_lines(shop_id).filter(
        pl.col("paid_at_ms").is_between(from_ms, to_ms, closed="left")
    )
    return _Flow(
        to_ms - from_ms,
        int(clicks.get_column("count").sum()),
        lines.get_column("order_id").n_unique(),
        int(lines.select(gmv_minor(context.shop).sum()).item()),
        lines.select(pl.col("paid_at_ms").max()).item(),
    )


def _stop_text(reading: Reading, context: RuleContext) -> str:
    figures, clock = reading.figures, context.clock
    end_ms, last_ms = (int(figures[name] or 0) for name in ("window_end_ms", "last_order_ms"))
    minutes = context.settings.rules.stop_window_ms // MINUTE_MS
    money = compact_money(reading.money_minor, context.shop.currency)
    return (
        f"Clicks go on and orders stop: {figures['orders']:,} orders in the {minutes} minutes to {clock.time(end_ms)}, "
        f"~{reading.volume or 0:,.0f} expected from {figures['clicks']:,} clicks. The last one came at "
        f"{clock.time(last_ms)}, and the order feed is alive. About {money} not sold."
    )


def _shop(context: RuleContext) -> Entity:
    shop = context.shop
    return Entity("shop", shop.shop_id, clean_name(shop.name or shop.shop_id))


CANCEL_SPIKE: Final = Rule(
    number="A-63",
    key="cancel_spike",
    title="Cancellation share unusual",
    entity="shop",
    reads=("orders",),
    find=find_cancel_spike,
    condition=(
        "share of today's orders that are cancelled by now > rules.cancel_factor x the same share of the last "
        "rules.cancel_days finished days, and so many less likely than rules.cancel_chance at that level (Poisson)"
    ),
    minimum="rules.cancel_min_orders orders today, and in the days before",
    clears="share at or below rules.cancel_clear_factor x that of the days before",
    unit="%",
    hold_ms=5 * MINUTE_MS,
    clear_ms=10 * MINUTE_MS,
    severity=Severity.WARNING,
    owner=Owner.OPS,
    route=AlertRoute.CHANNEL,
    advice="read the reasons of the cancelled orders, check stock and prices of their products",
    text=_cancel_text,
    runbook="cancellations-rise",
    settings=(
        "rules.cancel_factor",
        "rules.cancel_clear_factor",
        "rules.cancel_days",
        "rules.cancel_min_orders",
        "rules.cancel_chance",
    ),
    sources=("S2-47",),
)

SALES_STOP: Final = Rule(
    number="A-77",
    key="sales_stop",
    title="Clicks go on, orders stop",
    entity="shop",
    reads=("orders", "clicks"),
    find=find_sales_stop,
    condition=(
        "orders of the last rules.stop_window_ms less likely than rules.stop_chance (Poisson), and at most "
        "rules.stop_most_share of those expected: clicks, up to their pace of the rules.stop_baseline_ms before, x "
        "orders per click of that time; a heartbeat says that the order feed is alive"
    ),
    minimum="rules.stop_min_expected orders expected",
    clears="orders come again, at least rules.stop_clear_share of those expected",
    unit="orders",
    hold_ms=MINUTE_MS,
    clear_ms=5 * MINUTE_MS,
    severity=Severity.PAGE,
    owner=Owner.OPS,
    route=AlertRoute.PAGE,
    advice="place a test order, check checkout, payment and listing status, ack",
    text=_stop_text,
    runbook="orders-stop",
    settings=(
        "rules.stop_window_ms",
        "rules.stop_baseline_ms",
        "rules.stop_chance",
        "rules.stop_min_expected",
        "rules.stop_most_share",
        "rules.stop_clear_share",
        "board.stale_after_ms",
    ),
    sources=("S2-06", "S4-04"),
)

RULES: Final[tuple[Rule, ...]] = (CANCEL_SPIKE, SALES_STOP, PRICE_SLIP)
"""The rules on sales."""
