"""The methods that the stock projection is measured against: hours until a stock-out, per SKU.

All see what the projection sees: the sales up to an instant, and the level. None sees a sale that was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from streams.days import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

LIBRARY: Final = (
    "statsforecast SeasonalExponentialSmoothingOptimized, hourly units of 28 days, season 24 hours"
)
"""The best of the five of its models that were tried on tuning worlds (ADR 7); fitted anew at each instant."""

_SERIES_H: Final = 28 * 24
_SEASON_H: Final = 24
_AHEAD_H: Final = 7 * 24


def mean_of_last(lines: pl.DataFrame, levels: Mapping[str, int], now_ms: int, hours: int) -> dict[str, float]:
    """Return stock over the mean sales an hour of the last hours; inf where nothing was sold.

    A shop that began later is measured from its first order on: dividing by hours before that would be unfair.
    """
    first_ms = lines.get_column("paid_at_ms").min()
    known_h = (now_ms - int(first_ms)) / HOUR_MS if isinstance(first_ms, int) else 0.0
    sold = _units(lines.filter(pl.col("paid_at_ms") > now_ms - hours * HOUR_MS))
    over_h = max(1.0, min(float(hours), known_h))
    return {sku: level * over_h / sold[sku] if sold.get(sku) else np.inf for sku, level in levels.items()}


def _units(lines: pl.DataFrame) -> dict[str, int]:
    return dict(lines.group_by("sku_id").agg(pl.col("quantity").sum()).iter_rows())


def by_library(
    lines: pl.DataFrame, levels: Mapping[str, int], skus: Sequence[str], now_ms: int
) -> dict[str, float] | None:
    """Return when the library's forecast of hourly units has added up to the stock; None where it is not installed.

    Args:
        lines: order lines up to now.
        levels: units in stock; the answer is for these.
        skus: those worth a forecast; others are inf.
        now_ms: a whole hour.
    """
    try:
        from statsforecast.models import SeasonalExponentialSmoothingOptimized
    except ImportError:
        return None
    model = SeasonalExponentialSmoothingOptimized(season_length=_SEASON_H)
    wanted = [sku for sku in skus if sku in levels]
    answers = dict.fromkeys(levels, np.inf)
    for sku, series in zip(wanted, _hourly(lines, wanted, now_ms), strict=True):
        if not series.any():
            continue
        with np.errstate(all="ignore"):
            ahead = model.forecast(y=series, h=_AHEAD_H)["mean"]
        answers[sku] = _hours_until(np.nan_to_num(ahead), levels[sku])
    return answers


def _hourly(lines: pl.DataFrame, skus: Sequence[str], now_ms: int) -> NDArray[np.float64]:
    """Return units by SKU and hour, from the shop's first order on, at most 28 days, at least two seasons."""
    row = {sku: index for index, sku in enumerate(skus)}
    first_ms = lines.get_column("paid_at_ms").min()
    known_h = (now_ms - int(first_ms)) // HOUR_MS + 1 if isinstance(first_ms, int) else 0
    hours = max(2 * _SEASON_H, min(_SERIES_H, known_h))
    start_ms = now_ms - hours * HOUR_MS
    recent = lines.filter(pl.col("sku_id").is_in(list(skus)) & (pl.col("paid_at_ms") > start_ms))
    series = np.zeros((len(skus), hours))
    at = (recent.get_column("paid_at_ms").to_numpy() - start_ms - 1) // HOUR_MS
    rows = np.array([row[sku] for sku in recent.get_column("sku_id")], dtype=np.int64)
    np.add.at(series, (rows, at), recent.get_column("quantity").to_numpy())
    return series


def _hours_until(ahead: NDArray[np.float64], level: int) -> float:
    """Return when hourly units have added up to a level; beyond them at their mean."""
    ahead = np.maximum(ahead, 0.0)
    total = np.concatenate(([0.0], np.cumsum(ahead)))
    if total[-1] >= level:
        # Where it stands still it has not got there: the first hour that reaches the level, and its part of it.
        hour = int(np.searchsorted(total, level))
        return float(hour - 1 + (level - total[hour - 1]) / (total[hour] - total[hour - 1]))
    rate = float(ahead.mean())
    return float(len(ahead) + (level - total[-1]) / rate) if rate > 0 else np.inf
