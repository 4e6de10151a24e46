"""Rules on the bands of the KPI guide: what lies on the wrong side of its band (A-14 to A-24, A-35, A-36).

They are told on the panel and never leave the screen. Bands are `streams.bands`; what does leave it shares one page of
the runbook.

Source: spec/alerts.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from streams.alerts import clean_name
from streams.bands import BANDS, Band, bands_of, speaks
from streams.catalogue import METRICS
from streams.days import HOUR_MS, MINUTE_MS
from streams.metric import Unit
from streams.request import Request
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.rule_context import RuleContext

DIVISORS: Final = {
    "content_ctr": "content_views",
    "page_view_rate": "content_views",
    "engagement_rate": "content_views",
    "watch_gpm": "content_views",
    "ctor": "product_clicks",
    "conversion_rate": "unique_viewers_distinct",
    "follower_growth_rate": "followers",
    "roas": "ad_clicks",
    "cpc": "ad_clicks",
}
"""By metric, what must be at least `rules.rate_min_divisor` before anything is said of it (A-70)."""

MONTH: Final = "last:30d"
"""The standard month of follower growth: the last 30 finished days."""


def scaled(metric: str, value: float) -> float:
    """Return a figure as an alert says it: rates in percent, everything else as it is."""
    return value * 100 if METRICS[metric].unit is Unit.RATE else value


def unit_of(metric: str) -> str:
    """Return the unit of `scaled`."""
    return {Unit.RATE: "%", Unit.MONEY: "USD", Unit.NUMBER: "x"}.get(METRICS[metric].unit, "")


def band_reading(
    context: RuleContext, band: Band, entity: Entity, value: float | None, volume: float | None
) -> Reading:
    """Judge a figure against its band: off it fires, else it is clear; unknown it is held, from too little thin."""
    least = context.settings.rules.rate_min_divisor
    edge = band.goal
    if value is None or not speaks(METRICS[band.metric].unit, context.shop.currency):
        judgement = Judgement.HELD
    elif volume is not None and volume < least:
        judgement = Judgement.THIN
    else:
        judgement = Judgement.FIRES if band.is_off(value) else Judgement.CLEAR
    limit = None if edge is None else scaled(band.metric, edge)
    return Reading(
        entity=entity,
        judgement=judgement,
        value=None if value is None else scaled(band.metric, value),
        threshold=limit,
        clearing=limit,
        volume=volume,
        minimum=None if volume is None else least,
        figures={
            "metric": band.metric,
            "band": band.name,
            "low": None if band.low is None else scaled(band.metric, band.low),
            "high": None if band.high is None else scaled(band.metric, band.high),
        },
    )


def bands_by(number: str, context: RuleContext) -> list[Band]:
    """Return the bands of a rule that hold for the shop."""
    profile = context.columns.profile(context.shop.shop_id)
    metrics = dict.fromkeys(band.metric for band in BANDS if band.rule == number)
    return [band for metric in metrics for band in bands_of(metric, profile) if band.rule == number]


def shop_entity(context: RuleContext) -> Entity:
    """Return the shop as what a rule looks at."""
    return Entity("shop", context.shop.shop_id, context.shop.name or context.shop.shop_id)


def of_shop(number: str, window: str = "") -> Callable[[RuleContext], Iterable[Reading]]:
    """Return a condition that holds the whole shop against the bands of a rule."""

    def find(context: RuleContext) -> Iterable[Reading]:
        for band in bands_by(number, context):
            metrics = _asked(band.metric)
            request = Request(metrics, window=window or context.settings.rules.band_window)
            for row in context.rows(request):
                yield band_reading(
                    context, band, shop_entity(context), row[band.metric], row.get(metrics[-1])
                )

    return find


def of_formats(number: str) -> Callable[[RuleContext], Iterable[Reading]]:
    """Return a condition that holds the shop and each of its formats against the bands of a rule."""

    def find(context: RuleContext) -> Iterable[Reading]:
        for band in bands_by(number, context):
            metrics = _asked(band.metric)
            request = Request(metrics, by=("slice",), window=context.settings.rules.band_window)
            for row in context.rows(request):
                name = "all formats" if row["slice"] == "all" else row["slice"].replace("_", " ")
                entity = Entity("format", row["slice"], name)
                yield band_reading(context, band, entity, row[band.metric], row[metrics[-1]])

    return find


def of_streams(number: str) -> Callable[[RuleContext], Iterable[Reading]]:
    """Return a condition that holds LIVEs that ended lately against the bands of a rule."""

    def find(context: RuleContext) -> Iterable[Reading]:
        lives = ended_lives(context)
        for band in bands_by(number, context):
            metrics = _asked(band.metric)
            rows = context.rows(Request(metrics, by=("content",), window="all")) if lives else []
            for row in rows:
                live = lives.get(row["content"])
                if live is None:
                    continue
                entity = Entity("stream", row["content"], clean_name(live["title"] or row["content"]))
                volume = row[metrics[-1]] if len(metrics) > 1 else None
                yield band_reading(context, band, entity, row[band.metric], volume)

    return find


def ended_lives(context: RuleContext) -> dict[str, dict[str, Any]]:
    """Return the LIVEs that ended within `rules.stream_told_ms`, by id."""
    contents = context.columns.content(context.shop.shop_id).contents()
    since_ms = context.now_ms - context.settings.rules.stream_told_ms
    return {
        row["content_id"]: row
        for row in contents.iter_rows(named=True)
        if row["kind"] == "live" and row["ended_at_ms"] and since_ms < row["ended_at_ms"] <= context.now_ms
    }


def _asked(metric: str) -> tuple[str, ...]:
    divisor = DIVISORS.get(metric)
    return (metric, divisor) if divisor else (metric,)


def _says(reading: Reading, _: RuleContext) -> str:
    figures, metric = reading.figures, METRICS[str(reading.figures["metric"])]
    unit = unit_of(metric.id)
    low, high = figures["low"], figures["high"]
    span = f"{low:g} to {high:g}" if low is not None and high is not None else ""
    span = span or (f"at least {low:g}" if low is not None else f"below {high or 0:g}")
    return (
        f"{metric.title} of {reading.entity.name} is {reading.value or 0:,.2f} {unit}; {span} {unit} is good for "
        f"{figures['band']}."
    )


def band_rule(
    number: str,
    key: str,
    title: str,
    metric: str,
    find: Callable[[RuleContext], Iterable[Reading]],
    *,
    entity: str = "shop",
    reads: tuple[str, ...] = (),
    route: AlertRoute = AlertRoute.PANEL,
    severity: Severity = Severity.NOTE,
    owner: Owner = Owner.CONTENT,
    window: str = "rules.band_window",
    settings: tuple[str, ...] = ("rules.band_window", "rules.rate_min_divisor"),
    advice: str = "",
) -> Rule:
    """Return the rule of a band: its words follow from the band itself."""
    of = [band for band in BANDS if band.rule == number]
    off = "above" if of[0].less_is_better else "below"
    ends = ", ".join(f"{scaled(metric, band.goal or 0):g} {unit_of(metric)} ({band.name})" for band in of)
    divisor = DIVISORS.get(metric)
    sources = dict.fromkeys(source for band in of for source in band.sources.split())
    return Rule(
        number=number,
        key=key,
        title=title,
        entity=entity,
        reads=reads or METRICS[metric].topics,
        find=find,
        condition=f"{metric} {off} its band: {ends}; in {window}",
        minimum=f"rules.rate_min_divisor {divisor}" if divisor else "",
        clears="inside its band, or better",
        unit=unit_of(metric),
        hold_ms=15 * MINUTE_MS,
        clear_ms=HOUR_MS,
        severity=severity,
        owner=owner,
        route=route,
        advice=advice or _uncapped(METRICS[metric].advice),
        text=_says,
        runbook="" if route is AlertRoute.PANEL else "bands",
        settings=settings
        if divisor
        else tuple(name for name in settings if name != "rules.rate_min_divisor"),
        sources=tuple(sources),
    )


def _uncapped(sentence: str) -> str:
    """Return a sentence as it stands after a colon."""
    return sentence[:1].lower() + sentence[1:].rstrip(".")


_STREAM_SETTINGS: Final = ("rules.stream_told_ms", "rules.rate_min_divisor")
_MONTH_SETTINGS: Final = ("rules.rate_min_divisor",)


RULES: Final[tuple[Rule, ...]] = (
    band_rule(
        "A-14",
        "ctr_low",
        "CTR of content below its band",
        "content_ctr",
        of_formats("A-14"),
        entity="format",
        advice="vary the call to action",
    ),
    band_rule("A-15", "ctor_low", "CTOR below its band", "ctor", of_formats("A-15"), entity="format"),
    band_rule(
        "A-16", "cvr_small", "Conversion below its band, small shop", "conversion_rate", of_shop("A-16")
    ),
    band_rule("A-17", "cvr_mid", "Conversion below its band, mid shop", "conversion_rate", of_shop("A-17")),
    band_rule("A-18", "cvr_ent", "Conversion below its band, enterprise", "conversion_rate", of_shop("A-18")),
    band_rule(
        "A-19", "eng_tier", "Engagement below the band of the size", "engagement_rate", of_shop("A-19")
    ),
    band_rule(
        "A-20",
        "stream_gmv_tier",
        "LIVE earned less than its band",
        "gmv_per_live",
        of_streams("A-20"),
        entity="stream",
        reads=("orders", "content"),
        window="the LIVE, for rules.stream_told_ms after its end",
        settings=_STREAM_SETTINGS,
    ),
    band_rule(
        "A-21",
        "gpm_tier",
        "Watch GPM of a LIVE below its band",
        "watch_gpm",
        of_streams("A-21"),
        entity="stream",
        reads=("orders", "content", "engagement"),
        window="the LIVE, for rules.stream_told_ms after its end",
        settings=_STREAM_SETTINGS,
    ),
    band_rule(
        "A-22", "industry_fashion", "Engagement below the fashion band", "engagement_rate", of_shop("A-22")
    ),
    band_rule("A-23", "industry_tech", "Conversion below the tech band", "conversion_rate", of_shop("A-23")),
    band_rule(
        "A-24", "industry_health", "Engagement below the health band", "engagement_rate", of_shop("A-24")
    ),
    band_rule(
        "A-35",
        "follower_small",
        "Followers grow too slowly, small shop",
        "follower_growth_rate",
        of_shop("A-35", MONTH),
        window="the last 30 finished days",
        settings=_MONTH_SETTINGS,
    ),
    band_rule(
        "A-36",
        "follower_large",
        "Followers grow too slowly, larger shop",
        "follower_growth_rate",
        of_shop("A-36", MONTH),
        window="the last 30 finished days",
        settings=_MONTH_SETTINGS,
    ),
)
"""The rules on bands of content, shop and LIVEs."""
