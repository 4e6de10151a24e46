"""Whether a campaign day may begin: what is known of each shop, held against what the day needs.

Pure: over columns, settings and a clock. What the machine and the receivers add is checked by whoever knows them and
put into the same list; one finding that is in the way makes it NO-GO.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import polars as pl

from streams.alerts import LISTED_SKUS, Alert, AlertState, Resolution, clean_name, listed
from streams.days import HOUR_MS, MINUTE_MS, QUARTER_MS
from streams.findings import Finding, bad, ok, warn
from streams.goals import metric_of, target_of
from streams.money import compact_money
from streams.overview import WATCHED_TOPICS, aligned_ms
from streams.rule import AlertRoute, Owner, Severity
from streams.staleness import stale_topics
from streams.stock import StockStatus, stock_table
from streams.topics import TOPICS
from streams.windows import campaign_period

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.columns import Columns
    from streams.events import Campaign
    from streams.settings import PreflightSettings, ShopSettings
    from streams.stock import SkuStock

TEST_RULE: Final = "TEST"
"""In place of a rule's number on a test page; no rule is called so."""

_WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class CampaignStart:
    """The campaign that the day is about.

    Attributes:
        starts_at_ms: 00:00 shop time of its first day (X-76).
        timezone: the shop's.
    """

    shop_id: str
    campaign_id: str
    name: str
    starts_at_ms: int
    timezone: str

    def times(self, here: dt.tzinfo | None) -> str:
        """Return the start in shop time, in the time of whoever reads it (None: left out) and in UTC."""
        at = dt.datetime.fromtimestamp(self.starts_at_ms / 1000, dt.UTC)
        shop = f"{at.astimezone(ZoneInfo(self.timezone)):%Y-%m-%d %H:%M} in the shop ({self.timezone})"
        local = f", {at.astimezone(here):%Y-%m-%d %H:%M} here" if here is not None else ""
        return f"{shop}{local}, {at:%Y-%m-%d %H:%M} UTC"


def next_campaign(columns: Columns, shop: ShopSettings, *, now_ms: int) -> Campaign | None:
    """Return the campaign that runs, else the next one; of several that run, the one that ends last."""
    calendar = columns.calendar(shop.shop_id)
    open_ones = [one for one in columns.campaigns(shop.shop_id) if one.ends_at_ms > now_ms]
    running = [one for one in open_ones if campaign_period(one, calendar)[0] <= now_ms]
    if running:
        return max(running, key=lambda one: (one.ends_at_ms, str(one.campaign_id)))
    return min(open_ones, key=lambda one: (one.starts_at_ms, str(one.campaign_id)), default=None)


def check_shop(columns: Columns, shop: ShopSettings, *, now_ms: int) -> list[Finding]:
    """Return what is found of one shop: profile, campaign, goal, sources, stock and cost of the campaign's SKUs.

    Args:
        columns: what is known; its settings hold the numbers.
        shop: whose.
        now_ms: the board's clock.
    """
    settings = columns.settings
    findings = [_profile(columns, shop)]
    stale = stale_topics(
        columns,
        shop,
        TOPICS,
        now_ms=now_ms,
        stale_after_ms=settings.board.stale_after_ms,
    )
    topics = [topic for topic in WATCHED_TOPICS if topic not in shop.required_topics]
    for topic in (*shop.required_topics, *topics):
        finding = _source(columns, shop, topic, now_ms, stale=topic in stale)
        if finding is not None:
            findings.append(finding)
    campaign = next_campaign(columns, shop, now_ms=now_ms)
    if campaign is None:
        mend = "Send one: `warroom init` writes it, `warroom send` puts it on its topic."
        return [*findings, bad("campaign", "no campaign runs or is to come", mend, shop_id=shop.shop_id)]
    start = start_of(columns, shop, campaign)
    findings.append(ok("campaign", f"{start.name} starts {start.times(None)}", shop_id=shop.shop_id))
    findings.append(_goal(columns, shop, campaign))
    findings += _campaign_skus(columns, shop, campaign, now_ms, stale)
    return findings


def start_of(columns: Columns, shop: ShopSettings, campaign: Campaign) -> CampaignStart:
    """Return when a campaign starts."""
    start_ms, _ = campaign_period(campaign, columns.calendar(shop.shop_id))
    name = clean_name(campaign.name)
    return CampaignStart(shop.shop_id, str(campaign.campaign_id), name, start_ms, shop.timezone)


