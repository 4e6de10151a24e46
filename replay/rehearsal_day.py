"""A recorded day in steps: what is folded, what ran out, and what of this year is laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from replay.clock import shift_to_day
from replay.cursor import Cursor
from replay.recording import Line
from streams.days import BusinessCalendar
from streams.errors import SettingsError
from streams.events import Campaign
from streams.goals import running_campaign
from streams.topics import RECORDING_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from replay.engine import Engine
    from replay.recording import Recording
    from streams.columns import Columns
    from streams.settings import Settings
    from streams.setup import ReferenceRecord

_CHUNK: Final = 1 << 16
_STOCK: Final = RECORDING_PREFIX + "stock"


@dataclass(slots=True)
class StockOut:
    """A SKU whose level fell to 0.

    Attributes:
        at_ms: event time of that.
        warned_ms: when the page that foretold it opened and was still open; None: nobody was paged.
        eased_ms: without one, when the newest page about it opened that had closed before it ran out.
        digest_ms: when a digest first named it in the day before; None: none did.
    """

    shop_id: str
    sku_id: str
    at_ms: int
    name: str = ""
    warned_ms: int | None = None
    eased_ms: int | None = None
    digest_ms: int | None = None


class Day:
    """The fold of a recording in steps, with an eye on stock levels."""

    def __init__(self, columns: Columns, engine: Engine, lines: Iterator[Line]) -> None:
        self.columns = columns
        self.stock_outs: list[StockOut] = []
        self._engine = engine
        self._lines = self._watched(lines)
        self._cursor: Cursor | None = None
        self._levels: dict[tuple[str, str], dict[str, int]] = {}
        self._begin_ms = 0

    def run_up(self, begin_ms: int) -> None:
        """Fold what lies before the span; nothing that runs out there counts."""
        self._begin_ms = begin_ms
        self._cursor = Cursor(self._lines)
        self.fold_to(begin_ms - 1)

    def fold_to(self, now_ms: int) -> int:
        """Fold everything up to an instant; return how many records that was."""
        records = 0
        if self._cursor is not None:
            while chunk := self._cursor.take(now_ms, _CHUNK):
                self._engine.fold(chunk)
                records += len(chunk)
            self._apply()
        return records

    def fold(self, lines: Iterable[Line]) -> None:
        """Fold lines that are not in the recording."""
        rest = iter(lines)
        while chunk := list(islice(rest, _CHUNK)):
            self._engine.fold(chunk)
        self._apply()

    def _apply(self) -> None:
        for flush in self._engine.flushes():
            self.columns.apply(flush)

    def _watched(self, lines: Iterator[Line]) -> Iterator[Line]:
        for line in lines:
            if line.topic == _STOCK and line.value is not None:
                self._look(line.value)
            yield line

    def _look(self, value: bytes) -> None:
        try:
            level = _LEVEL.decode(value)
        except msgspec.MsgspecError:
            return
        sku = str(level.shop_id), str(level.sku_id)
        levels = self._levels.setdefault(sku, {})
        before = sum(levels.values())
        levels[str(level.warehouse_id)] = level.available
        if before > 0 >= sum(levels.values()) and level.occurred_at_ms >= self._begin_ms:
            self.stock_outs.append(StockOut(*sku, level.occurred_at_ms))


class _Level(msgspec.Struct):
    shop_id: str | int
    sku_id: str | int
    available: int
    occurred_at_ms: int
    warehouse_id: str | int = "default"


_LEVEL: Final = msgspec.json.Decoder(_Level)


def this_year(
    recording: Recording, settings: Settings, records: Sequence[ReferenceRecord], begin_ms: int
) -> Iterator[Line]:
    """Yield this year's records, moved so that the campaign's first day is the first day of the span."""
    if not records:
        return
    campaigns = [
        _CAMPAIGN.decode(one.value) for one in records if one.topic == RECORDING_PREFIX + "campaigns"
    ]
    shop_id = next((one.shop_id for one in campaigns), None)
    if shop_id is None or str(shop_id) not in recording.shops:
        what = f"The records hold no campaign of the recording's shop {', '.join(sorted(recording.shops))}."
        raise SettingsError(what, mend="Write them with `warroom init --shop` and that id.")
    timezone = settings.shops[str(shop_id)].timezone
    shift = shift_to_day(campaigns[0].starts_at_ms, today_ms=begin_ms, timezone=timezone)
    for record in records:
        value = shift.value(bytes(record.value))
        at_ms = max(begin_ms, shift.instant(record.timestamp_ms))
        yield Line(record.topic, record.key.encode(), at_ms, value)


_CAMPAIGN: Final = msgspec.json.Decoder(Campaign)


def goal_lines(
    columns: Columns, settings: Settings, goal: float, metric: str, *, span_ms: tuple[int, int], now_ms: int
) -> Iterator[Line]:
    """Yield a campaign record with the wished goal: the running one's next version, else one over the whole span."""
    for shop_id in columns.shops():
        shop = settings.shops[shop_id]
        campaign = running_campaign(columns, shop, as_of_ms=now_ms)
        if campaign is None:
            calendar = BusinessCalendar(shop.timezone)
            campaign = Campaign(
                event_id="rehearsal",
                event_type="campaign",
                shop_id=shop_id,
                occurred_at_ms=now_ms,
                campaign_id="rehearsal",
                name="Rehearsal",
                starts_at_ms=calendar.day_start_ms(calendar.day_of(span_ms[0])),
                ends_at_ms=calendar.day_start_ms(calendar.day_of(span_ms[1]) + 1),
                joined_at_ms=now_ms,
                version=0,
                product_ids=sorted(columns.products(shop_id)),
            )
        changed = msgspec.structs.replace(
            campaign,
            event_id=f"rehearsal-{now_ms}",
            occurred_at_ms=now_ms,
            version=campaign.version + 1,
            target_metric=metric,
            target_value=goal,
            target_changed_at_ms=now_ms,
            plan=[],
        )
        key = str(campaign.campaign_id).encode()
        yield Line(RECORDING_PREFIX + "campaigns", key, now_ms, msgspec.json.encode(changed))
