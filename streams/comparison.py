"""With what a window is compared: the forms of `compare`, and the earlier time that each one means.

Source: S4-13 to S4-16, S4-20 to S4-26; spec/decisions.md X-22, X-24, X-80.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from streams.alignment import Alignment
from streams.days import day_label, parse_day
from streams.errors import ComparisonError
from streams.periods import months_before_clipped
from streams.recording_beside import PREFIX, recording_beside, reference_of
from streams.windows import Window, campaign_period, current_campaign, is_running, stream_window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.columns import Columns
    from streams.days import BusinessCalendar
    from streams.events import Campaign
    from streams.settings import ShopSettings
    from streams.windows import Clock, Stream

COMPARISONS: Final[dict[str, str]] = {
    "previous": "the same length directly before: yesterday for a day, the 6 weeks before for `weeks:6`; for a "
    "month or quarter the calendar one before; for a LIVE the finished one before it of the same account",
    "yesterday": "one shop-day earlier at the same time of the shop's clock: the same hours of yesterday",
    "shift:7d": "so many shop-days earlier, at the same time of the clock",
    "baseline:2011-10-25": "one own earlier day, at most six calendar months before (X-22); the window is one day",
    "reference:2011-10-25": "the days from that one on, of any age, day by day and by the hour of the clock (X-80)",
    "reference:<campaign id>": "an own campaign, by campaign day and hour; `reference` alone: the one that "
    "the campaign names. Of a LIVE, `reference:<content id>` is another LIVE, from its start on",
    "recording:2011-11-25": "a day, or `recording:<campaign id>` a campaign, of another recording: the one that "
    "`--against` of the command, or of the board, names",
    "benchmark": "the mean of top sellers of the own tier, or `benchmark:higher_tier`; one finished day, or the "
    "campaign through its last final day (X-24)",
}
"""Every form of a comparison with its meaning, as help, documents and messages show them."""

COMPARED: Final = "_compared"
DIFFERENCE: Final = "_difference"
CHANGE: Final = "_pct"
SUFFIXES: Final = (COMPARED, DIFFERENCE, CHANGE)
"""What a metric's id is followed by in the columns that a comparison adds: the other value, own less other, and that as
a fraction of other."""

BASELINE_MONTHS: Final = 6
MAX_SHIFT_DAYS: Final = 3_660

Group = Literal["own_tier", "higher_tier"]

_SHIFT: Final = re.compile(r"shift:([1-9][0-9]{0,3})d")
_GROUPS: Final[dict[str, Group]] = {
    "benchmark": "own_tier",
    "benchmark:own_tier": "own_tier",
    "benchmark:higher_tier": "higher_tier",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The other side of a comparison.

    Attributes:
        text: as asked for.
        columns, shop, calendar: of whom it is.
        window: the whole of it.
        alignment: which of its instants stands beside one of the window.
        own_end_ms: where the window ends too, because the other side is shorter; None where it is not.
    """

    text: str
    columns: Columns
    shop: ShopSettings
    calendar: BusinessCalendar
    window: Window
    alignment: Alignment
    own_end_ms: int | None = None


def check_comparison(text: str) -> None:
    """Refuse a comparison that no form fits.

    Raises:
        ComparisonError: `unknown_comparison`.
    """
    known = text in ("", "previous", "yesterday", "reference") or text in _GROUPS
    named = any(text.startswith(f"{kind}:") and text[len(kind) + 1 :] for kind in ("reference", "recording"))
    shift = _SHIFT.fullmatch(text)
    if shift is not None and int(shift[1]) <= MAX_SHIFT_DAYS:
        known = True
    if not known and not named and _baseline_day(text) is None:
        what = f"The comparison {text[:100]!r} is not known."
        raise ComparisonError(
            what, reason="unknown_comparison", mend=f"Comparisons are: {', '.join(COMPARISONS)}."
        )


def benchmark_group(text: str) -> Group | None:
    """Return the group of a comparison with a benchmark; None for any other comparison."""
    return _GROUPS.get(text)


