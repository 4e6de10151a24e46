"""Rules on ads: return and cost against the bands (A-26 to A-31), ads that few click or that do not sell (A-32, A-33),
another primary account (A-50).

Source: spec/alerts.md.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from streams.alerts import clean_name
from streams.bands import BANDS, bands_of, speaks
from streams.days import HOUR_MS, MINUTE_MS
from streams.metric import Unit
from streams.price_tiers import tier_of
from streams.request import Request
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity
from streams.rule_bands import band_reading, band_rule, bands_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.bands import Band
    from streams.rule_context import RuleContext

GOOD_CTR: Final = 0.01
"""Low end of the CTR band (S5-09), which the guide's pairs of rules use for ads too."""

TIERS: Final = {band.rule: band for band in BANDS if band.metric == "cpp"}
"""Rule -> the band of a price tier (X-46)."""

HIGH_CPC: Final = next(band.high or 0.0 for band in BANDS if band.metric == "cpc")


def of_account(number: str) -> Callable[[RuleContext], Iterable[Reading]]:
    """Return a condition that holds the primary account against the bands of a rule."""

    def find(context: RuleContext) -> Iterable[Reading]:
        account = context.columns.ads(context.shop.shop_id).primary_account()
        if account is None:
            return
        entity = Entity("account", account, clean_name(account))
        for band in bands_by(number, context):
            request = Request((band.metric, "ad_clicks"), window=context.settings.rules.band_window)
            for row in context.rows(request):
                yield band_reading(context, band, entity, row[band.metric], row["ad_clicks"])

    return find


def find_lost_on_refunds(context: RuleContext) -> Iterable[Reading]:
    """Look whether the primary account returns enough before refunds and too little after them (A-28)."""
    columns, numbers = context.columns, context.settings.rules
    account = columns.ads(context.shop.shop_id).primary_account()
    least = next((band.low for band in bands_of("roas", columns.profile(context.shop.shop_id))), None)
    if account is None or least is None:
        return
    for row in context.rows(Request(("roas", "roas_net", "ad_clicks"), window=numbers.band_window)):
        before, after, clicks = row["roas"], row["roas_net"], row["ad_clicks"] or 0
        if clicks < numbers.rate_min_divisor:
            judgement = Judgement.THIN
        elif before is None or after is None:
            judgement = Judgement.HELD
        else:
            judgement = Judgement.FIRES if after < least <= before else Judgement.CLEAR
        yield Reading(
            entity=Entity("account", account, clean_name(account)),
            judgement=judgement,
            value=after,
            threshold=least,
            clearing=least,
            volume=clicks,
            minimum=numbers.rate_min_divisor,
            figures={"roas": before},
        )


def of_tier(number: str) -> Callable[[RuleContext], Iterable[Reading]]:
    """Return a condition that holds what purchases cost against the band of a price tier."""
    return partial(_dear_purchases, TIERS[number])


def _dear_purchases(tier: Band, context: RuleContext) -> Iterable[Reading]:
    """Look for ads of a tier's products whose purchases cost too much."""
    if not speaks(Unit.MONEY, context.shop.currency):
        return
    numbers = context.settings.rules
    cards = context.columns.products(context.shop.shop_id)
    edges = context.settings.board.price_tier_edges
    for row, ad in _ads(context, ("cpp", "ad_purchases")):
        card = cards.get(ad["product_id"])
        if card is None or tier_of(card, edges, context.shop.currency) != tier.tier:
            continue
        cost, purchases = row["cpp"], row["ad_purchases"] or 0
        if cost is None or purchases < numbers.cpp_min_purchases:
            judgement = Judgement.THIN
        else:
            judgement = Judgement.FIRES if tier.is_off(cost) else Judgement.CLEAR
        yield Reading(
            entity=_entity(row["ad"], ad),
            judgement=judgement,
            value=cost,
            threshold=tier.high,
            clearing=tier.high,
            volume=purchases,
            minimum=numbers.cpp_min_purchases,
            figures={"product": clean_name(card.name), "purchases": purchases},
        )


def find_weak_creatives(context: RuleContext) -> Iterable[Reading]:
    """Look for ads that few click and whose clicks are dear (A-32)."""
    if not speaks(Unit.MONEY, context.shop.currency):
        return
    for row, ad in _ads(context, ("cpc", "ad_ctr", "ad_clicks")):
        weak = None
        if row["cpc"] is not None and row["ad_ctr"] is not None:
            weak = row["cpc"] > HIGH_CPC and row["ad_ctr"] < GOOD_CTR
        yield _pair(context, row, ad, weak, value=row["cpc"], threshold=HIGH_CPC)


