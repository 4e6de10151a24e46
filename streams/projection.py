"""When will it run out: from a SKU's sales to an instant with an 80 % interval.

`Projector` is the stable interface: columns of facts in, columns of answers out, so that another method can take this
one's place without a caller noticing. `gamma_poisson` is the method in use (ADR-0007).

- Speed: order lines per shape-hour (`streams.shape`) x the mean units of a line, from three memories, each halved with
  every half-life of age: weeks give what is usual, corrected by how the whole shop does at the moment; hours and the
  last half hour say what is different today. A memory enters the next shorter one as at most `LONG_SALES` lines of
  evidence, less where that one contradicts it: a fast seller follows the last half hour, a slow one its weeks.
- Interval: the unknown speed is Gamma(a, b), the time to sell S units at a given speed is Gamma(k, speed), so time / b
  is BetaPrime(k, a). A line takes several units, so k counts lines: for the early end as if a large one may take what
  is left, for the late end at least one whole line more. Nobody knows the speed of the hours to come better than
  `DRIFT`.
- Time without stock teaches nothing: it is taken out of the exposure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import betaincinv, gammaincinv

from streams.days import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streams.settings import StockSettings
    from streams.shape import DayShape

    Floats = NDArray[np.float64]
    Millis = NDArray[np.int64]

INTERVAL: Final = 0.8
"""Share of real stock-outs that lie inside the interval."""

FARTHEST_MS: Final = 90 * DAY_MS
"""An instant further ahead is not named: nobody plans by it, and the speed of today says little about it."""

BASE_HALF_LIFE_MS: Final = 7 * DAY_MS
BASE_LOOKBACK_MS: Final = 28 * DAY_MS
"""The memory of what is usual."""

SHOP_HALF_LIFE_MS: Final = 3 * HOUR_MS
SHOP_PRIOR_ORDERS: Final = 6.0
"""How the whole shop does against its usual: over which time, and drawn to "as usual" by so many orders."""

LONG_SALES: Final = 6.0
"""A memory counts as at most so many lines: enough to steady a slow seller, too few to hold back a burst."""

DRIFT: Final = 0.3
"""Relative error of the speed of the hours to come that no amount of past sales removes (measured, ADR-0007)."""

PRIOR_SALES: Final = 0.5
"""Jeffreys' prior of a Poisson speed; only the interval sees it."""

LEAST_EXPOSURE_H: Final = 0.25
LEAST_USUAL_H: Final = 1.0
"""A SKU on sale for a minute has not shown its speed, still less what is usual: the exposure is at least this."""

LINE_PRIOR_SALES: Final = 3.0
SQUARE_PRIOR_SALES: Final = 5.0
"""A SKU's own sizes of a line, and their squares, count against the shop's as this many lines."""

_WEIGHT_STEPS: Final = float(1 << 30)

_LOOKBACK_HALF_LIVES: Final = 8
_LEAST_SPEED: Final = 1e-12
_STEP_MS: Final = 5 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class OlderSales:
    """Sales that only the memory of what is usual still has, as sums; arrays of one row per SKU.

    Attributes:
        lines, units, squares: order lines, their units, and the squares of their units.
        weights: of the lines, halved with every `BASE_HALF_LIFE_MS` of age at `sales_until_ms`.
    """

    lines: Floats
    units: Floats
    squares: Floats
    weights: Floats


@dataclass(frozen=True, slots=True)
class ProjectionInput:
    """Facts of a shop's SKUs; arrays of one row per SKU, per sale, per interval without stock.

    Attributes:
        as_of_ms: the instant of the projection.
        sales_until_ms: the order feed is complete up to here, <= as_of_ms: silence after it is not "no sales".
        on_hand: per SKU, units, >= 0.
        since_ms: per SKU, since when it could sell.
        horizon_end_ms: per SKU, >= as_of_ms.
        sale_sku, sale_at_ms, sale_units: per sale (order line), the SKU's row, event time, units >= 1; sales while the
            level was 0 or below are left out, as their time is.
        closed_sku, closed_from_ms, closed_to_ms: intervals in which a SKU had no stock.
        shape: of the day.
        older: sales of before `recent_ms` that are not among the single ones; None: there are none.
    """

    as_of_ms: int
    sales_until_ms: int
    on_hand: Floats
    since_ms: Millis
    horizon_end_ms: Millis
    sale_sku: NDArray[np.int64]
    sale_at_ms: Millis
    sale_units: Floats
    closed_sku: NDArray[np.int64]
    closed_from_ms: Millis
    closed_to_ms: Millis
    shape: DayShape
    older: OlderSales | None = None