def resolve_comparison(
    text: str,
    window: Window,
    clock: Clock,
    columns: Columns,
    shop: ShopSettings,
    *,
    recordings: Mapping[str, Columns] = {},
) -> Comparison:
    """Return the earlier time that a comparison means for a window; its text is one that `check_comparison` lets pass.

    Args:
        text: as asked for, no benchmark.
        window: what is compared.
        clock: that the window was resolved by.
        columns: of the window.
        shop: whose.
        recordings: shop id -> columns of the recording that is given beside.

    Raises:
        ComparisonError: `no_period_before`, `baseline_one_day`, `baseline_range`, `no_reference`, `no_campaign_day`,
            `reference_too_short`, `no_recording`, `mixed_currencies`; the message names what would work.
    """
    if window.from_ms is None or window.unit == "all":
        what = "All of time has nothing before it to be compared with."
        mend = "Ask for a window with a beginning, such as weeks:6 or range:2011-11-01..2011-11-30."
        raise ComparisonError(what, reason="no_period_before", mend=mend)
    side = _Side(text, window, window.from_ms, clock, columns, shop)
    if window.unit == "stream":
        return side.of_stream()
    if text == "previous":
        return side.previous()
    if text == "yesterday":
        return side.days_earlier(1)
    if shift := _SHIFT.fullmatch(text):
        return side.days_earlier(int(shift[1]))
    if text.startswith("baseline:"):
        return side.baseline()
    kind, _, wanted = text.partition(":")
    if kind == "reference" and not wanted:
        wanted = side.named_reference()
        if wanted.startswith(PREFIX):
            kind, wanted = "recording", wanted.removeprefix(PREFIX)
    if kind == "recording":
        return side.recording(wanted, recordings)
    return side.reference(wanted, columns, shop, clock.calendar, clock.campaigns)


