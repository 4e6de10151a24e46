"""Orders of a made-up day, held to the stock: what is sold out cannot be bought.

Facts are few, so they are plain objects and plain loops; money is integers of minor units throughout.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from replay.generator.assortment import (
    HERO_PRODUCT,
    HERO_VARIANT,
    PLACES,
    PRODUCTS,
    SKUS,
    TERRITORIES,
)
from replay.generator.traffic import Day, Touches, flash_span_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replay.generator.parameters import Knobs

HERO_SKU: Final = PRODUCTS[HERO_PRODUCT].sku_ids[HERO_VARIANT]
FREE_SHIPPING_MINOR: Final = 3500
SHIPPING_MINOR: Final = 499
_EXTRA_PLACE: Final = next(i for i, place in enumerate(PLACES) if place.block["format"] == "product_card")
"""Further lines of an order come from the shop's own cards."""

_HERO_SHARE: Final = 0.6
"""Of the hero product's lines, those for its best-selling variant."""


@dataclass(slots=True)
class Line:
    """One line that someone wants, and as much of it as the stock could give."""

    product: int
    sku: str
    quantity: int
    place: int


@dataclass(slots=True)
class Order:
    """An order; `cancelled_ms` is 0 where it stands."""

    order_id: str
    person: int
    paid_ms: int
    lines: list[Line]
    flash: bool
    coupon: bool
    follower: bool
    territory: str
    cancelled_ms: int = 0


@dataclass(frozen=True, slots=True)
class StockMove:
    """A change of a SKU's stock and the level after it; `version` rises per SKU."""

    at_ms: int
    sku: str
    product: int
    available: int
    change: int
    reason: str
    version: int


@dataclass(slots=True)
class Sales:
    """What was ordered and how the stock moved, in the order of time; stock-outs and restocks as (SKU, when)."""

    orders: list[Order]
    moves: list[StockMove]
    stock_outs: list[tuple[str, int]] = field(default_factory=list)
    restocks: list[tuple[str, int]] = field(default_factory=list)


def make_sales(rng: np.random.Generator, knobs: Knobs, day: Day, buyers: Touches) -> Sales:
    """Turn the clicks that want to buy into orders, within what is in stock."""
    wanted = _wanted(rng, knobs, day, buyers)
    demand = _demand(wanted)
    initial, restocks = _stock_plan(rng, knobs, day, demand)
    return _sell(wanted, initial, restocks, day)


def _wanted(rng: np.random.Generator, knobs: Knobs, day: Day, buyers: Touches) -> list[Order]:
    rows = np.argsort(buyers.at_ms, kind="stable")
    flash = flash_span_ms(knobs, day) if "flash_sale_hours" in knobs else (0, 0)
    orders: list[Order] = []
    regulars: list[int] = []
    returning = 1 - knobs.number("customers_per_order")
    for number, row in enumerate(rows, start=1):
        at_ms, person = int(buyers.at_ms[row]), int(buyers.person[row])
        if regulars and rng.random() < returning:
            person = regulars[int(rng.integers(len(regulars)))]
        regulars.append(person)
        lines = [_line(rng, knobs, int(buyers.product[row]), int(buyers.place[row]))]
        lines += [
            _line(rng, knobs, int(rng.integers(1, len(PRODUCTS))), _EXTRA_PLACE)
            for _ in range(int(rng.poisson(knobs.number("extra_lines"))))
        ]
        order = Order(
            f"o-{day.label.replace('-', '')}-{number:05d}",
            person,
            at_ms,
            lines,
            flash[0] <= at_ms < flash[1],
            bool(rng.random() < knobs.number("coupon_share")),
            bool(rng.random() < 0.3),
            TERRITORIES[int(rng.integers(len(TERRITORIES)))],
        )
        cancelled_ms = at_ms + int(rng.integers(10 * 60_000, 120 * 60_000))
        # The best seller's orders stand, or its stock-out would come back and have no one time.
        is_hero = any(line.sku == HERO_SKU for line in lines)
        if rng.random() < knobs.number("cancelled_share") and cancelled_ms < day.end_ms and not is_hero:
            order.cancelled_ms = cancelled_ms
        orders.append(order)
    return orders


