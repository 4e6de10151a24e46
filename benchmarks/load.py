"""The load: one campaign day of one shop as records of spec/events.md, drawn once and asserted everywhere.

Columns are drawn with numpy from a seed, rendered to JSON and produced to Kafka, and also folded here into the
expected W1 table without going through any of the measured runners, so that a runner can be wrong but not unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from benchmarks.w1 import Table, TableBuilder
from streams.atoms import NO_SOURCE_ATOM, atom_of
from streams.days import DAY_MS, BusinessCalendar, day_label, parse_day
from streams.settings import ShopSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOP: Final = ShopSettings(shop_id="7495512345678901234", timezone="America/Los_Angeles", currency="USD")
DAY: Final = parse_day("2025-11-28")
"""Black Friday of the shop's zone: 24 hours long, so that the day's shape needs no special case."""

CHUNK_RECORDS: Final = 100_000
"""Rendered at a time; bounds the loader's memory at any number of records."""

CAMPAIGN_DAY_EVENTS: Final = 20_000_000
"""Of the reference shop (design, decision 14)."""

AFTERNOON: Final = 0.4
"""Share of the day's records that have come when a piece of it begins."""

PRODUCTS: Final = 2_000
CONTENTS: Final = 500
MENU: Final = 30
"""Products that a LIVE shows; a video shows one to three."""

CREATORS: Final = 200
USERS: Final = 300_000

IMPRESSIONS_ONLY: Final = (("product_impression", 1.0),)
CAMPAIGN_MIX: Final = (
    ("product_impression", 0.90),
    ("product_click", 0.07),
    ("add_to_cart", 0.02),
    ("order_paid", 0.01),
)
TOPIC_OF: Final = {
    "product_impression": "impressions",
    "product_click": "clicks",
    "product_page_view": "page_views",
    "add_to_cart": "add_to_cart",
    "order_paid": "orders",
}


@dataclass(frozen=True, slots=True)
class Assortment:
    """What a shop sells, where, and by whom."""

    products: int = PRODUCTS
    contents: int = CONTENTS
    creators: int = CREATORS
    users: int = USERS


REFERENCE_SHOP: Final = Assortment()
"""Of the design, decision 14."""

SMALL_SHOP: Final = Assortment(products=100, contents=40, creators=20, users=2_000)
"""Five million events touch practically every cell of it and bring nearly every user to it: what memory takes beyond
them comes with the events, not with products or people that are new."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Every attribution block of the load.

    Attributes:
        json: rendered, empty for none.
        atoms: what follows from the block.
        weights: share of the events.
        products: a row of `MENU` products per block: what a LIVE or a video shows, with repeats when it shows fewer.
        shows_all: the block is a card, a search or no source: any product may come.
    """

    json: list[str]
    atoms: NDArray[np.int64]
    weights: NDArray[np.float64]
    products: NDArray[np.int64]
    shows_all: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Up to `CHUNK_RECORDS` records, as columns in the order of R.

    Attributes:
        timestamps_ms: R, rising.
        occurred_ms: event time, up to seconds before R, minutes for one in 300.
        types: index into the mix.
        products, sources, users: indices; a user of -1 carries no user_key.
        noise: random bits for event ids, two columns.
    """

    first: int
    timestamps_ms: NDArray[np.int64]
    occurred_ms: NDArray[np.int64]
    types: NDArray[np.int64]
    products: NDArray[np.int64]
    sources: NDArray[np.int64]
    users: NDArray[np.int64]
    noise: NDArray[np.uint64]


class Record(NamedTuple):
    """One record, ready to be produced; a tuple, because making a million of them is on the loader's clock."""

    topic: str
    key: str
    timestamp_ms: int
    value: bytes