@dataclass(frozen=True, slots=True)
class _Side:
    text: str
    window: Window
    from_ms: int
    clock: Clock
    columns: Columns
    shop: ShopSettings

    @property
    def _first_day(self) -> int:
        return self.clock.calendar.day_of(self.from_ms)

    @property
    def _end_ms(self) -> int:
        return self.clock.now_ms + 1 if self.window.to_ms is None else self.window.to_ms

    def _comparison(self, alignment: Alignment, from_ms: int, to_ms: int, content: str = "") -> Comparison:
        unit = "stream" if content else self.window.unit
        window = Window(
            f"{self.text} of {self.window.text}", from_ms, to_ms, unit, self.window.months, content
        )
        return Comparison(self.text, self.columns, self.shop, self.clock.calendar, window, alignment)

    def previous(self) -> Comparison:
        """Return the period before."""
        calendar = self.clock.calendar
        if self.window.unit == "months":
            first = months_before_clipped(self._first_day, self.window.months)
            alignment = Alignment(calendar, calendar, months=self.window.months)
            return self._comparison(alignment, calendar.day_start_ms(first), self.from_ms)
        if self.window.unit == "days":
            return self.days_earlier(calendar.day_of(self._end_ms - 1) - self._first_day + 1)
        length = self._end_ms - self.from_ms
        return self._comparison(
            Alignment(calendar, calendar, shift_ms=length), self.from_ms - length, self.from_ms
        )

    def days_earlier(self, days: int) -> Comparison:
        """Return the window so many shop-days earlier."""
        calendar = self.clock.calendar
        alignment = Alignment(calendar, calendar, days=days)
        return self._comparison(
            alignment, alignment.other_edge(self.from_ms), alignment.other_edge(self._end_ms)
        )

    def baseline(self) -> Comparison:
        """Return the baseline day (S4-13, X-22)."""
        calendar, day = self.clock.calendar, self._first_day
        if self.window.unit != "days" or calendar.day_of(self._end_ms - 1) != day:
            what = f"A baseline is one day beside one day, and {self.window.text} is not one day."
            mend = "Ask for day:<date>, or compare with reference:<date>, which runs on from that day."
            raise ComparisonError(what, reason="baseline_one_day", mend=mend)
        wanted = _baseline_day(self.text)
        earliest = months_before_clipped(day, BASELINE_MONTHS)
        if wanted is None or not earliest <= wanted < day:
            what = f"The baseline of {day_label(day)} is a day from {day_label(earliest)} to {day_label(day - 1)}."
            mend = "A reference, reference:<date>, may be of any age."
            raise ComparisonError(what, reason="baseline_range", mend=mend)
        return self.days_earlier(day - wanted)

    def reference(
        self,
        wanted: str,
        columns: Columns,
        shop: ShopSettings,
        calendar: BusinessCalendar,
        campaigns: Sequence[Campaign],
    ) -> Comparison:
        """Return own days or an own campaign, or those of a recording, beside the window's days."""
        other = next((each for each in campaigns if str(each.campaign_id) == wanted), None)
        if other is not None:
            start_ms, end_ms = campaign_period(other, calendar)
            # The window's place in its own campaign says which days of the other one stand beside it.
            first = self._campaign_start(other if columns is self.columns else None)
            days, last_ms = first - calendar.day_of(start_ms), end_ms
        else:
            day = _date(wanted)
            if day is None:
                ids = ", ".join(str(each.campaign_id) for each in campaigns) or "none"
                what = f"{wanted[:100]!r} is neither a day nor a campaign that can be compared with."
                raise ComparisonError(what, reason="no_reference", mend=f"Campaigns known: {ids}.")
            days, last_ms = self._first_day - day, None
        alignment = Alignment(self.clock.calendar, calendar, days=days)
        from_ms, to_ms = alignment.other_edge(self.from_ms), alignment.other_edge(self._end_ms)
        own_end_ms = None
        if last_ms is not None and last_ms < to_ms:
            if last_ms <= from_ms:
                what = f"The campaign {wanted} was over before the days that would stand beside {self.window.text}."
                raise ComparisonError(
                    what, reason="reference_too_short", mend="Name a longer one, or a day: reference:<date>."
                )
            back = Alignment(calendar, self.clock.calendar, days=-days)
            to_ms, own_end_ms = last_ms, back.other_edge(last_ms)
        found = self._comparison(alignment, from_ms, to_ms)
        return dataclasses.replace(
            found, columns=columns, shop=shop, calendar=calendar, own_end_ms=own_end_ms
        )

    def named_reference(self) -> str:
        """Return what the window's campaign is held against."""
        campaign = self._own_campaign()
        found = "" if campaign is None else reference_of(self.columns, self.shop, campaign)
        if not found:
            what = (
                "The campaign names no reference." if campaign else f"{self.window.text} is in no campaign."
            )
            mend = "Name one: reference:<date> or reference:<campaign id>."
            raise ComparisonError(what, reason="no_reference", mend=mend)
        return found

    def _own_campaign(self, besides: Campaign | None = None) -> Campaign | None:
        """Return the campaign that the window begins in."""
        running = [
            each for each in self.clock.campaigns if is_running(each, self.clock.calendar, self.from_ms)
        ]
        others = [each for each in running if besides is None or each.campaign_id != besides.campaign_id]
        exactly = [
            each
            for each in others
            if campaign_period(each, self.clock.calendar) == (self.from_ms, self.window.to_ms)
        ]
        return current_campaign(exactly or others or running, self.clock.calendar, self.from_ms)

    def _campaign_start(self, other: Campaign | None) -> int:
        own = self._own_campaign(other)
        if own is None:
            what = (
                f"{self.window.text} begins in no campaign, so no day of another campaign stands beside it."
            )
            raise ComparisonError(what, reason="no_campaign_day", mend="Name a day: reference:<date>.")
        return self.clock.calendar.day_of(campaign_period(own, self.clock.calendar)[0])

    def recording(self, wanted: str, recordings: Mapping[str, Columns]) -> Comparison:
        """Return days or a campaign of the recording that is given beside."""
        columns, shop = recording_beside(self.shop, recordings)
        if shop.currency != self.shop.currency:
            what = f"The recording beside is in {shop.currency}, this shop in {self.shop.currency}."
            raise ComparisonError(
                what, reason="mixed_currencies", mend="Amounts of one currency can be compared."
            )
        shop_id = shop.shop_id
        return self.reference(wanted, columns, shop, columns.calendar(shop_id), columns.campaigns(shop_id))

    def of_stream(self) -> Comparison:
        """Return the account's LIVE before, or a named one, from its start on."""
        streams = {stream.content_id: stream for stream in self.clock.streams}
        own = streams[self.window.content]
        kind, _, wanted = self.text.partition(":")
        other: Stream | None = None
        if self.text == "previous":
            before = [
                stream
                for stream in streams.values()
                if stream.account_id == own.account_id
                and stream.to_ms is not None
                and stream.from_ms < own.from_ms
            ]
            other = max(before, key=lambda stream: (stream.from_ms, stream.content_id), default=None)
            if other is None:
                what = f"The account of the LIVE {own.content_id} has no finished LIVE before it."
                raise ComparisonError(
                    what, reason="no_period_before", mend="Name one: reference:<content id>."
                )
        elif kind == "reference":
            other = streams.get(wanted)
        if other is None:
            what = f"A LIVE can be compared with another LIVE, and {self.text} names none."
            raise ComparisonError(
                what, reason="no_reference", mend="Ask for previous or reference:<content id>."
            )
        calendar = self.clock.calendar
        window = stream_window(f"{self.text} of {self.window.text}", other)
        alignment = Alignment(calendar, calendar, shift_ms=own.from_ms - other.from_ms)
        return Comparison(self.text, self.columns, self.shop, calendar, window, alignment)


def _baseline_day(text: str) -> int | None:
    return _date(text.removeprefix("baseline:")) if text.startswith("baseline:") else None


def _date(text: str) -> int | None:
    try:
        return parse_day(text)
    except ValueError:
        return None
