"""Metrics of the catalogue that speak of the moment: stock, goals, freshness.

Source: spec/metrics.md "Stock", "Sales and money in", "Freshness and quality".
"""

from __future__ import annotations

from typing import Final

from streams.formulas import FreshnessFigure, GoalFigure, LossFigure, StockFigure
from streams.metric import STOCK_DIMS, Metric, Unit, metric_of


def _stock(
    id: str,
    title: str,
    definition: str,
    unit: Unit,
    sources: str,
    reasons: tuple[str, ...] = (),
    advice: str = "",
) -> Metric:
    return metric_of(
        id,
        title,
        definition,
        unit,
        StockFigure(id),
        sources,
        dims=STOCK_DIMS,
        windows="now",
        topics=("stock",),
        owner="streams.stock",
        null_reasons=("no_source", "not_in_stock_feed", *reasons),
        advice=advice,
    )


STOCK_METRICS: Final[tuple[Metric, ...]] = (
    _stock(
        "stock_on_hand",
        "Stock",
        "Sum over warehouses of the latest level; for a shop with stock_feed = periodic less units sold since that "
        "record. A product is the sum of its SKUs; negative is oversold.",
        Unit.UNITS,
        "S4-58 S4-63",
        ("no_stock_record",),
    ),
    _stock(
        "stock_status",
        "Stock status",
        "out_of_stock (<= 0), at_risk (hours_to_stockout <= stock_horizon_hours), unknown (no or old record, stale "
        "feed), healthy. A product takes its worst SKU.",
        Unit.STATUS,
        "S4-59 S4-04 X-35 X-70",
        advice="Out of stock while a LIVE shows it: unpin it or add stock.",
    ),
    _stock(
        "sell_velocity",
        "Selling speed",
        "Items sold per hour, recent-weighted, with the shape of the day. A product is the sum of its SKUs.",
        Unit.UNITS_PER_HOUR,
        "S4-59",
    ),
    _stock(
        "hours_to_stockout",
        "Time to out of stock",
        "Hours until expected demand reaches the stock; 0 when out. A product takes its first SKU to run out.",
        Unit.HOURS,
        "S4-59",
        ("no_stock_record", "not_selling", "after_campaign"),
    ),
    _stock(
        "stock_horizon_hours",
        "Risk horizon",
        "min(7 days, campaign end - now) for the campaign that holds the SKU and ends last; 7 days without one. A "
        "product or shop shows its longest.",
        Unit.HOURS,
        "S4-59 X-34",
    ),
    _stock(
        "replenish_units",
        "Units to add",
        "Units to add so that the stock lasts to the horizon's end. A product is the sum of its SKUs.",
        Unit.UNITS,
        "S4-63 S4-60",
    ),
    _stock(
        "gmv_at_risk",
        "GMV at risk",
        "Demand expected between the projected stock-out and the horizon x mean price paid. A product or shop is the "
        "sum of its SKUs.",
        Unit.MONEY,
        "S4-60 S4-63 X-83",
        advice="Refill the SKUs at the top first; what cannot be refilled should not be pinned.",
    ),
    metric_of(
        "gmv_lost_to_stockout",
        "GMV lost to stock-outs (estimate)",
        "For the hours in which a SKU had no stock: its speed while in stock on that business day, steadied by the "
        "seven days before, with the shape of the day, x mean price paid. A product or shop is the sum of its SKUs.",
        Unit.MONEY,
        LossFigure(),
        "S4-60",
        dims=STOCK_DIMS,
        topics=("stock", "orders"),
        owner="streams.stock_losses",
        null_reasons=("no_source", "not_in_stock_feed"),
        not_counted="It is an estimate: nobody saw the sales that were not made. What buyers took instead is not taken "
        "off, and what a flash sale or LIVE would have sold more is not added.",
        advice="What it cost last time is what stock in time is worth.",
    ),
)