def check_process(
    settings: PreflightSettings,
    *,
    lag: int | None,
    evaluated_ms: int | None,
    wall_ms: int,
    free_bytes: int,
    routes: bool,
) -> list[Finding]:
    """Return what is found of a running board.

    Args:
        settings: the numbers.
        lag: records not yet folded; None where the broker does not say.
        evaluated_ms: wall time at which stock, goals and rules were last looked at; None: never.
        wall_ms: the wall clock.
        free_bytes: on the disk of the board's data folder.
        routes: whether pages leave the machine.
    """
    findings = []
    if lag is None:
        mend = "Check the broker: `warroom doctor`."
        findings.append(bad("lag", "the broker does not say how far the workers are behind", mend))
    elif lag > settings.max_lag_records:
        mend = "Start a worker, or wait until it has caught up."
        findings.append(bad("lag", f"{lag:,} records are not folded yet", mend))
    else:
        findings.append(ok("lag", f"{lag:,} records are not folded yet"))
    if evaluated_ms is None or wall_ms - evaluated_ms > settings.evaluated_within_ms:
        since = "yet" if evaluated_ms is None else f"for {_span(wall_ms - evaluated_ms)}"
        findings.append(bad("evaluation", f"no rule was looked at {since}", "Look at the board's log."))
    else:
        findings.append(ok("evaluation", f"rules were looked at {_span(wall_ms - evaluated_ms)} ago"))
    free = f"{free_bytes / (1 << 30):.1f} GiB are free on the board's disk"
    if free_bytes < settings.min_free_bytes:
        findings.append(bad("disk", free, "Make room: without it no page can be written down."))
    else:
        findings.append(ok("disk", free))
    if routes:
        findings.append(ok("routes", "pages leave this board"))
    else:
        mend = "Name a receiver in the section [notify]; docs/DELIVERY.md has them."
        findings.append(bad("routes", "no receiver is configured: pages stay in the log", mend))
    return findings


def check_page(*, acknowledged_by: str | None, accepted_by: str, tested: bool) -> Finding:
    """Return what is found of the test page.

    Args:
        acknowledged_by: who acknowledged it; None: nobody in time.
        accepted_by: who goes without a test; empty: nobody.
        tested: whether one was sent.
    """
    if tested and acknowledged_by is not None:
        return ok("page", f"the test page was acknowledged by {clean_name(acknowledged_by) or 'a person'}")
    said = "nobody acknowledged the test page in time" if tested else "NOT TESTED: no test page was sent"
    if accepted_by:
        return warn("page", f"{said}; {clean_name(accepted_by)} goes without it")
    mend = "Send one and acknowledge it: `warroom preflight --url ... --page`."
    return bad("page", said, mend)


def test_page(shop: ShopSettings, start: CampaignStart | None, *, by: str, now_ms: int) -> Alert:
    """Return a page that says that it is a test.

    Args:
        shop: whose receivers are tested.
        start: of the campaign that it is for.
        by: who sends it; foreign text, cleaned.
        now_ms: the board's clock.
    """
    campaign = "" if start is None else f" {start.name} starts {start.times(None)}."
    return Alert(
        alert_id=f"{shop.shop_id}/{start.campaign_id if start else '-'}/TEST/{shop.shop_id}/t{now_ms}",
        rule=TEST_RULE,
        key="test_page",
        title="Test page",
        shop_id=shop.shop_id,
        state=AlertState.OPEN,
        route=AlertRoute.PAGE,
        severity=Severity.PAGE,
        owner=Owner.OPS,
        opened_at_ms=now_ms,
        updated_at_ms=now_ms,
        timezone=shop.timezone,
        currency=shop.currency,
        campaign_id=start.campaign_id if start else "",
        entity_kind="shop",
        entity_id=shop.shop_id,
        name=clean_name(shop.name or shop.shop_id),
        advice="acknowledge it, nothing is wrong",
        message=f"TEST PAGE of the war room, sent by {clean_name(by)}.{campaign} Do: acknowledge it, nothing is wrong.",
    )


def closed_page(page: Alert, *, by: str, now_ms: int) -> Alert:
    """Return a test page as it closes: acknowledged `by` somebody, or (empty) by nobody in time."""
    said = f"acknowledged by {clean_name(by)}" if by else "nobody acknowledged it in time"
    return dataclasses.replace(
        page,
        state=AlertState.RESOLVED,
        resolution=Resolution.ENDED,
        updated_at_ms=now_ms,
        resolved_at_ms=now_ms,
        message=f"Test page closed: {said}.",
    )


