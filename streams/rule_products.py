"""Rules on campaign products: one that is shown and does not sell (A-76), one that is shown on LIVE and is out (A-79).

Source: spec/alerts.md A-76, A-79.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from streams.alerts import Resolution, clean_name
from streams.atoms import SLICES
from streams.days import MINUTE_MS, QUARTER_MS
from streams.goals import running_campaign
from streams.query import run
from streams.request import Request
from streams.rule import AlertRoute, Entity, Judgement, Owner, Reading, Rule, Severity
from streams.rules import lasted_words
from streams.stock import SkuStock, StockStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.alerts import Alert
    from streams.rule_context import RuleContext

_LIVE_ATOMS: Final = sorted(SLICES["seller_live"] | SLICES["affiliate_live"])

_ON_AIR_MS: Final = 5 * MINUTE_MS
"""A LIVE that showed nothing for so long is off air."""

_CLEAR_SHOWN: Final = 0.5
"""A-79 closes below this part of the showings at which it fires."""


def find_slow_sellers(context: RuleContext) -> Iterable[Reading]:
    """Rank the products of the running campaign by what they sold in it, against how often they were shown (A-76).

    Among products that were shown at all: one that nobody saw is no slow seller. Of equal sellers the one shown more
    often is the slower.
    """
    numbers, shop_id = context.settings.rules, context.shop.shop_id
    campaign = running_campaign(context.columns, context.shop, as_of_ms=context.now_ms)
    if campaign is None:
        return
    campaign_id = str(campaign.campaign_id)
    request = Request(
        metrics=("items_sold", "product_impressions"),
        by=("product",),
        window=f"campaign:{campaign_id}",
        shop=shop_id,
    )
    members = {str(product_id) for product_id in campaign.product_ids}
    rows = [
        row
        for row in run(context.columns, request, now_ms=context.now_ms).rows
        if row["product"] in members and row["product_impressions"] and row["items_sold"] is not None
    ]
    if not rows:
        return
    rate = sum(row["items_sold"] for row in rows) / sum(row["product_impressions"] for row in rows)
    rows.sort(key=lambda row: (row["items_sold"], -row["product_impressions"], row["product"]))
    shown = sorted(row["product_impressions"] for row in rows)
    median = (shown[(len(shown) - 1) // 2] + shown[len(shown) // 2]) / 2
    bottom = int(len(rows) * numbers.slow_share)
    threshold = rows[bottom - 1]["items_sold"] if bottom else None
    for place, row in enumerate(rows):
        product_id, impressions = row["product"], row["product_impressions"]
        expected = impressions * rate
        if len(rows) < numbers.slow_min_products or expected < numbers.slow_min_expected:
            judgement = Judgement.THIN
        elif place < bottom and impressions > median:
            judgement = Judgement.FIRES
        elif place >= len(rows) * numbers.slow_clear_share or impressions <= median:
            judgement = Judgement.CLEAR
        else:
            judgement = Judgement.BETWEEN
        yield Reading(
            entity=Entity("product", product_id, context.product_name(product_id), campaign_id, product_id),
            judgement=judgement,
            value=row["items_sold"],
            threshold=threshold,
            volume=expected,
            minimum=numbers.slow_min_expected,
            figures={
                "items_sold": row["items_sold"],
                "impressions": impressions,
                "median_impressions": median,
                "place_from_below": place + 1,
                "products": len(rows),
            },
        )


def _slow_text(reading: Reading, _: RuleContext) -> str:
    figures = reading.figures
    return (
        f"{reading.entity.name} sells slowly: {figures['items_sold']:,} sold from {figures['impressions']:,} showings "
        f"in the campaign, where ~{reading.volume or 0:,.0f} is usual; number {figures['place_from_below']} from "
        f"below of {figures['products']:,} products."
    )


def find_push_on_empty(context: RuleContext) -> Iterable[Reading]:
    """Estimate how often LIVEs still show a SKU that is out (A-79).

    No input says yet which product a LIVE has pinned, or what an ad spends (they come with content and ads): read is
    the traffic. Showings of the product in the quarter hours that began after the SKU ran out, times the share of its
    showings of today that came from LIVEs, while a LIVE of the shop is on air. An estimate, and the message says so.
    Of a product with several SKUs only what is out of most of what it sells counts: air time for the rest is not lost.
    """
    numbers, columns, shop = context.settings.rules, context.columns, context.shop
    out = [row for row in context.stock if row.status is StockStatus.OUT_OF_STOCK]
    yield from _back_in_stock(context)
    if not out or columns.source_since_ms(shop.shop_id, "impressions") is None:
        return
    empty = _empty_shares(context.stock)
    now_ms = columns.as_of_ms(shop.shop_id, ("impressions",), context.now_ms)
    quarter_ms = now_ms // QUARTER_MS * QUARTER_MS
    products = {row.product_id for row in out}
    quarters = _showings(context, "product_quarter", products, quarter_ms - QUARTER_MS)
    days = _showings(context, "product_day", products, columns.calendar(shop.shop_id).day_of(now_ms))
    on_air = _live_showings(context, now_ms - _ON_AIR_MS) > 0
    for row in out:
        share = empty[row.product_id]
        since_ms = row.out_since_ms
        shown = sum(
            each["count"]
            for each in quarters[row.product_id]
            if since_ms is not None and each["bucket"] >= since_ms
        )
        today = sum(each["count"] for each in days[row.product_id])
        live_today = sum(each["count"] for each in days[row.product_id] if each["atom"] in _LIVE_ATOMS)
        live_share = live_today / today if today else 0.0
        by_live = shown * live_share if on_air else 0.0
        why = ""
        if since_ms is None:
            judgement = Judgement.HELD
        elif not on_air:
            judgement, why = Judgement.CLEAR, "no LIVE is on air"
        elif share < numbers.push_min_share:
            judgement, why = Judgement.CLEAR, "most of what the product sells is in stock"
        elif by_live < numbers.push_min_shown * _CLEAR_SHOWN:
            judgement, why = Judgement.CLEAR, f"~{by_live:,.0f} showings in the last quarter hours"
        else:
            judgement = Judgement.FIRES if by_live >= numbers.push_min_shown else Judgement.BETWEEN
        yield Reading(
            entity=Entity("sku", row.sku_id, row.name, row.campaign_id, row.product_id, row.sku_id),
            judgement=judgement,
            value=by_live,
            threshold=numbers.push_min_shown,
            clearing=numbers.push_min_shown * _CLEAR_SHOWN,
            volume=share,
            minimum=numbers.push_min_share,
            money_minor=row.gmv_at_risk_minor,
            figures={
                "shown": shown,
                "shown_by_live": by_live,
                "live_share_today": live_share,
                "live": "on air" if on_air else "off air",
                "empty_share": share,
                "out_since_ms": since_ms,
                "counted_from_ms": None
                if since_ms is None
                else max(-(-since_ms // QUARTER_MS) * QUARTER_MS, quarter_ms - QUARTER_MS),
                "live_id": _live_of(context, row.product_id, now_ms),
                "why": why,
            },
        )


def _back_in_stock(context: RuleContext) -> Iterable[Reading]:
    """Yield the end of what A-79 has told of, where there is stock again."""
    for row in context.stock:
        if row.status is not StockStatus.OUT_OF_STOCK and context.is_open("A-79", row.sku_id):
            known = row.status is not StockStatus.UNKNOWN
            yield Reading(
                entity=Entity("sku", row.sku_id, row.name, row.campaign_id, row.product_id, row.sku_id),
                judgement=Judgement.ENDED if known else Judgement.HELD,
                figures={"why": "in stock again"},
                extra={"resolution": Resolution.RESTOCKED},
            )


def _push_closing(alert: Alert) -> str:
    why = alert.figures.get("why") or "no longer watched"
    return f"Resolved after {lasted_words(alert)}: {alert.name}, air time on an empty shelf: {why}."


def _empty_shares(stock: list[SkuStock]) -> dict[str, float]:
    """Return by product the share of its selling speed, else of its SKUs, that is out of stock."""
    of_product = defaultdict(list)
    for row in stock:
        of_product[row.product_id].append(row)
    shares = {}
    for product_id, rows in of_product.items():
        speed = sum(row.velocity_per_h for row in rows)
        weights = [row.velocity_per_h if speed else 1.0 for row in rows]
        gone = sum(
            weight
            for row, weight in zip(rows, weights, strict=True)
            if row.status is StockStatus.OUT_OF_STOCK
        )
        shares[product_id] = gone / sum(weights)
    return shares


def _showings(
    context: RuleContext, cube: str, products: set[str], from_bucket: int
) -> dict[str, list[dict[str, Any]]]:
    """Return by product a cube's cells of impressions from a bucket on."""
    cells = context.columns.cube(cube, context.shop.shop_id).filter(
        (pl.col("event_type") == "product_impression")
        & (pl.col("bucket") >= from_bucket)
        & pl.col("product").is_in(sorted(products))
    )
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for cell in cells.iter_rows(named=True):
        found[cell["product"]].append(cell)
    return found