def _line(rng: np.random.Generator, knobs: Knobs, product: int, place: int) -> Line:
    skus = PRODUCTS[product].sku_ids
    variant = int(rng.integers(len(skus)))
    if product == HERO_PRODUCT and rng.random() < _HERO_SHARE:
        variant = HERO_VARIANT
    quantity = 1 + int(rng.choice(3, p=knobs.row("quantity_share")))
    return Line(product, skus[variant], quantity, place)


def _demand(orders: list[Order]) -> dict[str, list[tuple[int, int]]]:
    """Return per SKU when how many units are wanted."""
    demand: dict[str, list[tuple[int, int]]] = {sku: [] for _, sku in SKUS}
    for order in orders:
        for line in order.lines:
            demand[line.sku].append((order.paid_ms, line.quantity))
    return demand


def _stock_plan(
    rng: np.random.Generator, knobs: Knobs, day: Day, demand: dict[str, list[tuple[int, int]]]
) -> tuple[dict[str, int], list[tuple[int, str, int]]]:
    """Return the stock at midnight, and restocks as (when, SKU, units)."""
    totals = {sku: sum(units for _, units in wants) for sku, wants in demand.items()}
    initial = {sku: 6 + int(total * rng.uniform(1.6, 5.0)) for sku, total in totals.items()}
    restocks: list[tuple[int, str, int]] = []
    if "stock_out_hour" in knobs:
        spread = knobs.number("stock_out_spread_hours")
        out_ms = day.at(knobs.number("stock_out_hour") + float(rng.normal(0, spread)))
        initial[HERO_SKU] = max(1, sum(units for at_ms, units in demand[HERO_SKU] if at_ms <= out_ms))
        restocks.append((day.at(knobs.number("restock_hour")), HERO_SKU, max(40, initial[HERO_SKU])))
        popular = sorted((sku for sku in totals if sku != HERO_SKU), key=lambda sku: -totals[sku])
        for sku in popular[: int(knobs.number("tight_skus"))]:
            initial[sku] = max(3, round(totals[sku] * float(rng.uniform(0.97, 1.3))))
        plenty = popular[int(knobs.number("tight_skus")) :][:3]
    else:
        plenty = sorted(totals, key=lambda sku: -totals[sku])[:3]
    restocks += [(day.at(9.0), sku, 24 + totals[sku]) for sku in plenty]
    return initial, restocks


def _sell(
    orders: list[Order], initial: dict[str, int], restocks: list[tuple[int, str, int]], day: Day
) -> Sales:
    products = {sku: product for product, sku in SKUS}
    level = dict(initial)
    version = dict.fromkeys(level, 1)
    sales = Sales(
        [],
        [
            StockMove(day.start_ms + 5_000, sku, products[sku], units, 0, "sync", 1)
            for sku, units in level.items()
        ],
    )

    def move(at_ms: int, sku: str, change: int, reason: str) -> None:
        level[sku] += change
        version[sku] += 1
        sales.moves.append(StockMove(at_ms, sku, products[sku], level[sku], change, reason, version[sku]))

    ticket = itertools.count()
    queue: list[tuple[int, int, str, int, str]] = [
        (at_ms, next(ticket), sku, units, "restock") for at_ms, sku, units in restocks
    ]
    heapq.heapify(queue)
    for order in orders:
        while queue and queue[0][0] <= order.paid_ms:
            at_ms, _, sku, units, reason = heapq.heappop(queue)
            move(at_ms, sku, units, reason)
            if reason == "restock":
                sales.restocks.append((sku, at_ms))
        order.lines = list(_given(order.lines, level))
        for line in order.lines:
            move(order.paid_ms, line.sku, -line.quantity, "sale")
            if level[line.sku] == 0:
                sales.stock_outs.append((line.sku, order.paid_ms))
            if order.cancelled_ms:
                heapq.heappush(
                    queue, (order.cancelled_ms, next(ticket), line.sku, line.quantity, "cancel_return")
                )
        if order.lines:
            sales.orders.append(order)
    for at_ms, _, sku, units, reason in sorted(queue):
        move(at_ms, sku, units, reason)
        if reason == "restock":
            sales.restocks.append((sku, at_ms))
    return sales


def _given(lines: list[Line], level: dict[str, int]) -> Iterator[Line]:
    """Yield the lines as far as the stock gives; two lines of one SKU share it."""
    left = {line.sku: level[line.sku] for line in lines}
    for line in lines:
        quantity = min(line.quantity, left[line.sku])
        if quantity > 0:
            left[line.sku] -= quantity
            yield Line(line.product, line.sku, quantity, line.place)
