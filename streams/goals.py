"""Campaign goals: how far the shop is, and what today's part of the goal is.

Source: spec/metrics.md campaign_target, goal_progress_pct and notes; X-67, X-76.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GoalProgress:
    """A campaign's goal against what was sold from its first day on.

    Attributes:
        starts_at_ms: 00:00 shop time of the campaign's first day (X-76); ends_at_ms: the exact end.
        metric: `gmv`, `orders` or `items_sold`.
        target: in minor units for gmv, else a count; None without a target, then progress_pct is None too.
        value: of the same metric, from starts_at_ms to the lesser of as_of_ms and ends_at_ms.
        progress_pct: value / target x 100, not clipped at 100; None without a target or with a target of 0.
    """

    shop_id: str
    campaign_id: str
    name: str
    starts_at_ms: int
    ends_at_ms: int
    as_of_ms: int
    metric: str
    target: float | None
    value: int
    progress_pct: float | None
