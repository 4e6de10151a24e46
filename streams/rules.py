"""The stock-out rules: who is paged, what waits for the hourly digest, when an incident closes.

    held          a topic that the rule reads is stale, or a SKU's level is unknown: nothing opens, nothing closes
    A-01 page     late end of the interval within the lead, enough money, enough sales (X-83), for `HOLD_MS`
    A-02 page     out of stock, and of the same value
    digest        every other SKU that is out or at risk, once an hour
    closing       ran out (the real time goes beside the predicted one), restocked, eased, campaign over

Opening needs the page's condition, closing a clearing level further away, each for a while: one incident opens once
and closes once. State is rebuilt from the alerts topic; a hold that was running starts again after a restart.

Source: spec/alerts.md A-01, A-02, "Rules about rules"; X-35, X-83.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from streams.alerts import (
    LISTED_SKUS,
    Alert,
    AlertRoute,
    AlertState,
    DigestLine,
    Resolution,
    SoldBy,
    message_of,
)
from streams.atoms import KINDS
from streams.days import MINUTE_MS, BusinessCalendar, day_label
from streams.goals import day_goal, gmv_of_day
from streams.rule import Severity
from streams.stock import SkuStock, StockStatus

if TYPE_CHECKING:
    from streams.columns import Columns
    from streams.settings import ShopSettings, StockSettings

HOLD_MS: Final = MINUTE_MS
"""The page's condition must hold for this long: one large basket is not a trend."""

CLEAR_MS: Final = 10 * MINUTE_MS
"""The clearing condition must hold for this long: a cancelled order puts one unit back for a minute."""

CLEAR_LEAD: Final = 1.5
"""An open page clears when the late end is further away than the lead times this."""

CLEAR_VALUE: Final = 0.5
"""Or when the money at risk is less than the minimum times this."""

_KEYS: Final = {"A-01": "oos_forecast", "A-02": "oos_now"}
_TITLES: Final = {"A-01": "Will run out", "A-02": "Out of stock"}
_AT_RISK: Final = frozenset({StockStatus.OUT_OF_STOCK, StockStatus.AT_RISK})


@dataclass(frozen=True, slots=True)
class RuleInput:
    """One shop's facts at the head of its feed.

    Attributes:
        rows: the stock table at the same instant.
        page_min_value_minor: X-83, see `page_minimum`; a page needs at least one minor unit.
        stale: topics that are stale (X-82).
        sold_by: the content that sells most of a SKU; asked only when a page opens.
    """

    shop: ShopSettings
    settings: StockSettings
    rows: Sequence[SkuStock]
    page_min_value_minor: int
    stale: frozenset[str]
    sold_by: Callable[[str], SoldBy | None]


_Incident = tuple[str, str, str]
"""Shop, rule, SKU: at most one of them is open."""


