"""Every rule that runs, in the order in which they look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streams import (
    rule_ads,
    rule_audit,
    rule_bands,
    rule_benchmarks,
    rule_buyers,
    rule_content,
    rule_demand,
    rule_feeds,
    rule_goals,
    rule_growth,
    rule_page_views,
    rule_products,
    rule_push,
    rule_sales,
    rule_stock,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from streams.rule import Rule
    from streams.settings import Settings

RULES: Final[tuple[Rule, ...]] = (
    *rule_stock.RULES,
    *rule_demand.RULES,
    *rule_goals.RULES,
    *rule_sales.RULES,
    *rule_products.RULES,
    *rule_content.RULES,
    *rule_push.RULES,
    *rule_audit.RULES,
    *rule_buyers.RULES,
    *rule_page_views.RULES,
    *rule_bands.RULES,
    *rule_growth.RULES,
    *rule_benchmarks.RULES,
    *rule_ads.RULES,
    *rule_feeds.RULES,
)
"""By concern; inside a concern a rule that asks for another one's incident comes after it."""


def rules_of(settings: Settings) -> tuple[Rule, ...]:
    """Return the rules that are not switched off (`rules.off`)."""
    return tuple(rule for rule in RULES if rule.number not in settings.rules.off)


def rule_of(name: str) -> Rule | None:
    """Return a rule by its number or key, `A-41` or `goal_behind`; None when no rule is called so."""
    return next((rule for rule in RULES if name.casefold() in (rule.number.casefold(), rule.key)), None)


def beside(numbers: Collection[str], rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Return the rules with these numbers and those whose incidents they may ask for: of the same kind of entity."""
    kinds = {rule.entity for rule in RULES if rule.number in numbers}
    return tuple(rule for rule in rules if rule.entity in kinds)
