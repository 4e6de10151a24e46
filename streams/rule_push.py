"""Rule on new content that changed nothing: as few of the clicks on its products buy after it as before (A-62).

Source: spec/alerts.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streams.alerts import clean_name
from streams.days import HOUR_MS, MINUTE_MS
from streams.query_audience import PUSH_MS, PushParts
from streams.request import Request
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from streams.rule_context import RuleContext


def find_pushes_without_lift(context: RuleContext) -> Iterable[Reading]:
    """Look at each content that went up lately, and at each product over all such content that features it (A-62)."""
    for entity, parts in _pushed(context):
        lift = parts.lift()
        least = context.settings.rules.rate_min_divisor
        clicks = min(parts.clicks_before, parts.clicks_after)
        if clicks < least or lift is None:
            # Without an order before, any hour after is as good or better: nothing to compare with.
            judgement = Judgement.THIN
        else:
            judgement = Judgement.FIRES if lift <= 0 else Judgement.CLEAR
        yield Reading(
            entity=entity,
            judgement=judgement,
            value=None if lift is None else lift * 100,
            threshold=0,
            clearing=0,
            volume=clicks,
            minimum=least,
            figures=parts._asdict(),
        )


def _pushed(context: RuleContext) -> Iterator[tuple[Entity, PushParts]]:
    contents = context.columns.content(context.shop.shop_id).contents()
    titles = dict(contents.select("content_id", "title").rows())
    for row in context.pushes(_request(context, "content")):
        name = clean_name(titles.get(row["content"]) or row["content"])
        yield Entity("content", row["content"], name), row["parts"]
    for row in context.pushes(_request(context, "product")):
        product_id = row["product"]
        name = context.product_name(product_id)
        yield Entity("product", product_id, name, product_id=product_id), row["parts"]


def _request(context: RuleContext, dim: str) -> Request:
    """Return the question for the lift of what went up lately, as far as the hour before is surely kept."""
    kept_ms = context.settings.fold.minute_hours * HOUR_MS - 2 * PUSH_MS
    minutes = max(1, min(context.settings.rules.push_told_ms, kept_ms) // MINUTE_MS)
    return Request(("content_push_lift",), by=(dim,), window=f"last:{minutes}m")


def _text(reading: Reading, _: RuleContext) -> str:
    parts, name = reading.figures, reading.entity.name
    before, after = (
        int(parts[f"sold_{when}"] or 0) / int(parts[f"clicks_{when}"] or 1) for when in ("before", "after")
    )
    what = (
        f"'{name}' went up, and {after:.1%} of the clicks on its products"
        if reading.entity.kind == "content"
        else f"New content features {name}, and {after:.1%} of its clicks"
    )
    return f"{what} became orders in the hour after; {before:.1%} did in the hour before."


PUSH_NO_LIFT: Final = Rule(
    number="A-62",
    key="push_no_lift",
    title="New content that changed nothing",
    entity="content",
    reads=("content", "clicks", "orders"),
    find=find_pushes_without_lift,
    condition="content_push_lift 0 or below: of a content that went up in the last rules.push_told_ms, and of a "
    "product over all such content that features it",
    minimum="rules.rate_min_divisor product_clicks in the hour before and in the hour after, and an order before",
    clears="above 0; rules.push_told_ms after it went up it is closed",
    unit="%",
    hold_ms=15 * MINUTE_MS,
    clear_ms=HOUR_MS,
    severity=Severity.NOTE,
    owner=Owner.CONTENT,
    route=AlertRoute.PANEL,
    advice="look at the offer and the product page, or push another product",
    text=_text,
    runbook="",
    settings=("rules.push_told_ms", "rules.rate_min_divisor"),
    sources=("S2-46",),
)

RULES: Final[tuple[Rule, ...]] = (PUSH_NO_LIFT,)
"""The rule on what a push brought."""
