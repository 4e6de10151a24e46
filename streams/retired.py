"""Old names of metrics and what took their place: asked for by one of them, a question is told the new name.

Source: S1-28, S1-30, S1-33 to S1-37, S1-39; X-04, X-06.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Retired:
    """A name that the product guide has retired.

    Attributes:
        title: as the old screens had it.
        now: ids of the catalogue that took its place.
        change: what is counted in another way; empty: nothing.
    """

    title: str
    now: tuple[str, ...]
    change: str = ""


RETIRED: Final[tuple[Retired, ...]] = (
    Retired("Gross Sales", ("gmv",), "one figure for every screen, cancelled and refunded orders left in"),
    Retired("Cart conversion rate", ("atc_count", "atc_rate"), "a count and a rate take its place"),
    Retired("Daily customers", ("est_customers",), "summed over days, no mean of days"),
    Retired("Impressions", ("product_impressions",), "a product being shown, not the content"),
    Retired("Page views", ("product_clicks",), "active clicks on a product, not page loads"),
    Retired("Conversion rate", ("ctor",), "the name now belongs to buyers by viewers of content (X-04)"),
    Retired("Add-to-cart rate of viewers", ("atc_rate",), "divided by clicks, no longer by viewers"),
)
"""In the order of the guide's checklist."""


def successors(name: str) -> tuple[str, ...]:
    """Return the metrics that took the place of an old name, in any case and with any separator; empty: no old name."""
    wanted = _plain(name)
    return next((old.now for old in RETIRED if _plain(old.title) == wanted), ())


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