def _live_showings(context: RuleContext, from_ms: int) -> int:
    cells = context.columns.cube("shop_minute", context.shop.shop_id).filter(
        (pl.col("event_type") == "product_impression")
        & (pl.col("bucket") >= from_ms // MINUTE_MS * MINUTE_MS)
        & pl.col("atom").is_in(_LIVE_ATOMS)
    )
    return int(cells.get_column("count").sum())


def _live_of(context: RuleContext, product_id: str, now_ms: int) -> str | None:
    """Return the LIVE that sold most of a product today; None where no order names one."""
    columns, shop_id = context.columns, context.shop.shop_id
    today = columns.calendar(shop_id).day_of(now_ms)
    sold = (
        columns.order_lines(shop_id)
        .filter(
            (pl.col("day") == today)
            & (pl.col("product_id") == product_id)
            & pl.col("atom").is_in(_LIVE_ATOMS)
            & pl.col("content_id").is_not_null()
        )
        .group_by("content_id")
        .agg(pl.col("quantity").sum())
        .sort(["quantity", "content_id"], descending=[True, False])
    )
    return str(sold.get_column("content_id")[0]) if sold.height else None


def _push_text(reading: Reading, context: RuleContext) -> str:
    figures = reading.figures
    live = f"LIVE '{clean_name(str(figures['live_id']))}'" if figures["live_id"] else "a LIVE"
    since, counted = (
        context.clock.time(int(figures[name] or 0)) for name in ("out_since_ms", "counted_from_ms")
    )
    return (
        f"{reading.entity.name} is out of stock since {since}, and {live} seems to show it still: "
        f"~{reading.value or 0:,.0f} showings since {counted} (estimated: "
        f"{float(figures['live_share_today'] or 0):.0%} of today's showings of the product came from LIVEs)."
    )


SLOW_SELLER: Final = Rule(
    number="A-76",
    key="slow_seller",
    title="Campaign product hardly sells",
    entity="product",
    reads=("orders", "impressions"),
    find=find_slow_sellers,
    condition=(
        "items_sold in the bottom rules.slow_share of the campaign's products that were shown, and "
        "product_impressions above their median; both since the campaign's first day"
    ),
    minimum=(
        "rules.slow_min_products such products; showings of this one that should have sold rules.slow_min_expected "
        "units at the rate of all of them"
    ),
    clears="outside the bottom rules.slow_clear_share, or shown no more than the median product",
    unit="units",
    hold_ms=15 * MINUTE_MS,
    clear_ms=15 * MINUTE_MS,
    severity=Severity.NOTE,
    owner=Owner.CONTENT,
    route=AlertRoute.PANEL,
    advice="look at price, pictures and offer, or give its place to another product",
    text=_slow_text,
    runbook="",
    settings=(
        "rules.slow_share",
        "rules.slow_clear_share",
        "rules.slow_min_products",
        "rules.slow_min_expected",
    ),
    sources=("S3-36",),
)

PUSH_ON_EMPTY: Final = Rule(
    number="A-79",
    key="push_on_empty",
    title="Air time on an empty shelf",
    entity="sku",
    reads=("stock", "orders", "impressions"),
    find=find_push_on_empty,
    condition=(
        "out of stock, a LIVE of the shop on air, and at least rules.push_min_shown showings of the product by LIVEs "
        "in the present and the last quarter hour, as far as they began after it ran out; estimated from its showings "
        "and the share of LIVEs in those of today (ad spend and what a LIVE features have no source yet)"
    ),
    minimum="SKUs that are out make rules.push_min_share of the product's selling speed",
    clears="below half of rules.push_min_shown, no LIVE on air, or in stock",
    unit="showings",
    hold_ms=0,
    clear_ms=5 * MINUTE_MS,
    severity=Severity.WARNING,
    owner=Owner.CONTENT,
    route=AlertRoute.CHANNEL,
    advice="unpin it in the LIVE, or add stock",
    text=_push_text,
    runbook="air-time-on-an-empty-shelf",
    settings=("rules.push_min_shown", "rules.push_min_share"),
    sources=("S4-60", "S4-33"),
    closing=_push_closing,
)

RULES: Final[tuple[Rule, ...]] = (SLOW_SELLER, PUSH_ON_EMPTY)
"""The rules on campaign products."""
