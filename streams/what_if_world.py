"""A shop's SKUs in a world with other stock and other demand: what `streams.what_if` lays beside the present one.

The projection in use is asked again, so that a world without changes gives the stock table's own answers:

- More stock is an answer with more on hand. Stock that comes later counts only where the SKU has not run out before.
- A flash sale of factor f makes the hours of demand pass f times as fast: instants and horizons are moved to the clock
  on which the projection knows that demand, and its answers back.

Source: spec/metrics.md "Stock"; ADR-0007.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from streams.days import DAY_MS, HOUR_MS, QUARTER_MS
from streams.projection import FARTHEST_MS, Projection, Projector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from streams.projection import ProjectionInput
    from streams.stock import SkuStock
    from streams.stock_facts import StockFacts

    Floats = NDArray[np.float64]
    Millis = NDArray[np.int64]
    Triple = tuple[Floats, Floats, Floats]

ALL: Final = "*"
"""Subject of a flash sale of everything."""

_ROAD_MS: Final = 8 * DAY_MS
"""A day more than the longest horizon: beyond it a flash sale only moves instants that nobody acts on."""


@dataclass(frozen=True, slots=True)
class Restock:
    """Units that come at an instant; at or before now they are there at once."""

    sku_id: str
    units: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class FlashSale:
    """A factor on demand, > 0, of a SKU, a product or everything (`ALL`) from from_ms to to_ms; several multiply."""

    subject: str
    factor: float
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """What would be otherwise.

    Attributes:
        goal: of the running campaign, in major units for gmv, else a count; None leaves it.
    """

    restocks: tuple[Restock, ...] = ()
    flash_sales: tuple[FlashSale, ...] = ()
    goal: float | None = None


class Range(NamedTuple):
    """A value with its 80 % interval."""

    mid: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SkuOutlook:
    """A SKU's stock in one world.

    Attributes:
        out: the instant of the first stock-out, ms, with its interval; None where none is in sight or the stock is
            unknown. Now for a SKU that is out. The late end is None where only it is out of sight.
        again: where stock comes after the first stock-out: when that runs out; None likewise.
        demand_units, lost_units: wanted until the horizon's end, and of these not there to be sold.
        gmv_at_risk_minor: the latter in money.
    """

    out_ms: int | None
    out_low_ms: int | None
    out_high_ms: int | None
    again_ms: int | None
    again_low_ms: int | None
    again_high_ms: int | None
    demand_units: float
    lost_units: Range
    gmv_at_risk_minor: Range


class Clock:
    """Real time against the clock of usual demand: they differ from where a factor lies on demand."""

    def __init__(self, data: ProjectionInput, factors: Sequence[FlashSale]) -> None:
        now = data.as_of_ms
        first = now // QUARTER_MS * QUARTER_MS
        quarters = np.arange(first, first + _ROAD_MS, QUARTER_MS, dtype=np.int64)
        bounds = [at for sale in factors for at in (sale.from_ms, sale.to_ms) if now < at < quarters[-1]]
        edges = np.unique(np.append(quarters, np.array([now, *bounds], dtype=np.int64)))
        levels = np.asarray(data.shape.levels(edges), dtype=np.float64)
        factor = np.ones(len(levels))
        for sale in factors:
            factor[(edges[:-1] >= sale.from_ms) & (edges[:-1] < sale.to_ms)] *= sale.factor
        self._now = now
        self._ahead = np.maximum(edges - now, 0) / HOUR_MS
        lengths = np.diff(self._ahead)
        self._usual = np.concatenate(([0.0], np.cumsum(levels * lengths)))
        self._real = np.concatenate(([0.0], np.cumsum(levels * factor * lengths)))
        self._alike = bool((factor == 1).all())

    def usual_ms(self, at_ms: Millis) -> Millis:
        """Return by when, at usual demand, as much would be wanted as is until the real instants."""
        if self._alike:
            return at_ms
        hours = self._moved(np.maximum(at_ms - self._now, 0) / HOUR_MS, self._real, self._usual)
        return np.asarray(self._now + np.round(hours * HOUR_MS).astype(np.int64))

    def real_hours(self, hours: Floats) -> Floats:
        """Return how far ahead really lies what lies so many hours ahead at usual demand; inf stays inf."""
        return hours if self._alike else self._moved(hours, self._usual, self._real)

    def _moved(self, hours: Floats, one: Floats, other: Floats) -> Floats:
        """Return when `other` has come as far as `one` has in so many hours; beyond the road every hour is one."""
        wanted = np.interp(hours, self._ahead, one) + np.maximum(hours - self._ahead[-1], 0.0)
        return np.asarray(np.interp(wanted, other, self._ahead) + np.maximum(wanted - other[-1], 0.0))


@dataclass(frozen=True, slots=True)
class Flow:
    """Units of each SKU until an instant: wanted, and of these not there to be sold; middle, low, high."""

    wanted: Triple
    lost: Triple


class World:
    """The shop's SKUs under a scenario.

    Attributes:
        rows: position in the facts, and row of the stock table.
        touched: by position, whether the scenario names the SKU.
    """

    def __init__(
        self, facts: StockFacts, table: Sequence[SkuStock], scenario: Scenario, project: Projector
    ) -> None:
        self._settings = facts.settings
        self._project = project
        self._data = facts.projection_input()
        self._now = self._data.as_of_ms
        self._asked_before: dict[tuple[bytes, bytes], Projection] = {}
        sku_ids = facts.skus.get_column("sku_id").to_list()
        products = facts.skus.get_column("product_id").to_list()
        position = {sku_id: index for index, sku_id in enumerate(sku_ids)}
        self.rows = [(position[row.sku_id], row) for row in table]
        self._row = dict(self.rows)
        self._restocks: list[list[Restock]] = [[] for _ in sku_ids]
        for restock in sorted(scenario.restocks, key=lambda each: each.at_ms):
            if restock.sku_id in position:
                self._restocks[position[restock.sku_id]].append(restock)
        sales = [
            tuple(sale for sale in scenario.flash_sales if sale.subject in {ALL, sku_id, product})
            for sku_id, product in zip(sku_ids, products, strict=True)
        ]
        self.touched = [bool(some or others) for some, others in zip(self._restocks, sales, strict=True)]
        clocks = {each: Clock(self._data, each) for each in set(sales)}
        self._clock = [clocks[each] for each in sales]
        self._clocks = [
            (clock, np.array([place for place, own in enumerate(sales) if own == each]))
            for each, clock in clocks.items()
        ]

    @cached_property
    def at_risk(self) -> Range:
        """The money at risk of all SKUs, minor units."""
        risks = [self.risk(index) for index, _ in self.rows]
        return Range(*(sum(values) for values in zip(*risks, strict=True))) if risks else Range(0, 0, 0)

    def risk(self, index: int) -> Range:
        """Return the money at risk of a SKU, minor units; 0 where nothing is projected."""
        row = self._row[index]
        if row.unknown_because or row.horizon_end_ms <= self._now:
            return Range(0, 0, 0)
        return Range(*(round(float(each[index]) * row.price_minor) for each in self._until_horizon.lost))

    def outlook(self, index: int) -> SkuOutlook:
        """Return what is to be expected of a SKU."""
        row = self._row[index]
        if row.unknown_because or row.horizon_end_ms <= self._now:
            return SkuOutlook(None, None, None, None, None, None, 0.0, Range(0, 0, 0), Range(0, 0, 0))
        flow = self._until_horizon
        lost = Range(*(float(each[index]) for each in flow.lost))
        first, again = zip(*(self._outs(index, which) for which in range(3)), strict=True)
        return SkuOutlook(
            out_ms=first[0],
            out_low_ms=first[1],
            out_high_ms=first[2],
            again_ms=again[0],
            again_low_ms=again[1],
            again_high_ms=again[2],
            demand_units=float(flow.wanted[0][index]),
            lost_units=lost,
            gmv_at_risk_minor=self.risk(index),
        )

    def until(self, end_ms: int) -> Flow:
        """Return what is wanted and what is lost until an instant; of a SKU whose stock is unknown nothing is lost."""
        flow = self._flow(np.full(len(self.touched), max(end_ms, self._now), dtype=np.int64))
        known = np.array([not self._row[index].unknown_because for index in range(len(self.touched))])
        mid, low, high = (np.where(known, each, 0.0) for each in flow.lost)
        return Flow(flow.wanted, (mid, low, high))

    @cached_property
    def _until_horizon(self) -> Flow:
        return self._flow(self._data.horizon_end_ms)

    def _flow(self, end_ms: Millis) -> Flow:
        """Return wanted and lost until each instant.

        Lost is the most that was ever wanted beyond what had come by then: stock that comes later does not sell it.
        """
        in_time = [
            sum(each.units for each in restocks if self._now < each.at_ms < end)
            for restocks, end in zip(self._restocks, end_ms.tolist(), strict=True)
        ]
        last = self._asked(self._supply(0) + np.array(in_time, dtype=np.float64), end_ms)
        lost = (last.lost.copy(), last.lost_low.copy(), last.lost_high.copy())
        for number in range(max((len(each) for each in self._restocks), default=0)):
            for worst, missed in zip(lost, self._missed_before(number, end_ms), strict=True):
                np.maximum(worst, missed, out=worst)
        return Flow((last.demand, last.demand_low, last.demand_high), lost)

    def _missed_before(self, number: int, end_ms: Millis) -> Triple:
        """Return what is wanted and not there before a SKU's restock of this number, and before end_ms."""
        come_ms = np.array(
            [each[number].at_ms if len(each) > number else self._now for each in self._restocks],
            dtype=np.int64,
        )
        until = self._asked(self._supply(0), np.clip(come_ms, self._now, end_ms))
        supply = self._supply(number)
        mid, low, high = (
            np.maximum(wanted - supply, 0.0) for wanted in (until.demand, until.demand_low, until.demand_high)
        )
        return mid, low, high

    def _outs(self, index: int, which: int) -> tuple[int | None, int | None]:
        """Return the first stock-out and, where stock comes after it, the next; `which`: 0 middle, 1 low, 2 high."""
        restocks = self._restocks[index]
        number = sum(each.at_ms <= self._now for each in restocks)
        hours = self._hours(self._supply(number), index, which)
        while number < len(restocks) and self._now + hours * HOUR_MS > restocks[number].at_ms:
            number += 1
            hours = self._hours(self._supply(number), index, which)
        first = self._instant(hours)
        if number == len(restocks):
            return first, None
        # What was wanted while nothing was there is gone: it takes nothing of what comes. Early where much is wanted.
        farthest = np.full(len(self.touched), restocks[-1].at_ms, dtype=np.int64)
        supply = self._supply(len(restocks))
        supply[index] += max(
            float(self._missed_before(place, farthest)[(0, 2, 1)[which]][index])
            for place in range(len(restocks))
        )
        return first, self._instant(self._hours(supply, index, which))

    def _hours(self, supply: Floats, index: int, which: int) -> float:
        """Return the real hours until a SKU is out of so much."""
        if supply[index] <= 0:
            return 0.0
        found = self._asked(supply, self._data.horizon_end_ms)
        hours = np.array([(found.hours, found.hours_low, found.hours_high)[which][index]])
        return float(self._clock[index].real_hours(hours)[0])

    def _asked(self, supply: Floats, end_ms: Millis) -> Projection:
        """Return the projection with so much on hand until real instants, on the clock of usual demand."""
        usual_ms = end_ms.copy()
        for clock, members in self._clocks:
            usual_ms[members] = clock.usual_ms(end_ms[members])
        place = supply.tobytes(), usual_ms.tobytes()
        if place not in self._asked_before:
            data = dataclasses.replace(self._data, on_hand=supply, horizon_end_ms=usual_ms)
            self._asked_before[place] = self._project(data, self._settings)
        return self._asked_before[place]

    def _supply(self, number: int) -> Floats:
        """Return what is there with the first `number` restocks of each SKU, and with those that have come by now."""
        supply = np.array(self._data.on_hand, dtype=np.float64)
        for index, restocks in enumerate(self._restocks):
            supply[index] += sum(
                each.units for place, each in enumerate(restocks) if place < number or each.at_ms <= self._now
            )
        return supply

    def _instant(self, hours: float) -> int | None:
        ahead_ms = hours * HOUR_MS
        return self._now + round(ahead_ms) if ahead_ms <= FARTHEST_MS else None