GOAL_METRICS: Final[tuple[Metric, ...]] = (
    metric_of(
        "campaign_target",
        "Campaign goal",
        "The seller's goal of the campaign: money for a goal in gmv, else a count. The newest version holds.",
        Unit.MONEY,
        GoalFigure("target"),
        "S4-11 X-67",
        dims=("campaign",),
        windows="now",
        topics=("campaigns",),
        owner="streams.goals",
        null_reasons=("no_target",),
    ),
    metric_of(
        "goal_progress_pct",
        "Goal progress",
        "gmv (or orders, items) from 00:00 shop time of the campaign's first day to now / goal, as a fraction; not "
        "clipped at 1.",
        Unit.RATE,
        GoalFigure("progress"),
        "S4-12 S4-10 X-76",
        dims=("campaign",),
        windows="now",
        topics=("campaigns", "orders"),
        owner="streams.goals",
        null_reasons=("no_source", "no_target"),
    ),
    metric_of(
        "goal_pace_pct",
        "Goal pace",
        "goal_progress_pct / the share of the goal expected by now, as a fraction: below 1 is behind. Expected is what "
        "the campaign's plan names by day and hour, else the shape of its reference, else of the shop's last six "
        "weeks, else the share of the time that has passed; the goals of the API say which.",
        Unit.RATE,
        GoalFigure("pace"),
        "S4-12 S4-75 X-80",
        dims=("campaign",),
        windows="now",
        topics=("campaigns", "orders"),
        owner="streams.goals",
        null_reasons=("no_source", "no_target", "nothing_due"),
        advice="Behind: bring the best seller forward, move a LIVE into the strongest hours left.",
    ),
    *(
        metric_of(
            f"gmv_projected_campaign_end{name}",
            f"Projected campaign GMV{title}",
            definition,
            Unit.MONEY,
            GoalFigure(f"end_gmv{name}"),
            "S4-12 S4-75",
            dims=("campaign",),
            windows="now",
            topics=("campaigns", "orders"),
            owner="streams.goal_projection",
            null_reasons=("no_source", "no_target", "nothing_sold"),
        )
        for name, title, definition in (
            (
                "",
                "",
                (
                    "gmv so far + what is expected of the rest of the campaign, as for goal_pace_pct, x how the shop "
                    "sells against that, the last hours most; stock-outs are not taken off."
                ),
            ),
            ("_low", ", low end", "Low end of its 80 % interval, at least the gmv so far."),
            ("_high", ", high end", "High end of its 80 % interval."),
        )
    ),
    metric_of(
        "period_sales_goal_pct",
        "Weekly sales goal",
        "gmv (or orders) of the week so far / the goal for it, as a fraction; the week begins on the shop's first "
        "weekday. The goal is a campaign's period goal, else the setting goals.<shop>.week.",
        Unit.RATE,
        GoalFigure("week"),
        "S3-18 S3-32",
        dims=(),
        windows="now",
        topics=("orders",),
        owner="streams.period_goals",
        null_reasons=("no_source", "no_target"),
        not_counted="Orders of other channels: a goal in net receipts has no value until those are read.",
    ),
    metric_of(
        "quarter_revenue_target_pct",
        "Quarter revenue against target",
        "gmv of the calendar quarter so far / the quarter's target, as a fraction. The target is a campaign's period "
        "goal, else the setting goals.<shop>.quarter.",
        Unit.RATE,
        GoalFigure("quarter"),
        "S5-04",
        dims=(),
        windows="now",
        topics=("orders",),
        owner="streams.period_goals",
        null_reasons=("no_source", "no_target"),
    ),
)

FRESHNESS_METRICS: Final[tuple[Metric, ...]] = (
    metric_of(
        "today_lag_seconds",
        "Freshness of Today",
        "now - the event time up to which a topic is known; over several topics the longest of the required ones.",
        Unit.SECONDS,
        FreshnessFigure("lag_s"),
        "S2-06 S4-07 X-62",
        dims=("topic",),
        windows="now",
    ),
    metric_of(
        "view_as_of",
        "As-of time",
        "Event time up to which a topic is complete; over several topics the earliest of the shop's required ones.",
        Unit.INSTANT,
        FreshnessFigure("as_of"),
        "S4-09 S4-23 X-79",
        dims=("topic",),
        windows="now",
    ),
    metric_of(
        "records_in",
        "Records in",
        "Records read from source topics in this run, of every shop; the sum over outcomes is all of them.",
        Unit.COUNT,
        FreshnessFigure("records"),
        "X-63",
        dims=("topic", "outcome"),
        windows="now",
        not_counted="Days loaded as history from the direct engine.",
        null_reasons=(),
    ),
)
