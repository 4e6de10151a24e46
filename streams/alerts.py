"""An alert: one incident of one rule on one entity, as everybody reads it, and the sentences about stock.

An alert has a stable id: it opens once and closes once. Its message is made once, where it opens and where it closes,
so that Slack, the webhook, the page and the would-have-sent log say the same.

Source: spec/alerts.md, "Rules about rules"; X-83.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec

from streams.money import compact_money
from streams.rule import AlertRoute as AlertRoute
from streams.rule import Owner, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NAME: Final = 80
"""Longest name in a message; product names are foreign text of any length."""

LISTED_SKUS: Final = 10
"""SKUs named in one digest or one grouped message; the rest is "and n more"."""


class AlertState(StrEnum):
    """Where an incident stands; a delivery is one per (alert id, state, route)."""

    OPEN = "open"
    RESOLVED = "resolved"
    NOTICE = "notice"
    """Said once, with nothing to close: a digest."""


class Resolution(StrEnum):
    """Why an incident closed."""

    RESTOCKED = "restocked"
    EASED = "eased"
    """The number is back beyond its clearing level."""
    WORSE = "worse"
    """It has grown worse: the incident goes on under a new id, at the severity it has now."""
    ENDED = "ended"
    """What it watched is over, or gone."""
    MISSED = "missed"
    """It began and ended while nobody could see it: history, told to nobody."""


DELIVERED_ROUTES: Final = frozenset({AlertRoute.PAGE, AlertRoute.CHANNEL, AlertRoute.DIGEST})
"""Routes that leave the screen; an alert of another one is shown on the page and told to no receiver."""


@dataclass(frozen=True, slots=True)
class SoldBy:
    """The content that sells most of a SKU at the moment.

    Attributes:
        kind: `LIVE`, `video`, `product card` or another place, as a person calls it.
        content_id: its id; empty where the place has none.
        share: of the SKU's units in the sales window, 0 to 1.
    """

    kind: str
    content_id: str
    share: float


@dataclass(frozen=True, slots=True)
class DigestLine:
    """One SKU of a digest."""

    sku_id: str
    name: str
    status: str
    on_hand: int | None
    eta_ms: int | None
    gmv_at_risk_minor: int


@dataclass(frozen=True, slots=True)
class Alert:
    """One incident, as it is published on the alerts topic under its id.

    Attributes:
        alert_id: stable: shop, campaign, rule, SKU (or `digest` and its hour), day of opening; a second incident of
            one day ends in `/2`.
        rule, key, title: number and key in spec/alerts.md, for example `A-41` and `goal_behind`, and a few words.
        route: where it is told; with `panel` it stays on the page (`DELIVERED_ROUTES`).
        entity_kind, entity_id: what it is about: `sku`, `product`, `shop`, `campaign`, `topic` or `stream`, and which.
        severity, owner: see their types; the owner picks the channel.
        runbook: anchor in docs/RUNBOOK.md; empty for what does not leave the screen.
        advice: what to do, imperative.
        value, threshold, unit: the number that decided at `updated_at_ms`, where it fires, and what it counts.
        money_minor: the money in it, minor units of `currency`; sorts what is told together.
        figures: what receivers may want to know beside it, by name.
        campaign_id, sku_id, product_id: empty where the entity has none.
        name: what a person calls the entity; foreign text, escape it where it is shown.
        opened_at_ms, updated_at_ms, resolved_at_ms: on the board's clock; the last is None while open.
        predicted_ms, predicted_low_ms, predicted_high_ms: the stock-out as it was foretold at the opening, with its
            80 % interval; None on A-02 that nobody foretold.
        actual_ms: when the SKU really ran out; None until then.
        on_hand, velocity_per_h, gmv_at_risk_*_minor: as at `updated_at_ms`; money in minor units of `currency`.
        horizon_end_ms: until when the money at risk is counted.
        stock_as_of_ms: event time of the newest stock record.
        timezone: the shop's zone, in which the message speaks.
        lines, more: a digest's SKUs by money at risk, and how many are not listed.
        message: the sentence, plain text.
    """

    alert_id: str
    rule: str
    shop_id: str
    state: AlertState
    route: AlertRoute
    opened_at_ms: int
    updated_at_ms: int
    timezone: str
    currency: str
    campaign_id: str = ""
    sku_id: str = ""
    product_id: str = ""
    name: str = ""
    resolved_at_ms: int | None = None
    resolution: Resolution | None = None
    predicted_ms: int | None = None
    predicted_low_ms: int | None = None
    predicted_high_ms: int | None = None
    actual_ms: int | None = None
    on_hand: int | None = None
    velocity_per_h: float = 0.0
    gmv_at_risk_minor: int = 0
    gmv_at_risk_low_minor: int = 0
    gmv_at_risk_high_minor: int = 0
    horizon_end_ms: int | None = None
    stock_as_of_ms: int | None = None
    sold_by: SoldBy | None = None
    lines: tuple[DigestLine, ...] = ()
    more: int = 0
    message: str = ""
    key: str = ""
    title: str = ""
    entity_kind: str = "sku"
    entity_id: str = ""
    severity: Severity = Severity.PAGE
    owner: Owner = Owner.OPS
    runbook: str = ""
    advice: str = ""
    value: float | None = None
    threshold: float | None = None
    unit: str = ""
    money_minor: int = 0
    figures: dict[str, int | float | str | None] = field(default_factory=dict)

    @property
    def inside_interval(self) -> bool | None:
        """Return whether the real stock-out fell into the predicted interval; None while either is missing."""
        if self.actual_ms is None or self.predicted_low_ms is None:
            return None
        high = self.predicted_high_ms
        return self.predicted_low_ms <= self.actual_ms and (high is None or self.actual_ms <= high)


def encode_alert(alert: Alert) -> bytes:
    """Return the alert as JSON, the value of its record on the alerts topic."""
    return msgspec.json.encode(alert)


def decode_alert(value: bytes) -> Alert:
    """Return the alert of a record's value.

    Raises:
        msgspec.DecodeError: the value is not an alert of this version.
    """
    return msgspec.json.decode(value, type=Alert)


_CONTROL: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


def one_line(text: str) -> str:
    """Return text without line breaks and direction marks.

    A product name with a line break could forge a second alert in a message or a log.
    """
    return _CONTROL.sub(" ", text).strip()


def clean_name(text: str) -> str:
    """Return foreign text fit for one line, see `one_line`, of at most `MAX_NAME` characters."""
    line = one_line(text)
    return line if len(line) <= MAX_NAME else line[: MAX_NAME - 1] + "…"


def advised(text: str, advice: str, as_of: str) -> str:
    """Return what an alert says when it opens: what, when and how much; what to do; how new that is.

    Source: the example at the end of spec/alerts.md.
    """
    return " ".join(part for part in (text, f"Do: {advice}." if advice else "", as_of) if part)


def stock_opening(alert: Alert) -> str:
    """Return what a stock alert says when it opens, with the parts left out whose source does not exist."""
    clock = ShopClock(alert.timezone, alert.updated_at_ms)
    parts = [_headline(alert, clock), _stock_text(alert)]
    if alert.gmv_at_risk_minor > 0 and alert.horizon_end_ms is not None:
        money = compact_money(alert.gmv_at_risk_minor, alert.currency)
        parts.append(f"At risk {money} by {clock.end(alert.horizon_end_ms)}.")
    if alert.sold_by is not None:
        content = f" '{clean_name(alert.sold_by.content_id)}'" if alert.sold_by.content_id else ""
        parts.append(f"Sold by {alert.sold_by.kind}{content} {alert.sold_by.share:.0%}.")
    return " ".join(parts)


def _headline(alert: Alert, clock: ShopClock) -> str:
    if alert.rule == "A-02":
        since = f" since {clock.time(alert.actual_ms)}" if alert.actual_ms is not None else ""
        foretold = f", predicted {_predicted(alert, clock)}" if alert.predicted_ms is not None else ""
        return f"{alert.name} is out of stock{since}{foretold}."
    if alert.actual_ms is not None:
        return f"{alert.name} ran out {clock.time(alert.actual_ms)}, predicted {_predicted(alert, clock)}."
    return f"{alert.name} runs out {_predicted(alert, clock)}."


def _predicted(alert: Alert, clock: ShopClock) -> str:
    """Return `~21:40 (21:25-22:05)`; an end that is out of sight stays open."""
    text = f"~{clock.time(alert.predicted_ms)}" if alert.predicted_ms is not None else ""
    if alert.predicted_low_ms is not None:
        high = "?" if alert.predicted_high_ms is None else clock.time(alert.predicted_high_ms)
        text += f" ({clock.time(alert.predicted_low_ms)}-{high})"
    return text


def _stock_text(alert: Alert) -> str:
    speed = f"{alert.velocity_per_h:.0f}/h" if alert.velocity_per_h >= 10 else f"{alert.velocity_per_h:.1f}/h"
    if alert.on_hand is None:
        return f"Sold {speed}."
    if alert.rule == "A-02" or alert.actual_ms is not None:
        oversold = f"Oversold by {-alert.on_hand}. " if alert.on_hand < 0 else ""
        return f"{oversold}Sold {speed} before."
    return f"{alert.on_hand} left, {speed}."


def stock_closing(alert: Alert) -> str:
    """Return what a stock alert says when it closes, the real time beside the predicted one."""
    clock = ShopClock(alert.timezone, alert.updated_at_ms)
    foretold = f" Predicted {_predicted(alert, clock)}." if alert.predicted_ms is not None else ""
    ran_out = f" Ran out {clock.time(alert.actual_ms)}." if alert.actual_ms is not None else ""
    left = f" {alert.on_hand} left." if alert.on_hand is not None else ""
    why = {
        Resolution.RESTOCKED: "was restocked",
        Resolution.EASED: "is selling more slowly, no longer about to run out",
        Resolution.ENDED: f"is no longer watched: {_why_ended(alert)}",
    }[alert.resolution or Resolution.EASED]
    return f"Resolved: {alert.name} {why}.{left}{ran_out}{foretold}"


def _why_ended(alert: Alert) -> str:
    end_ms = alert.horizon_end_ms
    if alert.campaign_id and end_ms is not None and end_ms <= alert.updated_at_ms:
        return "its campaign has ended"
    return "its product or its stock feed is gone"


def listed(items: Sequence[str], more: int) -> str:
    """Return a list as one line that ends in `and n more` when some are left out."""
    return ", ".join(items) + (f" and {more:,} more" if more else "")


class ShopClock:
    """Times of a message, in the shop's zone; another day than the message's is named."""

    def __init__(self, timezone: str, at_ms: int) -> None:
        self._zone = ZoneInfo(timezone)
        self._today = self._local(at_ms).date()

    def _local(self, at_ms: int) -> dt.datetime:
        return dt.datetime.fromtimestamp(at_ms / 1000, self._zone)

    def time(self, at_ms: int) -> str:
        """Return an instant as `21:40`, of another day as `Fri 21:40`, of another week with its date.

        In the hour that comes twice when the clocks go back it says which: `01:24 PST`.
        """
        local = self._local(at_ms)
        days = (local.date() - self._today).days
        which = f" {local:%Z}" if local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset() else ""
        if days == 0:
            return f"{local:%H:%M}{which}"
        return f"{local:%a %H:%M}{which}" if abs(days) < 7 else f"{local:%Y-%m-%d %H:%M}{which}"

    def end(self, at_ms: int) -> str:
        """Return an end as it is spoken of: a campaign that ends at 23:59:59 or 00:00 ends at midnight."""
        tomorrow = self._today + dt.timedelta(days=1)
        end_of_day = dt.datetime.combine(tomorrow, dt.time(), self._zone)
        if abs(end_of_day.timestamp() * 1000 - at_ms) <= 60_000:
            return "midnight"
        return self.time(at_ms)
