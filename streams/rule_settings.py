"""Settings of the rules: every number that decides when something is told (`[rules]` in `warroom.toml`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.days import HOUR_MS, MINUTE_MS


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """Numbers of the rules on feeds, goals and sales (spec/alerts.md); those on stock and X-83 are in `stock`.

    Attributes:
        off: numbers of rules that are not run, for example `A-76`.
        hold_ms, clear_ms: by number of a rule, in place of its own: how long its condition must hold until it opens,
            and its clearing condition until it closes.
        lag_amber_ms, lag_red_ms: A-64 fires and pages when a required topic is processed so far behind its feed.
        goal_amber_pace, goal_red_pace: A-41 fires below these parts of the pace, 1 is on pace.
        goal_clear_pace: and closes from this one on.
        goal_min_due: A-41 waits until this share of the goal was due.
        goal_min_elapsed_ms: or until the campaign has run for this long.
        goal_chance: and so few orders where so many are due must be less likely than this (Poisson).
        goal_even_peak: where neither plan nor earlier days tell the hours of a day, those that are left may sell so
            many times its mean before A-41 calls the campaign behind; 1: the even line itself.
        week_min_elapsed_ms: A-43 waits until its week or quarter has run for this long.
        week_clear_margin: A-43 closes once the share reached is this far ahead of the share of the time gone.
        cancel_factor: A-63 fires when today's cancellation share is above this many times that of the days before.
        cancel_clear_factor: and closes below this many times.
        cancel_days: finished days that make that level.
        cancel_min_orders: least orders of today, and of the days before.
        cancel_chance: so many cancellations must be less likely than this at the level of the days before.
        slow_share: A-76 looks at this share of the campaign's products, those that sold least.
        slow_clear_share: and closes outside of this share.
        slow_min_products: of which impressions are known; with fewer there is no bottom to speak of.
        slow_min_expected: units that the product's showings should have sold at the rate of all of them.
        stop_window_ms: A-77 holds the orders of so long against those of `stop_baseline_ms` before.
        stop_baseline_ms: see `stop_window_ms`.
        stop_chance: so few orders must be less likely than this (Poisson).
        stop_min_expected: least orders expected.
        stop_most_share: orders must be at most this share of those expected: a slower hour is no stop.
        stop_clear_share: A-77 closes from this share on.
        slip_share: A-78 counts orders whose unit price is below this share of the SKU's median.
        slip_common_share: a price that more than this share of the SKU's orders paid before is no slip.
        slip_min_orders: so many of them in `slip_window_ms` fire.
        slip_window_ms: see `slip_min_orders`.
        slip_history_ms: the median is that of so long before.
        slip_min_history: least orders in it.
        slip_flash_word: a joined sub-campaign with this word in its id or name is a planned flash sale.
        band_window: what the rules on bands look at, a window of `streams.windows`.
        band_every_ms: and how often.
        rate_min_divisor: a rate with a smaller divisor says nothing (A-70): clicks, views, followers, page views.
        cpp_min_purchases: least purchases of a cost per purchase.
        live_most_ms: a LIVE without an end is over so long after its start.
        stream_told_ms: a LIVE that ended is looked at for so long.
        flat_streams, flat_margin: A-38: the engagement of so many LIVEs of an account differs by less than this part.
        spike_factor: A-59: a day with more than so many times the median of the `spike_days` before.
        spike_days: see `spike_factor`.
        spike_min_units: least units of the day.
        spike_repeats: customers who came back for the product make a spike proven from this number on.
        friction_top_share: A-34 looks at this share of products by page views.
        friction_rate_share: and fires below this part of the shop's median; it clears at the median.
        friction_min_products: with fewer of them there is no median to speak of.
        month_min_days: A-35, A-36 and A-39 wait until so many days are known.
        benchmark_margin: A-46 and A-49 fire below the benchmark by more than this part.
        benchmark_wait_ms: a benchmark is late when so long after its day was final it is not there.
        ad_account_told_ms: a change of the primary ad account is told for so long.
        push_min_shown: A-79 needs so many showings by a LIVE since the SKU ran out; it closes below half of them.
        push_min_share: and SKUs that are out must make this share of the product's selling speed.
        push_told_ms: A-62 looks at a content for so long after it went up, and at most for as long as the quarter
            hours around it are kept (`fold.minute_hours`).
    """

    off: tuple[str, ...] = ()
    hold_ms: dict[str, int] = field(default_factory=dict)
    clear_ms: dict[str, int] = field(default_factory=dict)
    lag_amber_ms: int = MINUTE_MS
    lag_red_ms: int = 5 * MINUTE_MS
    goal_amber_pace: float = 0.9
    goal_red_pace: float = 0.75
    goal_clear_pace: float = 0.95
    goal_min_due: float = 0.1
    goal_min_elapsed_ms: int = 2 * HOUR_MS
    goal_chance: float = 0.01
    goal_even_peak: float = 3.0
    week_min_elapsed_ms: int = 24 * HOUR_MS
    week_clear_margin: float = 0.02
    cancel_factor: float = 2.0
    cancel_clear_factor: float = 1.5
    cancel_days: int = 7
    cancel_min_orders: int = 50
    cancel_chance: float = 0.001
    slow_share: float = 0.1
    slow_clear_share: float = 0.2
    slow_min_products: int = 10
    slow_min_expected: float = 10.0
    stop_window_ms: int = 10 * MINUTE_MS
    stop_baseline_ms: int = 2 * HOUR_MS
    stop_chance: float = 0.0001
    stop_min_expected: float = 12.0
    stop_most_share: float = 0.5
    stop_clear_share: float = 0.75
    slip_share: float = 0.5
    slip_common_share: float = 0.05
    slip_min_orders: int = 3
    slip_window_ms: int = 10 * MINUTE_MS
    slip_history_ms: int = 7 * 24 * HOUR_MS
    slip_min_history: int = 10
    slip_flash_word: str = "flash"
    band_window: str = "last7"
    band_every_ms: int = 15 * MINUTE_MS
    rate_min_divisor: int = 100
    cpp_min_purchases: int = 10
    live_most_ms: int = 24 * HOUR_MS
    stream_told_ms: int = 24 * HOUR_MS
    flat_streams: int = 3
    flat_margin: float = 0.05
    spike_factor: float = 3.0
    spike_days: int = 14
    spike_min_units: int = 20
    spike_repeats: int = 1
    friction_top_share: float = 0.5
    friction_rate_share: float = 0.75
    friction_min_products: int = 4
    month_min_days: int = 7
    benchmark_margin: float = 0.0
    benchmark_wait_ms: int = 6 * HOUR_MS
    ad_account_told_ms: int = 24 * HOUR_MS
    push_min_shown: int = 100
    push_min_share: float = 0.5
    push_told_ms: int = 24 * HOUR_MS