def _profile(columns: Columns, shop: ShopSettings) -> Finding:
    profile = columns.profile(shop.shop_id)
    if profile is not None and columns.shop_disagrees(shop.shop_id):
        said = (
            f"the shop's record says {clean_name(profile.timezone)} and {clean_name(profile.currency or '')}, "
            f"the settings {shop.timezone} and {shop.currency}"
        )
        return bad(
            "shop",
            said,
            "Mend the one that is wrong: days and sums follow the settings.",
            shop_id=shop.shop_id,
        )
    return ok(
        "shop", f"days begin at midnight {shop.timezone}, money is {shop.currency}", shop_id=shop.shop_id
    )


def _goal(columns: Columns, shop: ShopSettings, campaign: Campaign) -> Finding:
    metric, target = metric_of(campaign), target_of(columns, shop, campaign)
    if not target:
        mend = "Set one: `warroom goal set`."
        return bad("goal", "the campaign has no goal", mend, shop_id=shop.shop_id)
    shown = compact_money(round(target), shop.currency) if metric == "gmv" else f"{target:,.0f}"
    return ok("goal", f"{shown} {metric}", shop_id=shop.shop_id)


def _source(columns: Columns, shop: ShopSettings, topic: str, now_ms: int, *, stale: bool) -> Finding | None:
    """Return what is found of one topic as a source; None for one that never was and need not be."""
    check, required = f"source:{topic}", topic in shop.required_topics
    shop_id = shop.shop_id
    if columns.source_since_ms(shop_id, topic) is None:
        if not required:
            return None
        mend = "Start its connector, or take it out of required_topics."
        return bad(check, "never sent anything, and is required", mend, shop_id=shop_id)
    span = columns.span(shop_id, topic)
    sent_ms = columns.heartbeat_until_ms(shop_id, topic)
    said = f"last event {_span(now_ms - span.last_ms)} ago" if span else "no event yet"
    if sent_ms is not None:
        said += f", heartbeat {_span(now_ms - sent_ms)} ago"
    heard_ms = max(span.last_ms if span else 0, sent_ms or 0, columns.vouched_ms)
    if stale or (sent_ms is not None and now_ms - heard_ms > columns.settings.board.stale_after_ms):
        found = bad if stale else warn
        return found(check, f"{said}: silent for too long", "Look at its connector.", shop_id=shop_id)
    return _rate(columns, shop, topic, now_ms, said)


def _rate(columns: Columns, shop: ShopSettings, topic: str, now_ms: int, said: str) -> Finding:
    check, shop_id = f"source:{topic}", shop.shop_id
    calendar = columns.calendar(shop_id)
    # Up to now and not to the topic's own watermark: a feed that dried up would be compared with its better hours.
    to_ms = now_ms // QUARTER_MS * QUARTER_MS
    then_ms = aligned_ms(calendar, to_ms, calendar.day_of(to_ms) - _WEEK)
    since_ms = columns.source_since_ms(shop_id, topic)
    records = _records(columns, shop_id, topic, to_ms)
    said += f", {records:,} in the last full hour"
    if since_ms is None or since_ms > then_ms - HOUR_MS:
        return ok(check, f"{said}, nothing is known of a week ago", shop_id=shop_id)
    before = _records(columns, shop_id, topic, then_ms)
    said += f", {before:,} in that hour a week ago"
    settings = columns.settings.preflight
    if before >= settings.min_rate_records and records < before * settings.min_rate_share:
        mend = "Ask whether the connector sends everything."
        return warn(check, said, mend, shop_id=shop_id)
    return ok(check, said, shop_id=shop_id)


def _records(columns: Columns, shop_id: str, topic: str, to_ms: int) -> int:
    """Return how many events of a topic occurred in the hour before an instant; of stock, levels that are kept."""
    from_ms = to_ms - HOUR_MS
    if topic == "orders":
        lines = columns.order_lines(shop_id).filter(
            pl.col("paid_at_ms").is_between(from_ms, to_ms, closed="left")
        )
        return lines.get_column("order_id").n_unique()
    if topic == "stock":
        levels = columns.stock_history(shop_id)
        return levels.filter(pl.col("occurred_at_ms").is_between(from_ms, to_ms, closed="left")).height
    types = list(TOPICS[topic].event_types)
    cells = columns.cube("shop_quarter", shop_id).filter(
        pl.col("event_type").is_in(types) & pl.col("bucket").is_between(from_ms, to_ms, closed="left")
    )
    return int(cells.get_column("count").sum())


