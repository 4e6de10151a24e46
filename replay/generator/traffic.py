"""Traffic of a made-up day: who is shown what, where and when, and what they do then. All of it as columns.

A day of 23 or 25 hours keeps its shape: local hours are scaled to the length of the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from replay.generator.assortment import BOT_PLACE, HERO_PRODUCT, PLACES, PRODUCTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from replay.generator.assortment import Place
    from replay.generator.parameters import Knobs

_MINUTES: Final = 1440


@dataclass(frozen=True, slots=True)
class Day:
    """A business day of the shop: its first instant, the next day's, and its date."""

    start_ms: int
    end_ms: int
    label: str

    def at(self, hour: float) -> int:
        """Return the instant of a local hour, 0 to 24."""
        return self.start_ms + round((self.end_ms - self.start_ms) * hour / 24)


@dataclass(frozen=True, slots=True)
class Touches:
    """Traffic of one kind, as columns of equal length in no particular order.

    Attributes:
        at_ms: when it occurred, inside the day.
        place, product, person: indices; places and products of the assortment.
    """

    at_ms: NDArray[np.int64]
    place: NDArray[np.int64]
    product: NDArray[np.int64]
    person: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at_ms)

    def at(self, rows: NDArray[np.int64], at_ms: NDArray[np.int64]) -> Touches:
        """Return what the same people do with the same products at other times."""
        return Touches(at_ms, self.place[rows], self.product[rows], self.person[rows])

    def joined(self, other: Touches) -> Touches:
        """Return both, one after the other."""
        return Touches(
            np.concatenate([self.at_ms, other.at_ms]),
            np.concatenate([self.place, other.place]),
            np.concatenate([self.product, other.product]),
            np.concatenate([self.person, other.person]),
        )


@dataclass(frozen=True, slots=True)
class Traffic:
    """All traffic of a day, and the clicks that end in an order."""

    impressions: Touches
    clicks: Touches
    page_views: Touches
    carts: Touches
    buyers: Touches


def make_traffic(rng: np.random.Generator, knobs: Knobs, day: Day, scale: float) -> Traffic:
    """Make the day's traffic: impressions first, everything else is a thinning of them."""
    impressions = _impressions(rng, knobs, day, scale)
    clicks = _then(rng, impressions, _click_rates(rng, knobs, impressions), (600, 9_000), day)
    traffic = Traffic(
        impressions,
        clicks,
        _then(rng, clicks, knobs.number("page_view_share"), (100, 1_500), day),
        _then(rng, clicks, knobs.number("cart_share"), (8_000, 90_000), day),
        _then(rng, clicks, _order_rates(knobs, clicks, day), (30_000, 240_000), day),
    )
    return _with_bots(rng, knobs, day, scale, traffic) if "bot_hour" in knobs else traffic


def bot_people(knobs: Knobs) -> range:
    """Return the person indices behind the bot burst; no one else has them."""
    return range(-int(knobs.number("bot_people")), 0)


def flash_span_ms(knobs: Knobs, day: Day) -> tuple[int, int]:
    """Return start and end of the flash sale."""
    start, end = knobs.row("flash_sale_hours")
    return day.at(start), day.at(end)


def _impressions(rng: np.random.Generator, knobs: Knobs, day: Day, scale: float) -> Touches:
    densities = np.array([_density(knobs, place) for place in PLACES])
    weights = densities.sum(axis=1)
    expected = knobs.number("impressions") * scale * weights / weights.sum()
    counts = rng.poisson(expected)
    minute_ms = (day.end_ms - day.start_ms) / _MINUTES
    times, products = [], []
    for place, density, count in zip(PLACES, densities, counts, strict=True):
        minutes = rng.choice(_MINUTES, size=count, p=density / density.sum())
        times.append(day.start_ms + ((minutes + rng.random(count)) * minute_ms).astype(np.int64))
        products.append(rng.choice(len(PRODUCTS), size=count, p=_appeal(knobs, place)))
    total = int(counts.sum())
    people = max(1, int(knobs.number("people") * scale))
    person = (people * rng.random(total) ** knobs.number("people_exponent")).astype(np.int64)
    return Touches(
        np.concatenate(times), np.repeat(np.arange(len(PLACES)), counts), np.concatenate(products), person
    )


