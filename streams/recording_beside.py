"""The recording that a shop is held against: which of its shops, which of its days, and why it cannot be.

Whoever opens both lays the one beside the other (`Columns.beside`): `--against` of a question to a recording, of
`warroom board`, `up`, `demo` and `replay --watch`.

Source: spec/decisions.md X-80 (the reference: any own day, campaign or recording).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streams.days import HOUR_MS, day_label, parse_day
from streams.errors import ComparisonError
from streams.windows import campaign_period

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.columns import Columns
    from streams.events import Campaign
    from streams.settings import ShopSettings

PREFIX: Final = "recording:"
"""What a comparison, and the reference of a campaign, begins with that means the recording beside."""


OF_BESIDE: Final = "of the recording beside"
"""What the label of its days ends in."""


@dataclass(frozen=True, slots=True)
class DaysBeside:
    """Whole business days of the recording beside.

    Attributes:
        columns, shop: of whom they are.
        first, last: ordinals, both included.
        same_shop: it is the same shop in the same currency, so that how much it sold says something too.
    """

    columns: Columns
    shop: ShopSettings
    first: int
    last: int
    same_shop: bool

    @property
    def label(self) -> str:
        """The days as a person reads them."""
        first, last = day_label(self.first), day_label(self.last)
        return f"{first if first == last else f'{first} to {last}'} {OF_BESIDE}"


def reference_of(columns: Columns, shop: ShopSettings, campaign: Campaign) -> str:
    """Return what a campaign is held against: its record's reference, else the settings'; empty without one."""
    if campaign.reference:
        return campaign.reference
    own = columns.settings.goals.get(shop.shop_id)
    return "" if own is None else own.references.get(str(campaign.campaign_id), "")


def recording_beside(shop: ShopSettings, recordings: Mapping[str, Columns]) -> tuple[Columns, ShopSettings]:
    """Return the columns and the shop of the recording that a shop is held against: its own, else the only one.

    Raises:
        ComparisonError: `no_recording`.
    """
    columns = recordings.get(shop.shop_id)
    if columns is None and len(recordings) == 1:
        columns = next(iter(recordings.values()))
    if columns is None:
        shops = ", ".join(recordings)
        what = (
            f"The recording beside has no shop {shop.shop_id}." if shops else "No recording is given beside."
        )
        mend = (
            f"It has: {shops}."
            if shops
            else "Name one with --against PATH: of the question to a recording, or of warroom up, board, demo "
            "or replay."
        )
        raise ComparisonError(what, reason="no_recording", mend=mend)
    return columns, columns.shop(next(name for name, each in recordings.items() if each is columns))


def days_beside(
    wanted: str, shop: ShopSettings, recordings: Mapping[str, Columns], length: int
) -> DaysBeside:
    """Return the days of the recording beside that a period of `length` days is held against.

    Args:
        wanted: a day, or the id of a campaign of the recording.
        shop: whose period it is.
        recordings: shop id -> columns of the recording that is given beside.
        length: of the period, at least 1; the days are as many, or fewer.

    Raises:
        ComparisonError: `no_recording`, `no_reference` where it is neither day nor campaign, `no_such_hours` where the
            recording does not tell the orders of the first of these days from beginning to end.
    """
    columns, other = recording_beside(shop, recordings)
    calendar, campaigns = columns.calendar(other.shop_id), columns.campaigns(other.shop_id)
    campaign = next((each for each in campaigns if str(each.campaign_id) == wanted), None)
    if campaign is not None:
        start_ms, end_ms = campaign_period(campaign, calendar)
        first, last = calendar.day_of(start_ms), calendar.day_of(end_ms - 1)
    else:
        try:
            first = parse_day(wanted)
        except ValueError:
            ids = ", ".join(str(each.campaign_id) for each in campaigns) or "none"
            what = f"{wanted[:100]!r} is neither a day nor a campaign of the recording beside."
            raise ComparisonError(what, reason="no_reference", mend=f"Its campaigns: {ids}.") from None
        last = first + length - 1
    last = min(last, first + length - 1)
    since_ms, until_ms = columns.source_since_ms(other.shop_id, "orders"), columns.vouched_ms
    if since_ms is None:
        what, mend = "The recording beside has no orders.", "Name one that has."
        raise ComparisonError(what, reason="no_such_hours", mend=mend)
    # The last hour of a day may pass without a record. A recording begins with its first day.
    told_first, told_last = calendar.day_of(since_ms), calendar.day_of(until_ms + HOUR_MS) - 1
    if not told_first <= first <= told_last:
        what = f"The recording beside does not tell the whole of {day_label(first)}."
        told = f"{day_label(told_first)} to {day_label(told_last)}"
        mend = f"It tells {told}." if told_first <= told_last else "It tells no day from beginning to end."
        raise ComparisonError(what, reason="no_such_hours", mend=mend)
    same = other.shop_id == shop.shop_id and other.currency == shop.currency
    return DaysBeside(columns, other, first, min(last, told_last), same)