class Load:
    """The same records for the same arguments, whoever asks and however often.

    Args:
        records: how many.
        mix: event type and share; shares add up to 1.
        seed: of every draw.
        day_events: how many records the whole day has, of which these are a piece in the afternoon: it says how dense
            they stand in time. None spreads the load over the whole day, a quiet night and a peak included.
        span_ms: first and last instant of R, evenly spread, instead of `DAY`.
        shop: how many products, contents and creators there are.
    """

    def __init__(
        self,
        records: int,
        *,
        mix: tuple[tuple[str, float], ...] = IMPRESSIONS_ONLY,
        seed: int = 20_251_128,
        day_events: int | None = None,
        span_ms: tuple[int, int] | None = None,
        shop: Assortment = REFERENCE_SHOP,
    ) -> None:
        self.records = records
        self.shop = shop
        self.mix = mix
        self._seed = seed
        self._calendar = BusinessCalendar(SHOP.timezone)
        start_ms = self._calendar.day_start_ms(DAY)
        self._start_ms, self._end_ms = span_ms or (start_ms, start_ms + DAY_MS)
        self._even = span_ms is not None
        self._begin_share = 0.0 if day_events is None else AFTERNOON
        self._day_events = day_events or records
        if self._begin_share + records / self._day_events > 1:
            message = f"{records} records do not fit into what is left of a day of {day_events}"
            raise ValueError(message)
        self._sources = _sources(np.random.default_rng(seed), shop)

    @property
    def end_ms(self) -> int:
        """Return the end of the span over which the load is spread."""
        return self._end_ms

    @property
    def blocks(self) -> list[str]:
        """Return every attribution block as it is rendered, by `Chunk.sources`; empty for none."""
        return self._sources.json

    @property
    def atoms(self) -> NDArray[np.int64]:
        """Return the atom of every attribution block."""
        return self._sources.atoms

    def chunks(self) -> Iterator[Chunk]:
        """Yield the whole load in pieces, each drawn from its own seed."""
        shares = np.array([share for _, share in self.mix])
        for first in range(0, self.records, CHUNK_RECORDS):
            size = min(CHUNK_RECORDS, self.records - first)
            rng = np.random.default_rng((self._seed, first))
            share = self._begin_share + (first + np.arange(size)) / self._day_events
            passed = share if self._even else _time_of(share)
            timestamps = self._start_ms + (passed * (self._end_ms - self._start_ms)).astype(np.int64)
            late = rng.random(size) < 1 / 300
            delay = rng.exponential(800.0, size) + late * rng.uniform(180_000, 1_200_000, size)
            users = (self.shop.users * rng.beta(0.8, 2.0, size)).astype(np.int64)
            users[rng.random(size) < 0.03] = -1
            blocks = self._sources
            sources = rng.choice(len(blocks.weights), size, p=blocks.weights)
            shown = blocks.products[sources, _zipf(rng, MENU, size)]
            yield Chunk(
                first=first,
                timestamps_ms=timestamps,
                occurred_ms=timestamps - delay.astype(np.int64),
                types=rng.choice(len(self.mix), size, p=shares / shares.sum()),
                products=np.where(blocks.shows_all[sources], _zipf(rng, self.shop.products, size), shown),
                sources=sources,
                users=users,
                noise=rng.integers(0, 1 << 63, (size, 2), dtype=np.uint64),
            )

    def rendered(self, first: int = 0, last: int | None = None) -> Iterator[Record]:
        """Yield the records in the order of R; of a part of them, those of the chunks that begin in it."""
        for chunk in self.chunks():
            if first <= chunk.first < (self.records if last is None else last):
                yield from self.render(chunk)

    def render(self, chunk: Chunk) -> Iterator[Record]:
        """Yield the records of a chunk in its order."""
        blocks = self._sources.json
        names = [name for name, _ in self.mix]
        columns = zip(
            chunk.timestamps_ms.tolist(),
            chunk.occurred_ms.tolist(),
            chunk.types.tolist(),
            chunk.products.tolist(),
            chunk.sources.tolist(),
            chunk.users.tolist(),
            chunk.noise.tolist(),
            strict=True,
        )
        for timestamp, occurred, kind, product, source, user, (high, low) in columns:
            name = names[kind]
            event_id = f"{high:016x}-{low:016x}"
            if name == "order_paid":
                key, value = _order(
                    event_id, occurred, product, blocks[source], user, low, self.shop.products
                )
            else:
                key, value = _traffic(name, event_id, occurred, product, blocks[source], user, timestamp)
            yield Record(TOPIC_OF[name], key, timestamp, value.encode())

    def expected_w1(self) -> Table:
        """Return the W1 table of the load's impressions, folded from the columns."""
        builder = TableBuilder()
        counted = [index for index, (name, _) in enumerate(self.mix) if name == "product_impression"]
        for chunk in self.chunks():
            keep = np.isin(chunk.types, counted)
            days = self._calendar.days_of(chunk.occurred_ms[keep])
            atoms = self._sources.atoms[chunk.sources[keep]]
            cell = ((days - DAY + 100) * self.shop.products + chunk.products[keep]) * 14 + atoms
            order = np.argsort(cell, kind="stable")
            users = chunk.users[keep][order]
            cells, starts = np.unique(cell[order], return_index=True)
            for code, members in zip(cells.tolist(), np.split(users, starts[1:]), strict=True):
                rest, atom = divmod(code, 14)
                day, product = divmod(rest, self.shop.products)
                people = [user_key(user) for user in np.unique(members).tolist() if user >= 0]
                builder.add(day_label(day + DAY - 100), product_id(product), atom, len(members), people)
        return builder.table()


def user_key(user: int) -> str:
    """Return the pseudonym of a user."""
    return f"u_{user * 2_654_435_761 % (1 << 40):010x}"


def product_id(product: int) -> str:
    """Return the id of a product."""
    return str(1_729_384_756_000_000_000 + product * 7_919)


def _zipf(rng: np.random.Generator, size: int, draws: int) -> NDArray[np.int64]:
    """Draw ranks 0 to size - 1 with weight 1 / (rank + 1), the shape of product popularity."""
    weights = np.cumsum(1.0 / np.arange(1, size + 1))
    return np.asarray(np.searchsorted(weights, rng.random(draws) * weights[-1]), dtype=np.int64)