class RuleState:
    """What the rules remember: open incidents, running holds, what was said."""

    def __init__(self) -> None:
        self.open: dict[_Incident, Alert] = {}
        self.foretold: dict[tuple[str, str], Alert] = {}
        self.opened: dict[str, int] = {}
        self.digest_hours: dict[str, int] = {}
        self.opening_since: dict[_Incident, int] = {}
        self.clearing_since: dict[_Incident, int] = {}

    @classmethod
    def restored(cls, alerts: Iterable[Alert], settings: StockSettings) -> RuleState:
        """Return the state that has published these alerts, the newest version of each id."""
        state = cls()
        for alert in sorted(alerts, key=lambda each: each.opened_at_ms):
            if alert.state is AlertState.NOTICE:
                state.digest_hours[alert.shop_id] = alert.opened_at_ms // settings.digest_every_ms
                continue
            state._count(alert.alert_id)
            if alert.state is AlertState.OPEN:
                state.open[alert.shop_id, alert.rule, alert.sku_id] = alert
            if alert.rule == "A-01":
                state.foretold[alert.shop_id, alert.sku_id] = alert
        return state

    def new_id(self, shop: ShopSettings, campaign_id: str, rule: str, sku_id: str, now_ms: int) -> str:
        """Return the stable id of an incident that opens now; the second of a day ends in `/2`."""
        day = day_label(BusinessCalendar(shop.timezone).day_of(now_ms))
        base = f"{shop.shop_id}/{campaign_id or '-'}/{rule}/{sku_id}/{day}"
        times = self.opened.get(base, 0) + 1
        alert_id = base if times == 1 else f"{base}/{times}"
        self._count(alert_id)
        return alert_id

    def _count(self, alert_id: str) -> None:
        base, _, last = alert_id.rpartition("/")
        # An id ends in its day, which holds dashes, or in the number of its recurrence.
        known, times = (base, int(last)) if last.isdecimal() else (alert_id, 1)
        self.opened[known] = max(self.opened.get(known, 0), times)

    def forget_holds(self, shop_id: str) -> None:
        """Start all running holds of a shop over."""
        for since in (self.opening_since, self.clearing_since):
            for incident in [key for key in since if key[0] == shop_id]:
                del since[incident]

    def held_for(self, since: dict[_Incident, int], incident: _Incident, now_ms: int) -> int:
        """Return how long a condition holds without a break, starting now if it did not."""
        return now_ms - since.setdefault(incident, now_ms)


def evaluate(state: RuleState, facts: RuleInput, *, now_ms: int) -> list[Alert]:
    """Return the alerts that opened, closed or were said now; `state` takes them in.

    Args:
        state: of all shops; changed.
        facts: of one shop, at the head of its feed: while catching up the rules do not run.
        now_ms: the board's clock, never before that of the last call.
    """
    if facts.stale & {"orders", "stock"}:
        # What was about to open or close may look different when the feed is back.
        state.forget_holds(facts.shop.shop_id)
        return []
    alerts = []
    for row in facts.rows:
        if row.status is not StockStatus.UNKNOWN:
            alerts += _evaluate_sku(state, facts, row, now_ms)
    alerts += _close_vanished(state, facts, now_ms)
    alerts += _digest(state, facts, now_ms)
    return alerts


def _evaluate_sku(state: RuleState, facts: RuleInput, row: SkuStock, now_ms: int) -> list[Alert]:
    alerts = []
    forecast, out = ((row.shop_id, rule, row.sku_id) for rule in ("A-01", "A-02"))
    if row.status is StockStatus.OUT_OF_STOCK:
        state.clearing_since.pop(out, None)
        if forecast in state.open:
            actual_ms = row.out_since_ms if row.out_since_ms is not None else now_ms
            alerts.append(_close(state, forecast, Resolution.RAN_OUT, row, now_ms, actual_ms))
        if out not in state.open and _valuable(facts, row):
            alerts.append(_open(state, facts, "A-02", row, now_ms))
        return alerts

    if out in state.open and state.held_for(state.clearing_since, out, now_ms) >= CLEAR_MS:
        alerts.append(_close(state, out, Resolution.RESTOCKED, row, now_ms))
    if forecast in state.open:
        alerts += _clear_forecast(state, facts, row, now_ms)
    elif _soon(facts, row, now_ms, lead=1.0) and _valuable(facts, row):
        if state.held_for(state.opening_since, forecast, now_ms) >= HOLD_MS:
            alerts.append(_open(state, facts, "A-01", row, now_ms))
    else:
        state.opening_since.pop(forecast, None)
    return alerts


def _clear_forecast(state: RuleState, facts: RuleInput, row: SkuStock, now_ms: int) -> list[Alert]:
    incident = (row.shop_id, "A-01", row.sku_id)
    if row.horizon_end_ms <= now_ms:
        return [_close(state, incident, Resolution.ENDED, row, now_ms)]
    if (
        _soon(facts, row, now_ms, lead=CLEAR_LEAD)
        and row.gmv_at_risk_minor >= facts.page_min_value_minor * CLEAR_VALUE
    ):
        state.clearing_since.pop(incident, None)
        return []
    if state.held_for(state.clearing_since, incident, now_ms) < CLEAR_MS:
        return []
    before = state.open[incident].on_hand
    more = row.on_hand is not None and before is not None and row.on_hand > before
    return [_close(state, incident, Resolution.RESTOCKED if more else Resolution.EASED, row, now_ms)]


