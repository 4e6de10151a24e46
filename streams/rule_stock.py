"""The rules on stock: A-01 will run out, A-02 is out.

Source: spec/alerts.md A-01, A-02; X-34, X-35, X-83.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

from streams.alerts import (
    Alert,
    AlertRoute,
    AlertState,
    Resolution,
    clean_name,
    stock_closing,
    stock_opening,
)
from streams.days import HOUR_MS, MINUTE_MS
from streams.page_facts import empty_spells
from streams.rule import Entity, Judgement, Owner, Reading, Rule, Severity
from streams.stock import SkuStock, StockStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.rule_context import RuleContext
    from streams.settings import StockSettings

_STOCK_PAGES: Final = frozenset({"A-01", "A-02"})
_ADVICE: Final = "add stock, ack, why"
_LIVE_ADVICE: Final = "add stock, unpin, ack, why"
"""Only what a LIVE sells can be unpinned."""


def find_forecasts(context: RuleContext) -> Iterator[Reading]:
    """Yield what A-01 finds of each SKU: the late end of its interval against the page's lead (X-83)."""
    settings, now_ms = context.settings.stock, context.now_ms
    lead_h, rung = settings.page_lead_ms / HOUR_MS, _rung(context, cleared=True)
    for row in context.stock:
        late_h = None if row.eta_high_ms is None else (row.eta_high_ms - now_ms) / HOUR_MS
        extra, own = _extra(row), context.incident("A-01", row.sku_id)
        if row.status is StockStatus.UNKNOWN:
            judgement = Judgement.HELD
        elif row.horizon_end_ms <= now_ms:
            judgement = Judgement.ENDED
        elif row.status is StockStatus.OUT_OF_STOCK:
            # Whoever was called is not told "resolved" when it gets worse: it stays open until the SKU is back.
            judgement = Judgement.BETWEEN
            extra |= (
                _selling(row, context) | _foretold(row, context) | {"actual_ms": row.out_since_ms or now_ms}
            )
        elif (
            _relaxed(row, context)
            or row.gmv_at_risk_minor < context.page_minimum_minor * settings.page_clear_share
        ):
            judgement = Judgement.CLEAR
            extra["resolution"] = _relief(row, own)
        elif row.recent_buyers < settings.page_min_sales:
            judgement = Judgement.THIN
        elif late_h is not None and late_h <= lead_h and row.gmv_at_risk_minor >= context.page_minimum_minor:
            judgement = Judgement.FIRES
            extra |= _selling(row, context) | {
                "predicted_ms": row.eta_ms,
                "predicted_low_ms": row.eta_low_ms,
                "predicted_high_ms": row.eta_high_ms,
            }
        else:
            judgement = Judgement.BETWEEN
        yield Reading(
            entity=_entity(row),
            judgement=judgement,
            value=late_h,
            threshold=lead_h,
            clearing=lead_h * settings.page_clear_lead,
            volume=row.recent_buyers,
            minimum=settings.page_min_sales,
            money_minor=row.gmv_at_risk_minor,
            figures=_figures(row, context),
            extra=extra,
            news="actual_ms" in extra and own is not None and own.actual_ms is None,
            **_bell(row, own, rung, settings),
        )


def _relaxed(row: SkuStock, context: RuleContext) -> bool:
    """Return whether a SKU is no longer about to run out: its late end is far off, and its middle beyond the lead.

    A late end jumps from this evening to tomorrow morning across a night in which little sells: by itself it would say
    "no longer about to run out" of what is expected to go within the hour.
    """
    settings = context.settings.stock
    far_ms = context.now_ms + round(settings.page_lead_ms * settings.page_clear_lead)
    beyond_ms = context.now_ms + settings.page_lead_ms
    return (row.eta_high_ms is None or row.eta_high_ms > far_ms) and (
        row.eta_ms is None or row.eta_ms > beyond_ms
    )


def find_empty(context: RuleContext) -> Iterator[Reading]:
    """Yield what A-02 finds of each SKU: out of stock, and worth a page (X-83)."""
    settings, rung = context.settings.stock, _rung(context, cleared=False)
    for row in context.stock:
        extra = _extra(row)
        if row.status is StockStatus.UNKNOWN:
            judgement = Judgement.HELD
        elif row.status is not StockStatus.OUT_OF_STOCK:
            judgement = Judgement.CLEAR
            extra["resolution"] = Resolution.RESTOCKED
        elif row.horizon_end_ms <= context.now_ms:
            judgement = Judgement.ENDED
        elif row.recent_buyers < settings.page_min_sales:
            judgement = Judgement.THIN
        elif row.gmv_at_risk_minor >= context.page_minimum_minor:
            judgement = Judgement.FIRES
            extra |= _selling(row, context) | _foretold(row, context) | {"actual_ms": row.out_since_ms}
        else:
            judgement = Judgement.BETWEEN
        yield Reading(
            entity=_entity(row),
            judgement=judgement,
            value=row.on_hand,
            threshold=0,
            clearing=1,
            volume=row.recent_buyers,
            minimum=settings.page_min_sales,
            money_minor=row.gmv_at_risk_minor,
            figures=_figures(row, context),
            extra=extra,
            **_bell(row, context.incident("A-02", row.sku_id), rung, settings),
        )


