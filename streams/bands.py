"""Bands of the KPI guide as data: what is good for a shop of its size and industry, and where a figure lies against it.

Size and industry overlap: both are evaluated and both are shown; where the guide gives no number there is no band
(X-48). Size, industry and the platform's tier are three fields, never derived from each other (X-49). Money is in US
dollars: a shop with another currency has no such band.

Source: S5-06 to S5-11, S5-13 to S5-28, S5-48, S5-50 to S5-55; X-03, X-46, X-47.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from streams.metric import Unit

if TYPE_CHECKING:
    from streams.events import Shop

Size = Literal["small", "mid", "enterprise"]
SIZES: Final[tuple[Size, ...]] = ("small", "mid", "enterprise")

BAND_CURRENCY: Final = "USD"


class Place(StrEnum):
    """Where a figure lies against a band."""

    BELOW = "below"
    IN = "in"
    ABOVE = "above"


@dataclass(frozen=True, slots=True)
class Band:
    """What is good for one metric.

    The lower end is inclusive, the upper one exclusive, but for the last band of a ladder, which holds its upper end
    too (X-47).

    Attributes:
        metric: id of the catalogue.
        low, high: ends, rates as fractions, money in US dollars; None is open.
        size, industry, tier: of whom it holds; empty: of all. `tier` is the price tier of a product.
        rule: of spec/alerts.md that looks at it; empty: none.
        sources: ids of features.
        last: the last band of its ladder.
        less_is_better: a figure above the band is off, one below is better than the band.
    """

    metric: str
    low: float | None
    high: float | None
    sources: str
    size: Size | Literal[""] = ""
    industry: str = ""
    tier: str = ""
    rule: str = ""
    last: bool = False
    less_is_better: bool = False

    def place(self, value: float) -> Place:
        """Return where a value lies; an end counts as X-47 says."""
        if self.low is not None and value < self.low:
            return Place.BELOW
        if self.high is None or value < self.high or (self.last and value == self.high):
            return Place.IN
        return Place.ABOVE

    def is_off(self, value: float) -> bool:
        """Return whether the figure asks for something to be done; better than the band is no fault (X-47)."""
        return self.place(value) is (Place.ABOVE if self.less_is_better else Place.BELOW)

    @property
    def name(self) -> str:
        """Of whom it holds, in words."""
        parts = (f"{self.size} shop" if self.size else "", self.industry.replace("_", " "), self.tier)
        return ", ".join(part for part in parts if part) or "every shop"

    @property
    def goal(self) -> float | None:
        """The nearest figure that is not off: the micro-goal of a figure that is (S5-61)."""
        return self.high if self.less_is_better else self.low


def _ladder(
    metric: str, rule: tuple[str, str, str] | str, sources: str, *edges: tuple[float, float | None]
) -> tuple[Band, ...]:
    """Return the bands of the three sizes, as the guide's table has them."""
    rules = (rule,) * len(SIZES) if isinstance(rule, str) else rule
    return tuple(
        Band(metric, low, high, sources, size=size, rule=number, last=high is not None and size == SIZES[-1])
        for size, number, (low, high) in zip(SIZES, rules, edges, strict=True)
    )


BANDS: Final[tuple[Band, ...]] = (
    *_ladder("engagement_rate", "A-19", "S5-50 S5-51 S5-52", (0.03, 0.05), (0.05, 0.07), (0.07, None)),
    *_ladder(
        "conversion_rate",
        ("A-16", "A-17", "A-18"),
        "S5-06 S5-07 S5-50 S5-51 S5-52",
        (0.02, 0.04),
        (0.04, 0.06),
        (0.05, 0.08),
    ),
    *_ladder("gmv_per_live", "A-20", "S5-50 S5-51 S5-52", (200, 1_000), (1_000, 10_000), (10_000, None)),
    *_ladder("watch_gpm", "A-21", "S5-15 S5-50 S5-51 S5-52", (10, 25), (25, 50), (50, None)),
    Band("engagement_rate", 0.04, 0.06, "S5-53", industry="fashion_beauty", rule="A-22", last=True),
    Band("conversion_rate", 0.03, 0.06, "S5-54", industry="ecommerce_tech", rule="A-23", last=True),
    Band("engagement_rate", 0.02, 0.04, "S5-55", industry="health_wellness", rule="A-24", last=True),
    Band("content_ctr", 0.01, 0.03, "S5-09 S5-58", rule="A-14", last=True),
    Band("ctor", 0.03, 0.05, "S5-11", rule="A-15", last=True),
    Band("live_gmv_growth_pct", 0, None, "S5-13", rule="A-25"),
    Band("roas", 2, None, "S5-22", size="small", rule="A-26"),
    *(Band("roas", 3, 5, "S5-23", size=size, rule="A-27", last=True) for size in SIZES[1:]),
    Band("cpc", 0.5, 1.5, "S5-17", rule="A-29", last=True, less_is_better=True),
    Band("cpp", None, 5, "S5-19", tier="low", rule="A-30", less_is_better=True),
    Band("cpp", None, 20, "S5-20", tier="mid", rule="A-31", less_is_better=True),
    Band("violations_count", 0, 0, "S5-25", last=True, less_is_better=True),
    Band("flagged_content_rate", 0, 0, "S5-25 S5-48", rule="A-06", last=True, less_is_better=True),
    Band("follower_growth_rate", 0.05, None, "S5-27", size="small", rule="A-35"),
    *(
        Band("follower_growth_rate", 0.08, 0.10, "S5-28", size=size, rule="A-36", last=True)
        for size in SIZES[1:]
    ),
    Band("page_view_rate", 0.03, 0.08, "S2-77 S2-78", rule="A-08", last=True),
)
"""Every band of the guides, by metric. Growth of sales (A-39) and the quarter's target (A-40) are no bands."""

FAILING_PAGE_VIEW_RATE: Final = 0.015
"""Below this a product page view rate fails (A-08); from here to its band it is low (A-09)."""

INDUSTRIES: Final = {
    "fashion_beauty": ("fashion", "beauty"),
    "ecommerce_tech": ("ecommerce", "e-commerce", "tech", "electronics"),
    "health_wellness": ("health", "wellness"),
}
"""Industries of the guide, and the words of a shop's record that name them."""


def industry_of(text: str) -> str:
    """Return the guide's industry that a shop's record names; empty where it names none of them."""
    said = text.casefold().replace("_", " ")
    return next((name for name, words in INDUSTRIES.items() if any(word in said for word in words)), "")


def bands_of(metric: str, profile: Shop | None, *, tier: str = "") -> Iterator[Band]:
    """Yield the bands that hold for a metric of a shop: those of all, of its size, of its industry, of a price tier."""
    size = profile.business_size if profile is not None else None
    industry = industry_of(profile.industry or "") if profile is not None else ""
    for band in BANDS:
        fits = band.metric == metric and band.size in ("", size) and band.industry in ("", industry)
        if fits and band.tier in ("", tier):
            yield band


def bands_by_tier(metric: str) -> Iterator[Band]:
    """Yield the bands of a metric that hold for products of one price tier alone."""
    return (band for band in BANDS if band.metric == metric and band.tier)


def speaks(unit: Unit, currency: str) -> bool:
    """Return whether a band can be held against a figure: bands of money are in US dollars only."""
    return unit is not Unit.MONEY or currency == BAND_CURRENCY