def _soon(facts: RuleInput, row: SkuStock, now_ms: int, *, lead: float) -> bool:
    """Return whether the late end of the interval lies within the page's lead times `lead`."""
    return row.eta_high_ms is not None and row.eta_high_ms - now_ms <= facts.settings.page_lead_ms * lead


def _valuable(facts: RuleInput, row: SkuStock) -> bool:
    return (
        row.gmv_at_risk_minor >= max(1, facts.page_min_value_minor)
        and row.recent_units >= facts.settings.page_min_sales
    )


def _open(state: RuleState, facts: RuleInput, rule: str, row: SkuStock, now_ms: int) -> Alert:
    foretold = state.foretold.get((row.shop_id, row.sku_id)) if rule == "A-02" else None
    # A forecast that had closed before this run-out began was of another one.
    if foretold is not None and (foretold.resolved_at_ms or 0) < (row.out_since_ms or 0):
        foretold = None
    alert = _figures(
        Alert(
            alert_id=state.new_id(facts.shop, row.campaign_id, rule, row.sku_id, now_ms),
            rule=rule,
            key=_KEYS[rule],
            title=_TITLES[rule],
            entity_id=row.sku_id,
            runbook="stock",
            shop_id=row.shop_id,
            state=AlertState.OPEN,
            route=AlertRoute.PAGE,
            opened_at_ms=now_ms,
            updated_at_ms=now_ms,
            timezone=facts.shop.timezone,
            currency=facts.shop.currency,
            campaign_id=row.campaign_id,
            sku_id=row.sku_id,
            product_id=row.product_id,
            name=row.name,
            predicted_ms=foretold.predicted_ms if foretold else row.eta_ms,
            predicted_low_ms=foretold.predicted_low_ms if foretold else row.eta_low_ms,
            predicted_high_ms=foretold.predicted_high_ms if foretold else row.eta_high_ms,
            actual_ms=row.out_since_ms if rule == "A-02" else None,
            sold_by=facts.sold_by(row.sku_id),
        ),
        row,
    )
    incident = (row.shop_id, rule, row.sku_id)
    state.open[incident] = alert
    state.opening_since.pop(incident, None)
    if rule == "A-01":
        state.foretold[row.shop_id, row.sku_id] = alert
    return alert


def _figures(alert: Alert, row: SkuStock) -> Alert:
    changed = dataclasses.replace(
        alert,
        on_hand=row.on_hand,
        velocity_per_h=row.velocity_per_h,
        gmv_at_risk_minor=row.gmv_at_risk_minor,
        money_minor=row.gmv_at_risk_minor,
        gmv_at_risk_low_minor=row.gmv_at_risk_low_minor,
        gmv_at_risk_high_minor=row.gmv_at_risk_high_minor,
        horizon_end_ms=row.horizon_end_ms,
        stock_as_of_ms=row.stock_as_of_ms,
    )
    return dataclasses.replace(changed, message=message_of(changed))


def _close(
    state: RuleState,
    incident: _Incident,
    resolution: Resolution,
    row: SkuStock | None,
    now_ms: int,
    actual_ms: int | None = None,
) -> Alert:
    alert = state.open.pop(incident)
    state.clearing_since.pop(incident, None)
    closed = dataclasses.replace(
        alert,
        state=AlertState.RESOLVED,
        updated_at_ms=now_ms,
        resolved_at_ms=now_ms,
        resolution=resolution,
        actual_ms=alert.actual_ms if actual_ms is None else actual_ms,
    )
    closed = (
        _figures(closed, row) if row is not None else dataclasses.replace(closed, message=message_of(closed))
    )
    if alert.rule == "A-01":
        state.foretold[alert.shop_id, alert.sku_id] = closed
    return closed