def _campaign_skus(
    columns: Columns, shop: ShopSettings, campaign: Campaign, now_ms: int, stale: Iterable[str]
) -> list[Finding]:
    shop_id, settings = shop.shop_id, columns.settings.preflight
    wanted = [str(product_id) for product_id in campaign.product_ids]
    if not wanted:
        mend = "Name its products in the campaign's record: without them no SKU comes first."
        return [warn("products", "the campaign names no products", mend, shop_id=shop_id)]
    cards = columns.products(shop_id)
    rows = stock_table(columns, shop, columns.settings.stock, as_of_ms=now_ms, stale=set(stale))
    of_campaign = [row for row in rows if row.product_id in set(wanted)]
    findings = []
    without_card = [product_id for product_id in wanted if product_id not in cards]
    if without_card:
        said = f"{_count(without_card, 'campaign product')} without a card: {_named(without_card)}"
        findings.append(
            warn("products", said, "Send their cards: names and SKUs come from there.", shop_id=shop_id)
        )
    else:
        findings.append(ok("products", f"{_count(wanted, 'campaign product')}", shop_id=shop_id))
    findings += _stock(columns, shop, of_campaign, without_card)
    without_cost = [one for one in wanted if one in cards and cards[one].unit_cost_minor is None]
    found = bad if settings.require_cost else warn
    if without_cost and len(without_cost) == len([one for one in wanted if one in cards]):
        said = "not fed: no product card has a unit cost"
        findings.append(found("cost", said, "Send unit_cost_minor with the product cards.", shop_id=shop_id))
    elif without_cost:
        names = [cards[one].name for one in without_cost]
        said = f"{_count(names, 'campaign product')} without a unit cost: {_named(names)}"
        findings.append(found("cost", said, "Send unit_cost_minor with their cards.", shop_id=shop_id))
    elif not without_card:
        findings.append(ok("cost", "every campaign product has a unit cost", shop_id=shop_id))
    return findings


def _stock(
    columns: Columns, shop: ShopSettings, rows: Sequence[SkuStock], without_card: Sequence[str]
) -> list[Finding]:
    shop_id = shop.shop_id
    found = bad if columns.settings.preflight.require_stock else warn
    if columns.source_since_ms(shop_id, "stock") is None:
        said = "no stock feed: nothing can be said of what runs out"
        return [
            found("stock", said, "Connect the stock feed, or set preflight.require_stock.", shop_id=shop_id)
        ]
    findings = []
    listed_products = {row.product_id for row in rows}
    missing = [row.name for row in rows if row.on_hand is None]
    missing += [product_id for product_id in without_card if product_id not in listed_products]
    unknown = [row.name for row in rows if row.on_hand is not None and row.status is StockStatus.UNKNOWN]
    out = [row.name for row in rows if row.status is StockStatus.OUT_OF_STOCK]
    if missing:
        said = f"{_count(missing, 'campaign SKU')} without a stock record: {_named(missing)}"
        findings.append(found("stock", said, "Send their levels once.", shop_id=shop_id))
    if unknown:
        said = f"{_count(unknown, 'campaign SKU')} of unknown stock, their records are too old: {_named(unknown)}"
        findings.append(found("stock:old", said, "Send their levels again.", shop_id=shop_id))
    if out:
        said = f"{_count(out, 'campaign SKU')} out of stock: {_named(out)}"
        findings.append(
            warn("stock:out", said, "Add stock, or take them out of the campaign.", shop_id=shop_id)
        )
    if not missing and not unknown:
        findings.append(ok("stock", f"{_count(rows, 'campaign SKU')} with a stock record", shop_id=shop_id))
    return findings


def _named(names: Sequence[str]) -> str:
    shown = [clean_name(name) for name in names[:LISTED_SKUS]]
    return listed(shown, len(names) - len(shown))


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things):,} {word}{'' if len(things) == 1 else 's'}"


def _span(ms: int) -> str:
    """Return a length of time as a person says it; a clock that is a little behind says 0 s."""
    for unit_ms, unit, most in ((1000, "s", 120), (MINUTE_MS, "min", 120), (HOUR_MS, "h", 72)):
        if ms < unit_ms * most:
            return f"{max(0, ms) // unit_ms} {unit}"
    return f"{ms // (24 * HOUR_MS)} days"