def _time_of(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of the day by which a share of its traffic has come: quiet nights, a peak at 20:00."""
    hours = np.linspace(0.0, 1.0, 97)
    rate = 1.0 + 0.8 * np.sin(2 * np.pi * (hours - 0.5833))
    arrived = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
    return np.interp(share, arrived / arrived[-1], hours)


def _sources(rng: np.random.Generator, shop: Assortment) -> Sources:
    """Build the attribution blocks: LIVE and video by seller and creators, cards, search, and none at all."""
    blocks: list[str] = []
    atoms: list[int] = []
    weights: list[float] = []
    menus: list[NDArray[np.int64]] = []

    def block(weight: float, owner: str, shape: str, surface: str, rest: str, shows: int = MENU) -> None:
        fields = f'"owner":"{owner}","format":"{shape}","surface":"{surface}","is_paid":false{rest}'
        blocks.append(f',"source":{{{fields}}}')
        atoms.append(atom_of(owner, shape, surface))
        weights.append(weight)
        menus.append(np.resize(_zipf(rng, shop.products, min(shows, MENU)), MENU))

    popularity = 1.0 / np.arange(1, shop.contents + 1)
    popularity *= 0.70 / popularity.sum()
    for content in range(shop.contents):
        live, seller = rng.random() < 0.4, rng.random() < 0.25
        shape = "live" if live else "video"
        creator = int(rng.integers(shop.creators))
        rest = f',"content_id":"{7_423_000_000_000_000_000 + content * 104_729}","campaign_id":"bf26"'
        if seller:
            rest += ',"account_id":"acc_000001"'
        else:
            rest += f',"account_id":"acc_{creator + 100:06d}","creator_id":"cr_{creator:06d}"'
        surface = str(
            rng.choice(["live_room" if live else "feed", "shop_tab", "profile"], p=[0.8, 0.12, 0.08])
        )
        shows = MENU if live else int(rng.integers(1, 4))
        block(float(popularity[content]), "seller" if seller else "affiliate", shape, surface, rest, shows)
    account = ',"account_id":"acc_000001"'
    block(0.12, "seller", "product_card", "shop_tab", account)
    block(0.08, "seller", "product_card", "search", account)
    block(0.05, "affiliate", "showcase", "showcase", ',"account_id":"acc_000107","creator_id":"cr_000007"')
    blocks.append("")
    atoms.append(NO_SOURCE_ATOM)
    weights.append(0.05)
    menus.append(menus[-1])
    share = np.array(weights)
    shows_all = np.arange(len(blocks)) >= shop.contents
    return Sources(blocks, np.array(atoms), share / share.sum(), np.stack(menus), shows_all)


def _traffic(
    name: str, event_id: str, occurred: int, product: int, source: str, user: int, timestamp: int
) -> tuple[str, str]:
    known = user_key(user) if user >= 0 else ""
    person = f'"user_key":"{known}",' if known else ""
    return known or event_id, (
        f'{{"event_id":"{event_id}","event_type":"{name}","shop_id":"{SHOP.shop_id}",'
        f'"currency":"USD","occurred_at_ms":{occurred},"ingested_at_ms":{timestamp},'
        f'{person}"product_id":"{product_id(product)}"{source}}}'
    )


def _order(
    event_id: str, occurred: int, product: int, source: str, user: int, noise: int, products: int
) -> tuple[str, str]:
    order_id = f"o{event_id[:16]}"
    lines = ",".join(
        _order_line(f"{order_id}-{number}", (product + number * 37) % products, source, noise >> (8 * number))
        for number in range(1 + noise % 3)
    )
    person = f'"user_key":"{user_key(user)}",' if user >= 0 else ""
    return order_id, (
        f'{{"event_id":"{event_id}","event_type":"order_paid","shop_id":"{SHOP.shop_id}","currency":"USD",'
        f'"occurred_at_ms":{occurred},"order_id":"{order_id}","created_at_ms":{occurred - 9_000},'
        f'"paid_at_ms":{occurred},"customer_id":"cus_{max(user, 0):08d}",{person}"channel":"tiktok",'
        f'"credits_minor":0,"territory":"US-CA","lines":[{lines}]}}'
    )


def _order_line(line_id: str, product: int, source: str, noise: int) -> str:
    price = 499 + product % 97 * 50
    quantity = 1 + noise % 3
    return (
        f'{{"line_id":"{line_id}","product_id":"{product_id(product)}","sku_id":"{product_id(product)}-1",'
        f'"quantity":{quantity},"list_price_minor":{price},"goods_paid_minor":{price * quantity},'
        f'"shipping_paid_minor":299,"tax_minor":{price * quantity // 12},"seller_discount_minor":0,'
        f'"cofund_product_minor":0,"cofund_shipping_minor":0,"coupon_minor":0{source}}}'
    )