def _close_vanished(state: RuleState, facts: RuleInput, now_ms: int) -> list[Alert]:
    """Close what is open on SKUs that are no longer listed: their product was deleted."""
    listed = {row.sku_id for row in facts.rows}
    gone = [key for key in state.open if key[0] == facts.shop.shop_id and key[2] not in listed]
    return [_close(state, incident, Resolution.ENDED, None, now_ms) for incident in gone]


def _digest(state: RuleState, facts: RuleInput, now_ms: int) -> list[Alert]:
    """Return the digest of what is at risk or out and was not paged, once an hour; none at the first evaluation."""
    shop, every_ms = facts.shop, facts.settings.digest_every_ms
    hour = now_ms // every_ms
    if state.digest_hours.setdefault(shop.shop_id, hour) == hour:
        return []
    state.digest_hours[shop.shop_id] = hour
    rows = [
        row
        for row in facts.rows
        if row.status in _AT_RISK
        and not any((row.shop_id, rule, row.sku_id) in state.open for rule in ("A-01", "A-02"))
    ]
    if not rows:
        return []
    # Campaign products first, then by money; the sort keeps the table's order among equals.
    rows.sort(key=lambda row: (not row.campaign_id, -row.gmv_at_risk_minor))
    alert = Alert(
        alert_id=f"{shop.shop_id}/-/A-01/digest/{hour * every_ms}",
        rule="A-01",
        key=_KEYS["A-01"],
        title="Stock digest",
        entity_kind="shop",
        entity_id=shop.shop_id,
        severity=Severity.NOTE,
        shop_id=shop.shop_id,
        state=AlertState.NOTICE,
        route=AlertRoute.DIGEST,
        opened_at_ms=now_ms,
        updated_at_ms=now_ms,
        timezone=shop.timezone,
        currency=shop.currency,
        gmv_at_risk_minor=sum(row.gmv_at_risk_minor for row in rows),
        horizon_end_ms=max(row.horizon_end_ms for row in rows),
        lines=tuple(
            DigestLine(row.sku_id, row.name, row.status.value, row.on_hand, row.eta_ms, row.gmv_at_risk_minor)
            for row in rows[:LISTED_SKUS]
        ),
        more=max(0, len(rows) - LISTED_SKUS),
    )
    return [dataclasses.replace(alert, message=message_of(alert))]


def page_minimum(columns: Columns, shop: ShopSettings, settings: StockSettings, *, as_of_ms: int) -> int:
    """Return the least money at risk that pages (X-83): a share of today's goal, else of yesterday's GMV, else 0."""
    goal = day_goal(columns, shop, as_of_ms=as_of_ms)
    if goal is not None:
        return round(goal.goal_minor * settings.page_min_share)
    yesterday = BusinessCalendar(shop.timezone).day_of(as_of_ms) - 1
    return round((gmv_of_day(columns, shop, yesterday) or 0) * settings.page_min_share)


_PLACES: Final = {
    "seller_live": "LIVE",
    "affiliate_live": "LIVE",
    "seller_video": "video",
    "affiliate_video": "video",
    "seller_product_card": "product card",
}


def sold_by(columns: Columns, shop: ShopSettings, sku_id: str, *, from_ms: int, to_ms: int) -> SoldBy | None:
    """Return the content that sold most units of a SKU in an interval; None when its orders name no content."""
    lines = columns.order_lines(shop.shop_id).filter(
        (pl.col("sku_id") == sku_id) & pl.col("paid_at_ms").is_between(from_ms, to_ms)
    )
    if not lines.height:
        return None
    sources = (
        lines.group_by(pl.col("content_id").fill_null(""), pl.col("atom") // 2)
        .agg(pl.col("quantity").sum())
        .sort("quantity", "content_id", "atom", descending=[True, False, False])
    )
    content_id, kind, units = sources.row(0)
    place = _PLACES.get(KINDS[kind])
    if place is None:
        return None
    return SoldBy(place, content_id, units / int(lines.get_column("quantity").sum()))