def _density(knobs: Knobs, place: Place) -> NDArray[np.float64]:
    """Return the weight of each minute of the day for one place."""
    hours = (np.arange(_MINUTES) + 0.5) / 60
    shares = np.array(knobs.row("impressions_by_hour"))
    # Around the clock, so that midnight is no step.
    curve = np.interp(hours, np.arange(-1, 25) + 0.5, np.concatenate([shares[-1:], shares, shares[:1]]))
    opens, closes = place.hours
    curve = np.where((hours >= opens) & (hours < closes), curve, 0.0) * place.share
    if place.flash and "flash_sale_hours" in knobs:
        start, end = knobs.row("flash_sale_hours")
        curve = np.where(
            (hours >= start) & (hours < end), curve * knobs.number("flash_traffic_factor"), curve
        )
    return np.asarray(curve, dtype=np.float64)


def _appeal(knobs: Knobs, place: Place) -> NDArray[np.float64]:
    """Return the chance of each product to be the one shown at a place."""
    ranks = np.arange(1, len(PRODUCTS) + 1, dtype=np.float64)
    weights = ranks ** -knobs.number("popularity_exponent")
    for product, factor in place.featured:
        weights[product] *= factor
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def _click_rates(rng: np.random.Generator, knobs: Knobs, shown: Touches) -> NDArray[np.float64]:
    by_place = np.array([knobs.number(place.rate) for place in PLACES])
    by_product = rng.lognormal(-0.02, 0.2, len(PRODUCTS))
    by_product[HERO_PRODUCT] = 1.25
    rates: NDArray[np.float64] = by_place[shown.place] * by_product[shown.product]
    return rates


def _order_rates(knobs: Knobs, clicks: Touches, day: Day) -> NDArray[np.float64]:
    by_place = np.array([place.converts for place in PLACES])
    rates = knobs.number("ctor") * by_place[clicks.place]
    if "flash_sale_hours" in knobs:
        start, end = flash_span_ms(knobs, day)
        on_sale = np.array([product.flash for product in PRODUCTS])[clicks.product]
        during = (clicks.at_ms >= start) & (clicks.at_ms < end)
        rates = np.where(on_sale & during, rates * knobs.number("flash_ctor_factor"), rates)
    return rates


def _then(
    rng: np.random.Generator,
    touches: Touches,
    rates: NDArray[np.float64] | float,
    after_ms: tuple[int, int],
    day: Day,
) -> Touches:
    """Return what some of the people do next; what would fall into the next day is left out."""
    rows = np.flatnonzero(rng.random(len(touches)) < rates)
    at_ms = touches.at_ms[rows] + rng.integers(*after_ms, len(rows))
    inside = at_ms < day.end_ms
    return touches.at(rows[inside], at_ms[inside])


def _with_bots(rng: np.random.Generator, knobs: Knobs, day: Day, scale: float, traffic: Traffic) -> Traffic:
    start = day.at(knobs.number("bot_hour"))
    span = int(knobs.number("bot_minutes") * 60_000)
    people = np.array(bot_people(knobs))
    product = len(PRODUCTS) // 2

    def burst(count: int) -> Touches:
        at_ms = start + np.sort(rng.integers(0, span, count))
        fixed = np.full(count, BOT_PLACE), np.full(count, product)
        return Touches(at_ms, *fixed, rng.choice(people, count))

    shown = burst(int(knobs.number("bot_impressions") * scale))
    clicked = burst(int(knobs.number("bot_clicks") * scale))
    return Traffic(
        traffic.impressions.joined(shown),
        traffic.clicks.joined(clicked),
        traffic.page_views,
        traffic.carts,
        traffic.buyers,
    )
