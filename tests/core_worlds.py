"""Small worlds of records for the laws of the fold, and ways to send them through it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import xxhash
from hypothesis import strategies as st

from streams import sketches, theta, wire
from streams.cubes import CUBE_BY_NAME, TRAFFIC, Cube
from streams.fold import PartitionState
from streams.records import RecordBatch
from streams.settings import FoldSettings, ShopSettings
from streams.state import FactKey, FactRow, Flush, Position, RowKey, StateRow
from tests.core_oracle import DAY, MINUTE, Expected, Sent, Shop, expect

BEGIN_MS: Final = 1_762_016_400_000
"""2025-11-01T17:00Z: New York's clocks go back the next morning, so worlds cross a day of 25 hours."""

SHOPS: Final = {
    "s1": ShopSettings("s1", timezone="America/New_York", currency="USD"),
    "s 2": ShopSettings("s 2", timezone="Europe/London", currency="GBP"),
}
ORACLE_SHOPS: Final = {shop.shop_id: Shop(shop.timezone, shop.currency) for shop in SHOPS.values()}
SETTINGS: Final = FoldSettings(hot_days=45, minute_hours=24 * 60)

LATENESS_MS: Final = 2 * MINUTE
DELAYS_MS: Final = (
    0,
    1,
    1_000,
    119_999,
    120_000,
    120_001,
    5 * MINUTE,
    599_000,
    600_000,
    600_001,
    25 * MINUTE,
)
OCCURRED_MS: Final = (0, 1, 59_999, 60_000, 14 * MINUTE, 15 * MINUTE, 6 * 60 * MINUTE, 11 * 60 * MINUTE, DAY)

SOURCES: Final = (
    None,
    {
        "owner": "seller",
        "format": "live",
        "surface": "live_room",
        "is_paid": False,
        "account_id": "a",
        "content_id": "c1",
    },
    {"owner": "seller", "format": "product_card", "surface": "shop_tab", "is_paid": False, "account_id": "a"},
    {
        "owner": "affiliate",
        "format": "video",
        "surface": "feed",
        "is_paid": True,
        "ad_id": "ad",
        "account_id": "b",
        "creator_id": "k1",
        "content_id": "c 2",
        "sub_campaign_id": "flash",
    },
    {"owner": "none", "format": "other", "surface": "offsite", "is_paid": False, "sub_campaign_id": "flash"},
    {
        "owner": "seller",
        "format": "live",
        "surface": "shop_tab",
        "is_paid": False,
        "account_id": "a",
        "content_id": "c1",
        "sub_campaign_id": "night",
    },
)
TOPIC_OF: Final = {
    "product_impression": "impressions",
    "product_click": "clicks",
    "product_page_view": "page_views",
    "add_to_cart": "add_to_cart",
    "order_paid": "orders",
    "order_status": "orders",
    "stock_changed": "stock",
    "heartbeat": "heartbeats",
    "product": "products",
    "checkout_started": "checkouts",
    "content": "content",
    "content_engagement": "engagement",
    "violation": "violations",
    "follower": "followers",
    "account": "accounts",
    "ad_metric": "ads",
    "ad_account_selected": "ad_accounts",
    "traffic_total": "traffic_totals",
    "history_total": "history",
    "benchmark": "benchmarks",
}


def order_line(number: int) -> dict[str, Any]:
    money = dict.fromkeys(
        (
            "shipping_paid_minor",
            "tax_minor",
            "seller_discount_minor",
            "cofund_product_minor",
            "cofund_shipping_minor",
            "coupon_minor",
        ),
        0,
    )
    ids = {"line_id": f"l{number}", "product_id": "p1", "sku_id": "p1-red"}
    return ids | {"quantity": 1, "list_price_minor": 500, "goods_paid_minor": 450} | money


