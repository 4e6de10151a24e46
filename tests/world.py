"""A small world of records for tests of delivery, and two ways to what it must come to.

`records` draws mixed topics with repeats and a few records that cannot count; `expected` folds them in this process in
one partition; `stored` reads what workers left on Kafka and merges it over partitions. `differences` compares.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import xxhash
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from agents import topics
from agents.restore import read_stored
from streams import sketches, theta
from streams.cubes import CUBE_BY_NAME, Cube
from streams.fold import PartitionState
from streams.outcomes import Outcome
from streams.records import RecordBatch
from streams.settings import Settings, ShopSettings
from streams.state import FactKey, FactRow, PeopleRow, Position, RowKey, StateRow
from streams.topics import REPLAY_HEADER, SOURCE_TOPICS, full_name
from streams.wire import decode_fact, decode_state

SHOP_ID: Final = "s1"
BEGIN_MS: Final = 1_764_072_000_000
"""2025-11-25T12:00Z."""

SHOP: Final = ShopSettings(SHOP_ID, timezone="Europe/London", currency="GBP")

PRODUCTS: Final = 40
USERS: Final = 3_000


class Record(NamedTuple):
    """One record to be sent."""

    topic: str
    key: str
    timestamp_ms: int
    value: bytes | None


@dataclass
class Merged:
    """State merged over partitions: what a reader of all of them knows."""

    rows: dict[RowKey, tuple[int, int, bytes]] = field(default_factory=dict)
    facts: dict[FactKey, FactRow] = field(default_factory=dict)
    outcomes: dict[str, Counter[Outcome]] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """Records read, which is the sum over outcomes."""
        return sum(counter.total() for counter in self.outcomes.values())


def records(count: int, *, seed: int, per_second: int = 200, first: int = 0) -> Iterator[Record]:
    """Draw records in the order of R: 84 % impressions, the rest spread; one in twenty is sent again within minutes."""
    draw = random.Random(seed)
    recent: list[Record] = []
    for number in range(first, first + count):
        at_ms = BEGIN_MS + number * 1000 // per_second
        if recent and draw.random() < 0.05:
            yield draw.choice(recent)._replace(timestamp_ms=at_ms)
            continue
        record = _draw(draw, number, at_ms)
        recent.append(record)
        del recent[: max(0, len(recent) - 2_000)]
        yield record


def partition_of(key: str, partitions: int) -> int:
    """Return where a record of this key goes; a repeat follows its original."""
    return xxhash.xxh32_intdigest(key.encode()) % partitions


async def send(
    settings: Settings,
    sent: Iterable[Record],
    *,
    producer: AIOKafkaProducer | None = None,
    replay_id: str | None = None,
) -> int:
    """Send records with their time and, on a replay, its header; return how many."""
    own = producer or AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap, linger_ms=5, max_request_size=8 << 20
    )
    if producer is None:
        await own.start()
    header = settings.replay_id if replay_id is None else replay_id
    headers = [(REPLAY_HEADER, header.encode())] if header else []
    number = 0
    try:
        for record in sent:
            await own.send(
                full_name(settings.kafka.prefix, record.topic),
                record.value,
                key=record.key.encode(),
                partition=partition_of(record.key, settings.kafka.partitions),
                timestamp_ms=record.timestamp_ms,
                headers=headers,
            )
            number += 1
        await own.flush()
    finally:
        if producer is None:
            await own.stop()
    return number


def expected(settings: Settings, sent: Sequence[Record], *, partitions: int = 1) -> Merged:
    """Fold the records in this process, with no broker."""
    states = {
        partition: PartitionState(
            partition, shops=settings.shops, settings=settings.fold, replay_id=settings.replay_id
        )
        for partition in range(partitions)
    }
    offsets: Counter[tuple[int, str]] = Counter()
    for topic in SOURCE_TOPICS:
        batches: dict[int, list[Record]] = defaultdict(list)
        for record in sent:
            if record.topic == topic.name:
                batches[partition_of(record.key, partitions)].append(record)
        for partition, batch in batches.items():
            begin = offsets[partition, topic.name]
            offsets[partition, topic.name] += len(batch)
            states[partition].fold(
                RecordBatch(
                    topic=topic.name,
                    partition=partition,
                    offsets=range(begin, begin + len(batch)),
                    timestamps_ms=[record.timestamp_ms for record in batch],
                    values=[record.value for record in batch],
                    keys=[record.key.encode() for record in batch],
                    replay_ids=[settings.replay_id] * len(batch) if settings.replay_id else None,
                )
            )
    flushes = [flush for state in states.values() if (flush := state.take_flush()) is not None]
    return merge([(*flush.rows, *flush.people, *flush.facts, *flush.positions) for flush in flushes])


async def stored(settings: Settings) -> Merged:
    """Read what is durable on Kafka, whole transactions only, merged over partitions."""
    parts = await read_stored(settings.kafka, range(settings.kafka.partitions))
    return merge(
        [
            [
                *(decode_state(key, value) for key, value in part.state.items()),
                *(decode_fact(key, value) for key, value in part.facts.items()),
            ]
            for part in parts.values()
        ]
    )


async def under_way(settings: Settings, count: int, *, within_s: float) -> None:
    """Wait until `count` records are durable while others go on coming; what is to happen then happens under load."""
    async with asyncio.timeout(within_s):
        while True:
            if (await stored(settings)).read >= count:
                return
            await asyncio.sleep(0.1)


async def settled(settings: Settings, count: int, *, within_s: float) -> Merged:
    """Return what is stored once `count` records, all there are, are durable, or whatever there is after `within_s`.

    Read until two looks agree: the mark that commits a transaction reaches its partitions one after the other, and a
    look in between sees the state of a flush without its facts.
    """
    deadline = asyncio.get_running_loop().time() + within_s
    before: Merged | None = None
    while True:
        merged = await stored(settings)
        if (merged.read >= count and merged == before) or asyncio.get_running_loop().time() > deadline:
            return merged
        before = merged
        await asyncio.sleep(0.2 if merged.read >= count else 0.5)


def merge(parts: Iterable[Iterable[object]]) -> Merged:
    """Merge the newest records of every partition."""
    merged = Merged()
    rows: dict[RowKey, list[StateRow]] = defaultdict(list)
    people: dict[RowKey, list[bytes]] = defaultdict(list)
    for part in parts:
        for record in part:
            if isinstance(record, StateRow):
                if record.events is not None:
                    rows[record.key].append(record)
            elif isinstance(record, PeopleRow):
                if record.image is not None:
                    people[record.key].append(record.image)
            elif isinstance(record, FactRow):
                _merge_fact(merged, record)
            elif isinstance(record, Position):
                merged.outcomes.setdefault(record.topic, Counter()).update(record.outcomes)
    for key, copies in rows.items():
        cube = CUBE_BY_NAME[key.cube]
        images = [*people[key], *(row.sketch for row in copies if row.sketch is not None)]
        merged.rows[key] = (
            sum(row.events or 0 for row in copies),
            sum(row.keyed for row in copies),
            _canonical(images, cube) if images else b"",
        )
    return merged


def _canonical(images: list[bytes], cube: Cube) -> bytes:
    """Return bytes that are equal for equal people, in whatever pieces they are kept."""
    if cube.lg_k is None:
        return b""
    if cube.sketch == "theta":
        return theta.unite(cube.lg_k, images)
    return sketches.canonical_images(images, cube.lg_k)


def differences(found: Merged, wanted: Merged) -> dict[str, object]:
    """Return what is lost and what is double, in events, with examples; zero and empty when equal."""
    lost = double = 0
    examples: list[str] = []
    for key in found.rows.keys() | wanted.rows.keys():
        mine, theirs = found.rows.get(key, (0, 0, b"")), wanted.rows.get(key, (0, 0, b""))
        if mine != theirs:
            lost += max(0, theirs[0] - mine[0])
            double += max(0, mine[0] - theirs[0])
            examples.append(
                f"{key}: {mine[:2]} instead of {theirs[:2]}, people equal: {mine[2] == theirs[2]}"
            )
    for fact in found.facts.keys() | wanted.facts.keys():
        ours, other = found.facts.get(fact), wanted.facts.get(fact)
        if ours != other:
            lost += ours is None
            double += other is None
            examples.append(f"{fact}: {ours} instead of {other}")
    for topic in found.outcomes.keys() | wanted.outcomes.keys():
        have, want = found.outcomes.get(topic, Counter()), wanted.outcomes.get(topic, Counter())
        if have != want:
            lost += max(0, want.total() - have.total())
            double += max(0, have.total() - want.total())
            examples.append(f"outcomes of {topic}: {dict(have)} instead of {dict(want)}")
    return {"lost": lost, "double": double, "differ": len(examples), "examples": examples[:5]}


def source_partitions(settings: Settings) -> list[TopicPartition]:
    """Return every source topic partition of a world."""
    return [
        TopicPartition(full_name(settings.kafka.prefix, topic.name), partition)
        for topic in SOURCE_TOPICS
        for partition in range(settings.kafka.partitions)
    ]


def with_kafka(settings: Settings, **changes: object) -> Settings:
    """Return settings with some of their Kafka settings changed."""
    return dataclasses.replace(settings, kafka=dataclasses.replace(settings.kafka, **changes))  # type: ignore[arg-type] # names are the caller's


async def recreate(settings: Settings, topic: str) -> None:
    """Delete a source topic and make it anew, empty."""
    name = full_name(settings.kafka.prefix, topic)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([name])
        for _ in range(100):
            if name not in await admin.list_topics():
                break
            await asyncio.sleep(0.1)
    finally:
        await admin.close()
    await topics.ensure(settings)


def event(event_type: str, number: int, at_ms: int, **fields: object) -> dict[str, object]:
    """Return an event of the shop."""
    return {
        "event_id": f"e{number}",
        "event_type": event_type,
        "shop_id": SHOP_ID,
        "occurred_at_ms": at_ms,
        **fields,
    }


def _merge_fact(merged: Merged, row: FactRow) -> None:
    known = merged.facts.get(row.key)
    if known is None or known.merge_order < row.merge_order:
        merged.facts[row.key] = row
    elif known.merge_order == row.merge_order:
        received_ms = min(known.received_at_ms, row.received_at_ms)
        places = Counter(dict(known.topics)) + Counter(dict(row.topics))
        merged.facts[row.key] = known._replace(
            received_at_ms=received_ms,
            copies=known.copies + row.copies,
            topics=tuple(sorted(places.items())),
        )


def _draw(draw: random.Random, number: int, at_ms: int) -> Record:
    user = f"u{draw.randrange(USERS)}"
    product = f"p{min(PRODUCTS, int(draw.paretovariate(0.8)))}"
    occurred_ms = at_ms - draw.choice((0, 50, 900, 4_000, 200_000))
    chance = draw.random()
    if chance < 0.01:
        broken = draw.choice((b"", b"{", b'{"event_id": 1}', b"\xff\xfe", None))
        return Record("impressions", user, at_ms, broken)
    if chance < 0.94:
        event_type, topic = draw.choices(
            [
                ("product_impression", "impressions"),
                ("product_click", "clicks"),
                ("add_to_cart", "add_to_cart"),
            ],
            [90, 7, 3],
        )[0]
        fields = {"product_id": product, "user_key": user, "source": _source(draw)}
        if event_type != "product_impression" and number % 5:
            fields["sku_id"] = f"{product}-{number % 3}"
        return _record(topic, user, at_ms, event(event_type, number, occurred_ms, **fields))
    if chance < 0.97:
        return _record("orders", f"o{number}", at_ms, _order(draw, number, occurred_ms, product))
    if chance < 0.98:
        # An older state of an order may come after a newer one, and the newer one must win.
        order = f"o{draw.randrange(max(1, number - 50), number + 1)}"
        status = {"order_id": order, "status": draw.choice(("paid", "shipped")), "seq": draw.randrange(9)}
        return _record("orders", order, at_ms, event("order_status", number, occurred_ms, **status))
    if chance < 0.99:
        level = {
            "sku_id": product,
            "product_id": product,
            "available": draw.randrange(500),
            "version": number,
        }
        return _record("stock", product, at_ms, event("stock_changed", number, occurred_ms, **level))
    beat = {"source": "feed", "topics": ["orders"], "sent_until_ms": occurred_ms}
    return _record("heartbeats", SHOP_ID, at_ms, event("heartbeat", number, occurred_ms, **beat))


def _record(topic: str, key: str, at_ms: int, value: dict[str, object]) -> Record:
    return Record(topic, key, at_ms, json.dumps(value, separators=(",", ":")).encode())


def _source(draw: random.Random) -> dict[str, object]:
    owner, content_format = draw.choice(
        (("seller", "live"), ("seller", "product_card"), ("affiliate", "video"))
    )
    content = f"c{draw.randrange(30)}"
    surface = draw.choice(("shop_tab", "feed", "live_room"))
    return {
        "owner": owner,
        "format": content_format,
        "surface": surface,
        # Two of one content, and none.
        "sub_campaign_id": {"shop_tab": "coupons", "live_room": "flash"}.get(surface),
        "is_paid": False,
        "account_id": "a1",
        "creator_id": f"k{draw.randrange(10)}" if owner == "affiliate" else None,
        "content_id": content,
    }


def _order(draw: random.Random, number: int, at_ms: int, product: str) -> dict[str, object]:
    money = dict.fromkeys(
        ("shipping_paid_minor", "tax_minor", "seller_discount_minor", "cofund_product_minor"), 0
    ) | {"cofund_shipping_minor": 0, "coupon_minor": 0}
    line = {
        "line_id": "1",
        "product_id": product,
        "sku_id": product,
        "quantity": draw.randrange(1, 4),
        "list_price_minor": 1_999,
        "goods_paid_minor": draw.randrange(500, 5_000),
        **money,
    }
    return event(
        "order_paid",
        number,
        at_ms,
        order_id=f"o{number}",
        created_at_ms=at_ms,
        paid_at_ms=at_ms,
        customer_id=f"b{draw.randrange(400)}",
        credits_minor=0,
        lines=[line],
    )
