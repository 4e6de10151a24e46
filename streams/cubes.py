"""The cubes: what traffic is added up by, as data. The list is closed (design, decision 2).

A cube's cell counts events of one type, shop, bucket of time and value of the cube's dimensions. An event that lacks a
dimension of a cube (a click without content or SKU, say) is not in that cube; every event has a product and an atom.

People of a shop's day come from uniting the day's quarter hours, people of a slice from uniting its atoms: sketches
unite, so no cube keeps what another one gives.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Literal

import xxhash

from streams.days import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS
from streams.settings import FoldSettings

MEANING: Final = 1
"""Raise when the fold counts something else under the same cube records, so that old state is refused."""

TRAFFIC: Final = ("product_impression", "product_click", "product_page_view", "add_to_cart")

Dimension = Literal["atom", "product", "sku", "content", "creator", "sub_campaign", "territory"]


class Grain(enum.StrEnum):
    """The length of a cube's bucket; a day is a business day of the shop, as an ordinal."""

    DAY = "day"
    QUARTER = "quarter"
    MINUTE = "minute"


GRAIN_MS: Final = {Grain.DAY: DAY_MS, Grain.QUARTER: QUARTER_MS, Grain.MINUTE: MINUTE_MS}
"""Nominal lengths; a business day has 23 to 25 hours."""


@dataclass(frozen=True, slots=True)
class Cube:
    """One way of adding up traffic.

    Attributes:
        name: stable, part of every row's key.
        dims: dimensions in the order of `RowKey.dims`; the atom is its decimal code.
        grain: of `RowKey.bucket`: a business day's ordinal, else the start in ms of the quarter hour or minute.
        lg_k: size of the sketches of people (log2 of registers); None: no sketches, people are not kept here.
        keep: the setting of `FoldSettings` that says for how long rows are kept.
        event_types: the traffic that feeds it.
        sketch: HLL counts people; theta also tells who is in two crowds at once, and is kept for that alone.
    """

    name: str
    dims: tuple[Dimension, ...]
    grain: Grain
    lg_k: int | None
    keep: Literal["hot_days", "minute_hours"]
    event_types: tuple[str, ...] = TRAFFIC
    sketch: Literal["hll4", "theta"] = "hll4"

    @property
    def definition(self) -> str:
        """Return 8 hex digits that change whenever the meaning of a row changes; retention is not meaning."""
        content = "|".join(
            (
                str(MEANING),
                self.name,
                ",".join(self.dims),
                self.grain.value,
                f"{self.sketch}:{self.lg_k}",
                ",".join(self.event_types),
            )
        )
        return xxhash.xxh32_hexdigest(content.encode())

    def keep_ms(self, settings: FoldSettings) -> int:
        """Return how far behind the greatest R a row's bucket may lie."""
        return settings.hot_days * DAY_MS if self.keep == "hot_days" else settings.minute_hours * HOUR_MS


SHOP_QUARTER: Final = Cube("shop_quarter", ("atom",), Grain.QUARTER, 14, "hot_days")
SHOP_MINUTE: Final = Cube("shop_minute", ("atom",), Grain.MINUTE, None, "minute_hours")
PRODUCT_DAY: Final = Cube("product_day", ("product", "atom"), Grain.DAY, 12, "hot_days")
PRODUCT_QUARTER: Final = Cube("product_quarter", ("product",), Grain.QUARTER, None, "minute_hours")
CONTENT_DAY: Final = Cube("content_day", ("content", "product", "atom"), Grain.DAY, 12, "hot_days")
CREATOR_DAY: Final = Cube("creator_day", ("creator", "product", "atom"), Grain.DAY, 12, "hot_days")
SUB_CAMPAIGN_DAY: Final = Cube("sub_campaign_day", ("sub_campaign", "atom"), Grain.DAY, 12, "hot_days")
TERRITORY_DAY: Final = Cube(
    "territory_day", ("territory",), Grain.DAY, 12, "hot_days", ("product_impression",)
)
SKU_DAY: Final = Cube(
    "sku_day", ("product", "sku", "atom"), Grain.DAY, None, "hot_days", ("product_click", "add_to_cart")
)
CONTENT_SUB_CAMPAIGN_DAY: Final = Cube(
    "content_sub_campaign_day",
    ("content", "sub_campaign", "atom"),
    Grain.DAY,
    None,
    "hot_days",
    ("product_impression", "product_click"),
)
CONTENT_SKU_DAY: Final = Cube(
    "content_sku_day",
    ("content", "product", "sku", "atom"),
    Grain.DAY,
    None,
    "hot_days",
    ("product_click",),
)
PRODUCT_THETA: Final = Cube(
    "product_theta",
    ("product",),
    Grain.DAY,
    12,
    "hot_days",
    ("product_page_view", "add_to_cart"),
    sketch="theta",
)

CUBES: Final = (
    SHOP_QUARTER,
    SHOP_MINUTE,
    PRODUCT_DAY,
    PRODUCT_QUARTER,
    CONTENT_DAY,
    CREATOR_DAY,
    SUB_CAMPAIGN_DAY,
    TERRITORY_DAY,
    SKU_DAY,
    CONTENT_SUB_CAMPAIGN_DAY,
    CONTENT_SKU_DAY,
    PRODUCT_THETA,
)
"""What a worker keeps. Sketches of the shop are large (lg_k 14, error 0.65 %), those below small (lg_k 12, 1.3 %);
content, creator and sub-campaign cells are per product or atom and far too many for large ones (docs/STATE.md).
Theta sketches of lg_k 12 are for `atc_rate_pdp` alone (ADR 12). What one LIVE or video brought by sub-campaign and by
SKU is of its showings and clicks alone: that is what rows of the metric catalogue ask (spec/metrics.md)."""

CUBE_BY_NAME: Final[dict[str, Cube]] = {cube.name: cube for cube in CUBES}

FORMER: Final[frozenset[tuple[str, str]]] = frozenset({("content_day", "77546908")})
"""(name, definition) of cubes that an earlier version kept and this one does not: their rows are deleted (ADR 13).
Whoever changes or removes a cube puts what it was here; rows of any other definition stop the worker."""

EARLIER_DIMS: Final[dict[tuple[str, str], tuple[Dimension, ...]]] = {
    ("content_day", "77546908"): ("content", "product"),
}
"""Of former cubes that lacked a dimension and are else as now, what they added up by: files of old days have their rows
for good (ADR 14), and still answer what does not need the dimension. Whoever adds one puts here what there was."""

DEFINITIONS: Final = {cube.name: cube.definition for cube in CUBES}


def is_former(name: str, definition: str) -> bool:
    """Return whether a cube is declared gone, or changed since it was defined so."""
    return (name, definition) in FORMER
