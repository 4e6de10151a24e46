"""Rules on the product page view rate of creators' content: failing (A-08), low (A-09), good (A-10).

Source: spec/alerts.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from streams.alerts import clean_name
from streams.bands import BANDS, FAILING_PAGE_VIEW_RATE
from streams.days import HOUR_MS, MINUTE_MS
from streams.request import Request
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.rule_context import RuleContext


def find_page_view_rates(low: float | None, high: float | None) -> Callable[[RuleContext], Iterable[Reading]]:
    """Return a condition that fires where the product page view rate of a creator's content lies in a span.

    Contents of creators only, as the guide's numbers are; paid views cannot be told from others.
    """

    def find(context: RuleContext) -> Iterable[Reading]:
        metrics = ("page_view_rate", "content_views")
        request = Request(metrics, by=("content",), window=context.settings.rules.band_window)
        least = context.settings.rules.rate_min_divisor
        contents = context.columns.content(context.shop.shop_id).contents()
        creators = contents.filter(pl.col("account_kind") == "affiliate")
        titles = dict(creators.select("content_id", "title").rows())
        for row in context.rows(request):
            if row["content"] not in titles:
                continue
            rate, views = row["page_view_rate"], row["content_views"]
            if rate is None:
                judgement = Judgement.HELD
            elif views is None or views < least:
                judgement = Judgement.THIN
            else:
                inside = (low is None or rate >= low) and (high is None or rate < high)
                judgement = Judgement.FIRES if inside else Judgement.CLEAR
            yield Reading(
                entity=Entity(
                    "content", row["content"], clean_name(titles[row["content"]] or row["content"])
                ),
                judgement=judgement,
                value=None if rate is None else rate * 100,
                threshold=None if high is None else high * 100,
                clearing=None if high is None else high * 100,
                volume=views,
                minimum=least,
                figures={"metric": "page_view_rate"},
            )

    return find


def _page_views(
    number: str,
    key: str,
    title: str,
    span: tuple[float | None, float | None],
    condition: str,
    *,
    route: AlertRoute,
    advice: str,
    sources: tuple[str, ...],
) -> Rule:
    return Rule(
        number=number,
        key=key,
        title=title,
        entity="content",
        reads=("page_views", "engagement", "content"),
        find=find_page_view_rates(*span),
        condition=f"page_view_rate of a creator's content {condition}; in rules.band_window",
        minimum="rules.rate_min_divisor content_views",
        clears="outside of that",
        unit="%",
        hold_ms=15 * MINUTE_MS,
        clear_ms=HOUR_MS,
        severity=Severity.WARNING if route is AlertRoute.CHANNEL else Severity.NOTE,
        owner=Owner.CONTENT,
        route=route,
        advice=advice,
        text=lambda reading, _: (
            f"{reading.entity.name}: {reading.value or 0:.2f}% of {reading.volume or 0:,.0f} views led to a product "
            "page; top sellers have 3 to 8%."
        ),
        runbook="bands" if route is AlertRoute.CHANNEL else "",
        settings=("rules.band_window", "rules.rate_min_divisor"),
        sources=sources,
    )


_GOOD: Final = next(band for band in BANDS if band.rule == "A-08")

RULES: Final[tuple[Rule, ...]] = (
    _page_views(
        "A-08",
        "pvr_fail",
        "Content that leads nobody to a product",
        (None, FAILING_PAGE_VIEW_RATE),
        f"below {FAILING_PAGE_VIEW_RATE:.1%}",
        route=AlertRoute.CHANNEL,
        advice="correct the call to action, or where the shopping bag stands",
        sources=("S2-78",),
    ),
    _page_views(
        "A-09",
        "pvr_low",
        "Content below the band of top sellers",
        (FAILING_PAGE_VIEW_RATE, _GOOD.low),
        f"from {FAILING_PAGE_VIEW_RATE:.1%} to {_GOOD.low:.0%}",
        route=AlertRoute.PANEL,
        advice="show the product earlier",
        sources=("S2-77", "S2-78"),
    ),
    _page_views(
        "A-10",
        "pvr_good",
        "Content in the band of top sellers",
        (_GOOD.low, (_GOOD.high or 0) + 1e-9),
        f"from {_GOOD.low:.0%} to {_GOOD.high:.0%}",
        route=AlertRoute.PANEL,
        advice="give it more reach",
        sources=("S2-77",),
    ),
)
"""The rules on product page views."""