def find_weak_landings(context: RuleContext) -> Iterable[Reading]:
    """Look for ads that are clicked and do not sell (A-33)."""
    profile = context.columns.profile(context.shop.shop_id)
    least = next((band.low for band in bands_of("roas", profile)), None)
    if least is None:
        return
    for row, ad in _ads(context, ("roas", "ad_ctr", "ad_clicks")):
        weak = None
        if row["roas"] is not None and row["ad_ctr"] is not None:
            weak = row["roas"] < least and row["ad_ctr"] >= GOOD_CTR
        yield _pair(context, row, ad, weak, value=row["roas"], threshold=least)


def _tier_rule(number: str, key: str, title: str, praise: str) -> Rule:
    """Return the rule of a price tier; `praise` is what a cost below its band is."""
    tier = TIERS[number]
    return Rule(
        number=number,
        key=key,
        title=title,
        entity="ad",
        reads=("ads",),
        find=of_tier(number),
        condition=f"cpp of an ad for a product of the {tier.tier} price tier at {tier.high:g} USD or above; in "
        "rules.band_window",
        minimum="rules.cpp_min_purchases purchases",
        clears=f"below {tier.high:g} USD",
        unit="USD",
        hold_ms=15 * MINUTE_MS,
        clear_ms=HOUR_MS,
        severity=Severity.NOTE,
        owner=Owner.ADS,
        route=AlertRoute.PANEL,
        advice="look at the product page and the stock before the ad",
        text=lambda reading, _: (
            f"Ad {reading.entity.name} pays ${reading.value or 0:.2f} for a purchase of {reading.figures['product']}; "
            f"below ${reading.threshold:g} is {praise} for its price."
        ),
        runbook="",
        settings=("rules.cpp_min_purchases", "rules.band_window"),
        sources=(tier.sources,),
    )


def _pair(
    context: RuleContext,
    row: dict[str, Any],
    ad: dict[str, Any],
    weak: bool | None,
    *,
    value: float | None,
    threshold: float,
) -> Reading:
    least, clicks = context.settings.rules.rate_min_divisor, row["ad_clicks"] or 0
    if clicks < least:
        judgement = Judgement.THIN
    elif weak is None:
        judgement = Judgement.HELD
    else:
        judgement = Judgement.FIRES if weak else Judgement.CLEAR
    return Reading(
        entity=_entity(row["ad"], ad),
        judgement=judgement,
        value=value,
        threshold=threshold,
        clearing=threshold,
        volume=clicks,
        minimum=least,
        figures={"ctr_pct": None if row["ad_ctr"] is None else row["ad_ctr"] * 100},
    )