class _Bell(TypedDict):
    severity: Severity | None
    route: AlertRoute | None


class _Rung(NamedTuple):
    """What somebody was paged for before this look and is busy with.

    Attributes:
        products: with a page that is open, or closed not long ago.
        money_minor: by campaign, the most money at risk that a page opened for not long ago.
    """

    products: frozenset[str]
    money_minor: dict[str, int]


def _rung(context: RuleContext, *, cleared: bool) -> _Rung:
    """Return what rang, with or without pages that were called off since: of these nobody is busy any more."""
    quiet_since_ms = context.now_ms - context.settings.stock.page_quiet_ms
    # What pages at this very look leaves as one message.
    pages = [
        alert
        for alert in context.incidents.values()
        if alert.rule in _STOCK_PAGES
        and alert.shop_id == context.shop.shop_id
        and alert.route is AlertRoute.PAGE
        and alert.opened_at_ms < context.now_ms
        and (cleared or alert.resolution is not Resolution.EASED)
    ]
    money_minor: dict[str, int] = {}
    for page in pages:
        if page.opened_at_ms > quiet_since_ms:
            most = money_minor.get(page.campaign_id, 0)
            money_minor[page.campaign_id] = max(most, page.gmv_at_risk_minor)
    lately = (page for page in pages if page.resolved_at_ms is None or page.resolved_at_ms > quiet_since_ms)
    return _Rung(frozenset(page.product_id for page in lately), money_minor)


def _bell(row: SkuStock, own: Alert | None, rung: _Rung, settings: StockSettings) -> _Bell:
    """Return how loud it is: what is open stays as it began, and where somebody is busy the channel is enough."""
    if own is not None and own.state is AlertState.OPEN:
        return {"severity": own.severity, "route": own.route}
    # What has been out for hours and is worth a page only now is no news that somebody must get up for.
    old = row.out_since_ms is not None and row.as_of_ms - row.out_since_ms > settings.page_quiet_ms
    small = row.gmv_at_risk_minor < rung.money_minor.get(row.campaign_id, 0) * settings.page_louder
    if old or small or row.product_id in rung.products:
        return {"severity": Severity.WARNING, "route": AlertRoute.CHANNEL}
    return {"severity": None, "route": None}


def missed_empty(context: RuleContext, from_ms: int, to_ms: int) -> Iterator[Reading]:
    """Yield the SKUs that ran out and were restocked between two instants, as far as the kept levels tell."""
    rows = {row.sku_id: row for row in context.stock}
    for sku_id, out_ms, back_ms in empty_spells(context.columns, context.shop, from_ms, to_ms):
        row = rows.get(sku_id)
        if row is not None and row.status is not StockStatus.OUT_OF_STOCK:
            yield Reading(
                entity=_entity(row),
                judgement=Judgement.FIRES,
                figures=_figures(row, context),
                extra={
                    "opened_at_ms": out_ms,
                    "updated_at_ms": back_ms,
                    "resolved_at_ms": back_ms,
                    "actual_ms": out_ms,
                    "on_hand": row.on_hand,
                },
            )


def _empty_text(reading: Reading, context: RuleContext) -> str:
    ended_ms = reading.extra.get("resolved_at_ms")
    if isinstance(ended_ms, int):
        began_ms = reading.extra["opened_at_ms"]
        spell = f"{context.clock.time(int(str(began_ms)))} to {context.clock.time(ended_ms)}"
        return f"{reading.entity.name} was out of stock from {spell}, seen only afterwards."
    return stock_opening(_as_alert("A-02", reading, context))


def _forecast_text(reading: Reading, context: RuleContext) -> str:
    return stock_opening(_as_alert("A-01", reading, context))


def _as_alert(rule: str, reading: Reading, context: RuleContext) -> Alert:
    """Return the reading as the sentences about stock want it."""
    shop = context.shop
    fields: dict[str, Any] = {"name": clean_name(reading.entity.name), **reading.extra}
    return Alert(
        alert_id="",
        rule=rule,
        shop_id=shop.shop_id,
        state=AlertState.OPEN,
        route=AlertRoute.PAGE,
        opened_at_ms=context.now_ms,
        updated_at_ms=context.now_ms,
        timezone=shop.timezone,
        currency=shop.currency,
        **fields,
    )


