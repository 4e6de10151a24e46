"""The monthly audit of listings and captions (A-07): a reminder on the first days of each month.

Source: spec/alerts.md A-07; S5-49. An update of the platform's policies is no event that a source gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streams.days import HOUR_MS, day_label
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.rule_context import RuleContext

REMINDED_DAYS: Final = 3
"""The reminder stands on the first days of a month: a board that was down on the first says it on the second."""


def find_audit(context: RuleContext) -> Iterable[Reading]:
    """Look whether a month has begun in which the shop's listings and captions are to be audited."""
    shop_id = context.shop.shop_id
    if all(context.columns.source_since_ms(shop_id, topic) is None for topic in ("products", "content")):
        return
    month, _, day = day_label(context.columns.calendar(shop_id).day_of(context.now_ms)).rpartition("-")
    if int(day) <= REMINDED_DAYS:
        name = context.shop.name or shop_id
        yield Reading(Entity("shop", f"{shop_id}/{month}", name), Judgement.FIRES, int(day), REMINDED_DAYS)


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        number="A-07",
        key="audit_due",
        title="Monthly audit is due",
        entity="shop",
        reads=(),
        find=find_audit,
        condition=f"day 1 to {REMINDED_DAYS} of a month, for a shop with products or content",
        minimum="",
        clears="never: said once a month",
        unit="day of the month",
        hold_ms=0,
        clear_ms=HOUR_MS,
        severity=Severity.NOTE,
        owner=Owner.CONTENT,
        route=AlertRoute.CHANNEL,
        advice="audit listings and captions; read the platform's guidelines again after a policy update",
        text=lambda reading, _: (
            f"The monthly audit of listings and captions of {reading.entity.name} is due."
        ),
        runbook="content-violations",
        settings=(),
        sources=("S5-49",),
        once=True,
    ),
)
