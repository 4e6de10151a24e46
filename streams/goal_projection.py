"""What will it be at the end: from sales so far and the shape of what is left to an end value with an 80 % interval.

`project_end` is the stable interface, pure: expected and real sales by bin in, an end value out. The method: the rest
of the shape times the level at which the shop sells against it.

- Level: sales over expected sales, both halved with every quarter of the whole shape that has passed since, so that
  the last hours count most.
- Where the expected sales are those of the shop's own days, a level near 1 is believed to `PRIOR_ERROR` before
  anything is sold, and less the further the sales are from it: a campaign that sells five times an ordinary day is
  no ordinary day.
- Interval: the level is Gamma with the error of both, the sales to come are drawn around it in baskets, and nobody
  knows the level of the hours to come better than `DRIFT`.

Constants, figures and the command that measures them: ADR-0011.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import gammaincinv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

INTERVAL: Final = 0.8
"""Share of real end values that lie inside the interval."""

HALF_LIFE_SHARE: Final = 0.25
"""Sales weigh half as much for every such share of the whole shape that has passed since."""

PRIOR_ERROR: Final = 0.35
"""Relative error of the shop's own earlier level as a forecast of this one's."""

LEVEL_ERROR: Final = 0.2
"""Relative error of the level so far that no amount of sales removes: the shape is never quite right."""

DRIFT: Final = 0.2
"""Relative error of the level of the hours to come against that so far."""

STRAIGHT_DRIFT: Final = 0.8
"""The same where nothing tells the shape: at the middle of its time a day has sold a third or two thirds."""

NOTHING: Final = 1e-6
"""Less than so many orders to come are none; their Gamma has no quantiles that a float could hold."""


@dataclass(frozen=True, slots=True)
class EndValue:
    """The value at the end: low <= mid <= high, none below what is sold already; in the unit of the sales."""

    mid: float
    low: float
    high: float


def project_end(
    *, sold: Floats, passed: Floats, remaining: float, basket: float, days: float, shaped: bool = True
) -> EndValue | None:
    """Return the value at the end of a period; None where nothing tells how fast it sells.

    Args:
        sold: real sales of each bin that has begun, oldest first.
        passed: expected sales of the same bins, of the last one only the part that has passed.
        remaining: expected sales of all that is to come, on the same scale.
        basket: mean squared order over mean order, in the unit of sales; 1 for orders.
        days: of how many earlier days what is expected is the mean; 0 where it is no real sales, and its level says
            nothing of this one's.
        shaped: what is expected follows a plan or earlier days; False: it is the straight line, and all sales so far
            count alike.
    """
    value = float(sold.sum())
    if remaining <= 0:
        return EndValue(value, value, value)
    whole = float(passed.sum()) + remaining
    age = np.cumsum(passed[::-1])[::-1] - passed / 2
    weight = np.exp2(-age / (HALF_LIFE_SHARE * whole)) if shaped else np.ones(len(sold))
    recent, expected = float(weight @ sold), float(weight @ passed)
    if value <= 0 and not days:
        return None
    level, precision = _level(recent, expected, basket, days=days)
    rest = level * remaining
    if rest < NOTHING * basket:
        return EndValue(value, value, value)
    # Gamma with the variance of an unknown level and of baskets drawn around it.
    spread = 1 / precision + (DRIFT if shaped else STRAIGHT_DRIFT) ** 2
    shape = 1 / (spread + basket / rest)
    tail = (1 - INTERVAL) / 2
    low, high = (float(rest * gammaincinv(shape, share) / shape) for share in (tail, 1 - tail))
    if (1 + spread * rest / basket) ** (-1 / spread) >= tail:
        # Most days end like this: the chance that nothing more is sold is itself larger than the tail.
        low = 0.0
    return EndValue(value + rest, value + min(low, rest), value + max(high, rest))


def _level(recent: float, expected: float, basket: float, *, days: float) -> tuple[float, float]:
    """Return sales over expected sales, and the precision of it: one over the squared relative error."""
    if expected <= 0:
        return 1.0, 1 / PRIOR_ERROR**2
    found = recent / expected
    evidence = max(recent, expected if days else 0.0, basket)
    # What is expected was itself drawn in baskets, on as many days.
    drawn = basket / (expected * days) if days else 0.0
    precision = 1 / (basket / evidence + drawn + LEVEL_ERROR**2)
    if not days:
        return found, precision
    deviation = (found - 1) ** 2 / (1 / precision + PRIOR_ERROR**2)
    prior = 1 / PRIOR_ERROR**2 / (1 + deviation / 4)
    return (prior + precision * found) / (prior + precision), prior + precision
