"""The hourly digest: SKUs that are out or at risk and that nobody was paged for.

Source: spec/alerts.md A-01, route "status and hourly digest".
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from streams.alerts import LISTED_SKUS, Alert, AlertRoute, AlertState, DigestLine, digest_text
from streams.rule import Severity
from streams.rules import DIGEST
from streams.stock import StockStatus

if TYPE_CHECKING:
    from streams.rule_context import RuleContext
    from streams.rules import RuleState

_AT_RISK: Final = frozenset({StockStatus.OUT_OF_STOCK, StockStatus.AT_RISK})


def digest(state: RuleState, context: RuleContext) -> list[Alert]:
    """Return the digest of one shop, once an hour; none at the first evaluation, while a feed is stale, or with nothing
    to say.
    """
    shop, every_ms = context.shop, context.settings.stock.digest_every_ms
    if context.holds(("orders", "stock")):
        return []
    hour = context.now_ms // every_ms
    if state.digest_hours.setdefault(shop.shop_id, hour) == hour:
        return []
    state.digest_hours[shop.shop_id] = hour
    rows = [
        row
        for row in context.stock
        if row.status in _AT_RISK and not any(context.is_open(rule, row.sku_id) for rule in ("A-01", "A-02"))
    ]
    if not rows:
        return []
    # Campaign products first, then by money; the sort keeps the table's order among equals.
    rows.sort(key=lambda row: (not row.campaign_id, -row.gmv_at_risk_minor))
    money_minor = sum(row.gmv_at_risk_minor for row in rows)
    alert = Alert(
        alert_id=f"{shop.shop_id}/-/A-01/digest/{hour * every_ms}",
        rule="A-01",
        key=DIGEST,
        title="Hourly digest",
        entity_kind="shop",
        entity_id=shop.shop_id,
        severity=Severity.NOTE,
        shop_id=shop.shop_id,
        state=AlertState.NOTICE,
        route=AlertRoute.DIGEST,
        opened_at_ms=context.now_ms,
        updated_at_ms=context.now_ms,
        timezone=shop.timezone,
        currency=shop.currency,
        gmv_at_risk_minor=money_minor,
        money_minor=money_minor,
        horizon_end_ms=max(row.horizon_end_ms for row in rows),
        lines=tuple(
            DigestLine(row.sku_id, row.name, row.status.value, row.on_hand, row.eta_ms, row.gmv_at_risk_minor)
            for row in rows[:LISTED_SKUS]
        ),
        more=max(0, len(rows) - LISTED_SKUS),
    )
    return [dataclasses.replace(alert, message=digest_text(alert))]
