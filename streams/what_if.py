"""What if: more stock, a flash sale, another goal; what changes, and nothing is stored.

How stock and demand change is in `streams.what_if_world`. The end value is the goal's projected end (`streams.goals`),
less what stock-outs lose until then, plus what the changes let be sold more. Before and after are computed alike.

Source: spec/metrics.md "Stock", gmv_projected_campaign_end; ADR-0007, ADR-0011.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from streams.days import DAY_MS
from streams.goals import GoalProgress, goal_progress, needed_per_h, running_campaign, sold
from streams.money import to_minor
from streams.projection import Projector, gamma_poisson
from streams.stock import stock_table
from streams.stock_facts import StockFacts
from streams.what_if_world import ALL, Range, Scenario, SkuOutlook, World
from streams.windows import campaign_period

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from streams.columns import Columns
    from streams.settings import Settings, ShopSettings

    Floats = NDArray[np.float64]

_RATIO_MS: Final = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class SkuWhatIf:
    """A SKU before and after."""

    sku_id: str
    product_id: str
    name: str
    on_hand: int | None
    unknown_because: str
    before: SkuOutlook
    after: SkuOutlook


@dataclass(frozen=True, slots=True)
class GoalOutlook:
    """The running campaign's goal in one world; money in minor units for gmv, else counts.

    Attributes:
        end: the value at the campaign's end, less what stock-outs lose until then; None where nothing tells it yet.
    """

    target: float | None
    value: int
    progress_pct: float | None
    pace_pct: float | None
    needed_per_h: float | None
    end: Range | None


@dataclass(frozen=True, slots=True)
class GoalWhatIf:
    """The running campaign's goal before and after."""

    campaign_id: str
    metric: str
    basis: str
    before: GoalOutlook
    after: GoalOutlook


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a scenario changes.

    Attributes:
        skus: those that the scenario touches, by what it changes of the money at risk, most first.
        unknown_skus: named in the scenario and in no stock table.
        gmv_at_risk_before, gmv_at_risk_after: minor units, over all SKUs of the shop.
        goal: None without a running campaign.
    """

    shop_id: str
    as_of_ms: int
    skus: list[SkuWhatIf]
    unknown_skus: tuple[str, ...]
    gmv_at_risk_before: Range
    gmv_at_risk_after: Range
    goal: GoalWhatIf | None


def what_if(
    columns: Columns,
    shop: ShopSettings,
    settings: Settings,
    scenario: Scenario,
    *,
    as_of_ms: int,
    project: Projector = gamma_poisson,
) -> WhatIf:
    """Return what changes under a scenario; pure, nothing is stored.

    Args:
        columns: what is known.
        shop: whose.
        settings: of the process.
        scenario: what would be otherwise.
        as_of_ms: now; the past cannot be changed.
        project: the projection's method.
    """
    table = stock_table(columns, shop, settings.stock, as_of_ms=as_of_ms, project=project)
    facts = StockFacts(columns, shop, settings.stock, as_of_ms)
    before = World(facts, table, Scenario(), project)
    after = World(facts, table, scenario, project)
    rows = [
        SkuWhatIf(
            row.sku_id,
            row.product_id,
            row.name,
            row.on_hand,
            row.unknown_because,
            before.outlook(index),
            after.outlook(index),
        )
        for index, row in before.rows
        if after.touched[index]
    ]
    rows.sort(
        key=lambda row: (-abs(row.after.gmv_at_risk_minor.mid - row.before.gmv_at_risk_minor.mid), row.sku_id)
    )
    known = {row.sku_id for row in table} | {row.product_id for row in table} | {ALL}
    named = [each.sku_id for each in scenario.restocks] + [each.subject for each in scenario.flash_sales]
    return WhatIf(
        shop_id=shop.shop_id,
        as_of_ms=as_of_ms,
        skus=rows,
        unknown_skus=tuple(dict.fromkeys(name for name in named if name not in known)),
        gmv_at_risk_before=before.at_risk,
        gmv_at_risk_after=after.at_risk,
        goal=_goal(columns, shop, scenario, before, after, as_of_ms),
    )


def _goal(
    columns: Columns, shop: ShopSettings, scenario: Scenario, before: World, after: World, as_of_ms: int
) -> GoalWhatIf | None:
    campaign = running_campaign(columns, shop, as_of_ms=as_of_ms)
    if campaign is None:
        return None
    progress = next(
        each
        for each in goal_progress(columns, shop, as_of_ms=as_of_ms)
        if each.campaign_id == str(campaign.campaign_id)
    )
    _, end_ms = campaign_period(campaign, columns.calendar(shop.shop_id))
    usual, changed = before.until(end_ms), after.until(end_ms)
    worth = _worth(columns, shop, progress.metric, before, as_of_ms)
    missed = [float(worth @ lost) for lost in usual.lost]
    gained = [
        float(worth @ ((new - new_lost) - (old - old_lost)))
        for new, new_lost, old, old_lost in zip(
            changed.wanted, changed.lost, usual.wanted, usual.lost, strict=True
        )
    ]
    target = progress.target
    if scenario.goal is not None:
        target = to_minor(scenario.goal, shop.currency) if progress.metric == "gmv" else scenario.goal
    return GoalWhatIf(
        campaign_id=progress.campaign_id,
        metric=progress.metric,
        basis=progress.basis,
        before=_outlook(progress, progress.target, missed, [0.0, 0.0, 0.0], end_ms),
        after=_outlook(progress, target, missed, gained, end_ms),
    )


def _outlook(
    progress: GoalProgress,
    target: float | None,
    missed: Sequence[float],
    gained: Sequence[float],
    end_ms: int,
) -> GoalOutlook:
    end = None
    if progress.projected is not None:
        ends = (progress.projected, progress.projected_low or 0.0, progress.projected_high or 0.0)
        mid, low, high = (
            max(value - less + more, float(progress.value))
            for value, less, more in zip(ends, missed, gained, strict=True)
        )
        end = Range(mid, min(low, mid), max(high, mid))
    share = progress.value / target if target else None
    due = progress.expected_share
    return GoalOutlook(
        target=target,
        value=progress.value,
        progress_pct=None if share is None else share * 100,
        pace_pct=share / due * 100 if share is not None and due else None,
        needed_per_h=needed_per_h(target, progress.value, end_ms - progress.as_of_ms),
        end=end,
    )


def _worth(columns: Columns, shop: ShopSettings, metric: str, world: World, as_of_ms: int) -> Floats:
    """Return what a unit of each SKU adds to the goal's metric."""
    if metric == "gmv":
        prices = dict(world.rows)
        return np.array([prices[index].price_minor for index in range(len(prices))], dtype=np.float64)
    units = sold(columns, shop, "items_sold", as_of_ms - _RATIO_MS, as_of_ms)
    orders = sold(columns, shop, "orders", as_of_ms - _RATIO_MS, as_of_ms)
    each = 1.0 if metric == "items_sold" else orders / units if units else 1.0
    return np.full(len(world.rows), each)
