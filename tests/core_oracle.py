"""A second opinion on the fold: plain dictionaries and sets over `json.loads`, nothing shared with the fold.

It reads all records at once, so it can say what the end must be without regard to the order of arrival: the counted
copies of a traffic event are chosen by going through their record timestamps in order, the winner of a fact by `max`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

MINUTE: Final = 60_000
DAY: Final = 86_400_000
TRAFFIC: Final = {"product_impression", "product_click", "product_page_view", "add_to_cart"}
FACT_IDS: Final = {
    "order_paid": ("order_id",),
    "order_status": ("order_id", "status"),
    "refund": ("refund_id", "line_id"),
    "stock_changed": ("sku_id",),
    "heartbeat": ("source",),
    "product": ("product_id",),
    "checkout_started": ("checkout_id",),
    "content": ("content_id", "state"),
    "content_engagement": ("content_id", "bucket_start_ms", "territory", "age_band", "gender"),
    "violation": ("violation_id", "state"),
    "follower": ("account_id", "occurred_at_ms"),
    "account": ("account_id",),
    "ad_metric": ("ad_account_id", "ad_id", "bucket_start_ms"),
    "ad_account_selected": (),
    "traffic_total": ("product_id",),
    "history_total": ("date", "hour", "metric", "slice"),
    "benchmark": ("category", "gmv_tier", "group", "period", "metric"),
}
FACT_VERSION: Final = {
    "order_status": "seq",
    "stock_changed": "version",
    "heartbeat": "sent_until_ms",
    "product": "version",
    "content": "occurred_at_ms",
    "violation": "occurred_at_ms",
    "account": "version",
    "ad_metric": "revision",
    "ad_account_selected": "version",
    "traffic_total": "revision",
    "benchmark": "published_at_ms",
}
KINDS: Final = ("seller_live", "seller_video", "seller_product_card", "affiliate_live", "affiliate_video")


class Sent(NamedTuple):
    """A record as a producer sent it."""

    topic: str
    key: str
    timestamp_ms: int
    value: bytes


@dataclass
class Shop:
    timezone: str
    currency: str


@dataclass
class Expected:
    """What must be known at the end.

    Attributes:
        outcomes: per topic.
        cells: (cube, shop, bucket, event type, dims) -> [events, events with a user, users].
        facts: key -> (version, occurred, copies, least R, body without event_id and ingested_at_ms).
    """

    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    cells: dict[tuple[Any, ...], list[Any]] = field(default_factory=dict)
    facts: dict[tuple[str, ...], tuple[Any, ...]] = field(default_factory=dict)


def expect(
    records: Iterable[Sent],
    shops: dict[str, Shop],
    *,
    lateness_ms: int = 2 * MINUTE,
    window_ms: int = 10 * MINUTE,
    hot_days: int = 45,
) -> Expected:
    """Work out what the fold must come to."""
    expected = Expected()
    copies: dict[tuple[str, str, str], list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    facts: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for record in records:
        event = json.loads(record.value)
        refused = _refusal(event, record.timestamp_ms, shops, hot_days)
        if refused:
            expected.outcomes[record.topic][refused] += 1
        elif event["event_type"] in TRAFFIC:
            copies[record.topic, event["shop_id"], event["event_id"]].append((record.timestamp_ms, event))
        else:
            body = {
                name: value for name, value in event.items() if name not in {"event_id", "ingested_at_ms"}
            }
            key, version = _identity(event)
            facts[key].append(
                (
                    version,
                    event["occurred_at_ms"],
                    json.dumps(body, sort_keys=True),
                    record.timestamp_ms,
                    record.topic,
                )
            )
    for (topic, _, _), group in copies.items():
        counted_at: int | None = None
        for received, event in sorted(group, key=lambda copy: copy[0]):
            if counted_at is not None and received - counted_at <= window_ms:
                expected.outcomes[topic]["duplicate"] += 1
                continue
            counted_at = received
            expected.outcomes[topic][_lateness(received, event["occurred_at_ms"], lateness_ms)] += 1
            _add(event, ZoneInfo(shops[event["shop_id"]].timezone), expected.cells)
    for key, versions in facts.items():
        # Two bodies of one version and time are told apart by a hash that the oracle does not know: tests avoid them.
        best = max(row[:2] for row in versions)
        winners = sorted((row for row in versions if row[:2] == best), key=lambda row: row[3])
        assert len({row[2] for row in winners}) == 1, "an ambiguous winner"
        first = winners[0]
        expected.facts[key] = (*best, len(winners), first[3], json.loads(first[2]))
        for row in versions:
            if row[:2] != best:
                outcome = "superseded"
            elif row is first:
                outcome = _lateness(row[3], row[1], lateness_ms)
            else:
                outcome = "duplicate"
            expected.outcomes[row[4]][outcome] += 1
    return expected


def _refusal(event: dict[str, Any], received: int, shops: dict[str, Shop], hot_days: int) -> str | None:
    event_type = event.get("event_type")
    if not isinstance(event_type, str):
        return "rejected_schema"
    if event_type not in TRAFFIC and event_type not in FACT_IDS:
        return "rejected_type"
    if "shop_id" not in event or (event_type in TRAFFIC and "product_id" not in event):
        return "rejected_schema"
    shop = shops.get(event["shop_id"])
    if shop is None:
        return "rejected_shop"
    if event.get("currency", shop.currency) != shop.currency:
        return "currency_mismatch"
    occurred = event["occurred_at_ms"]
    if occurred < dt.datetime(2000, 1, 1, tzinfo=dt.UTC).timestamp() * 1000:
        return "rejected_time"
    if occurred - received > 2 * MINUTE:
        return "rejected_future"
    zone = ZoneInfo(shop.timezone)
    if event_type in TRAFFIC and (_day(received, zone) - _day(occurred, zone)).days > hot_days:
        return "too_late"
    return None


def _identity(event: dict[str, Any]) -> tuple[tuple[str, ...], int]:
    kind = event["event_type"]
    ids = [str(event.get(name, "")) for name in FACT_IDS[kind]]
    if kind == "traffic_total":
        source = event.get("source")
        ids += [_leaf(source), str((source or {}).get("content_id", "")), str(event["bucket_start_ms"])]
    if kind == "stock_changed":
        ids += [str(event.get("warehouse_id", "default")), str(event["occurred_at_ms"] // (15 * MINUTE))]
    name = FACT_VERSION.get(kind)
    without = event["occurred_at_ms"] if kind == "stock_changed" else 0
    version = 0 if name is None else event.get(name, without)
    return (kind, event["shop_id"], *ids), version


def _lateness(received: int, occurred: int, lateness_ms: int) -> str:
    return "counted_late" if received - occurred > lateness_ms else "counted"


def _day(at_ms: int, zone: ZoneInfo) -> dt.date:
    return dt.datetime.fromtimestamp(at_ms / 1000, zone).date()


def _atom(source: dict[str, Any] | None) -> str:
    if source is None:
        return "12"
    name = f"{source['owner']}_{source['format']}"
    other = 5 if source["owner"] == "affiliate" else 6
    kind = KINDS.index(name) if name in KINDS else other
    return str(2 * kind + (1 if source["surface"] == "shop_tab" else 0))


def _leaf(source: dict[str, Any] | None) -> str:
    if source is not None and source["surface"] == "shop_tab":
        return "shop_tab"
    return (*KINDS, "affiliate_other", "other")[int(_atom(source)) // 2]


def _add(event: dict[str, Any], zone: ZoneInfo, cells: dict[tuple[Any, ...], list[Any]]) -> None:
    occurred = event["occurred_at_ms"]
    source = event.get("source") or {}
    atom, product = _atom(event.get("source")), event["product_id"]
    day, quarter = _day(occurred, zone).toordinal(), occurred - occurred % (15 * MINUTE)
    content, creator, sub = source.get("content_id"), source.get("creator_id"), source.get("sub_campaign_id")
    keys: list[tuple[str, int, tuple[str | None, ...]]] = [
        ("shop_quarter", quarter, (atom,)),
        ("shop_minute", occurred - occurred % MINUTE, (atom,)),
        ("product_day", day, (product, atom)),
        ("product_quarter", quarter, (product,)),
        ("content_day", day, (content, product, atom)),
        ("creator_day", day, (creator, product, atom)),
        ("sub_campaign_day", day, (sub, atom)),
    ]
    if event["event_type"] == "product_impression":
        keys.append(("territory_day", day, (event.get("territory"),)))
    if event["event_type"] in {"product_page_view", "add_to_cart"}:
        keys.append(("product_theta", day, (product,)))
    if event["event_type"] in {"product_click", "add_to_cart"}:
        keys.append(("sku_day", day, (product, event.get("sku_id"), atom)))
    if event["event_type"] in {"product_impression", "product_click"}:
        keys.append(("content_sub_campaign_day", day, (content, sub, atom)))
    if event["event_type"] == "product_click":
        keys.append(("content_sku_day", day, (content, product, event.get("sku_id"), atom)))
    for cube, bucket, dims in keys:
        if None in dims:
            continue
        cell = cells.setdefault((cube, event["shop_id"], bucket, event["event_type"], dims), [0, 0, set()])
        cell[0] += 1
        user = event.get("user_key")
        if user is not None:
            cell[1] += 1
            cell[2].add(user)
