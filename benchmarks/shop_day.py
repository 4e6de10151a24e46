"""One partition's part of a day of the reference shop: as records, and as what a worker keeps of them."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from agents.spill import disk_files
from benchmarks.load import (
    PRODUCTS,
    SHOP,
    TOPIC_OF,
    USERS,
    Chunk,
    Load,
    product_id,
    user_key,
)
from streams.coding import Coding
from streams.cube_set import CubeSet
from streams.cubes import CUBES
from streams.fold import PartitionState
from streams.records import RecordBatch
from streams.settings import FoldSettings
from streams.state import FactRow, Flush, PeopleRow, StateRow
from streams.traffic import Place, TrafficColumns
from streams.validation import Admission
from streams.wire import encode_flush

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

PARTITIONS: Final = 4
SUB_CAMPAIGNS: Final = 10
MOST_SKUS: Final = 9
"""A product has one to nine SKUs, five on average: 10,000 in the shop, each as likely as its neighbours."""
TERRITORIES: Final = tuple(f"US-{number:02d}" for number in range(51))

STATE_MIX: Final = (
    ("product_impression", 0.84),
    ("product_click", 0.07),
    ("product_page_view", 0.06),
    ("add_to_cart", 0.02),
    ("order_paid", 0.01),
)
"""The mix of the other benchmarks, with a page view for most clicks: every cube is to have its rows."""

_NAME_SKUS: Final = [
    number for number, (name, _) in enumerate(STATE_MIX) if name in ("product_click", "add_to_cart")
]
_ORDERS: Final = [name for name, _ in STATE_MIX].index("order_paid")
_SHOPS: Final = {SHOP.shop_id: SHOP}


@dataclass(slots=True)
class Kept:
    """State and facts of one partition, as rows."""

    rows: list[StateRow] = field(default_factory=list)
    people: list[PeopleRow] = field(default_factory=list)
    facts: list[FactRow] = field(default_factory=list)

    def encoded(self) -> tuple[dict[bytes, bytes | None], dict[bytes, bytes | None]]:
        """Return the records of the state and the facts topic."""
        encoded = encode_flush(Flush(0, 1, self.rows, self.facts, [], [], [], self.people))
        return dict(encoded.state), dict(encoded.facts)


class ShopDay:
    """One partition's part of a day of the reference shop.

    Args:
        events: of the whole day, in all partitions.
        last: how many of them are left for the end of the day.
        shop_tab: share of the events of each LIVE and video that come from the Shop tab; 0: each is seen at one place.
    """

    def __init__(self, events: int, *, last: int = 0, shop_tab: float = 0.0) -> None:
        self.load = Load(events, mix=STATE_MIX)
        self._events, self._last, self._shop_tab = events, last, shop_tab
        blocks = [json.loads("{" + block[1:] + "}")["source"] if block else {} for block in self.load.blocks]
        # The load of the other benchmarks has neither: here every cube is to have its rows.
        self._sub_campaigns = [
            f"sc_{index % SUB_CAMPAIGNS:02d}" if "content_id" in block else None
            for index, block in enumerate(blocks)
        ]
        self._places = [
            Place(atom, block.get("content_id"), block.get("creator_id"), sub_campaign)
            for atom, block, sub_campaign in zip(
                self.load.atoms.tolist(), blocks, self._sub_campaigns, strict=True
            )
        ]
        # Those of the Shop tab follow, in the same order.
        self._places += [place._replace(atom=place.atom | 1) for place in self._places]
        self._is_content = np.array(["content_id" in block for block in blocks])
        self._surfaces = [f'"surface":"{block.get("surface", "")}"'.encode() for block in blocks]
        self._users = [user_key(user) for user in range(USERS)]
        self._products = [product_id(product) for product in range(PRODUCTS)]
        self._types = [name for name, _ in STATE_MIX]

    def earlier(self) -> Iterator[Chunk]:
        """Yield the day without its last events."""
        for chunk in self.load.chunks():
            yield _part_of(chunk, self._left_after(chunk) >= self._last)

    def seconds(self, events_per_second: int) -> Iterator[Chunk]:
        """Yield the last events of the day, a second at a time and at this speed, until midnight."""
        for chunk in self.load.chunks():
            left = self._left_after(chunk)
            delay_ms = chunk.timestamps_ms - chunk.occurred_ms
            arrived_ms = self.load.end_ms - 1 - 1_000 * left // events_per_second
            chunk = dataclasses.replace(chunk, timestamps_ms=arrived_ms, occurred_ms=arrived_ms - delay_ms)
            seconds_left = left // events_per_second
            for second in np.unique(seconds_left[left < self._last])[::-1].tolist():
                yield _part_of(chunk, seconds_left == second)

    def _left_after(self, chunk: Chunk) -> NDArray[np.int64]:
        """Return how many events of the day come after each one."""
        return self._events - 1 - chunk.first - np.arange(len(chunk.users))

    def columns(self, chunk: Chunk) -> TrafficColumns:
        """Return the traffic of a chunk as the fold sees it after decoding."""
        chunk = _rows_of(chunk, chunk.types != _ORDERS)
        size = len(chunk.users)
        event_types = [self._types[number] for number in chunk.types.tolist()]
        return TrafficColumns(
            index=np.arange(size, dtype=np.int64),
            event_types=event_types,
            event_ids=["x"] * size,
            shop_ids=[SHOP.shop_id] * size,
            currencies=[SHOP.currency] * size,
            occurred_ms=chunk.occurred_ms,
            users=[None if user < 0 else self._users[user] for user in chunk.users.tolist()],
            products=[self._products[number] for number in chunk.products.tolist()],
            skus=[
                None if sku < 0 else _sku_id(product, sku)
                for product, sku in zip(chunk.products.tolist(), _sku_of(chunk).tolist(), strict=True)
            ],
            territories=[
                TERRITORIES[number] if event_type == "product_impression" else None
                for event_type, number in zip(event_types, _territory_of(chunk).tolist(), strict=True)
            ],
            places=self._places,
            place_rows=chunk.sources + len(self._surfaces) * self._on_shop_tab(chunk),
        )

    def batches(self, chunk: Chunk, offsets: dict[str, int], *, strangers: bool = False) -> list[RecordBatch]:
        """Return the records of a chunk as fetches, one for each topic.

        Args:
            chunk: what comes.
            offsets: of each topic, moved on.
            strangers: every event has a user of its own, whom nobody has seen.
        """
        by_topic: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        territories = [f'"territory":"{name}",'.encode() for name in TERRITORIES]
        on_shop_tab = self._on_shop_tab(chunk).tolist()
        places, skus = _territory_of(chunk).tolist(), _sku_of(chunk).tolist()
        for number, record in enumerate(self.load.render(chunk)):
            value = record.value
            sub_campaign = self._sub_campaigns[chunk.sources[number]]
            if sub_campaign is not None:
                value = value.replace(
                    b'"campaign_id":', f'"sub_campaign_id":"{sub_campaign}","campaign_id":'.encode()
                )
            if on_shop_tab[number]:
                value = value.replace(self._surfaces[chunk.sources[number]], b'"surface":"shop_tab"')
            if record.topic == TOPIC_OF["product_impression"]:
                value = value.replace(b'"product_id":', territories[places[number]] + b'"product_id":', 1)
            if skus[number] >= 0:
                sku = f'"sku_id":"{_sku_id(chunk.products[number], skus[number])}",'.encode()
                value = value.replace(b'"product_id":', sku + b'"product_id":', 1)
            if strangers:
                stranger = f'"user_key":"s_{chunk.first}_{chunk.noise[number, 0]:x}"'.encode()
                value = value.replace(b'"user_key":"' + record.key.encode() + b'"', stranger)
            by_topic[record.topic].append((record.timestamp_ms, value))
        batches = []
        for topic, records in by_topic.items():
            first = offsets[topic]
            offsets[topic] += len(records)
            timestamps, values = zip(*records, strict=True)
            batches.append(
                RecordBatch(topic, 0, range(first, offsets[topic]), timestamps, values, [None] * len(values))
            )
        return batches

    def _on_shop_tab(self, chunk: Chunk) -> Mask:
        drawn = (chunk.noise[:, 1] >> np.uint64(40)).astype(np.int64) % 1_000
        return np.asarray((drawn < 1_000 * self._shop_tab) & self._is_content[chunk.sources])

    def kept(self, chunks: Iterable[Chunk]) -> Kept:
        """Fold chunks and return what a worker keeps of them."""
        coding = Coding(_SHOPS)
        cubes = CubeSet(CUBES, coding, Admission(_SHOPS, FoldSettings(), coding), FoldSettings())
        orders = new_partition()
        offsets: dict[str, int] = defaultdict(int)
        for chunk in chunks:
            columns = self.columns(chunk)
            if len(columns):
                cubes.add(coding.code(columns), np.ones(len(columns), dtype=np.bool_))
            for batch in self.batches(_rows_of(chunk, chunk.types == _ORDERS), offsets):
                orders.fold(batch)
        rows, people = cubes.take_rows()
        flush = orders.take_flush()
        return Kept(rows, people, flush.facts if flush is not None else [])


def new_partition() -> PartitionState:
    """Make the empty state of a partition that keeps every cube, with spill files on disk as a worker has them."""
    return PartitionState(0, shops=_SHOPS, settings=FoldSettings(), spill=disk_files(""))


def _part_of(chunk: Chunk, where: Mask) -> Chunk:
    """Return the chosen part of a chunk that has its keys in our partition."""
    codes = np.where(chunk.users >= 0, chunk.users, chunk.noise[:, 0].astype(np.int64))
    codes = np.where(chunk.types == _ORDERS, chunk.noise[:, 0].astype(np.int64), codes)
    ours = codes % PARTITIONS == 0
    return _rows_of(chunk, ours & where)


def _rows_of(chunk: Chunk, where: Mask) -> Chunk:
    columns = {
        column.name: getattr(chunk, column.name)[where]
        for column in dataclasses.fields(chunk)
        if column.name != "first"
    }
    return Chunk(first=chunk.first, **columns)


def _sku_of(chunk: Chunk) -> NDArray[np.int64]:
    """Return which SKU of its product each click and press names, all of them: the bound; -1 for other events."""
    which = (chunk.noise[:, 1] >> np.uint64(20)).astype(np.int64) % (1 + chunk.products % MOST_SKUS)
    return np.where(np.isin(chunk.types, _NAME_SKUS), which, -1)


def _sku_id(product: int, number: int) -> str:
    return f"{product_id(product)}-{number}"


def _territory_of(chunk: Chunk) -> NDArray[np.int64]:
    """Give everyone a home; the first states have most people."""
    share = (np.maximum(chunk.users, 0) * 2_654_435_761 % (1 << 20)) / (1 << 20)
    return np.asarray(len(TERRITORIES) * share**2, dtype=np.int64)