@dataclass(frozen=True, slots=True)
class Projection:
    """What is to be expected; arrays of one row per SKU.

    Attributes:
        velocity_per_h: units per clock hour at as_of_ms, >= 0.
        hours, hours_low, hours_high: until the stock-out, clock hours, with the interval; inf where nothing sells or
            the end is out of sight; low <= hours <= high.
        demand, demand_low, demand_high: units wanted from as_of_ms to the horizon's end, with the interval of the
            expectation.
        lost, lost_low, lost_high: of these, the units wanted after the stock-out.
    """

    velocity_per_h: Floats
    hours: Floats
    hours_low: Floats
    hours_high: Floats
    demand: Floats
    demand_low: Floats
    demand_high: Floats
    lost: Floats
    lost_low: Floats
    lost_high: Floats


Projector = Callable[[ProjectionInput, "StockSettings"], Projection]
"""The interface; pure, quick (2,000 SKUs in well under 100 ms), never inf - inf or NaN in an answer."""


def lookback_ms(settings: StockSettings) -> int:
    """Return how far back sales matter."""
    return max(BASE_LOOKBACK_MS, _LOOKBACK_HALF_LIVES * settings.long_half_life_ms)


def recent_ms(settings: StockSettings) -> int:
    """Return how far back every sale is looked at by itself; before, only the memory of what is usual reaches."""
    return _LOOKBACK_HALF_LIVES * max(
        SHOP_HALF_LIFE_MS, settings.long_half_life_ms, settings.short_half_life_ms
    )


def weights_of(ages: Floats) -> Floats:
    """Return the weights of lines of so many half-lives of age: 2^-age, to the nearest 2^-30.

    A sum of up to eight million of them is exact, so it does not depend on the order in which lines came: boards that
    were told in another order, or from other partitions, project the same.
    """
    # In place: hundreds of thousands of ages are too large for the processor's caches, and so is every copy of them.
    weights = np.negative(ages)
    np.exp2(weights, out=weights)
    weights *= _WEIGHT_STEPS
    np.rint(weights, out=weights)
    weights /= _WEIGHT_STEPS
    return weights


def gamma_poisson(data: ProjectionInput, settings: StockSettings) -> Projection:
    """Project by exponentially weighted speeds times the shape of the day (ADR-0007)."""
    lines = _lines(data)
    found, hours, sells = _speed(data, settings, lines)
    per_h = np.where(sells, found / hours, 0.0)
    rate = per_h * lines.units

    # Evidence in lines, never worth more than DRIFT allows.
    evidence = 1 / (lines.spread / (found + PRIOR_SALES) + DRIFT**2)
    tail = (1 - INTERVAL) / 2
    road = _Road(data)
    to_horizon = road.shape_hours(data.horizon_end_ms)

    stock = np.maximum(data.on_hand, 0.0)
    speed = np.where(sells, np.maximum(rate, _LEAST_SPEED), 1.0)
    wait = np.where(sells, stock / speed, np.inf)
    # A large line may take all that is left: so few lines as there are mean squared sizes in it.
    few = np.maximum(stock / (lines.units * lines.spread), 1e-9)
    early = wait * _beta_prime(few, evidence, tail) * evidence / few
    # And it takes one more line at the least: the last one overshoots by half a mean squared size less half a unit.
    needed = np.maximum((stock + (lines.units * lines.spread - 1) / 2) / lines.units, 1.0)
    many = needed**2 / (needed + stock * (lines.spread - 1) / lines.units)
    late = needed * lines.units / speed * _beta_prime(many, evidence, 1 - tail) * evidence / many
    plain_late = wait * _beta_prime(few, evidence, 1 - tail) * evidence / few
    low = np.where(stock > 0, np.where(sells, early, np.inf), 0.0)
    high = np.where(stock > 0, np.where(sells, np.maximum(late, plain_late), np.inf), 0.0)
    slow, fast = (rate * gammaincinv(evidence, share) / evidence for share in (tail, 1 - tail))

    return Projection(
        velocity_per_h=rate * road.level_now,
        hours=road.clock_hours(wait),
        hours_low=road.clock_hours(np.minimum(low, wait)),
        hours_high=road.clock_hours(np.maximum(high, wait)),
        demand=rate * to_horizon,
        demand_low=slow * to_horizon,
        demand_high=fast * to_horizon,
        lost=np.maximum(rate * to_horizon - stock, 0.0),
        lost_low=np.maximum(slow * to_horizon - stock, 0.0),
        lost_high=np.maximum(fast * to_horizon - stock, 0.0),
    )


