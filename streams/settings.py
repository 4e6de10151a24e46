"""Settings as data: every key with its default, its bounds and what it is for.

`warroom.toml` and environment variables (`WARROOM_<SECTION>_<KEY>`) are read by `warroom.configuration`; this module
holds the shape, so that the pure core can be given settings without touching a file.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Final, Literal

from streams.days import HOUR_MS, MINUTE_MS
from streams.rule_settings import RuleSettings


@dataclass(frozen=True, slots=True)
class ShopSettings:
    """What the monitor must know of a shop before its first event.

    Zone and currency are fixed here or by a recording's manifest; a `shop` record that disagrees changes nothing
    and raises an alert (design, decision 5).

    Attributes:
        shop_id: the id on the wire.
        timezone: IANA zone of the business day (X-20).
        currency: ISO 4217 code; events in another one are `currency_mismatch`.
        name: what screens show; the id when empty.
        gmv_includes_shipping: X-05.
        stock_feed: `each_sale` when the stock feed sends every sale, `periodic` when it sends a level now and then
            (metrics.md, stock_on_hand).
        required_topics: topics whose silence is an alarm (X-82).
        week_start: first day of the week, in English (X-21); empty: as the shop's record says, else Sunday.
    """

    shop_id: str
    timezone: str = "America/Los_Angeles"
    currency: str = "USD"
    name: str = ""
    gmv_includes_shipping: bool = True
    stock_feed: Literal["each_sale", "periodic"] = "each_sale"
    required_topics: tuple[str, ...] = ("orders",)
    week_start: Literal["", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = ""


@dataclass(frozen=True, slots=True)
class GoalSettings:
    """A shop's goals, where its campaign records name none: table `[goals.<shop id>]`.

    Attributes:
        week: goal of each week from its first day (the shop's `week_start`, else Sunday), in `week_metric`; 0 is none.
        week_metric: what it counts; money in major units.
        quarter: goal of each calendar quarter, in `quarter_metric`; 0 is none.
        quarter_metric: what it counts.
        campaigns: goal of a campaign by its id, in the metric of its record.
        references: what a campaign is held against by its id: a day, another campaign, or `recording:` and a day or
            campaign of the recording beside.
    """

    week: float = 0.0
    week_metric: Literal["gmv", "orders", "items_sold"] = "gmv"
    quarter: float = 0.0
    quarter_metric: Literal["gmv", "orders", "items_sold"] = "gmv"
    campaigns: dict[str, float] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OwnMetricSettings:
    """A metric that the seller adds: table `[metrics.<id>]` (docs/add-a-metric.md).

    Attributes:
        formula: numbers and ids of the catalogue with + - * / and brackets, such as `gmv / content_views * 1000`.
        title: as a screen shows it; the id when empty.
        definition: what it is for, one sentence; the formula when empty.
        advice: one line for whoever sees it off its band.
    """

    formula: str
    title: str = ""
    definition: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class FoldSettings:
    """What the fold of a record may depend on, besides the record itself.

    Attributes:
        allowed_lateness_ms: R - occurred_at above this marks a record as late, never loses it.
        future_tolerance_ms: occurred_at - R above this is `rejected_future`.
        repeat_window_ms: a second arrival of an event_id within this of R is a `duplicate`.
        hot_days: traffic whose shop-day lies further behind R's is `too_late`; days kept in state.
        minute_hours: hours for which minute cubes and product quarter hours are kept.
        repeat_window_ids: most ids that the repeat window of one topic partition keeps; above it the oldest
            generation is forgotten early and the shortening is logged.
    """

    allowed_lateness_ms: int = 2 * MINUTE_MS
    future_tolerance_ms: int = 2 * MINUTE_MS
    repeat_window_ms: int = 10 * MINUTE_MS
    hot_days: int = 45
    minute_hours: int = 48
    repeat_window_ids: int = 16_000_000


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where the records are and how the worker keeps its state.

    Attributes:
        bootstrap: host:port list.
        app: names the consumer group and the transactional ids.
        prefix: before every topic name; it may not begin with `replay.`, as those of replays do (`replay.<id>.`).
        partitions: of every source, state and facts topic; fixed for the life of the prefix.
        replication: of the topics that `warroom topics` creates.
        transactions: false only when `warroom demo` started a broker that has none (design, decision 10).
        flush_after_ms: a flush is due this long after the first change.
        flush_at_most_ms: and at the latest, when slow flushes have stretched that.
        transaction_timeout_ms: the broker aborts a transaction that was left open for this long.
        session_timeout_ms: a dead worker's partitions wait this long.
        stall_after_ms: a worker that has lag and makes no progress for this long exits.
        shutdown_ms: SIGTERM ends within this.
        fetch_bytes: most bytes of one fetch of one partition, as they travel; unpacked, JSON takes five times as much.
        worker_processes: of `warroom worker`, which share its partitions; 0: one for each core.
        rebuild_records_per_s: a cube that came or changed while the state lived is rebuilt from the source topics, each
            worker reading at most so many records a second beside its work; 0: it stays as it is.
        spill_folder: on a disk, for what a worker keeps and seldom reads; empty: the system's temporary files.
        security_protocol, sasl_mechanism, sasl_username, sasl_password_file, ca_file: how to log on; empty is plain.
    """

    bootstrap: str = "127.0.0.1:9092"
    app: str = "warroom"
    prefix: str = "cm."
    partitions: int = 4
    replication: int = 1
    transactions: bool = True
    flush_after_ms: int = 1_000
    flush_at_most_ms: int = 5_000
    transaction_timeout_ms: int = 10_000
    session_timeout_ms: int = 10_000
    stall_after_ms: int = 60_000
    shutdown_ms: int = 10_000
    fetch_bytes: int = 1 << 20
    worker_processes: int = 0
    rebuild_records_per_s: int = 20_000
    spill_folder: str = ""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password_file: str = ""
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """What the board answers with and where it listens.

    Attributes:
        host, port: loopback by default; a wider bind is refused without `token_file`.
        token_file: holds the bearer token of the API, the page and /metrics.
        stale_after_ms: X-82, the least silence that makes a required topic stale.
        catching_up_ms: a rate whose topics are further apart is null `catching_up`.
        day_final_hour: a day is final at this hour of the next day, shop time (X-63).
        redis_url: Redis that several boards share, `redis://host:port/0`: the one that holds the lease there evaluates
            and delivers; empty when there is one board.
        sse_clients: most open event streams.
        evaluate_every_ms: projections, goals and rules are evaluated this often.
        series_budget: most series that /metrics exposes; what is left out is counted.
        data_dir: folder of what outlives the process: outbox, would-have-sent log, history.
        min_group: no figure by age or gender is shown for a group of fewer viewers than these.
        format_min_clicks: a format with fewer clicks of a product is not its best one.
        gmv_range_edges: in major units, rising: between them are the ranges of product_gmv_range (X-49).
        price_tier_edges: in major units: prices below the first are of the tier low, from the second on high, between
            them mid, where the product card does not tell its tier (X-46; our choice).
    """

    host: str = "127.0.0.1"
    port: int = 8321
    token_file: str = ""
    stale_after_ms: int = 5 * MINUTE_MS
    catching_up_ms: int = MINUTE_MS
    day_final_hour: int = 18
    redis_url: str = ""
    sse_clients: int = 200
    evaluate_every_ms: int = 5_000
    series_budget: int = 2_000
    data_dir: str = ".warroom"
    min_group: int = 50
    format_min_clicks: int = 100
    gmv_range_edges: tuple[int, ...] = (1_000, 5_000, 10_000, 30_000, 100_000)
    price_tier_edges: tuple[int, ...] = (30, 100)


@dataclass(frozen=True, slots=True)
class StockSettings:
    """Numbers of the stock projection and of rules A-01, A-02, A-03 and X-83.

    Attributes:
        horizon_ms: the risk horizon is the lesser of this and the campaign's remaining time (X-34).
        short_half_life_ms, long_half_life_ms: of the exponentially weighted selling speed.
        max_age_ms: an older stock record of a SKU that sells is `unknown`.
        page_lead_ms: a page needs the late end of the interval within this.
        page_min_share: and gmv_at_risk of at least this share of the day's goal, else of yesterday's GMV.
        page_min_sales: and at least this many customers who bought the SKU in `page_sales_window_ms`: one who takes a
            hundred, or orders ten times, is not five who want it.
        page_quiet_ms: a product rings once: until so long after its last page has closed, its other SKUs, and its
            running out as foretold, go to the channel; so does what has been out for longer when it becomes dear. What
            runs out after its page was called off rings again.
        page_louder: for so long after a page opened, another SKU of the shop (of the campaign) pages only with this
            many times the money at risk, and goes to the channel else: whoever was called has the list open. 0: each
            pages by itself.
        page_sales_window_ms: see `page_min_sales`.
        page_clear_lead: an open page clears when the late end is further away than the lead times this, and the middle
            beyond the lead.
        page_clear_share: or when the money at risk is below the page's minimum times this.
        demand_lead_ms: A-03 tells of a high-demand product whose first SKU runs out within this.
        demand_min_share: and whose gmv_at_risk is at least this share of the day's goal, else of yesterday's GMV.
        digest_every_ms: SKUs at risk that do not page are told together this often.
        demand_top_share: products in this top part of the shop by `atc_rate_pdp` are in high demand (A-03).
        demand_clear_share: A-03 closes once the product has fallen out of this wider top part.
        demand_min_viewers: of a product's page, within the window; with fewer its rate is not ranked.
    """

    horizon_ms: int = 7 * 24 * HOUR_MS
    short_half_life_ms: int = 30 * MINUTE_MS
    long_half_life_ms: int = 6 * HOUR_MS
    max_age_ms: int = 24 * HOUR_MS
    page_lead_ms: int = 3 * HOUR_MS
    page_min_share: float = 0.01
    page_min_sales: int = 5
    page_quiet_ms: int = 3 * HOUR_MS
    page_louder: float = 2.0
    page_sales_window_ms: int = 2 * HOUR_MS
    page_clear_lead: float = 1.5
    page_clear_share: float = 0.5
    demand_lead_ms: int = 24 * HOUR_MS
    demand_min_share: float = 0.005
    digest_every_ms: int = HOUR_MS
    demand_top_share: float = 0.10
    demand_clear_share: float = 0.20
    demand_min_viewers: int = 100


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Where pages go; an empty file name means that route is off, and messages stay in the would-have-sent log.

    Attributes:
        slack_webhook_file: holds the incoming-webhook URL; of every owner that has no file of its own.
        slack_owner_files: owner (`ops`, `ads`, `content`, `finance`, `platform`) to the file of its own channel.
        pagerduty_key_file: holds the routing key of a PagerDuty Events v2 integration.
        pagerduty_url: where events are sent.
        webhook_url_file: holds the URL of a generic webhook that takes every alert as JSON.
        escalation: routes a page goes to, one after the other: `pagerduty`, `slack` (the owner's channel),
            `slack-ads` and the like (that owner's); those that are not configured are left out.
        escalate_after_ms: a page that nobody acknowledged goes to the next route after this.
        group_above: more alerts than these of one rule, shop and campaign are one incident.
        group_window_ms: those that opened within this are counted, and later ones join the group.
        group_wait_ms: an alert waits this long for others that open at the same time.
        board_url: address under which people reach the board's page; linked in messages when not empty.
        runbook_url: of docs/RUNBOOK.md where people read it; linked with the rule's anchor when not empty.
        retry_first_ms, retry_most_ms: backoff; a Retry-After of the receiver wins.
        alertmanager_url: of one Alertmanager or of several that share a cluster, separated by commas, such as
            `http://127.0.0.1:9093`; when set, alerts go there and it tells Slack and PagerDuty.
        alertmanager_repost_ms: what is open is posted to it again this often, and ends there after five times this
            when nobody posts it any more.
    """

    slack_webhook_file: str = ""
    slack_owner_files: dict[str, str] = field(default_factory=dict)
    pagerduty_key_file: str = ""
    pagerduty_url: str = "https://events.pagerduty.com/v2/enqueue"
    webhook_url_file: str = ""
    escalation: tuple[str, ...] = ("pagerduty", "slack")
    escalate_after_ms: int = 5 * MINUTE_MS
    group_above: int = 2
    group_window_ms: int = 5 * MINUTE_MS
    group_wait_ms: int = 2_000
    board_url: str = ""
    runbook_url: str = ""
    retry_first_ms: int = 1_000
    retry_most_ms: int = 5 * MINUTE_MS
    alertmanager_url: str = ""
    alertmanager_repost_ms: int = MINUTE_MS


@dataclass(frozen=True, slots=True)
class PreflightSettings:
    """What `warroom preflight` takes for being in the way.

    Attributes:
        require_stock: a campaign SKU without a stock record is in the way; false: it is worth a look.
        require_cost: likewise for a product card without a unit cost.
        min_rate_share: a feed whose last hour has less than this share of the same hour a week before is worth a look.
        min_rate_records: and only where that hour had at least so many records.
        max_lag_records: more records than these not yet folded are in the way.
        evaluated_within_ms: stock, goals and rules must have been looked at within this.
        min_free_bytes: least free space on the disk of `board.data_dir`, and for a worker in `kafka.spill_folder`.
        page_wait_ms: a test page must be acknowledged within this.
    """

    require_stock: bool = True
    require_cost: bool = False
    min_rate_share: float = 0.3
    min_rate_records: int = 20
    max_lag_records: int = 10_000
    evaluated_within_ms: int = 2 * MINUTE_MS
    min_free_bytes: int = 1 << 30
    page_wait_ms: int = 5 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """What views show, and which of them take off the limits of the vendor's page that they copy.

    Attributes:
        unbound: names of views without the vendor's limits (X-80).
    """

    unbound: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one process."""

    shops: dict[str, ShopSettings] = field(default_factory=dict)
    goals: dict[str, GoalSettings] = field(default_factory=dict)
    metrics: dict[str, OwnMetricSettings] = field(default_factory=dict)
    fold: FoldSettings = field(default_factory=FoldSettings)
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    board: BoardSettings = field(default_factory=BoardSettings)
    stock: StockSettings = field(default_factory=StockSettings)
    rules: RuleSettings = field(default_factory=RuleSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    preflight: PreflightSettings = field(default_factory=PreflightSettings)
    views: ViewSettings = field(default_factory=ViewSettings)
    replay_id: str = ""
    """The replay this process belongs to; empty on a live cluster."""

    def with_shops(self, shops: dict[str, ShopSettings]) -> Settings:
        """Return a copy where `shops` fills in what these settings do not name themselves."""
        return dataclasses.replace(self, shops={**shops, **self.shops})


SECTIONS: Final = {
    "fold": FoldSettings,
    "kafka": KafkaSettings,
    "board": BoardSettings,
    "stock": StockSettings,
    "rules": RuleSettings,
    "notify": NotifySettings,
    "preflight": PreflightSettings,
    "views": ViewSettings,
}
"""Sections of `warroom.toml`, beside one `[shops.<id>]` and one `[goals.<shop id>]` table per shop and one
`[metrics.<id>]` table per metric of the seller's own."""