def _entity(row: SkuStock) -> Entity:
    return Entity("sku", row.sku_id, row.name, row.campaign_id, row.product_id, row.sku_id)


def _extra(row: SkuStock) -> dict[str, object]:
    return {
        "on_hand": row.on_hand,
        "velocity_per_h": row.velocity_per_h,
        "gmv_at_risk_minor": row.gmv_at_risk_minor,
        "gmv_at_risk_low_minor": row.gmv_at_risk_low_minor,
        "gmv_at_risk_high_minor": row.gmv_at_risk_high_minor,
        "horizon_end_ms": row.horizon_end_ms,
        "stock_as_of_ms": row.stock_as_of_ms,
    }


def _figures(row: SkuStock, context: RuleContext) -> dict[str, int | float | str | None]:
    return {
        "status": row.status.value,
        "to_add": row.replenish_units,
        "price_minor": row.price_minor,
        "buyers_in_window": row.recent_buyers,
        "page_from_minor": context.page_minimum_minor,
    }


def _selling(row: SkuStock, context: RuleContext) -> dict[str, object]:
    """Return what sells the SKU, and the advice that follows from it."""
    seller = context.sold_by.get(row.sku_id)
    live = seller is not None and seller.kind == "LIVE"
    return {"sold_by": seller, "advice": _LIVE_ADVICE if live else _ADVICE}


def _foretold(row: SkuStock, context: RuleContext) -> dict[str, object]:
    """Return what A-01 foretold of this run-out: a forecast that had closed before it began was of another one."""
    alert = context.incident("A-01", row.sku_id)
    if alert is None:
        return {}
    if alert.resolved_at_ms is not None and alert.resolved_at_ms < (row.out_since_ms or 0):
        return {}
    return {
        "predicted_ms": alert.predicted_ms,
        "predicted_low_ms": alert.predicted_low_ms,
        "predicted_high_ms": alert.predicted_high_ms,
    }


def _relief(row: SkuStock, opened: Alert | None) -> Resolution:
    """Return why a forecast clears: more on hand than when it opened was brought there by somebody."""
    before = 0 if opened is None else opened.on_hand or 0
    return Resolution.RESTOCKED if (row.on_hand or 0) > before else Resolution.EASED


RULES: Final = (
    Rule(
        number="A-01",
        key="oos_forecast",
        title="Will run out",
        entity="sku",
        reads=("orders", "stock"),
        find=find_forecasts,
        condition="the late end of the 80 % interval lies within stock.page_lead_ms, and gmv_at_risk is at least"
        " stock.page_min_share of the day's goal, else of yesterday's GMV",
        minimum="stock.page_min_sales customers who bought it in stock.page_sales_window_ms",
        clears="the late end beyond the lead times stock.page_clear_lead and the middle beyond the lead, or the money"
        " below the least times stock.page_clear_share; not while it is out; at once when its campaign ends",
        unit="hours",
        hold_ms=MINUTE_MS,
        clear_ms=10 * MINUTE_MS,
        severity=Severity.PAGE,
        owner=Owner.OPS,
        route=AlertRoute.PAGE,
        advice=_ADVICE,
        text=_forecast_text,
        runbook="stock-running-out",
        settings=(
            "stock.page_lead_ms",
            "stock.page_min_share",
            "stock.page_min_sales",
            "stock.page_sales_window_ms",
            "stock.page_clear_lead",
            "stock.page_clear_share",
            "stock.page_quiet_ms",
            "stock.page_louder",
        ),
        sources=("S4-04", "S4-59"),
        closing=stock_closing,
    ),
    Rule(
        number="A-02",
        key="oos_now",
        title="Out of stock",
        entity="sku",
        reads=("orders", "stock"),
        find=find_empty,
        condition="stock_on_hand <= 0, and gmv_at_risk is at least stock.page_min_share of the day's goal, else of"
        " yesterday's GMV",
        minimum="stock.page_min_sales customers who bought it in stock.page_sales_window_ms before it ran out",
        clears="in stock again; at once when its campaign ends",
        unit="units",
        hold_ms=0,
        clear_ms=10 * MINUTE_MS,
        severity=Severity.PAGE,
        owner=Owner.OPS,
        route=AlertRoute.PAGE,
        advice=_ADVICE,
        text=_empty_text,
        runbook="stock-running-out",
        settings=(
            "stock.page_min_share",
            "stock.page_min_sales",
            "stock.page_sales_window_ms",
            "stock.page_quiet_ms",
            "stock.page_louder",
        ),
        sources=("S4-58", "S4-60"),
        closing=stock_closing,
        missed=missed_empty,
    ),
)
"""A-02 after A-01: it says what A-01 had foretold."""