@dataclass(frozen=True, slots=True)
class _Lines:
    """Sizes of order lines per SKU, drawn towards the shop's own.

    Attributes:
        units: mean units of a line, > 0.
        spread: mean squared units over the squared mean, >= 1: one large line says less than many small ones.
    """

    units: Floats
    spread: Floats


def _lines(data: ProjectionInput) -> _Lines:
    count = np.bincount(data.sale_sku, minlength=len(data.on_hand)).astype(np.float64)
    units, squares = _per_sku(data, data.sale_units), _per_sku(data, data.sale_units**2)
    if data.older is not None:
        count, units = count + data.older.lines, units + data.older.units
        squares = squares + data.older.squares
    total = count.sum()
    shop_mean, shop_square = (units.sum() / total, squares.sum() / total) if total else (1.0, 1.0)
    mean = (units + LINE_PRIOR_SALES * shop_mean) / (count + LINE_PRIOR_SALES)
    square = (squares + SQUARE_PRIOR_SALES * shop_square) / (count + SQUARE_PRIOR_SALES)
    return _Lines(mean, np.maximum(square / mean**2, 1.0))


def _speed(
    data: ProjectionInput, settings: StockSettings, lines: _Lines
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return per SKU the evidence in lines, the shape-hours in which it was found, and whether it sells at all."""
    base, base_h = _weighted(data, BASE_HALF_LIFE_MS, BASE_LOOKBACK_MS, HOUR_MS)
    if data.older is not None:
        base = base + data.older.weights
    sells = base > 1e-9
    usual = np.where(sells, base / np.maximum(base_h, LEAST_USUAL_H), 1.0)
    shop, shop_h = _weighted(data, SHOP_HALF_LIFE_MS)
    expected = float((usual * shop_h)[sells].sum())
    prior = SHOP_PRIOR_ORDERS * _lines_per_order(data)
    rate = usual * (float(shop.sum()) + prior) / (expected + prior)

    evidence = np.minimum(base, LONG_SALES)
    for half_life_ms in (settings.long_half_life_ms, settings.short_half_life_ms):
        found, hours = _weighted(data, half_life_ms)
        known = np.minimum(evidence, LONG_SALES) * _agreement(found, rate * hours, lines.spread)
        evidence = known + found
        exposure = np.maximum(known / rate + hours, LEAST_EXPOSURE_H)
        rate = np.where(sells, np.maximum(evidence / exposure, _LEAST_SPEED), 1.0)
    return evidence, exposure, sells


def _lines_per_order(data: ProjectionInput) -> float:
    """Return how many lines come at one instant: a large order of many lines is one customer's mood."""
    recent = data.sale_at_ms[data.sale_at_ms > data.sales_until_ms - _LOOKBACK_HALF_LIVES * SHOP_HALF_LIFE_MS]
    # Sorted, equal instants stand side by side: that is quicker than hashing them.
    recent.sort()
    return len(recent) / (1 + np.count_nonzero(recent[1:] != recent[:-1])) if len(recent) else 1.0


def _agreement(found: Floats, expected: Floats, spread: Floats) -> Floats:
    """Return how far a longer memory is to be believed, 0 to 1, given what a shorter one found.

    Where the last half hour is far outside of what the day would lead one to expect (a flash sale has begun, a LIVE
    has ended), the day is about another demand. A heavy tail: one deviation costs a fifth, four cost four fifths.
    """
    variance = spread * (found + PRIOR_SALES) + (DRIFT * expected) ** 2
    return np.asarray(1 / (1 + (found - expected) ** 2 / variance / 4))


def _beta_prime(shape: Floats, other: Floats, share: float) -> Floats:
    """Return the quantile of BetaPrime(shape, other): X / (1 - X) of a Beta quantile X."""
    below = betaincinv(shape, other, share)
    # 1 - X loses all digits where X is near 1; the mirrored quantile keeps them.
    above = betaincinv(other, shape, 1 - share)
    return np.asarray(below / np.maximum(above, 1e-300))


def _weighted(
    data: ProjectionInput, half_life_ms: int, back_ms: int | None = None, step_ms: int = _STEP_MS
) -> tuple[Floats, Floats]:
    """Return per SKU the lines sold and the shape-hours on sale, both halved with every half-life of age."""
    until = data.sales_until_ms
    start = until - (_LOOKBACK_HALF_LIVES * half_life_ms if back_ms is None else back_ms)
    recent = data.sale_at_ms > start
    ages_ms = data.sale_at_ms[recent]
    np.subtract(until, ages_ms, out=ages_ms)
    np.maximum(ages_ms, 0, out=ages_ms)
    weights = weights_of(ages_ms / half_life_ms)
    lines = np.bincount(data.sale_sku[recent], weights=weights, minlength=len(data.on_hand))

    edges = np.arange(start // step_ms * step_ms, until + step_ms, step_ms, dtype=np.int64)
    ends = np.minimum(edges, until)
    # Integral of shape x 2^-(age / half-life) up to each edge, exact inside a bin of constant shape.
    decay = np.exp2(-(until - ends) / half_life_ms) * half_life_ms / HOUR_MS / np.log(2)
    exposure = np.concatenate(([0.0], np.cumsum(data.shape.levels(edges) * np.diff(decay))))

    def up_to(at_ms: Millis) -> Floats:
        return np.interp(np.minimum(at_ms, until), ends, exposure)

    on_sale = exposure[-1] - up_to(data.since_ms)
    closed = up_to(data.closed_to_ms) - up_to(np.maximum(data.closed_from_ms, data.since_ms[data.closed_sku]))
    np.subtract.at(on_sale, data.closed_sku, np.maximum(closed, 0.0))
    return lines.astype(np.float64), np.maximum(on_sale, 0.0)


def _per_sku(data: ProjectionInput, weights: Floats) -> Floats:
    """Return the sum of the weights of each SKU's sales."""
    return np.bincount(data.sale_sku, weights=weights, minlength=len(data.on_hand)).astype(np.float64)


class _Road:
    """The way ahead of `as_of_ms`: clock hours to shape-hours and back."""

    def __init__(self, data: ProjectionInput) -> None:
        self._as_of_ms = data.as_of_ms
        first = data.as_of_ms // QUARTER_MS * QUARTER_MS
        edges = np.arange(first, first + 7 * DAY_MS + QUARTER_MS, QUARTER_MS, dtype=np.int64)
        levels = data.shape.levels(edges)
        self.level_now = float(levels[0])
        ahead = np.maximum(edges - data.as_of_ms, 0) / HOUR_MS
        self._clock = ahead
        self._shape = np.concatenate(([0.0], np.cumsum(levels * np.diff(ahead))))

    def shape_hours(self, at_ms: Millis) -> Floats:
        """Return the shape-hours from as_of_ms to each instant, 0 for earlier ones."""
        clock = np.maximum(at_ms - self._as_of_ms, 0) / HOUR_MS
        inside = np.interp(clock, self._clock, self._shape)
        return np.asarray(inside + np.maximum(clock - self._clock[-1], 0.0))

    def clock_hours(self, shape_hours: Floats) -> Floats:
        """Return the clock hours in which so many shape-hours pass; inf stays inf.

        Beyond seven days every hour counts as one: the mean of a whole day.
        """
        inside = np.interp(shape_hours, self._shape, self._clock)
        return np.asarray(inside + np.maximum(shape_hours - self._shape[-1], 0.0))
