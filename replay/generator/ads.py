"""Ads, checkouts and benchmarks of a made-up day as events on the wire."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

import numpy as np

from replay.generator.assortment import PLACES, PRODUCTS
from replay.generator.facts import event, goods_minor, line_document, user_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replay.generator.facts import Event
    from replay.generator.orders import Order
    from replay.generator.parameters import Knobs
    from replay.generator.traffic import Day, Traffic

PRIMARY_ACCOUNT: Final = "ads-own"
AGENCY_ACCOUNT: Final = "ads-agency"
"""The second account is kept, and in no figure while it is not chosen."""

_HOUR_MS: Final = 3_600_000
_REPORTED_AFTER_MS: Final = 300_000
"""An ad platform reports an hour so long after its end, and corrects it an hour later."""


def ad_events(
    rng: np.random.Generator, knobs: Knobs, day: Day, traffic: Traffic, orders: list[Order]
) -> Iterator[Event]:
    """Yield the choice of the primary account, and each hour of each ad: as reported, then corrected."""
    yield event(
        "ad_account_selected",
        "primary",
        day.start_ms,
        primary_ad_account_id=PRIMARY_ACCOUNT,
        selected_at_ms=day.start_ms - 30 * 24 * _HOUR_MS,
        version=1,
    )
    paid = [index for index, place in enumerate(PLACES) if place.block["is_paid"]]
    for place in paid:
        ad_id = str(PLACES[place].block["ad_id"])
        for start_ms in range(day.start_ms, day.end_ms, _HOUR_MS):
            shown = _count(traffic.impressions.at_ms[traffic.impressions.place == place], start_ms)
            clicked = _count(traffic.clicks.at_ms[traffic.clicks.place == place], start_ms)
            bought = [
                (order, number)
                for order in orders
                if start_ms <= order.paid_ms < start_ms + _HOUR_MS
                for number, line in enumerate(order.lines)
                if line.place == place
            ]
            revenue = sum(goods_minor(line_document(knobs, order, number)) for order, number in bought)
            spend = round(clicked * knobs.number("ad_cpc_minor") * float(rng.uniform(0.85, 1.15)))
            featured = [PRODUCTS[product].product_id for product, _ in PLACES[place].featured]
            figures = {"impressions": shown, "clicks": clicked, "purchases": len(bought)}
            for revision in (1, 2):
                known = 1.0 if revision == 2 else knobs.number("ad_first_report_share")
                yield from _hour(
                    day,
                    PRIMARY_ACCOUNT,
                    ad_id,
                    start_ms,
                    revision,
                    spend_minor=round(spend * known),
                    gross_revenue_minor=round(revenue * known),
                    **figures,
                    **({"product_id": featured[0]} if featured else {}),
                    content_id=PLACES[place].block["content_id"],
                )
            yield from _hour(
                day,
                AGENCY_ACCOUNT,
                "ad-prospecting",
                start_ms,
                1,
                spend_minor=spend // 4,
                gross_revenue_minor=revenue // 5,
                **{name: figure // 4 for name, figure in figures.items()},
            )


def checkout_events(
    rng: np.random.Generator, knobs: Knobs, day: Day, traffic: Traffic, orders: list[Order]
) -> Iterator[Event]:
    """Yield a checkout before each order, and checkouts of people who put something into the cart and went away."""
    for order in orders:
        at_ms = max(day.start_ms, order.paid_ms - int(rng.integers(61_000, 180_000)))
        lines = [
            {"product_id": PRODUCTS[line.product].product_id, "sku_id": line.sku, "quantity": line.quantity}
            for line in order.lines
        ]
        block = PLACES[order.lines[0].place].block
        yield _checkout(order.order_id, at_ms, order.person, lines, block)
    carts = traffic.carts
    wanted = min(len(carts), int(len(orders) * knobs.number("abandoned_checkouts_per_order")))
    for number, row in enumerate(sorted(rng.choice(len(carts), size=wanted, replace=False).tolist())):
        product = PRODUCTS[int(carts.product[row])]
        line = {"product_id": product.product_id, "sku_id": product.sku_ids[0], "quantity": 1}
        at_ms = min(day.end_ms - 1, int(carts.at_ms[row]) + int(rng.integers(5_000, 60_000)))
        name = f"{day.label.replace('-', '')}-{number:05d}"
        yield _checkout(f"left-{name}", at_ms, int(carts.person[row]), [line], PLACES[carts.place[row]].block)


def benchmark_events(knobs: Knobs, day: Day) -> Iterator[Event]:
    """Yield the benchmarks of the day before, as they are published in the morning."""
    yesterday = (dt.date.fromisoformat(day.label) - dt.timedelta(days=1)).isoformat()
    values = dict(zip(("ctr", "ctor", "atc_rate"), knobs.row("benchmark_rates"), strict=True))
    for group, factor in (("own_tier", 1.0), ("higher_tier", 1.2)):
        for metric, value in values.items():
            yield event(
                "benchmark",
                "fashion",
                day.at(9.0),
                event_id=f"benchmark-{day.label}-{group}-{metric}",
                category="fashion and home",
                gmv_tier="T3",
                group=group,
                metric=metric,
                period="day",
                benchmark_day=yesterday,
                value=round(value * factor, 4),
                published_at_ms=day.at(9.0),
            )


def _hour(
    day: Day, account_id: str, ad_id: str, start_ms: int, revision: int, **figures: object
) -> Iterator[Event]:
    """Yield an hour's report; what would be reported after the day is not in its recording."""
    at_ms = start_ms + _HOUR_MS * revision + _REPORTED_AFTER_MS
    if at_ms >= day.end_ms:
        return
    yield event(
        "ad_metric",
        account_id,
        at_ms,
        event_id=f"ad-{account_id}-{ad_id}-{start_ms}-{revision}",
        ad_account_id=account_id,
        ad_campaign_id="black-friday-ads",
        ad_id=ad_id,
        bucket_start_ms=start_ms,
        bucket_seconds=3_600,
        revision=revision,
        **figures,
    )


def _checkout(
    name: str, at_ms: int, person: int, lines: list[dict[str, object]], block: dict[str, object]
) -> Event:
    return event(
        "checkout_started",
        user_key(person),
        at_ms,
        event_id=f"checkout-{name}",
        checkout_id=f"ch-{name}",
        user_key=user_key(person),
        lines=lines,
        source=block,
    )


def _count(at_ms: np.ndarray[tuple[int], np.dtype[np.int64]], start_ms: int) -> int:
    return int(((at_ms >= start_ms) & (at_ms < start_ms + _HOUR_MS)).sum())