def _ads(context: RuleContext, metrics: tuple[str, ...]) -> Iterable[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the answer and the newest record of each ad of the primary account."""
    records = (
        context.columns.ads(context.shop.shop_id).of_primary().sort("at_ms").unique("ad_id", keep="last")
    )
    known = {record["ad_id"]: record for record in records.iter_rows(named=True)}
    for row in context.rows(Request(metrics, by=("ad",), window=context.settings.rules.band_window)):
        if row["ad"] in known:
            yield row, known[row["ad"]]


def _entity(ad_id: str, ad: dict[str, Any]) -> Entity:
    return Entity("ad", ad_id, clean_name(ad_id), product_id=ad["product_id"] or "")


def find_account_change(context: RuleContext) -> Iterable[Reading]:
    """Look for a new choice of the primary ad account (A-50)."""
    chosen = context.columns.ads(context.shop.shop_id).selection()
    if chosen is None:
        return
    account, age_ms = str(chosen.primary_ad_account_id), context.now_ms - chosen.selected_at_ms
    fresh = 0 <= age_ms <= context.settings.rules.ad_account_told_ms
    yield Reading(
        entity=Entity("account", f"{account}/{chosen.version}", clean_name(account)),
        judgement=Judgement.FIRES if fresh else Judgement.ENDED,
        figures={"selected_at_ms": chosen.selected_at_ms, "version": chosen.version},
    )


RULES: Final[tuple[Rule, ...]] = (
    band_rule(
        "A-26",
        "roas_small",
        "ROAS below its minimum, small shop",
        "roas",
        of_account("A-26"),
        entity="account",
        route=AlertRoute.CHANNEL,
        severity=Severity.WARNING,
        owner=Owner.ADS,
        advice="lower the budget of the ads that return least, and look at their product pages",
    ),
    band_rule(
        "A-27",
        "roas_large",
        "ROAS below its band, larger shop",
        "roas",
        of_account("A-27"),
        entity="account",
        route=AlertRoute.CHANNEL,
        severity=Severity.WARNING,
        owner=Owner.ADS,
        advice="lower the budget of the ads that return least, and look at their product pages",
    ),
    Rule(
        number="A-28",
        key="roas_net_miss",
        title="ROAS is good before refunds, and not after",
        entity="account",
        reads=("ads", "orders"),
        find=find_lost_on_refunds,
        condition="roas at the minimum of the shop's size or above and roas_net below it; in rules.band_window",
        minimum="rules.rate_min_divisor ad_clicks",
        clears="roas_net at the minimum or above, or roas below it",
        unit="x",
        hold_ms=15 * MINUTE_MS,
        clear_ms=HOUR_MS,
        severity=Severity.WARNING,
        owner=Owner.ADS,
        route=AlertRoute.CHANNEL,
        advice="look at what is sent back of the products that the ads sell, before the ads",
        text=lambda reading, _: (
            f"Ads of {reading.entity.name} return {reading.figures['roas']:.2f}x, and {reading.value or 0:.2f}x after "
            f"refunds; {reading.threshold or 0:g}x is the least."
        ),
        runbook="weak-ads",
        settings=("rules.rate_min_divisor", "rules.band_window"),
        sources=("S2-43",),
    ),
    band_rule(
        "A-29",
        "cpc_high",
        "Clicks cost more than their band",
        "cpc",
        of_account("A-29"),
        entity="account",
        owner=Owner.ADS,
        advice="narrow the audience, or give the budget to the ad that is clicked most",
    ),
    _tier_rule("A-30", "cpp_low_ticket", "Purchases cost too much, low-priced product", "excellent"),
    _tier_rule("A-31", "cpp_mid_ticket", "Purchases cost too much, mid-tier product", "solid"),
    Rule(
        number="A-32",
        key="creative_weak",
        title="Dear clicks, and few of them",
        entity="ad",
        reads=("ads",),
        find=find_weak_creatives,
        condition="cpc above 1.50 USD and ad_ctr below 1 %; in rules.band_window",
        minimum="rules.rate_min_divisor clicks of the ad",
        clears="one of them is good again",
        unit="USD",
        hold_ms=15 * MINUTE_MS,
        clear_ms=HOUR_MS,
        severity=Severity.NOTE,
        owner=Owner.ADS,
        route=AlertRoute.CHANNEL,
        advice="test a new thumbnail or hook",
        text=lambda reading, _: (
            f"Ad {reading.entity.name} pays ${reading.value or 0:.2f} a click, and {reading.figures['ctr_pct']:.2f}% "
            "of its showings are clicked."
        ),
        runbook="weak-ads",
        settings=("rules.rate_min_divisor", "rules.band_window"),
        sources=("S5-43",),
    ),
    Rule(
        number="A-33",
        key="landing_weak",
        title="Clicked, and not bought",
        entity="ad",
        reads=("ads",),
        find=find_weak_landings,
        condition="roas below the minimum of the shop's size and ad_ctr 1 % or above; in rules.band_window",
        minimum="rules.rate_min_divisor clicks of the ad",
        clears="roas at the minimum or above, or ad_ctr below 1 %",
        unit="x",
        hold_ms=15 * MINUTE_MS,
        clear_ms=HOUR_MS,
        severity=Severity.NOTE,
        owner=Owner.ADS,
        route=AlertRoute.CHANNEL,
        advice="look at the product page: price, pictures, stock, reviews",
        text=lambda reading, _: (
            f"Ad {reading.entity.name} is clicked ({reading.figures['ctr_pct']:.2f}% of its showings) and "
            f"returns {reading.value or 0:.2f}x; {reading.threshold or 0:g}x is the least."
        ),
        runbook="weak-ads",
        settings=("rules.rate_min_divisor", "rules.band_window"),
        sources=("S5-44",),
    ),
    Rule(
        number="A-50",
        key="ad_account",
        title="Another primary ad account",
        entity="account",
        reads=(),
        find=find_account_change,
        condition="the primary ad account was chosen anew, at most rules.ad_account_told_ms ago",
        minimum="",
        clears="never: it is said once for each choice",
        unit="",
        hold_ms=0,
        clear_ms=0,
        severity=Severity.NOTE,
        owner=Owner.ADS,
        route=AlertRoute.CHANNEL,
        advice="ad figures now come from this account, for the past as well",
        text=lambda reading, context: (
            f"Ad figures are those of the account {reading.entity.name} since "
            f"{context.clock.time(int(reading.figures['selected_at_ms'] or 0))}."
        ),
        runbook="weak-ads",
        settings=("rules.ad_account_told_ms",),
        sources=("S4-35",),
        once=True,
    ),
)
"""The rules on ads."""