def order_paid(occurred_at_ms: int, order_id: str, customer_id: str = "u1", **fields: Any) -> dict[str, Any]:
    return {
        "event_id": f"paid {order_id}",
        "event_type": "order_paid",
        "shop_id": "s1",
        "occurred_at_ms": occurred_at_ms,
        "paid_at_ms": occurred_at_ms,
        "created_at_ms": occurred_at_ms - 1_000,
        "order_id": order_id,
        "customer_id": customer_id,
        "credits_minor": 0,
        "lines": [order_line(1)],
    } | fields


def impression(occurred_at_ms: int, event_id: str = "e1", **fields: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "event_type": "product_impression",
        "shop_id": "s1",
        "occurred_at_ms": occurred_at_ms,
        "product_id": "p1",
        "user_key": "u1",
    } | fields


@st.composite
def traffic_events(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """Draw one event; its id is its number, so that a second record of it is a repeat and not a clash."""
    event = impression(
        BEGIN_MS + draw(st.sampled_from(OCCURRED_MS)),
        f"e{number}",
        event_type=draw(st.sampled_from(TRAFFIC)),
        shop_id=draw(st.sampled_from(("s1", "s1", "s1", "s 2"))),
        product_id=draw(st.sampled_from(("p1", "p2", "Tee é"))),
    )
    user = draw(st.sampled_from(("u1", "u2", "u3", None)))
    if user is None:
        del event["user_key"]
    else:
        event["user_key"] = user
    source = draw(st.sampled_from(SOURCES))
    if source is not None:
        event["source"] = source
    if event["event_type"] == "product_impression" and draw(st.booleans()):
        event["territory"] = "NY"
    # Page views and showings have none; a field that only others have must change nothing.
    if draw(st.booleans()):
        event["sku_id"] = draw(st.sampled_from(("red", "blå")))
    return event


def _bucket(which: str, version: int) -> dict[str, Any]:
    """Return a bucket of two, so that records of one key are drawn."""
    return {"bucket_start_ms": BEGIN_MS - 15 * MINUTE * (version % 2), "bucket_seconds": 900}


OWN_FIELDS: Final[dict[str, Callable[[str, int, int, int, Any], dict[str, Any]]]] = {
    "checkout_started": lambda which, at_ms, version, number, source: {
        "checkout_id": which,
        "lines": [{"product_id": "p1", "sku_id": "p1-red", "quantity": number}],
        **({"source": source} if source else {}),
    },
    "content": lambda which, at_ms, version, number, source: {
        "content_id": which,
        "kind": "live",
        "state": ("published", "live_started", "live_ended")[version],
        "account_id": "shop",
        "account_kind": "marketing",
        "product_ids": [f"p{number}"],
        "key_session": bool(version),
        "started_at_ms": BEGIN_MS,
        "ended_at_ms": BEGIN_MS + number,
    },
    "content_engagement": lambda which, at_ms, version, number, source: {
        "content_id": "c1",
        "bucket_start_ms": BEGIN_MS,
        **dict.fromkeys(("likes", "comments", "shares", "saves"), 0),
        "views": number,
        "watch_seconds": 1.5,
        "viewer_keys": ["u1", f"u{number}"],
        **({"territory": which} if version else {}),
        **({"age_band": "18-24"} if version == 2 else {}),
    },
    "violation": lambda which, at_ms, version, number, source: {
        "violation_id": which,
        "content_kind": "listing",
        "account_id": "shop",
        "state": ("opened", "appealed", "resolved")[version],
        "severity": "warning",
        "policy": f"rule {number}",
    },
    "follower": lambda which, at_ms, version, number, source: {"account_id": which, "followers": number},
    "account": lambda which, at_ms, version, number, source: {
        "account_id": which,
        "display_name": f"Mia {number}",
        "kind": "linked",
        **({"version": version} if version else {}),
    },
    "ad_metric": lambda which, at_ms, version, number, source: {
        "ad_account_id": which,
        "ad_campaign_id": "adc",
        "ad_id": "ad",
        **_bucket(which, number),
        "spend_minor": number,
        **dict.fromkeys(("gross_revenue_minor", "impressions", "clicks", "purchases"), 1),
        "revision": version,
    },
    "ad_account_selected": lambda which, at_ms, version, number, source: {
        "primary_ad_account_id": which,
        "selected_at_ms": at_ms,
        "version": version,
    },
    "traffic_total": lambda which, at_ms, version, number, source: {
        **({"product_id": which} if number % 2 else {}),
        **_bucket(which, number),
        **({"source": source} if source else {}),
        "mode": "delta",
        "impressions": number,
        "revision": version,
    },
    "history_total": lambda which, at_ms, version, number, source: {
        "date": "2025-06-01",
        **({"hour": version} if version else {}),
        "metric": "gmv",
        "slice": "all",
        "value": number,
        "is_final": True,
    },
    "benchmark": lambda which, at_ms, version, number, source: {
        "category": which,
        "gmv_tier": "T3",
        "group": "own_tier",
        "metric": "ctr",
        "period": "day",
        "benchmark_day": "2025-10-31",
        "value": number / 100,
        "published_at_ms": BEGIN_MS + version,
    },
}
"""Of the other facts, their own fields for one of a few keys."""


@st.composite
def fact_events(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """Draw one fact of a few keys; version and time of two bodies of one key always differ by the number."""
    first = ("order_paid", "order_status", "stock_changed", "heartbeat", "product")
    kind = draw(st.sampled_from((*first, *OWN_FIELDS)))
    occurred = BEGIN_MS + draw(st.sampled_from(OCCURRED_MS)) + number
    which = draw(st.sampled_from(("a", "b")))
    common = {"event_id": f"f{number}", "event_type": kind, "shop_id": "s1", "occurred_at_ms": occurred}
    version = draw(st.integers(0, 2))
    match kind:
        case "order_paid":
            return order_paid(occurred, which, event_id=f"f{number}")
        case "order_status":
            return common | {"order_id": which, "status": "shipped", "seq": version}
        case "stock_changed":
            versioned = {"version": version} if draw(st.booleans()) else {}
            return common | {"sku_id": which, "product_id": "p1", "available": number} | versioned
        case "heartbeat":
            return common | {
                "source": which,
                "topics": ["orders", "unknown"],
                "sent_until_ms": occurred - version,
            }
        case "product":
            names = {"name": f"Tee {number}", "category": "shirts", "sku_ids": [which]}
            return common | names | {"product_id": which, "price_minor": 5, "version": version}
        case _:
            source = draw(st.sampled_from(SOURCES))
            return common | OWN_FIELDS[kind](which, occurred, version, number, source)


@st.composite
def broken_events(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """Draw an event that cannot count, for one reason that the oracle knows."""
    event = impression(BEGIN_MS, f"b{number}")
    change: dict[str, Any] = draw(
        st.sampled_from(
            (
                {"event_type": "no_such_type"},
                {"event_type": None},
                {"shop_id": "other"},
                {"currency": "JPY"},
                {"occurred_at_ms": 946_684_799_999},
                {"occurred_at_ms": BEGIN_MS + 3 * DAY},
                {"occurred_at_ms": BEGIN_MS - 60 * DAY},
            )
        )
    )
    return event | change


@st.composite
def worlds(draw: st.DrawFn, most: int = 14) -> list[Sent]:
    """Draw records in the order of R: every event one to three times, copies with their own R."""
    records = []
    for number in range(draw(st.integers(1, most))):
        make = draw(st.sampled_from((traffic_events, traffic_events, fact_events, broken_events)))
        event = draw(make(number))
        value = json.dumps(event).encode()
        topic = TOPIC_OF.get(event["event_type"] or "", "impressions")
        origin = BEGIN_MS if make is broken_events else event["occurred_at_ms"]
        for _ in range(draw(st.integers(1, 3))):
            received = origin + draw(st.sampled_from(DELAYS_MS))
            records.append(Sent(topic, _key(event), received, value))
    return sorted(records, key=lambda record: record.timestamp_ms)


def _key(event: dict[str, Any]) -> str:
    """Return a producer's key: copies and versions of one thing share it."""
    for name in ("order_id", "sku_id", "source", "user_key"):
        if isinstance(event.get(name), str):
            return str(event[name])
    return str(event["event_type"] if event["event_type"] in OWN_FIELDS else event["product_id"])


@st.composite
def disordered(draw: st.DrawFn, records: Sequence[Sent]) -> list[Sent]:
    """Move records, with their timestamps, within the allowed lateness."""
    jitter = draw(
        st.lists(
            st.integers(0, LATENESS_MS),
            min_size=len(records),
            max_size=len(records),
        )
    )
    arrival = sorted(range(len(records)), key=lambda index: records[index].timestamp_ms + jitter[index])
    return [records[index] for index in arrival]


def new_state(partition: int = 0, **settings: Any) -> PartitionState:
    fold_settings = FoldSettings(
        **{"hot_days": SETTINGS.hot_days, "minute_hours": SETTINGS.minute_hours} | settings
    )
    return PartitionState(partition, shops=SHOPS, settings=fold_settings)


def batches(records: Iterable[Sent], cuts: Sequence[int], partition: int = 0) -> list[RecordBatch]:
    """Give each topic's records rising offsets and cut them into batches of the sizes given, over and over."""
    pending: dict[str, list[tuple[int, Sent]]] = defaultdict(list)
    offsets: Counter[str] = Counter()
    result = []
    sizes = iter(cuts)
    size = next(sizes, 1_000)
    for record in records:
        pending[record.topic].append((offsets[record.topic], record))
        offsets[record.topic] += 1
        if len(pending[record.topic]) >= size:
            result.append(batch_of(pending.pop(record.topic), partition))
            size = next(sizes, size)
    return result + [batch_of(rest, partition) for rest in pending.values()]


def batch_of(numbered: Sequence[tuple[int, Sent]], partition: int = 0) -> RecordBatch:
    return RecordBatch(
        topic=numbered[0][1].topic,
        partition=partition,
        offsets=[offset for offset, _ in numbered],
        timestamps_ms=[record.timestamp_ms for _, record in numbered],
        values=[record.value for _, record in numbered],
        keys=[record.key.encode() for _, record in numbered],
    )


@dataclass
class Board:
    """What a reader of flushes knows: the newest of every key, per partition."""

    rows: dict[tuple[int, RowKey], StateRow] = field(default_factory=dict)
    people: dict[RowKey, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    facts: dict[tuple[int, FactKey], FactRow] = field(default_factory=dict)
    positions: dict[tuple[int, str], Position] = field(default_factory=dict)

    def apply(self, flush: Flush | None) -> None:
        if flush is None:
            return
        for row in flush.rows:
            if row.events is None:
                self.rows.pop((flush.partition, row.key), None)
            else:
                self.rows[flush.partition, row.key] = row
        for key, image in flush.people:
            if image is None:
                del self.people[key][flush.partition]
            else:
                self.people[key][flush.partition] = image
        for fact in flush.facts:
            self.facts[flush.partition, fact.key] = fact
        for position in flush.positions:
            self.positions[flush.partition, position.topic] = position

    def images(self, rows: Iterable[StateRow]) -> list[bytes]:
        """Return the sketches of the people of cells: beside their counts, and in rows of their own."""
        images = []
        for row in rows:
            images += [row.sketch] if row.sketch is not None else []
            images += self.people[row.key].values() if row.key in self.people else []
        return images

    def outcomes(self) -> dict[str, Counter[str]]:
        merged: dict[str, Counter[str]] = defaultdict(Counter)
        for (_, topic), position in self.positions.items():
            merged[topic].update({outcome.value: records for outcome, records in position.outcomes.items()})
        return {topic: counter for topic, counter in merged.items() if counter}

    def cells(self) -> dict[tuple[Any, ...], tuple[int, int, bytes]]:
        """Return counts, and canonical people, merged over partitions."""
        merged: dict[RowKey, list[StateRow]] = defaultdict(list)
        for (_, key), row in self.rows.items():
            merged[key].append(row)
        return {
            (key.cube, key.shop_id, key.bucket, key.event_type, key.dims): (
                sum(row.events or 0 for row in rows),
                sum(row.keyed for row in rows),
                people(self.images(rows), CUBE_BY_NAME[key.cube]),
            )
            for key, rows in merged.items()
        }

    def winners(self) -> dict[FactKey, FactRow]:
        return {
            key: fact for (_, key), fact in sorted(self.facts.items(), key=lambda item: item[1].merge_order)
        }


def people(images: Sequence[bytes], cube: Cube) -> bytes:
    """Return bytes that are equal for equal people of a cell."""
    if cube.lg_k is None:
        return b""
    if cube.sketch == "theta":
        return theta.unite(cube.lg_k, images)
    return sketches.canonical_images(images, cube.lg_k)


def folded(records: Sequence[Sent], cuts: Sequence[int] = (), flush_every: int = 0) -> Board:
    """Fold records in one partition, in the order given."""
    board, state = Board(), new_state()
    for number, batch in enumerate(batches(records, cuts)):
        state.fold(batch)
        if flush_every and number % flush_every == 0:
            board.apply(state.take_flush())
    board.apply(state.take_flush())
    return board


def partition_of(key: str, partitions: int) -> int:
    return xxhash.xxh32_intdigest(key.encode()) % partitions


def expected_of(records: Sequence[Sent]) -> Expected:
    return expect(records, ORACLE_SHOPS)


def assert_same(board: Board, expected: Expected) -> None:
    """Compare with the oracle: outcomes, cells and people, winners with copies and least R."""
    assert board.outcomes() == expected.outcomes
    assert board.cells() == {
        key: (events, keyed, _people_of(users, CUBE_BY_NAME[key[0]]))
        for key, (events, keyed, users) in expected.cells.items()
    }
    winners = {
        (key.kind, key.shop_id, *key.ids): (
            fact.version,
            fact.occurred_at_ms,
            fact.copies,
            fact.received_at_ms,
        )
        for key, fact in board.winners().items()
    }
    assert winners == {key: fact[:4] for key, fact in expected.facts.items()}
    for key, fact in board.winners().items():
        body = expected.facts[key.kind, key.shop_id, *key.ids][4]
        nested = {"lines", "currency", "source"} if key.kind != "heartbeat" else {"currency"}
        sent = {name: getattr(fact.event, name) for name in body if name not in nested}
        assert sent == {name: value for name, value in body.items() if name not in nested}


def _people_of(users: set[str], cube: Cube) -> bytes:
    """Return canonical people of a set, in a sketch of their own, in an order of their own."""
    if cube.lg_k is None:
        return b""
    crowd, apart = sketches.new(cube.lg_k), theta.new(cube.lg_k)
    for user in sorted(users, reverse=True):
        crowd.update(user)
        apart.update(user)
    return theta.unite(cube.lg_k, [], apart) if cube.sketch == "theta" else sketches.canonical(crowd)


def assert_equal(left: Board, right: Board) -> None:
    """Compare two boards at rest: row by row after merging partitions, canonical people and outcomes included."""
    assert left.outcomes() == right.outcomes()
    assert left.cells() == right.cells()
    assert left.winners() == right.winners()
    assert spans(left) == spans(right)


def spans(board: Board) -> dict[tuple[str, str], tuple[int, int, int]]:
    merged: dict[tuple[str, str], tuple[int, int, int]] = {}
    for (_, topic), position in board.positions.items():
        for shop_id, span in position.shops.items():
            first, last, records = merged.get((topic, shop_id), span)
            known = (topic, shop_id) in merged
            merged[topic, shop_id] = (
                min(first, span.first_ms),
                max(last, span.last_ms),
                records + span.records if known else records,
            )
    return merged


def through_the_wire(flush: Flush) -> list[wire.StateRecord]:
    """Write a flush and read it back, as the next owner of the partition does."""
    encoded = wire.encode_flush(flush)
    state: list[wire.StateRecord] = [wire.decode_state(key, value) for key, value in encoded.state]
    return state + [wire.decode_fact(key, value) for key, value in encoded.facts]


def read_count(board: Board) -> int:
    return sum(counter.total() for counter in board.outcomes().values())
