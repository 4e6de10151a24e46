"""Cells of a month of the reference shop, as the workers of four partitions hand them over.

They are counted from drawn columns. Sketches are taken from a stock of real images by their number of people: they cost
what real ones cost, and whom they hold is no one's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.load import DAY, SHOP, USERS, Assortment, Chunk, Load
from benchmarks.shop_day import MOST_SKUS, STATE_MIX, TERRITORIES
from streams import sketches, theta
from streams.cubes import CUBES, Cube, Grain
from streams.days import DAY_MS, MINUTE_MS, QUARTER_MS
from streams.settings import FoldSettings
from streams.state import PeopleRow, RowKey, StateRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Kept = list[tuple[list[StateRow], list[PeopleRow]]]
    """Rows by partition."""

PARTITIONS: Final = 4

_SMALL_PEOPLE: Final = 29
"""More of them have a row of their own (ADR 10)."""

_TRAFFIC: Final = [name for name, _ in STATE_MIX if name != "order_paid"]


class MonthCells:
    """Draw the traffic of days and count it.

    Args:
        shop: products, contents and creators.
        blocks: every attribution block, with its sub-campaign.
        atoms: of the blocks.
        products: ids.

    Attributes:
        images: crowds by their size.
    """

    def __init__(
        self,
        shop: Assortment,
        blocks: Sequence[dict[str, Any]],
        atoms: NDArray[np.int64],
        products: Sequence[str],
    ) -> None:
        self._shop = shop
        self._products = products
        self._contents = [str(block.get("content_id", "")) for block in blocks]
        self.images = Images()
        self._of_block = {
            "atom": atoms,
            "content": np.array([at if name else -1 for at, name in enumerate(self._contents)]),
            "creator": _numbers(block.get("creator_id") for block in blocks),
            "sub_campaign": _numbers(block.get("sub_campaign_id") for block in blocks),
        }

    def of_day(self, day: int, span: tuple[int, int], events: int) -> Kept:
        """Return the cells of one day of so many events within a span, of all cubes that are still kept."""
        mix = tuple((name, share) for name, share in STATE_MIX if name in _TRAFFIC)
        drawn = list(Load(events, mix=mix, seed=day, span_ms=span, shop=self._shop).chunks())
        columns = _joined(drawn)
        found: Kept = [([], []) for _ in range(PARTITIONS)]
        aged_ms = (DAY - day) * DAY_MS
        for cube in CUBES:
            if aged_ms < cube.keep_ms(FoldSettings()):
                self._count(cube, day, columns, found)
        return found

    def _count(
        self,
        cube: Cube,
        day: int,
        columns: dict[str, NDArray[np.int64]],
        found: Kept,
    ) -> None:
        names: dict[str, Callable[[int], str]] = {
            "product": lambda number: self._products[number],
            "sku": lambda number: f"{self._products[number // MOST_SKUS]}-{number % MOST_SKUS}",
            "atom": str,
            "content": lambda number: self._contents[number],
            "creator": lambda number: f"cr_{number:06d}",
            "sub_campaign": lambda number: f"sc_{number:02d}",
            "territory": lambda number: TERRITORIES[number],
        }
        length = {Grain.QUARTER: QUARTER_MS, Grain.MINUTE: MINUTE_MS}.get(cube.grain)
        bucket = columns["at"] // length if length else np.full_like(columns["at"], day)
        of_types = np.isin(
            columns["type"], [at for at, name in enumerate(_TRAFFIC) if name in cube.event_types]
        )
        keys = [
            columns["partition"],
            bucket,
            columns["type"],
            *(self._dim(dim, columns) for dim in cube.dims),
        ]
        where = of_types & np.logical_and.reduce([key >= 0 for key in keys])
        code, spans = np.zeros(int(where.sum()), dtype=np.int64), []
        for key in keys:
            own = key[where]
            low = int(own.min()) if len(own) else 0
            size = int(own.max()) - low + 1 if len(own) else 1
            code = code * size + (own - low)
            spans.append((low, size))
        cells, inverse, events = np.unique(code, return_inverse=True, return_counts=True)
        keyed = np.bincount(inverse, weights=columns["user"][where] >= 0, minlength=len(cells)).astype(
            np.int64
        )
        parts = []
        for low, size in reversed(spans):
            parts.append((cells % size + low).tolist())
            cells = cells // size
        rows = zip(*reversed(parts), events.tolist(), keyed.tolist(), strict=True)
        for number, (partition, at, kind, *rest) in enumerate(rows):
            *dims, total, known = rest
            texts = tuple(names[dim](value) for dim, value in zip(cube.dims, dims, strict=True))
            start = at * length if length else at
            cell = RowKey(cube.name, cube.definition, SHOP.shop_id, start, _TRAFFIC[kind], texts)
            image = (
                None
                if cube.lg_k is None or not known
                else self.images.of(cube.lg_k, cube.sketch, known, number)
            )
            own_rows, people = found[partition]
            if image is not None and known > _SMALL_PEOPLE and cube.sketch != "theta":
                people.append(PeopleRow(cell, image))
                image = None
            own_rows.append(StateRow(cell, total, known, image))

    def _dim(self, dim: str, columns: dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return a dimension's number for each event, -1 for none."""
        if dim == "product":
            return columns["product"]
        if dim == "sku":
            which = columns["at"] // 1_000 % (1 + columns["product"] % MOST_SKUS)
            return columns["product"] * MOST_SKUS + which
        if dim == "territory":
            return np.where(columns["user"] >= 0, columns["user"] % len(TERRITORIES), -1)
        return np.asarray(self._of_block[dim][columns["source"]], dtype=np.int64)


class Images:
    """Images of crowds by their size, a few of each, drawn once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str, int], list[bytes]] = defaultdict(list)

    def of(self, lg_k: int, kind: str, people: int, number: int) -> bytes:
        """Return an image of about so many people; beyond four for each register it does not grow."""
        size = min(1 << (people - 1).bit_length() if people > 8 else people, 4 << lg_k)
        images = self._known[lg_k, kind, size]
        if not images:
            for variant in range(8):
                crowd: Any = theta.new(lg_k) if kind == "theta" else sketches.new(lg_k)
                for person in range(size):
                    crowd.update(f"u_{(variant * 7_919 + person * 31) % USERS}")
                images.append(theta.unite(lg_k, [], crowd) if kind == "theta" else sketches.dump(crowd))
        return images[number % len(images)]


def _joined(chunks: Sequence[Chunk]) -> dict[str, NDArray[np.int64]]:
    users = np.concatenate([chunk.users for chunk in chunks])
    noise = np.concatenate([chunk.noise[:, 0].astype(np.int64) for chunk in chunks])
    return {
        "at": np.concatenate([chunk.timestamps_ms for chunk in chunks]),
        "type": np.concatenate([chunk.types for chunk in chunks]),
        "product": np.concatenate([chunk.products for chunk in chunks]),
        "source": np.concatenate([chunk.sources for chunk in chunks]),
        "user": users,
        "partition": np.where(users >= 0, users, noise) % PARTITIONS,
    }


def _numbers(ids: Iterable[str | None]) -> NDArray[np.int64]:
    """Return the number at the end of each id, -1 for none."""
    return np.array([-1 if name is None else int(name.rsplit("_", 1)[1]) for name in ids])
